"""Many runs in a batch: each is what it is when it runs alone, and what one promises holds of all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config as configs
from peak_trade import runner
from peak_trade.errors import InputError, PeakError
from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results
from peak_trade.runner.many import Made, Wanted, run_many
from peak_trade.runner.order import load_bars
from peak_trade.runner.shared import Shared
from peak_trade.trust import replay
from peak_trade.trust.verify import verify_all

KILLED = -9
PARENT = "11111111-1111-4111-8111-111111111111"
MINE = """
import numpy as np
import helper

calls = 0

def follow(bars, n=3):
    \"\"\"Long where the close is above that of n bars before.\"\"\"
    return helper.above(bars.close, n)

def drawn(bars):
    return (np.random.random(len(bars)) > 0.5).astype(float)

def counts(bars):
    global calls
    calls += 1
    return np.full(len(bars), float(calls == 1))

def ahead(bars):
    return np.append(bars.close[1:] > bars.close[:-1], False).astype(float)

def short(bars):
    return -np.ones(len(bars))

def fails(bars):
    raise ValueError("no luck today")

def gone(bars):
    import os
    for name in os.listdir(os.environ["PEAK_TEST_RESULTS"]):
        if name == ".working":
            os.rename(os.environ["PEAK_TEST_RESULTS"], os.environ["PEAK_TEST_RESULTS"] + ".moved")
    return np.ones(len(bars))

def writes(bars):
    import ctypes
    ctypes.memset(bars.open.ctypes.data, 1, bars.open.nbytes)
    return np.ones(len(bars))

def interrupts(bars):
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
    return np.ones(len(bars))
"""
HELPER = "import numpy as np\ndef above(x, n): return np.append(np.zeros(n), x[n:] > x[:-n]).astype(float)\n"
SETS: list[dict[str, Any]] = [
    {},
    {"strategy.params.fast": 3},
    {"execution.fee_bps": 5.0, "execution.slippage_bps": 1.0, "run.probe": "off"},
    {"stops.stop_loss": 0.02, "stats.benchmark": "none", "run.probe": "full"},
    {"sizing.min_trade_value": 50.0, "sizing.scale": 0.5, "run.name": "half of it"},
    {"execution.allow_short": True, "execution.borrow_rate": 0.05, "strategy.params.short": True},
    {"stats.risk_free_rate": 0.02, "run.seed": 5, "run.tags": {"desk": "rates"}},
]
Batch = Callable[..., list[Made]]


def sealed(run: Path) -> dict[str, bytes]:
    """Return every file that the seal covers, and what the manifest says beside the circumstances."""
    statement = json.loads((run / "manifest.json").read_bytes())
    predicate = statement["predicate"]
    lasting = {"subject": statement["subject"]} | {
        key: predicate.get(key) for key in ("buildDefinition", "results", "status", "error", "probe")
    }
    files = {subject["name"]: (run / subject["name"]).read_bytes() for subject in statement["subject"]}
    return files | {"manifest": json.dumps(lasting).encode()}


def own(name: str) -> dict[str, Any]:
    """The overrides by which a run is of a function in the user's own file."""
    return {"strategy.name": None, "strategy.entrypoint": f"mine.py:{name}"}


@pytest.fixture
def load(config: Path, ram: Path) -> Callable[[dict[str, Any]], configs.Source]:
    """Return a function that loads the config with overrides; an entrypoint takes the place of the name."""
    (ram / "mine.py").write_text(MINE)
    (ram / "helper.py").write_text(HELPER)
    own_config = ram / "own.toml"
    own_config.write_text(
        re.sub(r"name = .*\n\n\[strategy.params\]\n.*\n.*\n", 'entrypoint = "mine.py:follow"\n', config.read_text())
    )

    def loaded(overrides: dict[str, Any]) -> configs.Source:
        mine = "strategy.entrypoint" in overrides
        overrides = {key: value for key, value in overrides.items() if value is not None}
        return configs.load(own_config if mine else config, overrides)

    return loaded


