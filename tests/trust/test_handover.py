"""Runs change hands: packed, checked with a stranger's tools, taken into another ledger.

Each attack has a control: the same archive, untouched, holds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from peak_trade.errors import InputError, PeakError, RunError
from peak_trade.evidence import door
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.market import fingerprint
from peak_trade.ops import doctor, removal, retention
from peak_trade.shown import listing
from peak_trade.trust import given, handover, sign, verify
from peak_trade.trust.handed import handed, package
from peak_trade.trust.handover import packing, receiving
from peak_trade.trust.luck.family import families
from peak_trade.trust.proofs.check import Trusted
from peak_trade.trust.verdict import Verdict

Evidence = Any  # of conftest.py, which cannot be imported
ARCHIVE = Path(__file__).resolve().parents[1] / "archive"
NAMES = ("builtin", "own", "failed")


def export(evidence: Evidence, path: Path, *names: str, data: bool = False) -> Path:
    results = Results(evidence.results)
    runs = [one for name in names for one in _handed(evidence.runs[name], results)]
    handover.export(runs, results, path, root=evidence.root if data else None)
    return path


def _handed(which: str, results: Results) -> list[Any]:
    with package(which, results) as found:
        return found.runs


@pytest.fixture(scope="module")
def archive(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three runs, one of which failed, and of the bars that the others share."""
    return export(sealed_once, tmp_path_factory.mktemp("archive") / "handover.zip", *NAMES, data=True)


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def verdicts(path: Path, results: Path) -> dict[str, Verdict]:
    return {found.name: found for found in given.verdicts([str(path)], Results(results), root=None)}


def broken(path: Path, results: Path) -> list[str]:
    return [str(finding) for found in verdicts(path, results).values() for finding in found.findings]


def repacked(folder: Path, path: Path) -> Path:
    """Pack a folder again, as anybody would."""
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(folder))
    return path


# --- an archive ---------------------------------------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes_however_they_are_named_and_whatever_came_since(
    evidence: Evidence, archive: Path, tmp_path: Path
) -> None:
    evidence.run("later", (evidence.root / "config" / "bare.toml").read_text())
    (evidence.path("own") / "report").mkdir()
    (evidence.path("own") / "report" / "page.html").write_text("made since")
    again = export(evidence, tmp_path / "again.zip", *reversed(NAMES), "own", data=True)
    assert again.read_bytes() == archive.read_bytes()


