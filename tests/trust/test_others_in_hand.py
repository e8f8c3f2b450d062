"""Runs that another program made, in the hands of the verbs that were made for ours: handed over, signed, recovered.

What a verb can't do for them it refuses in a sentence; what it can, it does for each kind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.record.portfolio import DAYS, recorded, result

from peak_trade.data import difference as data
from peak_trade.errors import InputError
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, new_run_id, recover
from peak_trade.record.result import Series
from peak_trade.shown import listing
from peak_trade.trust import handover, verify
from peak_trade.trust.handed import package
from peak_trade.trust.probe import verb
from peak_trade.trust.replay import golden

KINDS = ("recorded", "imported")


def bars_of(symbol: str) -> Series:
    prices = np.arange(1.0, len(DAYS) + 1)
    return Series(symbol, "1d", DAYS, prices, prices, prices, prices, prices)


def export(run: Path, path: Path) -> handover.Exported:
    with package(str(run), Results(run.parent)) as found:
        return handover.export(found.runs, Results(run.parent), path, root=run.parent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_others_changes_hands_with_its_bars_asked_for(tmp_path: Path, kind: str) -> None:
    run = recorded(tmp_path / "a", result(series=(bars_of("A"), bars_of("B"))), kind)
    made = export(run, tmp_path / "run.zip")
    assert made.without == [run.name]
    there = Results(tmp_path / "b")
    handover.receive(str(tmp_path / "run.zip"), there)
    assert verify.verify(there.path / run.name).state == "intact"
    (row,) = listing.rows(there)
    assert (row.kind, row.run_id) == (kind, run.name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_of_such_an_archive_asks_for_no_bars_of_it(tmp_path: Path, kind: str) -> None:
    if shutil.which("jq") is None or shutil.which("sha256sum") is None:
        pytest.skip("no jq or sha256sum here")
    run = recorded(tmp_path / "a", result(series=(bars_of("A"), bars_of("B"))), kind)
    export(run, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as file:
        file.extractall(tmp_path / "unpacked")
    [block] = (tmp_path / "unpacked" / "README.md").read_text().split("```bash\n")[1:]
    checks = handover.crate._CHECK + handover.crate._CHECK_BARS + "\n)"  # as where a run of ours came along too
    assert block.startswith(handover.crate._CHECK)
    checks = checks.replace("for bars in data/*.bars; do", "for bars in; do")  # there is none here
    ours = 'select(.buildType == "urn:peak-trade:backtest:v1") | '
    assert ours in checks
    for script, code in ((checks, 0), (checks.replace(ours, ""), 1)):  # control: it would ask for those of others
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path / "unpacked", capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (code, "")
        assert ("missing" in done.stdout) == bool(code)


@pytest.mark.parametrize("kind", KINDS)
def test_what_needs_a_config_or_bars_is_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    run = recorded(tmp_path / "results", result(), kind)
    with pytest.raises(InputError, match=f"is {kind}: a golden run is made again from its config"):
        golden.add(tmp_path / "golden", run, Results(run.parent), tmp_path)
    assert not (tmp_path / "golden").exists()
    with pytest.raises(InputError, match=f"is {kind}: of the bars that another program had"):
        data.sides(run.name, run.name, data.Places(run.parent, tmp_path / "lake", tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_of_it_says_why_not_and_nothing_else(tmp_path: Path, kind: str) -> None:
    run = recorded(tmp_path, result(), kind)
    report = verb._beyond(run)
    assert report is not None
    assert report.exit_code == 3
    assert [name for name, _ in report.lines()] == ["probed", "verdict"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_whose_process_died_is_sealed_as_failed_and_keeps_its_kind(tmp_path: Path, kind: str) -> None:
    child = os.fork()
    if child == 0:
        directory = RunDir.create(tmp_path, new_run_id(), given=False)
        directory.begin(kind=kind, name="dies")
        directory.write("stats.json", [b"{}\n"])
        os._exit(9)
    os.waitpid(child, 0)
    results = Results(tmp_path)
    assert [row.status for row in listing.rows(results)] == ["unfinished"]
    [(run_id, _)] = recover(results)
    (row,) = listing.rows(results)
    assert (row.run_id, row.status, row.kind, row.name) == (run_id, "failed", kind, "dies")
    assert verify.verify(tmp_path / run_id).state == "intact"
