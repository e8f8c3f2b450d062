from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peak_trade.config import Reading
from peak_trade.errors import InputError
from peak_trade.market import hints
from peak_trade.market.ohlcv import COLUMNS, Loaded, load_bars

Write = Callable[..., Path]

HOURS = ["2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T03"]


def load(paths: Any, **options: Any) -> Loaded:
    return load_bars(paths, **{"symbol": "TEST", "timeframe": "1h", "calendar": "24/7", **options})


def refusal(paths: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(paths, **options)
    assert caught.value.exit_code == 2
    return caught.value


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def is_the_good_table(loaded: Loaded) -> bool:
    bars = loaded.bars
    return (
        bars.timestamp.dtype == "datetime64[ns]"
        and (bars.timestamp == np.array(HOURS, "datetime64[ns]")).all()
        and bars.open.tolist() == [10, 11, 12, 13]
        and bars.high.tolist() == [12, 13, 14, 15]
        and bars.low.tolist() == [9, 10, 11, 12]
        and bars.close.tolist() == [11, 12, 13, 14]
        and bars.volume.tolist() == [100, 200, 300, 400]
        and {getattr(bars, name).dtype for name in COLUMNS[1:]} == {np.dtype("float64")}
    )


# What is read


def test_a_plain_file_is_read_as_it_stands(write: Write, good: str) -> None:
    loaded = load(write(good))
    assert is_the_good_table(loaded)
    assert (loaded.bars.symbol, loaded.bars.timeframe, len(loaded.bars)) == ("TEST", "1h", 4)
    assert (loaded.violations, loaded.dropped, loaded.problems, loaded.assumptions) == (0, 0, [], [])
    assert loaded.gaps == (0, [])


def test_each_file_is_recorded_with_its_path_digest_and_size(write: Write, good: str) -> None:
    path = write(good)
    (file,) = load(str(path)).files
    assert (file.path, file.bytes) == (str(path), len(good))
    assert file.sha256 == hashlib.sha256(good.encode()).hexdigest()


@pytest.mark.parametrize(
    "dress",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="crlf"),
        pytest.param(lambda text: text.replace("\n", "\r"), id="cr"),
        pytest.param(lambda text: "\ufeff" + text, id="bom"),
        pytest.param(lambda text: text.replace(",", ";"), id="semicolons"),
        pytest.param(lambda text: text.replace(",", "\t"), id="tabs"),
        pytest.param(lambda text: text.replace(",", ", "), id="spaces"),
        pytest.param(lambda text: '"' + text.replace(",", '","').replace("\n", '"\n"')[:-1], id="quotes"),
        pytest.param(lambda text: text.rstrip("\n"), id="no last line end"),
        pytest.param(lambda text: "\n\n" + text.replace("\n", "\n\n"), id="blank lines"),
        pytest.param(lambda text: text.upper(), id="upper case"),
        pytest.param(lambda text: text.replace("\n", ",x,\n"), id="more columns"),
        pytest.param(lambda text: gzip.compress(text.encode()), id="gzip"),
    ],
)
def test_the_dress_of_a_file_does_not_matter(write: Write, good: str, dress: Callable[[str], str]) -> None:
    assert is_the_good_table(load(write(dress(good))))


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "datetime,o,h,l,c,v",
        "open_time,OPEN,HIGH,LOW,CLOSE,VOL",
        "Time,1. open,2. high,3. low,4. close,5. volume",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "ts,open price,high price,low price,close price,volume",
    ],
)
def test_common_spellings_of_columns_are_known_and_recorded(write: Write, good: str, header: str) -> None:
    loaded = load(write(table(header, *good.splitlines()[1:])))
    assert is_the_good_table(loaded)
    (text,) = [text for text in loaded.assumptions if text.startswith("columns read: ")]
    assert f"timestamp from `{header.split(',')[0]}`" in text


def test_columns_may_stand_in_any_order(write: Write) -> None:
    text = table("volume,close,low,high,open,timestamp", "100,11,9,12,10,2024-01-01", "200,12,10,13,11,2024-01-02")
    bars = load(write(text), timeframe="1d").bars
    assert (bars.open.tolist(), bars.high.tolist(), bars.volume.tolist()) == ([10, 11], [12, 13], [100, 200])


def test_a_mapping_names_columns_that_are_spelled_like_nothing(write: Write, good: str) -> None:
    path = write(table("When,open,high,low,Settle,volume", *good.splitlines()[1:]))
    assert is_the_good_table(load(path, reading=Reading(columns={"timestamp": "When", "close": "settle"})))


