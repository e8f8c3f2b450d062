"""Several processes on one sweep: claims, a dead one gives back, a slow one costs time, the bytes are those of one."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.sweep.conftest import Bed, Swept, ledger

from peak_trade.sweep.claims import Claims, Member
from peak_trade.sweep.folder import Folder

GRID = ("--grid", "strategy.params.n=2:61:1", "--keep", "2")  # sixty trials
SLOW = """
def traded(bars, *, n=3):
    time.sleep(float(os.environ.get("PACE", "0")))
    while n > 10 and not os.path.exists(os.environ.get("GATE", "/")):
        time.sleep(0.01)
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, 1.0, 0.0)
"""


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def parent_of(results: Path) -> str:
    """Wait for a sweep to begin, and return its run_id."""
    until(lambda: any(results.glob(".sweeps/*/rows/[0-9]*")))
    return next(results.glob(".sweeps/*/rows")).parent.name


def done(process: subprocess.Popen[str], results: Path) -> Swept:
    """Wait for a sweep to end."""
    stdout, stderr = process.communicate(timeout=120)
    return Swept(process.returncode, stdout, stderr, results)


def until_it_works(bed: Bed, run_id: str, process: subprocess.Popen[str]) -> None:
    """Wait until a process has claimed trials of a sweep."""
    claims, name = bed.results / ".sweeps" / run_id / "claims", f"{process.pid}-".encode()
    until(lambda: process.poll() is not None or any(name in path.read_bytes() for path in claims.glob("0-*")))
    assert process.poll() is None, process.communicate()


@contextmanager
def killed(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Leave none of these processes behind."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            with suppress(ValueError):  # it has been heard out
                process.communicate()


@pytest.fixture
def alone(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Swept:
    """The sweep as one process makes it; after it, most trials wait for a file, the gate."""
    bed.strategy(SLOW)
    made = bed.sweep(*GRID, "--jobs", "1", results=bed.home / "alone")
    monkeypatch.setenv("GATE", str(bed.home / "gate"))
    return made


def test_three_that_share_a_sweep_make_the_bytes_of_one(bed: Bed, alone: Swept) -> None:
    first = bed.start(*GRID, "--jobs", "1")
    run_id = parent_of(bed.results)
    others = [bed.join(run_id[:8], "--jobs", "1") for _ in range(2)]
    with killed(first, *others):
        for one in others:
            until_it_works(bed, run_id, one)
        (bed.home / "gate").touch()
        ends = [done(one, bed.results) for one in (first, *others)]
    assert [one.code for one in ends] == [0, 0, 0], [one.stderr for one in ends]
    assert {one.stdout for one in ends} == {f"{run_id}\n"}
    assert ends[0].sealed == alone.sealed
    assert not list(bed.results.glob(".sweeps/*"))
    assert [line["event"] for line in ledger(bed.results) if line["run_id"] == run_id].count("sealed") == 1


def test_one_is_killed_and_one_stopped_and_nothing_is_lost_or_double(bed: Bed, alone: Swept) -> None:
    first = bed.start(*GRID, "--jobs", "1")
    run_id = parent_of(bed.results)
    dead, slow = (bed.join(run_id, "--jobs", "1") for _ in range(2))
    with killed(first, dead, slow):
        for one in (dead, slow):
            until_it_works(bed, run_id, one)
        os.kill(dead.pid, signal.SIGKILL)
        os.kill(slow.pid, signal.SIGSTOP)
        (bed.home / "gate").touch()
        time.sleep(1.0)
        os.kill(slow.pid, signal.SIGCONT)
        end = done(first, bed.results)
        late = done(slow, bed.results)
    assert end.sealed == alone.sealed
    assert (late.code, late.stdout) == (0, f"{run_id}\n"), late.stderr
    assert [line["event"] for line in ledger(bed.results) if line["run_id"] == run_id].count("sealed") == 1


def test_where_the_one_who_began_is_gone_another_seals(bed: Bed, alone: Swept) -> None:
    first = bed.start(*GRID, "--jobs", "1")
    run_id = parent_of(bed.results)
    other = bed.join(run_id, "--jobs", "1")
    with killed(first, other):
        until_it_works(bed, run_id, other)
        os.kill(first.pid, signal.SIGKILL)
        (bed.home / "gate").touch()
        end = done(other, bed.results)
    assert end.sealed == alone.sealed
    assert end.path.name == run_id


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("strategy.py", "def traded(bars, *, n=3):\n    return bars.close * 0\n", "code is not the same here"),
        ("bars.csv", None, "the bars are not the same here"),
    ],
    ids=["code", "data"],
)
def test_who_has_other_data_or_code_is_refused(
    bed: Bed, alone: Swept, name: str, content: str | None, why: str
) -> None:
    first = bed.start(*GRID, "--jobs", "1")
    with killed(first):
        run_id = parent_of(bed.results)
        before = (bed.home / name).read_text()
        (bed.home / name).write_text(content or before.replace(",1\n", ",2\n", 1))  # the volume of the first bar
        other = done(bed.join(run_id, "--jobs", "1"), bed.results)
    assert (other.code, other.stdout) == (2, "")
    assert re.search(f"error: cannot work along: .*{why}", other.stderr), other.stderr


def test_who_joins_what_is_not_there_is_told(bed: Bed, alone: Swept) -> None:
    other = done(bed.join("0123abcd"), alone.results)
    assert other.code == 2
    assert "there is no sweep '0123abcd'" in other.stderr


def test_who_joins_what_is_sealed_has_nothing_to_do(bed: Bed, alone: Swept) -> None:
    other = done(bed.join(alone.path.name[:8], results=alone.results), alone.results)
    assert other.path == alone.path


# --- claims


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A sweep's folder, with no rows."""
    made = Folder(tmp_path, "one")
    made.begin(b"")
    return made


