"""Bars from frames: the numbers that NumPy has, whatever the frame looks like; and what can't be taken, said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.frames import bars_of

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N = 30
STAMPS = np.datetime64("2024-03-01", "ns") + np.arange(N) * np.timedelta64(1, "D")
CLOSE = 100 + np.sin(np.arange(N))
VALUES = {
    "open": CLOSE - 0.25,
    "high": CLOSE + 0.1 + np.arange(N) / 7,
    "low": CLOSE - 1 / 3,
    "close": CLOSE,
    "volume": np.arange(N) + 0.5,
}


def pandas_column(**changed: Any) -> Any:
    return pd.DataFrame({"timestamp": STAMPS, **VALUES, **changed})


def polars_column(**changed: Any) -> Any:
    return pl.DataFrame({"timestamp": STAMPS, **VALUES, **changed})


def shuffled(frame: Any) -> Any:
    return frame.sample(frac=1.0, random_state=3)


def in_new_york(frame: Any) -> Any:
    frame = frame.set_index("timestamp")
    frame.index = frame.index.tz_localize("UTC").tz_convert("America/New_York")
    return frame


MADE: dict[str, Callable[[], Any]] = {
    "a pandas column": pandas_column,
    "a pandas index": lambda: pandas_column().set_index("timestamp"),
    "a pandas index without a name": lambda: pandas_column().set_index("timestamp").rename_axis(None),
    "a zone": lambda: in_new_york(pandas_column()),
    "any order": lambda: shuffled(pandas_column()),
    "newest first": lambda: pandas_column()[::-1],
    "capitals": lambda: pandas_column().rename(columns=str.title),
    "other spellings": lambda: pandas_column().rename(columns={"timestamp": "Open time", "volume": "Vol."}),
    "more columns": lambda: pandas_column(**{"Adj Close": CLOSE / 2, "Dividends": "none"}),
    "two levels": lambda: pd.concat({"SPY": pandas_column().set_index("timestamp")}, axis=1).swaplevel(axis=1),
    "milliseconds": lambda: pandas_column().assign(timestamp=STAMPS.astype("M8[ms]")),
    "missing values of pandas": lambda: pandas_column().astype(dict.fromkeys(VALUES, "Float64")),
    "arrow": lambda: pandas_column().astype(
        {"timestamp": "timestamp[ns, UTC][pyarrow]"} | dict.fromkeys(VALUES, "double[pyarrow]")
    ),
    "a polars column": polars_column,
    "polars, any order": lambda: polars_column().sample(fraction=1.0, shuffle=True, seed=3),
    "polars, a zone": lambda: polars_column().with_columns(
        pl.col("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    ),
    "polars, dates": lambda: polars_column().with_columns(pl.col("timestamp").cast(pl.Date)).rename(str.upper),
    "polars, microseconds": lambda: polars_column().with_columns(pl.col("timestamp").cast(pl.Datetime("us"))),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_every_number_is_that_of_the_frame(made: Callable[[], Any]) -> None:
    bars = Bars.from_frame(made(), symbol="SPY", timeframe="1d")
    assert (bars.symbol, bars.timeframe, len(bars)) == ("SPY", "1d", N)
    assert bars.timestamp.dtype == np.dtype("M8[ns]")
    assert (bars.timestamp == STAMPS).all()
    for name in COLUMNS[1:]:
        array = getattr(bars, name)
        assert array.dtype == np.float64
        assert (array == VALUES[name]).all(), name


def test_whole_numbers_and_short_floats_are_taken_exactly() -> None:
    whole = np.arange(N) + 2**52
    for made in (pandas_column, polars_column):
        bars = Bars.from_frame(made(volume=whole), symbol="A")
        assert bars.volume.astype(np.int64).tolist() == whole.tolist()
        short = {name: VALUES[name].astype(np.float32) for name in ("open", "high", "low", "close")}
        bars = Bars.from_frame(made(**short), symbol="A")
        assert (bars.close == short["close"].astype(np.float64)).all()


@pytest.mark.parametrize("made", [pandas_column, polars_column])
def test_the_frame_and_the_bars_share_nothing(made: Callable[[], Any]) -> None:
    frame = made()
    bars = Bars.from_frame(frame, symbol="A")
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 1.0
    before = bars.close.copy()
    if made is pandas_column:
        frame.loc[0, "close"] = 5.0
    assert (bars.close == before).all()


@pytest.mark.parametrize(
    ("step", "timeframe"), [("1min", "1m"), ("90s", "90s"), ("15min", "15m"), ("4h", "4h"), ("D", "1d"), ("7D", "1w")]
)
def test_a_timeframe_is_taken_from_the_times(step: str, timeframe: str) -> None:
    frame = pandas_column(timestamp=pd.date_range("2024-01-01", periods=N, freq=step))
    assert Bars.from_frame(frame, symbol="A").timeframe == timeframe


def test_months_are_a_timeframe_too() -> None:
    frame = pandas_column(timestamp=pd.date_range("2020-01-01", periods=N, freq="MS"))
    assert Bars.from_frame(frame, symbol="A").timeframe == "1M"


def test_closes_alone_are_open_high_and_low_too_and_that_is_said() -> None:
    series = pd.Series(CLOSE, index=STAMPS)
    two = polars_column().select("timestamp", "close")
    for frame in (series, pandas_column()[["timestamp", "close"]], two):
        bars, assumed = bars_of(frame, symbol="A")
        for name in ("open", "high", "low", "close"):
            assert (getattr(bars, name) == CLOSE).all()
        assert (bars.volume == 0).all()
        assert assumed[:3] == [
            "times carry no zone: read as UTC",
            "open, high and low taken as the close: fills and stops are at closes alone",
            "no volume column: filled with 0",
        ]


def test_what_was_assumed_is_said_once_each_and_nothing_else() -> None:
    zoned = in_new_york(pandas_column())
    assert bars_of(zoned, symbol="A", timeframe="1d")[1] == []
    assert bars_of(shuffled(pandas_column(**{"Adj Close": CLOSE})), symbol="A")[1] == [
        "times carry no zone: read as UTC",
        "`Adj Close` is not used: prices are as traded",
        "rows were not in the order of time: sorted",
        "timeframe taken from the times: 1d",
    ]


def changed(row: int, **cells: Any) -> dict[str, Any]:
    columns = {name: (STAMPS if name == "timestamp" else VALUES[name]).copy() for name in cells}
    for name, value in cells.items():
        columns[name][row] = value
    return columns


def refusals() -> dict[str, tuple[Callable[[], Any], str, str]]:
    return {
        "a duplicate": (
            lambda: pandas_column(**changed(4, timestamp=STAMPS[3])),
            "the time 2024-03-04T00:00:00Z occurs twice, in rows 3 and 4; in all 1 rows too many",
            "keep one row for each time",
        ),
        "a duplicate of polars": (
            lambda: polars_column(**changed(9, timestamp=STAMPS[3])),
            "the time 2024-03-04T00:00:00Z occurs twice, in rows 3 and 9",
            "keep one row",
        ),
        "no time": (
            lambda: pandas_column(**changed(2, timestamp=np.datetime64("NaT", "ns"))),
            "row 2 has no time",
            "drop",
        ),
        "NaN": (
            lambda: (
                shuffled(pandas_column()).reset_index(drop=True).assign(close=lambda f: f["close"].where(f.index != 7))
            ),
            "row 7, column close: nan must be finite and greater than 0",
            "frame.dropna()",
        ),
        "null of polars": (
            lambda: polars_column(volume=[None, *VALUES["volume"][1:]]),
            "row 0, column volume: nan must be finite and not negative",
            "drop_nulls",
        ),
        "infinity": (lambda: pandas_column(**changed(1, high=np.inf)), "column high: inf", "mend"),
        "high below close": (lambda: pandas_column(**changed(5, high=1.0)), "row 5, column high: 1.0 must not", "mend"),
        "objects": (
            lambda: pandas_column(close=pd.Series(CLOSE, dtype=object)),
            "column `close` is of type object, not of numbers",
            'frame["close"].astype(float)',
        ),
        "Decimal": (
            lambda: pandas_column(close=[Decimal("1.5")] * N),
            "column `close` is of type object",
            "astype(float)",
        ),
        "Decimal of polars": (
            lambda: polars_column(close=[Decimal("1.5")] * N),
            "column `close` is of type Decimal",
            "cast(pl.Float64)",
        ),
        "text": (lambda: pandas_column(close=["1.5"] * N), "column `close` is of type str", "astype(float)"),
        "text of polars": (lambda: polars_column(low=["1.5"] * N), "column `low` is of type String", "pl.Float64"),
        "truths": (lambda: pandas_column(volume=[True] * N), "column `volume` is of type bool", "astype"),
        "complex": (lambda: pandas_column(close=CLOSE + 0j), "column `close` is of type complex128", "astype"),
        "too large": (lambda: pandas_column(volume=np.full(N, 2**53 + 1)), "above 2**53", "scale"),
        "times as text": (
            lambda: pandas_column(timestamp=STAMPS.astype(str)),
            "column `timestamp` is of type str, not of times",
            "pd.to_datetime",
        ),
        "times as text in polars": (
            lambda: polars_column(timestamp=STAMPS.astype(str).tolist()),
            "of type String, not of times",
            "to_datetime",
        ),
        "times as numbers": (
            lambda: pandas_column(timestamp=STAMPS.astype(np.int64)),
            "is of type int64, not of times",
            'unit="ms"',
        ),
        "times as numbers in polars": (
            lambda: polars_column(timestamp=np.arange(N)),
            "of type Int64, not of times",
            "from_epoch",
        ),
        "periods": (
            lambda: pandas_column(timestamp=pd.period_range("2024", periods=N, freq="D")),
            "not of times",
            "to_datetime",
        ),
        "another age": (
            lambda: polars_column(timestamp=STAMPS.astype("M8[us]") + np.timedelta64(365_000, "D")),
            "2261",
            "",
        ),
        "another age in pandas": (
            lambda: pandas_column(timestamp=STAMPS.astype("M8[s]") + np.timedelta64(365_000, "D")),
            "2261",
            "",
        ),
        "no times": (lambda: pd.DataFrame(VALUES), "the frame has no times; it has `open`, `high`", "to_datetime"),
        "a series of polars": (lambda: pl.Series(CLOSE), "the frame has no times", "a frame of timestamp and close"),
        "times twice": (
            lambda: pandas_column().set_index("timestamp", drop=False).rename_axis(None),
            "both the index and the column `timestamp` hold times",
            "drop one",
        ),
        "no low": (lambda: pandas_column().drop(columns="low"), "no column for low; it has `timestamp`", '{"low": '),
        "no close": (lambda: pandas_column().drop(columns="close"), "no column for close", "say which"),
        "two closes": (lambda: pandas_column(Close=CLOSE), "several columns for close: `close`, `Close`", "say which"),
        "two symbols": (
            lambda: pd.concat({s: pandas_column().set_index("timestamp") for s in ("A", "B")}, axis=1),
            "the frame has several levels",
            "frame.xs",
        ),
        "empty": (lambda: pandas_column()[:0], "the frame has no rows", ""),
        "empty of polars": (lambda: polars_column()[:0], "the frame has no rows", ""),
        "lazy": (lambda: polars_column().lazy(), "the frame is lazy", "collect"),
        "one bar": (lambda: pandas_column()[:1], "don't tell how long a bar is", "timeframe="),
        "something else": (lambda: [1, 2], "bars can't be read from a list", "pandas or polars"),
    }


@pytest.mark.parametrize(("made", "said", "hint"), refusals().values(), ids=refusals())
def test_what_cannot_be_taken_is_refused_with_what_helps(made: Callable[[], Any], said: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        Bars.from_frame(made(), symbol="A")
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_timeframe_that_the_times_have_not_is_refused() -> None:
    with pytest.raises(InputError, match="declared 1h, found 1d"):
        Bars.from_frame(pandas_column(), symbol="A", timeframe="1h")


def test_columns_of_other_names_are_taken_where_they_are_said() -> None:
    frame = pandas_column().rename(columns={"close": "price", "timestamp": "when"})
    bars = Bars.from_frame(frame, symbol="A", columns={"close": "price", "timestamp": "when"})
    assert (bars.close == CLOSE).all()
    with pytest.raises(InputError, match="no column `pirce` for close") as caught:
        Bars.from_frame(frame, symbol="A", columns={"close": "pirce", "timestamp": "when"})
    assert caught.value.hint == "did you mean `price`?"


def test_neither_library_is_imported_for_the_other_or_for_none() -> None:
    asked = "import sys, peak_trade.market.frames as f; f.is_frame([]); print({'pandas', 'polars'} & set(sys.modules))"
    answered = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answered.stdout == "set()\n"
