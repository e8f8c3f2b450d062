"""Text for a page: nothing that a run says of itself can be anything but text there."""

from __future__ import annotations

from html import unescape

import pytest

from peak_trade.report.markup import FENCE, figure_of, money, number, percent, raw, table, text


@pytest.mark.parametrize(
    "hostile", ["<script>", "</td>", '" onload="x', "' x='", "```", "{{< include x >}}", "\n\n# x"]
)
def test_hostile_text_is_only_text(hostile: str) -> None:
    shown = text(hostile)
    assert not set("<>\"'`{\n") & set(shown)
    assert unescape(shown) == hostile


def test_what_cannot_be_printed_is_replaced() -> None:
    assert text("a\x00\x1b\u202eb") == "a\ufffd\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.3502, "fraction", "35.02 %"),
        (-0.00001, "fraction", "0.00 %"),
        (0.8, "probability", "80.00 %"),
        (5031, "count", "5,031"),
        (252.0, "per year", "252"),
        (13.319, "per year", "13.32"),
        (7172.0, "days", "7,172"),
        (1.5, "days", "1.50"),
        (-1234567.891, "quote", "−1,234,567.89"),
        (None, "ratio", "–"),
    ],
)
def test_a_figure_is_written_as_its_unit_asks(value: float | None, unit: str, shown: str) -> None:
    assert figure_of(value, unit) == shown  # type: ignore[arg-type]


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert (number(-0.001), percent(-0.0), money(-0.004)) == ("0.00", "0.00 %", "0.00")


def test_a_row_is_named_by_its_first_cell() -> None:
    made = table(["a", "b"], [["x", "1"]], label="t")
    assert '<th scope="col">a</th>' in made
    assert '<tr><th scope="row">x</th><td>1</td></tr>' in made


def test_a_block_of_html_has_no_line_that_could_end_it() -> None:
    made = raw("<p>a</p>\n\n<p>b</p>\n").content
    assert made == FENCE[0] + "<p>a</p>\n<p>b</p>" + FENCE[1]