@pytest.fixture
def batch(load: Callable[[dict[str, Any]], configs.Source], ram: Path) -> Batch:
    """Return a function that makes runs with these overrides in one call."""

    def made(sets: list[dict[str, Any]], results: str = "together", ids: list[str] | None = None) -> list[Made]:
        sources = [load(overrides) for overrides in sets]
        wanted = [
            Wanted(source, run_id=ids[at] if ids else None, parent=PARENT, trial=at)
            for at, source in enumerate(sources)
        ]
        return run_many(wanted, root=ram, results=ram / results, shared=Shared(load_bars(sources[0], ram)))

    return made


def alone(source: configs.Source, ram: Path) -> Path:
    """Make one run by itself, and return its directory; that of a failed one too."""
    try:
        return runner.run(source, root=ram, results=ram / "alone")
    except PeakError as error:
        return ram / "alone" / str(error.run_id)


def test_each_run_has_the_sealed_bytes_that_it_has_alone(
    load: Callable[[dict[str, Any]], configs.Source], batch: Batch, ram: Path
) -> None:
    sets = [*SETS, own("follow"), own("follow") | {"strategy.params.n": 4}, own("drawn"), own("counts"), own("ahead")]
    sets += [own("short"), own("short") | {"execution.allow_short": True}, own("fails"), own("follow")]
    alone(load(SETS[0]), ram)  # what the first run of a process imports is in the environment of those after it
    by_itself = [sealed(alone(load(overrides), ram)) for overrides in sets]
    together = batch(sets)
    for overrides, one, other in zip(sets, by_itself, together, strict=True):
        assert other.path is not None
        assert sealed(other.path) == one, overrides
    assert [one.error is None for one in together] == [
        overrides not in (own("short"), own("fails")) for overrides in sets
    ]
    assert json.loads(by_itself[-5]["manifest"])["probe"]["verdict"] == "FAIL"  # `ahead`
    files = {name for one in by_itself for name in one}
    assert {"code/mine.py", "code/helper.py", "equity.csv", "error.json", "benchmark.csv"} <= files


def test_the_runs_of_a_batch_are_intact_and_can_be_made_again(batch: Batch, ram: Path) -> None:
    made = batch([*SETS, own("follow"), own("fails")])
    results = Results(ram / "together")
    for verdict in verify_all(results, None, root=None):
        assert not verdict.findings, verdict.name
    for one in (made[1], made[-2]):
        assert one.path is not None
        assert replay.replay(one.path, results, ram).verdict == "IDENTICAL"


def test_a_run_tells_whose_trial_it_is(batch: Batch, ram: Path) -> None:
    made = batch([{}, own("fails")])
    reading = Results(ram / "together").reading()
    assert reading.broken == []
    for at, one in enumerate(made):
        assert one.path is not None
        metadata = run_dir.read_manifest(one.path).predicate.run_details["metadata"]
        assert (metadata["parent"], metadata["trial"]) == (PARENT, at)
        history = reading.of(one.run_id)
        for line in (history.start, history.end):
            assert line is not None
            assert (line.fields["parent"], line.fields["trial"]) == (PARENT, at)


def test_one_that_fails_does_not_hurt_the_others(batch: Batch, ram: Path) -> None:
    made = batch([{}, own("fails"), {"strategy.params.fast": 3}, {"strategy.params.fats": 4}, own("follow")])
    assert [one.error is None for one in made] == [True, False, True, False, True]
    assert made[1].error is not None and made[1].error.message.startswith("the strategy raised ValueError: no luck")
    assert isinstance(made[3].error, InputError)
    assert made[3].path is None
    assert not Results(ram / "together").reading().of(made[3].run_id).entries
    statuses = [run_dir.read_manifest(one.path).predicate.status for one in made if one.path]
    assert statuses == ["sealed", "failed", "sealed", "sealed"]
    assert "no luck today" in (ram / "together" / made[1].run_id / "run.log").read_text()
    assert "no luck today" not in (ram / "together" / made[0].run_id / "run.log").read_text()


