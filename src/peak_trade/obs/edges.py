"""What becomes a span: the edges between the parts of a run, never what is inside them, so never one per bar.

`EDGES` is the one table: each line names a function, the span that its calls become, and what of its arguments and its
result the span tells. `PLACES` are the few that have to be known for other reasons.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial, wraps
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from peak_trade.obs.hooks import Wrap, when_imported
from peak_trade.obs.session import Open, Session
from peak_trade.text import as_utf8
from peak_trade.traces import formatted

__all__ = ["EDGES", "Edge", "install"]

_SCOPE = "peak_trade.obs"
_LONGEST = 20_000  # characters of a stack trace, or of a log record
_FAREWELL_S = 1.5  # for the report's kernel to flush
Given = Mapping[str, Any]  # the arguments of a call by their names
Told = dict[str, Any]  # attributes; those that are None are left out


class Edge(NamedTuple):
    """A function whose calls become spans: `before` reads the arguments, `after` the result too.

    Where `span` is empty there is none, but something has to be done; `before` may return a context for the call.
    """

    span: str
    module: str
    function: str
    before: Callable[[Session, Given], Any] = lambda session, given: {}
    after: Callable[[Session, Given, Any], Any] = lambda session, given, result: {}


# --- what the spans tell ------------------------------------------------------------------------------------------


def _run_begins(session: Session, given: Given) -> Told:
    import msgspec  # by now the program has imported both

    from peak_trade.redact import Redactor

    source, config = given["source"], given["source"].config
    session.knows(Redactor(msgspec.to_builtins(config), source.overrides))
    session.facts = {
        "began": time.perf_counter(),
        "strategy": config.strategy.name or config.strategy.entrypoint,
        "symbol": config.data.symbol,
        "timeframe": config.data.timeframe,
    }
    return {
        "run_id": given.get("run_id"),
        **{name: session.facts[name] for name in ("strategy", "symbol", "timeframe")},
    }


def _loaded(session: Session, given: Given, loaded: Any) -> Told:
    session.facts["rows"] = len(loaded.bars)
    files = loaded.files
    return {
        "rows": len(loaded.bars),
        "bytes": sum(file.bytes for file in files),
        "files": len(files),
        "dropped": loaded.dropped,
    }


def _sealing(session: Session, given: Given) -> Told:
    run, receipts = given["self"], given["predicate"].receipts
    session.facts["skipped"] = [f"{r['part']}: {r['reason']}" for r in receipts if r.get("outcome") == "skipped"]
    session.facts["status"] = given["predicate"].status
    session.facts["evidence_ms"] = next((r["ms"] for r in receipts if r.get("part") == "evidence"), None)
    return {"run_id": run.run_id, "status": given["predicate"].status, "files": len(run.sealed), "bytes": run.bytes}


def _sent_off(session: Session, given: Given, result: None) -> Told:
    from peak_trade.tracking import receipt

    found = receipt.read(given["run_dir"])
    return {"status": found.status, "reason": found.reason or None} if found else {}


def _tracking(session: Session, given: Given) -> Told:
    run_dir = Path(given["job"].run_dir)
    session.subjects[run_dir] = "track"
    return {"run_id": run_dir.name}


def _tracked(session: Session, given: Given, answer: Any) -> Told:
    receipt = answer.receipt
    return {"status": receipt.status, "reason": receipt.reason or None} if receipt else {"status": "known"}


def _reporting(session: Session, given: Given) -> Told:
    session.subjects[given["run_dir"].absolute()] = "report"
    return {"run_id": given["run_dir"].name, "renderer": given["renderer"].name}


def _reported(session: Session, given: Given, made: Any) -> Told:
    return {"renderer": made.renderer, "bytes": made.html.stat().st_size}


def _recording(session: Session, given: Given) -> Told:
    program = as_utf8(os.path.basename(given["order"].command[0])) if given["order"].command else None
    return {"run_id": given.get("run_id"), "program": program}


EDGES = (
    Edge("record", "peak_trade.record.command", "record", _recording,
         lambda session, given, done: {"status": session.facts.get("status")}),
    Edge("command", "peak_trade.record.command", "follow",
         after=lambda session, given, ended: {"exit_code": ended.exit_code}),
    Edge("run", "peak_trade.runner.order", "run", _run_begins,
         lambda session, given, run_dir: {"status": session.facts.get("status", "sealed")}),
    Edge("load_bars", "peak_trade.market.ohlcv", "load_bars",
         lambda session, given: {"symbol": given["symbol"], "timeframe": given["timeframe"]}, _loaded),
    Edge("contract", "peak_trade.market.ohlcv", "check_ohlcv",
         lambda session, given: {"rows": len(given["bars"])},
         lambda session, given, found: {"violations": len(found)}),
    Edge("strategy", "peak_trade.runner.order", "within",
         lambda session, given: {name: session.facts.get(name) for name in ("strategy", "symbol", "rows")}),
    Edge("probe", "peak_trade.runner.order", "probed",
         lambda session, given: {name: session.facts.get(name) for name in ("strategy", "symbol", "rows")},
         lambda session, given, found: {"verdict": found.verdict, "cuts": found.cuts}),
    Edge("backtest", "peak_trade.engine", "run",
         lambda session, given: {"symbol": given["bars"].symbol, "rows": len(given["bars"])},
         lambda session, given, result: {"trades": len(result.trades)}),
    Edge("stats", "peak_trade.stats", "compute", lambda session, given: {"rows": len(given["equity"])}),
    Edge("stats", "peak_trade.stats", "of_curve", lambda session, given: {"rows": len(given["own"].equity)}),
    Edge("write", "peak_trade.evidence.run_dir", "RunDir.write",
         lambda session, given: {"file": given["name"]},
         lambda session, given, written: {"bytes": written.size}),
    Edge("seal", "peak_trade.evidence.run_dir", "RunDir.seal", _sealing),
    Edge("ledger", "peak_trade.evidence.ledger", "Ledger.append", lambda session, given: {"event": given["event"]}),
    Edge("track", "peak_trade.tracking.batch", "MlflowTracker.log_later",
         lambda session, given: {"run_id": given["run_dir"].name}, _sent_off),
    Edge("track", "peak_trade.tracking.batch", "Worker.log", _tracking, _tracked),
    Edge("report", "peak_trade.report.render", "render", _reporting, _reported),
    Edge("lake_build", "peak_trade.data.lake.build", "build",
         lambda session, given: {},
         lambda session, given, built: {
             "runs": sum(built.runs.values()), "rows": built.lines + sum(bars.new for bars in built.bars)}),
    Edge("lake_ingest", "peak_trade.data.lake.ingest", "merge",
         lambda session, given: {"symbol": given["bars"].symbol, "rows": len(given["bars"])}),
    Edge("lake_publish", "peak_trade.data.lake.publish", "publish",
         lambda session, given: {},
         lambda session, given, done: {
             "rows": sum(change.rows for change in done.tables.values()),
             "bytes": sum(change.bytes for change in done.tables.values())}),
    Edge("lake_query", "peak_trade.data.lake.ask", "Asking.answer",
         lambda session, given: {"format": given["self"].how},
         lambda session, given, result: {"rows": getattr(given["self"], "rows", None)}),
)  # fmt: skip


# --- spans --------------------------------------------------------------------------------------------------------


def _watched(session: Session, edge: Edge) -> Wrap:
    tracer = session.tracers.get_tracer(_SCOPE)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        bind = signature(function).bind

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            mine: Open | None = None
            given: Given | None = None
            meanwhile: Any = nullcontext()
            try:
                if session.here:
                    bound = bind(*args, **kwargs).arguments
                    if edge.span:
                        mine = _begin(session, tracer, edge, bound)
                    else:
                        meanwhile = edge.before(session, bound) or meanwhile
                    given = bound
            except Exception as error:  # noqa: BLE001 - a mistake in here is not the program's
                session.failed(
                    f"the span {edge.span} could not begin" if edge.span else f"before {edge.function}", error
                )
            if given is None:
                return function(*args, **kwargs)
            try:
                with meanwhile:
                    result = function(*args, **kwargs)
            except BaseException as error:
                if mine:
                    _end(session, edge, mine, partial(_raised, session, mine, error))
                raise
            _end(session, edge, mine, partial(edge.after, session, given, result))
            return result

        return call

    return wrap


def _begin(session: Session, tracer: Any, edge: Edge, given: Given) -> Open:
    told, start = edge.before(session, given), None
    if edge.span == "run":
        if session.lasting:
            _close(session, session.lasting)  # the run before, in the same process
        else:
            start = session.started_ns
    return _enter(session, tracer, edge.span, told, start)


def _enter(session: Session, tracer: Any, name: str, told: Told, start: int | None = None) -> Open:
    around = session.context.get_current()
    span = tracer.start_span(name, around, attributes=_there(told), start_time=start)
    mine = Open(span, session.context.attach(trace.set_span_in_context(span, around)), name)
    session.open.append(mine)
    return mine


def _end(session: Session, edge: Edge, mine: Open | None, tell: Callable[[], Any]) -> None:
    try:
        told = tell() if session.here else None
        if told is None or mine is None:
            return
        if edge.span == "run":
            told |= _run_ends(session, told["status"])
        mine.span.set_attributes(_there(told))
        if edge.span == "run":
            session.lasting = mine
        else:
            _close(session, mine)
    except Exception as error:  # noqa: BLE001 - as where the span begins
        session.failed(f"the span {edge.span} could not end" if edge.span else f"after {edge.function}", error)


def _there(told: Told) -> Told:
    return {name: value for name, value in told.items() if value is not None}


def _raised(session: Session, mine: Open, error: BaseException) -> Told:
    """Record an exception: what it is, what it says and where it comes from, masked."""
    try:
        said = str(error)
    except Exception as second:  # noqa: BLE001 - a user's exception may fail to say what it is
        said = f"its text raised {type(second).__name__}"
    lines = formatted(error)
    if len(lines) > _LONGEST:
        lines = f"{lines[: _LONGEST // 2]}\n…\n{lines[-_LONGEST // 2 :]}"
    said, lines = (session.redactor.text(text.encode("utf-8", "replace").decode()) for text in (said[:1000], lines))
    mine.span.add_event(
        "exception",
        {"exception.type": type(error).__qualname__, "exception.message": said, "exception.stacktrace": lines},
    )
    mine.span.set_status(Status(StatusCode.ERROR, said.partition("\n")[0][:200]))
    return {"status": "failed"} if mine.name == "run" else {}


def _close(session: Session, mine: Open) -> None:
    session.open.remove(mine)
    session.spans += mine.span.is_recording()
    mine.span.end()
    with suppress(ValueError):  # of another thread, in which a signal has the process end
        session.context.detach(mine.token)


def _close_all(session: Session) -> None:
    if session.why and not session.settings.part:
        for left in session.open:
            left.span.set_status(Status(StatusCode.ERROR, f"ended by {session.why}"))
    for left in reversed(list(session.open)):
        _close(session, left)


def _run_ends(session: Session, status: str) -> Told:
    """Note a run in the metrics, and return what its span tells."""
    facts = session.facts
    if session.writing:
        names = {name: str(facts.get(name)) for name in ("strategy", "symbol")}
        meter = session.meters.get_meter(_SCOPE)
        meter.create_counter("peak_trade.runs", "{run}", "Runs that came to an end").add(1, {**names, "status": status})
        if status != "failed":
            seconds = time.perf_counter() - facts["began"]
            speed = meter.create_histogram("peak_trade.bars_per_second", "{bar}/s", "Bars of a run by its duration")
            speed.record(facts.get("rows", 0) / seconds, names)
            if (ms := facts.get("evidence_ms")) is not None:
                meter.create_histogram("peak_trade.evidence_cost", "ms", "What the evidence itself took").record(
                    ms, names
                )
    return {"rows": facts.get("rows"), "skipped": facts.get("skipped") or None}


# --- other places -------------------------------------------------------------------------------------------------


def _begun(session: Session, given: Given, run: Any) -> None:
    session.writing = True
    if session.open:
        session.open[0].span.set_attribute("run_id", run.run_id)


def _taken_back(session: Session) -> None:
    """Note that a run did not start after all."""
    session.writing = not session.settings.makes_run


def _shown(session: Session, path: Path) -> None:
    """Note the run whose page the report's kernel makes."""
    session.subjects[path.absolute()] = "report"
    if session.open and len(session.subjects) == 1:
        session.open[0].span.set_attribute("run_id", path.name)


