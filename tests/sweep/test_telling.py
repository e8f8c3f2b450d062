"""What a person sees of a sweep under way."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator

import pytest
from tests.sweep.conftest import Bed, ledger

from peak_trade.sweep import Beginning, Telling, telling


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(telling, "time", made)
    return made


def test_where_there_is_no_terminal_a_line_comes_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = Telling(lambda told: ())
    for second in range(26):
        clock.now = 1_000.0 + second
        heard.done(100 + 40 * second, second // 10, 10_100)
    assert capsys.readouterr().err.splitlines() == [
        "500 of 10,100 trials, 1 failed, 40/s, 4:00 min left",  # 400 in 10 s; 9,600 are left
        "900 of 10,100 trials, 2 failed, 40/s, 3:50 min left",
    ]


def test_the_rate_is_that_of_this_round(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    heard = Telling(lambda told: ())
    heard.done(0, 0, 100)
    clock.now += 5
    heard.done(100, 0, 100)
    heard.done(0, 0, 50)
    clock.now += 10
    heard.done(20, 0, 50)
    assert capsys.readouterr().err.splitlines() == ["20 of 50 trials, 2.0/s, 15 s left"]


def test_what_it_means_comes_first_and_going_on_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Telling(lambda told: [f"{told.trials} mean something"])
    heard.begins(Beginning("5a0c1a9e-0000-4000-8000-000000000000", "TEST", "1d", "ab", 5.0, 40, 40, 7))
    assert capsys.readouterr().err.splitlines() == ["40 mean something", "goes on as 5a0c1a9e: 7 trials done before"]


@pytest.mark.parametrize(
    ("plan", "said", "means"),
    [
        # 400 bars: test windows begin at 100, 200 and 300, so that there are 4 × 3 trials, and a choice on each
        (("--walk-forward", "train=100bars", "test=100bars"), "12 trials to choose from, and at most 3 more of", 15),
        # 4 × 4 trials; each of 4 groups is tested by 3 of 6 splits, so that at most 3 choices are traded on it
        (("--cpcv", "4,2"), "16 trials to choose from, and at most 12 more of", 28),
    ],
)
def test_trials_that_follow_from_what_is_chosen_are_said_before_and_counted_afterwards(
    bed: Bed, plan: tuple[str, ...], said: str, means: int
) -> None:
    swept = bed.sweep("--grid", "n=2:5:1", *plan)
    lines = swept.stderr.splitlines()
    assert f"{said} what is chosen" in lines
    assert any(line.startswith(f"at most {means} trials on 0.05 years: ") for line in lines)
    first, counted = int(said.split()[0]), ledger(bed.results)[-1]["trials"]
    assert counted == len(swept.rows)
    assert first < counted <= means
    assert plan[0] == "--cpcv" or counted == means  # each fold had a choice


def test_on_a_terminal_a_bar_is_drawn_and_taken_away(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    time.sleep(0.05)\n    return (np.arange(len(bars)) % n == 0) * 1.0\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        bed.command("--grid", "n=2:21:1", "--keep", "0"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=theirs, env=dict(os.environ, TERM="xterm"),
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # as Linux ends it
        pass
    process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b" of 20 trials" in said
    assert b"/s, " in said
    bar, _, after = said.rpartition(b"\r\x1b[K")
    assert b"#" in bar
    assert b"#" not in after