def test_an_archive_holds_what_is_sealed_and_the_runs_own_lines(sealed_once: Evidence, archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
    folder = f"runs/{sealed_once.runs['own']}/"
    sealed = {subject["name"] for subject in sealed_once.manifest("own")["subject"]}
    assert {n.removeprefix(folder) for n in names if n.startswith(folder)} == sealed | {
        "manifest.json", "seal.json", "run.log"
    }  # fmt: skip
    digest = sealed_once.manifest("own")["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"]
    assert {name for name in names if not name.startswith("runs/")} == {
        "README.md", "ro-crate-metadata.json", "sha256sums.txt", f"data/{digest}.bars"
    }  # fmt: skip


def test_the_bars_are_named_by_what_is_in_them(archive: Path, sealed_once: Evidence) -> None:
    with zipfile.ZipFile(archive) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".bars")]
        bars = fingerprint.parse(packed.read(name))
    assert fingerprint.digest(bars) == Path(name).stem
    lines = (sealed_once.root / "data" / "bars.csv").read_text().splitlines()[1:]
    assert [float(line.split(",")[4]) for line in lines] == bars.close.tolist()
    assert (bars.symbol, bars.timeframe, bars.timestamp[0]) == ("TEST", "1h", np.datetime64("2024-01-01T00:00"))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content.replace(b"<f8", b"<i8", 1),
        lambda content: content.replace(b"peak_trade.bars/1", b"peak_trade.bars/2"),
        lambda content: content.partition(b"\n")[2],
        lambda content: content.partition(b"\n")[0] + b"\n",
        lambda content: b"\xff" + content,
    ],
)
def test_what_is_no_file_of_bars_is_refused(archive: Path, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(archive) as packed:
        content = packed.read(next(name for name in packed.namelist() if name.endswith(".bars")))
    assert len(fingerprint.parse(content)) == 48  # the control
    with pytest.raises(RunError):
        fingerprint.parse(change(content))


def test_only_what_is_intact_is_packed(evidence: Evidence, tmp_path: Path) -> None:
    evidence.edit_csv("own", "equity.csv", 3, equity="1e9")
    with pytest.raises(RunError, match="nothing of it is handed over: equity.csv"):
        export(evidence, tmp_path / "a.zip", "builtin", "own")
    assert list(tmp_path.glob("*.zip")) == []


def test_bars_that_have_changed_are_not_packed_as_the_runs(evidence: Evidence, tmp_path: Path) -> None:
    path = evidence.root / "data" / "bars.csv"
    path.write_text(path.read_text().replace("100.0,", "100.25,", 1))
    with pytest.raises(InputError, match="not here any more"):
        export(evidence, tmp_path / "a.zip", "builtin", data=True)
    export(evidence, tmp_path / "a.zip", "builtin")  # the control
    path.unlink()
    with pytest.raises(InputError, match="not here any more"):
        export(evidence, tmp_path / "b.zip", "builtin", data=True)


def test_a_file_that_changes_while_it_is_packed_is_no_archive(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = packing._write

    def meanwhile(path: Path, draft: Any) -> Any:
        evidence.rewrite("builtin", "stats.json", (evidence.path("builtin") / "stats.json").read_bytes()[::-1])
        return write(path, draft)

    monkeypatch.setattr(packing, "_write", meanwhile)
    with pytest.raises(RunError, match="was changed while it was packed"):
        export(evidence, tmp_path / "a.zip", "builtin")
    assert os.listdir(tmp_path) == ["repository"]


def test_a_run_without_its_lines_gets_them_from_the_ledger(evidence: Evidence, tmp_path: Path) -> None:
    path = evidence.path("own") / "seal.json"
    lines = path.read_bytes()
    path.unlink()
    with zipfile.ZipFile(export(evidence, tmp_path / "a.zip", "own")) as packed:
        assert packed.read(f"runs/{evidence.runs['own']}/seal.json") == lines


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_runs_of_format_1_can_be_handed_over_and_taken(tmp_path: Path, version: str) -> None:
    pytest.importorskip("pyarrow", reason="trades.parquet is read by the extra lake")
    results = Results(ARCHIVE / version / "runs")
    runs = [one for path in results.runs() for one in _handed(path.name, results)]
    path = tmp_path / "a.zip"
    handover.export(runs, results, path, root=ARCHIVE / version)
    assert {found.state for name, found in verdicts(path, tmp_path / "none").items() if name != "a.zip"} == {"foreign"}
    taken = Results(tmp_path / "taken")
    assert len(handover.receive(str(path), taken).received) == len(runs)
    assert {found.state for found in verify.verify_all(taken, None, root=None)} == {"intact"}


# --- checked without us -------------------------------------------------------------------------------------------


def check_by_hand(folder: Path) -> str:
    """Do what the README of an archive says, in its folder and a shell that is set to nothing; return what is wrong."""
    [block] = (folder / "README.md").read_text(encoding="utf-8").split("```bash\n")[1:]
    script = block.partition("```")[0] + "echo ended with $?"  # a shell that it is pasted into goes on
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60)
    *said, end = done.stdout.splitlines()
    wrong = "\n".join(line for line in said if not line.startswith("holds: "))
    assert (end == "ended with 0") == (not wrong), done.stdout
    return wrong


needs_jq = pytest.mark.skipif(not (shutil.which("jq") and shutil.which("sha256sum")), reason="needs jq and sha256sum")


@needs_jq
def test_the_readme_says_how_to_check_it_with_sha256sum_and_jq_alone(unpacked: Path) -> None:
    assert check_by_hand(unpacked) == ""


@needs_jq
def test_by_hand_the_bars_of_a_run_that_failed_are_not_missed(evidence: Evidence, tmp_path: Path) -> None:
    text = (evidence.root / "config" / "failed.toml").read_text(encoding="utf-8")
    evidence.run("shorter", text, "data.end=2024-01-02")
    unpacked, names = tmp_path / "unpacked", ("shorter", "own")
    zipfile.ZipFile(export(evidence, tmp_path / "a.zip", *names, data=True)).extractall(unpacked)
    bars = [evidence.manifest(name)["predicate"]["buildDefinition"]["resolvedDependencies"][0] for name in names]
    missing, there = (unpacked / "data" / f"{one['digest']['sha256']}.bars" for one in bars)
    assert (missing.exists(), there.exists()) == (False, True)
    assert check_by_hand(unpacked) == ""
    there.rename(missing)
    missing.write_bytes(b"")
    missing.rename(missing.with_name("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.bars"))
    forge_sums(unpacked)
    assert check_by_hand(unpacked) == f"missing: data/{there.name}", "the digest of nothing is right, and not asked for"


def forge_sums(folder: Path) -> None:
    """List the digests anew, as a forger would."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    done = subprocess.run(
        ["sha256sum", *(name for name in names if name != "sha256sums.txt")],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (folder / "sha256sums.txt").write_text(done.stdout)


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    content = path.read_bytes()
    assert change(content) != content
    path.chmod(0o644)
    path.write_bytes(change(content))


@needs_jq
@pytest.mark.parametrize("forged", [False, True], ids=["as listed", "listed anew"])
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("stats.json", lambda content: content.replace(b"sharpe", b"sharps")),
        ("equity.csv", lambda content: content + b"\n"),
        ("manifest.json", lambda content: content.replace(b'"sealed"', b'"ruined"')),
        ("seal.json", lambda content: content.replace(b"TEST", b"BEST", 1)),
        ("seal.json", lambda content: content.replace(b'manifest\\":\\"', b'manifest\\":\\"0')),
    ],
)
def test_by_hand_and_by_verify_what_was_edited_is_found(
    unpacked: Path, tmp_path: Path, sealed_once: Evidence, file: str, change: Callable[[bytes], bytes], forged: bool
) -> None:
    edit(unpacked / "runs" / sealed_once.runs["own"] / file, change)
    if forged:
        forge_sums(unpacked)
    assert check_by_hand(unpacked) != ""
    assert broken(unpacked, tmp_path / "none") != []
    assert broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none") != []


@needs_jq
def test_by_hand_and_by_verify_runs_whose_names_were_swapped_are_found(
    unpacked: Path, tmp_path: Path, sealed_once: Evidence
) -> None:
    one, other = (unpacked / "runs" / sealed_once.runs[name] for name in NAMES[:2])
    one.rename(tmp_path / "one")
    other.rename(one)
    (tmp_path / "one").rename(other)
    forge_sums(unpacked)
    assert check_by_hand(unpacked).startswith("broken: runs/")
    assert sorted(line.partition(":")[0] for line in broken(unpacked, tmp_path / "none")) == sorted(
        [one.name, other.name]
    )


@needs_jq
def test_by_hand_and_by_verify_other_bars_are_found(unpacked: Path, tmp_path: Path) -> None:
    (bars,) = (unpacked / "data").iterdir()
    edit(bars, lambda content: content[:-1] + b"\0")
    forge_sums(unpacked)
    assert check_by_hand(unpacked) == f"broken: data/{bars.name}"
    found = broken(unpacked, tmp_path / "none")
    assert len(found) == 3 and all(bars.name in line for line in found)  # as listed, and of both runs


# --- an archive as verify sees it ---------------------------------------------------------------------------------


def test_an_archive_is_verified_run_by_run(archive: Path, tmp_path: Path, sealed_once: Evidence) -> None:
    found = verdicts(archive, tmp_path / "none")
    assert {name: one.state for name, one in found.items()} == {
        archive.name: "intact", **{sealed_once.runs[name]: "foreign" for name in NAMES}
    }  # fmt: skip
    assert [one.unchecked for one in found.values()] == [[]] * 4


def test_in_the_ledger_that_made_them_the_runs_of_an_archive_are_intact(archive: Path, sealed_once: Evidence) -> None:
    assert {one.state for one in verdicts(archive, sealed_once.results).values()} == {"intact"}


def test_one_run_of_an_archive_can_be_named(archive: Path, tmp_path: Path, sealed_once: Evidence) -> None:
    run_id = sealed_once.runs["own"]
    assert list(verdicts(archive / run_id[:6], tmp_path / "none")) == [run_id]
    assert list(verdicts(archive / "runs" / run_id, tmp_path / "none")) == [run_id]  # as its files are called
    with pytest.raises(InputError, match="holds no run"):
        verdicts(archive / "ffffffff-none", tmp_path / "none")
    with pytest.raises(InputError, match="holds 3 runs"), handed(str(archive), Results(tmp_path / "none")):
        pass
    with handed(str(archive / run_id), Results(tmp_path / "none")) as one:
        assert one.run.name == run_id and one.source == archive and one.data is not None
        place = one.run
    assert not place.exists()


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (lambda folder: (folder / "more.txt").write_text("1"), "more.txt"),
        (lambda folder: (folder / "README.md").write_text("trust me"), "README.md"),
        (lambda folder: (folder / "ro-crate-metadata.json").unlink(), "ro-crate-metadata.json"),
        (lambda folder: edit(folder / "sha256sums.txt", lambda content: content + b"x\n"), "sha256sums.txt line "),
        (lambda folder: edit(folder / "sha256sums.txt", lambda content: content + content), "sha256sums.txt line "),
        (lambda folder: edit(folder / "sha256sums.txt", lambda content: b"\xff"), "sha256sums.txt"),
        (lambda folder: (folder / "data" / f"{'0' * 64}.bars").write_bytes(b"1"), "data/0"),
    ],
)
def test_what_an_archive_does_not_list_or_lists_otherwise_is_found(
    unpacked: Path, tmp_path: Path, change: Callable[[Path], Any], file: str
) -> None:
    assert broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none") == []
    change(unpacked)
    found = broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none")
    assert found and found[0].startswith(file), found


def test_any_other_byte_in_any_file_is_found_and_of_evidence_also_where_the_list_was_forged(
    unpacked: Path, tmp_path: Path
) -> None:
    unsealed = ("README.md", "ro-crate-metadata.json", "run.log")
    names = [path for path in sorted(unpacked.rglob("*")) if path.is_file() and path.name != "sha256sums.txt"]
    whole = (unpacked / "sha256sums.txt").read_bytes()
    for path in names:
        content = path.read_bytes()
        edit(path, lambda content: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        assert broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none") != [], path
        forge_sums(unpacked)
        found = broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none")
        assert (found == []) == (path.name in unsealed), (path, found)
        path.write_bytes(content)
        (unpacked / "sha256sums.txt").write_bytes(whole)
    assert broken(repacked(unpacked, tmp_path / "a.zip"), tmp_path / "none") == []
    assert len(names) > 20


def test_a_link_in_an_unpacked_archive_is_found(unpacked: Path, tmp_path: Path, sealed_once: Evidence) -> None:
    path = unpacked / "runs" / sealed_once.runs["own"] / "stats.json"
    path.rename(tmp_path / "stats.json")
    path.symlink_to(tmp_path / "stats.json")
    assert any("a symbolic link" in line for line in broken(unpacked, tmp_path / "none"))


def test_a_damaged_archive_is_broken_and_the_next_is_looked_at(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(archive.read_bytes()[:-30])
    found = list(given.verdicts([str(path), str(archive)], Results(tmp_path / "none"), root=None))
    assert [one.state for one in found] == ["broken", "intact", "foreign", "foreign", "foreign"]
    assert "damaged" in found[0].findings[0].found


def test_an_archive_of_a_plain_directory_is_verified_too(sealed_once: Evidence, tmp_path: Path) -> None:
    path = repacked(sealed_once.path("own"), tmp_path / "a.zip")
    (whole, run) = given.verdicts([str(path)], Results(tmp_path / "none"), root=None)
    assert (whole.state, run.state) == ("intact", "foreign") and "sha256sums.txt" in whole.unchecked[0]
    assert run.name == sealed_once.runs["own"]


# --- taken into another ledger ------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> Results:
    return Results(tmp_path / "other" / "results")


def states(results: Results) -> dict[str, str]:
    return {found.name: found.state for found in verify.verify_all(results, None, root=None)}


def test_runs_are_taken_and_count_there(archive: Path, other: Results, sealed_once: Evidence) -> None:
    ids = sorted(sealed_once.runs[name] for name in NAMES)
    assert handover.receive(str(archive), other) == handover.Received(ids, [])
    assert states(other) == {"ledger.jsonl": "intact"} | dict.fromkeys(ids, "intact")
    there, here = Results(sealed_once.results).reading().runs, other.reading().runs
    for run_id in ids:
        assert here[run_id].fields == there[run_id].fields
        assert (here[run_id].state, here[run_id].began) == (there[run_id].state, there[run_id].began)
    rows, taken = (
        {row.run_id: msgspec.structs.replace(row, differs={}) for row in listing.rows(results)}  # from its neighbours
        for results in (Results(sealed_once.results), other)
    )
    assert taken == {run_id: rows[run_id] for run_id in ids}


def test_verify_says_where_a_run_came_from(archive: Path, other: Results, sealed_once: Evidence) -> None:
    handover.receive(str(archive), other)
    (_, found) = verify.verify_all(other, [other.find(sealed_once.runs["own"])], root=None)
    (note,) = found.notes
    assert note.startswith("received from handover.zip (sha256 ") and note.endswith(" of this ledger")


def test_the_same_again_changes_nothing(archive: Path, other: Results) -> None:
    first = handover.receive(str(archive), other)
    ledger = other.ledger.path.read_bytes()
    assert handover.receive(str(archive), other) == handover.Received([], first.received)
    assert other.ledger.path.read_bytes() == ledger


def test_where_they_were_made_nothing_is_taken(archive: Path, evidence: Evidence) -> None:
    before = (evidence.results / "ledger.jsonl").read_bytes()
    assert handover.receive(str(archive), Results(evidence.results)).received == []
    assert (evidence.results / "ledger.jsonl").read_bytes() == before


def test_last_is_the_run_that_was_made_here(archive: Path, evidence: Evidence, tmp_path: Path) -> None:
    own = Path(shutil.copytree(ARCHIVE / "0.3.0", tmp_path / "own"))
    results = Results(own / "runs")
    before = results.find("last")
    handover.receive(str(archive), results)
    assert results.find("last") == before
    empty = Results(tmp_path / "empty")
    handover.receive(str(archive), empty)
    assert empty.find("last").name in empty.reading().runs


def test_what_was_taken_can_be_handed_on(archive: Path, other: Results, tmp_path: Path, sealed_once: Evidence) -> None:
    handover.receive(str(archive), other)
    runs = [one for name in NAMES for one in _handed(sealed_once.runs[name], other)]
    again = tmp_path / "again.zip"
    handover.export(runs, other, again, root=tmp_path)  # the bars came along
    assert again.read_bytes() == archive.read_bytes()
    for run_id in sealed_once.runs.values():
        (other.path / run_id / "seal.json").unlink(missing_ok=True)
    handover.export(runs, other, again, root=tmp_path)  # its own lines stand in the ledger
    assert again.read_bytes() == archive.read_bytes()


def test_a_directory_is_taken_without_what_is_not_the_runs(evidence: Evidence, other: Results) -> None:
    (evidence.path("own") / "debug").mkdir()
    (evidence.path("own") / "debug" / "more").write_text("1")
    handover.receive(str(evidence.path("own")), other)
    assert not (other.path / evidence.runs["own"] / "debug").exists()
    assert states(other)[evidence.runs["own"]] == "intact"


def test_nothing_of_an_archive_is_taken_where_one_run_is_not_what_was_sealed(
    unpacked: Path, other: Results, tmp_path: Path, sealed_once: Evidence
) -> None:
    edit(unpacked / "runs" / sealed_once.runs["own"] / "stats.json", lambda content: content.replace(b"0", b"1", 1))
    forge_sums(unpacked)
    with pytest.raises(RunError, match=r"nothing is taken: stats\.json"):
        handover.receive(str(repacked(unpacked, tmp_path / "a.zip")), other)
    assert not other.path.exists()


def test_a_run_of_another_content_is_never_overwritten(evidence: Evidence, other: Results) -> None:
    handover.receive(str(evidence.path("own")), other)
    evidence.edit_csv("own", "equity.csv", 1, drawdown="0")
    evidence.forge("own", lambda found: found["predicate"]["runDetails"].update(host="another"))
    with pytest.raises(RunError, match="none is ever overwritten"):
        handover.receive(str(evidence.path("own")), other)


def test_a_directory_that_the_ledger_does_not_know_is_not_overwritten(evidence: Evidence, other: Results) -> None:
    (other.path / evidence.runs["own"]).mkdir(parents=True)
    with pytest.raises(RunError, match="does not know it"):
        handover.receive(str(evidence.path("own")), other)


def test_a_run_that_was_removed_stays_so_and_counts(archive: Path, other: Results) -> None:
    handover.receive(str(archive), other)
    removal.apply(other, retention.Policy(keep=0, days=0))
    assert set(other.reading().removed) == set(other.reading().runs)
    with pytest.raises(RunError, match="was removed here on"):
        handover.receive(str(archive), other)


def test_a_run_without_lines_of_its_own_is_not_taken(tmp_path: Path, other: Results) -> None:
    run = next(path for path in (ARCHIVE / "0.3.0" / "runs").iterdir() if (path / "equity.csv").is_file())
    path = Path(shutil.copytree(run, tmp_path / "copies" / run.name))
    with pytest.raises(RunError, match="carries no lines of its ledger"):
        handover.receive(str(path), other)


def test_a_broken_ledger_takes_nothing(archive: Path, other: Results) -> None:
    other.path.mkdir(parents=True)
    other.ledger.path.write_text("{}\n")
    with pytest.raises(RunError, match="the ledger is not whole at line 1"):
        handover.receive(str(archive), other)


class Killed(BaseException):
    pass


STEPS = ("door.create", "door.flush", "files.sync_folder", "os.rename", "os.fsync", "Ledger.append")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_call_it_is_brought_to_its_end(
    evidence: Evidence, other: Results, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    owner, name = {
        "door": door, "files": receiving.files, "os": receiving.os, "Ledger": Ledger
    }[step.partition(".")[0]], step.partition(".")[2]  # fmt: skip
    whole, calls, at = getattr(owner, name), 0, 0

    def killed(*given: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls == at  # several may be under way: flushes are
        if mine and not after:
            raise Killed
        found = whole(*given, **more)
        if mine:
            raise Killed
        return found

    source = str(evidence.path("own"))
    for at in range(1, 40):
        shutil.rmtree(other.path, ignore_errors=True)
        calls = 0
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, killed)
            try:
                handover.receive(source, other)
            except Killed:
                pass
            else:
                break
        if at % 2:
            list(doctor._runs(other))
        handover.receive(source, other)
        assert states(other) == {"ledger.jsonl": "intact", evidence.runs["own"]: "intact"}
        assert len(other.reading().entries) == 1
        assert os.listdir(other.path / ".importing") == []
    assert at > 1


def test_a_file_that_changes_while_it_is_taken_is_not(
    evidence: Evidence, other: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = receiving._copy

    def meanwhile(source: Path, name: str, place: int) -> str:
        if name == "stats.json":
            evidence.rewrite("own", name, (source / name).read_bytes()[::-1])
        return whole(source, name, place)

    monkeypatch.setattr(receiving, "_copy", meanwhile)
    with pytest.raises(RunError, match=r"stats\.json was changed while it was taken"):
        handover.receive(str(evidence.path("own")), other)
    assert other.reading().entries == [] and other.runs() == []


def test_a_failing_disk_takes_nothing_and_says_so(
    archive: Path, other: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device", "equity.csv")

    with monkeypatch.context() as patch:
        patch.setattr(receiving.door, "create", full)
        with pytest.raises(PeakError, match="[Nn]o space left"):
            handover.receive(str(archive), other)
    assert other.reading().entries == []


@pytest.mark.parametrize(
    "lie",
    [
        lambda start, end: (start, start),
        lambda start, end: (end, start),
        lambda start, end: ("{}", end),
        lambda start, end: (start, end.replace('"sealed"', '"failed"')),
        lambda start, end: (start.replace("-4", "-5"), end),
        lambda start, end: (start, "x" * 100_000),
    ],
)
def test_a_received_line_that_carries_other_lines_is_no_run(
    evidence: Evidence, other: Results, lie: Callable[[str, str], tuple[str, str]]
) -> None:
    handover.receive(str(evidence.path("own")), other)
    line = json.loads(other.ledger.path.read_bytes())
    assert states(other)[evidence.runs["own"]] == "intact"
    line["start"], line["end"] = lie(line["start"], line["end"])
    other.ledger.path.write_bytes(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    found = states(Results(other.path))
    assert found == {"ledger.jsonl": "broken", evidence.runs["own"]: "broken"}
    assert [row.run_id for row in listing.rows(Results(other.path))] == [evidence.runs["own"]]


def test_two_archives_at_once_are_both_taken(evidence: Evidence, other: Results) -> None:
    import threading

    faults: list[PeakError] = []

    def take(name: str) -> None:
        try:
            handover.receive(str(evidence.path(name)), Results(other.path))
        except PeakError as error:
            faults.append(error)

    threads = [threading.Thread(target=take, args=(name,)) for name in ("own", "builtin", "plain", "own")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []
    assert set(states(other).values()) == {"intact"} and len(other.reading().entries) == 3


# --- with what else there is of a run -----------------------------------------------------------------------------


def test_a_signature_goes_with_its_run(evidence: Evidence, other: Results, tmp_path: Path, ssh_keys: Any) -> None:
    results = Results(evidence.results)
    with handed(evidence.runs["own"], results) as one:
        sign.run(one, ssh_keys.alice)
    path = export(evidence, tmp_path / "a.zip", "own", "plain")

    def signers(places: list[str], of: Results) -> dict[str, list[str]]:
        found = given.verdicts(places, of, root=None, trusted=Trusted(ssh_keys.alone))
        return {one.name: [proof.by for proof in one.proofs] for one in found if one.proofs}

    told = {evidence.runs["own"]: ["alice@desk"]}
    assert signers([str(path)], other) == told
    handover.receive(str(path), other)
    assert signers([evidence.runs["own"], evidence.runs["plain"]], other) == told


def test_a_signature_that_was_changed_on_the_way_is_not_taken(
    evidence: Evidence, other: Results, tmp_path: Path, ssh_keys: Any
) -> None:
    with handed(evidence.runs["own"], Results(evidence.results)) as one:
        sign.run(one, ssh_keys.alice)
    path = evidence.path("own") / "manifest.dsse.json"
    told = json.loads(path.read_bytes())
    told["payload"] = told["payload"][:-8] + "AAAAAAA="
    path.write_text(json.dumps(told))
    with pytest.raises(RunError, match=r"manifest\.dsse\.json"):
        handover.receive(str(evidence.path("own")), other)


def test_trials_that_were_received_are_counted_with_ones_own(archive: Path, evidence: Evidence, other: Results) -> None:
    """As often as they were made, once each: here the two that were sealed and the one that failed."""
    handover.receive(str(archive), other)
    (received,) = families(other.reading())
    assert (received.sealed, received.failed, received.results) == (2, 1, 2)
    mine = Results(evidence.results)
    before = families(mine.reading())
    handover.receive(str(archive), mine)
    assert families(mine.reading()) == before
    removal.apply(other, retention.Policy(keep=0, days=0))
    (still,) = families(other.reading())
    assert (still.sealed, still.failed, still.removed) == (2, 1, 3)


@pytest.mark.needs("lake")
def test_bars_that_came_along_go_into_the_lake(
    archive: Path, other: Results, evidence: Evidence, tmp_path: Path
) -> None:
    from peak_trade.data.lake import build

    handover.receive(str(archive), other)
    built = build.build(other, tmp_path / "lake", root=tmp_path)  # where no data lies
    assert built.skipped == [] and [one.new for one in built.bars] == [48]
    shutil.rmtree(other.path / ".bars")
    without = build.build(other, tmp_path / "without", root=tmp_path)
    assert without.bars == [] and "its bars stay out" in without.skipped[0][1]
