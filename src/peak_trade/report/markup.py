"""Text for a page: escaping, tables, and how a figure of each unit is written.

Every section is one block of HTML inside Markdown's fence for raw HTML. Quarto (Pandoc) passes such a block through as
it is, where a cell that *outputs* HTML would make it load scripts from elsewhere; the built-in renderer takes the
fence off. What a run says of itself is a stranger's text: it reaches the page through `text` only.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import msgspec

from peak_trade.stats.table import Unit
from peak_trade.text import figure, percentage, printable

__all__ = [
    "FENCE",
    "Markdown",
    "cell",
    "contents",
    "counted",
    "figure_of",
    "in_toml",
    "money",
    "number",
    "percent",
    "raw",
    "shaded",
    "table",
    "text",
]

FENCE = ("```{=html}\n", "\n```\n")
_NONE = "–"


class Markdown:
    """A piece of the report that a notebook shows as Markdown."""

    def __init__(self, content: str) -> None:
        self.content = content

    def _repr_markdown_(self) -> str:
        return self.content

    def __repr__(self) -> str:
        return f"Markdown({len(self.content)} characters)"


def raw(content: str) -> Markdown:
    """Return HTML as Markdown. Blank lines would end the block for some readers of Markdown, so there are none."""
    return Markdown(FENCE[0] + "\n".join(line for line in content.splitlines() if line.strip()) + FENCE[1])


def text(value: object) -> str:
    """Return any text as a piece of HTML on one line, which can end neither an element, a value nor the fence.

    >>> text('<b> & "x"')
    '&lt;b&gt; &amp; &quot;x&quot;'
    """
    plain = printable(str(value), "\N{REPLACEMENT CHARACTER}", keep="\n")
    return html.escape(plain).replace("`", "&#96;").replace("{", "&#123;").replace("\n", "&#10;")


# --- numbers ------------------------------------------------------------------------------------------------------


def figure_of(value: float | None, unit: Unit) -> str:
    """Return a statistic as people read it: fractions in percent, the rest with two decimals; a dash for None.

    >>> figure_of(0.12345, "fraction"), figure_of(58, "count"), figure_of(-1234.5, "quote"), figure_of(None, "ratio")
    ('12.35 %', '58', '−1,234.50', '–')
    """
    if unit in ("fraction", "probability"):
        return percent(value)
    if unit == "count" or (unit in ("days", "per year") and value is not None and value == int(value)):
        return number(value, 0)
    return number(value)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with thousands set apart and a real minus sign."""
    return _NONE if value is None else _signed(figure(value, digits))


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as a percentage.

    >>> percent(-0.5), percent(0.031, 1)
    ('−50.00 %', '3.1 %')
    """
    return _NONE if value is None else _signed(percentage(value, digits))


def money(value: float | None, digits: int = 2) -> str:
    """Return an amount of quote currency, without decimals where they would say nothing."""
    return number(value, 0 if value is not None and abs(value) >= 1e6 else digits)


def counted(count: int, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "bar"), counted(5031, "bar")
    ('1 bar', '5,031 bars')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _signed(digits: str) -> str:
    if not digits.strip("-0., %"):
        return digits.lstrip("-")  # what rounds to zero has no sign
    return digits.replace("-", "−")


def in_toml(value: object) -> str:
    """Return a value much as a config has it, text without its quotes.

    >>> in_toml(True), in_toml("SPX"), in_toml([1, 2.5])
    ('true', 'SPX', '[1,2.5]')
    """
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# --- ways and tables ----------------------------------------------------------------------------------------------


def contents(sections: Sequence[tuple[str, str]]) -> str:
    """Return links to sections, by name and title as HTML, and before them one that leads past them all."""
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in sections)
    past = f'<a class="skip" href="#{sections[0][0]}">Skip to the first section</a>' if sections else ""
    return f'{past}<nav aria-label="Sections"><ul>{links}</ul></nav>'


def cell(content: str, *, of: str = "td", name: str = "", attributes: str = "") -> str:
    """Return a cell of a table; `content` and `attributes` are HTML."""
    kind = f' class="{name}"' if name else ""
    return f"<{of}{kind}{attributes}>{content}</{of}>"


def shaded(content: str, value: float | None, full: float, *, name: str = "") -> str:
    """Return a cell in the colour of a gain or a loss, as strong as the value is large: fully from `full` on.

    >>> shaded("5.00", 0.05, 0.1)
    '<td class="gain" style="--heat:0.28">5.00</td>'
    """
    if value is None:
        return cell(content, name=name)
    sign = "gain" if value > 0 else "loss" if value < 0 else ""
    strength = min(abs(value) / full, 1.0) * 0.55
    return cell(content, name=f"{sign} {name}".strip(), attributes=f' style="--heat:{strength:.2f}"')


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, label: str, name: str = "") -> str:
    """Return a table of cells that are HTML, in a box that scrolls sideways where the page is narrow.

    The first column names its row; one without a title has no head. A cell that is an element already, such as those of
    `cell`, stands as it is.
    """
    top = "".join(cell(title, of="th", attributes=' scope="col"') if title else "<td></td>" for title in head)
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    kind = f' class="{name}"' if name else ""
    return (
        f'<div class="scroll" role="group" aria-label="{label}" tabindex="0"><table{kind}>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str]) -> Iterable[str]:
    for index, content in enumerate(row):
        if content.startswith(("<td", "<th")):
            yield content
        else:
            yield cell(content) if index else cell(content, of="th", attributes=' scope="row"')
