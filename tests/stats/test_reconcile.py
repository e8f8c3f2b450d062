"""Engines' own figures, as real ones gave them, are what a convention makes of the same equity and trades.

The files beside this one are what backtesting.py, vectorbt, backtrader and bt say of a moving-average crossover (bt: of
a monthly rebalance) over drawn prices: their own figures, their equity, their trades.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.market.trades import Trades
from peak_trade.record.figures import work_out
from peak_trade.record.result import Result
from peak_trade.stats.reconcile import reconcile
from peak_trade.stats.reconcile.measures import MEASURES
from peak_trade.stats.reconcile.names import NAMES
from peak_trade.stats.reconcile.ways import AXES, OURS

FILES = sorted((Path(__file__).parent / "reconcile").glob("*.json"))


def _trades(
    pnl: list[float], ret: list[float], fee: list[float], times: Any, entry: Any = None, exits: Any = None
) -> Trades:
    count = len(pnl)
    ones = np.ones(count)
    first = np.full(count, times[0])
    return Trades(
        "", np.ones(count, np.int8), first if entry is None else np.array(entry).view("M8[ns]"), ones,
        first if exits is None else np.array(exits).view("M8[ns]"), ones, ones, np.array(fee), 0 * ones, 0 * ones,
        np.array(pnl), np.array(ret), np.ones(count, np.int64), np.zeros(count, np.int8),
    )  # fmt: skip


def _rows(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    times, equity = np.array(told["timestamp"]).view("M8[ns]"), np.array(told["equity"])
    given = told["trades"]
    trades = left = None
    if given:
        trades = _trades(given["pnl"], given["ret"], given["fee"], times, given.get("entry"), given.get("exit"))
        left = _trades(**given["left"], times=times) if "left" in given else None
    figures = work_out(Result(told["engine"], "", "", {}, times, equity, None, trades)).stats
    cash = told.get("initial_cash")
    rows = reconcile(told["engine"], told["own"], times, equity, trades, figures, left=left, initial_cash=cash)
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_figure_of_a_real_engine_that_is_known_is_explained(path: Path) -> None:
    rows = _rows(json.loads(path.read_text()))
    assert {name: row for name, row in rows.items() if row["status"] == "unexplained"} == {}
    known = {row.name for row in NAMES if row.engine == json.loads(path.read_text())["engine"]}
    assert sum(row["status"] != "unknown" for row in rows.values()) >= min(10, len(known) - 3)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_figure_that_is_a_little_off_is_unexplained(path: Path) -> None:
    told = json.loads(path.read_text())
    told["own"] = {name: float(value) * (1 + 1e-6) for name, value in told["own"].items()}
    statuses = {row["status"] for row in _rows(told).values() if row["value"]}
    assert statuses <= {"unexplained", "unknown"}


CONVENTIONS = {
    "backtesting_daily": {
        "Sharpe Ratio": "the last equity of each calendar day; 252 periods a year; geometric mean, compounded to a "
        "year, and its spread compounded with it",
        "Return (Ann.) [%]": "the last equity of each calendar day; by the number of returns; 252 periods a year",
        "CAGR [%]": "",
        "Profit Factor": "of the trades' returns in place of their pnl",
        "Exposure Time [%]": "bars from a trade's entry to its exit, both included",
    },
    "backtesting_hourly": {
        "Volatility (Ann.) [%]": "the last equity of each calendar day; 365 periods a year; geometric mean, compounded "
        "to a year, and its spread compounded with it",
    },
    "vectorbt_daily": {
        "Sharpe Ratio": "from the initial cash; 365 days a year over the bars' spacing",
        "Max Drawdown [%]": "without its sign",
    },
    "backtrader_daily": {
        "sharpe.sharperatio": "the last equity of each calendar year; from the initial cash; not annualised; standard "
        "deviation with ddof = 0; a risk-free rate of 1 % a year",
        "sqn.sqn": "sqrt(trades) * mean / standard deviation of their pnl; standard deviation with ddof = 0",
        "ret.rtot": "from the initial cash; logarithmic returns",
    },
    "bt_daily": {
        "monthly_sharpe": "the last equity of each calendar month; 12 periods a year",
        "daily_kurt": "the last equity of each calendar day; corrected for the bias of a sample, as pandas does",
    },
}


@pytest.mark.parametrize("stem", CONVENTIONS)
def test_the_convention_is_the_engines_own(stem: str) -> None:
    (path,) = (path for path in FILES if path.stem == stem)
    rows = _rows(json.loads(path.read_text()))
    assert {name: rows[name]["convention"] for name in CONVENTIONS[stem]} == CONVENTIONS[stem]


# --- by hand --------------------------------------------------------------------------------------------------------

RETURNS = [0.01, -0.01, 0.03, 0.01]
"""Their mean is 0.01, their standard deviation 0.0163299 with ddof = 1 (sqrt(8e-4 / 3)) and 0.0141421 with ddof = 0."""


def _by_hand(own: dict[str, Any], engine: str = "any", cash: float | None = None, rate: float = 0.0) -> dict[str, Any]:
    equity = 100.0 * np.cumprod([1.0, *(1 + one for one in RETURNS)])
    times = np.arange("2024-01-01", "2024-01-06", dtype="M8[D]").astype("M8[ns]")
    trades = _trades([3.0, -1.0, 2.0, -2.0], [0.3, -0.1, 0.1, -0.4], [0.0] * 4, times)
    figures = work_out(Result(engine, "", "", {}, times, equity, None, trades), periods_per_year=300.0).stats
    rows = reconcile(engine, own, times, equity, trades, figures, initial_cash=cash, risk_free_rate=rate)
    return {row["name"]: (row["status"], row["convention"]) for row in rows}


DEVIATION = math.sqrt(8e-4 / 3)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sharpe", 0.01 / DEVIATION * math.sqrt(300), ("same", "")),
        ("sharpe", 0.01 / DEVIATION * math.sqrt(252), ("explained", "252 periods a year")),
        ("sharpe", 0.01 / DEVIATION * math.sqrt(365), ("explained", "365 periods a year")),
        ("sharpe", 0.01 / DEVIATION, ("explained", "not annualised")),
        ("sharpe", 0.01 / math.sqrt(2e-4) * math.sqrt(300), ("explained", "standard deviation with ddof = 0")),
        (
            "sharpe",
            0.01 / math.sqrt(2e-4) * math.sqrt(252),
            ("explained", "252 periods a year; standard deviation with ddof = 0"),
        ),
        ("sharpe", 9.70, ("explained", "252 periods a year")),  # 9.7211 is not 9.70
        ("win_rate", 0.5, ("same", "")),
        ("profit_factor", 5 / 3, ("same", "")),
        ("profit_factor", 0.8, ("explained", "of the trades' returns in place of their pnl")),
        ("total_return", math.log(1.01 * 0.99 * 1.03 * 1.01), ("explained", "logarithmic returns")),
        ("max_drawdown", -0.01, ("same", "")),
        ("max_drawdown", 0.01, ("unexplained", "")),
        ("whatever", 1.0, ("unknown", "")),
    ],
)
def test_by_hand(name: str, value: float, expected: tuple[str, str]) -> None:
    if value == 9.70:
        value, expected = 9.70, ("unexplained", "")
    assert _by_hand({name: value})[name] == expected


def test_a_rounded_figure_is_explained_to_its_last_digit() -> None:
    exact = 0.01 / DEVIATION * math.sqrt(252)
    assert exact == pytest.approx(9.7211, abs=5e-5)
    assert _by_hand({"sharpe": 9.721})["sharpe"] == ("explained", "252 periods a year")
    assert _by_hand({"sharpe": 9.72})["sharpe"] == ("explained", "252 periods a year")
    assert _by_hand({"sharpe": 9.73})["sharpe"] == ("unexplained", "")
    assert _by_hand({"sharpe": 10})["sharpe"] == ("unexplained", "")  # too few digits to tell anything by


def test_a_given_risk_free_rate_may_be_divided_in_place_of_rooted() -> None:
    value = (0.01 - 0.05 / 300) / DEVIATION * math.sqrt(300)
    words = "the risk-free rate divided by the periods of a year"
    assert _by_hand({"sharpe": value}, rate=0.05)["sharpe"] == ("explained", words)


def test_ratios_of_freqtrade_are_of_its_trades() -> None:
    profits = np.array([3.0, -1.0, 2.0, -2.0]) / 1000.0
    value = profits.sum() / 4 / profits.std() * math.sqrt(365)
    status, words = _by_hand({"sharpe": float(value)}, "freqtrade", cash=1000.0)["sharpe"]
    assert status == "explained" and words.startswith("sum of the trades' pnl on the initial cash a day")
    calmar = 100 * profits.sum() / 4 / (2.0 / 1004.0) * math.sqrt(365.0)
    status, words = _by_hand({"calmar": float(calmar)}, "freqtrade", cash=1000.0)["calmar"]
    assert status == "explained" and "the drawdown where it is deepest in money" in words
    assert _by_hand({"calmar": float(calmar) * 1.001}, "freqtrade", cash=1000.0)["calmar"] == ("unexplained", "")


def test_a_figure_of_few_digits_is_not_explained_by_chance() -> None:
    found = []
    for at in range(400):
        value = 3.0 + at * 0.01  # the true ones are above 9
        found.append(_by_hand({"sharpe": round(value, 2)})["sharpe"][0])
    assert found.count("explained") <= 2
    exact = 0.01 / DEVIATION * math.sqrt(12)  # the control
    assert _by_hand({"sharpe": exact})["sharpe"] == ("explained", "12 periods a year")
    assert _by_hand({"sharpe": round(exact, 2)})["sharpe"] == ("unexplained", "")


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"sharpe": None, "sortino": "x", "calmar": float("nan"), "cagr": float("inf"), "skew": True, "sqn": [1]},
        {str(number): number for number in range(5_000)},
        {"sharpe": 10**300, "total_return": -(10**300), "win_rate": 1e-320},
    ],
)
def test_no_figure_of_an_engine_breaks_it(own: dict[str, Any]) -> None:
    for engine in ("", "backtesting", "x" * 300):
        assert len(_by_hand(own, engine)) <= 500
    nothing = np.empty(0)
    rows = reconcile("bt", own, nothing.astype("M8[ns]"), nothing, None, {})
    assert {row["status"] for row in rows} <= {"unexplained", "unknown"}


def test_the_tables_name_only_what_is_there() -> None:
    for row in NAMES:
        assert set(row.measures) <= set(MEASURES), row
    for measure in MEASURES.values():
        assert set(measure.axes) <= set(AXES)
    for axis, choices in AXES.items():
        assert getattr(OURS, axis) == choices[0].key
