"""A run's luck as people read it: what the figures mean and what N cannot see in sentences, and a page of text."""

from __future__ import annotations

from peak_trade.shown.listing import aligned
from peak_trade.text import counted, figure, percentage
from peak_trade.trust.luck.family import Family, Series
from peak_trade.trust.luck.figures import FEWEST, FIGURES, LEVEL
from peak_trade.trust.luck.result import Luck

__all__ = ["LOWER_BOUND", "as_table", "as_text", "closing", "shown", "sentences", "trials_of"]

LOWER_BOUND = "N is what this ledger saw, and so a lower bound: trials that were made elsewhere are missing from it"
ALONE = (
    "neither bars nor symbols were seen: which trials of other runs were made on the same nobody can tell, and N is "
    "what this run made itself"
)
UNSEEN = "the engine's bars were not seen: all trials on the symbol and timeframe count, whatever the bars"
_BANDS = {"sharpe": "Sharpe ratio", "cagr": "CAGR", "max_drawdown": "Max drawdown"}


def shown(key: str, value: float | None) -> str:
    """Return a figure for people; a dash for None."""
    if value is None:
        return "–"
    unit = FIGURES[key].unit
    if unit in ("probability", "fraction"):
        return percentage(value)
    return figure(value, 0 if unit == "count" else 2)


def trials_of(family: Family) -> str:
    """Return N and what it is made of.

    >>> from peak_trade.trust.luck.family import Family, Series
    >>> trials_of(Family(Series("SPX", "1d", "ab"), sealed=4, failed=1, removed=2, results=3))
    '5 trials (4 sealed, 1 failed; 2 of them removed since), 3 different results'
    """
    broken, astray = (sum(one.failed for one in made) for made in (family.engines, family.sweeps))
    parts = [
        (family.sealed, "sealed"),
        (family.failed, "failed"),
        (family.unfinished, "without an end"),
        (family.swept - astray, "of sweeps"),
        (astray, "of sweeps failed"),
        (family.recorded - broken, "of other engines"),
        (broken, "of other engines failed"),
        *((one.count, f"from {one.kind}") for one in family.imported),
    ]
    told = ", ".join(f"{count:,} {words}" for count, words in parts if count)
    gone = f"; {family.removed:,} of them removed since" if family.removed else ""
    most = "at most " if len(family.spreads) + bool(family.ratios) > 1 else ""  # of a sweep the ledger has no digests
    return f"{counted(family.trials, 'trial')} ({told}{gone}), {most}{counted(family.results, 'different result')}"


def on(series: Series) -> str:
    """Return what trials were made on.

    >>> on(Series("SPX", "1d", "ab" * 32)), on(Series("ETH", ""))
    ('SPX 1d, bars abababab', 'ETH, bars not seen')
    """
    named = f"{series.symbol} {series.timeframe}".strip() or "a symbol that nobody told"
    return f"{named}, bars {series.data[:8] or 'not seen'}"


