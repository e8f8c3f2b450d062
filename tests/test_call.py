"""`peak_trade.call`: a command ends, by itself or not."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest

from peak_trade.call import NOT_FOUND, TIMED_OUT, call


def test_what_a_command_says_and_how_it_ends_is_returned(tmp_path: Path) -> None:
    done = call("sh", "-c", "cat; pwd; echo no >&2; exit 3", cwd=tmp_path, timeout_s=60, stdin="given\n")
    assert done == (3, f"given\n{tmp_path.resolve()}\n", "no\n")
    assert done.reason == "no"


def test_output_that_is_no_text_survives(tmp_path: Path) -> None:
    assert os.fsencode(call("printf", r"\377", cwd=tmp_path, timeout_s=60).out) == b"\xff"


def test_a_reason_holds_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    done = call("sh", "-c", r"printf '\033[31mred\n' >&2; exit 9", cwd=tmp_path, timeout_s=60)
    assert done.reason == r"\x1b[31mred"


def test_a_command_that_is_missing_is_no_exception(tmp_path: Path) -> None:
    assert call("no-such-command", cwd=tmp_path, timeout_s=60).code == NOT_FOUND


def ended(process: int) -> bool:
    """Whether a process is gone, or only waits for whoever adopted it to notice."""
    try:
        return ") Z " in Path("/proc", str(process), "stat").read_text(encoding="utf-8")
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("echo", [None, io.StringIO()])
def test_a_command_that_does_not_end_is_ended_with_its_children(echo: io.StringIO | None, tmp_path: Path) -> None:
    for limit in (0.5, 5, 50):  # a busy machine may need longer to start it at all
        done = call("sh", "-c", "sleep 600 & echo $!; wait", cwd=tmp_path, timeout_s=limit, echo=echo)
        assert (done.code, done.reason) == (TIMED_OUT, f"no end after {limit:g} s")
        if done.out:
            break
    for _ in range(600):
        if ended(int(done.out)):
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


def test_a_child_that_outlives_its_command_keeps_nobody_waiting(tmp_path: Path) -> None:
    forks = "import os, time\nif not os.fork():\n    os.setsid()\n"
    waits = "    while not os.path.exists('go'):\n        time.sleep(0.1)\n"
    done = call(sys.executable, "-c", f"{forks}{waits}    os._exit(0)\nprint('left')", cwd=tmp_path, timeout_s=60)
    (tmp_path / "go").touch()  # until now it held our files open; had they been pipes, this would come after the limit
    assert done[:2] == (0, "left\n")


def test_what_is_echoed_comes_whole_and_in_order(tmp_path: Path) -> None:
    echo = io.StringIO()
    done = call("sh", "-c", "echo one; sleep 0.3; echo two >&2; exit 1", cwd=tmp_path, timeout_s=60, echo=echo)
    assert echo.getvalue() == done.out == "one\ntwo\n"
    assert done.code == 1
