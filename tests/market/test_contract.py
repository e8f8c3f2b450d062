from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import open_data_contract_standard
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from peak_trade.market import contract
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.contract import OHLCV_RULES, TRADES_RULES, Rule, check_ohlcv, check_trades
from peak_trade.market.trades import EXIT_REASONS, Trades

Hours = Callable[..., Bars]

CONTRACTS = Path(contract.__file__).parent / "contracts"
NAMES = ("ohlcv", "trades")
NAN, INF = float("nan"), float("inf")


def written(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONTRACTS / f"{name}.odcs.yaml").read_text())
    return loaded


def properties(name: str) -> list[dict[str, Any]]:
    (table,) = written(name)["schema"]
    return list(table["properties"])


# The files


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_valid_by_the_standards_own_schema(name: str) -> None:
    schema = json.loads((Path(open_data_contract_standard.__file__).parent / "schema.json").read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(written(name))


def test_the_standards_own_schema_can_fail() -> None:
    schema = json.loads((Path(open_data_contract_standard.__file__).parent / "schema.json").read_text())
    spoiled = written("ohlcv")
    spoiled["schema"][0]["properties"][0]["quality"][0]["rule_id"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate(spoiled)


@pytest.mark.parametrize("name", NAMES)
def test_the_standards_own_package_reads_the_file(name: str) -> None:
    read = OpenDataContractStandard.from_file(str(CONTRACTS / f"{name}.odcs.yaml"))
    assert read.id == f"peak-trade-{name}"
    assert read.kind == "DataContract"
    assert read.apiVersion == "v3.1.0"


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_a_description_and_types(name: str) -> None:
    for column in properties(name):
        assert column["description"].endswith(".")
        assert column["logicalType"]
        assert column["physicalType"]


def test_the_columns_are_those_of_bars_and_of_trades() -> None:
    assert [column["name"] for column in properties("ohlcv")] == list(COLUMNS)
    named = {"symbols": "symbol", "currencies": "currency", "groups": "group"}  # of several, each trade's own
    held = [named.get(field.name, field.name.rstrip("_")) for field in msgspec.structs.fields(Trades)]
    assert {column["name"] for column in properties("trades")} == {"trade_id", *held}


@pytest.mark.parametrize(("name", "rules"), [("ohlcv", OHLCV_RULES), ("trades", TRADES_RULES)])
def test_the_file_and_the_code_hold_the_same_rules_word_for_word(name: str, rules: dict[str, Rule]) -> None:
    in_file = {
        rule["name"]: Rule(column["name"], rule["description"])
        for column in properties(name)
        for rule in column.get("quality", [])
    }
    assert in_file == rules


def test_the_contract_is_enforced_without_a_yaml_parser() -> None:
    code = "import sys, peak_trade.market.contract; print('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Bars: each rule, broken alone. The bars of `hours` open at 10, 11, …, high at 12, …, low at 9, …, close at 11, …

DAY = ["2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T03", "2024-01-01T04"]
BROKEN_BARS: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "timestamp_present": ({"timestamp": ["NaT", *DAY[:4]]}, 0, "NaT"),
    "timestamp_increasing": ({"timestamp": [*DAY[:3], "2024-01-01T01:30", DAY[3]]}, 3, "2024-01-01T01:30:00Z"),
    "timestamp_unique": ({"timestamp": [*DAY[:3], DAY[2], DAY[3]]}, 3, "2024-01-01T02:00:00Z"),
    "timeframe_spacing": ({"timeframe": "4h"}, None, "declared 4h, found 1h,"),
    "open_positive": ({"open": [10, 11, INF, 13, 14], "high": [12, 13, INF, 15, 16]}, 2, "inf"),
    "high_positive": ({"high": [12, 13, NAN, 15, 16]}, 2, "nan"),
    "low_positive": ({"low": [9, 10, 11, -0.0, 13]}, 3, "-0.0"),
    "close_positive": ({"close": [NAN, 12, 13, 14, 15]}, 0, "nan"),
    "high_highest": ({"high": [12, 13, 14, 15, 14.9]}, 4, "14.9"),
    "low_lowest": ({"low": [9, 11.5, 11, 12, 13]}, 1, "11.5"),
    "volume_not_negative": ({"volume": [0, 1, 2, -1, 3]}, 3, "-1.0"),
}


def test_every_rule_of_bars_has_a_case_here() -> None:
    assert BROKEN_BARS.keys() == OHLCV_RULES.keys()


@pytest.mark.parametrize("rule", BROKEN_BARS)
def test_a_broken_rule_of_bars_is_found_and_named(hours: Hours, rule: str) -> None:
    columns, row, value = BROKEN_BARS[rule]
    found = check_ohlcv(hours(**columns))
    # an infinite open has an infinite high beside it, or the high would be broken as well
    assert [seen for seen in found.first if seen.rule == rule] == [
        contract.Violation(rule, row, OHLCV_RULES[rule].column, value, OHLCV_RULES[rule].must)
    ]
    assert set(found.by_rule) == {rule} | ({"high_positive"} if rule == "open_positive" else set())


def test_bars_that_keep_the_rules_have_no_violation(hours: Hours) -> None:
    found = check_ohlcv(hours())
    assert (len(found), found.lines(), found.rows.tolist()) == (0, [], [False] * 5)


def test_no_bars_break_no_rule(hours: Hours) -> None:
    assert len(check_ohlcv(hours(0))) == 0


def test_equal_prices_and_no_volume_are_allowed(hours: Hours) -> None:
    flat = dict.fromkeys(("open", "high", "low", "close"), [5.0] * 5)
    assert len(check_ohlcv(hours(**flat, volume=[0.0] * 5))) == 0


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [NAN, INF, -INF, -1.0])
def test_no_column_takes_what_is_not_finite_or_negative(hours: Hours, column: str, value: float) -> None:
    values = getattr(hours(), column).tolist()
    values[2] = value
    found = check_ohlcv(hours(**{column: values}))
    rule = "volume_not_negative" if column == "volume" else f"{column}_positive"
    assert found.by_rule[rule] == 1
    assert found.rows.tolist() == [False, False, True, False, False]


