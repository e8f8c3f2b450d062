"""The table of a sweep's trials, read back: `trials.parquet` or `trials.csv` of a parent, a row a trial.

A table may come from a stranger. No more is unpacked than rows of its size can need, each column has the kind that
`sweep.table` gives it, and each cell holds what such a cell can: what reads a table need not look again. Whether what
it says is so is for `trust.sweeps` to tell.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import footer

__all__ = [
    "BLOCKS",
    "DONE",
    "FAILED",
    "HEAD",
    "NAMES",
    "PARTS",
    "TAIL",
    "Trials",
    "blocks",
    "name_in",
    "read",
    "recorded",
]

NAMES = ("trials.parquet", "trials.csv")
HEAD = ("index", "chosen", "fold", "part", "params", "settings", "seed", "status", "error", "duplicate_of")
TAIL = ("equity_digest", "trades_digest")
DONE, FAILED = "done", "failed"
BLOCKS = ("blocks.parquet", "blocks.csv")
"""A table beside it: of each trial the sum, and the sum of squares, of the returns in each of `PARTS` equal parts."""
PARTS = 16
_SUMS = ("index", *(f"sum_{at}" for at in range(PARTS)), *(f"square_{at}" for at in range(PARTS)))
Floats = npt.NDArray[np.float64]
_SWEPT = (
    dict.fromkeys(("index", "fold", "seed", "duplicate_of"), "i")
    | {"chosen": "b"}
    | dict.fromkeys(("part", "params", "settings", "status", "error", *TAIL), "s")
)
"""What columns hold: `i` whole numbers, `b` true or false, `s` texts; all others are numbers."""
_RECORDED = {"index": "i", "chosen": "b"} | dict.fromkeys(
    ("engine", "version", "strategy", "label", "params", "status", "error", *TAIL), "s"
)
_KEY = re.compile(r"[a-z][a-z0-9_]{0,59}")
_MOST = 200  # statistics
_LARGEST = 2 << 30  # bytes of a table when it is unpacked
_FIRST, _ROW = 1 << 20, 4 << 10  # bytes beside the rows, and of a row
_FOOTER = 1 << 20
_BLOCK = 1 << 14  # rows
_LONGEST = 1 << 16  # characters of a text


class Trials(Struct, frozen=True, eq=False):
    """N trials. `values`, shape (N, len(keys)), has the statistics, NaN where a trial has none.

    `fold` and `duplicate_of` are -1 where there is none, as `seed` is where nobody said one. `params` are the
    strategy's parameters that were varied, `settings` other keys of the config, both by name.
    """

    index: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int64]
    part: list[str]
    params: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    seed: npt.NDArray[np.int64]
    status: list[str]
    error: list[str]
    duplicate_of: npt.NDArray[np.int64]
    keys: tuple[str, ...]
    values: npt.NDArray[np.float64]
    equity_digest: list[str]
    trades_digest: list[str]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which trials failed, shape (N,)."""
        return np.array([one == FAILED for one in self.status], np.bool_)

    @property
    def best(self) -> int | None:
        """The first row that is marked as chosen; None of a parent whose result is of no single trial."""
        return int(self.chosen.argmax()) if self.chosen.any() else None

    def of_stat(self, key: str) -> npt.NDArray[np.float64]:
        """Return a statistic of all trials, shape (N,); all NaN where the table has none of that name."""
        return self.values[:, self.keys.index(key)] if key in self.keys else np.full(len(self), np.nan)

    def statistics(self, at: int) -> dict[str, float | None]:
        """Return the statistics of one row by name, None where it has none."""
        row = self.values[at].tolist()
        return {key: None if math.isnan(value) else value for key, value in zip(self.keys, row, strict=True)}

    def overrides(self, at: int) -> dict[str, Any]:
        """Return what of the config is other than its base in one row: value by dotted key."""
        return {f"strategy.params.{key}": one for key, one in self.params[at].items()} | self.settings[at]

    def first_of_results(self) -> npt.NDArray[np.int64]:
        """Return for each trial the first with its digests on its fold and part, by the digests; -1 for a first."""
        first: dict[tuple[str, str, int, str], int] = {}
        found = np.full(len(self), -1, np.int64)
        folds = self.fold.tolist()
        for at, status in enumerate(self.status):
            if status == DONE:
                key = self.equity_digest[at], self.trades_digest[at], folds[at], self.part[at]
                if (same := first.setdefault(key, at)) != at:
                    found[at] = same
        return found


