"""What `just lake-query` does: one question answered in a format to a place, and what there is to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peak_trade import places
from peak_trade.data.lake import commit, query
from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, PeakError, RunError, did_you_mean
from peak_trade.terminal import show

__all__ = ["Asking", "files", "listing", "read_sql", "reports", "saved"]

_NAMED = 10  # symbols in a sentence
_OF_P2 = "BTCUSDT"  # what `just p2` runs on and brings in
_BY_NAME = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "table"}


class Asking:
    """How questions are to be answered; `notes` says what a person should know of the last answer."""

    def __init__(
        self,
        lake: Path,
        how: str | None = None,
        output: str | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
        memory_limit: str | None = None,
        explain: bool = False,
    ) -> None:
        self.how = how or (_BY_NAME.get(Path(output).suffix, "csv") if output else "table")
        if self.how not in query.FORMATS:
            raise InputError(f"there is no format {self.how}", hint=did_you_mean(self.how, query.FORMATS))
        if limit is not None and limit < 0:
            raise InputError("the limit is negative", hint="--limit 10")
        if timeout_s is not None and timeout_s <= 0:
            raise InputError("the timeout is not a time", hint="--timeout 10")
        self.lake, self.limit, self.timeout_s = lake, limit, timeout_s
        self.memory_limit, self.explain = memory_limit, explain
        self.output = Path(output) if output else None
        if self.output and self.output.resolve().is_relative_to(lake.resolve()):
            raise InputError("an answer can't be written into the lake", hint="name a file elsewhere")
        if self.how == "parquet" and not output and sys.stdout.isatty():
            raise InputError("Parquet is not for a terminal", hint="--output FILE")
        self.shown = query.SHOWN if limit is None else limit
        self.notes: list[str] = []

    def answer(self, text: str) -> None:
        """Answer one question."""
        self.notes = []
        if self.output:
            self._to_file(text, self.output)
        elif self.how == "table" or self.explain:
            with self._connected(text) as connection:
                show(self._as_text(connection, text), exact=True)
        else:
            self._to_stdout(text)

    @contextmanager
    def _connected(self, text: str, *writable: str) -> Iterator[query.Connection]:
        asked = [
            name for name in QUESTIONS if name in text
        ]  # to make them all would double what a small question costs
        with (
            query.connect(self.lake, memory_limit=self.memory_limit, writable=writable, questions=asked) as connection,
            connection.within(self.timeout_s),
        ):
            yield connection
            if not self.explain:
                self.notes += [_absence(*found) for found in connection.absent_symbols(text)]

    def _as_text(self, connection: query.Connection, text: str) -> str:
        if self.explain:
            return connection.explain(text)
        width = os.get_terminal_size().columns or None if sys.stdout.isatty() and not self.output else None
        shown, more = connection.table(text, self.shown, width)
        if more:
            self.notes.append(f"only the first {self.shown:,} rows; --limit N shows more, --format csv all")
        return shown

    def _to_file(self, text: str, output: Path) -> None:
        """Write beside the file first: what was there stays until the answer is whole."""
        draft = output.absolute().with_name(f".{output.name}.{os.getpid()}.tmp")
        try:
            with self._connected(text, str(draft)) as connection:
                if self.how == "table" or self.explain:
                    draft.write_text(self._as_text(connection, text) + "\n", encoding="utf-8")
                else:
                    connection.write(text, str(draft), self.how, self.limit)
            os.replace(draft, output)
        except OSError as error:
            raise RunError(f"cannot write {output}: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)

    def _to_stdout(self, text: str) -> None:
        """Have DuckDB write into a pipe to `cat`: a file that stdout is appended to, it would cut off."""
        sys.stdout.flush()
        failed: PeakError | None = None
        # in a group of its own, for Ctrl-C is DuckDB's to hear
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, process_group=0) as cat:
            assert cat.stdin is not None
            target = f"/dev/fd/{cat.stdin.fileno()}"
            try:
                with self._connected(text, target) as connection:
                    connection.write(text, target, self.how, self.limit)
            except PeakError as error:
                failed = error
        if cat.returncode:
            raise BrokenPipeError  # nobody reads stdout any more
        if failed:
            raise failed


def _absence(table: str, absent: Sequence[str], there: Sequence[str]) -> str:
    """Say which symbols a table has, where it was asked for one that it has not."""
    more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
    has = f"it has {', '.join(there[:_NAMED])}{more}" if there else "it has none yet"
    brings = f"; `just p2` brings {_OF_P2}" if _OF_P2 in absent else ""
    return f"{table} has no symbol {', '.join(absent)}: {has}{brings}"


def read_sql(file: str | None) -> str | None:
    """Return the SQL in a file or in standard input; None where it is a terminal's turn to ask."""
    if file is None and sys.stdin.isatty():
        return None
    if file in (None, "-"):
        return sys.stdin.read()
    try:
        return Path(str(file)).read_text(encoding="utf-8")
    except OSError as error:
        where = places.looked(str(file)) if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"cannot read {file}: {str(error.strerror).lower()}{where}") from None


def saved(words: Sequence[str]) -> str:
    """Return the SQL of a saved question with its arguments.

    >>> saved(["trades_around", "2024-03-01"])
    "SELECT * FROM trades_around('2024-03-01')"
    """
    name, *arguments = words
    if name not in QUESTIONS:
        raise InputError(f"there is no saved question {name}", hint=did_you_mean(name, QUESTIONS))
    known = QUESTIONS[name].arguments
    least = sum(default is None for _, default in known)
    if not least <= len(arguments) <= len(known):
        raise InputError(f"{QUESTIONS[name].call} takes {_count(least, len(known))}, not {len(arguments)}")
    given = [
        f"'{text.replace(chr(39), chr(39) * 2)}'" if default is None else f"{label} := '{text.replace(chr(39), '')}'"
        for (label, default), text in zip(known, arguments, strict=False)
    ]
    return f"SELECT * FROM {name}" + (f"({', '.join(given)})" if known else "")


def _count(least: int, most: int) -> str:
    number = f"{least}" if least == most else f"{least} to {most}"
    return f"{number} argument{'' if most == 1 else 's'}"


def reports() -> str:
    """Return the saved questions as text."""
    width = max(len(question.call) for question in QUESTIONS.values())
    return "\n".join(f"{question.call:{width}}  {question.asks}" for question in QUESTIONS.values())


def listing(lake: Path) -> list[str]:
    """Return what is in the lake, line by line: tables, columns, rows, files, partitions."""
    reader = commit.reading(lake)
    reader.close()
    lines = [f"{lake}: commit {reader.commit.number} of {reader.commit.time}"]
    for row in query.overview(reader.commit):
        lines.append(f"{row['table']}: {row['rows']:,} rows, {row['files']:,} files, {row['bytes'] / 1e6:,.1f} MB")
        lines.append(f"    columns: {', '.join(row['columns'])}")
        partitions = row["partitions"]
        if partitions:
            more = f" and {len(partitions) - 10:,} more" if len(partitions) > 10 else ""
            lines.append(f"    partitions: {', '.join(partitions[:10])}{more}")
    return lines


def files(lake: Path, table: str) -> list[str]:
    """Return the paths of a table's live files."""
    reader = commit.reading(lake)
    reader.close()
    if table not in reader.commit.tables:
        raise InputError(f"there is no table {table} in the lake", hint=did_you_mean(table, reader.commit.tables))
    return [str(lake / part.path) for part in reader.commit.tables[table].parts]
