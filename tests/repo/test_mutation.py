"""`just mutate` plants faults in a copy and names those that nothing notices; the page has a line for each module."""

from __future__ import annotations

import ast
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.errors import InputError, RunError

WANTED = ("engine", "stats", "redact", "evidence/manifest", "evidence/ledger", "trust/verify", "trust/content")
HALF = "def half(x: float) -> float:\n    return x / 2\n\n\ndef sign(x: float) -> int:\n    return 1 if x > 0 else -1\n"
MARKED = """from functools import cached_property


class Pair:
    @cached_property
    def both(
        self,
    ) -> int:
        \"\"\"Tell.

        >>> Pair().both
        2
        \"\"\"
        return 1 + 1

    @property
    def one(self) -> int:
        return 1
"""
TESTS = """from peak_trade.half import half, sign


def test_half() -> None:
    assert half(3.0) == 1.5


def test_sign() -> None:
    assert (sign(2.0), sign(-2.0)) == (1, -1)
"""


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch, root: Path) -> Any:
    """Call the script in this process, with these words on its command line."""
    main = runpy.run_path(str(root / "scripts" / "ci" / "mutate.py"))["main"]

    def called(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mutate.py", *words])
        code: int = main()
        return code

    return called


@pytest.fixture
def checkout(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one module, whose tests do not know what the sign of 0 is; the cache is beside it."""
    root = tmp_path / "checkout"
    package = root / "src" / "peak_trade"
    package.mkdir(parents=True)
    (root / "tests").mkdir()
    (package / "__init__.py").touch()
    (package / "half.py").write_text(HALF, "utf-8")
    (root / "tests" / "test_half.py").write_text(TESTS, "utf-8")
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n', "utf-8")
    run("git", "init", "--quiet", cwd=root)
    run("git", "add", ".", cwd=root)
    monkeypatch.setattr(script, "repo_root", lambda: root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


@pytest.mark.slow
def test_what_no_test_notices_is_shown_until_one_does(
    checkout: Path, mutate: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """`x > 0` may become `x >= 0` or `x > 1`: 0 and 1 are what tells, and with a test of both nothing is left."""
    assert mutate("half", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    found = {line[1:].strip() for diff in said["unnoticed"].values() for line in diff.splitlines() if line[:2] == "+ "}
    assert found == {"return 1 if x >= 0 else -1", "return 1 if x > 1 else -1"}
    assert said["noticed_percent"] == round(100 * (1 - 2 / said["faults"]), 1)
    assert {line[:3] for line in run("git", "status", "--porcelain", cwd=checkout).stdout.splitlines()} == {"A  "}

    with (checkout / "tests" / "test_half.py").open("a", encoding="utf-8") as tests:
        tests.write("\n\ndef test_edges() -> None:\n    assert (sign(0.0), sign(1.0)) == (-1, 1)\n")
    assert mutate("half", "--json") == 0
    assert json.loads(capsys.readouterr().out) == said | {"noticed_percent": 100.0, "unnoticed": {}}


def test_what_is_decorated_is_marked_below_instead(root: Path, tmp_path: Path) -> None:
    """The tool leaves out a function with a decorator; written otherwise it is the same, and is tried."""
    marked = runpy.run_path(str(root / "scripts" / "ci" / "mutate.py"))["MARKED"]
    plain = re.sub(marked, r"\n\3\1\4 = \2(\4)\n", MARKED)
    functions = [node for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.FunctionDef)]
    assert [(node.name, node.decorator_list) for node in functions] == [("both", []), ("one", [])]
    (tmp_path / "pair.py").write_text(plain, "utf-8")
    pair = runpy.run_path(str(tmp_path / "pair.py"))["Pair"]()
    assert (pair.both, pair.one, vars(pair)) == (2, 1, {"both": 2})


@pytest.mark.slow
def test_a_decorated_function_is_tried_as_any_other(
    checkout: Path, mutate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "src" / "peak_trade" / "half.py").write_text(MARKED, "utf-8")
    tests = "from peak_trade.half import Pair\n\n\ndef test_pair() -> None:\n    assert Pair().both == 2\n"
    (checkout / "tests" / "test_half.py").write_text(tests, "utf-8")
    for noticed in (False, True):  # the first time no test calls `one`
        assert mutate("half", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said["faults"] > 2 and all("one" in name for name in said["unnoticed"])
        assert (said["unnoticed"] == {}) is noticed
        with (checkout / "tests" / "test_half.py").open("a", encoding="utf-8") as file:
            file.write("\n\ndef test_one() -> None:\n    assert Pair().one == 1\n")


def test_a_tool_that_is_absent_is_named_with_what_installs_it(mutate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mutmut", None)  # as where it is not installed
    with pytest.raises(RunError, match="mutmut is not installed") as caught:
        mutate("engine")
    assert caught.value.hint == "just setup dev"


def test_a_module_that_is_not_there_is_refused(mutate: Any) -> None:
    with pytest.raises(InputError, match=r"there is no src/peak_trade/engines.py"):
        mutate("engines")


def test_the_page_has_the_figures_of_every_module_that_strangers_rely_on(root: Path) -> None:
    page = (root / "docs" / "dev" / "mutation.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert [name for name in WANTED if f"`{name}" not in rows] == []
