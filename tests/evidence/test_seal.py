"""seal.json: the two lines of the ledger that a run carries with it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import Evidence, rewrite

from peak_trade.errors import RunError
from peak_trade.evidence import run_dir, seal
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results

RUN = "8a1d0f4e-7c7b-4f6e-9d43-0a4c6f1f2b3d"


def test_it_holds_the_lines_byte_for_byte_as_a_reader_without_our_code_checks(evidence: Evidence) -> None:
    for name in ("own", "plain", "failed"):
        carried = json.loads((evidence.path(name) / "seal.json").read_bytes())
        assert list(carried) == ["start", "end"]
        lines = (evidence.results / "ledger.jsonl").read_text("utf-8").splitlines()
        assert {carried["start"], carried["end"]} <= set(lines)
        follows = evidence.manifest(name)["predicate"]["ledger"]["follows"]
        assert hashlib.sha256(carried["start"].encode()).hexdigest() == follows
        manifest = hashlib.sha256((evidence.path(name) / "manifest.json").read_bytes()).hexdigest()
        assert json.loads(carried["end"])["manifest"] == manifest


def test_it_is_made_again_from_the_ledger(evidence: Evidence) -> None:
    path = evidence.path("own")
    assert seal.of(Ledger(evidence.results), path.name) == (path / "seal.json").read_bytes()


def test_a_run_without_an_end_has_none(tmp_path: Path) -> None:
    Ledger(tmp_path).append("start", RUN)
    with pytest.raises(LookupError):
        seal.of(Ledger(tmp_path), RUN)


def test_what_is_read_is_what_was_appended(tmp_path: Path) -> None:
    lines = Ledger(tmp_path).append("start", RUN, symbol="Größe\n🚀"), Ledger(tmp_path).append("failed", RUN)
    read = seal.decode(seal.encode(*lines))
    assert [entry.sha256 for entry in (read.start, read.end)] == [hashlib.sha256(line).hexdigest() for line in lines]
    assert (read.start.event, read.end.event, read.start.fields) == ("start", "failed", {"symbol": "Größe\n🚀"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"start": "{}", "end": "{}"}',
        b'{"start": "a", "end": "b"}',
        b'{"start": 1, "end": 2}',
        b'{"start": "\\ud800", "end": "\\ud800"}',
        json.dumps({"start": "[" * 90_000, "end": ""}).encode(),
        json.dumps(
            {
                "start": json.dumps({"event": "start", "time": "t", "run_id": RUN, "prev": "0"}),
                "end": json.dumps({"event": "failed", "time": "t", "run_id": "another", "prev": "0"}),
            }
        ).encode(),
    ],
)
def test_what_does_not_hold_two_lines_of_a_run_is_a_sentence(content: bytes) -> None:
    with pytest.raises(RunError, match=r"seal.json does not hold two lines of "):
        seal.decode(content)


def test_a_run_that_lacks_it_or_has_another_gets_it_again(evidence: Evidence) -> None:
    whole = {name: (evidence.path(name) / "seal.json").read_bytes() for name in ("own", "plain", "failed")}
    rewrite(evidence.path("own") / "seal.json", whole["own"][:100])
    rewrite(evidence.path("plain") / "seal.json", whole["failed"])
    (evidence.path("failed") / "seal.json").unlink()
    assert {"own", "plain"} <= evidence.broken()
    made = run_dir.carry(Results(evidence.results))
    assert sorted(run_id for run_id, _ in made) == sorted(evidence.runs[name] for name in whole)
    assert {name: (evidence.path(name) / "seal.json").read_bytes() for name in whole} == whole
    assert not evidence.broken()
    assert run_dir.carry(Results(evidence.results)) == []


def test_what_the_ledger_does_not_bear_out_gets_none(evidence: Evidence) -> None:
    rewrite(evidence.path("own") / "manifest.json", (evidence.path("own") / "manifest.json").read_bytes() + b" ")
    (evidence.path("own") / "seal.json").unlink()
    assert run_dir.carry(Results(evidence.results)) == []


def test_runs_of_format_1_have_none(tmp_path: Path) -> None:
    archived = Path(__file__).parents[1] / "archive" / "0.3.0" / "runs"
    results = Results(shutil.copytree(archived, tmp_path / "results"))
    assert run_dir.carry(results) == []
    assert not list(results.path.glob("*/seal.json"))