def test_two_claim_what_the_other_has_not(folder: Folder) -> None:
    one, two = (Claims(folder, 0, 10, Member(folder)) for _ in range(2))
    assert [one.take(3), two.take(4), one.take(2), two.take(9), one.take(1)] == [(0, 3), (3, 7), (7, 9), (9, 10), None]


def test_what_one_has_claimed_is_free_once_it_has_left(folder: Folder) -> None:
    leaver, stayer = Member(folder), Member(folder)
    gone, there = Claims(folder, 0, 10, leaver), Claims(folder, 0, 10, stayer)
    assert (gone.take(6), there.take(9)) == ((0, 6), (6, 10))
    there.look()
    assert there.take(9) is None  # it is there still
    leaver.leave()
    there.look()
    assert there.take(4) == (0, 4)


def elsewhere(folder: Folder) -> Member:
    """Return a member as of another host, whose lock tells nothing here."""
    member = Member(folder)
    place, member.name = folder.path / "workers", "1-0123-elsewhere"
    (place / "1-0123-elsewhere").write_bytes(member.path.read_bytes())
    return member


def test_one_elsewhere_that_does_not_count_on_is_gone_after_a_while(folder: Folder) -> None:
    silent, there = Claims(folder, 0, 10, elsewhere(folder)), Claims(folder, 0, 10, Member(folder), stale=0.3)
    assert silent.take(10) == (0, 10)
    there.look()
    assert there.take(1) is None
    time.sleep(0.4)
    there.look()
    assert there.take(1) == (0, 1)


def test_one_elsewhere_that_counts_on_is_there_whatever_its_clock_says(folder: Folder) -> None:
    counting, there = Claims(folder, 0, 10, elsewhere(folder)), Claims(folder, 0, 10, Member(folder), stale=0.3)
    assert counting.take(10) == (0, 10)
    file = folder.path / "workers" / "1-0123-elsewhere"
    for count in range(6):
        file.write_bytes(count.to_bytes(8, "little"))
        os.utime(file, (0, 0))
        there.look()
        time.sleep(0.1)
    assert there.take(1) is None


@pytest.mark.parametrize("seed", range(5))
def test_whoever_comes_and_goes_each_trial_is_claimed_by_one_that_is_there(folder: Folder, seed: int) -> None:
    draw, count = random.Random(seed), 200
    there: list[tuple[Member, Claims]] = []
    held: dict[str, list[int]] = {}
    for _ in range(60):
        if len(there) < 2 or draw.random() < 0.1:
            member = Member(folder)
            there.append((member, Claims(folder, 0, count, member)))
            held[member.name] = []
        member, claims = draw.choice(there)
        if draw.random() < 0.2 and len(there) > 2:
            member.leave()
            there.remove((member, claims))
            del held[member.name]
        elif span := claims.take(draw.randint(1, 12)):
            held[member.name] += range(*span)
        else:
            claims.look()
        mine = [at for one in held.values() for at in one]
        assert len(mine) == len(set(mine))
    member, claims = there[0]
    claims.look()
    while span := claims.take(50):
        held[member.name] += range(*span)
    assert sorted(at for one in held.values() for at in one) == list(range(count))


FOLDS = ("--grid", "n=2:21:1", "--keep", "0", "--walk-forward", "train=6d", "test=3d")


def test_who_shares_a_walk_forward_goes_through_its_rounds(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.strategy(SLOW)
    alone = bed.sweep(*FOLDS, results=bed.home / "alone")
    monkeypatch.setenv("GATE", str(bed.home / "gate"))
    first = bed.start(*FOLDS, "--jobs", "1")
    run_id = parent_of(bed.results)
    other = bed.join(run_id, "--jobs", "1")
    with killed(first, other):
        until_it_works(bed, run_id, other)
        (bed.home / "gate").touch()
        ends = [done(one, bed.results) for one in (first, other)]
    assert [one.code for one in ends] == [0, 0], [one.stderr for one in ends]
    assert ends[1].sealed == alone.sealed
    assert {row["part"] for row in alone.rows} == {"train", "test"}
