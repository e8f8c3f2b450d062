"""A run's telemetry, read from its OTLP JSON lines: spans, log records, and the tree that spans make.

Telemetry is not sealed, is written by several processes and by ones that are killed, so nothing that its files may hold
stops a reader: a line that is torn, empty or no OTLP, and a record without what makes it one, is left out and counted.
Fields are those of OTLP/JSON: hexadecimal ids, 64-bit integers as text, values as `{"stringValue": …}`.
Source: OpenTelemetry Protocol 1.x, https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.results import Results

__all__ = [
    "LEVELS",
    "Event",
    "File",
    "Key",
    "Log",
    "Node",
    "Span",
    "Telemetry",
    "absent",
    "find",
    "folders",
    "read",
    "tree",
]

FOLDER, OPERATIONS = "telemetry", ".telemetry"
LEVELS = ("trace", "debug", "info", "warning", "error", "critical")
"""Of log records, lowest first, as in run.log; each stands for four severity numbers of OpenTelemetry's, from 1 on."""
Key = tuple[str, str, str]
"""What a span is known by: run_id, trace_id and span_id."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE = re.compile(r"(?:(?P<part>.+)\.)?(?P<signal>traces|logs)\.jsonl")
_HEX = {size: re.compile(rf"(?!0+$)[0-9a-fA-F]{{{size}}}") for size in (16, 32)}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_INT64 = 1 << 63
_DEEPEST = 16  # levels of a value; nothing of ours has more than two
_WORDS = {"warn": "warning", "fatal": "critical"}


class Event(Struct, frozen=True):
    """What happened at an instant of a span; `time` in ns since 1970."""

    name: str
    time: int
    attributes: dict[str, Any]


class Span(Struct, frozen=True, kw_only=True):
    """A step of a run: `start` and `end` in ns since 1970, `parent_span_id` empty in a root.

    `part` is what wrote it: `main`, or what stands before the file's name (`report.traces.jsonl`). A span that ends
    before it starts, as one does when the clock is set back, ends where it starts. `process` are the attributes of the
    resource that are neither `run_id` nor `service`.
    """

    run_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    service: str
    part: str
    start: int
    end: int
    status: Literal["unset", "ok", "error"]
    message: str
    attributes: dict[str, Any]
    process: dict[str, Any]
    events: tuple[Event, ...] = ()

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.run_id, self.trace_id, self.span_id

    @property
    def duration_ms(self) -> float:
        """How long it took, in ms."""
        return (self.end - self.start) / 1e6

    @property
    def error(self) -> str:
        """Type and message of the exception that a span with an error recorded last; else what its status says."""
        if self.status != "error":
            return ""
        for event in reversed(self.events):
            if event.name == "exception":
                return _exception(event.attributes) or self.message
        return self.message


class Log(Struct, frozen=True, kw_only=True):
    """A log record: `time` in ns since 1970; `level` is one of `LEVELS`, or empty; the ids may be empty too."""

    run_id: str
    time: int
    level: str
    logger: str
    message: str
    trace_id: str
    span_id: str
    part: str
    attributes: dict[str, Any]

    @property
    def exception(self) -> str:
        """Type and message of the exception that was logged; empty without one."""
        return _exception(self.attributes)


class File(Struct, kw_only=True):
    """A file that was read: `rows` were taken from it, `repeated` had been read already, `skipped` are no records."""

    path: Path
    signal: Literal["traces", "logs"]
    part: str
    bytes: int
    modified: int
    rows: int = 0
    repeated: int = 0
    skipped: int = 0


class Telemetry(Struct):
    """What the folders of one run, or of another operation, hold: each span once, sorted by start; logs by time."""

    folder: str
    spans: list[Span]
    logs: list[Log]
    files: list[File]

    @property
    def skipped(self) -> int:
        """How many lines and records were left out."""
        return sum(file.skipped for file in self.files)


# --- where it lies ------------------------------------------------------------------------------------------------


def folders(results: Path) -> dict[str, list[File]]:
    """Return the files with telemetry below `results`, by the run_id or other id of their folder, none of them read."""
    named = {path.name: None for path in Results(results).runs()} | dict.fromkeys(_operations(results))
    found = {name: files(results, name) for name in sorted(named)}
    return {name: listed for name, listed in found.items() if listed}


def files(results: Path, folder: str) -> list[File]:
    """Return the files of one folder, none of them read: those of the finished run first."""
    found = []
    for place in (results / folder / FOLDER, results / OPERATIONS / folder):
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            named = _FILE.fullmatch(entry.name)
            if named and entry.is_file(follow_symlinks=False):  # a named pipe would keep us waiting
                about = entry.stat(follow_symlinks=False)
                found.append(
                    File(
                        path=place / entry.name,
                        signal="traces" if named["signal"] == "traces" else "logs",
                        part=named["part"] or "main",
                        bytes=about.st_size,
                        modified=about.st_mtime_ns,
                    )
                )
    return found


def _operations(results: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(results / OPERATIONS) if _ID.fullmatch(name))
    except OSError:
        return []


def find(results: Path, which: str) -> str:
    """Return the id of a folder: of a run, named as `Results.find` does, else of what `.telemetry/` alone has.

    Raises InputError where there is none, or more than one.
    """
    start = which.strip().lower()
    others = [name for name in _operations(results) if start and name.startswith(start)]
    if not others or any(path.name.startswith(start) for path in Results(results).runs()):
        return Results(results).find(which).name
    if len(others) > 1:
        shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        raise InputError(f"{which!r} is the start of {len(others)}: {shown}", hint="give more of the id")
    return others[0]


class _Receipt(Struct):
    """Of receipt.json, which telemetry leaves beside its files, what is of use here."""

    reason: str = ""
    endpoint: str | None = None


def absent(results: Path, folder: str) -> RunError:
    """Return the error that says why a folder has no telemetry, as far as its receipt tells."""
    found = _Receipt()
    for place in (results / folder / FOLDER, results / OPERATIONS / folder):
        with suppress(OSError, ValueError):
            found = msgspec.json.decode((place / "receipt.json").read_bytes(), type=_Receipt)
    if found.endpoint:
        hint = "PEAK_OTEL_FILE=1 keeps a copy of the next run's in its directory"
        return RunError(f"the telemetry of {folder} is not here: it was for {found.endpoint}", hint=hint)
    hint = "PEAK_OTEL_ENABLED=1 just run … records it, after just setup observability"
    return RunError(f"{folder} has no telemetry{found.reason and f': {found.reason}'}", hint=hint)


# --- files to records ---------------------------------------------------------------------------------------------


def read(results: Path, folder: str, known: Container[Key] = ()) -> Telemetry:
    """Return the telemetry of a folder, by the id that `find` gives; nothing in it is an error.

    Of the spans with one key the first counts, and none that is `known` from elsewhere. A log record has no key: where
    two files hold the same record, as they do when one is a copy of the other, it counts as often as in the file that
    has it most often.
    """
    listed = files(results, folder)
    spans: dict[Key, Span] = {}
    logs: list[Log] = []
    seen: Counter[bytes] = Counter()
    for file in listed:
        own: Counter[bytes] = Counter()
        for record in _records(file, folder):
            if isinstance(record, Span):
                new = record.key not in known and spans.setdefault(record.key, record) is record
            else:
                content = msgspec.json.encode(msgspec.structs.replace(record, part=""), order="deterministic")
                own[content] += 1
                if new := own[content] > seen[content]:
                    logs.append(record)
            file.rows += new
            file.repeated += not new
        seen |= own
    return Telemetry(
        folder,
        sorted(spans.values(), key=lambda span: (span.start, -span.end, span.trace_id, span.span_id)),
        sorted(logs, key=lambda log: log.time),
        listed,
    )


def _records(file: File, folder: str) -> Iterator[Span | Log]:
    """Yield the records of a file, and count in it what is none."""
    group, scope, items, make = _TRACES if file.signal == "traces" else _LOGS
    try:
        with open(file.path, "rb") as stream:
            for line in stream:
                try:
                    message = msgspec.json.decode(line)
                except (ValueError, RecursionError):  # torn, not UTF-8, or nested without end
                    file.skipped += 1
                    continue
                if not isinstance(message, dict) or not isinstance(message.get(group), list):
                    file.skipped += 1
                    continue
                for owner in _dicts(message, group):
                    process = _attributes(_dict(owner, "resource"))
                    for source in _dicts(owner, scope):
                        about = _Source(folder, file.part, process, _text(_dict(source, "scope").get("name")))
                        listed = source.get(items)
                        for item in listed if isinstance(listed, list) else []:
                            if record := make(item, about) if isinstance(item, dict) else None:
                                yield record
                            else:
                                file.skipped += 1
    except OSError:  # removed or moved since it was listed; or not ours to read
        file.skipped += 1


class _Source:
    """Where records come from: what their resource and their scope say."""

    def __init__(self, folder: str, part: str, process: dict[str, Any], scope: str) -> None:
        self.part, self.scope = part, scope
        self.run_id = _text(process.get("run_id")) or folder
        self.service = _text(process.get("service.name"))
        self.process = {key: value for key, value in process.items() if key not in ("run_id", "service.name")}


def _span(item: dict[str, Any], source: _Source) -> Span | None:
    trace_id, span_id = _id(item.get("traceId"), 32), _id(item.get("spanId"), 16)
    start, end, name = _time(item.get("startTimeUnixNano")), _time(item.get("endTimeUnixNano")), item.get("name")
    if not (trace_id and span_id and start and isinstance(name, str)):
        return None
    attributes, status = _attributes(item), _dict(item, "status")
    run_id = attributes.pop("run_id", None)
    return Span(
        run_id=run_id if run_id and isinstance(run_id, str) else source.run_id,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_id(item.get("parentSpanId"), 16),
        name=name,
        service=source.service,
        part=source.part,
        start=start,
        end=max(start, end),
        status=_status(status.get("code")),
        message=_text(status.get("message")),
        attributes=attributes,
        process=source.process,
        events=tuple(
            Event(_text(event.get("name")), _time(event.get("timeUnixNano")), _attributes(event))
            for event in _dicts(item, "events")
        ),
    )


def _log(item: dict[str, Any], source: _Source) -> Log | None:
    time = _time(item.get("timeUnixNano")) or _time(item.get("observedTimeUnixNano"))
    if not time:
        return None
    attributes = _attributes(item)
    run_id = attributes.pop("run_id", None)
    body = _value(item.get("body"))
    return Log(
        run_id=run_id if run_id and isinstance(run_id, str) else source.run_id,
        time=time,
        level=_level(item.get("severityNumber"), item.get("severityText")),
        logger=source.scope,
        message=body if isinstance(body, str) else "" if body is None else msgspec.json.encode(body).decode(),
        trace_id=_id(item.get("traceId"), 32),
        span_id=_id(item.get("spanId"), 16),
        part=source.part,
        attributes=attributes,
    )


_Make = Callable[[dict[str, Any], _Source], "Span | Log | None"]
_TRACES: tuple[str, str, str, _Make] = ("resourceSpans", "scopeSpans", "spans", _span)
_LOGS: tuple[str, str, str, _Make] = ("resourceLogs", "scopeLogs", "logRecords", _log)


# --- OTLP's values ------------------------------------------------------------------------------------------------


def _dict(item: dict[str, Any], key: str) -> dict[str, Any]:
    found = item.get(key)
    return found if isinstance(found, dict) else {}


def _dicts(item: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = item.get(key)
    return (entry for entry in found if isinstance(entry, dict)) if isinstance(found, list) else iter(())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object, size: int) -> str:
    """Return an id of `size` hexadecimal digits in lower case; empty where it is none, or zero, which means none."""
    return value.lower() if isinstance(value, str) and _HEX[size].fullmatch(value) else ""


def _integer(value: object) -> int | None:
    """Return a 64-bit integer, which OTLP/JSON writes as text; None where it is none."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _time(value: object) -> int:
    """Return ns since 1970; 0, which OTLP has for a time that is not known, where it is none."""
    return max(_integer(value) or 0, 0)


