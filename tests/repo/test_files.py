"""Files are clean, and name neither a package registry nor somebody's machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

# Written so that these lines do not name them either.
REGISTRIES = re.compile(r"\b(?:pypi|pythonhosted|crates|npmjs)\.(?:org|io|com)\b|deb\.debian", re.IGNORECASE)
MACHINES = re.compile(r"(?<![\w.])/(?:root|work|farm|Users/\w+|home/\w+)/")


@pytest.fixture(scope="module")
def texts(files: list[str], root: Path) -> dict[str, str]:
    read = {name: (root / name).read_bytes() for name in files if (root / name).is_file()}
    return {name: data.decode(errors="replace") for name, data in read.items() if b"\0" not in data}


def lines_with(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    lines = ((name, line) for name, text in texts.items() for line in text.splitlines())
    return [f"{name}: {line}" for name, line in lines if pattern.search(line)]


def test_no_file_names_a_package_registry(texts: dict[str, str]) -> None:
    assert lines_with(REGISTRIES, texts) == []


def test_no_file_names_a_path_of_a_machine(texts: dict[str, str]) -> None:
    assert lines_with(MACHINES, texts) == []


def test_the_patterns_would_find_one() -> None:
    host, path = "https://" + "pypi" + ".org/simple", "/" + "home/somebody/peak"
    assert lines_with(REGISTRIES, {"x": host}) == [f"x: {host}"]
    assert lines_with(MACHINES, {"x": path}) == [f"x: {path}"]


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("a.txt", b"x \n", "white space"),
        ("a.txt", b"x\r\n", "white space"),
        ("a.txt", b"x", "white space"),
        ("a.txt", b"x\n\n", "white space"),
        ("a.txt", b"<" * 7 + b" HEAD\n", "conflict mark"),
        ("a.txt", b"x\n" + b"=" * 7 + b"\ny\n", "conflict mark"),
        ("a.txt", b"\xff\n", "does not parse"),
        ("a.toml", b"a =\n", "does not parse"),
        ("a.json", b"{\n", "does not parse"),
        ("a.yml", b"a: [\n", "does not parse"),
        ("a.bin", b"\0" * 2_000_001, "2000001 bytes"),
    ],
)
def test_an_unclean_file_is_named(name: str, data: bytes, fault: str, tmp_path: Path, run: Any) -> None:
    (tmp_path / name).write_bytes(data)
    checked = run("python", "scripts/ci/check_files.py", str(tmp_path / name))
    assert checked.returncode == 1
    assert fault in checked.stderr.splitlines()[0]
    assert checked.stderr.splitlines()[-2:] == ["error: files are not clean", "hint: just fix"]


def test_clean_files_pass(tmp_path: Path, run: Any) -> None:
    clean = {"a.txt": b"x\ny\n", "empty": b"", "a.toml": b"a = 1\n", "a.bin": b"\0 \r\n", "title.md": b"Title\n=====\n"}
    for name, data in clean.items():
        (tmp_path / name).write_bytes(data)
    checked = run("python", "scripts/ci/check_files.py", *(str(tmp_path / name) for name in clean))
    assert checked.stderr == ""
    assert checked.returncode == 0


def test_fix_mends_white_space_and_nothing_else(tmp_path: Path, run: Any) -> None:
    (tmp_path / "a.txt").write_bytes(b"  x \t\r\n\n y\n\n")
    checked = run("python", "scripts/ci/check_files.py", "--fix", str(tmp_path / "a.txt"))
    assert checked.returncode == 0
    assert (tmp_path / "a.txt").read_bytes() == b"  x\n\n y\n"
