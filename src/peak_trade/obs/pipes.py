"""From the SDK to a file or a collector: what is recorded is kept in memory, and passed on at a moment of our choice.

The declarative configuration says what goes where; the SDK reads it and makes providers and exporters of it, and its
simple processors hand on what was recorded. Of its batches there is none: each would start a thread, open its exporter
at once, and wait for it at the exit for as long as that likes. A `Pipe` stands between processor and exporter instead:
it opens the exporter when there is something to export, and masks secrets on the way.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status

from peak_trade import __version__
from peak_trade.obs.said import by_this_thread, silence
from peak_trade.obs.session import Session
from peak_trade.obs.settings import environment
from peak_trade.text import one_line

__all__ = ["Pipe", "configure", "named", "short"]

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
    """One signal on its way to one place, an exporter to the SDK's processors; `create` makes the real one."""

    _preferred_temporality: Mapping[type, Any] = {}  # what a reader of metrics asks its exporter for
    _preferred_aggregation: Mapping[type, Any] = {}

    def __init__(self, session: Session, signal: str, create: Callable[[], Any], *, to_file: bool) -> None:
        self.session, self.signal, self.to_file = session, signal, to_file
        self.fault = ""
        self._create, self._broken = create, False
        self._exporter: Any = None
        self._queue: deque[Any] = deque()

    def export(self, items: Any, **kwargs: Any) -> None:
        """Keep items, or metrics; where there are too many, write them to the file, or drop the oldest."""
        session = self.session
        for item in [items] if self.signal == "metrics" else items:
            if not session.here:
                return
            if self._broken:
                session.dropped += 1
                continue
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
        clean = _Mask(self.session).clean
        return [clean(self._queue.popleft()) for _ in range(len(self._queue))]

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
        session, settings = self.session, self.session.settings
        if not self.to_file and self.signal != "spans" and _UNTAKEN.search(text):
            session.untaken.add(self.signal)  # a server for traces alone
            return
        self._broken = True
        session.dropped += count
        url = settings.endpoint.url if settings.endpoint else "the collector"
        self.fault = f"{session.folder if self.to_file else url} does not take {self.signal}: {short(text)}"

    def shutdown(self, *args: Any, **kwargs: Any) -> None:
        """Let go of the exporter."""
        if self._exporter is not None:
            with suppress(Exception):
                self._exporter.shutdown()

    def force_flush(self, *args: Any, **kwargs: Any) -> bool:
        """Nothing: the session says when."""
        return True


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


class _Mask:
    """Copies what was recorded without secrets, and names the finished run that it is about, if there is one."""

    def __init__(self, session: Session) -> None:
        self.text, self.tree = session.redactor.text, session.redactor.tree
        only = next(iter(session.subjects)).name if len(session.subjects) == 1 and not session.run_dir else ""
        self._about = {"run_id": only, "service.instance.id": only} if only else {}
        self._resources: dict[int, Resource] = {}  # by id: there are one or two

    def clean(self, item: Any) -> Any:
        if isinstance(item, ReadableSpan):
            return ReadableSpan(
                name=item.name,
                context=item.context,
                parent=item.parent,
                resource=self.resource(item.resource),
                attributes=self.tree(dict(item.attributes or {})),
                events=[Event(event.name, self.tree(dict(event.attributes or {})), event.timestamp)
                        for event in item.events],
                links=item.links,
                kind=item.kind,
                status=Status(item.status.status_code, item.status.description and self.text(item.status.description)),
                start_time=item.start_time,
                end_time=item.end_time,
                instrumentation_scope=item.instrumentation_scope,
            )  # fmt: skip
        if isinstance(item, ReadableLogRecord):
            record = copy.copy(item.log_record)
            record.body = self.text(record.body) if isinstance(record.body, str) else record.body
            record.attributes = self.tree(dict(record.attributes or {}))
            return ReadableLogRecord(record, self.resource(item.resource), item.instrumentation_scope)
        named = [replace(one, resource=self.resource(one.resource)) for one in item.resource_metrics]
        return replace(item, resource_metrics=named)  # metrics hold numbers, and names that spans have too

    def resource(self, resource: Resource) -> Resource:
        if id(resource) not in self._resources:
            attributes = {**self.tree(dict(resource.attributes)), **self._about}
            self._resources[id(resource)] = Resource(attributes, resource.schema_url)
        return self._resources[id(resource)]


# --- as the declarative files say ---------------------------------------------------------------------------------


def named(resource: Resource, session: Session) -> Resource:
    """Return a resource with the run_id, and with a service name where it has none."""
    unnamed = str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service")
    name = {"service.name": session.settings.service} if unnamed else {}
    return Resource({**resource.attributes, **name, "run_id": session.settings.run_id}, resource.schema_url)


