"""The order of a run: config, bars, strategy, backtest, statistics, evidence, seal. Nothing else knows it.

    bars ─▶ START ─▶ strategy ─▶ target ─▶ backtest ─▶ stats ─▶ files ─▶ manifest ─▶ seal

Up to START nothing is written: a wrong config or wrong data leaves no trace. From START on every way out leaves
evidence: a sealed run, or a run sealed as failed with its config, its log and its error.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Never, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from peak_trade import backtest, stats, strategies
from peak_trade.config import Config, Source, locate
from peak_trade.data import calendar, fingerprint, ohlcv
from peak_trade.data.bars import Bars
from peak_trade.data.trades import Trades
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence import files, manifest, provenance, tables
from peak_trade.evidence.ledger import now
from peak_trade.evidence.run_dir import ERROR, RunDir, new_run_id, warn_unfinished
from peak_trade.redact import Redactor
from peak_trade.stats.values import need

__all__ = ["run"]

_LOG = logging.getLogger("peak_trade.run")
_T = TypeVar("_T")


def run(
    source: Source,
    *,
    root: Path,
    results: Path,
    run_id: str | None = None,
    argv: Sequence[str] = (),
) -> Path:
    """Run a loaded config and return the sealed directory `results/<run_id>/`.

    `root` is the repository in which relative paths and the git state are looked up.

    Raises InputError where config, data or parameters are wrong, RunError where the strategy or a write fails; the
    error's `run_id` attribute names the evidence that was left, if any was.
    """
    run_id = new_run_id(run_id) if run_id else None
    results = results.absolute()  # a strategy may change the current directory
    made = _Making(source, root, results, Redactor(msgspec.to_builtins(source.config), source.overrides), list(argv))
    git = provenance.GitQuestion(root)  # it answers while the bars are loaded
    try:
        with made.clock("load"):
            loaded = _load_bars(source, root)
            function = _registered(source.config)
        with made.clock("evidence"):
            made.open(run_id)
    except BaseException:
        git.answer()  # leave no process behind
        raise
    try:
        with _logging_to(made.log), _termination_raised():
            try:
                return _make(made, git, loaded, function)
            except BaseException as error:  # noqa: BLE001 - the one guard: whatever a strategy does, evidence is left
                _fail(made, git, error)
    finally:
        made.directory.release()


class _Making(Struct):
    """A run in the making: what was asked, and what has been noted on the way."""

    source: Source
    root: Path
    results: Path
    redactor: Redactor
    argv: list[str]
    milliseconds: dict[str, float] = {}
    receipts: list[dict[str, Any]] = []
    stage: str = "start"
    started: str = field(default_factory=now)
    follows: str = ""
    _directory: RunDir | None = None
    _log: _JsonLines | None = None

    @property
    def directory(self) -> RunDir:
        assert self._directory is not None, "opened before it is used"
        return self._directory

    @property
    def log(self) -> _JsonLines:
        assert self._log is not None, "opened before it is used"
        return self._log

    def open(self, run_id: str | None) -> None:
        """Make the working directory, and put the START record on disk."""
        try:
            warn_unfinished(self.results)
            self._directory = RunDir.create(self.results, new_run_id(run_id), given=run_id is not None)
            self._log = _JsonLines(self._directory, self.redactor)
            self.follows = self._directory.ledger.append("start", self._directory.run_id, **_asked(self.source.config))
        except OSError as error:
            if self._directory:
                self._directory.abandon()
            raise RunError(
                f"cannot write to {self.results}: {error.strerror}",
                hint="check the folder and the disk; PEAK_RESULTS_DIR names another folder",
            ) from None

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Note the time that a stage takes, in ms."""
        self.stage, start = stage, time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + (time.perf_counter() - start) * 1e3

    def skip(self, part: str, reason: str, hint: str = "") -> None:
        """Warn that an optional part was skipped, and note it; with PEAK_STRICT=1 the run fails instead."""
        if os.environ.get("PEAK_STRICT") == "1":
            raise RunError(f"{part} was skipped: {reason}", hint=hint or "PEAK_STRICT=1 makes every skip a failure")
        _LOG.warning("%s skipped: %s%s", part, reason, f"; hint: {hint}" if hint else "")
        self.receipts.append({"part": part, "outcome": "skipped", "reason": reason})

    def skip_what_could_not_start(self) -> None:
        """Take over what was skipped before this program began, as `part: reason; hint: …` in the environment says."""
        if told := os.environ.pop("PEAK_SKIPPED", ""):
            part, _, reason = self.redactor.text(told).partition(": ")
            reason, _, hint = reason.partition("; hint: ")
            self.skip(part, reason, hint)


