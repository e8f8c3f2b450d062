"""The lake beyond this machine: each table as a Delta table, which other engines read without us.

    URI/equity/_delta_log/00000000000000000003.json      deltalake's; what it names is the table
    URI/equity/0000000007-5be6….parquet                   a file of the lake as it is, by the commit that brought it
    URI/ohlcv/symbol=BTC%2FUSDT/timeframe=1h/year=2024/0000000007-91c0….parquet

A published table is a mirror of the lake's newest commit. Files that it has not are copied first, under a name that
no other commit gives; then one entry of the log adds them and removes those that the lake has replaced. So a reader
sees a commit's table or the one before, a publisher that is killed has changed nothing, and the next one goes on.
The entry is written only where nobody has written one since the log was read (the file systems' and stores' own "if
it is not there"): who loses reads again. In each entry stand, as Delta's application transactions, which lake the table
is of and the number of the commit: what an older publisher brings too late is left out, and a stranger's table alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from peak_trade.data.lake import commit, schema
from peak_trade.data.lake.commit import Live, Part
from peak_trade.data.lake.target import Target
from peak_trade.data.lake.writer import writing
from peak_trade.errors import InputError, PeakError, RunError

__all__ = ["Published", "publish"]

_OWNER, _NUMBER = "peak_trade.lake", "peak_trade.commit"  # Delta's application transactions: see above
_KINDS = {
    "VARCHAR": "string",
    "DOUBLE": "double",
    "BIGINT": "long",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}
_LAST = "runs"  # so that a run that a reader finds in it has its rows in the other tables
_ATTEMPTS = 1000  # of one table: each that failed was somebody else's that did not


class Change(Struct):
    """What became of one table: its version in Delta's log, the rows it has, and the files that came and left."""

    version: int
    rows: int
    added: int = 0
    removed: int = 0
    bytes: int = 0
    changed: bool = False


