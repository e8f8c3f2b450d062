"""The documents name what exists, and their generated parts are current."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


def test_the_documents_name_only_what_exists(run: Any) -> None:
    checked = run("python", "scripts/ci/check_docs.py")
    assert checked.stderr == ""
    assert checked.returncode == 0


def test_generated_documents_are_current(run: Any) -> None:
    checked = run("scripts/ci/generated_docs.sh", "--check")
    assert checked.returncode == 0, checked.stderr


def test_every_page_is_in_the_index(root: Path) -> None:
    index = (root / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(root / "docs" / name).resolve() for name in re.findall(r"\]\(([^)#:]+)", index)}
    pages = {path for path in (root / "docs").rglob("*.md") if not path.name.startswith("PR_")}
    assert pages - linked == {root / "docs" / "README.md"}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Say `just fly`.", "README.md: no recipe `just fly`"),
        ("```bash\njust setup && just fly to the moon\n```", "README.md: no recipe `just fly`"),
        ("See `scripts/fly.py`.", "README.md: no file `scripts/fly.py`"),
        ("See `config/*.yaml`.", "README.md: no file `config/*.yaml`"),
        ("Read `FLYING.md`.", "README.md: no file `FLYING.md`"),
        ("Read [this](docs/flying.md#start).", "README.md: no file behind the link `docs/flying.md`"),
        ("Read [this](#below).\n\n# Above", "README.md: no heading behind the link `#below`"),
        ("Read [this](PAGE.md#part-3).", "README.md: no heading behind the link `PAGE.md#part-3`"),
        ("Read [this](PAGE.md#a-comment).", "README.md: no heading behind the link `PAGE.md#a-comment`"),
    ],
)
def test_a_name_that_nothing_answers_to_is_found(text: str, finding: str, checkout: Path, run: Any) -> None:
    (checkout / "README.md").write_text(text, encoding="utf-8")
    checked = run("python", "scripts/ci/check_docs.py", "--root", str(checkout))
    assert checked.returncode == 1
    assert checked.stderr.splitlines()[0] == finding


@pytest.mark.parametrize(
    "text",
    [
        "`just setup`, `just` and just about anything that is prose",
        "`uvx --from rust-just just setup`",
        "`scripts/real.py`, `scripts/*.py`, `results/<run_id>/` and a `config.toml` that is nobody's",
        "`docs/ops/PR_<N>_MERGE_LOG.md`, whatever N is",
        "[a page](scripts/real.py), [elsewhere](https://example.org/x.md#y), [here](#below)\n\n## Below",
        "[one](PAGE.md#part), [two](PAGE.md#part-1), [more](PAGE.md#just-help--what-it-does)",
    ],
)
def test_what_exists_or_is_no_name_passes(text: str, checkout: Path, run: Any) -> None:
    (checkout / "README.md").write_text(text, encoding="utf-8")
    checked = run("python", "scripts/ci/check_docs.py", "--root", str(checkout))
    assert checked.stderr == ""
    assert checked.returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "justfile").write_text("setup:\n", encoding="utf-8")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "real.py").touch()
    page = "# Part\n\n## Part\n\n```bash\n# a comment\n```\n\n## `just help` – what it does\n"
    (tmp_path / "PAGE.md").write_text(page, encoding="utf-8")
    return tmp_path
