"""Spans of trials against sets of their numbers."""

from __future__ import annotations

import random

import pytest

from peak_trade.sweep.spans import Span, gaps, merged, overlap, total


def numbers(spans: list[Span]) -> list[int]:
    """Return the numbers of spans, one that is in two of them twice."""
    return [at for first, end in spans for at in range(first, end)]


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_what_the_sets_of_their_numbers_are(seed: int) -> None:
    draw = random.Random(seed)
    drawn = [(first, first + draw.randint(0, 6)) for first in (draw.randrange(40) for _ in range(draw.randrange(9)))]
    covered = set(numbers(drawn))
    together = merged([one for one in drawn if one[0] < one[1]])
    assert numbers(together) == sorted(covered)
    assert total(together) == len(covered)
    first = draw.randrange(40)
    end = first + draw.randrange(20)
    assert numbers(gaps(together, first, end)) == [at for at in range(first, end) if at not in covered]
    assert numbers(overlap((first, end), (10, 30))) == [at for at in range(first, end) if 10 <= at < 30]
