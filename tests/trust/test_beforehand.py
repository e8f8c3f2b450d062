"""What a search means is said before it starts, by the golden values of the formulas."""

from __future__ import annotations

from pathlib import Path

import pytest

from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.sweep import Beginning
from peak_trade.trust.luck.beforehand import sentences

RUN = "5a0c1a9e-0000-4000-8000-{:012}"


def told(trials: int, years: float, done: int = 0, *, more: int = 0) -> Beginning:
    return Beginning(RUN.format(0), "TEST", "1d", "ab" * 32, years, trials, trials + more, done)


@pytest.mark.parametrize(
    ("trials", "years", "hurdle", "needed"),
    [
        (45, 5.0, "1.00", "5.0"),  # E[max of 45] is 2.2356: over sqrt(5), 0.99981; squared, 4.9981
        (200, 5.0, "1.24", "7.6"),  # as docs/dev/sweeps.md has it: 2.76552 / 2.23607, and 7.64812
        (100, 4.0, "1.27", "6.4"),  # 2.53060 / 2, and 6.40395
        (1000, 10.0, "1.03", "10.6"),  # 3.25512 / 3.16228 = 1.02936, and 10.59582
        (10, 0.25, "3.15", "2.5"),  # 1.57460 / 0.5, and 2.47936
    ],
)
def test_how_large_a_ratio_luck_gives_and_how_many_years_there_should_be(
    tmp_path: Path, trials: int, years: float, hurdle: str, needed: str
) -> None:
    (said,) = sentences(Results(tmp_path), told(trials, years))
    assert said == (
        f"{trials:,} trials on {years:.{1 if years >= 1 else 2}f} years: a Sharpe ratio below {hurdle} is what luck "
        f"gives; for one of 1 to be more than that, {needed} years are needed"
    )


def sealed(ledger: Ledger, number: int, **more: object) -> None:
    on = {"strategy": "x", "symbol": "TEST", "timeframe": "1d"}
    ledger.append("start", RUN.format(number), **on)
    ledger.append("sealed", RUN.format(number), manifest="cd" * 32, data="ab" * 32, **on, **more)


def test_trials_that_the_bars_have_seen_already_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(1, 36):
        sealed(ledger, number, sharpe=number / 10)
    ledger.append("start", RUN.format(0), strategy="x", symbol="TEST", timeframe="1d", kind="swept")
    seen, means = sentences(Results(tmp_path), told(10, 5.0))
    assert seen == "these bars have seen 35 trials already: with the 10 of this sweep, 45"
    assert means.startswith("45 trials on 5.0 years: a Sharpe ratio below 1.00 ")


def test_trials_that_follow_from_what_is_chosen_count_as_the_most_that_there_can_be(tmp_path: Path) -> None:
    first, means = sentences(Results(tmp_path), told(40, 5.0, more=5))
    assert first == "40 trials to choose from, and at most 5 more of what is chosen"
    assert means.startswith("at most 45 trials on 5.0 years: a Sharpe ratio below 1.00 ")  # as of 45: see above
    ledger = Ledger(tmp_path)
    for number in range(1, 156):
        sealed(ledger, number, sharpe=number / 1000)
    ledger.append("start", RUN.format(0), strategy="x", symbol="TEST", timeframe="1d", kind="swept")
    _, seen, means = sentences(Results(tmp_path), told(40, 5.0, more=5))
    assert seen == "these bars have seen 155 trials already: with the at most 45 of this sweep, at most 200"
    assert means.startswith("at most 200 trials on 5.0 years: a Sharpe ratio below 1.24 ")


def test_what_the_sweep_has_done_itself_counts_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    batch = {"symbol": "TEST", "timeframe": "1d", "data": "ab" * 32, "count": 30, "failed": 0, "results": 30,
             "ratios": {"count": 0, "mean": 0.0, "variance": 0.0}}  # fmt: skip
    ledger.append("start", RUN.format(0), strategy="x", symbol="TEST", timeframe="1d", kind="swept")
    ledger.append("tried", RUN.format(0), kind="swept", trials=30, trials_on=[batch])
    (means,) = sentences(Results(tmp_path), told(45, 5.0, done=30))
    assert means.startswith("45 trials on 5.0 years")


def test_a_plan_that_does_not_know_its_trials_says_nothing(tmp_path: Path) -> None:
    assert sentences(Results(tmp_path), told(0, 5.0)) == []
