"""Runs that another engine made: what they are, what they do not say, and what each symbol did in the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from peak_trade.evidence import manifest
from peak_trade.report import svg
from peak_trade.report.figures import amount_label, figure, percent_label, times_of
from peak_trade.report.markup import counted, number, percent, table, text
from peak_trade.report.run import RunFiles
from peak_trade.report.values import Column, Over
from peak_trade.stats.attribution import exposures, of_one_money

__all__ = ["KINDS", "by_symbol", "exposure_of_trades", "lacks"]

KINDS = {
    manifest.RUN: "",
    manifest.SWEPT: "",
    manifest.RECORDED: "Recorded: another program made it, and was watched while it did.",
    manifest.IMPORTED: "Imported: it is what a file says, not what was run.",
}
"""What the head of a page says of each kind of run."""
_PANELS = 12  # symbols that get a figure of their own
_ROWS, _MORE = 40, 1_000  # symbols in the table, and in the one that is folded away
_HEAD = ("Symbol", "Currency", "Trades", "Open", "Pnl", "Fees", "Open pnl", "Share", "Gross", "Net", "Gross max")

_NEEDS: Mapping[str, tuple[Callable[[RunFiles], bool], str]] = {
    "figures": (lambda run: run.has("stats.json"), "no engine was seen, so there are no figures"),
    "equity": (lambda run: run.has("equity.csv"), "nobody said what the account had at each moment"),
    "trades": (lambda run: run.has("trades.csv", "trades.parquet"), "no trades were given"),
    "prices": (lambda run: run.has("benchmark.csv"), "the bars are not part of this evidence"),
    "returns": (lambda run: _known(run.trades.return_), "not every trade says what it returned"),
    "pnl": (lambda run: _known(run.trades.pnl), "not every trade says what it earned"),
    "reasons": (lambda run: bool((run.trades.exit_reason >= 0).any()), "no trade says why it ended"),
    "excursions": (lambda run: run.trades.mae is not None, "the bars of the trades are not known"),
}


def lacks(run: RunFiles, needs: str) -> str:
    """Return why a section of a run that others made can't be shown; empty where it can, and for a run of ours."""
    if run.ours:
        return ""
    for need in needs.split():
        there, why = _NEEDS[need]
        if not there(run):
            return why
    return ""


def _known(column: Any) -> bool:
    return bool(np.isfinite(column).all())


def by_symbol(run: RunFiles) -> str:
    """What each symbol earned of the account's change, and how it went."""
    rows = run.symbols
    order = sorted((row for row in rows if row["kind"] == "symbol"), key=lambda row: -abs(row["pnl"] or 0.0))
    shown = [*order[:_ROWS], *(row for row in rows if row["kind"] != "symbol")]
    rest = next((row for row in rows if row["kind"] == "rest"), None)
    note = (
        "Pnl is realised and net of the trades' fees; what is open at the end is by its last mark. Exposure is at "
        "entry prices, over equity: the mean over all marks, and the most."
    )
    if rest is not None and rest["pnl"]:
        note += " What no symbol earned is there too, with what was paid in or out, if anything was."
    if rest is not None and rest["pnl"] is None:
        note += " The rows do not add up to the account: currencies differ, or not every trade says what it earned."
    small = "".join(_small(run, row["symbol"], row["currency"]) for row in order[:_PANELS])
    more = f'<p class="note">Figures of the {_PANELS} that moved most.</p>' if len(order) > _PANELS else ""
    return (
        _table(shown, "Symbols")
        + _others(order[_ROWS:])
        + f'<p class="note">{note}</p><div class="multiples">{small}</div>{more}'
    )