def test_bars_that_a_strategy_writes_into_by_their_address_fail_it_and_all_after_it(batch: Batch) -> None:
    made = batch([{}, own("writes"), {"strategy.params.fast": 3}])
    assert made[0].error is None
    for one in made[1:]:  # whose bars are no longer those that their evidence would name
        assert one.error is not None
        assert one.error.message == "the strategy changed the bars that it was given"


def test_code_that_is_edited_between_two_calls_is_sealed_as_it_ran(
    load: Callable[[dict[str, Any]], configs.Source], ram: Path
) -> None:
    source = load(own("follow"))
    shared = Shared(load_bars(source, ram))
    seen = []
    for text in (HELPER, HELPER, HELPER.replace(">", "<")):
        (ram / "helper.py").write_text(text)
        [made] = run_many([Wanted(source)], root=ram, results=ram / "edited", shared=shared)
        assert made.path is not None
        seen.append((made.path / "code/helper.py").read_text())
    assert seen == [HELPER, HELPER, HELPER.replace(">", "<")]


def test_a_run_id_that_exists_is_refused_before_anything_starts(batch: Batch, ram: Path) -> None:
    taken = "22222222-2222-4222-8222-222222222222"
    free = "33333333-3333-4333-8333-333333333333"
    (one,) = batch([{}], ids=[taken])
    assert one.run_id == taken
    before = (ram / "together" / "ledger.jsonl").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        batch([{}, {}], ids=[free, taken])
    with pytest.raises(InputError, match="exists already"):
        batch([{}, {}], ids=[free, free])
    shutil.rmtree(ram / "together" / taken)
    with pytest.raises(InputError, match="exists already"):  # the ledger outlives the runs
        batch([{}, {}], ids=[free, taken])
    assert (ram / "together" / "ledger.jsonl").read_bytes() == before
    assert os.listdir(ram / "together" / ".working") == []


