"""Whatever a strategy does: exit 1, one sentence and a hint, and evidence that says what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.results import Results
from peak_trade.text import escaped

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = """
import logging, os, subprocess, sys, threading, time, warnings
import numpy as np

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def fine(bars): return np.ones(len(bars))
def raises(bars): return {}["nothing here"]
def too_short(bars): return np.zeros(len(bars) - 1)
def too_long(bars): return np.zeros(len(bars) + 1)
def two_dimensional(bars): return np.zeros((len(bars), 2))
def has_nan(bars): return np.full(len(bars), np.nan)
def has_infinity(bars): return np.full(len(bars), np.inf)
def too_large(bars): return np.full(len(bars), 1.5)
def a_string(bars): return "long"
def strings(bars): return ["long"] * len(bars)
def nothing(bars): return None
def a_generator(bars): return (1.0 for _ in bars.close)
def complex_numbers(bars): return np.ones(len(bars)) * 1j
def goes_short(bars): return -np.ones(len(bars))
def leaves(bars): sys.exit(0)
def leaves_with_words(bars): sys.exit("goodbye")
def interrupts(bars): raise KeyboardInterrupt
def base_exception(bars): raise BaseException("the very base")
def exits_generator(bars): raise GeneratorExit
def recurses(bars): return recurses(bars)
def out_of_memory(bars): raise MemoryError
def unspeakable(bars): raise Unspeakable
def wordless(bars): raise ValueError
def huge(bars): raise ValueError("x" * 1_000_000)
def many_lines(bars): raise ValueError("first line\\nsecond line\\n" * 1000)
def secret(bars): raise ValueError("cannot log in with api_key=sk-12345678 at https://me:hunter22@host/")
def surrogate(bars): raise FileNotFoundError(2, "No such file", "caf\\udce9.csv")
def control_characters(bars): raise ValueError("bell \\x07 and escape \\x1b[31m red")
def a_group(bars): raise ExceptionGroup("two", [ValueError("one"), KeyError("other")])
def system_error(bars): raise OSError(28, "No space left on device")
def own_class(bars): raise type("Ärger", (Exception,), {})("ö")
def mutates(bars): bars.close[:] = 1.0; return np.ones(len(bars))
def replaces(bars): bars.close = bars.close * 2; return np.ones(len(bars))
def sleeps(bars): time.sleep(600)
def computes(bars):
    while True: pass
def swallows_exceptions(bars):
    while True:
        try: time.sleep(60)
        except Exception: pass
def swallows_everything(bars):
    while True:
        try: time.sleep(60)
        except: pass
def swallows_everything_busily(bars):
    while True:
        try:
            for _ in range(1000): sum(range(100))
        except BaseException: continue
def swallows_in_layers(bars):
    while True:
        try: swallows_everything(bars)
        except BaseException: pass
def tidies_up(bars):
    try: time.sleep(60)
    finally: time.sleep(0.01); print("tidied", file=sys.stderr)

def prints(bars): print("noise"); print("more noise", flush=True); os.write(1, b"raw\\n"); return np.ones(len(bars))
def child_prints(bars): subprocess.run(["echo", "child's noise"], check=True); return np.ones(len(bars))
def changes_folder(bars): os.chdir("/"); return np.ones(len(bars))
def logs_badly(bars): logging.getLogger("mine").warning("%d apples", "many"); return np.ones(len(bars))
def logs_surrogates(bars): logging.getLogger("mine").warning("caf\\udce9"); return np.ones(len(bars))
def logs_anew(bars): logging.basicConfig(force=True); return np.ones(len(bars))
def logs_nothing(bars):
    logging.disable(logging.CRITICAL)
    return np.ones(len(bars))
def forks(bars): os.fork(); return np.ones(len(bars))
def forks_and_raises(bars):
    if os.fork() == 0: raise ValueError("in the child")
    os.wait()
    return np.ones(len(bars))
