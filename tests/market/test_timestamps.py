from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.market.instants import Unreadable, iso
from peak_trade.market.timestamps import TimestampColumn

DAY = 86_400 * 10**9


def read(*texts: str) -> tuple[list[int], list[str]]:
    column = TimestampColumn()
    column.add(list(texts))
    values, assumed = column.finish()
    assert values.dtype == "datetime64[ns]"
    return values.view(np.int64).tolist(), assumed


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", DAY),
        ("1969-12-31", -DAY),
        ("2000-03-01", 11_017 * DAY),  # 30 years of 365 days, 7 leap days (72 to 96), and January and February of 2000
        ("1970-01-01T00:01", 60 * 10**9),
        ("1970-01-01 01:00:01", 3601 * 10**9),
        ("1970-01-01T00:00:00.5", 5 * 10**8),
        ("1970-01-01T00:00:00,000000001", 1),
        ("1970-01-01T00:00:00.123456789Z", 123_456_789),
        ("1970-01-01 00:00:00 UTC", 0),
        ("1970-01-01T00:00:00+00", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T05:30+0530", 0),
        ("1969-12-31T19:00:00-05", 0),
        ("1678-01-01", -106_650 * DAY),  # 292 years of 365 days and 70 leap days (73 fourths, less 1700, 1800, 1900)
        ("2261-12-31", 106_650 * DAY),  # 292 years of 365 days, 71 leap days (73 less 2100, 2200), less the last day
    ],
)
def test_an_iso_text_is_that_many_nanoseconds(text: str, nanoseconds: int) -> None:
    assert read(text)[0] == [nanoseconds]


@pytest.mark.parametrize("text", ["2024-02-29", "2000-02-29", "2023-12-31"])
def test_a_leap_day_exists_where_there_is_one(text: str) -> None:
    assert read(text)[0] == [(dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days * DAY]


@pytest.mark.parametrize("text", ["2023-02-29", "1900-02-29", "2024-04-31", "2024-00-10", "2024-01-00", "2024-13-01"])
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="is not a date of the calendar"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-1-1",
        "2024-01-01T",
        "2024-01-01T1:00",
        "2024-01-01T01",
        "2024-01-01T01:00.5",
        "2024-01-01T01:00:00.",
        "2024-01-01T01:00:00.1234567890",
        "2024-01-01T01:00:00 EST",
        "2024-01-01T01:00:00+1",
        "2024-01-01Z",
        "2024-01-01+01:00",
        "2024-W01-1",
        "20240101T000000",
        "now",
        "today",
        "+",
        ".",
        "e5",
    ],
)
def test_what_is_not_iso_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="is not a timestamp"):
        read(text)


def test_layouts_may_change_from_row_to_row() -> None:
    assert read("1970-01-01", "1970-01-01 00:00:01", "1970-01-01T00:00:01.5")[0] == [0, 10**9, 15 * 10**8]


def test_a_missing_cell_is_not_a_time() -> None:
    values, assumed = read("1970-01-01", "", " NaT ", "1970-01-02")
    assert values == [0, np.iinfo(np.int64).min, np.iinfo(np.int64).min, DAY]
    assert assumed == ["timestamps carry no zone: read as UTC"]


def test_missing_epochs_stay_missing_among_whole_and_broken_numbers() -> None:
    nat = np.iinfo(np.int64).min
    assert read("1", "", "2")[0] == [10**9, nat, 2 * 10**9]
    assert read("1.5", "null", "2")[0] == [15 * 10**8, nat, 2 * 10**9]


def test_eight_digits_that_make_a_date_are_one() -> None:
    assert read("19700102", "20000301") == (
        [DAY, 11_017 * DAY],
        ["timestamps of eight digits: read as YYYYMMDD", "timestamps carry no zone: read as UTC"],
    )


def test_eight_digits_that_make_no_date_are_seconds() -> None:
    assert read("99999999") == ([99_999_999 * 10**9], ["timestamps are epoch numbers: unit taken as s"])


def test_a_fraction_of_an_epoch_is_read_to_the_microsecond() -> None:
    assert read("1704067200.123456")[0] == [1_704_067_200_123_456_000]
    assert read("1704067200123.5")[0] == [1_704_067_200_123_500_000]