def test_an_interrupt_ends_the_batch_and_what_is_done_is_sealed(batch: Batch, ram: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        batch([{}, own("interrupts"), {"strategy.params.fast": 3}])
    runs = [run_dir.read_manifest(path).predicate for path in Results(ram / "together").runs()]
    assert sorted(run.status for run in runs) == ["failed", "failed", "sealed"]
    assert {run.error["message"] for run in runs if run.error} == {"interrupted"}


def test_more_runs_than_a_batch_are_made_in_several(batch: Batch, ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peak_trade.runner.many._TOGETHER", 2)
    made = batch([{"run.seed": seed} for seed in range(5)])
    events = [entry.event for entry in Results(ram / "together").reading().entries]
    assert events == ["start", "start", "sealed", "sealed", "start", "start", "sealed", "sealed", "start", "sealed"]
    assert [one.path is not None for one in made] == [True] * 5


def test_a_batch_of_none_does_nothing(batch: Batch, ram: Path, load: Any) -> None:
    assert run_many([], root=ram, results=ram / "none", shared=Shared(load_bars(load({}), ram))) == []
    assert not (ram / "none").exists()


# --- calls and kills --------------------------------------------------------------------------------------------------

THREE: list[dict[str, Any]] = [{}, {"strategy.params.fast": 3}, {"strategy.params.fast": 4}]


def asked(forge: Any, config: Path, results: Path, **request: Any) -> Any:
    """Make a batch in a process, of three where nothing else is asked for."""
    request = {"sets": THREE} | request
    return forge.ask({"do": "batch", "config": str(config), "results": str(results), **request})[0]


def test_a_batch_writes_the_ledger_twice_and_flushes_all_before_it_relies_on_it(
    forge: Any, config: Path, ram: Path
) -> None:
    calls = asked(forge, config, ram / "results", fault={"n": 0}).calls
    started, sealed = (i for i, call in enumerate(calls) if call == "write ledger.jsonl")
    assert calls[started + 1] == calls[sealed + 1] == "fsync ledger.jsonl"
    assert not any("config_snapshot" in call for call in calls[:started]), "nothing of a run before its start"
    assert not any(call.startswith("rename") for call in calls[: sealed + 1]), "no name before the seal"
    names = [call.removeprefix("rename ") for call in calls if call.startswith("rename ")]
    assert len(names) == len(THREE)
    for name in (
        "equity.csv",
        "stats.json",
        "trades.csv",
        "manifest.json",
        "code/peak_trade/strategies/sma_crossover.py",
    ):
        for working in names:
            written = max(i for i, call in enumerate(calls) if call == f"write {working}/{name}")
            flushed = calls.index(f"fsync {working}/{name}")
            assert started < written < flushed < sealed
    for working in names:
        assert f"fsync {working}" in calls[:sealed], "the names of the files, before the seal"
    assert "fsync ." in calls[max(i for i, call in enumerate(calls) if call.startswith("rename ")) :]


def killed_everywhere(
    forge: Any,
    config: Path,
    copies: Callable[[], Path],
    look: Any,
    *,
    half: bool = False,
    **request: Any,
) -> tuple[list[str], list[str]]:
    """Kill a batch at each of its calls that changes something; return where, and what was wrong after."""
    places: list[str] = []
    wrong: list[str] = []
    for n in range(1, 900):
        results = copies()
        before = look.photograph(results)
        outcome = asked(forge, config, results, fault={"n": n, "half": half}, **request)
        if outcome.code != KILLED:
            assert outcome.code == 0, outcome.stderr
            return places, wrong
        places.append(outcome.calls[-1])
        if outcome.calls[-1].startswith("read "):
            continue
        problems = [f"at once: {fault}" for fault in look.faults_of(results)]
        now = look.photograph(results)
        problems += [f"changed {name}" for name in before if name != "ledger.jsonl" and now.get(name) != before[name]]
        following = forge.cli(config, results)
        problems += [] if following.code == 0 else [f"the next run: {following.stderr}"]
        run_dir.recover(Results(results))
        problems += [f"after recovery: {fault}" for fault in look.unrecovered(results)]
        problems += ["a second recovery found something to do"] if run_dir.recover(Results(results)) else []
        wrong += [f"killed at call {n} ({outcome.calls[-1]}): {problem}" for problem in problems]
    raise AssertionError("the batch did not complete")


@pytest.mark.slow
def test_a_batch_killed_at_any_call_is_recovered(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    places, wrong = killed_everywhere(
        forge, config, copies, look, sets=[{}, {"strategy.params.fast": 50}]
    )  # the second fails
    assert not wrong, "\n".join(wrong)
    assert {"mkdir", "open", "write", "fsync", "rename"} <= {place.partition(" ")[0] for place in places}
    assert sum(place.startswith("rename ") for place in places) == 2


@pytest.mark.slow
def test_a_batch_killed_half_way_through_any_write_is_recovered(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    places, wrong = killed_everywhere(forge, config, copies, look, half=True)
    assert not wrong, "\n".join(wrong)
    assert sum(place == "write ledger.jsonl" for place in places) == 2  # one and a half of three lines each time


def test_control_a_batch_that_gives_names_before_its_seal_is_found_out(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    complete = asked(forge, config, copies(), sabotage="name_first", fault={"n": 0}).calls
    first = next(n for n, call in enumerate(complete, 1) if call.startswith("rename"))
    results = copies()
    outcome = asked(forge, config, results, sabotage="name_first", fault={"n": first + 1})
    assert outcome.code == KILLED
    assert any("an entry that seals" in fault for fault in look.faults_of(results))


def test_a_full_disk_in_the_middle_of_the_seals_leaves_the_ledger_as_it_was(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    complete = asked(forge, config, copies(), fault={"n": 0}).calls
    n = max(i for i, call in enumerate(complete, 1) if call == "write ledger.jsonl")
    results = copies()
    outcome = asked(forge, config, results, fault={"n": n, "code": "ENOSPC"})
    assert outcome.stdout.count("cannot write the evidence: No space left on device") == len(THREE)
    assert look.faults_of(results) == []
    statuses = [run_dir.read_manifest(path).predicate.status for path in Results(results).runs()]
    assert sorted(statuses) == ["failed", "failed", "failed", "sealed"]
