"""A disk that is full, broken or forbidden at any call: exit 1, one sentence and a hint, and no half run."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results

CODES = ("ENOSPC", "EACCES", "EIO")
ROOT = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What a process said."""

    code: int
    stdout: str
    stderr: str

    def said(self, label: str) -> list[str]:
        return [line.partition(": ")[2] for line in self.stderr.splitlines() if line.startswith(f"{label}: ")]


def wrong_after(outcome: Any, results: Path, before: dict[str, str], look: Any) -> list[str]:
    """Return what is wrong after a run whose call failed: in what was said, and in what was left."""
    problems = []
    now = look.photograph(results)
    problems += [f"changed {name}" for name in before if name != "ledger.jsonl" and now.get(name) != before[name]]
    problems += [f"at once: {fault}" for fault in look.faults_of(results)]
    dead = {run.run_id for run in run_dir.unfinished(Results(results))}
    made = {name for name in now if len(name) == 36} - before.keys()
    if outcome.code == 1:
        if len(outcome.said("error")) != 1 or not outcome.said("hint") or "Traceback" in outcome.stderr:
            problems.append(f"not one sentence and a hint: {outcome.stderr}")
        if outcome.said("error")[0].startswith("internal"):
            problems.append(f"not readable: {outcome.stderr}")
        if outcome.stdout:
            problems.append(f"a run_id on stdout: {outcome.stdout}")
        if "the run is sealed all the same" in outcome.stderr:  # all but the flush of the final name was done
            made.clear()
    elif outcome.code == 0:
        made.discard(outcome.run_id)
        if dead:
            problems.append("exit 0, and a run is unfinished")
    else:
        problems.append(f"exit {outcome.code}: {outcome.stderr}")
    problems += [f"{run_id} is not a failed run" for run_id in made if not (results / run_id / "error.json").exists()]
    if {run_id for run_id, _ in run_dir.recover(Results(results))} < dead:
        problems.append("recovery left out a dead run")
    problems += [f"after recovery: {fault}" for fault in look.unrecovered(results)]
    if run_dir.recover(Results(results)):
        problems.append("a second recovery found something to do")
    return problems


def failing_everywhere(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any, until: tuple[str, ...] = (), **request: Any
) -> tuple[set[str], list[str]]:
    """Let the 1st, 2nd, … call of a run fail until it completes; return which failed, and what was wrong after.

    A control looks no further than faults that have each of `until` in them.
    """
    places: set[str] = set()
    wrong: list[str] = []
    fault = request.pop("fault", {})
    for n in range(1, 500):
        if until and all(any(re.search(words, fault) for fault in wrong) for words in until):
            return places, wrong
        results = copies()
        before = look.photograph(results)
        code = CODES[n % 3]
        outcome = forge.cli(config, results, "--quiet", fault=fault | {"n": n, "code": code}, **request)
        if len(outcome.calls) < n:
            assert outcome.code == 0, outcome.stderr
            return places, wrong
        place = outcome.calls[n - 1]
        places.add(re.sub(r" .*/", " ", place))
        problems = wrong_after(outcome, results, before, look)
        harmless = place.endswith("run.log") or place == "mkdir .working"  # not sealed; there already
        if outcome.calls[: n - 1].count("write ledger.jsonl") == 2:  # it is sealed: what is left is worth a warning
            harmless |= any(line.startswith(("seal.json skipped", "directory left")) for line in outcome.said("warn"))
        if outcome.code == 0 and not harmless:
            problems.append("it was not noticed")
        wrong += [f"{code} at call {n} ({place}): {problem}" for problem in problems]
    raise AssertionError("the run did not complete")


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_any_call_may_fail(forge: Any, config: Path, copies: Callable[[], Path], look: Any, lasting: bool) -> None:
    places, wrong = failing_everywhere(forge, config, copies, look, fault={"lasting": lasting})
    assert not wrong, "\n".join(wrong)
    for call in ("write ledger.jsonl", "fsync ledger.jsonl", "write equity.csv", "fsync manifest.json", "fsync ."):
        assert call in places
    assert any(place.startswith("rename") for place in places)


def test_any_write_may_end_half_way(forge: Any, config: Path, copies: Callable[[], Path], look: Any) -> None:
    places, wrong = failing_everywhere(forge, config, copies, look, fault={"half": True})
    assert not wrong, "\n".join(wrong)
    assert "write trades.csv" in places


def test_control_a_write_error_that_is_swallowed_is_found(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any
) -> None:
    found = (r"equity\.csv.*sha256|sha256.*equity\.csv", "it was not noticed")
    _, wrong = failing_everywhere(forge, config, copies, look, found, fault={"half": True}, sabotage="swallow_errors")
    assert [words for words in found if not any(re.search(words, problem) for problem in wrong)] == [], wrong


def test_the_first_run_of_all_may_fail_at_any_call(forge: Any, config: Path, ram: Path, look: Any) -> None:
    wrong = []
    for n in range(1, 20):  # as far as the first file: what follows does not depend on other runs
        results = ram / "deep" / str(n)
        outcome = forge.cli(config, results, fault={"n": n, "code": CODES[n % 3]})
        place = outcome.calls[n - 1]
        assert outcome.code == 1 or place.endswith("run.log")
        wrong += [f"at call {n} ({place}): {fault}" for fault in wrong_after(outcome, results, {}, look)]
    assert not wrong, "\n".join(wrong)


