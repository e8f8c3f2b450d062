from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.market.dialects import KINDS, Bar, Kind, days, grouped, hours, iso, ohlcv, table

from peak_trade.config import reading
from peak_trade.errors import InputError
from peak_trade.market import hints
from peak_trade.market.dialects import DIALECTS, NAMES
from peak_trade.market.ohlcv import Loaded, load_bars

Write = Callable[..., Path]

TEXTS = [name for name, kind in KINDS.items() if kind.text]


def as_bytes(made: str | bytes) -> bytes:
    return made if isinstance(made, bytes) else made.encode()


def zipped(data: bytes, *names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("bars.csv",):
            archive.writestr(name, data)
    return sink.getvalue()


def requoted(text: str, mark: str) -> str:
    sink = io.StringIO()
    csv.writer(sink, delimiter=mark, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        csv.reader(io.StringIO(text), delimiter=mark)
    )
    return sink.getvalue()


def load(path: Path, kind: Kind | None = None, *, timeframe: str = "", **keys: Any) -> Loaded:
    if kind is not None:
        timeframe = "1h" if kind.rows is hours else "1d"
        keys = {**kind.keys, **keys}
    return load_bars(path, symbol="TEST", timeframe=timeframe or "1d", reading=reading(keys))


def refusal(path: Path, kind: Kind | None = None, **keys: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(path, kind, **keys)
    assert "…" not in caught.value.hint
    assert caught.value.hint
    return caught.value


def are(loaded: Loaded, rows: list[Bar]) -> bool:
    bars = loaded.bars
    times = np.array([bar.time.replace(tzinfo=None) for bar in rows], "datetime64[ns]")
    assert bars.timestamp.tolist() == times.tolist()
    for name in Bar._fields[1:]:
        assert getattr(bars, name).tolist() == [getattr(bar, name) for bar in rows], name
    return loaded.violations == 0


# A file of each kind


@pytest.mark.parametrize("count", [1, 2, 40, 1100])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_each_kind_is_read_exactly(write: Write, name: str, count: int) -> None:
    kind = KINDS[name]
    rows = kind.rows(count)
    loaded = load(write(kind.make(rows), f"bars{kind.suffix}"), kind)
    assert are(loaded, rows)
    assert loaded.formats == [kind.format]
    assert not kind.said or loaded.assumptions.count(kind.said) == 1
    assert kind.said or not any(text.startswith("read as") for text in loaded.assumptions)


@pytest.mark.parametrize("name", KINDS)
def test_the_format_that_is_found_may_as_well_be_given(write: Write, name: str) -> None:
    kind = KINDS[name]
    rows = kind.rows(30)
    assert are(load(write(kind.make(rows), f"bars{kind.suffix}"), kind, format=kind.format), rows)


@pytest.mark.parametrize(
    "dress",
    [
        pytest.param(lambda data: b"\xef\xbb\xbf" + data, id="bom"),
        pytest.param(lambda data: data.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(lambda data: data.rstrip(b"\n"), id="no last line end"),
        pytest.param(lambda data: data + b"\n\n", id="blank lines at the end"),
        pytest.param(lambda data: data.decode().encode("utf-16"), id="utf-16"),
        pytest.param(lambda data: gzip.compress(data), id="gzip"),
        pytest.param(zipped, id="zip"),
        pytest.param(lambda data: gzip.compress(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")), id="all at once"),
    ],
)
@pytest.mark.parametrize("name", TEXTS)
def test_the_dress_of_a_kind_does_not_matter(write: Write, name: str, dress: Callable[[bytes], bytes]) -> None:
    kind = KINDS[name]
    rows = kind.rows(20)
    assert are(load(write(dress(as_bytes(kind.make(rows))), f"bars{kind.suffix}"), kind), rows)


@pytest.mark.parametrize("name", TEXTS)
def test_quotes_around_each_cell_do_not_matter(write: Write, name: str) -> None:
    kind = KINDS[name]
    rows = kind.rows(20)
    text = as_bytes(kind.make(rows)).decode()
    mark = next((mark for mark in "\t;|" if text.splitlines()[-1].count(mark) >= 4), ",")
    assert are(load(write(requoted(text, mark), f"bars{kind.suffix}"), kind), rows)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.text and kind.suffix == ".json"])
def test_json_may_be_packed_too(write: Write, name: str) -> None:
    kind = KINDS[name]
    rows = kind.rows(20)
    for data in (gzip.compress(as_bytes(kind.make(rows))), zipped(as_bytes(kind.make(rows)), "bars.json")):
        assert are(load(write(data, "bars.json.packed"), kind), rows)


def test_every_dialect_has_a_file_in_this_table() -> None:
    assert {dialect.name for dialect in DIALECTS} - {"freqtrade"} <= {kind.format for kind in KINDS.values()}
    assert {dialect.title for dialect in DIALECTS} - {"freqtrade's lists"} <= {
        kind.said.removeprefix("read as ").partition(" (")[0] for kind in KINDS.values()
    }


def test_a_row_of_nothing_but_nulls_is_one_to_drop(write: Write) -> None:
    rows = days(5)
    text = as_bytes(KINDS["yahoo"].make(rows)).decode() + "2024-01-06,null,null,null,null,null,null\n"
    error = refusal(path := write(text))
    assert hints.parse(error.hint) == ['on_violation = "drop-rows"']
    kept = load_bars(path, symbol="T", timeframe="1d", on_violation="drop-rows")
    assert are(Loaded(**{name: getattr(kept, name) for name in Loaded.__struct_fields__} | {"violations": 0}), rows)
    assert kept.dropped == 1


def test_of_several_tickers_one_has_to_be_chosen(write: Write) -> None:
    rows = days(10)
    text = as_bytes(KINDS["yfinance of several tickers, one of them the symbol"].make(rows)).decode()
    path = write(text.replace("TEST", "AAPL"))
    error = refusal(path)
    assert "holds 2 tickers, AAPL, MSFT, and none is the symbol TEST" in error.message
    assert are(load(path, **tomllib.loads(hints.parse(error.hint)[0])), rows)
    assert load_bars(path, symbol="MSFT", timeframe="1d").bars.close.tolist() == [5.0] * 10


@pytest.mark.parametrize("ticker", ["T", "C", "O", "V", "H", "L", "OPEN"])
def test_a_ticker_may_be_spelled_like_a_column(write: Write, ticker: str) -> None:
    text = as_bytes(KINDS["yfinance with a header of three lines"].make(days(5))).decode()
    assert are(load(write(text.replace("MSFT", ticker))), days(5))


def test_times_of_a_zone_that_nobody_says_are_refused_where_two_sources_differ_in_it(write: Write) -> None:
    path = write(KINDS["histdata"].make(hours(9)))
    starts = []
    for choice in hints.parse(refusal(path, timeframe="1h").hint):
        starts.append(str(load(path, timeframe="1h", **tomllib.loads(choice)).bars.timestamp[0])[:13])
    assert starts == ["2024-01-01T00", "2023-12-31T19"]


def test_days_of_a_spreadsheet_are_no_seconds(write: Write) -> None:
    assert "a spreadsheet writes days as numbers" in refusal(write(dated("45292", "45293", "45294"))).hint


def test_numbers_that_something_has_cut_off_are_no_seconds(write: Write) -> None:
    path = write(dated("1704067", "1704068", "1704069"))  # thousandths of the seconds that they were
    (choice,) = hints.parse(refusal(path, timeframe="1s").hint)
    assert len(load(path, timeframe="1s", **tomllib.loads(choice)).bars) == 3


def of_two_symbols() -> str:
    rows = [[f"2024-01-0{day}", symbol, *(day * factor,) * 4, 1] for day in (1, 2, 3) for symbol, factor in
            (("BRK/A", 10), ("B", 1))]  # fmt: skip
    return table(rows, "date,symbol,open,high,low,close,volume")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
@pytest.mark.parametrize(("symbol", "closes"), [("B", [1, 2, 3]), ("BRK/A", [10, 20, 30]), ("brka", [10, 20, 30])])
def test_of_rows_of_several_symbols_those_of_the_symbol_are_read(
    tmp_path: Path, suffix: str, symbol: str, closes: list[float]
) -> None:
    path = tmp_path / f"bars{suffix}"
    if suffix == ".csv":
        path.write_text(of_two_symbols())
    elif suffix == ".json":
        path.write_text(json.dumps(list(csv.DictReader(io.StringIO(of_two_symbols())))))
    else:
        csv_file, parquet = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(csv_file.read_csv(io.BytesIO(of_two_symbols().encode())), path)
    found = load_bars(path, symbol=symbol, timeframe="1d")
    assert found.bars.close.tolist() == closes
    assert f"the rows of {'B' if symbol == 'B' else 'BRK/A'} are read, of several symbols" in found.assumptions


@pytest.mark.parametrize("first", ["1928-01-03", "1950-01-03", "1969-12-01"])
def test_seconds_before_1970_are_of_an_old_market(write: Write, first: str) -> None:
    stamps = np.datetime64(first, "s") + np.arange(60) * np.timedelta64(86_400, "s")
    rows = [[int(stamp.view(np.int64)), 10, 12, 9, 11, 100] for stamp in stamps]
    bars = load(write(table(rows, "time,open,high,low,close,Volume"))).bars
    assert bars.timestamp.tolist() == stamps.astype("datetime64[ns]").tolist()


def test_rows_of_several_symbols_none_of_which_is_asked_for_are_refused(write: Write) -> None:
    error = refusal(write(of_two_symbols()))
    assert "holds bars of several symbols, such as `BRK/A` and `B`, and none is TEST" in error.message
    assert hints.parse(error.hint) == ['symbol = "BRK/A"', 'symbol = "B"']


def test_a_symbol_that_the_file_does_not_name_is_said(write: Write) -> None:
    one = table([["2024-01-01", "^SPX", 1, 1, 1, 1, 1]], "date,symbol,open,high,low,close,volume")
    said = "the file names its symbol `^SPX`: taken as "
    assert f"{said}NDX" in load_bars(write(one), symbol="NDX", timeframe="1d").assumptions
    assert said not in str(load_bars(write(one), symbol="SPX", timeframe="1d").assumptions)


@pytest.mark.parametrize(
    "header",
    [
        "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen",
        "Date;Ouverture;Haut;Bas;Clôture;Volume",
        "Fecha;Apertura;Maximo;Minimo;Cierre;Volumen",
        "日付;始値;高値;安値;終値;出来高",
        "When;First;Second;Third;Fourth;Fifth",
        "Date;BidOpen;BidHigh;BidLow;BidClose;Qty",
    ],
)
def test_a_hint_for_columns_of_other_names_gives_each_price_its_own(write: Write, header: str) -> None:
    rows = [[f"2024-01-0{day}", 10.5, 12, 9, 11, 100] for day in (1, 2, 3)]
    path = write(table(rows, header).replace(",", ";"))
    (choice,) = hints.parse(refusal(path).hint)
    bars = load(path, **tomllib.loads(choice)).bars
    assert [bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]] == [10.5, 12, 9, 11, 100]


def test_a_hint_for_columns_keeps_to_an_order_that_the_first_row_can_have(write: Write) -> None:
    path = write(table([[f"2024-01-0{day}", 9, 12, 11, 10.5] for day in (1, 2, 3)], "When,A1,A2,A3,A4"))
    (choice,) = hints.parse(refusal(path).hint)
    assert tomllib.loads(choice)["columns"] == {"timestamp": "When", "low": "A1", "high": "A2", "open": "A3",
                                                "close": "A4"}  # fmt: skip
    path = write(table([["2024-01-01", 9, 100, 1, 50, 7]], "When,A1,A2,A3,A4,A5"))
    (choice,) = hints.parse(refusal(path).hint)  # control: here they stand in the usual order
    assert tomllib.loads(choice)["columns"]["open"] == "A1"


def test_a_hint_for_columns_keeps_those_that_were_named(write: Write) -> None:
    path = write(table([["2024-01-01", 10, 12, 9, 11]], "Tag,Erster,Hoch,Tief,Schluss"))
    (choice,) = hints.parse(refusal(path, columns={"timestamp": "Tag", "open": "Erster"}).hint)
    assert load(path, **tomllib.loads(choice)).bars.close.tolist() == [11]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ("AAPL,2024-01-02,10.5,12,9,11,100", "timestamp = 2, open = 3, high = 4, low = 5, close = 6, volume = 7"),
        ("2024-01-02,11,12,9,10,100,x", "timestamp = 1, open = 2, high = 3, low = 4, close = 5, volume = 6"),
        ("2024-01-02,9,12,10.5,11", "timestamp = 1, open = 4, high = 3, low = 2, close = 5"),
        ("FR1,31/12/24,10.5,12,9,11,100", "timestamp = 2, open = 3, high = 4, low = 5, close = 6, volume = 7"),
        ("X,01/31/2024,16:00,10,12,9,11", "date = 2, time = 3, open = 4, high = 5, low = 6, close = 7"),
    ],
)
def test_a_hint_for_a_file_without_a_header_begins_at_its_times(write: Write, row: str, columns: str) -> None:
    path = write(f"{row}\n")
    (choice,) = hints.parse(refusal(path).hint)
    assert choice == f"columns = {{ {columns} }}"
    keys = tomllib.loads(choice) | ({"date_format": "%d/%m/%y"} if "FR1" in row else {})
    assert load(path, **keys).bars.high.tolist() == [12]


