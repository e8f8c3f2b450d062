"""Where MLflow keeps runs: `$MLFLOW_TRACKING_URI`, else `mlflow.db` in the repository's root, a SQLite database."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from peak_trade.redact import Redactor

__all__ = ["DEFAULT", "Store", "redactor"]

DEFAULT = "sqlite:///mlflow.db"
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?!file:|:memory:)(?P<path>[^?]+)(?P<query>\?.*)?")
_URI = re.compile(r"sqlite(?:\+\w+)?:///file:(?P<path>[^?]+).*")  # SQLite's own form, which is handed on as it is


class Store(Struct, frozen=True):
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
        given = environment.get("MLFLOW_TRACKING_URI", "").strip() or DEFAULT
        match = _SQLITE.fullmatch(given)
        if not match:
            beside = (root / uri["path"]).parent if (uri := _URI.fullmatch(given)) else root
            return cls(given, redactor(environment).text(given), beside)
        path = root / match["path"]  # an absolute one stands
        database = Path(os.path.normpath(path))
        inside = database.is_relative_to(root)
        return cls(
            f"sqlite:///{database}{match['query'] or ''}",
            f"sqlite:///{database.relative_to(root) if inside else database}",
            database.parent,
            database,
        )

    @property
    def is_server(self) -> bool:
        """Whether it is a server, which has its own page."""
        return urlsplit(self.uri).scheme in ("http", "https")

    @contextmanager
    def turn(self, run_dir: Path | None = None) -> Iterator[None]:
        """Wait until nobody else writes to the store (a SQLite database) or logs this run (any other store).

        The first is a lock on a file beside the database, the second one on the run's directory: a lock reaches as far
        as the file system does, so for a server, what another machine does is not seen.
        Raises OSError where the lock cannot be made.
        """
        if self.database:
            path, flags = self.database.with_name(f"{self.database.name}.lock"), os.O_RDWR | os.O_CREAT
        elif run_dir:
            path, flags = run_dir, os.O_RDONLY
        else:
            yield
            return
        handle = os.open(path, flags, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def redactor(environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return what masks the store's own secrets in any text: those in its address and in MLflow's variables."""
    try:
        password = urlsplit(environment.get("MLFLOW_TRACKING_URI", "")).password or ""
    except ValueError:
        password = ""
    ours = {name: value for name, value in environment.items() if name.startswith("MLFLOW_")}
    return Redactor(ours, {"password": [password, unquote(password)]})
