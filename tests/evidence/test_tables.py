"""Tables on disk: exact values, the same digests whatever the file, and a sentence for anything else."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import signal
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_trade.errors import RunError
from peak_trade.evidence import footer, tables
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades

NAMES = ("timestamp", "equity", "drawdown")
AWKWARD = [
    0.0, -0.0, 1.0, -1.5, 0.1, 0.1 + 0.2, 1 / 3, 5e-324, -5e-324, 2.2250738585072014e-308, 1e308,
    1.7976931348623157e308, -1.7976931348623157e308, 1e16, 1e17, 123456789012345680.0, 9007199254740993.0, 1e22, 1e23,
    1e-7, 1e-5, 100.0, 12345678.9, 0.30000000000000004, 4.35, 2.5e-5,
]  # fmt: skip
INT64 = np.iinfo(np.int64)

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(AWKWARD)
instants = st.integers(INT64.min + 1, INT64.max) | st.integers(-9 * 10**9, 9 * 10**9).map(lambda second: second * 10**9)
# what a config can hold: any text of a command line or of TOML
symbols = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


def column(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, np.float64)


def times(values: list[int]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array(values, np.int64).astype("M8[ns]")


def series(stamps: list[int], *floats: list[float]) -> dict[str, Any]:
    return dict(zip(NAMES, [times(stamps), *map(column, floats)], strict=True))


def content(columns: dict[str, Any]) -> bytes:
    return b"".join(tables.series_csv(columns))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two tables hold the same bits."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


# --- series -------------------------------------------------------------------------------------------------------


def test_a_series_is_written_as_a_person_would() -> None:
    day = 86_400 * 10**9
    columns = series([0, day, 2 * day], [10_000.0, 10_100.5, 9_999.9], [0.0, -0.0, -0.01])
    assert content(columns) == (
        b"timestamp,equity,drawdown\n"
        b"1970-01-01T00:00:00Z,10000.0,0.0\n"
        b"1970-01-02T00:00:00Z,10100.5,-0.0\n"
        b"1970-01-03T00:00:00Z,9999.9,-0.01\n"
    )


@settings(deadline=None)
@given(rows=st.lists(st.tuples(instants, numbers, numbers), max_size=20))
def test_a_series_reads_back_bit_for_bit(rows: list[tuple[int, float, float]]) -> None:
    columns = series([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    assert same(tables.read_series(Path("x.csv"), NAMES, content(columns)), columns)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(instants, numbers), min_size=1, max_size=20))
def test_a_series_says_what_a_plain_csv_writer_says(rows: list[tuple[int, float]]) -> None:
    written = content({"timestamp": times([row[0] for row in rows]), "value": column([row[1] for row in rows])})
    header, *lines = csv.reader(io.StringIO(written.decode()))
    assert header == ["timestamp", "value"]
    assert [float(line[1]).hex() for line in lines] == [value.hex() for _, value in rows]
    assert [np.datetime64(line[0].removesuffix("Z"), "ns").astype(int) for line in lines] == [row[0] for row in rows]
    assert all(line[0].endswith("Z") for line in lines)
    digits = [(re.sub(r"e.*|\D", "", line[1]).strip("0"), re.sub(r"e.*|\D", "", repr(row[1])).strip("0"))
              for line, row in zip(lines, rows, strict=True)]  # fmt: skip
    assert all(ours == shortest for ours, shortest in digits)


@pytest.mark.parametrize("value", AWKWARD)
def test_an_awkward_float_reads_back_bit_for_bit(value: float) -> None:
    columns = series([0], [value], [-value])
    assert same(tables.read_series(Path("x.csv"), NAMES, content(columns)), columns)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-(10**9), "1969-12-31T23:59:59Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1704067200 * 10**9, "2024-01-01T00:00:00Z"),
        (1704067200 * 10**9 + 123_000_000, "2024-01-01T00:00:00.123000000Z"),
        (INT64.max, "2262-04-11T23:47:16.854775807Z"),
        (INT64.min + 1, "1677-09-21T00:12:43.145224193Z"),
    ],
)
def test_a_timestamp_is_iso_8601_in_utc(nanoseconds: int, text: str) -> None:
    columns = series([nanoseconds], [1.0], [1.0])
    assert content(columns) == f"timestamp,equity,drawdown\n{text},1.0,1.0\n".encode()
    assert same(tables.read_series(Path("x.csv"), NAMES, content(columns)), columns)


def test_a_series_without_rows_is_its_header() -> None:
    columns = series([], [], [])
    assert content(columns) == b"timestamp,equity,drawdown\n"
    assert same(tables.read_series(Path("x.csv"), NAMES, content(columns)), columns)


@pytest.mark.parametrize("rows", range(9))
def test_blocks_do_not_show_in_a_series(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    # the last timestamp alone needs nanoseconds: all blocks must write them
    columns = series(
        [*range(0, rows * 10**9, 10**9)][:-1] + [rows * 10**9 + 5] * (rows > 0), [0.1] * rows, [0.2] * rows
    )
    whole = content(columns)
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(tables, "_BLOCK", size)
        assert len(list(tables.series_csv(columns))) == 1 + -(-rows // size)
        assert content(columns) == whole
        assert same(tables.read_series(Path("x.csv"), NAMES, content(columns)), columns)


GOOD = b"timestamp,equity,drawdown\n2024-01-01T00:00:00Z,1.0,0.0\n2024-01-01T01:00:00Z,2.0,0.5\n"


def test_the_row_that_is_made_garbage_below_is_good() -> None:
    assert len(tables.read_series(Path("x.csv"), NAMES, GOOD)["equity"]) == 2


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\n",
        b"garbage",
        GOOD.replace(b"equity", b"equities"),
        GOOD.replace(b"timestamp,", b""),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"1.0", b""),
        GOOD.replace(b"1.0", b"one"),
        GOOD.replace(b"1.0", b"NaN"),
        GOOD.replace(b"1.0", b"nan"),
        GOOD.replace(b"1.0", b"Infinity"),
        GOOD.replace(b"1.0", b"null"),
        GOOD.replace(b"1.0", b'"1.0"'),
        GOOD.replace(b"1.0", b"[1.0]"),
        GOOD.replace(b"1.0", b"1.0,1.0"),
        GOOD.replace(b",1.0", b""),
        GOOD.replace(b"1.0", b"1e999"),
        GOOD.replace(b"1.0", b"1_0"),
        GOOD.replace(b"1.0", b"\xff"),
        GOOD.replace(b"00:00Z", b"00:00"),
        GOOD.replace(b"00:00:00Z", b"00:00:00+00:00"),
        GOOD.replace(b"2024-01-01T00:00:00Z", b"now"),
        GOOD.replace(b"2024-01-01T00:00:00Z", b"NaTZ"),
        GOOD.replace(b"2024-01-01T00:00:00Z", b"2024-13-01T00:00:00Z"),
        GOOD.replace(b"2024-01-01T00:00:00Z", b"1704067200"),
        GOOD.replace(b"2024-01-01T00:00:00Z", b"\xff\xfeZ"),
        GOOD + b"\n",
        GOOD + b"x\n",
        GOOD.replace(b"\n2024", b"\n\n2024"),
        GOOD.replace(b"2024", b'"],["2024'),
        bytes(range(256)),
        b"[" * 100_000,
    ],
)
def test_what_is_no_series_is_a_sentence(broken: bytes) -> None:
    with pytest.raises(RunError) as caught:
        tables.read_series(Path("folder/equity.csv"), NAMES, broken)
    assert str(caught.value).startswith("equity.csv: ")
    assert caught.value.exit_code == 1


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_series_with_a_changed_byte_is_read_or_a_sentence(data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    changed[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
    outcome(lambda: tables.read_series(Path("equity.csv"), NAMES, bytes(changed)))


def outcome(read: Callable[[], Any]) -> Any:
    """Return what is read, or None where it is refused; any other error is a failure."""
    try:
        return read()
    except RunError:
        return None


# --- trades -------------------------------------------------------------------------------------------------------


def trades_of(rows: list[tuple[Any, ...]], symbol: str = "TEST") -> Trades:
    """Return trades from rows of side, two instants, eight numbers, bars held, exit reason, and the two excursions.

    Rows without the last two are as versions before 0.3 kept them.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * 15
    side, entry, exit_, *money, held, reason = columns[:13]
    excursions = {name: column(list(values)) for name, values in zip(("mae", "mfe"), columns[13:], strict=False)}
    names = ("entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return_")
    return Trades(
        symbol=symbol,
        side=np.array(side, np.int8),
        entry_time=times(list(entry)),
        exit_time=times(list(exit_)),
        bars_held=np.array(held, np.int64),
        exit_reason=np.array(reason, np.int8),
        **{name: column(list(values)) for name, values in zip(names, money, strict=True)},
        **excursions,
    )


