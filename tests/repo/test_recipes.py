"""The justfile is an index: each recipe says what it does and leaves the doing to a script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

GROUPS = [
    *("set up", "run", "data", "evidence", "tracking", "report", "lake", "telemetry"),
    *("check", "pull request", "maintain"),
]


def body(recipe: dict[str, Any]) -> list[str]:
    return ["".join(part if isinstance(part, str) else "{{}}" for part in line) for line in recipe["body"]]


def test_every_public_recipe_has_a_doc_line(recipes: dict[str, Any]) -> None:
    assert [name for name, recipe in recipes.items() if not recipe["doc"]] == []


def test_every_public_recipe_has_one_group_of_the_flow(recipes: dict[str, Any]) -> None:
    groups = {
        name: [entry["group"] for entry in recipe["attributes"] if "group" in entry] for name, recipe in recipes.items()
    }
    assert {name: found for name, found in groups.items() if len(found) != 1 or found[0] not in GROUPS} == {}


def test_recipes_stand_in_the_order_of_the_flow(recipes: dict[str, Any], run: Any) -> None:
    order = run("just", "--summary", "--unsorted").stdout.split()
    groups = [recipes[name]["attributes"][0]["group"] for name in order]
    assert groups == sorted(groups, key=GROUPS.index)


def test_no_recipe_is_longer_than_two_lines(justfile: dict[str, Any]) -> None:
    assert {name: recipe["body"] for name, recipe in justfile["recipes"].items() if len(recipe["body"]) > 2} == {}


def test_no_recipe_is_a_program_of_its_own(justfile: dict[str, Any]) -> None:
    assert [name for name, recipe in justfile["recipes"].items() if recipe["shebang"]] == []


def test_every_script_that_a_recipe_names_exists(justfile: dict[str, Any], root: Path) -> None:
    lines = [line for recipe in justfile["recipes"].values() for line in body(recipe)]
    lines += [str(assignment["value"]) for assignment in justfile["assignments"].values()]
    named = re.findall(r"scripts/[\w/.-]+", "\n".join(lines))
    assert len(named) > 5
    assert [name for name in named if not (root / name).is_file()] == []


def test_what_reads_one_run_needs_no_name_of_it(recipes: dict[str, Any]) -> None:
    required = {
        name: [parameter["name"] for parameter in recipes[name]["parameters"] if parameter["kind"] == "singular"]
        for name in ("show", "report", "trace", "verify")
    }
    assert required == {"show": [], "report": [], "trace": [], "verify": []}


def test_just_alone_lists_the_recipes(recipes: dict[str, Any], run: Any) -> None:
    listed = run("just")
    assert listed.returncode == 0
    assert [name for name in recipes if not re.search(rf"^    {name}\b", listed.stdout, re.MULTILINE)] == []


def test_report_last_passes_its_options_on(checkout: Path, run: Any, tmp_path: Path) -> None:
    refused = run(str(checkout / "scripts" / "utils" / "render_last_report.sh"), "--results-dir", str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no sealed run in ")
