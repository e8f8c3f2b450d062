"""Bars from pandas and polars frames, checked like a file's, and with what was assumed on the way.

Neither library is imported here: who hands over a frame has done that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from peak_trade.errors import InputError, did_you_mean
from peak_trade.market.bars import COLUMNS, Bars, Floats
from peak_trade.market.contract import PRICES, check_ohlcv
from peak_trade.market.files import SPELLINGS
from peak_trade.market.instants import iso
from peak_trade.market.timeframe import DAY, spacing

__all__ = ["bars_of", "is_frame", "timeframe_of"]

_EXACT = 2**53  # whole numbers up to here are floats too
_RANGE = "its times reach beyond the years 1678 to 2261, which nanoseconds can't hold"

Times = npt.NDArray[np.datetime64]


def is_frame(value: object) -> bool:
    """Tell whether a value is a frame or a series of pandas or polars."""
    return _kind(value) != ""


def bars_of(
    frame: object, *, symbol: str, timeframe: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[Bars, list[str]]:
    """Return the bars of a frame and the sentences that say what was assumed; see `Bars.from_frame`."""
    table = _table(frame)
    where = _match(table, dict(columns or {}))
    assumed: list[str] = []
    timestamp, zoned = table.times(where.get("timestamp"))
    if not len(timestamp):
        raise InputError("the frame has no rows")
    if not zoned:
        assumed.append("times carry no zone: read as UTC")
    values = {name: table.numbers(at) for name, at in where.items() if name != "timestamp"}
    if not {"open", "high", "low"} & values.keys():
        assumed.append("open, high and low taken as the close: fills and stops are at closes alone")
        values |= dict.fromkeys(("open", "high", "low"), values["close"])
    if "volume" not in values:
        assumed.append("no volume column: filled with 0")
        values["volume"] = np.zeros(len(timestamp))
    if other := [name for name in table.names if _letters(name).startswith("adj")]:
        assumed.append(f"`{other[0]}` is not used: prices are as traded")
    order = np.arange(len(timestamp))
    nanoseconds = timestamp.view(np.int64)
    if (np.diff(nanoseconds) < 0).any():
        order = np.argsort(nanoseconds, kind="stable")
        assumed.append("rows were not in the order of time: sorted")
    arrays: dict[str, Any] = {"timestamp": timestamp[order]}
    arrays |= {name: np.array(values[name][order], np.float64) for name in COLUMNS[1:]}
    _refuse_gaps(arrays["timestamp"], order)
    if timeframe is None:
        timeframe = timeframe_of(arrays["timestamp"])
        assumed.append(f"timeframe taken from the times: {timeframe}")
    bars = Bars(**arrays, symbol=symbol, timeframe=timeframe).freeze()
    if found := check_ohlcv(bars):
        lines = "".join(f"\n  {line}" for line in found.lines(lambda row: f"row {order[row]}"))
        missing = any(np.isnan(arrays[name]).any() for name in COLUMNS[1:])
        hint = table.drop if missing else "mend the rows, which are counted from 0, or declare the timeframe they have"
        raise InputError(f"the frame breaks the contract of bars, {len(found):,} times:{lines}", hint=hint)
    return bars, assumed


def _refuse_gaps(timestamp: Times, order: npt.NDArray[np.int64]) -> None:
    """Refuse times that are missing or occur twice: which of two bars counts is not ours to say."""
    if (absent := np.isnat(timestamp)).any():
        row = int(order[np.argmax(absent)])
        raise InputError(f"row {row} has no time, in all {np.count_nonzero(absent)} such rows", hint="drop them")
    twice = np.flatnonzero(np.diff(timestamp.view(np.int64)) == 0)
    if len(twice):
        shown, rows = iso(timestamp[twice[0]]), f"{order[twice[0]]} and {order[twice[0] + 1]}"
        raise InputError(
            f"the time {shown} occurs twice, in rows {rows}; in all {len(twice):,} rows too many",
            hint="keep one row for each time; bars are of one symbol",
        )


def timeframe_of(timestamp: Times) -> str:
    """Return the timeframe whose length is the lower median of the steps; InputError where they don't tell."""
    seconds = spacing(timestamp) or 0.0
    if 28 * DAY <= seconds <= 31 * DAY:
        return "1M"
    for unit, size in (("w", 7 * DAY), ("d", DAY), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    raise InputError("the times don't tell how long a bar is", hint='say it: timeframe="1d"')


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.lower()))


