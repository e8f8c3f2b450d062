"""A relative path on a command line counts from where the person stands, in every recipe that takes one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

# Where its own process stands and what it was called with, a line each; in place of Python and pytest.
STAND_IN = '#!/usr/bin/env bash\nprintf "%s|" "$PWD" "$@" >&2\nprintf "\\n" >&2\n'
# No path is among what these take: they are about the checkout, its environment or its containers.
WITHOUT_PATHS = {
    *(
        "setup",
        "completion",
        "obs-up",
        "obs-down",
        "obs-check",
        "p0",
        "test",
        "test-fast",
        "lint",
        "fix",
        "audit",
        "validate",
        "ci",
    ),
    "update-pins",
}


@pytest.fixture(scope="module")
def sketch(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the recipes and their scripts, set up; stand-ins for Python and pytest; and a folder to stand in."""
    path = tmp_path_factory.mktemp("check out")
    for name in ("pyproject.toml", "constraints.txt", "justfile"):
        shutil.copy2(root / name, path)
    shutil.copytree(root / "scripts", path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "docs" / "deep").mkdir(parents=True)
    (path / "docs" / "test_a.py").touch()
    (path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "pytest"):
        (path / ".venv" / "bin" / name).write_text(STAND_IN, encoding="utf-8")
        (path / ".venv" / "bin" / name).chmod(0o755)
    memory = path / ".venv" / "peak_trade"
    memory.mkdir()
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy2(path / name, memory)
    (memory / "state").write_text(f"{path}\nall\n", encoding="utf-8")
    return path


def calls(run: Any, sketch: Path, stands: Path, *words: str) -> list[list[str]]:
    """Return what the stand-ins were started with: where, then the words."""
    ran = run("just", *words, cwd=stands, PEAK_OTEL_ENABLED="0")
    found = [line.rstrip("|").split("|") for line in ran.stderr.splitlines() if line.startswith(str(sketch))]
    assert found, ran.stderr
    return found


def recipes_with_paths(root: Path) -> list[str]:
    dump = subprocess.run(
        ["just", "--dump", "--dump-format", "json"], cwd=root, capture_output=True, text=True, check=True
    )
    return sorted(name for name in json.loads(dump.stdout)["recipes"].keys() - WITHOUT_PATHS if name[0] != "_")


@pytest.mark.parametrize("recipe", recipes_with_paths(Path(__file__).parents[2]))
def test_a_path_counts_from_where_the_person_stands(recipe: str, sketch: Path, run: Any) -> None:
    for stands in (sketch, sketch / "docs" / "deep"):
        for where, *words in calls(run, sketch, stands, recipe, "../a file.toml", "--results-dir", "out"):
            assert where == str(stands)
            (script,) = (word for word in words[:1] if re.search(r"scripts/[\w/]+\.py$", word))
            assert (stands / script).is_file()
            if recipe not in ("p1", "p2") or "--config" in words:  # their later steps have the run_id
                assert "../a file.toml" in words


@pytest.mark.parametrize(("recipe", "config"), [("p1", "my_strategy"), ("p2", "btcusdt_donchian")])
@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_the_default_config_of_a_stage_is_that_of_the_checkout(
    recipe: str, config: str, options: tuple[str, ...], sketch: Path, run: Any
) -> None:
    stands = sketch / "docs"
    if options:  # the first word is a config for just: a stage sees to it
        ran = run("bash", "-c", f'cd docs && ../scripts/utils/{recipe}.sh "$@"', "-", *options, cwd=sketch)
        first = next(line for line in ran.stderr.splitlines() if "--config" in line).split("|")
    else:
        first = next(words for words in calls(run, sketch, stands, recipe) if "--config" in words)
    assert first[0] == str(stands)
    assert first[first.index("--config") + 1] == str(sketch / "config" / f"{config}.toml")


def test_a_file_of_tests_counts_from_there_too_and_they_run_at_the_root(sketch: Path, run: Any) -> None:
    (called,) = calls(run, sketch, sketch / "docs", "test", "test_a.py::test_b", "-k", "docs", "no/such.py")
    assert called[0] == str(sketch)
    assert called[-4:] == [f"{sketch}/docs/test_a.py::test_b", "-k", "docs", "no/such.py"]


def test_what_is_started_by_a_command_stands_where_it_stands(sketch: Path, run: Any) -> None:
    """Else a test that calls a recipe's script elsewhere would be taken back to the person's folder."""
    started = run("scripts/utils/in_env.sh", "bash", "-c", "echo ${PEAK_CWD-unset}", cwd=sketch, PEAK_CWD="/")
    assert started.stdout == "unset\n"


@pytest.mark.slow
def test_what_tab_completes_runs_from_any_folder(checkout: Path, tmp_path: Path, run: Any) -> None:
    out = os.path.relpath(tmp_path / "out", checkout / "docs")
    ran = run("just", "run", "../config/my_strategy.toml", "--results-dir", out, "--quiet", cwd=checkout / "docs")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out" / ran.stdout.strip() / "manifest.json").is_file()
    shown = run("just", "verify", "last", "--results-dir", out, cwd=checkout / "docs")
    assert shown.stdout.count("intact") == 2, shown.stderr


def test_a_config_that_is_not_there_says_where_was_looked(checkout: Path, run: Any) -> None:
    refused = run("just", "run", "config/my_strategy.toml", cwd=checkout / "docs")
    assert refused.returncode == 2
    assert f"config config/my_strategy.toml: No such file or directory; looked in {checkout / 'docs'}" in refused.stderr
