"""Folds and groups, against tables by hand and against a second, plainer way to the same bars."""

from __future__ import annotations

import datetime as dt
import math
import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from tests.sweep.benches import days

from peak_trade.errors import InputError
from peak_trade.stats.luck.overfit import purged_paths
from peak_trade.sweep.folds import Groups, Length, Walk, combinatorial, length, walk_forward

Spans = list[tuple[tuple[int, int], tuple[int, int]]]


def walked(times: Any, train: str, test: str, embargo: str = "", *, anchored: bool = False) -> Walk:
    cut = length(embargo, "embargo") if embargo else None
    return walk_forward(times, length(train, "train"), length(test, "test"), cut, anchored=anchored)


def spans(walk: Walk) -> Spans:
    return [(fold.train.span, fold.test.span) for fold in walk.folds]


def test_windows_roll_on_by_the_length_of_a_test() -> None:
    walk = walked(days(20), "8d", "4d")
    assert spans(walk) == [((0, 8), (8, 12)), ((4, 12), (12, 16)), ((8, 16), (16, 20))]
    assert [fold.complete for fold in walk.folds] == [True, True, True]


def test_a_fold_is_told_by_the_times_of_its_first_and_last_bars() -> None:
    fold = walked(days(20), "8d", "4d").folds[1]
    assert (fold.train.begins, fold.train.ends) == ("2024-01-05T00:00:00Z", "2024-01-12T00:00:00Z")
    assert (fold.test.begins, fold.test.ends) == ("2024-01-13T00:00:00Z", "2024-01-16T00:00:00Z")


def test_a_last_test_that_the_bars_cut_short_is_used_as_it_is() -> None:
    walk = walked(days(22), "8d", "4d")
    assert spans(walk)[-1] == ((12, 20), (20, 22))
    assert [fold.complete for fold in walk.folds] == [True, True, True, False]


def test_anchored_windows_begin_with_the_first_bar() -> None:
    assert spans(walked(days(20), "8d", "4d", anchored=True)) == [
        ((0, 8), (8, 12)),
        ((0, 12), (12, 16)),
        ((0, 16), (16, 20)),
    ]


def test_an_embargo_is_cut_off_between_train_and_test() -> None:
    assert spans(walked(days(16), "8d", "4d", "2d")) == [((0, 6), (8, 12)), ((4, 10), (12, 16))]
    assert spans(walked(days(16), "8d", "4d", "2bars")) == [((0, 6), (8, 12)), ((4, 10), (12, 16))]
    assert spans(walked(days(16), "8d", "4d", "2d", anchored=True)) == [((0, 6), (8, 12)), ((0, 10), (12, 16))]


def test_counts_of_bars_are_the_splits_of_a_series() -> None:
    """As scikit-learn's TimeSeriesSplit(n_splits=3, max_train_size=4, test_size=2) of ten rows, by its manual."""
    assert spans(walked(days(10), "4bars", "2bars")) == [((0, 4), (4, 6)), ((2, 6), (6, 8)), ((4, 8), (8, 10))]


def test_weekends_count_as_time_and_not_as_bars() -> None:
    """Two weeks of train are ten bars of weekdays, a week of test is five."""
    times = np.array([day for day in days(28) if day.astype("M8[D]").item().weekday() < 5])
    assert len(times) == 20
    assert spans(walked(times, "2w", "1w")) == [((0, 10), (10, 15)), ((5, 15), (15, 20))]
    assert spans(walked(times, "10bars", "5bars")) == [((0, 10), (10, 15)), ((5, 15), (15, 20))]


def test_months_are_those_of_the_calendar() -> None:
    """From the 31st of January: a month on is the 29th of February 2024, and then the 29th of each month."""
    times = days(120, "2024-01-31")
    starts = [str(times[first])[:10] for _, (first, _) in spans(walked(times, "1M", "1M"))]
    assert starts == ["2024-02-29", "2024-03-29", "2024-04-29"]
    longer = days(800)
    assert [str(longer[first])[:10] for _, (first, _) in spans(walked(longer, "1y", "6M"))][:2] == [
        "2025-01-01",
        "2025-07-01",
    ]


def test_a_test_window_in_a_hole_of_the_data_is_no_fold() -> None:
    times = np.concatenate([days(10), days(10, "2024-02-10")])  # nothing from the 11th of January on for a month
    walk = walked(times, "6d", "4d")
    assert spans(walk) == [((0, 6), (6, 10)), ((10, 12), (12, 16)), ((10, 16), (16, 20))]
    assert walk.left_out == 8  # from the 11th of January to the 8th of February: that one has no bar to train on


def plainly(times: list[dt.datetime], train: int, test: int, embargo: int, anchored: bool) -> Spans:
    """The same in days, bar by bar."""
    found: Spans = []
    begins = times[0] + dt.timedelta(train)
    while begins <= times[-1]:
        ends = begins + dt.timedelta(test)
        tests = [at for at, time in enumerate(times) if begins <= time < ends]
        first = times[0] if anchored else begins - dt.timedelta(train)
        trains = [at for at, time in enumerate(times) if first <= time < begins - dt.timedelta(embargo)]
        if len(tests) > 1 and len(trains) > 1:
            found.append(((trains[0], trains[-1] + 1), (tests[0], tests[-1] + 1)))
        begins = ends
    return found


