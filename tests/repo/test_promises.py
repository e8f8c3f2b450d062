"""Each promise of the README stands in docs/dev/promises.md, with tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dev" / "promises.md"
HEADS = {"promise", "file", "question", "---"}


def cells(text: str) -> list[list[str]]:
    """Return the rows of all tables in a text."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [
        row for row in ([cell.strip() for cell in cells] for cells in rows) if row[0].partition("|")[0] not in HEADS
    ]


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def promises(readme: str) -> list[str]:
    """Return what a README promises: its first lines, what a run leaves and can prove, and what always holds."""
    first = [line for line in between(readme, "# Peak_Trade\n", "\n## ").splitlines() if line]
    tables = between(readme, "What a run leaves in", "\nCheck that") + between(readme, "### Prove it\n", "\n### ")
    held = re.findall(r"^- (.*)$", between(readme, "## How it fits together\n", "\n## "), re.MULTILINE)
    return [*first, *(": ".join(row) for row in cells(tables)), *held]


def listed() -> list[list[str]]:
    return cells(PAGE.read_text("utf-8").replace("](../", "](docs/"))


def is_there(test: str) -> bool:
    name, _, function = test.partition("::")
    path = ROOT / name
    found = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in found.body)


def test_the_page_has_every_promise_of_the_readme_and_no_other() -> None:
    assert [row[0] for row in listed()] == promises((ROOT / "README.md").read_text("utf-8"))
    assert len(listed()) > 20


def test_every_test_that_is_named_is_there() -> None:
    named = {row[0]: re.findall(r"`([^`]+)`", row[1]) for row in listed()}
    assert [promise for promise, tests in named.items() if not tests] == []
    assert [test for tests in named.values() for test in tests if not is_there(test)] == []


@pytest.mark.parametrize(
    "test", ["tests/trust/test_verify.py::test_of_nobody", "tests/nowhere.py::test_a", "tests/trust/test_verify.py"]
)
def test_a_test_that_is_not_there_would_show(test: str) -> None:
    assert not is_there(test)


def test_a_promise_more_would_show() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    more = readme.replace("\n- The same config,", "\n- It makes you rich.\n- The same config,", 1)
    assert set(promises(more)) - set(promises(readme)) == {"It makes you rich."}
