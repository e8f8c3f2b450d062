from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.market import findings
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.findings import KINDS, Finding
from peak_trade.market.gaps import Gaps
from peak_trade.market.ohlcv import Loaded, load_bars

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
LATER = np.datetime64("2030-01-01", "ns")  # after all bars here
HEADER = "timestamp,open,high,low,close,volume\n"


def load(path: Path, **options: Any) -> Loaded:
    return load_bars(path, **{"symbol": "TEST", "timeframe": "1h", "now": LATER, **options})


def calm(stamps: Any, timeframe: str = "1h", **columns: Any) -> Bars:
    """Bars that swing between 100 and 101, with some columns in place of what they would be."""
    count = len(stamps)
    opened = np.resize([100.0, 101.0], count)
    values = {
        "timestamp": np.array(stamps, "M8[ns]"),
        "open": opened,
        "high": np.full(count, 101.5),
        "low": np.full(count, 99.5),
        "close": 201.0 - opened,
        "volume": np.ones(count),
    } | {name: np.array(column, float) for name, column in columns.items()}
    return Bars(**values, symbol="TEST", timeframe=timeframe)


def hours(count: int, start: str = "2024-01-01", step: str = "1h") -> Any:
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(int(step[:-1]), step[-1])


def said(bars: Bars, gaps: Gaps | None = None, **options: Any) -> dict[str, Finding]:
    found = findings.check(bars, gaps or Gaps(0, []), **{"at": LATER, **options})
    assert {one.kind for one in found} <= KINDS.keys()
    assert len({one.kind for one in found}) == len(found)
    return {one.kind: one for one in found}


def of(kind: str, loaded: Loaded) -> Finding:
    (found,) = (one for one in loaded.findings if one.kind == kind)
    return found


# Rows left out and kept


def test_rows_that_are_left_out_are_said_with_the_first_reason_and_listed(write: Write) -> None:
    good = ["2024-01-01T02:00Z,10,11,9,10,1", *(f"2024-01-01T0{hour}:00Z,10,11,9,10,1" for hour in range(4, 9))]
    rows = ["2024-01-01T00:00Z,10,11,9,10,1", "2024-01-01T01:00Z,,11,9,10,1", good[0],
            "2024-01-01T03:00Z,10,9.5,9,10,-1", *good[1:]]  # fmt: skip
    path = write(HEADER + "\n".join(rows))
    found = of("dropped", load(path, on_violation="drop-rows"))
    assert found.count == 2
    assert found.text == (
        "2 rows are left out by drop-rows: bars.csv row 3, column open: nan must be finite and greater than 0 "
        "(open_positive)"
    )
    assert [(row["file"], row["row"], row["timestamp"], row["low"], row["why"]) for row in found.rows] == [
        (str(path), 3, "2024-01-01T01:00:00Z", 9.0, "open must be finite and greater than 0"),
        (str(path), 5, "2024-01-01T03:00:00Z", 9.0,
         "high must not be below open or close; volume must be finite and not negative"),
    ]  # fmt: skip


def test_a_repeated_row_with_other_values_is_said_and_which_of_them_is_kept(write: Write) -> None:
    path = write(
        HEADER + "2024-01-01T00:00Z,10,11,9,10,1\n2024-01-01T01:00Z,10,11,9,10,1\n2024-01-01T01:00Z,10,12,9,10.5,1\n"
    )
    loaded = load(path, on_violation="drop-rows")
    assert loaded.bars.close.tolist() == [10, 10]
    text = of("dropped", loaded).text
    assert text.endswith(
        "; 1 row repeats a time with other values: high 12 in place of 11, close 10.5 in place of 10 "
        "of bars.csv row 3, which is kept"
    )
    (row,) = of("dropped", loaded).rows
    assert (row["row"], row["close"]) == (4, 10.5)
    assert row["why"].startswith("timestamp must not occur twice; high 12 in place of 11")


def test_a_repeated_row_with_the_same_values_is_no_contradiction(write: Write) -> None:
    row = "2024-01-01T01:00Z,10,11,9,10,1\n"
    found = of("dropped", load(write(HEADER + "2024-01-01T00:00Z,10,11,9,10,1\n" + 2 * row), on_violation="drop-rows"))
    assert found.count == 1
    assert "other values" not in found.text


