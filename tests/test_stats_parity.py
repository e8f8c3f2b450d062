"""The statistics against independent implementations: empyrical-reloaded, quantstats, ffn, SciPy and NumPy.

Every figure is compared on random returns and on hand-made ones, to 1e-9 relative.
Where a library follows another convention, the test's docstring says which, and compares what both have in common.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from peak_trade import stats


def quietly(name: str) -> ModuleType:
    """Import a library whose own deprecations are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


empyrical = quietly("empyrical")
quantstats = quietly("quantstats.stats")
ffn = quietly("ffn.core")

pytestmark = pytest.mark.filterwarnings("ignore")

PERIODS = 365.25  # daily bars around the clock, so that elapsed years and counted years are the same
RATE = 0.04
RATE_PER_BAR = 1.04 ** (1 / PERIODS) - 1


def returns_named() -> dict[str, np.ndarray]:
    random = np.random.default_rng(20240101)
    return {
        "normal": random.normal(5e-4, 0.01, 1_000),
        "fat tails": random.standard_t(4, 1_500) * 0.01,
        "skewed": random.exponential(0.01, 800) - 0.011,
        "mostly flat": np.where(random.random(600) < 0.8, 0.0, random.normal(0.001, 0.02, 600)),
        "tiny": random.normal(1e-7, 1e-6, 900),
        "alternating": np.tile([0.1, -0.1, 0.1], 7),
        "only losses": np.array([-0.2, -0.25, -0.5, -0.01]),
        "short": np.array([0.01, -0.02, 0.03]),
    }


SERIES = returns_named()
OF_MONTHS = [name for name, returns in SERIES.items() if len(returns) > 31]  # a figure a year needs a twelfth of one