def _status(code: object) -> Literal["unset", "ok", "error"]:
    return "error" if code == 2 else "ok" if code == 1 else "unset"


def _level(number: object, text: object) -> str:
    if type(number) is int and 1 <= number <= 24:
        return LEVELS[(number - 1) // 4]
    word = _text(text).lower()
    word = _WORDS.get(word, word)
    return word if word in LEVELS else ""


def _attributes(item: dict[str, Any]) -> dict[str, Any]:
    return _pairs(item.get("attributes"), _DEEPEST)


def _pairs(listed: object, deepest: int) -> dict[str, Any]:
    pairs = listed if isinstance(listed, list) else []
    return {
        pair["key"]: _value(pair.get("value"), deepest)
        for pair in pairs
        if isinstance(pair, dict) and isinstance(pair.get("key"), str)
    }


def _value(value: object, deepest: int = _DEEPEST) -> Any:
    """Return OTLP's AnyValue as JSON can hold it; None where it is none, or lies deeper than anything of ours."""
    if not isinstance(value, dict) or not deepest:
        return None
    kind = next((kind for kind in _KINDS if kind in value), "")
    content = value.get(kind)
    if kind == "arrayValue":
        listed = content.get("values") if isinstance(content, dict) else None
        return [_value(item, deepest - 1) for item in listed] if isinstance(listed, list) else []
    if kind == "kvlistValue":
        return _pairs(content.get("values") if isinstance(content, dict) else None, deepest - 1)
    if kind == "intValue":
        return _integer(content)
    if isinstance(content, _KINDS.get(kind, ())):
        return content
    return _integer(content) if kind == "doubleValue" else None


_KINDS: dict[str, Any] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int | str,
    "doubleValue": float | str,  # no number of JSON is NaN or infinite: OTLP writes them as text, and so do we
    "arrayValue": dict,
    "kvlistValue": dict,
    "bytesValue": str,
}


