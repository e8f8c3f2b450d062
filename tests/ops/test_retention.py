"""What a clean-up keeps and removes, what it leaves when it is cut short, and what it never touches."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.evidence import pins, run_dir
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir
from peak_trade.ops import doctor, removal, retention
from peak_trade.ops.retention import Plan, Policy
from peak_trade.report import index, render
from peak_trade.shown import listing
from peak_trade.tracking import batch
from peak_trade.trust import verify

Evidence = Any  # of conftest.py, which cannot be imported
NOW = datetime(2024, 6, 1, tzinfo=UTC)
ALL = Policy(keep=0, days=0)
MANIFEST = b'{"a": "manifest"}'
DIGEST = hashlib.sha256(MANIFEST).hexdigest()


def run_id(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


def when(days: float) -> str:
    """The ledger's time so many days before NOW."""
    return (NOW - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Handmade:
    """A results directory whose ledger is written by hand."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines, self.previous = path, list[bytes](), "0" * 64
        path.mkdir()

    def say(self, event: str, number: int, days: float, **fields: Any) -> None:
        entry = {"event": event, "time": when(days), "run_id": run_id(number), **fields, "prev": self.previous}
        self.lines.append(msgspec.json.encode(entry))
        self.previous = hashlib.sha256(self.lines[-1]).hexdigest()
        (self.path / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in self.lines))

    def run(self, number: int, days: float, event: str = "sealed", *, started: float | None = None) -> Path:
        """Add a run that ended so many days ago: its lines and a directory of 1,017 bytes."""
        self.say("start", number, days if started is None else started)
        self.say(event, number, days, manifest=DIGEST)
        folder = self.path / run_id(number)
        (folder / "plots").mkdir(parents=True)
        (folder / "manifest.json").write_bytes(MANIFEST)
        (folder / "equity.csv").write_bytes(bytes(600))
        (folder / "plots" / "equity.svg").write_bytes(bytes(400))
        (folder / "equity.csv").chmod(0o444)
        return folder

    def clean(self, policy: Policy = ALL) -> Plan:
        return removal.apply(Results(self.path), policy, now=NOW)

    def plan(self, policy: Policy = ALL) -> dict[int, tuple[str, str]]:
        """Return action and reason by a run's number."""
        return by_number(retention.plan(Results(self.path), policy, now=NOW))

    def events(self) -> list[str]:
        return [f"{entry.event} {int(entry.run_id[:8])}" for entry in Ledger(self.path).read().entries]

    def there(self) -> list[int]:
        return [int(path.name[:8]) for path in Results(self.path).runs()]


def by_number(plan: Plan) -> dict[int, tuple[str, str]]:
    return {int(item.run_id[:8]): (item.action, item.why) for item in plan.items}


def kept(plan: dict[int, tuple[str, str]]) -> list[int]:
    return [number for number, (action, _) in plan.items() if action == "keep"]


def photograph(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return everything below a folder: mode, time of change, and content or target."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_ctime_ns,
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def results(tmp_path: Path) -> Handmade:
    return Handmade(tmp_path / "results")


# --- what stays ---------------------------------------------------------------------------------------------------


def test_the_runs_that_ended_last_stay(results: Handmade) -> None:
    for number in range(1, 6):
        results.run(number, 100 - number)
    assert results.plan(Policy(keep=2, days=30)) == {
        5: ("keep", "among the last 2"),
        4: ("keep", "among the last 2"),
        3: ("remove", "older than 30 d, not among the last 2"),
        2: ("remove", "older than 30 d, not among the last 2"),
        1: ("remove", "older than 30 d, not among the last 2"),
    }


def test_the_last_run_is_the_one_that_ended_last_not_began_last(results: Handmade) -> None:
    results.run(1, 50, started=49)
    results.run(2, 40, started=99)
    assert kept(results.plan(Policy(keep=1))) == [2]


def test_what_ended_last_is_told_by_the_ledgers_order_not_by_a_clock_that_was_set(results: Handmade) -> None:
    results.run(1, 50)
    results.run(2, 90)
    assert kept(results.plan(Policy(keep=1))) == [2]


@pytest.mark.parametrize("days, action", [(29, "keep"), (30 - 1e-7, "keep"), (30, "remove"), (31, "remove")])
def test_a_run_is_young_until_the_day_is_full(results: Handmade, days: float, action: str) -> None:
    results.run(1, days)
    assert results.plan(Policy(keep=0))[1][0] == action


def test_a_run_stays_for_any_of_the_reasons(results: Handmade) -> None:
    for number, days in ((1, 90), (2, 80), (3, 70), (4, 5), (5, 1)):
        results.run(number, days)
    pins.pin(Results(results.path), run_id(1))
    assert results.plan(Policy(keep=1, days=30)) == {
        5: ("keep", "among the last 1"),
        4: ("keep", "younger than 30 d"),
        3: ("remove", "older than 30 d, not among the last 1"),
        2: ("remove", "older than 30 d, not among the last 1"),
        1: ("keep", "pinned"),
    }


def test_by_default_200_runs_stay_and_those_of_30_days() -> None:
    assert Policy() == Policy(keep=200, days=30, status=None)


def test_a_pinned_run_counts_among_the_last(results: Handmade) -> None:
    for number in (1, 2, 3):
        results.run(number, 90)
    pins.pin(Results(results.path), run_id(3))
    assert kept(results.plan(Policy(keep=2))) == [3, 2]


def test_a_run_that_was_put_back_does_not_count_among_the_last(results: Handmade) -> None:
    for number in (1, 2, 3):
        results.run(number, 90)
    results.say("removed", 3, 1, manifest=DIGEST)  # and its directory is there
    assert results.plan(Policy(keep=1)) == {
        3: ("keep", "put back after its removal"),
        2: ("keep", "among the last 1"),
        1: ("remove", "older than 30 d, not among the last 1"),
    }


def test_runs_of_another_status_stay_and_do_not_count(results: Handmade) -> None:
    for number, event in enumerate(("failed", "abandoned", "sealed", "failed", "sealed"), 1):
        results.run(number, 90, event)
    assert results.plan(Policy(keep=1, status="failed")) == {
        5: ("keep", "not failed"),
        4: ("keep", "among the last 1"),
        3: ("keep", "not failed"),
        2: ("remove", "older than 30 d, not among the last 1"),
        1: ("remove", "older than 30 d, not among the last 1"),
    }


@pytest.mark.parametrize("time", ["", "yesterday", "2024-01-01", "2999-01-01T00:00:00.000Z"])
def test_a_run_stays_whose_age_nobody_can_tell(results: Handmade, time: str) -> None:
    results.run(1, 90)
    results.say("start", 2, 90)
    results.say("sealed", 2, 90, time=time, manifest=DIGEST)
    shutil.copytree(results.path / run_id(1), results.path / run_id(2))
    assert results.plan(Policy(keep=0)) == {
        2: ("keep", "younger than 30 d"),
        1: ("remove", "older than 30 d, not among the last 0"),
    }


def test_a_run_that_goes_on_is_never_touched(results: Handmade) -> None:
    running, dead = (RunDir.create(results.path, run_id(number), given=False) for number in (1, 2))
    for run in (running, dead):
        run.ledger.append("start", run.run_id)
        run.write("equity.csv", [b"so far"])
    dead.release()
    before = photograph(results.path / ".working")
    assert by_number(results.clean()) == {
        1: ("keep", "running"),
        2: ("keep", "unfinished: just doctor brings it to its end"),
    }
    assert photograph(results.path / ".working") == before
    running.release()


def test_a_run_that_ends_while_it_is_planned_is_told_once(results: Handmade, monkeypatch: pytest.MonkeyPatch) -> None:
    results.run(1, 0)
    before = [run_dir.Unfinished(run_id(1), results.path / ".working" / run_id(1), True)]
    monkeypatch.setattr(retention, "unfinished", lambda path: before)
    assert [item.why for item in retention.plan(Results(results.path), Policy(), now=NOW).items] == [
        "among the last 200"
    ]


def test_what_is_not_as_the_ledger_has_it_is_left_to_people(results: Handmade) -> None:
    for number in range(1, 5):
        results.run(number, 90)
    (results.path / run_id(1) / "manifest.json").write_bytes(b"{}")
    (results.path / run_id(2) / "manifest.json").unlink()
    (results.path / run_id(3) / "manifest.json").unlink()
    (results.path / run_id(3) / "manifest.json").symlink_to(results.path / run_id(4) / "manifest.json")
    (results.path / run_id(7)).mkdir()  # a copy from elsewhere
    results.say("start", 8, 90)
    (results.path / run_id(8)).mkdir()
    assert by_number(results.clean()) == {
        8: ("keep", "the ledger has no end of it"),
        4: ("removed", "older than 0 d, not among the last 0"),
        3: ("keep", "not what was sealed: just verify 00000003"),
        2: ("keep", "not what was sealed: just verify 00000002"),
        1: ("keep", "not what was sealed: just verify 00000001"),
        7: ("keep", "the ledger does not know it"),
    }
    assert results.there() == [1, 2, 3, 7, 8]


def test_other_files_and_folders_in_results_stay(results: Handmade) -> None:
    results.run(1, 90)
    for name in ("index.html", "notes", run_id(1) + ".bak", run_id(2).upper().replace("0", "A")):
        (results.path / name).mkdir()
    before = set(os.listdir(results.path)) - {run_id(1)}
    results.clean()
    assert set(os.listdir(results.path)) == before | {".removing", ".pins"}


def test_a_plan_changes_nothing(results: Handmade) -> None:
    for number in (1, 2):
        results.run(number, 90)
    results.path.chmod(0o555)
    before = photograph(results.path.parent)
    results.plan()
    assert photograph(results.path.parent) == before


def test_where_there_are_no_results_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert (
        retention.plan(Results(tmp_path / "none"), ALL).items
        == removal.apply(Results(tmp_path / "none"), ALL).items
        == []
    )
    assert removal.finish(Results(tmp_path / "none")) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("deed", [retention.plan, removal.apply])
@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_ledger_that_is_not_whole_decides_nothing(results: Handmade, deed: Any, line: int) -> None:
    for number in (1, 2):
        results.run(number, 90)
    lines = list(results.lines)
    lines[line] = lines[line].replace(b"2024", b"2014")
    (results.path / "ledger.jsonl").write_bytes(b"".join(each + b"\n" for each in lines))
    with pytest.raises(RunError, match="the ledger is not whole at line") as caught:
        deed(Results(results.path), ALL, now=NOW)
    assert caught.value.hint == "just verify --all"
    assert results.there() == [1, 2]


def test_a_torn_last_line_is_no_reason_to_stop(results: Handmade) -> None:
    results.run(1, 90)
    with (results.path / "ledger.jsonl").open("ab") as stream:
        stream.write(b'{"event":"start"')
    assert by_number(results.clean())[1][0] == "removed"
    assert Ledger(results.path).read().broken == []


# --- what is shown ------------------------------------------------------------------------------------------------


def test_the_plan_is_a_table_with_totals(results: Handmade) -> None:
    results.run(1, 90, "failed")
    results.run(2, 1.5)
    results.run(3, 0.1)
    pins.pin(Results(results.path), run_id(3))
    found = retention.plan(Results(results.path), Policy(keep=0), now=NOW)
    assert listing.aligned(found.table(8), right=(1, 3)).splitlines() == [
        "run_id     age  status  size  action  why",
        "00000003   2 h  sealed  1 kB  keep    pinned",
        "00000002   1 d  sealed  1 kB  keep    younger than 30 d",
        "00000001  90 d  failed  1 kB  remove  older than 30 d, not among the last 0",
    ]
    assert found.totals() == "1 to remove (1 kB), 2 kept (2 kB)"


def test_the_plan_as_json_has_whole_numbers_of_bytes(results: Handmade) -> None:
    results.run(1, 90)
    shown = json.loads(
        json.dumps(retention.plan(Results(results.path), ALL, now=NOW).to_json_object(), allow_nan=False)
    )
    assert shown["items"] == [
        {"run_id": run_id(1), "status": "sealed", "age_s": 90 * 86_400, "bytes": 1017, "action": "remove",
         "why": "older than 0 d, not among the last 0", "manifest": DIGEST}
    ]  # fmt: skip
    assert shown["totals"]["remove"] == {"count": 1, "bytes": 1017}
    assert shown["totals"]["keep"] == {"count": 0, "bytes": 0}


# --- what becomes of a removed run --------------------------------------------------------------------------------


def test_the_tombstone_says_what_was_removed_and_why(results: Handmade) -> None:
    results.run(1, 90)
    results.clean(Policy(keep=0, days=30))
    last = Ledger(results.path).read().entries[-1]
    assert (last.event, last.run_id) == ("removed", run_id(1))
    assert last.fields == {"manifest": DIGEST, "bytes": 1017, "reason": "older than 30 d, not among the last 0"}
    assert results.there() == [] and os.listdir(results.path / ".removing") == []


def came_along(results: Handmade, digest: str) -> Path:
    file = results.path / ".bars" / f"{digest}.bars"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"bars")
    return file


def test_bars_that_came_with_runs_go_with_the_last_that_names_them(results: Handmade) -> None:
    for number, days in ((1, 50), (2, 40)):
        results.say("start", number, days)
        results.say("sealed", number, days, manifest=DIGEST, data="a" * 64)
        (results.path / run_id(number)).mkdir()
        (results.path / run_id(number) / "manifest.json").write_bytes(MANIFEST)
    shared, nobodys = came_along(results, "a" * 64), came_along(results, "b" * 64)
    plan = retention.plan(Results(results.path), Policy(keep=1, days=0), now=NOW)
    assert [(item.run_id[:8], item.status, item.action) for item in plan.items] == [
        ("00000002", "sealed", "keep"), ("00000001", "sealed", "remove"), ("bbbbbbbb", "bars", "remove"),
    ]  # fmt: skip
    assert [item.action for item in results.clean(Policy(keep=1, days=0)).items] == ["keep", "removed", "removed"]
    assert (shared.exists(), nobodys.exists()) == (True, False)
    assert [item.action for item in results.clean().items] == ["removed", "removed"]
    assert not shared.exists()


def test_bars_stay_where_a_run_of_old_names_them_or_cannot_be_asked(results: Handmade) -> None:
    run = results.run(1, 50)  # of which the ledger tells no bars
    file = came_along(results, "a" * 64)
    (run / "manifest.json").write_bytes(b'{"digest": "%s"}' % (b"a" * 64))
    results.clean(Policy(keep=1))
    assert file.exists()
    (run / "manifest.json").unlink()
    (run / "manifest.json").mkdir()
    results.clean(Policy(keep=1))
    assert file.exists()


def test_what_is_not_called_as_bars_are_and_a_link_stay(results: Handmade, outside: Path) -> None:
    results.run(1, 50)
    file = came_along(results, "notes")
    (file.parent / f"{'c' * 64}.bars").symlink_to(outside)
    results.clean()
    assert sorted(path.name for path in file.parent.iterdir()) == [f"{'c' * 64}.bars", "notes.bars"]


def test_bars_that_a_run_names_since_the_plan_stay(results: Handmade, monkeypatch: pytest.MonkeyPatch) -> None:
    results.run(1, 50)
    file = came_along(results, "a" * 64)
    planned = retention.plan(Results(results.path), Policy(), now=NOW)
    assert [item.status for item in planned.of("remove")] == ["bars"]
    results.say("start", 2, 1)
    results.say("sealed", 2, 1, manifest=DIGEST, data="a" * 64)
    monkeypatch.setattr(removal, "plan", lambda *_, **__: planned)
    assert [item.why for item in results.clean(Policy()).of("failed")] == ["a run names them"]
    assert file.exists()


def test_the_oldest_run_goes_first(results: Handmade) -> None:
    for number in (1, 2, 3):
        results.run(number, 90)
    results.clean(Policy(keep=1))
    assert results.events()[-2:] == ["removed 1", "removed 2"]


def test_no_trial_is_forgotten(evidence: Evidence) -> None:
    def trials() -> list[tuple[Any, ...]]:
        return [(row.run_id, row.started, row.strategy, row.sharpe) for row in listing.rows(Results(evidence.results))]

    before, starts = trials(), [line for line in evidence.ledger() if b'"event":"start"' in line]
    assert len(removal.apply(Results(evidence.results), Policy(keep=1, days=0)).of("removed")) == 4
    assert trials() == before and len(before) == 5
    assert [line for line in evidence.ledger() if b'"event":"start"' in line] == starts
    assert removal.apply(Results(evidence.results), ALL).of("removed") != []
    assert trials() == before


def test_removed_runs_leave_nothing_to_verify(evidence: Evidence) -> None:
    pins.pin(Results(evidence.results), evidence.runs["own"])
    removal.apply(Results(evidence.results), ALL)
    assert set(evidence.verdicts()) == {"ledger.jsonl", "own"}
    assert evidence.findings() == []


def test_control_a_directory_that_is_gone_without_a_tombstone_is_found(evidence: Evidence) -> None:
    shutil.rmtree(evidence.path("own"))
    [finding] = evidence.findings()
    assert finding.startswith(f"{evidence.runs['own']}: expected a directory, as the ledger's line ")


def test_a_removed_run_is_told_as_that_by_who_looks_for_it(evidence: Evidence) -> None:
    removal.apply(Results(evidence.results), ALL)
    with pytest.raises(InputError, match=f"run {evidence.runs['own']} was removed on 20") as caught:
        Results(evidence.results).find(evidence.runs["own"][:8])
    assert caught.value.hint == "just runs shows what the ledger keeps"
    assert {row.status for row in listing.rows(Results(evidence.results))} == {"removed"}


def test_a_run_id_that_was_removed_cannot_be_given_again(results: Handmade) -> None:
    results.run(1, 90)
    results.clean()
    with pytest.raises(InputError, match="exists already"):
        RunDir.create(results.path, run_id(1), given=True)


def test_a_report_does_not_bring_back_the_directory_of_a_run_that_is_removed_meanwhile(evidence: Evidence) -> None:
    class Slow:
        name = "slow"

        def page(self, path: Path) -> str:
            removal.apply(Results(evidence.results), ALL)
            return f'<header data-run="{path.name}"></header>'

    with pytest.raises(RunError, match="No such file or directory"):
        render.render(evidence.path("own"), Slow())
    assert not evidence.path("own").exists() and evidence.findings() == []


def test_a_run_that_is_removed_while_it_is_verified_is_no_finding(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Ledger(evidence.results).read()
    removal.apply(Results(evidence.results), ALL)
    verdict = verify.verify(evidence.path("own"), reading)
    assert (verdict.state, verdict.unchecked) == ("intact", ["the run: it was removed while it was looked at"])
    assert verify.check_ledger(Results(evidence.results), reading, every=True).findings == []


# --- removals that were cut short ---------------------------------------------------------------------------------


def cut_short(results: Path, which: str, how: str) -> None:
    """Leave what a clean-up leaves that dies at a point of its way."""
    aside = results / ".removing" / which
    aside.mkdir(parents=True)
    if how == "before the tombstone":
        return
    sealed = Results(results).reading().of(which).manifest
    Ledger(results).append("removed", which, manifest=sealed, bytes=1, reason="test")
    if how == "before it was renamed":
        return
    (results / which).rename(aside)
    (aside / "manifest.json").unlink()
    if how == "before its folder was removed":
        shutil.rmtree(aside)
        aside.mkdir()


POINTS = ("before it was renamed", "half deleted", "before its folder was removed")


@pytest.mark.parametrize("how", POINTS)
def test_a_half_removed_run_is_removed_for_every_reader(evidence: Evidence, how: str) -> None:
    cut_short(evidence.results, evidence.runs["own"], how)
    results, path = evidence.results, evidence.path("own")
    assert path not in Results(results).runs() and len(Results(results).runs()) == 4
    assert path not in batch.pending(Results(results))
    assert path not in render.missing(Results(results))
    assert {row.run_id: row.status for row in listing.rows(Results(results))}[path.name] == "removed"
    assert f'href="{path.name}' not in index.write(Results(results)).read_text()
    with pytest.raises(InputError, match="was removed on"):
        Results(results).find(path.name)
    with pytest.raises(InputError, match="was removed on"):
        pins.pin(Results(results), path.name)
    assert evidence.findings() == [] and "own" not in evidence.verdicts()


@pytest.mark.parametrize("finisher", ["doctor", "clean-up"])
@pytest.mark.parametrize("how", POINTS)
def test_a_half_removed_run_is_finished_by_the_next(evidence: Evidence, how: str, finisher: str) -> None:
    own, results = evidence.runs["own"], evidence.results
    cut_short(results, own, how)
    lines = len(evidence.ledger())
    if finisher == "doctor":
        found = {finding.name: finding for finding in doctor.examine(Path(__file__).parents[2], Results(results))}
        assert found[f"run {own[:8]}"].detail == "its removal was cut short: finished"
        assert found[f"run {own[:8]}"].state == "mended"
    else:
        plan = removal.apply(Results(results), Policy())
        assert [(item.run_id, item.why) for item in plan.of("removed")] == [(own, "its removal was cut short")]
    assert os.listdir(results / ".removing") == [] and not (results / own).exists()
    assert len(evidence.ledger()) == lines  # one tombstone
    assert evidence.findings() == [] and removal.finish(Results(results)) == []


def test_a_half_removed_run_goes_with_its_telemetry(results: Handmade) -> None:
    results.run(1, 90)
    cut_short(results.path, run_id(1), "half deleted")
    spans(results.path, run_id(1), 0)
    [item] = results.clean().items
    assert (item.status, item.bytes, item.why) == ("removed", 1100, "its removal was cut short")
    assert os.listdir(results.path / ".telemetry") == []


def test_a_removal_that_was_cut_short_is_warned_of(evidence: Evidence, caplog: pytest.LogCaptureFixture) -> None:
    cut_short(evidence.results, evidence.runs["own"], "half deleted")
    run_dir.warn_unfinished(Results(evidence.results))
    assert caplog.messages == [
        f"1 unfinished removal(s) of dead processes: {evidence.runs['own']}; hint: just doctor finishes them"
    ]
    caplog.clear()
    with removal._removing(Results(evidence.results)):  # one that goes on
        run_dir.warn_unfinished(Results(evidence.results))
    assert caplog.messages == []


@pytest.mark.parametrize("finisher", [removal.finish, lambda results: removal.apply(results, Policy())])
def test_a_run_without_a_tombstone_is_whole(evidence: Evidence, finisher: Any) -> None:
    cut_short(evidence.results, evidence.runs["own"], "before the tombstone")
    assert len(Results(evidence.results).runs()) == 5 and evidence.findings() == []
    finisher(Results(evidence.results))
    assert os.listdir(evidence.results / ".removing") == []
    assert len(Results(evidence.results).runs()) == 5 and evidence.findings() == []


def test_a_run_that_was_put_back_from_a_copy_is_not_deleted_again(evidence: Evidence, tmp_path: Path) -> None:
    own = evidence.path("own")
    shutil.copytree(own, tmp_path / "copy")
    removal.apply(Results(evidence.results), ALL)
    shutil.copytree(tmp_path / "copy", own)
    [item] = removal.apply(Results(evidence.results), ALL).items
    assert (item.action, item.why) == ("keep", "put back after its removal")
    assert removal.finish(Results(evidence.results)) == []
    assert photograph(own).keys() == photograph(tmp_path / "copy").keys()
    assert evidence.findings("own") == [
        f"ledger.jsonl: expected nothing after the removal of {own.name}, found its directory is there"
    ]


def test_a_run_that_was_put_back_while_its_rest_was_there_is_not_deleted(results: Handmade, tmp_path: Path) -> None:
    shutil.copytree(results.run(1, 90), tmp_path / "copy")
    cut_short(results.path, run_id(1), "half deleted")
    shutil.copytree(tmp_path / "copy", results.path / run_id(1))
    assert removal.finish(Results(results.path)) == [(run_id(1), "its removal was cut short: finished")]
    assert results.there() == [1] and os.listdir(results.path / ".removing") == []


def test_what_lies_where_runs_are_taken_without_a_tombstone_stays(results: Handmade) -> None:
    results.run(1, 90)
    aside = results.path / ".removing" / run_id(1)
    aside.mkdir(parents=True)
    (aside / "only copy").write_text("of something")
    (results.path / ".removing" / "note.txt").write_text("mine")
    [item] = results.clean().items
    assert (item.action, item.why) == ("failed", "its removal can't be noted: File exists")
    assert (aside / "only copy").exists() and (results.path / ".removing" / "note.txt").exists()
    assert results.there() == [1] and results.events() == ["start 1", "sealed 1"]


def test_nothing_is_finished_by_a_ledger_that_is_not_whole(results: Handmade) -> None:
    results.run(1, 90)
    results.run(2, 90)
    cut_short(results.path, run_id(1), "before it was renamed")
    content = (results.path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (results.path / "ledger.jsonl").write_bytes(b"".join([content[0], *content[2:]]))
    [(found, what)] = removal.finish(Results(results.path))
    assert found == run_id(1) and what.startswith("its removal is not finished: the ledger is not whole at line 2")
    assert (results.path / run_id(1) / "equity.csv").exists()


# --- storage that fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_what_cannot_be_noted_is_not_deleted(results: Handmade, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    for number in (1, 2, 3):
        results.run(number, 90)
    before, append = photograph(results.path), Ledger.append

    def full(self: Ledger, event: str, which: str, **fields: Any) -> str:
        if which == run_id(2):
            raise OSError(code, os.strerror(code))
        return append(self, event, which, **fields)

    monkeypatch.setattr(Ledger, "append", full)
    reason = f"its removal can't be noted: {os.strerror(code)}"
    assert by_number(results.clean()) == {
        1: ("removed", "older than 0 d, not among the last 0"),
        2: ("failed", reason),
        3: ("failed", reason),
    }
    after = photograph(results.path)
    assert {name for name in before if name not in after} == {name for name in before if name.startswith(run_id(1))}
    assert results.there() == [2, 3]


@pytest.mark.parametrize("call", ["unlink", "rmdir", "rename"])
def test_a_removal_that_fails_on_the_way_is_told_and_goes_on_next_time(
    results: Handmade, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for number in (1, 2):
        results.run(number, 90)
    real, seen = getattr(os, call), []

    def forbidden(name: Any, *rest: Any, **named: Any) -> None:
        seen.append(name)
        if len(seen) == 1:
            raise PermissionError(errno.EACCES, "Permission denied")
        real(name, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, forbidden)
        plan = results.clean()
    assert [(item.action, item.why) for item in plan.items] == [
        ("removed", "older than 0 d, not among the last 0"),
        ("failed", "not finished: Permission denied"),
    ]
    assert results.there() == [] and Results(results.path).half_removed() == {run_id(1)}
    assert by_number(results.clean()) == {1: ("removed", "its removal was cut short")}
    assert os.listdir(results.path / ".removing") == []
    assert results.events()[-2:] == ["removed 1", "removed 2"]


def give_away(folder: Path) -> None:
    """Give a tree to the user that `unprivileged` makes of root."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)


@pytest.mark.parametrize("mode", [0o555, 0o500, 0o777])
def test_read_only_folders_are_no_obstacle(
    results: Handmade, tmp_path: Path, request: pytest.FixtureRequest, mode: int
) -> None:
    folder = results.run(1, 90)
    give_away(results.path)
    (folder / "plots").chmod(mode)
    folder.chmod(mode)
    open_up(tmp_path)
    request.getfixturevalue("unprivileged")
    assert by_number(results.clean())[1][0] == "removed"
    assert os.listdir(results.path / ".removing") == []


def open_up(folder: Path) -> None:
    """Let another user reach a folder of pytest's."""
    for path in (folder, *folder.parents[:3]):
        if path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode | 0o011)


@pytest.mark.parametrize(
    "mode, why", [(0o000, "can't be read: Permission denied"), (0o555, "can't be removed: Permission denied")]
)
def test_what_may_not_be_deleted_gets_no_tombstone(
    results: Handmade, tmp_path: Path, request: pytest.FixtureRequest, mode: int, why: str
) -> None:
    folder = results.run(1, 90)
    give_away(results.path)
    if os.geteuid() == 0 and mode:
        os.chown(folder / "plots", 0, 0)
    (folder / "plots").chmod(mode)
    if os.geteuid() and mode:
        pytest.skip("another user's folder takes root to make")
    open_up(tmp_path)
    request.getfixturevalue("unprivileged")
    assert by_number(results.clean()) == {1: ("keep", why)}
    (folder / "plots").chmod(0o755) if not mode else None
    assert results.events() == ["start 1", "sealed 1"]


def test_results_that_cannot_be_written_are_a_sentence(
    results: Handmade, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    results.run(1, 90)
    open_up(tmp_path)
    results.path.chmod(0o555)
    request.getfixturevalue("unprivileged")
    with pytest.raises(RunError, match=r"\.removing: Permission denied"):
        results.clean()
    assert results.there() == [1]


# --- links and mounts ---------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside results, which must be the same afterwards."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "precious", folder / "deep" / "precious"):
        path.write_text("not yours")
    (folder / "manifest.json").write_bytes(MANIFEST)
    yield folder
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "deep",
        "deep/precious",
        "manifest.json",
        "precious",
    ]


def test_a_link_in_the_place_of_a_run_is_not_followed_and_stays(results: Handmade, outside: Path) -> None:
    shutil.rmtree(results.run(1, 90))
    (results.path / run_id(1)).symlink_to(outside)
    assert by_number(results.clean()) == {1: ("keep", "a symbolic link")}
    assert (results.path / run_id(1)).is_symlink() and results.events() == ["start 1", "sealed 1"]


def test_a_link_that_takes_the_place_of_a_run_after_the_plan_is_not_followed(
    results: Handmade, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, append = results.run(1, 90), Ledger.append

    def swap(self: Ledger, *given: Any, **fields: Any) -> str:
        shutil.rmtree(folder)
        folder.symlink_to(outside)
        return append(self, *given, **fields)

    monkeypatch.setattr(Ledger, "append", swap)
    [item] = results.clean().items
    assert (item.action, item.why.partition(":")[0]) == ("failed", "not finished")
    assert folder.is_symlink()


def link_in(folder: Path, outside: Path) -> None:
    (folder / "file").symlink_to(outside / "precious")
    (folder / "folder").symlink_to(outside)
    (folder / "plots" / "up").symlink_to("../../../outside")
    (folder / "dangling").symlink_to("nowhere")
    os.link(outside / "precious", folder / "hard link")


def test_links_in_a_run_are_removed_and_not_followed(results: Handmade, outside: Path) -> None:
    link_in(results.run(1, 90), outside)
    assert by_number(results.clean())[1][0] == "removed"
    assert results.there() == [] and os.listdir(results.path / ".removing") == []


def test_control_a_removal_that_follows_links_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, outside = Handmade(tmp_path / "results"), tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "precious").write_text("not yours")
    link_in(results.run(1, 90), outside)

    def follow(self: Any, parent: int, name: str) -> None:
        folder = Path(os.readlink(f"/proc/self/fd/{parent}")) / name
        for where, _, names in os.walk(folder, followlinks=True):
            for file in names:
                (Path(where) / file).unlink()

    monkeypatch.setattr(removal._Remover, "_delete", follow)
    results.clean()
    assert not (outside / "precious").exists()


@pytest.mark.parametrize("name", [".removing", ".telemetry"])
def test_a_link_in_the_place_of_a_folder_of_ours_is_not_followed(results: Handmade, outside: Path, name: str) -> None:
    results.run(1, 90)
    (outside / run_id(1)).mkdir()
    (results.path / name).symlink_to(outside)
    if name == ".removing":
        with pytest.raises(RunError, match=r"\.removing: (Not a directory|Too many levels)"):
            results.clean()
        assert results.there() == [1]
    else:
        assert by_number(results.clean())[1][0] == "removed"
    (outside / run_id(1)).rmdir()  # it is there


def test_a_link_in_the_place_of_telemetry_is_not_followed(results: Handmade, outside: Path) -> None:
    results.run(1, 90)
    (results.path / ".telemetry").mkdir()
    (results.path / ".telemetry" / run_id(1)).symlink_to(outside)
    assert by_number(results.clean())[1][0] == "removed"
    assert results.clean().items == []


def test_results_may_be_a_link(results: Handmade, tmp_path: Path) -> None:
    results.run(1, 90)
    (tmp_path / "link").symlink_to(results.path)
    assert [item.action for item in removal.apply(Results(tmp_path / "link"), ALL, now=NOW).items] == ["removed"]
    assert results.there() == []


def test_folders_too_deep_to_be_ours_stay(results: Handmade) -> None:
    folder = results.run(1, 90)
    for level in range(40):
        folder = folder / str(level)
        folder.mkdir()
    assert by_number(results.clean()) == {1: ("keep", "more than 32 folders deep")}


@pytest.fixture
def mount(results: Handmade) -> Iterator[Callable[..., None]]:
    """A function that mounts in results; skips the test where that is not allowed."""

    def mount(at: Path, *what: object) -> None:
        mounted = subprocess.run(["mount", *map(str, what), at], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")

    yield mount
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in (place for place in mounts if place.startswith(str(results.path.resolve()))):  # wherever it was taken
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="mounts as Linux has them")
@pytest.mark.parametrize("where", ["", "plots", "bound"])
def test_a_run_with_a_mount_in_it_stays(results: Handmade, outside: Path, mount: Any, where: str) -> None:
    folder = results.run(1, 90)
    if where == "bound":
        mount(folder / "plots", "--bind", outside)
    else:
        mount(folder / where, "-t", "tmpfs", "tmpfs")
    assert by_number(results.clean()) == {1: ("keep", "a file system is mounted in it")}
    assert results.events() == ["start 1", "sealed 1"]


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="mounts as Linux has them")
def test_what_is_mounted_after_the_plan_is_not_deleted(
    results: Handmade, mount: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plots, append = results.run(1, 90) / "plots", Ledger.append

    def and_mount(self: Ledger, *given: Any, **fields: Any) -> str:
        mount(plots, "-t", "tmpfs", "tmpfs")
        (plots / "precious").write_text("not yours")
        return append(self, *given, **fields)

    monkeypatch.setattr(Ledger, "append", and_mount)
    [item] = results.clean().items
    assert (item.action, item.why) == ("failed", "not finished: Invalid cross-device link")
    assert (results.path / ".removing" / run_id(1) / "plots" / "precious").read_text() == "not yours"


# --- several at once ----------------------------------------------------------------------------------------------


def test_a_second_clean_up_waits_for_the_first(results: Handmade) -> None:
    results.run(1, 90)
    (results.path / ".removing").mkdir()
    first = os.open(results.path / ".removing", os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    waited = []

    def end_of_the_first() -> None:
        waited.append(results.there())
        os.close(first)

    plan = removal.apply(Results(results.path), ALL, now=NOW, waiting=end_of_the_first)
    assert waited == [[1]] and by_number(plan)[1][0] == "removed"


def test_doctor_does_not_wait_for_a_clean_up(results: Handmade) -> None:
    results.run(1, 90)
    cut_short(results.path, run_id(1), "half deleted")
    with removal._removing(Results(results.path)):
        assert removal.finish(Results(results.path)) == []
    assert len(removal.finish(Results(results.path))) == 1


# --- pins ---------------------------------------------------------------------------------------------------------


def test_a_pin_keeps_a_run_until_it_is_taken_away(evidence: Evidence) -> None:
    own = evidence.runs["own"]
    before = evidence.ledger()
    assert pins.pin(Results(evidence.results), own[:13]) == own
    assert pins.pin(Results(evidence.results), own) == own  # again
    assert evidence.findings() == [] and evidence.ledger() == before
    assert [item.run_id for item in removal.apply(Results(evidence.results), ALL).of("keep")] == [own]
    assert pins.unpin(Results(evidence.results), own[:6]) == own
    assert [item.run_id for item in removal.apply(Results(evidence.results), ALL).of("removed")] == [own]


def test_a_pin_is_shown(evidence: Evidence) -> None:
    pins.pin(Results(evidence.results), evidence.runs["own"])
    assert [row.run_id for row in listing.rows(Results(evidence.results)) if row.pinned] == [evidence.runs["own"]]
    pinned, free = (listing.summary(evidence.path(name)).splitlines()[0] for name in ("own", "plain"))
    assert pinned.endswith("  sealed, pinned") and free.endswith("  sealed")
    assert listing.describe(evidence.path("own"))["pinned"] is True
    table = listing.as_table(listing.rows(Results(evidence.results)), full=True).splitlines()
    assert [line.split()[0] for line in table if "  sealed, pinned" in line] == [evidence.runs["own"]]


def test_a_pin_is_on_the_disk_before_it_is_told(results: Handmade, monkeypatch: pytest.MonkeyPatch) -> None:
    results.run(1, 90)
    flushed, fsync = [], os.fsync

    def note(handle: int) -> None:
        flushed.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    pins.pin(Results(results.path), run_id(1))
    assert flushed == [False, True]
    assert Results(results.path).pinned() == {run_id(1)}


def test_a_run_that_is_pinned_after_the_plan_stays(results: Handmade, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        results.run(number, 90)
    plan = retention.plan

    def and_then(*given: Any, **named: Any) -> Plan:
        made = plan(*given, **named)
        pins.pin(Results(results.path), run_id(2))
        return made

    monkeypatch.setattr(removal, "plan", and_then)
    assert by_number(results.clean()) == {2: ("keep", "pinned"), 1: ("removed", "older than 0 d, not among the last 0")}


def test_a_run_cannot_be_pinned_between_its_tombstone_and_its_removal(
    results: Handmade, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.run(1, 90)
    monkeypatch.setattr(Results, "find", lambda self, which: self.path / which)  # found just before
    cut_short(results.path, run_id(1), "before it was renamed")
    with pytest.raises(InputError, match="has just been removed"):
        pins.pin(Results(results.path), run_id(1))
    assert Results(results.path).pinned() == set()


def test_tombstones_and_pins_take_turns(results: Handmade, monkeypatch: pytest.MonkeyPatch) -> None:
    results.run(1, 90)
    append, held = Ledger.append, []

    def look(self: Ledger, *given: Any, **fields: Any) -> str:
        folder = os.open(results.path / ".pins", os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        finally:
            os.close(folder)
        return append(self, *given, **fields)

    monkeypatch.setattr(Ledger, "append", look)
    results.clean()
    assert held == [True]


def test_a_pin_is_taken_away_also_where_its_run_is_gone(results: Handmade) -> None:
    pins.pin(Results(results.path), results.run(1, 90).name)
    shutil.rmtree(results.path / run_id(1))
    assert pins.unpin(Results(results.path), run_id(1)) == run_id(1)


@pytest.mark.parametrize("which, found", [("0000", "is the start of 2 pinned runs"), ("f", "is not pinned")])
def test_a_pin_to_take_away_must_be_one(results: Handmade, which: str, found: str) -> None:
    for number in (1, 2):
        pins.pin(Results(results.path), results.run(number, 90).name)
    with pytest.raises(InputError, match=found):
        pins.unpin(Results(results.path), which)
    assert len(Results(results.path).pinned()) == 2


def test_the_last_run_that_is_not_pinned_is_named(results: Handmade) -> None:
    last = results.run(1, 90).name
    with pytest.raises(InputError, match=f"^run {last} is not pinned$"):
        pins.unpin(Results(results.path), "last")


# --- telemetry ----------------------------------------------------------------------------------------------------


def spans(results: Path, name: str, days: float) -> Path:
    """Leave telemetry that was written so many days ago."""
    folder = results / ".telemetry" / name
    folder.mkdir(parents=True)
    (folder / "traces.jsonl").write_bytes(bytes(100))
    moment = (NOW - timedelta(days=days)).timestamp()
    for path in (folder / "traces.jsonl", folder):
        os.utime(path, (moment, moment))
    return folder


def test_what_telemetry_left_of_a_removed_run_goes_with_it(results: Handmade) -> None:
    results.run(1, 90)
    results.run(2, 80)
    for number in (1, 2):
        spans(results.path, run_id(number), 0)
    plan = results.clean(Policy(keep=1))
    assert [item.bytes for item in plan.items] == [1117, 1117]
    assert os.listdir(results.path / ".telemetry") == [run_id(2)]


def test_what_telemetry_left_of_a_run_that_was_removed_before_goes_too(results: Handmade) -> None:
    results.run(1, 90)
    results.clean()
    spans(results.path, run_id(1), 0)
    [item] = results.clean().items
    assert (item.status, item.action, item.why) == ("telemetry", "removed", "its run is removed")
    assert os.listdir(results.path / ".telemetry") == []


def test_what_telemetry_left_of_commands_goes_when_it_is_old(results: Handmade) -> None:
    spans(results.path, run_id(1), 31)
    spans(results.path, run_id(2), 29)
    spans(results.path, run_id(3), 31)
    spans(results.path, "something else", 31)
    (results.path / ".telemetry" / run_id(4)).write_text("mine")
    os.utime(results.path / ".telemetry" / run_id(4), (0, 0))
    plan = results.clean(Policy())
    assert [(item.run_id, item.why) for item in plan.of("removed")] == [
        (run_id(1), "of no run, and older than 30 d"),
        (run_id(3), "of no run, and older than 30 d"),
    ]
    assert sorted(os.listdir(results.path / ".telemetry")) == [run_id(2), run_id(4), "something else"]


def test_what_telemetry_writes_now_stays_whatever_is_asked(results: Handmade) -> None:
    running = RunDir.create(results.path, run_id(1), given=False)
    running.ledger.append("start", running.run_id)
    spans(results.path, run_id(1), 90)
    spans(results.path, run_id(2), 0.5)  # of a command that may be going on
    results.say("start", 3, 90)
    spans(results.path, run_id(3), 90)  # of a run whose directory doctor makes anew
    results.clean()
    assert len(os.listdir(results.path / ".telemetry")) == 3
    running.release()


# --- the commands -------------------------------------------------------------------------------------------------


def command(name: str, results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "scripts" / f"{name}.py"
    return subprocess.run(
        [sys.executable, str(script), "--results-dir", str(results), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_the_command_plans_first_and_then_removes(evidence: Evidence) -> None:
    before = photograph(evidence.results)
    planned = command("cleanup_artifacts", evidence.results, "--keep", "4", "--days", "0")
    assert planned.returncode == 0
    assert [line.split()[0] for line in planned.stdout.splitlines() if "  remove  " in line] == [
        evidence.runs["builtin"][:8]
    ]
    again = f"just clean-artifacts --apply --keep 4 --days 0 --results-dir {evidence.results}"
    assert planned.stderr.splitlines()[1] == f"nothing was changed; {again} removes them"
    assert photograph(evidence.results) == before
    done = command("cleanup_artifacts", evidence.results, "--keep", "4", "--days", "0", "--apply", "--json")
    assert done.returncode == 0
    assert {item["run_id"]: item["action"] for item in json.loads(done.stdout)["items"]} == {
        run: "removed" if name == "builtin" else "keep" for name, run in evidence.runs.items()
    }
    assert not evidence.path("builtin").exists()


def test_the_command_fails_where_something_could_not_be_removed(results: Handmade) -> None:
    results.run(1, 90)
    (results.path / ".removing" / run_id(1) / "x").mkdir(parents=True)
    failed = command("cleanup_artifacts", results.path, "--keep", "0", "--apply")
    assert failed.returncode == 1
    assert "failed  its removal can't be noted: File exists" in failed.stdout
    assert failed.stderr.splitlines()[1:] == [
        "error: 1 of 1 could not be removed: its removal can't be noted: File exists",
        f"hint: just clean-artifacts --apply --keep 0 --results-dir {results.path} goes on where this has stopped",
    ]


@pytest.mark.parametrize("words", [("--keep", "-1"), ("--days", "nan"), ("--days", "1.5"), ("--status", "running")])
def test_the_command_refuses_what_is_no_policy(results: Handmade, words: tuple[str, ...]) -> None:
    refused = command("cleanup_artifacts", results.path, "--apply", *words)
    assert refused.returncode == 2 and refused.stderr.startswith("error: argument --")


def test_the_command_pins_lists_and_unpins(evidence: Evidence) -> None:
    pinned = command("pin_run", evidence.results, evidence.runs["own"][:8], "last")
    assert pinned.stdout.split() == [evidence.runs["own"], evidence.runs["bare"]]
    listed = command("pin_run", evidence.results, "--list", "--json")
    assert {row["run_id"] for row in json.loads(listed.stdout)} == set(pinned.stdout.split())
    assert command("pin_run", evidence.results, "--remove", evidence.runs["own"]).returncode == 0
    table = command("pin_run", evidence.results, "--list").stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == [evidence.runs["bare"][:8]]


@pytest.mark.parametrize("words", [(), ("--list", "last"), ("--remove",)])
def test_the_command_wants_a_run_or_the_list(results: Handmade, words: tuple[str, ...]) -> None:
    refused = command("pin_run", results.path, *words)
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (2, "error: either RUN or --list is needed")
