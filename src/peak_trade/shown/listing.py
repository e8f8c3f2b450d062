"""The runs as a table, and one run as a page of text, from the ledger and the manifests."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import documents, settings
from peak_trade.evidence.ledger import ENDED, REMOVED, STARTED
from peak_trade.evidence.manifest import BENCHMARK, RECORDED, RUN, SWEPT, Manifest, Predicate
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import DIED, read_manifest, unfinished
from peak_trade.evidence.settings import Scalar
from peak_trade.shown import apart, unseen
from peak_trade.text import cut, figure, percentage, printable

__all__ = ["Row", "aligned", "as_table", "counts", "describe", "distinct", "readable_size", "rows", "summary"]


# what reading on raises where a field that decoded is of another type, or has a value that nothing of ours has
_OTHER_TYPES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_BELOW = " " * 10  # before what stands below a line
_WORD, _CELL = 1_000, 4_000  # characters of a word of a row, and of a cell of text, at most
_STRATEGY, _SYMBOL, _STANDING = 32, 24, 56  # characters of a column: one run shall not widen all lines
_SAID = 120  # of what a person has written: a name, parameters
_LARGEST = 1e300  # of a figure: beyond it, sums and squares are no numbers any more


class Row(Struct, frozen=True, kw_only=True):
    """One run as lists show it; fractions, None where there is no such figure.

    `start` and `end` are its first and last bar, `params` and `settings` what it was asked for, and `differs` what of
    that is not as in the other runs of its strategy; `reason` is why it failed; `findings` counts what was found in its
    bars, by kind; `lookahead` says by what its strategy looks ahead (empty: nothing was found); `repeatable` is False
    where it gives two answers for the same bars. `deflated` is the deflated Sharpe ratio, where it was asked for.
    `kind` is `run`, `swept`, `recorded` or `imported`; of what was not made here, `command` is what was typed, `engine`
    what made it, `symbols` and `trials` how many there were of each, and `exit_code` that of the command. A run
    that was kept of a sweep names its `parent`, and which `trial` of it that is.
    """

    run_id: str
    started: str
    strategy: str
    symbol: str
    timeframe: str
    total_return: float | None
    sharpe: float | None
    max_drawdown: float | None
    trades: float | None
    status: str
    pinned: bool = False
    name: str = ""
    start: str = ""
    end: str = ""
    params: dict[str, Scalar] = {}
    settings: dict[str, Scalar] = {}
    differs: dict[str, Scalar] = {}
    reason: str = ""
    findings: dict[str, int] = {}
    lookahead: str = ""
    repeatable: bool | None = None
    deflated: float | None = None
    kind: str = RUN
    command: str = ""
    engine: str = ""
    symbols: float | None = None
    trials: float | None = None
    exit_code: float | None = None
    parent: str = ""
    trial: float | None = None

    @property
    def title(self) -> str:
        """What the run is of: its strategy, else the command that was recorded."""
        return self.strategy or cut(called(self.command), _STRATEGY)

    @property
    def traded(self) -> str:
        """What was traded, and the timeframe: the symbols, or how many there are where that is shorter."""
        many = self.symbols is not None and self.symbols > 1 and len(self.symbol) > _SYMBOL
        symbol = f"{self.symbols:,.0f} symbols" if many else self.symbol[:_SYMBOL]
        return f"{symbol} {self.timeframe[:_SYMBOL]}".strip()

    @property
    def origin(self) -> str:
        """How a run that was not made here came about; empty of one that was."""
        kept = [f"trial {self.trial or 0:.0f} of {self.parent[:8]}"] if self.parent else []
        if self.kind == RUN:
            return "".join(kept)
        unseen = "no engine seen" if self.kind == RECORDED and self.exit_code is not None else ""
        parts = [*kept, self.kind, self.engine or unseen]
        parts += [f"{self.trials:,.0f} trials"] if self.trials is not None and self.trials > 1 else []
        parts += [f"exit code {self.exit_code:.0f}"] if self.exit_code else []
        return ", ".join(filter(None, parts))

    @property
    def standing(self) -> str:
        """The status, and what a reader has to know before the figures."""
        doubts = [
            *(["look-ahead"] if self.lookahead else []),
            *(["not repeatable"] if self.repeatable is False else []),
            *(["fills at the close"] if self.settings.get("execution.fill") == "close" else []),
        ]
        return ", ".join([self.status, *doubts])

    def to_json_object(self) -> dict[str, Any]:
        """Return the row as `--json` prints it."""
        return msgspec.structs.asdict(self)


def rows(results: Results) -> list[Row]:
    """Return every run, newest first; those whose strategy looks ahead come after all others.

    The ledger tells of runs in order, also of removed ones; a directory that it does not know (a copy from elsewhere)
    is read from its manifest. A run without an end is `running` while its process lives, and `unfinished` after that;
    one that has an end but no directory is `missing`.

    Raises RunError where the ledger can't be read.
    """
    left = {run.run_id: run.alive for run in unfinished(results)}  # first: a run that ends now has its end below
    with _ledger_readable(results):
        histories = results.reading().runs
    there = {path.name: path for path in results.runs()}
    known: dict[str, dict[str, Any]] = {}
    for run_id, history in histories.items():
        status = "unfinished" if history.state == STARTED else history.status
        if run_id in left and run_id not in there:
            status = "running" if left[run_id] else "unfinished"
        elif history.state in ENDED and run_id not in there:
            status = "missing"
        known[run_id] = history.fields | {"started": history.began, "status": status}
        if history.end and history.end.event == "abandoned":
            known[run_id]["message"] = DIED
    with _ledger_readable(results):  # again: what is missing may have been removed since
        for run_id in results.removed(run_id for run_id, run in known.items() if run["status"] == "missing"):
            known[run_id]["status"] = REMOVED
    for run_id in there.keys() - known.keys():
        known[run_id] = _from_directory(there[run_id])
    for run_id, path in there.items():
        if _lacks_settings(known[run_id]):
            known[run_id] |= _asked_of(path)
    keeps = results.pinned()
    differing = dict(zip(known, apart.differences([_asked(run) for run in known.values()]), strict=True))
    listed = [_row(run_id, run, run_id in keeps, differing[run_id]) for run_id, run in reversed(known.items())]
    listed.sort(key=lambda row: row.started, reverse=True)
    return sorted(listed, key=lambda row: bool(row.lookahead))


@contextmanager
def _ledger_readable(results: Results) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{results.path.name}/ledger.jsonl: {error.strerror}", hint="check the folder and the disk"
        ) from None


def _from_directory(path: Path) -> dict[str, Any]:
    try:
        run = describe(path)
        config = run["config"]
        strategy = config.get("strategy", {})
        found = {part["name"]: part for part in run["madeFrom"]}
        return {
            **run["stats"],
            **config.get("data", {}),
            **{key: found["bars"]["annotations"][key] for key in ("start", "end") if "bars" in found},
            **{name: found[part]["digest"]["sha256"] for part, name in _DIGESTS.items() if part in found},
            **(settings.of_snapshot(config) if config else {}),
            "message": (run["error"] or {}).get("message"),
            "started": run["runDetails"].get("metadata", {}).get("startedOn"),
            "strategy": strategy.get("name") or strategy.get("entrypoint"),
            **{key: value for key, value in run["origin"].items() if value is not None},
            "status": run["status"],
            **run["doubts"],
            "findings": {receipt["outcome"]: receipt["count"] for receipt in _found(run["receipts"])},
        }
    except (RunError, *_OTHER_TYPES):
        return {"status": "unreadable"}


_DIGESTS = {"bars": "data", "code": "code"}  # of what a run was made from, as the ledger calls them


def _lacks_settings(run: Mapping[str, Any]) -> bool:
    """Tell whether a run's lines in the ledger are of an older version, which told nothing of these."""
    return "settings" not in run and "params" not in run and run["status"] != "unreadable"


