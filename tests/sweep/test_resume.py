"""A sweep is made once: whatever ends its process, the same command goes on, and comes to the same bytes."""

from __future__ import annotations

import json
import os
import random
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.sweep.conftest import ROOT, Bed, Swept, ledger, sealed

from peak_trade.evidence.results import Results
from peak_trade.sweep.rows import Rows
from peak_trade.trust.luck.family import families

GRID = ("--grid", "n=2:41:1", "--keep", "3")  # forty trials
SLOW = """
def traded(bars, *, n=3):
    time.sleep(0.02)
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
"""


@pytest.fixture
def slow(bed: Bed) -> Bed:
    """A bed whose strategy takes 20 ms."""
    bed.strategy(SLOW)
    return bed


def events(bed: Bed, run_id: str) -> list[str]:
    return [line["event"] for line in ledger(bed.results) if line["run_id"] == run_id]


def wait_for_rows(bed: Bed, process: subprocess.Popen[str]) -> None:
    """Wait until a sweep has rows on disk."""
    end = time.monotonic() + 60
    while not list(bed.results.glob(".sweeps/*/rows/[0-9]*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def stopped(bed: Bed, number: signal.Signals, *options: str) -> Swept:
    """Start a sweep, and send it a signal once it has made some trials."""
    process = bed.start(*(options or GRID), "--jobs", "1")
    wait_for_rows(bed, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Swept(process.returncode, out, err, bed.results)


def other(bed: Bed) -> Path:
    return bed.home / "elsewhere"


def script(name: str, bed: Bed, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / name), *words, "--results-dir", str(bed.results)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=bed.home)


@pytest.mark.slow
def test_killed_at_any_instant_it_goes_on_and_comes_to_the_same_bytes(slow: Bed) -> None:
    control = slow.sweep(*GRID, results=other(slow))
    lot, kills = random.Random(11), 0
    for _ in range(12):
        process = slow.start(*GRID)
        try:
            process.communicate(timeout=lot.uniform(0.3, 1.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    swept = slow.sweep(*GRID)
    assert kills >= 5
    assert swept.sealed == control.sealed
    lines = ledger(slow.results)
    parents = [line for line in lines if line.get("kind") == "swept" and line["event"] == "start"]
    assert len(parents) == 1
    sealed_runs = [line["run_id"] for line in lines if line["event"] == "sealed"]
    assert len(sealed_runs) == len(set(sealed_runs)) == 4  # the parent, and three that were kept
    assert not list(slow.results.glob(".sweeps/*"))
    assert script("verify_runs.py", slow, "--all").returncode == 0


def test_a_row_that_is_not_what_was_made_shows_in_the_bytes(slow: Bed) -> None:
    """The control: rows that are on disk are taken, and not made again."""
    control = slow.sweep(*GRID, results=other(slow))
    assert stopped(slow, signal.SIGKILL).code == -signal.SIGKILL
    path = sorted(slow.results.glob(".sweeps/*/rows/[0-9]*"))[0]
    rows = Rows.decode(path.read_bytes())
    changed = msgspec.structs.replace(rows, values=rows.values + 1.0)
    path.chmod(0o600)
    path.write_bytes(changed.encode())
    assert slow.sweep(*GRID).sealed["trials.parquet"] != control.sealed["trials.parquet"]


def test_interrupted_it_says_how_to_go_on_and_counts_what_is_done(slow: Bed) -> None:
    first = stopped(slow, signal.SIGINT)
    assert first.code == 130
    assert "trials are done and kept" in first.stderr
    assert "the same command goes on where it stopped; just sweep --abandon" in first.stderr
    (line,) = [line for line in ledger(slow.results) if line["event"] == "tried"]
    done = line["trials"]
    assert 0 < done < 40
    (family,) = families(Results(slow.results).reading())
    assert family.trials == done
    second = slow.sweep(*GRID)
    assert f"goes on as {line['run_id'][:8]}: {done} trial" in second.stderr
    assert second.path.name == line["run_id"]
    (family,) = families(Results(slow.results).reading())
    assert family.trials == 40


def interrupted_in_keeping(bed: Bed, lot: random.Random, *options: str) -> bool:
    """Start a sweep, and send Ctrl-C to all its processes while runs are kept; tell whether it came to its end before.

    Each run that is named in the results is whole then, whatever came of it.
    """
    process = bed.start(*options, start_new_session=True)
    before = len(begun_as_kept(bed))
    end = time.monotonic() + 60
    while len(begun_as_kept(bed)) == before and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(lot.uniform(0.0, 0.15))
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err
    ended = process.returncode == 0
    assert ended or "trials are done and kept\nhint: the same command goes on where it stopped" in err
    assert "Traceback" not in err
    for path in Results(bed.results).runs():
        assert sealed(path)
    return ended


def begun_as_kept(bed: Bed) -> list[str]:
    """Return the run_ids of the runs of trials that have begun."""
    path = bed.results / "ledger.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    entries = [json.loads(line) for line in lines]
    return [entry["run_id"] for entry in entries if entry["event"] == "start" and "parent" in entry]


@pytest.mark.parametrize(
    ("pause", "options"),
    [
        ("0.04", ("--grid", "n=2:21:1")),  # quick ones, many in a batch, which comes to its end
        ("0.3", ("--grid", "n=2:9:1")),  # each a batch of its own
    ],
)
def test_interrupted_while_the_best_are_kept_it_loses_nothing(bed: Bed, pause: str, options: tuple[str, ...]) -> None:
    options += ("--keep", "all", "--set", "run.probe=off")
    bed.strategy(SLOW.replace("0.02", pause))
    control = bed.sweep(*options, results=other(bed))
    lot = random.Random(7)
    ends = [interrupted_in_keeping(bed, lot, *options)]
    assert ends == [False]  # the control of what follows: it was interrupted
    assert begun_as_kept(bed)
    while not ends[-1] and len(ends) < 3:
        ends.append(interrupted_in_keeping(bed, lot, *options))
    swept = bed.sweep(*options)
    assert swept.sealed == control.sealed
    assert "did not come out again" not in swept.stderr
    told, expected = (
        json.loads((one.path / "manifest.json").read_text())["predicate"]["runDetails"]["metadata"]["kept"]
        for one in (swept, control)
    )
    assert told.keys() == expected.keys()
    for trial, run_id in told.items():
        assert sealed(swept.results / run_id) == sealed(control.results / expected[trial])
        assert events(bed, run_id)[-1] == "sealed"
    (family,) = families(Results(bed.results).reading())
    assert family.trials == len(told) == len(swept.rows)
    failed = {path.name for path in Results(bed.results).runs()} - {swept.path.name, *told.values()}
    assert not failed or pause == "0.3"  # of a long one what was under way is a failed run, and made again
    assert os.listdir(bed.results / ".working") == []
    assert script("verify_runs.py", bed, "--all").returncode == 0


def test_the_same_command_does_nothing_where_all_is_there(bed: Bed) -> None:
    first = bed.sweep(*GRID)
    before = (bed.results / "ledger.jsonl").read_bytes()
    second = bed.sweep("--grid", "strategy.params.n=2:41:1")  # said otherwise, and more kept
    assert second.path == first.path
    assert "nothing to do" in second.stderr
    assert (bed.results / "ledger.jsonl").read_bytes() == before


def test_again_makes_another_one_with_the_same_bytes(bed: Bed) -> None:
    first = bed.sweep(*GRID)
    second = bed.sweep(*GRID, "--again")
    assert second.path != first.path
    assert second.sealed == first.sealed


@pytest.mark.parametrize(("what", "file"), [("data", "bars.csv"), ("code", "strategy.py")])
def test_of_other_data_or_code_a_new_sweep_begins_and_says_so(bed: Bed, what: str, file: str) -> None:
    first = bed.sweep(*GRID)
    path = bed.home / file
    text = path.read_text()
    path.write_text(text.rstrip().rpartition("\n")[0] + "\n" if what == "data" else f"{text}\n# another line\n")
    second = bed.sweep(*GRID)
    assert second.path != first.path
    assert f"the same command has made {first.path.name[:8]}, of other {what} than there is now" in second.stderr


def test_another_grid_config_or_seed_is_another_sweep(bed: Bed) -> None:
    found = {
        bed.sweep(*options, "--keep", "0").path.name
        for options in (GRID[:2], ("--grid", "n=2:40:1"), (*GRID[:2], "--set", "execution.fee_bps=3"),
                        (*GRID[:2], "--random", "9"), (*GRID[:2], "--random", "9", "--seed", "2"),
                        (*GRID[:2], "--minimize", "max_drawdown"))
    }  # fmt: skip
    assert len(found) == 6


def test_two_same_commands_at_once_make_one_sweep(slow: Bed) -> None:
    first, second = slow.start(*GRID), slow.start(*GRID)
    ends = {process.communicate(timeout=60): process.returncode for process in (first, second)}
    assert sorted(ends.values()) == [0, 1]
    (refused,) = [err for (_, err), code in ends.items() if code == 1]
    assert "another process is making this sweep" in refused
    assert len([line for line in ledger(slow.results) if line.get("kind") == "swept" and line["event"] == "start"]) == 1


@pytest.mark.slow
def test_eight_sweeps_at_once_into_one_folder_are_all_sealed_and_counted(bed: Bed) -> None:
    started = [bed.start("--grid", f"n={first}:{first + 9}:1", "--keep", "2") for first in range(2, 82, 10)]
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    (family,) = families(Results(bed.results).reading())
    assert (family.trials, family.broken) == (80, 0)
    assert len(Results(bed.results).runs()) == 8 * 3
    assert script("verify_runs.py", bed, "--all").returncode == 0


@pytest.mark.parametrize("most", [2_000, 6_000, 20_000, 33_000])  # bytes of a file: from the first rows to the table
def test_on_a_full_disk_it_ends_with_a_sentence_and_goes_on_when_there_is_room(bed: Bed, most: int) -> None:
    control = bed.sweep(*GRID, results=other(bed))

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    first = bed.sweep(*GRID, preexec_fn=full)
    assert first.code == 1
    assert "File too large" in first.stderr
    assert "the same command goes on" in first.stderr or most == 2_000  # of which START is not written
    second = bed.sweep(*GRID)
    assert second.sealed == control.sealed
    assert "did not come out again" not in second.stderr
    assert script("verify_runs.py", bed, "--all").returncode == 0


def test_a_sweep_that_stopped_is_named_by_doctor_with_the_command_that_goes_on(slow: Bed) -> None:
    stopped(slow, signal.SIGKILL)
    run_id = ledger(slow.results)[0]["run_id"]
    told = script("doctor.py", slow).stdout
    line = next(line for line in told.splitlines() if run_id[:8] in line)
    assert "stopped before its end; it goes on with: just sweep" in line
    assert f"just sweep --abandon {run_id[:8]}" in line
    assert events(slow, run_id)[-1] != "abandoned"
    words = shlex.split(line.partition("goes on with: just sweep ")[2].partition("  (")[0])
    assert subprocess.run([sys.executable, str(ROOT / "scripts/sweep.py"), *words], check=False).returncode == 0
    assert events(slow, run_id)[-1] == "sealed"


def test_a_sweep_that_is_given_up_is_sealed_as_failed_with_its_trials_counted(slow: Bed) -> None:
    stopped(slow, signal.SIGINT)
    run_id = ledger(slow.results)[0]["run_id"]
    done = ledger(slow.results)[-1]["trials"]
    given_up = script("sweep.py", slow, "--abandon", run_id[:8])
    assert (given_up.returncode, given_up.stdout.strip()) == (0, run_id)
    last = ledger(slow.results)[-1]
    assert (last["event"], last["trials"], last["trials_on"][0]["count"]) == ("abandoned", done, done)
    assert "trials.parquet" in sealed(slow.results / run_id)
    (family,) = families(Results(slow.results).reading())
    assert family.trials == done
    assert slow.sweep(*GRID).path.name != run_id
    assert script("verify_runs.py", slow, "--all").returncode == 0


def test_what_is_no_sweep_that_stopped_is_not_given_up(bed: Bed) -> None:
    path = bed.sweep("--grid", "n=2,3", "--keep", "0").path
    for which, message in (
        (path.name, "is no sweep that stopped: it is sealed"),
        ("nothing", "is the start of no run"),
    ):
        refused = script("sweep.py", bed, "--abandon", which)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in refused.stderr


def test_it_is_refused_before_anything_is_written(bed: Bed) -> None:
    for options in (("--grid", "m=1,2"), ("--grid", "run.name=a,b"), ("--grid", "n=1,2", "--maximize", "x"), ()):
        refused = bed.sweep(*options)
        assert (refused.code, refused.stdout) == (2, "")
        assert "hint:" in refused.stderr
    assert not list(bed.results.glob("*"))


def test_what_it_means_is_said_on_stderr_and_not_when_quiet(bed: Bed) -> None:
    loud = bed.sweep("--grid", "n=2,3")
    assert "2 trials on" in loud.stderr
    assert len(loud.stdout.splitlines()) == 1
    quiet = bed.sweep("--grid", "n=4,5", "--quiet", "--set", "run.probe=off")
    assert quiet.stderr == ""


def test_json_is_what_show_prints(bed: Bed) -> None:
    told = json.loads(bed.sweep("--grid", "n=2,3", "--json").stdout)
    assert told["run_id"] in os.listdir(bed.results)
    shown = json.loads(script("show_run.py", bed, told["run_id"], "--json").stdout)
    assert told == {key: shown[key] for key in told}