def test_a_mapping_outranks_the_usual_spelling(write: Write) -> None:
    text = table("date,open,high,low,close,Adj Close,volume", "2024-01-01,10,12,9,11,10.5,1")
    assert load(write(text), timeframe="1d", reading=Reading(columns={"close": "Adj Close"})).bars.close.tolist() == [
        10.5
    ]


def test_the_adjusted_close_is_left_alone_and_that_is_recorded(write: Write) -> None:
    text = table("date,open,high,low,close,Adj Close,volume", "2024-01-01,10,12,9,11,10.5,1")
    loaded = load(write(text), timeframe="1d")
    assert loaded.bars.close.tolist() == [11]
    assert "`Adj Close` is not used: prices are as traded" in loaded.assumptions


def test_a_file_without_volume_gets_zeros_and_says_so(write: Write) -> None:
    loaded = load(write(table("date,open,high,low,close", "2024-01-01,10,12,9,11")), timeframe="1d")
    assert loaded.bars.volume.tolist() == [0]
    assert "no volume column: filled with 0" in loaded.assumptions


def test_numbers_keep_every_digit_of_the_file(write: Write) -> None:
    text = table("date,open,high,low,close,volume", "2024-01-01,0.1,1e3,1e-7,+0.30000000000000004,123456789012.125")
    bars = load(write(text), timeframe="1d").bars
    assert (bars.open[0], bars.high[0], bars.low[0]) == (0.1, 1000.0, 1e-7)
    assert (bars.close[0], bars.volume[0]) == (0.1 + 0.2, 123456789012.125)


def test_more_rows_than_are_read_at_once_keep_their_order(write: Write) -> None:
    count = 20_000
    stamps = np.datetime64("2024-01-01T00:00:00") + np.arange(count).astype("m8[s]")
    rows = [f"{stamp}Z,{at + 2},{at + 3},{at + 1},{at + 2},{at}" for at, stamp in enumerate(stamps)]
    bars = load(write(table("timestamp,open,high,low,close,volume", *rows)), timeframe="1s").bars
    assert (bars.volume == np.arange(count)).all()
    assert (bars.timestamp == stamps).all()


# Timestamps, from the file to UTC


def stamped(*stamps: str) -> str:
    return table("timestamp,open,high,low,close,volume", *(f"{stamp},10,12,9,11,1" for stamp in stamps))


def test_times_without_a_zone_are_read_as_utc_and_that_is_recorded(write: Write) -> None:
    loaded = load(write(stamped("2024-01-01 00:00", "2024-01-01 01:00")))
    assert loaded.bars.timestamp.tolist() == np.array(HOURS[:2], "datetime64[ns]").tolist()
    assert loaded.assumptions == ["timestamps carry no zone: read as UTC"]


def test_times_with_a_zone_are_turned_to_utc(write: Write) -> None:
    loaded = load(write(stamped("2024-01-01T02:00:00+02:00", "2024-01-01T02:00:00+01:00", "2023-12-31T21:00-05:00")))
    assert (loaded.bars.timestamp == np.array(HOURS[:3], "datetime64[ns]")).all()
    assert loaded.assumptions == []


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_the_unit_of_epoch_numbers_is_told_by_their_size(write: Write, unit: str, scale: int) -> None:
    loaded = load(write(stamped(*(str((1_704_067_200 + 3600 * hour) * scale) for hour in range(3)))))
    assert (loaded.bars.timestamp == np.array(HOURS[:3], "datetime64[ns]")).all()
    assert loaded.assumptions == [f"timestamps are epoch numbers: unit taken as {unit}"]


def test_files_may_count_their_epochs_in_different_units(write: Write) -> None:
    first = write(stamped("1704067200000", "1704070800000"), "a.csv")
    second = write(stamped("1704074400000000", "1704078000000000"), "b.csv")
    loaded = load([first, second])
    assert (loaded.bars.timestamp == np.array(HOURS, "datetime64[ns]")).all()
    assert loaded.assumptions == [
        f"timestamps are epoch numbers: unit taken as ms (1 of 2 files, first {first})",
        f"timestamps are epoch numbers: unit taken as us (1 of 2 files, first {second})",
    ]


