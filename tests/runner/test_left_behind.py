"""What a strategy leaves in the directory of its run is taken out of it and named, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config as configs
from peak_trade import runner
from peak_trade.errors import RunError
from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir
from peak_trade.ops import removal, retention
from peak_trade.trust import verify

STRATEGY = """
import os, shutil, socket
from pathlib import Path
import numpy as np

def leaves(bars, *, results, what, fails=False):
    results = Path(results)
    [here] = (results / ".working").iterdir()
    there = results.parent / "outside"
    exec(what, globals() | {"here": here, "there": there, "results": results})
    if fails: raise ValueError("no idea")
    return np.ones(len(bars))
"""
OURS = ("config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv", "benchmark.csv", "trades.csv",
        "trades.parquet", "manifest.json", "error.json")  # fmt: skip
LEFT = {
    "a file": '(here / "notes.txt").write_text("mine")',
    "a file without a name of text": 'open(bytes(here) + b"/caf\\xe9", "w").close()',
    "a folder": '(here / "cache/deep").mkdir(parents=True); (here / "cache/deep/x").write_text("1")',
    "a folder that nobody may write to": '(here / "locked/x").mkdir(parents=True); (here / "locked").chmod(0)',
    "a report": '(here / "report").mkdir(); (here / "report/report.html").write_text("<h1>")',
    "telemetry": '(here / "telemetry").mkdir(); (here / "telemetry/traces.jsonl").symlink_to("/dev/zero")',
    "a link": '(here / "way").symlink_to(there)',
    "a link to nothing": '(here / "way").symlink_to("nowhere")',
    "a pipe": 'os.mkfifo(here / "pipe")',
    "a socket": 'os.chdir(here); one = socket.socket(socket.AF_UNIX); one.bind("socket"); one.close(); os.chdir("/")',
    "a hard link": 'os.link(there / "file", here / "second")',
    "a link in place of the log": '(here / "run.log").unlink(); (here / "run.log").symlink_to(there / "file")',
    "a pipe in place of the log": '(here / "run.log").unlink(); os.mkfifo(here / "run.log")',
    "a hard link in place of the log": '(here / "run.log").unlink(); os.link(there / "file", here / "run.log")',
    "a folder in place of the log": '(here / "run.log").unlink(); (here / "run.log").mkdir()',
    "a link in place of debug": '(here / "debug").symlink_to(there)',
    "all of our names": f'[(here / name).write_text("[]") for name in {OURS}]',
    "links by all of our names": f'[(here / name).symlink_to(there / name) for name in {OURS}]',
    "folders by all of our names": f'[(here / name / "x").mkdir(parents=True) for name in {OURS}]',
}  # fmt: skip
DISPLACED = {
    "removed": "shutil.rmtree(here)",
    "moved": "here.rename(there / 'run')",
    "moved, and a link in its place": "here.rename(there / 'run'); here.symlink_to(there / 'run')",
    "a link to elsewhere in its place": "shutil.rmtree(here); here.symlink_to(there)",
    "a file in its place": "shutil.rmtree(here); here.write_text('')",
    "another folder in its place": "here.rename(there / 'run'); here.mkdir(); (here / 'equity.csv').write_text('1')",
    "all runs in the making moved": "here.parent.rename(there / 'runs'); here.parent.symlink_to(there / 'runs')",
    "all runs in the making removed": "shutil.rmtree(here.parent)",
}
Runs = Callable[..., Path]


@pytest.fixture
def outside(ram: Path) -> Path:
    folder = ram / "outside"
    folder.mkdir()
    (folder / "file").write_text("precious\n")
    return folder


@pytest.fixture
def leaves(config: Path, ram: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return a function that runs a strategy which does `what`, and returns the sealed directory."""
    (ram / "user.py").write_text(STRATEGY)
    text = config.read_text().replace('name = "sma_crossover"', 'entrypoint = "user.py:leaves"')
    config.write_text(text.replace("fast = 2\nslow = 5\n", f'results = "{ram}/results"\nwhat = ""\n'))
    monkeypatch.chdir(ram)

    def run(what: str, *, fails: bool = False) -> Path:
        given = [f"strategy.params.what={json.dumps(what)}", *["strategy.params.fails=true"] * fails]
        try:
            return runner.run(configs.load(config, given), root=ram, results=ram / "results")
        except RunError as error:
            return ram / "results" / str(error.run_id)

    return run


def verdict(results: Path) -> list[str]:
    verdicts = verify.verify_all(Results(results), None, root=None)
    return [f"{one.name}: {finding}" for one in verdicts for finding in one.findings]


