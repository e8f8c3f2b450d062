"""The lake's prompt: SQL that ends with a semicolon, and words with a dot before them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from peak_trade.data.lake import ask, commit
from peak_trade.data.lake.views import QUESTIONS
from peak_trade.errors import InputError, PeakError, did_you_mean
from peak_trade.terminal import say, show

__all__ = ["WORDS", "offers", "prompt"]

WORDS = {
    ".help": "show this",
    ".tables": "name the tables and the saved questions",
    ".list": "show tables with their columns, rows and partitions",
    ".reports": "show the saved questions",
    ".quit": "leave, as .exit and Ctrl-D do",
    ".exit": "leave",
}
_PLAIN = {"help": ".help", "?": ".help", "quit": ".quit", "exit": ".exit", "\\q": ".quit"}  # as other prompts have them
_KEYWORDS = (
    "ALL", "AND", "AS", "ASC", "AVG", "BETWEEN", "BY", "CASE", "CAST", "COUNT", "DESC", "DISTINCT", "ELSE", "END",
    "FROM", "GROUP", "HAVING", "IN", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "MAX", "MEDIAN", "MIN", "NOT", "NULL", "ON",
    "OR", "ORDER", "OVER", "PARTITION", "QUALIFY", "SELECT", "SUM", "THEN", "UNION", "USING", "WHEN", "WHERE", "WITH",
)  # fmt: skip


def prompt(asking: ask.Asking) -> int:
    """Ask at the terminal until the end of input: an error ends nothing, and a word with a dot is never SQL."""
    _complete(asking)
    say("SQL, which a semicolon ends; .help shows what else there is")
    pending: list[str] = []
    while True:
        try:
            line = input("lake> " if not pending else "  ... ")
        except EOFError:
            return 0
        except KeyboardInterrupt:
            pending.clear()
            continue
        word = line.strip().rstrip(";").rstrip()
        word = word if pending else _PLAIN.get(word.lower(), word)
        try:
            if word in (".quit", ".exit"):
                return 0
            if word in WORDS or (not pending and word.startswith(".")):
                show(_answer(word, asking))
                continue
            pending.append(line)
            if line.rstrip().endswith(";"):
                text = "\n".join(pending)
                pending.clear()
                asking.answer(text)
                for note in asking.notes:
                    say(note)
        except PeakError as error:
            say(error.message, label="error")
            if error.hint:
                say(error.hint, label="hint")
        except KeyboardInterrupt:
            say("interrupted")


def _answer(word: str, asking: ask.Asking) -> str:
    if word == ".help":
        return "\n".join(f"{name:10}{does}" for name, does in WORDS.items())
    if word == ".tables":
        return "\n".join([*_columns(asking), *QUESTIONS])
    if word == ".list":
        return "\n".join(ask.listing(asking.lake))
    if word == ".reports":
        return ask.reports()
    name = word.split()[0]
    raise InputError(f"there is no {name} here", hint=did_you_mean(name, WORDS))


def _columns(asking: ask.Asking) -> dict[str, list[str]]:
    reader = commit.reading(asking.lake)
    reader.close()
    return {name: list(live.columns) for name, live in reader.commit.tables.items()}


def offers(text: str, tables: dict[str, list[str]]) -> list[str]:
    """Return what a text may go on to be: a table, a column (also behind `r.`), a saved question, a keyword or `.word`.

    >>> offers("tot", {"runs": ["run_id", "total_return"]}), offers("r.ru", {"runs": ["run_id"]}), offers(".h", {})
    (['total_return'], ['r.run_id'], ['.help'])
    """
    before, dot, start = text.rpartition(".")
    columns = sorted({column for names in tables.values() for column in names})
    if not before and dot:
        return [word for word in WORDS if word.startswith(text)]
    if dot:
        return [f"{before}.{column}" for column in columns if column.startswith(start)]
    keywords = _KEYWORDS if text.isupper() or not text else [word.lower() for word in _KEYWORDS]
    known: Sequence[str] = [*tables, *QUESTIONS, *columns, *keywords]
    return [word for word in dict.fromkeys(known) if word.startswith(text)]


def _complete(asking: ask.Asking) -> None:
    """Have TAB complete, where this Python has readline."""
    try:
        import readline  # gives input() its history and its keys as well
    except ImportError:
        return
    tables: dict[str, list[str]] = {}
    with suppress(PeakError):  # no lake yet: the first question says so
        tables = _columns(asking)

    def completer(text: str, state: int) -> str | None:
        found = offers(text, tables)
        return found[state] if state < len(found) else None

    readline.set_completer(completer)
    readline.set_completer_delims(re.sub(r"[.]", "", readline.get_completer_delims()))
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