@pytest.mark.parametrize(
    ("stamps", "says"),
    [
        (("2024-01-01", "yesterday"), "row 3, column timestamp: `yesterday` is not a timestamp"),
        (("2024-01-01", "01/02/2024"), "row 3, column timestamp: `01/02/2024` is not a timestamp"),
        (("2024-01-01", "2024-02-30"), "row 3, column timestamp: `2024-02-30` is not a date of the calendar"),
        (("2024-01-01 24:00",), "row 2, column timestamp: `2024-01-01 24:00` is not a time of day"),
        (("2024-01-01T00:00:60Z",), "row 2, column timestamp: `2024-01-01T00:00:60Z` is not a time of day"),
        (("2024-01-01T00:00+99:00",), "row 2, column timestamp: `2024-01-01T00:00+99:00` has no such zone"),
        (("2024-01-01", "2300-01-01"), "row 3, column timestamp: `2300-01-01` is outside the years 1678 to 2261"),
        (("1500-01-01",), "row 2, column timestamp: `1500-01-01` is outside the years 1678 to 2261"),
        (("1704067200", "9" * 18), f"row 3, column timestamp: `{'9' * 18}` looks like ns, the row before"),
        (("9" * 30,), "row 2, column timestamp: `1e+30` is outside the years 1678 to 2261"),
        (("1e300",), "row 2, column timestamp: `1e+300` is outside the years 1678 to 2261"),
        (("inf",), "row 2, column timestamp: `inf` is not a timestamp"),
        (("2024-01-01T00:00Z", "2024-01-01T01:00"), "row 3, column timestamp: `2024-01-01T01:00` carries no zone"),
        (("2024-01-01", "1704070800"), "row 3, column timestamp: `1704070800` is an epoch number, unlike the rows"),
        (("1704067200", "1704070800000"), "row 3, column timestamp: `1704070800000` looks like ms, the row before"),
        (("٢٠٢٤-01-01",), "row 2, column timestamp: `٢٠٢٤-01-01` is not a timestamp"),
        (("1_704_067_200",), "row 2, column timestamp: `1_704_067_200` is not a timestamp"),
    ],
)
def test_a_timestamp_that_cannot_be_read_is_named(write: Write, stamps: tuple[str, ...], says: str) -> None:
    assert says in refusal(write(stamped(*stamps)), on_violation="drop-rows").message


def test_an_unreadable_timestamp_far_down_is_named_by_its_line(write: Write) -> None:
    stamps = [str(stamp) for stamp in np.datetime64("2024-01-01T00:00:00") + np.arange(30_000).astype("m8[s]")]
    stamps[29_000] = "2024-13-01T00:00:00"
    assert "row 29002, column timestamp: `2024-13-01T00:00:00`" in refusal(write(stamped(*stamps))).message


# Files that are refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "is empty"),
        (b"\n\n", "is empty"),
        (b"timestamp,open,high,low,close,volume\n", "has a header and no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not a text file: row 3 holds a NUL byte"),
        (b"timestamp,open,high,low,close\n2024-01-01,1,1,1,\xff\n", "is not UTF-8: row 2 holds the byte 0xff"),
        ("timestamp,open\n".encode("utf-16-le"), "has no column for high, low, close"),
        ("timestamp,open\n".encode("utf-16"), "has no column for high, low, close"),
        (gzip.compress(b"timestamp,open,high,low,close\n" * 9, mtime=0)[:-9], "is not a whole gzip file"),
        (b"\x1f\x8b\x08\x00 nonsense", "is not a whole gzip file"),
        (b"PAR1 nonsense", "cannot be read as Parquet"),
        (b'timestamp,open,high,low,close\n"2024-01-01,1,1,1,1\n', "row 2: unexpected end of data"),
        (b"timestamp,open,high,low,close\n2024-01-01,1,1,1\n", "row 2 has 4 fields, the header has 5"),
        (b"timestamp,open,high,low,close\n2024-01-01,1,1,1,1,1\n", "row 2 has 6 fields, the header has 5"),
        (b"open,high,low,close,timestamp\n1,1,1,1\n", "row 2 has 4 fields, the header has 5"),
        (b"open,high,low,close,date,symbol\n1,1,1,1,2024-01-01\n", "row 2 has 5 fields, the header has 6"),
    ],
)
def test_a_file_that_holds_no_bars_is_refused_in_a_sentence(write: Write, content: bytes, says: str) -> None:
    message = refusal(write(content)).message
    assert says in message
    assert "\n" not in message


def test_a_ragged_row_is_named_by_its_line_behind_blank_and_broken_lines(write: Write) -> None:
    text = 'time,open,high,low,close,note\n\n2024-01-01,1,1,1,1,"a\nb\nc"\n\n2024-01-02,1,1,1,1\n'
    assert "row 7 has 5 fields" in refusal(write(text)).message


