"""What the ledger's events do to runs, and that later events, known or not, change nothing that they don't say."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade import script
from peak_trade.errors import RunError
from peak_trade.evidence import ledger
from peak_trade.evidence.ledger import EVENTS, Entry, Event, History, Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops import doctor, removal, retention
from peak_trade.shown import listing
from peak_trade.tracking import batch
from peak_trade.trust import verify

NOTHING_STAYS = retention.Policy(keep=0, days=0)


def history(*events: str) -> History:
    found = History()
    for line, event in enumerate(events, 1):
        found.add(Entry(line, "", event, f"time {line}", "a", {event: line}))
    return found


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ("start", "started"),
        ("start sealed", "sealed"),
        ("start failed", "failed"),
        ("start abandoned", "failed"),
        ("start sealed abandoned", "sealed"),
        ("start sealed start", "sealed"),
        ("start sealed removed", "removed"),
        ("sealed", "sealed"),  # its first line is lost
        ("start noted", "started"),
        ("start sealed noted", "sealed"),
        ("start sealed removed noted", "removed"),
        ("noted", ""),
        ("start replayed", "started"),
        ("start sealed replayed replayed", "sealed"),
        ("received replayed removed", "removed"),
        ("replayed", ""),
        ("received", "sealed"),
        ("received_failed", "failed"),
        ("received removed", "removed"),
        ("start received", "started"),  # it was made here
        ("received start sealed", "sealed"),
    ],
)
def test_a_runs_state_is_what_its_events_make_of_it(events: str, state: str) -> None:
    assert history(*events.split()).state == state


@pytest.mark.parametrize("second", ["sealed", "failed", "abandoned", "start"])
@pytest.mark.parametrize("first", ["sealed", "failed", "abandoned"])
def test_a_run_ends_once(first: str, second: str) -> None:
    found = history("start", first, second)
    state = "sealed" if first == "sealed" else "failed"
    assert (found.state, found.start and found.start.line, found.end and found.end.line) == (state, 1, 2)
    assert [(entry.line, state) for entry, state in found.misplaced] == [(3, state)]


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_brings_a_removed_run_back(event: str) -> None:
    found = history("start", "sealed", "removed", event)
    assert (found.state, found.since and found.since.line) == ("removed", 3)
    assert [entry.line for entry, _ in found.misplaced] == ([] if "removed" in EVENTS[event].after else [4])


def test_only_the_start_and_the_end_tell_what_a_run_is() -> None:
    assert history("start", "noted", "sealed", "noted", "removed").fields == {"start": 1, "sealed": 3}


def test_an_unknown_event_is_kept_and_named() -> None:
    found = history("start", "sealed", "noted")
    assert [entry.event for entry in found.unknown] == ["noted"]
    assert [entry.event for entry in found.entries] == ["start", "sealed", "noted"]


def test_what_only_an_unknown_event_names_is_no_run(tmp_path: Path) -> None:
    say(tmp_path, "noted", "11111111-1111-4111-8111-111111111111")
    reading = Ledger(tmp_path).read()
    assert reading.runs == {} and len(reading.unknown) == 1
    assert listing.rows(Results(tmp_path)) == []


def test_only_what_can_be_read_is_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="noted"):
        Ledger(tmp_path).append("noted", "a")
    assert list(tmp_path.iterdir()) == []


# --- a ledger of a later version -----------------------------------------------------------------------------------


def say(results: Path, event: str, run_id: str, **fields: Any) -> None:
    """Append a line as a later version would, whose words this one need not know."""
    path = results / "ledger.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    previous = hashlib.sha256(lines[-1]).hexdigest() if lines else "0" * 64
    entry = {"event": event, "time": "2031-01-01T00:00:00.000Z", "run_id": run_id, **fields, "prev": previous}
    path.write_bytes(b"".join(line + b"\n" for line in [*lines, msgspec.json.encode(entry)]))


def known(event: Event) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setitem(ledger.EVENTS, "noted", event)


UNKNOWN: Callable[[pytest.MonkeyPatch], None] = lambda patch: None  # noqa: E731 - beside its sibling
TELLING = known(Event("", after=("started", "sealed", "failed", "removed")))
NAIVE = known(Event("noted", after=("started", "sealed", "failed", "removed")))
"""An event that takes the state of the run away, as every event did when a run's newest line was its state."""


