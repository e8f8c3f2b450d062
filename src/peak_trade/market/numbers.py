"""Cells to numbers: as JSON writes them at once, else as people and their spreadsheets do.

What `1,234` means is decided by all cells of a file together, and where they leave it open it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from peak_trade.market.bars import Floats
from peak_trade.market.instants import NULLS

__all__ = ["Ambiguous", "Style", "Styled", "plain_floats", "style_of", "styled_floats"]

_NUMBERS = msgspec.json.Decoder(list[float])
_CURRENCY = str.maketrans("", "", "$€£¥₹")
_SPACES = str.maketrans("'’\u00a0\u202f\u2009", "     ")  # marks that only ever group digits
_SUFFIXES = {"": "", "K": "e3", "M": "e6", "B": "e9", "T": "e12"}
_EVIDENCE = {  # a cell that can only be read with this mark as the decimal one
    mark: re.compile(
        rf"^[-+]?(?:\d*[{mark}](?:\d\d?|\d{{4,}})|0?[{mark}]\d{{3}}|\d{{4,}}[{mark}]\d{{3}}"
        rf"|\d{{1,3}}(?:[{other} ]\d{{3}})+[{mark}]\d+|\d{{1,3}}(?:[{other}]\d{{3}}){{2,}})[KMBTkmbt]?$"
    )
    for mark, other in ((".", ","), (",", "."))
}
_DOUBTFUL = re.compile(r"^[-+]?[1-9]\d{0,2},\d{3}[KMBTkmbt]?$")


class Styled(ValueError):
    """A cell is no plain number: `index` counts from 0 within what was read."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Ambiguous(ValueError):
    """A cell that can be read in two ways, and no other says which."""


class Style(msgspec.Struct, frozen=True):
    """How a file writes its numbers: the decimal mark, and what may group the digits before it."""

    decimal: str = "."
    thousands: str = ","

    @property
    def number(self) -> re.Pattern[str]:
        """What a number of this style looks like, without currency: sign, whole part, decimals, exponent, suffix."""
        mark, group = re.escape(self.decimal), re.escape(self.thousands)
        return re.compile(
            rf"([-+]?)(\d+|\d{{1,3}}(?:[{group} ]\d{{2,3}})*[{group} ]\d{{3}}|)(?:{mark}(\d*))?(e[-+]?\d+)?([KMBT]?)",
            re.IGNORECASE | re.ASCII,
        )


def plain_floats(texts: Sequence[str]) -> Floats:
    """Read cells that are numbers as most programs write them, missing ones as NaN; errors: `Styled`."""
    try:  # several times faster than float(); what is no number of JSON's goes the long way
        values = np.array(_NUMBERS.decode(f"[{','.join(texts)}]"))
    except msgspec.DecodeError:
        values = np.empty(0)
    if len(values) == len(texts):  # a cell such as 1,234 would be two
        return values
    values = np.empty(len(texts))
    for at, text in enumerate(texts):
        try:
            if "_" in text or not text.isascii():  # float() takes them, and no file means them
                raise ValueError
            values[at] = np.nan if text.strip().lower() in NULLS else float(text)
        except ValueError:
            raise Styled(at) from None
    return values


def style_of(cells: Iterable[str], decimal: str | None = None, thousands: str | None = None) -> Style:
    """Return how a file's numbers are written, told by all of them where it is not given.

    Errors: `Ambiguous` with the cell that could be read in two ways.
    """
    if decimal or thousands:
        decimal = decimal or ("," if thousands == "." else ".")
        return Style(decimal, thousands or ("." if decimal == "," else ","))
    proven: dict[str, str] = {}
    doubtful = ""
    for cell in cells:
        if "," in cell or "." in cell:
            text = _clean(cell)
            for mark, evidence in _EVIDENCE.items():
                if mark not in proven and evidence.match(text):
                    proven[mark] = cell
            doubtful = doubtful or (cell if _DOUBTFUL.match(text) else "")
    if len(proven) == 2:
        raise Ambiguous(f"`{proven[',']}` and `{proven['.']}` write decimals in two ways")
    if "," in proven:
        return Style(",", ".")
    if doubtful and not proven:
        raise Ambiguous(doubtful)
    return Style()


def styled_floats(texts: Sequence[str], style: Style, *, suffixes: bool) -> Floats:
    """Read cells written in a style; `suffixes` allows K, M, B and T for thousands and so on; errors: `Styled`."""
    number = style.number
    values = np.empty(len(texts))
    for at, text in enumerate(texts):
        found = number.fullmatch(_clean(text))
        if found is not None and (found[2] or found[3]) and (suffixes or not found[5]):
            whole = "".join(filter(str.isdigit, found[2]))
            exponent = found[4] or _SUFFIXES[found[5].upper()]  # 1.2M is 1.2e6, not 1.2 times a million
            values[at] = float(f"{found[1]}{whole or 0}.{found[3] or 0}{exponent}")
        elif (lower := text.strip().lower()) in NULLS or set(lower) == {"-"}:
            values[at] = np.nan
        elif lower.lstrip("+-") in ("inf", "infinity"):
            values[at] = float(lower)
        else:
            raise Styled(at)
    return values


def _clean(text: str) -> str:
    return text.translate(_SPACES).translate(_CURRENCY).strip()