def test_a_row_behind_quoted_line_breaks_goes_by_its_line(write: Write) -> None:
    text = 'time,open,high,low,close,note\n2024-01-01,1,1,1,1,"a\nb"\n2024-01-02,1,1,1,-1,c\n2024-01-03,1,1,1,1,d\n'
    assert "row 4, column close: -1.0 must be finite" in refusal(write(text), timeframe="1d").message


def test_a_file_without_a_header_is_told_so(write: Write, good: str) -> None:
    error = refusal(write(table(*good.splitlines()[1:])))
    assert "has no header: its first line is `2024-01-01T00:00:00Z, 10, 12, 9, 11, 100`" in error.message
    (keys,) = hints.parse(error.hint)
    assert keys == "columns = { timestamp = 1, open = 2, high = 3, low = 4, close = 5, volume = 6 }"


def test_a_missing_column_is_named_with_what_is_there(write: Write) -> None:
    error = refusal(write(table("timestamp,open,high,low,clsoe,volume", "2024-01-01,1,1,1,1,1")))
    assert "has no column for close; it has `timestamp`, `open`, `high`, `low`, `clsoe`, `volume`" in error.message
    assert error.hint.startswith("did you mean `clsoe`?")


def test_an_adjusted_close_alone_is_no_close(write: Write) -> None:
    error = refusal(write(table("date,open,high,low,adj close,volume", "2024-01-01,1,1,1,1,1")))
    assert "has no column for close" in error.message


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("date,unix,open,high,low,close", "several columns for timestamp: `date`, `unix`"),
        ("date,open,high,low,close,Close", "several columns for close: `close`, `Close`"),
        ("date,open,high,low,close,Volume BTC", "no column for volume, but `Volume BTC`"),
    ],
)
def test_an_ambiguous_header_is_refused(write: Write, header: str, says: str) -> None:
    error = refusal(write(table(header, "2024-01-01,1,1,1,1,1")))
    assert says in error.message
    assert "columns = {" in error.hint


def test_a_mapping_to_a_column_that_is_not_there_is_refused(write: Write, good: str) -> None:
    error = refusal(write(good), reading=Reading(columns={"close": "Closs"}))
    assert "has no column `Closs` for close" in error.message
    assert error.hint == "did you mean `close`?"


def test_a_mapping_of_a_column_we_do_not_have_is_refused(write: Write, good: str) -> None:
    error = refusal(write(good), reading=Reading(columns={"closs": "close"}))
    assert (error.message, error.hint) == ("unknown column `closs` in columns", "did you mean `close`?")


@pytest.mark.parametrize("value", ["abc", "1_000", "1,5,5", "0x10", "1 2", "--1"])
def test_a_cell_that_is_no_number_is_named(write: Write, value: str) -> None:
    text = table("date,open,high,low,close,volume", "2024-01-01,1,1,1,1,1", f'2024-01-02,1,1,"{value}",1,1')
    message = refusal(write(text), timeframe="1d", on_violation="drop-rows").message
    assert message.endswith(f"bars.csv row 3, column low: `{value}` is not a number")


def test_a_decimal_comma_is_read_as_one_where_it_can_be_nothing_else(write: Write) -> None:
    text = table("date;open;high;low;close;volume", "2024-01-01;1,5;2;1;1,5;1")
    loaded = load(write(text))
    assert (loaded.bars.open.tolist(), loaded.bars.close.tolist()) == ([1.5], [1.5])
    assert "numbers are written with `,` for decimals and `.` between digits" in loaded.assumptions


def test_unprintable_and_endless_cells_are_shown_fit_for_a_terminal(write: Write) -> None:
    text = table("date,open,high,low,close,volume", f"2024-01-01,\x1b[31m{'9' * 10_000},1,1,1,1")
    message = refusal(write(text)).message
    assert "column open: `\\x1b[31m999" in message
    assert len(message) < 300


def test_a_directory_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.message == f"{tmp_path} is a directory"
    assert error.hint == f"name a file or a pattern such as {tmp_path}/*.csv"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.csv").message == f"cannot read {tmp_path / 'no.csv'}: no such file or directory"


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_a_path_that_cannot_be_one_is_refused(path: str) -> None:
    assert refusal(path).message.startswith("cannot read ")


def test_a_pipe_is_refused_because_nobody_could_read_it_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").message.endswith("is not a regular file")


def test_no_path_at_all_is_refused() -> None:
    assert refusal([]).message == "no data file is named"