def _asked(config: Config) -> dict[str, str]:
    strategy = config.strategy.name or config.strategy.entrypoint or ""
    return {"strategy": strategy, "symbol": config.data.symbol, "timeframe": config.data.timeframe}


def _load_bars(source: Source, root: Path) -> ohlcv.Loaded:
    data = source.config.data
    loaded = ohlcv.load_bars(
        locate(data.path, source.bases(root)),
        symbol=data.symbol,
        timeframe=data.timeframe,
        columns=data.columns or None,
        calendar=data.calendar,
        on_violation=data.on_violation,
    )
    bars = loaded.bars
    for column in (bars.timestamp, bars.open, bars.high, bars.low, bars.close, bars.volume):
        column.setflags(write=False)  # a strategy that wrote into them would change what its own evidence is made from
    return loaded


def _registered(config: Config) -> Callable[..., Any] | None:
    """Return a registered strategy, its parameters checked: that needs no user's code, so it comes before START."""
    if config.strategy.name is None:
        return None
    function = strategies.resolve(config.strategy.name)
    strategies.check_params(function, config.strategy.params)
    return function


def _make(
    made: _Making, git: provenance.GitQuestion, loaded: ohlcv.Loaded, function: Callable[..., Any] | None
) -> Path:
    config, bars = made.source.config, loaded.bars
    made.skip_what_could_not_start()
    for line in loaded.assumptions:
        _LOG.info("%s", line)
    limit = config.run.timeout_s
    if limit and threading.current_thread() is not threading.main_thread():
        made.skip("run.timeout_s", "only a run in the main thread can be stopped")
        limit = None
    with made.clock("strategy"):
        function, params, target = _within(limit, lambda: _ask(made, bars, function))
    with made.clock("backtest"):
        result = backtest.run(bars, target, execution=config.execution, sizing=config.sizing, stops=config.stops)
        compared = None
        if config.stats.benchmark == "buy_and_hold":
            compared = backtest.run(bars, np.ones(len(bars)), execution=config.execution).equity
    with made.clock("stats"):
        per_year = config.stats.periods_per_year or calendar.periods_per_year(
            bars.timestamp, config.data.timeframe, config.data.calendar
        )
        figures = stats.compute(
            bars.timestamp,
            result.equity,
            result.position,
            result.trades,
            risk_free_rate=config.stats.risk_free_rate,
            periods_per_year=per_year,
            benchmark_equity=compared,
        )
    with made.clock("evidence"):
        equity = {
            "timestamp": bars.timestamp,
            "equity": result.equity,
            "drawdown": need(stats.drawdown(result.equity)),
            "position": result.position,
        }
        _write_config(made, params)
        directory = made.directory
        directory.write("stats.json", [files.encode_json(figures.to_json_object())])
        directory.write("equity.csv", tables.series_csv(equity))
        if compared is not None:
            columns = {"timestamp": bars.timestamp, "close": bars.close, "equity": compared}
            directory.write("benchmark.csv", tables.series_csv(columns))
        _write_trades(made, result.trades)
        summary = {name: figures[name] for name in ("total_return", "sharpe", "max_drawdown", "trades")}
        outcome = {
            "equity_digest": tables.series_digest("equity", equity),
            "trades_digest": tables.trades_digest(result.trades),
            "summary": summary,
        }
        definition = _definition(made, git, loaded, function, params)
        sha256 = definition["resolvedDependencies"][0]["digest"]["sha256"]
    _LOG.info("sealing, after %s", ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in made.milliseconds.items()))
    start = time.perf_counter()
    with _uninterrupted():
        predicate = _predicate(made, "sealed", definition, outcome)
        path = directory.seal(predicate, "sealed", **_asked(config), data=sha256, bars=len(bars), **summary)
    _LOG.info("sealed in %.1f ms", (time.perf_counter() - start) * 1e3)
    return path