def test_one_column_of_prices_is_all_four(write: Write) -> None:
    path = write(table([[f"2024-01-0{day}", day, 5] for day in (1, 2, 3)], "Date,Close,Volume"))
    (choice,) = hints.parse(refusal(path).hint)
    assert load(path, **tomllib.loads(choice)).bars.open.tolist() == [1, 2, 3]


def test_dates_that_make_no_bars_of_the_timeframe_are_offered_the_other_way(write: Write) -> None:
    rows = [[f"0{day}/02/2024", 11, 10, 12, 9, "1K", "1%"] for day in (9, 8, 7, 6, 5)]  # of February, as in Britain
    path = write(table(rows, "Date,Price,Open,High,Low,Vol.,Change %"))
    (choice,) = hints.parse(refusal(path).hint)
    assert choice == 'date_format = "%d/%m/%Y"'
    assert str(load(path, **tomllib.loads(choice)).bars.timestamp[0])[:10] == "2024-02-05"
    assert str(load(path, timeframe="1M").bars.timestamp[0])[:10] == "2024-05-02"  # control: months they may be


@pytest.mark.parametrize(
    ("text", "form"), [("02-Jan-24", "%d-%b-%y"), ("Tue 02 Jan 2024", "%a %d %b %Y"), ("31.12.24", "%d.%m.%y")]
)
def test_dates_of_a_form_that_is_not_looked_for_are_told_theirs(write: Write, text: str, form: str) -> None:
    path = write(table([[text, 1, 1, 1, 1]], "Date,Open,High,Low,Close"))
    choices = [tomllib.loads(choice) for choice in hints.parse(refusal(path).hint)]
    assert {"date_format": form} in choices
    assert {"date_format": "%m.%d.%y"} not in choices  # there is no month 31
    assert str(load(path, date_format=form).bars.timestamp[0])[:4] == "2024"


