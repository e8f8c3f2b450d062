"""Runs against the first of them: only what differs, what explains it, and where they part; on one screen.

The work is that of `difference`; here several differences become one table, as people and programs read it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.manifest import SWEPT
from peak_trade.market.bars import Bars
from peak_trade.shown.listing import aligned
from peak_trade.text import counted, cut, figure, one_line, percentage
from peak_trade.trust.difference import Difference, Sealed, Searches, between, searches
from peak_trade.trust.difference.figures import Figure, figures
from peak_trade.trust.difference.trades import Trade

__all__ = ["HEADLINES", "Comparison", "Row", "apart", "as_text", "compare", "letter", "shown", "told"]

HEADLINES = ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "trades", "win_rate",
             "profit_factor", "exposure", "fees_paid", "slippage_paid", "final_equity")  # fmt: skip
"""The statistics that a screen has room for; where none of them differs, the first that do."""
_ROWS, _DETAILS, _WIDTH, _CELL = 8, 8, 80, 28
_EARNED = 5  # symbols that a screen has room for
_MANY = 4  # runs: beyond it, a screen has no room for a column of each
_FIGURES = ("total_return", "sharpe", "max_drawdown", "trades", "final_equity", "cagr", "volatility", "win_rate",
            "fees_paid")  # fmt: skip
"""Those of many runs, the first of which a screen has room for."""


class Row(Struct, frozen=True):
    """An input that is not the same in all runs: the value of each, and the best that can be said of it as a cause."""

    kind: str
    name: str
    values: list[Any]
    verdict: str
    why: str
    details: list[str]


class Comparison(Struct, frozen=True):
    """Runs A, B, C …: what went in and what came out, where it is not the same; `differences` are those from A.

    Of sweeps, `searches` holds the trials of each other one against those of A. `said` is what a reader has to know.
    """

    runs: list[Sealed]
    differences: list[Difference]
    inputs: list[Row]
    figures: list[Figure]
    tolerance: float
    searches: list[Searches] = []
    said: list[str] = []

    @property
    def same(self) -> bool:
        """Whether no run's statistics, bars or trades differ from those of the first beyond the tolerance.

        Of sweeps, whether no trial that both have came to something else either, and neither has one more.
        """
        apart = any(one.differ or one.only_a or one.only_b for one in self.searches)
        return all(one.same for one in self.differences) and not apart

    def to_json_object(self) -> dict[str, Any]:
        """Return all of it as `--json` prints it."""
        return {
            "same": self.same,
            "tolerance": self.tolerance,
            "runs": [{"letter": letter(at)} | about(run) for at, run in enumerate(self.runs)],
            "inputs": msgspec.to_builtins(self.inputs),
            "statistics": msgspec.to_builtins(self.figures),
            "searches": [{"run": letter(at)} | msgspec.to_builtins(one) for at, one in enumerate(self.searches, 1)],
            "said": self.said,
            "differences": [
                {
                    "run": letter(at),
                    "told": one.told,
                    "bar": msgspec.to_builtins(one.bar),
                    "trade": msgspec.to_builtins(one.trade),
                    **{key: value for key, value in msgspec.to_builtins(one).items() if key not in ("figures",)},
                }
                for at, one in enumerate(self.differences, 1)
            ],
        }


def letter(at: int) -> str:
    """Return what a run is called beside others.

    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'A2')
    """
    return chr(ord("A") + at % 26) + (str(at // 26 + 1) if at >= 26 else "")


def about(run: Sealed) -> dict[str, Any]:
    """Return what a run is called by, and how it ended."""
    strategy = run.config.get("strategy", {})
    data = run.config.get("data", {})
    return {
        "run_id": run.run_id,
        "path": str(run.path),
        "name": run.config.get("run", {}).get("name"),
        "strategy": strategy.get("name") or strategy.get("entrypoint"),
        "symbol": data.get("symbol"),
        "timeframe": data.get("timeframe"),
        "status": run.manifest.predicate.status,
        "error": run.error or None,
        "lookahead": run.manifest.predicate.lookahead or None,
    }


def compare(
    runs: Sequence[Sealed], tolerance: float = 0.0, bars: Callable[[Sealed], Bars | None] | None = None
) -> Comparison:
    """Compare runs with the first of them; for `bars` see `difference.between`.

    Raises InputError where what a run has sealed is not there any more, or can't be read here: that is no difference.
    """
    try:
        differences = [between(runs[0], run, tolerance, bars) for run in runs[1:]]
        completed = [run for run in runs if run.completed]
        known = iter(figures([run.figures for run in completed], tolerance) if len(completed) > 1 else [])
    except RunError as error:
        raise InputError(error.message, hint=error.hint) from None
    found = []
    for one in known:  # a run that failed has none
        values = iter(one.values)
        found.append(Figure(one.key, one.unit, [next(values) if run.completed else None for run in runs]))
    swept = [run.manifest.predicate.kind == SWEPT and run.completed for run in runs]
    try:
        sides = [searches(runs[0], run) for run in runs[1:]] if all(swept) else []
    except RunError as error:
        raise InputError(error.message, hint=error.hint) from None
    said = [
        f"{letter(at)} is the parent of a sweep: its figures are those of what was chosen there"
        for at, one in enumerate(swept)
        if one and not all(swept)
    ]
    return Comparison(list(runs), differences, _rows(differences), found, tolerance, sides, said)


def _rows(differences: Sequence[Difference]) -> list[Row]:
    """Return the causes of all differences as rows, the likeliest first."""
    rows: dict[tuple[str, str], Row] = {}
    places: dict[tuple[str, str], int] = {}  # the best that it has in any of the rankings
    ranks = ("likely", "possible", "no")
    for at, one in enumerate(differences):
        for place, cause in enumerate(one.causes):
            key = cause.input.kind, cause.input.name
            places[key] = min(place, places.get(key, place))
            first = cause.input.a
            old = rows.get(key) or Row(*key, [first] * (len(differences) + 1), cause.verdict, cause.why, [])
            old.values[at + 1] = cause.input.b
            said = cause.input.details
            details = said if len(differences) == 1 or not said else [f"{letter(at + 1)}: {said[0]}", *said[1:]]
            better = cause if ranks.index(cause.verdict) < ranks.index(old.verdict) else None
            rows[key] = Row(
                *key, old.values, better.verdict if better else old.verdict, better.why if better else old.why,
                old.details + details,
            )  # fmt: skip
    return sorted(rows.values(), key=lambda row: (ranks.index(row.verdict), places[row.kind, row.name]))


# --- text ---------------------------------------------------------------------------------------------------------


def as_text(found: Comparison, *, every: bool = False) -> str:
    """Return a comparison as lines: one screen of 80 columns, unless `every` asks for all that differs."""
    parts = [_heads(found.runs), "\n".join([*_told(found), *found.said])]
    parts += [_search(one, letter(at), every) for at, one in enumerate(found.searches, 1)]
    if found.inputs:
        parts.append(_inputs(found, every))
    if found.figures:
        parts.append(_figures(found, every))
    parts += filter(None, [_parting(found, every)])
    return "\n\n".join(parts)


def _search(one: Searches, other: str, every: bool) -> str:
    """Return two sweeps side by side: how their trials spread, the best of each, and trials that differ."""
    table: list[tuple[str, ...]] = [("trials", "count", "failed", "the same", "sharpe from", "median", "to", "best")]
    for name, side in (("A", one.a), (other, one.b)):
        best = side.best and f"{side.best['index']}: {_varied(side.best['overrides'])}"
        ratios = (shown(value, "ratio") for value in (side.least, side.median, side.most))
        counts = (f"{count:,}" for count in (side.trials, side.failed, side.duplicates))
        table.append((name, *counts, *ratios, best or "–"))
    lines = [line if every else cut(line, _WIDTH) for line in aligned(table, right=range(1, 7)).splitlines()]
    told = f"{counted(one.common, 'trial')} in both ({one.differ:,} came to something else)"
    told += "".join(f", {n:,} only in {of}" for n, of in ((one.only_a, "A"), (one.only_b, other)) if n)
    lines += _folded(told, "    ")
    for trial in one.others if every else one.others[:_ROWS]:
        pair = f"{_outcome(trial.a)} → {_outcome(trial.b)}"
        lines += _folded(f"trial {trial.index_a} ({_varied(trial.overrides)}): sharpe {pair}", "    ", 2)
    return "\n".join(lines)


def _varied(overrides: Mapping[str, Any]) -> str:
    return one_line(", ".join(f"{key.removeprefix('strategy.params.')}={value}" for key, value in overrides.items()))


def _outcome(value: float | str | None) -> str:
    return f"failed ({one_line(value)})" if isinstance(value, str) else shown(value, "ratio")


def _heads(runs: Sequence[Sealed]) -> str:
    rows = []
    for at, run in enumerate(runs):
        known = about(run)
        words = [known[key] for key in ("strategy", "symbol", "timeframe")]
        name = f"“{known['name']}”" if known["name"] else ""
        what = " ".join([*(str(word) for word in words if word), name]).strip()
        status = known["status"] + (", looks ahead" if known["lookahead"] else "")
        rows.append((letter(at), run.name, status, what))
    lines = []
    for run, line in zip(runs, aligned(rows).splitlines(), strict=True):
        lines.append(cut(line, _WIDTH))
        if run.error:
            lines += _folded(one_line(run.error), "   ", 2)
    return "\n".join(lines)


def _folded(text: str, indent: str, most: int | None = None) -> list[str]:
    """Return a sentence as lines of the screen's width, each after the first behind `indent`."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent if most else "", subsequent_indent=indent, max_lines=most,
        placeholder=" …", break_on_hyphens=False,
    )  # fmt: skip


