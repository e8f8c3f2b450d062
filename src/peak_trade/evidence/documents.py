"""JSON of a run directory: decoded to a type, and plain, so that nothing in it surprises who reads on.

What a stranger wrote may decode and still stop a reader later: a whole number of 400 digits that no column, figure or
encoder takes, or objects within objects until a function that calls itself gives up. Nothing that is written here has
either, so a document that has is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from peak_trade.errors import RunError
from peak_trade.evidence import door

__all__ = ["check", "decode", "read"]

_DEEPEST = 32  # levels; a manifest has nine
_INT64 = 1 << 63
_T = TypeVar("_T")


@overload
def read(folder: Path, name: str) -> dict[str, Any]: ...
@overload
def read(folder: Path, name: str, kind: type[_T]) -> _T: ...
def read(folder: Path, name: str, kind: Any = dict[str, Any]) -> Any:
    """Return the document `name` of a run directory; RunError where it is missing, or anything else than a `kind`."""
    try:
        content = door.read(folder, name)
    except OSError as error:
        raise RunError(f"{name}: {error.strerror}") from None
    return decode(content, name, kind)


@overload
def decode(content: bytes, name: str) -> dict[str, Any]: ...
@overload
def decode(content: bytes, name: str, kind: type[_T]) -> _T: ...
def decode(content: bytes, name: str, kind: Any = dict[str, Any]) -> Any:
    """Decode the content of the document `name`; RunError where it is no JSON, none of a `kind`, or not plain."""
    try:
        document = msgspec.json.decode(content, type=kind)
        check(document)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and those of UTF-8, are ValueErrors
        raise RunError(f"{name}: {error}") from None
    return document


def check(document: object) -> None:
    """Raise ValueError where a decoded document is nested deeper than any of ours, or has a number beyond 64 bits.

    >>> check({"trades": [1, 2.5, None]})
    >>> check({"trades": [10**400]})
    Traceback (most recent call last):
        ...
    ValueError: a whole number of more than 64 bits
    """
    rest: list[tuple[Any, int]] = [(document, 0)]
    while rest:
        value, depth = rest.pop()
        if isinstance(value, dict):
            below: Any = value.values()
        elif isinstance(value, list | tuple):
            below = value
        elif isinstance(value, msgspec.Struct):
            below = [getattr(value, name) for name in value.__struct_fields__]
        else:
            if type(value) is int and not -_INT64 <= value < _INT64:
                raise ValueError("a whole number of more than 64 bits")
            continue
        if depth == _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} levels deep")
        rest += [(item, depth + 1) for item in below]
