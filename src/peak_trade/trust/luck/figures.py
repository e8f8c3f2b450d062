"""What is worked out of a run's luck, each figure with its unit and definition: for terminal, report and docs."""

from __future__ import annotations

from typing import NamedTuple

from peak_trade.stats.table import Unit

__all__ = ["FEWEST", "FIGURES", "LEVEL", "Figure", "as_markdown"]

LEVEL = 0.95
"""The probability from which on a result passes."""


FEWEST = 20
"""Returns that there have to be, for a result to pass and for a bootstrap: the formulas are those of large samples."""


class Figure(NamedTuple):
    """A figure: its key in `--json`, its words, unit and definition."""

    key: str
    label: str
    unit: Unit
    definition: str


_ALL = (
    Figure("deflated_sharpe", "Deflated Sharpe", "probability",
           "probability that the true Sharpe ratio is above 0, of the best of N trials: the probabilistic one of 2012 "
           "against the hurdle (Bailey, López de Prado 2014)"),
    Figure("deflated_sharpe_independent", "… of independent trials", "probability",
           "as deflated_sharpe, with independent_by_spectrum for N"),
    Figure("deflated_sharpe_any_bars", "… of all on the symbol", "probability",
           "as deflated_sharpe, with N all trials on the same symbol and timeframe, whatever the bars"),
    Figure("probabilistic_sharpe_2012", "Probabilistic Sharpe, 2012", "probability",
           "probability that the true Sharpe ratio is above 0, of one trial: T - 1, standard error at the observed "
           "ratio (Bailey, López de Prado 2012)"),
    Figure("probabilistic_sharpe_2025", "Probabilistic Sharpe, 2025", "probability",
           "the same by the later version: T, standard error at 0, returns that follow an AR(1) (López de Prado, "
           "Lipton, Zoonekynd 2025)"),
    Figure("sharpe", "Sharpe ratio", "ratio", "as in stats.json, a year"),
    Figure("sharpe_autocorrelated", "… adjusted for autocorrelation", "ratio",
           "a year by the factor of Lo (2002) for returns that follow an AR(1), in place of sqrt(bars a year)"),
    Figure("autocorrelation", "Autocorrelation", "ratio", "of the returns per bar with those one bar before"),
    Figure("hurdle", "Hurdle", "ratio",
           "Sharpe ratio a year to expect of the best of N trials without skill: dispersion * E[max of N]"),
    Figure("dispersion", "Dispersion of the trials", "ratio",
           "standard deviation (ddof = 1) of the Sharpe ratios a year of the trials' different results; of fewer "
           "than two, the one of trials without skill: sqrt(bars a year / (T - 1))"),
    Figure("independent_by_correlation", "Independent trials by correlation", "ratio",
           "r + (1 - r) M of M different results whose returns are there, r their mean correlation, not below 0"),
    Figure("independent_by_spectrum", "Independent trials by spectrum", "ratio",
           "M**2 / sum of the squared correlations of all pairs, less what chance gives to them"),
    Figure("minimum_track_record", "Minimum track record, years", "years",
           "years of such returns that would show, with an error of 5 %, that the Sharpe ratio is above 0"),
    Figure("minimum_backtest", "Minimum backtest, years", "years",
           "years that N trials need, so that the best of them without skill stays below a Sharpe ratio of 1"),
    Figure("trials_allowed", "Trials that the years allow", "count",
           "most trials for which the years of this run are enough, by minimum_backtest; a million at most"),
    Figure("p_value", "p-value", "probability", "1 - probabilistic_sharpe_2012: of one trial"),
    Figure("p_value_sidak", "… by Šidák", "probability", "1 - (1 - p)**N, of N independent trials"),
    Figure("p_value_holm", "… by Holm", "probability",
           "stepwise among the p-values of all N trials, normal ones of the others; those without a ratio have 1"),
    Figure("sharpe_after_haircut", "Sharpe ratio after the haircut", "ratio",
           "a year: the one that has p_value_sidak by itself, at the standard error of this run's (Harvey, Liu 2015)"),
    Figure("overfitting", "Probability of overfitting", "probability",
           "share of splits in which the best of the trials on one half of the bars is not above the median on the "
           "other (CSCV, 16 blocks), of the different results whose returns are there"),
    Figure("superior_ability", "p-value of superior ability", "probability",
           "Hansen's SPA: that none of these results earns more than nothing, by `arch` where that is installed"),
    Figure("cost_multiple", "Costs it survives, times", "ratio",
           "multiple of the recorded costs at which nothing is left, at the quantities that were traded: "
           "1 + net profit / (fees + slippage + borrow)"),
    Figure("cost_left", "Room for costs, basis points", "ratio",
           "further costs of each fill, in basis points of its notional, at which nothing is left"),
)  # fmt: skip
FIGURES = {figure.key: figure for figure in _ALL}


def as_markdown() -> str:
    """Return the figures as a Markdown table, for docs/ops/luck.md."""
    rows = [f"| `{one.key}` | {one.unit} | {one.definition.replace('|', '&#124;')} |" for one in _ALL]
    return "\n".join(["| key | unit | definition |", "|---|---|---|", *rows])
