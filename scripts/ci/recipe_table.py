"""Print the table of recipes for README.md, as Markdown, from the justfile."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from peak_trade import script


def main() -> int:
    script.parser(__doc__).parse_args()
    sys.stdout.write(table())
    return 0


def table() -> str:
    """Return one row for each public recipe, in the order of the justfile."""
    rows = ["| stage | recipe | what it does |", "|---|---|---|"]
    stage_above = ""
    for recipe in recipes():
        stage = recipe["attributes"][0]["group"]
        rows.append(f"| {'' if stage == stage_above else stage} | `{usage(recipe)}` | {recipe['doc']} |")
        stage_above = stage
    return "\n".join(rows) + "\n"


def recipes() -> list[dict[str, Any]]:
    """Return the public recipes as `just` describes them, in the order of the justfile."""
    dump = json.loads(just("--dump", "--dump-format", "json"))
    return [dump["recipes"][name] for name in just("--summary", "--unsorted").split()]


def just(*args: str) -> str:
    return subprocess.run(["just", *args], capture_output=True, text=True, check=True, cwd=script.repo_root()).stdout


def usage(recipe: dict[str, Any]) -> str:
    """Return how the recipe is called: `show RUN [args…]`."""
    words = ["just", recipe["name"]]
    for parameter in recipe["parameters"]:
        name = parameter["name"].upper()
        if parameter["kind"] == "star":
            name = f"[{name}…]"
        elif parameter["default"] is not None:
            name = f"[{name}]"
        words.append(name)
    return " ".join(words)


if __name__ == "__main__":
    script.run(main)
