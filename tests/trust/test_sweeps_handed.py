"""Sweeps that change hands, are removed or stopped: what they are stays, and no trial is lost or counted twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Evidence
from tests.trust.sweeping import sweep_of_csv

from peak_trade.evidence.results import Results
from peak_trade.trust import replay
from peak_trade.trust.given import verdicts
from peak_trade.trust.handed import Handed, package
from peak_trade.trust.handover import export, kept_of, receive
from peak_trade.trust.luck import assess, words
from peak_trade.trust.luck.family import Families, Family

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def swept_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A parent of eight trials with two kept runs."""
    root = tmp_path_factory.mktemp("swept")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "parent", keep=2)
    return made


@pytest.fixture
def swept(swept_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of it."""
    return swept_once.copy(tmp_path / "repository")


def family(evidence: Evidence) -> Family:
    found = Families(Results(evidence.results).reading()).every()
    assert len(found) == 1
    return found[0]


def kept(evidence: Evidence) -> list[str]:
    found = evidence.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"]
    return list(found.values())


def packed(evidence: Evidence, folder: Path, *, with_kept: bool) -> Path:
    results = Results(evidence.results)
    with package(evidence.runs["parent"], results) as one:
        given = list(one.runs)
        if with_kept:
            ids = kept_of(given, results)
            assert ids == kept(evidence)
            for run_id in ids:
                with package(run_id, results) as other:
                    given += other.runs
        made = export(given, results, folder / "sweep.zip", root=evidence.root)
    assert made.without == []
    return made.archive


def test_a_parent_counts_each_of_its_trials_once_with_what_was_kept(swept: Evidence) -> None:
    found = family(swept)
    assert (found.trials, found.swept, found.sealed, found.results) == (8, 8, 0, 3)
    assert words.trials_of(found) == "8 trials (6 of sweeps, 2 of sweeps failed), 3 different results"
    assert set(found.run_ids) == {swept.runs["parent"], *kept(swept)}
    assert found.parents == (swept.runs["parent"],)


@pytest.mark.parametrize("which", ["parent", "kept", "all"])
def test_what_is_removed_counts_on(swept: Evidence, which: str) -> None:
    results = Results(swept.results)
    for run_id in {"parent": [swept.runs["parent"]], "kept": kept(swept), "all": [swept.runs["parent"], *kept(swept)]}[
        which
    ]:
        results.ledger.append("removed", run_id, reason="old", manifest=results.reading().of(run_id).manifest)
        shutil.rmtree(swept.results / run_id)
    found = family(swept)
    assert (found.trials, found.results) == (8, 3)
    assert found.removed == (0 if which == "kept" else 8)


def test_a_sweep_under_way_counts_what_it_said_last_and_its_seal_takes_the_place_of_that(swept: Evidence) -> None:
    results, run_id = Results(swept.results), str(uuid.uuid4())
    told = results.reading().of(swept.runs["parent"]).fields
    called: dict[str, Any] = {key: told[key] for key in ("symbol", "timeframe", "data")}

    def batch(count: int, failed: int = 0) -> list[dict[str, Any]]:
        ratios = {"count": 2, "mean": 1.0, "variance": 0.25}
        return [called | {"count": count, "failed": failed, "results": 2, "ratios": ratios, "best": 1.5}]

    results.ledger.append("start", run_id, kind="swept", **called)
    assert family(swept).trials == 8 + 1  # nobody knows yet how many there are
    for count in (3, 5):
        results.ledger.append("tried", run_id, kind="swept", trials=count, trials_on=batch(count))
        assert family(swept).trials == 8 + count
    child = str(uuid.uuid4())
    results.ledger.append("start", child, parent=run_id, trial=0, **called)
    assert family(swept).trials == 8 + 5
    results.ledger.append(
        "failed", run_id, kind="swept", trials=6, trials_on=batch(6, 1), message="abandoned", **called
    )
    found = family(swept)
    assert (found.trials, sum(one.failed for one in found.sweeps)) == (8 + 6, 2 + 1)


def test_a_kept_run_whose_parent_is_not_here_is_a_trial_of_its_own(swept: Evidence, tmp_path: Path) -> None:
    results = Results(swept.results)
    with package(kept(swept)[0], results) as one:
        made = export(one.runs, results, tmp_path / "one.zip", root=swept.root)
    other = Results(tmp_path / "other")
    receive(str(made.archive), other)
    found = Families(other.reading()).every()
    assert [(one.trials, one.sealed, one.swept) for one in found] == [(1, 1, 0)]


@pytest.mark.parametrize("with_kept", [False, True])
def test_an_archive_of_a_parent_is_checked_taken_in_and_made_again_elsewhere(
    swept: Evidence, tmp_path: Path, with_kept: bool
) -> None:
    archive = packed(swept, tmp_path, with_kept=with_kept)
    there = Results(tmp_path / "nowhere")
    assert {one.state for one in verdicts([str(archive)], there, root=None)} <= {"intact", "foreign"}
    results = Results(tmp_path / "there" / "results")
    taken = receive(str(archive), results)
    assert len(taken.received) == (3 if with_kept else 1)
    found = list(verdicts(None, results, root=None))
    assert all(one.holds and not one.findings for one in found), [one.as_text() for one in found]
    made = Families(results.reading()).every()
    assert [(one.trials, one.results) for one in made] == [(8, 3)]
    path = results.path / swept.runs["parent"]
    assert (path / "durations.csv").read_bytes() == (swept.path("parent") / "durations.csv").read_bytes()
    again = replay.replay(path, results, tmp_path / "there", along=results.path / ".bars", which=("all",))
    assert (again.verdict, len(again.trials)) == ("IDENTICAL", 8)


def test_the_readme_of_an_archive_says_what_a_sweep_is(swept: Evidence, tmp_path: Path) -> None:
    import zipfile

    archive = packed(swept, tmp_path, with_kept=False)
    with zipfile.ZipFile(archive) as file:
        readme = file.read("README.md").decode()
        crate = file.read("ro-crate-metadata.json").decode()
    assert "One that is `swept` is the parent of many trials" in readme
    assert "sealed, swept" in readme
    assert "The sweep " in crate


def test_a_parent_is_exported_with_its_kept_runs_by_the_command(swept: Evidence, tmp_path: Path) -> None:
    words = ("export_runs.py", swept.runs["parent"], "--with-kept", "--output", str(tmp_path / "x.zip"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / words[0]), *words[1:], "--results-dir", str(swept.results)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "3 runs" in done.stderr


def test_luck_of_a_kept_run_and_of_its_parent_have_the_same_number_of_trials(swept: Evidence) -> None:
    results = Results(swept.results)
    found = [
        assess.assess(Handed(results.path / run_id, results), thorough=False)
        for run_id in (swept.runs["parent"], *kept(swept))
    ]
    assert [luck.family and luck.family.trials for luck in found] == [8, 8, 8]