@pytest.fixture(params=list(SERIES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


class Case:
    """One series in the shapes that the libraries want."""

    def __init__(self, returns: np.ndarray) -> None:
        self.equity = 100_000.0 * np.cumprod(np.append(1.0, 1.0 + returns))
        self.timestamp = np.datetime64("2015-01-01", "ns") + np.arange(len(self.equity)) * np.timedelta64(1, "D")
        self.returns = stats.returns(self.equity)
        self.market = np.random.default_rng(7).normal(3e-4, 0.012, len(returns)) + 0.5 * returns
        index = pd.DatetimeIndex(self.timestamp)
        self.prices = pd.Series(self.equity, index=index)
        self.series = pd.Series(self.returns, index=index[1:])
        self.market_series = pd.Series(self.market, index=index[1:])


@pytest.fixture
def case(name: str) -> Case:
    return Case(SERIES[name])


def close(expected: float) -> object:
    return pytest.approx(expected, rel=1e-9, abs=0)


def test_the_total_return_is_empyricals(case: Case) -> None:
    assert stats.total_return(case.equity) == close(empyrical.cum_returns_final(case.returns))


@pytest.mark.parametrize("name", OF_MONTHS)
def test_the_growth_rate_is_ffns_which_takes_elapsed_time_too(case: Case) -> None:
    assert stats.cagr(case.equity, case.timestamp) == close(ffn.calc_cagr(case.prices))


@pytest.mark.parametrize("name", OF_MONTHS)
def test_the_growth_rate_is_that_of_libraries_that_count_bars_where_no_bar_is_missing(case: Case) -> None:
    ours = stats.cagr(case.equity, case.timestamp)
    assert ours == close(empyrical.annual_return(case.returns, annualization=PERIODS))
    assert ours == close(quantstats.cagr(case.series, periods=PERIODS))


def test_volatility_is_empyricals_and_quantstats(case: Case) -> None:
    ours = stats.volatility(case.returns, PERIODS)
    assert ours == close(empyrical.annual_volatility(case.returns, annualization=PERIODS))
    assert ours == close(quantstats.volatility(case.series, periods=PERIODS))


def test_the_sharpe_ratio_is_that_of_all_three(case: Case) -> None:
    """quantstats and ffn make the rate per bar geometrically, as we do; empyrical is given the rate per bar."""
    ours = stats.sharpe(case.returns, PERIODS, RATE)
    assert ours == close(empyrical.sharpe_ratio(case.returns, risk_free=RATE_PER_BAR, annualization=PERIODS))
    assert ours == close(quantstats.sharpe(case.series, rf=RATE, periods=PERIODS))
    assert ours == close(ffn.calc_sharpe(case.series, rf=RATE, nperiods=PERIODS))


def test_the_sortino_ratio_is_that_of_all_three(case: Case) -> None:
    ours = stats.sortino(case.returns, PERIODS, RATE)
    assert ours == close(empyrical.sortino_ratio(case.returns, required_return=RATE_PER_BAR, annualization=PERIODS))
    assert ours == close(quantstats.sortino(case.series, rf=RATE, periods=PERIODS))
    assert ours == close(ffn.calc_sortino_ratio(case.series, rf=RATE, nperiods=PERIODS))


def test_the_ratios_without_a_risk_free_rate_are_theirs_too(case: Case) -> None:
    returns = case.returns
    assert stats.sharpe(returns, 252) == close(empyrical.sharpe_ratio(returns, annualization=252))
    assert stats.sortino(returns, 252) == close(empyrical.sortino_ratio(returns, annualization=252))


def test_the_drawdown_series_is_ffns(case: Case) -> None:
    theirs = ffn.to_drawdown_series(case.prices).to_numpy()
    np.testing.assert_allclose(stats.drawdown(case.equity), theirs, rtol=1e-9, atol=0)


def test_the_maximum_drawdown_is_that_of_all_three(case: Case) -> None:
    ours = stats.max_drawdown(stats.drawdown(case.equity))
    assert ours == close(empyrical.max_drawdown(case.returns))
    assert ours == close(quantstats.max_drawdown(case.series))
    assert ours == close(ffn.calc_max_drawdown(case.prices))


def test_the_longest_drawdown_is_one_bar_longer_than_ffns(case: Case) -> None:
    """ffn starts at the first bar below the peak, we at the peak itself: money was last whole there."""
    theirs = ffn.drawdown_details(ffn.to_drawdown_series(case.prices))["Length"].max()
    assert stats.max_drawdown_days(stats.drawdown(case.equity), case.timestamp) == theirs + 1


@pytest.mark.parametrize("name", OF_MONTHS)
def test_calmar_is_that_of_all_three(case: Case) -> None:
    growth = stats.cagr(case.equity, case.timestamp)
    ours = stats.calmar(growth, stats.max_drawdown(stats.drawdown(case.equity)))
    assert ours == close(empyrical.calmar_ratio(case.returns, annualization=PERIODS))
    assert ours == close(quantstats.calmar(case.series, periods=PERIODS))
    assert ours == close(ffn.calc_calmar_ratio(case.prices))


def test_skew_and_kurtosis_are_scipys(case: Case) -> None:
    assert stats.skew(case.returns) == close(scipy.stats.skew(case.returns))
    assert stats.kurtosis(case.returns) == close(scipy.stats.kurtosis(case.returns))


def test_skew_is_quantstats_but_for_the_correction_of_bias(case: Case) -> None:
    """quantstats (pandas) multiplies g1 by sqrt(m (m - 1)) / (m - 2); the probabilistic Sharpe ratio does not."""
    count = len(case.returns)
    corrected = stats.skew(case.returns) * (count * (count - 1)) ** 0.5 / (count - 2)
    assert corrected == close(quantstats.skew(case.series))


def test_value_at_risk_and_expected_shortfall_are_empyricals(case: Case) -> None:
    """quantstats takes a normal distribution's quantile for its value at risk, and so cannot agree."""
    assert stats.value_at_risk(case.returns) == close(empyrical.value_at_risk(case.returns))
    assert stats.expected_shortfall(case.returns) == close(empyrical.conditional_value_at_risk(case.returns))


@pytest.mark.parametrize("name", [name for name in SERIES if name != "mostly flat"])
def test_expected_shortfall_is_the_historical_one_of_quantstats_where_no_returns_tie(name: str) -> None:
    case = Case(SERIES[name])
    theirs = quantstats.conditional_value_at_risk(case.series, method="historical")
    assert stats.expected_shortfall(case.returns) == close(theirs)


def test_of_returns_that_tie_at_the_quantile_quantstats_counts_all_and_we_as_empyrical_a_twentieth() -> None:
    """40 returns: the lowest two are -10 % and -2 %, of which there are five: -6 %. All six at or below it: -3.33 %."""
    returns = pd.Series(np.repeat([-0.10, -0.02, 0.01], [1, 5, 34]), index=pd.date_range("2024-01-01", periods=40))
    ours = stats.expected_shortfall(returns.to_numpy())
    assert ours == close(empyrical.conditional_value_at_risk(returns))
    assert ours == close(-0.06)
    assert quantstats.conditional_value_at_risk(returns, method="historical") == close(-0.2 / 6)


@pytest.mark.parametrize("name", [name for name in SERIES if name not in ("short", "tiny")])
@pytest.mark.parametrize("rate", [0.0, RATE])
def test_the_probabilistic_sharpe_ratio_is_quantstats_given_the_same_moments(name: str, rate: float) -> None:
    """quantstats corrects skew and kurtosis for bias, for which it needs four returns: ours get its values here.

    Tiny returns are left out: against a rate they lie in the far tail, where the digits that quantstats loses
    in (1 + rate) ** (1 / periods) - 1 show. The next test has them.
    """
    case = Case(SERIES[name])
    sample = stats.Sample(case.returns)
    sample.shape = (case.series.skew(), case.series.kurt())
    theirs = quantstats.probabilistic_sharpe_ratio(case.series, rf=rate, periods=PERIODS)
    assert stats.probabilistic_sharpe(sample, PERIODS, rate) == close(theirs)


def test_the_probabilistic_sharpe_ratio_is_scipys_arithmetic(case: Case) -> None:
    ratio = case.returns.mean() / case.returns.std(ddof=1)
    skew, kurtosis = scipy.stats.skew(case.returns), scipy.stats.kurtosis(case.returns, fisher=False)
    error = np.sqrt((1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / (len(case.returns) - 1))
    assert stats.probabilistic_sharpe(case.returns, PERIODS) == close(scipy.stats.norm.cdf(ratio / error))


def test_beta_is_empyricals_and_quantstats(case: Case) -> None:
    ours = stats.beta(case.returns, case.market)
    assert ours == close(empyrical.beta(case.returns, case.market))
    assert ours == close(quantstats.greeks(case.series, case.market_series, periods=PERIODS)["beta"])


def test_alpha_is_quantstats(case: Case) -> None:
    theirs = quantstats.greeks(case.series, case.market_series, periods=PERIODS)["alpha"]
    assert stats.alpha(case.returns, case.market, PERIODS) == close(theirs)


def test_alpha_per_bar_compounds_to_empyricals(case: Case) -> None:
    """empyrical compounds alpha per bar to a year; we multiply, as Jensen's regression and quantstats do."""
    per_bar = stats.alpha(case.returns, case.market, PERIODS, RATE) / PERIODS
    theirs = empyrical.alpha(case.returns, case.market, risk_free=RATE_PER_BAR, annualization=PERIODS)
    assert (1 + per_bar) ** PERIODS - 1 == close(theirs)


def test_the_information_ratio_per_bar_is_that_of_all_three(case: Case) -> None:
    """They leave it per bar; ours is annualised like every other ratio."""
    ours = stats.information_ratio(case.returns, case.market, PERIODS) / PERIODS**0.5
    assert ours == close(empyrical.excess_sharpe(case.returns, case.market))
    assert ours == close(quantstats.information_ratio(case.series, case.market_series))
    assert ours == close(ffn.calc_information_ratio(case.series, case.market_series))


GAINING_AND_LOSING = [name for name in SERIES if name != "only losses"]


def test_omega_is_empyricals_and_quantstats(case: Case) -> None:
    """Both have a rate and a threshold, and take off the sum of the two; the rate that we take off may be either."""
    ours = stats.omega(case.returns, PERIODS, RATE)
    assert ours == close(empyrical.omega_ratio(case.returns, risk_free=RATE_PER_BAR, annualization=PERIODS))
    assert ours == close(empyrical.omega_ratio(case.returns, required_return=RATE, annualization=PERIODS))
    assert ours == close(quantstats.omega(case.series, rf=RATE, periods=PERIODS))
    assert ours == close(quantstats.omega(case.series, required_return=RATE, periods=PERIODS))
    assert stats.omega(case.returns) == close(empyrical.omega_ratio(case.returns))


@pytest.mark.parametrize("name", GAINING_AND_LOSING)
def test_the_tail_ratio_is_empyricals_and_quantstats(name: str) -> None:
    case = Case(SERIES[name])
    ours = stats.tail_ratio(case.returns)
    assert ours == close(empyrical.tail_ratio(case.returns))
    assert ours == close(quantstats.tail_ratio(case.series, prepare_returns=False))


def test_the_tail_ratio_of_losses_alone_is_theirs_but_for_its_sign() -> None:
    """They take the absolute value of both quantiles: the least of the losses would pass for a gain."""
    case = Case(SERIES["only losses"])
    assert -stats.tail_ratio(case.returns) == close(empyrical.tail_ratio(case.returns))


@pytest.mark.parametrize("name", GAINING_AND_LOSING)
def test_the_common_sense_ratio_is_quantstats(name: str) -> None:
    case = Case(SERIES[name])
    theirs = quantstats.common_sense_ratio(case.series, prepare_returns=False)
    assert stats.common_sense_ratio(case.returns) == close(theirs)


def test_the_ulcer_index_is_ffns_in_percent(case: Case) -> None:
    assert 100.0 * stats.ulcer_index(stats.drawdown(case.equity)) == close(ffn.to_ulcer_index(case.prices))


def test_the_ulcer_index_is_quantstats_but_for_the_divisor(case: Case) -> None:
    """quantstats divides by the number of returns less one, which is two less than that of the closes."""
    count = len(case.equity)
    theirs = quantstats.ulcer_index(case.series)
    assert stats.ulcer_index(stats.drawdown(case.equity)) * (count / (count - 2)) ** 0.5 == close(theirs)


@pytest.mark.parametrize("name", OF_MONTHS)
def test_the_ulcer_performance_index_is_ffns(case: Case) -> None:
    ulcer = stats.ulcer_index(stats.drawdown(case.equity))
    growth = stats.cagr(case.equity, case.timestamp)
    theirs = ffn.to_ulcer_performance_index(case.prices, rf=RATE)
    assert stats.ulcer_performance_index(growth, ulcer, RATE) == close(theirs)


def test_the_best_and_worst_bar_day_and_month_are_quantstats(case: Case) -> None:
    """Of daily bars: quantstats takes every bar for a day. By `M`, unlike `eom`, it does not aggregate at all."""
    for function, bar, period in (
        (quantstats.best, stats.best_bar, stats.best_period),
        (quantstats.worst, stats.worst_bar, stats.worst_period),
    ):
        assert bar(case.returns) == close(function(case.series))
        for unit, name in (("D", "day"), ("M", "eom")):
            ours = period(stats.period_returns(case.timestamp, case.equity, unit))
            assert ours == close(function(case.series, aggregate=name))


def test_the_days_and_months_of_hourly_bars_are_those_that_pandas_resamples() -> None:
    random = np.random.default_rng(9)
    stamps = np.datetime64("2023-11-05T09", "ns") + np.cumsum(random.integers(1, 9, 4_000)) * np.timedelta64(1, "h")
    equity = 1e4 * np.cumprod(1 + random.normal(0, 0.01, 4_000))
    for unit, letter in (("D", "D"), ("M", "ME")):
        last = np.append(equity[0], pd.Series(equity, index=stamps).resample(letter).last().dropna())
        expected = np.diff(last) / last[:-1]
        np.testing.assert_allclose(stats.period_returns(stamps, equity, unit), expected, rtol=1e-9, atol=1e-15)


def test_time_under_water_is_the_share_that_ffn_has_below_the_peak(case: Case) -> None:
    theirs = (ffn.to_drawdown_series(case.prices) < 0).mean()
    assert stats.time_under_water(stats.drawdown(case.equity)) == theirs


def test_streaks_are_quantstats_over_a_series_of_trades() -> None:
    """quantstats counts bars in a row; given one number a trade, it must agree."""
    for seed in range(20):
        pnl = np.random.default_rng(seed).choice([0.02, 0.01, 0.0, -0.01, -0.03], 60)
        series = pd.Series(pnl, index=pd.date_range("2024-01-01", periods=60))
        assert stats.longest_winning_streak(pnl) == quantstats.consecutive_wins(series, prepare_returns=False)
        assert stats.longest_losing_streak(pnl) == quantstats.consecutive_losses(series, prepare_returns=False)


def test_exits_are_those_that_pandas_groups() -> None:
    random = np.random.default_rng(3)
    pnl, reason = random.normal(0, 10, 300), random.integers(0, 5, 300).astype(np.int8)
    groups = pd.Series(pnl).groupby(reason)
    for code in range(5):
        assert stats.exits(reason, code) == groups.count()[code]
        assert stats.pnl_of_exits(pnl, reason, code) == close(groups.sum()[code])


FIGURES: dict[str, tuple[Callable[[np.ndarray], object], Callable[..., float]]] = {
    "win_rate": (stats.win_rate, quantstats.win_rate),
    "average_win": (stats.average_win, quantstats.avg_win),
    "average_loss": (stats.average_loss, quantstats.avg_loss),
    "payoff_ratio": (stats.payoff_ratio, quantstats.payoff_ratio),
    "profit_factor": (stats.profit_factor, quantstats.profit_factor),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_trade_figures_are_quantstats_over_a_series_of_trades(figure: str) -> None:
    """quantstats works these out from bars; given one number a trade, none of them 0, it must agree."""
    pnl = np.random.default_rng(5).normal(0.002, 0.03, 301)
    ours, theirs = FIGURES[figure]
    assert ours(pnl) == close(theirs(pd.Series(pnl, index=pd.date_range("2024-01-01", periods=301))))