def warns(bars): warnings.warn("mind the gap"); return np.ones(len(bars))
def strict_numpy(bars): np.seterr(all="raise"); warnings.simplefilter("error"); return np.ones(len(bars))
def has_a_default(bars, *, kind=fine, names=frozenset({"a", "b", "c", "d"})): return np.ones(len(bars))
def takes_anything(bars, **params): return np.ones(len(bars))
def random_target(bars):
    import random
    return np.array([random.random() for _ in bars.close]) * np.random.rand(len(bars))
"""

FAILING = {
    "raises": "the strategy raised KeyError: 'nothing here'",
    "too_short": "the strategy returned 19 values; needed: one number in [-1, 1] for each of the 20 bars",
    "too_long": "the strategy returned 21 values",
    "two_dimensional": "the strategy returned an array of shape (20, 2)",
    "has_nan": "the strategy returned nan at row 0",
    "has_infinity": "the strategy returned inf at row 0",
    "too_large": "the strategy returned 1.5 at row 0",
    "a_string": "the strategy returned a str that is no array of numbers",
    "strings": "the strategy returned a list that is no array of numbers",
    "nothing": "the strategy returned None",
    "a_generator": "the strategy returned a generator that is no array of numbers",
    "complex_numbers": "the strategy returned a ndarray that is no array of numbers",
    "goes_short": "",
    "leaves": "the strategy raised SystemExit: 0",
    "leaves_with_words": "the strategy raised SystemExit: goodbye",
    "interrupts": "interrupted",
    "base_exception": "the strategy raised BaseException: the very base",
    "exits_generator": "the strategy raised GeneratorExit",
    "recurses": "the strategy raised RecursionError: maximum recursion depth exceeded",
    "out_of_memory": "the strategy raised MemoryError",
    "unspeakable": "the strategy raised Unspeakable: its text raised RuntimeError",
    "wordless": "the strategy raised ValueError",
    "huge": "the strategy raised ValueError: " + "x" * 200,
    "many_lines": "the strategy raised ValueError: first line",
    "secret": "the strategy raised ValueError: cannot log in with api_key=[redacted] at https://me:[redacted]@host/",
    "surrogate": "the strategy raised FileNotFoundError: [Errno 2] No such file: 'caf\\udce9.csv'",
    "control_characters": "the strategy raised ValueError: bell",
    "a_group": "the strategy raised ExceptionGroup: two (2 sub-exceptions)",
    "system_error": "the strategy raised OSError: [Errno 28] No space left on device",
    "own_class": "the strategy raised Ärger: ö",
    "mutates": "the strategy raised ValueError: assignment destination is read-only",
    "replaces": "the strategy raised ",
}
TIMING_OUT = (
    "sleeps", "computes", "swallows_exceptions", "swallows_everything", "swallows_everything_busily",
    "swallows_in_layers", "tidies_up",
)  # fmt: skip


@pytest.fixture
def misbehave(forge: Any, config: Path, ram: Path) -> Any:
    """Return a function that runs one of the strategies above by the command line."""
    (ram / "user.py").write_text(STRATEGIES)
    text = config.read_text()

    def started(name: str, *argv: str, lines: str = "", **request: Any) -> Any:
        entry = text.replace('name = "sma_crossover"', f'entrypoint = "user.py:{name}"')
        entry = entry.replace("fast = 2\nslow = 5\n", "")
        config.write_text(entry + lines)
        return forge.cli(config, ram / "results", *argv, **request)

    return started


def evidence(results: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Return the manifest's predicate, error.json and the log of the only run, up to its last error."""
    [folder] = [path for path in results.iterdir() if len(path.name) == 36]
    log = [json.loads(line) for line in (folder / "run.log").read_text().splitlines()]
    while log[-1]["level"] != "error":  # user.py holds what looks like a secret: after the error, it is left out
        log.pop()
    return (
        json.loads((folder / "manifest.json").read_bytes())["predicate"],
        json.loads((folder / "error.json").read_bytes()),
        log,
    )


