"""The local pool: who works changes no byte; whatever a strategy does to its worker, the sweep goes on."""

from __future__ import annotations

import pytest
from tests.sweep.conftest import Bed

GRID = ("--grid", "strategy.params.n=2:13:1")  # twelve trials


def does(what: str, when: str = "True") -> str:
    """Return a strategy that does something to its worker in the trial with n = 5, which is number 3."""
    return f"""
def traded(bars, *, n=3):
    if n == 5 and {when}:
        {what}
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
"""


def once(bed: Bed) -> str:
    """Return a condition that holds the first time alone."""
    return f"not os.path.exists({str(bed.home / 'mark')!r}) and open({str(bed.home / 'mark')!r}, 'w')"


def test_one_worker_and_three_make_the_same_bytes(bed: Bed) -> None:
    one, three = (bed.sweep(*GRID, "--jobs", jobs, results=bed.home / jobs) for jobs in ("1", "3"))
    assert one.sealed == three.sealed
    assert [row["status"] for row in one.rows] == ["done"] * 12


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the interpreter crashed (SIGSEGV), twice"),
        ("import ctypes; ctypes.string_at(0)", "the interpreter crashed (SIGSEGV), twice"),
        ("os.abort()", "the interpreter crashed (SIGABRT), twice"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed (SIGKILL), twice"),
        ("os._exit(3)", "the strategy ended its process (exit code 3), twice"),
        ("os._exit(0)", "the strategy ended its process (exit code 0), twice"),
        ("sys.exit(4)", "the strategy raised SystemExit: 4"),
        ("raise KeyboardInterrupt", "the strategy raised KeyboardInterrupt"),
        ("os.closerange(0, 65536)", "the strategy closed the descriptor that its worker answers by, twice"),
    ],
)
def test_a_trial_that_ends_its_worker_is_a_failed_row(bed: Bed, what: str, why: str) -> None:
    control = bed.sweep(*GRID)
    bed.strategy(does(what))
    swept = bed.sweep(*GRID, "--jobs", "2", results=bed.home / "other")
    assert swept.errors == {3: why}
    same = [row["equity_digest"] for row in control.rows]
    assert [row["equity_digest"] for row in swept.rows] == [*same[:3], "", *same[4:]]


def test_a_trial_whose_worker_is_killed_once_is_made_again(bed: Bed) -> None:
    bed.strategy(does("os.kill(os.getpid(), signal.SIGKILL)", once(bed)))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert (bed.home / "mark").exists()
    assert swept.errors == {}


def test_every_trial_that_crashes_is_a_row_and_the_sweep_says_why_none_is_left(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    os.abort()\n")
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.code == 1
    assert "no trial came to its end: the interpreter crashed (SIGABRT), twice" in swept.stderr


def test_a_trial_that_hangs_is_stopped_and_says_so(bed: Bed) -> None:
    bed.strategy(does("time.sleep(60)"))
    swept = bed.sweep(*GRID, "--jobs", "2", "--timeout", "0.5")
    assert swept.errors == {3: "stopped after 0.5 s, its limit"}


def test_a_trial_that_hangs_where_no_signal_reaches_it_is_stopped_by_the_configs_limit(bed: Bed) -> None:
    bed.strategy(
        does("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); 'a' * 50 == [0 for _ in iter(int, 1)]")
    )
    config = bed.home / "config.toml"
    config.write_text("[run]\ntimeout_s = 0.5\n" + config.read_text())
    assert bed.sweep(*GRID).errors == {3: "stopped after 0.5 s, its limit"}


def test_memory_beyond_the_limit_fails_a_trial_and_no_other(bed: Bed) -> None:
    bed.strategy(does("np.ones(2**27)"))  # 1 GiB
    assert bed.sweep(*GRID).errors == {}
    errors = bed.sweep(*GRID, "--memory-limit", "300M", results=bed.home / "limited").errors
    assert list(errors) == [3]
    assert "Unable to allocate 1.00 GiB" in errors[3]


def test_a_strategy_that_forks_is_one_trial(bed: Bed) -> None:
    bed.strategy(does("os.fork()"))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.errors == {}
    assert len(swept.rows) == 12


def test_what_a_strategy_prints_is_not_on_stdout(bed: Bed) -> None:
    bed.strategy(does("print('hello'); os.write(1, b'there\\n')"))
    swept = bed.sweep(*GRID)
    assert swept.stdout == f"{swept.path.name}\n"
    assert "hello" in swept.stderr
    assert "there" in swept.stderr


def test_a_strategy_that_writes_into_every_descriptor_fails_alone(bed: Bed) -> None:
    sockets = "at for at in range(3, 1024) if os.path.realpath(f'/proc/self/fd/{at}').find('socket:') >= 0"
    what = f"[os.write(at, b'x' * 4096) for at in [{sockets}]]"
    bed.strategy(does(what))
    swept = bed.sweep(*GRID, "--jobs", "2")
    assert swept.errors == {3: "the strategy wrote into its worker's answer, twice"}