def _ask(
    made: _Making, bars: Bars, function: Callable[..., Any] | None
) -> tuple[Callable[..., Any], dict[str, Any], npt.NDArray[np.float64]]:
    """Run the strategy, loading it first where it is the user's own; return it with its parameters and its target."""
    config = made.source.config
    if function is None:
        _seed(config.run.seed)
        function = strategies.load_entrypoint(config.strategy.entrypoint or "", made.source.bases(made.root))
    params = strategies.check_params(function, config.strategy.params)
    process = os.getpid()
    try:
        return function, params, strategies.check_target(function(bars, **params), len(bars))
    finally:
        if os.getpid() != process:  # a child that the strategy forked and did not end: the run is not its own
            os._exit(1)


def _write_config(made: _Making, params: dict[str, Any] | None = None) -> None:
    """Write the config as given, secrets masked, and as resolved: defaults filled in, overrides applied and listed."""
    given = made.source.content
    masked = made.redactor.toml(given)
    if masked != given:
        made.receipts.append({"part": "config_snapshot.toml", "outcome": "redacted", "reason": "it holds secrets"})
    resolved = msgspec.to_builtins(made.source.config)
    if params is not None:
        resolved["strategy"]["params"] = {
            name: msgspec.to_builtins(value, enc_hook=_named, order="deterministic") for name, value in params.items()
        }
    resolved["overrides"] = made.source.overrides
    made.directory.write("config_snapshot.toml", [masked])
    made.directory.write("config_snapshot.json", [files.encode_json(made.redactor.tree(_plain(resolved)))])