def name_in(files: Iterable[str], names: Sequence[str] = NAMES) -> str:
    """Return the name of the table among a run's files; empty where there is none.

    >>> name_in({"stats.json": b"", "trials.csv": b""})
    'trials.csv'
    """
    there = set(files)
    return next((name for name in names if name in there), "")


def read(name: str, content: bytes) -> Trials:
    """Return the trials of a table; RunError where it is none of a sweep's, ImportError for Parquet without pyarrow."""
    try:
        columns = _columns(name, content, _SWEPT)
        keys = _keys(list(columns))
        count = len(columns["index"])
        trials = Trials(
            chosen=columns["chosen"], index=columns["index"], fold=columns["fold"], seed=columns["seed"],
            duplicate_of=columns["duplicate_of"], part=columns["part"], status=columns["status"],
            error=columns["error"], params=_trees(columns["params"], "params"),
            settings=_trees(columns["settings"], "settings"), keys=keys,
            values=np.column_stack([columns[key] for key in keys]) if keys else np.empty((count, 0)),
            equity_digest=columns["equity_digest"], trades_digest=columns["trades_digest"],
        )  # fmt: skip
    except (ValueError, KeyError, OverflowError, TypeError, csv.Error, msgspec.MsgspecError, RecursionError) as error:
        raise RunError(f"{name} is no table of trials: {error}") from None
    if strange := sorted(set(trials.status) - {DONE, FAILED}):
        raise RunError(f"{name} is no table of trials: it has the status {strange[0][:60]!r}")
    if np.isinf(trials.values).any():
        raise RunError(f"{name} is no table of trials: a statistic is not finite")
    return trials


def blocks(name: str, content: bytes, count: int) -> tuple[Floats, Floats]:
    """Return the sums and the sums of squares of the returns of `count` trials, each of shape (count, PARTS).

    NaN of a trial that has none. Raises RunError where the table is another, ImportError for Parquet without pyarrow.
    """
    try:
        columns = _columns(name, content, _SWEPT)
        if tuple(columns) != _SUMS:
            raise ValueError("its columns are others")
        if not np.array_equal(columns["index"], np.arange(count)):
            raise ValueError(f"its rows are not those of {count:,} trials")
        found = np.column_stack([columns[key] for key in _SUMS[1:]])
        if np.isinf(found).any():
            raise ValueError("a sum is not finite")
    except (ValueError, TypeError, OverflowError, csv.Error, msgspec.MsgspecError, RecursionError) as error:
        raise RunError(f"{name} is no table of sums of returns: {error}") from None
    return found[:, :PARTS], found[:, PARTS:]


def recorded(name: str, content: bytes) -> dict[str, Any]:
    """Return the columns of the table of a recorded command: texts as lists, all else as arrays, NaN for no number.

    Raises RunError where it is another, ImportError for Parquet without pyarrow.
    """
    try:
        columns = _columns(name, content, _RECORDED)
        if lacking := sorted(_RECORDED.keys() - columns.keys()):
            raise ValueError(f"it has no column {lacking[0]}")
    except (ValueError, TypeError, OverflowError, csv.Error, msgspec.MsgspecError, RecursionError) as error:
        raise RunError(f"{name} is no table of trials: {error}") from None
    return columns


def _columns(name: str, content: bytes, kinds: Mapping[str, str]) -> dict[str, Any]:
    return _parquet(content, kinds) if name.endswith(".parquet") else _csv(content, kinds)


def _keys(names: list[str]) -> tuple[str, ...]:
    """Return the statistics among a table's columns; ValueError where its columns are not a sweep's."""
    keys = names[len(HEAD) : -len(TAIL)]
    if names != [*HEAD, *keys, *TAIL] or not all(map(_KEY.fullmatch, keys)) or set(keys) & {*HEAD, *TAIL}:
        raise ValueError("its columns are others")
    return tuple(keys)