def _told(found: Comparison) -> Iterable[str]:
    """Yield how each run parts from the first, in a sentence; of many runs, those of one sentence together."""
    sentences: dict[str, list[str]] = {}
    for at, one in enumerate(found.differences, 1):
        made = ""
        if one.trades and not one.trades.same:
            trades = one.trades
            alone = (f"{n:,} only in {which}" for n, which in ((trades.only_a, "A"), (trades.only_b, letter(at))) if n)
            made = "; trades: " + ", ".join([f"{trades.both:,} in both ({trades.differ:,} differ)", *alone])
        bits = ""
        if one.how == "none" and one.series:
            bits = ", to the last bit" if one.identical else ""
        within = (
            f"; within the tolerance of {found.tolerance:g}" if one.same and one.how not in ("none", "failed") else ""
        )
        many = len(found.runs) > _MANY
        sentences.setdefault(one.told + bits + ("" if many else made) + within, []).append(letter(at))
    for said, letters in sentences.items():
        pair = f"A and {', '.join(letters)}: "
        yield from _folded(pair + said, " " * min(len(pair), 12))


def _inputs(found: Comparison, every: bool) -> str:
    rows = found.inputs if every else _grouped(found.inputs)
    many = len(found.runs) > _MANY
    kept = rows if every else rows[:_ROWS]
    if many:
        table: list[tuple[str, ...]] = [("explains it", "what", "A, and what is not as in A")]
        table += [(row.verdict, row.name, _values(row)) for row in kept]
    else:
        room = _WIDTH - 15 - max(len(row.name) for row in kept)
        cell = _CELL if every else min(_CELL, max(room // len(found.runs) - 2, 9))
        table = [("explains it", "what", *(letter(at) for at in range(len(found.runs))))]
        table += [(row.verdict, row.name, *(cut(_cell(value), cell) for value in row.values)) for row in kept]
    lines = [line if every else cut(line, _WIDTH) for line in aligned(table).splitlines()]
    out = [lines[0]]
    for row, line in zip(kept, lines[1:], strict=True):
        out.append(line)
        if many and not every:
            continue
        if row.why and row.verdict == "possible":
            out += _folded(row.why, "    ", 2)
        if row.verdict != "no":
            for detail in _some(row.details, every):
                if every or detail[:1] in "+-":
                    out.append(f"    {detail if every else cut(detail, _WIDTH - 4)}")
                else:
                    out += _folded(one_line(detail), "    ", 2)
    if rest := len(rows) - len(kept):
        out.append(f"and {rest} more (--all)")
    return "\n".join(out)


def _values(row: Row) -> str:
    """Return the value of A, and each other one with the runs that have it."""
    others: dict[str, list[str]] = {}
    first = _cell(row.values[0])
    for at, value in enumerate(map(_cell, row.values)):
        if value != first:
            others.setdefault(value, []).append(letter(at))
    return "; ".join([first, *(f"{', '.join(letters)}: {value}" for value, letters in others.items())])


def _some(details: list[str], every: bool) -> list[str]:
    return details if every or len(details) <= _DETAILS else [*details[:_DETAILS], f"… {len(details) - _DETAILS} more"]


def _grouped(rows: Sequence[Row]) -> list[Row]:
    """Return rows in which those of libraries, and those that explain nothing, are one each where they are many."""
    out: list[Row] = []
    for kind, verdict in dict.fromkeys((row.kind, row.verdict) for row in rows):
        of = [row for row in rows if (row.kind, row.verdict) == (kind, verdict)]
        if len(of) > 3 and (kind == "environment" or verdict == "no"):
            names = ", ".join(row.name for row in of)
            out.append(Row(kind, f"{len(of)} of {kind}", [""] * len(of[0].values), verdict, "", [names]))
        else:
            out += of
    return out


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return one_line(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _figures(found: Comparison, every: bool) -> str:
    known = {one.key: one for one in told(found.figures)}
    headlines = [known[key] for key in HEADLINES if key in known]
    kept = found.figures if every else headlines or list(known.values())[:10]
    letters = [letter(at) for at in range(len(found.runs))]
    two = len(letters) == 2
    table = [("statistic", *letters, *(["B − A"] if two else []))]
    for one in kept:
        a, b = one.values[0], one.values[-1]
        apart = [shown(None if a is None or b is None else b - a, one.unit)] if two else []
        table.append((one.key, *(shown(value, one.unit) for value in one.values), *apart))
    text = aligned(table, right=range(1, len(table[0])))
    if not every and max(map(len, text.splitlines())) > _WIDTH:  # a line of each run has room for fewer
        order = [*(key for key in _FIGURES if key in known), *(one.key for one in kept if one.key not in _FIGURES)]
        bars = [one.bar.time[:16] if one.bar else "" for one in found.differences]
        text, kept = _transposed([known[key] for key in order], letters, ["", *bars])
    rest = len(found.figures) - len(kept)
    return f"{text}\nand {rest} more (--all)" if rest else text


def _transposed(of: Sequence[Figure], letters: Sequence[str], bars: Sequence[str]) -> tuple[str, list[Figure]]:
    """Return a line of each run with its first bar that differs and what figures there is room for; and those."""
    text, count = "", 0
    for count in range(len(of), 0, -1):
        table = [("", "parts at", *(one.key for one in of[:count]))]
        for at, name in enumerate(letters):
            table.append((name, bars[at], *(shown(one.values[at], one.unit) for one in of[:count])))
        text = aligned(table, right=range(2, count + 2))
        if max(map(len, text.splitlines())) <= _WIDTH:
            break
    return text, list(of[:count])


def told(of: Sequence[Figure]) -> list[Figure]:
    """Return the statistics that differ by more than rounding; all of them where none does."""
    return [one for one in of if not one.is_rounding] or list(of)


def shown(value: float | None, unit: str) -> str:
    """Return a statistic in its unit, with as many digits as show that it is not nothing.

    >>> shown(0.1234, "fraction"), shown(3, "count"), shown(1e-12, "ratio"), shown(None, "ratio")
    ('12.34 %', '3', '1e-12', '–')
    """
    if value is None:
        return "–"
    if unit == "count":
        return f"{value:,.0f}"
    scale = 100 if unit in ("fraction", "probability") else 1
    if value and abs(value) * scale < 0.005:
        return f"{value * scale:.2g}" + (" %" if scale == 100 else "")
    return percentage(value) if scale == 100 else figure(value)


def _parting(found: Comparison, every: bool) -> str:
    """Return the first bar and the first trade that differ from those of A, of each run."""
    lines: list[str] = []
    if len(found.runs) > _MANY and not every:  # it stands with the statistics
        return ""
    for at, one in enumerate(found.differences, 1):
        which = f" of {letter(at)}" if len(found.differences) > 1 else ""
        if one.bar and one.series:
            bar = one.bar
            lines.append(f"first bar{which}    {bar.time}  {bar.column} {' → '.join(apart(bar.a, bar.b))}")
            held = one.series.position
            if held and held.time != bar.time:
                lines.append(f"first position{which}  {held.time}  {' → '.join(apart(held.a, held.b))}")
        if one.trade:
            lines += _folded(f"first trade{which}  {trade_line(one.trade, letter(at))}", " " * 13)
        if one.symbols:
            kept = one.symbols if every else one.symbols[:_EARNED]
            several = Counter(earned.symbol for earned in one.symbols)
            said = [
                f"{earned.symbol}{f' ({earned.currency})' if several[earned.symbol] > 1 else ''}"
                f" {' → '.join(apart(earned.a, earned.b))}".strip()
                for earned in kept
            ]
            said += [f"and {len(one.symbols) - len(kept)} more"] if len(kept) < len(one.symbols) else []
            lines += _folded(f"earned{which}  {', '.join(said)}", " " * 13)
        if every and one.trades:
            lines += [f"    {trade_line(trade, letter(at))}" for trade in one.trades.listed]
    return "\n".join(lines)


def trade_line(trade: Trade, other: str = "B") -> str:
    """Return a trade that differs as a line."""
    head = f"{f'{trade.symbol} ' if trade.symbol else ''}{trade.side} from {trade.entry_time}"
    if trade.a is None or trade.b is None:
        only, values = ("A", trade.a) if trade.b is None else (other, trade.b)
        said = ", ".join(f"{name} {apart(value, value)[0]}" for name, value in (values or {}).items())
        return f"{head}, only in {only}: {said}"
    said = ", ".join(f"{name} {' → '.join(apart(trade.a[name], trade.b[name]))}" for name in trade.columns[:4])
    more = f", and {counted(len(trade.columns) - 4, 'more column')}" if len(trade.columns) > 4 else ""
    return f"{head}: {said}{more}"


def apart(a: Any, b: Any) -> tuple[str, str]:
    """Return two values with as many digits as tell them apart.

    >>> apart(100.0, 101.5), apart(1234.5678901, 1234.5678902), apart("signal", None), apart(None, 0.1 + 0.2)
    (('100', '101.5'), ('1234.5678901', '1234.5678902'), ('signal', '–'), ('–', '0.3'))
    """
    if isinstance(a, float) and isinstance(b, float):
        texts = [(f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in (7, 11, 17)]
        return next(((one, other) for one, other in texts if one != other), texts[0])
    one, other = (
        "–" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value) for value in (a, b)
    )
    return one, other