older_row = (st.sampled_from([1, -1]), instants, instants, *[numbers] * 8, st.integers(0, 2**63 - 1), st.integers(0, 4))
trade_rows = st.lists(st.tuples(*older_row, numbers, numbers), max_size=6) | st.lists(
    st.tuples(*older_row), min_size=1, max_size=6
)
HOUR = 3600 * 10**9
TWO = [
    (1, 0, 5 * HOUR, 100.0, 110.0, 2.0, 0.1, 0.11, 0.05, 19.79, 0.09895, 5, 0, -0.05, 0.125),
    (-1, 5 * HOUR, 6 * HOUR, 110.0, 112.5, 1 / 3, 0.0, -0.0, 0.0, -2.5 / 3, -0.022727, 1, 4, -0.03, 0.0),
]
OLDER_HEADER = (
    "trade_id,symbol,side,entry_time,entry_price,exit_time,exit_price,quantity,entry_fee,exit_fee,slippage,pnl,return,"
    "bars_held,exit_reason\n"
)
HEADER = OLDER_HEADER.replace("\n", ",mae,mfe\n")
OLDER_TWO = [row[:13] for row in TWO]
FIELDS = tuple(name for name in Trades.__annotations__ if name != "symbol")


def as_csv(trades: Trades) -> bytes:
    return b"".join(tables.trades_csv(trades))


