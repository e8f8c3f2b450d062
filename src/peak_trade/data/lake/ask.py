"""What `just lake-query` does: one question answered in a format to a place, and what there is to ask."""

from __future__ import annotations

import codecs
import io
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from peak_trade import places
from peak_trade.data.lake import child, commit, query, reads
from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, RunError, did_you_mean
from peak_trade.evidence.files import drafted
from peak_trade.terminal import show
from peak_trade.text import counted, json_escaped

__all__ = ["Asking", "files", "listing", "read_sql", "reports", "saved"]

_LONGEST = 1e8  # seconds; three years
_NOT_HELD = "this system bounds no memory of a process: --memory-limit holds for DuckDB's buffers alone"
_NAMED = 10  # symbols in a sentence
_OF_P2 = "BTCUSDT"  # what `just p2` runs on and brings in
_BY_NAME = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "table"}


class Asking:
    """How questions are to be answered; `notes` says what a person should know of the last answer.

    A child answers them, one after another; where it had to be killed, the next question gets a new one.
    """

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
        if timeout_s is not None and not 0 < timeout_s <= _LONGEST:
            raise InputError("the timeout is not a time", hint="--timeout 10")
        self.lake, self.limit, self.timeout_s = lake, limit, timeout_s
        self.memory_limit, self.explain = memory_limit, explain
        self.output = Path(output) if output else None
        if self.output:
            _refuse(self.output, lake)
        if self.how == "parquet" and not output and sys.stdout.isatty():
            raise InputError("Parquet is not for a terminal", hint="--output FILE")
        self.shown = query.SHOWN if limit is None else limit
        self.notes: list[str] = []
        self._child: child.Child | None = None

    def answer(self, text: str) -> None:
        """Answer one question."""
        self.notes = []
        if self.output:
            self._to_file(text, self.output)
            return
        width = os.get_terminal_size().columns or None if sys.stdout.isatty() else None
        shown = self._ask(text, None, width)
        if shown is not None:
            show(shown, exact=True)

    def close(self) -> None:
        """End the child; the next question would get a new one."""
        if self._child:
            self._child.kill()

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _to_file(self, text: str, output: Path) -> None:
        """Write beside the file first: what was there stays until the answer is whole."""
        made = False
        try:
            with drafted(output) as draft:
                made = True
                shown = self._ask(text, str(draft), None)
                if shown is not None:
                    draft.write_text(shown + "\n", encoding="utf-8")
        except OSError as error:
            if made:
                raise RunError(f"cannot write {output}: {error.strerror}") from None
            # as in /proc, whose files are none
            reason = f"no file can be made in {output.parent} ({str(error.strerror).lower()})"
            raise RunError(f"cannot write {output}: {reason}", hint="name a file elsewhere") from None

    def _ask(self, text: str, target: str | None, width: int | None) -> str | None:
        """Have a question answered: into a file, as text, or, where there is neither, to stdout as it comes."""
        if not (self._child and self._child.alive):
            self._child = child.Child(self._answered)
        write = self._to_terminal() if sys.stdout.isatty() else _to_stdout
        shown, self.notes = self._child.ask((text, target, width), write, self.timeout_s)
        return None if shown is None else str(shown)

    def _to_terminal(self) -> Callable[[bytes], None]:
        """Return what shows an answer that comes in blocks, which may end within a character."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        json = self.how in ("json", "jsonl")

        def write(block: bytes) -> None:
            text = decode(block)
            if json:  # DuckDB indents by tabs, and has none elsewhere
                text = "\t".join(map(json_escaped, text.split("\t")))
            show(text, exact=True, end="", flush=True)

        return write

    def _answered(
        self, text: str, target: str | None, width: int | None, scratch: str, pipe: int
    ) -> tuple[str | None, list[str]]:
        """Answer one question in the child; return what is to be shown, and the notes."""
        as_text = self.how == "table" or self.explain
        target = target or child.OUTPUT.format(pipe)
        asked = [name for name in QUESTIONS if name in text]  # all of them would double what a small question costs
        child.free_memory()
        with query.connect(
            self.lake,
            memory_limit=self.memory_limit,
            writable=() if as_text else (target,),
            questions=asked,
            scratch=scratch,
        ) as connection:
            held = child.bound_memory(connection.memory_limit)
            notes = [] if held or self.memory_limit is None else [_NOT_HELD]
            shown = None
            if self.explain:
                return connection.explain(text), notes
            if as_text:
                shown, more = connection.table(text, self.shown, width)
                if more:
                    notes.append(f"only the first {self.shown:,} rows; --limit N shows more, --format csv all")
            else:
                connection.write(text, target, self.how, self.limit)
            return shown, notes + [_absence(*found) for found in connection.absent_symbols(text)]


def _to_stdout(block: bytes) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    except BrokenPipeError:
        raise  # nobody reads it any more, which is no error
    except OSError as error:
        raise RunError(f"cannot write the answer: {str(error.strerror).lower()}") from None


def _refuse(output: Path, lake: Path) -> None:
    """Refuse a place to which no answer can be moved, before the question is asked."""
    if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(lake)):
        raise InputError("an answer can't be written into the lake", hint="name a file elsewhere")
    try:
        kind = places.taken(output)
    except FileNotFoundError:
        if not os.path.isdir(output.parent):
            raise RunError(f"cannot write {output}: there is no folder {output.parent}") from None
    except OSError as error:
        raise RunError(f"cannot write {output}: {error.strerror}") from None
    else:
        if kind:
            raise RunError(f"cannot write {output}: it is {kind}", hint="--output FILE, or > FILE in the shell")


def _absence(table: str, absent: Sequence[str], there: Sequence[str]) -> str:
    """Say which symbols a table has, where it was asked for one that it has not."""
    more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
    has = f"it has {', '.join(there[:_NAMED])}{more}" if there else "it has none yet"
    brings = f"; `just p2` brings {_OF_P2}" if _OF_P2 in absent else ""
    return f"{table} has no symbol {', '.join(absent)}: {has}{brings}"


def read_sql(file: str | None, timeout_s: float | None = None) -> str | None:
    """Return the SQL in a file or in standard input; None where it is a terminal's turn to ask.

    A file may be a pipe, as that of `<(…)`: RunError where what it holds is not there within `timeout_s` seconds.
    """
    if file is None and sys.stdin.isatty():
        return None
    try:
        if file in (None, "-"):
            return sys.stdin.read(reads.LONGEST + 1)  # one more than is allowed is refused as any question is
        return io.TextIOWrapper(io.BytesIO(_content(str(file), timeout_s)), encoding="utf-8").read()
    except UnicodeDecodeError:
        raise InputError(f"cannot read {file or 'standard input'}: it is not UTF-8") from None
    except OSError as error:
        where = places.looked(str(file)) if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"cannot read {file}: {str(error.strerror).lower()}{where}") from None


def _content(file: str, timeout_s: float | None) -> bytes:
    """Return the bytes of a regular file or a pipe, as many as a question may have."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    content = b""
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)  # else it waits for who writes to a named pipe
    try:
        mode = os.fstat(handle).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            kind = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a pipe"
            raise InputError(f"cannot read {file}: it is {kind}", hint="--file FILE, or --file - for standard input")
        ready = select.poll()
        ready.register(handle, select.POLLIN)
        while len(content) <= reads.LONGEST:
            left = None if end is None else max(0.0, end - time.monotonic()) * 1e3
            if not ready.poll(left):
                raise RunError(f"cannot read {file}: nobody wrote all of it within {timeout_s:g} s", hint="--file FILE")
            if not (block := os.read(handle, reads.LONGEST + 1 - len(content))):
                break
            content += block
    finally:
        os.close(handle)
    if len(content) > reads.LONGEST:
        raise InputError(f"cannot read {file}: a question has at most {reads.LONGEST:,} bytes")
    return content


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
        size = f"{counted(row['rows'], 'row')}, {counted(row['files'], 'file')}, {row['bytes'] / 1e6:,.1f} MB"
        lines.append(f"{row['table']}: {size}")
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
