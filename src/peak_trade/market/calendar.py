"""Calendars: around the clock, five days a week, or an exchange; each with its sessions a year and its hours.

Twenty are built in. Every other exchange, and the holidays and half days of those that are, comes from the package
`exchange_calendars` (the extra `calendars`), which is asked by `exchanges` alone.
"""

from __future__ import annotations

import msgspec

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market import exchanges

__all__ = ["AROUND", "CALENDARS", "NYSE_CALENDARS", "Calendar", "find_calendar"]

AROUND = "24/7"


class Calendar(msgspec.Struct, frozen=True):
    """When a market trades: its name, sessions a year, time zone, hours, other names, and the days of its week.

    `hours` are its regular ones in local time, each with the day since which it keeps them: `09:00-11:30 12:30-15:30`
    has a break. A session that closes no later than it opens has opened on the evening before.
    """

    name: str
    sessions: int
    zone: str = "UTC"
    hours: tuple[tuple[str, str], ...] = (("", "00:00-24:00"),)
    aliases: tuple[str, ...] = ()
    week: str = "1111100"


def _calendar(name: str, sessions: int, zone: str, hours: str, *aliases: str, **earlier: str) -> Calendar:
    """Return a calendar whose hours have changed on the days that are keywords, as in `to_20160801`."""
    changes = sorted((key.removeprefix("to_"), text) for key, text in earlier.items())
    days = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in changes]
    since = zip(["", *days], [*(text for _, text in changes), hours], strict=True)
    return Calendar(name, sessions, zone, tuple(since), aliases)


# Exchanges: mean number of sessions a year from 2010 to 2024, rounded, and hours; tests hold both against the package
# above, but for hours that it does not know: breaks of Singapore, and those of Tokyo and Hong Kong before 2012.
CALENDARS = {
    calendar.name: calendar
    for calendar in (
        Calendar(AROUND, 365, week="1111111"),
        _calendar("24/5", 260, "America/New_York", "17:00-17:00"),
        _calendar("XNYS", 252, "America/New_York", "09:30-16:00", "NYSE"),
        _calendar("XNAS", 252, "America/New_York", "09:30-16:00", "NASDAQ"),
        _calendar("XTSE", 251, "America/Toronto", "09:30-16:00", "TSX"),
        _calendar("BVMF", 248, "America/Sao_Paulo", "10:00-18:00", "B3", to_20191104="10:00-17:00"),
        _calendar("XLON", 253, "Europe/London", "08:00-16:30", "LSE"),
        _calendar("XETR", 254, "Europe/Berlin", "09:00-17:30", "XETRA"),
        _calendar("XPAR", 256, "Europe/Paris", "09:00-17:30"),
        _calendar("XAMS", 256, "Europe/Amsterdam", "09:00-17:30"),
        _calendar("XMIL", 254, "Europe/Rome", "09:00-17:30"),
        _calendar("XSWX", 251, "Europe/Zurich", "09:00-17:30", "SIX"),
        _calendar("XSTO", 251, "Europe/Stockholm", "09:00-17:30"),
        _calendar(
            *("XTKS", 245, "Asia/Tokyo", "09:00-11:30 12:30-15:30", "JPX"),
            to_20111121="09:00-11:00 12:30-15:00",
            to_20241105="09:00-11:30 12:30-15:00",
        ),
        _calendar(
            *("XHKG", 246, "Asia/Hong_Kong", "09:30-12:00 13:00-16:00", "HKEX"),
            to_20110307="10:00-12:30 14:30-16:00",
            to_20120305="09:30-12:00 13:30-16:00",
        ),
        _calendar("XSHG", 243, "Asia/Shanghai", "09:30-11:30 13:00-15:00", "SSE"),
        _calendar(
            *("XKRX", 246, "Asia/Seoul", "09:00-15:30", "KRX"),
            to_20000522="09:00-12:00 13:00-15:00",
            to_20160801="09:00-15:00",
        ),
        _calendar("XBOM", 246, "Asia/Kolkata", "09:15-15:30", "BSE"),
        _calendar(
            *("XSES", 251, "Asia/Singapore", "09:00-12:00 13:00-17:00", "SGX"),
            to_20110801="09:00-12:30 14:00-17:00",
            to_20171113="09:00-17:00",
        ),
        _calendar("XASX", 253, "Australia/Sydney", "10:00-16:00", "ASX"),
    )
}
NYSE_CALENDARS = ("XNYS", "XNAS")  # the Nasdaq keeps the New York Stock Exchange's holidays


def find_calendar(name: str) -> Calendar:
    """Return the calendar of a name or alias, whatever its case.

    Errors: `InputError` for an unknown one; where `exchange_calendars` is not installed, it names the extra.
    """
    wanted = name.upper()
    for calendar in CALENDARS.values():
        if wanted == calendar.name or wanted in calendar.aliases:
            return calendar
    if facts := exchanges.facts(wanted):
        return Calendar(facts.name, facts.sessions, facts.zone, facts.hours, (), facts.week)
    known = [known for calendar in CALENDARS.values() for known in (calendar.name, *calendar.aliases)]
    hint = did_you_mean(wanted, {*known, *exchanges.names()})
    if not exchanges.installed():
        hint += "; every other exchange comes with: just setup calendars"
    raise InputError(f"unknown calendar `{name}`", hint=hint)