def test_a_fraction_is_a_price_and_a_volume(hours: Hours) -> None:
    flat = dict.fromkeys(("open", "high", "low", "close", "volume"), [0.001] * 5)
    assert len(check_ohlcv(hours(**flat))) == 0


def test_zero_is_no_price(hours: Hours) -> None:
    found = check_ohlcv(hours(low=[9, 10, 0, 12, 13]))
    assert found.by_rule == {"low_positive": 1}


def test_every_row_behind_an_outlier_in_time_is_late(hours: Hours) -> None:
    found = check_ohlcv(hours(timestamp=[DAY[0], "2024-01-02", *DAY[2:]]))
    assert [seen.row for seen in found.first if seen.rule == "timestamp_increasing"] == [2, 3, 4]


def test_a_row_out_of_order_is_not_broken_in_itself(hours: Hours) -> None:
    found = check_ohlcv(hours(timestamp=[DAY[0], DAY[0], *DAY[1:4]], volume=[1, 1, 1, -1, 1]))
    assert found.by_rule == {"timestamp_unique": 1, "volume_not_negative": 1}
    assert found.rows.tolist() == [False, False, False, True, False]


def test_a_repetition_further_up_is_found_too(hours: Hours) -> None:
    found = check_ohlcv(hours(timestamp=[DAY[0], DAY[2], DAY[3], DAY[2], DAY[4]]))
    assert found.by_rule == {"timestamp_increasing": 1, "timestamp_unique": 1}
    assert [seen.row for seen in found.first] == [3, 3]


def test_two_bars_are_too_few_to_judge_their_spacing(hours: Hours) -> None:
    over_a_weekend = ["2024-01-05", "2024-01-08"]
    assert len(check_ohlcv(hours(2, timestamp=over_a_weekend, timeframe="1d"))) == 0


def test_three_bars_are_enough_to_judge_their_spacing(hours: Hours) -> None:
    assert check_ohlcv(hours(3, timeframe="1d")).by_rule == {"timeframe_spacing": 1}


def test_missing_bars_do_not_make_a_timeframe_wrong(hours: Hours) -> None:
    assert len(check_ohlcv(hours(timestamp=[*DAY[:3], "2024-02-01T00", "2024-03-01T00"]))) == 0


def test_violations_are_shown_by_row_the_first_twenty(hours: Hours) -> None:
    # 30 rows, each with a low above its close and a negative volume; and hours called minutes
    found = check_ohlcv(hours(30, low=[50.0] * 30, high=[60.0] * 30, volume=[-1.0] * 30, timeframe="1m"))
    assert len(found) == 61
    assert found.by_rule == {"low_lowest": 30, "volume_not_negative": 30, "timeframe_spacing": 1}
    assert [seen.row for seen in found.first] == [None, *(row for row in range(10) for _ in "ab")][:20]
    lines = found.lines(lambda row: f"line {row + 2}")
    assert lines[0] == (
        "column timestamp: declared 1m, found 1h, must be spaced, at the median, as the timeframe declares"
        " (timeframe_spacing)"
    )
    assert lines[1] == "line 2, column low: 50.0 must not be above open or close (low_lowest)"
    assert lines[20:] == ["and 41 more"]


# Trades


