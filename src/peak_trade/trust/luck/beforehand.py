"""What the size of a search does to its evidence, said before the search starts."""

from __future__ import annotations

import math

from peak_trade.evidence.results import Results
from peak_trade.stats.luck.trials import expected_maximum, shortest_backtest
from peak_trade.sweep import Beginning
from peak_trade.text import counted, figure
from peak_trade.trust.luck.family import Series, family_of, read_ledger

__all__ = ["sentences"]


def sentences(results: Results, told: Beginning) -> list[str]:
    """Return what so many trials on so many years mean, and how many the same bars have seen already, by the ledger.

    A year's Sharpe ratio of trials without skill has the standard error 1 / sqrt(years); the best of N of them is to be
    expected at E[max of N] times that: see `stats.luck.trials`. Where it is not known yet how many trials follow from
    what is chosen, N is the most that there can be. Raises RunError where the ledger can't be read.
    """
    if not told.trials or told.years <= 0.0:
        return []
    family = family_of(read_ledger(results), Series(told.symbol, told.timeframe, told.data))
    seen = max(family.trials - max(told.done, 1), 0)  # its own START stands there, and what it has done
    trials, more = seen + told.most, told.most - told.trials
    at_most = "at most " if more else ""
    said = []
    if more:
        said.append(f"{counted(told.trials, 'trial')} to choose from, and at most {more:,} more of what is chosen")
    if seen:
        said.append(
            f"these bars have seen {counted(seen, 'trial')} already: with the {at_most}{told.most:,} of this sweep, "
            f"{at_most}{trials:,}"
        )
    years = figure(told.years, 1 if told.years >= 1.0 else 2)
    best, needed = expected_maximum(trials) / math.sqrt(told.years), shortest_backtest(trials)
    return [
        *said,
        f"{at_most}{counted(trials, 'trial')} on {years} years: a Sharpe ratio below {figure(best)} is what luck "
        f"gives; for one of 1 to be more than that, {figure(needed, 1)} years are needed",
    ]
