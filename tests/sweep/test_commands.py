"""A sweep over a command, in whatever engine: what its rows say, what it leaves, and what a kill takes from it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.evidence.ledger import Ledger, Reading
from peak_trade.evidence.results import Results
from peak_trade.sweep import words
from peak_trade.sweep.axes import Space, axis
from peak_trade.sweep.commanded import _Best
from peak_trade.sweep.keeping import kept_id
from peak_trade.sweep.plan import Grid
from peak_trade.sweep.rows import BLOCKS, KEYS, Row, Rows
from peak_trade.trust import verify

ROOT = Path(__file__).parents[2]
MINE = """
import argparse, datetime, math, os, pathlib, sys
import helper
import peak_trade.record

parser = argparse.ArgumentParser()
parser.add_argument("--fast", type=int)
parser.add_argument("--api-key")
fast = parser.parse_args().fast
with open("ran.txt", "a") as log:
    log.write(f"{fast}\\n")
helper.before(fast)
print("the fast one is", fast)
days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=day) for day in range(300)]
equity = [1000 + helper.edge(fast) * day + 10 * math.sin(day / 3) for day in range(300)]
peak_trade.record.param(fast=fast)
peak_trade.record.equity(equity, index=days, symbol="X")
"""
HELPER = """
def before(fast):
    if fast == 15:
        raise SystemExit(3)

def edge(fast):
    return 5 - abs(fast - 20) / 10
"""


class Bench:
    """A folder with a script of somebody's, and the results of sweeps over it."""

    def __init__(self, home: Path) -> None:
        self.home, self.results = home, home / "results"
        self.write("mine.py", MINE)
        self.write("helper.py", HELPER)

    def write(self, name: str, text: str) -> None:
        (self.home / name).write_text(text)

    def words(self, *options: str, command: tuple[str, ...] = ()) -> list[str]:
        command = command or (sys.executable, "mine.py", "--fast", "{fast}")
        return [
            sys.executable,
            str(ROOT / "scripts/sweep.py"),
            "--results-dir",
            str(self.results),
            "--quiet",
            *options,
            "--",
            *command,
        ]

    def start(self, *options: str, command: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*options, command=command),
            cwd=self.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def sweep(self, *options: str, command: tuple[str, ...] = (), code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*options, command=command), cwd=self.home, text=True, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def parent(self, *options: str, command: tuple[str, ...] = ()) -> Path:
        return self.results / self.sweep(*options, command=command).stdout.strip()

    def ran(self) -> list[int]:
        """Return with what the script was run, in order."""
        path = self.home / "ran.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def alone(self, *command: str) -> Path:
        """Record a command by itself, and return the run."""
        place = self.home / "alone"
        record = [sys.executable, str(ROOT / "scripts/record_run.py"), "--results-dir", str(place), "--quiet"]
        subprocess.run([*record, "--", *command], cwd=self.home, check=False, capture_output=True)
        return place / Ledger(place).read().entries[-1].run_id


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path]:
    """A sweep of ten trials, of which the third fails, with three runs that are kept."""
    bench = Bench(tmp_path_factory.mktemp("swept"))
    return bench, bench.parent("--grid", "fast=5:50:5", "--keep", "3")


def table(run: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(run / "trials.parquet").to_pylist()


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


def until(what: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# --- what a row says ----------------------------------------------------------------------------------------------


def test_a_row_is_what_the_command_comes_to_when_it_is_recorded_alone(swept: tuple[Bench, Path]) -> None:
    bench, parent = swept
    for row in table(parent)[1:4:2]:
        fast = json.loads(row["params"])["fast"]
        alone = bench.alone(sys.executable, "mine.py", "--fast", str(fast))
        results = manifest(alone)["predicate"]["results"]
        assert row["equity_digest"] == results["equity_digest"]
        figures = json.loads((alone / "stats.json").read_text())
        assert {key: row[key] for key in KEYS} == {key: figures.get(key) for key in KEYS}


def test_the_statistics_are_those_of_the_equity_by_a_formula_of_ones_own(swept: tuple[Bench, Path]) -> None:
    for row in table(swept[1]):
        fast = json.loads(row["params"])["fast"]
        if fast != 15:
            equity = [1000 + (5 - abs(fast - 20) / 10) * day + 10 * math.sin(day / 3) for day in range(300)]
            returns = [after / before - 1 for before, after in pairwise(equity)]
            mean = math.fsum(returns) / len(returns)
            spread = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1))
            assert row["sharpe"] == pytest.approx(mean / spread * math.sqrt(365.25), rel=1e-3)
            assert row["final_equity"] == pytest.approx(equity[-1], rel=1e-12)


