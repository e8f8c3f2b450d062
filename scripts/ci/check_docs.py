"""Check that the documents are true: every recipe, path and link that they name exists.

Looks at every Markdown file but the changelog, which also tells of what is gone: `just …` in code, paths in code,
and relative links with the heading that they point to.
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
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?[^)]*\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
DOCUMENTS = "README.md CONTRIBUTING.md SECURITY.md .github/*.md data/samples/*.md docs/**/*.md ops/**/*.md"
PLACES = "config|data/samples|docs|ops|reports|scripts|src|tests|\\.ci|\\.github"
PATH = re.compile(
    rf"(?<![\w/.-])((?:{PLACES})/[\w./*<>-]+|(?:justfile|constraints\.txt|pyproject\.toml|[A-Z]+\.md)(?![\w/]))"
)


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--root", type=Path, default=script.repo_root(), help="the checkout (default: this one)")
    root = parser.parse_args().root
    listed = subprocess.run(["just", "--summary"], capture_output=True, text=True, check=True, cwd=root)
    documents = [path for pattern in DOCUMENTS.split() for path in sorted(root.glob(pattern))]
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
        if "<" not in name and not any(any(base.glob(name.rstrip("/."))) for base in (root, document.parent)):
            yield f"{where}: no file `{name}`"
    for name, anchor in dict.fromkeys(LINK.findall(CODE.sub("", text))):
        target = document.parent / name if name else document
        if not target.exists():
            yield f"{where}: no file behind the link `{name}`"
        elif anchor and anchor not in anchors(target):
            yield f"{where}: no heading behind the link `{name}#{anchor}`"


def anchors(document: Path) -> set[str]:
    """Return what a link can point to in a document: its headings, as GitHub spells them in addresses."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(name for name in (plain, *(f"{plain}-{n}" for n in range(1, 100))) if name not in found))
    return found


if __name__ == "__main__":
    script.run(main)
