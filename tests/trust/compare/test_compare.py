"""`just compare`: one screen with what differs alone, JSON, and the exit codes of a gate."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.evidence import tables
from peak_trade.trust import compare, difference

Evidence = Any  # of conftest.py, which cannot be imported
ROOT = Path(__file__).resolve().parents[3]
Compare = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def just_compare(made: Evidence) -> Compare:
    """Compare runs by what they are called here, as an operator does."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        given = [made.runs.get(word, word) for word in words]
        command = [sys.executable, "scripts/compare_runs.py", *given, "--results-dir", str(made.results)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)

    return call


def compared(made: Evidence, *names: str, tolerance: float = 0.0) -> compare.Comparison:
    return compare.compare([difference.read(made.path(name)) for name in names], tolerance)


def test_only_what_differs_is_on_the_screen(just_compare: Compare, made: Evidence) -> None:
    done = just_compare("base", "fees")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [
        ["A", made.runs["base"][:8], "sealed"], ["B", made.runs["fees"][:8], "sealed"],
    ]  # fmt: skip
    said = "A and B: the same trades at the same prices, at other fees; trades: 3 in both (3 differ)"
    assert said in " ".join(done.stdout.split())
    assert re.search(r"^likely +execution\.fee_bps +10\.0 +20\.0$", done.stdout, re.MULTILINE)
    assert "slippage_bps" not in done.stdout and "win_rate" not in done.stdout
    assert len(lines) <= 26 and max(map(len, lines)) <= 80


def test_ten_runs_fit_a_screen_too_and_one_that_failed_takes_no_statistics_from_the_others(made: Evidence) -> None:
    names = ["base", "fees", "parameter", "cash", "slippage", "code", "data", "later", "again", "failed"]
    found = compared(made, *names)
    lines = compare.as_text(found).splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 45
    assert [line.split()[2] for line in lines[:10]] == ["sealed"] * 9 + ["failed"]
    (returns,) = [one.values for one in found.figures if one.key == "total_return"]
    assert returns[-1] is None and None not in returns[:-1] and len(set(returns)) > 4
    head = next(at for at, line in enumerate(lines) if line.split()[:3] == ["parts", "at", "total_return"])
    assert [line.split()[0] for line in lines[head + 1 : head + 11]] == list("ABCDEFGHIJ")
    assert any(re.match(r"likely +execution\.fee_bps +10\.0; B: 20\.0$", line) for line in lines)


def test_what_a_failed_run_had_no_time_to_say_explains_nothing(made: Evidence) -> None:
    found = compared(made, "base", "failed")
    assert [row.name for row in found.inputs if row.kind in ("parameters", "environment")] == ["strategy.params.level"]
    assert found.differences[0].told == "one of them failed"
    assert compared(made, "failed", "failed").differences[0].told == "both failed, for the same reason"
    other = compared(made, "failed", "failed too")
    assert other.differences[0].told == "both failed, for other reasons" and not other.same


def test_statistics_stand_side_by_side_with_their_difference(just_compare: Compare) -> None:
    done = just_compare("base", "cash")
    assert re.search(r"^fees_paid +(\S+) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    found = re.search(r"^final_equity +(\S+) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert found
    a, b, apart = (float(cell.replace(",", "")) for cell in found.groups())
    assert b == pytest.approx(2 * a, abs=0.02) and apart == pytest.approx(b - a, abs=0.02)  # all is proportional


def test_a_run_that_looks_ahead_is_named_so_before_its_figures(made: Evidence) -> None:
    found = compared(made, "base", "ahead")
    first, second = compare.as_text(found).splitlines()[:2]
    assert "looks ahead" in second and "looks ahead" not in first
    told = found.to_json_object()["runs"]
    assert told[0]["lookahead"] is None and "changes when bars after it are cut off" in told[1]["lookahead"]


def test_many_runs_are_held_against_the_first(made: Evidence) -> None:
    found = compared(made, "base", "fees", "parameter", "again")
    rows = {row.name: row.values for row in found.inputs}
    assert rows == {
        "execution.fee_bps": [10.0, 20.0, 10.0, 10.0],
        "strategy.params.level": [100, 100, 104, 100],
        "run.name": [None, None, None, "again"],
    }
    assert [one.same for one in found.differences] == [False, False, True]
    assert all(len(one.values) == 4 for one in found.figures)
    assert "A and D: the outcome is the same, to the last bit" in compare.as_text(found).splitlines()


def test_a_gate_fails_where_statistics_or_trades_differ_beyond_the_tolerance(just_compare: Compare) -> None:
    assert just_compare("base", "again", "--exit-code").returncode == 0
    assert just_compare("base", "fees").returncode == 0
    assert just_compare("base", "fees", "--exit-code").returncode == 1
    assert just_compare("base", "fees", "--exit-code", "--tolerance", "1e-6").returncode == 1
    assert just_compare("base", "seed", "again", "--exit-code").returncode == 0
    assert just_compare("base", "--exit-code", "fees").returncode == 1


def test_a_run_is_never_taken_for_the_file_of_a_page(just_compare: Compare, made: Evidence) -> None:
    done = just_compare("--html", "base", "fees", "again")
    assert (done.returncode, done.stdout) == (2, "") and not (ROOT / made.runs["base"]).exists()
    assert done.stderr.startswith(f"error: --html {made.runs['base']} is no page: a FILE ends with .html")


def test_json_says_all_of_it_and_is_valid(just_compare: Compare) -> None:
    done = just_compare("base", "code", "--json")
    told = json.loads(done.stdout)
    assert (told["same"], [run["letter"] for run in told["runs"]]) == (False, ["A", "B"])
    assert told["inputs"][0]["details"] == ["line 2", "-     return 0.5", "+     return 0.75"]
    assert told["differences"][0]["bar"]["column"] == "position"
    assert told["differences"][0]["trade"]["columns"][0] == "quantity"
    assert told["statistics"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["base"], "it takes two runs, or --live FILE"),
        (["base", "fees", "--tolerance", "-1"], "--tolerance -1 is not from 0 up to 1"),
        (["base", "ffffffff"], "no run 'ffffffff' in results/"),
    ],
)
def test_what_can_not_be_compared_is_exit_2(just_compare: Compare, words: list[str], message: str) -> None:
    done = just_compare(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}\nhint: ")


