"""What a stranger can write into the files of a run stops no command, and no other run: it is refused in a sentence.

Documents that decode to what nobody expects, fields of other types anywhere, and telemetry that grows without end where
it is read carelessly.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from peak_trade import open_run
from peak_trade.data import difference
from peak_trade.errors import PeakError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.report import index
from peak_trade.report.page import Page
from peak_trade.report.sections import SECTIONS
from peak_trade.shown import listing, telemetry, waterfall
from peak_trade.tracking import batch, receipt
from peak_trade.tracking.content import run_content

LONG = "9" * 400
DOCUMENTS = {
    "deep": b'{"data":' * 90_000,
    "deep and whole": b'{"data":' * 900 + b"{}" + b"}" * 900,
    "deep list": b'{"reasons":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    "400 digits": f'{{"total_return":{LONG},"data":{LONG},"_type":{LONG},"ms":{LONG}}}'.encode(),
    "90,000 digits": b'{"total_return":' + b"1" * 90_000 + b"}",
    "a list": b"[]",
    "a number": b"1",
    "not a number": b'{"total_return":NaN,"sharpe":Infinity}',
    "no UTF-8": b'{"strategy":"\xff"}',
    "nothing": b"",
    "zeros": b"\0" * 4096,
    "large": b'{"a":"' + b"x" * (17 << 20) + b'"}',
}
WRONG: tuple[Any, ...] = (
    None, True, -1, 1e300, 10**400, "", "x", "\x1b[2J", "9999-12-31T23:59:59Z", [], {}, [None], [[], []], {"a": 1},
)  # fmt: skip


def read_by_all(run: Path) -> dict[str, str]:
    """Give a run to all that read it; return what is no error of ours, by who raised it."""
    results = Results(run.parent)
    pages: dict[str, Callable[[], object]] = {
        "show": lambda: listing.summary(run),
        "show --json": lambda: json.dumps(listing.describe(run), allow_nan=False),
        "runs": lambda: listing.as_table(listing.rows(results)),
        "index": lambda: index.write(results),
        "track": lambda: (run_content(run), batch.settings(run), receipt.read(run)),
        "trace": lambda: _trace(results.path, run.name),
        "absent": lambda: telemetry.absent(results.path, run.name),
        "report": lambda: _report(run),
        "notebook": lambda: open_run(run)._repr_html_(),
    }
    raised = {}
    for name, page in pages.items():
        try:
            page()
        except PeakError:
            continue
        except Exception as error:  # noqa: BLE001 - that there is none is what is tested
            raised[name] = f"{type(error).__name__}: {error}"
    return raised


def _trace(results: Path, run_id: str) -> None:
    told = telemetry.read(results, run_id)
    waterfall.as_text(told)
    json.dumps(waterfall.as_json_object(told), allow_nan=False)


def _report(run: Path) -> None:
    page = Page(run)
    for part in (page.head, *(lambda name=name: page.section(name) for name in SECTIONS), page.foot):
        part()


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("content", DOCUMENTS)
def test_a_document_that_nobody_expects_is_refused_in_a_sentence(content: str, evidence: Any) -> None:
    run = evidence.path("builtin")
    (run / "telemetry").mkdir()
    for name in ("manifest.json", "config_snapshot.json", "stats.json", "tracking.json", "telemetry/receipt.json"):
        before = (run / name).read_bytes() if (run / name).exists() else b"{}"
        evidence.rewrite("builtin", name, DOCUMENTS[content])
        assert read_by_all(run) == {}, name
        (run / "run.log").write_bytes(DOCUMENTS[content] + b"\n")
        assert read_by_all(run) == {}, "run.log"
        evidence.rewrite("builtin", name, before)
    assert open_run(run).stats["trades"] > 0, "the control: it is read again"


def everywhere(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value within a document."""
    yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from everywhere(inner, (*at, key))


