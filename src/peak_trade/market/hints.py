"""Hints that name keys of `[data]`: written by one function and read back by another, so that a hint can be followed.

Every hint about data that names a key is made by `under_data`; a test follows them: it parses the hint, sets the keys
and loads again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from peak_trade import toml

__all__ = ["parse", "under_data"]

_KEYS = re.compile(r"`(?=\w+ = )(.+?)`(?=$|,| or | and )")


def under_data(*choices: Mapping[str, Any], lead: str = "") -> str:
    """Return a hint that says what to write under `[data]`: one or more choices, each a mapping of keys to values.

    >>> under_data({"date_format": "%m/%d/%Y"}, {"date_format": "%d/%m/%Y"}, lead="say which comes first")
    'say which comes first, under [data]: `date_format = "%m/%d/%Y"` or `date_format = "%d/%m/%Y"`'
    """
    shown = " or ".join(" and ".join(f"`{_line(key, value)}`" for key, value in keys.items()) for keys in choices)
    return f"{lead}, under [data]: {shown}" if lead else f"under [data]: {shown}"


def parse(hint: str) -> list[str]:
    """Return the choices of a hint of `under_data`, each as lines of TOML; none where it names no key.

    >>> parse("under [data]: `sort = true` and `start = \\"2020-01-01\\"` or `sort = false`")
    ['sort = true\\nstart = "2020-01-01"', 'sort = false']
    """
    choices: list[str] = []
    end = 0
    for found in _KEYS.finditer(hint):
        if hint[end : found.start()].strip() == "and":
            choices[-1] += f"\n{found[1]}"
        else:
            choices.append(found[1])
        end = found.end()
    return choices


def _line(key: str, value: Any) -> str:
    return (
        toml.dumps({key: value} if not isinstance(value, Mapping) else {"": {key: value}})
        .strip()
        .split("\n")[-1]
        .replace("`", "\\u0060")
    )
