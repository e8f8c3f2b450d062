"""The returns of a sweep's trials, as far as its parent keeps them: sums in parts of the bars, held by the seal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from peak_trade.errors import PeakError
from peak_trade.evidence import manifest, trials
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.trials import PARTS
from peak_trade.stats.luck import overfit
from peak_trade.stats.luck.overfit import Overfitting
from peak_trade.stats.values import Floats, NoValueError
from peak_trade.trust.luck.series import Gathered, read_manifest, read_sealed

__all__ = ["Sums", "of_family", "of_parent", "overfitting"]

Sums = dict[str, tuple[Floats, Floats]]
"""By the digest of its equity: the sums and the sums of squares of a result's returns, each of shape (PARTS,)."""


def of_parent(path: Path, sealed: manifest.Manifest, returns: int) -> Sums:
    """Return those of each different result of a parent over so many returns.

    Raises NoValueError where the parent has none, or can't be read.
    """
    name, beside = (trials.name_in(sealed.files, names) for names in (trials.NAMES, trials.BLOCKS))
    if not name or not beside:
        raise NoValueError("a sweep of so many trials keeps no sums of their returns")
    try:
        table = trials.read(name, read_sealed(path, sealed, name))
        sums, squares = trials.blocks(beside, read_sealed(path, sealed, beside), len(table))
    except ImportError:
        raise NoValueError("a sweep's trials are in Parquet: just setup lake") from None
    except PeakError as error:
        raise NoValueError(f"a sweep's trials can't be read: {error.message}") from None
    fits = ~table.failed & (table.of_stat("bars") == returns + 1) & (table.first_of_results() < 0)
    if (~table.failed & (table.of_stat("bars") != returns + 1)).any():
        raise NoValueError("the sweep's trials are of parts of the bars")
    if np.isnan(sums[fits]).any() or np.isnan(squares[fits]).any():
        raise NoValueError("too few bars to cut into blocks")
    return {table.equity_digest[at]: (sums[at], squares[at]) for at in np.flatnonzero(fits).tolist()}


def of_family(results: Path, reading: Reading, parents: Iterable[str], gathered: Gathered, returns: int) -> Sums:
    """Return those of all trials on the same bars: of parents, and of runs whose returns were `gathered`.

    Raises NoValueError where those of some are not there: overfitting is of all, or of none.
    """
    if gathered.missing or gathered.unfit or gathered.beyond:
        raise NoValueError("the returns of some trials are not here any more")
    found: Sums = {}
    for column, digest in enumerate(gathered.digests):
        found[digest] = _of(gathered.returns[:, column])
    for run_id in parents:
        try:
            sealed = read_manifest(results / run_id, reading.of(run_id).manifest)
        except PeakError:
            raise NoValueError("a sweep of these trials is not here, or not sealed") from None
        found |= of_parent(results / run_id, sealed, returns)
    return found


def _of(returns: Floats) -> tuple[Floats, Floats]:
    parts = np.array_split(returns, PARTS)
    return np.array([part.sum() for part in parts]), np.array([(part * part).sum() for part in parts])


def overfitting(sums: Mapping[str, tuple[Floats, Floats]], returns: int) -> Overfitting:
    """Return the probability of overfitting of results, by their sums; raises NoValueError as `overfit.of_sums`."""
    if len(sums) < 2:
        raise NoValueError("fewer than two trials with returns")
    counts = np.array([len(part) for part in np.array_split(np.arange(returns), PARTS)], np.float64)
    columns = list(sums.values())
    together, squares = (np.column_stack([one[at] for one in columns]) for at in (0, 1))
    return overfit.of_sums(together, squares, counts)
