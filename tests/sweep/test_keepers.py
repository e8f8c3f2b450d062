"""What is kept is made by processes side by side: each ends what it is at, and one that dies is said."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from peak_trade.errors import InputError, RunError
from peak_trade.sweep.keepers import spread


def answers(make: Callable[[int], object], count: int, jobs: int) -> list[object]:
    return [json.loads(one) for one in spread(make, count, jobs)]


def test_each_batch_is_made_once_by_so_many_processes_and_none_is_left(tmp_path: Path) -> None:
    def make(at: int) -> list[int]:
        time.sleep(0.02)
        (tmp_path / str(at)).touch(exist_ok=False)
        return [at, os.getpid()]

    found = answers(make, 9, 3)
    assert sorted(one[0] for one in found) == list(range(9))  # type: ignore[index]
    pids = {one[1] for one in found}  # type: ignore[index]
    assert len(pids) == 3
    assert os.getpid() not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_batches_start_no_process() -> None:
    assert answers(lambda at: at, 0, 2) == []


def test_an_error_of_one_is_raised_once_the_others_have_ended_what_they_are_at(tmp_path: Path) -> None:
    def make(at: int) -> int:
        if at == 0:
            raise InputError("no room", hint="make some")
        time.sleep(0.3)
        (tmp_path / str(at)).touch()
        return at

    with pytest.raises(RunError, match="no room") as caught:
        answers(make, 8, 2)
    assert caught.value.hint == "make some"
    assert os.listdir(tmp_path) == ["1"]


@pytest.mark.parametrize(("end", "told"), [("kill", "SIGKILL"), ("exit", "exit code 3")])
def test_a_process_that_dies_is_said_and_how(end: str, told: str) -> None:
    def make(at: int) -> int:
        if at == 1:
            os.kill(os.getpid(), signal.SIGKILL) if end == "kill" else os._exit(3)
        return at

    with pytest.raises(RunError, match=told):
        answers(make, 4, 2)


def test_one_that_dies_and_leaves_a_child_with_its_socket_is_seen() -> None:
    def make(at: int) -> int:
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
        return at

    start = time.monotonic()
    with pytest.raises(RunError, match="has died"):
        answers(make, 1, 1)
    assert time.monotonic() - start < 2.5


def test_one_that_is_interrupted_ends_as_its_parent_does_and_is_waited_for(tmp_path: Path) -> None:
    def make(at: int) -> int:
        if at == 0:
            return at
        try:
            time.sleep(30)
        except KeyboardInterrupt:
            time.sleep(0.2)
            (tmp_path / "sealed").touch()
            raise
        return at

    start = time.monotonic()
    with closing(spread(make, 2, 1)) as found:
        assert next(found) == b"0"
        time.sleep(0.2)
    assert os.listdir(tmp_path) == ["sealed"]
    assert time.monotonic() - start < 20
