"""`just import`: what files say that were made elsewhere, sealed as a run that is `imported`, not as one that ran.

    files ─▶ tables and documents ─▶ maps ─▶ results ─▶ START ─▶ files of the run, outputs/ ─▶ manifest ─▶ seal

Up to START nothing is written: a file that is no result of a known engine leaves no trace.
"""

from __future__ import annotations

import csv
import gc
import io
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import distributions, manifest, provenance
from peak_trade.evidence.ledger import now
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, warn_unfinished
from peak_trade.market.calendar import find_calendar
from peak_trade.market.timeframe import timeframe_seconds
from peak_trade.market.zones import find_zone
from peak_trade.record import sealing, sources
from peak_trade.record.documents import of_documents
from peak_trade.record.found import detect, unknown
from peak_trade.record.maps import TABLES
from peak_trade.record.merged import merged
from peak_trade.record.parts import Asked, Part, of_table
from peak_trade.record.result import Result
from peak_trade.record.sheets import LARGEST
from peak_trade.record.sources import Source
from peak_trade.redact import Redactor
from peak_trade.text import as_utf8, counted, escaped

__all__ = ["EXTRA", "Asked", "Imported", "Options", "import_files", "look", "options", "result_of"]

EXTRA = "trades_extra.csv"
"""The columns of a list of trades that have no place of their own, a row for each trade by its `trade_id`."""
_NAMED = 5


class Options(Struct, frozen=True):
    """What a person says of the files beside their names."""

    asked: Asked = Asked()
    name: str = ""
    tags: dict[str, str] = {}
    timeframe: str = ""
    calendar: str | None = None
    risk_free_rate: float = 0.0
    periods_per_year: float | None = None


class Imported(Struct):
    """What was sealed: where, what was understood of it, and the run that holds the very same files already."""

    path: Path
    engine: str
    understood: list[str]
    notes: list[str]
    again: str = ""

    def said(self) -> list[str]:
        """Return what a person should know, a sentence each."""
        same = [f"run {self.again[:8]} holds the very same already: this is another run of it"] if self.again else []
        return [*self.understood, *self.notes, *same]

    def to_json_object(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "run_id": self.path.name, "path": str(self.path), "status": manifest.IMPORTED, "engine": self.engine,
            "understood": self.understood, "notes": self.notes, "again": self.again or None,
        }  # fmt: skip


def options(*, tags: Sequence[str] = (), risk_free_rate: float = 0.0, initial_cash: float | None = None,
            timeframe: str | None = None, calendar: str | None = None, name: str | None = None,
            **asked: str | None) -> Options:  # fmt: skip
    """Return the options that were given, checked. InputError where one can't be."""
    pairs = [tag.partition("=") for tag in tags]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise InputError(f"--tag takes KEY=VALUE, not `{escaped(key, 60)}`", hint="--tag desk=rates")
    if initial_cash is not None and not (math.isfinite(initial_cash) and 0 < initial_cash < LARGEST):
        raise InputError(f"--initial-cash must be above 0, not {initial_cash:g}", hint="--initial-cash 10000")
    if not math.isfinite(risk_free_rate) or abs(risk_free_rate) > 1:
        raise InputError(f"--risk-free-rate is a fraction a year, not {risk_free_rate:g}", hint="--risk-free-rate 0.02")
    if timeframe:
        timeframe_seconds(timeframe)
    if calendar:
        find_calendar(calendar)
    if zone := asked.get("zone"):
        find_zone(zone)
    given = {key: as_utf8(value) for key, value in asked.items() if value}
    return Options(
        Asked(**given, initial_cash=initial_cash), as_utf8(name or ""),
        {as_utf8(key): as_utf8(value) for key, _, value in pairs}, timeframe or "", calendar, risk_free_rate,
    )  # fmt: skip


