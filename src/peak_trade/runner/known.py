"""What a run has worked out that the next one in this process need not, where what it follows from is the same."""

from __future__ import annotations

from typing import Any

from peak_trade.evidence.code import Code
from peak_trade.evidence.distributions import Imported
from peak_trade.redact import Redactor
from peak_trade.strategies.sources import Source

__all__ = ["KEPT", "Known"]

KEPT = 8
"""So many of what follows from texts: runs of one batch have one config, and a few files of code."""


class Known:
    """Kept by who makes many runs; a run alone has its own. Everything in it is found by all that it follows from."""

    def __init__(self) -> None:
        self.imported = Imported()
        self.captured: list[tuple[Any, tuple[Code, list[tuple[str, str]]]]] = []
        self.sources: dict[Any, list[Source]] = {}  # of strategies of this package
        self._masked: dict[tuple[bytes, frozenset[str]], bytes] = {}

    def masked(self, content: bytes, redactor: Redactor) -> bytes:
        """Return a config's file with the secrets masked that a redactor knows."""
        key = content, redactor.secrets
        if key not in self._masked:
            self._masked |= {key: redactor.toml(content)}
            if len(self._masked) > KEPT:
                del self._masked[next(iter(self._masked))]
        return self._masked[key]
