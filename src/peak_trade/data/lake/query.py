"""Ask the lake in SQL, over a connection that can read the lake's live files and nothing else.

Two walls stand one behind the other. DuckDB's own: no file but those that the commit names, no extension, no attach,
and a configuration that is locked. And ours: DuckDB's parser must find one SELECT, whose tree holds no statement that
writes (since 2.0 a WITH can), no function that reads files or changes anything, and no table that the lake has not.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from peak_trade import places
from peak_trade.data.lake import child, commit, names, reads, table
from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, PeakError, RunError, did_you_mean
from peak_trade.text import escaped, one_line

__all__ = ["FORMATS", "Connection", "connect", "lake_dir", "overview", "require"]

FORMATS = ("table", "csv", "json", "jsonl", "parquet")
SHOWN = 100  # rows of a table for people
_OPTIONS = {
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # FROM x must never mean a variable of the program that asks
}


def lake_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Return where the lake is: `given`, else `$PEAK_LAKE_DIR`, else `data/lake/` in the checkout or the folder."""
    return places.lake(given)


def require(*modules: str) -> None:
    """Raise InputError where the lake's extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in modules or ("duckdb", "pyarrow") if find_spec(name) is None]
    if missing:
        raise InputError(f"the lake needs {' and '.join(missing)}", hint="just setup lake")


def connect(
    lake: str | os.PathLike[str],
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    writable: Sequence[str] = (),
    questions: Collection[str] = QUESTIONS.keys(),
    scratch: str | None = None,
) -> Connection:
    """Open a lake: its tables and saved `questions` as views, locked down; `writable` paths are for answers alone.

    `scratch` is the folder into which a query may spill, by default a new one.

    Raises InputError where there is no lake, nothing in it, or DuckDB is missing.
    """
    reader = commit.reading(lake)
    try:
        require("duckdb")
        return Connection(reader, memory_limit, threads, writable, questions, scratch or child.scratch())
    except BaseException:
        reader.close()
        raise


class Connection:
    """A connection to one commit of a lake, which stays as it is while the connection is open."""

    def __init__(
        self,
        reader: commit.Reader,
        memory_limit: str | None,
        threads: int | None,
        writable: Sequence[str],
        questions: Collection[str],
        scratch: str,
    ) -> None:
        import duckdb

        self._reader = reader
        self.commit = reader.commit
        self.tables = {name: list(live.columns) for name, live in self.commit.tables.items()}
        options: dict[str, Any] = dict(_OPTIONS)
        if memory_limit is not None:
            options["memory_limit"] = memory_limit
        if threads is not None:
            options["threads"] = threads
        try:
            self._duckdb = duckdb.connect(":memory:", config=options)
        except duckdb.Error as error:
            raise InputError(_sentence(error), hint="a memory limit is such as 2GB") from None
        self._weak = weakref.finalize(self, reader.close)
        with _house_errors(self):
            self._lock_down(writable, questions, scratch)

    def _lock_down(self, writable: Sequence[str], questions: Collection[str], scratch: str) -> None:
        import duckdb

        root = self._reader.lake.resolve()
        run = self._duckdb.execute
        run("SET timezone = 'UTC'")
        run("SET enable_progress_bar = false")  # it is drawn on stdout, between the rows
        run(f"SET temp_directory = {_quoted(scratch)}")
        paths = list(writable)
        for name, live in self.commit.tables.items():
            there = [os.path.join(root, part.path) for part in live.parts]
            self._refuse_links(there)
            run(f"CREATE VIEW {_name(name)} AS {_view(live, there)}")
            paths += there
        for name in questions:
            with suppress(duckdb.CatalogException):  # a lake of an older version has not every table before a build
                run(QUESTIONS[name].definition)
        self.tables |= {name: [] for name, question in QUESTIONS.items() if not question.arguments}
        run(f"SET allowed_paths = [{', '.join(map(_quoted, paths))}]")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def _refuse_links(self, paths: Sequence[str]) -> None:
        """A link among the live files, or among their folders, may lead anywhere."""
        for folder in {os.path.dirname(path) for path in paths}:
            if os.path.realpath(folder) != folder:
                raise RunError(f"{folder} leads out of the lake by a link", hint="just lake-check")
        for path in paths:
            if os.path.islink(path):
                raise RunError(f"{path} is a link, not a file of the lake", hint="just lake-check")

    @property
    def memory_limit(self) -> str:
        """How much DuckDB's buffers may take, as it writes it: 286.1 MiB."""
        return str(self._duckdb.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])

    def sql(self, text: str) -> Any:
        """Return the answer to one SELECT as a DuckDB relation: `.df()`, `.arrow()`, `.fetchall()`, or shown as it is.

        Raises InputError where the text is anything else, or asks for what the lake has not.
        """
        with _house_errors(self):
            return self._duckdb.sql(self.check(text))

    def execute(self, text: str, parameters: Sequence[Any] | None = None) -> Any:
        """Carry out one SELECT, with values for its `?`, and return its rows to be fetched; errors as `sql`."""
        with _house_errors(self):
            return self._duckdb.execute(self.check(text), parameters)

    def describe(self, text: str) -> list[tuple[str, str]]:
        """Return name and DuckDB type of each column of the answer to one SELECT."""
        with _house_errors(self):
            rows = self._duckdb.execute(f"DESCRIBE {self.check(text)}").fetchall()
            return [(str(row[0]), str(row[1])) for row in rows]

    def explain(self, text: str) -> str:
        """Return DuckDB's plan for one SELECT."""
        with _house_errors(self):
            return str(self._duckdb.execute(f"EXPLAIN {self.check(text)}").fetchall()[0][1])

    def write(self, text: str, target: str, how: str, limit: int | None = None) -> None:
        """Write the answer to one SELECT to `target`, one of the `writable` paths, row by row as it comes.

        `how` is one of `FORMATS` but `table`. In JSON a float that is no number is null, as it is in all our JSON.
        """
        asked = self.check(text)
        if how in ("json", "jsonl"):
            asked = self._without_nan(asked)
        cut = "" if limit is None else f" LIMIT {limit:d}"
        options = {
            "csv": "FORMAT csv, HEADER",
            "json": "FORMAT json, ARRAY true",
            "jsonl": "FORMAT json",
            "parquet": "FORMAT parquet, COMPRESSION zstd",
        }[how]
        with _house_errors(self):
            self._duckdb.execute(f"COPY (FROM (\n{asked}\n){cut}) TO {_quoted(target)} ({options}, USE_TMP_FILE false)")

    def _without_nan(self, asked: str) -> str:
        columns = self.describe(asked)
        if not any(kind in ("DOUBLE", "FLOAT") for _, kind in columns):
            return asked
        heads = [f"c{at}" for at in range(len(columns))]
        shown = [
            f"CASE WHEN isfinite({name}) THEN {name} END AS {_name(own)}"
            if kind in ("DOUBLE", "FLOAT")
            else f"{name} AS {_name(own)}"
            for name, (own, kind) in zip(heads, columns, strict=True)
        ]
        return f"SELECT {', '.join(shown)} FROM (\n{asked}\n) AS answer({', '.join(heads)})"

    def table(self, text: str, limit: int | None = SHOWN, width: int | None = None) -> tuple[str, bool]:
        """Return the answer to one SELECT as aligned text, and whether there are more rows than `limit`.

        Figures are rounded as `table.figure` does; what is wider than `width` is shown row by row.
        """
        columns = self.describe(text)
        heads = [f"c{at}" for at in range(len(columns))]
        cut = "" if limit is None else f" LIMIT {limit + 1:d}"
        kinds = ["DOUBLE" if kind in table.FLOATS else "VARCHAR" for _, kind in columns]
        shown = ", ".join(f"CAST({name} AS {kind})" for name, kind in zip(heads, kinds, strict=True))
        asked = f"SELECT {shown} FROM (\n{self.check(text)}\n) AS answer({', '.join(heads)}){cut}"
        with _house_errors(self):
            rows = self._duckdb.execute(asked).fetchall()
        return table.as_text(columns, rows[:limit], width), limit is not None and len(rows) > limit

    def check(self, text: str) -> str:
        """Return SQL that is one SELECT over the lake's tables, without its semicolon; InputError for all else."""
        return self._parsed(text)[0]

    def _parsed(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        with _house_errors(self):  # an interrupt may meet the parsing too
            asked = reads.the_select(self._duckdb, text)
            return asked, reads.tree_of(self._duckdb, asked, self.tables)

    def absent_symbols(self, text: str) -> list[tuple[str, list[str], list[str]]]:
        """Return the tables in which a SELECT looks for symbols that are not there, those, and the ones that are."""
        tables, wanted = reads.symbols(self._parsed(text)[1])
        found = []
        for name in tables if wanted else []:
            live = self.commit.tables.get(name)
            if live is None or "symbol" not in live.columns:
                continue
            if "symbol" in live.partitions:
                there = {part.series["symbol"] for part in live.parts}
            else:
                with _house_errors(self):
                    rows = self._duckdb.execute(f"SELECT DISTINCT symbol FROM {_name(name)}").fetchall()
                there = {row[0] for row in rows}
            if absent := [symbol for symbol in wanted if symbol not in there]:
                found.append((name, absent, sorted(filter(None, there))))
        return found

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """Stop what runs longer, with a RunError, as soon as DuckDB looks: between one batch of rows and the next.

        A single call of a function, a plan or a parser at work runs on; `just lake-query` ends those too.
        """
        done, late = threading.Event(), threading.Event()

        def watch() -> None:
            if not done.wait(seconds):
                late.set()
                self.interrupt()
                while not done.wait(0.05):  # an interrupt that falls between two statements is lost
                    self.interrupt()

        watcher = threading.Thread(target=watch, daemon=True)
        if seconds:
            watcher.start()
        try:
            with _interruptible(self.interrupt):
                yield
        except RunError:
            if late.is_set():
                raise RunError(
                    f"no answer within {seconds:g} s", hint="ask for less, or give it longer with --timeout"
                ) from None
            raise
        finally:
            done.set()
            if seconds:
                watcher.join()

    def interrupt(self) -> None:
        """Stop what runs at the moment; another thread may call this."""
        import duckdb

        with suppress(duckdb.ConnectionException):  # closed meanwhile: nothing runs any more
            self._duckdb.interrupt()

    def close(self) -> None:
        """Close the connection, and let the lake's files go."""
        self._duckdb.close()
        self._reader.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _view(live: commit.Live, paths: Sequence[str]) -> str:
    columns = ", ".join(map(_name, live.columns))
    if not paths:
        empty = ", ".join(f"NULL::{kind} AS {_name(name)}" for name, kind in live.columns.items())
        return f"SELECT {empty} WHERE false"
    if not live.partitions:
        return f"SELECT {columns} FROM {_files(paths)}, hive_partitioning = false)"
    plain: list[str] = []
    named: dict[tuple[str, ...], list[str]] = {}  # whose folders' names say less than the marker
    for part, path in zip(live.parts, paths, strict=True):
        if names.reads_back(part, live.partitions):
            plain.append(path)
        else:
            named.setdefault(tuple(part.series[key] for key in live.partitions), []).append(path)
    kinds = ", ".join(f"{_quoted(name)}: {live.columns[name]}" for name in live.partitions)
    selects = [f"SELECT {columns} FROM {_files(plain)}, hive_partitioning = true, hive_types = {{{kinds}}})"]
    for values, there in named.items():
        given = ", ".join(
            f"{_quoted(value)}::{live.columns[key]} AS {_name(key)}"
            for key, value in zip(live.partitions, values, strict=True)
        )
        selects.append(f"SELECT {columns} FROM (SELECT *, {given} FROM {_files(there)}, hive_partitioning = false))")
    return " UNION ALL ".join(selects if plain else selects[1:])


def _files(paths: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(map(_quoted, paths))}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@contextmanager
def _interruptible(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call `interrupt` as soon as Ctrl-C is pressed.

    Python's own handler waits for the main thread, which waits for DuckDB; a thread that a signal wakes does not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def wait() -> None:
        while (number := os.read(told, 1)) not in (b"", b"\0"):
            if number[0] == signal.SIGINT:
                interrupt()

    watching = threading.Thread(target=wait, daemon=True)
    watching.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(tell, b"\0")
        watching.join()
        os.close(told)
        os.close(tell)


# --- what went wrong, in the house voice --------------------------------------------------------------------------

_COLUMN = re.compile(r'Referenced column "([^"]+)" not found|does not have a column named "([^"]+)"')


@contextmanager
def _house_errors(connection: Connection) -> Iterator[None]:
    """Say what DuckDB says in a sentence and a hint."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise RunError("the query was interrupted") from None
    except duckdb.OutOfMemoryException as error:
        raise RunError(_sentence(error), hint="give it more with --memory-limit, or ask for less") from None
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise _unknown(connection, str(error)) from None
    except duckdb.PermissionException as error:
        raise InputError(_sentence(error), hint="a query can read the lake and nothing else") from None
    except duckdb.IOException as error:
        raise RunError(_sentence(error), hint="just lake-check shows what is wrong with the lake's files") from None
    except duckdb.Error as error:
        raise InputError(_sentence(error)) from None
    except RuntimeError as error:
        if "interrupted" in str(error):  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from None
        raise


def _unknown(connection: Connection, message: str) -> PeakError:
    if found := _COLUMN.search(message):
        name, asked = found[1] or found[2], message.partition("LINE 1:")[2]
        tables = {
            table: columns
            for table, columns in connection.tables.items()
            if columns and re.search(rf"\b{re.escape(table)}\b", asked)
        }
        candidates = re.search(r"Candidate bindings: (.*)", message)
        there = re.findall(r'"([^"]+)"', candidates[1]) if candidates else []
        of = tables or connection.tables
        near = did_you_mean(name, {*(option.split(".")[-1] for option in there), *(c for t in of.values() for c in t)})
        has = "".join(f"; {table} has {', '.join(columns)}" for table, columns in tables.items())
        return InputError(f"there is no column {name}{has}", hint="" if has and near.startswith("known") else near)
    return InputError(_sentence(message))


def _sentence(error: object) -> str:
    """Return what DuckDB says as one line: without its kind, and without the picture of the place."""
    text = one_line(str(error).partition("\n\nLINE ")[0])
    return re.sub(r"^[A-Za-z ]+ Error: ", "", text)


def overview(found: commit.Commit) -> list[dict[str, Any]]:
    """Return what a commit holds: a row for each table with its rows, files, bytes, columns and partitions."""
    return [
        {
            "table": name,
            "rows": live.rows,
            "files": len(live.parts),
            "bytes": sum(part.bytes for part in live.parts),
            "columns": list(live.columns),
            "partitions": sorted(
                {"/".join(f"{key}={escaped(part.series[key])}" for key in live.partitions) for part in live.parts}
            )
            if live.partitions
            else [],
        }
        for name, live in found.tables.items()
    ]
