"""A line of OTLP/JSON to spans and log records.

Fields are those of OTLP/JSON: hexadecimal ids, 64-bit integers as text, values as `{"stringValue": …}`.
Source: OpenTelemetry Protocol 1.x, https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
Nothing that a line may hold stops a reader: what is no request is a ValueError, a record without what makes it one is
None, and a field of the wrong kind costs no more than itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

__all__ = ["LEVELS", "Event", "Key", "Log", "Signal", "Span", "records"]

LEVELS = ("trace", "debug", "info", "warning", "error", "critical")
"""Of log records, lowest first, as in run.log; each stands for four severity numbers of OpenTelemetry's, from 1 on."""
Key = tuple[str, str, str]
"""What a span is known by: run_id, trace_id and span_id."""
Signal = Literal["traces", "logs"]

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


def records(line: bytes, signal: Signal, folder: str, part: str) -> Iterator[Span | Log | None]:
    """Yield the records of a line that a process, `part`, has written for the run or other operation `folder`.

    Raises ValueError where it is torn, not UTF-8, nested without end, or no request of that signal.
    """
    try:
        message = msgspec.json.decode(line)
    except RecursionError:
        raise ValueError("nested without end") from None
    group, scope, items, make = _TRACES if signal == "traces" else _LOGS
    if not isinstance(message, dict) or not isinstance(message.get(group), list):
        raise ValueError(f"no {group}")
    for owner in _dicts(message, group):
        process = _attributes(_dict(owner, "resource"))
        for source in _dicts(owner, scope):
            about = _Source(folder, part, process, _text(_dict(source, "scope").get("name")))
            listed = source.get(items)
            for item in listed if isinstance(listed, list) else []:
                yield make(item, about) if isinstance(item, dict) else None


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
