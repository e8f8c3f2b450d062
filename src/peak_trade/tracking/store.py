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

__all__ = ["DEFAULT", "Store", "redactor"]

DEFAULT = "sqlite:///mlflow.db"


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
        name, mark, options = rest.partition("?")
        if dialect.partition("+")[0] != "sqlite" or name in ("", ":memory:"):
            return cls(uri, redactor(environment).text(uri), root)
        path = Path(os.path.normpath(root / name.removeprefix("file:")))  # an absolute one stands
        if name.startswith("file:"):  # SQLite's own form, which is handed on as it is
            return cls(uri, redactor(environment).text(uri), path.parent)
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        return cls(f"sqlite:///{path}{mark}{options}", f"sqlite:///{shown}", path.parent, path)

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


def redactor(environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return what masks the store's own secrets in any text: those in its address and in MLflow's variables."""
    try:
        password = urlsplit(environment.get("MLFLOW_TRACKING_URI", "")).password or ""
    except ValueError:
        password = ""
    settings = {name: value for name, value in environment.items() if name.startswith("MLFLOW_")}
    return Redactor(settings, {"password": [password, unquote(password)]}, environment=environment)
