"""`just probe` in full: of a config and of a run, what it finds, what it says, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = """
import os, time
import numpy as np

STATE = []
def honest(bars, window=10):
    mean = np.convolve(bars.close, np.ones(window) / window)[: len(bars)]
    target = (bars.close > mean).astype(float)
    target[: window - 1] = 0
    return target
def without_end(bars): return (bars.close > np.cumsum(bars.close) / np.arange(1, len(bars) + 1)).astype(float)
def cheat(bars): return (np.append(bars.close[1:], bars.close[-1:]) > bars.close).astype(float)
def of_all(bars): return (bars.close < bars.close.mean()).astype(float)
def two_answers(bars): STATE.append(1); return np.full(len(bars), float(len(STATE) % 2))
def takes_all_or_none(bars):
    if len(bars) < COUNT or bars.close[-1] != LAST: raise ValueError
    return honest(bars)
def raises(bars): raise KeyError("nothing here")
KEPT = {}
def keeps_the_mean(bars):
    mean = KEPT.setdefault("mean", bars.close.mean())
    return (bars.close < mean).astype(float)
DRAWN = np.random.rand()
def drew_when_loaded(bars): return (bars.close > bars.open * (1 + 0.01 * DRAWN)).astype(float)
def leaves(bars): raise SystemExit(0)
def leaves_at_once(bars): os._exit(0)
class Mute(BaseException):
    def __str__(self): raise SystemExit(0)
