"""The statistics of luck against what the papers print, and against implementations of others, fed the same moments."""

from __future__ import annotations

import itertools
import math
import statistics
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from peak_trade.stats.luck import haircut, overfit, resample, track, trials
from peak_trade.stats.luck.track import Track
from peak_trade.stats.values import NoValueError, Undefined

exactly = {"rel": 1e-14, "abs": 0.0}
FUND = Track(1.585 / 12**0.5, 24, -2.448, 10.164)  # Bailey and López de Prado 2012, their first example
DAILY = Track(2.5 / 250**0.5, 1250, -3.0, 10.0)  # 2014, theirs too
V = 0.5 / 250
SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "sp500_daily.csv"


@pytest.mark.parametrize(
    "count, value",
    [
        (5, 1.192594001014789),
        (10, 1.57459830134575),
        (45, 2.235640177766405),
        (100, 2.5306028932016846),
        (1000, 3.255121513652723),
    ],
)
def test_the_expected_maximum_is_that_of_the_paper(count: int, value: float) -> None:
    assert trials.expected_maximum(count) == pytest.approx(value, **exactly)


def test_the_best_of_one_trial_or_of_a_part_of_one_is_expected_at_nothing() -> None:
    assert [trials.expected_maximum(count) for count in (0.5, 1, 1.0)] == [0.0, 0.0, 0.0]
    assert 0 <= trials.expected_maximum(1.2) < trials.expected_maximum(2) < trials.expected_maximum(2.5)


def test_the_hurdle_of_a_hundred_trials_is_that_of_the_paper() -> None:
    assert trials.hurdle(V, 100) == pytest.approx(0.11317200186513214, **exactly)


@pytest.mark.parametrize(
    "record, count, value",
    [
        (DAILY, 100, 0.9003968344493904),
        (DAILY, 46, 0.9505017068755786),
        (Track(DAILY.ratio, DAILY.count), 88, 0.9504908166760138),
    ],
)
def test_the_deflated_sharpe_ratio_is_that_of_the_paper(record: Track, count: int, value: float) -> None:
    assert trials.deflated(record, V, count) == pytest.approx(value, **exactly)


def test_the_deflated_sharpe_ratio_of_one_trial_is_the_probabilistic_one() -> None:
    assert trials.deflated(FUND, 0.3, 1) == track.probabilistic(FUND)


def test_the_probabilistic_sharpe_ratio_of_2012_is_that_of_the_paper() -> None:
    assert track.probabilistic(FUND) == pytest.approx(0.9132343068848602, **exactly)
    assert track.probabilistic(Track(FUND.ratio, 24)) == pytest.approx(0.9815912360834967, **exactly)


def test_the_probabilistic_sharpe_ratio_of_2025_is_another_figure_for_the_same_record() -> None:
    assert track.probabilistic_2025(FUND) == pytest.approx(track.normal_cdf(FUND.ratio * math.sqrt(24)), **exactly)
    assert track.probabilistic_2025(FUND) == pytest.approx(0.987, abs=1e-3)


@pytest.mark.parametrize(
    "record, against, bars, years",
    [
        (Track(2 / 250**0.5, 9), 1 / 250**0.5, 250, 2.731187801728174),
        (Track(2 / 52**0.5, 9), 1 / 52**0.5, 52, 2.828833586945234),
        (Track(2 / 12**0.5, 9), 1 / 12**0.5, 12, 3.2398006964446453),
        (Track(2 / 12**0.5, 9, -0.72, 5.78), 1 / 12**0.5, 12, 4.991258223875623),
        (Track(3 / 12**0.5, 9, -0.72, 5.78), 2.5 / 12**0.5, 12, 27.352920196040277),
    ],
)
def test_the_minimum_track_record_is_that_of_the_paper(record: Track, against: float, bars: int, years: float) -> None:
    assert track.minimum_length(record, against) / bars == pytest.approx(years, rel=1e-13)


@pytest.mark.parametrize(
    "count, years",
    [(10, 2.4793598106), (45, 4.998087004443402), (100, 6.403951003080737), (1000, 10.5958160686)],
)
def test_the_minimum_backtest_is_that_of_the_paper(count: int, years: float) -> None:
    assert trials.shortest_backtest(count) == pytest.approx(years, rel=1e-11)
    assert trials.shortest_backtest(count) < 2 * math.log(count)
    assert trials.shortest_backtest(count, 2.0) == pytest.approx(years / 4, rel=1e-11)


