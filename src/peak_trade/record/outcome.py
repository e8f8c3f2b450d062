"""What came of a recorded command: the trials that were seen, and the one of them that is the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peak_trade.errors import PeakError
from peak_trade.evidence import manifest
from peak_trade.record import imported, picking, sealing, table, trials
from peak_trade.record.asked import Order
from peak_trade.record.command import SPOOL
from peak_trade.record.picking import Outcome
from peak_trade.record.result import Result
from peak_trade.runner.making import Making
from peak_trade.text import as_utf8

__all__ = ["write"]

FILES = "files"  # in place of an engine, where no more is known of who wrote what was collected


def write(
    making: Making, order: Order, settings: Mapping[str, Any], files: Sequence[str] = (), *, failed: bool
) -> Outcome:
    """Write what the trials that processes have noted come to, else what `files` of the run's directory say.

    What a command that `failed` said of a result is none of a run that came to its end: its trials count all the same.
    """
    directory = making.directory
    noted: list[Result] = []
    if order.engine != "off":
        noted = trials.results(directory.path / SPOOL, lambda text: making.warn("observer", "unread", text))
    if files:
        noted += _said(making, files, noted)
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


def _said(making: Making, files: Sequence[str], noted: Sequence[Result]) -> list[Result]:
    """Return what files say as one more trial, where no engine has said it, and they say something that is known."""
    if any(not one.error for one in noted):
        making.warn("collect", "kept", "an engine was seen, and what it said is the run: the files are only kept")
        return []
    try:
        result, understood = imported.result_of([making.directory.path / name for name in files])
    except PeakError as error:
        making.skip("collect", error.message)
        return []
    result.engine = result.engine or FILES
    for text in understood:
        making.warn("collect", "understood", text)
    return [result]


def _engines(noted: Sequence[Result]) -> str:
    """Return the engines that were seen, as a list shows them: also where none came to a result that is the run."""
    names = dict.fromkeys(" ".join(filter(None, (as_utf8(one.engine), as_utf8(one.version)))) for one in noted)
    return ", ".join(list(names)[:3])