def test_an_index_whose_volume_is_dashes_has_none(write: Write) -> None:
    path = write(table([["01/03/2024", "11.5", "--", 10, 12, 9], ["01/02/2024", "11", "--", 10, 12, 9]],
                       "Date,Close/Last,Volume,Open,High,Low"))  # fmt: skip
    found = load(path)
    assert found.bars.volume.tolist() == [0, 0]
    assert "the volume is empty in every row: filled with 0" in found.assumptions


def test_decimals_of_parquet_are_the_numbers_of_a_csv(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"{cents / 100:.2f}" for cents in range(1001, 3001)]
    decimals = pa.array([Decimal(text) for text in texts])
    exact = [float(text) for text in texts]
    assert decimals.cast(pa.float64()).to_pylist() != exact  # control: pyarrow's own way is not exact
    stamps = np.datetime64("2024-01-01", "ns") + np.arange(2000) * np.timedelta64(1, "D")
    path = tmp_path / "bars.parquet"
    parquet.write_table(pa.table({"date": stamps} | dict.fromkeys(("open", "high", "low", "close"), decimals)), path)
    assert load(path).bars.close.tolist() == exact


@pytest.mark.parametrize(
    ("above", "mark", "below"),
    [
        ("sep=;\n", ";", ""),
        ("sep=,\r\n", ",", ""),
        ("", ",", "\n  \n\t\n"),
        ("", ",", "\x1a"),
        ("\n \n", ",", "\n"),
    ],
    ids=["Excel's mark", "Excel's mark, comma", "spaces at the end", "CP/M's end", "spaces on top"],
)
def test_lines_that_are_none_of_the_table(write: Write, above: str, mark: str, below: str) -> None:
    rows = table([[f"2024-01-0{day}", 10, 12, 9, 11, 100] for day in (1, 2, 3)], "Date,Open,High,Low,Close,Volume")
    assert load(write(above + rows.replace(",", mark) + below)).bars.close.tolist() == [11, 11, 11]