def look(
    paths: Sequence[Path], asked: Asked
) -> tuple[list[Source], list[Part], list[Result], Result, dict[str, list[str]]]:
    """Return files, what each says, the trials that they tell of, the run, and its trades' further columns.

    Nothing is written. InputError where they are not there, can't be read, or say nothing.
    """
    with _uncollected():
        read = [sources.read(path) for path in paths]
        _distinct(read)
        parts, trials = _parts(read, asked)
        return read, parts, trials, *merged(parts, asked)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep circles of objects for later: millions of cells are none, and looking for them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def import_files(
    paths: Sequence[Path], options: Options, *, results: Path, root: Path, run_id: str | None = None,
    argv: Sequence[str] = (),
) -> Imported:  # fmt: skip
    """Seal what files say as one run. InputError where they are not there, can't be read, or say nothing."""
    began, start = now(), time.perf_counter()
    run_id = new_run_id(run_id) if run_id else None
    read, parts, trials, chosen, extra = look(paths, options.asked)
    understood = [_understood(part) for part in parts if part.columns]
    again = _again(results, read)
    receipts = [
        {"part": part.file, "outcome": "understood", "reason": text}
        for part, text in zip((part for part in parts if part.columns), understood, strict=True)
    ]
    if again:
        receipts.append({"part": "import", "outcome": "again", "reason": f"run {again} holds the very same files"})
    directory = None
    try:
        warn_unfinished(Results(results))
        directory = RunDir.create(results, new_run_id(run_id), given=run_id is not None)
        told = {"kind": manifest.IMPORTED, "engine": chosen.engine, "name": options.name}
        follows = directory.begin(
            strategy=as_utf8(chosen.strategy), symbol=", ".join(chosen.symbols[:3]), timeframe=options.timeframe,
            **{key: as_utf8(value) for key, value in told.items() if value},
        )  # fmt: skip
        path = _seal(
            directory, read, parts, chosen, trials, extra, options, receipts, began, start, follows, argv, root
        )
        return Imported(path, chosen.engine, understood, list(chosen.notes), again)
    except OSError as error:
        if directory and not directory.noted:
            directory.abandon()
        raise RunError(
            f"cannot write to {results}: {error.strerror}",
            hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
        ) from None
    finally:
        if directory:
            directory.release()


def _seal(
    directory: RunDir, read: Sequence[Source], parts: Sequence[Part], chosen: Result, trials: Sequence[Result],
    extra: Mapping[str, Sequence[str]], options: Options, receipts: list[dict[str, Any]], began: str, start: float,
    follows: str, argv: Sequence[str], root: Path,
) -> Path:  # fmt: skip
    redactor, here = Redactor(), provenance.environment()
    timeframe = options.timeframe or next((part.timeframe for part in parts if _is_timeframe(part.timeframe)), "")
    maps = [{"file": part.file, "engine": part.engine, "edition": part.edition} for part in parts]
    settings = {
        "run": {"name": options.name or None, "tags": dict(options.tags)},
        "data": {"timeframe": timeframe, "calendar": options.calendar, "symbol": options.asked.symbol},
        "stats": {"risk_free_rate": options.risk_free_rate, "periods_per_year": options.periods_per_year},
        "import": {"files": [one.name for one in read], "maps": maps} | _given(options.asked),
    }
    sealed = sealing.write(directory, chosen, kind=manifest.IMPORTED, settings=settings, masked=redactor.tree)
    facts = sealed.facts
    if extra and chosen.trades is not None and len(chosen.trades):
        directory.write(EXTRA, _extra(extra))
    for one in read:
        directory.write(f"outputs/{one.name}", [one.content])
    if trials:
        from peak_trade.record.table import write_trials

        at = next((at for at, one in enumerate(trials) if one is chosen), None)
        table = write_trials(
            directory, trials, chosen=at, risk_free_rate=options.risk_free_rate,
            periods_per_year=options.periods_per_year,
        )  # fmt: skip
        facts |= table.facts
    milliseconds = round((time.perf_counter() - start) * 1e3, 3)
    predicate = manifest.Predicate(
        manifest.IMPORTED,
        redactor.tree({
            "buildType": manifest.BUILD_OF[manifest.IMPORTED],
            "externalParameters": {
                "config": directory.sealed["config_snapshot.toml"], "overrides": {}, "name": options.name or None,
                "params": chosen.params, "maps": maps, "options": _given(options.asked),
            },
            "internalParameters": {
                "environment": here | {"distributions": distributions.imported()}
            },
            "resolvedDependencies": [*sealed.dependencies, *_materials(read)],
        }),
        {
            "builder": {"id": "urn:peak-trade:importer", "version": {"peak_trade": here["peak_trade"]}},
            "metadata": {"invocationId": directory.run_id, "startedOn": began, "finishedOn": now()},
            "folder": redactor.text(as_utf8(os.getcwd())),
            "argv": redactor.argv(map(as_utf8, argv)),
            "host": os.uname().nodename,
            "milliseconds": {"import": milliseconds},
        },
        sealed.results | ({"own": chosen.own} if chosen.own else {}),
        [*redactor.tree([*receipts, *sealed.receipts]),
         {"part": "evidence", "outcome": "done", "ms": milliseconds, "bytes": directory.bytes}],
        {"follows": follows},
    )  # fmt: skip
    facts |= {"files": sorted(one.sha256 for one in read)}
    return directory.seal(predicate, "sealed", **facts)