@pytest.mark.parametrize("name", FAILING)
def test_a_strategy_that_misbehaves_leaves_a_failed_run(misbehave: Any, ram: Path, look: Any, name: str) -> None:
    outcome = misbehave(name)
    assert outcome.code == 1, outcome.stderr
    assert outcome.stdout == ""
    [message], hints = outcome.said("error"), outcome.said("hint")
    assert message.startswith(FAILING[name])
    assert len(message) < 400
    assert hints
    assert "Traceback" not in outcome.stderr
    predicate, error, log = evidence(ram / "results")
    assert predicate["status"] == "failed"
    assert escaped(error["message"]) == message  # a terminal gets no more than that
    assert error["stage"] == ("backtest" if name == "goes_short" else "strategy")
    assert log[-1]["level"] == "error"
    if name != "goes_short" and not message.startswith(("the strategy returned", "interrupted")):
        assert f"in {name}\n" in log[-1]["traceback"], "the strategy's own frame"
    assert look.unrecovered(ram / "results") == []


@pytest.mark.parametrize("name", TIMING_OUT)
def test_a_strategy_that_runs_too_long_is_stopped(misbehave: Any, ram: Path, look: Any, name: str) -> None:
    outcome = misbehave(name, "--set", "run.timeout_s=0.5")  # time enough to get as far as the strategy's own frame
    assert outcome.code == 1  # it would go on for ever, and be killed
    [said] = outcome.said("error")
    told, _, where = said.partition(", at user.py:")
    assert told == "the strategy ran longer than run.timeout_s = 0.5 s"
    assert where or name.startswith("swallows"), "one that has to be killed stands nowhere"
    [run] = Results(ram / "results").runs()
    [hint] = outcome.said("hint")
    assert f"just show {run.name[:8]}" in hint
    predicate, error, log = evidence(ram / "results")
    assert predicate["status"] == "failed"
    assert error["type"] == "TimeOut"
    assert f"in {name}\n" in log[-1]["traceback"]
    assert look.unrecovered(ram / "results") == []


def test_a_strategy_that_is_stopped_may_tidy_up(misbehave: Any) -> None:
    assert "tidied" in misbehave("tidies_up", "--set", "run.timeout_s=0.5").stderr


def test_a_strategy_that_is_quick_enough_is_not_stopped(misbehave: Any) -> None:
    assert misbehave("fine", "--set", "run.timeout_s=60").code == 0


def test_a_secret_in_an_exception_reaches_no_file(misbehave: Any, ram: Path) -> None:
    misbehave("secret")
    content = b"".join(path.read_bytes() for path in (ram / "results").rglob("*") if path.is_file())
    assert b"cannot log in" in content
    assert b"12345678" not in content
    assert b"hunter22" not in content


@pytest.mark.parametrize("name", ["prints", "child_prints", "changes_folder",
                                  "logs_surrogates", "logs_anew", "logs_nothing",
                                  "forks", "forks_and_raises", "warns", "strict_numpy"])  # fmt: skip
def test_a_strategy_with_side_effects_changes_neither_stdout_nor_the_result(
    misbehave: Any, ram: Path, look: Any, name: str
) -> None:
    outcome = misbehave(name)
    assert outcome.code == 0, outcome.stderr
    assert [outcome.stdout.strip()] == [path.name for path in (ram / "results").iterdir() if len(path.name) == 36]
    assert look.unrecovered(ram / "results") == []


def test_a_log_call_that_is_wrong_does_not_fail_the_run(misbehave: Any) -> None:
    assert misbehave("logs_badly").code == 0


@pytest.mark.parametrize(
    "settings",
    ["logging.basicConfig(force=True)", "logging.disable(logging.CRITICAL)", "logging.shutdown()",
     "logging.config.dictConfig({'version': 1})"],
)  # fmt: skip
def test_the_traceback_is_kept_however_a_strategy_configures_logging(
    misbehave: Any, config: Path, forge: Any, ram: Path, settings: str
) -> None:
    misbehave("fine")
    code = f"import logging.config\n{settings}\ndef fine(bars): raise ValueError('no idea')\n"
    (ram / "user.py").write_text(code)
    forge.cli(config, ram / "others")
    assert "in fine\n" in evidence(ram / "others")[2][-1]["traceback"]


