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