def test_five_years_are_enough_for_45_trials_and_for_no_more() -> None:
    assert trials.most_trials(5) == 45
    assert trials.shortest_backtest(46) > 5 >= trials.shortest_backtest(45)


@pytest.mark.parametrize(
    "rho, q, value",
    [
        (0.2, 12, 2.87885),
        (0.2, 250, 12.92072),
        (0.5, 12, 2.12129),
        (-0.2, 12, 4.17085),
        (0.9, 12, 1.20704),
        (0.0, 12, 3.46410),
        (0.0, 250, 15.81139),
    ],
)
def test_the_annual_factor_is_that_of_lo(rho: float, q: int, value: float) -> None:
    assert track.annual_factor(q, rho) == pytest.approx(value, abs=5e-6)
    summed = q / math.sqrt(q + 2 * sum((q - k) * rho**k for k in range(1, q)))
    assert track.annual_factor(q, rho) == pytest.approx(summed, rel=1e-12)


def test_symmetric_splits_and_purged_paths_are_those_of_the_papers() -> None:
    assert [overfit.symmetric_splits(blocks) for blocks in (16, 10, 8)] == [12_870, 252, 70]
    assert overfit.purged_paths(6, 2) == (15, 5)


# --- traps --------------------------------------------------------------------------------------------------------


def test_equal_returns_have_no_track_record_whatever_rounding_makes_of_them() -> None:
    with pytest.raises(NoValueError, match="returns do not vary"):
        track.track_of(np.full(1000, 0.1))
    naive = np.full(1000, 0.1)
    assert naive.mean() / naive.std(ddof=1) > 1e15  # which is what the guard is for


def test_a_standard_error_of_nothing_is_no_value_where_others_return_infinity() -> None:
    record = Track(1.0, 10, 2.0, 5.0)  # 1 - 2 + 4 / 4
    assert track.probabilistic(record) == Undefined("the standard error is zero")
    assert trials.deflated(record, 0.1, 10) == Undefined("the standard error is zero")
    assert track.minimum_length(record) == Undefined("the standard error is zero")


def test_no_number_of_bars_shows_a_ratio_that_is_not_there() -> None:
    assert track.minimum_length(FUND, FUND.ratio) == Undefined("the Sharpe ratio is not above the one to beat")


def test_a_haircut_leaves_one_trial_its_ratio_and_takes_the_more_the_more_there_are() -> None:
    """Worked out with 40 digits (mpmath): also where 1 - p is 1, of a record 9.6 standard errors above nothing."""
    record = Track(0.0214, 200_000)
    error = track.standard_error(record)
    p = track.chance(record)
    assert (1.0 - track.probabilistic(record), p) == (0.0, pytest.approx(5.384121209785324e-22, rel=1e-9))
    left = [haircut.haircut(haircut.sidak(p, count), error) for count in (1, 100, 10_000)]
    assert left == pytest.approx([0.0214, 0.020307881263177283, 0.0191551023882687], rel=1e-10)
    skewed = Track(0.3, 120, 1.0, 5.0)
    assert haircut.haircut(track.chance(skewed), track.standard_error(skewed)) == pytest.approx(0.3, rel=1e-12)
    with pytest.raises(NoValueError, match="not a finite number"):
        haircut.haircut(track.chance(Track(1.0, 10_000)), 0.01)


# --- others' implementations --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    drawn = np.random.default_rng(7)
    return drawn.standard_t(5, (640, 9)) * 0.01 + np.linspace(-2e-4, 8e-4, 9)


@pytest.fixture(scope="module")
def ffn() -> object:
    return import_module("ffn.core")