def test_rows_that_end_with_a_delimiter_have_no_field_more(write: Write) -> None:
    rows = table([[f"2024-01-0{day}", 10, 12, 9, 11, 100, ""] for day in (1, 2, 3)], "Date,Open,High,Low,Close,Volume")
    assert load(write(rows)).bars.volume.tolist() == [100, 100, 100]
    rows = table([[f"2024-01-0{day}", 10, 12, 9, 11, 100, 7] for day in (1, 2, 3)], "Date,Open,High,Low,Close,Volume")
    assert (
        "row 2 has 7 fields, the header has 6" in refusal(write(rows)).message
    )  # control: a field that says something


@pytest.mark.parametrize("order", ["little", "big"])
def test_utf16_without_its_mark(write: Write, order: str) -> None:
    rows = table([["2024-01-01", 10, 12, 9, 11, 100]], "Date,Open,High,Low,Close,Volume")
    assert load(write(rows.encode(f"utf-16-{order[0]}e"))).bars.close.tolist() == [11]
    assert "holds a NUL byte" in refusal(write(b"Date,Open\0" + rows.encode())).message  # control


@pytest.mark.parametrize("orient", ["columns", "index", "split", "records", "table", "lines"])
def test_each_way_in_which_pandas_writes_json(tmp_path: Path, orient: str) -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.DatetimeIndex(["2024-01-01", "2024-01-02"], name="date" if orient in ("records", "lines") else None)
    frame = pandas.DataFrame({"open": [10.5, 11.5], "high": 12.0, "low": 9.0, "close": [11.0, 10.0]}, index=index)
    path = tmp_path / "bars.json"
    if orient in ("records", "lines"):
        frame.reset_index().to_json(path, orient="records", lines=orient == "lines", date_format="iso")
    else:
        frame.to_json(path, orient=orient, date_format="iso")
    bars = load(path).bars
    assert (bars.open.tolist(), bars.close.tolist()) == ([10.5, 11.5], [11, 10])
    assert str(bars.timestamp[1])[:10] == "2024-01-02"


def test_json_that_breaks_off_is_not_taken_for_lines(write: Write) -> None:
    assert "is not whole JSON" in refusal(write("[[1704067200000, 1, 1, 1, 1, 1],\n[17040", "bars.json")).message


@pytest.mark.parametrize(("name", "zone"), [("+01:00", "Etc/GMT-1"), ("UTC-5", "Etc/GMT+5"), ("+0900", "Etc/GMT-9")])
def test_an_offset_in_place_of_a_zone_is_told_its_name(write: Write, name: str, zone: str) -> None:
    path = write(table([["2024-01-01 12:00", 1, 1, 1, 1, 1]], "Date,Open,High,Low,Close,Volume"))
    (choice,) = hints.parse(refusal(path, timezone=name).hint)
    assert choice == f'timezone = "{zone}"'
    hours = {"+01:00": 11, "UTC-5": 17, "+0900": 3}[name]
    assert str(load(path, timezone=zone).bars.timestamp[0])[11:13] == f"{hours:02}"


def test_another_column_of_ours_is_no_adjusted_close(write: Write) -> None:
    path = write(table([["2024-01-01", 10, 12, 9, 11, 5.5, 100]], "Date,Open,High,Low,Close,Adj Close,Volume"))
    assert "`Volume` is the volume, and no adjusted close" in refusal(path, adjust="Volume").message
    assert load(path, adjust="Adj Close").bars.high.tolist() == [6]  # control


def test_a_zip_of_several_files_is_refused(write: Write) -> None:
    data = as_bytes(KINDS["yahoo"].make(days(3)))
    assert "holds 2 files: a.csv, b.csv" in refusal(write(zipped(data, "a.csv", "b.csv"), "bars.zip")).message
    assert are(load(write(zipped(data, "a.csv", "__MACOSX/._a.csv"), "one.zip"), KINDS["yahoo"]), days(3))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04 nonsense", "is not a whole zip file"),
        (zipped(b"x", "[Content_Types].xml", "xl/workbook.xml"), "is a workbook"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"[1, 2", "is not whole JSON"),
        (b'{"error": []}', "holds no list of bars"),
        (b"[]", "has no rows"),
        (b"[[1700000000, 1, 1, 1, 1, 1], [1700003600, 1, 1]]", "row 2 is not like the first"),
        (b"\xff\xfea", "is not whole UTF-16"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(write: Write, data: bytes, says: str) -> None:
    assert says in refusal(write(data)).message


# What can be read in two ways


def dated(*texts: str) -> str:
    return table([[text, 10, 12, 9, 11, 5] for text in texts], "date,open,high,low,close,volume")


def test_day_and_month_are_told_by_the_whole_column(write: Write) -> None:
    american = [f"{month:02}/{day:02}/2024" for month in (1, 2) for day in range(1, 29)]
    european = [f"{day:02}/{month:02}/2024" for month in (1, 2) for day in range(1, 29)]
    for texts in (american, european):
        times = load(write(dated(*texts))).bars.timestamp
        assert [str(time)[:10] for time in times] == [f"2024-{m:02}-{d:02}" for m in (1, 2) for d in range(1, 29)]


@pytest.mark.parametrize("mark", ["/", "-", "."])
def test_where_no_row_tells_day_from_month_the_reader_is_asked(write: Write, mark: str) -> None:
    path = write(dated(*(f"01{mark}{day:02}{mark}2024" for day in range(1, 13))))
    error = refusal(path)
    assert "which can be read in two ways" in error.message
    read = {}
    for choice in hints.parse(error.hint):
        keys = tomllib.loads(choice)
        with_it = load_bars(path, symbol="T", timeframe="1d" if keys["date_format"][1] == "m" else "1M",
                            reading=reading(keys))  # fmt: skip
        read[keys["date_format"]] = [str(time)[:10] for time in with_it.bars.timestamp[:2]]
    assert read == {
        f"%m{mark}%d{mark}%Y": ["2024-01-01", "2024-01-02"],
        f"%d{mark}%m{mark}%Y": ["2024-01-01", "2024-02-01"],
    }


def test_a_source_that_writes_american_dates_settles_it_and_that_is_told(write: Write) -> None:
    loaded = load(write(KINDS["investing"].make(days(5))))
    assert "dates such as 01/05/2024 can be read in several ways: taken as %m/%d/%Y" in loaded.assumptions


def test_numbers_of_three_digits_behind_a_comma_are_not_guessed(write: Write) -> None:
    path = write(table([[f"2024-01-0{day}", "1,234", "1,236", "1,233", "1,235", "7"] for day in (1, 2, 3)],
                       "date;open;high;low;close;volume", ";"))  # fmt: skip
    error = refusal(path)
    assert "numbers such as `1,234`, which can be read in two ways" in error.message
    closes = [load(path, **tomllib.loads(choice)).bars.close[0] for choice in hints.parse(error.hint)]
    assert closes == [1235.0, 1.235]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1 234,5", 1234.5),
        ("1\u00a0234,5", 1234.5),
        ("1\u202f234.5", 1234.5),
        ("1'234.5", 1234.5),
        ("$1,234.5", 1234.5),
        ("1.234,5 €", 1234.5),
        ("1,234,567", 1234567.0),
        ("1.234.567", 1234567.0),
        ("12,34,567", 1234567.0),
        ("0,123", 0.123),
        ("1234,5", 1234.5),
        ("1234,567", 1234.567),
        ("12,5", 12.5),
    ],
)
def test_a_number_is_read_as_the_only_thing_it_can_be(write: Write, cell: str, value: float) -> None:
    text = table([["2024-01-01", *[f'"{cell}"'] * 4, 1]], "date;open;high;low;close;volume", ";")
    assert load(write(text)).bars.close.tolist() == [value]


