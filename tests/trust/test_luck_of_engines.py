"""Trials of other engines count by what they were made on, whatever became of the runs that tell of them."""

from __future__ import annotations

import statistics
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.record.portfolio import recorded, result

from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess, family, words
from peak_trade.trust.luck.family import Family, Series
from peak_trade.trust.luck.result import Luck

DATA, OTHER = "d" * 64, "e" * 64
RATIOS = [0.5, 1.0, 1.5]


def _on(count: int, *, symbol: str = "SPX", timeframe: str = "1d", data: str = DATA, failed: int = 0) -> dict[str, Any]:
    ratios = {"count": 3, "mean": 1.0, "variance": statistics.pvariance(RATIOS)}
    return {
        "symbol": symbol, "timeframe": timeframe, "data": data, "count": count, "failed": failed, "results": 3,
        "ratios": ratios,
    }  # fmt: skip


class Books:
    """A ledger that recorded commands are written into."""

    def __init__(self, results: Path) -> None:
        results.mkdir()
        self.ledger = Ledger(results)

    def record(self, *on: dict[str, Any], end: str = "sealed", **told: Any) -> str:
        run_id = str(uuid.uuid4())
        called = {"strategy": "S", "symbol": "SPX", "timeframe": "1d", "data": DATA} | told
        self.ledger.append("start", run_id, strategy="S")
        made = {"trials": sum(one["count"] for one in on), "trials_on": list(on)}
        self.ledger.append(end, run_id, manifest="0" * 64, sharpe=1.5, **{**made, **called})
        return run_id

    def family(self, symbol: str = "SPX", timeframe: str = "1d", data: str = DATA) -> Family:
        return family.family_of(self.ledger.read(), Series(symbol, timeframe, data))


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "results")


@pytest.mark.parametrize("end", ["sealed", "failed"])
def test_three_hundred_combinations_are_three_hundred_trials(books: Books, end: str) -> None:
    books.record(_on(300, failed=4), end=end)
    found = books.family()
    assert found.trials == 300
    assert found.variance == pytest.approx(statistics.variance(RATIOS))
    assert words.trials_of(found) == (
        "300 trials (296 of other engines, 4 of other engines failed), 3 different results"
    )


def test_what_two_commands_may_have_in_common_is_said_to_be_at_most_so_many_results(books: Books) -> None:
    books.record(_on(300))
    books.record(_on(300))  # the same once more is known to be the same
    assert words.trials_of(books.family()) == "600 trials (600 of other engines), 3 different results"
    other = _on(9)
    books.record(other | {"ratios": other["ratios"] | {"mean": 0.125}})
    assert words.trials_of(books.family()) == "609 trials (609 of other engines), at most 6 different results"


def test_the_best_of_a_family_is_that_of_all_its_trials(books: Books) -> None:
    books.record(_on(300))
    assert books.family().best is None  # a line that does not tell it
    books.record(_on(300) | {"best": 1.5})
    books.record(_on(7, failed=7))
    assert (books.family().best, words.as_table([books.family()]).split()[-2]) == (1.5, "1.50")
    books.record(_on(9) | {"best": 1e300})  # none that can be: the rest of what it says counts for the run's own
    assert (books.family().best, books.family().trials) == (1.5, 616)


def test_a_removed_command_counts_on(books: Books) -> None:
    gone = books.record(_on(300))
    books.ledger.append("removed", gone, reason="old")
    assert (books.family().trials, books.family().removed) == (300, 300)


def test_they_count_beside_runs_on_the_same_bars(books: Books) -> None:
    books.record(_on(300))
    run_id = str(uuid.uuid4())
    where = {"symbol": "SPX", "timeframe": "1d"}
    books.ledger.append("start", run_id, **where)
    books.ledger.append("sealed", run_id, manifest="0" * 64, data=DATA, sharpe=3.0, trades=1, **where)
    found = books.family()
    assert (found.trials, found.sealed, found.results) == (301, 1, 4)
    assert found.variance == pytest.approx(statistics.variance([*RATIOS, 3.0]))


def test_a_command_that_was_recorded_twice_was_looked_at_twice(books: Books) -> None:
    books.record(_on(300))
    books.record(_on(300))
    assert (books.family().trials, books.family().results, books.family().moments.count) == (600, 3, 3)


def test_each_series_has_its_own(books: Books) -> None:
    books.record(_on(45), _on(45, symbol="NDX", data=OTHER))
    assert books.family().trials == books.family("NDX", "1d", OTHER).trials == 45
    assert [one.trials for one in family.families(books.ledger.read())] == [45, 45]