@pytest.mark.filterwarnings("ignore")
def test_the_deflated_sharpe_ratio_is_that_of_ffn_by_the_moments_of_ffn(returns: np.ndarray, ffn: object) -> None:
    frame = pd.DataFrame(returns, index=pd.bdate_range("2020-01-01", periods=len(returns)))
    ratios = frame.mean() / frame.std()
    best = frame[8]
    mine = Track(float(ratios[8]), len(best), float(best.skew()), float(best.kurtosis()) + 3.0)
    theirs = ffn.calc_deflated_sharpe_ratio(best, ratios, nperiods=252, annualized_trials=False)
    assert trials.deflated(mine, float(ratios.var()), 9) == pytest.approx(theirs, rel=1e-7)
    own = track.track_of(returns[:, 8])
    assert trials.deflated(own, float(ratios.var()), 9) == pytest.approx(theirs, abs=2e-3)  # population moments


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("blocks", [8, 10])
def test_the_probability_of_overfitting_is_that_of_ffn(returns: np.ndarray, ffn: object, blocks: int) -> None:
    theirs = ffn.calc_prob_backtest_overfitting(pd.DataFrame(returns), n_blocks=blocks, full_output=True)
    mine = overfit.backtest_overfitting(returns, blocks)
    assert mine.probability == pytest.approx(theirs["pbo"], abs=1e-12)
    assert mine.rank == pytest.approx(theirs["mean_oos_rank"], abs=1e-12)
    assert mine.splits == overfit.symmetric_splits(blocks)


def test_the_deflated_sharpe_ratio_is_that_of_trialgate(returns: np.ndarray) -> None:
    """Of version 0.6.0, on the same returns: population moments too, and the trials' variance with ddof = 0."""
    ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    own = track.track_of(returns[:, 8])
    assert own.ratio == pytest.approx(0.1182154648377886, rel=1e-12)
    assert trials.hurdle(float(ratios.var()), 9) == pytest.approx(0.07188993057432393, rel=1e-12)
    assert trials.deflated(own, float(ratios.var()), 9) == pytest.approx(0.8785580748201411, rel=1e-12)


def test_the_probability_of_overfitting_is_that_of_trialgate(returns: np.ndarray) -> None:
    assert overfit.backtest_overfitting(returns, 8).probability == pytest.approx(0.35714285714285715, rel=1e-12)


def test_what_jsharpe_says_of_the_version_of_2025_and_of_many_tests() -> None:
    """By version 0.6.3, by the authors of the paper."""
    record = Track(0.457, 24, -2.448, 10.164)
    found = [track.probabilistic_2025(record, 0.1, rho) for rho in (0.0, 0.2, -0.3)]
    assert found == pytest.approx([0.9398279052368098, 0.9012967078877749, 0.9762763823311968], rel=1e-12)
    assert track.probabilistic_2025(FUND) == pytest.approx(0.9875040691021729, rel=1e-12)
    given = [0.01, 0.04, 0.03, 0.005, 0.5]
    assert haircut.holm(given).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5], rel=1e-12)
    sidak = [0.04900995010000009, 0.18462730240000014, 0.1412659743000001, 0.02475124687812502, 0.96875]
    assert [haircut.sidak(p, 5) for p in given] == pytest.approx(sidak, rel=1e-12)


def test_block_lengths_are_near_those_of_arch() -> None:
    """Of `arch.bootstrap.optimal_block_length`, version 8.0.0, on the same draws; its m is one lag more."""
    found = {}
    for name, rho in (("none", 0.0), ("some", 0.3), ("much", 0.9), ("turning", -0.5)):
        drawn = np.random.default_rng(11).normal(size=1000)
        series = np.zeros(1000)
        for at in range(1000):
            series[at] = drawn[at] + (rho * series[at - 1] if at else 0.0)
        found[name] = resample.block_length(series)
    arch = {"none": 1.0, "some": 7.05064407363039, "much": 25.150651245249776, "turning": 13.406233526678493}
    assert found == pytest.approx(arch, rel=0.35)


# --- what must hold -----------------------------------------------------------------------------------------------


def test_overfitting_of_pure_noise_is_a_coin_toss() -> None:
    drawn = np.random.default_rng(3)
    found = [overfit.backtest_overfitting(drawn.normal(size=(256, 20)), 8).probability for _ in range(60)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)
    skilled = drawn.normal(size=(256, 20)) + np.linspace(0.0, 1.0, 20)
    assert overfit.backtest_overfitting(skilled, 8).probability < 0.1  # a control: there it carries over


