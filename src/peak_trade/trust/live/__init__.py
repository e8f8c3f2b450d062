"""A run against what was traded: which trades are in both, and what of the difference in profit each gap explains.

`matching` pairs the trades, `gaps` says what a pair differs in and splits its difference in profit, `bars` finds the
market's price at a time, `against` does it all, `text` is one screen of it.
"""

from peak_trade.trust.live.against import Against, against, against_file, at_time
from peak_trade.trust.live.text import as_text, gap

__all__ = ["Against", "against", "against_file", "as_text", "at_time", "gap"]
