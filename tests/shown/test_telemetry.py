"""Telemetry is read as OTLP/JSON says it, and nothing that stands in its files stops a reader."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.shown import telemetry
from peak_trade.shown.otlp import Span
from peak_trade.shown.tree import Node, tree

RUN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"

# By hand, after the example of the specification: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
TRACES = """\
{"resourceSpans":[{"resource":{"attributes":[\
{"key":"service.name","value":{"stringValue":"peak-trade"}},\
{"key":"run_id","value":{"stringValue":"11111111-1111-4111-8111-111111111111"}},\
{"key":"cicd.pipeline.run.id","value":{"stringValue":"77"}}]},\
"scopeSpans":[{"scope":{"name":"peak_trade.obs","version":"1"},"spans":[\
{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",\
"flags":256,"name":"strategy","kind":1,\
"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661500000000",\
"attributes":[{"key":"rows","value":{"intValue":"9223372036854775807"}},{"key":"share","value":{"doubleValue":0.5}},\
{"key":"nothing","value":{"doubleValue":"NaN"}},{"key":"dry","value":{"boolValue":true}},\
{"key":"skipped","value":{"arrayValue":{"values":[{"stringValue":"a: b"},{"intValue":"2"}]}}},\
{"key":"tree","value":{"kvlistValue":{"values":[{"key":"x","value":{"bytesValue":"AAE="}}]}}}],\
"events":[{"timeUnixNano":"1544712661400000000","name":"exception","attributes":[\
{"key":"exception.type","value":{"stringValue":"ValueError"}},\
{"key":"exception.message","value":{"stringValue":"no idea"}}]}],\
"status":{"message":"failed so","code":2}}]}]}]}
"""
LOGS = """\
{"resourceLogs":[{"resource":{"attributes":[{"key":"run_id","value":{"stringValue":"11111111-1111-4111-8111-111111111111"}}]},\
"scopeLogs":[{"scope":{"name":"peak_trade.run"},"logRecords":[\
{"timeUnixNano":"1544712660300000000","observedTimeUnixNano":"1544712660300000001","severityNumber":13,\
"severityText":"WARN","body":{"stringValue":"few bars"},"attributes":[],\
"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"}]}]}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / RUN / "telemetry"
    made.mkdir(parents=True)
    return made


def shape(nodes: list[Node]) -> list[tuple[int, str]]:
    return [(depth, node.name) for root in nodes for depth, node in root.walk()]


# --- what OTLP says ------------------------------------------------------------------------------------------------


def test_a_span_is_read_field_by_field(folder: Path, tmp_path: Path) -> None:
    (folder / "traces.jsonl").write_text(TRACES)
    [span] = telemetry.read(tmp_path, RUN).spans
    assert span == Span(
        run_id=RUN,
        trace_id="5b8efff798038103d269b633813fc60c",
        span_id="eee19b7ec3c1b174",
        parent_span_id="eee19b7ec3c1b173",
        name="strategy",
        service="peak-trade",
        part="main",
        start=1_544_712_660_000_000_000,
        end=1_544_712_661_500_000_000,
        status="error",
        message="failed so",
        attributes={
            "rows": 2**63 - 1, "share": 0.5, "nothing": "NaN", "dry": True, "skipped": ["a: b", 2],
            "tree": {"x": "AAE="},
        },
        process={"cicd.pipeline.run.id": "77"},
        events=span.events,
    )  # fmt: skip
    assert (span.duration_ms, span.error) == (1500.0, "ValueError: no idea")
    assert [(event.name, event.time) for event in span.events] == [("exception", 1_544_712_661_400_000_000)]


def test_a_log_record_is_read_field_by_field(folder: Path, tmp_path: Path) -> None:
    (folder / "report.logs.jsonl").write_text(LOGS)
    [log] = telemetry.read(tmp_path, RUN).logs
    assert (log.run_id, log.time, log.level, log.logger, log.message, log.part, log.exception) == (
        RUN, 1_544_712_660_300_000_000, "warning", "peak_trade.run", "few bars", "report", "",
    )  # fmt: skip
    assert (log.trace_id, log.span_id) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")


@pytest.mark.needs("observability")
def test_what_opentelemetry_itself_writes_is_read(folder: Path, tmp_path: Path) -> None:
    from opentelemetry.exporter.otlp.json.file import FileSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "other", "run_id": RUN}))
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(path=folder / "traces.jsonl")))
    tracer = provider.get_tracer("test")
    with suppress(ValueError), tracer.start_as_current_span("run", attributes={"rows": 5}):
        with tracer.start_as_current_span("load", attributes={"shares": [0.5, 1.0], "bytes": 2**40, "run_id": OTHER}):
            pass
        raise ValueError("no idea")
    provider.shutdown()
    told = telemetry.read(tmp_path, RUN)
    run, load = told.spans
    assert (run.name, run.run_id, run.service, run.attributes, run.error) == (
        "run", RUN, "other", {"rows": 5}, "ValueError: no idea",
    )  # fmt: skip
    assert (load.run_id, load.attributes) == (OTHER, {"shares": [0.5, 1.0], "bytes": 2**40})
    assert shape(tree(told.spans)) == [(0, "run"), (1, "load")]
    assert told.skipped == 0


@pytest.mark.parametrize(
    ("number", "text", "level"),
    [(9, "", "info"), (13, "WARN", "warning"), (17, "", "error"), (21, "", "critical"), (1, "", "trace"),
     (8, "", "debug"), (0, "WARN", "warning"), (None, "FATAL", "critical"), (99, "odd", ""), ("13", "", "")],
)  # fmt: skip
def test_severity_becomes_the_level_that_run_log_has(
    number: Any, text: str, level: str, folder: Path, tmp_path: Path, otlp: Any
) -> None:
    record = otlp.log("x", 1) | {"severityNumber": number, "severityText": text}
    otlp.write(folder, "logs.jsonl", otlp.line(RUN, logs=[record]))
    assert telemetry.read(tmp_path, RUN).logs[0].level == level


def test_a_body_that_is_no_text_is_shown_as_json(folder: Path, tmp_path: Path, otlp: Any) -> None:
    record = otlp.log("", 1) | {"body": otlp.value([1, "a"]), "timeUnixNano": "0", "observedTimeUnixNano": "5"}
    otlp.write(folder, "logs.jsonl", otlp.line(RUN, logs=[record]))
    [log] = telemetry.read(tmp_path, RUN).logs
    assert (log.message, log.time) == ('[1,"a"]', 5)


# --- where it lies -------------------------------------------------------------------------------------------------


def test_every_process_has_files_of_its_own_in_both_folders(tmp_path: Path, otlp: Any) -> None:
    otlp.write(tmp_path / RUN / "telemetry", "traces.jsonl", otlp.line(RUN, spans=[otlp.span("run", 1, 0, 5)]))
    otlp.write(
        tmp_path / RUN / "telemetry", "report.traces.jsonl", otlp.line(RUN, spans=[otlp.span("report", 2, 9, 5)])
    )
    otlp.write(tmp_path / ".telemetry" / RUN, "track.traces.jsonl", otlp.line(RUN, spans=[otlp.span("track", 3, 7, 1)]))
    for name in ("metrics.jsonl", "receipt.json", "notes.txt"):
        otlp.write(tmp_path / RUN / "telemetry", name, b"not spans")
    told = telemetry.read(tmp_path, RUN)
    assert [(span.name, span.part) for span in told.spans] == [
        ("run", "main"),
        ("track", "track"),
        ("report", "report"),
    ]
    assert [(file.part, file.rows, file.skipped) for file in told.files] == [
        ("report", 1, 0),
        ("main", 1, 0),
        ("track", 1, 0),
    ]


def test_folders_are_those_of_runs_and_of_other_commands_that_have_files(tmp_path: Path, otlp: Any) -> None:
    otlp.write(tmp_path / RUN / "telemetry", "traces.jsonl")
    otlp.write(tmp_path / ".telemetry" / OTHER, "logs.jsonl")
    otlp.write(tmp_path / ".telemetry" / f"{OTHER}.bak", "logs.jsonl")
    (tmp_path / "33333333-3333-4333-8333-333333333333" / "telemetry").mkdir(parents=True)
    assert list(telemetry.folders(tmp_path)) == [RUN, OTHER]
    assert telemetry.folders(tmp_path / "nowhere") == {}


def test_a_run_id_of_the_span_goes_before_that_of_its_process_and_of_its_folder(
    folder: Path, tmp_path: Path, otlp: Any
) -> None:
    otlp.write(
        folder, "traces.jsonl",
        otlp.line(RUN, spans=[otlp.span("track", 1, 0, 1, run_id=OTHER)]),
        otlp.line(OTHER, spans=[otlp.span("b", 2, 1, 1)]),
        otlp.line("", spans=[otlp.span("c", 3, 2, 1)]),
    )  # fmt: skip
    assert [span.run_id for span in telemetry.read(tmp_path, RUN).spans] == [OTHER, OTHER, RUN]


def test_a_killed_run_is_found_by_what_it_left(tmp_path: Path, otlp: Any) -> None:
    otlp.write(tmp_path / ".telemetry" / RUN, "traces.jsonl")
    assert telemetry.find(tmp_path, "1111") == RUN
    with pytest.raises(InputError, match="no run '99'"):
        telemetry.find(tmp_path, "99")
    with pytest.raises(InputError, match="no run ''"):
        telemetry.find(tmp_path, "")
    otlp.write(tmp_path / ".telemetry" / (RUN[:-1] + "2"), "traces.jsonl")
    with pytest.raises(InputError, match="the start of 2"):
        telemetry.find(tmp_path, "1111")
    (tmp_path / RUN).mkdir()
    assert telemetry.find(tmp_path, "1111") == RUN  # a run goes before what is none


def test_why_there_is_none_is_told_by_the_receipt(tmp_path: Path, otlp: Any) -> None:
    folder = tmp_path / RUN / "telemetry"
    assert telemetry.absent(tmp_path, RUN).message == f"{RUN} has no telemetry"
    otlp.write(folder, "receipt.json", b'{"status": "failed", "reason": "the disk is full", "endpoint": null}')
    assert telemetry.absent(tmp_path, RUN).message == f"{RUN} has no telemetry: the disk is full"
    otlp.write(folder, "receipt.json", b'{"status": "done", "endpoint": "http://localhost:4318"}')
    assert (
        telemetry.absent(tmp_path, RUN).message
        == f"the telemetry of {RUN} is not here: it was for http://localhost:4318"
    )
    otlp.write(folder, "receipt.json", b'{"reason": 3')
    assert telemetry.absent(tmp_path, RUN).message == f"{RUN} has no telemetry"


# --- once each -----------------------------------------------------------------------------------------------------


def test_a_copy_of_a_file_adds_nothing(tmp_path: Path, otlp: Any) -> None:
    spans, logs = [otlp.span("run", 1, 0, 5)], [otlp.log("a", 1), otlp.log("a", 1), otlp.log("b", 2)]
    for folder in (tmp_path / RUN / "telemetry", tmp_path / ".telemetry" / RUN):
        otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=spans))
        otlp.write(folder, "logs.jsonl", otlp.line(RUN, logs=logs))
    told = telemetry.read(tmp_path, RUN)
    assert len(told.spans) == 1
    assert [log.message for log in told.logs] == ["a", "a", "b"]  # twice in a file is said twice
    assert [(file.rows, file.repeated) for file in told.files] == [(3, 0), (1, 0), (0, 3), (0, 1)]


def test_of_two_spans_with_one_id_the_first_counts(folder: Path, tmp_path: Path, otlp: Any) -> None:
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=[otlp.span("a", 1, 0, 5), otlp.span("b", 1, 0, 9)]))
    told = telemetry.read(tmp_path, RUN)
    assert [(span.name, span.duration_ms) for span in told.spans] == [("a", 5.0)]
    assert told.files[0].repeated == 1
    assert telemetry.read(tmp_path, RUN, {told.spans[0].key}).spans == []


