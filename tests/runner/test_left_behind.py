"""What a strategy leaves in the directory of its run is taken out of it and named, and nothing is written elsewhere."""

from __future__ import annotations

import gc
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config as configs
from peak_trade import runner
from peak_trade.errors import RunError
from peak_trade.evidence import door, files, run_dir
from peak_trade.evidence.ledger import Ledger
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
        "trades.parquet", "manifest.json", "error.json", "seal.json", "code")  # fmt: skip
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


NAMED = {
    "a folder": '(results / here.name / "x").mkdir(parents=True)',
    "a link": "(results / here.name).symlink_to(there)",
    "a file": '(results / here.name).write_text("mine")',
    "a pipe": "os.mkfifo(results / here.name)",
}


@pytest.mark.parametrize("fails", [False, True], ids=["sealed", "failed"])
@pytest.mark.parametrize("what", NAMED)
def test_what_has_the_final_name_of_a_run_makes_way(
    leaves: Runs, ram: Path, outside: Path, what: str, fails: bool
) -> None:
    before = names(outside)
    run = leaves(NAMED[what], fails=fails)
    assert verdict(ram / "results") == []
    taken = ram / "results" / ".left" / run.name / run.name
    assert os.path.lexists(taken) and names(outside) == before
    assert not names(ram / "results" / ".working")


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
    assert names(results / run.run_id) == {"config_snapshot.toml", "debug", "error.json", "manifest.json", "seal.json"}
    assert names(results / run.run_id / "debug") == {"data_spike.csv"}
    assert names(results / ".left" / run.run_id) == {"way", "way.2", "equity.csv", "stats.json"}
    [reason] = receipts(results / run.run_id)
    assert "a named pipe equity.csv" in reason


def test_what_was_left_goes_with_its_run(leaves: Runs, ram: Path) -> None:
    runs = [leaves(LEFT[what]) for what in ("a folder that nobody may write to", "a file", "a file")]
    results = Results(ram / "results")
    removal.apply(results, retention.Policy(keep=1, days=0))
    assert names(ram / "results/.left") == {runs[-1].name}


# --- much of it, late, and with the results folder itself


def test_twenty_thousand_files_are_taken_out_in_seconds_and_counted(leaves: Runs, ram: Path) -> None:
    def took(count: int) -> float:
        run = RunDir.create(ram / "timed", run_dir.new_run_id(), given=False)
        for number in range(count):
            (run.path / f"{number}.txt").touch()
        began = time.process_time()
        assert len(run.settle()) == count
        run.release()
        return time.process_time() - began

    assert took(20_000) < 5
    run = leaves("[(here / f'{n}.txt').touch() for n in range(3_000)]")
    [reason] = receipts(run)
    assert reason.endswith(" and 2,995 more") and len(reason) < 400
    assert len(names(ram / "results/.left" / run.name)) == 3_000


def test_control_one_listing_a_name_is_seen_by_the_count_of_listings(
    ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: list[Any] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listings.append(folder) or listdir(folder))  # type: ignore[func-returns-value]
    run = RunDir.create(ram / "results", run_dir.new_run_id(), given=False)
    with files.opened(run.path, os.O_RDONLY) as folder:
        for number in range(50):
            (run.path / f"{number}.txt").touch()
        assert len(run.settle()) == 50
        assert len(listings) == 1
        for number in range(50):
            (run.path / f"{number}.txt").touch()
            run._take_out(folder, [door.entry(f"{number}.txt", folder)])
    assert len(listings) == 51
    run.release()


def test_what_many_dead_files_are_is_counted_in_the_receipt_of_a_recovery(ram: Path) -> None:
    run = RunDir.create(ram / "results", run_dir.new_run_id(), given=False)
    run.ledger.append("start", run.run_id)
    for number in range(40):
        os.mkfifo(run.path / f"{number:02d}")
    run.release()
    run_dir.recover(Results(ram / "results"))
    [reason] = receipts(ram / "results" / run.run_id)
    assert reason.count("a named pipe") == 5 and reason.endswith(" and 35 more")


LATE = ("before the rename", "after the rename")


