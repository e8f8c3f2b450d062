"""What README and documents quote of the benchmarks is what the last written table says.

A quoted figure is a link to the table whose title is a row's name: `[18 ms](benchmarks.md#measured "engine: …")`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "dev" / "benchmarks.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUOTED = re.compile(r'\[([^\]]+)\]\((?:[\w./-]*benchmarks\.md)?#measured "([^"]+)"\)')
AMOUNT = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s*(ms|s|µs|MB|×|%)(?!\w)")
IN_MS = {"ms": 1.0, "s": 1e3, "µs": 1e-3}
AIMS = re.compile(r"\((?:goal|limit): [^)]*\)|(?:goal|aim|limit) of [\d.,]+ \S+")


def rows(page: str) -> dict[str, tuple[float, str, str]]:
    """The table's rows: what was measured, its median, unit and remark."""
    table = page.partition("<!-- measured -->")[2].partition("<!-- /measured -->")[0]
    found = re.findall(r"^\| (.+?) \| ([\d,.]+) \| .+? \| (\S+) \| ?(.*?) ?\|$", table, re.MULTILINE)
    return {name: (float(median.replace(",", "")), unit, remark) for name, median, unit, remark in found}


def agrees(text: str, row: tuple[float, str, str]) -> bool:
    """Whether each amount in a quotation is the row's median or stands in its remark, to the digits quoted."""
    median, unit, remark = row
    there = [(median, unit)] + [(float(number.replace(",", "")), of) for number, of in AMOUNT.findall(remark)]
    quoted = AMOUNT.findall(text)

    def holds(number: str, of: str) -> bool:
        digits = len(number.partition(".")[2])
        value = float(number.replace(",", ""))
        for found, its in there:
            same = found * IN_MS[its] / IN_MS[of] if its in IN_MS and of in IN_MS else found if its == of else None
            if same is not None and abs(same - value) <= 0.5 * 10**-digits + 1e-9:
                return True
        return False

    return bool(quoted) and all(holds(number, of) for number, of in quoted)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_quoted_figure_is_that_of_the_last_written_table(path: Path) -> None:
    table = rows(TABLE.read_text(encoding="utf-8"))
    quoted = QUOTED.findall(path.read_text(encoding="utf-8"))
    assert [(text, name) for text, name in quoted if name not in table or not agrees(text, table[name])] == []


def test_the_page_of_the_benchmarks_says_no_figure_that_is_not_quoted_from_its_table() -> None:
    head, _, rest = TABLE.read_text(encoding="utf-8").partition("<!-- measured -->")
    prose = head + rest.partition("<!-- /measured -->")[2]
    lines = [AIMS.sub("", QUOTED.sub("", line)) for line in prose.splitlines() if not line.startswith("|")]
    assert [line for line in lines if AMOUNT.search(line)] == []
    assert QUOTED.search(prose)


def test_a_figure_that_moved_would_show() -> None:
    table = rows(
        "<!-- measured -->\n| a | 1,234.5 | 1.0 – 2.0 | ms | 2.16 × other |\n| b | 19.1 | 1 – 2 | µs |  |\n"
        "<!-- /measured -->"
    )
    assert table == {"a": (1234.5, "ms", "2.16 × other"), "b": (19.1, "µs", "")}
    assert all(agrees(text, table["a"]) for text in ("1.2 s", "1,234.5 ms", "2.2 × and 1.23 s"))
    assert not any(agrees(text, table["a"]) for text in ("1.3 s", "1,234.6 ms", "2.1 ×", "2.16 ms", "quick"))
    assert agrees("19 µs", table["b"])