def configure(session: Session) -> list[Pipe] | None:
    """Build the SDK's providers as the declarative files say, and return their pipes. Raises whatever is wrong.

    They are the session's alone: the global ones, and the current context, are left to the program. Returns None where
    the files say that nothing is to be recorded.
    """
    from opentelemetry import metrics, trace
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

    silence()
    settings, env = session.settings, os.environ
    standard = {} if env.get("OTEL_CONFIG_FILE") else env  # as OpenTelemetry says: a file has the place of variables
    service = env.get("PEAK_OTEL_SERVICE_NAME") or OTELResourceDetector().detect().attributes.get("service.name")
    with environment(
        PEAK_RUN_ID=settings.run_id,
        PEAK_OTEL_SERVICE_NAME=str(service or settings.service),
        PEAK_OTEL_DIR=str(settings.home),
        PEAK_OTEL_ENDPOINT=settings.endpoint.url if settings.endpoint else None,
        PEAK_OTEL_VERSION=__version__,
        PEAK_OTEL_PIPELINE=env.get("GITHUB_RUN_ID") or env.get("CI_PIPELINE_ID"),
        PEAK_OTEL_SAMPLE_RATIO=str(settings.ratio),
        PEAK_OTEL_TIMEOUT_MS=str(round(settings.timeout_s * 1e3)),
    ):
        configs = [_load(path) for path in settings.files]
    config = configs[0]
    if config.disabled:
        return None
    module = import_module("opentelemetry.configuration._resource")
    resource, limits = named(module.create_resource(config.resource), session), config.attribute_limits
    pipes: list[Pipe] = []

    def provider(signal: str, kind: str, exporters: str) -> tuple[Any, list[Pipe]]:
        """Return what the SDK makes for a signal, but for the processors, and the pipes in their place."""
        if not getattr(config, f"{kind}_provider") or standard.get(f"OTEL_{exporters}_EXPORTER", "").strip() == "none":
            return None, []
        of = import_module(f"opentelemetry.configuration._{kind}_provider")
        make = getattr(of, {"tracer": "_create_span_exporter", "logger": "_create_log_record_exporter",
                            "meter": "_create_push_metric_exporter"}[kind])  # fmt: skip
        made = []
        for asked in (getattr(one, f"{kind}_provider") for one in configs):
            name = "readers" if kind == "meter" else "processors"
            for way in getattr(asked, name):
                at = next(inner for inner in vars(way).values() if hasattr(inner, "exporter")).exporter
                made.append(_pipe(session, signal, at, make))
            setattr(asked, name, [])  # there is no way round the mask
        pipes.extend(made)
        rest = (resource,) if kind == "meter" else (resource, limits)
        return getattr(of, f"create_{kind}_provider")(getattr(config, f"{kind}_provider"), *rest), made

    session.context = ContextVarsRuntimeContext()
    with _without_fork_hooks():
        tracers, made = provider("spans", "tracer", "TRACES")
        session.tracers = tracers or trace.NoOpTracerProvider()
        for pipe in made:
            session.tracers.add_span_processor(SimpleSpanProcessor(pipe))
        if tracers and standard.get("OTEL_TRACES_SAMPLER") and not env.get("PEAK_OTEL_SAMPLE_RATIO"):
            tracers.sampler = sampling._get_from_env_or_default()
        meters, made = provider("metrics", "meter", "METRICS")
        session.meters = meters or metrics.NoOpMeterProvider()
        for pipe in made:
            reader = PeriodicExportingMetricReader(pipe, math.inf)  # read once, at the end
            session.meters.add_metric_reader(reader)
            session.finishers.append(reader.collect)
        session.loggers, made = provider("logs", "logger", "LOGS")
        for pipe in made:
            session.loggers.add_log_record_processor(SimpleLogRecordProcessor(pipe))
    return pipes


@contextmanager
def _without_fork_hooks() -> Iterator[None]:
    """Keep the SDK from what it does in each forked child, where nothing is recorded.

    It looks for its resource again there, in threads, and a SIGTERM that comes meanwhile is lost: that of a pool which
    ends its workers, which then waits for them for ever.
    """
    register = os.register_at_fork
    setattr(os, "register_at_fork", lambda **hooks: None)  # noqa: B010 - an assignment would ask for its own type
    try:
        yield
    finally:
        setattr(os, "register_at_fork", register)  # noqa: B010 - as above


def _pipe(session: Session, signal: str, at: Any, make: Callable[[Any], Any]) -> Pipe:
    """Return the pipe to where an exporter of the files leads: one of ours is opened in the run's folder."""
    settings, file = session.settings, at.otlp_file_development
    home = f"file://{settings.home}/"
    if not file or not (file.output_stream or "").startswith(home):
        return Pipe(session, signal, lambda: make(at), to_file=file is not None)
    name = f"{settings.part}." * bool(settings.part) + file.output_stream.removeprefix(home)
    module, kind = {"spans": ("trace_exporter", "FileSpanExporter"), "logs": ("_log_exporter", "FileLogExporter"),
                    "metrics": ("metric_exporter", "FileMetricExporter")}[signal]  # fmt: skip

    def create() -> Any:  # by its path: what the file says is an address, in which `#` and `%` mean something
        exporters = import_module(f"opentelemetry.exporter.otlp.json.file.{module}")
        return getattr(exporters, kind)(session.make_folder() / name)

    return Pipe(session, signal, create, to_file=True)


def _load(path: Path) -> Any:
    """Read a declarative configuration, checked against its schema; not the schema, which costs a tenth of a second."""
    from opentelemetry.configuration import load_config_file

    validator = import_module("jsonschema").Draft202012Validator
    check, validator.check_schema = validator.check_schema, lambda schema: None
    try:
        return load_config_file(path)
    finally:
        validator.check_schema = check
