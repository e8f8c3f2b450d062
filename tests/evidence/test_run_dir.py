"""A run's directory from its working name to its seal, and how runs are named and found."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import manifest, run_dir
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, recover, unfinished
from peak_trade.trust.verify import verify_all

A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")


def predicate(run: RunDir, start: str, status: str = "sealed") -> manifest.Predicate:
    details = {"metadata": {"invocationId": run.run_id}}
    return manifest.Predicate(status, {}, details, {}, [], {"follows": start}, None)


def begun(results: Path, run_id: str = A) -> RunDir:
    run = RunDir.create(results, run_id, given=True)
    run.start = run.ledger.append("start", run_id)  # type: ignore[attr-defined]
    return run


def sealed(results: Path, run_id: str = A, event: str = "sealed") -> Path:
    run = begun(results, run_id)
    run.write("error.json", [b"{}"])
    status = "failed" if event != "sealed" else "sealed"
    path = run.seal(predicate(run, run.start, status), event)  # type: ignore[attr-defined]
    run.release()
    return path


def test_a_new_run_id_is_a_uuid4() -> None:
    assert uuid.UUID(new_run_id()).version == 4
    assert new_run_id() != new_run_id()


def test_a_given_run_id_is_put_in_its_usual_spelling() -> None:
    assert new_run_id(f" {A.upper()}\n") == A


@pytest.mark.parametrize(
    "given", ["", "x", A[:-1], A + "0", A.replace("-4", "-1"), A.replace("-8", "-c"), f"../{A}", "٤" * 36]
)
def test_what_is_no_uuid4_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="is not a UUID4") as caught:
        new_run_id(given)
    assert caught.value.hint


def test_a_run_in_the_making_is_hidden_and_alive(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert run.path == tmp_path / ".working" / A
    assert Results(tmp_path).runs() == []
    assert unfinished(Results(tmp_path)) == [run_dir.Unfinished(A, run.path, alive=True)]
    run.release()
    assert unfinished(Results(tmp_path)) == [run_dir.Unfinished(A, run.path, alive=False)]


def test_a_sealed_run_has_its_final_name_and_is_not_unfinished(tmp_path: Path) -> None:
    assert sealed(tmp_path) == tmp_path / A
    assert Results(tmp_path).runs() == [tmp_path / A]
    assert unfinished(Results(tmp_path)) == []
    assert os.listdir(tmp_path / ".working") == []


def test_sealed_files_cannot_be_written_by_accident(tmp_path: Path) -> None:
    path = sealed(tmp_path)
    for name in ("error.json", "manifest.json"):
        assert stat.S_IMODE((path / name).stat().st_mode) & 0o222 == 0


def test_a_file_of_a_run_is_written_once(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.write("stats.json", [b"1"])
    with pytest.raises(FileExistsError):
        run.write("stats.json", [b"2"])
    run.release()


@pytest.mark.parametrize("state", ["working", "sealed", "removed"])
def test_a_run_id_is_used_once(tmp_path: Path, state: str) -> None:
    if state == "working":
        begun(tmp_path).release()
    else:
        path = sealed(tmp_path)
        if state == "removed":
            path.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="exists already and is never overwritten"):
        RunDir.create(tmp_path, A, given=True)


def test_a_run_is_found_by_any_start_of_its_id_that_no_other_has(tmp_path: Path) -> None:
    sealed(tmp_path, A)
    sealed(tmp_path, B)
    for which in ("a", "aaaaaaaa", A, A.upper(), f" {A} ", str(tmp_path / A), f"{tmp_path / A}/"):
        assert Results(tmp_path).find(which) == tmp_path / A, which


@pytest.mark.parametrize("which", ["", " ", "c", "..", ".", "/", A + "0", ".working", "ledger.jsonl", "[a-z]*", "*"])
def test_what_no_run_is_called_is_not_found(tmp_path: Path, which: str) -> None:
    sealed(tmp_path, A)
    with pytest.raises(InputError) as caught:
        Results(tmp_path).find(which)
    assert caught.value.hint


def test_a_start_that_two_runs_share_is_refused_and_names_both(tmp_path: Path) -> None:
    other = A[:-1] + "1"
    sealed(tmp_path, A)
    sealed(tmp_path, other)
    with pytest.raises(InputError, match=f"'aaaa' is the start of 2 runs: {A}, {other}"):
        Results(tmp_path).find("aaaa")


def test_last_is_the_run_sealed_last_by_the_ledger_whatever_the_times_of_the_files(tmp_path: Path) -> None:
    first, second = sealed(tmp_path, B), sealed(tmp_path, A)
    os.utime(second, (0, 0))
    os.utime(first, (time.time() + 1e6,) * 2)
    assert Results(tmp_path).find("last") == second


@pytest.mark.parametrize("state", ["failed", "abandoned", "unfinished", "removed", "lost"])
def test_last_passes_over_what_is_not_sealed_or_not_there(tmp_path: Path, state: str) -> None:
    sealed(tmp_path, A)
    if state == "unfinished":
        begun(tmp_path, B).release()
    elif state in ("removed", "lost"):
        sealed(tmp_path, B).rename(tmp_path / "elsewhere")
        if state == "removed":
            Ledger(tmp_path).append("removed", B)
    else:
        sealed(tmp_path, B, state)
    assert Results(tmp_path).find("last") == tmp_path / A


@pytest.mark.parametrize("there", [True, False])
def test_without_a_sealed_run_there_is_no_last(tmp_path: Path, there: bool) -> None:
    with pytest.raises(InputError, match="no sealed run in"):
        Results(tmp_path if there else tmp_path / "nowhere").find("last")


def test_without_a_results_directory_there_is_nothing_to_find_or_recover(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert (Results(nowhere).runs(), unfinished(Results(nowhere)), recover(Results(nowhere))) == ([], [], [])
    assert not nowhere.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"_type": 1}'])
def test_a_manifest_that_is_none_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(RunError, match="is not a run's manifest"):
        run_dir.read_manifest(tmp_path)


def test_a_manifest_that_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"/manifest\.json: No such file or directory"):
        run_dir.read_manifest(tmp_path)


def dead(results: Path, run_id: str = A) -> Path:
    """A run whose process died after it began."""
    run = begun(results, run_id)
    run.release()
    return run.path


def intact(results: Path) -> bool:
    return all(verdict.state == "intact" for verdict in verify_all(Results(results), None, root=None))


def test_a_recovered_run_keeps_all_that_it_left(tmp_path: Path) -> None:
    path = dead(tmp_path)
    (path / "equity.csv").write_text("timestamp,equ")
    (path / "run.log").write_text('{"message": "hello"}\n')
    assert recover(Results(tmp_path)) == [(A, "sealed as failed: its process died")]
    statement = run_dir.read_manifest(tmp_path / A)
    assert statement.files.keys() == {"equity.csv", "error.json"}
    assert statement.predicate.status == "failed"
    assert (tmp_path / A / "run.log").read_text() == '{"message": "hello"}\n'
    assert intact(tmp_path)


def test_a_recovered_run_says_when_it_started(tmp_path: Path) -> None:
    dead(tmp_path)
    recover(Results(tmp_path))
    started = Ledger(tmp_path).read().entries[0].time
    assert run_dir.read_manifest(tmp_path / A).predicate.run_details["metadata"]["startedOn"] == started


def test_a_living_run_is_not_recovered(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert recover(Results(tmp_path)) == []
    assert run.path.is_dir()
    run.release()
    assert recover(Results(tmp_path)) == [(A, "sealed as failed: its process died")]


def test_a_run_that_had_not_started_is_removed_without_a_trace(tmp_path: Path) -> None:
    RunDir.create(tmp_path, A, given=False).release()
    assert recover(Results(tmp_path)) == [(A, "removed: it had not started")]
    assert (Results(tmp_path).runs(), unfinished(Results(tmp_path)), Ledger(tmp_path).read().entries) == ([], [], [])


def test_a_recovery_finishes_as_the_ledger_says(tmp_path: Path) -> None:
    sealed(tmp_path).rename(tmp_path / ".working" / A)
    assert recover(Results(tmp_path)) == [(A, "its seal was in the ledger: finished as sealed")]
    assert Results(tmp_path).runs() == [tmp_path / A]


def test_a_directory_that_does_not_bear_out_its_seal_is_left_as_it_is(tmp_path: Path) -> None:
    path = sealed(tmp_path).rename(tmp_path / ".working" / A)
    (path / "manifest.json").chmod(0o644)
    (path / "manifest.json").write_text("{}")
    before = (tmp_path / "ledger.jsonl").read_bytes()
    for _ in range(2):
        told = "not recovered: the ledger's line 2 has it as sealed, which its directory does not bear out"
        assert recover(Results(tmp_path)) == [(A, told)]
    assert (tmp_path / "ledger.jsonl").read_bytes() == before, "what the ledger has sealed is never sealed again"
    assert (path / "manifest.json").read_text() == "{}"
    assert not intact(tmp_path)


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: None])
def test_what_has_the_name_of_a_manifest_is_not_waited_for(tmp_path: Path, plant: Any) -> None:
    path = sealed(tmp_path).rename(tmp_path / ".working" / A)
    (path / "manifest.json").unlink()
    plant(path / "manifest.json")
    ((_, told),) = recover(Results(tmp_path))
    assert told.startswith("not recovered: the ledger's line 2 has it as sealed")


def test_a_removed_run_among_those_in_the_making_is_left_as_it_is(tmp_path: Path) -> None:
    path = sealed(tmp_path).rename(tmp_path / ".working" / A)
    digest = hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
    Ledger(tmp_path).append("removed", A, manifest=digest)
    told = "not recovered: the ledger's line 3 has it as removed, which its directory does not bear out"
    assert recover(Results(tmp_path)) == [(A, told)]
    assert not intact(tmp_path)


def test_a_manifest_is_not_thrown_away_by_a_ledger_that_is_not_whole(tmp_path: Path) -> None:
    path = sealed(tmp_path).rename(tmp_path / ".working" / A)
    start, _ = (tmp_path / "ledger.jsonl").read_bytes().splitlines()
    (tmp_path / "ledger.jsonl").write_bytes(start + b"\ngarbage\n")
    told = "not recovered: it has a manifest, and the ledger is not whole at line 2"
    assert recover(Results(tmp_path)) == [(A, told)]
    assert (path / "manifest.json").exists()
    (path / "manifest.json").unlink()
    assert recover(Results(tmp_path)) == [(A, "sealed as failed: its process died")], "the control: nothing is lost"


def test_a_sealed_directory_among_those_in_the_making_is_a_finding(tmp_path: Path) -> None:
    dead(tmp_path)
    recover(Results(tmp_path))
    assert intact(tmp_path), "the control"
    (tmp_path / A).rename(tmp_path / ".working" / A)
    (verdict,) = verify_all(Results(tmp_path), None, root=None)
    assert [str(finding) for finding in verdict.findings] == [
        f"{A}: expected a directory under its name, as the ledger's line 2 ends it, "
        "found one in .working/: just doctor finishes a run that died on the way"
    ]
    recover(Results(tmp_path))
    assert intact(tmp_path)


def test_a_run_that_is_getting_its_name_is_no_finding(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.write("error.json", [b"{}"])
    run.publish = lambda: run.path  # type: ignore[method-assign] # as long as it has not come to that
    run.seal(predicate(run, run.start), "sealed")  # type: ignore[attr-defined]
    assert intact(tmp_path)
    run.release()
    assert not intact(tmp_path)


def test_runs_are_not_made_behind_a_link(tmp_path: Path) -> None:
    elsewhere, results = tmp_path / "elsewhere", tmp_path / "results"
    dead(elsewhere)
    results.mkdir()
    (results / ".working").symlink_to(elsewhere / ".working")
    assert recover(Results(results)) == []
    with pytest.raises(NotADirectoryError):
        RunDir.create(results, B, given=False)
    assert os.listdir(elsewhere / ".working") == [A]


def test_one_run_that_cannot_be_recovered_does_not_stop_the_others(tmp_path: Path) -> None:
    dead(tmp_path, A)
    (tmp_path / A / "in the way").mkdir(parents=True)
    dead(tmp_path, B)
    assert recover(Results(tmp_path)) == [
        (A, "not recovered: Directory not empty"),
        (B, "sealed as failed: its process died"),
    ]


def test_a_directory_that_cannot_be_made_again_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead(tmp_path).rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert recover(Results(tmp_path)) == [(A, "not recovered: No space left on device")]
    assert recover(Results(tmp_path)) == [(A, "sealed as failed: its process died")]
    assert intact(tmp_path)


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    dead(tmp_path)
    (tmp_path / ".working" / "notes").mkdir()
    (tmp_path / ".working" / B).write_text("a file")
    (tmp_path / ".working" / C).symlink_to(tmp_path)
    recover(Results(tmp_path))
    assert sorted(os.listdir(tmp_path / ".working")) == sorted(["notes", B, C])
    assert intact(tmp_path)


def test_a_ledger_that_names_a_path_makes_no_directory_there(tmp_path: Path) -> None:
    results = tmp_path / "results"
    dead(results)
    Ledger(results).append("start", "../../escaped")
    recover(Results(results))
    assert sorted(os.listdir(tmp_path)) == ["results"]


def test_others_wait_while_a_directory_is_being_made(tmp_path: Path) -> None:
    begun(tmp_path).release()
    handle = os.open(tmp_path / ".working", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    seen: list[Any] = []
    other = threading.Thread(target=lambda: seen.append(unfinished(Results(tmp_path))))
    other.start()
    other.join(0.1)
    assert other.is_alive() and seen == []
    os.close(handle)
    other.join(10)
    assert [run.run_id for run in seen[0]] == [A]


def test_discarding_leaves_the_log_alone(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.write("stats.json", [b"{}"])
    (run.path / "run.log").write_text("{}\n")
    run.discard()
    run.release()
    assert os.listdir(run.path) == ["run.log"]
    assert (run.sealed, run.bytes) == ({}, 0)