def test_bars_that_nobody_named_are_the_same_bars_by_their_name(books: Books) -> None:
    bare, spx = "b" * 64, {"symbol": "SPX", "timeframe": "1d"}
    before = books.record(_on(12, symbol="", data=bare), symbol="", data=bare)
    alone = books.family("", "1d", bare)
    assert (alone.trials, alone.wider) == (12, 12)
    run_id = str(uuid.uuid4())
    books.ledger.append("start", run_id, **spx)
    books.ledger.append("sealed", run_id, manifest="0" * 64, data=DATA, unnamed=bare, sharpe=3.0, trades=1, **spx)
    books.record(_on(5, symbol="", data=bare), symbol="", data=bare)
    books.record(_on(7) | {"unnamed": bare})
    books.record(_on(40, symbol="", data=OTHER), symbol="", data=OTHER)  # the control: other bars
    books.record(_on(50, symbol="", timeframe="1h", data=bare), symbol="", timeframe="1h", data=bare)
    reading = books.ledger.read()
    found = books.family()
    assert (found.trials, found.sealed, found.recorded, found.wider) == (25, 1, 24, 25)
    of_the_first = family.family_of_run(reading, before, Series("", "1d", bare))
    assert (of_the_first.trials, of_the_first.wider) == (25, 25)
    assert [(one.series.symbol, one.trials) for one in family.families(reading)] == [("", 50), ("", 40), ("SPX", 25)]
    assert books.family("", "1d", OTHER).wider == 40


def test_where_no_bars_were_seen_symbol_and_timeframe_count(books: Books) -> None:
    books.record(_on(300, data=""), data=None)
    assert books.family(data="").trials == 300
    assert books.family().trials == 300  # they may be these bars
    assert books.family("SPX", "1h").trials == 0  # the control
    (one,) = family.families(books.ledger.read())
    assert one.series == Series("SPX", "1d")
    assert words.UNSEEN in words.sentences(_luck(one))


def test_where_nothing_is_known_a_run_has_its_own_trials_and_it_is_said(books: Books) -> None:
    nothing = {"symbol": "", "timeframe": "", "data": ""}
    first = books.record(_on(300, **nothing), **nothing)
    books.record(_on(70, **nothing), **nothing)
    found = family.family_of_run(books.ledger.read(), first, Series("", "", ""))
    assert (found.trials, found.alone) == (300, True)
    assert words.ALONE in words.sentences(_luck(found))
    assert family.families(books.ledger.read()) == []


def test_a_recorded_account_of_several_symbols_has_its_luck_and_no_overfitting_of_what_is_not_kept(
    tmp_path: Path,
) -> None:
    run = recorded(tmp_path / "results", result(params={"a": 1}))
    alone = assess.assess(Handed(run, Results(run.parent)))
    assert alone.family is not None and alone.family.trials == 1
    assert alone.reasons["overfitting"] == "fewer than two trials with returns"
    told = Ledger(run.parent).read().of(run.name).fields
    on = _on(300, symbol=told["symbol"], timeframe="1d", data=told.get("data", ""))
    books = Books.__new__(Books)
    books.ledger = Ledger(run.parent)
    books.record(on, **{key: on[key] for key in ("symbol", "timeframe", "data")})
    found = assess.assess(Handed(run, Results(run.parent)))
    assert found.series.symbol == "A,B" == on["symbol"]
    assert found.family is not None and found.family.wider >= found.family.trials


def _luck(found: Family) -> Luck:
    keys = ("sharpe", "hurdle", "deflated_sharpe", "minimum_backtest", "deflated_sharpe_any_bars")
    return Luck("x", found.series, found, dict.fromkeys(keys))


@pytest.mark.parametrize(
    "told",
    [
        {"trials_on": 7},
        {"trials_on": [7]},
        {"trials_on": [{"count": -300}]},
        {"trials_on": [_on(300) | {"failed": 301}]},
        {"trials_on": [_on(300) | {"ratios": {"count": 3, "mean": 0.0, "variance": 1e300}}]},
        {"trials_on": [_on(10), _on(3) | {"results": 4}]},
        {},
    ],
)
def test_what_no_series_is_told_of_counts_for_the_runs_own(books: Books, told: dict[str, Any]) -> None:
    books.record(trials=300, **told)
    assert books.family().trials == 300


@pytest.mark.parametrize("count", [-1, "300", 1.5, True, 1 << 60, None])
def test_a_count_that_is_none_leaves_a_run_that_is_one_trial(books: Books, count: Any) -> None:
    books.record(trials=count)
    assert books.family().trials == 1
