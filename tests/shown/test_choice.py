"""Which runs a person asks for, and what is no question."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.shown.choice import Choice, condition, moment
from peak_trade.shown.listing import Row

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(number: int, **more: Any) -> Row:
    known: dict[str, Any] = {
        "run_id": f"{number:08x}-0000-4000-8000-000000000000",
        "started": f"2026-11-{number:02}T12:00:00.000Z",
        "strategy": "sma_crossover",
        "symbol": "BTC/USDT",
        "timeframe": "1h",
        "total_return": number / 10,
        "sharpe": float(number),
        "max_drawdown": None,
        "trades": 5,
        "status": "sealed",
        "params": {"fast": number, "mode": "Both", "short": number == 1},
        "settings": {"execution.fee_bps": float(number)},
    }
    return Row(**known | more)


ROWS = [row(1), row(2, strategy="macd", symbol="SPX", name="grid A"), row(3, status="failed", sharpe=None, settings={})]


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ((), [1, 2, 3]),
        (("fast=2",), [2]),
        (("fast = 2.0",), [2]),
        (("fast == 2",), [2]),
        (("data.symbol=SPX",), [2]),
        (("run.name~grid",), [2]),
        (("fast>=2",), [2, 3]),
        (("fast!=2",), [1, 3]),
        (("strategy.params.fast<2",), [1]),
        (("fast>1", "fast<3"), [2]),
        (("sharpe>0",), [1, 2]),
        (("sharpe=none",), [3]),
        (("sharpe!=none",), [1, 2]),
        (("return>15%",), [2, 3]),
        (("total_return > 0.15",), [2, 3]),
        (("status=failed",), [3]),
        (("status=FAILED",), [3]),
        (("name~grid",), [2]),
        (('name="grid A"',), [2]),
        (("mode=both",), [1, 2, 3]),
        (("short=true",), [1]),
        (("short=1",), []),
        (("execution.fee_bps=2",), [2]),
        (("execution.fee_bps=0",), [3]),
        (("fee_bps=2",), [2]),
        (("started>2026-11-02",), [2, 3]),
        (("fast=two",), []),
        (("run_id~00000002-",), [2]),
    ],
)
def test_a_condition_keeps_the_runs_of_which_it_is_so(conditions: tuple[str, ...], numbers: list[int]) -> None:
    assert [one.params["fast"] for one in Choice.read("", "", None, conditions).of(ROWS)] == numbers


@pytest.mark.parametrize(
    ("strategy", "symbol", "numbers"), [("sma", "", [1, 3]), ("", "spx", [2]), ("SMA", "btc", [1, 3]), ("x", "", [])]
)
def test_a_part_of_a_name_is_enough(strategy: str, symbol: str, numbers: list[int]) -> None:
    assert [one.params["fast"] for one in Choice.read(strategy, symbol, None, ()).of(ROWS)] == numbers


def test_since_keeps_what_began_then_or_later() -> None:
    assert [one.params["fast"] for one in Choice.read("", "", "2026-11-02T12:00", ()).of(ROWS)] == [2, 3]
    assert [one.params["fast"] for one in Choice.read("", "", "2026-11-02T12:00:00.001", ()).of(ROWS)] == [3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", "2026-11-21T12:00:00+00:00"),
        ("-7d", "2026-11-21T12:00:00+00:00"),
        ("90min", "2026-11-28T10:30:00+00:00"),
        ("2w", "2026-11-14T12:00:00+00:00"),
        ("1y", "2025-11-28T12:00:00+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T10:00+02:00", "2026-11-01T08:00:00+00:00"),
    ],
)
def test_a_time_is_a_date_or_so_long_ago(text: str, expected: str) -> None:
    assert moment(text, NOW).isoformat() == expected


@pytest.mark.parametrize("text", ["", "soon", "7", "7q", "999999y", "2026-13-01", "0001-01-01T00:00+23:00"])
def test_what_is_no_time_is_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["", "fast", "=5", " = 5", "fast = = 5 = ="])
def test_what_is_no_condition_is_a_sentence(text: str) -> None:
    if text.startswith("fast ="):
        assert condition(text).value == "= 5 = ="
        return
    with pytest.raises(InputError, match="is no condition"):
        condition(text)


def test_a_condition_on_what_no_run_has_names_what_is_like_it() -> None:
    with pytest.raises(InputError, match="^no run has a `fsat`$") as caught:
        Choice.read("", "", None, ["fsat=1"]).of(ROWS)
    assert caught.value.hint == "did you mean `fast`?"
    assert Choice.read("", "", None, ["fsat=1"]).of([]) == []
