"""A run that is refused, or fails, leaves no process behind."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

from peak_trade import config as configs
from peak_trade import runner
from peak_trade.errors import PeakError
from peak_trade.evidence import provenance


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that answers after ten minutes; returns the file that it writes its pid to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(f'#!/bin/sh\necho $$ >> "{tmp_path}/pids"\nexec sleep 600\n')
    git.chmod(git.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(provenance, "_ANSWERS", {})
    return tmp_path / "pids"


def alive(pids: Path) -> list[int]:
    found = []
    for pid in map(int, pids.read_text().split()):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            found.append(pid)
    return found


def refused(config: Path, ram: Path) -> float:
    """Run what is refused for its data, which git is slower than; return how long that took."""
    (ram / "bars.csv").write_text("timestamp,open\n2024-01-01,nonsense\n" * 100)
    time.sleep(0.01)
    began = time.monotonic()
    with pytest.raises(PeakError):
        runner.run(configs.load(config, []), root=ram, results=ram / "results")
    return time.monotonic() - began


def wait_for(pids: Path) -> None:
    deadline = time.monotonic() + 10
    while not pids.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_refused_start_leaves_no_git_behind_and_does_not_wait_for_it(
    config: Path, ram: Path, slow_git: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.order.load_bars

    def load(*args: object) -> object:
        wait_for(slow_git)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(runner.order, "load_bars", load)
    assert refused(config, ram) < 5
    assert slow_git.exists() and alive(slow_git) == []


def test_control_a_question_that_is_not_closed_leaves_it(tmp_path: Path, slow_git: Path) -> None:
    question = provenance.GitQuestion(tmp_path)
    wait_for(slow_git)
    assert alive(slow_git)
    question.close()
    assert alive(slow_git) == []
