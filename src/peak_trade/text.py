"""Text that others wrote (names, messages, cells), and figures, made fit for a line, a terminal or a file.

Here and nowhere else; what a format needs beyond that (HTML, Markdown, a shell) stands with the format.
"""

from __future__ import annotations

import math

__all__ = ["as_utf8", "counted", "cut", "escaped", "figure", "json_escaped", "one_line", "percentage", "printable"]


def escaped(text: str, limit: int | None = None, *, keep: str = "") -> str:
    r"""Return text on one line with every mark it has, cut at `limit`: the unprintable ones, unless in `keep`, escaped.

    As Python writes them. Unprintable are controls (line breaks too), marks that turn the direction of writing or are
    not seen, halves of characters.

    >>> print(escaped("a\nb \x1b[31m \x9b \u202e"), escaped("abcdef", 3))
    a\nb \x1b[31m \x9b \u202e abc…
    """
    cut = text[:limit]
    if not cut.isprintable():
        cut = "".join(mark if mark.isprintable() or mark in keep else ascii(mark)[1:-1] for mark in cut)
    return cut if limit is None or len(text) <= limit else cut + "…"


def json_escaped(text: str) -> str:
    r"""Return a text of JSON with the unprintable marks in it as JSON's escapes, but for its layout: the same value.

    >>> print(json_escaped('["\x7f \u202e \x85", "é"]'))
    ["\u007f \u202e \u0085", "é"]
    """
    import json  # not everybody writes JSON

    return "".join(mark if mark.isprintable() or mark in "\n\t" else json.dumps(mark)[1:-1] for mark in text)


def printable(text: str, instead: str = " ", keep: str = "") -> str:
    r"""Return text in which `instead` stands for each unprintable mark that is not in `keep`: as long as it was.

    >>> printable("a\tb\x1b", "?")
    'a?b?'
    """
    return "".join(mark if mark.isprintable() or mark in keep else instead for mark in text)


def one_line(text: object, limit: int | None = None) -> str:
    r"""Return text, such as an exception's, with one space where it had spaces, tabs and ends of lines.

    >>> one_line("cannot read\n   the file\n")
    'cannot read the file'
    """
    return " ".join(str(text).split())[:limit]


def as_utf8(text: str) -> str:
    r"""Return text that a file can hold: a name that is not UTF-8 reaches Python as surrogates, which it cannot.

    >>> print(as_utf8("caf\udce9"))
    caf\udce9
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str, most: int) -> str:
    """Return text of at most `most` characters, the last of which says that there was more.

    >>> cut("abcdef", 4), cut("abcd", 4)
    ('abc…', 'abcd')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counted(number: int, noun: str) -> str:
    """Return how many there are of a thing.

    >>> counted(1, "file"), counted(2_000, "row")
    ('1 file', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figure(value: float, digits: int = 2, largest: float = 1e15) -> str:
    """Return a number with thousands set apart; in powers of ten from `largest` on, where no digit says anything.

    >>> figure(1234.567), figure(-1234.567, 0), figure(6.94e180), figure(-2e15)
    ('1,234.57', '-1,235', '6.9e+180', '-2.0e+15')
    """
    if abs(value) < largest or not math.isfinite(value):
        return f"{value:,.{digits}f}"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(power):+d}"


def percentage(value: float, digits: int = 2) -> str:
    """Return a fraction as a percentage, in powers of ten from a thousand million on.

    >>> percentage(-0.12345), percentage(1.2e7), percentage(6.94e180), percentage(1e307)
    ('-12.35 %', '1.2e+9 %', '6.9e+182 %', '1.0e+309 %')
    """
    if abs(value) < 1e7:
        return f"{figure(value * 100, digits)} %"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(power) + 2:+d} %"
