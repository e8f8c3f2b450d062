"""A workbook (XLSX) as rows of text: its packed XML, of which nothing is looked up, unfolded or worked out."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

from peak_trade.errors import InputError
from peak_trade.text import escaped

__all__ = ["rows_of"]

_ROWS, _COLUMNS, _TEXTS = 1_000_000, 500, 2_000_000
_LONGEST = 32_767  # characters that a cell can have
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_ERRORS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")

Rows = list[list[str]]


def rows_of(packed: zipfile.ZipFile, read: Callable[[str], bytes], name: str) -> list[tuple[str, Rows]]:
    """Return the sheets of a workbook, each with its rows; `read` takes a member out, within bounds.

    Of a formula the value counts that the file has beside it. InputError for what is no whole workbook.
    """
    there = set(packed.namelist())
    shared: list[str] = []
    if "xl/sharedStrings.xml" in there:
        _parse(read("xl/sharedStrings.xml"), _Texts(shared, name), name)
    found = []
    for title, member in _sheets(read, there, name):
        rows: Rows = []
        _parse(read(member), _Cells(rows, shared, name), name)
        found.append((title, rows))
    return found


def _sheets(read: Callable[[str], bytes], there: set[str], name: str) -> list[tuple[str, str]]:
    """Return the titles of a workbook's sheets and the members that they are in."""
    listed, places = _Attributes("sheet"), _Attributes("Relationship")
    if {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= there:
        _parse(read("xl/workbook.xml"), listed, name)
        _parse(read("xl/_rels/workbook.xml.rels"), places, name)
    targets = {one.get("Id"): one.get("Target", "") for one in places.found}
    sheets = []
    for one in listed.found:
        target = targets.get(next((value for key, value in one.items() if key.endswith(":id")), None), "")
        member = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if member in there:
            sheets.append((one.get("name", ""), member))
    if not sheets:  # without a list of them
        sheets = [("", one) for one in sorted(there) if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", one)]
    if not sheets:
        raise InputError(f"{name} is a workbook without a sheet", hint="export it again")
    return sheets


class _Reader:
    """What one member is read by; tags come without the name of their space."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the start of a tag."""

    def end(self, tag: str) -> None:
        """Take the end of a tag."""

    def text(self, said: str) -> None:
        """Take text."""


class _Attributes(_Reader):
    """Keeps the attributes of each tag of one kind."""

    def __init__(self, tag: str) -> None:
        self.tag, self.found = tag, list[dict[str, str]]()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self.tag and len(self.found) < 1_000:
            self.found.append(attributes)


class _Texts(_Reader):
    """Keeps the texts that cells share."""

    def __init__(self, texts: list[str], name: str) -> None:
        self.texts, self.name = texts, name
        self.parts: list[str] | None = None
        self.phonetic = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "si":
            self.texts.append("")
            if len(self.texts) > _TEXTS:
                raise InputError(f"{self.name} has more than {_TEXTS:,} texts", hint="cut it into parts")
        elif tag == "rPh":
            self.phonetic = True
        elif tag == "t" and not self.phonetic:
            self.parts = []

    def end(self, tag: str) -> None:
        if tag == "t" and self.parts is not None and self.texts:
            self.texts[-1] = _within(self.texts[-1] + "".join(self.parts), self.name)
            self.parts = None
        elif tag == "rPh":
            self.phonetic = False

    def text(self, said: str) -> None:
        if self.parts is not None:
            self.parts.append(said)


class _Cells(_Reader):
    """Keeps the cells of a sheet, row by row."""

    def __init__(self, rows: Rows, shared: list[str], name: str) -> None:
        self.rows, self.shared, self.name = rows, shared, name
        self.column = 0
        self.kind = ""
        self.parts: list[str] | None = None
        self.formula = self.valued = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "row":
            at = _whole(attributes.get("r", ""), len(self.rows) + 1)
            if at > _ROWS or at < len(self.rows) + 1:
                raise InputError(f"{self.name} has rows in no order, or more than {_ROWS:,}", hint="export it again")
            self.rows += [[] for _ in range(at - len(self.rows))]
            self.column = 0
        elif tag == "c":
            self.kind, self.formula, self.valued = attributes.get("t", ""), False, False
            if place := _PLACE.fullmatch(attributes.get("r", "")):
                self.column = _number_of(place[1])
            else:
                self.column += 1
            if self.column > _COLUMNS:
                raise InputError(f"{self.name} has more than {_COLUMNS} columns", hint="export it again")
        elif tag == "f":
            self.formula = True
        elif tag in ("v", "t"):
            self.parts = []

    def end(self, tag: str) -> None:
        if tag in ("v", "t") and self.parts is not None and self.rows:
            self._put("".join(self.parts))
            self.parts, self.valued = None, True
        elif tag == "c" and self.formula and not self.valued:
            place = f"row {len(self.rows)}, column {self.column}"
            raise InputError(
                f"{self.name} has a formula without a value in {place}: formulas are not worked out",
                hint="open it and save it again, or export it as CSV",
            )

    def text(self, said: str) -> None:
        if self.parts is not None:
            self.parts.append(said)

    def _put(self, text: str) -> None:
        if self.kind == "s":
            at = _whole(text, -1)
            if not 0 <= at < len(self.shared):
                raise InputError(f"{self.name} names a text that it has not", hint="export it again")
            text = self.shared[at]
        elif self.kind == "b":
            text = "true" if text == "1" else "false"
        elif self.kind == "e" or text in _ERRORS:
            text = ""
        row = self.rows[-1]
        row += [""] * (self.column - len(row))
        row[self.column - 1] = _within(row[self.column - 1] + text, self.name)


def _within(text: str, name: str) -> str:
    if len(text) > _LONGEST:
        raise InputError(
            f"{name} has a cell of more than {_LONGEST:,} characters: no workbook has", hint="export it again"
        )
    return text


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise


def _number_of(letters: str) -> int:
    """Return which column a place such as `AB` names, from 1 on.

    >>> _number_of("A"), _number_of("AB")
    (1, 28)
    """
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _parse(content: bytes, reader: _Reader, name: str) -> None:
    """Read a member; what declares a type of document, or an entity, is no workbook's."""

    def refuse(*_: Any) -> None:
        raise InputError(f"{name} declares entities: no workbook does", hint="export it again")

    parser = expat.ParserCreate(namespace_separator=None)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: reader.start(tag.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda tag: reader.end(tag.rpartition(":")[2])
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputError(f"{name} is no whole workbook: {escaped(str(error), 120)}", hint="export it again") from None
