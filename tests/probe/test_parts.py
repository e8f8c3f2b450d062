"""The parts of a probe: cuts, futures, what is heard of a strategy, and the sentences."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.market.bars import Bars
from peak_trade.market.contract import check_ohlcv
from peak_trade.probe import Asking, Search
from peak_trade.probe.asking import quiet
from peak_trade.probe.cuts import by_the_calendar, changes, cuts
from peak_trade.probe.futures import HOW, others
from peak_trade.probe.verdict import Change
from peak_trade.probe.watch import Watch


def test_a_cut_comes_right_after_a_change_first(bars: Bars) -> None:
    exposure = np.zeros(len(bars))
    exposure[100:200] = 1.0
    found = cuts(bars, exposure, 8, 0)
    assert found[0] == 101  # the decision at bar 100 must be made without what comes after
    assert 201 in found or 200 in found
    assert len(set(found)) == 8
    assert changes(exposure).tolist() == [100, 200]


@pytest.mark.parametrize("count", [1, 2, 3, 20, 600])
def test_cuts_leave_some_bars_and_take_some(walks: Any, count: int) -> None:
    bars = walks(count)
    exposure = np.resize([0.0, 1.0, 1.0], count)
    found = cuts(bars, exposure, 128, 5)
    assert len(found) == min(128, count - 1)
    assert all(1 <= cut < count for cut in found)
    assert found == cuts(bars, exposure, 128, 5)


def test_a_cut_is_at_the_end_of_a_month_and_before_the_longest_gap(walks: Any) -> None:
    bars = walks(400)
    times = bars.timestamp.copy()
    times[170:] += np.timedelta64(9, "D")
    gone = Bars(times, *(getattr(bars, name) for name in ("open", "high", "low", "close", "volume")), "TEST", "1d")
    found = cuts(gone.freeze(), np.zeros(400), 8, 0)
    assert 170 in found
    months = times.astype("datetime64[M]")
    assert any(months[cut] != months[cut - 1] for cut in found)


@pytest.mark.parametrize(
    ("step", "changed", "expected"),
    [
        ("1D", [5, 19, 33, 47], True),  # Mondays: the first bar is a Wednesday
        ("1D", [5, 19, 33, 48], False),  # all but the last
        ("1D", [31, 60, 152], True),  # firsts of months
        ("1h", [24, 48, 120], True),  # midnights
        ("1D", [24, 47, 110, 121], False),  # each begins a day, as every bar does
        ("1D", [7, 12, 22, 47], True),  # by fives
        ("1D", [7, 16], False),  # two are always so many bars apart
        ("1D", [2, 4, 8, 10], False),  # by twos, as chance has it
    ],
)
def test_changes_that_go_by_the_calendar_are_told_from_chance(
    walks: Any, step: str, changed: list[int], expected: bool
) -> None:
    assert by_the_calendar(walks(200, step=step), np.array(changed)) is expected


def test_of_positions_that_begin_and_end_both_are_looked_at_for_a_delay(bars: Bars) -> None:
    """What leaves after each large move, and enters after small ones, shows by its entries alone that it is in time."""

    def calm(bars: Bars) -> Any:
        moves = np.abs(np.diff(bars.close, prepend=bars.close[0]) / bars.close)
        return (moves < 0.02).astype(float)

    some = bars.between(0, 600)
    for count in range(100, 600, 50):
        asking = Asking(calm, {}, Watch())
        search = Search(asking, part := some.between(0, count), asking.first(part))
        search.look_for_delay()
        assert not search.late


@pytest.mark.parametrize("how", HOW)
def test_other_bars_are_bars_and_all_others(bars: Bars, how: str) -> None:
    for count in (1, 300, len(bars) - 1):
        made = others(bars, count, how, 0)
        assert not check_ohlcv(made)
        assert (made.timestamp == bars.timestamp).all()
        for name in ("open", "high", "low", "close", "volume"):
            assert (getattr(made, name)[:count] == getattr(bars, name)[:count]).all()
            if (name, how) != ("open", "mirrored"):  # which begins where the close before was, as bars do
                assert (getattr(made, name)[count:] != getattr(bars, name)[count:]).all()
        assert how != "above" or made.low[count:].min() > bars.high.max()
        assert how != "below" or made.high[count:].max() < bars.low.min()


def test_bars_that_are_handed_over_lead_to_no_others(bars: Bars) -> None:
    part = bars.between(0, 10)
    base = part.close
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    assert len(memoryview(base).cast("B")) == 80  # ten floats, and nothing behind them
    with pytest.raises(ValueError, match="read-only"):
        part.close[0] = 1.0
    assert (part.close == bars.close[:10]).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (Change(412, "", 413, 1.0, 0.0), "the decision at bar 412 changes when bars after it are cut off: 1.0 → 0.0"),
        (
            Change(0, "", 5, 0.5, None),
            "the decision at bar 0 changes when the bars after bar 4 are cut off: 0.5 → none",
        ),
        (
            Change(1, "", 2, 0.123456, 0.123457, cut=False),
            "the decision at bar 1 changes when bars after it are others: 0.123456 → 0.123457",
        ),
    ],
)
def test_a_change_is_a_sentence(change: Change, sentence: str) -> None:
    assert str(change) == sentence


EFFECTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "writes": (lambda here: (here / "new.txt").write_text("a"), "writes new.txt"),
    "appends": (lambda here: (here / "kept.txt").open("a").close(), "writes kept.txt"),
    "opens by number": (lambda here: os.close(os.open(here / "kept.txt", os.O_RDWR)), "writes kept.txt"),
    "removes": (lambda here: os.remove(here / "gone.txt"), "removes files"),
    "renames": (lambda here: os.rename(here / "gone.txt", here / "other.txt"), "moves files"),
    "makes a folder": (lambda here: (here / "folder").mkdir(exist_ok=True), "makes folders"),
    "starts a process": (lambda here: subprocess.run([sys.executable, "-c", ""], check=True), "starts a process"),
    "a database": (lambda here: sqlite3.connect(here / "a.db").close(), "opens a database"),
    "reads": (lambda here: (here / "kept.txt").read_text(), ""),
    "nothing": (lambda here: None, ""),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_what_a_strategy_does_beside_deciding_is_heard(tmp_path: Path, bars: Bars, name: str) -> None:
    do, said = EFFECTS[name]
    for file in ("kept.txt", "gone.txt"):
        (tmp_path / file).write_text("a")

    def strategy(bars: Bars) -> Any:
        do(tmp_path)
        return np.zeros(len(bars))

    watch = Watch([tmp_path / "bars.csv"])
    Asking(strategy, {}, watch).first(bars)
    assert watch.does == said
    assert watch.read == ""
    do(tmp_path) if name == "writes" else None
    assert watch.does == said  # outside, nobody listens


@pytest.mark.parametrize("way", ["its path", "a link", "from its folder", "a descriptor"])
def test_a_read_of_the_data_is_heard_by_whatever_name(
    tmp_path: Path, bars: Bars, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bars.csv").write_text("a")
    (tmp_path / "linked").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    name = {
        "its path": tmp_path / "bars.csv",
        "a link": tmp_path / "linked" / "bars.csv",
        "from its folder": "bars.csv",
    }

    def strategy(bars: Bars) -> Any:
        if way == "a descriptor":
            os.close(os.open("bars.csv", os.O_RDONLY))
        else:
            Path(name[way]).read_text()
        return np.zeros(len(bars))

    watch = Watch([tmp_path / "bars.csv"])
    Asking(strategy, {}, watch).first(bars)
    assert (watch.read, watch.does) == ("bars.csv", "")


def test_in_quiet_nothing_is_heard_and_all_is_put_back(capfd: pytest.CaptureFixture[str]) -> None:
    import logging
    import random

    random.seed(1)
    expected = [random.random() for _ in range(3)]
    random.seed(1)
    streams = sys.stdin, sys.stdout, sys.stderr
    print("before")
    with suppress(KeyError), quiet():
        print("within")
        os.write(1, b"within\n")
        os.write(2, b"within\n")
        logging.getLogger("mine").warning("within")
        subprocess.run([sys.executable, "-c", "print('within')"], check=True)
        assert sys.stdin.read() == ""
        random.seed(9)
        raise KeyError
    print("after")
    assert (sys.stdin, sys.stdout, sys.stderr) == streams
    assert capfd.readouterr() == ("before\nafter\n", "")
    assert [random.random() for _ in range(3)] == expected
    assert logging.root.manager.disable == 0


def test_a_search_that_is_stopped_says_what_it_has(bars: Bars) -> None:
    asking = Asking(lambda bars: (bars.close > bars.open).astype(float), {}, Watch())
    search = Search(asking, bars, asking.first(bars))
    assert search.probe().verdict == "NOT_ASSESSED"
    search.cut(300)
    found = search.probe()
    assert (found.verdict, found.cuts, found.repeatable) == ("PASS", 1, None)


def test_a_change_that_could_not_be_told_from_state_is_not_assessed(bars: Bars) -> None:
    asking = Asking(lambda bars: np.append(bars.close[1:], bars.close[-1:]) > bars.close, {}, Watch())
    search = Search(asking, bars, asking.first(bars))
    search.briefly(0.0)
    assert search.probe().verdict == "NOT_ASSESSED"
    search.settle()
    assert search.probe().verdict == "FAIL"


def test_decisions_that_are_traded_alike_are_one(bars: Bars) -> None:
    from peak_trade.config import Sizing

    def strategy(bars: Bars) -> Any:
        return np.where(np.append(bars.close[1:], bars.close[-1:]) > bars.close, 1.0, 0.6)

    asking = Asking(strategy, {}, Watch())
    for most, verdict in ((1.0, "FAIL"), (0.5, "PASS")):
        search = Search(asking, bars, asking.first(bars), sizing=Sizing(max_exposure=most))
        search.briefly(0.0)
        search.settle()
        assert search.probe().verdict == verdict