def strays(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Let a process that goes on write into the run's directory once the seal's line, or the rename, is done."""
    append, publish = Ledger.append, RunDir.publish

    def line(self: Ledger, event: str, run_id: str, **fields: Any) -> str:
        sha256 = append(self, event, run_id, **fields)
        if event != "start" and when == "before the rename":
            (self.path.parent / ".working" / run_id / "late").symlink_to("/")
        return sha256

    def renamed(self: RunDir) -> Path:
        path = publish(self)
        if when == "after the rename":
            (path / "late").symlink_to("/")
        (path / "report").mkdir()
        (path / "report/report.html").write_text("<p>")  # which is another's good right from now on
        return path

    monkeypatch.setattr(Ledger, "append", line)
    monkeypatch.setattr(RunDir, "publish", renamed)


@pytest.mark.parametrize("fails", [False, True], ids=["sealed", "failed"])
@pytest.mark.parametrize("when", LATE)
def test_what_comes_while_the_run_is_sealed_is_taken_out(
    leaves: Runs, ram: Path, when: str, fails: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strays(monkeypatch, when)
    run = leaves("pass", fails=fails)
    assert verdict(ram / "results") == []
    assert names(ram / "results/.left" / run.name) == {"late"}
    assert (run / "report/report.html").exists()
    assert any("1 name(s) came while it was sealed" in message for message in caplog.messages)


@pytest.mark.parametrize("when", LATE)
def test_control_what_comes_that_late_breaks_a_run_that_nobody_looks_at_again(
    leaves: Runs, ram: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strays(monkeypatch, when)
    monkeypatch.setattr(RunDir, "_settle_late", lambda self, named: None)
    leaves("pass")
    assert any("late" in finding for finding in verdict(ram / "results"))


def test_what_came_before_a_death_at_the_rename_is_taken_out_by_the_recovery(
    leaves: Runs, ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "publish", lambda self: (_ for _ in ()).throw(OSError(5, "no")))
        leaves("pass")
    [dead] = run_dir.unfinished(Results(ram / "results"))
    (dead.path / "late").symlink_to("/")
    gc.collect()
    run_dir.recover(Results(ram / "results"))
    assert verdict(ram / "results") == []
    assert names(ram / "results/.left" / dead.run_id) == {"late"}


ASTRAY = {
    "a link to elsewhere": "results.rename(results.parent / 'moved'); results.symlink_to(there)",
    "a link to a folder of the same shape": "results.rename(results.parent / 'moved'); results.symlink_to(there); "
    "(there / '.working').mkdir()",
    "another folder": "results.rename(results.parent / 'moved'); results.mkdir()",
    "nothing": "results.rename(results.parent / 'moved')",
}  # fmt: skip


@pytest.mark.parametrize("what", ASTRAY)
def test_a_strategy_that_moves_the_results_folder_fails_its_run_in_the_real_one(
    leaves: Runs, ram: Path, outside: Path, what: str
) -> None:
    run = ram / "moved" / leaves(ASTRAY[what]).name
    error = json.loads((run / "error.json").read_bytes())
    assert error["message"] == "the strategy moved the results folder, or put another in its place"
    assert verdict(ram / "moved") == []
    assert run_dir.unfinished(Results(ram / "moved")) == []
    assert names(outside) <= {"file", ".working"} and not names(outside / ".working")
    assert not os.path.lexists(ram / "results") or names(ram / "results") <= {"file", ".working"}


def test_where_the_real_one_cannot_be_reached_nothing_is_written_elsewhere(
    leaves: Runs, ram: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_dir, "_place_of", lambda handle, mark: None)
    run = leaves(ASTRAY["a link to elsewhere"])
    assert names(outside) == {"file"}
    assert not run.exists() and not (ram / "moved" / run.name).exists()
    run_dir_left = ram / "moved/.working" / run.name
    assert run_dir_left.is_dir()


def test_control_a_program_that_does_not_look_leaves_the_evidence_elsewhere(
    leaves: Runs, ram: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunDir, "astray", False)
    leaves(ASTRAY["a link to elsewhere"])
    assert names(outside) != {"file"}


@pytest.mark.parametrize("what", ["symlink_to(there)", "write_text('')"], ids=["a link", "a file"])
def test_something_in_place_of_what_strays_are_taken_to_is_named_with_a_command_that_helps(
    leaves: Runs, ram: Path, outside: Path, what: str, config: Path
) -> None:
    (ram / "results").mkdir()
    leaves("pass")  # control: where nothing is to be taken out it does not matter
    code = f"(results / '.left').{what}; (here / 'x').touch()"
    given = [f"strategy.params.what={json.dumps(code)}"]
    with pytest.raises(RunError, match="a (symbolic link|file) in place of a folder") as caught:
        runner.run(configs.load(config, given), root=ram, results=ram / "results")
    assert "room" not in str(caught.value.hint)
    command, _, doctor = str(caught.value.hint).partition(" && ")
    assert doctor == "just doctor"
    gc.collect()
    subprocess.run(shlex.split(command), check=True)
    del caught
    gc.collect()
    assert names(outside) == {"file"}
    assert (ram / "results/.left.aside").exists()
    run_dir.recover(Results(ram / "results"))
    assert verdict(ram / "results") == []


# --- stdout, where a strategy closes what it finds open


def closes(config: Path, ram: Path, upto: int, *words: str) -> Any:
    (ram / "closes.py").write_text(
        "import os, numpy as np\ndef closes(bars, *, upto): os.closerange(3, upto); return np.ones(len(bars))\n"
    )
    text = config.read_text().replace('name = "sma_crossover"', 'entrypoint = "closes.py:closes"')
    config.write_text(text.replace("fast = 2\nslow = 5\n", f"upto = {upto}\n"))
    path = Path(__file__).parents[2] / "scripts/run_strategy_from_config.py"
    words = (str(path), "--config", str(config), "--results-dir", str(ram / "results"), *words)
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_run_id_is_told_on_stdout_though_a_strategy_closes_descriptors(config: Path, ram: Path) -> None:
    done = closes(config, ram, 256)
    [run] = Results(ram / "results").runs()
    assert (done.returncode, done.stdout) == (0, f"{run.name}\n"), done.stderr
    assert verdict(ram / "results") == []


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_where_it_closes_stdout_too_the_run_id_is_told_on_stderr(config: Path, ram: Path, words: Any) -> None:
    done = closes(config, ram, 4096, *words)
    [run] = Results(ram / "results").runs()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"warn: the strategy closed stdout: the run is sealed as {run.name}" in done.stderr
    assert "internal" not in done.stderr


def test_control_a_stream_that_was_closed_or_leads_elsewhere_is_seen(ram: Path) -> None:
    code = (
        "import os, sys; from peak_trade import script; one = script.claim_stdout(); n = one.fileno()\n"
        "said = [script.is_open(one)]; os.close(n); said.append(script.is_open(one))\n"
        f"os.dup2(os.open({str(ram / 'other')!r}, os.O_WRONLY | os.O_CREAT), n); said.append(script.is_open(one))\n"
        "sys.stderr.write(repr(said))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[True, False, False]"