def test_whole_epochs_written_as_floats_are_exact() -> None:
    assert read("1704067200.0", "1.7040708e9")[0] == [1_704_067_200 * 10**9, 1_704_070_800 * 10**9]


def test_nanoseconds_lose_no_digit() -> None:
    assert read("1704067200123456789")[0] == [1_704_067_200_123_456_789]


def test_milliseconds_may_run_through_1973_and_1970() -> None:
    day = 86_400_000
    texts = [str(day * number) for number in range(-2000, 2001)]
    values, assumed = read(*texts)
    assert values == [DAY * number for number in range(-2000, 2001)]
    assert assumed == ["timestamps are epoch numbers: unit taken as ms"]


def test_a_change_of_unit_is_found_where_it_happens() -> None:
    column = TimestampColumn()
    column.add(["1735682400000", "1735686000000", "1735689600000000"])
    with pytest.raises(Unreadable, match="`1735689600000000` looks like us, the row before like ms") as caught:
        column.finish()
    assert caught.value.index == 2


def test_pieces_count_their_rows_on() -> None:
    column = TimestampColumn()
    column.add(["2024-01-01", "2024-01-02"])
    with pytest.raises(Unreadable) as caught:
        column.add(["2024-01-03", "x"])
    assert caught.value.index == 3


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("2024-01-03", "2024-01-03 00:00", "2024-02-30 00:00"), "is not a date of the calendar"),
        (("2024-01-03", "2024-01-03 00:00", "2024-01-03T00:00Z"), "carries a zone, unlike the rows before"),
        (("2024-01-03", "", "1704067200"), "is an epoch number, unlike the rows before"),
        (("2024-01-03", "", "x"), "is not a timestamp"),
    ],
)
def test_a_piece_of_several_layouts_counts_its_rows_on_too(texts: tuple[str, ...], reason: str) -> None:
    column = TimestampColumn()
    column.add(["2024-01-01", "2024-01-02"])
    with pytest.raises(Unreadable, match=reason) as caught:
        column.add(texts)
    assert caught.value.index == 4


def test_what_stands_behind_the_nine_is_no_digit() -> None:
    with pytest.raises(Unreadable, match="is not a timestamp"):
        read("2024-01-01", "2024-01-0:")


@pytest.mark.parametrize("zone", ["+24:00", "-24:00", "+00:60"])
def test_a_zone_is_less_than_a_day_and_its_minutes_less_than_an_hour(zone: str) -> None:
    assert read("1970-01-02T00:00+23:59")[0] == [60 * 10**9]
    with pytest.raises(Unreadable, match="has no such zone"):
        read(f"2024-01-01T00:00{zone}")


def test_a_piece_of_another_kind_is_refused() -> None:
    column = TimestampColumn()
    column.add(["2024-01-01", "2024-01-02"])
    with pytest.raises(Unreadable, match="is an epoch number, unlike the rows before") as caught:
        column.add(["1704067200"])
    assert caught.value.index == 2


@given(
    st.lists(
        st.datetimes(
            dt.datetime(1678, 1, 2),  # noqa: DTZ001 (hypothesis wants bounds without a zone)
            dt.datetime(2261, 12, 30),  # noqa: DTZ001
            timezones=st.timezones() | st.just(dt.UTC),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_time_the_standard_library_writes_is_read_as_the_same_instant(times: list[dt.datetime]) -> None:
    fit = [time for time in times if time.utcoffset() % dt.timedelta(minutes=1) == dt.timedelta(0)]  # type: ignore[operator]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    if fit:
        microseconds = [(time - epoch) // dt.timedelta(microseconds=1) for time in fit]
        assert read(*(time.isoformat() for time in fit))[0] == [1000 * value for value in microseconds]


def test_a_time_is_written_to_the_second_or_with_its_fraction() -> None:
    assert iso(np.datetime64("2024-01-01T01:02:03", "ns")) == "2024-01-01T01:02:03Z"
    assert iso(np.datetime64("2024-01-01T01:02:03.5", "ns")) == "2024-01-01T01:02:03.500000000Z"
    assert iso(np.datetime64("NaT", "ns")) == "NaT"