def _join(session: Session, run_id: str, part: str = "") -> AbstractContextManager[None]:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, session.context.get_current())
    return session.joined(part, run_id, carrier.get("traceparent", ""))


def _part_from_kernel(session: Session, given: Given) -> None:
    """Have the report's kernel end as one that may flush, before it is killed."""
    if kernel := given["self"]._kernel:
        pid, deadline = kernel.provisioner.pid, time.monotonic() + _FAREWELL_S
        with suppress(OSError):  # it is gone already
            os.kill(pid, signal.SIGTERM)
            while time.monotonic() < deadline and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.005)


PLACES = (  # without a span of their own
    Edge("", "peak_trade.evidence.run_dir", "RunDir.create", after=_begun),
    Edge("", "peak_trade.evidence.run_dir", "RunDir.abandon", lambda session, given: _taken_back(session)),
    # the last moment before code runs that may do anything, and none of those whose time is taken
    Edge("", "peak_trade.runner.order", "logging_to", lambda session, given: session.save()),
    Edge("", "peak_trade.evidence.run_dir", "RunDir.publish",
         after=lambda session, given, path: session.published(path)),
    Edge("", "peak_trade.runner.log", "RunLog.emit", lambda session, given: _stamp(session, given["record"])),
    Edge("", "peak_trade.tracking.batch", "MlflowTracker._send_off",
          lambda session, given: _join(session, given["run_dir"].name)),
    Edge("", "peak_trade.report.builtin", "Builtin._start",
          lambda session, given: _join(session, session.settings.run_id, "report_kernel")),
    Edge("", "peak_trade.report.builtin", "Builtin._stop", _part_from_kernel),
    Edge("", "peak_trade.report.page", "Page.__init__", lambda session, given: _shown(session, given["path"])),
)  # fmt: skip