def test_a_run_is_taken_from_anywhere(just_compare: Compare, made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "elsewhere")
    done = just_compare("base", str(copy.path("fees")), "--exit-code")
    assert (done.returncode, done.stderr) == (1, "")


def test_a_run_whose_files_were_changed_is_no_difference(just_compare: Compare, made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "elsewhere")
    copy.edit_csv("fees", "equity.csv", 20, equity="1.0")
    done = just_compare("base", str(copy.path("fees")), "--exit-code")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {copy.runs['fees']}/equity.csv is not what was sealed\nhint: just verify ")


def test_a_stranger_s_words_reach_the_terminal_escaped(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "elsewhere")
    copy.run("rude", (copy.root / "config/base.toml").read_text(), 'run.name="\\u001b[31mred"')
    text = compare.as_text(compared(copy, "base", "rude"))
    assert "\x1b" not in text and "[31mred" in text


def test_all_runs_of_an_archive_are_compared(just_compare: Compare, made: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "handed over.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("base", "fees"):
            for file in sorted(made.path(name).rglob("*")):
                if file.is_file():
                    archive.write(file, f"runs/{made.runs[name]}/{file.relative_to(made.path(name))}")
    done = just_compare(str(path), "parameter", "--json")
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert {run["run_id"] for run in told["runs"]} == {made.runs[name] for name in ("base", "fees", "parameter")}
    assert {row["name"] for row in told["inputs"]} == {"execution.fee_bps", "strategy.params.level"}


@pytest.mark.slow
def test_runs_of_a_million_bars_are_compared_in_some_two_seconds(made: Evidence, tmp_path: Path) -> None:
    copy, bars = made.copy(tmp_path / "elsewhere"), 1_000_000
    times = np.datetime64("2020-01-01", "ns") + np.arange(bars) * np.timedelta64(60, "s")
    runs = []
    for seed, name in enumerate(("base", "fees")):
        random = np.random.default_rng(seed)
        equity = 1e4 * np.cumprod(1 + 1e-4 * random.standard_normal(bars))
        columns = {
            "timestamp": times, "equity": equity, "drawdown": equity / np.maximum.accumulate(equity) - 1,
            "position": np.repeat(random.random(bars // 50), 50),
        }  # fmt: skip
        copy.rewrite(name, "equity.csv", b"".join(tables.series_csv(columns)))
        statement = copy.manifest(name)
        for subject in statement["subject"]:
            if subject["name"] == "equity.csv":
                subject["digest"]["sha256"] = hashlib.sha256((copy.path(name) / "equity.csv").read_bytes()).hexdigest()
        for receipt in statement["predicate"]["receipts"]:
            receipt |= {"bytes": 1 << 30} if receipt["part"] == "evidence" else {}
        copy.write_manifest(name, statement)
        runs.append(difference.read(copy.path(name)))
    start = time.process_time()
    found = compare.compare(runs)
    took = time.process_time() - start
    assert found.differences[0].series and found.differences[0].series.differ > 900_000
    assert took < 3  # some 1.3 s alone on a core; its neighbours make it dearer
