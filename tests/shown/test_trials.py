"""A parent of a sweep as people read it, and lists that its kept runs do not flood."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Evidence
from tests.trust.sweeping import edit_rows, sweep_of, sweep_of_csv

from peak_trade.evidence.results import Results
from peak_trade.shown import choice, listing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def swept_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A parent with two kept runs, and a run that is none of its."""
    root = tmp_path_factory.mktemp("swept")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "parent", keep=2)
    made.run("alone", (root / "config" / "parent.toml").read_text("utf-8"), "strategy.params.slow=12")
    return made


@pytest.fixture
def swept(swept_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them."""
    return swept_once.copy(tmp_path / "repository")


def script(evidence: Evidence, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    words = (*words, "--results-dir", str(evidence.results))
    return subprocess.run([sys.executable, str(ROOT / "scripts" / name), *words], capture_output=True, text=True)


def test_a_parent_is_shown_with_its_axes_its_trials_the_chosen_one_and_the_best(swept: Evidence) -> None:
    lines = listing.summary(swept.path("parent")).splitlines()
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if not line.startswith(" ")}
    assert told["run"].endswith("sealed, swept")
    assert told["search"] == "fast 3, 8, slow 8, 12, stops.stop_loss 0.9, 0.95; maximize sharpe"
    assert told["trials"] == "8 trials: 6 done, 2 failed, 3 the same as others; 2 kept as runs"
    assert told["failed"] == "2: the strategy raised ValueError: fast is no faster than slow"
    best = [line.strip() for line in lines if "trial" in line and "sharpe" in line]
    assert told["chosen"].split(":")[0] == best[1].removeprefix("best").split(":")[0].strip()
    assert len(best) == 1 + 3  # each result once
    kept = swept.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"]
    assert all(any(line.endswith(run_id[:8]) for line in best) for run_id in kept.values())


def test_a_parent_as_json_has_its_trials(swept: Evidence) -> None:
    done = script(swept, "show_run.py", swept.runs["parent"], "--json")
    sweep = json.loads(done.stdout)["sweep"]
    assert (sweep["trials"], sweep["failed"], sweep["duplicates"], len(sweep["best"])) == (8, 2, 3, 3)
    assert sweep["chosen"]["index"] == sweep["best"][0]["index"]
    assert sweep["chosen"]["sharpe"] == max(one["sharpe"] for one in sweep["best"])


def test_a_kept_run_is_shown_with_its_parent(swept: Evidence) -> None:
    kept = swept.manifest("parent")["predicate"]["runDetails"]["metadata"]["kept"]
    (at, run_id), *_ = kept.items()
    text = listing.summary(swept.results / run_id)
    assert f"trial {at} of the sweep {swept.runs['parent']}" in text


def test_kept_runs_are_listed_where_they_are_asked_for(swept: Evidence) -> None:
    parent = swept.runs["parent"]
    short = script(swept, "list_runs.py")
    assert len(short.stdout.splitlines()) == 1 + 2
    assert "without 2 runs that were kept of sweeps: --kept lists them" in short.stderr
    assert "swept, 8 trials" in short.stdout
    assert len(script(swept, "list_runs.py", "--kept").stdout.splitlines()) == 1 + 4
    of_parent = script(swept, "list_runs.py", "--where", f"parent={parent}", "--json")
    rows = json.loads(of_parent.stdout)
    assert {row["parent"] for row in rows} == {parent} and len(rows) == 2
    assert all(row["trial"] is not None for row in rows)


def test_rows_have_every_run_for_programs(swept: Evidence) -> None:
    found = listing.rows(Results(swept.results))
    assert len(found) == 4
    nothing = choice.Choice()
    assert [row.parent for row in choice.without_kept(found, nothing)] == ["", ""]


def test_a_table_that_can_not_be_read_is_said_and_the_rest_is_shown(
    swept: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept.rewrite("parent", "trials.csv", b"index,chosen\n0,true\n")
    text = listing.summary(swept.path("parent"))
    assert "8 trials, not shown: trials.csv is no table of trials" in text
    assert "return" in text
    edited = sweep_of(swept, "other", keep=0)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type]
    assert "8 trials, not shown: trials.parquet: " in listing.summary(edited)


def test_what_a_strangers_table_says_stays_within_a_line(swept: Evidence) -> None:
    edit_rows(swept, "parent", lambda rows: rows[4].update(error="x" * 5000 + "\x1b[2J"))
    text = listing.summary(swept.path("parent"))
    assert max(map(len, text.splitlines())) < 400
    assert "\x1b" not in text
