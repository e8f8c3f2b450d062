"""The words of a command in which keys stand in braces: `python mine.py --fast {fast}`; `{{` where a brace is meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from peak_trade.errors import InputError, did_you_mean
from peak_trade.sweep.axes import PARAMS

__all__ = ["check", "filled", "shared"]

_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_EXAMPLE = "just sweep --grid fast=5:50:5 -- python mine.py --fast {fast}"


def check(words: Sequence[str], keys: Collection[str]) -> None:
    """Refuse a command whose placeholders are not the keys, each at least once: InputError."""
    if not words:
        raise InputError("there is no command after `--`", hint=_EXAMPLE)
    named = set().union(*(_named(word, keys) for word in words))
    if not named:
        raise InputError("the command has no placeholder, so that all trials would be the same", hint=_EXAMPLE)
    if missing := [name for name in map(_short, keys) if name not in named]:
        raise InputError(
            f"{missing[0]} is varied, and nothing in the command says so", hint=f"put {{{missing[0]}}} where it goes"
        )


def shared(patterns: Sequence[str], keys: Collection[str]) -> list[str]:
    """Return the patterns that do not name every key: trials would leave the same files. InputError as of `check`.

    >>> shared(["out/{fast}.csv", "out.csv"], ["strategy.params.fast"])
    ['out.csv']
    """
    return [pattern for pattern in patterns if len(_named(pattern, keys)) < len(keys)]


def filled(words: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Return the words with a value for each placeholder.

    >>> filled(["python", "mine.py", "--fast={fast}", "{{}}"], {"strategy.params.fast": 5})
    ['python', 'mine.py', '--fast=5', '{}']
    """
    texts = {_short(key): _text(value) for key, value in values.items()}

    def text(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else texts[found[1]]

    return [_MARK.sub(text, word) for word in words]


def _named(word: str, keys: Collection[str]) -> set[str]:
    """Return the placeholders of a word. InputError where one is no key, or a brace has no other."""
    named: set[str] = set()
    short = [_short(key) for key in keys]
    for found in _MARK.finditer(word):
        if found[0] in "{}":
            raise InputError(f"`{word}` has a brace without its other", hint="{{ and }} are braces of the command")
        if found[1] is not None:
            named.add(found[1])
    for name in sorted(named):
        if name not in short:
            raise InputError(f"`{{{name}}}` is none of the keys that are varied", hint=did_you_mean(name, short))
    return named


def _short(key: str) -> str:
    return key.removeprefix(PARAMS)


def _text(value: Any) -> str:
    """Return a value as it was typed: `true`, and not as Python has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
