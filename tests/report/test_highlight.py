"""Source as lines of HTML: each as a person wrote it by hand here, whatever Python makes the page."""

from __future__ import annotations

import re
import time
import tokenize
from html import unescape
from io import StringIO
from pathlib import Path

import pytest

from peak_trade.report.highlight import highlighted, readable, unseen
from peak_trade.trust.difference.code import lines

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "peak_trade"
BY_HAND = {
    "def f(x):": '<span class="k">def</span> <span class="d">f</span>(x):',
    "class  A:": '<span class="k">class</span>  <span class="d">A</span>:',
    "@f": "@f",
    "defined = True": 'defined = <span class="k">True</span>',
    "x = 0x1F + 1_0.5e-3j + .5": (
        'x = <span class="n">0x1F</span> + <span class="n">1_0.5e-3j</span> + <span class="n">.5</span>'
    ),
    "x1 = a.b2": "x1 = a.b2",
    "1 # 'one' {2}": '<span class="n">1</span> <span class="c"># &#x27;one&#x27; &#123;2}</span>',
    "'# no'": '<span class="s">&#x27;# no&#x27;</span>',
    r"'it\'s' + s": r'<span class="s">&#x27;it\&#x27;s&#x27;</span> + s',
    r"rb'\' + 'a'": r'<span class="s">rb&#x27;\&#x27; + &#x27;</span>a<span class="s">&#x27;</span>',
    "f'{x!r:>{w}} {d[\"a\"]}' if x": (
        '<span class="s">f&#x27;&#123;x!r:&gt;&#123;w}} &#123;d[&quot;a&quot;]}&#x27;</span> '
        '<span class="k">if</span> x'
    ),
    "Rb'' u'' bar'' xf''": (
        '<span class="s">Rb&#x27;&#x27;</span> <span class="s">u&#x27;&#x27;</span> '
        'bar<span class="s">&#x27;&#x27;</span> xf<span class="s">&#x27;&#x27;</span>'
    ),
    "a = 'open": 'a = <span class="s">&#x27;open</span>',
    "match = type = print": "match = type = print",
    "\ta<b>`c`": "&#9;a&lt;b&gt;&#96;c&#96;",
    "a \u202e\x00\u200b b": (
        'a <span class="e">\\u202e</span><span class="e">\\x00</span><span class="e">\\u200b</span> b'
    ),
    "'\u2066'": '<span class="s">&#x27;<span class="e">\\u2066</span>&#x27;</span>',
}
HOSTILE = (
    "</script><script>hit()</script>", "<!-- a", "-->", "```\n```{=html}\n<b>", "{{< include x >}}", "'''\n\"\"\"\\",
    "\x0c\x0b\x1c\u2028\x85 a", "\r\r\n\n\r", "'\\\r\n'", "f'{", "", "\n", "é = '\udc80'", "def", "class\ndef f",
)  # fmt: skip


@pytest.mark.parametrize("line", BY_HAND)
def test_a_line_is_told_word_by_word(line: str) -> None:
    assert highlighted(line, "a.py") == [BY_HAND[line]]


def test_a_string_of_many_lines_is_one_on_each() -> None:
    assert highlighted('a = """x\n\n"y" \\""" z\n"""; b\n', "a.py") == [
        'a = <span class="s">&quot;&quot;&quot;x</span>',
        "",
        '<span class="s">&quot;y&quot; \\&quot;&quot;&quot; z</span>',
        '<span class="s">&quot;&quot;&quot;</span>; b',
    ]


def test_a_string_without_its_end_goes_no_further_than_its_line() -> None:
    assert highlighted("a = 'b\nif c", "a.py")[1] == '<span class="k">if</span> c'


def test_what_is_no_python_is_plain() -> None:
    assert highlighted("if x; then # y\n", "a.sh") == ["if x; then # y"]
    assert highlighted("#!/usr/bin/env python3\nif x: pass\n", "go")[1].startswith('<span class="k">if</span>')


def test_strings_comments_and_numbers_are_those_of_pythons_own_tokenizer() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    for path in files:
        source = path.read_text("utf-8")
        told = highlighted(source, "a.py")
        for kind, wanted in by_tokenize(source).items():
            found = "".join("".join(re.findall(rf'<span class="{kind}">(.*?)</span>(?!</span>)', row)) for row in told)
            assert unescape(re.sub("<[^>]*>", "", found)) == wanted, path


def by_tokenize(source: str) -> dict[str, str]:
    """All strings, comments and numbers of source after each other, without ends of lines: f-strings whole."""
    kinds = {tokenize.STRING: "s", tokenize.COMMENT: "c", tokenize.NUMBER: "n"}
    rows, found, depth, start = source.split("\n"), {"s": "", "c": "", "n": ""}, 0, (0, 0)
    for token in tokenize.generate_tokens(StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            depth, start = depth + 1, start if depth else token.start
        elif name == "FSTRING_END":
            depth -= 1
            if not depth:
                (first, left), (last, right) = start, token.end
                part = "\n".join(rows[first - 1 : last])
                found["s"] += part[left : len(part) - len(rows[last - 1]) + right].replace("\n", "")
        elif not depth and token.type in kinds:
            found[kinds[token.type]] += token.string.replace("\n", "")
    return found


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
@pytest.mark.parametrize("source", HOSTILE)
def test_each_line_says_what_it_said_and_opens_nothing_but_spans(source: str, name: str) -> None:
    told = highlighted(source, name)
    assert len(told) == len(lines(source))
    for row, line in zip(told, lines(source), strict=True):
        assert re.sub(r"</?span[^<>]*>", "", row).count("<") == 0
        assert "`" not in row and "{" not in row and "\n" not in row and "\r" not in row
        escaped = "".join(mark if mark.isprintable() or mark == "\t" else ascii(mark)[1:-1] for mark in line)
        assert unescape(re.sub("<[^>]*>", "", row)) == escaped


@pytest.mark.parametrize("piece", ['"""\\', "'", "f'{\"", "\\", "0_", "#", "a" * 50, '""'])
def test_no_text_takes_long(piece: str) -> None:
    begun = time.perf_counter()
    highlighted(piece * (200_000 // len(piece)), "a.py")
    assert time.perf_counter() - begun < 5


def test_of_a_notebook_there_are_its_cells_without_what_they_printed() -> None:
    content = b"""{"cells": [
      {"cell_type": "markdown", "source": "One\\n\\ntwo"},
      {"cell_type": "code", "source": ["a = 1\\n", "a\\n"], "outputs": [{"text": "secret"}]},
      {"cell_type": "code", "source": 7}, 3
    ], "nbformat": 4}"""
    assert readable("a.ipynb", content) == "# %% [markdown]\n# One\n#\n# two\n# %%\na = 1\na\n# %%\n7\n# %%\n"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"cells": 1}', b'{"cells": []}', b"[" * 9_000, b"\xff"])
def test_what_is_no_notebook_is_shown_as_it_is(content: bytes) -> None:
    assert readable("a.ipynb", content) == content.decode("utf-8", "replace")


def test_marks_that_nobody_sees_are_told() -> None:
    assert [unseen(line) for line in ("a\tb", "a\u202eb", "a\x0cb", "a\xa0b", "é")] == [False, True, True, True, False]