@pytest.mark.parametrize(
    ("options", "says", "hint"),
    [
        ({"timeframe": "1 hour"}, "`1 hour` is not a timeframe", "such as 1m, 15m, 1h"),
        ({"calendar": "NYES"}, "unknown calendar `NYES`", "did you mean `XNYS`?"),
        ({"on_violation": "drop"}, "unknown on_violation `drop`", "did you mean `drop-rows`?"),
    ],
)
def test_an_argument_that_is_wrong_is_refused_with_the_nearest(
    write: Write, good: str, options: dict[str, str], says: str, hint: str
) -> None:
    error = refusal(write(good), **options)
    assert says in error.message
    assert hint in error.hint


# Several files


def test_files_are_put_in_the_order_of_their_first_bars(write: Write, good: str) -> None:
    lines = good.splitlines()
    write(table(lines[0], *lines[3:]), "a.csv")
    path = write(table(*lines[:3]), "b.csv")
    loaded = load(path.parent / "*.csv")
    assert is_the_good_table(loaded)
    assert [Path(file.path).name for file in loaded.files] == ["b.csv", "a.csv"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "*.csv").message == f"no file matches `{tmp_path}/*.csv`"


def test_a_file_whose_name_looks_like_a_pattern_is_read(write: Write, good: str) -> None:
    assert is_the_good_table(load(write(good, "bars[1].csv")))


def test_a_pattern_passes_over_directories(write: Write, good: str) -> None:
    path = write(good)
    (path.parent / "x.csv").mkdir()
    assert is_the_good_table(load(path.parent / "*.csv"))


def test_files_that_overlap_break_the_contract_and_the_row_goes_by_its_own_file(write: Write, good: str) -> None:
    lines = good.splitlines()
    first = write(table(*lines[:4]), "a.csv")
    second = write(table(lines[0], *lines[3:]), "b.csv")
    message = refusal([first, second]).message
    assert f"{second} row 2, column timestamp: 2024-01-01T02:00:00Z must not occur twice (timestamp_unique)" in message


# The contract at the door


def broken(good: str) -> str:
    """Row 3 has a high below its close, row 4 no close: three violations, two of them of one row's own."""
    return good.replace("11,13,10,12", "11,11.5,10,12").replace("12,14,11,13", "12,14,11,")


def test_reject_lists_each_violation_with_row_column_and_value(write: Write, good: str) -> None:
    path = write(broken(good))
    assert refusal(path).message == (
        "the bars break the contract, 2 violations:\n"
        f"  {path} row 3, column high: 11.5 must not be below open or close (high_highest)\n"
        f"  {path} row 4, column close: nan must be finite and greater than 0 (close_positive)"
    )


def test_a_single_violation_is_one(write: Write, good: str) -> None:
    message = refusal(write(good.replace("13,15,12,14,400", "13,15,12,14,-4"))).message
    assert message.startswith("the bars break the contract, 1 violation:\n")


def test_twenty_violations_are_shown_and_all_are_counted(write: Write) -> None:
    rows = [f"2024-01-{day:02},1,1,1,-{day},1" for day in range(1, 31)]
    lines = refusal(write(table("date,open,high,low,close,volume", *rows)), timeframe="1d").message.splitlines()
    # each close of -n is not positive and leaves the low of 1 above it: 30 rows break two rules
    assert lines[0] == "the bars break the contract, 60 violations:"
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "  and 40 more"


def test_drop_rows_leaves_out_the_rows_at_fault_and_counts_them(write: Write, good: str) -> None:
    loaded = load(write(broken(good)), on_violation="drop-rows")
    assert loaded.bars.timestamp.tolist() == np.array([HOURS[0], HOURS[3]], "datetime64[ns]").tolist()
    assert loaded.bars.close.tolist() == [11, 14]
    assert (loaded.violations, loaded.dropped, len(loaded.problems)) == (2, 2, 2)
    assert loaded.gaps == (2, ["2 bars missing after 2024-01-01T00:00:00Z"])


def test_drop_rows_keeps_time_advancing_from_the_rows_it_kept(write: Write) -> None:
    hours = [0, 1, 3, 2, 3, 4, 1, 5]
    text = stamped(*(f"2024-01-01T{hour:02}:00Z" for hour in hours))
    loaded = load(write(text), on_violation="drop-rows")
    assert [int(hour) for hour in loaded.bars.timestamp.astype("datetime64[h]").view(int) % 24] == [0, 1, 3, 4, 5]
    assert loaded.dropped == 3