# --- log records --------------------------------------------------------------------------------------------------

_LEVELS = ((50, "FATAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (0, "DEBUG"))
_PLAIN = (str, bytes, int, float, bool, type(None))  # what is written out without a method of somebody's own


def _record_logs(session: Session) -> None:
    """Record what the program logs, at the one place that every record passes.

    A handler would be seen: `logging.basicConfig` does nothing where there is one, and what is logged without any goes
    to stderr. What a record says is heard when a handler asks it: to ask once more would be seen by an object that
    counts how often it is written out.
    """
    handle, message = logging.Logger.callHandlers, logging.LogRecord.getMessage
    heard: dict[int, str | None] = {}  # by the id of a record that is being handled

    @wraps(message)
    def hear(record: logging.LogRecord) -> str:
        text = message(record)
        if heard.get(id(record), text) is None:
            heard[id(record)] = text  # what the first handler got
        return text

    @wraps(handle)
    def call(logger: logging.Logger, record: logging.LogRecord) -> None:
        if not session.here or not _reaches_root(logger):
            handle(logger, record)
            return
        heard[id(record)] = None
        try:
            handle(logger, record)
        finally:
            _record(session, record, heard.pop(id(record), None))

    setattr(logging.Logger, "callHandlers", call)  # noqa: B010 - an assignment would ask mypy for its own type
    setattr(logging.LogRecord, "getMessage", hear)  # noqa: B010 - as above


def _reaches_root(logger: logging.Logger | None) -> bool:
    while logger and logger.propagate:
        logger = logger.parent
    return logger is None


def _said(record: logging.LogRecord) -> str:
    """Return what a record says that no handler has asked: as it was put, where to fill it in would call others."""
    given = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    if all(type(value) in _PLAIN for value in (record.msg, *given)):
        return record.getMessage()
    return record.msg if isinstance(record.msg, str) else type(record.msg).__qualname__


def _record(session: Session, record: logging.LogRecord, said: str | None = None) -> None:
    with suppress(Exception):  # a log call with the wrong arguments: the program's own handlers tell of it
        severity = next(name for level, name in _LEVELS if record.levelno >= level)
        attributes = {}
        if record.exc_info and record.exc_info[0] and record.exc_info[1] is not None:
            attributes["exception.type"] = record.exc_info[0].__qualname__
            attributes["exception.stacktrace"] = formatted(record.exc_info[1])[-_LONGEST:]
        session.loggers.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=session.context.get_current(),
                severity_text=severity,
                severity_number=SeverityNumber[severity],
                body=as_utf8(_said(record) if said is None else said)[:_LONGEST],
                attributes=attributes,
            )
        )
        session.logs += 1


