"""What differs between bars, worked out by hand; and the same instants are the same, however they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.market import difference
from peak_trade.market.bars import Bars
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import load_bars

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-01-01T00:00", "ns")


def bars(hours: Any, closes: Any, volume: float = 10.0) -> Bars:
    close = np.array(closes, float)
    times = START + np.array(hours) * HOUR
    return Bars(times, np.full(len(close), 100.0), close + 50, np.full(len(close), 1.0), close,
                np.full(len(close), volume), "X", "1h")  # fmt: skip


def test_bars_that_are_the_same() -> None:
    found = difference.of_bars(bars(range(5), [1] * 5), bars(range(5), [1] * 5))
    assert (found.same, found.periods, found.unchanged) == (True, [], 5)
    assert (found.added, found.removed, found.revised, found.columns) == (0, 0, 0, {})


def test_bars_that_were_added_removed_and_revised_by_day() -> None:
    a = bars([0, 1, 2, 23, 24, 25, 48], [100, 100, 100, 100, 200, 200, 300])
    b = bars([0, 1, 3, 23, 24, 25, 72], [100, 101, 100, 98, 210, 200, 300])
    found = difference.of_bars(a, b)
    assert (found.same, found.unchanged, found.added, found.removed, found.revised) == (False, 2, 2, 2, 3)
    first, second, third, fourth = found.periods
    assert (first.period, first.change) == ("2024-01-01", "mixed")
    assert (first.added, first.removed, first.revised, first.columns) == (1, 1, 2, ["high", "close"])
    assert first.close == pytest.approx(0.02)  # 100 to 98 is more than 100 to 101
    assert (second.period, second.change, second.revised) == ("2024-01-02", "revised", 1)
    assert second.close == pytest.approx(0.05)
    assert (third.period, third.change, third.removed, third.close) == ("2024-01-03", "removed", 1, None)
    assert (fourth.period, fourth.change, fourth.added) == ("2024-01-04", "added", 1)
    assert found.columns.keys() == {"high", "close"}
    assert found.columns["close"] == {"bars": 3, "largest": pytest.approx(0.05)}
    assert found.columns["high"]["largest"] == pytest.approx(10 / 250)


def test_a_change_within_the_tolerance_is_none_and_one_beyond_it_is() -> None:
    a, b = bars([0, 1], [100, 100]), bars([0, 1], [100.5, 102])
    assert difference.of_bars(a, b, 0.01).revised == 1
    assert difference.of_bars(a, b, 0.03).same
    assert difference.of_bars(a, b).revised == 2


def test_a_volume_that_was_none_has_no_share() -> None:
    found = difference.of_bars(bars([0], [1], volume=0.0), bars([0], [1], volume=5.0))
    assert found.columns == {"volume": {"bars": 1, "largest": None}}
    assert (found.periods[0].columns, found.periods[0].close) == (["volume"], None)


def test_nothing_against_something() -> None:
    none, some = bars([], []), bars([0, 30], [1, 1])
    assert difference.of_bars(none, none).same
    assert [one.period for one in difference.of_bars(none, some).periods] == ["2024-01-01", "2024-01-02"]
    assert difference.of_bars(some, none).removed == 2


def test_the_counts_add_up_over_random_bars_as_sets_say() -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        one, other = (np.flatnonzero(draw.random(120) < 0.6) for _ in range(2))
        a, b = (bars(hours, draw.integers(1, 3, len(hours))) for hours in (one, other))
        found = difference.of_bars(a, b)
        values = [dict(zip(side.timestamp.tolist(), side.close.tolist(), strict=True)) for side in (a, b)]
        revised = {at for at in values[0].keys() & values[1].keys() if values[0][at] != values[1][at]}
        assert found.added == len(values[1].keys() - values[0].keys())
        assert found.removed == len(values[0].keys() - values[1].keys())
        assert found.revised == len(revised)
        assert found.unchanged == len(values[0].keys() & values[1].keys()) - len(revised)
        assert sum(p.added + p.removed + p.revised for p in found.periods) == found.added + found.removed + len(revised)
        assert [p.period for p in found.periods] == sorted({p.period for p in found.periods})


def test_fingerprints_tell_the_days_or_months() -> None:
    a = fingerprint(bars([0, 24, 48], [1, 2, 3]))
    b = fingerprint(bars([0, 24, 72], [1, 5, 3]))
    found = difference.of_fingerprints(a, b)
    assert [(one.period, one.change) for one in found.periods] == [
        ("2024-01-02", "revised"),
        ("2024-01-03", "removed"),
        ("2024-01-04", "added"),
    ]
    assert difference.of_fingerprints(a, a).same
    months = fingerprint(bars([0, 24, 48], [1, 2, 4]), by="month")
    assert difference.of_fingerprints(a, months).periods == []  # nothing of a day is in a month's
    assert not difference.of_fingerprints(a, months).same


HEAD = "timestamp,open,high,low,close,volume\n"
WRITTEN = {
    "with a Z": ["2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z"],
    "in Berlin, as summer begins": ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"],
    "in New York": ["2024-03-30 20:00:00-04:00", "2024-03-30 21:00:00-04:00", "2024-03-30 22:00:00-04:00"],
    "in seconds": ["1711843200", "1711846800", "1711850400"],
    "in milliseconds": ["1711843200000", "1711846800000", "1711850400000"],
    "in nanoseconds": ["1711843200000000000", "1711846800000000000", "1711850400000000000"],
    "without a zone": ["2024-03-31 00:00", "2024-03-31 01:00", "2024-03-31 02:00"],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_instants_are_the_same_however_they_are_written(tmp_path: Path, name: str) -> None:
    def load(times: list[str], price: str) -> Bars:
        file = tmp_path / "bars.csv"
        file.write_text(HEAD + "".join(f"{at},{price},2,1,1.5,0\n" for at in times))
        return load_bars(file, symbol="X", timeframe="1h").bars

    a = load(WRITTEN["with a Z"], "1.1")
    assert difference.of_bars(a, load(WRITTEN[name], "1.10000")).same
    found = difference.of_bars(a, load(WRITTEN[name], "1.2"))
    assert (found.revised, [one.period for one in found.periods]) == (3, ["2024-03-31"])