def test_rows_that_warn_keeps_are_said(write: Write) -> None:
    path = write(HEADER + "2024-01-01T00:00Z,10,11,9,10,1\n2024-01-01T01:00Z,10,11,10.5,10.2,1\n")
    found = of("kept", load(path, on_violation="warn"))
    assert found.count == 1
    assert found.text == (
        "1 row breaks the contract and is kept by warn: bars.csv row 3, column low: 10.5 must not be above "
        "open or close (low_lowest)"
    )
    assert [row["row"] for row in found.rows] == [3]


def test_a_timeframe_that_is_not_the_bars_own_is_said_where_warn_keeps_it(write: Write) -> None:
    rows = "".join(f"2024-01-01T{hour:02}:00Z,10,11,9,10,1\n" for hour in range(0, 20, 2))
    found = of("kept", load(write(HEADER + rows), on_violation="warn"))
    assert (found.count, found.rows) == (1, [])
    assert "declared 1h, found 2h" in found.text


def test_what_follows_a_row_that_was_left_out_is_located_in_the_file(write: Write) -> None:
    rows = [f"2024-01-01T{hour:02}:00Z,10,11,9,10,1" for hour in range(10)]
    rows[2] = "2024-01-01T02:00Z,10,11,9,,1"
    rows[7] = "2024-01-01T07:07Z,10,11,9,10,1"
    found = of("off_grid", load(write(HEADER + "\n".join(rows)), on_violation="drop-rows"))
    assert [row["row"] for row in found.rows] == [9]


def test_no_more_than_a_thousand_rows_are_listed_and_all_are_counted(write: Write) -> None:
    stamps = hours(4000)
    rows = "".join(f"{stamp}Z,10,11,9,{10 if at % 3 else ''},1\n" for at, stamp in enumerate(stamps))
    found = of("dropped", load(write(HEADER + rows), on_violation="drop-rows"))
    assert (found.count, len(found.rows)) == (1334, 1000)


# Steps


def test_missing_bars_are_said_with_their_share() -> None:
    found = said(calm(hours(426)), Gaps(150, ["150 bars missing after 2021-01-25T17:40:00Z"]))
    text = "150 bars are missing, 26.0 % of those due: first, 150 bars missing after 2021-01-25T17:40:00Z"
    assert (found["gaps"].count, found["gaps"].text) == (150, text)  # 150 of 576


def test_bars_step_by_step_are_nothing_to_speak_of() -> None:
    assert said(calm(hours(500))) == {}


def test_a_step_that_is_no_multiple_of_the_timeframe_is_irregular() -> None:
    stamps = hours(48)
    stamps[20:] += np.timedelta64(37, "m")
    stamps[30:] += np.timedelta64(23, "m")
    found = said(calm(stamps))["irregular"]
    assert found.count == 2
    assert found.text == (
        "2 steps between bars are neither 1h nor a multiple of it, the first of 97m before 2024-01-01T20:37:00Z"
    )
    assert [row["timestamp"] for row in found.rows] == ["2024-01-01T20:37:00Z", "2024-01-02T07:00:00Z"]


def test_half_hours_among_hours_are_irregular() -> None:
    stamps = np.concatenate([hours(40), hours(30, "2024-01-02T16:00", "30m")])
    assert said(calm(stamps))["irregular"].count == 29


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_summer_time_is_no_irregular_step(timeframe: str) -> None:
    step = int(timeframe[0]) * (1 if timeframe[-1] == "h" else 24)
    stamps = hours(60, step=f"{step}h")
    stamps[30:] -= np.timedelta64(1, "h")
    assert said(calm(stamps, timeframe)) == {}


def test_a_first_half_hour_each_day_is_a_session_and_not_irregular() -> None:
    opens = ["14:30", *(f"{hour}:00" for hour in range(15, 21))]
    stamps = [f"2024-01-{day:02}T{clock}" for day in range(8, 20) for clock in opens]
    assert said(calm(stamps)) == {}
    assert "irregular" in said(calm(stamps[:14]))  # two days are not a habit


@pytest.mark.parametrize("calendar", ["XNYS", None])
def test_nights_and_weekends_are_not_irregular(calendar: str | None) -> None:
    days = [day for day in range(1, 29) if (day - 1) % 7 < 5]  # 2024-01-01 was a Monday
    stamps = [f"2024-01-{day:02}T{hour}:30" for day in days for hour in range(14, 21)]
    assert said(calm(stamps), calendar=calendar) == {}