# --- hostile files -------------------------------------------------------------------------------------------------

GOOD = {
    "traceId": "1" * 32, "spanId": "2" * 16, "name": "a", "startTimeUnixNano": "1000", "endTimeUnixNano": "3000",
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        TRACES.encode()[:400],  # torn
        b"\xff\xfe{}",
        b'{"resourceSpans":[]}\0',
        b"null",
        b"[]",
        b"17",
        b"{}",
        b'{"resourceSpans":{}}',
        b'{"resourceLogs":[]}',  # of another signal
        b"[" * 100_000,
        b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"resourceSpans":[' + b"1" * 5_000 + b"]}",
        b'{"resourceSpans":["\\ud800"]}',
    ],
    ids=range(15),
)
def test_a_line_that_is_no_request_is_left_out_and_counted(line: bytes, folder: Path, tmp_path: Path) -> None:
    (folder / "traces.jsonl").write_bytes(TRACES.encode() + line + b"\n" + TRACES.encode().replace(b"B174", b"B175"))
    told = telemetry.read(tmp_path, RUN)
    assert len(told.spans) == 2
    assert told.skipped == 1


@pytest.mark.parametrize(
    "change",
    [
        {"traceId": "0" * 32}, {"traceId": "1" * 31}, {"traceId": "g" * 32}, {"traceId": 1}, {"traceId": None},
        {"traceId": "1" * 32 + "\n"}, {"spanId": ""}, {"spanId": "0" * 16}, {"spanId": ["2" * 16]}, {"name": None},
        {"name": 7}, {"startTimeUnixNano": "0"}, {"startTimeUnixNano": "-5"}, {"startTimeUnixNano": "9" * 5_000},
        {"startTimeUnixNano": 2**63}, {"startTimeUnixNano": "1e3"}, {"startTimeUnixNano": 1.5},
        {"startTimeUnixNano": True}, {"startTimeUnixNano": {}},
    ],
    ids=str,
)  # fmt: skip
def test_a_span_without_what_makes_it_one_is_left_out_and_counted(
    change: dict[str, Any], folder: Path, tmp_path: Path, otlp: Any
) -> None:
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=[GOOD | change, GOOD, None, 3, "x"]))
    told = telemetry.read(tmp_path, RUN)
    assert [span.name for span in told.spans] == ["a"]
    assert told.skipped == 4


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"endTimeUnixNano": "500"}, "end", 1000),  # before it started
        ({"endTimeUnixNano": None}, "end", 1000),
        ({"endTimeUnixNano": 4000}, "end", 4000),  # a number, which readers shall take as well
        ({"parentSpanId": "0" * 16}, "parent_span_id", ""),
        ({"parentSpanId": 5}, "parent_span_id", ""),
        ({"status": []}, "status", "unset"),
        ({"status": {"code": "2"}}, "status", "unset"),
        ({"status": {"code": 1}}, "status", "ok"),
        ({"status": {"message": 3}}, "message", ""),
        ({"attributes": {"a": 1}}, "attributes", {}),
        ({"attributes": [1, {"key": 2}, {"value": {}}, {"key": "a"}]}, "attributes", {"a": None}),
        ({"attributes": [{"key": "a", "value": {"intValue": "9" * 30}}]}, "attributes", {"a": None}),
        ({"attributes": [{"key": "a", "value": {"intValue": 7}}]}, "attributes", {"a": 7}),
        ({"attributes": [{"key": "a", "value": {"doubleValue": 7}}]}, "attributes", {"a": 7}),
        ({"attributes": [{"key": "a", "value": {"boolValue": "x"}}]}, "attributes", {"a": None}),
        ({"attributes": [{"key": "a", "value": {"arrayValue": 3}}]}, "attributes", {"a": []}),
        ({"attributes": [{"key": "a", "value": {"newValue": 3}}]}, "attributes", {"a": None}),
        ({"attributes": [{"key": "a\u0000", "value": {"stringValue": "\u0000"}}]}, "attributes", {"a\0": "\0"}),
        ({"events": [3, {"name": []}]}, "error", ""),
        ({"links": 3, "unknown": {}}, "name", "a"),
    ],
    ids=str,
)
def test_a_field_of_the_wrong_kind_costs_no_more_than_itself(
    change: dict[str, Any], field: str, expected: Any, folder: Path, tmp_path: Path, otlp: Any
) -> None:
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=[GOOD | change]))
    told = telemetry.read(tmp_path, RUN)
    assert getattr(told.spans[0], field) == expected
    assert told.skipped == 0