def _named(value: object) -> str:
    """Return the repr of a default that TOML has no form for, without its address: the same in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _plain(tree: Any) -> Any:
    """Return a config's tree as JSON can hold it: TOML's dates as text, infinities as words."""
    return msgspec.json.decode(msgspec.json.encode(tree, enc_hook=_named))


def _write_trades(made: _Making, trades: Trades) -> None:
    """Write the trades as Parquet where pyarrow is installed, else as CSV."""
    try:
        content = tables.trades_parquet(trades)
    except ImportError as error:
        made.skip("trades.parquet", f"{error}; wrote trades.csv instead (just setup lake adds Parquet)")
        made.directory.write("trades.csv", tables.trades_csv(trades))
    else:
        made.directory.write("trades.parquet", [content])


def _definition(
    made: _Making,
    git: provenance.GitQuestion,
    loaded: ohlcv.Loaded,
    function: Callable[..., Any],
    params: dict[str, Any],
) -> dict[str, Any]:
    """Return what was asked and what the run was made from."""
    config = made.source.config
    marks = fingerprint.fingerprint(loaded.bars)
    code = strategies.source_digest(function, made.root)
    bars = {
        "name": "bars",
        "digest": {"sha256": marks.pop("digest")},
        "annotations": {
            **_asked(config),
            "source": made.redactor.text(config.data.source),
            "files": [
                {"name": _as_utf8(Path(f.path).name), "sha256": f.sha256, "bytes": f.bytes} for f in loaded.files
            ],
            **marks,
            "dropped": loaded.dropped,
            "violations": loaded.violations,
            "gaps": loaded.gaps.missing,
            "assumptions": loaded.assumptions,
        },
    }
    del bars["annotations"]["strategy"]  # type: ignore[attr-defined] # of the run, not of the bars
    return {
        "buildType": manifest.BUILD,
        "externalParameters": made.redactor.tree(
            {
                "config": made.directory.sealed["config_snapshot.toml"],
                "overrides": _plain(made.source.overrides),
            }
        ),
        "internalParameters": {"seed": config.run.seed, "environment": provenance.environment()},
        "resolvedDependencies": [
            bars,
            {"name": "strategy", "digest": _known(sha256=code.get("sha256")), "annotations": code},
            _git_state(git),
            {"name": "constraints.txt", "digest": _known(sha256=provenance.pins(made.root))},
        ],
    }


def _from_root(folder: Path, root: Path) -> str:
    """Return a folder relative to the repository, so that it is found there in any checkout; as it is, outside."""
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)


def _git_state(git: provenance.GitQuestion) -> dict[str, Any]:
    state = git.answer() or {}
    return {"name": "git", "digest": _known(gitCommit=state.get("commit")), "annotations": state}


def _known(**digests: str | None) -> dict[str, str]:
    """Return the digests there are: a statement has no room for null in their place."""
    return {name: value for name, value in digests.items() if value}


def _predicate(
    made: _Making, status: str, definition: dict[str, Any], results: dict[str, Any], error: dict[str, str] | None = None
) -> manifest.Predicate:
    cost = {"part": "evidence", "outcome": "done", "ms": round(made.milliseconds.get("evidence", 0.0), 3)}
    details = {
        "builder": {"id": "urn:peak-trade:runner", "version": {"peak_trade": provenance.environment()["peak_trade"]}},
        "metadata": {"invocationId": made.directory.run_id, "startedOn": made.started, "finishedOn": now()},
        "folder": _from_root(made.source.path.parent, made.root),
        "argv": made.redactor.argv(map(_as_utf8, made.argv)),
        "host": os.uname().nodename,
        "milliseconds": {stage: round(ms, 3) for stage, ms in made.milliseconds.items()},
    }
    receipts = [*made.receipts, cost | {"bytes": made.directory.bytes}]
    return manifest.Predicate(status, definition, details, results, receipts, {"follows": made.follows}, error)


def _fail(made: _Making, git: provenance.GitQuestion, error: BaseException) -> Never:
    """Seal what is known of a run that failed, and raise the error that its operator reads."""
    shown = _readable(made, error)
    shown.run_id = made.directory.run_id
    if made.directory.noted:
        if made.directory.path.parent == made.results:
            shown.hint = f"the run is sealed all the same: just show {shown.run_id}"
        else:
            shown.hint = "the run is sealed, but has not got its final name yet: just doctor finishes it"
        raise shown from error
    shown.hint = shown.hint or f"just show {shown.run_id}"
    trace = "".join(traceback.format_exception(error))
    made.log.emit(  # not by a logger: user code may have switched those off
        logging.makeLogRecord(
            {"name": _LOG.name, "levelname": "ERROR", "msg": shown.message, "traceback": trace},
        )
    )
    told = {"stage": made.stage, "type": type(error).__name__, "message": shown.message}
    directory = made.directory
    try:
        with _uninterrupted():
            directory.discard()
            made.receipts.clear()  # they spoke of what is discarded
            _write_config(made)
            directory.write(ERROR, [files.encode_json(told)])
            definition = {
                "buildType": manifest.BUILD,
                "externalParameters": made.redactor.tree({"overrides": _plain(made.source.overrides)}),
                "internalParameters": {"seed": made.source.config.run.seed, "environment": provenance.environment()},
                "resolvedDependencies": [_git_state(git)],
            }
            predicate = _predicate(made, "failed", definition, {}, told)
            directory.seal(predicate, "failed", **_asked(made.source.config), **told)
    except OSError as second:
        shown.hint = (
            f"its evidence could not be sealed either ({second.strerror}): just doctor will, once there is room"
        )
    raise shown from error


def _readable(made: _Making, error: BaseException) -> PeakError:
    """Return the sentence that says what went wrong."""
    if isinstance(error, PeakError):
        error.message = made.redactor.text(_as_utf8(error.message))
        return error
    if isinstance(error, TimeOut):
        limit = f"{made.source.config.run.timeout_s:g} s"
        return RunError(
            f"the strategy ran longer than run.timeout_s = {limit}", hint="raise it or make the strategy faster"
        )
    if isinstance(error, KeyboardInterrupt):
        return RunError("interrupted")
    if isinstance(error, OSError) and made.stage == "evidence":
        return RunError(f"cannot write the evidence: {error.strerror or error}", hint="check the folder and the disk")
    what = "the strategy" if made.stage == "strategy" else made.stage
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - a user's exception may fail to say what it is, in any way
        text = f"its text raised {type(second).__name__}"
    text = made.redactor.text(_as_utf8(text.strip().partition("\n")[0]))[:200]
    return RunError(
        f"{what} raised {type(error).__name__}" + (f": {text}" if text else ""),
        hint=f"the traceback is in {made.results / made.directory.run_id / 'run.log'}",
    )


def _as_utf8(text: str) -> str:
    """Return text that a file can hold: a name that is not UTF-8 reaches Python as surrogates, which it cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _seed(seed: int) -> None:
    """Seed the generators that a user's strategy may draw from; registered ones draw from none."""
    importlib.import_module("random").seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the legacy generator is what a user's unmodified code may draw from


