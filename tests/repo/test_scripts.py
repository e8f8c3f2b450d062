"""Scripts are small, say what they do, and answer --help before anything heavy is imported."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = [
    path for path in sorted((ROOT / "scripts").rglob("*.py")) if path.parent.name not in ("bench", "fuzz", "pictures")
]
PYTHON += [
    ROOT / "scripts" / name / f"{name}.py" for name in ("bench", "fuzz", "pictures")
]  # the others in there are its parts
SHELL = [*sorted((ROOT / "scripts").rglob("*.sh")), ROOT / ".ci" / "run"]
OURS = {"peak_trade", "__main__"}
MODULES = 130  # a bare interpreter has some 35, argparse and the helper bring 45 more; each costs up to a millisecond
HELP_AND_IMPORTS = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""

each_python = pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
each_shell = pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)


def header(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "".join(line.removeprefix("##").removeprefix(" ") + "\n" for line in lines if re.match("##( |$)", line))


def code(path: Path) -> list[str]:
    """The lines of a Python file that are neither blank nor part of a docstring."""
    text = path.read_text(encoding="utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            told.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return [line for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in told]


@each_python
def test_a_script_has_at_most_60_lines_of_code(path: Path) -> None:
    assert len(code(path)) <= 60


def test_blank_lines_and_docstrings_are_no_code(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""Do.\n\nMore.\n"""\n\nx = 1\n\n\ndef f():\n    """Say."""\n    return x\n', "utf-8"
    )
    assert code(tmp_path / "a.py") == ["x = 1", "def f():", "    return x"]


@each_python
def test_the_docstring_of_a_script_is_its_help(path: Path, run: Any) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    answered = run("python", str(path), "--help")
    assert doc
    assert doc.splitlines()[0] in answered.stdout
    assert answered.returncode == 0


@each_python
def test_a_script_answers_help_before_it_imports_anything_heavy(path: Path, run: Any) -> None:
    answered = run("python", "-c", HELP_AND_IMPORTS, str(path))
    modules = answered.stderr.split()
    assert "peak_trade.script" in modules
    assert {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - OURS == set()
    assert len(modules) <= MODULES


@each_python
def test_a_script_refuses_an_unknown_option_in_the_house_voice(path: Path, run: Any) -> None:
    refused = run("python", str(path), "--no-such-option")
    assert refused.returncode == 2
    assert re.fullmatch(r"error: .+\nhint: .+\n", refused.stderr)
    assert refused.stdout == ""


@each_shell
def test_the_header_of_a_shell_script_is_its_help(path: Path, run: Any) -> None:
    answered = run(str(path), "--help")
    assert answered.stdout == header(path)
    assert answered.stdout.startswith(path.name)
    assert answered.returncode == 0


@each_shell
def test_a_shell_script_is_strict_and_can_be_started(path: Path) -> None:
    assert re.search(r"^set -e?uo pipefail$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert os.access(path, os.X_OK)


def test_no_script_touches_the_module_path(root: Path) -> None:
    assert [path.name for path in PYTHON if re.search(r"sys\.path", path.read_text(encoding="utf-8"))] == []