def _exception(attributes: dict[str, Any]) -> str:
    words = [_text(attributes.get(f"exception.{name}")) for name in ("type", "message")]
    return ": ".join(word for word in words if word)


# --- the tree -----------------------------------------------------------------------------------------------------


class Node(Struct, kw_only=True, eq=False):
    """A span in the tree that its run's spans make, with those that it started, in order of their start.

    Where `span` is None the node stands for a parent that no file holds, as when a process was killed before its span
    ended: it lasts from the first start to the last end of what names it. `slowest` marks the slowest path of each
    trace: the root that took longest, and from there, at each level, the child that took longest; of two alike, the
    first.
    """

    name: str
    trace_id: str
    span_id: str
    start: int
    end: int
    span: Span | None = None
    children: list[Node] = []
    slowest: bool = False

    @property
    def duration_ms(self) -> float:
        """How long it took, in ms."""
        return (self.end - self.start) / 1e6

    @property
    def self_ms(self) -> float:
        """How long it took, in ms, without the time in which one of its children or more were under way."""
        busy, reached = 0, self.start
        for child in self.children:
            start, end = max(child.start, reached), min(child.end, self.end)
            if end > start:
                busy += end - start
                reached = end
        return (self.end - self.start - busy) / 1e6

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Yield this node and all below it with their depth, parents before their children."""
        rest = [(0, self)]
        while rest:
            depth, node = rest.pop()
            yield depth, node
            rest += [(depth + 1, child) for child in reversed(node.children)]


def tree(spans: Sequence[Span]) -> list[Node]:
    """Return the roots of spans of any number of processes and traces, in order of their start.

    Every span stands in it once. A span whose parent is missing stands under a node for it; where spans are each
    other's parents, the one that started first is a root.
    """
    nodes = [
        Node(name=span.name, trace_id=span.trace_id, span_id=span.span_id, start=span.start, end=span.end, span=span)
        for span in spans
    ]
    nodes.sort(key=_order)
    known: dict[tuple[str, str], Node] = {}
    for node in nodes:
        known.setdefault((node.trace_id, node.span_id), node)
    roots: list[Node] = []
    missing: dict[tuple[str, str], Node] = {}
    for node in nodes:
        parent_id = node.span.parent_span_id if node.span else ""
        if not parent_id:
            roots.append(node)
        elif parent := known.get((node.trace_id, parent_id)):
            parent.children.append(node)
        else:
            key = node.trace_id, parent_id
            lost = missing.setdefault(
                key, Node(name="", trace_id=key[0], span_id=key[1], start=node.start, end=node.end)
            )
            lost.end = max(lost.end, node.end)
            lost.children.append(node)
    roots += missing.values()
    _open_cycles(nodes, roots)
    roots.sort(key=_order)
    _mark_slowest(roots)
    return roots


def _open_cycles(nodes: Sequence[Node], roots: list[Node]) -> None:
    """Make a root of the first span of each cycle of parents: no root leads to any of them. `nodes` are in order."""
    reached = {id(node) for root in roots for _, node in root.walk()}
    for node in nodes:
        if id(node) in reached:
            continue
        rest = [node]
        while rest:
            found = rest.pop()
            reached.add(id(found))
            found.children = [child for child in found.children if id(child) not in reached]
            reached |= {id(child) for child in found.children}
            rest += found.children
        roots.append(node)


def _mark_slowest(roots: Sequence[Node]) -> None:
    traces: dict[str, list[Node]] = {}
    for root in roots:
        traces.setdefault(root.trace_id, []).append(root)
    for level in traces.values():
        while level:
            slowest = max(level, key=lambda node: node.end - node.start)  # the first of those that took the same
            slowest.slowest = True
            level = slowest.children


def _order(node: Node) -> tuple[int, int, str]:
    return node.start, -node.end, node.span_id
