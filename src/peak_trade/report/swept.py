"""What a sweep found, and how much of it is chance: the search, its heat map and plateau, what matters, all trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.report import svg
from peak_trade.report.beside import link
from peak_trade.report.chance import assessed, badge, sentence
from peak_trade.report.figures import figure, number_label, of_bins, percent_label
from peak_trade.report.head import label_of
from peak_trade.report.heat import Side, aggregated, heat_map, parameters
from peak_trade.report.markup import cell, counted, figure_of, number, percent, table, text
from peak_trade.report.numbers import histogram
from peak_trade.report.run import RunFiles
from peak_trade.report.trials import LARGEST, Axis, Trials, label, read, statistic_of
from peak_trade.stats import STATS
from peak_trade.stats.effects import Effect, effect
from peak_trade.stats.plateau import GIVE, Plateau, plateau
from peak_trade.stats.values import Floats
from peak_trade.text import cut

__all__ = ["Search", "distribution", "heat", "kept", "search", "search_of", "sensitivity", "top", "trials"]

_TOP, _WORST, _REASONS, _KEPT = 50, 10, 20, 200  # rows
_COLUMNS, _VALUES = 6, 12  # parameters with a column of their own, and values of one that are named
_GROUPS, _MANY = 10, 40  # of a parameter with more than so many values, so many groups
_FEW = 5  # trials of a value, on average, of a search that tried some combinations: of fewer, groups as well
_REASON, _NARROW = 300, 6  # characters of a reason, and of a label that has little room
_UNITS = {stat.key: stat.unit for stat in STATS}


class Search(Struct, frozen=True, eq=False, dict=True):
    """A sweep's trials, by which statistic it chose, and whether it chose the least of that."""

    run: RunFiles
    trials: Trials
    statistic: str
    least: bool

    @property
    def label(self) -> str:
        """The statistic as words."""
        return label_of(self.statistic)

    def shown(self, value: float | None) -> str:
        """Return a value of the statistic as people read it."""
        return figure_of(value, _UNITS.get(self.statistic, "ratio"))

    @cached_property
    def values(self) -> Floats:
        """The statistic of each trial."""
        return self.trials.of_stat(self.statistic)

    @cached_property
    def ranked(self) -> list[int]:
        """The numbers of the trials that have the statistic, the best first, each result once."""
        there = np.flatnonzero(np.isfinite(self.values) & self.trials.first & self.trials.searched)
        order = np.argsort(self.values[there] if self.least else -self.values[there], kind="stable")
        return [int(one) for one in there[order]]

    @cached_property
    def effects(self) -> list[tuple[Side, Effect]]:
        """The main effect of each parameter, of many values by groups of them."""
        found = []
        values = np.where(self.trials.searched, self.values, np.nan)
        for axis in self.trials.axes:
            scarce = not self.trials.whole and len(axis.values) * _FEW > len(self.trials)
            side = Side.of(axis, _GROUPS if scarce or len(axis.values) > _MANY else len(axis.values))
            found.append((side, effect(side.places, values, len(side.labels))))
        return found

    @cached_property
    def plateau(self) -> Plateau | None:
        """The plateau around the peak; None where not every combination was tried."""
        if not self.trials.axes or not self.trials.whole:
            return None
        ordered = [axis.ordered for axis in self.trials.axes]
        return plateau(self.trials.grid(self.statistic), ordered, least=self.least)

    @cached_property
    def on_plateau(self) -> npt.NDArray[np.bool_] | None:
        """Which trials are of the plateau."""
        if self.plateau is None:
            return None
        number = self.trials.cell
        return self.plateau.inside.ravel()[np.maximum(number, 0)] & (number >= 0)


@lru_cache(maxsize=1)
def search_of(run: RunFiles) -> Search:
    """Return what a sweep searched; RunError where its table can't be read."""
    return Search(run, read(run), *statistic_of(run))


# --- the search -----------------------------------------------------------------------------------------------------


