"""What runs over the same bars share: worked out once, however many they are."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from peak_trade.config import Config, Execution
from peak_trade.evidence import benchmark, tables
from peak_trade.market import fingerprint, ohlcv
from peak_trade.market.bars import COLUMNS, Floats
from peak_trade.runner.known import Known
from peak_trade.runner.outcome import Prepared

__all__ = ["Shared"]

_FEW = 1 << 18  # bars that are copied


class Shared:
    """Bars that nobody can write to, and what is told of them; of a run alone, its own.

    A strategy that wrote into them would change what its own evidence is made from, and that of the others.
    """

    def __init__(self, loaded: ohlcv.Loaded, *, many: bool = True) -> None:
        """`many`: copies of the bars are kept, to see that they are not changed in a tenth of the time of a digest."""
        self._many, self._copies = many, dict[str, bytes]()
        self.loaded, self.bars = loaded, loaded.bars.freeze()
        self.prepared, self.known = Prepared(self.bars), Known()
        self._benchmark: tuple[Execution, bytes] | None = None

    @cached_property
    def stamps(self) -> tables.Stamps:
        """The times of the bars as equity.csv has them."""
        return tables.Stamps(self.bars.timestamp)

    def benchmark_csv(self, config: Config, equity: Floats) -> bytes:
        """Return the content of benchmark.csv, whose `equity` (shape (N,)) is that of the config."""
        if self._benchmark is None or self._benchmark[0] != config.execution:
            at, bars = benchmark.rows(self.bars.timestamp), self.bars
            thinned = {"timestamp": bars.timestamp[at], "close": bars.close[at], "equity": equity[at]}
            self._benchmark = config.execution, b"".join(tables.series_csv(thinned))
        return self._benchmark[1]

    @cached_property
    def marks(self) -> dict[str, Any]:
        """The fingerprint; asked for before any user's code runs."""
        if self._many and len(self.bars) <= _FEW:
            self._copies = {name: getattr(self.bars, name).tobytes() for name in COLUMNS}
        return fingerprint.fingerprint(self.bars)

    @property
    def changed(self) -> bool:
        """Whether somebody has written into the bars since they were asked for their fingerprint, by whatever way."""
        if self._copies:
            return any(getattr(self.bars, name).tobytes() != copy for name, copy in self._copies.items())
        return bool(fingerprint.digest(self.bars) != self.marks["digest"])

    @cached_property
    def unnamed(self) -> str:
        """The digest of the bars without their symbol."""
        return fingerprint.unnamed(self.bars)