def with_another(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    document = copy.deepcopy(document)
    place = document
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return document


@pytest.mark.hostile(share=8)
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for name in ("builtin", "failed") for file in ("manifest.json", "config_snapshot.json")]
    + [("builtin", "stats.json"), ("builtin", "tracking.json")],
)
def test_a_field_of_another_type_is_no_error_of_ours(
    name: str, file: str, seed: int, sealed_once: Any, tmp_path: Path
) -> None:
    """Twelve fields each, sealed again as a forger would, so that what is behind the digests is reached too."""
    draw = random.Random(f"{name} {file} {seed}")
    for number in range(12):
        evidence = sealed_once.copy(tmp_path / str(number))
        run = evidence.path(name)
        if file == "tracking.json":
            receipt.write(run, receipt.Receipt(run_id=run.name, status="logged", store="s", experiment="e"))
        document = json.loads((run / file).read_bytes())
        at, value = draw.choice(list(everywhere(document))), draw.choice(WRONG)
        evidence.rewrite(name, file, json.dumps(with_another(document, at, value)).encode())
        if draw.random() < 0.7 and file != "manifest.json":
            evidence.forge(name)
        elif file == "manifest.json":
            _rechained(evidence)
        assert read_by_all(run) == {}, (at, value)
        (evidence.results / "ledger.jsonl").unlink()  # then it is listed by what its manifest says
        assert read_by_all(run) == {}, (at, value, "without a ledger")


def _rechained(evidence: Any) -> None:
    try:
        evidence.rechain()
    except (AttributeError, KeyError, TypeError, ValueError):
        pass  # a forger could not either


def test_a_wrong_type_does_reach_the_readers(evidence: Any) -> None:
    """The control: what is refused above is refused for what it is, and an error that is none of ours is found."""
    assert "sharpe" in listing.summary(evidence.path("builtin"))
    evidence.edit_json("builtin", "config_snapshot.json", lambda config: config.update(strategy="x"))
    with pytest.raises(PeakError, match="can't be read: AttributeError: "):
        listing.summary(evidence.path("builtin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "describe", lambda run: 1 / 0)
        assert "ZeroDivisionError" in read_by_all(evidence.path("builtin"))["show --json"]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_a_field_of_the_ledger_of_another_type_leaves_every_run_listed(value: Any, evidence: Any) -> None:
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3)]
    lines = evidence.ledger()
    for run_id, key in zip(ids, ("strategy", "total_return", "findings"), strict=True):
        start = {"event": "start", "time": "2024-05-01T12:00:00.000Z", "run_id": run_id, "strategy": "s", "prev": "0"}
        end = {"event": "sealed", "time": "2024-05-01T12:00:01.000Z", "run_id": run_id, "manifest": value, "prev": "0"}
        lines += [json.dumps(line | {key: value, "ruined": value}).encode() for line in (start, end)]
    evidence.write_ledger(lines)
    listed = {row.run_id for row in listing.rows(Results(evidence.results))}
    assert listed >= {*ids, *evidence.runs.values()}
    assert read_by_all(evidence.path("builtin")) == {}
    table = listing.as_table(listing.rows(Results(evidence.results)))
    assert max(map(len, table.splitlines())) < 250


def test_one_long_word_does_not_widen_every_line(evidence: Any) -> None:
    before = max(map(len, listing.as_table(listing.rows(Results(evidence.results))).splitlines()))
    Ledger(evidence.results).append("start", "11111111-0000-4000-8000-000000000000", symbol="x" * 100_000)
    assert max(map(len, listing.as_table(listing.rows(Results(evidence.results))).splitlines())) < before + 25


# --- telemetry ----------------------------------------------------------------------------------------------------


def hostile_lines(otlp: Any) -> Iterator[tuple[str, bytes]]:
    yield from DOCUMENTS.items()
    good = otlp.span("x", 9, 0, 5, trace=9)
    for value in (10**400, -1, 1e300, None, [], {}, "9" * 400, True):
        for key in ("startTimeUnixNano", "endTimeUnixNano", "attributes", "events", "status", "parentSpanId", "name"):
            yield f"{key} {str(value)[:9]}", otlp.line("r", spans=[good | {key: value}])
        deep: Any = {"intValue": value}
        for _ in range(300):
            deep = {"arrayValue": {"values": [deep]}}
        yield f"a value {str(value)[:9]}", otlp.line("r", spans=[good | {"attributes": [{"key": "a", "value": deep}]}])


