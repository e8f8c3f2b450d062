"""The lake: runs and bars as partitioned Parquet, asked in SQL. A sink: no run reads it.

In reading order:

- `schema`: the tables, column by column; the documents are generated from it.
- `commit`: which files are live. A commit marker, written last, names them all. `writer`: the one process that writes.
- `parts`: rows to Parquet files and back, merged as they come so that many small builds do not leave many small files.
- `build`: brings in what is new. `runs`: run directories and the ledger to rows. `traces`: their telemetry. `ingest`:
  bars to `ohlcv`, what changed as revisions.
- `compact`: few files instead of many, and none that no marker names. `check`: is everything in the lake as it must be?
- `publish`: each table as a Delta table, for other engines. `target`: the folder or object store that it goes to.
- `query`: a locked DuckDB connection. `reads`: SQL that reads and nothing else. `views`: questions that are asked
  often. `ask`: what the command line does with them, `child`: the process that does it, `table`: an answer as people
  read it, `prompt`: one after another.

These last seven and `commit` do without pyarrow and NumPy, so that a question asked at the command line costs
little more than starting DuckDB; all others need them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peak_trade.data.lake.query import Connection

__all__ = ["connect"]


def connect(lake: str | os.PathLike[str] | None = None) -> Connection:
    """Return a read-only connection to a lake (default: `$PEAK_LAKE_DIR`, else `data/lake/` in the checkout).

    It reads the lake and nothing else, whatever SQL it is given. It does not promise that a question ends, nor how much
    memory it takes: DuckDB looks at Ctrl-C, an interrupt or its memory limit between one batch of rows and the next, so
    a single call of a function on a long text passes by them all, and what DuckDB dies of ends this process with it.
    `just lake-query` asks in a process of its own, which is killed: a stranger's SQL is for that.

    >>> connect("/nowhere")
    Traceback (most recent call last):
    peak_trade.errors.InputError: there is no lake in /nowhere

    Raises InputError where there is no lake, or DuckDB is not installed.
    """
    from peak_trade.data.lake import query

    return query.connect(query.lake_dir(lake))
