"""A run in other hands: a copy is what it was, whoever made it, wherever it lies, and says so; a forged one is not.

Each attack has a control: the same copy, untouched, is intact, but not of this ledger.
"""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.errors import InputError
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.results import Results
from peak_trade.report import render
from peak_trade.trust import given, handover, verify
from peak_trade.trust.handed import handed, package
from peak_trade.trust.verdict import Verdict

Evidence = Any  # of conftest.py, which cannot be imported
ARCHIVE = Path(__file__).resolve().parents[1] / "archive"
FOREIGN = "intact, but not of this ledger"


@pytest.fixture
def copy(evidence: Evidence, tmp_path: Path) -> Path:
    """A run's directory, handed over under another name, with nothing beside it."""
    return Path(shutil.copytree(evidence.path("builtin"), tmp_path / "elsewhere" / "from a friend"))


def verdict(path: Path, results: Path) -> Verdict:
    """The verdict on a directory, for somebody who has this results folder."""
    (found,) = given.verdicts([str(path)], Results(results), root=None)
    return found


def lines(path: Path, results: Path) -> list[str]:
    return [str(finding) for finding in verdict(path, results).findings]


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_bytes())
    changed = change(content)
    path.unlink()
    path.write_bytes(json.dumps(changed, indent=1).encode())


def test_an_untouched_copy_is_intact_but_not_of_this_ledger(copy: Path, evidence: Evidence, tmp_path: Path) -> None:
    found = verdict(copy, tmp_path / "none")
    assert (found.state, found.holds, found.findings, found.unchecked) == ("foreign", True, [], [])
    assert found.as_text().splitlines()[0] == f"{FOREIGN}  {copy.name}"
    (note,) = found.notes
    assert note.startswith(f"its own two lines hold {evidence.runs['builtin']}: started 2")
    (note,) = verdict(copy.rename(copy.with_name(evidence.runs["builtin"])), tmp_path / "none").notes
    assert note.startswith("its own two lines hold it: started 2")


def test_a_copy_that_is_called_as_another_run_is_broken(evidence: Evidence, tmp_path: Path) -> None:
    own, bare = evidence.path("own"), evidence.path("bare")
    called = Path(shutil.copytree(bare, tmp_path / "swapped" / own.name))
    assert lines(called, tmp_path / "none") == [
        f"{own.name}: expected the run that its directory is called by, found run_id {bare.name}"
    ]
    assert lines(called.rename(called.with_name("bare")), tmp_path / "none") == []
    assert lines(called.with_name("bare").rename(called.with_name(bare.name)), tmp_path / "none") == []


def test_a_folder_of_runs_is_all_of_them(evidence: Evidence, tmp_path: Path) -> None:
    folder = tmp_path / "backup" / "runs"
    for name in ("own", "bare"):
        shutil.copytree(evidence.path(name), folder / evidence.runs[name])
    (folder / "notes.txt").write_text("mine")
    (folder / "else").mkdir()
    found = {one.name: one.state for one in given.verdicts([str(folder)], Results(tmp_path / "none"), root=None)}
    assert found == {evidence.runs[name]: "foreign" for name in ("own", "bare")}


