"""Bars that no run sees until somebody says so, for good: `[run] holdout`, and the ledger that remembers it.

Bars are held out from a time on, and that time stays: with new bars, or a shorter holdout, it would move on, and runs
would see what others were kept from. So it is the earliest that any run on the same symbol and timeframe has had, by
the ledger, until `just unseal-holdout` writes its line there; nothing is held out on that series from then on.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from peak_trade.config import Source, locate
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import holdouts
from peak_trade.evidence.results import Results
from peak_trade.market import ohlcv
from peak_trade.market.instants import MISSING, iso
from peak_trade.market.ranges import so_long_before

__all__ = ["withhold"]


def withhold(source: Source, root: Path, results: Path) -> tuple[Source, tuple[str, str] | None]:
    """Return a config whose bars end where its holdout begins, and what to say of it: an outcome and a sentence.

    Raises InputError where no bar would be left, RunError where the ledger can't be read.
    """
    data, asked = source.config.data, source.config.run.holdout
    if asked is UNSET:
        return source, None
    try:
        reading = Results(results).reading()
    except OSError as error:
        raise RunError(f"ledger.jsonl: {error.strerror}, and tells what is held out") from None
    known = holdouts.of(reading, data.symbol, data.timeframe)
    if known.unsealed:
        return source, ("unsealed", f"bars are held out no longer: unsealed at {known.unsealed.time}")
    paths = locate(data.path, source.bases(root))
    stamps = ohlcv.read_rows(paths, symbol=data.symbol, reading=data).table["timestamp"]
    stamps = stamps[stamps.view(np.int64) != MISSING]
    begins = iso(so_long_before(asked, stamps.max()))
    of_before = bool(known.begins) and np.datetime64(known.begins[:-1], "ns") < np.datetime64(begins[:-1], "ns")
    begins = known.begins if of_before else begins
    at = np.datetime64(begins.removesuffix("Z"), "ns")
    if not (stamps < at).any():
        since = f", and runs before have held out those from {begins} on" if of_before else ""
        raise InputError(
            f"run.holdout = {asked} leaves no bar: the bars run from {iso(stamps.min())} to {iso(stamps.max())}{since}",
            hint="take earlier bars, or let go of them for good: just unseal-holdout RUN"
            if of_before
            else "make it shorter, or take more data",
        )
    config = msgspec.structs.replace(source.config, data=msgspec.structs.replace(data, end=begins))
    unseen = int(np.count_nonzero(stamps >= at))
    said = f"{unseen:,} of {len(stamps):,} bars, from {begins} on, which no run sees until just unseal-holdout"
    return msgspec.structs.replace(source, config=config, held=begins), ("held out", said)
