"""How much of the past a strategy needs: it is asked for bars that begin later, until it decides as it did."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from peak_trade.probe import Search

__all__ = ["WarmUp", "warm_up"]

_STARTS = (0.1, 0.25, 0.5, 0.75)  # of the bars


class WarmUp(Struct, frozen=True):
    """After how many `bars` from its first one a strategy decides as one that has seen more; None: it never does.

    The most of `starts` bars at which it was made to begin; none where it gave no answer then.
    """

    bars: int | None = None
    starts: int = 0

    def __str__(self) -> str:
        if not self.starts:
            return "not known: it gives no answer for bars that begin later"
        if self.bars is None:
            return "without end: what it decides hangs on where its bars begin, to the last of them"
        return f"{self.bars:,} bars: from then on it decides as with more history"


def warm_up(search: Search) -> Iterator[WarmUp]:
    """Yield what is known after each asking; the last is the answer."""
    bars, count = search.bars, len(search.bars)
    most, starts, endless = 0, 0, False
    for share in _STARTS:
        first = int(share * count)
        answer = search.asking.again(bars.between(first, count)) if 0 < first < count else None
        if answer is not None and answer.decisions is not None:
            starts += 1
            wrong = np.flatnonzero(search.differs(answer.decisions, first, count))
            needed = int(wrong[-1]) + 1 if len(wrong) else 0
            endless |= needed == count - first and needed > 1
            most = max(most, needed)
        yield WarmUp(None if endless else most, starts)