class TimeOut(BaseException):
    """The strategy took too long. Not an Exception, so that a strategy's own `except Exception` does not swallow it."""


def _within(seconds: float | None, strategy: Callable[[], _T]) -> _T:
    """Return what `strategy` returns; raise TimeOut in it once it has taken `seconds`.

    One that swallows the exception has a second to end, then gets it again and again, at changing intervals, until one
    of them comes between two of its handlers. It never comes in this module: what tidies up here is not interrupted.
    """
    if seconds is None:
        return strategy()
    rung = 0

    def ring(signum: int, frame: FrameType | None) -> None:
        nonlocal rung
        if frame is None or frame.f_code.co_filename == __file__:
            return
        rung += 1
        if rung > 1:
            signal.setitimer(signal.ITIMER_REAL, rung % 64 * 1e-6 + 1e-6, 1e-3)
        raise TimeOut

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        return strategy()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _termination_raised() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: with evidence."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back while a run is being sealed: it is a matter of milliseconds.

    By handlers, since one that is masked in this thread reaches the process by another (NumPy's libraries have some).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda signum, frame: held.append(signum))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signum in held:
            signal.raise_signal(signum)


@contextmanager
def _logging_to(handler: _JsonLines) -> Iterator[None]:
    """Send all log records and warnings of this process to `handler` too."""
    ours, level = logging.getLogger("peak_trade"), logging.getLogger("peak_trade").level
    logging.getLogger().addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        logging.getLogger().removeHandler(handler)


class _JsonLines(logging.Handler):
    """Writes each record to `run.log` as one JSON line with the run_id; a full disk is not worth a dead run."""

    def __init__(self, directory: RunDir, redactor: Redactor) -> None:
        super().__init__()
        self.directory, self.redactor = directory, redactor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:  # the file is opened for each: user code that configures logging closes what handlers hold open
            handle = os.open(self.directory.path / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, msgspec.json.encode(self._line(record)) + b"\n")
            finally:
                os.close(handle)
        except Exception:  # noqa: BLE001 - a message that cannot be made, or a full disk: as every log handler does
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> dict[str, str]:
        line = {
            "time": now(),
            "level": record.levelname.lower(),
            "run_id": self.directory.run_id,
            "logger": record.name,
            "message": self.redactor.text(_as_utf8(record.getMessage())),
        }
        text = getattr(record, "traceback", None) or (
            record.exc_info and "".join(traceback.format_exception(*record.exc_info))
        )
        if text:
            line["traceback"] = self.redactor.text(_as_utf8(text))
        if trace := getattr(record, "otelTraceID", ""):  # the names that OpenTelemetry gives them
            line["trace_id"], line["span_id"] = trace, record.otelSpanID  # type: ignore[attr-defined] # come together
        return line

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: the record has reached stderr by its own way."""