def from_csv(written: bytes) -> Trades:
    return tables.read_trades(Path("trades.csv"), written)


def from_parquet(written: bytes) -> Trades:
    return tables.read_trades(Path("trades.parquet"), written)


def equal(one: Trades, other: Trades) -> bool:
    """Tell whether two sets of trades hold the same bits; without trades there is no symbol either."""
    return (not len(one) or one.symbol == other.symbol) and all(
        bits(getattr(one, name)) == bits(getattr(other, name)) for name in FIELDS
    )


def bits(values: Any) -> Any:
    return values if values is None else (values.dtype, values.tobytes())


def test_trades_are_written_as_a_person_would() -> None:
    assert as_csv(trades_of(TWO)).decode() == HEADER + (
        "1,TEST,long,1970-01-01T00:00:00Z,100.0,1970-01-01T05:00:00Z,110.0,2.0,0.1,0.11,0.05,19.79,0.09895,5,signal,"
        "-0.05,0.125\n"
        "2,TEST,short,1970-01-01T05:00:00Z,110.0,1970-01-01T06:00:00Z,112.5,0.3333333333333333,0.0,-0.0,0.0,"
        "-0.8333333333333334,-0.022727,1,end_of_data,-0.03,0.0\n"
    )


def test_trades_that_were_kept_without_excursions_are_read_and_written_without() -> None:
    older = trades_of(OLDER_TWO)
    assert as_csv(older).decode() == OLDER_HEADER + (
        "1,TEST,long,1970-01-01T00:00:00Z,100.0,1970-01-01T05:00:00Z,110.0,2.0,0.1,0.11,0.05,19.79,0.09895,5,signal\n"
        "2,TEST,short,1970-01-01T05:00:00Z,110.0,1970-01-01T06:00:00Z,112.5,0.3333333333333333,0.0,-0.0,0.0,"
        "-0.8333333333333334,-0.022727,1,end_of_data\n"
    )
    for again in (from_csv(as_csv(older)), from_parquet(tables.trades_parquet(older))):
        assert again.mae is again.mfe is None
        assert equal(again, older) and not equal(again, trades_of(TWO))


def test_one_excursion_without_the_other_is_refused() -> None:
    import pyarrow.parquet as pq

    half = "".join(line.rpartition(",")[0] + "\n" for line in as_csv(trades_of(TWO)).decode().splitlines())
    assert half.splitlines()[0].endswith(",exit_reason,mae")
    with pytest.raises(RunError, match="its header is not"):
        from_csv(half.encode())
    table, sink = pq.read_table(io.BytesIO(tables.trades_parquet(trades_of(TWO)))), io.BytesIO()
    pq.write_table(table.drop_columns(["mfe"]), sink)
    with pytest.raises(RunError, match="its columns are not"):
        from_parquet(sink.getvalue())