def _is_timeframe(text: str) -> bool:
    try:
        return bool(text) and timeframe_seconds(text) > 0
    except InputError:
        return False


def _given(asked: Asked) -> dict[str, Any]:
    names = ("engine", "symbol", "strategy", "zone", "currency", "initial_cash")
    return {name: value for name in names if (value := getattr(asked, name)) not in ("", None)}


def _materials(read: Sequence[Source]) -> list[dict[str, Any]]:
    """Return the files as what the run was made from."""
    return [
        {
            "name": "import",
            "digest": {"sha256": one.sha256},
            "annotations": {"file": one.name, "bytes": len(one.content), "format": one.kind},
        }
        for one in read
    ]


def _extra(extra: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
    """Yield the further columns of trades, by the number that each has in the table of trades."""
    names = list(extra)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trade_id", *(name or "index" for name in names)])
    count = len(next(iter(extra.values())))
    writer.writerows(zip(range(1, count + 1), *extra.values(), strict=True))
    yield as_utf8(text.getvalue()).encode()


def _distinct(read: Sequence[Source]) -> None:
    """Refuse one file twice, and two of one name: each lies in outputs/ under its own."""
    for at, one in enumerate(read):
        for other in read[:at]:
            if one.sha256 == other.sha256:
                raise InputError(f"{one.name} and {other.name} are the same file", hint="name each once")
            if one.name.lower() == other.name.lower():
                raise InputError(f"two files are called {one.name}", hint="rename one of them")


def _parts(read: Sequence[Source], asked: Asked) -> tuple[list[Part], list[Result]]:
    """Return what each file says, and the trials that they tell of where there are several."""
    parts: list[Part] = []
    trials: list[Result] = []
    for source in read:
        if source.documents:
            said, made = of_documents(source, asked)
            parts += said
            trials += made
            continue
        fitting = [found for sheet in source.sheets if (found := detect(sheet, TABLES, asked.engine))]
        if not fitting:
            raise unknown(source.name, source.sheets, TABLES, asked.engine)
        particular = [found for found in fitting if found.map.marks] or fitting
        parts += [of_table(found, asked) for found in particular[:1]]
        if source.rows:
            from peak_trade.record.reports import told

            told(source.rows, parts[-1])
    return parts, trials


def _understood(part: Part) -> str:
    """Return how much of a file's columns was understood.

    >>> _understood(Part("trades.csv", "", "", columns=28, strange=["X"]))
    'trades.csv: understood 27 of 28 columns: `X` is kept as it is'
    """
    text = f"{part.file}: understood {part.columns - len(part.strange)} of {counted(part.columns, 'column')}"
    if not part.strange:
        return text
    names = ", ".join(f"`{escaped(name, 40)}`" for name in part.strange[:_NAMED])
    more = f" and {len(part.strange) - _NAMED} more" if len(part.strange) > _NAMED else ""
    return f"{text}: {names}{more} {'is kept as it is' if len(part.strange) == 1 else 'are kept as they are'}"


def _again(results: Path, read: Sequence[Source]) -> str:
    """Return the run that holds the very same files, empty where none does: the ledger keeps their digests."""
    digests = sorted(one.sha256 for one in read)
    found = ""
    for run_id, history in Results(results).reading().runs.items():
        end = history.end
        if end is not None and end.fields.get("files") == digests and (results / run_id).is_dir():
            found = run_id
    return found


def result_of(paths: Sequence[Path]) -> tuple[Result, list[str]]:
    """Return what files say, and how much of them was understood. InputError where they say nothing that is known."""
    parts, _ = _parts([sources.read(path) for path in paths], Asked())
    return merged(parts, Asked())[0], [_understood(part) for part in parts if part.columns]
