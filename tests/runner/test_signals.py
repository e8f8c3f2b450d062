"""Ctrl-C and SIGTERM end a run with evidence, and never in the middle of its seal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results

COMMAND = (sys.executable, Path(__file__).resolve().parents[2] / "scripts/run_strategy_from_config.py")
PATIENT = """
import sys, time
def waits(bars):
    print("waiting", file=sys.stderr, flush=True)
    time.sleep(600)
def insists(bars):
    try:
        waits(bars)
    except KeyboardInterrupt:
        waits(bars)
"""


@pytest.fixture
def waiting(config: Path, ram: Path) -> Any:
    """Return a function that starts a run whose strategy waits, and returns once it does."""
    (ram / "patient.py").write_text(PATIENT)
    text = config.read_text().replace("fast = 2\nslow = 5\n", "")
    started = []

    def start(function: str = "waits") -> subprocess.Popen[str]:
        config.write_text(text.replace('name = "sma_crossover"', f'entrypoint = "patient.py:{function}"'))
        process = subprocess.Popen(
            [*COMMAND, "--config", config, "--results-dir", ram / "results"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stderr and process.stderr.readline() == "waiting\n"
        return process

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here would be there too
    yield start
    signal.signal(signal.SIGINT, before)
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_strategy_leaves_a_failed_run(
    waiting: Any, ram: Path, look: Any, number: signal.Signals
) -> None:
    process = waiting()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    [path] = Results(ram / "results").runs()
    assert (process.returncode, stdout, stderr) == (1, "", f"error: interrupted\nhint: just show {path.name}\n")
    assert json.loads((path / "error.json").read_bytes())["message"] == "interrupted"
    log = json.loads((path / "run.log").read_text().splitlines()[-1])
    assert "in waits\n" in log["traceback"] and "KeyboardInterrupt" in log["traceback"]
    assert look.unrecovered(ram / "results") == []


def test_a_strategy_that_goes_on_after_an_interrupt_is_ended_by_the_next(waiting: Any, ram: Path, look: Any) -> None:
    process = waiting("insists")
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1].startswith("error: interrupted\n")
    assert process.returncode == 1
    assert look.unrecovered(ram / "results") == []


def test_a_run_that_is_killed_during_its_strategy_is_reported_and_recovered(waiting: Any, ram: Path, look: Any) -> None:
    process = waiting()
    [left] = run_dir.unfinished(Results(ram / "results"))
    assert left.alive
    assert run_dir.recover(Results(ram / "results")) == [], "it lives"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while left.alive and time.monotonic() < deadline:  # the kernel kills the run with its supervisor
        time.sleep(0.01)
        [left] = run_dir.unfinished(Results(ram / "results"))
    assert not left.alive
    assert run_dir.recover(Results(ram / "results")) == [(left.run_id, "sealed as failed: its process died")]
    assert look.unrecovered(ram / "results") == []


def test_a_stopped_run_is_alive(waiting: Any, ram: Path) -> None:
    process = waiting()
    process.send_signal(signal.SIGSTOP)
    [left] = run_dir.unfinished(Results(ram / "results"))
    assert left.alive
    assert run_dir.recover(Results(ram / "results")) == []
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_at_any_call_leaves_a_whole_run(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any, name: str
) -> None:
    calls = forge.cli(config, copies(), "--quiet", fault={"n": 0}).calls
    started = calls.index("fsync ledger.jsonl") + 2
    sealing = next(i for i, call in enumerate(calls, 1) if call.startswith("open") and call.endswith("manifest.json"))
    renamed = next(i for i, call in enumerate(calls, 1) if call.startswith("rename"))
    assert started < sealing < renamed < len(calls)
    for n in range(started, renamed + 1):
        results = copies()
        [earlier] = Results(results).runs()
        outcome = forge.cli(config, results, "--quiet", fault={"n": n, "code": name})
        where = f"{name} at call {n} ({calls[n - 1].split()[0]} …{calls[n - 1][-20:]})"
        assert outcome.code == 1, where
        assert outcome.said("error") == ["interrupted"], where
        [made] = set(Results(results).runs()) - {earlier}
        assert (made / "error.json").exists() == (n < sealing), f"{where}: a seal that has begun is brought to its end"
        assert ("sealed all the same" in outcome.stderr) == (n >= sealing), where
        assert look.unrecovered(results) == [], where


def test_control_a_signal_that_is_not_held_back_interrupts_the_seal(
    forge: Any, config: Path, copies: Callable[[], Path]
) -> None:
    calls = forge.cli(config, copies(), fault={"n": 0}).calls
    sealing = max(i for i, call in enumerate(calls, 1) if call.startswith("fsync") and call.endswith("manifest.json"))
    results = copies()
    forge.cli(config, results, fault={"n": sealing, "code": "SIGINT"}, sabotage="hold_nothing")
    assert [path for path in Results(results).runs() if (path / "error.json").exists()]