def _match(table: _Table, mapping: dict[str, str]) -> dict[str, int]:
    """Return where our columns stand; the time may be the index, which has no place."""
    shown = ", ".join(f"`{name}`" for name in table.names[:20]) or "nothing"
    if unknown := [name for name in mapping if name not in COLUMNS]:
        raise InputError(f"unknown column `{unknown[0]}` in columns", hint=did_you_mean(unknown[0], COLUMNS))
    where: dict[str, int] = {}
    for ours in COLUMNS:
        if ours in mapping:
            at = [place for place, name in enumerate(table.names) if name == mapping[ours]]
            if not at:
                hint = did_you_mean(mapping[ours], table.names)
                raise InputError(f"the frame has no column `{mapping[ours]}` for {ours}; it has {shown}", hint=hint)
        else:
            at = [place for place, name in enumerate(table.names) if _letters(name) in SPELLINGS[ours]]
        if len(at) > 1:
            which = ", ".join(f"`{table.names[place]}`" for place in at)
            raise InputError(f"the frame has several columns for {ours}: {which}", hint=_say_which(ours))
        if at:
            where[ours] = at[0]
    missing = [name for name in PRICES if name not in where]
    if "close" in missing or missing not in ([], ["open", "high", "low"]):
        raise InputError(
            f"the frame has no column for {', '.join(missing)}; it has {shown}", hint=_say_which(missing[0])
        )
    if "timestamp" not in where and not table.index_is_time:
        raise InputError(f"the frame has no times; it has {shown}", hint=table.no_times)
    if "timestamp" in where and table.index_is_time and "timestamp" not in mapping:
        name = table.names[where["timestamp"]]
        raise InputError(f"both the index and the column `{name}` hold times", hint="drop one of them")
    return where


def _say_which(ours: str) -> str:
    return f'say which: columns={{"{ours}": "…"}}'


# --- the two libraries --------------------------------------------------------------------------------------------


class _Table(Protocol):
    """A frame as this module reads it: `drop` and `no_times` are what helps where a row or the time is missing."""

    names: list[str]
    index_is_time: bool
    drop: str
    no_times: str

    def numbers(self, at: int) -> Floats:
        """Return a column of shape (N,), missing values as NaN."""

    def times(self, at: int | None) -> tuple[Times, bool]:
        """Return a column, or the index, as datetime64[ns] in UTC, and whether it said a zone."""


def _kind(value: object) -> str:
    for name, kinds in (("pandas", ("DataFrame", "Series")), ("polars", ("DataFrame", "Series", "LazyFrame"))):
        module = sys.modules.get(name)
        if module and isinstance(value, tuple(getattr(module, kind) for kind in kinds)):
            return name
    return ""


def _table(frame: object) -> _Table:
    kind = _kind(frame)
    if not kind:
        raise InputError(
            f"bars can't be read from a {type(frame).__name__}", hint="hand over a pandas or polars frame, or Bars"
        )
    return _Pandas(frame) if kind == "pandas" else _Polars(frame)


def _refused(name: str, dtype: object, cast: str) -> InputError:
    return InputError(f"column `{name}` is of type {dtype}, not of numbers", hint=cast)


def _exact(values: npt.NDArray[Any], name: str) -> Floats:
    if len(values) and values.dtype.kind in "iu" and max(abs(int(values.max())), abs(int(values.min()))) > _EXACT:
        raise InputError(f"column `{name}` holds whole numbers above 2**53, which would be rounded", hint="scale it")
    return np.asarray(values, np.float64)


