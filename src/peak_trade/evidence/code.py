"""The code of a run, below `code/` in its directory: where it lies, and what one name is for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.evidence import door

__all__ = ["FOLDER", "Code", "there"]

FOLDER = "code"
_DEEPEST = 32  # folders in folders


class Code(Struct):
    """What was captured: files by their name below `code/`, the modules they were, and what is not there and why."""

    files: dict[str, bytes] = {}
    modules: dict[str, str] = {}
    left_out: list[dict[str, str]] = []
    repositories: list[dict[str, Any]] = []

    @property
    def digest(self) -> str:
        """The sha256 over all names and digests, also of what was left out: one figure for `the same code`."""
        known = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        known |= {one["file"]: one.get("sha256", "") for one in self.left_out}
        return hashlib.sha256("".join(f"{known[name]}  {name}\n" for name in sorted(known)).encode()).hexdigest()

    @property
    def left_out_names(self) -> set[str]:
        """The names of what was left out."""
        return {one["file"] for one in self.left_out}

    def dependency(self) -> dict[str, Any]:
        """Return the code as the manifest names it, among what the run was made from."""
        annotations = {
            "modules": self.modules,
            **({"leftOut": self.left_out} if self.left_out else {}),
            **({"repositories": self.repositories} if self.repositories else {}),
        }
        return {"name": FOLDER, "digest": {"sha256": self.digest}, "annotations": annotations}


def there(place: Path | int, folder: str = FOLDER) -> Iterator[str]:
    """Yield the names of all files below `code/`, as `code/pkg/module.py`; OSError where a folder can't be listed.

    Another `folder` may be asked for, such as `outputs`.

    What is no file of one name (a link, say) is left out, as what is nested deeper than code is.
    """
    folders = [folder]
    while folders:
        folder = folders.pop()
        for entry in door.entries(place, folder):
            name = f"{folder}/{entry.name}"
            if entry.is_file:
                yield name
            elif entry.kind == "a folder" and name.count("/") < _DEEPEST:
                folders.append(name)
