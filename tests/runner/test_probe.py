"""A run asks its strategy again: what that shows is sealed with it, and nothing else of the run changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.shown import listing

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = """
import logging, os, random, sys, threading, time
import numpy as np

ASKED = []
def honest(bars): ASKED.append(len(bars)); return (bars.close > bars.open).astype(float)
def cheat(bars): return (np.append(bars.close[1:], bars.close[-1:]) > bars.close).astype(float)
def cheat_that_draws(bars): random.random(); return cheat(bars)
def two_answers(bars): ASKED.append(1); return np.full(len(bars), float(len(ASKED) % 2))
def draws(bars): return np.array([random.random() for _ in bars.close]) * np.random.rand(len(bars)) * honest(bars)
def prints(bars):
    print("by print", flush=True); os.write(2, b"by number\\n"); logging.getLogger("mine").warning("by log")
    return honest(bars)
def needs_all(bars):
    if len(bars) < 20 or bars.close[-1] != 112: raise ValueError("too few, api_key=sk-12345678")
    return honest(bars)
def leaves_when_few(bars): return sys.exit(3) if len(bars) < 20 else honest(bars)
def hangs_when_few(bars):
    while len(bars) < 20: pass
    return honest(bars)
def hangs_in_all_layers(bars):
    while len(bars) < 20:
        try: time.sleep(9)
        except BaseException: pass
    return honest(bars)
def slow(bars):
    count("slow"); time.sleep(0.6)
    return honest(bars)
def writes(bars):
    with open("kept.txt", "a") as file: file.write(f"{len(bars)}\\n")
    return honest(bars)
