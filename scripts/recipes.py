"""Say what a recipe does and takes: its line in the justfile, what it runs, and the help of that.

Without a RECIPE, the list of all of them, as `just` alone prints it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

from peak_trade import script
from peak_trade.errors import InputError, did_you_mean

SCRIPT = re.compile(r"scripts/[\w/]+\.(?:py|sh)")


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="which recipe (default: the list of all)")
    name = parser.parse_args().recipe
    if name is None:
        script.show(just("--list", "--unsorted"), end="")
        return 0
    known = {recipe["name"]: recipe for recipe in recipes()}
    if name not in known:
        raise InputError(f"unknown recipe `{name}`", hint=did_you_mean(name, known))
    script.show(f"{usage(known[name])}\n{known[name]['doc']}")
    for needed in known[name]["dependencies"]:
        script.show(f"\n$ just {needed['recipe']}\n{known[needed['recipe']]['doc']}")
    for command in commands(known[name]):
        script.show(f"\n$ {command}")
        for path in SCRIPT.findall(command):
            script.show(help_of(path), end="")
    return 0


def recipes() -> list[dict[str, Any]]:
    """Return the public recipes as `just` describes them, in the order of the justfile."""
    dump = json.loads(just("--dump", "--dump-format", "json"))
    return [dump["recipes"][name] for name in just("--summary", "--unsorted").split()]


def usage(recipe: dict[str, Any]) -> str:
    """Return how the recipe is called: `just show RUN [ARGS…]`."""
    words = ["just", recipe["name"]]
    for parameter in recipe["parameters"]:
        name = parameter["name"].upper()
        if parameter["kind"] == "star":
            name = f"[{name}…]"
        elif parameter["default"] is not None:
            name = f"[{name}]"
        words.append(name)
    return " ".join(words)


def commands(recipe: dict[str, Any]) -> list[str]:
    """Return the lines of the recipe without what starts them in the environment."""
    lines = ("".join(part for part in line if isinstance(part, str)).strip() for line in recipe["body"])
    return [line.removeprefix("python ") for line in lines]


def help_of(path: str) -> str:
    """Return what a script answers to --help."""
    return answer(*([sys.executable] if path.endswith(".py") else []), path, "--help")


def table() -> str:
    """Return the README's table of recipes as Markdown."""
    rows = ["| stage | recipe | what it does |", "|---|---|---|"]
    stage_above = ""
    for recipe in recipes():
        stage = recipe["attributes"][0]["group"]
        rows.append(f"| {'' if stage == stage_above else stage} | `{usage(recipe)}` | {recipe['doc']} |")
        stage_above = stage
    return "\n".join(rows) + "\n"


def just(*args: str) -> str:
    return answer(os.environ.get("JUST", "just"), *args)


def answer(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=script.repo_root()).stdout


if __name__ == "__main__":
    script.run(main)
