"""A store as MLflow opens it: its tables are made whole or not at all, and what is wrong with them is said in words.

MLflow makes its tables by a hundred migrations one after the other, right in the file, and SQLite keeps each statement
for good: a process that is killed meanwhile (`mlflow ui` in its first start) leaves a database in which a table exists
that the next migration wants to make, and MLflow never gets past it.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
import tempfile
from contextlib import closing
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from peak_trade.errors import RunError
from peak_trade.tracking.store import Store

__all__ = ["StoreError", "has_tables", "opened"]

_CONTENTS = ("runs", "trace_info", "registered_models", "logged_models")  # the tables with what people made
_CUT_OFF = ("already exists", "duplicate column", "no such table", "no such column", "out-of-date", "locate revision")


class StoreError(RunError):
    """A database is not as MLflow needs it; the hint says what mends it."""


def opened(store: Store) -> Any:
    """Return MLflow's client over a store whose tables are there; to be called when it is one's turn.

    The process stays in the store's folder, below which MLflow puts the artifacts.
    Raises StoreError, with a hint, where a database is not as MLflow needs it, else whatever MLflow raises.
    """
    from mlflow import MlflowClient

    os.chdir(store.folder)
    if store.database:
        from sqlalchemy import Engine, event

        event.listen(Engine, "connect", _wait_less)
    try:
        if store.database:
            _make(store.database)
        client = MlflowClient(store.uri)
        client.search_experiments(max_results=1)  # with it, MLflow looks at its tables
    except Exception as error:
        if store.database and (trouble := _trouble(store.database, error)):
            raise trouble from None
        raise
    return client


def has_tables(path: Path) -> bool:
    """Say whether a file is a database with tables, whosever they are."""
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(_tables(database))
    except sqlite3.Error:
        return False


def _make(path: Path) -> None:
    """Make the tables of a database that has none, not even a file: all of them, or, where the process dies, none.

    They are made elsewhere, and come here in one transaction of SQLite's.
    The database keeps a log of writes, which all who open it then use, instead of the usual journal: a write waits less
    for the disk, and a reader never for a writer.
    """
    from mlflow import MlflowClient

    with closing(sqlite3.connect(path)) as database:
        if _tables(database):
            return
        with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/new.db")) as whole:
            whole.execute("PRAGMA journal_mode = WAL")
            MlflowClient(f"sqlite:///{folder}/new.db").search_experiments(max_results=1)
            if not _tables(database):  # nobody else has made them since
                whole.backup(database)
        database.execute("PRAGMA journal_mode = WAL")


def _wait_less(connection: Any, _: object) -> None:
    """Let writes to a log of writes wait for the disk only now and then: a power cut may take the last, no more."""
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")


def _tables(database: sqlite3.Connection) -> set[str]:
    """Return the names of the tables, but those that a first attempt to make them leaves without any other."""
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return names if any(not name.startswith("alembic_") for name in names) else set()


def _trouble(path: Path, error: Exception) -> StoreError | None:
    """Return in words what is wrong with a database that MLflow cannot open; None where that is not what is wrong.

    What a hint names loses nothing: a file without runs is moved to a name that is free, one with runs stays.
    """
    from importlib import metadata  # heavy, and seldom needed

    aside = f"`{shlex.join(['mv', str(path), str(_free(path, path.name))])}`, then `just track --pending`"
    uri = shlex.quote(f"sqlite:///{_free(path, path.stem, path.suffix)}")
    another = f"`MLFLOW_TRACKING_URI={uri} just track --pending` logs what is in results/ to a new one"
    try:
        version, contents = _look(path)
    except sqlite3.Error as second:
        if "not a database" in str(second):
            return StoreError(f"{path} is no SQLite database", hint=aside)
        if "malformed" in str(second):
            return StoreError(f"{path} is damaged", hint=f"{another}; this one stays as it is")
        if "unable to open" in str(second):
            return StoreError(f"{path} cannot be opened", hint="check its folder, and MLFLOW_TRACKING_URI")
        return None
    if version and not _is_known(version):
        newer = f"{path} was made by a newer mlflow than {metadata.version('mlflow')}"
        return StoreError(newer, hint=f"install that one; or {another}")
    if not any(words in str(error) for words in _CUT_OFF):
        return None
    if version and contents and "out-of-date" in str(error):
        copy = shlex.join(["cp", str(path), str(_free(path, path.name))])
        upgrade = shlex.join([sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{path}"])
        older = f"{path} has the tables of an older mlflow than {metadata.version('mlflow')}"
        return StoreError(older, hint=f"`{copy} && {upgrade}`; where that fails, {another}")
    half = f"{path} is half made: mlflow was ended while it made the tables, or is still at it"
    if contents:
        return StoreError(f"{half}; it holds {contents}", hint=f"{another}; this one stays as it is")
    return StoreError(f"{half}; it holds no runs", hint=aside)


def _look(path: Path) -> tuple[str, str]:
    """Return the version of a database's tables ("" where it has none), and in words what people keep there."""
    with closing(sqlite3.connect(path, timeout=1)) as database:
        tables = _tables(database)

        def rows(question: str, table: str) -> list[Any]:
            return database.execute(f"{question} FROM {table}").fetchall() if table in tables else []

        versions = rows("SELECT version_num", "alembic_version")
        numbers = {table: rows("SELECT count(*)", table) for table in _CONTENTS}
    found = [
        f"{number[0][0]:,} {table.replace('_', ' ')}" for table, number in numbers.items() if number and number[0][0]
    ]
    return versions[0][0] if versions else "", " and ".join(found)


def _is_known(version: str) -> bool:
    spec = find_spec("mlflow")
    folder = Path(spec.origin if spec and spec.origin else "").parent / "store" / "db_migrations" / "versions"
    return not folder.is_dir() or any(folder.glob(f"{version}_*.py"))


def _free(path: Path, stem: str, suffix: str = "") -> Path:
    """Return the first name beside a file that nothing has: `stem`, a number, `suffix`."""
    return next(name for number in count(2) if not (name := path.with_name(f"{stem}.{number}{suffix}")).exists())