def _trees(cells: Sequence[str], name: str) -> list[dict[str, Any]]:
    """Return mappings from JSON; equal texts are read once."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    try:
        known = {cell: decoder.decode(cell) for cell in set(cells)}
    except msgspec.MsgspecError as error:
        raise ValueError(f"a cell of {name} is no mapping in JSON: {error}") from None
    return [known[cell] for cell in cells]


def _parquet(content: bytes, of: Mapping[str, str]) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if content[-4:] != b"PAR1" or int.from_bytes(content[-8:-4], "little") > _FOOTER:
        raise ValueError("it is no Parquet file with a footer of usual size")
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
            if len(kinds) != len(file.schema_arrow) or len(kinds) > _MOST:
                raise ValueError("its columns are others")
            for name, kind in kinds.items():
                if kind != (expected := _kind(of.get(name, "f"))):
                    raise ValueError(f"{name[:60]} has the type {str(kind)[:60]}, expected: {expected}")
            rows = file.metadata.num_rows
            if rows > len(content):  # the number of a row alone takes a byte
                raise ValueError(f"{rows:,} rows, more than {len(content):,} bytes can hold")
            table = footer.columns(file, min(_FIRST + _ROW * rows, _LARGEST))
        table.validate(full=True)
        columns = {
            name: _column(name, of.get(name, "f"), part)
            for name, part in zip(table.column_names, table.columns, strict=True)
        }
    except RunError as error:
        raise ValueError(error.message) from None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error).splitlines()[0][:300]) from None
    if any(len(column) != rows for column in columns.values()):
        raise ValueError("its columns are not of one length")
    return columns


def _kind(of: str) -> Any:
    import pyarrow as pa

    return {"s": pa.string, "i": pa.int64, "b": pa.bool_, "f": pa.float64}[of]()


def _column(name: str, of: str, column: Any) -> Any:
    if of == "s":
        return _bounded(name, [text or "" for text in column.to_pylist()])
    if of == "b":
        if column.null_count:
            raise ValueError(f"a cell of {name} is empty")
        return np.array(column.to_pylist(), np.bool_)
    kind = np.int64 if of == "i" else np.float64
    parts = [footer.numbers(part, kind) for part in column.chunks if len(part)]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _bounded(name: str, texts: list[str]) -> list[str]:
    if max(map(len, texts), default=0) > _LONGEST:
        raise ValueError(f"{name} has a text of more than {_LONGEST:,} characters")
    return texts


def _csv(content: bytes, of: Mapping[str, str]) -> dict[str, Any]:
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=True)
    header = next(reader, [])
    if len(header) > _MOST or len(set(header)) != len(header):
        raise ValueError("its columns are others")
    blocks: list[dict[str, Any]] = []
    while rows := list(islice(reader, _BLOCK)):  # cells are many times as large in Python as in the file
        if any(len(row) != len(header) for row in rows):
            raise ValueError("a row has too few or too many cells")
        cells = zip(header, zip(*rows, strict=True), strict=True)
        blocks.append({name: _typed(name, of.get(name, "f"), column) for name, column in cells})
    blocks = blocks or [{name: _typed(name, of.get(name, "f"), ()) for name in header}]
    return {
        name: [cell for block in blocks for cell in block[name]]
        if of.get(name) == "s"
        else np.concatenate([block[name] for block in blocks])
        for name in header
    }


def _typed(name: str, of: str, cells: Sequence[str]) -> Any:
    if of == "s":
        return _bounded(name, list(cells))
    if of == "b":
        if not set(cells) <= {"true", "false"}:
            raise ValueError(f"a cell of {name} is neither true nor false")
        return np.array([cell == "true" for cell in cells], np.bool_)
    whole = of == "i"
    kind: Any = int if whole else float
    numbers = msgspec.json.decode(f"[{','.join(cell or 'null' for cell in cells)}]", type=list[kind | None])
    if len(numbers) != len(cells):
        raise ValueError(f"a cell of {name[:60]} is not one number")
    unknown = -1 if whole else np.nan
    return np.array([unknown if one is None else one for one in numbers], np.int64 if whole else np.float64)