def test_a_value_nested_without_end_is_cut_off(folder: Path, tmp_path: Path, otlp: Any) -> None:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(100):
        value = {"arrayValue": {"values": [value]}}
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=[GOOD | {"attributes": [{"key": "a", "value": value}]}]))
    [span] = telemetry.read(tmp_path, RUN).spans
    assert json.dumps(span.attributes).count("[") == 16


@pytest.mark.parametrize("where", ["resource", "scopeSpans"])
@pytest.mark.parametrize("what", [None, 3, "x", [], [3], {"attributes": 3}])
def test_what_stands_around_the_spans_may_be_anything(where: str, what: Any, folder: Path, tmp_path: Path) -> None:
    owner = {"resource": {}, "scopeSpans": [{"scope": {}, "spans": [GOOD]}]} | {where: what}
    lines = [{"resourceSpans": [owner, 3, {"scopeSpans": [{"spans": 5}, {"spans": {}}]}]}]
    (folder / "traces.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = telemetry.read(tmp_path, RUN)
    assert [span.run_id for span in told.spans] == ([RUN] if where == "resource" else [])


def test_what_is_no_file_is_not_opened(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "traces.jsonl")
    (folder / "logs.jsonl").mkdir()
    (tmp_path / "elsewhere.jsonl").write_text(TRACES)
    (folder / "a.traces.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    assert telemetry.read(tmp_path, RUN).files == []


# --- the tree ------------------------------------------------------------------------------------------------------


def spans_of(otlp: Any, tmp_path: Path, *spans: Any) -> list[Span]:
    otlp.write(tmp_path / RUN / "telemetry", "traces.jsonl", otlp.line(RUN, spans=spans))
    return telemetry.read(tmp_path, RUN).spans


def test_children_stand_below_their_parent_in_order_of_their_start(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    nodes = tree(telemetry.read(tmp_path, RUN).spans)
    assert shape(nodes) == [(0, "run"), (1, "load_bars"), (2, "contract"), (1, "strategy"), (1, "write")]


def test_own_time_is_that_in_which_no_child_was_under_way(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(
        otlp, tmp_path, otlp.span("run", 1, 0, 100),
        otlp.span("a", 2, 10, 30, 1), otlp.span("b", 3, 20, 30, 1),  # 10 to 40 and 20 to 50: 40 ms together
        otlp.span("c", 4, 25, 5, 1),  # inside both
        otlp.span("d", 5, 90, 60, 1),  # goes on after its parent's end: 10 ms of it count
        otlp.span("e", 6, -5, 6, 1),  # starts before it: 1 ms of it counts
    )  # fmt: skip
    [run] = tree(spans)
    assert run.self_ms == 100 - 40 - 10 - 1
    assert [child.self_ms for child in run.children] == [6.0, 30.0, 30.0, 5.0, 60.0]


def test_the_slowest_path_follows_the_child_that_took_longest(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    nodes = tree(telemetry.read(tmp_path, RUN).spans)
    assert [node.name for _, node in nodes[0].walk() if node.slowest] == ["run", "load_bars", "contract"]


def test_each_trace_has_a_slowest_path_and_of_two_alike_the_first_is_taken(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(
        otlp, tmp_path, otlp.span("run", 1, 0, 10), otlp.span("a", 2, 1, 3, 1), otlp.span("b", 3, 5, 3, 1),
        otlp.span("early", 4, 20, 1, trace=2), otlp.span("late", 5, 21, 2, trace=2),
    )  # fmt: skip
    slowest = [node.name for root in tree(spans) for _, node in root.walk() if node.slowest]
    assert slowest == ["run", "a", "late"]


def test_spans_without_their_parent_stand_under_one_that_says_so(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(
        otlp, tmp_path, otlp.span("a", 2, 10, 5, 9), otlp.span("b", 3, 20, 30, 9), otlp.span("c", 4, 15, 1, 8),
        otlp.span("run", 1, 0, 1),
    )  # fmt: skip
    nodes = tree(spans)
    assert shape(nodes) == [(0, "run"), (0, ""), (1, "a"), (1, "b"), (0, ""), (1, "c")]
    assert [node.span is None for node in nodes] == [False, True, True]
    assert (nodes[1].span_id, nodes[1].duration_ms, nodes[1].self_ms) == (f"{9:016x}", 40.0, 5.0)


def test_the_same_span_id_in_two_traces_is_two_spans(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(
        otlp, tmp_path, otlp.span("a", 1, 0, 9), otlp.span("b", 1, 1, 9, trace=2), otlp.span("c", 2, 2, 1, 1, trace=2)
    )
    assert shape(tree(spans)) == [(0, "a"), (0, "b"), (1, "c")]


def test_spans_that_are_each_others_parents_stand_there_once(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(
        otlp, tmp_path, otlp.span("itself", 1, 0, 1, 1), otlp.span("a", 2, 2, 5, 4), otlp.span("b", 3, 3, 5, 2),
        otlp.span("c", 4, 4, 5, 3), otlp.span("hangs on c", 5, 6, 1, 4), otlp.span("run", 6, 9, 1),
    )  # fmt: skip
    nodes = tree(spans)
    assert shape(nodes) == [
        (0, "itself"), (0, "a"), (1, "b"), (2, "c"), (3, "hangs on c"), (0, "run"),
    ]  # fmt: skip


def test_a_chain_of_any_length_is_a_tree(tmp_path: Path, otlp: Any) -> None:
    spans = spans_of(otlp, tmp_path, *(otlp.span(str(n), n, n, 5_000, n - 1) for n in range(1, 3_001)))
    [root] = tree(spans)
    assert [depth for depth, _ in root.walk()] == list(range(3_000))


def test_no_spans_are_no_tree() -> None:
    assert tree([]) == []


@pytest.mark.parametrize("which", ["last", "11111111"])
def test_results_that_are_a_ring_of_links_are_told_as_the_system_tells_it(tmp_path: Path, which: str) -> None:
    (tmp_path / "results").symlink_to("results")
    with pytest.raises(OSError, match="symbolic links"):  # which every command has a sentence for
        telemetry.find(tmp_path / "results", which)
