"""Calendars: when a market trades."""

from __future__ import annotations

import msgspec

from peak_trade.errors import InputError, did_you_mean

__all__ = ["CALENDARS", "NYSE_CALENDARS", "Calendar", "find_calendar"]


class Calendar(msgspec.Struct, frozen=True):
    """When a market trades: its name, its sessions per year and the other names it goes by."""

    name: str
    sessions: int
    aliases: tuple[str, ...] = ()


# Exchanges: mean number of sessions per year, 2010 to 2024, rounded; a test measures them again.
CALENDARS = {
    calendar.name: calendar
    for calendar in (
        Calendar("24/7", 365),
        Calendar("24/5", 260),
        Calendar("XNYS", 252, ("NYSE",)),
        Calendar("XNAS", 252, ("NASDAQ",)),
        Calendar("XTSE", 251, ("TSX",)),
        Calendar("BVMF", 248, ("B3",)),
        Calendar("XLON", 253, ("LSE",)),
        Calendar("XETR", 254, ("XETRA",)),
        Calendar("XPAR", 256),
        Calendar("XAMS", 256),
        Calendar("XMIL", 254),
        Calendar("XSWX", 251, ("SIX",)),
        Calendar("XSTO", 251),
        Calendar("XTKS", 245, ("JPX",)),
        Calendar("XHKG", 246, ("HKEX",)),
        Calendar("XSHG", 243, ("SSE",)),
        Calendar("XKRX", 246, ("KRX",)),
        Calendar("XBOM", 246, ("BSE",)),
        Calendar("XSES", 251, ("SGX",)),
        Calendar("XASX", 253, ("ASX",)),
    )
}
NYSE_CALENDARS = ("XNYS", "XNAS")  # the Nasdaq keeps the New York Stock Exchange's holidays


def find_calendar(name: str) -> Calendar:
    """Return the calendar of a name or alias, whatever its case; errors: `InputError` for an unknown one."""
    wanted = name.upper()
    for calendar in CALENDARS.values():
        if wanted == calendar.name or wanted in calendar.aliases:
            return calendar
    known = [known for calendar in CALENDARS.values() for known in (calendar.name, *calendar.aliases)]
    raise InputError(f"unknown calendar `{name}`", hint=did_you_mean(wanted, known))