@settings(deadline=None)
@given(rows=trade_rows, symbol=symbols)
def test_trades_read_back_bit_for_bit_from_csv_and_from_parquet(rows: list[Any], symbol: str) -> None:
    trades = trades_of(rows, symbol)
    for again in (from_csv(as_csv(trades)), from_parquet(tables.trades_parquet(trades))):
        assert equal(again, trades)
        assert tables.trades_digest(again) == tables.trades_digest(trades)


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("BTC/USDT", "BTC/USDT"),
        ("A,B", '"A,B"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("carriage\rreturn", '"carriage\rreturn"'),
        ("both\r\n", '"both\r\n"'),
        ("日本 €", "日本 €"),
        (" spaces ", " spaces "),
        ("\ttab", "\ttab"),
        ('"', '""""'),
        ("-", "-"),
        ("\x00", "\x00"),
    ],
)
def test_a_symbol_may_be_any_text(symbol: str, cell: str) -> None:
    trades = trades_of(TWO, symbol)
    assert f"\n1,{cell},long,".encode() in as_csv(trades)
    assert from_csv(as_csv(trades)).symbol == symbol
    assert from_parquet(tables.trades_parquet(trades)).symbol == symbol


def test_no_trades_are_a_header() -> None:
    none = trades_of([])
    assert as_csv(none).decode() == HEADER
    for again in (from_csv(as_csv(none)), from_parquet(tables.trades_parquet(none))):
        assert len(again) == 0
        assert equal(again, none)
        assert tables.trades_digest(again) == tables.trades_digest(none)


@pytest.mark.parametrize("rows", range(6))
def test_blocks_do_not_show_in_trades(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    trades = trades_of((TWO * 3)[:rows])
    whole = as_csv(trades)
    for size in (1, 2, 3):
        monkeypatch.setattr(tables, "_BLOCK", size)
        assert len(list(tables.trades_csv(trades))) == 1 + -(-rows // size)
        assert as_csv(trades) == whole


def test_a_plain_csv_reader_reads_the_trades() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(trades_of(TWO, 'A,"B"')).decode(), newline="")))
    assert [row["symbol"] for row in rows] == ['A,"B"'] * 2
    assert [float(row["pnl"]) for row in rows] == [19.79, -2.5 / 3]
    assert [row["exit_reason"] for row in rows] == ["signal", "end_of_data"]


def test_a_plain_parquet_reader_reads_the_trades() -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(tables.trades_parquet(trades_of(TWO))))
    assert table.column_names == list(tables.TRADE_COLUMNS)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        "trade_id": "int64", "symbol": "string", "side": "string", "entry_time": "timestamp[ns, tz=UTC]",
        "entry_price": "double", "exit_time": "timestamp[ns, tz=UTC]", "exit_price": "double", "quantity": "double",
        "entry_fee": "double", "exit_fee": "double", "slippage": "double", "pnl": "double", "return": "double",
        "bars_held": "int64", "exit_reason": "string", "mae": "double", "mfe": "double",
    }  # fmt: skip
    assert table["trade_id"].to_pylist() == [1, 2]
    assert table["side"].to_pylist() == ["long", "short"]
    assert table["pnl"].to_pylist() == [19.79, -2.5 / 3]
    assert table["exit_time"].cast("int64").to_pylist() == [5 * HOUR, 6 * HOUR]


def test_the_same_trades_are_the_same_bytes() -> None:
    assert tables.trades_parquet(trades_of(TWO)) == tables.trades_parquet(trades_of(TWO))
    assert as_csv(trades_of(TWO)) == as_csv(trades_of(TWO))


