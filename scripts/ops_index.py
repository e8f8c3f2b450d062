"""Print the index of docs/ops for its README.md, as Markdown: every page, then every log of a merge, newest first."""

from __future__ import annotations

import re
from pathlib import Path

from peak_trade import script

LOG = re.compile(r"PR_(\d+)_MERGE_LOG\.md")
NO_PROSE = re.compile(r"<!--.*?-->|^```.*?^```|^[#|].*?$", re.DOTALL | re.MULTILINE)


def main() -> int:
    script.parser(__doc__).parse_args()
    script.show(index(script.repo_root() / "docs" / "ops"), end="", exact=True)
    return 0


def index(folder: Path) -> str:
    """Return a line for each document of `folder` but its README: its title, and the first sentence of a page."""
    files = [path for path in sorted(folder.glob("*.md")) if path.name != "README.md"]
    logs = {path: int(match[1]) for path in files if (match := LOG.fullmatch(path.name))}
    pages = [f"- [{title(path)}]({path.name}): {first_sentence(path)}" for path in files if path not in logs]
    merges = [f"- [{title(path)}]({path.name})" for path in sorted(logs, key=lambda path: -logs[path])]
    return "\n".join([*pages, "", "## Merges", "", *(merges or ["None has a log yet."])]) + "\n"


def title(path: Path) -> str:
    found = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else path.stem


def first_sentence(path: Path) -> str:
    prose = NO_PROSE.sub("", path.read_text(encoding="utf-8")).strip()
    return prose.partition("\n")[0]


if __name__ == "__main__":
    script.run(main)
