"""What a note of a process may be: a command can write anything into the folder where its processes note it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_note"]

_LONGEST = 8192  # characters of a text in a note: a path has at most 4,096 bytes


def _is_text(value: Any) -> bool:
    """Tell whether it may be a path: no more half characters than those that stand for bytes."""
    if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
        return False
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_state(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) in (0, 4) and all(map(_is_number, value)))


def _is_words(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_port(value: Any) -> bool:
    return value is None or _is_number(value) or _is_text(value)


_FIELDS = {
    "argv": _is_words, "words": _is_words, "state": _is_state, "pid": _is_number, "ppid": _is_number,
    "count": _is_number, "port": _is_port, "copy": lambda value: value is None or _is_text(value),
    **dict.fromkeys("path access to folder top module host what how program part reason blind".split(), _is_text),
}  # fmt: skip
_NEEDED = {
    "file": ("path", "access"), "move": ("to",), "source": ("path",), "package": ("folder", "top"),
    "below": ("module",),    "network": ("host",), "left_out": ("what", "count"), "warning": ("part", "reason"),
}  # fmt: skip


def is_note(kind: str, header: Mapping[str, Any]) -> bool:
    """Tell whether a frame's header says what one of its kind says.

    >>> is_note("below", {"module": "polars"}), is_note("below", {"module": ["polars"]}), is_note("below", {})
    (True, False, False)
    """
    return all(name in header for name in _NEEDED.get(kind, ())) and all(
        good(header[name]) for name, good in _FIELDS.items() if name in header
    )
