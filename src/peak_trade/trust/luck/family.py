"""N, observed: every trial on the same data, whatever the strategy is called, by the ledger.

A trial counts where symbol, timeframe and the fingerprint of the bars are the same: sealed, failed, removed and those
under way, and those that other programs made and `just import-trials` brought in. A run that failed before its bars
were known by their fingerprint has symbol and timeframe, and counts by these. A result that was made twice was looked
at twice: it is two trials. Their ratios, though, are spread by what differs, so each result stands among them once.

Most engines are given bars without a symbol, and the fingerprint has it. Lines therefore have `unnamed` too, the
fingerprint of the same bars without: trials on bars that nobody named count with those on the same bars by their name.

The parent of a sweep counts each of its trials, also while it is under way, by the last line that says how many there
are, and where it is never sealed. A run that was kept of it is one of them, and counts no further.

The line of a recorded command says of each series how many trials its engine made on it, and how their ratios spread:
they count for those series, and the run, which is one of them, no further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from peak_trade.errors import RunError
from peak_trade.evidence.ledger import FAILED, REMOVED, SEALED, Entry, History, Reading
from peak_trade.evidence.manifest import IMPORTED, RECORDED, SWEPT
from peak_trade.evidence.results import Results

__all__ = [
    "Engine",
    "Families",
    "Family",
    "Imported",
    "Moments",
    "Series",
    "brought_in",
    "engines_of",
    "families",
    "family_of",
    "family_of_run",
    "is_of_others",
    "is_within",
    "read_ledger",
    "series_of",
]

EVENT = "trials"
_LARGEST = 1e6  # of a Sharpe ratio a year: beyond it, it is none, and its square no number


class Series(Struct, frozen=True, order=True):
    """What trials are made on: what trials of one family share. `data` is the fingerprint, empty where nobody knows."""

    symbol: str
    timeframe: str
    data: str = ""

    @property
    def any_bars(self) -> Series:
        """The same symbol and timeframe, whatever the bars."""
        return Series(self.symbol, self.timeframe)


class Moments(Struct, frozen=True):
    """Sharpe ratios a year that are known by their count, mean and variance (ddof = 0) alone."""

    count: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    mean: Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)] = 0.0
    variance: Annotated[float, Meta(ge=0.0, le=_LARGEST**2)] = 0.0


class Imported(Struct, frozen=True):
    """Trials that another program made: which kind, whence, how many, how many of them failed, and their ratios."""

    kind: str
    origin: str
    digest: str
    count: Annotated[int, Meta(ge=0, le=1 << 53)]
    failed: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    ratios: Moments = Moments()


class Engine(Struct, frozen=True):
    """Trials on one series that an engine made in one recorded command, or that one imported file tells of."""

    symbol: str = ""
    timeframe: str = ""
    data: str = ""
    count: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    failed: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    results: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    ratios: Moments = Moments()
    unnamed: str = ""
    best: Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)] | None = None

    @property
    def series(self) -> Series:
        """What they were made on."""
        return Series(self.symbol, self.timeframe, self.data)


class Family(Struct, frozen=True):
    """The trials on one series, as the ledger tells of them up to its `line`.

    `removed` are among `sealed` and `failed`; `ratios` are the Sharpe ratios a year of the different results; `wider`
    counts the trials on the same symbol and timeframe, whatever the bars. `broken` is the line at which the ledger is
    not whole, 0 where it is: who has changed it can have taken trials out. `run_ids` are those of the sealed runs.
    `sweeps` are the trials of parents and `engines` those of other engines, run by run, `spreads` the ratios of those
    that differ; `alone` says that only those of one run are here, since nothing tells which others were made on the
    same. `parents` are the run_ids of sweeps.
    """

    series: Series
    sealed: int = 0
    failed: int = 0
    unfinished: int = 0
    removed: int = 0
    imported: tuple[Imported, ...] = ()
    ratios: tuple[float, ...] = ()
    results: int = 0
    wider: int = 0
    line: int = 0
    broken: int = 0
    run_ids: tuple[str, ...] = ()
    sweeps: tuple[Engine, ...] = ()
    engines: tuple[Engine, ...] = ()
    spreads: tuple[Moments, ...] = ()
    alone: bool = False
    parents: tuple[str, ...] = ()

    @property
    def recorded(self) -> int:
        """How many trials other engines have made, in recorded commands and imported results."""
        return sum(one.count for one in self.engines)

    @property
    def swept(self) -> int:
        """How many trials sweeps have made."""
        return sum(one.count for one in self.sweeps)

    @property
    def elsewhere(self) -> int:
        """How many trials other programs have made."""
        return sum(one.count for one in self.imported)

    @property
    def trials(self) -> int:
        """N: all of them."""
        return self.sealed + self.failed + self.unfinished + self.swept + self.recorded + self.elsewhere

    @property
    def moments(self) -> Moments:
        """Count, mean and variance of all Sharpe ratios a year that are known."""
        own = Moments(len(self.ratios), *_spread(self.ratios))
        return _together([own, *self.spreads, *(one.ratios for one in self.imported)])

    @property
    def best(self) -> float | None:
        """The highest Sharpe ratio a year that is known of one trial; what other programs made has none."""
        others = (*self.sweeps, *self.engines)
        known = [*self.ratios, *(one.best for one in others if one.best is not None)]
        return max(known, default=None)

    @property
    def variance(self) -> float | None:
        """The variance (ddof = 1) of the trials' Sharpe ratios a year; None of fewer than two."""
        known = self.moments
        return known.variance * known.count / (known.count - 1) if known.count > 1 else None

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return msgspec.structs.asdict(self.series) | {
            "trials": self.trials,
            "results": self.results,
            "sealed": self.sealed,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "removed": self.removed,
            "sweeps": {"trials": self.swept, "failed": sum(one.failed for one in self.sweeps)},
            "engines": {"trials": self.recorded, "failed": sum(one.failed for one in self.engines)},
            "alone": self.alone,
            "imported": [msgspec.to_builtins(one) for one in self.imported],
            "trials_on_any_bars": self.wider,
            "ledger_line": self.line,
            "ledger_broken_at": self.broken or None,
        }


