"""The verdicts on what a person names: runs of the results folder, directories elsewhere, archives and all in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence.archive import NoRoom
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.results import Results
from peak_trade.trust import handover, verify
from peak_trade.trust.handed import Package, package
from peak_trade.trust.proofs.check import NOBODY, Trusted
from peak_trade.trust.verdict import Verdict

__all__ = ["verdicts"]


def verdicts(
    names: Sequence[str] | None, results: Results, *, root: Path | None, trusted: Trusted = NOBODY
) -> Iterator[Verdict]:
    """Check the ledger and its runs (None: all of them), then what was handed over, one archive after the other.

    Raises InputError for a name that names nothing, before anything is checked but for what is in archives; an archive
    that is damaged or hostile is a verdict.
    """
    if names is None:
        yield from verify.verify_all(results, None, root=root, trusted=trusted)
        return
    with ExitStack() as stack:
        opened: list[tuple[str, Package | RunError]] = []
        for name in names:
            try:
                opened.append((name, stack.enter_context(package(name, results))))
            except RunError as error:
                opened.append((name, error))
        own = [one.run for _, found in opened if isinstance(found, Package) for one in found.runs if one.results]
        if own or not opened:
            yield from verify.verify_all(results, own, root=root, trusted=trusted)
        reading = _reading(results)
        for name, found in opened:
            yield from _of(name, found, reading, root, trusted)


def _of(
    name: str, found: Package | RunError, reading: Reading, root: Path | None, trusted: Trusted
) -> Iterator[Verdict]:
    """Check what one name means, but for runs of the results folder."""
    if isinstance(found, RunError):
        verdict = Verdict(Path(name).name, unreadable=isinstance(found, NoRoom))
        verdict.add(Path(name).name, "a whole archive of runs", found.message)
        yield verdict
        return
    if found.folder is not None:
        yield handover.check(Path(name).name, found)
    for one in found.runs:
        if one.results is None:
            yield verify.verify(one.run, reading, root=root, copy=True, data=one.data, trusted=trusted)


def _reading(results: Results) -> Reading:
    """Return the ledger that copies are looked for in; an empty one where it can't be read, which others tell."""
    try:
        return results.reading()
    except OSError:
        return Reading()
