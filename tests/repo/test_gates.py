"""The gates stop what they are there to stop, and say why they let the rest pass."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_every_rule_that_ruff_ignores_has_its_reason_beside_it(root: Path, settings: dict[str, Any]) -> None:
    lint = settings["ruff"]["lint"]
    ignored = [*lint["ignore"], *(code for codes in lint["per-file-ignores"].values() for code in codes)]
    lines = (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert ignored
    assert [code for code in ignored if not any(re.match(rf'\s*"{code}",\s+# \S', line) for line in lines)] == []


def test_every_rule_that_a_file_waives_has_its_reason_there(files: list[str], root: Path) -> None:
    reasons: dict[tuple[str, str], str] = {}
    for name in files:
        if name.endswith(".py"):
            for code, reason in re.findall(r"# noqa: ([A-Z]+\d+)(.*)", (root / name).read_text(encoding="utf-8")):
                reasons[name, code] = max(reasons.get((name, code), ""), reason.strip(" -()"), key=len)
    assert reasons
    assert [waived for waived, reason in reasons.items() if len(reason) < 8] == []


def test_every_warning_that_pytest_lets_pass_has_its_reason_above_it(root: Path, settings: dict[str, Any]) -> None:
    first, *passed = settings["pytest"]["ini_options"]["filterwarnings"]
    lines = [line.strip() for line in (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()]
    at = [next(number for number, line in enumerate(lines) if line.strip("\"',") == entry) for entry in passed]
    assert first == "error"
    assert [lines[number] for number in at if not lines[number - 1].startswith("#")] == []


def test_every_module_is_in_a_room_of_the_layers(root: Path, settings: dict[str, Any]) -> None:
    rows = settings["importlinter"]["contracts"][0]["layers"]
    rooms = {name.strip().removeprefix("peak_trade.") for row in rows for name in row.split("|")}
    package = root / "src" / "peak_trade"
    there = {path.relative_to(package).parts[0].removesuffix(".py") for path in package.rglob("*.py")}
    assert there - {"__init__"} == rooms


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it; `from a import b` may name a module or not."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("peak_trade.")}


def circles(package: Path) -> list[str]:
    """The folders and files of a package that need each other, in words, at every depth."""
    needs: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        here = path.relative_to(package).with_suffix("").parts
        for name in imports_of(path):
            there = tuple(name.split(".")[1:])
            if not (package.joinpath(*there[:1]).is_dir() or package.joinpath(*there[:1]).with_suffix(".py").is_file()):
                continue  # a name in `peak_trade` itself
            depth = next((n for n, (one, other) in enumerate(zip(here, there, strict=False)) if one != other), None)
            if depth is not None and here != ("__init__",):
                needs.setdefault(".".join(here[: depth + 1]), set()).add(".".join(there[: depth + 1]))
    reach = {one: set(others) for one, others in needs.items()}
    for middle in list(reach):  # Warshall
        for one in reach:
            if middle in reach[one]:
                reach[one] |= reach[middle]
    return sorted({" ⇄ ".join(sorted((a, b))) for a in reach for b in reach[a] if a != b and a in reach.get(b, set())})


def test_no_folder_and_no_file_needs_one_that_needs_it(root: Path) -> None:
    assert circles(root / "src" / "peak_trade") == []


def test_a_circle_of_folders_would_show(tmp_path: Path) -> None:
    for name, line in {
        "low/a": "import peak_trade.high.b",
        "high/b": "x = 1",
        "high/c": "from peak_trade.low import d",
        "low/d": "",
    }.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(line, encoding="utf-8")
    assert circles(tmp_path) == ["high ⇄ low"]


def test_the_docstring_of_a_room_says_what_it_may_import(root: Path) -> None:
    rooms = sorted((root / "src" / "peak_trade").glob("*/__init__.py"))
    told = {path.parent.name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in rooms}
    assert [name for name, text in told.items() if "May import" not in text and name != "data"] == []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("errors", "import peak_trade.ops.doctor", "an import only points down"),
        ("evidence/ledger", "import peak_trade.trust.verify", "an import only points down"),
        ("report/svg", "import peak_trade.ops.git", "an import only points down"),
        ("ops/doctor", "import peak_trade.script", "the package does not know its scripts"),
        ("script", "import peak_trade.config", "an import only points down"),
        ("ops/doctor", "import opentelemetry", "telemetry watches from outside"),
    ],
)
def test_import_linter_stops_an_import_against_the_layers(
    module: str, line: str, contract: str, root: Path, tmp_path: Path, run: Any
) -> None:
    shutil.copy(root / "pyproject.toml", tmp_path)
    package = shutil.copytree(root / "src" / "peak_trade", tmp_path / "peak_trade")
    with (package / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    checked = run("lint-imports", "--no-logo", "--no-cache", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert checked.returncode == 1
    assert f"{contract} BROKEN" in checked.stdout


def test_hooks_are_local_and_start_in_the_environment(root: Path) -> None:
    text = (root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: (.*)", text)
    assert re.findall(r"repo: (.*)", text) == ["local"]
    assert len(entries) >= 7
    assert [entry for entry in entries if not entry.startswith("scripts/utils/in_env.sh --with dev ")] == []
