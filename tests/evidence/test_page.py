"""docs/ops/evidence.md: what it says a reader without this program can check is checked so, and each step can fail."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Evidence, as_json, rewrite

from peak_trade.evidence import manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs/ops/evidence.md").read_text("utf-8")
SECTION = PAGE.partition("## Checked without this program\n")[2].partition("\n## ")[0]
(BASH,) = re.findall(r"```bash[^\n]*\n(.*?)```", SECTION, re.DOTALL)
(PYTHON,) = re.findall(r"```python[^\n]*\n(.*?)```", SECTION, re.DOTALL)
needs_jq = pytest.mark.skipif(not (shutil.which("jq") and shutil.which("sha256sum")), reason="needs jq and sha256sum")
Edit = Callable[[bytes], bytes]


@pytest.fixture
def copy(sealed_once: Evidence, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a run to a folder of its own, without the ledger."""

    def of(name: str) -> Path:
        return Path(shutil.copytree(sealed_once.path(name), tmp_path / "handed over"))

    return of


def by_shell(run: Path, tmp_path: Path) -> str:
    """Return what the page's commands say of a run; nothing where they find it whole."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", BASH], cwd=run, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit {done.returncode}"


def by_python(run: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PYTHON], cwd=run, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr


def edit(path: Path, change: Edit) -> None:
    content = path.read_bytes()
    assert change(content) != content
    rewrite(path, change(content))


@needs_jq
@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare", "failed"])
def test_a_run_is_found_whole(copy: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    run = copy(name)
    assert by_shell(run, tmp_path) == ""
    assert name == "failed" or by_python(run) == ""


def test_that_python_cannot_import_this_program() -> None:
    # a control
    done = subprocess.run([sys.executable, "-I", "-S", "-c", "import peak_trade"], capture_output=True, check=False)
    assert b"ModuleNotFoundError" in done.stderr


def relabelled(content: bytes, change: Callable[[dict[str, object]], None]) -> bytes:
    carried = json.loads(content)
    end = json.loads(carried["end"])
    change(end)
    return as_json(carried | {"end": json.dumps(end)})


@needs_jq
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("equity.csv", lambda content: content.replace(b"0", b"1", 1)),
        ("code/strategies/own.py", lambda content: content + b"#"),
        ("manifest.json", lambda content: content.replace(b'"sealed"', b'"ruined"')),
        ("seal.json", lambda content: content.replace(b"TEST", b"BEST", 1)),
        ("seal.json", lambda content: relabelled(content, lambda end: end.update(manifest="0" * 64))),
        ("seal.json", lambda content: relabelled(content, lambda end: end.update(run_id="another"))),
    ],
)
def test_the_commands_find_an_edit(copy: Callable[[str], Path], tmp_path: Path, file: str, change: Edit) -> None:
    run = copy("own")
    edit(run / file, change)
    assert by_shell(run, tmp_path) != ""


@needs_jq
def test_the_commands_find_what_is_missing_added_or_a_link(copy: Callable[[str], Path], tmp_path: Path) -> None:
    run = copy("own")
    (run / "code/more.py").write_text("")
    assert "code/more.py" in by_shell(run, tmp_path)
    (run / "code/more.py").unlink()
    (run / "debug").mkdir()
    (run / "debug/rows.csv").write_text("")
    assert by_shell(run, tmp_path) == ""
    (run / "debug/way").symlink_to("/")
    assert by_shell(run, tmp_path) != ""
    (run / "debug/way").unlink()
    (run / "stats.json").unlink()
    assert "stats.json" in by_shell(run, tmp_path)


@needs_jq
def test_the_commands_find_a_digest_of_other_code(copy: Callable[[str], Path], tmp_path: Path) -> None:
    run = copy("own")
    whole = json.loads((run / "manifest.json").read_bytes())
    for part in whole["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if part["name"] == "code":
            part["digest"]["sha256"] = "0" * 64
    forged = as_json(whole)
    rewrite(run / "manifest.json", forged)
    sha256 = hashlib.sha256(forged).hexdigest()
    edit(run / "seal.json", lambda content: relabelled(content, lambda end: end.update(manifest=sha256)))
    assert by_shell(run, tmp_path) != ""


def doubled(content: bytes, key: str) -> bytes:
    stats = json.loads(content)
    return as_json(stats | {key: 2 * stats[key]})


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("equity.csv", lambda content: content.replace(b"0.0\n", b"0.5\n", 1)),
        *(("stats.json", lambda content, key=key: doubled(content, key)) for key in ("net_profit", "max_drawdown")),
        ("stats.json", lambda content: doubled(content, "sharpe")),
        ("trades.csv", lambda content: b"".join(content.splitlines(keepends=True)[:-1])),
    ],
)
def test_plain_python_finds_other_values(copy: Callable[[str], Path], file: str, change: Edit) -> None:
    run = copy("own")
    edit(run / file, change)
    assert "AssertionError" in by_python(run)


def test_the_page_has_every_format_and_the_test_that_it_names() -> None:
    for predicate, number in manifest.FORMATS.items():
        assert f"| {number} (`{predicate}`) |" in PAGE
    assert "`tests/evidence/test_page.py`" in PAGE
