"""From the SDK to a file or a collector: what is recorded is kept in memory, and passed on at a moment of our choice.

The declarative configuration says what goes where, and the SDK builds its providers from it; but for its batches, each
of which would start a thread, open its exporter at once, and wait for it at the exit for as long as that likes.
A `Pipe` stands in for each: it opens its exporter when there is something to export, and masks secrets on the way.
"""

from __future__ import annotations

import copy
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.trace import Status

from peak_trade import __version__
from peak_trade.obs.said import by_this_thread, silence
from peak_trade.obs.session import Session
from peak_trade.obs.settings import environment
from peak_trade.text import one_line

__all__ = ["Pipe", "configure", "short"]

MOST = 4096  # items that wait for a collector; more are dropped, the oldest first, and counted
AT_ONCE = 512  # items that are kept before a file gets them
_SAID = (  # what exporters say, in words that fit into a line
    (r"connection refused", "connection refused"),
    (r"not known|name resolution|dns resolution|errors resolving|nodename nor servname", "its name is not known"),
    (r"code: (\d{3})\b", r"it answers \1"),
    (r"deadline|timed? ?out", "no answer in time"),
    (r"StatusCode\.(\w+)", r"it answers \1"),
    (r"\[Errno \d+\] ([^:]+)", r"\1"),
)
_UNTAKEN = re.compile(r"code: (?:404|405|415|501)\b|StatusCode\.UNIMPLEMENTED")


def short(text: str) -> str:
    """Return what an exporter says in a few words.

    >>> short("Failed to export spans batch code: 500, reason: Internal Server Error")
    'it answers 500'
    """
    for pattern, words in _SAID:
        if found := re.search(pattern, text, re.IGNORECASE):
            return found.expand(words)
    return one_line(text)[-200:]


class Pipe:
    """One signal on its way to one place; `create` makes the exporter."""

    def __init__(self, session: Session, signal: str, create: Callable[[], Any], *, to_file: bool) -> None:
        self.session, self.signal, self.to_file = session, signal, to_file
        self.fault = ""
        self._create, self._broken = create, False
        self._exporter: Any = None
        self._queue: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Keep an item; where there are too many, write them to the file, or drop the oldest."""
        session = self.session
        if not session.here:
            return
        if self._broken:
            session.dropped += 1
            return
        self._queue.append(item)
        if self.to_file and session.writing and len(self._queue) >= AT_ONCE:
            self.flush()
        elif len(self._queue) > MOST:
            self._queue.popleft()
            session.dropped += 1

    def flush(self) -> None:
        """Pass on what is there."""
        if self._queue and self.opened():
            self.send(self.take())

    def take(self) -> list[Any]:
        """Return what is there, masked, and keep nothing."""
        items = [self._queue.popleft() for _ in range(len(self._queue))]
        return [_clean(item, self.session) for item in items]

    def opened(self) -> bool:
        """Make the exporter, if that has not been done; say whether there is one."""
        if self._exporter is None and not self._broken:
            try:
                self._exporter = _outspoken(self._create())
            except Exception as error:  # noqa: BLE001 - an exporter may raise anything; the program goes on
                self.fails(len(self._queue), f"{type(error).__name__}: {error}")
        return self._exporter is not None and not self._broken

    def send(self, items: Sequence[Any]) -> None:
        """Have items exported; raises nothing."""
        said = by_this_thread()
        said.clear()
        try:
            batches = items if self.signal == "metrics" else [items]
            taken = all(self._exporter.export(batch).name == "SUCCESS" for batch in batches)
            text = " ".join(said)
        except Exception as error:  # noqa: BLE001 - as in `opened`
            taken, text = False, f"{type(error).__name__}: {error}"
        if not taken:
            self.fails(len(items), text)

    def fails(self, count: int, text: str) -> None:
        """Note that items did not get through, and give up."""
        if self._broken:  # it was given up before the exporter did so
            return
        session = self.session
        if not self.to_file and self.signal != "spans" and _UNTAKEN.search(text):
            session.untaken.add(self.signal)  # a server for traces alone
            return
        self._broken = True
        session.dropped += count
        if self.to_file:
            self.fault = f"{session.folder} does not take {self.signal}: {short(text)}"
        else:
            url = session.settings.endpoint.url if session.settings.endpoint else "the collector"
            self.fault = f"{url} does not take {self.signal}: {short(text)}"

    def close(self) -> None:
        """Let go of the exporter."""
        if self._exporter is not None:
            with suppress(Exception):
                self._exporter.shutdown()


def _outspoken(exporter: Any) -> Any:
    """Have an exporter say why it failed: each, where they share a logger, and where it would have tried again too."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("opentelemetry.exporter") and isinstance(logger, logging.Logger):
            logger.filters.clear()  # that against repetition
    client: Any = getattr(exporter, "_client", None)
    if export := getattr(client, "export", None):  # of an exporter over HTTP

        def remember(data: bytes) -> Any:
            result = export(data)
            if 300 <= (result.status_code or 0) < 400:  # the way to a login, not what was asked: it is not followed
                result = replace(result, success=False)
            if not result.success:
                code = f"code: {result.status_code}" if result.status_code else ""
                by_this_thread().insert(0, code or str(result.error))
            return result

        client.export = remember
        if http := getattr(getattr(client, "_transport", None), "_session", None):
            http.stream = True  # what an answer says beyond its status is not read, which may be without end
    return exporter