def test_folds_are_those_found_bar_by_bar() -> None:
    random = np.random.default_rng(7)
    compared = 0
    for _ in range(200):
        times = days(1) + np.cumsum(random.choice([1, 1, 1, 3, 9], 60)) * np.timedelta64(1, "D")
        train, test, embargo = (int(random.integers(*ends)) for ends in ((5, 60), (3, 40), (0, 5)))
        anchored = bool(random.integers(2))
        expected = plainly(times.astype("M8[us]").tolist(), train, test, embargo, anchored)
        if not expected:
            continue
        walk = walked(times, f"{train}d", f"{test}d", f"{embargo}d" if embargo else "", anchored=anchored)
        assert spans(walk) == expected
        compared += 1
    assert compared > 150


@pytest.mark.parametrize("count", [8, 9, 11, 50, 333])
def test_too_little_data_is_refused_with_what_fits(count: int) -> None:
    with pytest.raises(InputError, match=rf"train=2y, and test=180d do not fit into {count} bars from 2024") as caught:
        walked(days(count), "2y", "180d")
    told = re.search(r"train=(\w+) test=(\w+) fits", caught.value.hint or "")
    assert told
    assert walked(days(count), *told.groups()).folds


def test_an_embargo_longer_than_train_leaves_nothing_to_choose_on() -> None:
    with pytest.raises(InputError, match="train=8d, of which an embargo of 8d is cut"):
        walked(days(20), "8d", "4d", "8d")


def test_more_than_a_thousand_folds_are_refused_with_what_is_less() -> None:
    with pytest.raises(InputError, match="test=1h makes more than 1,000 folds of 400 bars") as caught:
        walked(days(400), "30d", "1h")
    told = re.search(r"test=(\w+)", caught.value.hint or "")
    assert told
    assert walked(days(400), "30d", told[1]).folds


@pytest.mark.parametrize("text", ["", "730", "d", "0d", "-5d", "1.5d", "5 d", "5D", "5s", "٣d", "123456d", "5d\n"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="which is neither a length of time nor a number of bars"):
        length(text, "train")


@pytest.mark.parametrize("text", ["99999y", "99999M", "99999w", "99999999bars"])
def test_a_length_beyond_all_time_fits_no_bars(text: str) -> None:
    with pytest.raises(InputError, match="do not fit"):
        walked(days(20), text, text)
    assert len(walked(days(20), "8d", text).folds) == 1


def test_a_length_back_beyond_all_time_is_all_there_is() -> None:
    assert Length(99_999, "y").after(0, -1) < -(2**62)
    assert Length(99_999, "w").after(0, -1) < -(2**62)


# --- groups -----------------------------------------------------------------------------------------------------------


def test_groups_have_as_many_bars_each() -> None:
    groups = combinatorial(days(20), 3, 1, fewest=2)
    assert [window.span for window in groups.whole] == [(0, 7), (7, 14), (14, 20)]
    assert groups.train == groups.whole


def test_an_embargo_is_cut_off_a_group_at_each_edge_with_another() -> None:
    for embargo in ("2d", "2bars"):
        groups = combinatorial(days(30), 3, 1, length(embargo, "embargo"), fewest=2)
        assert [window.span for window in groups.whole] == [(0, 10), (10, 20), (20, 30)]
        assert [window.span for window in groups.train] == [(0, 8), (12, 18), (22, 30)]


def test_an_embargo_in_days_counts_from_the_last_bar_before() -> None:
    """Bars every 1, 1, 5 days: of a group that follows the bar of day 14, those up to day 16 are cut."""
    times = days(1) + np.cumsum([0, 1, 1, 5] * 5) * np.timedelta64(1, "D")
    day = (times - times[0]) // np.timedelta64(1, "D")
    groups = combinatorial(times, 2, 1, Length(2, "d"), fewest=2)
    assert groups.whole[1].first == 10
    last, first = int(day[9]), groups.train[1].first
    assert day[first - 1] <= last + 2 < day[first]


def test_six_groups_of_which_two_are_tested_make_fifteen_splits_and_five_paths() -> None:
    groups = combinatorial(days(60), 6, 2, fewest=2)
    assert (len(groups.splits), len(groups.paths)) == (15, 5)


@pytest.mark.parametrize(("number", "tested"), [(2, 1), (4, 2), (5, 3), (6, 2), (7, 6), (10, 3)])
def test_a_path_goes_over_each_group_once_and_each_test_is_in_one_path(number: int, tested: int) -> None:
    groups = combinatorial(days(100), number, tested, fewest=2)
    assert (len(groups.splits), len(groups.paths)) == purged_paths(number, tested)
    assert sorted(groups.splits) == sorted(combinations(range(number), tested))
    used = [(split, group) for path in groups.paths for group, split in enumerate(path)]
    assert all(group in groups.splits[split] for split, group in used)
    assert len(set(used)) == len(used) == math.comb(number, tested) * tested


def test_too_short_groups_are_refused_with_what_fits() -> None:
    with pytest.raises(
        InputError, match="a group of 16 bars is too short: each needs 17, and there are 100 bars"
    ) as caught:
        combinatorial(days(100), 6, 2, fewest=17)
    told = re.search(r"--cpcv (\d+),(\d+) fits", caught.value.hint or "")
    assert told
    assert isinstance(combinatorial(days(100), int(told[1]), int(told[2]), fewest=17), Groups)


def test_a_group_that_an_embargo_uses_up_is_refused() -> None:
    with pytest.raises(InputError, match=r"a group of 20 bars less an embargo of 90d is too short"):
        combinatorial(days(100), 5, 2, Length(90, "d"), fewest=17)


def test_more_than_a_thousand_splits_are_refused() -> None:
    with pytest.raises(InputError, match="--cpcv 16,8 makes more than 1,000 splits"):
        combinatorial(days(1000), 16, 8, fewest=2)
