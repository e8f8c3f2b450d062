"""A newcomer finds the way: one screen of recipes, help for each, completion on TAB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

WIDTH = 100


def test_no_line_of_the_list_is_wider_than_a_screen(run: Any) -> None:
    assert [line for line in run("just").stdout.splitlines() if len(line) > WIDTH] == []


def test_help_says_how_a_recipe_is_called_and_what_it_runs(run: Any) -> None:
    helped = run("python", "scripts/recipes.py", "lake-report").stdout
    assert helped.startswith("just lake-report [ARGS…]\nAsk the lake a saved question")
    assert '\n\n$ scripts/query_lake.py --report "$@"\nusage: query_lake.py ' in helped
    assert "--memory-limit SIZE" in helped


def test_help_shows_the_header_of_a_shell_script(run: Any) -> None:
    helped = run("python", "scripts/recipes.py", "p1").stdout
    assert '\n\n$ scripts/utils/p1.sh "$@"\np1.sh [CONFIG] [OPTION…]\n' in helped


def test_help_follows_a_recipe_to_those_it_needs(run: Any) -> None:
    helped = run("python", "scripts/recipes.py", "validate").stdout
    assert re.findall(r"^\$ (.*)", helped, re.MULTILINE) == ["just git-state", "just lint", "just test"]


def test_every_recipe_has_help(recipes: dict[str, Any], run: Any) -> None:
    """In one process: each script answers for itself in tests/repo/test_scripts.py."""
    every = "import recipes\nrecipes.help_of = lambda path: path\nfor recipe in recipes.recipes():\n"
    every += "    print(recipe['name'], recipes.commands(recipe), len(recipe['dependencies']))"
    lines = run("python", "-c", every, PYTHONPATH="scripts").stdout.splitlines()
    assert [line.split()[0] for line in lines] != []
    assert sorted(line.split()[0] for line in lines) == sorted(recipes)
    assert [line for line in lines if line.endswith("[] 0")] == []


def test_help_without_a_name_lists_the_recipes(run: Any) -> None:
    assert run("python", "scripts/recipes.py").stdout == run("just").stdout


def test_an_unknown_recipe_gets_the_nearest_one(run: Any) -> None:
    refused = run("python", "scripts/recipes.py", "verfy")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == "error: unknown recipe `verfy`\nhint: did you mean `verify`?\n"


def test_completion_asks_for_runs_where_a_recipe_takes_one(root: Path, recipes: dict[str, Any]) -> None:
    text = (root / "scripts" / "utils" / "completion.sh").read_text(encoding="utf-8")
    (names,) = re.findall(r"^run_recipes='(.*)'$", text, re.MULTILINE)
    assert [name for name in names.split() if name not in recipes] == []


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run_id in ("0a1b2c3d-0000-4000-8000-000000000001", "ffff2c3d-0000-4000-8000-000000000002"):
        (tmp_path / run_id).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("just show l", ["last"]),
        ("just verify last f", ["ffff2c3d-0000-4000-8000-000000000002"]),
        ("just veri", ["verify"]),
    ],
)
def test_bash_completes_recipes_and_run_ids(typed: str, offered: list[str], results: Path, run: Any) -> None:
    ask = f"""
eval "$(scripts/utils/completion.sh bash)"
COMP_WORDS=({typed}) COMP_LINE="{typed}" COMP_POINT={len(typed)} COMP_TYPE=9
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_peak_trade just "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    answered = run("bash", "-c", ask, PEAK_RESULTS_DIR=str(results))
    assert answered.stdout.split() == offered


def test_bash_completes_run_ids_in_a_folder_below_the_justfile(tmp_path: Path, root: Path, run: Any) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "justfile").touch()
    (tmp_path / "results" / "0a1b2c3d-0000-4000-8000-000000000001").mkdir(parents=True)
    ask = f"""
eval "$({root}/scripts/utils/completion.sh bash)"
COMP_WORDS=(just show 0) COMP_CWORD=2
_peak_trade just 0 show
echo "${{COMPREPLY[@]}}"
"""
    answered = run("bash", "-c", ask, cwd=tmp_path / "docs" / "deep", PEAK_RESULTS_DIR="")
    assert answered.stdout == "0a1b2c3d-0000-4000-8000-000000000001\n"


def test_the_shell_to_complete_in_is_the_one_that_is_used(run: Any) -> None:
    named, used = run("scripts/utils/completion.sh", "fish"), run("scripts/utils/completion.sh", SHELL="/usr/bin/fish")
    assert named.returncode == 0
    assert used.stdout == named.stdout
    unnamed = run("scripts/utils/completion.sh", SHELL="")
    assert unnamed.returncode == 2
    assert unnamed.stderr == "error: no shell is named\nhint: known: bash, zsh, fish\n"


def test_an_unknown_shell_is_refused_with_the_known_ones(run: Any) -> None:
    refused = run("scripts/utils/completion.sh", "tcsh")
    assert refused.returncode == 2
    assert refused.stderr == "error: unknown shell `tcsh`\nhint: known: bash, zsh, fish\n"
