"""What runs over the same bars share: worked out once, however many they are."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from peak_trade.config import Config, Execution
from peak_trade.evidence import tables
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
        self.prepared, self.known = Prepared(self.bars, loaded.benchmark), Known()
        self._benchmark: tuple[tuple[Execution, str], bytes] | None = None

    @cached_property
    def stamps(self) -> tables.Stamps:
        """The times of the bars as equity.csv has them."""
        return tables.Stamps(self.bars.timestamp)

    def benchmark_csv(self, config: Config, equity: Floats) -> bytes:
        """Return the content of benchmark.csv, whose `equity` (shape (N,)) is that of the config."""
        key = config.execution, config.stats.benchmark
        if self._benchmark is None or self._benchmark[0] != key:
            self._benchmark = key, b"".join(tables.series_csv(self.prepared.benchmark_rows(config, equity)))
        return self._benchmark[1]

    @cached_property
    def marks(self) -> dict[str, Any]:
        """The fingerprint; asked for before any user's code runs."""
        if self._many and len(self.bars) <= _FEW:
            self._copies = {name: getattr(self.bars, name).tobytes() for name in COLUMNS}
        return fingerprint.fingerprint(self.bars)

    @cached_property
    def benchmark_marks(self) -> dict[str, Any]:
        """The fingerprint of the benchmark's bars, where it is a file; empty where there is none."""
        found = self.loaded.benchmark
        return fingerprint.fingerprint(found.bars) if found else {}

    @property
    def data(self) -> str:
        """What tells the bars from others, and a benchmark's with them."""
        digests = [self.marks["digest"], *([self.benchmark_marks["digest"]] if self.benchmark_marks else [])]
        return str(digests[0]) if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

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
