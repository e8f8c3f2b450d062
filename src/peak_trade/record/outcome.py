"""What came of a recorded command: the trials that were seen, and the one of them that is the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peak_trade.evidence import manifest
from peak_trade.record import picking, sealing, table, trials
from peak_trade.record.asked import Order
from peak_trade.record.command import SPOOL
from peak_trade.record.picking import Outcome
from peak_trade.record.result import Result
from peak_trade.runner.making import Making
from peak_trade.text import as_utf8

__all__ = ["write"]


def write(making: Making, order: Order, settings: Mapping[str, Any], *, failed: bool) -> Outcome:
    """Write what the trials that processes have noted come to.

    What a command that `failed` said of a result is none of a run that came to its end: its trials count all the same.
    """
    directory = making.directory
    noted = trials.results(directory.path / SPOOL, lambda text: making.warn("observer", "unread", text))
    chosen, index = picking.pick(making, noted, order)
    if failed:
        chosen = index = None
    sealed = sealing.write(directory, chosen, kind=manifest.RECORDED, settings=settings, masked=making.redactor.tree)
    for receipt in sealed.receipts:
        making.warn(receipt["part"], receipt["outcome"], receipt["reason"])
    told = table.write_trials(directory, noted, chosen=index)
    if told.skipped:
        making.skip("trials.parquet", told.skipped)
    engines = _engines(noted)
    return Outcome(
        sealed.status,
        sealed.results | {"trials": told.facts.get("trials", 0)} | ({"seen": engines} if engines else {}),
        ({"engine": engines} if engines else {}) | sealed.facts | told.facts,
        sealed.dependencies,
        dict(chosen.params) if chosen else {},
    )


def _engines(noted: Sequence[Result]) -> str:
    """Return the engines that were seen, as a list shows them: also where none came to a result that is the run."""
    names = dict.fromkeys(" ".join(filter(None, (as_utf8(one.engine), as_utf8(one.version)))) for one in noted)
    return ", ".join(list(names)[:3])