@pytest.mark.parametrize("cell", ["12,34.5", "1,2345.6", "1.2M", "5%", "$", "1 23.5", "--1,5"])
def test_what_is_no_number_in_any_style_is_named(write: Write, cell: str) -> None:
    text = table([["2024-01-01", 1, f'"{cell}"', 1, 1, 1]], "date;open;high;low;close;volume", ";")
    assert f"row 2, column high: `{cell}` is not a number" in refusal(write(text)).message


def test_decimals_written_in_two_ways_are_refused(write: Write) -> None:
    text = table([["2024-01-01", "1,5", "2.5", 1, 1, 1]], "date;open;high;low;close;volume", ";")
    assert "`1,5` and `2.5` write decimals in two ways" in refusal(write(text)).message


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.2M", 1.2e6), ("3K", 3e3), ("1.1B", 1.1e9), ("2.5k", 2500.0), ("-", 0.0), ("1,234.5K", 1234500.0)],
)
def test_a_volume_may_be_short(write: Write, cell: str, value: float) -> None:
    text = table([["2024-01-01", 1, 1, 1, 1, f'"{cell}"']], "date,open,high,low,close,volume")
    assert load(write(text)).bars.volume.tolist() == [value]


def test_a_volume_that_is_empty_in_every_row_is_filled_and_told(write: Write) -> None:
    loaded = load(write(table([[iso(b), *ohlcv(b)[:4], ""] for b in days(3)], "date,open,high,low,close,volume")))
    assert loaded.bars.volume.tolist() == [0, 0, 0]
    assert "the volume is empty in every row: filled with 0" in loaded.assumptions
    text = table([[iso(b), *ohlcv(b)[:4], "" if b.time.day == 1 else 1] for b in days(3)],
                 "date,open,high,low,close,volume")  # fmt: skip
    assert "row 2, column volume: nan" in refusal(write(text)).message


def test_a_list_whose_order_the_prices_leave_open_is_refused(write: Write) -> None:
    path = write(json.dumps([[1700000000 + 3600 * at, 5, 5, 5, 5, 1] for at in range(4)]), "flat.json")
    error = refusal(path, timeframe="1h")
    assert [tomllib.loads(choice)["format"] for choice in hints.parse(error.hint)] == ["ccxt", "coinbase", "bitfinex"]
    for choice in hints.parse(error.hint):
        assert load(path, timeframe="1h", **tomllib.loads(choice)).bars.close.tolist() == [5] * 4


def test_a_bad_row_does_not_change_the_order_that_a_list_is_read_in(write: Write) -> None:
    rows = [[1700000000 + 3600 * at, 10, 12, 9, 11, 1] for at in range(40)]
    rows[7][2] = 5  # the high below the low
    error = refusal(write(json.dumps(rows), "bars.json"), timeframe="1h")
    assert "row 8, column high: 5.0 must not be below open or close" in error.message


# The keys


def test_a_format_that_does_not_fit_is_refused_with_one_that_does(write: Write) -> None:
    path = write(KINDS["kraken"].make(hours(4)))
    error = refusal(path, timeframe="1h", format="binance")
    assert error.hint == "leave format out, or say what stands where by columns"
    assert are(load(path, timeframe="1h"), hours(4))
    path = write(KINDS["nasdaq"].make(days(4)))
    error = refusal(path, format="dukascopy")
    assert "is not as dukascopy writes it" in error.message
    assert are(load(path, **tomllib.loads(hints.parse(error.hint)[0])), days(4))


def test_an_unknown_format_gets_the_nearest(write: Write) -> None:
    error = refusal(write(KINDS["yahoo"].make(days(4))), format="yaho")
    assert (error.message, hints.parse(error.hint)) == ("unknown format `yaho`", ['format = "yahoo"'])
    assert refusal(write("x"), format="zzzz").hint.startswith("leave format out, or say one of yahoo, ")
    assert "plain" in NAMES


