"""Secrets stay out of artifacts: values whose key looks like a secret, and the passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MASK", "Redactor"]

MASK = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?:^|[^a-z0-9])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key"
    r"|credentials?|auth|authorization|bearer|dsn)(?:$|[^a-z0-9])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"""(?P<head>(?P<key>[\w.-]+)["']?\s*[=:]\s*)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,;#}\]"']+)""")
_SHORTEST = 4  # a shorter value may stand anywhere by chance: it is masked beside its key, not wherever it occurs


def is_secret_key(key: str) -> bool:
    """Say whether a key's name looks like that of a secret.

    >>> is_secret_key("MLFLOW_TRACKING_TOKEN"), is_secret_key("apiKey"), is_secret_key("max_tokens")
    (True, True, False)
    """
    return bool(_SECRET_KEY.search(_CAMEL.sub("_", key)))


class Redactor:
    """Masks what looks like a secret in trees and texts, and remembers the values so that they are masked anywhere."""

    def __init__(self, *trees: Any) -> None:
        self._values: set[str] = set()
        for tree in trees:
            self._collect(tree, secret=False)

    def _collect(self, tree: Any, *, secret: bool) -> None:
        if isinstance(tree, Mapping):
            for key, value in tree.items():
                self._collect(value, secret=secret or is_secret_key(str(key).rpartition(".")[2]))
        elif isinstance(tree, list | tuple):
            for value in tree:
                self._collect(value, secret=secret)
        elif secret and isinstance(tree, str) and len(tree) >= _SHORTEST:
            self._values.add(tree)

    def tree(self, tree: Any, *, secret: bool = False) -> Any:
        """Return a copy of a tree of dicts and lists in which every secret value is masked.

        >>> Redactor().tree({"tags": {"api_key": "k-123", "desk": "rates"}})
        {'tags': {'api_key': '[redacted]', 'desk': 'rates'}}
        """
        if isinstance(tree, Mapping):
            return {
                key: self.tree(value, secret=secret or is_secret_key(str(key).rpartition(".")[2]))
                for key, value in tree.items()
            }
        if isinstance(tree, list | tuple):
            return [self.tree(value, secret=secret) for value in tree]
        if secret and not isinstance(tree, bool) and tree is not None:
            return MASK
        return self.text(tree) if isinstance(tree, str) else tree

    def text(self, text: str) -> str:
        """Return `text` with known secret values, `secret_key = value` pairs and URL passwords masked.

        >>> Redactor().text('url = "postgresql://me:pw1@host/db"  api_token = "t-9"')
        'url = "postgresql://me:[redacted]@host/db"  api_token = "[redacted]"'
        """
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        text = _URL_PASSWORD.sub(lambda match: match["head"] + MASK, text)
        return _ASSIGNMENT.sub(_mask_pair, text)

    def argv(self, argv: Iterable[str]) -> list[str]:
        """Return the words of a command line, masked."""
        return [self.text(word) for word in argv]


def _mask_pair(match: re.Match[str]) -> str:
    if not is_secret_key(match["key"].rpartition(".")[2]) or match["value"] in ("true", "false", "None", "null"):
        return match[0]
    quote = match["value"][0] if match["value"][0] in "\"'" else ""
    if not quote and match.string[: match.start("value")].rstrip().endswith("=") and "\n" in match.string:
        quote = '"'  # a bare number in TOML becomes text, so that the file stays valid
    return f"{match['head']}{quote}{MASK}{quote}"