def count(name): os.write(COUNTED, f"{name}\\n".encode())
COUNTED = os.open("counted.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def counted(bars): count("counted"); return honest(bars)
def few_shorts(bars): return -honest(bars)
def threads(bars):
    threading.Thread(target=time.sleep, args=(0.01,)).start()
    return honest(bars)
def leaves_at_once_when_few(bars): return os._exit(0) if len(bars) < 20 else honest(bars)
def interrupts_itself_when_few(bars):
    if len(bars) < 20: raise KeyboardInterrupt
    return honest(bars)
def logs_where_it_is(bars):
    logging.getLogger().addHandler(logging.StreamHandler())
    return honest(bars)
def keeps_interrupts(bars):
    if len(bars) < 20:
        try: count("waits"); time.sleep(600)
        except KeyboardInterrupt: print("kept")
    return honest(bars)
def knows_the_end(bars):
    target = np.ones(len(bars)); target[-1] = 0
    return target
"""


@pytest.fixture
def ask(forge: Any, config: Path, ram: Path) -> Any:
    """Return a function that runs a strategy of the above, and returns the outcome and the run's manifest."""
    (ram / "user.py").write_text(STRATEGIES.replace('"counted.txt"', repr(str(ram / "counted.txt"))))
    text = config.read_text()
    text = text[: text.index("[strategy]")]

    def run(name: str, *argv: str, **request: Any) -> tuple[Any, dict[str, Any]]:
        config.write_text(text + f'[strategy]\nentrypoint = "user.py:{name}"\n')
        before = set(Results(ram / "results").runs())
        outcome = forge.cli(config, ram / "results", *argv, cwd=str(ram), **request)
        made = [path for path in Results(ram / "results").runs() if path not in before]
        return outcome, json.loads((made[0] / "manifest.json").read_bytes()) if made else {}

    return run


def probe_of(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["predicate"]["probe"]
    return found


def warned(outcome: Any) -> list[str]:
    return [line for line in outcome.said("warn") if line.startswith("look-ahead")]  # the forge lacks pyarrow


def test_a_strategy_that_looks_ahead_is_sealed_and_named(ask: Any, ram: Path, look: Any) -> None:
    outcome, manifest = ask("cheat")
    said = "the decision at bar 0 changes when bars after it are cut off: 1.0 → 0.0"
    assert outcome.code == 0
    assert warned(outcome) == [f"look-ahead found: {said}"]
    assert manifest["predicate"]["status"] == "sealed"
    found = probe_of(manifest)
    assert (found["verdict"], found["reason"], found["repeatable"]) == ("FAIL", f"look-ahead: {said}", True)
    assert found["first"] == {
        "bar": 0, "time": "2024-01-01T00:00:00Z", "bars": 1, "before": 1.0, "after": 0.0, "cut": True
    }  # fmt: skip
    end = Ledger(ram / "results").read().entries[-1]
    assert end.fields["lookahead"] == f"look-ahead: {said}"
    assert "repeatable" not in end.fields
    assert not look.faults_of(ram / "results")
    [line] = [line for line in outcome.stderr.splitlines() if line.startswith("probe ")]
    assert said in line


def test_it_leads_no_list(ask: Any, ram: Path) -> None:
    for name in ("honest", "cheat", "honest"):
        ask(name)
    rows = listing.rows(Results(ram / "results"))
    assert [row.standing for row in rows] == ["sealed", "sealed", "sealed, look-ahead"]
    assert "sealed, look-ahead" in listing.as_table(rows).splitlines()[-1]


def test_it_is_exit_1_where_strictness_is_asked_for(ask: Any, config: Path, ram: Path) -> None:
    for name, code in (("cheat", 1), ("honest", 0)):
        ask(name)
        script = ROOT / "scripts" / "run_strategy_from_config.py"
        command = [sys.executable, script, "--config", config, "--results-dir", ram / "strict"]
        done = subprocess.run(command, env=os.environ | {"PEAK_STRICT": "1"}, cwd=ram, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        said = "error: the strategy looks ahead, and PEAK_STRICT=1 makes that a failure"
        assert (said in done.stderr.splitlines()) == bool(code)
        assert (ram / "strict" / done.stdout.strip() / "manifest.json").exists()


def test_an_honest_strategy_passes_without_a_word(ask: Any, ram: Path) -> None:
    outcome, manifest = ask("honest")
    assert not warned(outcome)
    assert probe_of(manifest) == {
        "verdict": "PASS", "reason": "no look-ahead was found in 8 places", "cuts": 8, "others": 2, "first": None,
        "repeatable": True,
    }  # fmt: skip
    assert "lookahead" not in Ledger(ram / "results").read().entries[-1].fields


def test_two_answers_for_the_same_bars_are_no_look_ahead(ask: Any, ram: Path) -> None:
    outcome, manifest = ask("two_answers")
    found = probe_of(manifest)
    assert outcome.code == 0
    assert (found["verdict"], found["repeatable"]) == ("NOT_ASSESSED", False)
    assert found["reason"].startswith("not repeatable: two answers for the same bars, at bar 0: ")
    assert Ledger(ram / "results").read().entries[-1].fields["repeatable"] is False
    [row] = listing.rows(Results(ram / "results"))
    assert row.standing == "sealed, not repeatable"


def test_the_same_random_numbers_are_drawn_each_time(ask: Any) -> None:
    found = probe_of(ask("draws")[1])
    assert (found["verdict"], found["repeatable"]) == ("PASS", True)
    assert probe_of(ask("cheat_that_draws")[1])["verdict"] == "FAIL"


def test_what_a_strategy_says_when_it_is_asked_again_is_dropped(ask: Any, ram: Path) -> None:
    outcome, manifest = ask("prints")
    assert probe_of(manifest)["cuts"] == 8
    assert outcome.stderr.count("by print") == outcome.stderr.count("by number") == outcome.stderr.count("by log") == 1
    [run] = Results(ram / "results").runs()
    assert (run / "run.log").read_text().count("by log") == 1


TOO_FEW = ("needs_all", "leaves_when_few", "leaves_at_once_when_few", "interrupts_itself_when_few")


@pytest.mark.parametrize("name", TOO_FEW)
def test_a_strategy_that_takes_all_bars_or_none_is_not_assessed(ask: Any, name: str) -> None:
    outcome, manifest = ask(name)
    found = probe_of(manifest)
    assert outcome.code == 0
    if name == "needs_all":
        assert (found["verdict"], found["cuts"]) == ("NOT_ASSESSED", 0)
        assert found["reason"].startswith("it can't be asked again: it raised ValueError of the first ")
        assert warned(outcome)[0].startswith("look-ahead not assessed: it can't be asked again")
    else:  # it can, with other bars in place of fewer
        assert (found["verdict"], found["cuts"]) == ("PASS", 0)
        assert "sk-12345678" not in str(manifest)


@pytest.mark.parametrize("mode", ["auto", "full"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_is_asking_again_whatever_the_strategy_makes_of_it(
    ask: Any, ram: Path, config: Path, number: int, mode: str
) -> None:
    ask("keeps_interrupts", "--set", "run.probe=off")  # for its config
    counted, results = ram / "counted.txt", ram / "signalled"
    script = ROOT / "scripts" / "run_strategy_from_config.py"
    command = [sys.executable, script, "--config", config, "--results-dir", results, "--set", f"run.probe={mode}"]
    process = subprocess.Popen(command, cwd=ram, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "waits" not in counted.read_text() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith("error: interrupted\n")
    assert "kept" not in stderr
    assert counted.read_text().count("waits") == 1  # it is asked no more
    [run] = Results(results).runs()
    assert json.loads((run / "manifest.json").read_bytes())["predicate"]["status"] == "failed"


def test_a_logger_that_it_leaves_behind_says_nothing(ask: Any) -> None:
    outcome, manifest = ask("logs_where_it_is")
    assert probe_of(manifest)["verdict"] == "PASS"
    assert "Logging error" not in outcome.stderr


@pytest.mark.parametrize("name", ["hangs_when_few", "hangs_in_all_layers"])
def test_a_strategy_that_hangs_without_its_last_bars_costs_no_more_than_the_budget(ask: Any, name: str) -> None:
    start = time.monotonic()
    outcome, manifest = ask(name, "--set", "run.timeout_s=30")
    assert time.monotonic() - start < 15
    assert (outcome.code, manifest["predicate"]["status"]) == (0, "sealed")
    assert probe_of(manifest)["verdict"] == "NOT_ASSESSED"
    assert probe_of(manifest)["reason"] == "asking again takes more than 1.0 s"


def test_a_slow_strategy_is_asked_as_often_as_its_time_allows(ask: Any, ram: Path) -> None:
    _, manifest = ask("slow")
    asked = (ram / "counted.txt").read_text().count("slow")
    assert 2 <= asked <= 4  # the run's own, and what a second has room for
    assert probe_of(manifest)["verdict"] == "PASS"


def test_one_that_does_something_beside_deciding_is_asked_once(ask: Any, ram: Path) -> None:
    outcome, manifest = ask("writes")
    said = 'the strategy writes kept.txt, so it was asked once; run.probe = "full" asks it again'
    assert probe_of(manifest)["reason"] == said
    assert warned(outcome) == [f"look-ahead not assessed: {said}"]
    kept = next(ram.rglob("kept.txt"))
    assert kept.read_text() == "20\n"
    _, manifest = ask("writes", "--set", "run.probe=full")
    assert probe_of(manifest)["verdict"] == "PASS"
    assert len(kept.read_text().splitlines()) > 20


def test_one_that_says_off_is_asked_once(ask: Any, ram: Path) -> None:
    outcome, manifest = ask("counted", "--set", "run.probe=off")
    assert probe_of(manifest)["verdict"] == "NOT_ASSESSED"
    assert not warned(outcome)
    assert (ram / "counted.txt").read_text() == "counted\n"


def test_how_often_it_was_asked_changes_nothing_that_is_sealed(ask: Any) -> None:
    sealed = []
    for mode in ("off", "auto", "full"):
        _, manifest = ask("draws", "--set", f"run.probe={mode}")
        files = {part["name"]: part["digest"]["sha256"] for part in manifest["subject"]}
        sealed.append({name: sha256 for name, sha256 in files.items() if not name.startswith("config_snapshot")})
    assert sealed[0] == sealed[1] == sealed[2]
    assert "equity.csv" in sealed[0]


def test_a_strategy_that_starts_a_thread_is_asked_again(ask: Any) -> None:
    assert probe_of(ask("threads")[1])["verdict"] == "PASS"


def test_what_hangs_on_how_many_bars_there_are_is_said(ask: Any) -> None:
    found = probe_of(ask("knows_the_end")[1])
    assert found["verdict"] == "PASS"
    assert found["reason"].endswith("it decides otherwise, with others it does not")