def _stamp(session: Session, record: logging.LogRecord) -> None:
    """Give a record that goes to `run.log` the ids of the span in which it was made."""
    if hasattr(record, "traceback"):  # the error that ends the run: it comes by no logger
        record.levelno = logging.ERROR
        if session.loggers:
            _record(session, record)
    ids = trace.get_current_span(session.context.get_current()).get_span_context()
    if ids.is_valid:
        record.otelTraceID, record.otelSpanID = f"{ids.trace_id:032x}", f"{ids.span_id:016x}"


_INSTALLED: list[Session] = []

# --- all of it ----------------------------------------------------------------------------------------------------


def install(session: Session) -> None:
    """Have the program's edges recorded, from its imports on, and its logs where the session has loggers.

    Once in a process: where they are recorded already, as when one command runs another one, nothing is done.
    """
    if _INSTALLED:
        return
    _INSTALLED.append(session)
    table: dict[str, dict[str, Wrap]] = {}
    for edge in (*PLACES, *EDGES):
        table.setdefault(edge.module, {})[edge.function] = _watched(session, edge)
    if session.settings.traceparent:
        carrier = {"traceparent": session.settings.traceparent}
        session.context.attach(TraceContextTextMapPropagator().extract(carrier))
    session.finishers.insert(0, lambda: _close_all(session))
    if session.loggers:
        _record_logs(session)
    when_imported(table)
    if session.settings.part:
        _enter(session, session.tracers.get_tracer(_SCOPE), session.settings.part, {}, session.started_ns)
