"""What a reader of the figures must be told about the bars: left out, kept in spite of it, missing or odd."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Finding"]


class Finding(Struct, frozen=True):
    """One thing to be said of the bars.

    `kind` is a word such as `dropped`, `gaps` or `unfinished`, `count` how many rows or bars, `text` the sentence that
    a person reads, and `rows` what it is about, a mapping of columns each.
    """

    kind: str
    count: int
    text: str
    rows: list[dict[str, Any]] = []
