"""Trades in groups: what each came to, by how they ended, by symbol, and by when they were entered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from peak_trade.market.trades import Trades
from peak_trade.report.markup import number, percent, table, text
from peak_trade.report.run import RunFiles
from peak_trade.stats.closed import profit_factor
from peak_trade.stats.values import Times

__all__ = ["HEAD", "groups", "nothing", "of_group"]

Mask = npt.NDArray[np.bool_]
HEAD = ("Trades", "Share", "Won", "Pnl", "Mean pnl", "Mean return", "Profit factor", "Mean bars")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SYMBOLS = 100  # rows; what is left is one row together
_NO_LOSS = '<span title="no losing trades">–</span>'


def of_group(trades: Trades, chosen: Mask) -> list[str]:
    """Return the cells under `HEAD` of some of the trades: at least one, each with a pnl and a return.

    A trade wins with pnl > 0. Share is of all trades; the profit factor is what winners earned over what losers lost.
    """
    pnl, count = trades.pnl[chosen], int(np.count_nonzero(chosen))
    factor, bars = profit_factor(pnl), trades.bars_held[chosen]
    return [
        f"{count:,}",
        percent(count / len(trades), 1),
        percent(np.count_nonzero(pnl > 0.0) / count, 1),
        number(float(pnl.sum())),
        number(float(pnl.mean())),
        percent(float(trades.return_[chosen].mean())),
        number(factor) if isinstance(factor, float) else _NO_LOSS,
        "–" if (bars < 0).any() else number(float(bars.mean()), 1),
    ]


def nothing(trades: Trades) -> str:
    """Return, as HTML, why trades can't be summed: there are none, or they are in several currencies; else nothing."""
    if not len(trades):
        return "<p>The run closed no trade.</p>"
    moneys = [] if trades.currencies is None else np.unique(trades.currencies).tolist()
    if len(moneys) > 1:
        return f"<p>Not shown: the trades are in {text(', '.join(moneys))}, which do not add up.</p>"
    return ""


def groups(run: RunFiles) -> str:
    """What the trades came to by symbol, by weekday and by hour of their entry."""
    trades = run.trades
    if why := nothing(trades):
        return why
    parts = []
    symbols = _symbols(trades)
    if len(symbols) > 1:
        parts.append("<h3>By symbol</h3>" + _table("Symbol", trades, symbols, "Trades by symbol"))
    known = ~np.isnat(trades.entry_time)
    if known.any():
        days, hours = _days(trades.entry_time, known), _hours(trades.entry_time, known)
        parts.append("<h3>By weekday of entry</h3>" + _table("Day (UTC)", trades, days, "Trades by weekday"))
        if len(hours) > 1:
            parts.append("<h3>By hour of entry</h3>" + _table("Hour (UTC)", trades, hours, "Trades by hour"))
        else:
            parts.append(f"<p>Every entry is in the hour from {hours[0][0]} UTC.</p>")
        said = "" if known.all() else f" {np.count_nonzero(~known):,} trades without a time of entry are in none."
        note = "Days and hours are those of the entry, in UTC. Won is the share with a pnl above zero."
        parts.append(f'<p class="note">{note}{said}</p>')
    return "".join(parts)


def _table(what: str, trades: Trades, found: Iterable[tuple[str, Mask]], label: str) -> str:
    rows = [[name, *of_group(trades, chosen)] for name, chosen in found]
    return table([what, *HEAD], rows, label=label, name="groups")


def _symbols(trades: Trades) -> list[tuple[str, Mask]]:
    """Return the trades of each symbol, those first that came to most; of very many the last are one group."""
    if trades.symbols is None:
        return []
    names, at = np.unique(trades.symbols, return_inverse=True)
    order = np.argsort(-np.abs(np.bincount(at, trades.pnl)), kind="stable")
    found = [(text(names[one]) or "(no name)", at == one) for one in order[:_SYMBOLS].tolist()]
    if len(left := order[_SYMBOLS:]):
        found.append((f"{len(left):,} others", np.isin(at, left)))
    return found


def _days(times: Times, known: Mask) -> list[tuple[str, Mask]]:
    return _parted(_DAYS, (times.astype("M8[D]").astype(np.int64) + 3) % 7, known)  # 1970-01-01 was a Thursday


def _hours(times: Times, known: Mask) -> list[tuple[str, Mask]]:
    return _parted([f"{hour:02}:00" for hour in range(24)], times.astype("M8[h]").astype(np.int64) % 24, known)


def _parted(names: Sequence[str], at: npt.NDArray[np.int64], known: Mask) -> list[tuple[str, Mask]]:
    parts = [(name, known & (at == place)) for place, name in enumerate(names)]
    return [(name, chosen) for name, chosen in parts if chosen.any()]