def search(run: RunFiles) -> str:
    """What was varied, how many trials that made, and which was chosen."""
    found = search_of(run)
    trials = found.trials
    failed, same = int(trials.failed.sum()), int((~trials.first & ~trials.failed).sum())
    said = [counted(len(trials), "trial")]
    said += [f"{failed:,} failed"] if failed else []
    said += [f"{trials.invalid:,} more combinations left out as invalid"] if trials.invalid else []
    said += [f"{counted(same, 'duplicate')} of another's result"] if same else []
    which = "lowest" if found.least else "highest"
    words = f"<p>{', '.join(said)}; chosen for the {which} {text(found.label)}.</p>"
    if trials.pick is not None:
        value = found.values[trials.pick]
        words += (
            f"<p>Chosen: trial {trials.pick:,}, {text(trials.words(trials.pick)) or 'as the config has it'}, with "
            f"{text(found.label)} <strong>{found.shown(_known(value))}</strong>. Its result is the one that this run "
            "is sealed with, and all sections below the search are about it.</p>"
        )
    elif trials.folded:
        words += (
            "<p>Chosen on train bars, again and again, and traded on others: the result that this run is sealed with "
            "is of no single trial, and out of sample throughout. What follows of the search is about trials on train "
            "bars; those of one combination stand together by their median.</p>"
        )
    rows = [[text(axis.name), cell(_listed(axis)), f"{len(axis.values):,}"] for axis in trials.axes]
    head = ["Parameter", "Values", "How many"]
    if trials.pick is not None:
        head.append("Chosen")
        rows = [[*row, _of(axis, trials.pick)] for row, axis in zip(rows, trials.axes, strict=True)]
    more = f'<p class="note">{counted(trials.left_out, "further parameter")} differ, and are not shown.</p>'
    return (
        words
        + (table(head, rows, label="What was varied", name="varied") if rows else "")
        + (more if trials.left_out else "")
        + f'<p class="note">A row for each trial stands in <a href="../{trials.name}">{trials.name}</a>, which is '
        f"sealed; <code>just replay {text(run.run_id[:8])} --trial N</code> makes one again.</p>"
    )


def _listed(axis: Axis) -> str:
    if len(axis.values) <= _VALUES:
        return text(", ".join(axis.labels))
    return text(f"{', '.join(axis.labels[:3])}, … {axis.labels[-1]}")


def _of(axis: Axis, pick: int | None) -> str:
    return "–" if pick is None or axis.places[pick] < 0 else text(axis.labels[axis.places[pick]])


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# --- heat map and plateau -------------------------------------------------------------------------------------------


def heat(run: RunFiles) -> str:
    """A statistic over any two parameters."""
    found = search_of(run)
    trials, shares = found.trials, [one.share for _, one in found.effects]
    if len(trials.axes) < 2:
        return "<p>Fewer than two parameters differ: see how much they matter, below.</p>"
    chosen = parameters(trials.axes, shares)
    axes = [trials.axes[at] for at in chosen]
    first = sorted(sorted(range(len(axes)), key=lambda at: (-(shares[chosen[at]] or 0.0), at))[:2])
    shown = aggregated(trials, axes, found.statistic, found.on_plateau)
    left = len(trials.axes) - len(axes)
    more = f'<p class="note">{counted(left, "parameter")} that matter least can\'t be chosen here.</p>' if left else ""
    return heat_map(shown, (first[0], first[1])) + more