class _Pandas:
    drop = "leave out rows that lack a value: frame.dropna()"
    no_times = 'a column such as `timestamp`, or an index of times: frame.index = pd.to_datetime(frame["…"], utc=True)'

    def __init__(self, frame: Any) -> None:
        self._pandas = pandas = sys.modules["pandas"]
        if isinstance(frame, pandas.Series):
            frame = frame.to_frame("close")
        if frame.columns.nlevels == 2:  # (field, symbol), as some sources give even for one symbol
            spare = [level for level in (0, 1) if frame.columns.get_level_values(level).nunique() == 1]
            frame = frame.droplevel(spare[-1], axis=1) if spare else frame
        if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
            hint = 'take one symbol out: frame.xs("SPY", axis=1, level=1)'
            raise InputError("the frame has several levels, and bars are of one symbol", hint=hint)
        self._frame = frame
        self.names = [str(name) for name in frame.columns]
        self.index_is_time = self._is_time(frame.index.dtype)

    def _is_time(self, dtype: Any) -> bool:
        return bool(self._pandas.api.types.is_datetime64_any_dtype(dtype))

    def numbers(self, at: int) -> Floats:
        column, types = self._frame.iloc[:, at], self._pandas.api.types
        is_number = types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)
        if not is_number or types.is_complex_dtype(column.dtype) or "decimal" in str(column.dtype):
            raise _refused(self.names[at], column.dtype, f'frame["{self.names[at]}"].astype(float)')
        if types.is_integer_dtype(column.dtype) and not column.hasnans:
            return _exact(column.to_numpy(), self.names[at])
        values: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return values

    def times(self, at: int | None) -> tuple[Times, bool]:
        column = self._frame.index if at is None else self._frame.iloc[:, at]
        if not self._is_time(column.dtype):
            name = self.names[at or 0]
            raise InputError(
                f"column `{name}` is of type {column.dtype}, not of times",
                hint=f'frame["{name}"] = pd.to_datetime(frame["{name}"], utc=True), with unit="ms" for such numbers',
            )
        stamps = self._pandas.DatetimeIndex(column)
        zoned = stamps.tz is not None
        try:
            values: Times = (stamps.tz_convert(None) if zoned else stamps).as_unit("ns").to_numpy()
        except ValueError:
            raise InputError(f"the frame can't be read: {_RANGE}") from None
        return values, zoned


class _Polars:
    index_is_time = False
    drop = "leave out rows that lack a value: frame.drop_nulls().drop_nans()"
    no_times = "a column such as `timestamp`; a series of polars has none, a frame of timestamp and close will do"

    def __init__(self, frame: Any) -> None:
        self._polars = polars = sys.modules["polars"]
        if isinstance(frame, polars.LazyFrame):
            raise InputError("the frame is lazy", hint="frame.collect()")
        self._frame = frame.to_frame("close") if isinstance(frame, polars.Series) else frame
        self.names = list(self._frame.columns)

    def numbers(self, at: int) -> Floats:
        column = self._frame.to_series(at)
        if not (column.dtype.is_integer() or column.dtype.is_float()):
            cast = f'frame.with_columns(pl.col("{self.names[at]}").cast(pl.Float64))'
            raise _refused(self.names[at], column.dtype, cast)
        if column.dtype.is_integer() and not column.null_count():
            return _exact(column.to_numpy(), self.names[at])
        values: Floats = column.cast(self._polars.Float64).to_numpy()
        return values

    def times(self, at: int | None) -> tuple[Times, bool]:
        column = self._frame.to_series(at or 0)
        if column.dtype != self._polars.Date and column.dtype != self._polars.Datetime:
            name = self.names[at or 0]
            raise InputError(
                f"column `{name}` is of type {column.dtype}, not of times",
                hint=f'pl.col("{name}").str.to_datetime(), or pl.from_epoch(pl.col("{name}"), "ms")',
            )
        zone = getattr(column.dtype, "time_zone", None)
        if zone:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        years = column.dt.year()
        if years.len() > years.null_count() and not (1678 <= years.min() and years.max() <= 2261):
            raise InputError(f"the frame can't be read: {_RANGE}")
        values: Times = column.cast(self._polars.Datetime("ns")).to_numpy()
        return values, bool(zone)
