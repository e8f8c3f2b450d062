"""Text that others wrote: one line, nothing that a terminal would obey, and no second copy of how that is done."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from peak_trade.text import as_utf8, escaped, one_line, printable

SRC = Path(__file__).parents[1] / "src" / "peak_trade"
ANY = st.text(st.characters(), max_size=40)  # surrogates too


@given(ANY)
def test_whatever_is_escaped_is_one_line_that_a_terminal_only_shows(text: str) -> None:
    assert escaped(text).isprintable()
    assert (escaped(text) == text) == text.isprintable()


def test_what_is_cut_says_so() -> None:
    assert escaped("\x1b" * 9, 2) == r"\x1b\x1b…"
    assert escaped("ab", 2) == "ab"


@given(ANY)
def test_what_is_replaced_is_as_long_as_it_was(text: str) -> None:
    shown = printable(text, "?")
    assert (shown.isprintable(), len(shown)) == (True, len(text))


def test_a_mark_may_be_kept() -> None:
    assert printable("a\nb\r", "?", keep="\n") == "a\nb?"


@given(ANY)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(ValueError(text), 5) == one_line(text)[:5]


@given(ANY)
def test_whatever_becomes_utf_8_can_be_written(text: str) -> None:
    assert as_utf8(as_utf8(text).encode().decode()) == as_utf8(text)
    assert all(as_utf8(mark) == mark for mark in text if not "\ud800" <= mark <= "\udfff")


COPY = re.compile(r"isprintable\(|\"backslashreplace\"\)\.decode|join\(str\(\w+\)\.split\(\)\)")


def test_nobody_else_does_it_by_hand() -> None:
    copies = {path.name for path in SRC.rglob("*.py") if COPY.search(path.read_text(encoding="utf-8"))}
    assert copies == {"text.py"}
    assert COPY.search('" ".join(str(error).split())')
