"""Lines of code against lines: by hand, and by making the one of the other from what differs."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from peak_trade.trust.difference.code import Hunk, changes, hunks, lines


def made_again(before: Sequence[str], after: Sequence[str], found: Sequence[Hunk]) -> list[str]:
    """The lines after, from those before and what is new in the places alone."""
    out: list[str] = []
    at = 0
    for place in found:
        out += [*before[at : place.a0], *after[place.b0 : place.b1]]
        at = place.a1
    return [*out, *before[at:]]


def test_lines_end_where_pythons_end() -> None:
    assert lines("a\x0cb\u2028\x1c\r\nc\rd\n\n") == ["a\x0cb\u2028\x1c", "c", "d", ""]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("", "", []),
        ("abc", "abc", []),
        ("abc", "axc", [(1, 2, 1, 2)]),
        ("abc", "", [(0, 3, 0, 0)]),
        ("", "ab", [(0, 0, 0, 2)]),
        ("abcd", "xbcd", [(0, 1, 0, 1)]),
        ("abcd", "acdy", [(1, 2, 1, 1), (4, 4, 3, 4)]),
    ],
)
def test_places_are_those_worked_out_by_hand(before: str, after: str, found: list[tuple[int, int, int, int]]) -> None:
    assert [tuple(place) for place in hunks(before, after)] == found


def test_two_changes_far_apart_in_a_long_file_are_two() -> None:
    before = [f"line {at}" for at in range(5_000)]
    after = [*before[:10], "new", *before[10:4_000], *before[4_001:]]
    assert hunks(before, after) == [Hunk(10, 10, 10, 11), Hunk(4_000, 4_001, 4_001, 4_001)]


def test_what_is_moved_in_a_long_file_is_taken_out_and_put_in() -> None:
    before = [f"line {at}" for at in range(3_000)]
    after = [*before[100:200], *before[:100], *before[200:2_999], "end"]
    found = hunks(before, after)
    assert made_again(before, after, found) == after
    assert sum(place.a1 - place.a0 for place in found) == 101


@pytest.mark.parametrize("count", [30, 3_000])
@pytest.mark.parametrize("words", [3, 60, 10_000])
def test_from_what_differs_the_lines_come_out(count: int, words: int) -> None:
    dice = random.Random(count + words)
    for _ in range(5):
        before = [str(dice.randrange(words)) for _ in range(count)]
        after = [one for one in before if dice.random() > 0.05]
        for _ in range(count // 20):
            after.insert(dice.randrange(len(after)), str(dice.randrange(words)))
        found = hunks(before, after)
        assert made_again(before, after, found) == after
        assert all(place.a1 > place.a0 or place.b1 > place.b0 for place in found)
        assert all(one.a1 < two.a0 and one.b1 < two.b0 for one, two in pairwise(found))


def test_long_files_of_one_line_or_of_none_in_common_take_no_time() -> None:
    begun = time.perf_counter()
    hunks(["a"] * 100_000 + ["b"], ["c"] + ["a"] * 90_000)
    hunks([f"a{at}" for at in range(100_000)], [f"b{at}" for at in range(100_000)])
    hunks([str(at) for at in range(100_000)], [str(at) for at in reversed(range(100_000))])
    assert time.perf_counter() - begun < 10


def test_places_are_named_by_the_lines_there_are() -> None:
    details, _ = changes("a\x0c\nb\nc\nd\n", "a\x0c\nx\ny\nc\n")
    assert details == ["lines 2–3", "- b", "+ x", "+ y", "line 4", "- d"]
