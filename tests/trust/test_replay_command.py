"""A recorded command run again gives its verdict, and what may be behind another answer is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = """
import sys, math
import peak_observer.start as start
FACTOR = {factor}
closes = [float(line) for line in open('data.csv')]
times = [1_600_000_000_000_000_000 + 86_400_000_000_000 * n for n in range(len(closes))]
equity = [1000.0 * FACTOR * close for close in closes]
start.NOTE.write(
    "trial",
    dict(engine="own", version="1", call="run", column=None, label="", strategy="S", params=dict(a=1), own={{}},
         symbols=["A"], bars=[], currency="USD", initial_cash=1000.0, status="done", error="", started_ns=1,
         duration_s=0.1, notes=[]),
    {{"timestamp": ("i8", times), "equity": ("f8", equity)}},
)
"""


class Desk:
    """A folder in which commands are recorded, and runs made again."""

    def __init__(self, path: Path) -> None:
        self.folder, self.results = path / "desk", path / "results"
        self.folder.mkdir()
        self.put("data.csv", "".join(f"{1 + n / 100}\n" for n in range(40)))

    def put(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def _call(self, script: str, *words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PEAK_")} | variables
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / script), "--results-dir", str(self.results), *words],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
            input=stdin,
        )  # fmt: skip

    def record(self, *words: str, **variables: str) -> str:
        done = self._call("record_run.py", *words, **variables)
        self.run = done.stderr.splitlines()[-1]
        return self.run

    def python(self, code: str, **options: str) -> str:
        self.put("bt.py", code)
        return self.record("--", sys.executable, "bt.py", **options)

    def replay(self, *words: str, **variables: str) -> dict[str, Any]:
        done = self._call("replay_run.py", self.run, "--json", *words, **variables)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (found["verdict"] in ("DIVERGED", "UNKNOWN"))
        return found

    def refusal(self, *words: str) -> str:
        done = self._call("replay_run.py", self.run, *words)
        assert done.returncode == 2, done.stdout
        return done.stderr


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_it_says_and_leaves_is_the_same_again(desk: Desk) -> None:
    desk.put("own/__init__.py", "x = 1\n")
    desk.python("import own\nopen('out.txt', 'w').write('1')\nprint(open('data.csv').read())\n")
    desk.put("own/__init__.py", "x = 2\nprint('other')\n")  # the sealed one is run
    (desk.folder / "out.txt").unlink()
    assert desk.replay()["verdict"] == "IDENTICAL"
    assert not (desk.folder / "out.txt").exists()  # it ran elsewhere
    found = desk.replay("--code", "here")
    assert found["verdict"] == "DIVERGED"
    assert found["causes"][0]["input"]["name"] == "own/__init__.py"


def test_equity_is_held_against_what_was_sealed(desk: Desk) -> None:
    desk.python(ENGINE.format(factor=1.0))
    assert desk.replay()["verdict"] == "IDENTICAL"
    desk.put("bt.py", ENGINE.format(factor="(1.0 + 1e-12)"))
    assert desk.replay("--code", "here")["verdict"] == "WITHIN_TOLERANCE"
    desk.put("bt.py", ENGINE.format(factor="(1.001 if len(sys.argv) else 1)"))
    found = desk.replay("--code", "here")
    assert found["verdict"] == "DIVERGED"
    assert found["bar"]["time"].startswith("2020-09-13")
    assert (found["bar"]["a"], found["bar"]["b"]) == (1000.0, pytest.approx(1001.0))


def test_an_input_that_is_another_now_is_the_cause(desk: Desk) -> None:
    desk.python(ENGINE.format(factor=1.0))
    desk.put("data.csv", "".join(f"{1 + n / 50}\n" for n in range(40)))
    found = desk.replay()
    assert found["verdict"] == "DIVERGED"
    assert found["causes"][0]["input"]["name"] == "data.csv"


def test_an_input_that_is_gone_is_named_and_found_where_it_is_said_to_be(desk: Desk, tmp_path: Path) -> None:
    desk.python(ENGINE.format(factor=1.0))
    (desk.folder / "data.csv").rename(tmp_path / "moved.csv")
    assert "what the command read is gone: data.csv" in desk.refusal()
    assert desk.replay("--data", str(tmp_path / "moved.csv"))["verdict"] == "IDENTICAL"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time\nprint(time.time())\n", "its code reads the clock (bt.py:2 time.time)"),
        ("import random\nprint(random.random())\n", "it draws random numbers without a seed (bt.py:2 random.random)"),
        (
            "import subprocess, sys\nsubprocess.run([sys.executable, '-I', '-c', 'import os; print(os.getpid())'])\n",
            "it started processes that were not seen (python -I)",
        ),
    ],
)
def test_another_answer_that_nobody_can_tell_the_reason_of_is_unknown(desk: Desk, code: str, reason: str) -> None:
    desk.python(code)
    found = desk.replay()
    assert found["verdict"] == "UNKNOWN"
    assert reason in found["said"]


def test_the_clock_may_be_named_where_nothing_hangs_on_it(desk: Desk) -> None:
    desk.python("import time\nbegan = time.time()\nprint(1)\n")
    assert desk.replay()["verdict"] == "IDENTICAL"


def test_a_command_that_fails_as_it_did_is_identical(desk: Desk) -> None:
    desk.python("open('data.csv').read()\nraise SystemExit(3)\n")
    found = desk.replay()
    assert found["verdict"] == "IDENTICAL"
    assert "fails as it did" in " ".join(found["said"])


def test_a_shell_script_is_run_again_with_the_inputs_that_were_named(desk: Desk) -> None:
    desk.put("job.sh", '#!/bin/sh\ncat data.csv\nwc -l < data.csv > "$PEAK_RUN_DIR/lines.txt"\n')
    (desk.folder / "job.sh").chmod(0o755)
    desk.record("--input", "data.csv", "--", "./job.sh")
    assert desk.replay()["verdict"] == "IDENTICAL"


def test_a_program_named_by_its_path_is_the_sealed_one(desk: Desk) -> None:
    desk.put("bt.py", "print(open('data.csv').read())\n")
    desk.record("--", sys.executable, str(desk.folder / "bt.py"))
    desk.put("bt.py", "print('other')\n")
    assert desk.replay()["verdict"] == "IDENTICAL"


def test_that_it_ran_in_a_folder_of_another_name_is_no_difference(desk: Desk) -> None:
    desk.python("import os\nprint(os.getcwd())\n")
    assert desk.replay()["verdict"] == "IDENTICAL"
    desk.python("import os\nprint(os.getcwd(), os.getpid())\n")
    assert desk.replay()["verdict"] == "DIVERGED"


def test_a_secret_in_the_command_is_not_made_up(desk: Desk) -> None:
    desk.record("--", sys.executable, "-c", "print(1)", "--api-key", "sk-live-12345678")
    assert "its command had a secret" in desk.refusal()


def test_what_was_touched_since_is_refused(desk: Desk) -> None:
    run = desk.python("print(1)\n")
    (desk.results / run / "code" / "bt.py").write_text("print(1) \n")
    assert "is not what was sealed" in desk.refusal()


def test_names_that_lead_out_of_the_folder_are_not_written(tmp_path: Path) -> None:
    from peak_trade.trust.replay import scratch

    for name in ("../x", "/etc/x", "a/../../x", "", "a\0b"):
        assert scratch._inside(tmp_path, name) is None
    assert scratch._inside(tmp_path, "a/b.csv") == tmp_path / "a" / "b.csv"


@pytest.mark.parametrize(
    "write",
    [
        "open(here / 'out.txt', 'w').write('x')",
        "os.makedirs(here / 'out')",
        "os.rename(here / 'kept.txt', here / 'out.txt')",
        "(here / 'kept.txt').unlink()",
        "import sqlite3; sqlite3.connect(here / 'out.db').execute('create table t (a)')",
        "import subprocess as s; s.run([sys.executable, '-c', f'open({str(here)!r} + chr(47) + chr(111), chr(119))'])",
    ],
)
def test_nothing_is_written_where_it_was_recorded(desk: Desk, write: str) -> None:
    desk.put("kept.txt", "kept")
    desk.python(f"import os, sys\nfrom pathlib import Path\nhere = Path({str(desk.folder)!r})\n{write}\n")
    for name in ("out.txt", "out.db", "o"):
        (desk.folder / name).unlink(missing_ok=True)
    if (desk.folder / "out").exists():
        (desk.folder / "out").rmdir()
    desk.put("kept.txt", "kept")
    before = sorted(os.listdir(desk.folder))
    assert "without a change there: it writes to" in desk.refusal()
    assert sorted(os.listdir(desk.folder)) == before
    assert (desk.folder / "kept.txt").read_text() == "kept"


def test_what_is_written_elsewhere_and_in_the_folder_is_written(desk: Desk, tmp_path: Path) -> None:
    desk.python("import tempfile\nopen('out.txt', 'w').write('x')\ntempfile.TemporaryFile().write(b'x')\n")
    assert desk.replay(TMPDIR=str(desk.folder))["verdict"] == "IDENTICAL"
    desk.python(f"print(open({str(desk.folder / 'data.csv')!r}).read(4))\n")
    assert desk.replay()["verdict"] == "IDENTICAL"


def test_what_stdin_said_and_a_shell_did_is_no_divergence(desk: Desk) -> None:
    desk.python("import sys, os\nprint(os.getpid() if 'then' in sys.stdin.read() else 1)\n", stdin="then")
    found = desk.replay()
    assert found["verdict"] == "UNKNOWN" and "it reads stdin, which no run keeps (bt.py)" in str(found)
    desk.record("--", sys.executable, "-", stdin="print(1)\n")
    found = desk.replay()
    assert found["verdict"] == "UNKNOWN" and "its program)" in str(found)
    (desk.folder / "empty").mkdir()
    desk.record("--", "sh", "-c", "cd empty && echo 1")
    found = desk.replay()
    assert found["verdict"] == "UNKNOWN" and "sh is not watched" in str(found)


def test_of_an_imported_run_the_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peak_trade.evidence.results import Results
    from peak_trade.record import imported
    from peak_trade.trust import replay

    file = tmp_path / "returns.csv"
    days = "".join(
        f"{2020 + n // 336}-{1 + n // 28:02d}-{1 + n % 28:02d},{(n * 37 % 11 - 5) / 1000}\n" for n in range(300)
    )
    file.write_text(f"date,returns\n{days}")
    results = Results(tmp_path / "results")
    made = imported.import_files([file], imported.options(initial_cash=500.0), results=results.path, root=tmp_path)
    file.unlink()  # the run holds it
    found = replay.replay(made.path, results, tmp_path)
    assert (found.verdict, found.exit_code) == ("IDENTICAL", 0)
    plain = imported.merged

    def other(*words: Any) -> Any:
        chosen, extra = plain(*words)
        chosen.equity = chosen.equity * 1.01
        return chosen, extra

    monkeypatch.setattr(imported, "merged", other)
    found = replay.replay(made.path, results, tmp_path)
    assert (found.verdict, found.exit_code) == ("DIVERGED", 1)
    assert found.bar is not None