def test_trials_that_earn_nothing_in_a_half_do_not_stop_the_test_of_overfitting() -> None:
    drawn = np.random.default_rng(4).normal(size=(160, 3))
    drawn[:80, 1] = 0.0
    found = overfit.backtest_overfitting(drawn, 8)
    assert (found.splits, found.trials, found.returns) == (70, 3, 160)
    assert 0.0 <= found.probability <= 1.0


def test_the_same_trial_many_times_is_one_and_independent_ones_are_as_many_as_there_are() -> None:
    drawn = np.random.default_rng(5)
    one = drawn.normal(size=(500, 1))
    alike = trials.effective_number(np.repeat(one, 40, axis=1))
    assert (alike.by_correlation, alike.by_spectrum) == pytest.approx((1.0, 1.0))
    apart = trials.effective_number(drawn.normal(size=(500, 40)))
    assert apart.by_correlation == pytest.approx(40, rel=0.02)
    assert apart.by_spectrum == pytest.approx(40, rel=0.05)
    between = trials.effective_number(one + drawn.normal(size=(500, 40)))
    assert between.correlation == pytest.approx(0.5, abs=0.06)
    assert 1 < between.by_spectrum < between.by_correlation < 40


def test_bands_are_the_same_for_the_same_seed_and_hold_what_was_measured() -> None:
    returns = np.random.default_rng(6).normal(5e-4, 0.01, 1500)
    found = resample.bands(returns, 252, seed=1)
    assert found == resample.bands(returns, 252, seed=1)
    assert found != resample.bands(returns, 252, seed=2)
    measured = returns.mean() / returns.std(ddof=1) * 252**0.5
    low, middle, high = found["sharpe"]
    assert low < measured < high
    assert middle == pytest.approx(measured, abs=0.15)
    assert (high - low) / 2 / 1.645 == pytest.approx(math.sqrt(252 / 1500), rel=0.15)  # the error of theory
    assert -1.0 < found["max_drawdown"][0] < found["max_drawdown"][2] < 0.0


def test_a_band_over_long_memory_is_wider_than_one_that_forgets_it() -> None:
    drawn = np.random.default_rng(8).normal(size=2000)
    series = np.convolve(drawn, np.ones(20) / 20, "valid") * 0.01
    kept, lost = resample.bands(series, 252)["sharpe"], resample.bands(series, 252, length=1.0)["sharpe"]
    assert kept[2] - kept[0] > 2 * (lost[2] - lost[0])


def passed_by_chance(score: float) -> float:
    """How often the best of 50 independent standard normals is above a score: 1 - Phi(score)**50."""
    return 1.0 - statistics.NormalDist().cdf(score) ** 50


LEVEL = statistics.NormalDist().inv_cdf(0.95)
HURDLE = 2.2763030934203483  # E[max] of 50, worked out with scipy
BY_THEORY = {
    "probabilistic": passed_by_chance(LEVEL),
    "deflated": passed_by_chance(HURDLE + LEVEL),
    "above the hurdle": passed_by_chance(HURDLE),
    "sidak": 0.05,
}


def as_by_theory(passed: float, name: str) -> bool:
    """Tell whether so many of 200 are within three standard errors of what theory has."""
    share = BY_THEORY[name]
    return abs(passed - 200 * share) <= 3.0 * math.sqrt(200 * share * (1.0 - share))


@pytest.mark.slow
def test_the_best_of_fifty_without_skill_passes_one_test_and_not_the_others() -> None:
    """As docs/ops/luck.md quotes: 200 times, the best of 50 tracks of noise, 1,000 returns each, held at 95 %."""
    drawn = np.random.default_rng(2024)
    passed = dict.fromkeys(BY_THEORY, 0)
    wrong = dict.fromkeys(("of one", "of a hundred", "half the spread", "a year's spread"), 0)
    surplus = []
    for _ in range(200):
        returns = drawn.normal(0.0, 0.01, (1000, 50))
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        best, variance = track.track_of(returns[:, int(ratios.argmax())]), float(ratios.var(ddof=1))
        shown = trials.deflated(best, variance, 50)
        passed["probabilistic"] += track.probabilistic(best) >= 0.95
        passed["deflated"] += shown >= 0.95
        passed["above the hurdle"] += shown > 0.5
        passed["sidak"] += haircut.sidak(track.chance(best), 50) <= 0.05
        surplus.append(best.ratio - trials.hurdle(variance, 50))
        wrong["of one"] += trials.deflated(best, variance, 1) > 0.5
        wrong["of a hundred"] += trials.deflated(best, variance, 100) > 0.5
        wrong["half the spread"] += trials.deflated(best, variance / 4, 50) > 0.5
        wrong["a year's spread"] += trials.deflated(best, variance * 252, 50) > 0.5
    assert passed == {"probabilistic": 178, "deflated": 0, "above the hurdle": 77, "sidak": 6}
    assert all(as_by_theory(count, name) for name, count in passed.items())
    assert abs(np.mean(surplus)) < 3.0 * np.std(surplus) / math.sqrt(200)  # the best is where the hurdle expects it
    assert not any(as_by_theory(count, "above the hurdle") for count in wrong.values())  # a control