def test_a_row_that_is_dropped_for_its_price_does_not_hold_up_time(write: Write) -> None:
    text = table(
        "timestamp,open,high,low,close,volume",
        "2024-01-01T00:00Z,1,1,1,1,1",
        "2024-01-09T00:00Z,1,1,1,0,1",  # far ahead, and its close is no price
        "2024-01-01T01:00Z,1,1,1,1,1",
        "2024-01-01T02:00Z,1,1,1,1,1",
    )
    assert len(load(write(text), on_violation="drop-rows").bars) == 3


def test_a_missing_timestamp_is_a_row_to_drop(write: Write) -> None:
    text = stamped("2024-01-01T00:00Z", "", "2024-01-01T01:00Z", "2024-01-01T02:00Z")
    assert "row 3, column timestamp: NaT must not be missing (timestamp_present)" in refusal(write(text)).message
    assert len(load(write(text), on_violation="drop-rows").bars) == 3


@pytest.mark.parametrize("missing", ["", "null", "NaN", "None", "N/A"])
def test_a_missing_price_is_a_row_to_drop_however_it_is_spelled(write: Write, good: str, missing: str) -> None:
    path = write(good.replace("11,13,10,12", f"11,13,{missing},12"))
    assert load(path, on_violation="drop-rows").dropped == 1


def test_drop_rows_does_not_turn_half_a_file_into_nothing(write: Write) -> None:
    text = stamped("2024-01-09T00:00Z", *(f"2024-01-01T{hour:02}:00Z" for hour in range(9)))
    assert refusal(write(text), on_violation="drop-rows").message.startswith("drop-rows would leave 1 of 10 rows")


@pytest.mark.parametrize("mode", ["reject", "drop-rows", "warn"])
def test_a_file_that_runs_strictly_backwards_is_put_in_order_and_that_is_told(
    write: Write, good: str, mode: str
) -> None:
    lines = good.splitlines()
    loaded = load(write(table(lines[0], *reversed(lines[1:]))), on_violation=mode)
    assert is_the_good_table(loaded)
    assert loaded.assumptions == ["rows are newest first: put in order"]


def test_a_violation_in_a_file_that_was_put_in_order_goes_by_its_own_line(write: Write, good: str) -> None:
    lines = good.splitlines()
    text = table(lines[0], *reversed(lines[1:])).replace("10,12,9,11,100", "10,12,9,11,-1")  # the oldest, so the last
    assert "bars.csv row 5, column volume: -1.0" in refusal(write(text)).message


def test_one_bar_alone_runs_nowhere(write: Write) -> None:
    text = table("date,open,high,low,close,volume", "2024-01-01,1,1,1,1,-1")
    assert "row 2, column volume: -1.0 must be finite and not negative" in refusal(write(text)).message


@pytest.mark.parametrize("mode", ["reject", "drop-rows"])
def test_a_wrong_timeframe_names_both_and_cannot_be_dropped(write: Write, good: str, mode: str) -> None:
    message = refusal(write(good), timeframe="1d", on_violation=mode).message
    assert (
        "column timestamp: declared 1d, found 1h, must be spaced, at the median, as the timeframe declares" in message
    )


def test_warn_keeps_what_the_engine_survives_and_reports_it(write: Write, good: str) -> None:
    loaded = load(write(good.replace("11,13,10,12,200", "11,11.5,10,12,-1")), on_violation="warn")
    assert (len(loaded.bars), loaded.violations, loaded.dropped) == (4, 2, 0)
    assert loaded.problems[0].endswith("row 3, column high: 11.5 must not be below open or close (high_highest)")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("11,13,10,12", "11,13,10,inf", "close_positive"),
        ("11,13,10,12", "11,13,10,nan", "close_positive"),
        ("11,13,10,12", "0,13,0,12", "low_positive, open_positive"),
        ("T01:00", "T00:00", "timestamp_unique"),
        ("T02:00", "T00:30", "timestamp_increasing"),
    ],
)
def test_warn_refuses_what_the_engine_cannot_survive(write: Write, good: str, old: str, new: str, rule: str) -> None:
    message = refusal(write(good.replace(old, new)), on_violation="warn").message
    assert f"in ways that `warn` cannot keep ({rule})" in message


def test_gaps_on_an_exchange_whose_holidays_are_unknown_say_how_they_are_counted(
    write: Write, without_exchanges: None
) -> None:
    text = stamped("2024-01-04", "2024-01-05", "2024-01-09")
    loaded = load(write(text), timeframe="1d", calendar="XLON")
    assert loaded.gaps == (1, ["no bar on 2024-01-08"])
    assert "gaps on XLON are counted by weekdays: its holidays count as gaps" in loaded.assumptions


