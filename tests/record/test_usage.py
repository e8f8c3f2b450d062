"""What is asked of a recording: options, their names, and what is said where they can't be meant."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from tests.record.recorder import PYTHON, SCRIPT, Recorder

POOL = """
import os, subprocess
from multiprocessing import resource_tracker
resource_tracker.ensure_running()
os.set_inheritable(resource_tracker._resource_tracker._fd, True)
print(subprocess.Popen(["sleep", "3"], close_fds=False, stdout=2).pid)  # by which the helper lives on for a while
"""


def test_a_helper_of_pools_is_none_that_is_left_running(record: Recorder) -> None:
    (record.stands / "pool.py").write_text(POOL)
    done = record(PYTHON, "pool.py")
    assert done.returncode == 0
    left = record.receipt("command")["reason"]
    assert left == "1 process(es) that it has started go on without it"  # the sleep, and not what waits for its end
    os.kill(int(done.stdout), signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "says", "hint"),
    [
        (("--engine", "vectorbtt"), "--engine knows no `vectorbtt`", "did you mean `vectorbt`?"),
        (("--nmae", "x"), "unknown option `--nmae`", "did you mean `--name`?"),
        (("--input", "none.csv"), "--input none.csv: no such file", "check the path"),
        (("--pick", "best:sharp"), "--pick knows no statistic `sharp`", "did you mean `sharpe`?"),
    ],
)
def test_wrong_usage_leaves_no_trace_and_says_what_helps(
    record: Recorder, options: tuple[str, ...], says: str, hint: str
) -> None:
    done = record("true", options=options)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert f"hint: {hint}\n" in done.stderr.decode()
    assert not record.results.exists()


@pytest.mark.parametrize("words", [["python", "x.py"], ["--name", "x", "python", "-c", "pass"], ["-c", "pass"]])
def test_a_command_without_its_two_dashes_is_told_where_they_go(record: Recorder, words: list[str]) -> None:
    done = subprocess.run(
        [PYTHON, SCRIPT, "--results-dir", record.results, *words], cwd=record.stands, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"hint: `--` goes before the command: just record -- python my_backtest.py" in done.stderr


@pytest.mark.parametrize(
    ("asked", "watched"),
    [
        ("nautilus", ["nautilus_trader.backtest.engine"]),
        ("nautilus_trader", ["nautilus_trader.backtest.engine"]),
        ("backtesting.py", ["backtesting.backtesting", "backtesting.lib"]),
        ("peak_trade.record", []),
    ],
)
def test_an_engine_is_watched_for_by_each_of_its_names(record: Recorder, asked: str, watched: list[str]) -> None:
    say = "import sys; print([name for one in sys.meta_path for name in getattr(one, 'chosen', ())])"
    assert record(PYTHON, "-c", say, options=("--engine", asked)).stdout.decode() == f"{watched}\n"


@pytest.mark.parametrize(
    ("command", "outcome", "says"),
    [
        ("rm bars.csv", "gone", "bars.csv: No such file or directory: it has no digest"),
        ("rm bars.csv; mkfifo bars.csv", "gone", "bars.csv: it is no file any more: it has no digest"),
        ("echo b >> bars.csv", "changed", "bars.csv changed while it ran: the digest is of the end"),
    ],
)
def test_an_input_that_is_another_by_the_end_is_told(record: Recorder, command: str, outcome: str, says: str) -> None:
    bars = record.stands / "bars.csv"
    bars.write_text("a\n")
    os.utime(bars, (1e9, 1e9))
    assert record("sh", "-c", command, options=("--input", "bars.csv")).returncode == 0
    assert (record.receipt("input")["outcome"], record.receipt("input")["reason"]) == (outcome, says)
    [found] = [one for one in record.predicate["buildDefinition"]["resolvedDependencies"] if one["name"] == "bars.csv"]
    assert found["annotations"][outcome] is True
    assert record.findings == []


def test_what_is_planted_among_the_notes_holds_nobody_up(record: Recorder) -> None:
    planted = "cd $PEAK_RECORD_SPOOL; mkfifo a.frames; echo junk > b.frames; mkdir c.frames; ln -s /dev/zero d.frames"
    assert record("sh", "-c", planted).returncode == 0
    assert record.predicate["status"] == "sealed"
    assert record.findings == []


def test_what_is_no_file_of_the_folder_is_not_collected_and_is_named(record: Recorder) -> None:
    stranger = record.stands.parent / "stranger.csv"
    stranger.write_text("theirs\n")
    command = "mkdir -p o/e.csv; cd o; echo 1 > a.csv; ln -s a.csv b.csv; ln -s ../../stranger.csv c.csv; mkfifo d.csv"
    assert record("sh", "-c", command, options=("--collect", "output=o/*.csv")).returncode == 0
    kept = [path.read_text() for path in sorted((record.run / "outputs/o").iterdir())]
    assert kept == ["1\n", "1\n"]
    said = [one["reason"] for one in record.predicate["receipts"] if one["part"] == "collect"]
    assert said == ["o/c.csv: a symbolic link that leads out of the folder", "o/d.csv: it is no file"]


def test_a_file_elsewhere_that_is_named_itself_is_collected(record: Recorder) -> None:
    stranger = record.stands.parent / "stranger.csv"
    stranger.write_text("theirs\n")
    record("true", options=("--collect", "output=../stranger.csv"))
    assert (record.run / "outputs/stranger.csv").read_text() == "theirs\n"


def test_an_empty_run_id_of_the_environment_is_none(record: Recorder) -> None:
    env = {"PEAK_RUN_ID": "", "PEAK_RUN_DIR": "/somewhere/else"}
    assert record("sh", "-c", "echo said", env=env).stdout == b"said\n"