def test_a_hostile_line_of_telemetry_costs_itself_alone(evidence: Any, otlp: Any) -> None:
    run = evidence.path("builtin")
    lines = [line.rstrip(b"\n").replace(b"\n", b" ") for _, line in hostile_lines(otlp)]
    lines.append(otlp.line(run.name, spans=[otlp.span("run", 1, 0, 5)]).rstrip(b"\n"))
    otlp.write(run / "telemetry", "traces.jsonl", *(line + b"\n" for line in lines))
    otlp.write(run / "telemetry", "logs.jsonl", *(line + b"\n" for line in lines))
    assert read_by_all(run) == {}
    told = telemetry.read(evidence.results, run.name)
    assert "run" in [span.name for span in told.spans]
    assert told.skipped >= len(DOCUMENTS)


def test_what_is_read_of_telemetry_has_an_end(evidence: Any, otlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = evidence.path("builtin")
    spans = [otlp.span("x", number, number, 1) for number in range(1, 31)]
    otlp.write(run / "telemetry", "traces.jsonl", otlp.line(run.name, spans=spans))
    assert len(telemetry.read(evidence.results, run.name).spans) == 30, "the control: of ours, all"
    monkeypatch.setattr(telemetry, "_MOST", 10)
    told = telemetry.read(evidence.results, run.name)
    assert (len(told.spans), told.skipped) == (10, 20)


def test_spans_in_any_order_are_shown_in_time_and_room_that_grow_with_them(evidence: Any, otlp: Any) -> None:
    """A chain as deep as it is long, and a trace for each span with a log record between every two."""
    run = evidence.path("builtin")
    count = 4_000
    chain = [otlp.span("x", number, number / 1e3, 9_000, number - 1, error="E: x") for number in range(1, count)]
    apart = [otlp.span("y", 1, 10_000 + number, 0.1, trace=number + 2) for number in range(count)]
    logs = [otlp.log("z", 10_000.5 + number) for number in range(count)]
    otlp.write(run / "telemetry", "traces.jsonl", otlp.line(run.name, spans=chain), otlp.line(run.name, spans=apart))
    otlp.write(run / "telemetry", "logs.jsonl", otlp.line(run.name, logs=logs))
    told = telemetry.read(evidence.results, run.name)
    assert (len(told.spans), len(told.logs), told.skipped) == (2 * count - 1, count, 0)
    began = time.process_time()
    text = waterfall.as_text(told)
    page = SECTIONS["timing"].body(Page(run).run)
    assert time.process_time() - began < 10, "1 s, with room: what grows as the square takes minutes"
    assert len(text) < 400 * 3 * count
    assert len(page) < 1_000_000


def test_a_run_that_is_logged_under_the_name_of_another_is_refused(evidence: Any) -> None:
    statement = evidence.manifest("builtin")
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = evidence.runs["own"]
    run_content(evidence.path("builtin"))
    evidence.write_manifest("builtin", statement)
    with pytest.raises(PeakError, match="speaks of another run"):
        run_content(evidence.path("builtin"))


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_a_run_whose_bars_are_told_wrongly_is_refused_beside_another(value: Any, evidence: Any) -> None:
    names = difference.Places(evidence.results, evidence.root / "lake", evidence.root)
    statement = evidence.manifest("builtin")

    def asked() -> str:
        a, b = difference.sides(evidence.runs["own"], evidence.runs["builtin"], names)
        return difference.as_text(a, b, difference.compare(a, b))

    assert "the same" in asked(), "the control"
    bars = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    for key in ("rows", "start", "parts", "by"):
        told = bars["annotations"][key]
        bars["annotations"][key] = value
        evidence.write_manifest("builtin", statement)
        bars["annotations"][key] = told
        with suppress(PeakError):
            asked()
