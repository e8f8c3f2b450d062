"""What is wrong with a database before MLflow touches it: in words, within a few milliseconds, and without a change.

MLflow asks a file that is no database ten times, for a minute and a half, and makes its tables in a database that is
somebody else's. So it is handed only what is its own and of its version, or what is empty.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from errno import ENOENT
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from peak_trade.errors import RunError
from peak_trade.tracking.receipt import Receipt
from peak_trade.tracking.store import Store, address

__all__ = ["StoreError", "check", "has_tables", "no_mlflow", "reading", "since", "tables_of"]

_CONTENTS = ("runs", "trace_info", "registered_models", "logged_models")  # the tables with what people made
_OURS = {"experiment_id", "artifact_location", "lifecycle_stage"}  # columns of MLflow's own `experiments`
_MAGIC, _HEADER = b"SQLite format 3\0", 100
_NAMED = 3  # tables of somebody else's database
_REVISION = re.compile(r"^(revision|down_revision)\b[^=]*=\s*[\"'](\w+)[\"']", re.MULTILINE)


class StoreError(RunError):
    """A store is not as MLflow needs it; the hint says what mends it."""


def check(store: Store, patience_s: float = 5.0) -> None:
    """Raise StoreError where a database is none that MLflow can take, or that another program holds for `patience_s`.

    What can be read from a file's first bytes and a few rows is looked at; damage further in shows when it is used.
    """
    path = store.database
    if path is None:
        return
    try:
        _check_folder(store.folder)
        _check_file(path)
        if path.exists() and path.stat().st_size:  # an empty file is an empty database
            _check_tables(path, patience_s)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}", hint=_elsewhere()) from None
    except sqlite3.Error as error:
        if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":  # who writes first takes back what a crash has left
            raise _of_sqlite(path, error) from None


def _check_folder(folder: Path) -> None:
    """Make the folder where there is none, as MLflow would."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {folder} cannot be made: {error.strerror}", hint=_elsewhere()) from None
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(f"the folder {folder} cannot be written to", hint=f"check its mode; {_elsewhere()}")


def _check_file(path: Path) -> None:
    """Look at what has the name, and at the header of a database."""
    if path.is_dir():
        raise StoreError(
            f"{path} is a folder, not a database", hint=f"MLFLOW_TRACKING_URI={_quoted(path / 'mlflow.db')}"
        )
    if not path.exists():
        return
    if not path.is_file():
        raise StoreError(f"{path} is no file", hint=_elsewhere())
    if not path.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StoreError(f"{path} is no SQLite database", hint=_aside(path))
    page, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    is_counted = header[24:28] == header[92:96]  # else an old library wrote it, which did not keep the number of pages
    if is_counted and path.stat().st_size < pages * (65_536 if page == 1 else page) and not _log_of(path).exists():
        raise _damaged(path)


def _check_tables(path: Path, patience_s: float) -> None:
    """Look whose tables they are, of which version, and whether one can write."""
    with reading(path, patience_s) as database:
        tables = tables_of(database)
        if not tables:
            return
        version = _version(database)
        columns = {name for _, name, *_ in database.execute("PRAGMA table_info(experiments)")}
        contents = _contents(database, tables)
    if not (columns >= _OURS):
        named = ", ".join(sorted(tables)[:_NAMED]) + (", …" if len(tables) > _NAMED else "")
        raise StoreError(
            f"{path} is a database of something else than mlflow, with the tables {named}", hint=_another(path)
        )
    if (trouble := _of_version(path, version, contents)) is not None:
        raise trouble
    with closing(sqlite3.connect(path, timeout=patience_s)) as database:
        database.execute("BEGIN IMMEDIATE")  # waits while another program writes; nothing is written
        database.rollback()


def _of_version(path: Path, version: str, contents: str) -> StoreError | None:
    """Say in words that tables are not those of this MLflow; None where they are, or where nobody can tell.

    What a hint names loses nothing: a file without runs is moved to a name that is free, one with runs stays.
    """
    known, newest = _versions()
    if not known or version == newest:
        return None
    from importlib import metadata  # heavy, and seldom needed

    this = metadata.version("mlflow")
    if version and version not in known:
        newer = f"{path} was made by a newer mlflow than {this}, or by a fork of it"
        return StoreError(newer, hint=f"install that one; or {_another(path)}")
    if version and contents:
        copy = shlex.join(["cp", str(path), str(_free(path, path.name))])
        upgrade = shlex.join([sys.executable, "-m", "mlflow", "db", "upgrade", address(path.name)])
        older = f"{path} has the tables of an older mlflow than {this}, or not all of them; it holds {contents}"
        there = f"(cd {shlex.quote(str(path.parent))} && {upgrade})"
        return StoreError(older, hint=f"`{copy} && {there}`; where that fails, {_another(path)}")
    half = f"{path} is half made: mlflow was ended while it made the tables, or is still at it"
    if contents:
        return StoreError(f"{half}; it holds {contents}", hint=f"{_another(path)}; this one stays as it is")
    return StoreError(f"{half}; it holds no runs", hint=_aside(path))


