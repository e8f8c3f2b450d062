"""Which trials of a round: spans `(first, end)` of their places, from `first` up to `end`, in order and apart."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Span", "gaps", "merged", "overlap", "total"]

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return what spans cover together, which may overlap and come in any order.

    >>> merged([(4, 6), (0, 2), (1, 4), (8, 9)])
    [(0, 6), (8, 9)]
    """
    found: list[Span] = []
    for first, end in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((first, end))
    return found


def gaps(covered: Iterable[Span], first: int, end: int) -> list[Span]:
    """Return what of `first` up to `end` merged spans do not cover.

    >>> gaps([(0, 3), (5, 6)], 2, 9)
    [(3, 5), (6, 9)]
    """
    found: list[Span] = []
    for start, stop in covered:
        if stop <= first:
            continue
        if start >= end:
            break
        if start > first:
            found.append((first, start))
        first = stop
    return [*found, (first, end)] if first < end else found


def overlap(one: Span, other: Span) -> list[Span]:
    """Return what two spans share: one span, or none.

    >>> overlap((0, 5), (3, 9))
    [(3, 5)]
    """
    first, end = max(one[0], other[0]), min(one[1], other[1])
    return [(first, end)] if first < end else []


def total(spans: Iterable[Span]) -> int:
    """Return how many trials spans have."""
    return sum(end - first for first, end in spans)