GOOD_TRADES = as_csv(trades_of(TWO))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"garbage",
        GOOD_TRADES.replace(b"pnl", b"profit"),
        GOOD_TRADES.replace(b"\n2,", b"\n3,"),
        GOOD_TRADES.replace(b"\n2,", b"\n2.0,"),
        GOOD_TRADES.replace(b"\n2,", b"\n,"),
        GOOD_TRADES.replace(b"\n2,TEST", b"\n2,OTHER"),
        GOOD_TRADES.replace(b"long", b"buy"),
        GOOD_TRADES.replace(b"signal", b"luck"),
        GOOD_TRADES.replace(b"19.79", b"nan"),
        GOOD_TRADES.replace(b"19.79", b"inf"),
        GOOD_TRADES.replace(b"19.79", b""),
        GOOD_TRADES.replace(b"19.79", b'"1,2"'),
        GOOD_TRADES.replace(b"19.79", b"1_9"),
        GOOD_TRADES.replace(b",5,signal", b",5.5,signal"),
        GOOD_TRADES.replace(b",5,signal", b",99999999999999999999,signal"),
        GOOD_TRADES.replace(b"00:00Z,100.0", b"00:00,100.0"),
        GOOD_TRADES.replace(b"1970-01-01T00:00:00Z", b"todayZ"),
        GOOD_TRADES.replace(b",5,signal", b",5"),
        GOOD_TRADES.replace(b",5,signal", b",5,signal,more"),
        GOOD_TRADES.replace(b",mae,mfe", b""),
        GOOD_TRADES.replace(b"mae,mfe", b"mfe,mae"),
        GOOD_TRADES.replace(b"0.125", b""),
        as_csv(trades_of(OLDER_TWO)).replace(b"exit_reason", b"exit_reason,mae,mfe"),
        GOOD_TRADES.replace(b"TEST", b'"TEST'),
        GOOD_TRADES.replace(b"TEST", b"\xff"),
        GOOD_TRADES + b"\n",
        bytes(range(256)),
    ],
)
def test_what_are_no_trades_is_a_sentence(broken: bytes) -> None:
    with pytest.raises(RunError) as caught:
        from_csv(broken)
    assert str(caught.value).startswith("trades.csv: ")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "torn", "another table", "a missing value", "another type"])
def test_what_is_no_parquet_of_trades_is_a_sentence(damage: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def written(table: Any) -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()

    whole = tables.trades_parquet(trades_of(TWO))
    table = pq.read_table(io.BytesIO(whole))
    missing = table.set_column(11, table.schema.field(11), pa.array([None, 1.0]))
    broken = {
        "empty": b"",
        "text": b"PAR1 it is not",
        "cut": whole[:-10],
        "torn": whole[: len(whole) // 2] + bytes(20) + whole[len(whole) // 2 + 20 :],
        "another table": written(pa.table({"a": [1]})),
        "a missing value": written(missing),
        "another type": written(table.set_column(11, "pnl", pa.array(["1", "2"]))),
    }[damage]
    with pytest.raises(RunError) as caught:
        from_parquet(broken)
    assert str(caught.value).startswith("trades.parquet: ")
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), kind=st.sampled_from(["csv", "parquet"]))
def test_trades_with_a_changed_byte_are_read_or_a_sentence(data: st.DataObject, kind: str) -> None:
    whole = GOOD_TRADES if kind == "csv" else tables.trades_parquet(trades_of(TWO))
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    outcome(lambda: tables.read_trades(Path(f"trades.{kind}"), bytes(changed)))


def test_what_stays_as_it_is_is_written_as_what_changes() -> None:
    values = np.repeat([0.0, -0.0, 1.5, 0.1, 0.0, 5e-324], [3, 2, 4, 1, 7, 5])
    stamps = np.datetime64("2024-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "h")
    rows = b"".join(tables.series_csv({"timestamp": stamps, "position": values})).decode().splitlines()[1:]
    assert [row.partition(",")[2] for row in rows] == [repr(value) for value in values.tolist()]


READ_CHANGED = """
import sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from peak_trade.errors import RunError
from peak_trade.evidence import tables

def parts_asked(path, content):
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        group = file.metadata.row_group(0)
        [group.column(at) for at in range(group.num_columns)]

whole = Path(sys.argv[1]).read_bytes()
read = tables.read_trades if sys.argv[2] == "ours" else parts_asked
footer = int.from_bytes(whole[-8:-4], "little") + 8
for at in range(len(whole) - footer, len(whole)):
    for bit in (1, 64):
        changed = bytearray(whole)
        changed[at] ^= bit
        try:
            read(Path("trades.parquet"), bytes(changed))
        except (RunError, pa.ArrowException, OSError, ValueError):
            pass
"""


@pytest.mark.parametrize(("reader", "ends"), [("ours", 0), ("another", -signal.SIGABRT)], ids=["ours", "control"])
def test_no_changed_footer_ends_the_process(tmp_path: Path, reader: str, ends: int) -> None:
    # as it does where pyarrow is asked for the parts of a group, whose histograms can be of another size than told
    (tmp_path / "trades.parquet").write_bytes(tables.trades_parquet(trades_of(TWO)))
    done = subprocess.run(
        [sys.executable, "-c", READ_CHANGED, tmp_path / "trades.parquet", reader], capture_output=True, check=False
    )
    assert done.returncode == ends, done.stderr.decode()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_trades_that_are_not_finite_are_refused(kind: str) -> None:
    rows = [(1, 0, 1, *[1.0] * 8, 1, 0, 0.0, float("inf"))]
    written = tables.trades_parquet(trades_of(rows)) if kind == "parquet" else as_csv(trades_of(rows))
    with pytest.raises(RunError):
        tables.read_trades(Path(f"trades.{kind}"), written)


def test_a_path_is_read_where_no_content_is_given(tmp_path: Path) -> None:
    # a folder whose name looks like a partition of a dataset adds no column
    folder = tmp_path / "symbol=OTHER"
    folder.mkdir()
    trades = trades_of(TWO)
    (folder / "trades.csv").write_bytes(as_csv(trades))
    (folder / "trades.parquet").write_bytes(tables.trades_parquet(trades))
    (folder / "equity.csv").write_bytes(GOOD)
    assert equal(tables.read_trades(folder / "trades.csv"), trades)
    assert equal(tables.read_trades(folder / "trades.parquet"), trades)
    assert len(tables.read_series(folder / "equity.csv", NAMES)["equity"]) == 2
    with pytest.raises(FileNotFoundError):
        tables.read_trades(folder / "absent.csv")


def test_without_pyarrow_parquet_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    written = tables.trades_parquet(trades_of(TWO))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError):
        tables.trades_parquet(trades_of(TWO))
    with pytest.raises(ImportError):
        from_parquet(written)
    assert equal(from_csv(as_csv(trades_of(TWO))), trades_of(TWO))


