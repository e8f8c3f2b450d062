"""Does a strategy look ahead? It is asked again without its last bars, and with others in their place.

Bar i is decided from bars 0 to i alone (`strategies`). So whatever comes after bar i may be cut off, or be anything
else, and the decision stays: one that changes is look-ahead, and no reading of the code is needed to say so. A strategy
that gives two answers for the same bars can't be asked in this way, and is told from it by asking for all bars again.

May import strategies, market and the leaves.

In reading order:

- `watch`: what a strategy opens and starts while it is asked, which no cut can reach
- `asking`: one strategy, asked again and again as it was at first: same random numbers, nothing printed
- `cuts`: the places at which bars are cut off
- `futures`: other bars in place of those that came
- `verdict`: what is said of it
- `search`: asks, compares, and comes to that verdict
"""

from peak_trade.probe.asking import Asking
from peak_trade.probe.search import BUDGET_S, Search
from peak_trade.probe.verdict import FAIL, NOT_ASSESSED, PASS, Probe

__all__ = ["BUDGET_S", "FAIL", "NOT_ASSESSED", "PASS", "Asking", "Probe", "Search"]
