"""What a walk-forward or a cross-validation found: folds on a time axis, what the choices lost out of sample, paths."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import msgspec
import numpy as np

from peak_trade.errors import RunError
from peak_trade.report import svg
from peak_trade.report.figures import LOG_FROM, amount_label, figure, number_label, percent_label
from peak_trade.report.head import label_of
from peak_trade.report.markup import cell, counted, figure_of, money, number, percent, table, text
from peak_trade.report.run import RunFiles
from peak_trade.report.trials import LARGEST, label, statistic_of
from peak_trade.report.values import Column, Over, over
from peak_trade.stats import STATS
from peak_trade.stats.values import Floats, Times
from peak_trade.text import cut

__all__ = ["FOLDS", "PATHS", "folds", "paths"]

FOLDS, PATHS, SPLITS = "folds.csv", "paths.csv", "splits.csv"
_ROWS = 100
_MOST = 1_000  # folds, splits or paths
_ROW, _HIGHEST = 14, 420  # px of a fold on the time axis, and of all
_UNITS = {stat.key: stat.unit for stat in STATS}
_PATH = ("sharpe", "total_return", "cagr", "max_drawdown", "trades")

Row = Mapping[str, str]


def folds(run: RunFiles) -> str:
    """Each fold's bars, its choice, what that was on train and on test bars, and the account over all tests."""
    rows = _read(run, FOLDS, ("fold", "train_start", "train_end", "test_start", "test_end", "train", "test"))
    told, key = _told(run, "walk_forward"), statistic_of(run)[0]
    return (
        _said(
            told, key, f"{counted(len(rows), 'fold')}: on the train bars of each was chosen, on its test bars traded. "
        )
        + _timeline(run, rows)
        + _pairs(rows, key, "fold", "Fold by fold")
        + _table(rows, key)
    )


def paths(run: RunFiles) -> str:
    """How the out-of-sample Sharpe ratios of all paths spread, and what the choices of the splits lost."""
    rows = _read(run, PATHS, ("path", "chosen", "splits", *_PATH))
    told, key = _told(run, "cpcv"), statistic_of(run)[0]
    spread, overfit = _mapping(told.get("sharpe")), _mapping(told.get("overfitting"))
    words = (
        f"{counted(len(rows), 'path')} over all bars, each out of sample throughout: Sharpe ratios from "
        f"{number(_float(spread.get('least')))} to {number(_float(spread.get('most')))}, half of them below "
        f"{number(_float(spread.get('median')))}; {percent(_float(spread.get('above_zero')), 0)} are above zero. "
    )
    chance = _float(overfit.get("probability"))
    if chance is not None:
        words += f"The probability that the choice is overfitted is {percent(chance)}. "
    elif isinstance(overfit.get("reason"), str):
        words += f"The probability of overfitting is not known: {cut(overfit['reason'], 200)}. "
    listed = [
        [text(row["path"][:6]) + (" <small>the result</small>" if row["chosen"] == "true" else ""),
         *(figure_of(_number(row[each]), _UNITS[each]) for each in _PATH), text(cut(row["splits"], 60))]
        for row in rows[:_ROWS]
    ]  # fmt: skip
    shown = table(["Path", *map(label_of, _PATH), "Splits"], listed, label="Paths") + _left(rows, PATHS)
    return _said(told, key, words) + _spread(rows) + shown + _splits(run, key)


# --- words ----------------------------------------------------------------------------------------------------------


def _said(told: Mapping[str, Any], key: str, words: str) -> str:
    """Return what the manifest tells of all folds or splits together."""
    unit = _UNITS.get(key, "ratio")
    means = [_float(told.get(name)) for name in ("train_mean", "test_mean", "degradation")]
    if None not in means:
        train, test, lost = (figure_of(one, unit) for one in means)
        words += (
            f"On average the choices show a {label_of(key)} of {train} where they were chosen and {test} after that: "
            f"{lost} is lost. "
        )
    if (share := _float(told.get("above_zero"))) is not None:
        words += f"{percent(share, 0)} of the tests earned something. "
    if (rank := _float(told.get("rank_correlation"))) is not None:
        words += f"The order of the folds by train and by test agrees by {number(rank)} (rank correlation). "
    if (efficiency := _float(told.get("efficiency"))) is not None:
        words += (
            f"The tests grew {percent(efficiency, 0)} as fast as the choices did on their train bars (efficiency). "
        )
    for name, said in (("flat", "nothing could be traded"), ("incomplete", "the bars end before the test does")):
        if isinstance(found := told.get(name), list) and found:
            words += f"In {len(found):,} of them {said}. "
    return f"<p>{text(words.strip())}</p>"