def test_parquet_costs_no_import_of_pandas() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom pathlib import Path\nfrom peak_trade.evidence import tables\n"
        "trades = tables.read_trades(Path('trades.csv'), sys.stdin.buffer.read())\n"
        "tables.read_trades(Path('trades.parquet'), tables.trades_parquet(trades))\n"
        "print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    )
    answered = subprocess.run(
        [sys.executable, "-c", code], input=GOOD_TRADES, capture_output=True, check=True, timeout=60
    )
    assert answered.stdout == b"True False\n"


# --- digests ------------------------------------------------------------------------------------------------------


def packed(kind: str, values: Any) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *values)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(instants, numbers, numbers), max_size=10), kind=st.sampled_from(["equity", "benchmark"]))
def test_the_digest_of_a_series_is_that_of_its_packed_values(rows: list[tuple[int, float, float]], kind: str) -> None:
    stamps, first, second = ([row[at] for row in rows] for at in range(3))
    by_hand = hashlib.sha256(
        f"peak_trade {kind} v1 {len(rows)}\n".encode()
        + b"timestamp <i8\n" + packed("q", stamps)
        + b"equity <f8\n" + packed("d", first)
        + b"drawdown <f8\n" + packed("d", second)
    ).hexdigest()  # fmt: skip
    assert tables.series_digest(kind, series(stamps, first, second)) == by_hand


@settings(deadline=None)
@given(rows=trade_rows, symbol=symbols)
def test_the_digest_of_trades_is_that_of_their_packed_values(rows: list[Any], symbol: str) -> None:
    side, entry, exit_, ep, xp, quantity, ef, xf, slippage, pnl, gain, held, reason, *excursions = (
        [list(values) for values in zip(*rows, strict=True)] if rows else [[] for _ in range(15)]
    )
    parts = [
        ("side", "|i1", "b", side), ("entry_time", "<i8", "q", entry), ("entry_price", "<f8", "d", ep),
        ("exit_time", "<i8", "q", exit_), ("exit_price", "<f8", "d", xp), ("quantity", "<f8", "d", quantity),
        ("entry_fee", "<f8", "d", ef), ("exit_fee", "<f8", "d", xf), ("slippage", "<f8", "d", slippage),
        ("pnl", "<f8", "d", pnl), ("return", "<f8", "d", gain), ("bars_held", "<i8", "q", held),
        ("exit_reason", "|i1", "b", reason),
        *((name, "<f8", "d", values) for name, values in zip(("mae", "mfe"), excursions, strict=False)),
    ]  # fmt: skip
    by_hand = hashlib.sha256(f"peak_trade trades v1 {len(rows)} {symbol if rows else ''}\n".encode())
    for name, kind, code, values in parts:
        by_hand.update(f"{name} {kind}\n".encode() + packed(code, values))
    assert tables.trades_digest(trades_of(rows, symbol)) == by_hand.hexdigest()