def _of_sqlite(path: Path, error: sqlite3.Error) -> StoreError:
    said = str(error)
    if "locked" in said or "busy" in said:
        return StoreError(f"{path} is locked by another program", hint="end that program, then `just track --pending`")
    if "not a database" in said:
        return StoreError(f"{path} is no SQLite database", hint=_aside(path))
    if "malformed" in said:
        return _damaged(path)
    if "readonly" in said:
        return StoreError(f"{path} cannot be written to", hint=f"check its mode and its folder's; or {_another(path)}")
    return StoreError(f"{path} cannot be opened: {said}", hint=_elsewhere())


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path} is damaged", hint=f"{_another(path)}; this one stays as it is")


@contextmanager
def reading(path: Path, patience_s: float = 1.0) -> Iterator[sqlite3.Connection]:
    """Open a database to read it, without leaving a file beside it. Raises sqlite3.Error.

    SQLite makes two files beside one that keeps a log of writes, and cannot take them away as a reader. Where there is
    no log nobody has it open, and it is read as one that does not change.
    """
    if not path.is_file():
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(path))
    with path.open("rb") as file:
        keeps_log = file.read(_HEADER)[18:19] == b"\2"
    how = "immutable=1" if keeps_log and not _log_of(path).exists() else "mode=ro"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=patience_s)) as database:
        yield database


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def has_tables(path: Path) -> bool:
    """Say whether a file is a database with tables, whosever they are."""
    try:
        with reading(path) as database:
            return bool(tables_of(database))
    except (OSError, sqlite3.Error):
        return False


def since(receipt: Receipt, store: Store) -> str:
    """Return in words what became in a database of the run that was logged there; empty where it is there still.

    Empty, too, of another store than the receipt's, and where it can't be asked within a moment.
    """
    if receipt.status != "logged" or store.database is None or receipt.store != store.shown:
        return ""
    question = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
    try:
        with reading(store.database) as database:
            found = database.execute(question, [receipt.mlflow_run_id]).fetchone()
    except FileNotFoundError:
        found = None
    except (OSError, sqlite3.Error):
        return ""
    if found and found[0] == "active":
        return ""
    return "deleted there since" if found else "no longer there"


def tables_of(database: sqlite3.Connection) -> set[str]:
    """Return the names of the tables, but those that a first attempt to make them leaves without any other."""
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return names if any(not name.startswith("alembic_") for name in names) else set()


def _version(database: sqlite3.Connection) -> str:
    try:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        found = None
    return str(found[0]) if found else ""


def _contents(database: sqlite3.Connection, tables: set[str]) -> str:
    """Return in words what people keep there; empty where they keep nothing."""
    numbers: dict[str, Any] = {
        table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _CONTENTS if table in tables
    }
    return " and ".join(f"{number:,} {table.replace('_', ' ')}" for table, number in numbers.items() if number)


@cache
def _versions() -> tuple[set[str], str]:
    """Return the versions of its tables that the installed MLflow knows, and the newest, as its files name them."""
    spec = find_spec("mlflow")
    folder = Path(spec.origin if spec and spec.origin else "").parent / "store" / "db_migrations" / "versions"
    steps = [dict(_REVISION.findall(file.read_text(encoding="utf-8"))) for file in sorted(folder.glob("*.py"))]
    known = {step["revision"] for step in steps if "revision" in step}
    newest = known - {step.get("down_revision") for step in steps}
    return known, next(iter(newest), "")


def no_mlflow(store: Store) -> StoreError:
    """Return what is said of a server that answers something else than MLflow's does."""
    return StoreError(f"{store.shown} answers, but is no server of mlflow's", hint="check MLFLOW_TRACKING_URI")


def _elsewhere() -> str:
    return "check the folder, and MLFLOW_TRACKING_URI"


def _aside(path: Path) -> str:
    return f"`{shlex.join(['mv', str(path), str(_free(path, path.name))])}`, then `just track --pending`"


def _another(path: Path) -> str:
    uri = _quoted(_free(path, path.stem, path.suffix))
    return f"`MLFLOW_TRACKING_URI={uri} just track --pending` logs what is in results/ to a new one"


def _quoted(path: Path) -> str:
    return shlex.quote(address(path))


def _free(path: Path, stem: str, suffix: str = "") -> Path:
    """Return the first name beside a file that nothing has: `stem`, a number, `suffix`."""
    return next(name for number in count(2) if not (name := path.with_name(f"{stem}.{number}{suffix}")).exists())