def test_a_day_and_a_time_may_stand_anywhere(write: Write) -> None:
    rows = hours(30)
    text = table([[b.close, f"{b.time:%H%M}", b.open, b.high, f"{b.time:%d.%m.%Y}", b.low, b.volume] for b in rows],
                 "last,clock,open,high,day,low,volume")  # fmt: skip
    path = write(text)
    keys = {"columns": {"date": "day", "time": "clock", "close": "last"}, "date_format": "%d.%m.%Y"}
    assert are(load(path, timeframe="1h", **keys), rows)
    assert are(load(path, timeframe="1h", **keys | {"date_format": "%d.%m.%Y %H%M"}), rows)


def test_a_marker_of_fields_may_be_any_character(write: Write) -> None:
    rows = days(3)
    for mark, name in (("~", "~"), ("\t", "tab"), ("|", "|"), (" ", " ")):
        text = table([[iso(b), *ohlcv(b)] for b in rows], mark.join(["date", *Bar._fields[1:]]), mark)
        assert are(load(write(text), delimiter=name), rows)


def test_the_styles_of_numbers_may_be_given(write: Write) -> None:
    rows = days(3)
    text = table([[iso(b), *(grouped(p, ".", ",") for p in ohlcv(b))] for b in rows],
                 "date;open;high;low;close;volume", ";")  # fmt: skip
    for keys in ({"decimal": ","}, {"thousands": "."}, {"decimal": ",", "thousands": "."}):
        assert are(load(write(text), **keys), rows)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"date_format": "%d.%m"}, "date_format '%d.%m' lacks %Y"),
        ({"date_format": "%d.%m.%Y %q"}, "holds %q, which is not read"),
        ({"date_format": "%d.%m.%Y %I:%M"}, "does not say each part of a time once"),
        ({"date_format": "%d.%d.%m.%Y"}, "does not say each part of a time once"),
        ({"date_format": "yyyy-mm-dd"}, "lacks %Y, %m, %d"),
        ({"date_format": "%"}, "%"),
        ({"delimiter": ";;"}, "separates by one character"),
        ({"thousands": "x"}, "groups no digits"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both `,`"),
        ({"timezone": "America/New_Yorck"}, "unknown timezone `America/New_Yorck`"),
        ({"timezone": "../../etc/passwd"}, "unknown timezone"),
        ({"columns": {"open": 0}}, "columns.open is 0"),
        ({"columns": {"timestamp": 1, "time": 2}}, "a timestamp, and a date or time beside it"),
        ({"columns": {"time": 2}}, "has a time and no date"),
        ({"columns": {"open": 99}}, "has 7 columns, and columns.open is 99"),
        ({"start": "yesterday"}, "start is 'yesterday', and is a date"),
        ({"start": "2015"}, "start is '2015', and is a date"),
        ({"start": "2024-02-30"}, "is not a date of the calendar"),
        ({"start": "2024-01-03", "end": "2024-01-02"}, "start 2024-01-03 is not before end 2024-01-02"),
        ({"start": "2024-01-03", "end": "2024-01-03"}, "is not before end"),
        ({"start": "-1d", "end": "-2d"}, "start -1d is not before end -2d"),
        ({"start": "2030-01-01"}, "no bar is left"),
        ({"end": "1999-01-01"}, "no bar is left"),
        ({"adjust": "Adj Clos"}, "has no column `Adj Clos` for adjust"),
        ({"adjust": "Close", "columns": {"close": "Close"}}, "is both the close and what it is adjusted by"),
    ],
)
def test_a_key_that_can_not_be_meant_is_refused(write: Write, keys: dict[str, Any], says: str) -> None:
    path = write(KINDS["yahoo"].make(days(9)))
    error = refusal(path, **keys)
    assert says in error.message
    for choice in hints.parse(error.hint):
        assert len(load(path, **{**keys, **tomllib.loads(choice)}).bars) > 0


@pytest.mark.parametrize(
    ("keys", "first", "last"),
    [
        ({"start": "2024-01-03"}, 3, 20),
        ({"start": "2024-01-03T00:00:01Z"}, 4, 20),
        ({"end": "2024-01-10"}, 1, 9),
        ({"end": "2024-01-10T00:00:00.000000001Z"}, 1, 10),
        ({"start": dt.date(2024, 1, 3), "end": dt.date(2024, 1, 10)}, 3, 9),
        ({"start": "2024-01-03T00:00:00-05:00"}, 4, 20),
        ({"start": "2024-01-03", "timezone": "Asia/Tokyo"}, 3, 20),
        ({"start": "-5d"}, 15, 20),
        ({"end": "-5d"}, 1, 14),
        ({"start": "-2w", "end": "-1w"}, 6, 12),
        ({"start": "-48h"}, 18, 20),
        ({"start": "-1y"}, 1, 20),
    ],
)
def test_a_range_is_from_start_on_and_before_end(write: Write, keys: dict[str, Any], first: int, last: int) -> None:
    loaded = load(write(KINDS["yahoo without the adjusted close"].make(days(20))), **keys)
    shift = np.timedelta64(9, "h") if "timezone" in keys else np.timedelta64(0, "h")
    assert [str(time + shift)[8:10] for time in loaded.bars.timestamp[[0, -1]]] == [f"{first:02}", f"{last:02}"]
    assert len(loaded.bars) == last - first + 1
    assert loaded.outside == 20 - len(loaded.bars)
    assert loaded.outside == 0 or any("bars" in text and "left out" in text for text in loaded.assumptions)


def test_years_back_are_years_of_the_calendar(write: Write) -> None:
    texts = [str(np.datetime64("2019-02-20") + np.timedelta64(day, "D")) for day in range(0, 1836)]
    assert texts[-1] == "2024-02-29"
    bars = load(write(dated(*texts)), start="-5y").bars
    assert str(bars.timestamp[0])[:10] == "2019-02-28"


