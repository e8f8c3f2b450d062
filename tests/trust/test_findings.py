"""What is said of the ledger and of a run, word for word: each finding is worked out by hand from a few lines."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, manifest
from peak_trade.evidence.ledger import Entry, Ledger, Reading
from peak_trade.evidence.results import BARS, Results
from peak_trade.evidence.run_dir import RunDir
from peak_trade.trust import content, verify
from peak_trade.trust.proofs.check import NOBODY

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
    assert said(tmp_path, reading("start", manifest="bb")) == [], "a start is no tombstone, whatever it says"


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


def test_a_removed_run_that_is_still_there_keeps_its_findings(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for event in ("start", "sealed", "removed"):
        ledger.append(event, RUN, manifest="aa")
    verdict = verify.verify(sealed(tmp_path, RUN), ledger.read())
    assert findings(verdict) == [("manifest.json", "the run's manifest", "no such file")]


def test_a_run_that_is_not_there_is_a_finding_where_the_ledger_cannot_be_read_either(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    verdict = verify.verify(tmp_path / RUN, reading("start", "sealed"))
    assert findings(verdict) == [(RUN, "a readable run", "No such file or directory")]
    assert verdict.state == "unreadable"


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


# --- of one run that is sealed -------------------------------------------------------------------------------------

STRAY = ("stray", "nothing of that name", "a file that the seal does not cover")
"""A finding of each run here that is told below: after it, what the files say is not looked at."""
METADATA = {"metadata": {"invocationId": RUN, "finishedOn": "time 2"}}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def judged(
    results: Path,
    events: tuple[str, ...] = ("start", "failed"),
    *,
    status: str = "failed",
    details: Any = METADATA,
    follows: str = "sha 1",
    files: dict[str, bytes] | None = None,
    digests: dict[str, str] | None = None,
    promised: int | None = None,
    stray: bool = True,
    **fields: Any,
) -> verify.Verdict:
    """Write a run that is sealed like this, and return what is said of it beside a ledger of these events."""
    run, there = results / RUN, {"error.json": b"{}"} if files is None else files
    run.mkdir()
    for name, written in there.items():
        (run / name).write_bytes(written)
    if stray:
        (run / "stray").touch()
    receipts = [] if promised is None else [{"part": "evidence", "bytes": promised}]
    predicate = manifest.Predicate(status, {"buildType": manifest.BUILD}, details, {}, receipts, {"follows": follows})
    subjects = {name: digest(written) for name, written in there.items()} | (digests or {})
    sealed = manifest.encode(subjects, predicate)
    (run / "manifest.json").write_bytes(sealed)
    told = reading(*events)
    for entry in told.entries:
        if entry.event != "start":
            entry.fields.update({"manifest": digest(sealed)} | fields)
    return verify.verify(run, told)


def test_control_of_a_run_in_its_place_only_the_stray_is_said(tmp_path: Path) -> None:
    verdict = judged(tmp_path)
    assert (findings(verdict), verdict.unchecked, verdict.state) == ([STRAY], [], "broken")


@pytest.mark.parametrize(
    ("sealed", "expected"),
    [
        (
            {"details": {"metadata": {"invocationId": OTHER, "finishedOn": "time 2"}}},
            [("manifest.json", f"run_id {RUN}", f"run_id {OTHER}")],
        ),
        (
            {"follows": "else"},
            [("ledger.jsonl", "sha256 else of the line that starts the run", "sha256 sha 1")],
        ),
        (
            {"details": {"metadata": {"invocationId": RUN, "finishedOn": "time 9"}}},
            [("ledger.jsonl", "the run's end at time 9", "at time 2")],
        ),
        (
            {"details": {}},
            [("manifest.json", f"run_id {RUN}", "run_id "), ("ledger.jsonl", "the run's end at None", "at time 2")],
        ),
        ({"ruined": "2024"}, []),  # which the line of a failed run may say, and nothing follows from it
        (
            {"events": ("start", "failed", "removed")},
            [("ledger.jsonl", f"nothing after the removal of {RUN}", "its directory is there")],
        ),
        ({"events": ("start",)}, [("ledger.jsonl", f"an entry that seals {RUN}", "none")]),
        (
            {"events": ("noted", "failed")},
            [
                ("ledger.jsonl line 2", f"a start of {RUN} before it", "none"),
                ("ledger.jsonl", f"a start of {RUN}", "none"),
            ],
        ),
    ],
)
def test_what_the_ledger_and_the_manifest_tell_of_a_run_is_the_same(
    tmp_path: Path, sealed: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert findings(judged(tmp_path, **sealed)) == [*expected, STRAY]


WHOLE = dict.fromkeys(("config_snapshot.json", "config_snapshot.toml", "stats.json", "equity.csv", "trades.csv"), b"x")


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        ("sealed", {}, "sealed"),
        ("ruined", {"ruined": "2024"}, "ruined"),
        ("sealed", {"ruined": "2024"}, "ruined"),
        ("ruined", {}, "sealed"),
    ],
)
def test_a_seal_says_whether_the_account_was_ruined(
    tmp_path: Path, status: str, fields: dict[str, str], expected: str
) -> None:
    found = findings(judged(tmp_path, ("start", "sealed"), status=status, files=WHOLE, **fields))
    assert found == [("manifest.json", f"status {expected}", f"status {status}")] * (status != expected) + [STRAY]


def test_a_run_that_came_to_its_end_has_these_files(tmp_path: Path) -> None:
    unlisted = [("manifest.json", f"{name} among the sealed files", "it is not listed") for name in list(WHOLE)[:4]]
    trades = ("manifest.json", "one of trades.csv and trades.parquet", "none or both")
    assert findings(judged(tmp_path, ("start", "sealed"), status="sealed")) == [STRAY, *unlisted, trades]
    both = {"trades.csv": b"", "trades.parquet": b""}
    for at, (files, expected) in enumerate([(both, [trades]), ({"trades.parquet": b""}, []), ({}, [trades])]):
        (tmp_path / str(at)).mkdir()
        whole = dict.fromkeys(list(WHOLE)[:4], b"") | files
        found = findings(judged(tmp_path / str(at), ("start", "sealed"), status="sealed", files=whole))
        assert found == [STRAY, *expected]


def test_a_run_that_failed_has_its_error_and_needs_no_trades(tmp_path: Path) -> None:
    assert findings(judged(tmp_path, files={"config_snapshot.toml": b""})) == [
        STRAY,
        ("manifest.json", "error.json among the sealed files", "it is not listed"),
    ]


def test_each_sealed_file_has_its_digest(tmp_path: Path) -> None:
    files = {"a": b"1", "b": b"2", "error.json": b"3"}
    verdict = judged(tmp_path, files=files, digests={"a": "aa", "c": "cc", "d": "dd", "error.json": "ee"})
    assert findings(verdict) == [
        STRAY,
        ("a", "sha256 aa", f"sha256 {digest(b'1')}"),
        ("c", "sha256 cc", "no such file"),
        ("d", "sha256 dd", "no such file"),
        ("error.json", "sha256 ee", f"sha256 {digest(b'3')}"),
    ]


SLACK = 1 << 20


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(("promised", "more", "refused"), [(2, 0, []), (2, 1, ["error.json"]), (7, 6, ["b"])])
def test_a_mebibyte_more_than_promised_is_read_and_no_byte_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promised: int, more: int, refused: list[str], kept: bool
) -> None:
    if not kept:
        monkeypatch.setattr(verify, "_KEPT", 3)
    files = {"a": b"x" * SLACK, "b": b"y" * (promised - 1 + more), "error.json": b"z"}
    verdict = judged(tmp_path, files=files, promised=promised)
    told = [finding for finding in findings(verdict) if finding != STRAY]
    assert [finding[:2] for finding in told] == [(name, "a file that was sealed") for name in refused]
    assert verdict.state == "broken"


def test_what_is_too_much_to_hold_is_digested_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_KEPT", 1)
    verdict = judged(tmp_path, stray=False)
    assert (findings(verdict), verdict.state) == ([], "intact")
    assert verdict.unchecked == ["what the files say: they have more than 1 bytes"]
    monkeypatch.setattr(verify, "_KEPT", 2)  # error.json has two bytes; what is not sealed does not count
    (tmp_path / RUN / "stray").write_bytes(b"x" * 100)
    sealed = (tmp_path / RUN / "manifest.json").read_bytes()
    verdict = verify.verify(tmp_path / RUN, reading("start", "failed", manifest=digest(sealed)))
    assert (findings(verdict), verdict.unchecked) == ([STRAY], [])


@pytest.mark.parametrize(
    ("error", "expected", "state"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "a readable file", "unreadable"),
        (OSError(errno.EIO, "Input/output error"), "a readable file", "unreadable"),
        (OSError(errno.EFBIG, "too large"), "a file that was sealed", "broken"),
        (OSError(errno.EINVAL, "a pipe"), "a file that was sealed", "broken"),
        (FileNotFoundError(errno.ENOENT, "gone"), "a file that was sealed", "broken"),
        (NotADirectoryError(errno.ENOTDIR, "no folder"), "a file that was sealed", "broken"),
    ],
)
@pytest.mark.parametrize("name", ["error.json", "manifest.json"])
def test_a_file_that_cannot_be_read_is_told_from_one_that_is_not_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: str, state: str, name: str
) -> None:
    read = door.read

    def fails(folder: Path, asked: str, *limit: Any) -> bytes:
        if asked == name:
            raise error
        return read(folder, asked, *limit)

    monkeypatch.setattr(door, "read", fails)
    verdict = judged(tmp_path)
    assert ((name, expected, error.strerror) in findings(verdict), verdict.state) == (True, state)
    assert len(findings(verdict)) == (2 if name == "error.json" else 1)


# --- what goes wrong on the way ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "finding", "state"),
    [
        (RunError("no run"), (RUN, "readable contents", "no run"), "broken"),
        (InputError("no input"), (RUN, "readable contents", "no input"), "broken"),
        (ValueError("no value"), (RUN, "contents of this format", "ValueError: no value"), "broken"),
        (OSError(errno.EIO, "Input/output error"), (RUN, "a readable run", "Input/output error"), "unreadable"),
        (OSError("no number"), (RUN, "a readable run", "no number"), "unreadable"),
    ],
)
def test_whatever_a_run_makes_go_wrong_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, finding: tuple[str, str, str], state: str
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(content, "check", fails)
    verdict = judged(tmp_path, stray=False)
    assert (findings(verdict), verdict.name, verdict.state) == ([finding], RUN, state)


def test_what_is_as_it_was_sealed_is_read_with_all_that_is_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(content, "check", lambda *args: given.append(args))
    judged(tmp_path, stray=False)
    told = reading("start", "failed", manifest=digest((tmp_path / RUN / "manifest.json").read_bytes()))
    verdict = verify.verify(str(tmp_path / RUN), told, root=str(tmp_path / "root"))
    sealed, bars = manifest.decode((tmp_path / RUN / "manifest.json").read_bytes()), tmp_path / BARS
    assert given[1] == (verdict, sealed, {"error.json": b"{}"}, told.of(RUN), tmp_path, tmp_path / "root", bars)
    (tmp_path / RUN / "stray").touch()
    verify.verify(tmp_path / RUN, told)
    assert len(given) == 2, "what has a stray is not read"


def test_without_a_reading_the_ledger_beside_the_run_is_read(tmp_path: Path) -> None:
    judged(tmp_path)
    ledger = Ledger(tmp_path)
    ledger.append("start", RUN)
    ledger.append("failed", RUN, manifest="aa")
    found = findings(verify.verify(tmp_path / RUN))
    assert found[0] == (
        "manifest.json",
        "sha256 aa",
        f"sha256 {digest((tmp_path / RUN / 'manifest.json').read_bytes())}",
    )


def test_every_run_of_the_ledger_is_missed_where_all_are_asked_for(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("start", RUN)
    ledger.append("failed", RUN, manifest="aa")
    sealed(tmp_path, OTHER)
    whole, _ = verify.verify_all(Results(tmp_path), None, root=None)
    assert findings(whole) == [(RUN, "a directory, as the ledger's line 2 says `failed`", "none")]
    one, _ = verify.verify_all(Results(tmp_path), [tmp_path / OTHER], root=None)
    assert findings(one) == []


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), RecursionError("too deep")])
def test_where_the_runs_cannot_be_listed_that_alone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(_: Results) -> list[Path]:
        raise error

    monkeypatch.setattr(Results, "runs", fails)
    [verdict] = verify.verify_all(Results(tmp_path), None, root=None)
    expected = "Permission denied" if isinstance(error, OSError) else "too deep"
    assert findings(verdict) == [("ledger.jsonl", "a readable ledger", expected)]
    assert (verdict.name, verdict.state) == ("ledger.jsonl", "unreadable")


def test_a_tombstone_comes_before_the_strays(tmp_path: Path) -> None:
    found = said(tmp_path, reading("sealed", f"start:{OTHER}", f"removed:{OTHER}", manifest="bb"))
    assert [file for file, _, _ in found] == ["ledger.jsonl line 3 manifest", "ledger.jsonl line 1"]


def test_a_run_in_the_making_that_no_line_names_is_not_astray(tmp_path: Path) -> None:
    RunDir.create(tmp_path, OTHER, given=False).release()
    assert said(tmp_path, reading("start"), every=True) == []


def test_a_folder_in_place_of_a_sealed_file_is_named(tmp_path: Path) -> None:
    judged(tmp_path)
    (tmp_path / RUN / "error.json").unlink()
    (tmp_path / RUN / "error.json").mkdir()
    told = reading("start", "failed", manifest=digest((tmp_path / RUN / "manifest.json").read_bytes()))
    found = findings(verify.verify(tmp_path / RUN, told))
    assert found == [STRAY, ("error.json", f"sha256 {digest(b'{}')}", "a folder")]


def test_each_folder_that_is_too_deep_is_named(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    deep = "/".join(["debug", *["d"] * 31])
    for name in ("one", "two"):
        (run / deep / name).mkdir(parents=True)
    found = findings(verify.verify(run, reading("start", "failed", manifest="aa")))
    told = [(f"{deep}/{name}", "at most 32 folders in each other", "more") for name in ("one", "two")]
    assert sorted(found[1:]) == told


def test_a_manifest_says_in_a_sentence_why_it_is_none(tmp_path: Path) -> None:
    run = sealed(tmp_path, RUN)
    (run / "manifest.json").write_bytes(b"{}")
    told = reading("start", "failed", manifest="aa")
    assert findings(verify.verify(run, told))[1][2].startswith("manifest.json is not a run's manifest: ")
    (run / "manifest.json").write_bytes(b'{"_type":"x","predicateType":"y"}')
    assert findings(verify.verify(run, told))[1][2].startswith("manifest.json has the format 'y', this program knows ")


def test_a_run_stays_unreadable_whatever_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"a": PermissionError(errno.EACCES, "Permission denied"), "error.json": OSError(errno.EFBIG, "too large")}
    read = door.read

    def fails(folder: Path, name: str, *limit: Any) -> bytes:
        if name in errors:
            raise errors[name]
        return read(folder, name, *limit)

    monkeypatch.setattr(door, "read", fails)
    verdict = judged(tmp_path, files={"a": b"", "error.json": b""})
    assert [name for name, *_ in findings(verdict)] == ["stray", "a", "error.json"]
    assert verdict.state == "unreadable"


def test_all_runs_are_held_against_the_data_below_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots: list[Any] = []
    monkeypatch.setattr(content, "check", lambda *args: roots.append(args[5]))
    judged(tmp_path, stray=False)
    statement = (tmp_path / RUN / "manifest.json").read_bytes()
    told = reading("start", "failed", manifest=digest(statement))
    monkeypatch.setattr(Results, "reading", lambda _: told)
    list(verify.verify_all(Results(tmp_path), None, root=tmp_path / "root"))
    assert roots == [None, tmp_path / "root"], "of the first, that wrote the run, and of all"


@pytest.mark.parametrize(("many", "shared"), [(2, False), (1, True)])
def test_many_runs_are_shared_with_all_that_they_are_checked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, shared: bool
) -> None:
    """Who shares them says the same as who does not: test_verify.py has many of them checked so."""
    given: list[Any] = []
    monkeypatch.setattr(verify, "_MANY", many)
    monkeypatch.setattr(verify, "_side_by_side", lambda *args: given.append(args) or ())
    run, told = sealed(tmp_path, RUN), reading("start")
    monkeypatch.setattr(Results, "reading", lambda _: told)
    verdicts = list(verify.verify_all(Results(tmp_path), [run], root=tmp_path))
    assert (len(verdicts), given) == (1 if shared else 2, [([run], told, tmp_path, NOBODY)] * shared)


def test_another_process_checks_with_the_ledger_and_the_root_that_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(content, "check", lambda *args: given.append(args[3:]))
    monkeypatch.setattr(verify, "_SHARED", (Reading(), None, NOBODY))
    judged(tmp_path, stray=False)
    told = reading("start", "failed", manifest=digest((tmp_path / RUN / "manifest.json").read_bytes()))
    verify._share(told, tmp_path / "root", NOBODY)
    (verdict,) = verify._verify_shared([tmp_path / RUN])
    assert (verdict.name, findings(verdict), verdict.state) == (RUN, [], "intact")
    assert given[1:] == [(told.of(RUN), tmp_path, tmp_path / "root", tmp_path / BARS)]
