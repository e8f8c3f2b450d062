"""The code of a run, below `code/` in its directory: where it lies, and what one name is for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peak_trade.evidence import door

__all__ = ["FOLDER", "there"]

FOLDER = "code"
_DEEPEST = 32  # folders in folders


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