def test_each_combination_has_its_row_in_order_and_a_failed_one_says_why(swept: tuple[Bench, Path]) -> None:
    rows = table(swept[1])
    assert [json.loads(row["params"]) for row in rows] == [{"fast": fast} for fast in range(5, 55, 5)]
    assert [row["index"] for row in rows if row["status"] == "failed"] == [2]
    assert rows[2]["error"] == "the command ended with exit code 3"
    assert rows[2]["sharpe"] is None and rows[2]["equity_digest"] == ""
    assert next(row["index"] for row in rows if row["chosen"]) == 3  # of fast = 20


def test_the_same_result_of_two_trials_is_named_as_a_duplicate(swept: tuple[Bench, Path]) -> None:
    rows = table(swept[1])
    assert [row["duplicate_of"] for row in rows if json.loads(row["params"])["fast"] in (10, 30)] == [None, 1]


# --- what it leaves -----------------------------------------------------------------------------------------------


def test_the_best_are_runs_of_their_own_and_the_others_leave_a_row_alone(swept: tuple[Bench, Path]) -> None:
    bench, parent = swept
    rows = table(parent)
    kept = manifest(parent)["predicate"]["runDetails"]["metadata"]["kept"]
    best = sorted(
        (row for row in rows if row["sharpe"] and row["duplicate_of"] is None), key=lambda row: -row["sharpe"]
    )
    assert list(map(int, kept)) == [row["index"] for row in best[:3]]
    assert {run.name for run in Results(bench.results).runs()} == {parent.name, *kept.values()}
    for trial, run_id in kept.items():
        predicate = manifest(bench.results / run_id)["predicate"]
        assert predicate["results"]["equity_digest"] == rows[int(trial)]["equity_digest"]
        metadata = predicate["runDetails"]["metadata"]
        assert (metadata["parent"], metadata["trial"], metadata["invocationId"]) == (parent.name, int(trial), run_id)
        assert run_id == kept_id(parent.name, int(trial))
    assert list((bench.results / ".sweeps").iterdir()) == []


