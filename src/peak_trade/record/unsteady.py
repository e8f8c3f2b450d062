"""What in a command's own code gives another answer each time: the clock, and random numbers without a seed.

No event tells when the clock is read or a number drawn, so this is what the code names, by line: whether a result
depends on it can't be seen. Code that is installed is not looked at.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress

__all__ = ["unsteady"]

_CLOCK = {
    "time": {"time", "time_ns"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "Timestamp": {"now", "utcnow", "today"},
}
_UNSEEDED = {"default_rng", "RandomState", "Random"}
"""What draws a seed of its own where it is called without one."""
_NEVER = {"os": {"urandom", "getrandom"}, "uuid": {"uuid1", "uuid4"}}
_NO_DRAW = {"seed", "default_rng", "RandomState", "Generator", "SeedSequence", "Random", "getstate", "setstate",
            "get_state", "set_state", "PCG64", "MT19937", "Philox", "SFC64", "BitGenerator"}  # fmt: skip
_MOST, _LONGEST = 20, 1 << 20


def unsteady(code: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Return `clock` and `random`, each with where and what: `file.py:12 time.time`.

    >>> unsteady({"a.py": b"import time, random\\nrandom.seed(1)\\nx = time.time() + random.random()\\n"})
    {'clock': ['a.py:3 time.time']}
    """
    calls = [
        (name, line, called, seeded)
        for name, content in sorted(code.items())
        if name.endswith((".py", ".pyw")) and len(content) <= _LONGEST
        for line, called, seeded in _calls(content)
    ]
    seeds = [called.split(".") for _, _, called, seeded in calls if seeded and called.endswith("random.seed")]
    numpy, plain = any(len(one) > 2 for one in seeds), any(len(one) == 2 for one in seeds)
    told: dict[str, list[str]] = {}
    for name, line, called, seeded in calls:
        kind = _kind(called, seeded, numpy=numpy, plain=plain)
        if kind and len(found := told.setdefault(kind, [])) < _MOST:
            found.append(f"{name}:{line} {called}")
    return told


def _kind(called: str, seeded: bool, *, numpy: bool, plain: bool) -> str:
    parts = called.split(".")
    owner, last = (parts[-2] if len(parts) > 1 else ""), parts[-1]
    if last in _CLOCK.get(owner, ()):
        return "clock"
    if (last in _UNSEEDED and not seeded) or last in _NEVER.get(owner, ()) or owner == "secrets":
        return "random"
    if last in ("SystemRandom", "uuid4"):
        return "random"
    if owner == "random" and last not in _NO_DRAW and last[:1].islower():
        return "" if (numpy if len(parts) > 2 else plain) else "random"
    return ""


def _calls(content: bytes) -> Iterator[tuple[int, str, bool]]:
    """Yield the line, the dotted name and whether there are arguments, of each call."""
    tree = None
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse(content)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and (name := _dotted(node.func)):
            yield node.lineno, name, any(not _is_none(one) for one in [*node.args, *(k.value for k in node.keywords)])


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _dotted(node: ast.AST) -> str:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""