def test_what_the_docs_say_of_noise_is_what_theory_has() -> None:
    told = {name: round(100 * share, 1) for name, share in BY_THEORY.items()}
    assert told == {"probabilistic": 92.3, "deflated": 0.2, "above the hurdle": 43.7, "sidak": 5.0}
    assert trials.expected_maximum(50) == pytest.approx(HURDLE, **exactly)


def _crossovers(bars: int) -> np.ndarray:
    """Returns of moving averages of the S&P 500, a column each: real returns, of trials that are alike."""
    closes = pd.read_csv(SAMPLE, comment="#")["Close" if "Close" in pd.read_csv(SAMPLE, nrows=1) else "close"]
    change = closes.pct_change()
    columns = [
        (closes.rolling(fast).mean() > closes.rolling(slow).mean()).shift(1, fill_value=False) * change
        for fast in (5, 10, 20, 30)
        for slow in (50, 100, 200)
    ]
    return np.column_stack([column.to_numpy()[201 : 201 + bars] for column in columns])


def _sums(returns: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = np.array_split(returns, blocks)
    return (
        np.array([part.sum(axis=0) for part in parts]),
        np.array([(part * part).sum(axis=0) for part in parts]),
        np.array([float(len(part)) for part in parts]),
    )


def test_overfitting_by_sums_of_blocks_is_that_by_the_returns_themselves() -> None:
    returns = _crossovers(4800)  # 16 blocks of 300
    by_returns, by_sums = overfit.backtest_overfitting(returns), overfit.of_sums(*_sums(returns, 16))
    assert by_sums.splits == 12_870
    assert by_sums.returns == by_returns.returns == 4800
    assert by_sums.probability == pytest.approx(by_returns.probability, abs=1e-9)
    assert by_sums.rank == pytest.approx(by_returns.rank, abs=1e-9)
    assert 0.0 < by_sums.probability < 1.0


def test_overfitting_by_sums_of_blocks_of_unequal_lengths_is_that_of_a_count_one_by_one() -> None:
    returns, blocks = _crossovers(1003), 6
    parts = np.array_split(np.arange(len(returns)), blocks)

    def ratio(column: np.ndarray, members: tuple[int, ...]) -> float:
        chosen = column[np.concatenate([parts[one] for one in members])]
        return float(chosen.mean() / chosen.std(ddof=1))

    shares = []
    for members in itertools.combinations(range(blocks), blocks // 2):
        others = tuple(one for one in range(blocks) if one not in members)
        inside = [ratio(column, members) for column in returns.T]
        outside = [ratio(column, others) for column in returns.T]
        won = outside[inside.index(max(inside))]
        rank = sum(one < won for one in outside) + (sum(one == won for one in outside) + 1) / 2
        shares.append(rank / (len(inside) + 1))
    found = overfit.of_sums(*_sums(returns, blocks))
    assert found.probability == pytest.approx(sum(one <= 0.5 for one in shares) / len(shares), abs=1e-9)
    assert found.rank == pytest.approx(statistics.mean(shares), abs=1e-9)


def test_overfitting_by_sums_needs_two_trials_and_two_returns_a_block() -> None:
    sums, squares, counts = _sums(_crossovers(160), 16)
    with pytest.raises(NoValueError, match="fewer than two trials"):
        overfit.of_sums(sums[:, :1], squares[:, :1], counts)
    with pytest.raises(NoValueError, match="too few bars"):
        overfit.of_sums(*_sums(_crossovers(31), 16))