def test_the_parents_result_is_that_of_the_best(swept: tuple[Bench, Path]) -> None:
    bench, parent = swept
    best = bench.results / manifest(parent)["predicate"]["runDetails"]["metadata"]["kept"]["3"]
    for name in ("equity.csv", "stats.json", "config_snapshot.toml", "code/mine.py", "code/helper.py"):
        assert (parent / name).read_bytes() == (best / name).read_bytes()
    asked = manifest(parent)["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["sweep"]["command"] == [sys.executable, "mine.py", "--fast", "{fast}"]
    assert asked["command"] == [sys.executable, "mine.py", "--fast", "20"]
    assert asked["sweep"]["grid"] == {"strategy.params.fast": list(range(5, 55, 5))}


def test_what_commands_say_is_kept_in_their_runs_and_shown_nowhere(bench: Bench) -> None:
    done = bench.sweep("--grid", "fast=5,10")
    assert len(done.stdout.split()) == 1 and "the fast one" not in done.stderr
    kept = manifest(bench.results / done.stdout.strip())["predicate"]["runDetails"]["metadata"]["kept"]
    said = {(bench.results / run / "outputs/stdout.txt").read_text() for run in kept.values()}
    assert said == {"the fast one is 5\n", "the fast one is 10\n"}


def test_none_is_kept_where_none_is_asked_for(bench: Bench) -> None:
    parent = bench.parent("--grid", "fast=5,10", "--keep", "0")
    assert [run.name for run in Results(bench.results).runs()] == [parent.name]
    assert (parent / "equity.csv").is_file()


def test_where_all_fail_the_parent_is_a_failed_run_with_its_rows(bench: Bench) -> None:
    bench.write("helper.py", "def before(fast):\n    raise SystemExit(4)\n")
    done = bench.sweep("--grid", "fast=5,10", code=1)
    assert "no trial came to its end: the command ended with exit code 4" in done.stderr
    (parent,) = Results(bench.results).runs()
    assert [row["error"] for row in table(parent)] == ["the command ended with exit code 4"] * 2
    end = Ledger(bench.results).read().of(parent.name).end
    assert end is not None and (end.event, end.fields["trials"], end.fields["trials_failed"]) == ("failed", 2, 2)


def test_a_command_of_which_nothing_is_seen_has_rows_that_say_so(bench: Bench) -> None:
    done = bench.sweep("--grid", "fast=5,10", command=("echo", "{fast}"), code=1)
    assert "no engine was seen" in done.stderr


def test_a_secret_of_the_command_is_written_nowhere(bench: Bench) -> None:
    command = (sys.executable, "mine.py", "--fast", "{fast}", "--api-key", "k-29cf71a")
    bench.sweep("--grid", "fast=5,10", command=command)
    written = [path for path in bench.results.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if b"k-29cf71a" in path.read_bytes()] == []


# --- how many they are --------------------------------------------------------------------------------------------


def test_the_ledger_counts_each_trial_on_its_series(swept: tuple[Bench, Path]) -> None:
    bench, parent = swept
    end = Ledger(bench.results).read().of(parent.name).end
    assert end is not None
    assert (end.fields["kind"], end.fields["trials"], end.fields["trials_failed"]) == ("swept", 10, 1)
    batch = next(one for one in end.fields["trials_on"] if one["symbol"] == "X")
    ratios = [row["sharpe"] for row in table(parent) if row["sharpe"] is not None and row["duplicate_of"] is None]
    assert (batch["count"], batch["failed"], batch["results"]) == (9, 0, len(ratios))
    assert batch["ratios"]["count"] == len(ratios) == 7
    assert batch["ratios"]["mean"] == pytest.approx(np.mean(ratios), rel=1e-12)
    assert batch["ratios"]["variance"] == pytest.approx(np.var(ratios), rel=1e-9)
    assert batch["best"] == max(ratios)


def test_a_command_that_makes_many_trials_counts_as_all_of_them(bench: Bench) -> None:
    again = (
        "for more in range(3):\n    peak_trade.record.equity([one + more for one in equity], index=days, symbol='X')\n"
    )
    bench.write("mine.py", MINE.replace('peak_trade.record.equity(equity, index=days, symbol="X")\n', again))
    parent = bench.parent("--grid", "fast=5,10")
    end = Ledger(bench.results).read().of(parent.name).end
    assert end is not None and end.fields["trials"] == 6
    assert [row["index"] for row in table(parent)] == [0, 1]
    lines = (parent / "commands.csv").read_text().splitlines()
    assert lines[0] == "index,engine,trials,exit_code" and [line.split(",")[2] for line in lines[1:]] == ["3", "3"]


def test_a_trials_start_is_on_disk_before_its_command_runs(bench: Bench) -> None:
    bench.write(
        "helper.py",
        HELPER + "import os, pathlib\n"
        "def before(fast):\n"
        "    place = pathlib.Path(os.environ['PEAK_RUN_DIR']).parents[2]\n"
        "    ledger = (place / 'ledger.jsonl').read_text()\n"
        '    assert f\'"run_id":"{os.environ["PEAK_RUN_ID"]}"\' in ledger, ledger\n'
        "    above = (place.parents[2] / 'ledger.jsonl').read_text()\n"
        "    assert place.parent.name in above\n",
    )
    assert [row["status"] for row in table(bench.parent("--grid", "fast=5,10"))] == ["done", "done"]


# --- going on -----------------------------------------------------------------------------------------------------

SLOW = (
    HELPER
    + """
import os, time
def before(fast):
    with open(f"pid-{fast}", "w") as file:
        file.write(str(os.getpid()))
    while fast > 10 and not os.path.exists("go"):
        time.sleep(0.02)
"""
)


def alive(bench: Bench, fast: int) -> bool:
    try:
        os.kill(int((bench.home / f"pid-{fast}").read_text()), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    return True


def test_the_same_command_again_does_nothing(bench: Bench) -> None:
    first = bench.parent("--grid", "fast=5,10")
    assert bench.parent("--grid", "fast=5,10") == first
    assert sorted(bench.ran()) == [5, 10]
    assert bench.parent("--grid", "fast=5,10", "--again") != first  # the control
    assert sorted(bench.ran()) == [5, 5, 10, 10]


@pytest.mark.parametrize("name", ["mine.py", "helper.py"])
def test_after_a_file_has_changed_the_same_command_is_another_sweep(bench: Bench, name: str) -> None:
    first = bench.parent("--grid", "fast=5,10")
    with (bench.home / name).open("a") as file:
        file.write("# another\n")
    done = bench.sweep("--grid", "fast=5,10")
    assert (
        bench.results / done.stdout.strip() != first and "another than when the same command was swept" in done.stderr
    )
    assert sorted(bench.ran()) == [5, 5, 10, 10]


def rows_there(bench: Bench) -> int:
    return len(list((bench.results / ".sweeps").glob("*/rows/0-*")))


def test_killed_it_goes_on_and_what_is_done_is_not_done_again(bench: Bench) -> None:
    bench.write("helper.py", SLOW)
    killed = bench.start("--grid", "fast=5,10,20,25", "--jobs", "2")
    until(lambda: rows_there(bench) == 2 and alive(bench, 20) and alive(bench, 25))
    killed.kill()
    killed.communicate()
    until(lambda: not alive(bench, 20) and not alive(bench, 25))  # none outlives it
    (bench.home / "go").touch()
    parent = bench.parent("--grid", "fast=5,10,20,25", "--jobs", "2")
    assert [row["status"] for row in table(parent)] == ["done"] * 4
    ran = bench.ran()
    assert ran.count(5) == ran.count(10) == 1
    end = Ledger(bench.results).read().of(parent.name).end
    assert end is not None and end.fields["trials"] == len(ran)  # those that were cut short were begun, too
    assert len(Ledger(bench.results).read().runs) == 1 + 4  # the parent, and four that are kept


def test_ctrl_c_ends_the_commands_and_keeps_what_is_done(bench: Bench) -> None:
    bench.write("helper.py", SLOW)
    sweep = bench.start("--grid", "fast=5,10,20,25", "--jobs", "2")
    until(lambda: rows_there(bench) == 2 and alive(bench, 20) and alive(bench, 25))
    sweep.send_signal(signal.SIGINT)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, said
    assert "2 trials are done and kept" in said and "the same command goes on where it stopped" in said
    assert not alive(bench, 20) and not alive(bench, 25)
    (run_id,) = Ledger(bench.results).read().runs
    place = ["--results-dir", str(bench.results)]
    along = subprocess.run([sys.executable, str(ROOT / "scripts/sweep.py"), "--join", run_id[:8], *place],
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert along.returncode == 2 and "a sweep over a command is made by one process" in along.stderr
    noted = Ledger(bench.results).read().of(run_id).entries[-1]
    assert (noted.event, noted.fields["trials"]) == ("tried", 4)
    (bench.home / "go").touch()
    assert bench.parent("--grid", "fast=5,10,20,25", "--jobs", "2").name == run_id
    assert bench.ran().count(5) == bench.ran().count(10) == 1


def test_a_command_that_takes_too_long_is_a_row_that_says_so(bench: Bench) -> None:
    bench.write("helper.py", SLOW)
    parent = bench.parent("--grid", "fast=5,20", "--timeout", "3")
    assert [row["error"] for row in table(parent)] == ["", "the command ran longer than 3 s"]
    assert not alive(bench, 20)


def test_so_many_commands_run_at_once(bench: Bench) -> None:
    """Each waits for the other: one after the other they would never end."""
    bench.write(
        "helper.py",
        HELPER + "import os, time\n"
        "def before(fast):\n"
        "    open(f'here-{fast}', 'w').close()\n"
        "    end = time.monotonic() + 30\n"
        "    while not all(os.path.exists(f'here-{one}') for one in (5, 10)):\n"
        "        assert time.monotonic() < end\n"
        "        time.sleep(0.02)\n",
    )
    assert [row["status"] for row in table(bench.parent("--grid", "fast=5,10", "--jobs", "2"))] == ["done", "done"]


LEAVES = """
import datetime, os, sys, time
fast, name = int(sys.argv[1]), sys.argv[2]
with open(name, "w") as out:
    out.write("time,equity\\n")
    for day in range(300):
        equity = 1000 + fast * day + day % 7
        out.write(f"{datetime.date(2020, 1, 1) + datetime.timedelta(day)},{equity}\\n")
open(f"left-{fast}", "w").close()
end = time.monotonic() + WAIT
while os.path.exists("together") and not all(os.path.exists(f"left-{one}") for one in (5, 10)):
    if time.monotonic() > end:
        break
    time.sleep(0.02)
"""


def final(row: dict[str, Any]) -> float:
    return float(row["final_equity"])


def test_commands_that_leave_the_same_file_run_one_after_the_other(bench: Bench) -> None:
    """Each waits for the other, so at once both would be found with the file of one."""
    bench.write("leaves.py", LEAVES.replace("WAIT", "1.5"))
    bench.write("together", "")
    command = (sys.executable, "leaves.py", "{fast}", "equity.csv")
    rows = table(bench.parent("--grid", "fast=5,10", "--collect", "equity=equity.csv", command=command))
    assert [final(row) for row in rows] == [1000 + 5 * 299 + 5, 1000 + 10 * 299 + 5]
    said = bench.sweep(
        "--grid", "fast=5,10", "--jobs", "2", "--collect", "equity=equity.csv", command=command, code=2
    ).stderr  # fmt: skip
    assert "would leave the same files: --collect equity=equity.csv does not name every key" in said


def test_commands_that_leave_files_by_their_keys_run_at_once_and_are_replayed(bench: Bench) -> None:
    bench.write("leaves.py", LEAVES.replace("WAIT", "30").replace("break", "sys.exit(1)"))
    bench.write("together", "")
    parent = bench.parent(
        "--grid", "fast=5,10", "--jobs", "2", "--collect", "equity=eq-{fast}.csv",
        command=(sys.executable, "leaves.py", "{fast}", "eq-{fast}.csv"),
    )  # fmt: skip
    assert [final(row) for row in table(parent)] == [1000 + 5 * 299 + 5, 1000 + 10 * 299 + 5]
    done = replayed(bench, parent.name, "--trial", "1")
    assert "trial 1 (fast = 10): IDENTICAL" in done.stdout, done.stdout + done.stderr


# --- which runs are held ------------------------------------------------------------------------------------------


def done_row(number: int, value: float, digest: int) -> Row:
    values = np.full(len(KEYS), np.nan)
    values[KEYS.index("sharpe")] = value
    return Row({"x": number}, -1, "", "", values, (f"{digest:064x}",) * 2, np.zeros((2, BLOCKS)), 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_of_runs_that_are_removed_on_the_way_none_would_have_been_among_the_best(tmp_path: Path, seed: int) -> None:
    """In whatever order trials come, with equals, duplicates and failures among them."""
    draw, count, keep = random.Random(seed), 200, 3
    made = []
    for number in range(count):
        kind = draw.choice((1, 2, 3, 4, 5, 6, 7, 8, 9))
        made.append(
            Row({"x": number}, -1, "", "no", None, None, None, 0.0)
            if kind == 9
            else done_row(number, kind // 2, 1 + kind)
            if kind < 4
            else done_row(number, draw.choice((0.1, 0.2, 0.3)), 100 + number)
        )
    plan = Grid(Space((axis("x=0:199:1"),)))  # type: ignore[arg-type] # no range
    recorder = SimpleNamespace(runs=Results(tmp_path), run_id=lambda number: kept_id("p", number))
    held = _Best(SimpleNamespace(keep=keep, plan=plan), recorder)  # type: ignore[arg-type] # what it asks for alone
    for number in draw.sample(range(count), count):
        (tmp_path / kept_id("p", number)).mkdir()
        held.take(0, [number], Rows.of([made[number]]))
    there = {run.name for run in Results(tmp_path).runs()}
    assert {kept_id("p", at) for at in plan.best(Rows.of(made))[:keep]} <= there
    assert len(there) <= 2 * keep + 33


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((), "there is no command after `--`"),
        (("python", "mine.py"), "the command has no placeholder"),
        (("python", "mine.py", "{fats}"), "`{fats}` is none of the keys that are varied"),
        (("python", "{fast}", "{slow}"), "`{slow}` is none of the keys that are varied"),
        (("python", "mine.py", "{fast"), "`{fast` has a brace without its other"),
        (("python", "mine.py", "{fast}}"), "`{fast}}` has a brace without its other"),
    ],
)
def test_a_command_with_other_placeholders_than_keys_is_refused(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as refused:
        words.check(command, ["strategy.params.fast"])
    assert said in refused.value.message and refused.value.hint


def test_a_key_that_no_placeholder_names_is_refused() -> None:
    with pytest.raises(InputError, match="slow is varied, and nothing in the command says so"):
        words.check(["python", "{fast}"], ["strategy.params.fast", "strategy.params.slow"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--walk-forward", "train=90d", "test=30d"), "a command can't be walked forward"),
        (("--memory-limit", "1G"), "--memory-limit is for workers, not for commands"),
        (("--executor", "dask", "--scheduler", "tcp://127.0.0.1:1"), "the commands of a sweep run on this machine"),
        (("--set", "run.seed=2"), "--set changes a config, and a command has none"),
        (("--maximize", "sharpe", "--minimize", "sharpe"), "argument --minimize: not allowed with argument --maximize"),
        (("--keep", "many"), "argument --keep: 'many' is neither a number nor `all`"),
    ],
)
def test_what_a_command_can_not_have_is_refused(bench: Bench, options: tuple[str, ...], said: str) -> None:
    assert said in bench.sweep("--grid", "fast=5,10", *options, code=2).stderr
    assert not bench.results.exists()


def test_what_is_refused_leaves_no_trace(bench: Bench) -> None:
    done = bench.sweep("--grid", "fast=5,10", command=(sys.executable, "mine.py", "{slow}"), code=2)
    assert "`{slow}` is none of the keys that are varied" in done.stderr
    bench.sweep("--grid", "fast=5,10", command=("no-such-program", "{fast}"), code=127)
    bench.sweep("config.toml", "--grid", "fast=5,10", code=2)
    assert not bench.results.exists()


def test_a_value_in_quotes_reaches_the_command_with_its_commas_and_without_its_quotes(bench: Bench) -> None:
    command = (sys.executable, "-c", "import sys; open('got.txt', 'a').write(sys.argv[1] + '\\n')", "{kind}")
    bench.sweep("--grid", """kind="a,b",'say "c, d"',e""", "--jobs", "1", command=command, code=1)
    assert (bench.home / "got.txt").read_text().splitlines() == ["a,b", 'say "c, d"', "e"]


def test_braces_of_the_command_are_doubled() -> None:
    command = ["sh", "-c", "echo '{{\"fast\": {fast}}}' ${{HOME}} {on} {share}"]
    words.check(command, ["strategy.params.fast", "strategy.params.on", "strategy.params.share"])
    told = {"strategy.params.fast": 5, "strategy.params.on": True, "strategy.params.share": 0.1}
    assert words.filled(command, told) == ["sh", "-c", "echo '{\"fast\": 5}' ${HOME} true 0.1"]


# --- other plans, real engines ------------------------------------------------------------------------------------


def test_a_command_is_searched_by_optuna(bench: Bench) -> None:
    optuna = pytest.importorskip("optuna", reason="just setup search")
    parent = bench.parent("--grid", "fast=1:40:1", "--optuna", "12", "--batch", "4", "--seed", "1", "--keep", "1")
    rows = table(parent)
    assert len(rows) == 12
    backend = optuna.storages.journal.JournalFileBackend(str(parent / "study.journal"))
    study = optuna.load_study(study_name=parent.name, storage=optuna.storages.JournalStorage(backend))
    assert [one.params["strategy.params.fast"] for one in study.trials] == [
        json.loads(row["params"])["fast"] for row in rows
    ]
    again = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1, constant_liar=True))
    for first in range(0, 12, 4):
        asked = [again.ask() for _ in range(4)]
        for trial in asked:
            assert trial.suggest_int("strategy.params.fast", 1, 40) == json.loads(rows[trial.number]["params"])["fast"]
        for trial in asked:
            ratio = rows[trial.number]["sharpe"]
            again.tell(trial, ratio) if ratio is not None else again.tell(trial, state=optuna.trial.TrialState.FAIL)
        assert first >= 0


BACKTESTING = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from backtesting import Backtest, Strategy

class Cross(Strategy):
    fast = 5
    def init(self):
        mean = lambda close, n: pd.Series(close).rolling(n).mean()
        self.quick, self.slow = self.I(mean, self.data.Close, self.fast), self.I(mean, self.data.Close, 30)
    def next(self):
        if self.quick[-1] > self.slow[-1] and not self.position:
            self.buy()
        elif self.quick[-1] < self.slow[-1] and self.position:
            self.position.close()

close = 100 + np.cumsum(np.sin(np.arange(400) / 9) + 0.02)
bars = pd.DataFrame({"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 1.0},
                    index=pd.date_range("2020-01-01", periods=400))
print(Backtest(bars, Cross, cash=10_000, commission=0.001).run(fast=int(sys.argv[1]))["Equity Final [$]"])
"""


def test_backtesting_py_is_swept_with_its_own_trades(bench: Bench) -> None:
    pytest.importorskip("backtesting")
    bench.write("cross.py", BACKTESTING)
    parent = bench.parent("--grid", "fast=5,10,15", command=(sys.executable, "cross.py", "{fast}"))
    for row in table(parent):
        said = subprocess.run(
            [sys.executable, "cross.py", str(json.loads(row["params"])["fast"])],
            cwd=bench.home, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert row["final_equity"] == pytest.approx(float(said), rel=1e-12)
        assert row["trades"] > 0 and row["trades_digest"]
    assert "backtesting" in (parent / "commands.csv").read_text()


# --- is it what it says -------------------------------------------------------------------------------------------


def verified(bench: Bench, run: Path) -> verify.Verdict:
    return verify.verify(run, Results(bench.results).reading())


def test_the_parent_and_what_was_kept_of_it_are_intact(swept: tuple[Bench, Path]) -> None:
    bench, _ = swept
    runs = Results(bench.results).runs()
    verdicts = {run.name: verified(bench, run) for run in runs}
    assert len(runs) == 4 and [one for one in verdicts.values() if not one.holds] == []


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("trials.parquet", lambda table: table.set_column(1, "chosen", [[at == 4 for at in range(10)]]), "chosen"),
        ("trials.parquet", lambda table: table.slice(0, 9), "rows, one for each combination"),
        ("commands.csv", None, "a row for each of 10 trials"),
    ],
)
def test_a_parent_that_says_something_else_is_broken(
    swept: tuple[Bench, Path], tmp_path: Path, name: str, content: Any, found: str
) -> None:
    """Changed and sealed anew, with a ledger that bears it out: only what the files say of each other tells."""
    import pyarrow.parquet as pq

    forged = tmp_path / swept[1].name
    shutil.copytree(swept[1], forged)
    if content is None:
        (forged / name).write_text("index,engine,trials,exit_code\n0,peak_trade.record,1,0\n")
    else:
        pq.write_table(content(pq.read_table(forged / name)), forged / name)
    statement = manifest(forged)
    for subject in statement["subject"]:
        if subject["name"] == name:
            subject["digest"]["sha256"] = hashlib.sha256((forged / name).read_bytes()).hexdigest()
    (forged / "manifest.json").write_bytes(json.dumps(statement).encode())
    (forged / "seal.json").unlink()
    verdict = verify.verify(forged, Reading(), copy=True)
    assert any(found in str(one) for one in verdict.findings), verdict.findings


def test_a_sweep_that_is_given_up_counts_what_its_commands_made(bench: Bench) -> None:
    bench.write("helper.py", SLOW)
    killed = bench.start("--grid", "fast=5,10,20,25", "--jobs", "2")
    until(lambda: rows_there(bench) == 2 and alive(bench, 20) and alive(bench, 25))
    killed.kill()
    killed.communicate()
    until(lambda: not alive(bench, 20) and not alive(bench, 25))
    (run_id,) = Ledger(bench.results).read().runs
    subprocess.run(
        [sys.executable, str(ROOT / "scripts/sweep.py"), "--results-dir", str(bench.results), "--abandon", run_id[:8]],
        check=True, capture_output=True,
    )  # fmt: skip
    end = Ledger(bench.results).read().of(run_id).end
    assert end is not None and (end.event, end.fields["trials"]) == ("abandoned", 4)


def replayed(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/replay_run.py"), "--results-dir", str(bench.results), *words],
        cwd=bench.home, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_any_row_is_made_again_from_the_parent_alone(swept: tuple[Bench, Path]) -> None:
    bench, parent = swept
    ran = len(bench.ran())
    done = replayed(bench, parent.name, "--trial", "0", "2-3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("IDENTICAL") and "3 of 10 trials of a command" in done.stdout
    assert len(bench.ran()) == ran  # it ran in a folder of its own


def test_a_row_that_is_not_what_its_command_comes_to_is_told(bench: Bench) -> None:
    bench.write("helper.py", HELPER.replace("return 5", "import uuid\n    return uuid.uuid4().int % 7919 / 7919 + 5"))
    parent = bench.parent("--grid", "fast=5,10")
    done = replayed(bench, parent.name, "--trial", "1")
    assert done.returncode == 1, done.stdout
    assert "trial 1 (fast = 10): DIVERGED" in done.stdout
    assert "made twice, they came to other values each time" in done.stdout
