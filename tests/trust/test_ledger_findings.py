"""What is said of the ledger by itself, word for word: each finding is worked out by hand from a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.ledger import Entry, Ledger, Reading
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir
from peak_trade.trust import verify

RUN = "8a1d0f4e-7c7b-4f6e-9d43-0a4c6f1f2b3d"
OTHER = "00000000-0000-4000-8000-000000000000"


def reading(*told: str, **fields: Any) -> Reading:
    """Return a reading of lines like `sealed` (of RUN) or `sealed:another run`, the last with these fields."""
    found = Reading()
    for line, (event, _, run_id) in enumerate((word.partition(":") for word in told), 1):
        more = fields if line == len(told) else {"manifest": "aa"} if event == "sealed" else {}
        found.entries.append(Entry(line, f"sha {line}", event, f"time {line}", run_id or RUN, more))
    return found


def findings(verdict: verify.Verdict) -> list[tuple[str, str, str]]:
    return [(finding.file, finding.expected, finding.found) for finding in verdict.findings]


def said(results: Path, told: Reading, *, every: bool = False) -> list[tuple[str, str, str]]:
    return findings(verify.check_ledger(Results(results), told, every=every))


def test_a_broken_chain_and_what_cannot_be_judged_are_said_with_their_lines(tmp_path: Path) -> None:
    told = reading("start", "noted", "noted:" + OTHER)
    told.broken, told.torn = [(2, "one", "two"), (3, "three", "four")], True
    verdict = verify.check_ledger(Results(tmp_path), told, every=False)
    assert verdict.name == "ledger.jsonl"
    assert findings(verdict) == [("ledger.jsonl line 2", "one", "two"), ("ledger.jsonl line 3", "three", "four")]
    assert verdict.unchecked == [
        "the last line is torn: a writer was killed, the next run repairs it",
        f"line 2: noted of {RUN}: this version does not know that event",
        f"line 3: noted of {OTHER}: this version does not know that event",
    ]
    whole = verify.check_ledger(Results(tmp_path), reading("start", "sealed"), every=False)
    assert (whole.state, whole.unchecked) == ("intact", []), "the control"


def test_what_has_no_name_of_a_run_is_named_by_its_first_line_and_others_still_are(tmp_path: Path) -> None:
    told = reading("start", "start:x", f"start:{OTHER}", "sealed:x", "start:../y")
    expected = [
        ("ledger.jsonl line 2", "the run_id of a run", "x"),
        ("ledger.jsonl line 5", "the run_id of a run", "../y"),
    ]
    assert said(tmp_path, told) == expected


@pytest.mark.parametrize(
    ("told", "line", "expected"),
    [
        ("start start", 2, f"sealed, failed, abandoned, removed after started of {RUN}"),
        ("start sealed failed", 3, f"removed after sealed of {RUN}"),
        ("start abandoned sealed", 3, f"removed after failed of {RUN}"),
        ("start removed start", 3, f"nothing after removed of {RUN}"),
    ],
)
def test_a_line_out_of_its_place_is_held_against_what_may_come(
    tmp_path: Path, told: str, line: int, expected: str
) -> None:
    assert said(tmp_path, reading(*told.split())) == [(f"ledger.jsonl line {line}", expected, told.split()[-1])]


def test_strays_are_told_in_the_order_of_their_lines(tmp_path: Path) -> None:
    a, b, c = RUN, OTHER, OTHER[:-1] + "1"
    told = reading(*(f"start:{run}" for run in (a, b, c)), *(f"start:{run}" for run in (c, b)), f"sealed:{OTHER[:-1]}2")
    assert [file for file, _, _ in said(tmp_path, told)] == [f"ledger.jsonl line {line}" for line in (4, 5, 6)]
    assert said(tmp_path, told)[-1] == ("ledger.jsonl line 6", f"a start of {OTHER[:-1]}2 before it", "none")


@pytest.mark.parametrize("told", [["start", "sealed", "removed"], ["start", "removed"]])
def test_a_tombstone_is_of_what_was_sealed(tmp_path: Path, told: list[str]) -> None:
    sealed = "aa" if "sealed" in told else None
    line = f"ledger.jsonl line {len(told)} manifest"
    assert said(tmp_path, reading(*told, manifest="bb")) == [(line, str(sealed), "bb")]
    assert said(tmp_path, reading(*told, manifest=sealed)) == []


def test_a_run_that_has_ended_has_a_directory(tmp_path: Path) -> None:
    told = reading(
        "start", "sealed", f"start:{OTHER}", f"start:{OTHER[:-1]}1", f"failed:{OTHER[:-1]}1", "start:x", "sealed:x"
    )
    gone = [
        (RUN, "a directory, as the ledger's line 2 says `sealed`", "none"),
        (OTHER[:-1] + "1", "a directory, as the ledger's line 5 says `failed`", "none"),
    ]
    strange = [("ledger.jsonl line 6", "the run_id of a run", "x")]
    assert said(tmp_path, told, every=True) == strange + gone
    assert said(tmp_path, told) == strange
    (tmp_path / RUN).mkdir()
    (tmp_path / (OTHER[:-1] + "1")).write_text("a file is no directory")
    assert said(tmp_path, told, every=True) == strange + gone[1:]


def test_a_run_that_was_removed_since_the_ledger_was_read_is_not_missed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for event, run_id in (("start", RUN), ("sealed", RUN), ("start", OTHER), ("sealed", OTHER)):
        ledger.append(event, run_id, manifest="aa")
    before = ledger.read()
    ledger.append("removed", RUN, manifest="aa")
    assert said(tmp_path, before, every=True) == [(OTHER, "a directory, as the ledger's line 4 says `sealed`", "none")]


@pytest.mark.parametrize("end", ["sealed", "removed", None])
def test_a_run_that_died_before_it_had_its_name_is_told_apart_from_one_under_way(
    tmp_path: Path, end: str | None
) -> None:
    run = RunDir.create(tmp_path, RUN, given=False)
    told = reading("start", *([end] if end else []))
    assert said(tmp_path, told, every=True) == [], "its process lives"
    run.release()  # as when its process has died
    astray = [
        (
            RUN,
            "a directory under its name, as the ledger's line 2 ends it",
            "one in .working/: just doctor finishes a run that died on the way",
        )
    ]
    assert said(tmp_path, told, every=True) == (astray if end else [])
    assert said(tmp_path, told) == []


# --- of one run, and of all ----------------------------------------------------------------------------------------


def sealed(results: Path, run_id: str) -> Path:
    (results / run_id).mkdir()
    return results / run_id


def test_without_a_manifest_only_what_is_no_file_is_named(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    (run / "any.csv").touch()
    (run / "folder").mkdir()
    (run / "debug").mkdir()
    (run / "debug" / "link").symlink_to("x")
    (run / "plots").touch()
    verdict = verify.verify(run, reading("start", "failed", manifest="aa"))
    assert sorted(findings(verdict)) == [
        ("debug/link", "a file or a folder", "a symbolic link"),
        ("folder", "a file", "a folder"),
        ("manifest.json", "the run's manifest", "no such file"),
        ("plots", "a folder", "a file"),
    ]
    assert (verdict.name, verdict.state) == (RUN, "broken")


def test_folders_in_each_other_are_followed_to_the_32nd(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    names = ["debug", *["d"] * 31]  # 32 in all
    (run / "/".join(names)).mkdir(parents=True)
    (run / "/".join(names) / "link").symlink_to("x")
    [_, stray] = findings(verify.verify(run, reading("start", "failed", manifest="aa")))
    assert stray == ("/".join([*names, "link"]), "a file or a folder", "a symbolic link")
    (run / "/".join([*names, "d"])).mkdir()
    (run / "/".join([*names, "d", "link"])).symlink_to("x")
    deeper = findings(verify.verify(run, reading("start", "failed", manifest="aa")))
    assert deeper[2:] == [("/".join([*names, "d"]), "at most 32 folders in each other", "more")]


def test_twenty_strange_names_are_told_and_more_are_counted(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    for n in range(20):
        (run / f"{n:02}").mkdir()
    told = reading("start", "failed", manifest="aa")
    assert [name for name, *_ in findings(verify.verify(run, told))[1:]] == sorted(f"{n:02}" for n in range(20))
    for n in range(20, 23):
        (run / f"{n:02}").mkdir()
    found = findings(verify.verify(run, told))
    assert len(found) == 22 and found[-1] == (RUN, "no more of them", "3 more")


@pytest.mark.parametrize("told", [b"{}", b"\xff", b'{"_type":"x","predicateType":"y"}'])
def test_a_manifest_that_is_none_is_named_and_held_against_the_ledger_first(tmp_path: Path, told: bytes) -> None:
    run = sealed(tmp_path, RUN)
    (run / "manifest.json").write_bytes(told)
    verdict = verify.verify(run, reading("start", "failed", manifest="aa"))
    first, second = findings(verdict)
    assert first[:2] == ("manifest.json", "sha256 aa") and first[2].startswith("sha256 ") and len(first[2]) == 71
    known = b"predicateType" not in told
    assert second[:2] == ("manifest.json", "an in-toto Statement of a run" if known else "a known format")
    assert verdict.state == ("broken" if known else "unreadable")


def test_a_manifest_that_no_line_seals_is_named(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    (run / "manifest.json").write_bytes(b"{}")
    assert findings(verify.verify(run, reading("start")))[0] == ("ledger.jsonl", f"an entry that seals {RUN}", "none")


def test_a_link_and_what_is_not_there_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / RUN).symlink_to("elsewhere")
    verdict = verify.verify(tmp_path / RUN, reading("start"))
    assert findings(verdict) == [(RUN, "a directory", "a symbolic link to elsewhere")]
    verdict = verify.verify(tmp_path / OTHER, reading())
    assert (verdict.state, findings(verdict)) == (
        "unreadable",
        [(OTHER, "a readable run", "No such file or directory")],
    )


def test_a_run_that_is_removed_while_it_is_looked_at_is_not_missed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("start", RUN)
    ledger.append("sealed", RUN, manifest="aa")
    before = ledger.read()
    assert verify.verify(tmp_path / RUN, before).state == "unreadable", "the control"
    ledger.append("removed", RUN, manifest="aa")
    verdict = verify.verify(tmp_path / RUN, before)
    assert (verdict.name, verdict.state, verdict.findings) == (RUN, "intact", [])
    assert verdict.unchecked == ["the run: it was removed while it was looked at"]


def test_the_ledger_comes_first_and_then_each_run_that_is_asked_for(tmp_path: Path) -> None:
    for run_id in (RUN, OTHER):
        sealed(tmp_path, run_id)
    every = list(verify.verify_all(Results(tmp_path), None, root=None))
    assert [verdict.name for verdict in every] == ["ledger.jsonl", OTHER, RUN]
    one = list(verify.verify_all(Results(tmp_path), [tmp_path / RUN], root=None))
    assert [verdict.name for verdict in one] == ["ledger.jsonl", RUN]


def test_a_ledger_that_cannot_be_read_stops_no_check_of_the_runs(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    sealed(tmp_path, RUN)
    ledger, run = verify.verify_all(Results(tmp_path), [tmp_path / RUN], root=None)
    assert (ledger.name, ledger.state) == ("ledger.jsonl", "unreadable")
    assert findings(ledger) == [("ledger.jsonl", "a readable ledger", "a folder in place of a file")]
    assert findings(run) == [("manifest.json", "the run's manifest", "no such file")]
