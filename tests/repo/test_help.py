"""A newcomer finds the way: one screen of recipes, help for each."""

from __future__ import annotations

import re
from typing import Any

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
    assert re.findall(r"^\$ (.*)", helped, re.MULTILINE) == ["just git-state", "just lint", "just golden", "just test"]


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
