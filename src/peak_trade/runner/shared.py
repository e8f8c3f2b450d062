"""What runs over the same bars share: worked out once, however many they are."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from peak_trade.market import fingerprint, ohlcv
from peak_trade.runner.outcome import Prepared

__all__ = ["Shared"]


class Shared:
    """Bars that nobody can write to, and what is told of them; of a run alone, its own.

    A strategy that wrote into them would change what its own evidence is made from, and that of the others.
    """

    def __init__(self, loaded: ohlcv.Loaded) -> None:
        self.loaded, self.bars = loaded, loaded.bars.freeze()
        self.prepared = Prepared(self.bars)

    @cached_property
    def marks(self) -> dict[str, Any]:
        """The fingerprint; asked for before any user's code runs."""
        return fingerprint.fingerprint(self.bars)

    @cached_property
    def unnamed(self) -> str:
        """The digest of the bars without their symbol."""
        return fingerprint.unnamed(self.bars)