def test_the_holidays_of_an_exchange_are_no_gaps_where_they_are_known(write: Write) -> None:
    # Good Friday and Easter Monday of 2024; the Wednesday after is missing
    text = stamped("2024-03-26", "2024-03-27", "2024-03-28", "2024-04-02", "2024-04-04", "2024-04-05")
    loaded = load(write(text), timeframe="1d", calendar="XLON")
    assert loaded.gaps == (1, ["no bar on 2024-04-03"])
    assert loaded.assumptions == ["timestamps carry no zone: read as UTC"]


def test_without_a_calendar_the_bars_own_rate_is_assumed_and_said(write: Write) -> None:
    days = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]")  # 60 bars over 59 days
    loaded = load(write(stamped(*map(str, days))), timeframe="1d", calendar=None)
    assert "no calendar is given: a year has 365.25 bars, as many as these bars show" in loaded.assumptions
    assert (loaded.findings, loaded.gaps.missing) == ([], 0)
    few = load(write(stamped(*map(str, days[:20]))), timeframe="1d", calendar=None)
    assert [line for line in few.assumptions if "less than a twelfth of a year of bars can't tell" in line]


def test_a_calendar_that_does_not_fit_the_bars_is_a_finding_with_both_rates(write: Write) -> None:
    days = np.arange("2024-01-01", "2024-07-01", dtype="M8[D]")
    loaded = load(write(stamped(*map(str, days))), timeframe="1d", calendar="XNYS")
    [finding] = loaded.findings
    assert (finding.kind, finding.count) == ("rate", 1)
    assert "XNYS says 252 bars a year, and the bars show 365.25" in finding.text
    forced = load(write(stamped(*map(str, days))), timeframe="1d", calendar="24/7", periods_per_year=250.0)
    assert "stats.periods_per_year says 250 bars a year, and the bars show 365.25" in forced.findings[0].text


# Parquet


def arrow(**replaced: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "timestamp": pa.array(np.array(HOURS, "datetime64[us]"), pa.timestamp("us", "UTC")),
        "open": [10.0, 11.0, 12.0, 13.0],
        "high": [12.0, 13.0, 14.0, 15.0],
        "low": [9.0, 10.0, 11.0, 12.0],
        "close": [11.0, 12.0, 13.0, 14.0],
        "volume": [100.0, 200.0, 300.0, 400.0],
    }
    return pa.table({**columns, **replaced})


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    def write_table(**replaced: Any) -> Path:
        pq.write_table(arrow(**replaced), tmp_path / "bars.parquet")
        return tmp_path / "bars.parquet"

    return write_table


@pytest.mark.parametrize(
    "replaced",
    [
        {},
        {"timestamp": pa.array(np.array(HOURS, "datetime64[ns]"), pa.timestamp("ns", "Europe/Berlin"))},
        {"timestamp": pa.array(np.array(HOURS, "datetime64[s]"))},
        {"timestamp": np.array(HOURS, "datetime64[ms]").view(np.int64)},
        {"timestamp": np.array(HOURS, "datetime64[s]").view(np.int64).astype(float)},
        {"timestamp": [f"{hour}:00:00Z" for hour in HOURS]},
        {"timestamp": pa.array([f"{hour}:00:00Z" for hour in HOURS]).dictionary_encode()},
        {"open": np.array([10, 11, 12, 13], np.int32), "high": np.array([12, 13, 14, 15], np.float32)},
        {"volume": pa.array([100, 200, 300, 400], pa.decimal128(10, 2)), "close": ["11", "12.0", "13", "1.4e1"]},
    ],
)
def test_parquet_of_many_types_is_the_same_table(parquet: Callable[..., Path], replaced: dict[str, Any]) -> None:
    assert is_the_good_table(load(parquet(**replaced)))


def test_parquet_says_what_it_assumed_too(parquet: Callable[..., Path]) -> None:
    loaded = load(parquet(timestamp=pa.array(np.array(HOURS, "datetime64[s]"))))
    assert loaded.assumptions == ["timestamps carry no zone: read as UTC"]


