"""Check that the documents are true: every recipe, path and link that they name exists.

Looks at README.md, CONTRIBUTING.md and docs/: `just …` in code, paths in code, and relative links.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from peak_trade import script
from peak_trade.errors import RunError

CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COG = re.compile(r"<!--.*?-->", re.DOTALL)
RECIPE = re.compile(r"(?<![\w/.-])just ([a-z][\w-]*)")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
PLACES = "config|data/samples|docs|ops|reports|scripts|src|tests|\\.ci|\\.github"
PATH = re.compile(
    rf"(?<![\w/.-])((?:{PLACES})/[\w./*-]+|(?:justfile|constraints\.txt|pyproject\.toml|[A-Z]+\.md)(?![\w/]))"
)


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--root", type=Path, default=script.repo_root(), help="the checkout (default: this one)")
    root = parser.parse_args().root
    listed = subprocess.run(["just", "--summary"], capture_output=True, text=True, check=True, cwd=root)
    documents = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    found = [fault for path in documents if path.is_file() for fault in faults(path, root, listed.stdout.split())]
    for finding in found:
        script.note(finding)
    if found:
        raise RunError("documents name what does not exist", hint="correct the names, or add what is missing")
    return 0


def faults(document: Path, root: Path, recipes: list[str]) -> Iterator[str]:
    """Yield each name in one document that nothing answers to."""
    text = COG.sub("", document.read_text(encoding="utf-8"))
    where = document.relative_to(root)
    code = "\n".join(CODE.findall(text))
    for name in dict.fromkeys(RECIPE.findall(code)):
        if name not in recipes:
            yield f"{where}: no recipe `just {name}`"
    for name in dict.fromkeys(PATH.findall(code)):
        if not any(any(base.glob(name.rstrip("/."))) for base in (root, document.parent)):
            yield f"{where}: no file `{name}`"
    for name in dict.fromkeys(LINK.findall(CODE.sub("", text))):
        if not (document.parent / name).exists():
            yield f"{where}: no file behind the link `{name}`"


if __name__ == "__main__":
    script.run(main)