def test_months_and_weeks_are_as_long_as_they_are() -> None:
    months = np.arange("2019-01", "2024-01", dtype="M8[M]").astype("M8[ns]")
    assert said(calm(months, "1M")) == {}
    weeks = hours(60, step="168h")
    weeks[10] += np.timedelta64(1, "D")  # a holiday on a Monday
    assert said(calm(weeks, "1w")) == {}
    assert said(calm(np.sort(np.append(months, months[5] + np.timedelta64(9, "D"))), "1M"))["irregular"].count == 1


# The grid


@pytest.mark.parametrize("minute", [7, 1, 52])
def test_bars_off_the_grid_are_said(minute: int) -> None:
    found = said(calm(hours(48, f"2024-01-01T00:{minute:02}")))["off_grid"]
    assert found.count == 48
    assert found.text == f"every bar opens off the grid of 1h, the first at 2024-01-01T00:{minute:02}:00Z"


@pytest.mark.parametrize("minute", [0, 15, 30, 45, 50])
def test_sessions_that_open_within_the_hour_are_on_a_grid_of_their_own(minute: int) -> None:
    assert said(calm(hours(48, f"2024-01-01T00:{minute:02}"))) == {}


def test_one_bar_beside_the_grid_of_all_others_is_off_it() -> None:
    stamps = hours(200)
    stamps[50] += np.timedelta64(15, "m")
    found = said(calm(stamps))
    assert (found["off_grid"].count, found["irregular"].count) == (1, 2)
    assert [row["timestamp"] for row in found["off_grid"].rows] == ["2024-01-03T02:15:00Z"]


@pytest.mark.parametrize(("timeframe", "step", "off"), [("1m", "60s", 30), ("5m", "300s", 60), ("30s", "30s", 7)])
def test_seconds_are_a_grid_of_short_timeframes_only(timeframe: str, step: str, off: int) -> None:
    assert said(calm(hours(100, step=step), timeframe)) == {}
    assert said(
        calm(hours(100, f"2024-01-01T00:00:{off % 60:02}" if off < 60 else "2024-01-01T00:01", step), timeframe)
    )


def test_a_last_daily_bar_stamped_with_the_time_of_the_download_is_off_the_grid() -> None:
    stamps = hours(20, step="24h")
    stamps[-1] += np.timedelta64(15 * 3600 + 2043, "s")
    found = said(calm(stamps, "1d"))
    assert (found["off_grid"].count, found["irregular"].count) == (1, 1)


# Bars that were filled in


def flat(count: int, repeated: range, volume: float = 0.0) -> Bars:
    bars = calm(hours(count))
    rows = {name: getattr(bars, name).copy() for name in COLUMNS[1:]}
    for at in repeated:
        for name in COLUMNS[1:5]:
            rows[name][at] = rows["close"][at - 1]
        rows["volume"][at] = volume
    return calm(bars.timestamp, **rows)


def test_bars_filled_in_are_counted() -> None:
    found = said(flat(100, range(40, 45)))["filled"]
    assert found.count == 5
    assert found.text == (
        "5 bars (5.0 %) look filled in, 1 run of 3 or more with the close before as every price and no volume, "
        "the first from 2024-01-02T16:00:00Z"
    )
    assert [row["timestamp"][11:16] for row in found.rows] == ["16:00", "17:00", "18:00", "19:00", "20:00"]


def test_two_bars_without_a_trade_or_a_flat_one_with_volume_are_not_filled_in() -> None:
    assert said(flat(100, range(40, 42))) == {}
    assert said(flat(100, range(40, 60), volume=1.0)) == {}


def test_without_any_volume_it_takes_ten_in_a_row() -> None:
    for repeated, expected in ((9, set()), (10, {"filled"})):
        bars = flat(100, range(40, 40 + repeated))
        columns = {name: getattr(bars, name) for name in COLUMNS[1:5]}
        assert said(calm(bars.timestamp, **columns, volume=np.zeros(100))).keys() == expected


def test_a_run_at_the_very_end_is_whole() -> None:
    assert said(flat(50, range(45, 50)))["filled"].count == 5