# --- without secrets ----------------------------------------------------------------------------------------------


def _clean(item: Any, session: Session) -> Any:
    if isinstance(item, ReadableSpan):
        return ReadableSpan(
            name=item.name,
            context=item.context,
            parent=item.parent,
            resource=_resource(item.resource, _subject(session)),
            attributes=_masked(item.attributes, session),
            events=[Event(event.name, _masked(event.attributes, session), event.timestamp) for event in item.events],
            links=item.links,
            kind=item.kind,
            status=Status(item.status.status_code, _text(item.status.description, session)),
            start_time=item.start_time,
            end_time=item.end_time,
            instrumentation_scope=item.instrumentation_scope,
        )
    if isinstance(item, ReadableLogRecord):
        record = copy.copy(item.log_record)
        record.body, record.attributes = _text(record.body, session), _masked(record.attributes, session)
        return ReadableLogRecord(record, _resource(item.resource, _subject(session)), item.instrumentation_scope)
    return item  # metrics hold numbers, and names that spans have too


def _masked(attributes: Mapping[str, Any] | None, session: Session) -> dict[str, Any]:
    masked: dict[str, Any] = session.redactor.tree(dict(attributes or {}))
    return masked


def _text(text: Any, session: Session) -> Any:
    return session.redactor.text(text) if isinstance(text, str) else text


def _subject(session: Session) -> str:
    """Return the run_id of the one finished run that a command dealt with."""
    return next(iter(session.subjects)).name if len(session.subjects) == 1 and not session.run_dir else ""


@lru_cache(maxsize=4)
def _resource(resource: Resource, run_id: str) -> Resource:
    return (
        Resource({**resource.attributes, "run_id": run_id, "service.instance.id": run_id}, resource.schema_url)
        if run_id
        else resource
    )


# --- in the SDK's place -------------------------------------------------------------------------------------------


class _Spans(SpanProcessor):
    """Gives spans that have ended to a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def on_end(self, span: ReadableSpan) -> None:
        if span.context.trace_flags.sampled:
            self.pipe.put(span)


class _Logs(LogRecordProcessor):
    """Gives log records to a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def on_emit(self, log_record: Any) -> None:
        self.pipe.put(ReadableLogRecord(log_record.log_record, log_record.resource, log_record.instrumentation_scope))

    def shutdown(self) -> None:
        """Nothing: the session ends its pipes."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing: as in `shutdown`."""
        return True


class _Metrics(MetricReader):
    """Reads the metrics once, at the end, and gives them to a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.pipe = pipe
        pipe.session.finishers.append(self.collect)

    def _receive_metrics(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        if metrics_data and metrics_data.resource_metrics:
            self.pipe.put(metrics_data)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing: the session ends its pipes."""