def test_nulls_in_parquet_are_missing_cells_and_rows_count_from_one(parquet: Callable[..., Path]) -> None:
    path = parquet(close=[11.0, None, 13.0, 14.0], timestamp=pa.array([1704067200, 1704070800, 1704074400, None]))
    message = refusal(path).message
    assert "row 2, column close: nan must be finite and greater than 0" in message
    assert "row 4, column timestamp: NaT must not be missing" in message


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"close": [[1.0]] * 4}, "column close holds list<"),
        ({"close": ["a", "b", "c", "d"]}, "row 1, column close: `a` is not a number"),
        ({"timestamp": [True] * 4}, "column timestamp holds bool, not times"),
        (
            {"timestamp": pa.array([10**12] * 4, pa.timestamp("s"))},
            "row 1, column timestamp: `33658-09-27T01:46:40.000` is outside the years 1678 to 2261",
        ),
        ({"timestamp": ["2024-01-01", "x", "", ""]}, "row 2, column timestamp: `x` is not a timestamp"),
    ],
)
def test_parquet_that_holds_something_else_is_refused(
    parquet: Callable[..., Path], replaced: dict[str, Any], says: str
) -> None:
    assert says in refusal(parquet(**replaced)).message


def test_parquet_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(arrow().slice(0, 0), tmp_path / "bars.parquet")
    assert refusal(tmp_path / "bars.parquet").message.endswith("has no rows")


def test_parquet_cut_short_anywhere_is_refused(parquet: Callable[..., Path]) -> None:
    path = parquet()
    data = path.read_bytes()
    for size in range(1, len(data), 97):
        path.write_bytes(data[:size])
        assert "cannot be read as Parquet" in refusal(path).message


def test_parquet_without_pyarrow_names_the_command_that_adds_it(parquet: Callable[..., Path]) -> None:
    code = f"""
import sys
sys.modules["pyarrow"] = None
from peak_trade.market.ohlcv import load_bars
from peak_trade.errors import InputError
try:
    load_bars({str(parquet())!r}, symbol="TEST", timeframe="1h")
except InputError as error:
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "just setup lake\n"


def test_loading_a_csv_file_imports_no_extra(write: Write, good: str) -> None:
    code = f"""
import sys
from peak_trade.market.ohlcv import load_bars
load_bars({str(write(good))!r}, symbol="TEST", timeframe="1h")
print(sorted({{"pyarrow", "pandas", "yaml", "duckdb"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Whatever a file holds


@contextlib.contextmanager
def holding(content: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        yield file.name


MODE = st.sampled_from(["reject", "drop-rows", "warn"])
CELL = st.one_of(
    st.sampled_from(["", "nan", "inf", "-1", "0", "1", "1.5", "1e308", "1e-320", "2024-01-01", "2024-01-01T01:00Z"]),
    st.sampled_from(["1704067200", "1704067200000", "-1e18", "9223372036854775808", '"', '""', "\r", "'", "_", "1_0"]),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.text(max_size=8),
)
ROW = st.lists(CELL, min_size=4, max_size=7)


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=300), mode=MODE)
@example(content=b"PAR1", mode="reject")
@example(content=b"\x1f\x8b", mode="reject")
def test_no_bytes_bring_anything_but_bars_or_a_sentence(content: bytes, mode: str) -> None:
    with holding(content) as path, contextlib.suppress(InputError):
        load(path, on_violation=mode)


@settings(max_examples=250, deadline=None)
@given(rows=st.lists(ROW, max_size=6), mark=st.sampled_from(",;\t"), header=st.booleans(), mode=MODE)
def test_no_table_brings_anything_but_bars_or_a_sentence(
    rows: list[list[str]], mark: str, header: bool, mode: str
) -> None:
    lines = [list(COLUMNS), *(row[:6] + ["1"] * (6 - len(row)) for row in rows)] if header else rows
    content = "\n".join(mark.join(line) for line in lines).encode("utf-8", "surrogatepass")
    with holding(content) as path, contextlib.suppress(InputError):
        bars = load(path, on_violation=mode).bars
        assert (np.diff(bars.timestamp.view(np.int64)) > 0).all()
        for prices in (bars.open, bars.high, bars.low, bars.close):
            assert (np.isfinite(prices) & (prices > 0)).all()


@settings(max_examples=100, deadline=None)
@given(prices=st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=40), start=st.integers(-(10**9), 10**9))
def test_what_is_written_is_what_is_read(prices: list[float], start: int) -> None:
    stamps = np.datetime64(start, "h").astype("datetime64[ns]") if abs(start) < 2_000_000 else np.datetime64(0, "ns")
    times = stamps + np.arange(len(prices)) * np.timedelta64(1, "h")
    rows = [f"{time}Z,{price!r},{price!r},{price!r},{price!r},1" for time, price in zip(times, prices, strict=True)]
    with holding(table(",".join(COLUMNS), *rows).encode()) as path:
        bars = load(path).bars
    assert bars.close.tolist() == prices
    assert (bars.timestamp == times).all()