class Published(Struct):
    """What was published: the number of the lake's commit, and each table's change.

    `newer` is the number of a later commit of this lake that was there already, 0 where there was none.
    """

    uri: str
    commit: int
    tables: dict[str, Change]
    seconds: float
    newer: int = 0
    vacuumed: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything was new."""
        return any(change.changed for change in self.tables.values())

    def as_text(self) -> str:
        """Return what was done in one line."""
        vacuumed = f", {self.vacuumed:,} old files deleted" if self.vacuumed else ""
        if not self.changed:
            newer = (
                f": commit {self.newer} of this lake is there, and is newer than {self.commit}" if self.newer else ""
            )
            return f"nothing is new at {self.uri}{newer}{vacuumed}"
        new, gone, size, rows = (
            sum(getattr(change, name) for change in self.tables.values())
            for name in ("added", "removed", "bytes", "rows")
        )
        return (
            f"commit {self.commit} is at {self.uri}: {len(self.tables)} tables, {rows:,} rows; {new:,} files came "
            f"({size / 1e6:,.1f} MB), {gone:,} left, in {self.seconds:.1f} s{vacuumed}"
        )


class _State(Struct):
    """A table as its log says: `delta` is None where there is none yet."""

    delta: Any = None
    owner: int | None = None
    number: int = -1
    files: dict[str, dict[str, int]] = {}  # bytes and rows of each, by path

    @property
    def version(self) -> int:
        return -1 if self.delta is None else int(self.delta.version())


def publish(
    lake: str | os.PathLike[str],
    uri: str | os.PathLike[str],
    *,
    replace: bool = False,
    vacuum: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
    waiting: Callable[[], None] = lambda: None,
) -> Published:
    """Make the tables below `uri` those of the lake's newest commit; nothing is done where they are.

    `replace` takes the place of what another lake, or an older state of this one, has published there. `vacuum` then
    deletes what left a table more than a week ago, and with it the way back to such a state.
    `progress` is called with the bytes that are copied so far, and all; `waiting` where a writer of the lake is waited
    for, as it may be once with a lake of an older version.

    Raises InputError where there is no lake, `uri` is no address, or a table there is not ours; RunError where it can't
    be read or written.
    """
    started = time.monotonic()
    lake = Path(lake)
    target = Target.of(os.fspath(uri), lake)
    reader = _reading(lake, waiting)
    try:
        return _Publisher(lake, reader.commit, target, replace).publish(vacuum, progress, started)
    finally:
        reader.close()


def _reading(lake: Path, waiting: Callable[[], None]) -> commit.Reader:
    """Return a hold on the newest commit; a lake of an older version is given its name first."""
    reader = commit.reading(lake)
    while not reader.commit.lake:
        reader.close()
        with writing(lake, waiting=waiting) as writer:
            if not writer.commit.lake:
                writer.publish("publish", writer.commit.tables)
        reader = commit.reading(lake)
    return reader


class _Publisher:
    def __init__(self, lake: Path, found: commit.Commit, target: Target, replace: bool) -> None:
        self.lake, self.commit, self.target, self.replace = lake.resolve(), found, target, replace
        name = hashlib.sha256(found.lake.encode()).digest()
        self.owner = int.from_bytes(name[:7])  # what an application transaction has room for
        empty = {
            name: Live(schema.duckdb_types(table), list(table.partitions)) for name, table in schema.TABLES.items()
        }
        self.tables = empty | found.tables
        self.copied: set[str] = set()
        self.newer = 0

    def publish(self, vacuum: bool, progress: Callable[[int, int], None], started: float) -> Published:
        names = sorted(self.tables, key=lambda name: name == _LAST)
        states = dict(zip(names, self._each(self._look, names), strict=True))  # a stranger's table, before any change
        self._copy({name: self._missing(name, states[name]) for name in names}, progress)
        changes = dict(
            zip(names[:-1], self._each(lambda name: self._settle(name, states[name]), names[:-1]), strict=True)
        )
        changes[_LAST] = self._settle(_LAST, states[_LAST])
        gone = sum(self._each(self._vacuum, names)) if vacuum else 0
        return Published(
            self.target.uri,
            self.commit.number,
            {name: changes[name] for name in self.tables},
            round(time.monotonic() - started, 3),
            self.newer,
            gone,
        )

    def _each(self, function: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(function, names))

    # --- what is there ---------------------------------------------------------------------------------------------

    def _look(self, name: str) -> _State:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        with self.target.told(name):
            try:
                delta = DeltaTable(self.target.table(name))
            except TableNotFoundError:
                return _State()
            owner = delta.transaction_version(_OWNER)
            number = delta.transaction_version(_NUMBER) or 0
            files = _files(delta)
        if owner is None:
            raise InputError(
                f"{self.target.table(name)} is a Delta table that no lake has published",
                hint="publish to an address of its own",
            )
        if owner != self.owner and not self.replace:
            raise InputError(
                f"{self.target.table(name)} is another lake's",
                hint="publish to an address of its own; --replace puts this lake in its place",
            )
        return _State(delta, owner, number, files)

    def _there(self, name: str, state: _State) -> dict[str, str]:
        """Return the published files by their paths in the lake; none of a table that is made anew."""
        return {} if self._anew(name, state) else {_unnumbered(path): path for path in state.files}

    def _anew(self, name: str, state: _State) -> bool:
        """Whether a table is not one to go on from: none, another lake's, a later state of this one, of other kinds."""
        later = state.number > self.commit.number
        return state.delta is None or state.owner != self.owner or later or not _grows(state.delta, self.tables[name])

    def _is_late(self, state: _State) -> bool:
        return state.delta is not None and state.number > self.commit.number and not self.replace

    # --- files -----------------------------------------------------------------------------------------------------

    def _path(self, part: Part) -> str:
        """Return where in its table's folder a file is published: where no other commit puts one, even the same one.

        So what is to be deleted, as no table has it, is nobody's who is about to add it.
        """
        folder, slash, name = _key(part).rpartition("/")
        return f"{folder}{slash}{self.commit.number:010}-{name}"

    def _missing(self, name: str, state: _State) -> list[Part]:
        if self._is_late(state):
            return []
        there = self._there(name, state)
        return [part for part in self.tables[name].parts if part.path not in self.copied and _key(part) not in there]

    def _copy(self, missing: Mapping[str, Iterable[Part]], progress: Callable[[int, int], None]) -> None:
        work = [(name, part) for name, parts in missing.items() for part in parts]
        total, done = sum(part.bytes for _, part in work), 0
        folders = {(name, self._path(part).rpartition("/")[0]) for name, part in work}
        for name, folder in folders:
            with self.target.told(name):
                self.target.prepare(name, folder)
        with ThreadPoolExecutor(4) as pool:
            try:
                for size in pool.map(lambda item: self._put(*item), work):
                    done += size
                    progress(done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for name, folder in folders:
            with self.target.told(name):
                self.target.settle(name, folder)
        self.copied |= {part.path for _, part in work}

    def _put(self, name: str, part: Part) -> int:
        source = self.lake / part.path
        try:
            size = source.stat(follow_symlinks=False).st_size
        except OSError as error:
            raise RunError(
                f"{part.path}: {error.strerror}", hint="just lake-check shows what else is missing"
            ) from None
        if size != part.bytes or source.resolve() != source:  # or a link in its way, which may lead anywhere
            raise RunError(
                f"{part.path} is not what was written", hint="just lake-check, then just lake-build --rebuild"
            )
        with self.target.told(name):
            self.target.put(name, source, self._path(part))
        return size

    # --- the log ---------------------------------------------------------------------------------------------------

    def _settle(self, name: str, state: _State) -> Change:
        """Bring one table to the commit; from the start again as often as somebody else was first."""
        for _ in range(_ATTEMPTS):
            if self._is_late(state):
                self.newer = max(self.newer, state.number)
                return Change(state.version, sum(file["rows"] for file in state.files.values()))
            self._copy({name: self._missing(name, state)}, lambda done, of: None)
            failed = None
            try:
                if not self._widen(name, state):
                    return self._commit(name, state)
            except PeakError:
                raise
            except Exception as error:  # noqa: BLE001 - somebody else's entry, or a disk or store: the log tells which
                failed = error
            before, state = state.version, self._look(name)
            if failed and state.version == before:
                with self.target.told(name):
                    raise failed
        raise RunError(f"{self.target.table(name)} is written to without a pause", hint="try again")

    def _widen(self, name: str, state: _State) -> bool:
        """Add the columns that a table has not, in an entry of their own; what it has been read for is old after it."""
        from deltalake import CommitProperties

        if self._anew(name, state):
            return False
        known = {field.name for field in state.delta.schema().fields}
        more = [field for field in _fields(self.tables[name]) if field.name not in known]
        if more:
            state.delta.alter.add_columns(more, commit_properties=CommitProperties(max_commit_retries=0))
        return bool(more)

    def _commit(self, name: str, state: _State) -> Change:
        live, there, anew = self.tables[name], self._there(name, state), self._anew(name, state)
        rows, keys = sum(part.rows for part in live.parts), {_key(part) for part in live.parts}
        gone = sorted(state.files.keys() - {path for key, path in there.items() if key in keys})
        new = [part for part in live.parts if _key(part) not in there]
        if not (anew or new or gone) and state.number == self.commit.number:
            return Change(state.version, rows)
        adds = [_add(self._path(part), live, part) for part in new]
        self._write(name, live, state, adds, [] if anew else gone, "overwrite" if anew else "append")
        with self.target.told(name):
            self.target.settle(name, "_delta_log", f"{state.version + 1:020}.json")
        size = sum(part.bytes for part in new)
        return Change(state.version + 1, rows, len(new), len(gone), size, changed=True)

    def _write(self, name: str, live: Live, state: _State, adds: list[Any], gone: list[str], mode: str) -> None:
        """Write the entry after the one that was read; CommitFailedError where somebody else was first."""
        from deltalake import CommitProperties, Schema, Transaction
        from deltalake.transaction import RemoveAction, create_table_with_add_actions

        own = [Transaction(_OWNER, self.owner), Transaction(_NUMBER, self.commit.number)]
        said = {"peak_trade.commit": self.commit.number, "peak_trade.time": self.commit.time}
        properties = CommitProperties(said, max_commit_retries=0, app_transactions=own)
        columns = Schema(_fields(live))
        if state.delta is None or list(state.delta.metadata().partition_columns) != live.partitions:
            create_table_with_add_actions(
                self.target.table(name),
                columns,
                adds,
                "error" if state.delta is None else "overwrite",
                live.partitions,
                name=name,
                description=schema.TABLES[name].definition if name in schema.TABLES else None,
                commit_properties=properties,
            )
            return
        now = int(time.time() * 1000)
        removes = [RemoveAction(path, True, now, size=state.files[path]["bytes"]) for path in gone]
        state.delta.create_write_transaction(
            [*adds, *removes], mode, columns, live.partitions, commit_properties=properties
        )

    def _vacuum(self, name: str) -> int:
        """Delete the files that left a table more than a week ago, and no others: not all in its folder may be ours."""
        delta = self._look(name).delta
        with self.target.told(name):
            return len(delta.vacuum(dry_run=False)) if delta.vacuum() else 0


def _files(delta: Any) -> dict[str, dict[str, int]]:
    """Return what the log says of a table's files, by their paths, which it holds as parts of an address."""
    actions = delta.get_add_actions()
    columns = [actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records")]
    return {unquote(path): {"bytes": size, "rows": rows or 0} for path, size, rows in zip(*columns, strict=True)}


def _key(part: Part) -> str:
    """Return the path of a file of the lake in its table's folder, where every sign is one that addresses have too."""
    return part.path.partition("/")[2].replace(" ", "%20")


def _unnumbered(path: str) -> str:
    """Return the path in its table's folder that a published file has in the lake.

    >>> _unnumbered("year=2024/0000000007-91c0.parquet")
    'year=2024/91c0.parquet'
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('-')[2]}"


def _fields(live: Live) -> list[Any]:
    from deltalake import Field
    from deltalake.schema import PrimitiveType

    return [Field(column, PrimitiveType(_KINDS[kind])) for column, kind in live.columns.items()]


def _grows(delta: Any, live: Live) -> bool:
    """Tell whether a table's own columns are as the lake has them, so that only new ones are to be added."""
    known = {field.name: field.type.type for field in delta.schema().fields}
    same = all(known.get(column, _KINDS[kind]) == _KINDS[kind] for column, kind in live.columns.items())
    return same and list(delta.metadata().partition_columns) == live.partitions


def _add(path: str, live: Live, part: Part) -> Any:
    """Return what the log says of a file; of its values no more than how many, for where the least and greatest of some
    columns alone are named, readers leave out rows by the others (deltalake 1.6). The file says them itself.
    """
    from deltalake.transaction import AddAction

    values = {key: part.series[key] for key in live.partitions}
    return AddAction(path, part.bytes, values, int(time.time() * 1000), True, json.dumps({"numRecords": part.rows}))