def _asked_of(path: Path) -> dict[str, Any]:
    """Return what the directory of an older run tells of its config: for lists alone, nothing is checked by it."""
    with suppress(RunError, *_OTHER_TYPES):
        return settings.of_snapshot(documents.read(path, "config_snapshot.json"))
    return {}


def _asked(run: Mapping[str, Any]) -> apart.Asked:
    words = {key: _word(run.get(key)) for key in ("strategy", "symbol", "timeframe", "start", "end", "data", "code")}
    return apart.Asked(params=_scalars(run.get("params")), settings=_scalars(run.get("settings")), **words)


def _scalars(value: object) -> dict[str, Scalar]:
    """Return settings that ledger or manifest has; of what is none, nothing."""
    if not isinstance(value, dict):
        return {}
    return {
        _word(key): one if one is None or type(one) is bool or _figure(one) is not None else _word(one)
        for key, one in value.items()
    }


def _found(receipts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the receipts of what was found in the bars."""
    return [receipt for receipt in receipts if receipt["part"] == "data" and "count" in receipt]


def _row(run_id: str, run: dict[str, Any], is_pinned: bool, differs: dict[str, Scalar]) -> Row:
    words = (
        "started",
        "strategy",
        "symbol",
        "timeframe",
        "status",
        "name",
        "start",
        "end",
        "command",
        "engine",
        "parent",
    )
    figures = ("total_return", "sharpe", "max_drawdown", "trades", "symbols", "trials", "exit_code", "trial")
    cells: dict[str, Any] = {word: _word(run.get(word)) for word in words} | {f: _figure(run.get(f)) for f in figures}
    cells |= {key: _scalars(run.get(key)) for key in ("params", "settings")}
    found = run.get("findings")
    counted = (
        {_word(kind): count for kind, count in found.items() if type(count) is int and 0 <= count < 1 << 63}
        if isinstance(found, dict)
        else {}
    )
    cells["kind"] = _word(run.get("kind")) or RUN
    cells["lookahead"] = _word(run.get("lookahead"))
    cells["repeatable"] = False if run.get("repeatable") is False else None
    reason = _word(run.get("message"))
    return Row(run_id=run_id, pinned=is_pinned, findings=counted, differs=differs, reason=reason, **cells)


def called(command: str) -> str:
    """Return a command whose program, and what else is named by its whole path, is without the folder it lies in.

    >>> called("/opt/envs/a/bin/python '/srv/my tests/pairs.py' --fast 10 --data data/a.csv")
    'python pairs.py --fast 10 --data data/a.csv'
    """
    try:
        program, *words = shlex.split(command)
    except ValueError:  # none at all, or one that was cut within a quotation
        return command
    return shlex.join([PurePath(program).name, *(PurePath(word).name if word[:1] == "/" else word for word in words)])


def _word(value: object) -> str:
    """Return a word, or a number, that ledger or manifest has; of anything else, which may be deep, nothing."""
    shown = value if isinstance(value, str) else _figure(value) or ""
    return str(shown)[:_WORD]


def _figure(value: object) -> float | None:
    """Return a figure that ledger or manifest has; None for what is no finite number."""
    return value if isinstance(value, int | float) and type(value) is not bool and abs(value) < _LARGEST else None


class Column(NamedTuple):
    """A column of the list: its head, what stands in it, and whether that is a number."""

    head: str
    cell: Callable[[Row], str]
    number: bool = False


_STARTED = Column("started (UTC)", lambda row: row.started[:19].replace("T", " "))
_MINUTE = Column("started (UTC)", lambda row: row.started[:16].replace("T", " "))
_STRATEGY_NAME = Column("strategy", lambda row: row.title[-_STRATEGY:])
_SERIES = Column("symbol", lambda row: row.traded)
_RETURN = Column("return", lambda row: percent(row.total_return), number=True)
_SHARPE = Column("sharpe", lambda row: number(row.sharpe), number=True)
_DRAWDOWN = Column("max drawdown", lambda row: percent(row.max_drawdown), number=True)
_STATUS = Column("status", lambda row: row.standing[:_STANDING] + (", pinned" if row.pinned else ""))
_NAME = Column("name", lambda row: cut(row.name, _SAID))
_DIFFERS = Column("differs in", lambda row: cut(apart.said(row.differs), _SAID))
_BRIEFLY = Column("differs in", lambda row: cut(apart.said(row.differs, briefly=True), _SAID))
_DEFLATED = Column("deflated", lambda row: "" if row.deflated is None else percent(row.deflated))
_ORIGIN = Column("made by", lambda row: cut(row.origin, _SAID))
_REST = (_ORIGIN, _DEFLATED, Column("data", lambda row: counts(row.findings)), Column("reason", lambda row: row.reason))
_LAYOUTS = (
    (_STARTED, _STRATEGY_NAME, _SERIES, _RETURN, _SHARPE, _DRAWDOWN, _STATUS),
    (_MINUTE, _STRATEGY_NAME, _SERIES, _RETURN, _SHARPE, _DRAWDOWN, _STATUS),
    (_MINUTE, _STRATEGY_NAME, _SERIES, _RETURN, _SHARPE, _STATUS),
    (_STRATEGY_NAME, _SERIES, _RETURN, _SHARPE, _STATUS),
)
"""The columns, the widest first: a terminal gets the first that it has room for."""


def as_table(listed: Sequence[Row], *, full: bool = False, width: int | None = None) -> str:
    """Return rows as aligned columns, the run_ids (unless `full`) as short as tells them apart, from 8 characters.

    What only some runs have (a name, a reason) is a column where any of these has it. Without a `width`, a run is a
    line. In a terminal of that width, what all runs have in common is said once above them, and what has no room in the
    line of a run stands below it.
    """
    digits = 36 if full else distinct([row.run_id for row in listed])
    run_id = Column("run_id", lambda row: row.run_id[:digits])
    if width is None:
        return "\n".join(_lines_of(listed, [run_id, *_LAYOUTS[0], *_some(listed, _NAME, _DIFFERS, *_REST)]))
    common = [column for column in (_NAME, _STRATEGY_NAME, _SERIES) if _is_common(listed, column)]
    above = [", ".join(printable(column.cell(listed[0]), "�") for column in common)] if common else []
    tail = [column for column in _some(listed, _NAME, _BRIEFLY, *_REST) if column not in common]
    for inline in range(len(tail), -1, -1):
        for layout in _LAYOUTS:
            columns = [run_id, *(column for column in layout if column not in common), *tail[:inline]]
            lines = _lines_of(listed, columns)
            if max(map(len, lines)) <= width:
                return "\n".join(above + _interleaved(lines, listed, tail[inline:], width))
    return "\n".join(above + _interleaved(_lines_of(listed, [run_id, *_LAYOUTS[-1]]), listed, tail, width))


def _some(listed: Sequence[Row], *columns: Column) -> list[Column]:
    return [column for column in columns if any(map(column.cell, listed))]


def _is_common(listed: Sequence[Row], column: Column) -> bool:
    cells = set(map(column.cell, listed))
    return len(listed) > 1 and len(cells) == 1 and cells != {""}


def _lines_of(listed: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    body = [[column.cell(row) for column in columns] for row in listed]
    right = [at for at, column in enumerate(columns) if column.number]
    return aligned([[column.head for column in columns], *body], right=right).split("\n")


def _interleaved(lines: Sequence[str], listed: Sequence[Row], tail: Sequence[Column], width: int) -> list[str]:
    """Return the lines of a table, each with what had no room in it below, at most four lines of it."""
    found = [lines[0]]
    for line, row in zip(lines[1:], listed, strict=True):
        text = "; ".join(printable(cell, "�") for column in tail if (cell := column.cell(row)))
        found += [line, *textwrap.wrap(
            text, max(width, 30), initial_indent=_BELOW, subsequent_indent=_BELOW, max_lines=4, placeholder=" …",
            break_on_hyphens=False,
        )]  # fmt: skip
    return found


def counts(findings: Mapping[str, int]) -> str:
    """Return what was found in a run's bars as words, three of them at most.

    >>> counts({"gaps": 1500, "off_grid": 2}), counts({"dropped": 1, "gaps": 2, "filled": 3, "jump": 4})
    ('gaps 1,500, off grid 2', 'dropped 1, gaps 2, filled 3, …')
    """
    said = [f"{kind.replace('_', ' ')} {count:,}" for kind, count in findings.items()]
    return ", ".join([*said[:3], *("…" for _ in said[3:4])])


def distinct(run_ids: Sequence[str]) -> int:
    """Return how many characters tell run_ids apart, at least 8."""
    return next((width for width in range(8, 36) if len({run_id[:width] for run_id in run_ids}) == len(run_ids)), 36)


def aligned(table: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a table as lines of columns, those whose numbers are in `right` to the right."""
    table = [[printable(cell[:_CELL], "�") for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    to_the_right = set(right)
    lines = (
        "  ".join(
            cell.rjust(width) if index in to_the_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
    return "\n".join(lines)


def percent(value: Any) -> str:
    """Return a fraction as a percentage for people, a dash where there is none.

    >>> percent(0.12345), percent(None)
    ('12.35 %', '–')
    """
    return percentage(value) if isinstance(value, float | int) else "–"


def number(value: Any) -> str:
    """Return a figure to two decimals, a dash where there is none.

    >>> number(1234.567), number(None)
    ('1,234.57', '–')
    """
    return figure(value) if isinstance(value, float | int) else "–"


def readable_size(number: float) -> str:
    """Return a number of bytes for people.

    >>> readable_size(999), readable_size(1_234_567)
    ('999 B', '1 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def describe(run_dir: Path) -> dict[str, Any]:
    """Return what a run directory says of itself: status, config, statistics, provenance, receipts, files.

    Raises RunError where its manifest or a file of it can't be read.
    """
    sealed = read_manifest(run_dir)
    try:
        documents.check(sealed)
        return _described(run_dir, sealed)
    except (RunError, *_OTHER_TYPES) as error:
        what = error.message if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
        raise RunError(f"{run_dir.name} can't be read: {what}", hint=f"just verify {run_dir.name[:8]}") from None


def _described(run_dir: Path, sealed: Manifest) -> dict[str, Any]:
    predicate = sealed.predicate
    loaded = {
        name: documents.read(run_dir, f"{name}.json")
        for name in ("config_snapshot", "stats")
        if f"{name}.json" in sealed.files
    }
    return (_swept(run_dir, sealed) if predicate.kind == SWEPT else {}) | {
        "run_id": sealed.run_id,
        "kind": predicate.kind,
        "status": predicate.status,
        "origin": _origin(predicate, loaded.get("config_snapshot", {})),
        "pinned": sealed.run_id in Results(run_dir.parent).pinned(),
        "ruined": predicate.results.get("ruined"),
        "error": predicate.error,
        "probe": predicate.probe,
        "doubts": predicate.doubts,
        "config": loaded.get("config_snapshot", {}),
        "stats": loaded.get("stats", {}),
        "unseen": dict(unseen.lines(predicate.results)),
        "madeFrom": predicate.build_definition.get("resolvedDependencies", []),
        "runDetails": predicate.run_details,
        "receipts": predicate.receipts,
        "files": sealed.files,
    }


def _swept(run_dir: Path, sealed: Manifest) -> dict[str, Any]:
    from peak_trade.shown import trials  # with NumPy, for which who records a command is not kept waiting

    return {"sweep": trials.described(run_dir, sealed)}


def _origin(predicate: Predicate, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run that was not made here came about, as its line in the ledger has it; nothing of one that was.

    Of one that was kept of a sweep it is which trial of it that is.
    """
    metadata = predicate.run_details.get("metadata")
    kept = {key: metadata[key] for key in ("parent", "trial") if isinstance(metadata, dict) and key in metadata}
    if predicate.kind == RUN:
        return kept
    command, came_out = config.get("record", {}).get("command"), predicate.results
    engine = came_out.get("engine") or {}
    return kept | {
        "kind": predicate.kind,
        "command": shlex.join(map(str, command)) if isinstance(command, list) else None,
        "engine": " ".join(str(engine[key]) for key in ("name", "version") if engine.get(key)) or came_out.get("seen"),
        "symbols": len(came_out.get("symbols") or ()) or None,
        "trials": came_out.get("trials"),
        "exit_code": came_out.get("exitCode"),
    }


def summary(run_dir: Path, more: Iterable[tuple[str, str]] = ()) -> str:
    """Return one run as a few readable lines, and as many `more`, each a word and what it stands for.

    Raises RunError where what it says of itself can't be read.
    """
    try:
        run = describe(run_dir)
        asked = {} if run["config"] else _asked_at_start(run_dir)
        return aligned([*_lines(run, asked), *more])
    except _OTHER_TYPES as error:
        what = f"{type(error).__name__}: {error}"
        raise RunError(f"{run_dir.name} can't be read: {what}", hint=f"just verify {run_dir.name[:8]}") from None


def _asked_at_start(run_dir: Path) -> dict[str, str]:
    """Return what the ledger's start says of a run that left no config: strategy, symbol, timeframe."""
    with suppress(OSError):
        start = Results(run_dir.parent).reading().of(run_dir.name).start
        return {key: _word(start.fields.get(key)) for key in ("strategy", "symbol", "timeframe")} if start else {}
    return {}


def _lines(run: dict[str, Any], asked: Mapping[str, str]) -> list[tuple[str, str]]:
    config, figures = run["config"], run["stats"]
    data, strategy = config.get("data", {}), config.get("strategy", {})
    params = ", ".join(f"{key}={value}" for key, value in strategy.get("params", {}).items())
    made = {part["name"]: part for part in run["madeFrom"]}
    kind = "" if run["kind"] in (RUN, run["status"]) else f", {run['kind']}"
    lines = [("run", f"{run['run_id']}  {run['status']}{kind}{', pinned' if run['pinned'] else ''}")]
    if name := config.get("run", {}).get("name"):
        lines.append(("name", name))
    lines += _of_sweep(run["sweep"]) if "sweep" in run else _of_origin(run["origin"])
    named = strategy.get("name") or strategy.get("entrypoint")
    if named or run["kind"] == RUN:
        lines.append(("strategy", f"{named}({params})" if named else asked.get("strategy") or "–"))
    if told := settings.fills(config):
        lines.append(("fills", told))
    if bars_asked := " ".join(filter(None, (asked.get("symbol"), asked.get("timeframe")))):
        lines.append(("bars", bars_asked))
    if "bars" in made:
        bars = made["bars"]["annotations"]
        span = f"{bars['rows']:,} from {bars['start'][:10]} to {bars['end'][:10]}"
        read = next((text for text in bars.get("assumptions", ()) if text.startswith("read as ")), "")
        lines.append(("bars", ", ".join(filter(None, (f"{data['symbol']} {data['timeframe']}".strip(), span, read)))))
    if of_file := made.get(BENCHMARK):
        beside = of_file["annotations"]
        closes = f"{beside['rows']:,} closes to {beside['end'][:10]}"
        lines.append(("benchmark", f"{beside['symbol']} {beside['timeframe']}, {closes}"))
    if overrides := config.get("overrides"):
        lines.append(("overrides", ", ".join(f"{key}={value}" for key, value in overrides.items())))
    if run["ruined"]:
        lines.append(("ruined", f"{run['ruined']}: equity at or below zero, closed there, and nothing traded after it"))
    lines += [("probe", reason) for reason in _probed(run)]
    lines += [("data", receipt["reason"]) for receipt in _found(run["receipts"])]
    if run["error"]:
        lines.append(("error", f"{run['error'].get('message')}"))
    if figures:
        lines += _figures(figures, made[BENCHMARK]["annotations"]["symbol"] if BENCHMARK in made else "buy and hold")
    lines += run["unseen"].items()
    if "git" in made and (state := made["git"]["annotations"]):
        lines.append(
            ("commit", f"{(state['commit'] or 'none yet')[:12]}{' with local changes' if state['dirty'] else ''}")
        )
    lines += [
        ("skipped", f"{receipt['part']}: {receipt['reason']}")
        for receipt in run["receipts"]
        if receipt["outcome"] == "skipped"
    ]
    lines += [
        ("evidence", f"{len(run['files'])} files, {receipt['bytes'] / 1e3:,.0f} kB, {receipt['ms']:,.1f} ms")
        for receipt in run["receipts"]
        if receipt["part"] == "evidence"
    ]
    return lines


def _of_sweep(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    from peak_trade.shown import trials  # as above

    return trials.lines(told)


def _of_origin(origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how a run that was not made here came about."""
    if not origin:
        return []
    parent = origin.get("parent")
    kept = [("kept", f"trial {origin.get('trial')} of the sweep {str(parent)[:_WORD]}")] if parent else []
    if "kind" not in origin:
        return kept
    made, symbols = origin["trials"], origin["symbols"]
    many = [f"{symbols:,} symbols"] if type(symbols) is int and symbols > 1 else []
    many += [f"{made:,} trials"] if type(made) is int and made > 1 else []
    engine = origin["engine"] or ("no engine seen" if origin["kind"] == RECORDED else "")
    lines = [("command", cut(origin["command"], _SAID)) if origin["command"] else None]
    lines.append(("engine", ", ".join(filter(None, [engine, *many]))) if engine or many else None)
    lines.append(("exit code", f"{origin['exit_code']}") if origin["exit_code"] else None)
    return [*kept, *filter(None, lines)]


def _probed(run: dict[str, Any]) -> list[str]:
    """Return what came of asking the strategy again; nothing of a run of which that is not told."""
    return [f"{probe.get('reason')}"[:_WORD]] if (probe := run["probe"]) else []


def _figures(figures: dict[str, Any], compared: str) -> list[tuple[str, str]]:
    market, factor = "", number(figures["profit_factor"])
    if figures.get("benchmark_total_return") is not None:
        market = f"  ({compared} {percent(figures['benchmark_total_return'])})"
    borrow = f", borrow {number(figures['borrow_paid'])}" if figures.get("borrow_paid") else ""
    return [
        ("return", f"{percent(figures['total_return'])}{market}"),
        ("a year", f"{percent(figures['cagr'])}, volatility {percent(figures['volatility'])}"),
        ("sharpe", f"{number(figures['sharpe'])}, max drawdown {percent(figures['max_drawdown'])}"),
        (
            "trades",
            f"{'–' if (count := figures['trades']) is None else count}, won {percent(figures['win_rate'])}, "
            f"profit factor {factor}",
        ),
        ("costs", f"fees {number(figures['fees_paid'])}, slippage {number(figures['slippage_paid'])}{borrow}"),
    ]