def test_a_relative_results_directory_stays_where_it_was_named(
    misbehave: Any, forge: Any, config: Path, ram: Path
) -> None:
    misbehave("fine")
    config.write_text(config.read_text().replace("user.py:fine", "user.py:changes_folder"))
    outcome = forge.cli(config, Path("relative"), cwd=str(ram))
    assert outcome.code == 0, outcome.stderr
    assert (ram / "relative" / outcome.run_id / "manifest.json").is_file()


@pytest.mark.parametrize(
    "way, found",
    [
        ("os._exit(0)", "the strategy ended the run's process, with exit code 0, before its run was sealed"),
        ("os._exit(2)", "the strategy ended the run's process, with exit code 2, before its run was sealed"),
        ("os.kill(os.getpid(), 9)", "the run's process was ended by SIGKILL before its run was sealed"),
        ("ctypes.string_at(0)", "the run's process was ended by SIGSEGV before its run was sealed"),
        ("os.abort()", "the run's process was ended by SIGABRT before its run was sealed"),
        ("os.execvp('true', ['true'])", "the strategy ended the run's process, with exit code 0"),
    ],
)
def test_a_strategy_that_ends_the_process_leaves_a_failed_run(
    forge: Any, misbehave: Any, ram: Path, look: Any, way: str, found: str
) -> None:
    (ram / "user.py").write_text(f"import ctypes, os\ndef vanishes(bars): {way}\n")
    assert misbehave("fine").code == 2  # control: the function is not there
    config = ram / "config.toml"
    config.write_text(config.read_text().replace("user.py:fine", "user.py:vanishes"))
    (ram / "other").mkdir()
    outcome = forge.cli(config, ram / "other")
    assert (outcome.code, outcome.stdout) == (1, "")
    [message], [hint] = outcome.said("error"), outcome.said("hint")
    assert message.startswith(found) and hint.startswith("just show ")
    predicate, error, log = evidence(ram / "other")
    assert predicate["status"] == "failed" and error["message"] == message and error["stage"] == "strategy"
    assert log[-1]["message"] == message
    assert look.unfinished(ram / "other") == []
    assert look.unrecovered(ram / "other") == []


def test_defaults_that_are_objects_are_sealed_alike_in_every_process(misbehave: Any, config: Path, ram: Path) -> None:
    misbehave("has_a_default")
    command = [
        sys.executable,
        ROOT / "scripts/run_strategy_from_config.py",
        "--config",
        config,
        "--results-dir",
        ram / "r",
    ]
    for seed in ("1", "2"):
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True)
    first, second = (path.read_bytes() for path in ram.glob("r/*/config_snapshot.json"))
    assert first == second
    assert json.loads(first)["strategy"]["params"] == {"kind": "<function fine>", "names": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    "value",
    [
        "9223372036854775807",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "07:30:00",
        "[1, [2, 'x']]",
        "{ a = { b = 1 } }",
    ],
)
def test_any_value_of_toml_can_be_a_parameter(misbehave: Any, ram: Path, look: Any, value: str) -> None:
    outcome = misbehave("takes_anything", lines=f"value = {value}\n".replace("'", '"'))
    assert outcome.code == 0, outcome.stderr
    assert look.unrecovered(ram / "results") == []


def test_a_seed_makes_a_random_strategy_repeatable(misbehave: Any, ram: Path) -> None:
    runs = [misbehave("random_target", "--set", f"run.seed={seed}").run_id for seed in (7, 7, 8)]
    first, again, other = ((ram / "results" / run / "equity.csv").read_bytes() for run in runs)
    assert first == again != other