def has_no_text(bars): raise Mute
def sleeps(bars): time.sleep(60)
def never_changes(bars): return np.ones(len(bars))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars, a config and strategies."""
    folder = tmp_path_factory.mktemp("probe")
    lot = np.random.default_rng(5)
    close = np.round(100 * np.exp(np.cumsum(lot.normal(0.0005, 0.01, 300))), 2)
    days = np.datetime64("2023-01-01") + np.arange(300)
    opens = [100.0, *close[:-1]]
    rows = [
        f"{day},{o},{max(o, c) + 1:.2f},{min(o, c) - 1:.2f},{c},10"
        for day, o, c in zip(days, opens, close, strict=True)
    ]
    (folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    (folder / "user.py").write_text(STRATEGIES.replace("COUNT", "300").replace("LAST", f"{close[-1]}"))
    (folder / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1d"\n[strategy]\nentrypoint = "user.py:honest"\n'
    )
    return folder


def script(name: str, *words: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / name, *map(str, words), "--results-dir", folder / "results"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def probed(folder: Path, name: str, *words: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = script(
        "probe_strategy.py", "config.toml", "--set", f"strategy.entrypoint=user.py:{name}", "--json", *words,
        folder=folder,
    )  # fmt: skip
    return done, json.loads(done.stdout) if done.stdout else {}


def test_an_honest_strategy_passes(home: Path) -> None:
    done, found = probed(home, "honest")
    assert (done.returncode, found["verdict"], found["repeatable"]) == (0, "PASS", True)
    assert (found["cuts"], found["others"]) == (128, 32)
    assert found["coverage"]["tested"] >= 16
    assert found["coverage"]["tested"] <= found["coverage"]["changes"]
    assert found["warm_up"]["starts"] == 4
    assert 0 < found["warm_up"]["bars"] <= 9  # it needs ten closes for a mean
    assert found["case"] is None
    assert not (home / "results").exists()  # it is no trial
    assert "clean" not in done.stdout


def test_a_strategy_without_end_of_its_past_says_so(home: Path) -> None:
    _, found = probed(home, "without_end")
    assert found["verdict"] == "PASS"
    assert found["warm_up"]["bars"] is None or found["warm_up"]["bars"] > 9


def test_a_leak_is_shown_by_the_fewest_bars(home: Path) -> None:
    done, found = probed(home, "cheat")
    assert (done.returncode, found["verdict"]) == (1, "FAIL")
    first, second = found["case"]
    assert first["close"] < second["close"]  # worked out by hand: the next close is higher, so it buys
    assert (first["decision"], first["without_the_rest"]) == (1.0, 0.0)
    assert second["without_the_rest"] is None
    assert found["delay"]["sharpe"] > 5 > abs(found["delay"]["delayed"])


def test_a_leak_of_all_bars_needs_two(home: Path) -> None:
    _, found = probed(home, "of_all")
    assert found["verdict"] == "FAIL"
    assert len(found["case"]) == 2


def test_what_a_module_keeps_of_all_bars_is_a_leak(home: Path) -> None:
    done, found = probed(home, "keeps_the_mean")
    assert (done.returncode, found["verdict"]) == (1, "FAIL"), found
    done, found = probed(home, "drew_when_loaded")  # a control: loaded anew it draws the same
    assert (done.returncode, found["verdict"]) == (0, "PASS"), found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("two_answers", "not repeatable: two answers for the same bars, at bar 0: 1.0 → 0.0"),
        ("takes_all_or_none", "it can't be asked again: it raised ValueError of the first"),
    ],
)
def test_what_can_not_be_asked_again_is_not_assessed(home: Path, name: str, reason: str) -> None:
    done, found = probed(home, name)
    assert (done.returncode, found["verdict"]) == (3, "NOT_ASSESSED")
    assert found["reason"].startswith(reason)


def test_a_target_that_never_changes_passes_by_its_cuts(home: Path) -> None:
    done, found = probed(home, "never_changes")
    assert (done.returncode, found["coverage"]["share"]) == (0, 1.0)  # it changes once, at the first bar


def test_a_strategy_that_fails_is_a_sentence(home: Path) -> None:
    done, _ = probed(home, "raises")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: the strategy raised KeyError: 'nothing here'"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leaves", "the strategy raised SystemExit: 0"), ("leaves_at_once", "the strategy raised SystemExit: 0"),
        ("has_no_text", "the strategy raised Mute"), ("sleeps", "the strategy ran longer than run.timeout_s = 1 s"),
    ],
)  # fmt: skip
def test_a_strategy_that_ends_the_process_has_not_passed(home: Path, name: str, said: str) -> None:
    done, _ = probed(home, name, "--set", "run.timeout_s=1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"error: {said}"


def test_wrong_words_are_usage_errors(home: Path) -> None:
    done = script("probe_strategy.py", "nowhere.toml", folder=home)
    assert (done.returncode, "No such file" in done.stderr) == (2, True)
    done = script("probe_strategy.py", "last", "--set", "run.seed=1", folder=home)
    assert (done.returncode, "--set is for a config" in done.stderr) == (2, True)
    done = script("probe_strategy.py", "last", folder=home)
    assert done.returncode == 2


def test_bars_that_are_held_out_are_held_out_from_it_too(home: Path) -> None:
    _, whole = probed(home, "honest")
    _, less = probed(home, "honest", "--set", "run.holdout=100d")
    assert less["coverage"]["changes"] < whole["coverage"]["changes"]
    assert less["said"][0].startswith("held out: 101 of 300 bars")


def test_people_read_it(home: Path) -> None:
    done = script("probe_strategy.py", "config.toml", "--set", "strategy.entrypoint=user.py:cheat", folder=home)
    words = [line.partition(" ")[0] for line in done.stdout.splitlines()]
    assert words[:4] == ["probed", "verdict", "repeatable", "asked"]
    assert "what where the last bar is cut off" in done.stdout


@pytest.fixture(scope="module")
def ran(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same, with a run whose code has gone on since."""
    folder = tmp_path_factory.mktemp("ran") / "home"
    shutil.copytree(home, folder)
    made = script(
        "run_strategy_from_config.py", "--config", "config.toml", "--set", "strategy.entrypoint=user.py:cheat",
        "--quiet", folder=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    text = (folder / "user.py").read_text()
    (folder / "user.py").write_text(text.replace("def cheat(bars): return", "def cheat(bars): return honest(bars) #"))
    return folder, made.stdout.strip()


def test_a_run_is_probed_with_the_code_that_it_was_made_from(ran: tuple[Path, str]) -> None:
    folder, run_id = ran
    done = script("probe_strategy.py", "last", "--json", folder=folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"], found["name"]) == (1, "FAIL", run_id[:8])
    kept = (folder / "results" / run_id / "debug" / "probe.csv").read_text().splitlines()
    assert kept[0] == "timestamp,open,high,low,close,volume,decision,without_the_rest"
    assert len(kept) == 3
    assert script("verify_runs.py", "last", folder=folder).returncode == 0


def test_a_run_is_probed_with_the_code_of_today_where_that_is_asked(ran: tuple[Path, str]) -> None:
    done = script("probe_strategy.py", "last", "--code", "here", "--json", folder=ran[0])
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "PASS"), done.stderr


def test_a_run_that_came_in_an_archive_is_probed_on_the_bars_that_came_along(
    ran: tuple[Path, str], tmp_path: Path
) -> None:
    folder, run_id = ran
    exported = script("export_runs.py", run_id, "--with-data", "--output", tmp_path / "one.zip", folder=folder)
    assert exported.returncode == 0, exported.stderr
    (tmp_path / "elsewhere").mkdir()
    done = script("probe_strategy.py", tmp_path / "one.zip", "--json", folder=tmp_path / "elsewhere")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "FAIL"), done.stderr
