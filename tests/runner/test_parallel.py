"""Many processes at once in one results directory: nothing is lost, and nobody takes over a living run."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from peak_trade.evidence import run_dir
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results

PROCESSES, RUNS = 8, 50


def requests(config: Path, results: Path, runs: int, **more: Any) -> list[dict[str, Any]]:
    return [{"do": "many", "config": config, "results": results, "runs": runs, **more} for _ in range(PROCESSES)]


def test_eight_processes_lose_nothing_while_others_read_and_recover(
    forge: Any, config: Path, ram: Path, look: Any
) -> None:
    results = ram / "results"
    watching = [{"do": "watch", "results": results}, {"do": "watch", "results": results}]
    *workers, first, second = forge.ask(*requests(config, results, RUNS), *watching)
    made = [run_id for worker in workers for run_id in worker.stdout.split()]
    assert [worker.code for worker in workers] == [0] * PROCESSES, [worker.stderr for worker in workers]
    assert len(set(made)) == PROCESSES * RUNS
    assert {path.name for path in Results(results).runs()} == set(made)
    entries = Ledger(results).read().entries
    assert [sum(entry.event == event for entry in entries) for event in ("start", "sealed")] == [400, 400]
    assert look.unrecovered(results) == []
    for watcher in (first, second):
        assert (watcher.code, watcher.stdout) == (0, ""), "nothing was taken over, and no reader saw a break"
        assert int(watcher.stderr.split()[0]) > 5, "it looked often enough"


def test_one_of_many_gets_a_run_id_that_all_want(forge: Any, config: Path, ram: Path, look: Any) -> None:
    ids = [str(uuid.uuid4()) for _ in range(10)]
    workers = forge.ask(*requests(config, ram / "results", 0, ids=ids))
    said = [line for worker in workers for line in worker.stdout.split()]
    assert sorted(line for line in said if line != "refused") == sorted(ids)
    assert said.count("refused") == 10 * (PROCESSES - 1)
    assert look.unrecovered(ram / "results") == []


def test_the_dead_are_recovered_by_one_of_many(forge: Any, config: Path, ram: Path, look: Any) -> None:
    results = ram / "results"
    for n in (15, 20, 30, 40, 42):
        assert forge.cli(config, results, fault={"n": n}).code == -9
    recovered = forge.ask(*({"do": "recover", "results": results} for _ in range(PROCESSES)))
    assert [one.code for one in recovered] == [0] * PROCESSES
    assert sum(len(one.stderr.splitlines()) for one in recovered) == 5
    assert len(Results(results).runs()) == 5
    assert look.unrecovered(results) == []


def test_control_writers_that_do_not_take_turns_break_the_chain(forge: Any, config: Path, ram: Path, look: Any) -> None:
    forge.ask(*requests(config, ram / "results", 10, sabotage="no_turns"))
    assert any(fault.startswith("ledger.jsonl") for fault in look.faults_of(ram / "results"))


def test_control_a_recovery_that_takes_all_for_dead_is_found_out(forge: Any, config: Path, ram: Path) -> None:
    results = ram / "results"
    watching = {"do": "watch", "results": results, "sabotage": "all_dead"}
    *workers, watcher = forge.ask(*requests(config, results, 10), watching)
    assert "recovered" in watcher.stdout or any(worker.code for worker in workers)


def test_a_run_says_of_dead_runs_only_that_they_are_unfinished(forge: Any, config: Path, results: Path) -> None:
    forge.cli(config, results, fault={"n": 20})
    [left] = run_dir.unfinished(Results(results))
    warned = [line for line in forge.cli(config, results).said("warn") if "unfinished" in line]
    assert warned == [f"1 unfinished run(s) of dead processes: {left.run_id}"]
    assert json.loads((results / "ledger.jsonl").read_bytes().splitlines()[-1])["event"] == "sealed"
