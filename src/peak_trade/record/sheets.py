"""A table of a file, whoever wrote it: its columns by name, and their cells as numbers, times or text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.market import numbers
from peak_trade.market.instants import MISSING, NULLS, Unreadable
from peak_trade.market.lists.maps import simplified
from peak_trade.market.lists.values import bare, written
from peak_trade.market.numbers import Style
from peak_trade.market.timestamps import Ambiguous, TimestampColumn
from peak_trade.text import escaped

__all__ = ["LARGEST", "MISSING", "Column", "Sheet", "money_of"]

Column = list[Any] | npt.NDArray[Any]
"""Cells: text of a CSV file or a page, values of JSON, an array of a Parquet file."""

LARGEST = 1e15  # of a price, a size or an amount of money: what is larger is a slip
_EXCEL_DAYS = (20_000, 80_000)  # from 1954 to 2119, as a workbook counts them
_EXCEL_EPOCH = np.datetime64("1899-12-30", "ns").astype(np.int64)
_DAY = 86_400 * 10**9
_BARS = 1e8  # no epoch number that is smaller is meant: it would be of before 1973
_DAYS = (19_000_101, 22_001_231)
_COUNT = re.compile(r"\d{1,7}(\.0)?")
_EPOCH_TEXT = re.compile(r"-?\d{9,19}(\.\d+)?")
_NOTHING = NULLS | {"-", "--", "—", "–", "n/a", "<na>"}
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_PLAIN = "0123456789.+-eE\n"
_PLAIN_SIGNS = set(_PLAIN)
_GROUP = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3})")
_GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?")  # thousands, or lakhs, set apart
_MONEY = re.compile(r"([-+]?[\d_]+(?:\.\d+)?) ?([A-Z][A-Z0-9]{1,11})")


class Sheet(Struct, eq=False):
    """A table: where it stands (`name`), its columns, and how many rows they have.

    `plain` numbers may set thousands apart with a comma or an underscore, and have a decimal point; else the whole
    sheet tells how its country writes them. `serial` are times as workbooks have them. Of times in arrays those of the
    columns `zoned` are UTC.
    """

    name: str
    columns: dict[str, Column]
    rows: int
    plain: bool = True
    serial: bool = False
    zoned: frozenset[str] = frozenset()

    def find(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` that there is, whatever its case; `Price *` stands for a price and its money."""
        simple: dict[str, str] = {}
        for name in self.columns:
            simple.setdefault(simplified(name), name)
        for name in map(simplified, names):
            if name in simple:
                return simple[name]
            if name.endswith("_*"):
                found = [one for one in simple if re.fullmatch(re.escape(name[:-1]) + r"[^_%]+", one)]
                if found:
                    return simple[found[0]]
        return None

    def texts(self, name: str) -> list[str]:
        """Return a column as text, what is missing as nothing."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            column = column.tolist()
        kinds = set(map(type, column))
        if kinds <= {str}:
            return column
        if kinds == {int} or (kinds == {float} and not any(map(math.isnan, column))):
            return list(map(str, column))
        return [cell if isinstance(cell, str) else _said(cell) for cell in column]

    def cells(self, name: str) -> list[Any]:
        """Return a column as it is, for a table that is written: of an array what is missing as nothing."""
        column = self.columns[name]
        return self.texts(name) if isinstance(column, np.ndarray) else column

    def numbers(self, name: str, *, style: Style | None = None) -> npt.NDArray[np.float64]:
        """Return a column as numbers, NaN where a cell has none. InputError for a cell that is no number."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            if column.dtype.kind in "iufb":
                return self._bounded(name, column.astype(np.float64))
            raise InputError(f"{self.name}: {escaped(name, 60)} has no numbers", hint="check what was exported")
        if set(map(type, column)) <= {int, float}:
            try:
                return self._bounded(name, np.array(column, np.float64))
            except OverflowError:
                raise self.bad(name, 0, "has a number that is none of an amount") from None
        texts = self.texts(name)
        pointed = self.plain or style is None or style.decimal == "."
        if pointed:
            values = _as_they_are(texts)
            if values is None and len(ungrouped := _GROUP.sub("", "\n".join(texts)).split("\n")) == len(texts):
                values = _as_they_are(ungrouped)
            if values is not None:
                return self._bounded(name, values)
        texts = [_amount(text) for text in texts]
        try:
            if self.plain and all(_GROUPED.fullmatch(text) for text in texts if "," in text):
                texts = [text.replace(",", "") if "," in text else text for text in texts]
                return self._bounded(name, numbers.plain_floats(texts))
            return self._bounded(name, numbers.styled_floats(texts, style or numbers.style_of(texts), suffixes=False))
        except numbers.Styled as error:
            raise self.bad(name, error.index, "is no number") from None
        except numbers.Ambiguous as error:
            raise InputError(
                f"{self.name}: `{escaped(str(error), 60)}` in {escaped(name, 60)} can be read in two ways",
                hint="export it with a decimal point, and nothing between thousands",
            ) from None

    def _bounded(self, name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        beyond = np.isinf(values) | (np.abs(values) > LARGEST)
        if beyond.any():
            raise self.bad(name, int(np.argmax(beyond)), "is no amount")
        return values

    def style(self, names: Sequence[str]) -> Style | None:
        """Return how the numbers of some columns are written, which all of them tell together; None where plain."""
        if self.plain:
            return None
        columns = [self.texts(name) for name in names]
        if not any("," in "".join(texts) for texts in columns):
            return Style()
        cells = [_amount(text) for texts in columns for text in texts]
        try:
            return numbers.style_of(cells)
        except numbers.Ambiguous as error:
            raise InputError(
                f"{self.name}: `{escaped(str(error), 60)}` can be read in two ways",
                hint="export it with a decimal point, and nothing between thousands",
            ) from None

    def times(self, names: Sequence[str], zone: str, said: list[str]) -> list[npt.NDArray[np.int64]]:
        """Return columns of times in ns since 1970, UTC, `MISSING` where there is none.

        `zone` is that of times that name none; what had to be assumed goes to `said`. Together, for which of day and
        month comes first all of them tell. InputError for a cell that is no time.
        """
        if all(isinstance(self.columns[name], np.ndarray) for name in names):
            return [self._instants(name, zone, said) for name in names]
        return self.times_of([text.strip() for name in names for text in self.texts(name)], names, zone, said)

    def times_of(
        self, cells: list[str], names: Sequence[str], zone: str, said: list[str]
    ) -> list[npt.NDArray[np.int64]]:
        """Return the cells of columns, one column after the other, as `times` does."""
        there = [at for at, cell in enumerate(cells) if cell.lower() not in _NOTHING]
        values = np.full(len(cells), MISSING)
        if there:
            values[there] = self._read([cells[at] for at in there], there, names, zone, said)
        return list(values.reshape(len(names), self.rows))

    def _instants(self, name: str, zone: str, said: list[str]) -> npt.NDArray[np.int64]:
        column = self.columns[name]
        assert isinstance(column, np.ndarray)
        if column.dtype.kind == "M":
            values = column.astype("M8[ns]").view(np.int64)
            return values if name in self.zoned else _finish_naive(values, zone, said)
        known = column[~np.isnan(column)] if column.dtype.kind == "f" else column
        if len(known) and (np.abs(known) < _BARS).all():
            if (known > _DAYS[0]).all() and (known < _DAYS[1]).all():  # 20240131 is a day
                return self.times_of([_whole(text) for text in self.texts(name)], [name], zone, said)[0]
            raise self._counted(name, str(known[0]))
        stamps = TimestampColumn()
        stamps.add_epochs(column)
        return self._finished(stamps, [""] * self.rows, list(range(self.rows)), [name], zone, said)

    def _read(
        self, cells: list[str], there: list[int], names: Sequence[str], zone: str, said: list[str]
    ) -> npt.NDArray[np.int64]:
        if self.serial and (days := _serial(cells)) is not None:
            return _finish_naive(days, zone, said)
        if all(len(cell) < 10 and _COUNT.fullmatch(cell) for cell in cells):
            raise self._counted(names[there[0] // self.rows], cells[0])
        cells = _uniform(cells)
        stamps = TimestampColumn()
        try:
            try:
                stamps.add(cells)
            except Unreadable:
                stamps = TimestampColumn()
                stamps.add([written(cell) for cell in cells])
            return self._finished(stamps, cells, there, names, zone, said)
        except Unreadable as error:
            at = there[min(error.index, len(there) - 1)]
            raise self.bad(names[at // self.rows], at % self.rows, error.reason) from None

    def _finished(
        self, stamps: TimestampColumn, cells: list[str], there: list[int], names: Sequence[str], zone: str,
        said: list[str],
    ) -> npt.NDArray[np.int64]:  # fmt: skip
        try:
            values, assumed = stamps.finish(zone)
        except Ambiguous as error:
            raise InputError(
                f"{self.name}: `{escaped(error.text, 60)}` can be read in two ways, day or month first",
                hint="write the dates as 2024-01-31",
            ) from None
        _say(assumed, zone, said)
        return values.astype("M8[ns]").view(np.int64)

    def _counted(self, name: str, first: str) -> InputError:
        what = escaped(name, 60) or "the index"
        return InputError(
            f"{self.name}: {what} counts bars, from `{escaped(first, 40)}` on: it has no times",
            hint="export it with an index of times, as frame.index = bars.index",
        )

    def bad(self, name: str, at: int, reason: str) -> InputError:
        """Return the error that a cell is, rows counted from 1."""
        text = escaped(self.texts(name)[at], 60)
        return InputError(f"{self.name} row {at + 1}: {escaped(name, 60)} `{text}` {reason}", hint="mend that row")


def _as_they_are(texts: list[str]) -> npt.NDArray[np.float64] | None:
    """Return cells that are all plain numbers with a point, or nothing; None where one is anything else."""
    joined = "\n".join(texts)
    if not set(joined) <= _PLAIN_SIGNS:
        return None
    try:
        return numbers.plain_floats(texts)
    except numbers.Styled:
        return None


def _said(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _amount(text: str) -> str:
    """Return the number in a cell, without its money, its percent sign, or the brackets that are a minus.

    >>> _amount("1_000.00 USD"), _amount("(124.75)"), _amount("3.5%"), _amount("—"), _amount("1 234.50")
    ('1000.00', '-124.75', '3.5', '', '1234.50')
    """
    text = _joined(text.strip())
    if text.replace(".", "", 1).replace("-", "", 1).isdigit():
        return text
    if money := _MONEY.fullmatch(text):
        return money[1].replace("_", "")
    if text.lower() in _NOTHING:
        return ""
    text = text.removesuffix("%").strip().replace("\u2212", "-")
    if bracketed := _IN_BRACKETS.fullmatch(text):
        text = f"-{bracketed[1]}"
    if " " in text or "\u00a0" in text or "\u202f" in text:
        joined = _GROUP.sub("", text)
        text = re.sub(r"^([-+]) (?=\d)", r"\1", joined)
    return bare(text)


def _joined(text: str) -> str:
    """Return amounts in a list, as `['1.50 USD', '0.25 USD']`, as their sum; nothing where they are of several moneys.

    >>> _joined("['1.50 USD', '0.25 USD']"), _joined("[]"), _joined("['1 USD', '2 BNB']")
    ('1.75 USD', '0', '')
    """
    if not (text.startswith("[") and text.endswith("]")):
        return text
    parts = [part.strip().strip("'\"") for part in text[1:-1].split(",") if part.strip()]
    if not parts:
        return "0"
    found = [money for part in parts if (money := _MONEY.fullmatch(part))]
    if len(found) != len(parts) or len({money[2] for money in found}) != 1:
        return ""
    total = sum(Decimal(money[1].replace("_", "")) for money in found)
    return f"{total} {found[0][2]}"


def money_of(cells: Sequence[str]) -> str:
    """Return the money that amounts such as `1_000.00 USD` are in; empty where they name none, or several."""
    found = {money[2] for cell in cells if (money := _MONEY.fullmatch(_joined(cell.strip())))}
    return found.pop() if len(found) == 1 else ""


def _serial(cells: list[str]) -> npt.NDArray[np.int64] | None:
    """Return days as a workbook counts them in nanoseconds; None where the cells are none."""
    try:
        days = np.array(cells, np.float64)
    except ValueError:
        return None
    if not ((days > _EXCEL_DAYS[0]) & (days < _EXCEL_DAYS[1])).all():
        return None
    milliseconds = np.round(days * 86_400_000).astype(np.int64)
    return np.asarray(milliseconds * 1_000_000 + _EXCEL_EPOCH, np.int64)


def _finish_naive(values: npt.NDArray[np.int64], zone: str, said: list[str]) -> npt.NDArray[np.int64]:
    stamps = TimestampColumn()
    stamps.add_nanoseconds(values, zoned=False)
    found, assumed = stamps.finish(zone)
    _say(assumed, zone, said)
    return found.astype("M8[ns]").view(np.int64)


def _say(assumed: Sequence[str], zone: str, said: list[str]) -> None:
    """Say what was assumed of a zone; that times carry their own, only to who has named another."""
    said += [text for text in assumed if "zone" in text and text not in said and not (zone == "UTC" and "not" in text)]


def _uniform(cells: list[str]) -> list[str]:
    """Return times that are all to the second, where some alone name fractions, or are a day."""
    if all(_EPOCH_TEXT.fullmatch(cell) for cell in cells[:1]):
        return [_whole(cell) for cell in cells]
    lengths = set(map(len, cells))
    if len(lengths) == 1:
        return cells
    if lengths == {10, 19}:  # pandas writes midnight so, of some versions
        return [cell if len(cell) == 19 else f"{cell}{_between(cells)}00:00:00" for cell in cells]
    return cells


def _between(cells: Sequence[str]) -> str:
    """Return what stands between day and time."""
    return next((cell[10] for cell in cells if len(cell) > 10), " ")


def _whole(cell: str) -> str:
    whole, _, part = cell.partition(".")
    return f"{whole}{part:0<9}"[: len(whole) + 9] if part.strip("0") and len(whole) < 12 else whole