def noted(evidence: Any) -> Results:
    """Append an event after the last line of every run."""
    for run_id in evidence.runs.values():
        say(evidence.results, "noted", run_id, strategy="another", manifest="0" * 64, bars=-1)
    return Results(evidence.results)


later = pytest.mark.parametrize("words", [UNKNOWN, TELLING], ids=["unknown", "known"])


@later
def test_runs_are_listed_as_before(evidence: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing.rows(Results(evidence.results))
    words(monkeypatch)
    assert listing.rows(noted(evidence)) == before
    assert {row.status for row in before} == {"sealed", "failed"}


@later
def test_runs_are_removed_as_before(evidence: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words(monkeypatch)
    plan = retention.plan(noted(evidence), NOTHING_STAYS)
    assert [item.action for item in plan.items] == ["remove"] * 5
    assert [item.run_id for item in plan.items] == list(reversed(evidence.runs.values()))
    assert len(removal.apply(Results(evidence.results), NOTHING_STAYS).of("removed")) == 5
    say(evidence.results, "noted", evidence.runs["own"])
    assert {row.status for row in listing.rows(Results(evidence.results))} == {"removed"}
    assert evidence.findings() == []


@later
def test_a_directory_that_is_gone_is_missed_as_before(
    evidence: Any, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words(monkeypatch)
    results = noted(evidence)
    assert evidence.findings() == []
    evidence.path("own").rename(evidence.root / "elsewhere")
    assert [line.split(":")[0] for line in evidence.findings()] == [evidence.runs["own"]]
    assert {row.run_id: row.status for row in listing.rows(results)}[evidence.runs["own"]] == "missing"


@later
def test_the_lake_has_the_same_rows_and_the_line(evidence: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb", reason="of the extra lake")
    from peak_trade.data.lake import build

    look = lambda lake: sorted(  # noqa: E731 - used below only
        map(tuple, rows(lake, "SELECT run_id, status, strategy, manifest_digest, finished_at::VARCHAR FROM runs"))
    )
    build.build(Results(evidence.results), evidence.root / "before", root=None)
    words(monkeypatch)
    results = noted(evidence)
    evidence.path("own").rename(evidence.root / "elsewhere")
    build.build(results, evidence.root / "after", root=None)
    changed = set(look(evidence.root / "after")) ^ set(look(evidence.root / "before"))
    assert {(row[0], row[1]) for row in changed} == {
        (evidence.runs["own"], "sealed"), (evidence.runs["own"], "missing")
    }  # fmt: skip
    assert rows(evidence.root / "after", "SELECT count(*) FROM ledger WHERE event = 'noted'") == [(5,)]


def rows(lake: Path, sql: str) -> list[Any]:
    from peak_trade.data.lake import query

    with query.connect(lake) as connection:
        return list(connection.execute(sql).fetchall())


@later
def test_the_last_run_and_those_to_track_are_the_same(
    evidence: Any, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Results(evidence.results)
    last, pending = before.find("last"), batch.pending(before)
    words(monkeypatch)
    assert (noted(evidence).find("last"), batch.pending(before)) == (last, pending)


def test_verify_and_doctor_name_the_event_that_they_do_not_know(evidence: Any) -> None:
    results = noted(evidence)
    verdict = evidence.verdicts()["ledger.jsonl"]
    assert verdict.state == "intact"
    first = f"line 11: noted of {evidence.runs['builtin']}"
    assert verdict.unchecked[0] == f"{first}: this version does not know that event"
    assert len(verdict.unchecked) == 5
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), results)}
    assert found["ledger"].detail.endswith("chained to the one before; this version does not know the event noted")


# --- one end ----------------------------------------------------------------------------------------------------------


def sealed_again(evidence: Any, event: str) -> bytes:
    """Put another manifest in place of a run's, and append an end that names it; return the manifest of before."""
    path = evidence.path("own") / "manifest.json"
    before, statement = path.read_bytes(), evidence.manifest("own")
    statement["predicate"]["runDetails"]["host"] = "elsewhere"
    evidence.write_manifest("own", statement)
    fields = {
        key: value for key, value in Ledger(evidence.results).read().of(evidence.runs["own"]).fields.items()
        if key != "manifest"
    }  # fmt: skip
    say(evidence.results, event, evidence.runs["own"], manifest=hashlib.sha256(path.read_bytes()).hexdigest(), **fields)
    return before


ENDS = ["sealed", "failed", "abandoned"]


@pytest.mark.parametrize("event", ENDS)
def test_a_second_end_is_found_wherever_one_looks(evidence: Any, event: str) -> None:
    before, shown = sealed_again(evidence, event), listing.rows(Results(evidence.results))
    expected = f"ledger.jsonl line 11: expected removed after sealed of {evidence.runs['own']}, found {event}"
    alone = [str(finding) for finding in verify.verify(evidence.path("own")).findings]
    assert alone[0] == expected and alone[1].startswith("manifest.json: expected sha256 ")
    assert evidence.findings("ledger.jsonl") == [expected]
    assert evidence.findings("own")[:2] == alone[:2]
    evidence.rewrite("own", "manifest.json", before)
    assert evidence.findings() == [expected] * 2, "of the ledger and of its run, also where all else is as it was"
    assert listing.rows(Results(evidence.results)) == shown, "what is listed is what the first end says"
    say(evidence.results, "noted", evidence.runs["plain"])
    assert verify.verify(evidence.path("plain")).state == "intact", "the control: a line that ends nothing"


@pytest.mark.parametrize("event", ENDS)
def test_the_lake_does_not_take_a_second_end_in(evidence: Any, event: str) -> None:
    pytest.importorskip("duckdb", reason="of the extra lake")
    from peak_trade.data.lake import build

    sealed_again(evidence, event)
    built = build.build(Results(evidence.results), evidence.root / "lake", root=None)
    assert [run_id for run_id, _ in built.broken] == [evidence.runs["own"]]
    assert len(rows(evidence.root / "lake", "SELECT run_id FROM equity GROUP BY ALL")) == 3


@pytest.mark.parametrize("event", ENDS)
def test_retention_leaves_what_was_sealed_twice_to_people(evidence: Any, event: str) -> None:
    sealed_again(evidence, event)
    plan = {item.run_id: item.why for item in retention.plan(Results(evidence.results), NOTHING_STAYS).of("keep")}
    assert plan == {evidence.runs["own"]: f"not what was sealed: just verify {evidence.runs['own'][:8]}"}


def test_an_event_that_takes_the_state_away_is_seen_by_these_tests(
    evidence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    NAIVE(monkeypatch)
    results = noted(evidence)
    assert {row.status for row in listing.rows(results)} == {"noted"}
    assert retention.plan(results, NOTHING_STAYS).of("remove") == []
    evidence.path("own").rename(evidence.root / "elsewhere")
    assert evidence.findings() == []


# --- one reading of the ledger --------------------------------------------------------------------------------------


def test_the_ledger_is_read_once_as_long_as_it_stays_the_same(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0]
    read = Ledger.read

    def counted(self: Ledger) -> Any:
        times[0] += 1
        return read(self)

    monkeypatch.setattr(Ledger, "read", counted)
    results = Results(evidence.results)
    listing.rows(results), results.find("last"), results.removed(["a"]), batch.pending(results)
    assert times == [1]


def test_a_line_more_is_seen_at_once(evidence: Any) -> None:
    results = Results(evidence.results)
    before = results.reading()
    Results(evidence.results).ledger.append("removed", evidence.runs["own"])
    assert results.removed(evidence.runs.values()) == {evidence.runs["own"]}
    assert before.removed == set(), "a reading that is kept does not change"


def test_a_ledger_that_is_taken_away_is_no_longer_read(evidence: Any) -> None:
    results = Results(evidence.results)
    assert len(results.reading().entries) == 10
    results.ledger.path.rename(evidence.root / "ledger")
    assert results.reading().entries == []


# --- lines that are hostile -----------------------------------------------------------------------------------------


def entry(**fields: Any) -> bytes:
    told = {"event": "sealed", "time": "2031-01-01T00:00:00.000Z", "run_id": "", "manifest": "0" * 64, "prev": ""}
    return json.dumps(told | fields).encode()


HOSTILE: dict[str, bytes] = {
    "fields of other types": entry(manifest=5, strategy=[], symbol={}, sharpe="high", findings=[1], trades=True),
    "words of other types": entry(event=1, time=[], run_id={}),
    "no run": entry(run_id="../../etc"),
    "NaN": entry(sharpe=float("nan")),
    "infinity": entry(sharpe=float("inf")),
    "very deep": entry(note=0).replace(b'"note": 0', b'"note": ' + b"[" * 90_000 + b"]" * 90_000),
    "rather deep": entry(note=0).replace(b'"note": 0', b'"note": ' + b"[" * 800 + b"]" * 800),
    "lone surrogates": entry(strategy="\ud800"),
    "bytes that are no text": entry().replace(b"sealed", b"\xed\xa0\x80"),
    "the year 9999": entry(time="9999-12-31T23:59:59.999999Z"),
    "no time": entry(time="when it suits"),
    "an integer of 400 digits": entry(trades=10**400, note=10**400),
    "an integer of 5,000 digits": entry(note=0).replace(b'"note": 0', b'"note": 1' + b"0" * 5000),
    "a long event": entry(event="x" * 100_000),
    "escape sequences": entry(event="\x1b[2J", strategy="\x1b]0;x\x07", time="\u202e"),
    "a long line": entry(note="x" * 5_000_000),
    "an end of another's": entry(run_id="11111111-1111-4111-8111-111111111111"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_line_stops_no_reader_and_is_named(evidence: Any, kind: str) -> None:
    results, line = Results(evidence.results), HOSTILE[kind]
    before = {row.run_id: row for row in listing.rows(results)}
    path = evidence.results / "ledger.jsonl"
    for run_id in (evidence.runs["own"], ""):  # of a run that there is, and of whatever it says
        whole = path.read_bytes()
        named = line if not run_id else line.replace(b'"run_id": ""', f'"run_id": "{run_id}"'.encode())
        path.write_bytes(whole + named + b"\n")
        results = Results(evidence.results)
        shown = {row.run_id: row for row in listing.rows(results)}
        assert {run_id: shown.get(run_id) for run_id in before} == before
        listing.as_table(list(shown.values())), msgspec.json.encode([row.to_json_object() for row in shown.values()])
        assert results.find("last").name == evidence.runs["bare"]
        assert [path.name for path in results.runs()] == sorted(before)
        assert set(batch.pending(results)) <= {path.name for path in results.runs()} | set(results.runs())
        assert evidence.verdicts()["ledger.jsonl"].state == "broken"
        assert all(len(told) < 1000 and told.isprintable() for told in evidence.findings())
        doctor.examine(script.repo_root(), results)
        with pytest.raises(RunError, match="the ledger is not whole at line 11, and nothing is removed"):
            retention.plan(results, NOTHING_STAYS)
        path.write_bytes(whole)
    assert evidence.findings() == [], "the control"


def test_hostile_lines_stop_no_build_of_the_lake(evidence: Any) -> None:
    pytest.importorskip("duckdb", reason="of the extra lake")
    from peak_trade.data.lake import build

    path = evidence.results / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b"".join(line + b"\n" for line in HOSTILE.values()))
    built = build.build(Results(evidence.results), evidence.root / "lake", root=None)
    assert built.broken == []
    assert rows(evidence.root / "lake", "SELECT count(*) FROM equity WHERE run_id IS NOT NULL")[0][0] > 100


PLANTED: dict[str, Callable[[Path], None]] = {
    "a symbolic link": lambda path: path.symlink_to("elsewhere"),
    "a hard link": lambda path: path.hardlink_to(path.with_name("elsewhere")),
    "a named pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.torn"])
@pytest.mark.parametrize("kind", PLANTED)
def test_a_line_is_not_written_to_what_another_has_put_there(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine")
    if name == "ledger.torn":
        (tmp_path / "ledger.jsonl").write_bytes(b"$(touch x)")
    PLANTED[kind](tmp_path / name)
    with pytest.raises(OSError, match=f"{kind} in place of a file"):
        Ledger(tmp_path).append("start", "a")
    if name == "ledger.jsonl":
        with pytest.raises(OSError, match=f"{kind} in place of a file"):
            Ledger(tmp_path).read()
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_a_ledger_without_an_end_is_not_read(tmp_path: Path) -> None:
    Ledger(tmp_path).append("start", "a")
    with open(tmp_path / "ledger.jsonl", "r+b") as stream:
        stream.truncate(1 << 40)  # of no room at all
    with pytest.raises(OSError, match="1,099,511,627,776 bytes, more than"):
        Ledger(tmp_path).read()
    with pytest.raises(OSError, match="no line ends within its last"):
        Ledger(tmp_path).append("start", "a")