# The clock


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("2024-01-01T05:00:00", set()),  # the last bar, of 04:00, is over on the dot
        ("2024-01-01T04:59:59", {"unfinished"}),
        ("2024-01-01T04:00:00", {"unfinished"}),
        ("2024-01-01T03:59:59", {"unfinished", "future"}),
        ("2023-12-31T00:00:00", {"future"}),
    ],
)
def test_a_bar_is_unfinished_until_it_is_over_and_in_the_future_until_it_opens(clock: str, expected: set[str]) -> None:
    assert said(calm(hours(5)), at=np.datetime64(clock, "ns")).keys() == expected


def test_what_is_said_of_the_clock_names_it() -> None:
    found = said(calm(hours(5)), at=np.datetime64("2024-01-01T02:30:00.5", "ns"))
    assert found["unfinished"].text == (
        "the bar of 2024-01-01T02:00:00Z is not over until 2024-01-01T03:00:00Z: it counts as it stands, and may still "
        "change"
    )
    assert found["future"].count == 2
    assert found["future"].text == (
        "2 bars lie in the future, the first of 2024-01-01T03:00:00Z: by the clock it is 2024-01-01T02:30:00Z"
    )


def test_the_clock_is_the_machines_own_where_none_is_given(write: Write) -> None:
    hour = np.datetime64(int(time.time()) // 3600 * 3600, "s")
    rows = "".join(f"{hour + np.timedelta64(at, 'h')}Z,10,11,9,10,1\n" for at in range(-3, 3))
    kinds = {one.kind: one.count for one in load(write(HEADER + rows), now=None).findings}
    assert kinds in ({"unfinished": 1, "future": 2}, {"unfinished": 1, "future": 1})  # an hour may begin meanwhile


def test_a_month_is_over_when_the_next_begins() -> None:
    months = np.array(["2024-01-01", "2024-02-01"], "M8[ns]")
    assert said(calm(months, "1M"), at=np.datetime64("2024-02-29T23:59", "ns")).keys() == {"unfinished"}
    assert said(calm(months, "1M"), at=np.datetime64("2024-03-01", "ns")) == {}


def test_finished_leaves_out_what_is_not_over() -> None:
    bars = calm(hours(5))
    assert findings.finished(bars, LATER) is bars
    assert len(findings.finished(bars, np.datetime64("2024-01-01T04:59", "ns"))) == 4
    assert len(findings.finished(bars, np.datetime64("2024-01-01T02:00", "ns"))) == 2
    assert len(findings.finished(bars, np.datetime64("2023-01-01", "ns"))) == 0


# Jumps


def jumping(factor: float, missing: int) -> Bars:
    """400 bars of about 100, those after the 200th times a factor and later by some bars."""
    stamps = hours(400)
    stamps[200:] += np.timedelta64(missing, "h")
    scale = np.where(np.arange(400) < 200, 1.0, factor)
    bars = calm(stamps)
    return calm(stamps, **{name: getattr(bars, name) * scale for name in COLUMNS[1:5]})


def test_a_price_ten_times_as_high_after_missing_bars_is_a_jump() -> None:
    found = said(jumping(10, 35))["jump"]
    # the close before is 100 (that of an odd bar), the open after 1,000 and its close 1,010, 36 hours later
    text = "1 price jump beyond what is plausible: +910 % across 36h (100 to 1000 at 2024-01-10T19:00:00Z)"
    assert (found.count, found.text) == (1, text)
    assert [row["timestamp"] for row in found.rows] == ["2024-01-10T19:00:00Z"]


def test_the_measure_of_a_jump_is_ten_median_ranges_times_the_root_of_the_distance() -> None:
    # each true range is log(101.5 / 99.5); 9 hours apart the limit is 10 × that × 3; the step is to the close of 101
    limit = 10 * np.log(101.5 / 99.5) * 3
    just = float(np.exp(limit)) / 1.01
    assert "jump" not in said(jumping(just * 0.999, 8))
    assert "jump" in said(jumping(just * 1.001, 8))


def test_a_loss_is_a_jump_like_a_gain() -> None:
    assert "-90 %" in said(jumping(0.1, 30))["jump"].text


@pytest.mark.parametrize(
    ("factor", "name"), [(0.25, "split of 4:1"), (0.1, "split of 10:1"), (10, "reverse split of 10:1")]
)
def test_what_looks_like_a_split_is_said_without_a_gap_too(factor: float, name: str) -> None:
    found = said(jumping(factor, 0))["jump"]
    assert found.count == 1
    assert name in found.text


def test_a_step_that_is_no_split_or_a_bar_that_is_not_calm_is_no_split() -> None:
    assert said(jumping(0.36, 0)) == {}
    bars = jumping(0.25, 0)
    low = bars.low.copy()
    low[200] *= 0.8  # a crash goes on within the bar
    assert said(calm(bars.timestamp, open=bars.open, high=bars.high, low=low, close=bars.close)) == {}


def test_the_samples_give_no_cause_for_a_word() -> None:
    for name, timeframe, calendar in (
        ("BTCUSDT_1h_synthetic.csv", "1h", "24/7"),
        ("sp500_daily.csv", "1d", "XNYS"),
        ("nasdaq_daily.csv", "1d", "XNYS"),
    ):
        loaded = load(ROOT / "data" / "samples" / name, timeframe=timeframe, calendar=calendar)
        assert loaded.findings == []


@pytest.mark.parametrize("seed", range(20))
def test_volatile_markets_with_fat_tails_give_no_alarm(seed: int) -> None:
    draw = np.random.default_rng(seed)
    spread = 0.01 * np.exp(np.cumsum(draw.normal(0, 0.05, 5000)) * 0.3)  # volatility that wanders
    close = 100 * np.exp(np.cumsum(spread * draw.standard_t(5, 5000) / np.sqrt(5 / 3)))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(draw.normal(0, 0.002, 5000))
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) / 1.002
    days = np.busday_offset("2005-01-03", np.arange(5000), roll="forward").astype("M8[ns]")
    assert said(calm(days, "1d", open=opened, high=high, low=low, close=close), calendar="24/5") == {}


