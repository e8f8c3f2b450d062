"""Kept runs are those that `just run` makes of the same values, made once; and what does not come out again is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sweep.conftest import ROOT, Bed, ledger, sealed

from peak_trade import config
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import SWEEPS, Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, recover, warn_unfinished
from peak_trade.runner.order import load_bars
from peak_trade.runner.shared import Shared
from peak_trade.sweep.keeping import keep, kept_id
from peak_trade.sweep.rows import KEYS, Rows
from peak_trade.trust.luck.family import families

GRID = ("--grid", "n=2:13:1")  # twelve trials


def manifest(path: Path) -> dict[str, Any]:
    predicate: dict[str, Any] = json.loads((path / "manifest.json").read_text())["predicate"]
    return predicate


def kept_of(path: Path) -> dict[int, Path]:
    told = manifest(path)["runDetails"]["metadata"]["kept"]
    return {int(at): path.parent / run_id for at, run_id in told.items()}


def test_a_kept_run_has_the_bytes_of_the_run_alone(bed: Bed) -> None:
    swept = bed.sweep(*GRID, "--keep", "2", "--set", "execution.fee_bps=7")
    kept = kept_of(swept.path)
    assert len(kept) == 2
    for trial, path in kept.items():
        values = json.loads(swept.rows[trial]["params"])
        run = str(ROOT / "scripts/run_strategy_from_config.py")
        alone = subprocess.run(
            [sys.executable, run, "--config", str(bed.home / "config.toml"),
             "--set", "execution.fee_bps=7", "--set", f"strategy.params.n={values['n']}", "--quiet",
             "--results-dir", str(bed.home / "alone")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert sealed(path) == sealed(bed.home / "alone" / alone.stdout.strip())
        row = swept.rows[trial]
        assert manifest(path)["results"]["equity_digest"] == row["equity_digest"]


def test_the_best_are_kept_and_name_their_parent_and_trial(bed: Bed) -> None:
    swept = bed.sweep(*GRID, "--keep", "3", "--maximize", "total_return")
    order = sorted(swept.rows, key=lambda row: -row["total_return"])
    kept = kept_of(swept.path)
    assert list(kept) == [row["index"] for row in order[:3]]
    for trial, path in kept.items():
        assert path.name == kept_id(swept.path.name, trial)
        told = manifest(path)["runDetails"]["metadata"]
        assert (told["parent"], told["trial"]) == (swept.path.name, trial)
        start = next(line for line in ledger(bed.results) if line["run_id"] == path.name)
        assert (start["parent"], start["trial"]) == (swept.path.name, trial)


def test_kept_runs_are_no_trials_besides_those_of_the_sweep(bed: Bed) -> None:
    bed.sweep(*GRID, "--keep", "all")
    assert len(Results(bed.results).runs()) == 13
    (family,) = families(Results(bed.results).reading())
    assert family.trials == 12


def test_nothing_is_kept_where_nothing_is_to_be(bed: Bed) -> None:
    assert kept_of(bed.sweep(*GRID, "--keep", "0").path) == {}
    assert len(Results(bed.results).runs()) == 1


def test_a_result_that_came_out_twice_is_named_counted_as_two_trials_and_kept_once(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    return (np.arange(len(bars)) % (2 + n // 10) == 0).astype(float)\n")
    swept = bed.sweep(*GRID, "--keep", "all")  # n below 10, and from 10 on
    assert [row["duplicate_of"] for row in swept.rows] == [None, *[0] * 7, None, 8, 8, 8]
    assert sorted(kept_of(swept.path)) == [0, 8]
    told = ledger(bed.results)[-1]["trials_on"][0]
    assert (told["count"], told["results"], told["ratios"]["count"]) == (12, 2, 2)
    ratios = [swept.rows[0]["sharpe"], swept.rows[8]["sharpe"]]
    assert told["ratios"]["mean"] == pytest.approx(sum(ratios) / 2, rel=1e-12)
    assert told["ratios"]["variance"] == pytest.approx(((ratios[0] - ratios[1]) / 2) ** 2, rel=1e-9)


def test_a_trial_that_does_not_come_out_again_is_said_and_noted(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    return (np.arange(len(bars)) % n == os.getpid() % n).astype(float)\n")
    swept = bed.sweep("--grid", "n=97,89", "--keep", "all", "--set", "run.probe=off", "--jobs", "2")
    receipts = [one for one in manifest(swept.path)["receipts"] if one["outcome"] == "unrepeatable"]
    assert "did not come out again" in swept.stderr
    assert [one["trials"] for one in receipts] == [list(kept_of(swept.path))]


def test_the_bytes_of_the_sweep_do_not_hang_on_how_many_are_kept(bed: Bed) -> None:
    few, many = bed.sweep(*GRID, "--keep", "1"), bed.sweep(*GRID, "--keep", "all", results=bed.home / "other")
    assert few.sealed == many.sealed


class Folder:
    """A results folder with a config, and the rows of two trials."""

    def __init__(self, bed: Bed) -> None:
        self.results, self.parent = bed.results, "5a0c1a9e-0000-4000-8000-000000000000"
        self.source = config.load(bed.home / "config.toml")
        self.root = bed.home
        self.rows = Rows(
            [{"strategy.params.n": 3}, {"strategy.params.n": 4}], np.full(2, -1), ["", ""], {},
            np.zeros((2, len(KEYS))), np.zeros((2, 2, 32), np.uint8), np.zeros((2, 2, 16)), np.full(2, 0.001),
        )  # fmt: skip

    def keep(self) -> list[tuple[str, str]]:
        shared = Shared(load_bars(self.source, self.root))
        kept = keep(
            self.source, shared, self.rows, [0, 1], self.parent, root=self.root, results=self.results,
            heard=lambda made, of: None,
        )  # fmt: skip
        return [(one.run_id, self.event(one.run_id)) for one in kept]

    def event(self, run_id: str) -> str:
        history = Results(self.results).reading().of(run_id)
        return history.since.event if history.since else ""


def test_a_kept_run_whose_process_died_is_taken_up_under_its_own_id(bed: Bed) -> None:
    folder = Folder(bed)
    dead = RunDir.create(bed.results, kept_id(folder.parent, 1), given=True)
    dead.begin(strategy="x")
    dead.write("equity.csv", [b"half of"])
    dead.release()
    assert folder.keep() == [(kept_id(folder.parent, 0), "sealed"), (kept_id(folder.parent, 1), "sealed")]
    before = Ledger(bed.results).path.read_bytes()
    assert folder.keep() == [(kept_id(folder.parent, 0), "sealed"), (kept_id(folder.parent, 1), "sealed")]
    assert Ledger(bed.results).path.read_bytes() == before
    assert os.listdir(bed.results / ".working") == []


def test_a_kept_run_that_failed_is_made_again_under_the_next_id(bed: Bed) -> None:
    folder = Folder(bed)
    dead = RunDir.create(bed.results, kept_id(folder.parent, 1), given=True)
    dead.begin(strategy="x")
    dead.release()
    recover(Results(bed.results))
    assert folder.event(kept_id(folder.parent, 1)) == "abandoned"
    assert folder.keep()[1] == (kept_id(folder.parent, 1, 1), "sealed")
    assert kept_id(folder.parent, 1, 1) != kept_id(folder.parent, 1)


def test_what_a_strategy_imports_as_it_is_called_is_found_in_a_trial_as_in_a_run(bed: Bed) -> None:
    (bed.home / "helper.py").write_text("SHARE = 0.5\n")
    bed.strategy(
        "def traded(bars, *, n=3):\n    import helper\n    return (np.arange(len(bars)) % n > 0) * helper.SHARE\n"
    )
    swept = bed.sweep(*GRID, "--keep", "1")
    assert swept.errors == {}
    assert {"code/strategy.py", "code/helper.py"} <= set(swept.sealed)
    (bed.home / "helper.py").write_text("SHARE = 0.25\n")
    assert "of other code than there is now" in bed.sweep(*GRID, "--keep", "0").stderr


def test_a_kept_run_of_a_sweep_that_can_go_on_is_left_to_it(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    folder = Folder(bed)
    for run_id, told in ((folder.parent, {"kind": "swept"}), (kept_id(folder.parent, 1), {"parent": folder.parent})):
        dead = RunDir.create(bed.results, run_id, given=True)
        dead.begin(strategy="x", **told)
        dead.release()
    (bed.results / SWEEPS / folder.parent).mkdir(parents=True)
    with caplog.at_level("WARNING"):
        warn_unfinished(Results(bed.results))
        other = RunDir.create(bed.results, alone := new_run_id(None), given=True)  # the control: of no sweep
        other.begin(strategy="x")
        other.release()
        warn_unfinished(Results(bed.results))
    assert [one.message.split("; ")[0] for one in caplog.records] == [
        f"1 sweep(s) stopped before their end: {folder.parent}",
        f"1 sweep(s) stopped before their end: {folder.parent}",
        f"1 unfinished run(s) of dead processes: {alone}",
    ]
    found = dict(recover(Results(bed.results)))
    assert found[folder.parent].startswith("stopped before its end; it goes on with: ")
    assert found[kept_id(folder.parent, 1)] == "stopped with the sweep 5a0c1a9e, which makes it when it goes on"
    assert folder.keep()[1] == (kept_id(folder.parent, 1), "sealed")