@pytest.mark.parametrize(
    ("which", "error", "hint"),
    [
        ("nothing.zip", "there is no file or folder 'nothing.zip'", "name a run, the directory of one or an archive"),
        ("a/b", "there is no file or folder 'a/b'", "name a run, the directory of one or an archive"),
        ("empty", "'empty' holds no run", "name a run, the directory of one or an archive"),
        ("/dev/zero", "/dev/zero is no regular file", "just export makes one; or name a run's directory"),
        ("repository/results", "'repository/results' is a results folder", "--results-dir repository/results"),
        ("zz", "no run 'zz' in none/", "just runs lists them"),
        ("", "no run '' in none/", "just runs lists them"),
    ],
)
def test_what_names_no_run_says_what_it_is(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, error: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        list(given.verdicts([which], Results(tmp_path / "none"), root=None))
    assert (caught.value.message, caught.value.hint) == (error, hint)


def test_a_copy_of_a_run_of_this_ledger_is_intact(copy: Path, evidence: Evidence) -> None:
    found = verdict(copy, evidence.results)
    assert (found.state, found.notes) == ("intact", [])


def test_a_copy_whose_own_lines_are_not_this_ledgers_is_broken(copy: Path, evidence: Evidence) -> None:
    other = evidence.path("bare") / "seal.json"
    (copy / "seal.json").unlink()
    shutil.copy(other, copy / "seal.json")
    found = lines(copy, evidence.results)
    assert found[0].startswith("manifest.json: expected sha256 ")
    assert not any("line 0" in line for line in lines(copy, copy.parent / "none"))


@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare", "failed"])
def test_every_kind_of_run_can_be_handed_over(evidence: Evidence, tmp_path: Path, name: str) -> None:
    path = Path(shutil.copytree(evidence.path(name), tmp_path / "copies" / "a"))
    assert verdict(path, tmp_path / "none").state == "foreign"


def test_a_sealed_file_that_was_edited_is_broken_in_a_copy_too(copy: Path, tmp_path: Path) -> None:
    edit(copy / "stats.json", lambda stats: stats | {"sharpe": 9.9})
    assert [line.partition(":")[0] for line in lines(copy, tmp_path / "none")] == ["stats.json"]


def test_a_manifest_that_was_edited_is_held_by_the_runs_own_end(copy: Path, tmp_path: Path) -> None:
    edit(copy / "manifest.json", lambda manifest: manifest)
    assert lines(copy, tmp_path / "none")[0].startswith("manifest.json: expected sha256 ")


def test_an_end_that_names_a_forged_manifest_is_held_by_the_figures_in_it(copy: Path, tmp_path: Path) -> None:
    def lie(carried: Any) -> Any:
        end = json.loads(carried["end"]) | {"total_return": 171.7}
        return carried | {"end": msgspec.json.encode(end).decode()}

    edit(copy / "seal.json", lie)
    assert any(line.startswith("the run's sealed line total_return: ") for line in lines(copy, tmp_path / "none"))


def test_a_start_of_another_time_is_held_by_the_manifest(copy: Path, tmp_path: Path) -> None:
    def lie(carried: Any) -> Any:
        return carried | {"start": carried["start"].replace('"time":"20', '"time":"19')}

    edit(copy / "seal.json", lie)
    assert [line.partition(":")[0] for line in lines(copy, tmp_path / "none")] == ["seal.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"start": "", "end": ""}', b"\xff", b"[" * 90_000, b'{"start": 1, "end": 2}', None],
)
def test_a_copy_without_its_lines_is_broken(copy: Path, tmp_path: Path, content: bytes | None) -> None:
    (copy / "seal.json").unlink()
    if content is not None:
        (copy / "seal.json").write_bytes(content)
    found = verdict(copy, tmp_path / "none")
    assert found.state == "broken" and "seal.json" in {finding.file for finding in found.findings}


def test_a_line_of_another_run_is_none_of_this_one(copy: Path, evidence: Evidence, tmp_path: Path) -> None:
    other = json.loads((evidence.path("own") / "seal.json").read_bytes())
    edit(copy / "seal.json", lambda carried: carried | {"end": other["end"]})
    assert "seal.json: expected two lines of a ledger" in lines(copy, tmp_path / "none")[0]


def test_a_run_that_was_cut_out_of_the_ledger_is_broken_where_it_lies(evidence: Evidence) -> None:
    ledger = evidence.results / "ledger.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    broken = {name: one for name, one in evidence.verdicts().items() if one.state != "intact"}
    assert list(broken) == ["failed"]
    assert broken["failed"].findings[0].expected == f"an entry that seals {evidence.runs['failed']}"


def test_a_run_of_another_ledger_that_was_put_among_ours_is_not_of_this_ledger(
    evidence: Evidence, copy: Path
) -> None:  # fmt: skip
    """Its lines follow none of ours: nothing was cut."""
    ledger = evidence.results / "ledger.jsonl"
    ledger.unlink()
    run = evidence.run("own", (evidence.root / "config" / "own.toml").read_text())
    states = {name: one.state for name, one in evidence.verdicts().items()}
    assert (states["own"], states["builtin"]) == ("intact", "foreign")
    assert run.name in {entry.run_id for entry in Results(evidence.results).reading().entries}


def test_without_any_ledger_runs_are_not_held_where_they_lie(evidence: Evidence) -> None:
    (evidence.results / "ledger.jsonl").unlink()
    assert {one.state for name, one in evidence.verdicts().items() if name != "ledger.jsonl"} == {"broken"}


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_a_copy_of_format_1_says_that_it_carries_no_lines(tmp_path: Path, version: str) -> None:
    run = next(path for path in (ARCHIVE / version / "runs").iterdir() if (path / "trades.parquet").is_file())
    path = Path(shutil.copytree(run, tmp_path / "copies" / run.name))
    found = verdict(path, tmp_path / "none")
    assert found.state == "foreign" and found.unchecked[0].startswith("its place in a ledger: ")
    (path / "equity.csv").chmod(0o644)
    (path / "equity.csv").write_bytes(b"")
    assert verdict(path, tmp_path / "none").state == "broken"


def test_in_a_results_folder_of_others_the_ledger_beside_it_holds_a_run(evidence: Evidence, tmp_path: Path) -> None:
    found = verdict(evidence.path("own"), tmp_path / "none")
    assert found.state == "foreign" and found.notes[0].startswith("the ledger beside it holds it: sealed ")
    lines = evidence.ledger()
    evidence.write_ledger([line for line in lines if evidence.runs["own"].encode() not in line])
    assert verdict(evidence.path("own"), tmp_path / "none").state == "broken"  # it was cut out of there
    evidence.write_ledger([line for line in lines if b'"sealed"' not in line])
    assert verdict(evidence.path("own"), tmp_path / "none").state == "broken"


def test_data_that_only_bears_the_name_is_no_fault_of_a_run_made_elsewhere(
    evidence: Evidence, copy: Path, tmp_path: Path
) -> None:
    (evidence.root / "data" / "bars.csv").write_text("timestamp,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n")
    reading = Reading()
    found = verify.verify(copy, reading, root=evidence.root, copy=True)
    assert found.state == "foreign" and "made elsewhere" in found.unchecked[0]
    assert verify.verify(evidence.path("builtin"), root=evidence.root).state == "broken"  # of its own run it is


@pytest.mark.needs("experiments")
def test_a_report_of_a_copy_says_that_its_ledger_is_not_here(copy: Path) -> None:
    with render.choose("builtin", Path(__file__).resolve().parents[2] / render.QMD) as renderer:
        made = render.render(copy, renderer)
    assert made.seal == "foreign" and not made.faults
    assert "Seal intact, of a ledger that is not here" in made.html.read_text(encoding="utf-8")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    for which in ("empty", "file", "file/3f2a", "missing", "missing/3f2a"):
        with pytest.raises(InputError), handed(str(tmp_path / which), results):
            raise AssertionError(which)


def test_the_end_of_a_path_that_leads_elsewhere_is_no_run_of_ours(evidence: Evidence, tmp_path: Path) -> None:
    results, name = Results(evidence.results), evidence.runs["plain"]
    for which in (f"nowhere/{name}", str(tmp_path / "nowhere" / name[:8]), f"{name}/{name}"):
        with pytest.raises(InputError, match="there is no file or folder"), handed(which, results):
            raise AssertionError(which)
    for which in (name, name[:8], str(evidence.results / name), str(evidence.results / name[:8])):  # the control
        with handed(which, results) as found:
            assert found.run.name == name


def test_an_archive_that_there_is_no_room_for_is_unreadable_and_not_broken(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(evidence.results)
    with package(evidence.runs["plain"], results) as own:
        path = handover.export(own.runs, results, tmp_path / "a.zip").archive
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        (full,) = given.verdicts([str(path)], results, root=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert full.state == "unreadable" and "File too large" in full.as_text()
    path.write_bytes(path.read_bytes()[:-5])
    (cut,) = given.verdicts([str(path)], results, root=None)
    assert cut.state == "broken"  # the control
