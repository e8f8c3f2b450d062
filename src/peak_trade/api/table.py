"""Columns of NumPy arrays with their names, which pandas and polars make a frame of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peak_trade.evidence import tables
from peak_trade.evidence.trials import Trials
from peak_trade.market.instants import iso
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["Table", "trades_table", "trials_table"]

_SHOWN = 10  # rows that a notebook shows


class Table(Mapping[str, npt.NDArray[Any]]):
    """Named columns of one length, in order: a mapping from name to array of shape (N,), where N is `rows`.

    Times are datetime64[ns] in UTC, text is of dtype object, all else float64 or int64; the arrays can't be written to.
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._columns = {name: array.view() for name, array in columns.items()}
        for array in self._columns.values():
            array.setflags(write=False)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def rows(self) -> int:
        """How many rows the table has; `len(table)` counts its columns, as of any mapping."""
        return len(next(iter(self._columns.values()), ()))

    def to_pandas(self) -> pandas.DataFrame:
        """Return the columns as a pandas frame; times carry the zone UTC, and a column `timestamp` is the index.

        Raises ImportError where pandas is not installed.
        """
        import pandas as pd

        frame = pd.DataFrame(
            {
                name: pd.DatetimeIndex(array, tz="UTC") if array.dtype.kind == "M" else array.copy()
                for name, array in self.items()
            }
        )
        return frame.set_index("timestamp") if "timestamp" in self else frame

    def to_polars(self) -> polars.DataFrame:
        """Return the columns as a polars frame; times carry the zone UTC.

        Raises ImportError where polars is not installed.
        """
        import polars as pl

        return pl.DataFrame(
            [
                pl.Series(name, array).dt.replace_time_zone("UTC")
                if array.dtype.kind == "M"
                else pl.Series(name, array.tolist() if array.dtype.kind == "O" else array)
                for name, array in self.items()
            ]
        )

    def __repr__(self) -> str:
        return f"<Table of {self.rows:,} rows: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self)
        cells = zip(*(map(_cell, array[:_SHOWN]) for array in self.values()), strict=True)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        more = f"<p>{self.rows:,} rows, the first {_SHOWN} shown</p>" if self.rows > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    """Return a cell as people read it."""
    if isinstance(value, np.datetime64):
        return iso(value)
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def trades_table(trades: Trades) -> Table:
    """Return closed trades as the trades contract names their columns, side and exit_reason in words.

    Where they were kept without excursions, `mae` and `mfe` are NaN. Those of another engine have `currency` and
    `group` too where it says them, and NaN, NaT, -1 or None for what it does not say.
    """
    named = tables.texts(trades)
    reasons = (*EXIT_REASONS, None)  # by -1
    words: dict[str, npt.NDArray[Any]] = {
        "trade_id": np.arange(1, len(trades) + 1),
        **{name: np.array(column, object) for name, column in named.items()},
        "side": np.array([SIDES[side] for side in trades.side.tolist()], object),
        "return": trades.return_,
        "exit_reason": np.array([reasons[code] for code in trades.exit_reason.tolist()], object),
    }
    if trades.mae is None or trades.mfe is None:
        words |= dict.fromkeys(tables.EXCURSIONS, np.full(len(trades), np.nan))
    several = trades.symbols is not None or trades.currencies is not None or trades.groups is not None
    columns = (*tables.TRADE_COLUMNS, *(tables.OF_SEVERAL if several else ()))
    return Table({name: words[name] if name in words else getattr(trades, name) for name in columns})


def trials_table(trials: Trials) -> Table:
    """Return the trials of a sweep: what was varied, a column a key, what became of each, and its statistics.

    A parameter of the strategy is called by its bare name, unless a column is called so, all other keys by their dotted
    one; `fold` and `duplicate_of` are -1 where there is none.
    """
    head: dict[str, npt.NDArray[Any]] = {
        "index": trials.index,
        "chosen": trials.chosen,
        "fold": trials.fold,
        "part": np.array(trials.part, object),
        "status": np.array(trials.status, object),
        "error": np.array(trials.error, object),
        "duplicate_of": trials.duplicate_of,
    }
    tail = {key: trials.values[:, at] for at, key in enumerate(trials.keys)}
    tail |= {key: np.array(getattr(trials, key), object) for key in ("equity_digest", "trades_digest")}
    overrides = [trials.overrides(at) for at in range(len(trials))]
    varied: dict[str, npt.NDArray[Any]] = {}
    for key in dict.fromkeys(key for one in overrides for key in one):
        bare = key.removeprefix("strategy.params.")
        values = np.empty(len(trials), object)
        values[:] = [one.get(key) for one in overrides]
        varied[key if bare in head or bare in tail else bare] = values
    return Table(head | varied | tail)