def sentences(luck: Luck) -> list[str]:
    """Return what the figures mean, the verdict first, and what they cannot see last."""
    figures, family = luck.figures, luck.family
    said = []
    if luck.probed.get("verdict") == "FAIL":
        said.append(
            "the run has look-ahead: what it earned is nothing that can be earned, and no figure tells its luck"
        )
    if family is None:
        return [
            *said,
            "the run is not of a ledger here: how many trials there were nobody can tell, and nothing is deflated",
        ]
    if family.alone:
        said.append(ALONE)
    if family.broken:
        said.append(
            f"the ledger is not whole at line {family.broken:,}, and N may be less than there were: just verify --all"
        )
    if not family.series.data and not family.alone:
        said.append(UNSEEN)
    sharpe, hurdle, deflated = figures["sharpe"], figures["hurdle"], figures["deflated_sharpe"]
    if deflated is None:
        said.append(f"the deflated Sharpe ratio is not known: {luck.reasons.get('deflated_sharpe', '')}")
    else:
        among = (
            "it is the only trial that is known"
            if family.trials == 1 and not family.series.data
            else "it is the only trial on these bars"
            if family.trials == 1
            else f"the best of {family.trials:,} trials without skill would show {figure(hurdle)}"
            if hurdle is not None
            else f"there were {family.trials:,} trials"
        )
        shows = "a Sharpe ratio that is not known a year" if sharpe is None else f"a Sharpe ratio of {figure(sharpe)}"
        passes = "more than luck explains" if deflated >= LEVEL else "not to be told from luck"
        if deflated >= LEVEL and luck.returns < FEWEST:
            passes = f"but {counted(luck.returns, 'return')} are too few to tell"
        said.append(
            f"{shows}, where {among}: deflated {percentage(deflated)} ({percentage(LEVEL, 0)} would pass), {passes}"
        )
    years, needed = luck.years, figures["minimum_backtest"]
    if years is not None and needed is not None and family.trials > 1:
        few = "too few" if years < needed else "enough"
        said.append(
            f"with {family.trials:,} trials, {figure(years, 1)} years are {few} for a Sharpe ratio of 1: "
            f"{figure(needed, 1)} are needed"
        )
    if (family.recorded or family.swept) and luck.gathered and luck.gathered.returns.shape[1] < family.results:
        said.append(
            "of the trials of other engines figures are kept, and no returns but those of the run itself"
            if family.recorded
            else "of a sweep's trials statistics are kept, and no returns but of those that were kept as runs"
        )
    if family.variance is None and family.trials > 1:
        said.append("fewer than two trials have a Sharpe ratio: they are taken to spread as trials without skill do")
    overfitting = figures.get("overfitting")
    if overfitting is not None:
        said.append(
            f"the best on one half of the bars is not above the median on the other in {percentage(overfitting, 0)} "
            "of the splits: one half of them is a coin toss"
        )
    multiple = figures.get("cost_multiple")
    if multiple is not None:
        said.append(
            f"at {figure(multiple, 1)} times the recorded costs nothing is left"
            if multiple > 0
            else "it would have earned nothing without costs either"
        )
    if family.wider > family.trials:
        said.append(
            f"on {family.series.symbol} {family.series.timeframe} there were {family.wider:,} trials, whatever the "
            f"bars: by all of them, deflated {shown('deflated_sharpe_any_bars', figures['deflated_sharpe_any_bars'])}"
        )
    return [*said, *closing(luck)]


def closing(luck: Luck) -> list[str]:
    """Return what is said of every run of a ledger: who has seen its holdout, and what N cannot see."""
    return [*([luck.holdout] if luck.holdout else []), *([LOWER_BOUND] if luck.family else [])]


def as_text(luck: Luck) -> str:
    """Return the luck of a run as lines."""
    lines = [("run", f"{luck.run_id}  {luck.verdict}")]
    if luck.family:
        series = luck.series
        lines += [
            ("trials", trials_of(luck.family)),
            ("on", on(series)),
        ]
    lines += [("", sentence) for sentence in luck.said]
    text = aligned(lines)
    rows = []
    for key, value in luck.figures.items():
        reason = luck.reasons.get(key, "") if value is None else ""
        rows.append((FIGURES[key].label, shown(key, value), reason))
    text += "\n\n" + aligned(rows, right=(1,)) if rows else ""
    if luck.bands:
        head = ("stationary bootstrap", "5 %", "median", "95 %")
        bands = [
            (_BANDS[name], *(figure(value) if name == "sharpe" else percentage(value) for value in band))
            for name, band in luck.bands.items()
        ]
        text += "\n\n" + aligned([head, *bands], right=(1, 2, 3))
    left = luck.gathered
    if left and (left.missing or left.unfit or left.beyond):
        parts = [
            (left.missing, "whose directories are gone"),
            (left.unfit, "that are not as sealed, or ruined"),
            (left.beyond, "that are too many to hold"),
        ]
        text += "\n\nwithout the returns of " + ", ".join(f"{count:,} {words}" for count, words in parts if count)
    return text


def as_table(found: list[Family]) -> str:
    """Return families as a table, most trials first."""
    head = ("symbol", "timeframe", "bars", "trials", "results", "failed", "removed", "imported", "best", "spread")
    body = []
    for family in found:
        spread = family.variance
        body.append(
            (
                family.series.symbol[:24],
                family.series.timeframe,
                family.series.data[:8] or "not seen",
                f"{family.trials:,}",
                f"{family.results:,}",
                f"{family.failed + sum(one.failed for one in (*family.engines, *family.sweeps)):,}",
                f"{family.removed:,}",
                f"{family.elsewhere:,}",
                figure(family.best) if family.best is not None else "–",
                figure(spread**0.5) if spread is not None else "–",
            )
        )
    return aligned([head, *body], right=range(3, 10))