def test_a_torn_ledger_that_cannot_be_repaired_stays_as_it_is(
    forge: Any, config: Path, copies: Callable[[], Path]
) -> None:
    torn = b'{"event":"start","time":"2024-01-'
    repaired = 0
    for n in range(1, 40):
        results = copies()
        whole = (results / "ledger.jsonl").read_bytes()
        (results / "ledger.jsonl").write_bytes(whole + torn)
        outcome = forge.cli(config, results, fault={"n": n, "code": CODES[n % 3]})
        if "ledger" not in outcome.calls[n - 1]:
            continue
        now = (results / "ledger.jsonl").read_bytes()
        assert now.startswith(whole)
        aside = results / "ledger.torn"
        assert now.startswith(whole + torn) or set(aside.read_bytes().splitlines()) == {torn}, outcome.calls[n - 1]
        repaired += 1
    assert repaired > 5


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_fails_a_run_and_harms_nothing(forge: Any, config: Path, small_disk: Path, look: Any) -> None:
    results = small_disk / "results"
    assert forge.cli(config, results).code == 0
    filler, full = small_disk / "filler", 0
    for pages in range(0, 24):  # free pages: none, one, two, … up to enough
        before = look.photograph(results)
        content = bytes(os.statvfs(small_disk).f_bavail * 4096)
        filler.write_bytes(content[pages * 4096 :])
        assert os.statvfs(small_disk).f_bavail == pages
        outcome = forge.cli(config, results, "--quiet")
        full += outcome.code == 1
        filler.unlink()
        assert wrong_after(outcome, results, before, look) == [], f"{pages} free pages"
        if outcome.code == 0:
            break
    else:
        raise AssertionError("never enough room")
    assert full > 5


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_limit_on_file_sizes_fails_a_run_and_harms_nothing(
    config: Path, results: Path, look: Any, limit: int
) -> None:
    before = look.photograph(results)
    limited = ["bash", "-c", f'ulimit -f {limit} && exec "$@"', "bash"]  # in kB
    command = [sys.executable, ROOT / "scripts/run_strategy_from_config.py", "--config", config]
    done = subprocess.run([*limited, *command, "--results-dir", results], capture_output=True, text=True)
    outcome = Said(done.returncode, done.stdout, done.stderr)
    assert "File too large" in outcome.stderr
    assert wrong_after(outcome, results, before, look) == []


# --- each command, each error -------------------------------------------------------------------------------------

DEEDS: dict[str, tuple[str, tuple[str, ...]]] = {  # a script and its words; {run} is the run that is there
    "run": ("run_strategy_from_config.py", ("--config", "{config}", "--quiet")),
    "doctor": ("doctor.py", ()),
    "pin": ("pin_run.py", ("{run}",)),
    "report-index": ("report_index.py", ()),
    "runs": ("list_runs.py", ()),
    "show": ("show_run.py", ("{run}",)),
    "verify": ("verify_runs.py", ("--all", "--no-data")),
}
ERRORS = ("ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "ESTALE", "EMFILE", "ENOMEM")


@pytest.mark.hostile(share=5)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("deed", DEEDS)
def test_each_command_says_each_error_in_a_sentence_and_harms_no_run(
    forge: Any, config: Path, copies: Callable[[], Path], look: Any, deed: str, code: str, lasting: bool
) -> None:
    results = copies()
    before = look.photograph(results)
    run_id = next(path.name for path in results.iterdir() if len(path.name) == 36)
    name, words = DEEDS[deed]
    argv = [word.format(config=config, run=run_id) for word in words] + ["--results-dir", str(results)]
    asked = {"do": "cli", "script": name, "argv": argv, "results": str(results)}
    [whole] = forge.ask(asked | {"fault": {"n": 0}})
    assert whole.code in ((0, 1) if deed == "doctor" else (0,)), whole.stderr
    assert whole.calls
    for n in sorted(random.Random(f"{deed} {code} {lasting}").sample(range(1, len(whole.calls) + 1), 3)):
        copies()
        [outcome] = forge.ask(asked | {"fault": {"n": n, "code": code, "lasting": lasting}})
        at = f"{code} at call {n} ({outcome.calls[n - 1]})"
        assert outcome.code in (0, 1, 2), f"{at}: {outcome.stderr}"
        assert "Traceback" not in outcome.stderr and "internal" not in outcome.stderr, f"{at}: {outcome.stderr}"
        if outcome.code and not outcome.stdout:
            assert len(outcome.said("error")) == 1, f"{at}: {outcome.stderr}"
        now = look.photograph(results)
        assert [file for file in before if file != "ledger.jsonl" and now.get(file) != before[file]] == [], at
        assert look.faults_of(results) == [], at
        run_dir.recover(Results(results))
        assert forge.ask(asked)[0].code == whole.code, at
        assert look.unrecovered(results) == [], at
