"""What differs between two runs, and what most likely explains it: for `compare`, and for `replay`.

In reading order: `sealed` is a run as far as it is compared, `inputs` what was asked and what it was made from (`code`
has files and lines, `bars` the bars where they still are); `series`, `trades` and `figures` are what came out, bar by
bar and so on; `searches` holds the trials of sweeps against each other; `causes` ranks the inputs that differ by what
the outcome shows, `between` does it all.

    found = between(read(a), read(b))
    found.same, found.bar, found.trade, found.figures, found.causes

Takes run directories, and nothing of a run but what its manifest has sealed: a file whose digest is another is refused.
"""

from peak_trade.trust.difference.bars import bars_of
from peak_trade.trust.difference.between import Difference, between
from peak_trade.trust.difference.causes import Cause
from peak_trade.trust.difference.figures import Figure
from peak_trade.trust.difference.inputs import Input, flat, inputs
from peak_trade.trust.difference.sealed import Sealed, read
from peak_trade.trust.difference.searches import Searches, searches
from peak_trade.trust.difference.series import Bar
from peak_trade.trust.difference.trades import Trade

__all__ = [
    "Bar",
    "Cause",
    "Difference",
    "Figure",
    "Input",
    "Sealed",
    "Searches",
    "Trade",
    "bars_of",
    "between",
    "flat",
    "inputs",
    "read",
    "searches",
]