def receipts(run: Path) -> list[str]:
    predicate = json.loads((run / "manifest.json").read_bytes())["predicate"]
    return [receipt["reason"] for receipt in predicate["receipts"] if receipt["part"] == "directory"]


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.exists() else set()


@pytest.mark.parametrize("fails", [False, True], ids=["sealed", "failed"])
@pytest.mark.parametrize("what", LEFT)
def test_what_a_strategy_leaves_is_taken_out_and_named(
    leaves: Runs, ram: Path, outside: Path, what: str, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    run = leaves(LEFT[what], fails=fails)
    assert (run / "error.json").exists() == fails
    assert verdict(ram / "results") == []
    [reason] = receipts(run)
    assert f".left/{run.name}/" in reason
    assert any(reason in message for message in caplog.messages)
    assert names(ram / "results/.left" / run.name)
    assert names(run) <= {*OURS, "run.log"}
    assert (outside / "file").read_text() == "precious\n"
    assert names(outside) == {"file"}


def test_a_run_that_leaves_nothing_has_no_receipt_of_it(leaves: Runs, ram: Path) -> None:
    run = leaves("pass")
    assert receipts(run) == []
    assert not (ram / "results/.left").exists()


@pytest.mark.parametrize("what", ["a file", "a link", "a hard link", "all of our names"])
def test_control_what_is_not_taken_out_breaks_the_run(
    leaves: Runs, ram: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunDir, "settle", lambda self: [])
    leaves(LEFT[what])
    left = run_dir.unfinished(Results(ram / "results"))
    assert verdict(ram / "results") or left


@pytest.mark.parametrize("what", DISPLACED)
def test_a_strategy_that_moves_the_directory_fails_its_run_and_leads_nothing_elsewhere(
    leaves: Runs, ram: Path, outside: Path, what: str
) -> None:
    run = leaves(DISPLACED[what])
    error = json.loads((run / "error.json").read_bytes())
    assert error["message"] == "the strategy moved the directory of its run, or put another in its place"
    assert verdict(ram / "results") == []
    assert run_dir.unfinished(Results(ram / "results")) == []
    assert not run.is_symlink() and names(run) <= {*OURS, "run.log"}
    written = [path.name for path in outside.rglob("*") if path.is_file() and path.name not in ("file", "run.log")]
    assert written == []
    assert (outside / "file").read_text() == "precious\n"


def test_control_a_program_that_goes_by_the_name_writes_elsewhere(
    leaves: Runs, ram: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunDir, "displaced", False)
    write = RunDir.write

    def by_name(self: Any, name: str, chunks: Any) -> Any:
        handle, self._lock = self._lock, os.open(self.path, os.O_RDONLY)
        try:
            return write(self, name, chunks)
        finally:
            os.close(self._lock)
            self._lock = handle

    monkeypatch.setattr(RunDir, "write", by_name)
    leaves(DISPLACED["a link to elsewhere in its place"])
    assert "equity.csv" in names(outside)


def test_what_a_dead_run_left_does_not_break_its_recovery(ram: Path, outside: Path) -> None:
    results = ram / "results"
    run = RunDir.create(results, run_dir.new_run_id(), given=False)
    run.ledger.append("start", run.run_id)
    run.write("config_snapshot.toml", [b"a = 1\n"])
    run.write_beside("debug/data_spike.csv", [b"row\n"])
    (run.path / "way").symlink_to(outside)
    os.mkfifo(run.path / "equity.csv")
    os.link(outside / "file", run.path / "stats.json")
    (run.path / "debug" / "way").symlink_to(outside)
    run.release()
    assert len(run_dir.recover(Results(results))) == 1
    assert verdict(results) == []
    assert names(results / run.run_id) == {"config_snapshot.toml", "debug", "error.json", "manifest.json"}
    assert names(results / run.run_id / "debug") == {"data_spike.csv"}
    assert names(results / ".left" / run.run_id) == {"way", "way.2", "equity.csv", "stats.json"}
    [reason] = receipts(results / run.run_id)
    assert "a named pipe equity.csv" in reason


def test_what_was_left_goes_with_its_run(leaves: Runs, ram: Path) -> None:
    runs = [leaves(LEFT[what]) for what in ("a folder that nobody may write to", "a file", "a file")]
    results = Results(ram / "results")
    removal.apply(results, retention.Policy(keep=1, days=0))
    assert names(ram / "results/.left") == {runs[-1].name}
