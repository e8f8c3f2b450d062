"""A benchmark's file: read as files of bars are, and held to their contract."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from peak_trade.config import BUY_AND_HOLD, NO_BENCHMARK, Reading
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars
from peak_trade.market.benchmark import Benchmark
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.ohlcv import Rows, read_rows
from peak_trade.market.timeframe import timeframe_of
from peak_trade.text import as_utf8

__all__ = ["HINT", "read_benchmark"]

HINT = f'stats.benchmark is "{BUY_AND_HOLD}", "{NO_BENCHMARK}", a file of bars, or of closes with the header date,close'
_CLOSES = Reading(columns=dict.fromkeys(("open", "high", "low"), "close"))


def read_benchmark(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], name: str) -> Benchmark:
    """Return all of the benchmark that files hold, called `name`; its timeframe is told by its times.

    Raises InputError where it can't be read, or breaks the contract of bars: nobody says which rows may be left out.
    """
    try:
        raw = _rows(paths, name)
    except InputError as error:
        raise InputError(f"the benchmark: {error.message}", hint=HINT) from None
    raw.table["volume"] = np.nan_to_num(raw.table["volume"])  # of an index there is none, and nothing is made of it
    own = Bars(**raw.table, symbol=as_utf8(name), timeframe=_timeframe(raw, name))
    if found := check_ohlcv(own):
        lines = "".join(f"\n  {line}" for line in found.lines(lambda row: "{} row {}".format(*raw.place(row))))
        count = f"{len(found):,} violation{'s' if len(found) > 1 else ''}"
        raise InputError(
            f"the benchmark {name} breaks the contract of bars, {count}:{lines}",
            hint="mend the rows, which go by their lines: in order of time, each once, with prices above 0",
        )
    return Benchmark(own, [file.source for file in raw.files], raw.assumptions)


def _rows(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], name: str) -> Rows:
    """Return the rows of files; where they have closes alone, those count for the other prices too."""
    try:
        return read_rows(paths, symbol=name)
    except InputError as error:
        if "no column for open, high, low;" not in error.message:
            raise
        return read_rows(paths, symbol=name, reading=_CLOSES)


def _timeframe(raw: Rows, name: str) -> str:
    times = raw.table["timestamp"]
    found = timeframe_of(np.unique(times[~np.isnat(times)]))
    if not found:
        raise InputError(
            f"the benchmark {name} does not tell its timeframe: {len(times):,} rows, whose median step is none",
            hint=HINT,
        )
    return found
