"""`peak_trade.ops.words`: whatever others wrote is shown as it is, and does nothing."""

from __future__ import annotations

import pytest

from peak_trade.ops.words import markdown, paragraphs, shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a | b", r"a \| b"),
        ("`rm -rf`", "&#96;rm -rf&#96;"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("<!-- end -->", "&lt;!-- end --&gt;"),
        ("one\r\n\n# two\x00\x1b[31m", r"one \# two \[31m"),
        ("[[[cog import os ]]]", r"\[\[\[cog import os \]\]\]"),
        ("[x](javascript:0) ![y](z)", r"\[x\]\(javascript:0) !\[y\]\(z)"),
        ("*a* _b_ ~~c~~ \\d $e$", r"\*a\* \_b\_ \~\~c\~\~ \\d \$e\$"),
        ("f(x) [y] (z)", r"f(x) \[y\] (z)"),
        ("größe 数 – ok", "größe 数 – ok"),
        ("\u202eevil\u2028line", "evil line"),
        ("\udcff", r"\\xff"),
    ],
)
def test_a_hostile_text_becomes_one_harmless_line(text: str, line: str) -> None:
    assert markdown(text) == line


def test_paragraphs_and_bullets_stay_and_all_else_is_text() -> None:
    text = "First\nline.\n\n\n* one\n- two\n1. three\n2) four\n---\n=== x\n    code\n# no heading\n<!-- a\nb -->\n"
    assert paragraphs(text) == (
        "First\nline.\n\n- one\n- two\n1\\. three\n2\\) four\n\\---\n\\=== x\ncode\n\\# no heading"
    )


def test_an_open_comment_takes_the_rest_along() -> None:
    assert paragraphs("before\n<!-- and no end\nafter") == "before"


def test_trailers_that_name_people_go() -> None:
    people = "Co-authored-by: A <a@b>\nSigned-off-by: C\nreviewed-by: D\nChange-Id: I1\n"
    assert paragraphs(f"Why.\n\n{people}") == "Why."
    assert paragraphs("Stand-by: it is on") == ""  # the price: what looks like one goes too
    assert paragraphs("A side-effect: gone") == "A side-effect: gone"


def test_a_name_of_a_file_stays_on_its_line_and_in_its_quotes() -> None:
    assert shown("a\nb c'") == "'a\\nb c'\"'\"''"