def top(run: RunFiles) -> str:
    """How wide the top is: the plateau around the peak, or that it stands alone."""
    found = search_of(run)
    axes, flat = found.trials.axes, found.plateau
    if not axes:
        return "<p>No parameter differs between the trials.</p>"
    if flat is None:
        tried, size = found.trials.tried, math.prod(found.trials.shape)
        if found.trials.whole:
            return f"<p>No trial has the statistic {text(found.label)}.</p>"
        return (
            f"<p>The width of the top can't be told: {tried:,} of {_size(size)} combinations were tried, so that most "
            "have no neighbour that was. A full grid around the best ones tells it.</p>"
        )
    size = flat.inside.size - found.trials.invalid
    place = ", ".join(f"{axis.name} {axis.labels[at]}" for axis, at in zip(axes, flat.peak, strict=True))
    best = f"<p>The peak is {text(place)}, with {text(found.label)} <strong>{found.shown(flat.value)}</strong>. "
    words = best + _beside(found, flat) + "</p>" + _inside(found, flat, size)
    rows = [
        [
            text(axis.name), _stretch(axis, flat.extent[at]), _width(axis, flat.extent[at]),
            _stretch(axis, flat.through[at]), text(axis.span(0, len(axis.values) - 1) if axis.ordered else "no order"),
        ]
        for at, axis in enumerate(axes)
    ]  # fmt: skip
    head = ["Parameter", "Plateau", "Wide", "… others as at the peak", "Tried"]
    return (
        words
        + table(head, rows, label="The plateau")
        + f'<p class="note">The plateau, by our own definition: all combinations that fall short of the peak by at '
        f"most {percent(GIVE, 0)} of its size and hang together with it by single steps along parameters that have an "
        "order. Names and switches have no neighbours.</p>"
    )


def _size(count: int) -> str:
    return f"{count:,}" if count < LARGEST else f"{count:.1e}"


def _beside(found: Search, flat: Plateau) -> str:
    empty = f"; {flat.empty:,} more failed, are invalid or have none" if flat.empty else ""
    if not flat.neighbours:
        return "None of its direct neighbours has the statistic." if flat.empty else "It has no neighbours."
    mean = found.shown(float(np.mean(flat.neighbours)))
    count = len(flat.neighbours)
    if flat.alone:
        who = "its one neighbour shows" if count == 1 else f"its {count:,} neighbours show"
        return f"<strong>The peak stands alone</strong>: {who} {mean}{' on average' if count > 1 else ''}{empty}."
    who = "Its one direct neighbour shows" if count == 1 else f"Its {count:,} direct neighbours show"
    return f"{who} {mean}{' on average' if count > 1 else ''}{empty}."


def _inside(found: Search, flat: Plateau, size: int) -> str:
    axes = found.trials.axes
    than = "at most" if found.least else "at least"
    words = (
        f"<p>{counted(flat.cells, 'combination')} of {size:,} ({percent(flat.cells / size, 1)}) "
        f"{'are' if flat.cells > 1 else 'is'} {than} {found.shown(flat.floor)} around it, half of them "
        f"{than} {found.shown(flat.median)}. "
        if flat.cells > 1
        else f"<p>The plateau is 1 combination of {size:,}: no neighbour is {than} {found.shown(flat.floor)}. "
    )
    ends = [
        text(f"{axis.name} ({axis.labels[at]})")
        for axis, (first, last) in zip(axes, flat.extent, strict=True)
        if axis.ordered
        for at in dict.fromkeys((first, last))
        if at in (0, len(axis.values) - 1) and first != last
    ]
    if ends:
        words += f"It reaches the edge of what was tried in {', '.join(ends)}: how far it goes beyond is not known. "
    if not found.least and flat.value <= 0.0:
        words += "Nothing that was tried is above zero. "
    return words.rstrip() + "</p>"


def _stretch(axis: Axis, ends: tuple[int, int]) -> str:
    return text(axis.span(*ends))


def _width(axis: Axis, ends: tuple[int, int]) -> str:
    """Return how wide a stretch is in the parameter's own unit."""
    if not axis.ordered:
        return "–"
    if ends[0] == ends[1]:
        return "one value"
    wide = axis.values[ends[1]] - axis.values[ends[0]]
    return text(label(_tidy(wide))) if math.isfinite(wide) else "–"


def _tidy(value: float) -> float | int:
    return value if isinstance(value, int) else float(f"{value:.10g}")


# --- what matters ---------------------------------------------------------------------------------------------------


