"""Publishers that are killed at any step, or that publish at once, leave tables that are whole, and of a commit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, commit, compact, ingest, publish
from peak_trade.evidence.results import Results

pytestmark = pytest.mark.needs("share")

KILLED = -9
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "publish_lake.py"
Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def lake(place: Path, look: Any) -> Path:
    """A lake that has changed since it was published to `before`: new files, replaced ones, a revision."""
    lake = place / "lake"
    ingest.ingest_bars(lake, look.bars([10, 11, 12], symbol="KILL"), source="a")
    build.build(Results(place / "results"), lake, root=place)
    shutil.copytree(lake, place / "old")
    publish.publish(lake, place / "before")
    ingest.ingest_bars(lake, look.bars([10, 11.5, 12, 13], symbol="KILL"), source="a")
    look.run(place / "config.toml", place / "results", "strategy.params.fast=1")
    build.build(Results(place / "results"), lake, root=place)
    compact.compact(lake, grace_s=0)
    return lake


def columns(lake: Path) -> dict[str, Any]:
    return {name: live.columns for name, live in commit.newest(lake).tables.items()}


def read(published: Any, lake: Path, uri: Path) -> Rows:
    """Every row at an address, by the log alone; of a table that is not there, none."""
    at = published(uri)
    return {name: at.rows(name, kinds) if (uri / name).exists() else [] for name, kinds in columns(lake).items()}


def states(look: Any, place: Path) -> list[Rows]:
    tables = tuple(commit.newest(place / "lake").tables)
    return [look.contents(place / "old", tables), look.contents(place / "lake", tables)]


def wrong(rows: Rows, allowed: list[Rows]) -> list[str]:
    """What a reader must not see: a table of neither commit, or runs without what belongs to them."""
    found = [name for name in rows if rows[name] not in [state[name] for state in allowed]]
    if rows["runs"] == allowed[-1]["runs"]:
        found += [f"{name} is behind runs" for name in rows if rows[name] != allowed[-1][name]]
    return found


def killed_everywhere(
    publisher: Any,
    published: Any,
    look: Any,
    place: Path,
    *,
    after: bool = False,
    anew: bool = False,
    sabotage: str = "",
) -> tuple[list[str], list[str]]:
    """Kill at the first, second, … step until it completes; return where it died, and what was wrong after."""
    lake, out = place / "lake", place / "out"
    nothing: Rows = {name: [] for name in columns(lake)}
    allowed = [nothing, states(look, place)[-1]] if anew else states(look, place)
    died: list[str] = []
    faults: list[str] = []
    for n in range(1, 400):
        shutil.rmtree(out, ignore_errors=True)
        if not anew:
            shutil.copytree(place / "before", out)
        [(code, said)] = publisher.ask({"lake": lake, "uri": str(out), "n": n, "after": after, "sabotage": sabotage})
        if code != KILLED:
            assert (code, said[-1]) == (0, "changed True"), said
            break
        died.append(said[-1])
        try:
            faults += [
                f"killed at step {n} ({said[-1]}): {fault}" for fault in wrong(read(published, lake, out), allowed)
            ]
        except Exception as error:  # noqa: BLE001 - a table that cannot be read is what is looked for
            faults.append(f"killed at step {n} ({said[-1]}): {error}")
        if sabotage and faults:
            break
        if n % 5 == 0:
            publish.publish(lake, out)
            assert read(published, lake, out) == allowed[-1]
            assert not publish.publish(lake, out).changed
    else:
        raise AssertionError("it did not complete")
    return died, faults


@pytest.mark.parametrize("after", [False, True], ids=["before a step", "right after a step"])
@pytest.mark.parametrize("anew", [False, True], ids=["a second time", "the first time"])
def test_it_may_be_killed_at_any_step(
    publisher: Any, published: Any, look: Any, place: Path, lake: Path, after: bool, anew: bool
) -> None:
    died, faults = killed_everywhere(publisher, published, look, place, after=after, anew=anew)
    assert not faults, "\n".join(faults)
    written = "create_table_with_add_actions" if anew else "create_write_transaction"
    assert {"put", "settle", written} <= set(died) and died.count(
        written
    ) >= 5  # of 14: threads take turns as they like


def test_control_a_log_that_is_written_before_its_files_is_seen(
    publisher: Any, published: Any, look: Any, place: Path, lake: Path
) -> None:
    _, faults = killed_everywhere(publisher, published, look, place, sabotage="log_first")
    assert "No files found" in faults[0] or "Could not open" in faults[0] or "No such file" in faults[0], faults


def test_the_command_may_be_killed_at_any_instant(published: Any, look: Any, place: Path, lake: Path) -> None:
    out, draw = place / "out", random.Random(7)
    allowed = states(look, place)
    start = time.monotonic()
    shutil.copytree(place / "before", out)
    subprocess.run([sys.executable, SCRIPT, out, "--lake-dir", lake], check=True, capture_output=True)
    took, whole = time.monotonic() - start, 0
    for _ in range(12):
        shutil.rmtree(out)
        shutil.copytree(place / "before", out)
        with subprocess.Popen([sys.executable, SCRIPT, out, "--lake-dir", lake], stderr=subprocess.DEVNULL) as process:
            time.sleep(draw.uniform(0.4, 1.0) * took)
            process.send_signal(signal.SIGKILL)
        rows = read(published, lake, out)
        assert not wrong(rows, allowed)
        whole += rows == allowed[1]
        publish.publish(lake, out)
        assert read(published, lake, out) == allowed[1]
    assert whole < 12  # else nothing was killed in its midst


def at_once(publisher: Any, requests: list[dict[str, Any]]) -> list[str]:
    """Publish several times, all from one instant on, and return what each said."""
    at = time.time() + 0.3
    answers = publisher.ask(*({**request, "at": at} for request in requests))
    assert [code for code, _ in answers] == [0] * len(requests), answers
    return [said[-1] for _, said in answers]


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("anew", [False, True], ids=["a second time", "the first time"])
def test_several_at_once_write_each_commit_once(
    publisher: Any, published: Any, look: Any, place: Path, lake: Path, count: int, anew: bool
) -> None:
    for round_ in range(3):
        out = place / f"out{round_}"
        if not anew:
            shutil.copytree(place / "before", out)
        at_once(publisher, [{"lake": lake, "uri": str(out)}] * count)
        assert read(published, lake, out) == states(look, place)[-1]
        versions = {name: published(out).version(name) for name in columns(lake)}
        assert set(versions.values()) == {0 if anew else 1}, versions  # who lost has read again, and written nothing


def test_control_who_does_not_ask_what_is_there_writes_a_commit_again(
    publisher: Any, published: Any, place: Path, lake: Path
) -> None:
    shutil.copytree(place / "before", place / "out")
    at_once(publisher, [{"lake": lake, "uri": str(place / "out"), "sabotage": "no_question"}] * 2)
    assert any(published(place / "out").version(name) > 1 for name in columns(lake))


@pytest.mark.parametrize("count", [2, 8])
def test_of_an_older_and_a_newer_commit_at_once_the_newer_one_stays(
    publisher: Any, published: Any, look: Any, place: Path, lake: Path, count: int
) -> None:
    for round_ in range(5):
        out = place / f"out{round_}"
        lakes = [place / "old", lake] * (count // 2)
        at_once(publisher, [{"lake": lake_, "uri": str(out)} for lake_ in lakes])
        assert read(published, lake, out) == states(look, place)[-1]


def test_control_an_entry_that_does_not_ask_what_is_there_brings_the_old_commit_back(
    publisher: Any, published: Any, look: Any, place: Path, lake: Path
) -> None:
    out = place / "out"
    publish.publish(lake, out)
    [(code, _)] = publisher.ask({"lake": place / "old", "uri": str(out), "sabotage": "no_question"})
    assert code == 0
    assert read(published, lake, out) == states(look, place)[0] != states(look, place)[-1]


def test_ctrl_c_is_a_sentence_and_the_tables_are_whole(
    published: Any, look: Any, place: Path, lake: Path, publisher: Any
) -> None:
    shutil.copytree(place / "before", place / "out")
    program = (
        "import runpy, sys, os, signal\nfrom peak_trade.data.lake import target\n"
        "real = target.Target.put\n"
        "def put(self, *given):\n    real(self, *given)\n    target.Target.put = real\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "target.Target.put = put\n"
        "sys.argv[0:] = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, SCRIPT, place / "out", "--lake-dir", lake],
        capture_output=True, text=True, timeout=60, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: interrupted\n")
    assert not wrong(read(published, lake, place / "out"), states(look, place))
