"""How axe-core comes to a checkout: by npm where there is one, by its digest, and never in the way of the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NPM = """#!/bin/sh
printf '%s\\n' "$*" >>"$0.asked"
[ -z "${FAILING-}" ] || exit 1
mkdir -p .venv/axe/node_modules/axe-core && touch .venv/axe/node_modules/axe-core/axe.min.js
"""
ASKED = "ci --prefix .venv/axe --ignore-scripts --no-audit --no-fund --silent --fetch-timeout 60000 --fetch-retries 1"


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A copy of what is needed, with a stand-in for npm."""
    for name in ("scripts/utils/setup_axe.sh", "tests/report/axe/package.json", "tests/report/axe/package-lock.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text(NPM, "utf-8")
    (tmp_path / "bin" / "npm").chmod(0o755)
    return tmp_path


def set_up(checkout: Path, *, path: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/utils/setup_axe.sh"], cwd=checkout, env={"PATH": path or f"{checkout}/bin:/usr/bin:/bin", **settings},
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def asked(checkout: Path) -> list[str]:
    """What npm was asked since the last look."""
    notes = checkout / "bin" / "npm.asked"
    lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return lines


def test_it_is_installed_by_its_digest_once_and_runs_nothing(checkout: Path) -> None:
    done = set_up(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "setting up .venv/axe\n")
    assert asked(checkout) == [ASKED]
    lock = "tests/report/axe/package-lock.json"
    assert (checkout / ".venv/axe/package-lock.json").read_bytes() == (checkout / lock).read_bytes()
    assert (set_up(checkout).stderr, asked(checkout)) == ("", [])
    (checkout / lock).write_text("{}", "utf-8")
    assert len(asked(checkout)) == 0 and set_up(checkout).stderr == "setting up .venv/axe\n"
    assert len(asked(checkout)) == 1


def test_one_that_fails_is_told_and_is_no_failure(checkout: Path) -> None:
    failed = set_up(checkout, FAILING="1")
    assert failed.returncode == 0
    assert failed.stderr.startswith("setting up .venv/axe\nwarn: axe-core could not be set up\nhint: ")
    assert not (checkout / ".venv/axe").exists()
    assert set_up(checkout).stderr == "setting up .venv/axe\n"  # and it is tried again


def test_without_npm_nothing_is_done_or_said(checkout: Path) -> None:
    alone = checkout / "alone"
    alone.mkdir()
    for name in ("bash", "env", "cmp", "sed"):
        (alone / name).symlink_to(str(shutil.which(name)))
    done = set_up(checkout, path=str(alone))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (checkout / ".venv/axe").exists()