def sensitivity(run: RunFiles) -> str:
    """What the statistic is at each value of a parameter, and how much of its spread that explains."""
    found = search_of(run)
    if not found.effects:
        return "<p>No parameter differs between the trials.</p>"
    rows, plots = [], []
    known = [
        one for _, made in found.effects for level in made.levels for one in (level.low, level.high) if one is not None
    ]
    scale = svg.Scale.around(np.array(known))
    for at in sorted(range(len(found.effects)), key=lambda one: -(found.effects[one][1].share or 0.0)):
        side, made = found.effects[at]
        there = [place for place, level in enumerate(made.levels) if level.trials]
        if not there:
            continue
        ends = sorted(there, key=lambda place: made.levels[place].median or 0.0)
        share = "–" if made.share is None else percent(made.share, 1)
        rows.append([text(side.name), share, *(
            f"{found.shown(made.levels[place].median)} <small>{text(side.labels[place])}</small>"
            for place in (ends[0], ends[-1])
        )])  # fmt: skip
        plots.append(_plot(found, side, made, scale, found.trials.axes[at].ordered))
    if not rows:
        return f"<p>No trial has the statistic {text(found.label)}.</p>"
    shares = [made.share for _, made in found.effects if made.share is not None]
    rest = ""
    if not found.trials.whole:
        rest = "The trials are not spread evenly over the combinations, so that shares overlap. "
    elif shares and not found.trials.invalid and not found.trials.failed.any():
        rest = (
            f"Each for itself, they explain {percent(math.fsum(shares), 1)}; the rest lies in how they act together. "
        )
    head = ["Parameter", "Share of the variance", "Lowest median", "Highest median"]
    return (
        table(head, rows, label="How much each parameter matters")
        + f'<p class="note">{rest}The share of the variance of {text(found.label)} over all trials that a parameter '
        "explains by itself (eta squared, the first-order sensitivity). The lines are the medians of the trials at "
        "each value, the fields hold the middle half of them.</p>"
        f'<div class="multiples">{"".join(plots)}</div>'
    )


