"""A benchmark beside bars: at each bar the last close that was known by then, and none of later."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.market import fingerprint
from peak_trade.market.bars import Bars
from peak_trade.market.benchmark import Benchmark, closing
from peak_trade.market.benchmark_file import read_benchmark


def bars_at(times: list[str], closes: list[float] | None = None, timeframe: str = "1d", name: str = "TEST") -> Bars:
    close = np.array(closes if closes is not None else [100.0] * len(times))
    stamps = np.array(times, "datetime64[ns]")
    return Bars(stamps, close, close, close, close, np.zeros(len(close)), name, timeframe).freeze()


def beside(times: list[str], closes: list[float], timeframe: str = "1d") -> Benchmark:
    return Benchmark(bars_at(times, closes, timeframe, "SPX"), [], [])


WEEK = [f"2024-03-{day:02}" for day in range(4, 13)]  # Monday to the Tuesday after
SESSIONS = ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"]


def test_over_a_weekend_the_friday_s_close_stands() -> None:
    found = beside(SESSIONS, [10, 11, 12, 13, 14, 15, 16]).over(bars_at(WEEK))
    assert found.closes(bars_at(WEEK)).tolist() == [10, 11, 12, 13, 14, 14, 14, 15, 16]
    assert found.stale == ""


def test_a_holiday_of_the_benchmark_alone_carries_its_close_and_one_of_the_bars_alone_skips_one() -> None:
    shut = beside(["2024-03-04", "2024-03-05", "2024-03-07"], [10, 11, 13])
    assert shut.closes(bars_at(WEEK[:4])).tolist() == [10, 11, 11, 13]
    bars = bars_at(["2024-03-04", "2024-03-07"])
    assert beside(SESSIONS[:4], [10, 11, 12, 13]).closes(bars).tolist() == [10, 13]


def test_hours_of_a_day_see_the_close_of_the_day_before_until_the_day_is_over() -> None:
    hours = bars_at(["2024-03-05T21", "2024-03-05T22", "2024-03-05T23", "2024-03-06T00"], timeframe="1h")
    daily = beside(["2024-03-04", "2024-03-05", "2024-03-06"], [10, 11, 12])
    assert daily.closes(hours).tolist() == [10, 10, 11, 11]  # the bar of 23 o'clock closes as the day does


def test_a_day_sees_the_last_hour_that_closed_within_it() -> None:
    hourly = beside(["2024-03-04T22", "2024-03-04T23", "2024-03-05T00", "2024-03-05T01"], [1, 2, 3, 4], "1h")
    assert hourly.closes(bars_at(["2024-03-04", "2024-03-05"])).tolist() == [2, 4]


def test_a_week_s_close_is_known_at_its_end() -> None:
    weekly = beside(["2024-02-26", "2024-03-04", "2024-03-11"], [1, 2, 3], "1w")
    assert weekly.closes(bars_at(WEEK)).tolist() == [1, 1, 1, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(("timeframe", "own"), [("1h", "1d"), ("15m", "1h"), ("1d", "1d"), ("1d", "1h"), ("1d", "1w")])
def test_no_bar_sees_a_close_of_later(timeframe: str, own: str) -> None:
    """With a control: aligned by opening times, as a join of tables does, bars do see what comes later."""
    length = {"15m": 15, "1h": 60, "1d": 1_440, "1w": 10_080}
    start = np.datetime64("2024-01-01T00:00", "ns")
    of_bars = start + np.arange(70) * np.timedelta64(length[timeframe], "m")
    of_own = start - np.timedelta64(length["1w"], "m") + np.arange(2_000) * np.timedelta64(length[own], "m")
    one = np.ones(70)
    bars = Bars(of_bars, one, one, one, one, one, "TEST", timeframe)
    known_at = of_own + np.timedelta64(length[own], "m")
    closes = known_at.astype("datetime64[m]").astype(float)  # each close says when it was known
    found = Benchmark(Bars(of_own, closes, closes, closes, closes, closes, "SPX", own), [], []).closes(bars)
    over = (of_bars + np.timedelta64(length[timeframe], "m")).astype("datetime64[m]").astype(float)
    assert (found <= over).all()
    assert (over - found < length[own]).all()  # and none is older than need be
    joined = closes[np.searchsorted(of_own, of_bars, side="right") - 1]
    assert (joined > over).any() == (length[own] > length[timeframe])


def test_days_of_new_york_are_as_long_as_their_clocks_say() -> None:
    """The third of November 2024 has 25 hours there, and its close is known at 05:00 UTC, not at 04:00."""
    daily = beside(["2024-11-02T04", "2024-11-03T04", "2024-11-04T05", "2024-11-05T05"], [1, 2, 3, 4])
    hours = bars_at(["2024-11-04T02", "2024-11-04T03", "2024-11-04T04", "2024-11-04T05"], timeframe="1h")
    assert daily.closes(hours).tolist() == [1, 1, 2, 2]
    days = bars_at(["2024-11-02T04", "2024-11-03T04", "2024-11-04T05"])
    assert daily.closes(days).tolist() == [1, 2, 3]
    spring = bars_at(["2024-03-09T05", "2024-03-10T05", "2024-03-11T04"])  # of which the second has 23 hours
    assert closing(spring).astype("M8[h]").astype(str).tolist() == ["2024-03-10T05", "2024-03-11T04", "2024-03-12T04"]


def test_times_of_a_zone_are_those_of_utc(tmp_path: Path) -> None:
    path = tmp_path / "spx.csv"
    path.write_text(
        "date,open,high,low,close\n"
        "2024-03-04T00:00:00+09:00,1,1,1,1\n2024-03-05T00:00:00+09:00,2,2,2,2\n2024-03-06T00:00:00+09:00,3,3,3,3\n"
    )
    found = read_benchmark(path, "nikkei")
    assert closing(found.bars).astype("M8[h]").astype(str).tolist()[:2] == ["2024-03-04T15", "2024-03-05T15"]
    hours = bars_at(["2024-03-05T13", "2024-03-05T14", "2024-03-05T15"], timeframe="1h")
    assert found.closes(hours).tolist() == [1, 2, 2]


def test_what_is_held_follows_the_closes_without_costs_from_the_first_bar_s_on() -> None:
    found = beside(SESSIONS, [10, 11, 12, 13, 14, 15, 16])
    assert found.equity(bars_at(WEEK[1:4]), 1_100.0).tolist() == pytest.approx([1_100, 1_200, 1_300], rel=1e-15)


def test_as_much_of_it_counts_as_the_bars_need_so_that_a_file_may_grow() -> None:
    some, bars = beside(SESSIONS, [10, 11, 12, 13, 14, 15, 16]), bars_at(WEEK[2:6])
    more = beside(["2024-03-01", *SESSIONS, "2024-03-13"], [9, 10, 11, 12, 13, 14, 15, 16, 17])
    cut = some.over(bars)
    assert cut.bars.timestamp.astype("M8[D]").astype(str).tolist() == SESSIONS[1:5]
    assert fingerprint.digest(cut.bars) == fingerprint.digest(more.over(bars).bars)
    assert fingerprint.digest(cut.over(bars).bars) == fingerprint.digest(cut.bars)
    revised = beside(SESSIONS, [10, 11, 12.5, 13, 14, 15, 16])
    assert fingerprint.digest(cut.bars) != fingerprint.digest(revised.over(bars).bars)


def test_one_that_begins_later_is_refused_with_a_start_that_is_taken() -> None:
    late, bars = beside(SESSIONS[2:], [12, 13, 14, 15, 16]), bars_at(WEEK)
    with pytest.raises(InputError, match="begins after the bars: its first close is known at 2024-03-07") as caught:
        late.over(bars)
    assert caught.value.hint == 'data.start = "2024-03-06T00:00:00Z", or a file that begins earlier'
    assert late.over(bars_at(WEEK[2:])).closes(bars_at(WEEK[2:]))[0] == 12


def test_one_of_another_time_is_refused() -> None:
    with pytest.raises(InputError, match="begins after the bars") as caught:
        beside(["2025-03-04", "2025-03-05"], [1, 2]).over(bars_at(WEEK))
    assert caught.value.hint == "take later bars, or a file that begins earlier"
    with pytest.raises(InputError, match="ends before the bars begin: its last close is known at 2023-03-06"):
        beside(["2023-03-04", "2023-03-05"], [1, 2]).over(bars_at(WEEK))


def test_one_without_closes_is_refused() -> None:
    with pytest.raises(InputError, match="the benchmark SPX has no closes"):
        beside([], []).over(bars_at(WEEK))
    with pytest.raises(InputError, match="no close at the first bar's"):
        beside([], []).closes(bars_at(WEEK))


def test_bars_long_without_a_close_are_told_and_those_of_a_usual_closing_are_not() -> None:
    days = [str(day) for day in np.arange("2024-03-04", "2024-03-21", dtype="M8[D]")]
    assert beside(SESSIONS, [10, 11, 12, 13, 14, 15, 16]).over(bars_at(days)).stale == ""
    days = [str(day) for day in np.arange("2024-03-04", "2024-03-24", dtype="M8[D]")]
    stale = beside(SESSIONS, [10, 11, 12, 13, 14, 15, 16]).over(bars_at(days)).stale
    assert "at 3 of 20 bars, the first 2024-03-21T00:00:00Z" in stale
    assert stale.endswith("for 11 days at the longest")


def write(path: Path, *rows: str, head: str = "date,open,high,low,close,volume") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["2024-03-04,1,1,1,1,0", "2024-03-04,1,1,1,1,0", "2024-03-05,1,1,1,1,0"], "timestamp_unique"),
        (
            ["2024-03-04,1,1,1,1,0", "2024-03-07,1,1,1,1,0", "2024-03-06,1,1,1,1,0", "2024-03-08,1,1,1,1,0"],
            "row 4, column timestamp",
        ),
        (["2024-03-04,1,1,1,1,0", "2024-03-05,1,1,1,-1,0", "2024-03-06,1,1,1,1,0"], "row 3"),
        (["2024-03-04,1,1,1,1,0", "2024-03-05,1,1,1,,0", "2024-03-06,1,1,1,1,0"], "row 3"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_benchmark(write(tmp_path / "spx.csv", *rows), "spx")
    assert re.match("the benchmark spx breaks the contract of bars, [12] violations?:", caught.value.message)
    assert said in caught.value.message
    assert "spx.csv row" in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_closes_alone_and_an_index_without_volume_are_taken(tmp_path: Path) -> None:
    rows = [f"{day},{close}" for day, close in zip(SESSIONS, range(10, 17), strict=True)]
    found = read_benchmark(write(tmp_path / "a.csv", *rows, head="Date,Close"), "a")
    assert (found.bars.close.tolist(), found.bars.timeframe) == ([10, 11, 12, 13, 14, 15, 16], "1d")
    rows = [f"{day},1,1,1,1,-" for day in SESSIONS[:3]]
    assert read_benchmark(write(tmp_path / "b.csv", "2024-03-01,1,1,1,1,5", *rows), "b").bars.volume.tolist()[1:] == [
        0,
        0,
        0,
    ]


def test_other_columns_of_prices_are_not_taken_for_closes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column for high, low"):
        read_benchmark(write(tmp_path / "a.csv", "2024-03-04,1,2", "2024-03-05,1,2", head="date,open,close"), "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"date,open,high,low,close\n", "has a header and no rows"),
        (b"\x00\x01\x02binary", "the benchmark: "),
        (b"PAR1nonsense", "the benchmark: "),
        (b"<!doctype html><html></html>", "is a web page"),
        (b"date,open,high,low,close\n2024-03-04,1,1,1,1\n", "does not tell its timeframe: 1 rows"),
    ],
)
def test_what_is_no_file_of_bars_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "spx.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_benchmark(path, "spx")
    assert said in caught.value.message
    assert caught.value.hint and "buy_and_hold" in caught.value.hint
