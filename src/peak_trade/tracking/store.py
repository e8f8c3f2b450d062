"""Where MLflow keeps runs: `$MLFLOW_TRACKING_URI`, else `mlflow.db` in the repository's root, a SQLite database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from peak_trade.evidence import door
from peak_trade.evidence.files import opened
from peak_trade.redact import Redactor

__all__ = ["DEFAULT", "Store", "address", "redactor"]

DEFAULT = "sqlite:///mlflow.db"
_OPTIONS = {  # that SQLite and its driver know: a `?` before anything else is one of the path
    "autocommit", "cache", "cached_statements", "check_same_thread", "detect_types", "immutable", "isolation_level",
    "mode", "nolock", "psow", "timeout", "uri", "vfs",
}  # fmt: skip


class Store(NamedTuple):
    """A store's address as MLflow takes it, as it may be shown, and, of a SQLite database, its file.

    MLflow runs in `folder`: that of the database, so that the artifacts (`mlruns/`) lie beside it, else the
    repository's root.
    """

    uri: str
    shown: str
    folder: Path
    database: Path | None = None

    @classmethod
    def of(cls, root: Path, environment: Mapping[str, str] = os.environ) -> Store:
        """Return the store that the environment names; a relative path is one below `root`."""
        uri = environment.get("MLFLOW_TRACKING_URI", "").strip() or DEFAULT
        dialect, _, rest = uri.partition(":///")
        name = rest.partition("?")[0]
        if dialect.partition("+")[0] != "sqlite" or name in ("", ":memory:"):
            return cls(uri, redactor(environment).text(uri), root)
        if name.startswith("file:"):  # SQLite's own form, which is handed on as it is
            return cls(uri, redactor(environment).text(uri), _absolute(root, name.removeprefix("file:")).parent)
        path, options = _file(root, rest)
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        return cls(address(path) + options, address(shown), path.parent, path)

    @property
    def local(self) -> str:
        """Its address for a MLflow that runs in `folder`: of `%25` in that of a folder, MLflow makes a folder too."""
        if self.database is None or "%" not in self.uri:
            return self.uri
        return address(self.database.name) + "".join(self.uri.partition("?")[1:])

    @property
    def artifacts(self) -> str:
        """The address of the folder of a database's artifacts, which MLflow would read `%20` out of as a path."""
        return (self.folder / "mlruns").as_uri()

    @property
    def is_server(self) -> bool:
        """Whether it is a server, which has its own page."""
        return urlsplit(self.uri).scheme in ("http", "https")

    @contextmanager
    def turn(self, run_dir: Path) -> Iterator[None]:
        """Wait until nobody else writes to the store (a SQLite database) or logs this run (any other store).

        The first is a lock on a file beside the database, the second one on the run's directory: a lock reaches as far
        as the file system does, so for a server, what another machine does is not seen.
        Raises OSError where the lock cannot be made.
        """
        if self.database:
            lock = opened(
                self.database.with_name(f"{self.database.name}.lock"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
            )
        else:
            lock = door.folder(run_dir)
        with lock as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def address(path: Path | str) -> str:
    """Return the address of a database as MLflow, that is SQLAlchemy, takes it.

    >>> address("/a 100%/#1?/mlflow.db")
    'sqlite:////a 100%25/#1%3F/mlflow.db'
    """
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def _absolute(root: Path, name: str) -> Path:
    return Path(os.path.normpath(root / name))  # an absolute one stands


def _file(root: Path, rest: str) -> tuple[Path, str]:
    """Return the file that an address names, and the address's options from their `?` on.

    `%25` and `%3F` in an address are `%` and `?`, as in MLflow; but where such a file, or else its folder, is not there
    and the one with just these letters is, it is that: a shell puts `$PWD` into an address as it is.
    """
    name, mark, options = rest.partition("?")
    if not {option.partition("=")[0] for option in options.split("&")} <= _OPTIONS:
        name, mark, options = rest, "", ""
    meant, literal = _absolute(root, unquote(name)), _absolute(root, name)
    there = os.path.exists  # where somebody may not look nothing is: what is wrong is told when it is used
    if not there(meant) and (there(literal) or (there(literal.parent) and not there(meant.parent))):
        meant = literal
    return meant, mark + options


def redactor(environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return what masks the store's own secrets in any text: those in its address and in MLflow's variables."""
    try:
        password = urlsplit(environment.get("MLFLOW_TRACKING_URI", "")).password or ""
    except ValueError:
        password = ""
    settings = {name: value for name, value in environment.items() if name.startswith("MLFLOW_")}
    return Redactor(settings, {"password": [password, unquote(password)]}, environment=environment)
