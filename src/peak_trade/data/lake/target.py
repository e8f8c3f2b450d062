"""Where a lake is published to: a folder, S3, GCS or Azure, as deltalake and its stores reach them.

Who may write there is told by the environment, in the variables that each store is known by (`AWS_…`, `GOOGLE_…`,
`AZURE_…`), which deltalake reads itself: nothing of it passes through here. What a library says of a store becomes one
sentence, with the hint that helps.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import files
from peak_trade.text import one_line

__all__ = ["Target", "require"]

_STORES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_HINTS = (
    ("Connection refused", "nothing answers there: check the address and AWS_ENDPOINT_URL"),
    ("URL scheme is not allowed", "AWS_ALLOW_HTTP=true allows an endpoint without TLS"),
    ("put is disabled", "leave AWS_CONDITIONAL_PUT out: two at once would overwrite each other's work"),
    ("region", "say where the bucket is: AWS_REGION=eu-central-1"),
    ("redential", "give the store's usual variables: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another's"),
    ("NoSuchBucket", "make the bucket first, or mend its name"),
    ("bucket does not exist", "make the bucket first, or mend its name"),
    ("ermission", "check who may write there"),
    ("ccessDenied", "check who may write there"),
    ("403", "check who may write there"),
    ("ernel error", "its _delta_log can't be used: restore it, or publish to an address of its own"),
)


def require() -> None:
    """Raise InputError where the extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("deltalake", "pyarrow") if find_spec(name) is None]
    if missing:
        raise InputError(f"publishing the lake needs {' and '.join(missing)}", hint="just setup share")


class Target(NamedTuple):
    """An address that tables are published below; `folder` is where that is on this machine, None of a store."""

    uri: str
    folder: Path | None

    @classmethod
    def of(cls, uri: str, lake: Path) -> Target:
        """Return the target of an address; InputError where it is none, or lies within the lake."""
        if "://" not in uri:
            folder = Path(uri)
        else:
            parts = urlsplit(uri)
            if parts.username or parts.password or parts.query or parts.fragment:
                raise InputError(
                    "an address has no credentials and no query in it",
                    hint="give them as the store's usual variables, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                )
            if parts.scheme in _STORES and parts.netloc:
                return cls(uri.rstrip("/"), None)
            if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
                raise InputError(
                    f"`{uri}` is no address that a lake can be published to",
                    hint="a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH",
                )
            folder = Path(unquote(parts.path))
        if not uri.strip():
            raise InputError("an empty address is none", hint="a folder, or s3://BUCKET/PATH")
        folder = Path(os.path.realpath(folder))
        if folder == Path(os.path.realpath(lake)) or Path(os.path.realpath(lake)) in folder.parents:
            raise InputError(f"{folder} is within the lake itself", hint="publish it to a folder of its own")
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is no folder", hint="name a folder, or one that is not there yet")
        return cls(str(folder), folder)

    def table(self, name: str) -> str:
        """Return the address of a table."""
        return f"{self.uri}/{name}"

    @contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Raise what a library says of a table as a sentence: RunError."""
        try:
            yield
        except PeakError:
            raise
        except Exception as error:
            said = _COLOURS.sub("", str(error))
            known = next((hint for sign, hint in _HINTS if sign in said), "")
            here, there = "check the folder and the disk", "check the address and the store's variables"
            raise RunError(
                f"{self.table(name)}: {_cause(error, said)}", hint=known or (there if self.folder is None else here)
            ) from error

    def put(self, name: str, source: Path, key: str) -> None:
        """Copy a file into a table's folder under the name `key`: it is there as a whole, or not at all.

        Raises what the file system or the store does.
        """
        if self.folder is None:
            from pyarrow import fs

            fs.copy_files(
                str(source),
                key,
                source_filesystem=fs.LocalFileSystem(),
                destination_filesystem=self._filesystem(name),
                chunk_size=_CHUNK,
            )
            return
        with files.drafted(self.folder / name / key) as draft:
            shutil.copyfile(source, draft)
            with files.opened(draft, os.O_RDONLY) as handle:
                os.fsync(handle)

    def prepare(self, name: str, folder: str) -> None:
        """Make a folder of a table's where stores know of folders."""
        if self.folder is not None:
            (self.folder / name / folder).mkdir(parents=True, exist_ok=True)

    def settle(self, name: str, folder: str, file: str = "") -> None:
        """Have the names in a folder of a table's on disk, and a file that a library wrote; a store has them."""
        if self.folder is None:
            return
        at = self.folder / name / folder
        if file:
            with files.opened(at / file, os.O_RDONLY) as handle:
                os.fsync(handle)
        files.sync_folder(at)

    def _filesystem(self, name: str) -> Any:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        return fs.PyFileSystem(DeltaStorageHandler(self.table(name)))


_CHUNK = 8 << 20  # bytes: a part of an upload
_LONGEST = 300  # characters of what a library says: some show all they know


def _cause(error: Exception, said: str) -> str:
    """Return what an error says of its cause: the last of lines that lead to it by arrows, else the first one.

    >>> _cause(OSError(), "Generic S3 error\\n  ↳ HTTP error\\n   ↳ connection refused\\n")
    'connection refused'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if told := re.search(r"<Message>(.*?)</Message>", said, re.DOTALL):  # a store's own XML
        return one_line(told[1])[:_LONGEST]
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [type(error).__name__]
    line = next((line for line in reversed(lines) if line.startswith("↳")), lines[0])
    return one_line(line.strip(" ↳"))[:_LONGEST]
