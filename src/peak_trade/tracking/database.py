"""A store as MLflow opens it: its tables are made whole or not at all.

MLflow makes its tables by a hundred migrations one after the other, right in the file, and SQLite keeps each statement
for good: a process that is killed meanwhile (`mlflow ui` in its first start) leaves a database in which a table exists
that the next migration wants to make, and MLflow never gets past it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from peak_trade.tracking import condition
from peak_trade.tracking.condition import StoreError
from peak_trade.tracking.store import Store

__all__ = ["opened"]

_NO_MLFLOW = ("error code 404", "not in a valid JSON")  # what MLflow says of another server than its own


def opened(store: Store) -> Any:
    """Return MLflow's client over a store whose tables are there; to be called when it is one's turn.

    The process stays in the store's folder, below which MLflow puts the artifacts.
    Raises StoreError, with a hint, where a database is not as MLflow needs it, else whatever MLflow raises.
    """
    condition.check(store)  # others may have had their turn since
    from mlflow import MlflowClient

    os.chdir(store.folder)
    if store.database:
        from sqlalchemy import Engine, event

        event.listen(Engine, "connect", _wait_less)
        _make(store.database)
    try:
        client = MlflowClient(store.local)
        client.search_experiments(max_results=1)  # with it, MLflow looks at its tables
    except Exception as error:
        if store.is_server and any(words in str(error) for words in _NO_MLFLOW):
            raise condition.no_mlflow(store) from None
        if "maintenance mode" in str(error):
            said = f"{store.shown} is a folder of files, in which this mlflow keeps runs no more"
            allowed = "`MLFLOW_ALLOW_FILE_STORE=true just track --pending` writes there all the same"
            raise StoreError(said, hint=f"MLFLOW_TRACKING_URI=sqlite:///mlflow.db; or {allowed}") from None
        raise
    return client


def _make(path: Path) -> None:
    """Make the tables of a database that has none, not even a file: all of them, or, where the process dies, none.

    They are made elsewhere, and come here in one transaction of SQLite's.
    The database keeps a log of writes, which all who open it then use, instead of the usual journal: a write waits less
    for the disk, and a reader never for a writer.
    """
    from mlflow import MlflowClient

    with closing(sqlite3.connect(path)) as database:
        if condition.tables_of(database):
            return
        with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/new.db")) as whole:
            whole.execute("PRAGMA journal_mode = WAL")
            MlflowClient(f"sqlite:///{folder}/new.db").search_experiments(max_results=1)
            if not condition.tables_of(database):  # nobody else has made them since
                whole.backup(database)
        database.execute("PRAGMA journal_mode = WAL")


def _wait_less(connection: Any, _: object) -> None:
    """Let writes to a log of writes wait for the disk only now and then: a power cut may take the last, no more."""
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")