def _told(run: RunFiles, name: str) -> Mapping[str, Any]:
    return _mapping(run.manifest.predicate.results.get(name)) if run.manifest else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _float(value: Any) -> float | None:
    known = isinstance(value, int | float) and type(value) is not bool and abs(value) < LARGEST
    return float(value) if known else None


# --- figures --------------------------------------------------------------------------------------------------------


def _timeline(run: RunFiles, rows: Sequence[Row]) -> str:
    """Return the folds one below the other, train bars and the test bars after them, over the account of all tests."""
    windows = [[_time(row[f"{part}_{end}"]) for part in ("train", "test") for end in ("start", "end")] for row in rows]
    if not windows:
        return "<p>There is no fold.</p>"
    stamps, equity = run.equity["timestamp"], run.equity["equity"]
    first, last = min(one[0] for one in windows), max(one[3] for one in windows)
    if traded := len(stamps) > 1:
        first, last = min(first, stamps[0].astype("M8[s]")), max(last, stamps[-1].astype("M8[s]"))
    span = max((last - first).astype("m8[s]").astype(float), 1.0)
    high = len(windows)
    marks = {"train": "", "test": ""}
    for at, window in enumerate(windows):
        x = [round((one - first).astype("m8[s]").astype(float) / span * 10_000) for one in window]
        top, tall = round((at + 0.12) / high * 10_000), max(round(0.76 / high * 10_000), 1)
        for name, (start, end) in (("train", x[:2]), ("test", x[2:])):
            marks[name] += f"M{start} {top}h{max(end - start, 8)}v{tall}h-{max(end - start, 8)}z"
    drawn = [f'<path class="{name}" d="{d}"/>' for name, d in marks.items()]
    about = f"{counted(high, 'fold')} from {str(first)[:10]} to {str(last)[:10]}."
    each = -(-high // 12)
    ticks = [svg.Tick(1 - (at + 0.5) / high, str(at)) for at in range(0, high, each)]
    panels = [svg.Panel(min(max(_ROW * high, 60), _HIGHEST), ticks, drawn)]
    key, caption = [("train", "Train"), ("test", "Test")], "From the first fold above to the last below"
    numbers: Over | str = table(
        ["Fold", "Train from", "to", "Test from", "to"],
        [[str(at), *(str(one).replace("T", " ") for one in window)] for at, window in enumerate(windows)],
        label="Folds in time",
    )
    if traded:
        ends = np.array([first, last]).astype(stamps.dtype)
        joint = np.unique(np.concatenate((ends, stamps)))
        number_of = np.searchsorted(np.sort([one[2] for one in windows]), joint, side="right") - 1.0
        fold = Column("Fold", np.where(number_of < 0, np.nan, number_of), digits=0)
        numbers = Over(joint, [fold, Column("Equity", over(joint, stamps, equity), 1)])
        panels.append(_account(windows, joint, numbers.columns[1].values))
        key.append(("equity", f"Equity, {money(float(equity[-1]))}"))
        caption += "; below them the account over all tests, out of sample throughout, every second fold shaded"
    return figure("Folds in time", about, panels, svg.time_ticks(first, last), key, f"{caption}.", numbers)


def _account(windows: Sequence[Sequence[np.datetime64]], times: Times, equity: Floats) -> svg.Panel:
    """Return the account over all tests, every second fold shaded; of shape (N,), NaN where nothing was tested."""
    x, there = svg.x_of(times), np.isfinite(equity)
    low = float(equity[there].min())
    scale = svg.Scale.around(equity, log=low > 0.0 and float(equity[there].max()) / low >= LOG_FROM)
    starts = np.unique(np.array([one[2] for one in windows], times.dtype))
    places = np.rint(np.append(x[np.minimum(np.searchsorted(times, starts), len(x) - 1)], 1.0) * 10_000).tolist()
    pairs = [(start, end) for at, (start, end) in enumerate(pairwise(places)) if at % 2 and end > start]
    spans = "".join(f"M{start:.0f} 0h{end - start:.0f}v10000H{start:.0f}z" for start, end in pairs)
    marks = [f'<path class="fold-span" d="{spans}"/>'] if spans else []
    return svg.Panel(220, scale.ticks(amount_label), [*marks, svg.line(x, scale.place(equity), "equity")], scale=scale)


def _time(stamp: str) -> np.datetime64:
    try:
        found = np.datetime64(stamp.removesuffix("Z"), "s")
    except ValueError:
        raise RunError(f"{FOLDS}: {cut(stamp, 60)!r} is no time") from None
    if np.isnat(found):
        raise RunError(f"{FOLDS}: a fold has no time")
    return found


def _pairs(rows: Sequence[Row], key: str, name: str, title: str) -> str:
    """Return what each choice was on train and on test bars, side by side."""
    train, test = (
        np.array([np.nan if (one := _number(row[each])) is None else one for row in rows]) for each in ("train", "test")
    )
    if not (np.isfinite(train).any() or np.isfinite(test).any()):
        return f"<p>No choice has the statistic {text(label_of(key))}.</p>"
    scale = svg.Scale.around(train, test, zero=True)
    x = (np.arange(len(rows)) + 0.5) / len(rows)
    marks = [
        f'<path class="lost" d="M{one * 10_000:.0f} {(1 - low) * 10_000:.0f}V{(1 - high) * 10_000:.0f}"/>'
        for one, low, high in zip(x, scale.place(train), scale.place(test), strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    for kind, values in (("chosen-on", train), ("traded-on", test)):
        there = np.isfinite(values)
        marks.append(svg.dots(x[there], scale.place(values[there]), kind))
    write = percent_label if _UNITS.get(key) in ("fraction", "probability") else number_label
    each = -(-len(rows) // 20)
    ticks = [svg.Tick(float(x[at]), rows[at][name][:6], minor=bool(at // each % 2)) for at in range(0, len(rows), each)]
    panel = svg.Panel(180, scale.ticks(write), marks, float(scale.place(0.0)))
    about = f"{label_of(key)} of each choice on its train bars and on its test bars."
    unit = _UNITS.get(key, "ratio")
    numbers = [
        [
            text(row[name][:6]),
            *(figure_of(None if math.isnan(one[at]) else float(one[at]), unit) for one in (train, test)),
        ]
        for at, row in enumerate(rows)
    ]
    return figure(
        f"Train and test of each {name}", about, [panel], ticks,
        [("chosen-on", "Train, where it was chosen"), ("traded-on", "Test")], f"{text(about)} {title}.",
        table([name.capitalize(), "Train", "Test"], numbers, label=f"Train and test of each {name}"),
    )  # fmt: skip


def _spread(rows: Sequence[Row]) -> str:
    ratios = np.array([np.nan if (one := _number(row["sharpe"])) is None else one for row in rows])
    there = np.isfinite(ratios)
    if not there.any():
        return "<p>No path has a Sharpe ratio.</p>"
    scale = svg.Scale.around(ratios, zero=True)
    marks = [svg.dots(scale.place(ratios[there]), np.full(there.sum(), 0.5), "traded-on")]
    zero = f'<path class="fold-edge" d="M{float(scale.place(0.0)) * 10_000:.0f} 0v10000"/>'
    own = [at for at, row in enumerate(rows) if row["chosen"] == "true" and there[at]]
    key = [("traded-on", "A path")]
    if own:
        place = float(scale.place(ratios[own[0]])) * 10_000
        marks.append(f'<path class="own" d="M{place:.0f} 10000V0"/>')
        key.append(("own", f"The result, {number(float(ratios[own[0]]))}"))
    values = svg.linear_ticks(scale.low, scale.high, 8)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    ticks = [
        svg.Tick(float(scale.place(one)), number_label(one, step), minor=bool(at % 2)) for at, one in enumerate(values)
    ]
    about = f"Sharpe ratios of {counted(len(rows), 'path')}."
    listed = [
        [f"{text(row['path'][:6])}", number(float(one)) if math.isfinite(one) else "–"]
        for row, one in zip(rows, ratios, strict=True)
    ]
    return figure(
        "Distribution of paths",
        about,
        [svg.Panel(60, [], [zero, *marks])],
        ticks,
        key,
        f"{about} Dashed: zero.",
        table(["Path", "Sharpe ratio"], listed, label="Sharpe ratios of paths"),
    )


# --- tables ---------------------------------------------------------------------------------------------------------


def _table(rows: Sequence[Row], key: str) -> str:
    unit = _UNITS.get(key, "ratio")
    listed = [
        [
            text(row["fold"][:6]), *(_window(row, part) for part in ("train", "test")),
            cell(text(_asked(row)), name="asked"),
            *(figure_of(_number(row.get(each, "")), unit) for each in ("train", "test", "degradation")),
            figure_of(_number(row.get("test_return", "")), "fraction"), text(row.get("trades", "")[:12] or "–"),
        ]
        for row in rows[:_ROWS]
    ]  # fmt: skip
    head = ["Fold", "Train", "Test", "Chosen", f"{label_of(key)}, train", "… test", "Lost", "Test return", "Trades"]
    return table(head, listed, label="Folds", name="trials folds") + _left(rows, FOLDS)


def _window(row: Row, part: str) -> str:
    return " – ".join(text(row[f"{part}_{end}"][:10]) for end in ("start", "end"))


def _splits(run: RunFiles, key: str) -> str:
    if not run.has(SPLITS):
        return ""
    rows, unit = _read(run, SPLITS, ("split", "tested", "train", "test")), _UNITS.get(key, "ratio")
    listed = [
        [
            text(row["split"][:6]), text(row["tested"][:40]), cell(text(_asked(row)), name="asked"),
            *(figure_of(_number(row.get(each, "")), unit) for each in ("train", "test", "degradation")),
        ]
        for row in rows[:_ROWS]
    ]  # fmt: skip
    head = ["Split", "Groups tested", "Chosen", f"{label_of(key)}, train", "… test", "Lost"]
    return (
        "<h3>Splits</h3>" + _pairs(rows, key, "split", "Split by split")
        + table(head, listed, label="Splits", name="trials splits") + _left(rows, SPLITS)
    )  # fmt: skip


def _asked(row: Row) -> str:
    """Return what was chosen as words; that nothing was where nothing stands there."""
    found: dict[str, Any] = {}
    for name in ("params", "settings"):
        try:
            found |= msgspec.json.decode(row.get(name) or "{}", type=dict[str, Any])
        except (ValueError, RecursionError):
            return cut(row.get(name, ""), 200)
    return cut(", ".join(f"{key} = {label(one)}" for key, one in found.items()), 200) or "nothing"


def _left(rows: Sequence[Row], name: str) -> str:
    left = len(rows) - _ROWS
    return f'<p class="note">{left:,} more in <a href="../{name}">{name}</a>.</p>' if left > 0 else ""


# --- files ----------------------------------------------------------------------------------------------------------


def _read(run: RunFiles, name: str, columns: Sequence[str]) -> Sequence[Row]:
    """Return the rows of a sealed table; RunError where it lacks one of these columns, or is none."""
    try:
        reader = csv.DictReader(io.TextIOWrapper(io.BytesIO(run.content(name)), "utf-8", newline=""), strict=True)
        rows: list[dict[str, Any]] = list(islice(reader, _MOST + 1))
    except (ValueError, csv.Error) as error:
        raise RunError(f"{name}: {cut(str(error), 200)}") from None
    if missing := [one for one in columns if one not in (reader.fieldnames or ())]:
        raise RunError(f"{name} has no column {missing[0]!r}")
    if len(rows) > _MOST or any(None in row or None in row.values() for row in rows):
        raise RunError(f"{name} is not the table of a sweep: it has more than {_MOST:,} rows, or one of another length")
    return rows


def _number(content: str) -> float | None:
    try:
        found = float(content)
    except ValueError:
        return None
    return found if abs(found) < LARGEST else None
