"""Are the pins in step: constraints.txt pins each requirement of pyproject.toml at a version that its bound admits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["astray"]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def astray(root: Path) -> Iterator[str]:
    """Yield each requirement, of the core and of every extra, that the pins of `root` do not meet.

    A name may be pinned more than once, by Python version or platform; each of its versions must fit.
    Reads two files and asks nobody. Raises ImportError where `packaging` (extra dev) is missing.
    """
    from packaging.requirements import Requirement  # comes with the extra dev
    from packaging.utils import canonicalize_name

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned: dict[str, list[str]] = {}
    for match in _PIN.finditer((root / "constraints.txt").read_text(encoding="utf-8")):
        pinned.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    extras = project.get("optional-dependencies", {}).values()
    texts = [*project.get("dependencies", []), *(text for extra in extras for text in extra)]
    for text in dict.fromkeys(texts):
        asked = Requirement(text)
        name = canonicalize_name(asked.name)
        if name == canonicalize_name(project["name"]):
            continue  # an extra made of others
        if name not in pinned:
            yield f"{text} is not pinned"
        for version in pinned.get(name, []):
            if not asked.specifier.contains(version, prereleases=True):
                yield f"{text} is pinned at {version}"