def configure(session: Session) -> bool:
    """Build the SDK's providers as the declarative files say, with pipes for batches. Raises whatever is wrong.

    They are the session's alone: the global ones, and the current context, are left to the program. Returns False where
    the files say that nothing is to be recorded.
    """
    from opentelemetry import metrics, trace
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

    of_traces: Any
    of_logs: Any
    of_metrics: Any
    of_traces, of_logs, of_metrics = (
        import_module(f"opentelemetry.configuration.{name}")
        for name in ("_tracer_provider", "_logger_provider", "_meter_provider")
    )
    silence()
    settings = session.settings
    with environment(
        PEAK_RUN_ID=settings.run_id,
        PEAK_OTEL_DIR=str(settings.home),
        PEAK_OTEL_ENDPOINT=settings.endpoint.url if settings.endpoint else None,
        PEAK_OTEL_VERSION=__version__,
        PEAK_OTEL_PIPELINE=os.environ.get("GITHUB_RUN_ID") or os.environ.get("CI_PIPELINE_ID"),
        PEAK_OTEL_SAMPLE_RATIO=str(settings.ratio),
        PEAK_OTEL_TIMEOUT_MS=str(round(settings.timeout_s * 1e3)),
    ):
        config, *others = map(_load, settings.files)
    if config.disabled:
        return False
    for other in others:
        config.tracer_provider.processors += other.tracer_provider.processors
        config.logger_provider.processors += other.logger_provider.processors
        config.meter_provider.readers += other.meter_provider.readers

    def pipe(signal: str, at: Any, make: Callable[[Any], Any]) -> Pipe:
        file = at.otlp_file_development
        create, home = (lambda: make(at)), f"file://{settings.home}/"
        if file and (file.output_stream or "").startswith(home):
            name = f"{settings.part}." * bool(settings.part) + file.output_stream.removeprefix(home)
            create = lambda: _file_exporter(signal)(session.make_folder() / name)  # noqa: E731 - the same in place
        made = Pipe(session, signal, create, to_file=file is not None)
        session.pipes.append(made)
        return made

    def spans(of: Any) -> _Spans:
        return _Spans(pipe("spans", (of.batch or of.simple).exporter, of_traces._create_span_exporter))

    def logs(of: Any) -> _Logs:
        return _Logs(pipe("logs", (of.batch or of.simple).exporter, of_logs._create_log_record_exporter))

    def numbers(of: Any) -> _Metrics:
        return _Metrics(pipe("metrics", of.periodic.exporter, of_metrics._create_push_metric_exporter))

    resource = import_module("opentelemetry.configuration._resource").create_resource(config.resource)
    limits, wanted = config.attribute_limits, 0
    session.context = ContextVarsRuntimeContext()
    session.tracers, session.meters = trace.NoOpTracerProvider(), metrics.NoOpMeterProvider()
    with (
        _instead(of_traces, "_create_span_processor", spans),
        _instead(of_logs, "_create_log_record_processor", logs),
        _instead(of_metrics, "_create_metric_reader", numbers),
    ):
        if asked := config.tracer_provider:
            session.tracers = of_traces.create_tracer_provider(asked, resource, limits)
            wanted += len(asked.processors)
        if asked := config.meter_provider:
            session.meters = of_metrics.create_meter_provider(asked, resource)
            wanted += len(asked.readers)
        if asked := config.logger_provider:
            session.loggers = of_logs.create_logger_provider(asked, resource, limits)
            wanted += len(asked.processors)
    if len(session.pipes) != wanted:  # no way round the mask
        raise RuntimeError("this version of opentelemetry-configuration makes its processors in another way")
    return True


@contextmanager
def _instead(module: Any, name: str, ours: Callable[[Any], Any]) -> Iterator[None]:
    """Have a function of the SDK replaced for the time of a block; one that is not there is an error."""
    theirs = getattr(module, name)
    setattr(module, name, ours)
    try:
        yield
    finally:
        setattr(module, name, theirs)


def _load(path: Path) -> Any:
    """Read a declarative configuration, checked against its schema; not the schema, which costs a tenth of a second."""
    from opentelemetry.configuration import load_config_file

    validator = import_module("jsonschema").Draft202012Validator
    check, validator.check_schema = validator.check_schema, lambda schema: None
    try:
        return load_config_file(path)
    finally:
        validator.check_schema = check


def _file_exporter(signal: str) -> Any:
    if signal == "spans":
        from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter

        return FileSpanExporter
    if signal == "logs":
        from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter

        return FileLogExporter
    from opentelemetry.exporter.otlp.json.file.metric_exporter import FileMetricExporter

    return FileMetricExporter
