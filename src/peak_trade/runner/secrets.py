"""Secrets that stand in code: texts given to what has the name of one. Those known by their form are in `redact`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from peak_trade.redact import is_secret_key, names_secret

if TYPE_CHECKING:
    import ast

__all__ = ["secrets"]

_SHORTEST = 6  # characters of a text that can be a secret, as elsewhere
_WRITTEN = re.compile(r"([\w.-]{1,80})[\"']?[ \t]*[=:][ \t]*[\"']?([^\s\"'()\[\]{},;]{6,400})")


def secrets(text: str) -> Iterator[str]:
    """Yield the texts in a module that are given to a name which looks like that of a secret.

    An assignment to such a name is none by itself: `token = next(stream)` is code.
    """
    if not names_secret(text):  # as most: parsing takes a hundred times as long
        return
    import ast

    tree = None
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse(text)
    for node in ast.walk(tree) if tree else ():
        beside = isinstance(node, ast.Call | ast.Tuple)  # two words may well stand beside each other
        for key, value in _pairs(node):
            if _is_secret(key):
                plain = isinstance(value, ast.Constant) and not beside  # else `"Bearer " + token` would be one
                with suppress(RecursionError):  # of a thousand texts put together
                    yield from [one for one in _texts(value) if len(one) >= _SHORTEST and (plain or _is_mixed(one))]
    for line in text.splitlines():  # of comments, code that was taken out, say
        _, sign, comment = line.partition("#")
        for match in _WRITTEN.finditer(comment if tree else line) if sign or not tree else ():
            if is_secret_key(match[1]) and _is_mixed(match[2]):
                yield match[2]


def _is_mixed(text: str) -> bool:
    """Tell whether there are letters and digits in a text, as in few words."""
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _pairs(node: ast.AST) -> Iterator[tuple[Any, ast.AST | None]]:
    """Yield what is a name, or stands as a key, with what it is given."""
    import ast

    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign):
        yield node.target, node.value
    elif isinstance(node, ast.keyword):
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        yield from zip(node.keys, node.values, strict=True)
    elif isinstance(node, ast.Call):  # os.getenv("API_KEY", "a default"), setattr(one, "api_key", "it")
        yield from pairwise(node.args)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[0], ast.Constant):
        yield node.elts[0], node.elts[1]
    elif isinstance(node, ast.arguments):
        named = [*node.posonlyargs, *node.args][-len(node.defaults) :] if node.defaults else []
        yield from ((arg.arg, value) for arg, value in zip(named, node.defaults, strict=True))
        yield from ((arg.arg, value) for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True))


def _texts(value: ast.AST | None) -> Iterator[str]:
    """Yield the texts that a value is, is put together from, or may be."""
    import ast

    match value:
        case ast.Constant(value=str() | bytes() as found):
            yield found if isinstance(found, str) else found.decode("latin-1")
        case ast.JoinedStr(values=parts):
            yield "".join(text for part in parts for text in _texts(part))
        case ast.BinOp(left=left, right=right):
            yield "".join([*_texts(left), *_texts(right)])
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _texts(part)
        case ast.IfExp(body=left, orelse=right):
            yield from _texts(left)
            yield from _texts(right)


def _is_secret(key: Any) -> bool:
    import ast

    match key:
        case str():
            return is_secret_key(key)
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return is_secret_key(name)
        case ast.Subscript(slice=inner):
            return _is_secret(inner)
    return False