def _plot(found: Search, side: Side, made: Effect, scale: svg.Scale, ordered: bool) -> str:
    count = len(side.labels)
    x = (np.arange(count) + 0.5) / count
    lows, medians, highs = (
        scale.place(np.array([np.nan if (one := getattr(level, key)) is None else one for level in made.levels]))
        for key in ("low", "median", "high")
    )
    there = np.isfinite(medians)
    middle = (
        [_band(x[there], lows[there], highs[there]), svg.line(x, medians, "equity")]
        if ordered
        else [_whisker(*one) for one in zip(x[there], lows[there], highs[there], strict=True)]
    )
    middle.append(svg.dots(x[there], medians[there], "level"))
    each = -(-count // (6 if max(map(len, side.labels)) <= _NARROW else 3))
    ticks = [svg.Tick(float(x[at]), cut(side.labels[at], 14)) for at in range(0, count, each)]
    write = percent_label if _UNITS.get(found.statistic) in ("fraction", "probability") else number_label
    share = "" if made.share is None else f", {percent(made.share, 1)} of the variance"
    name = f"{found.label} by {side.name}"
    numbers = [
        [text(side.labels[place]), f"{level.trials:,}",
         *(found.shown(one) for one in (level.low, level.median, level.high))]
        for place, level in enumerate(made.levels)
    ]  # fmt: skip
    return figure(
        name, f"Median and quartiles at each of {count:,} values{share}.",
        [svg.Panel(120, scale.ticks(write), middle)], ticks, [], f"<b>{text(side.name)}</b>{share}",
        table(["Value", "Trials", "25 %", "Median", "75 %"], numbers, label=f"Quartiles by {text(side.name)}"),
    )  # fmt: skip


def _band(x: Floats, low: Floats, high: Floats) -> str:
    across = np.rint(np.concatenate((x, x[::-1])) * 10_000).astype(np.int64)
    up = np.rint((1.0 - np.concatenate((high, low[::-1]))) * 10_000).astype(np.int64)
    return f'<path class="band" d="{svg.through(across, up)}z"/>'


def _whisker(x: float, low: float, high: float) -> str:
    return f'<path class="whisker" d="M{x * 10_000:.0f} {(1 - high) * 10_000:.0f}V{(1 - low) * 10_000:.0f}"/>'


# --- the distribution of trials -------------------------------------------------------------------------------------


def distribution(run: RunFiles) -> str:
    """The Sharpe ratios of all trials, with what the best of so many without skill would show."""
    found, luck = search_of(run), assessed(run)
    trials = found.trials
    ratios = trials.of_stat("sharpe")[trials.first & trials.searched]
    ratios = ratios[np.isfinite(ratios)]
    said = luck.said[0] if luck.said else ""
    verdict = f'<p class="badges">{badge(luck)} <span class="note">{sentence(said)}</span></p>'
    if not len(ratios):
        return f"{verdict}<p>No trial has a Sharpe ratio.</p>"
    hurdle = luck.figures.get("hurdle")
    own = _own(found)
    words = f"{counted(len(ratios), 'different result')}: Sharpe ratios from {number(float(ratios.min()))} to "
    words += f"{number(float(ratios.max()))}, half of them below {number(float(np.median(ratios)))}. "
    if hurdle is not None and luck.family is not None:
        above = int((ratios > hurdle).sum())
        words += (
            f"The best of {counted(luck.family.trials, 'trial')} without any skill is to be expected at "
            f"{number(hurdle)}: {above:,} of these lie above that. "
        )
    else:
        words += (
            f"What the best without skill would show is not known: {luck.reasons.get('hurdle', 'no ledger tells it')}. "
        )
    who = "chosen one" if trials.pick is not None else "result, out of sample,"
    words += f"The {who} has {number(own)}. " if math.isfinite(own) else ""
    overfit = luck.figures.get("overfitting")
    if overfit is not None:
        words += f"The probability that the choice is overfitted is {percent(overfit)}. "
    return f'{verdict}<p>{text(words.strip())} More stands under <a href="#luck">luck</a>.</p>' + _histogram(
        ratios, hurdle, own, words.strip()
    )


def _own(found: Search) -> float:
    """Return the Sharpe ratio of the sealed result; NaN where it has none."""
    own = found.run.stats.get("sharpe")
    return float(own) if isinstance(own, int | float) and abs(own) < LARGEST else math.nan


def _histogram(ratios: Floats, hurdle: float | None, own: float, about: str) -> str:
    bins = histogram(ratios)
    edges = np.array([bins.edge(at) for at in range(len(bins.counts) + 1)])
    marked = [one for one in (hurdle, own) if one is not None and math.isfinite(one)]
    low = min(edges[0], *marked, edges[-1]) - bins.step / 2
    high = max(edges[-1], *marked, edges[0]) + bins.step / 2
    counts = np.array(bins.counts, np.float64)
    scale, across = svg.Scale(0.0, float(counts.max()) * 1.05), svg.Scale(float(low), float(high))
    marks = [svg.columns(across.place(edges).tolist(), scale.place(counts), 0.0, "trials")]
    key = [("trials", "Trials, each result once")]
    for name, value, words in (("hurdle", hurdle, "The best without skill"), ("own", own, "The result")):
        if value is not None and math.isfinite(value):
            at = float(across.place(value)) * 10_000
            marks.append(f'<path class="{name}" d="M{at:.0f} 10000V0"/>')
            key.append((name, f"{words}, {number(float(value))}"))
    values = svg.linear_ticks(low, high, 8)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    ticks = [
        svg.Tick(float(across.place(one)), number_label(one, step), minor=bool(at % 2)) for at, one in enumerate(values)
    ]
    whole = [tick for tick in scale.ticks(number_label, 4) if "." not in tick.label]
    caption = f"How many trials have a Sharpe ratio in each step of {number_label(bins.step, bins.step)}."
    return figure(
        "Distribution of the trials", about, [svg.Panel(200, whole, marks, 0.0)], ticks, key, caption,
        of_bins(bins, "Trials", number_label),
    )  # fmt: skip


# --- all trials -----------------------------------------------------------------------------------------------------


def trials(run: RunFiles) -> str:
    """The best and the worst trials, and why others failed."""
    found = search_of(run)
    ranked = found.ranked
    parts = []
    for title, some in (("Best", ranked[:_TOP]), ("Worst", ranked[_TOP:][-_WORST:][::-1])):
        if some:
            parts.append(f"<h3>{title}</h3>{_table(found, some, f'{title} trials')}")
    if not ranked:
        parts.append(f"<p>No trial has the statistic {text(found.label)}.</p>")
    left = len(ranked) - _TOP - _WORST
    same = int((~found.trials.first & ~found.trials.failed).sum())
    notes = [f"{counted(left, 'trial')} between these"] if left > 0 else []
    notes += [f"{counted(same, 'duplicate')} of results that are named once"] if same else []
    words = f"Not shown: {', '.join(notes)}. " if notes else ""
    parts.append(
        f'<p class="note">{words}All of them stand in <a href="../{found.trials.name}">{found.trials.name}</a>.</p>'
    )
    return "".join(parts) + _failed(found)


def _table(found: Search, some: Sequence[int], title: str) -> str:
    trials, kept = found.trials, found.run.kept
    own = trials.axes if len(trials.axes) <= _COLUMNS else ()
    keys = list(dict.fromkeys([found.statistic, "sharpe", "total_return", "max_drawdown", "trades"]))
    keys = [key for key in keys if key in trials.table.keys]
    head = [
        "Trial",
        *(["Fold"] if trials.folded else []),
        *(text(axis.name) for axis in own),
        *([] if own else ["Asked for"]),
        *map(label_of, keys),
    ]
    head += ["Run"] if kept else []
    rows = []
    for at in some:
        asked = [_of(axis, at) for axis in own] if own else [cell(text(cut(trials.words(at), _REASON)), name="asked")]
        figures = [
            cell(
                figure_of(value := _known(trials.of_stat(key)[at]), _UNITS[key]),
                attributes=f' data-trial="{at}" data-stat="{key}" data-value="{value!r}"',
            )
            for key in keys
        ]
        mark = f"<strong>{at:,}</strong> <small>chosen</small>" if at == trials.pick else f"{at:,}"
        fold = [f"{trials.table.fold[at]:,}"] if trials.folded else []
        rows.append(
            [mark, *fold, *asked, *figures, *([link(found.run, kept[at]) if at in kept else ""] if kept else [])]
        )
    return table(head, rows, label=title, name="trials")


def _failed(found: Search) -> str:
    trials = found.trials
    if not trials.failed.any():
        return ""
    which = np.flatnonzero(trials.failed).tolist()
    counts = Counter(trials.table.error[at] for at in which)
    first = {trials.table.error[at]: at for at in reversed(which)}
    rows = [
        [f"{count:,}", cell(text(cut(error, _REASON)), name="asked"), f"{first[error]:,}",
         cell(text(cut(trials.words(first[error]), _REASON)), name="asked")]
        for error, count in counts.most_common(_REASONS)
    ]  # fmt: skip
    left = len(counts) - len(rows)
    more = f'<p class="note">{counted(left, "further reason")} in {found.trials.name}.</p>' if left else ""
    shown = table(["Trials", "Reason", "First", "Asked for"], rows, label="Trials that failed", name="trials reasons")
    return f"<h3>Failed</h3>{shown}{more}"


# --- kept runs ------------------------------------------------------------------------------------------------------


def kept(run: RunFiles) -> str:
    """The trials that were kept as runs of their own."""
    found, there = search_of(run), run.kept
    rows = []
    for at in [one for one in found.ranked if one in there] + [one for one in there if one not in set(found.ranked)]:
        value = _known(found.values[at]) if at < len(found.values) else None
        asked = found.trials.words(at) if at < len(found.values) else ""
        rows.append(
            [f"{at:,}", link(run, there[at]), cell(text(cut(asked, _REASON)), name="asked"), found.shown(value)]
        )
    left = len(rows) - _KEPT
    more = f'<p class="note">{counted(left, "more run")} in the manifest.</p>' if left > 0 else ""
    return (
        f"<p>{counted(len(rows), 'trial')} kept as runs of their own, with the bytes that they have when run alone.</p>"
        + table(["Trial", "Run", "Asked for", found.label], rows[:_KEPT], label="Kept runs", name="trials kept")
        + more
    )