def trades(**columns: list[Any]) -> Trades:
    """Return two trades that break no rule, with some columns replaced."""
    values: dict[str, np.ndarray[Any, Any]] = {
        "side": np.array([1, -1], np.int8),
        "entry_time": np.array(["2024-01-01", "2024-01-03"], "datetime64[ns]"),
        "entry_price": np.array([10.0, 20.0]),
        "exit_time": np.array(["2024-01-02", "2024-01-03"], "datetime64[ns]"),
        "exit_price": np.array([11.0, 21.0]),
        "quantity": np.array([1.0, 2.0]),
        "entry_fee": np.array([0.0, 0.1]),
        "exit_fee": np.array([0.0, 0.1]),
        "slippage": np.array([0.0, 0.2]),
        "pnl": np.array([1.0, -2.2]),
        "return_": np.array([0.1, -0.055]),
        "bars_held": np.array([1, 0], np.int64),
        "exit_reason": np.array([0, 4], np.int8),
        "mae": np.array([-0.1, 0.0]),
        "mfe": np.array([0.15, 0.0]),
    }
    for name, column in columns.items():
        values[name] = np.array(column, values[name].dtype)
    return Trades(symbol="TEST", **values)


BROKEN_TRADES: dict[str, tuple[dict[str, list[Any]], int, str]] = {
    "side_known": ({"side": [1, 0]}, 1, "0"),
    "entry_time_present": ({"entry_time": ["NaT", "2024-01-03"]}, 0, "NaT"),
    "exit_not_before_entry": ({"entry_time": ["2024-01-02T01", "2024-01-03"]}, 0, "2024-01-02T00:00:00Z"),
    "exits_ordered": (
        {"entry_time": ["2024-01-01"] * 2, "exit_time": ["2024-01-03", "2024-01-02"]},
        1,
        "2024-01-02T00:00:00Z",
    ),
    "entry_price_positive": ({"entry_price": [10, 0]}, 1, "0.0"),
    "exit_price_positive": ({"exit_price": [INF, 20]}, 0, "inf"),
    "quantity_positive": ({"quantity": [1, -2]}, 1, "-2.0"),
    "entry_fee_not_negative": ({"entry_fee": [0, -0.1]}, 1, "-0.1"),
    "exit_fee_not_negative": ({"exit_fee": [NAN, 0]}, 0, "nan"),
    "slippage_not_negative": ({"slippage": [-1, 0]}, 0, "-1.0"),
    "pnl_finite": ({"pnl": [1, NAN]}, 1, "nan"),
    "return_finite": ({"return_": [INF, 0]}, 0, "inf"),
    "bars_held_not_negative": ({"bars_held": [1, -1]}, 1, "-1"),
    "exit_reason_known": ({"exit_reason": [0, len(EXIT_REASONS)]}, 1, "5"),
    "mae_not_positive": ({"mae": [0.01, 0]}, 0, "0.01"),
    "mfe_not_negative": ({"mfe": [0, -0.01]}, 1, "-0.01"),
}


def test_every_rule_of_trades_has_a_case_here() -> None:
    assert BROKEN_TRADES.keys() == TRADES_RULES.keys()


@pytest.mark.parametrize("rule", BROKEN_TRADES)
def test_a_broken_rule_of_trades_is_found_and_named(rule: str) -> None:
    columns, row, value = BROKEN_TRADES[rule]
    found = check_trades(trades(**columns))
    expected = contract.Violation(rule, row, TRADES_RULES[rule].column, value, TRADES_RULES[rule].must)
    assert found.first == [expected]
    assert len(found) == 1


def test_trades_that_keep_the_rules_have_no_violation() -> None:
    assert len(check_trades(trades())) == 0


def test_excursions_that_are_not_there_break_no_rule() -> None:
    assert len(check_trades(trades(mae=[NAN, -0.1], mfe=[NAN, 0.1]))) == 0
    names = [field.name for field in msgspec.structs.fields(Trades)[1:] if field.required]
    older = {name: getattr(trades(), name) for name in names}
    assert len(check_trades(Trades(symbol="TEST", **older))) == 0


@pytest.mark.parametrize("column", ["mae", "mfe"])
def test_an_endless_excursion_is_found(column: str) -> None:
    assert len(check_trades(trades(**{column: [-INF if column == "mae" else INF, 0]}))) == 1


def test_a_missing_exit_time_is_found() -> None:
    found = check_trades(trades(exit_time=["NaT", "2024-01-03"]))
    assert found.by_rule == {"exit_not_before_entry": 1}


def test_no_trades_break_no_rule() -> None:
    names = [field.name for field in msgspec.structs.fields(Trades)[1:] if field.required]
    none = {name: getattr(trades(), name)[:0] for name in names}
    assert len(check_trades(Trades(symbol="TEST", **none))) == 0


def test_of_another_engine_side_and_the_order_of_times_alone_are_held() -> None:
    unsaid = trades(
        slippage=[NAN, NAN], pnl=[NAN, NAN], bars_held=[-1, -1], exit_reason=[-1, -1], entry_fee=[-1.0, 0.0]
    )
    assert len(check_trades(unsaid)) > 0
    assert len(check_trades(unsaid, gaps=True)) == 0
    assert [one.rule for one in check_trades(trades(side=[0, 1]), gaps=True).first] == ["side_known"]
