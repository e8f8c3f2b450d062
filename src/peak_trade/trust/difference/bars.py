"""The bars of a run where they still are: those that came along with it, or the file that it read."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from peak_trade.config import Data
from peak_trade.errors import PeakError
from peak_trade.evidence import door
from peak_trade.market import fingerprint
from peak_trade.market.bars import Bars
from peak_trade.trust.difference.sealed import Sealed

__all__ = ["bars_of"]

_WRONG = (PeakError, OSError, TypeError, ValueError, LookupError, AttributeError)  # whatever a stranger's manifest says


def bars_of(run: Sealed, root: Path, data: Path | None = None) -> Bars | None:
    """Return the bars of a run; None where they are not there any more.

    They are taken from the folder `data`, by their digest, where they came along, else looked for as the run found
    them, below `root`; they count only where they have the run's fingerprint.
    """
    return _came_along(run, data) or _found(run, root)


def _digest(run: Sealed) -> str:
    made_from = run.made.of("bars")
    return made_from.digest.get("sha256", "") if made_from else ""


def _came_along(run: Sealed, folder: Path | None) -> Bars | None:
    name = f"{_digest(run)}.bars"
    with suppress(*_WRONG):
        if folder is not None and door.exists(folder, name):
            content = door.read(folder, name, fingerprint.bytes_of(len(run.equity["timestamp"])))
            if hashlib.sha256(content).hexdigest() == _digest(run):
                return fingerprint.parse(content)
    return None


def _found(run: Sealed, root: Path) -> Bars | None:
    """Load the bars again; no calendar is asked for, as it makes no difference to them."""
    from peak_trade.market import ohlcv, promised  # only where bars are asked for: reading them takes much of ours

    with suppress(*_WRONG):
        made_from, data = run.made.of("bars"), msgspec.convert(run.config["data"], Data)
        folder = str(run.manifest.predicate.run_details.get("folder") or ".")
        files = made_from.about["files"] if made_from else []
        bars = ohlcv.load_bars(
            promised.find(data.path, [root / folder, root], files, run.path.parent),
            symbol=data.symbol,
            timeframe=data.timeframe,
            on_violation=data.on_violation,
            reading=data,
        ).bars
        return bars if fingerprint.digest(bars) == _digest(run) else None
    return None