def _spread(ratios: Iterable[float]) -> tuple[float, float]:
    values = list(ratios)
    if not values:
        return 0.0, 0.0
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / len(values)


def _together(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all parts as one."""
    parts = [part for part in parts if part.count]
    count = sum(part.count for part in parts)
    if not count:
        return Moments()
    mean = math.fsum(part.count * part.mean for part in parts) / count
    squares = math.fsum(part.count * (part.variance + (part.mean - mean) ** 2) for part in parts)
    return Moments(count, mean, squares / count)


def read_ledger(results: Results) -> Reading:
    """Return the ledger as it is now; RunError where it can't be read."""
    try:
        return results.reading()
    except OSError as error:
        raise RunError(f"ledger.jsonl: {error.strerror}", hint="check the folder and the disk") from None


def series_of(history: History) -> Series:
    """Return what a run was made on, as the ledger tells it."""
    told = history.fields
    return Series(*(str(told.get(key) or "") for key in ("symbol", "timeframe", "data")))


def brought_in(reading: Reading) -> Iterator[tuple[Series, Imported]]:
    """Yield what was brought in from elsewhere: of each origin once, as it was when it had most trials."""
    most: dict[tuple[Series, str, str], Imported] = {}
    for entry in reading.entries:
        if entry.event == EVENT and (found := _imported(entry)):
            key = series_of(History(start=entry)), found.kind, found.digest
            if key not in most or found.count >= most[key].count:
                most[key] = found
    yield from ((key[0], one) for key, one in most.items())


def _imported(entry: Entry) -> Imported | None:
    """Return what a line says of trials elsewhere; None where it says nothing that they could be."""
    try:
        found = msgspec.convert(entry.fields, Imported)
    except (msgspec.ValidationError, RecursionError):
        return None
    known = found.ratios
    fits = found.failed <= found.count and known.count <= found.count
    return found if fits and all(map(math.isfinite, (known.mean, known.variance))) else None


def engines_of(history: History) -> tuple[Engine, ...]:
    """Return the trials of other engines that a run's end tells of; none of a run that made one of its own.

    Where it names fewer on their series than there were, the rest count for the run's own.
    """
    told = history.tried
    count = told.get("trials")
    if type(count) is not int or not 0 <= count <= 1 << 53:
        return ()
    try:
        found = msgspec.convert(told.get("trials_on", []), list[Engine])
    except (msgspec.ValidationError, RecursionError):
        found = []
    found = [one for one in found if _is_whole(one)]
    if (rest := count - sum(one.count for one in found)) > 0:
        found.append(Engine(**msgspec.structs.asdict(series_of(history)), count=rest))
    return tuple(found)


def is_within(history: History, runs: Mapping[str, History]) -> bool:
    """Tell whether a run is one of the trials of a parent that the ledger has, by which it is counted."""
    parent = runs.get(str(history.fields.get("parent") or ""))
    return parent is not None and _is_parent(parent) and bool(engines_of(parent))


def _is_parent(history: History) -> bool:
    """Tell whether a line, the end or one that says how far it is, calls a run the parent of a sweep."""
    return SWEPT in (history.fields.get("kind"), history.tried.get("kind"))


def is_of_others(history: History) -> bool:
    """Tell whether another engine made a run: what it was made on is what the ledger has, as far as anybody saw it."""
    return bool(engines_of(history)) or history.fields.get("kind") in (RECORDED, IMPORTED)


def _is_whole(one: Engine) -> bool:
    known = one.ratios
    finite = all(map(math.isfinite, (known.mean, known.variance)))
    return finite and one.failed <= one.count and known.count <= one.results <= one.count


def _ratio(value: Any) -> float | None:
    """Return a Sharpe ratio that the ledger has; None for what is none."""
    return float(value) if isinstance(value, int | float) and abs(value) < _LARGEST else None


class Families:
    """All families of a ledger, read once: each is asked for by its series."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._runs: dict[Series, list[tuple[str, History, str]]] = {}  # on the same bars, and whatever the bars
        self._unknown: dict[Series, list[tuple[str, History, str]]] = {}
        self._engines: dict[Series, list[tuple[str, History, Engine]]] = {}
        self._kept: dict[Series, list[tuple[str, History]]] = {}  # of sweeps' trials
        self._imported: dict[Series, list[Imported]] = {}
        self._recorded: dict[str, tuple[Engine, ...]] = {}
        runs = reading.runs
        read = [(run_id, one, series_of(one), engines_of(one)) for run_id, one in runs.items()]
        self._names = _names((history, made, engines) for _, history, made, engines in read)
        for run_id, history, made, engines in read:
            if is_within(history, runs):
                for series in self._shared(made):
                    self._kept.setdefault(series, []).append((run_id, history))
                continue
            state = "" if history.end is None else SEALED if history.end.event == SEALED else FAILED
            if engines:
                self._recorded[run_id] = engines
                for one in engines:
                    for series in self._shared(one.series):
                        self._engines.setdefault(series, []).append((run_id, history, one))
                continue
            for series in self._shared(made):
                self._runs.setdefault(series, []).append((run_id, history, state))
            if not made.data and state != SEALED:  # it failed before its bars were known
                self._unknown.setdefault(made, []).append((run_id, history, state))
        for made, batch in brought_in(reading):
            for series in self._shared(made):
                self._imported.setdefault(series, []).append(batch)

    def _shared(self, made: Series) -> set[Series]:
        """Return every series that trials on this one count for: by each name of the bars, and whatever the bars."""
        same = {made} | self._names.get(made, set())
        return same | {one.any_bars for one in same}

    def of(self, series: Series) -> Family:
        """Return the family of a series, by its name where only others have named its bars.

        Without its fingerprint, it is that of the symbol and timeframe alone.
        """
        series = min(self._names.get(series, {series}))
        members = list(self._runs.get(series, ()))
        if series.data:
            members += self._unknown.get(series.any_bars, ())
        engines = list(self._engines.get(series, ()))
        if series.data:  # nobody saw the bars of the others: they may be these
            engines += [one for one in self._engines.get(series.any_bars, ()) if not one[2].data]
        return self._family(series, members, engines)

    def of_run(self, run_id: str, series: Series) -> Family:
        """Return the family of a run; where nothing tells what it was made on, its own trials alone."""
        if series.data or series.symbol:
            return self.of(series)
        history = self._reading.of(run_id)
        own = [(run_id, history, one) for one in self._recorded.get(run_id, (Engine(count=1),))]
        return msgspec.structs.replace(self._family(series, [], own), alone=True)

    def _family(
        self,
        series: Series,
        members: list[tuple[str, History, str]],
        engines: list[tuple[str, History, Engine]],
    ) -> Family:
        counts = dict.fromkeys((SEALED, FAILED, ""), 0)
        results: dict[tuple[Any, ...], float | None] = {}
        removed = 0
        run_ids: list[str] = []
        for run_id, history, state in members:
            counts[state] += 1
            removed += history.state == REMOVED
            if state == SEALED:
                told = history.fields
                result = tuple(told.get(key) for key in ("total_return", "sharpe", "max_drawdown", "trades"))
                results[result] = _ratio(told.get("sharpe"))
                run_ids.append(run_id)
        for run_id, history, one in engines:
            removed += one.count if history.state == REMOVED else 0
            if history.end is not None and history.end.event == SEALED and one.series == series_of(history):
                run_ids.append(run_id)
        run_ids += [one for one, history in self._kept.get(series, ()) if history.end and history.end.event == SEALED]
        spreads = {(one.results, one.ratios): one for _, _, one in engines}  # a command that was recorded twice
        reading, everywhere = self._reading, series.any_bars if series.symbol else series
        wider = len(self._runs.get(everywhere, ())) + sum(one.count for one in self._imported.get(everywhere, ()))
        wider += sum(one.count for _, _, one in self._engines.get(everywhere, ()))
        return Family(
            series, counts[SEALED], counts[FAILED], counts[""], removed, tuple(self._imported.get(series, ())),
            tuple(ratio for ratio in results.values() if ratio is not None),
            len(results) + sum(one.results for one in spreads.values()),
            wider, len(reading.entries), reading.broken[0][0] if reading.broken else 0, tuple(run_ids),
            tuple(one for _, history, one in engines if _is_parent(history)),
            tuple(one for _, history, one in engines if not _is_parent(history)),
            tuple(one.ratios for one in spreads.values()),
            parents=tuple(dict.fromkeys(run_id for run_id, history, _ in engines if _is_parent(history))),
        )  # fmt: skip

    def every(self) -> list[Family]:
        """Return every family that has a fingerprint, or whose bars were not seen in an engine, most trials first."""
        unseen = {one.series for made in self._recorded.values() for one in made if one.symbol and not one.data}
        keys = self._runs.keys() | self._imported.keys() | self._engines.keys()
        known = sorted({series for series in keys - self._names.keys() if series.data} | unseen)
        return sorted((self.of(series) for series in known), key=lambda family: -family.trials)


def _names(read: Iterable[tuple[History, Series, tuple[Engine, ...]]]) -> dict[Series, set[Series]]:
    """Return by which names the ledger knows bars that nobody named."""
    found: dict[Series, set[Series]] = {}
    for history, made, engines in read:
        told = history.end.fields.get("unnamed") if history.end else None
        named: list[tuple[Series, Any]] = [(one.series, one.unnamed) for one in engines]
        for series, unnamed in named or [(made, told)]:
            if isinstance(unnamed, str) and unnamed and series.symbol and series.data:
                found.setdefault(Series("", series.timeframe, unnamed), set()).add(series)
    return found


def family_of(reading: Reading, series: Series) -> Family:
    """Return the family of one series, as `Families.of` does."""
    return Families(reading).of(series)


def family_of_run(reading: Reading, run_id: str, series: Series) -> Family:
    """Return the family of a run that was made on a series, as `Families.of_run` does."""
    return Families(reading).of_run(run_id, series)


def families(reading: Reading) -> list[Family]:
    """Return every family that has a fingerprint, most trials first."""
    return Families(reading).every()
