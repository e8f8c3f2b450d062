"""A table of plain values as TOML text, which reads back as the same: Python reads TOML and can't write it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from peak_trade.errors import InputError

__all__ = ["dumps", "plain"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def plain(value: Any, key: str = "") -> Any:
    """Return a value as TOML has it: numbers of NumPy as Python's, paths as text, tuples as lists.

    Raises:
        InputError: the value, or one within it, is nothing that TOML can hold.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(inner, f"{key}.{name}" if key else str(name)) for name, inner in value.items()}
    if hasattr(value, "tolist"):  # a number or an array of NumPy: its floats are Python's too, and print otherwise
        return plain(value.tolist(), key)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(f"{key} is not UTF-8 text") from None
        return value
    if isinstance(value, bool | int | float | dt.datetime | dt.date | dt.time):
        return value
    if hasattr(value, "__fspath__"):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(inner, key) for inner in value]
    what = "None" if value is None else f"of type {type(value).__name__}"
    raise InputError(f"{key} is {what}, which a config can't hold", hint="leave the key out, or give a plain value")


def dumps(tree: Mapping[str, Any]) -> str:
    """Return a tree of plain values as TOML, values before tables.

    >>> print(dumps({"data": {"path": "a.csv", "columns": {"open": "O"}}, "strategy": {"params": {"fast": 3}}}))
    [data]
    path = "a.csv"
    columns = { open = "O" }
    <BLANKLINE>
    [strategy]
    params = { fast = 3 }
    <BLANKLINE>
    """
    values = [f"{_key(name)} = {_value(value)}\n" for name, value in tree.items() if not isinstance(value, Mapping)]
    tables = [
        f"[{_key(name)}]\n" + "".join(f"{_key(key)} = {_value(inner)}\n" for key, inner in value.items())
        for name, value in tree.items()
        if isinstance(value, Mapping)
    ]
    return "\n".join(["".join(values), *tables] if values else tables)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(part)}" for name, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")  # a JSON string is a TOML one
    return str(value.isoformat())
