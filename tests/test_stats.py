"""The statistics against values worked out by hand, and their promise of a finite number or a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from peak_trade import stats
from peak_trade.errors import InputError
from peak_trade.market.trades import Trades
from peak_trade.stats import REASONS, STATS, Undefined
from peak_trade.stats.values import NOISE

DOCUMENT = Path(__file__).parents[1] / "docs" / "reports" / "stats.md"

flat_line = np.array([100.0, 100.0, 100.0, 100.0])
one_bar = np.array([100.0])
up_down_up = np.array([100.0, 110.0, 99.0, 108.9])  # returns +10 %, -10 %, +10 %
only_gains = np.array([100.0, 110.0, 132.0, 165.0])  # +10 %, +20 %, +25 %
only_losses = np.array([100.0, 80.0, 60.0, 30.0])  # -20 %, -25 %, -50 %
down_and_back = np.array([100.0, 80.0, 100.0, 90.0, 120.0, 90.0, 100.0])
constant_growth = 100_000.0 * 1.001 ** np.arange(500)
ruined_short = np.array([100.0, 50.0, -20.0, 10.0])


def daily(bars: int) -> np.ndarray:
    return np.datetime64("2024-01-01", "ns") + np.arange(bars) * np.timedelta64(1, "D")


def fortnightly(bars: int) -> np.ndarray:
    """As many bars over a time that bears a figure a year, from four bars on: 42 days; daily where they are many."""
    return np.datetime64("2024-01-01", "ns") + np.arange(bars) * np.timedelta64(14 if bars < 1_000 else 1, "D")


def make_trades(
    pnl: list[float] | np.ndarray,
    *,
    side: int = 1,
    quantity: float = 1.0,
    entry_price: float = 100.0,
    exit_price: float = 100.0,
    entry_fee: float = 0.0,
    exit_fee: float = 0.0,
    slippage: float = 0.0,
    bars_held: list[int] | None = None,
) -> Trades:
    count = len(pnl)
    net = np.array(pnl, dtype=float)
    return Trades(
        symbol="BTCUSDT",
        side=np.full(count, side, dtype=np.int8),
        entry_time=daily(count),
        entry_price=np.full(count, entry_price),
        exit_time=daily(count),
        exit_price=np.full(count, exit_price),
        quantity=np.full(count, quantity),
        entry_fee=np.full(count, entry_fee),
        exit_fee=np.full(count, exit_fee),
        slippage=np.full(count, slippage),
        pnl=net,
        return_=net / (quantity * entry_price),
        bars_held=np.array(bars_held if bars_held is not None else [1] * count, dtype=np.int64),
        exit_reason=np.zeros(count, dtype=np.int8),
        **({} if count else {"mae": net, "mfe": net}),
    )


mixed_trades = make_trades([50.0, -20.0, 0.0, 10.0])
no_trades = make_trades([])


def compute(equity: np.ndarray, trades: Trades = no_trades, **more: object) -> stats.Stats:
    arguments = {"timestamp": fortnightly(len(equity)), "position": np.zeros(len(equity)), **more}
    rates = {"risk_free_rate": 0.0, "periods_per_year": 365.25}
    return stats.compute(equity=equity, trades=trades, **{**rates, **arguments})


# --- the equity curve


def test_the_total_return_compares_the_last_equity_with_the_first() -> None:
    assert stats.total_return(up_down_up) == pytest.approx(0.089, rel=1e-12)


def test_a_loss_of_more_than_everything_is_a_total_return_below_minus_one() -> None:
    assert stats.total_return(np.array([100.0, -20.0])) == pytest.approx(-1.2, rel=1e-12)


def test_growth_of_21_percent_in_two_years_is_10_percent_a_year() -> None:
    two_years = np.array(["2021-01-01T00", "2023-01-01T12"], dtype="datetime64[ns]")  # 730.5 days
    assert stats.cagr(np.array([100.0, 121.0]), two_years) == pytest.approx(0.1, rel=1e-12)


def test_the_growth_rate_counts_elapsed_time_and_not_bars() -> None:
    with_a_gap = np.array(["2021-01-01T00", "2021-01-02T00", "2023-01-01T12"], dtype="datetime64[ns]")
    assert stats.cagr(np.array([100.0, 100.0, 121.0]), with_a_gap) == pytest.approx(0.1, rel=1e-12)


def test_the_unit_of_the_timestamps_does_not_matter() -> None:
    by_day = np.array(["2021-01-01", "2022-01-01"], dtype="datetime64[D]")
    assert stats.years(by_day) == stats.years(by_day.astype("datetime64[ns]")) == 365 / 365.25


def test_a_growth_rate_needs_a_twelfth_of_a_year() -> None:
    # 30.4375 days: 10 hours and a half into the 31st day
    def ends(stamp: str) -> np.ndarray:
        return np.array(["2024-01-01T00:00", stamp], "M8[ns]")

    assert stats.cagr(up_down_up[:2], ends("2024-01-31T10:29")) == Undefined("less than a twelfth of a year of bars")
    assert stats.cagr(up_down_up[:2], ends("2024-01-31T10:30")) == pytest.approx(1.1**12 - 1, rel=1e-12)


def test_what_is_told_for_a_year_needs_a_twelfth_of_it() -> None:
    result = compute(up_down_up, mixed_trades, timestamp=daily(4), benchmark_equity=only_gains)
    short = {key for key, reason in result.reasons.items() if reason == "less than a twelfth of a year of bars"}
    assert short == {"cagr", "calmar", "ulcer_performance_index", "turnover", "benchmark_cagr"}


def test_a_growth_rate_that_no_float_can_hold_is_undefined() -> None:
    month = np.array(["2024-01-01", "2024-02-01"], "M8[ns]")
    assert stats.cagr(np.array([1e-15, 1e15]), month) == Undefined("not a finite number")


def test_without_a_rate_nothing_is_annualised_by_bars() -> None:
    result = compute(up_down_up, mixed_trades, periods_per_year=None, benchmark_equity=only_gains)
    why = "no calendar, and less than a twelfth of a year of bars"
    assert {key for key, reason in result.reasons.items() if reason == why} == {
        *("periods_per_year", "volatility", "sharpe", "sortino", "benchmark_sharpe", "alpha", "information_ratio"),
    }
    # it is per bar: a risk-free rate of zero is zero for any bar, another needs to know how many make a year
    assert result["probabilistic_sharpe"] == stats.probabilistic_sharpe(stats.returns(up_down_up), 1.0)
    assert compute(up_down_up, periods_per_year=None, risk_free_rate=0.01).reasons["probabilistic_sharpe"] == why


def test_drawdown_is_measured_from_the_running_peak() -> None:
    expected = [0.0, -0.2, 0.0, -0.1, 0.0, -0.25, -1 / 6]
    np.testing.assert_allclose(stats.drawdown(down_and_back), expected, rtol=1e-12)


def test_the_maximum_drawdown_is_the_deepest() -> None:
    assert stats.max_drawdown(stats.drawdown(down_and_back)) == -0.25


def test_the_maximum_drawdown_of_a_line_that_never_falls_is_zero() -> None:
    assert stats.max_drawdown(stats.drawdown(only_gains)) == 0.0


def test_a_drawdown_lasts_from_the_peak_to_the_bar_that_reaches_it_again() -> None:
    recovered = np.array([100.0, 80.0, 90.0, 99.0, 100.0, 120.0, 110.0, 120.0])
    assert stats.max_drawdown_days(stats.drawdown(recovered), daily(8)) == 4.0


def test_a_drawdown_that_never_ends_lasts_to_the_last_bar() -> None:
    assert stats.max_drawdown_days(stats.drawdown(only_losses), daily(4)) == 3.0


def test_a_drawdown_in_the_last_bar_lasts_one_bar() -> None:
    assert stats.max_drawdown_days(stats.drawdown(np.array([100.0, 110.0, 99.0])), daily(3)) == 1.0


def test_a_dip_of_one_bar_lasts_from_the_bar_before_to_the_bar_after() -> None:
    assert stats.max_drawdown_days(stats.drawdown(np.array([100.0, 99.0, 100.0])), daily(3)) == 2.0


def test_consecutive_new_peaks_are_no_time_under_water() -> None:
    assert stats.max_drawdown_days(stats.drawdown(only_gains), daily(4)) == 0.0


def test_calmar_divides_growth_by_the_depth_of_the_drawdown() -> None:
    assert stats.calmar(0.3, -0.2) == pytest.approx(1.5, rel=1e-12)


def test_calmar_is_undefined_without_a_drawdown() -> None:
    assert stats.calmar(0.3, 0.0) == Undefined("no drawdown")


def test_short_and_long_positions_both_count_as_exposure() -> None:
    assert stats.exposure(np.array([0.0, 1.0, -1.0, 0.0, 0.5])) == 0.6


def test_returns_of_an_equity_that_reaches_zero_are_undefined() -> None:
    assert stats.returns(np.array([100.0, 0.0, 1.0])) == Undefined("equity fell to zero or below")


def test_an_account_that_begins_with_nothing_has_no_return_and_one_of_less_than_1_has() -> None:
    nothing, little = np.array([0.0, 1.0]), np.array([0.5, 0.25])
    assert stats.total_return(nothing) == stats.drawdown(nothing) == Undefined("initial equity is zero or below")
    assert stats.total_return(little) == -0.5
    np.testing.assert_array_equal(stats.drawdown(little), [0.0, -0.5])


def test_an_account_that_ends_with_nothing_has_no_rate_of_growth() -> None:
    assert stats.cagr(np.array([1.0, 0.0]), fortnightly(4)[::3]) == Undefined("equity fell to zero or below")


def test_the_drawdown_is_told_of_the_equity_and_leaves_it_as_it_was() -> None:
    equity = down_and_back.copy()
    stats.drawdown(equity)
    np.testing.assert_array_equal(equity, down_and_back)


def test_a_drawdown_of_rounding_is_none() -> None:
    assert stats.calmar(0.25, -NOISE) == Undefined("no drawdown")
    assert stats.calmar(0.25, -2 * NOISE) == 0.25 / (2 * NOISE)


def test_one_bar_may_be_all_the_time_in_the_market() -> None:
    assert (stats.exposure(np.array([2.0])), stats.exposure(np.array([0.0]))) == (1.0, 0.0)


def test_a_small_return_keeps_its_digits() -> None:
    assert stats.returns(np.array([1.0, 1.0 + 2.0**-50]))[0] == 2.0**-50


# --- the returns: +10 %, -10 %, +10 % with twelve bars a year
# mean 1/30; std(ddof=1) = sqrt((2 (1/15)^2 + (2/15)^2) / 2) = 0.2 / sqrt(3); mean / std = 1 / sqrt(12)


def test_volatility_is_the_sample_deviation_times_the_root_of_the_periods() -> None:
    assert stats.volatility(stats.returns(up_down_up), 12) == pytest.approx(0.4, rel=1e-12)


def test_the_sharpe_ratio_is_annualised_by_the_root_of_the_periods() -> None:
    assert stats.sharpe(stats.returns(up_down_up), 12) == pytest.approx(1.0, rel=1e-12)


def test_the_risk_free_rate_compounds_to_its_rate_per_year() -> None:
    # 10.25 % a year is 5 % per half year: (0.10 - 0.05) / 0.10 * sqrt(2)
    assert stats.sharpe(np.array([0.1, 0.0, 0.2]), 2, 0.1025) == pytest.approx(0.5 * 2**0.5, rel=1e-12)


def test_the_sortino_ratio_counts_only_what_falls_short() -> None:
    # downside = sqrt(0.1^2 / 3); (1/30) / downside * sqrt(12) = 2
    assert stats.sortino(stats.returns(up_down_up), 12) == pytest.approx(2.0, rel=1e-12)


def test_the_sortino_ratio_measures_from_the_risk_free_rate() -> None:
    # excess 0.05, -0.05, 0.15: 0.05 / sqrt(0.05^2 / 3) * sqrt(2) = sqrt(6)
    assert stats.sortino(np.array([0.1, 0.0, 0.2]), 2, 0.1025) == pytest.approx(6**0.5, rel=1e-12)


def test_the_sortino_ratio_of_steady_losses_is_minus_one_per_bar() -> None:
    assert stats.sortino(np.full(9, -0.01), 4) == pytest.approx(-2.0, rel=1e-12)


def test_skew_of_two_values() -> None:
    # for a share p of the higher value, (1 - 2p) / sqrt(p (1 - p)); here p = 2/3
    assert stats.skew(stats.returns(up_down_up)) == pytest.approx(-(0.5**0.5), rel=1e-12)


def test_kurtosis_of_two_values_is_the_excess_over_a_normal_distribution() -> None:
    # (1 - 6 p (1 - p)) / (p (1 - p)); here p = 2/3
    assert stats.kurtosis(stats.returns(up_down_up)) == pytest.approx(-1.5, rel=1e-12)


def test_value_at_risk_lies_between_the_neighbours_of_its_quantile() -> None:
    # place 0.05 * 2 = 0.1 between -10 % and +10 %
    assert stats.value_at_risk(stats.returns(up_down_up)) == pytest.approx(-0.08, rel=1e-12)


def test_expected_shortfall_is_the_mean_of_the_worst_twentieth() -> None:
    # of 100 returns, 5 are in the tail
    shuffled = np.random.default_rng(3).permutation(np.arange(1, 101) / 100)
    assert stats.expected_shortfall(shuffled) == pytest.approx(0.03, rel=1e-12)


def test_one_return_is_its_own_value_at_risk_and_shortfall() -> None:
    lonely = np.array([-0.25])
    assert (stats.value_at_risk(lonely), stats.expected_shortfall(lonely)) == (-0.25, -0.25)


def test_the_probabilistic_sharpe_ratio_follows_its_formula() -> None:
    # S = 1 / sqrt(12), g1 = -sqrt(1/2), g2 = -1.5, three returns
    ratio = 12**-0.5
    z = ratio * 2**0.5 / (1 + 0.5**0.5 * ratio + (-1.5 + 2) / 4 * ratio**2) ** 0.5
    assert stats.probabilistic_sharpe(stats.returns(up_down_up), 12) == pytest.approx(NormalDist().cdf(z), rel=1e-12)


def test_the_probabilistic_sharpe_ratio_of_the_papers_arithmetic() -> None:
    # normal returns (g1 = g2 = 0): S = 0.1 over 1001 returns, z = 0.1 sqrt(1000) / sqrt(1 + 0.01 / 2)
    sample = stats.Sample(np.zeros(1001))
    sample.mean, sample.deviation, sample.shape = 0.1, 1.0, (0.0, 0.0)
    expected = NormalDist().cdf(0.1 * 1000**0.5 / 1.005**0.5)
    assert stats.probabilistic_sharpe(sample, 252) == pytest.approx(expected, rel=1e-12)


def test_a_sharpe_ratio_without_a_standard_error_has_no_probability() -> None:
    sample = stats.Sample(np.zeros(10))
    sample.mean, sample.deviation, sample.shape = 1.0, 1.0, (2.0, 2.0)  # 1 - 2 + (2 + 2) / 4 = 0
    assert stats.probabilistic_sharpe(sample, 252) == Undefined("the standard error is zero")


@pytest.mark.parametrize("rate", [-1.0, -2.0, float("nan"), float("inf")])
def test_a_risk_free_rate_that_cannot_compound_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="risk-free rate"):
        stats.sharpe(stats.returns(up_down_up), 12, rate)


# --- beside a benchmark

market = np.array([0.02, -0.01, 0.03, 0.0])
half_of_it = market / 2 + 0.001


def test_beta_is_the_slope_on_the_benchmark() -> None:
    assert stats.beta(half_of_it, market) == pytest.approx(0.5, rel=1e-12)


def test_alpha_is_what_beta_leaves_unexplained_per_year() -> None:
    assert stats.alpha(half_of_it, market, 250) == pytest.approx(0.25, rel=1e-12)


def test_alpha_charges_the_risk_free_rate_for_the_part_not_in_the_market() -> None:
    # 5 % per half year: (0.001 - 0.05 (1 - 0.5)) * 2
    assert stats.alpha(half_of_it, market, 2, 0.1025) == pytest.approx(-0.048, rel=1e-12)


def test_the_information_ratio_is_the_sharpe_ratio_of_the_difference() -> None:
    # differences 10 %, 0 %, 20 %: 0.1 / 0.1 * sqrt(4)
    ours = np.array([0.12, -0.03, 0.25])
    theirs = np.array([0.02, -0.03, 0.05])
    assert stats.information_ratio(ours, theirs, 4) == pytest.approx(2.0, rel=1e-12)


def test_a_run_that_is_its_own_benchmark_has_no_information_ratio() -> None:
    assert stats.information_ratio(market, market, 250) == Undefined("active returns do not vary")


def test_a_constant_lead_over_the_benchmark_has_no_information_ratio() -> None:
    assert stats.information_ratio(market + 0.001, market, 250) == Undefined("active returns do not vary")


@pytest.mark.parametrize(("step", "differs"), [(1.5, False), (2.5, True)])
def test_a_difference_of_rounding_beside_the_returns_is_none(step: float, differs: bool) -> None:
    # returns of 100 % a bar, with a rounding of 2 * NOISE, beside a benchmark of just 100 %
    ratio = stats.information_ratio(1.0 + np.array([step, 0.0, -step]) * NOISE, np.ones(3), 1)
    assert isinstance(ratio, float) if differs else ratio == Undefined("active returns do not vary")


def test_beta_on_a_benchmark_that_does_not_vary_is_undefined() -> None:
    assert stats.beta(market, np.full(4, 0.1)) == Undefined("benchmark returns do not vary")


def test_the_excess_return_is_what_the_run_earned_over_its_benchmark() -> None:
    result = compute(only_gains, benchmark_equity=up_down_up)
    assert result["excess_return"] == pytest.approx(0.65 - 0.089, rel=1e-12)
    assert result["benchmark_total_return"] == pytest.approx(0.089, rel=1e-12)
    assert result["benchmark_max_drawdown"] == pytest.approx(-0.1, rel=1e-12)


def test_the_benchmarks_figures_are_those_a_run_of_it_would_have() -> None:
    ours = compute(up_down_up, risk_free_rate=0.02)
    beside = compute(only_gains, benchmark_equity=up_down_up, risk_free_rate=0.02)
    for key in ("total_return", "cagr", "sharpe", "max_drawdown"):
        assert beside[f"benchmark_{key}"] == ours[key]


# --- the trades: +50, -20, 0, +10


def test_a_trade_that_breaks_even_is_no_win_but_counts() -> None:
    assert stats.win_rate(mixed_trades.pnl) == 0.5


def test_the_profit_factor_divides_all_gains_by_all_losses() -> None:
    assert stats.profit_factor(mixed_trades.pnl) == 3.0


def test_the_profit_factor_without_winners_is_zero() -> None:
    assert stats.profit_factor(np.array([-5.0, -1.0])) == 0.0


def test_the_profit_factor_without_losers_is_undefined() -> None:
    assert stats.profit_factor(np.array([5.0, 1.0])) == Undefined("no losing trades")


def test_the_profit_factor_of_trades_that_all_break_even_is_undefined() -> None:
    assert stats.profit_factor(np.array([0.0, 0.0])) == Undefined("no losing trades")


def test_the_payoff_ratio_divides_the_average_win_by_the_average_loss() -> None:
    assert stats.payoff_ratio(mixed_trades.pnl) == 1.5


def test_the_payoff_ratio_needs_a_winner_too() -> None:
    assert stats.payoff_ratio(np.array([-5.0])) == Undefined("no winning trades")


def test_expectancy_and_the_averages_are_in_quote_currency() -> None:
    pnl = mixed_trades.pnl
    assert (stats.expectancy(pnl), stats.average_win(pnl), stats.average_loss(pnl)) == (10.0, 30.0, -20.0)


def test_the_best_and_the_worst_trade_are_fractions_of_their_entry_notional() -> None:
    result = compute(only_gains, mixed_trades)
    assert (result["best_trade"], result["worst_trade"]) == (0.5, -0.2)


def test_the_average_holding_time_is_in_bars() -> None:
    assert compute(only_gains, make_trades([1.0, 2.0], bars_held=[3, 8]))["average_bars_held"] == 5.5


def test_turnover_counts_both_sides_of_a_trade_against_mean_equity_and_years() -> None:
    # 10 * (100 + 110) = 2100 traded on a mean equity of 1050 in two years of 365.25 days
    trade = make_trades([100.0], quantity=10.0, exit_price=110.0)
    two_years = np.array(["2021-01-01T00", "2023-01-01T12"], dtype="datetime64[ns]")
    assert stats.turnover(trade, np.array([1000.0, 1100.0]), two_years) == pytest.approx(1.0, rel=1e-12)


def test_fees_are_those_of_entry_and_exit() -> None:
    assert stats.fees_paid(make_trades([1.0, 1.0], entry_fee=0.5, exit_fee=0.25)) == 1.5


def test_slippage_is_summed() -> None:
    assert stats.slippage_paid(make_trades([1.0, 1.0], slippage=0.125)) == 0.25


def test_what_a_short_paid_to_borrow_is_what_prices_and_fees_leave_unexplained() -> None:
    # sold 10 at 100, bought at 90: 100 gross, 1.9 in fees, 96.1 net
    short = make_trades([96.1], side=-1, quantity=10.0, exit_price=90.0, entry_fee=1.0, exit_fee=0.9)
    assert stats.borrow_paid(short) == pytest.approx(2.0, rel=1e-12)


def test_rounding_is_no_borrow_cost() -> None:
    # (0.3 - 0.1) - 0.1 - 0.1 leaves -5.6e-17 in floats
    short = make_trades([0.1], side=-1, quantity=1.0, entry_price=0.3, exit_price=0.1, entry_fee=0.1)
    assert 0.3 - 0.1 - 0.1 - 0.1 != 0.0
    assert stats.borrow_paid(short) == 0.0


def test_a_long_pays_nothing_to_borrow() -> None:
    assert stats.borrow_paid(make_trades([3.0], exit_price=105.0)) == 0.0


def test_a_gain_of_less_than_1_is_one_too() -> None:
    pnl = np.array([0.5, -0.25, 0.0, 0.5])
    assert (stats.win_rate(pnl), stats.average_win(pnl)) == (0.5, 0.5)
    assert (stats.profit_factor(pnl), stats.payoff_ratio(pnl)) == (4.0, 2.0)


def test_turnover_needs_an_equity_above_zero_at_the_mean() -> None:
    trade = make_trades([100.0], quantity=10.0, exit_price=110.0)
    two_years = np.array(["2021-01-01T00", "2023-01-01T12"], dtype="datetime64[ns]")
    for equity in ([0.0, 0.0], [1.0, -1.0], [1.0, -2.0]):
        assert stats.turnover(trade, np.array(equity), two_years) == Undefined("mean equity is zero or below")
    assert stats.turnover(trade, np.array([0.25, 0.75]), two_years) == pytest.approx(2100.0, rel=1e-12)


@pytest.mark.parametrize(("borrowed", "noted"), [(1e-9, 0.0), (4e-9, 4e-9)])
def test_what_is_rounding_of_a_borrow_grows_with_quantity_and_prices(borrowed: float, noted: float) -> None:
    # 1000 * (100 + 90) * 1e-14 = 1.9e-9
    short = make_trades([10_000.0 - borrowed], side=-1, quantity=1000.0, exit_price=90.0)
    assert stats.borrow_paid(short) == pytest.approx(noted, rel=0.01)


@pytest.mark.parametrize(("borrowed", "noted"), [(1e-14, 0.0), (2e-14, 2e-14)])
def test_a_borrow_of_just_the_rounding_is_none(borrowed: float, noted: float) -> None:
    assert stats.borrow_paid(make_trades([-borrowed], side=-1, entry_price=0.5, exit_price=0.5)) == noted


# --- series that have no answer


def test_a_flat_line_has_no_ratio_but_no_risk_either() -> None:
    result = compute(flat_line)
    assert (result["total_return"], result["cagr"], result["volatility"], result["max_drawdown"]) == (0, 0, 0, 0)
    assert {key for key, reason in result.reasons.items() if reason == "returns do not vary"} == {
        *("sharpe", "skew", "kurtosis", "probabilistic_sharpe")
    }
    assert result.reasons["sortino"] == "no return below the risk-free rate"
    assert result.reasons["calmar"] == "no drawdown"


@pytest.mark.parametrize("returns", [np.full(250, 0.001), stats.returns(constant_growth), np.full(7, 1e6)])
def test_constant_returns_do_not_vary_whatever_their_rounding(returns: np.ndarray) -> None:
    assert stats.sharpe(returns, 252) == Undefined("returns do not vary")
    assert stats.volatility(returns, 252) == 0.0


def test_the_rounding_of_constant_growth_is_not_zero_by_itself() -> None:
    assert np.std(stats.returns(constant_growth), ddof=1) > 0.0


def test_quiet_returns_do_vary() -> None:
    # one unit on an account of a billion: returns of 1e-11 are small, but they are no rounding
    assert stats.sharpe(np.array([1e-11, 3e-11, 2e-11]), 1) == pytest.approx(2.0, rel=1e-9)


def test_only_losses_have_a_sharpe_ratio_and_no_gain_to_speak_of() -> None:
    result = compute(only_losses, make_trades([-20.0, -20.0, -30.0]))
    assert result["total_return"] == pytest.approx(-0.7, rel=1e-12)
    assert result["sharpe"] < 0 and result["sortino"] < 0 and result["calmar"] < 0
    assert (result["win_rate"], result["profit_factor"]) == (0.0, 0.0)
    assert result.reasons["average_win"] == result.reasons["payoff_ratio"] == "no winning trades"


def test_only_gains_have_no_downside() -> None:
    result = compute(only_gains, make_trades([10.0, 22.0]))
    assert result.reasons["sortino"] == "no return below the risk-free rate"
    assert result.reasons["calmar"] == "no drawdown"
    assert result.reasons["profit_factor"] == result.reasons["average_loss"] == "no losing trades"


def test_one_bar_has_a_value_and_no_returns() -> None:
    result = compute(one_bar)
    assert (result["bars"], result["years"], result["initial_equity"], result["total_return"]) == (1, 0.0, 100.0, 0.0)
    for key in ("cagr", "volatility", "sharpe", "sortino", "calmar", "skew", "value_at_risk_95"):
        assert result.reasons[key] == "fewer than two bars"


def test_two_bars_have_one_return_and_no_spread() -> None:
    result = compute(np.array([100.0, 90.0]))
    assert result["value_at_risk_95"] == pytest.approx(-0.1, rel=1e-12)
    assert result.reasons["volatility"] == result.reasons["sharpe"] == "fewer than two returns"


def test_no_bars_are_answered_too() -> None:
    result = compute(np.array([]))
    assert (result["bars"], result["trades"]) == (0, 0)
    assert result.reasons["initial_equity"] == result.reasons["max_drawdown"] == "no bars"


def test_no_trades_leave_the_trade_figures_null_and_the_costs_zero() -> None:
    result = compute(flat_line)
    assert {key for key, reason in result.reasons.items() if reason == "no trades"} == {
        *("win_rate", "profit_factor", "payoff_ratio", "expectancy", "average_win", "average_loss"),
        *("best_trade", "worst_trade", "average_bars_held"),
        *("longest_winning_streak", "longest_losing_streak", "average_mae", "average_mfe"),
    }
    assert all(result[stat.key] == 0 for stat in STATS if stat.key.startswith(("exits_", "pnl_")))
    assert [result[key] for key in ("trades", "turnover", "fees_paid", "slippage_paid", "borrow_paid")] == [0] * 5


def test_a_ruined_short_has_no_figure_that_compounds() -> None:
    result = compute(ruined_short)
    compounding = {key for key, reason in result.reasons.items() if reason == "equity fell to zero or below"}
    assert compounding == {
        *("cagr", "volatility", "sharpe", "sortino", "calmar", "skew", "kurtosis"),
        *("value_at_risk_95", "expected_shortfall_95", "probabilistic_sharpe"),
        *("omega", "tail_ratio", "common_sense_ratio", "ulcer_performance_index"),
        *("best_bar", "worst_bar", "best_day", "worst_day", "best_month", "worst_month"),
    }
    assert (result["total_return"], result["max_drawdown"]) == (-0.9, -1.2)


def test_a_sum_that_no_float_can_hold_is_no_ratio_of_zero() -> None:
    huge = np.array([1e308, -1e308, -1e308])
    assert stats.profit_factor(huge) == Undefined("not a finite number")
    assert stats.sharpe(huge, 1) == stats.sortino(huge, 1) == Undefined("not a finite number")
    trade = make_trades([1.0])
    assert stats.turnover(trade, np.array([1.7e308, 1.7e308]), fortnightly(4)[::3]) == Undefined("not a finite number")


def test_nothing_is_ever_minus_zero() -> None:
    assert str(compute(flat_line, make_trades([-0.0]))["worst_trade"]) == "0.0"


def test_without_a_benchmark_its_figures_are_null() -> None:
    keys = {key for key, reason in compute(up_down_up).reasons.items() if reason == "no benchmark"}
    assert keys == {
        *("benchmark_total_return", "benchmark_cagr", "benchmark_sharpe", "benchmark_max_drawdown"),
        *("excess_return", "beta", "alpha", "information_ratio"),
    }


# --- compute


def test_the_keys_are_these_in_this_order() -> None:
    expected = """
        bars years periods_per_year initial_equity final_equity net_profit total_return cagr volatility sharpe sortino
        calmar max_drawdown max_drawdown_days time_under_water ulcer_index ulcer_performance_index skew kurtosis
        value_at_risk_95 expected_shortfall_95 omega tail_ratio common_sense_ratio best_bar worst_bar best_day worst_day
        best_month worst_month probabilistic_sharpe exposure turnover trades win_rate profit_factor payoff_ratio
        expectancy average_win average_loss best_trade worst_trade average_bars_held longest_winning_streak
        longest_losing_streak average_mae average_mfe exits_signal pnl_signal exits_stop_loss pnl_stop_loss
        exits_take_profit pnl_take_profit exits_trailing_stop pnl_trailing_stop exits_end_of_data pnl_end_of_data
        fees_paid slippage_paid borrow_paid benchmark_total_return benchmark_cagr benchmark_sharpe
        benchmark_max_drawdown excess_return beta alpha information_ratio
    """.split()
    assert list(compute(up_down_up)) == expected


def test_the_json_object_ends_with_a_reason_for_each_null_and_no_other() -> None:
    document = compute(up_down_up, mixed_trades).to_json_object()
    assert list(document) == [*(stat.key for stat in STATS), "reasons"]
    assert document["reasons"].keys() == {key for key, value in document.items() if value is None}


def test_compute_agrees_with_the_functions_it_is_made_of() -> None:
    result = compute(
        up_down_up, mixed_trades, risk_free_rate=0.03, periods_per_year=252.0, position=np.array([0, 1, 1, 0])
    )
    growth = stats.returns(up_down_up)
    assert result["sharpe"] == stats.sharpe(growth, 252.0, 0.03)
    assert result["sortino"] == stats.sortino(growth, 252.0, 0.03)
    assert result["probabilistic_sharpe"] == stats.probabilistic_sharpe(growth, 252.0, 0.03)
    assert result["volatility"] == stats.volatility(growth, 252.0)
    assert result["cagr"] == stats.cagr(up_down_up, fortnightly(4))
    assert result["calmar"] == stats.calmar(result["cagr"], result["max_drawdown"])
    assert (result["exposure"], result["periods_per_year"]) == (0.5, 252.0)
    assert result["turnover"] == stats.turnover(mixed_trades, up_down_up, fortnightly(4))
    assert result["omega"] == stats.omega(growth, 252.0, 0.03)
    ulcer = stats.ulcer_index(stats.drawdown(up_down_up))
    assert (result["ulcer_index"], result["time_under_water"]) == (ulcer, 0.5)
    assert result["ulcer_performance_index"] == stats.ulcer_performance_index(result["cagr"], ulcer, 0.03)
    assert result["tail_ratio"] == stats.tail_ratio(growth)
    assert result["common_sense_ratio"] == stats.common_sense_ratio(growth)
    assert (result["longest_winning_streak"], result["longest_losing_streak"]) == (1, 1)
    assert (result["exits_signal"], result["pnl_signal"], result["exits_stop_loss"]) == (4, 40.0, 0)
    assert (result["average_mae"], result.reasons["average_mae"]) == (None, "no excursions")


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"position has shape \(3,\), and timestamp \(4,\)"):
        compute(up_down_up, position=np.zeros(3))
    with pytest.raises(InputError, match=r"^benchmark equity has shape \(3,\), and timestamp \(4,\)"):
        compute(up_down_up, benchmark_equity=np.zeros(3))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_equity_that_is_not_finite_is_refused_by_bar(poison: float) -> None:
    with pytest.raises(InputError, match="equity is not finite at bar 2"):
        compute(np.array([100.0, 101.0, poison, 102.0]))


@pytest.mark.parametrize("periods", [0.0, -1.0, float("nan"), float("inf")])
def test_periods_that_no_year_can_hold_are_refused(periods: float) -> None:
    with pytest.raises(InputError, match="periods per year"):
        compute(up_down_up, periods_per_year=periods)


def random_run(bars: int) -> tuple[np.ndarray, np.ndarray, Trades]:
    random = np.random.default_rng(11)
    equity = 1e5 * np.cumprod(1.0 + random.normal(1e-4, 1e-2, bars))
    return equity, equity[::-1].copy(), make_trades(random.normal(1.0, 50.0, 501))


def test_equity_read_back_from_text_gives_the_same_bits() -> None:
    equity, benchmark, trades = random_run(10_007)
    first = compute(equity, trades, benchmark_equity=benchmark)
    read = np.array([float(repr(value)) for value in equity.tolist()])
    assert compute(read, trades, benchmark_equity=benchmark) == first


@pytest.mark.parametrize("offset", [1, 3, 5])
def test_the_place_of_the_arrays_in_memory_does_not_change_a_bit(offset: int) -> None:
    equity, benchmark, trades = random_run(10_007)
    moved, strided = np.empty(len(equity) + offset)[offset:], np.empty(2 * len(equity))[::2]
    moved[:], strided[:] = equity, benchmark
    first = compute(equity, trades, benchmark_equity=benchmark)
    assert compute(moved, trades, benchmark_equity=strided) == first


any_float = st.floats(allow_nan=False, allow_infinity=False)
few_values = st.sampled_from([0.0, 1.0, 100.0, 101.0, -5.0, 5e-324, 1e308])
lengths = st.shared(st.integers(0, 12), key="bars")


def curves(elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return lengths.flatmap(lambda bars: arrays(np.float64, bars, elements=elements))


money = curves(any_float) | curves(few_values) | curves(st.floats(1e-3, 1e9))


@given(
    equity=money,
    benchmark=money | st.none(),
    step=st.sampled_from([1, 60_000_000_000, 86_400_000_000_000, 10**17]),
    pnl=st.lists(any_float | few_values, max_size=6),
    price=any_float,
    side=st.sampled_from([1, -1]),
    risk_free_rate=st.floats(-0.999, 1e6),
    periods_per_year=st.floats(1e-3, 1e9),
)
def test_every_statistic_is_finite_or_null_with_a_documented_reason(
    equity: np.ndarray,
    benchmark: np.ndarray | None,
    step: int,
    pnl: list[float],
    price: float,
    side: int,
    risk_free_rate: float,
    periods_per_year: float,
) -> None:
    result = stats.compute(
        np.datetime64(0, "ns") + np.arange(len(equity)) * np.timedelta64(step, "ns"),
        equity,
        np.sign(equity),
        make_trades(pnl, side=side, exit_price=price, quantity=2.0, entry_fee=price),
        risk_free_rate=risk_free_rate,
        periods_per_year=periods_per_year,
        benchmark_equity=benchmark,
    )
    json.dumps(result.to_json_object(), allow_nan=False)
    assert all(type(value) in (int, float, type(None)) for value in result.values())
    assert result.reasons.keys() == {key for key, value in result.items() if value is None}
    assert set(result.reasons.values()) <= REASONS.keys()


# --- the document


def test_the_document_is_what_the_code_generates() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", str(DOCUMENT)], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, f"docs/reports/stats.md is stale\n{check.stdout}{check.stderr}hint: just fix"


def test_the_document_lists_every_key_and_every_reason_in_order() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    first_cells = [row.split("|")[1].strip(" `") for row in rows]
    assert first_cells == [*compute(up_down_up), *REASONS]
