from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.market.bars import Bars
from peak_trade.market.fingerprint import compare, fingerprint

Hours = Callable[..., Bars]

HOUR_NS = 3600 * 10**9
START_NS = 1_704_067_200 * 10**9  # 2024-01-01


def independent_digest(rows: list[tuple[int, float, float, float, float, float]], timeframe: str = "1h") -> str:
    """Work out a digest with struct and hashlib alone, as the docstring of `fingerprint` words it."""
    header = {
        "format": "peak_trade.bars/1",
        "symbol": "TEST",
        "timeframe": timeframe,
        "columns": [["timestamp", "<i8"], *([name, "<f8"] for name in ("open", "high", "low", "close", "volume"))],
    }
    data = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    data += b"".join(struct.pack("<q", row[0]) for row in rows)
    for column in range(1, 6):
        data += b"".join(struct.pack("<d", row[column]) for row in rows)
    return hashlib.sha256(data).hexdigest()


def hour(number: int) -> tuple[int, float, float, float, float, float]:
    return (
        START_NS + number * HOUR_NS,
        10.0 + number,
        12.0 + number,
        9.0 + number,
        11.0 + number,
        100.0 * (1 + number),
    )


def every(days: int, count: int) -> list[str]:
    return [str(day) for day in np.datetime64("2024-01-01") + np.arange(count) * days]


def test_the_digest_of_three_bars_is_this(hours: Hours) -> None:
    expected = independent_digest([hour(0), hour(1), hour(2)])
    assert expected == "82b258b2aa57ee97ba16c2458d4c9bf5128ec5eda1c77ce7a5b8a453b7f99133"
    assert fingerprint(hours(3)) == {
        "digest": expected,
        "rows": 3,
        "start": "2024-01-01T00:00:00Z",
        "end": "2024-01-01T02:00:00Z",
        "by": "day",
        "parts": {"2024-01-01": expected},
    }


def test_a_part_is_the_digest_of_its_days_bars(hours: Hours) -> None:
    found = fingerprint(hours(50))
    assert found["digest"] == independent_digest([hour(number) for number in range(50)])
    assert found["parts"] == {
        "2024-01-01": independent_digest([hour(number) for number in range(24)]),
        "2024-01-02": independent_digest([hour(number) for number in range(24, 48)]),
        "2024-01-03": independent_digest([hour(48), hour(49)]),
    }


@pytest.mark.parametrize(("days", "by"), [(366, "day"), (367, "month")])
def test_up_to_366_days_are_told_apart_by_day(hours: Hours, days: int, by: str) -> None:
    assert fingerprint(hours(days, timestamp=every(1, days), timeframe="1d"))["by"] == by


def test_more_days_are_told_apart_by_month(hours: Hours) -> None:
    found = fingerprint(hours(400, timestamp=every(1, 400), timeframe="1d"))
    assert list(found["parts"]) == [f"2024-{month:02}" for month in range(1, 13)] + ["2025-01", "2025-02"]
    january = [(START_NS + day * 24 * HOUR_NS, *hour(day)[1:]) for day in range(31)]
    assert found["parts"]["2024-01"] == independent_digest(january, "1d")


def test_no_bars_have_a_fingerprint_too(hours: Hours) -> None:
    assert fingerprint(hours(0)) == {
        "digest": independent_digest([]),
        "rows": 0,
        "start": None,
        "end": None,
        "by": "day",
        "parts": {},
    }


@pytest.mark.parametrize("change", [{"symbol": "OTHER"}, {"timeframe": "60m"}])
def test_symbol_and_timeframe_are_part_of_it(hours: Hours, change: dict[str, str]) -> None:
    assert fingerprint(msgspec.structs.replace(hours(), **change))["digest"] != fingerprint(hours())["digest"]


def test_a_symbol_cannot_pass_for_a_timeframe(hours: Hours) -> None:
    one = msgspec.structs.replace(hours(), symbol='A","timeframe":"1d')
    other = msgspec.structs.replace(hours(), symbol="A", timeframe='1d","timeframe":"1h')
    assert fingerprint(one)["digest"] != fingerprint(other)["digest"]


@pytest.mark.parametrize("column", ["timestamp", "open", "high", "low", "close", "volume"])
def test_the_last_bit_of_any_column_changes_it(hours: Hours, column: str) -> None:
    bars = hours(50)
    changed: Any = getattr(bars, column).copy()
    changed.view(np.int64)[30] += 1
    found = fingerprint(msgspec.structs.replace(bars, **{column: changed}))
    assert found["digest"] != fingerprint(bars)["digest"]
    assert compare(fingerprint(bars), found) == ["2024-01-02"]


def test_the_memory_layout_of_the_columns_does_not_matter(hours: Hours) -> None:
    bars = hours(6)
    spread = msgspec.structs.replace(bars, close=np.repeat(bars.close, 2)[::2], open=bars.open.astype(">f8"))
    assert not spread.close.flags.c_contiguous
    assert fingerprint(spread) == fingerprint(bars)


def test_equal_bars_differ_nowhere(hours: Hours) -> None:
    assert compare(fingerprint(hours(50)), fingerprint(hours(50))) == []


def test_added_and_missing_days_differ(hours: Hours) -> None:
    long, short = fingerprint(hours(72)), fingerprint(hours(48))
    assert compare(long, short) == compare(short, long) == ["2024-01-03"]


def test_days_and_months_cannot_be_matched_and_all_are_named(hours: Hours) -> None:
    by_day = fingerprint(hours(2, timestamp=every(1, 2), timeframe="1d"))
    by_month = fingerprint(hours(400, timestamp=every(1, 400), timeframe="1d"))
    assert compare(by_day, by_month) == sorted([*by_day["parts"], *by_month["parts"]])


@given(st.integers(1, 100), st.data())
def test_exactly_the_changed_day_is_named(count: int, data: st.DataObject) -> None:
    closes = np.linspace(1, 2, count)
    row = data.draw(st.integers(0, count - 1))
    other = closes.copy()
    other[row] *= 2
    times = np.datetime64("2024-01-01", "ns") + np.arange(count) * np.timedelta64(7, "h")
    one, two = (Bars(times, x, x, x, x, x, symbol="TEST", timeframe="7h") for x in (closes, other))
    assert compare(fingerprint(one), fingerprint(two)) == [str(times[row].astype("datetime64[D]"))]