def test_a_digest_does_not_depend_on_the_byte_order_of_the_machine() -> None:
    stamps = [0, HOUR]
    plain = series(stamps, [1.0, 2.0], [3.0, 4.0])
    big = {name: values.astype(values.dtype.newbyteorder(">")) for name, values in plain.items()}
    assert tables.series_digest("equity", big) == tables.series_digest("equity", plain)


def test_every_change_of_a_trade_changes_the_digest() -> None:
    whole = tables.trades_digest(trades_of(TWO))
    changed = {tables.trades_digest(trades_of(TWO, "OTHER")), tables.trades_digest(trades_of(TWO[:1]))}
    for at in range(15):
        row = list(TWO[0])
        row[at] = -row[at] if at == 0 else row[at] + 1
        changed.add(tables.trades_digest(trades_of([tuple(row), TWO[1]])))
    changed.add(tables.trades_digest(trades_of(OLDER_TWO)))
    assert len(changed) == 18 and whole not in changed


def test_the_words_of_sides_and_reasons_are_those_of_the_design() -> None:
    assert SIDES == {1: "long", -1: "short"}
    assert EXIT_REASONS == ("signal", "stop_loss", "take_profit", "trailing_stop", "end_of_data")


# --- more than a file can hold ------------------------------------------------------------------------------------


def parquet_of(rows: int, **columns: Any) -> bytes:
    """Return a Parquet file with the columns of trades, each the same value `rows` times, packed as well as can be."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    schema = tables._schema(tables.TRADE_COLUMNS)
    worth = {pa.string(): "x", pa.float64(): 0.0, pa.int64(): 1, pa.timestamp("ns", "UTC"): 0}
    made = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x"])).cast(field.type)
        if field.type == pa.string() and field.name not in columns
        else pa.repeat(pa.scalar(columns.get(field.name, worth[field.type]), field.type), rows)
        for field in schema
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(made, schema=schema), sink, compression="zstd", use_dictionary=True)
    return sink.getvalue()


def test_a_parquet_file_of_more_rows_than_its_bytes_can_hold_is_refused_before_it_is_unpacked() -> None:
    content = parquet_of(300_000)
    assert len(content) < 100_000
    tracemalloc.start()
    with pytest.raises(RunError, match="300,000 rows, more than .* bytes can hold"):
        tables.read_trades(Path("trades.parquet"), content)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    with pytest.raises(RunError, match="'x'"):  # the control: of fewer rows it comes as far as the words
        tables.read_trades(Path("trades.parquet"), parquet_of(1))


def test_a_parquet_file_that_unpacks_to_more_than_its_bytes_can_hold_is_refused() -> None:
    with pytest.raises(RunError, match="bytes when unpacked, more than are packed in"):
        tables.read_trades(Path("trades.parquet"), parquet_of(1, symbol="x" * 5_000_000))


def lying(symbol: str, side: str = "long", groups: int = 1) -> bytes:
    """Return a file of two trades a group whose footer says 900 bytes of whatever has more."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(io.BytesIO(tables.trades_parquet(trades_of(TWO))))
    for name, text in {"symbol": symbol, "side": side, "exit_reason": side}.items():
        coded = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), pa.int32()), pa.array([text]))
        table = table.set_column(table.schema.get_field_index(name), name, coded)
    sink = io.BytesIO()
    pq.write_table(
        pa.concat_tables([table] * groups), sink, compression="zstd", write_statistics=False, store_schema=False,
        dictionary_pagesize_limit=1 << 30, row_group_size=len(table),
    )  # fmt: skip
    content = sink.getvalue()
    about, size = pq.ParquetFile(io.BytesIO(content)).metadata, int.from_bytes(content[-8:-4], "little")
    told = content[-8 - size : -8]
    for group in map(about.row_group, range(about.num_row_groups)):
        chunks = [group.column(at).total_uncompressed_size for at in range(group.num_columns)]
        for value in {group.total_byte_size, *chunks}:
            if value > 20_000:
                told = told.replace(varint(value), varint(900, len(varint(value))))
    return content[: -8 - size] + told + content[-8:]


def varint(value: int, width: int = 0) -> bytes:
    """Return a number as Thrift's compact protocol writes it, in at least so many bytes."""
    value, made = value << 1, bytearray()
    while value > 0x7F or len(made) < width - 1:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