def _others(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return those symbols that moved less, folded away: of very many, where they are to be found."""
    if not rows:
        return ""
    left = len(rows) - _MORE
    beyond = f'<p class="note">{counted(left, "more symbol")} in symbols.csv.</p>' if left > 0 else ""
    summary = f"{counted(len(rows), 'other symbol')}, which moved less"
    return f"<details><summary>{summary}</summary>{_table(rows[:_MORE], 'Other symbols')}{beyond}</details>"


def _table(rows: Sequence[Mapping[str, Any]], label: str) -> str:
    cells = [
        [
            text(_called(row)),
            text(row["currency"]),
            *(_count(row[key]) for key in ("trades", "open")),
            *(_amount(row[key]) for key in ("pnl", "fees", "open_pnl")),
            *(_share(row[key]) for key in ("share", "gross", "net", "gross_max")),
        ]
        for row in rows
    ]
    return table(_HEAD, cells, label=label, name="symbols")


def _called(row: Mapping[str, Any]) -> str:
    if row["kind"] == "account":
        return "The account"
    return str(row["symbol"] or "(no name)")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _amount(value: float | None) -> str:
    return "–" if value is None else number(value)


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _small(run: RunFiles, symbol: str, currency: str) -> str:
    """Return what the trades of one symbol in one currency had earned by each exit."""
    trades, stamps = run.trades, run.equity["timestamp"]
    which = (trades.symbols if trades.symbols is not None else np.full(len(trades), trades.symbol)) == symbol
    which &= (trades.currencies if trades.currencies is not None else np.full(len(trades), "")) == currency
    which &= np.isfinite(trades.pnl)
    if not which.any() or len(stamps) < 2:
        return ""
    earned = np.concatenate(([0.0, 0.0], np.cumsum(trades.pnl[which])))
    times = np.concatenate((stamps[[0]], stamps[[0]], trades.exit_time[which].astype("M8[ns]")))
    span = (stamps[-1] - stamps[0]).astype(np.int64)
    x = np.clip((times - stamps[0]).astype(np.int64) / span, 0.0, 1.0)
    x, y = np.append(np.repeat(x, 2)[1:], 1.0), np.repeat(earned, 2)
    scale = svg.Scale.around(y, zero=True)
    panel = svg.Panel(
        90, scale.ticks(amount_label, 3), [svg.line(x, scale.place(y), "equity")], float(scale.place(0)), scale
    )
    about = f"{counted(int(which.sum()), 'trade')}, {number(float(earned[-1]))} in all."
    ticks = svg.time_ticks(stamps[0], stamps[-1], 3)
    values = Over(np.append(times[1:], stamps[-1]), [Column("Pnl", np.append(earned[1:], earned[-1]))])
    return figure(symbol, about, [panel], ticks, [], f"<b>{text(symbol)}</b>: {about}", values)


def exposure_of_trades(run: RunFiles) -> str:
    """Exposure of an account whose position is not a single one: gross and net, by what is open and its entry price."""
    if why := lacks(run, "equity trades"):
        return f'<p class="note">Not shown: {why}.</p>'
    own, trades, left = run.equity, run.trades, run.open_trades
    given = [one for one in (trades, left) if one is not None]
    if any(not _known(one.quantity * one.entry_price) or np.isnat(one.entry_time).any() for one in given):
        return '<p class="note">Not shown: not every trade says its time, quantity and price.</p>'
    if not of_one_money(run.currency, *given):
        return '<p class="note">Not shown: trades in another currency than the account are not held against it.</p>'
    gross, net = exposures(own["timestamp"], own["equity"], [trades, left])
    if not np.isfinite(gross).any() or len(gross) < 2:
        return '<p class="note">Not shown: equity was never above zero.</p>'
    x, scale = svg.x_of(own["timestamp"]), svg.Scale.around(gross, net, zero=True)
    most, mean = float(np.nanmax(gross)), float(np.nanmean(gross))
    about = f"Gross exposure is {percent(mean)} of equity on average and {percent(most)} at most."
    lines = [svg.line(x, scale.place(gross), "price"), svg.line(x, scale.place(net), "equity")]
    panel = svg.Panel(150, scale.ticks(percent_label), lines, float(scale.place(0.0)), scale)
    return f"<p>{about}</p>" + figure(
        "Exposure", about, [panel], times_of(run), [("price", "Gross"), ("equity", "Net")],
        "What is open after each mark, at its entry price, as a share of equity; net takes shorts off.",
        Over(own["timestamp"], [Column("Gross", gross, percent=True), Column("Net", net, percent=True)]),
    )  # fmt: skip