def test_what_is_wrong_outside_of_the_range_does_not_matter(write: Write) -> None:
    path = write(
        dated("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04").replace("10,12,9,11,5", "-1,12,9,11,5", 1)
    )
    assert "row 2, column open" in refusal(path).message
    assert len(load(path, start="2024-01-02").bars) == 3
    bad_later = write(dated("2024-01-01", "2024-01-02", "2024-01-03") + "2024-01-04,-1,2,1,1,1\n", "later.csv")
    assert "later.csv row 5, column open" in refusal(bad_later, start="2024-01-02").message


def test_the_fingerprint_is_of_the_bars_used(write: Write) -> None:
    from peak_trade.market.fingerprint import fingerprint

    whole = write(KINDS["yahoo without the adjusted close"].make(days(9)))
    part = write(KINDS["yahoo without the adjusted close"].make(days(9)[3:6]), "part.csv")
    cut = load(whole, start="2024-01-04", end="2024-01-07").bars
    assert fingerprint(cut)["digest"] == fingerprint(load(part).bars)["digest"]


def test_rows_in_no_order_are_refused_with_the_key_that_sorts_them(write: Write) -> None:
    rows = days(9)
    shuffled = [rows[at] for at in (3, 0, 1, 8, 2, 5, 4, 7, 6)]
    path = write(KINDS["yahoo without the adjusted close"].make(shuffled))
    error = refusal(path)
    assert hints.parse(error.hint) == ["sort = true"]
    loaded = load(path, sort=True)
    assert are(loaded, rows)
    assert any("rows were not in order: sorted by time" in text for text in loaded.assumptions)


def test_sorting_is_stable_keeps_duplicates_violations_and_names_rows_by_their_line(write: Write) -> None:
    path = write(dated("2024-01-03", "2024-01-01", "2024-01-02", "2024-01-01"))
    message = refusal(path, sort=True).message
    assert "bars.csv row 5, column timestamp: 2024-01-01T00:00:00Z must not occur twice" in message


def test_a_timeframe_that_is_not_the_bars_own_is_named(write: Write) -> None:
    path = write(KINDS["metatrader 5 by days"].make(days(9)))
    assert hints.parse(refusal(path, timeframe="1h").hint) == ['timeframe = "1d"']


def test_of_what_mends_the_bars_the_hint_names_what_keeps_most(write: Write) -> None:
    path = write(dated("2024-01-05", *(f"2024-01-{day:02}" for day in range(1, 20))))
    (choice,) = hints.parse(refusal(path).hint)
    keys = tomllib.loads(choice)
    assert keys.pop("on_violation") == "drop-rows"
    loaded = load_bars(path, symbol="T", timeframe="1d", on_violation="drop-rows", reading=reading(keys))
    assert len(loaded.bars) == 19


def test_files_that_interleave_are_sorted_together(write: Write) -> None:
    rows = days(8)
    make = KINDS["yahoo without the adjusted close"].make
    paths = [write(make(rows[::2]), "a.csv"), write(make(rows[1::2]), "b.csv")]
    with pytest.raises(InputError):
        load_bars(paths, symbol="T", timeframe="1d")
    assert are(load_bars(paths, symbol="T", timeframe="1d", reading=reading({"sort": True})), rows)


def test_prices_are_scaled_by_the_adjusted_close(write: Write) -> None:
    text = table([["2024-01-01", 10, 12, 8, 10, 5, 100], ["2024-01-02", 20, 30, 10, 20, 20, 7]],
                 "Date,Open,High,Low,Close,Adj Close,Volume")  # fmt: skip
    loaded = load(write(text), adjust="Adj Close")
    bars = loaded.bars
    assert (bars.open.tolist(), bars.high.tolist(), bars.low.tolist()) == ([5, 20], [6, 30], [4, 10])
    assert (bars.close.tolist(), bars.volume.tolist()) == ([5, 20], [100, 7])
    assert "prices are scaled by `Adj Close` over the close; the volume is left as it is" in loaded.assumptions
    assert not any("is not used" in text for text in loaded.assumptions)


def test_a_ratio_that_is_missing_leaves_no_price(write: Write) -> None:
    text = table([["2024-01-01", 10, 12, 8, 10, "null", 100], ["2024-01-02", 20, 30, 10, 20, 20, 7]],
                 "Date,Open,High,Low,Close,Adj Close,Volume")  # fmt: skip
    assert "row 2, column close: nan" in refusal(write(text), adjust="Adj Close").message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=40)
)
def test_no_rounding_of_an_adjustment_breaks_the_order_of_prices(
    write: Write, values: list[tuple[int, int, int]]
) -> None:
    rows = []
    for at, (first, second, adjusted) in enumerate(values):
        day = np.datetime64("2000-01-01") + np.timedelta64(at, "D")
        low, high = sorted((first / 100, second / 100))
        rows.append([day, low, high, low, high, adjusted / 1000, 1])
    path = write(table(rows, "Date,Open,High,Low,Close,Adj Close,Volume"))
    bars = load(path, adjust="Adj Close").bars  # the contract holds, or this would raise
    assert bars.close.tolist() == [adjusted / 1000 for _, _, adjusted in values]


# Times of a place


def test_times_of_a_place_are_turned_to_utc_by_its_rules(write: Write) -> None:
    loaded = load(write(dated(*(f"2024-03-{day:02} 16:00" for day in range(7, 12)))), timezone="America/New_York")
    assert [str(time)[11:16] for time in loaded.bars.timestamp] == ["21:00"] * 3 + ["20:00"] * 2
    assert "timestamps carry no zone: read as America/New_York" in loaded.assumptions


