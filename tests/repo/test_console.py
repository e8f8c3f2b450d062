"""The documents' examples run as they stand, in order, or say in the fence why not: `bash not-run: why`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
DOCUMENTS += [*sorted(ROOT.glob("ops/**/*.md")), *sorted(ROOT.glob("data/samples/*.md"))]
RUNNERS = {"bash": ("bash", "-euo", "pipefail", "-c"), "python": ("python", "-c")}
EXTRAS = {
    "lake": r"\blake\b|\bp2\b|_lake",
    "market": r"just fetch\b",
    "observability": "PEAK_OTEL_ENABLED=1",
    "search": r"--optuna\b|\bimport optuna\b",
    "share": "lake-publish",
}  # by what shows that one is needed
SHOWN = {"", "json", "sql", "text", "toml"}  # what a block shows rather than does
MARK = re.compile(r"not-run: \S.{7,}")


class Block(NamedTuple):
    language: str
    mark: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    found = re.findall(r"^```([^\s`]*) *([^\n]*)\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def to_run(path: Path) -> list[Block]:
    return [block for block in blocks(path) if block.language in RUNNERS and not block.mark]


RUN_HERE = [path for path in DOCUMENTS[1:] if to_run(path)]  # the README's tour is run by test_readme.py


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_block_is_run_or_says_why_not_or_only_shows(path: Path) -> None:
    strange = [block for block in blocks(path) if block.language not in RUNNERS and block.language not in SHOWN]
    assert strange == []
    assert [block.mark for block in blocks(path) if block.mark and not MARK.fullmatch(block.mark)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_hides_in_a_block_that_only_shows(path: Path) -> None:
    shown = [block.text for block in blocks(path) if block.language in SHOWN]
    assert [text for text in shown if re.search(r"^(\$ |just |uv |git |python )", text, re.MULTILINE)] == []


def test_there_are_documents_to_run() -> None:
    assert len(RUN_HERE) >= 3


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of_a_document_run_in_order(path: Path, checkout: Path, need: Any, tmp_path: Path) -> None:
    for extra, sign in EXTRAS.items():
        if any(re.search(sign, block.text) for block in to_run(path)):
            need(extra)
    places = {
        "PATH": os.pathsep.join((f"{checkout}/.venv/bin", f"{Path(sys.executable).parent}", os.environ["PATH"])),
        "PEAK_RESULTS_DIR": str(tmp_path / "results"),
        "PEAK_LAKE_DIR": str(tmp_path / "lake"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "BROWSER": "true",
    }
    for block in to_run(path):
        done = subprocess.run(
            [*RUNNERS[block.language], block.text],
            cwd=checkout,
            env=os.environ | places,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stderr}"