@pytest.mark.parametrize("by", ["verify", "the lake"])
@pytest.mark.parametrize("groups", [1, 3])
def test_where_a_footer_lies_no_more_than_one_column_is_unpacked(
    by: str, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    unpacked: list[str] = []
    read = footer.column

    def watched(file: Any, group: int, at: int, name: str) -> Any:
        unpacked.append(name)
        return read(file, group, at, name)

    monkeypatch.setattr(footer, "column", watched)

    def look(content: bytes) -> Any:
        if by == "verify":
            return tables.read_trades(Path("trades.parquet"), content)
        return footer.table(content, 2 * groups, tables.suits_trades)

    long = "x" * 8_000_000
    content = lying(long, long, groups)
    about = pq.ParquetFile(io.BytesIO(content)).metadata
    assert len(content) < 100_000 and about.row_group(0).total_byte_size < 20_000, "the footer lies"
    with pytest.raises(RunError, match="symbol has .* bytes when unpacked, more than the footer says"):
        look(content)
    assert unpacked == ["trade_id", "symbol"]
    unpacked.clear()
    with suppress(RunError):  # the control: of short texts all columns are read, as far as what they say
        look(lying("ABC", "long", groups))
    assert unpacked == [*tables.TRADE_COLUMNS] * groups


@pytest.mark.parametrize("by", ["verify", "the lake"])
def test_other_columns_than_those_of_trades_are_not_unpacked(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def look(content: bytes) -> Any:
        if by == "verify":
            return tables.read_trades(Path("trades.parquet"), content)
        return footer.table(content, 2, tables.suits_trades)

    whole = tables.trades_parquet(trades_of(TWO))
    assert look(whole) is not None, "the control"
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("it is unpacked"))
    monkeypatch.setattr(footer, "column", lambda *_, **__: pytest.fail("it is unpacked"))
    table = pq.read_table(io.BytesIO(whole))
    text = pa.array(["x"] * 2)
    for other in (table.append_column("more", text), table.set_column(11, "pnl", text), table.drop_columns(["pnl"])):
        sink = io.BytesIO()
        pq.write_table(other, sink)
        with pytest.raises(RunError, match="columns are not those of a run's trades"):
            look(sink.getvalue())


def test_a_long_symbol_is_kept_once() -> None:
    trades = a_long_trade_list(20_000)
    content = tables.trades_parquet(trades)
    assert tables.trades_digest(tables.read_trades(Path("trades.parquet"), content)) == tables.trades_digest(trades)
    text = b"".join(tables.trades_csv(trades))
    assert tables.trades_digest(tables.read_trades(Path("trades.csv"), text)) == tables.trades_digest(trades)


def a_long_trade_list(rows: int) -> Any:
    """The most equal trades that there can be: of constant prices, one after the other."""
    time = np.arange(rows).astype("M8[h]").astype("M8[ns]")
    zero, one = np.zeros(rows), np.ones(rows)
    return Trades(
        symbol="x" * 1000, side=np.ones(rows, np.int8), entry_time=time, exit_time=time + np.timedelta64(1, "h"),
        bars_held=np.ones(rows, np.int64), exit_reason=np.zeros(rows, np.int8), entry_price=one, exit_price=one,
        quantity=one, entry_fee=zero, exit_fee=zero, slippage=zero, pnl=zero, return_=zero, mae=zero, mfe=zero,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    names = ("timestamp", "equity")
    series = {"timestamp": np.arange(99).astype("M8[h]").astype("M8[ns]"), "equity": np.arange(99) / 7}
    trades = a_long_trade_list(99)
    whole, text = b"".join(tables.series_csv(series)), b"".join(tables.trades_csv(trades))
    monkeypatch.setattr(tables, "_BLOCK_BYTES", size)
    monkeypatch.setattr(tables, "_BLOCK", size)
    read = tables.read_series(Path("equity.csv"), names, whole)
    assert tables.series_digest("equity", read) == tables.series_digest("equity", series)
    assert tables.trades_digest(tables.read_trades(Path("trades.csv"), text)) == tables.trades_digest(trades)


def test_a_header_without_an_end_is_not_looked_for() -> None:
    with pytest.raises(RunError, match="its header is not"):
        tables.read_series(Path("equity.csv"), ("timestamp", "equity"), bytes(1 << 24))