def test_an_hour_that_occurs_twice_is_told_by_the_order_of_rows(write: Write) -> None:
    texts = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    utc = ["2024-10-26T23", "2024-10-27T00", "2024-10-27T01", "2024-10-27T02"]
    for rows in (texts, texts[::-1]):
        times = load(write(dated(*rows)), timeframe="1h", timezone="Europe/Berlin").bars.timestamp
        assert [str(time)[:13] for time in times] == utc
    loaded = load(write(dated(texts[0], texts[1], texts[3])), timezone="Europe/Berlin", timeframe="1h")
    assert [str(time)[:13] for time in loaded.bars.timestamp] == [utc[0], utc[1], utc[3]]
    assert any("shows twice" in text for text in loaded.assumptions)


def test_half_hours_that_occur_twice_are_told_apart(write: Write) -> None:
    texts = [f"2024-11-03 01:{minute:02}" for _ in range(2) for minute in (0, 15, 30, 45)]
    times = load(write(dated(*texts)), timeframe="15m", timezone="America/New_York").bars.timestamp
    assert np.diff(times).astype("m8[m]").astype(int).tolist() == [15] * 7


def test_an_hour_that_never_was_is_refused(write: Write) -> None:
    error = refusal(write(dated("2024-03-31 01:00", "2024-03-31 02:00")), timeframe="1h", timezone="Europe/Berlin")
    assert "row 3, column timestamp: is a time that no clock showed in Europe/Berlin" in error.message


def test_a_day_that_begins_with_a_gap_begins_when_it_ends(write: Write) -> None:
    times = load(
        write(dated(*(f"2018-11-{day:02}" for day in (1, 2, 3, 4, 5)))), timezone="America/Sao_Paulo"
    ).bars.timestamp
    assert [str(time)[:13] for time in times] == [
        "2018-11-01T03", "2018-11-02T03", "2018-11-03T03", "2018-11-04T03", "2018-11-05T02"
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo", "America/Sao_Paulo"]),
    st.integers(1950, 2035),
    st.integers(1, 360),
    st.sampled_from([15, 60, 240]),
)
def test_any_series_that_a_place_wrote_by_its_clock_comes_back(zone: str, year: int, day: int, minutes: int) -> None:
    import zoneinfo

    from peak_trade.market import zones

    start = dt.datetime(year, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
    utc = [start + dt.timedelta(minutes=minutes * at) for at in range(400)]
    local = [time.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None) for time in utc]
    values, _ = zones.to_utc(np.array(local, "datetime64[ns]").view(np.int64), zone)
    expected = np.array([time.replace(tzinfo=None) for time in utc], "datetime64[ns]").view(np.int64)
    step_back = 30 if zone == "Australia/Lord_Howe" else 60
    if minutes <= step_back:  # with longer steps a time shown twice may stand there once, and is its first showing
        assert values.tolist() == expected.tolist()
    assert (np.abs(values - expected) <= 3600 * 10**9).all()


def test_without_any_zones_a_sentence_says_what_to_install() -> None:
    program = (
        "import zoneinfo, sys; zoneinfo.reset_tzpath([]); sys.modules['tzdata'] = None\n"
        "from peak_trade.market import zones\n"
        "try: zones.find_zone('Europe/Berlin')\n"
        "except Exception as error: print(type(error).__name__, error, error.hint)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == (
        "InputError timezone `Europe/Berlin` can't be looked up: this machine has no time zones "
        "just setup calendars brings the time zones (the package tzdata)\n"
    )


# Hints


def test_a_hint_says_what_it_is_told_to(write: Write) -> None:
    keys = {"columns": {"close": 'a "b` c', "open": 3}, "sort": True}
    (choice,) = hints.parse(hints.under_data(keys, lead="did you mean `x`?"))
    assert tomllib.loads(choice) == keys
    several = hints.parse(hints.under_data({"start": "2020-01-01"}, {"sort": True, "end": "x or `y`"}))
    assert [tomllib.loads(choice) for choice in several] == [
        {"start": "2020-01-01"}, {"sort": True, "end": "x or `y`"}
    ]  # fmt: skip
    assert hints.parse("did you mean `close`?") == []


@pytest.mark.parametrize(
    "header",
    [
        "when,open,high,low,close,volume",
        "date,open,high,low,settle,volume",
        "date,unix,open,high,low,close,volume",
        "date,open,high,low,close,Volume BTC",
        "date,first,top,bottom,last,volume",
        "date,open,high,low,clsoe,volume",
        "date,open,high,low,close,close",
    ],
)
def test_a_hint_about_columns_can_be_followed(write: Write, header: str) -> None:
    count = header.count(",") + 1
    cells = ["2024-01-0{}", *(["1704067200"] if "unix" in header else []), "10", "10", "10", "10", "7"][:count]
    path = write(table([[cell.format(day) for cell in cells] for day in (1, 2, 3)], header))
    (choice,) = hints.parse(refusal(path).hint)
    assert load(path, **tomllib.loads(choice)).bars.close.tolist() == [10] * 3 or "close,close" in header


def test_closes_alone_may_stand_for_all_prices(write: Write) -> None:
    path = write(table([[f"2024-01-0{day}", 10 + day] for day in (1, 2, 3)], "date,close"))
    (choice,) = hints.parse(refusal(path).hint)
    bars = load(path, **tomllib.loads(choice)).bars
    assert bars.open.tolist() == bars.low.tolist() == bars.close.tolist() == [11, 12, 13]


def test_a_dialects_day_can_not_be_taken_without_its_time(write: Write) -> None:
    path = write(KINDS["metatrader 5"].make(hours(30)))
    for name in ("<DATE>", "<TIME>"):
        (choice,) = hints.parse(refusal(path, timeframe="1h", columns={"timestamp": name}).hint)
        assert are(load(path, timeframe="1h", **tomllib.loads(choice)), hours(30))