def test_prices_at_the_edge_of_what_a_float_holds_break_nothing() -> None:
    extremes = np.resize([1e308, 5e-324, 1.0], 60)
    said(calm(hours(60), open=extremes, high=np.full(60, 1e308), low=np.full(60, 5e-324), close=extremes[::-1]))
    stamps = np.delete(hours(60), [20, 21, 40])
    wide = extremes[:57]
    said(calm(stamps, open=wide, high=np.full(57, 1e308), low=np.full(57, 5e-324), close=wide))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_bars_are_judged_too(count: int) -> None:
    assert said(calm(hours(count))) == {}


# Gaps where no calendar is given: nothing may be missing unsaid


@pytest.mark.parametrize(
    ("start", "count", "hole", "step"),
    [
        ("2021-01-25T00:00", 576, slice(213, 363), "5m"),  # over one midnight
        ("2021-01-25T03:00", 576, slice(213, 363), "5m"),
        ("2021-01-25T00:00", 1440, slice(400, 700), "1m"),  # in the only day there is
        ("2021-01-25T00:00", 72, slice(30, 45), "1h"),
        ("2021-01-22T00:00", 24 * 10, slice(100, 160), "1h"),  # with a weekend's bars
    ],
)
def test_missing_bars_of_a_market_round_the_clock_are_counted(
    write: Write, start: str, count: int, hole: slice, step: str
) -> None:
    stamps = np.delete(hours(count, start, step), hole)
    rows = "".join(f"{stamp}Z,10,11,9,10,1\n" for stamp in stamps)
    assert of("gaps", load(write(HEADER + rows), timeframe=step)).count == hole.stop - hole.start


@pytest.mark.parametrize("days", [1, 2, 3, 12])
def test_whole_sessions_and_weeks_of_currencies_lack_nothing(write: Write, days: int) -> None:
    opens = [np.datetime64("2024-02-05T14:30") + np.timedelta64(day + 2 * (day // 5), "D") for day in range(days)]
    stamps = np.concatenate([one + np.arange(78) * np.timedelta64(5, "m") for one in opens])
    rows = "".join(f"{stamp}Z,10,11,9,10,1\n" for stamp in stamps)
    assert load(write(HEADER + rows), timeframe="5m").findings == []
    week = hours(120, "2024-02-04T22:00")  # Sunday 22:00 to Friday 22:00
    stamps = np.concatenate([week, week + np.timedelta64(7, "D")])
    rows = "".join(f"{stamp}Z,10,11,9,10,1\n" for stamp in stamps)
    assert load(write(HEADER + rows)).findings == []
