"""Workers on this machine: forks of this process, which share its bars by copy-on-write.

A worker gets chunks of trials, of about a quarter of a second's work, and one more while it is at one. A worker that
dies, or answers what is no answer, is replaced: the trials that it had are asked for again, the one that it was at
alone, in a fresh worker. What kills that one too is a failed trial, and so is, at once, what takes too long.

Rows come to this process, which puts them on disk several times a second: a file for all that stand together.
"""

from __future__ import annotations

import gc
import math
import mmap
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import NoReturn

from msgspec import Struct, field

from peak_trade.errors import RunError
from peak_trade.sweep.bench import Bench
from peak_trade.sweep.claims import Claims, Member
from peak_trade.sweep.executor import worker
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Round
from peak_trade.sweep.rows import Row, Rows
from peak_trade.sweep.spans import Span, gaps, overlap, total

__all__ = ["Pool", "cores", "has_ended", "is_dead"]

_WORK = 0.25  # seconds in a chunk
_MOST = 4096  # trials in a chunk
_GROWTH = 8  # times the last chunk, at most: the first trials may not be like the others
_AHEAD = 2  # chunks that a worker has been asked for
_LOOK = 0.2  # seconds after which workers are looked at, where none says anything
_WRITE = 0.25  # seconds that rows wait for more of them
_ENDS = 1.0  # seconds that a process may take to end
_LARGEST = 1 << 30  # bytes of an answer
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Chunk(Struct, frozen=True):
    first: int
    end: int
    alone: bool = False  # of one trial, which a worker has died at

    def __len__(self) -> int:
        return self.end - self.first


class _Worker(Struct, eq=False):
    pid: int
    line: socket.socket
    place: int
    slot: worker.Slot
    chunks: deque[_Chunk] = field(default_factory=deque)
    answer: bytearray = field(default_factory=bytearray)
    since: float = 0.0  # it has been at its first chunk


class Pool(Struct, frozen=True):
    """So many workers on this machine; as many as there are cores that this process may use, where `jobs` is None.

    `timeout` is in seconds a trial, `memory_limit` in bytes a worker, beside what it shares.
    """

    bench: Bench
    folder: Folder
    jobs: int | None = None
    timeout: float | None = None
    memory_limit: int | None = None

    def run(self, number: int, tasks: Round) -> Iterator[tuple[int, int]]:
        """Yield what there is, then what has been added, by others too; RunError where there can be no workers."""
        tally = Tally(self.folder, number, 0, len(tasks))
        yield tally.look()
        if tally.left:
            member = Member(self.folder)
            try:
                claims = Claims(self.folder, number, len(tasks), member)
                claims.look()
                yield from self._work(number, tasks, tally, claims)
            finally:
                member.leave()

    def make(self, number: int, tasks: Round, first: int, end: int, beat: Callable[[], None]) -> None:
        """Make what is not there yet of the trials `first` up to `end`, whoever may have claimed them.

        `beat` is called several times a second.
        """
        tally = Tally(self.folder, number, first, end)
        tally.look()
        for _ in self._work(number, tasks, tally, _Lot(tally.left, beat)):
            pass

    def _work(self, number: int, tasks: Round, tally: Tally, lot: Claims | _Lot) -> Iterator[tuple[int, int]]:
        shift = _Shift(self, number, tasks, tally, lot)
        try:
            yield from shift.work()
        finally:
            shift.end()


class Tally:
    """How many of the trials `first` up to `end` of a round are on disk, whoever made them, and how many failed."""

    def __init__(self, folder: Folder, number: int, first: int, end: int) -> None:
        self.folder, self.number = folder, number
        self.left = [(first, end)]
        self._seen: set[Span] = set()
        self._errors: dict[Span, Collection[int]] = {}

    def know(self, chunk: Span, errors: Collection[int]) -> None:
        """Know which of a chunk have failed, so that it need not be read again."""
        self._errors[chunk] = errors

    def look(self) -> tuple[int, int]:
        """Return how many there are more than last time."""
        made = failed = 0
        for chunk in sorted(set(self.folder.chunks(self.number)) - self._seen):
            self._seen.add(chunk)
            more = [span for left in self.left for span in overlap(left, chunk)]
            if more:
                errors = self._errors.pop(chunk, None)
                if errors is None:
                    errors = self.folder.chunk(self.number, *chunk).error
                made += total(more)
                failed += sum(start <= chunk[0] + at < stop for at in errors for start, stop in more)
                self.left = [span for left in self.left for span in gaps([chunk], *left)]
        return made, failed


class _Lot:
    """Trials that are this process's alone: what `Claims` are where several share them."""

    def __init__(self, left: list[Span], beat: Callable[[], None]) -> None:
        self._free, self.beat = list(left), beat

    def free(self) -> int:
        """Return how many trials are left to be taken."""
        return total(self._free)

    def take(self, most: int) -> Span | None:
        """Take the first of them, up to `most`."""
        if not self._free:
            return None
        first, end = self._free.pop(0)
        if end - first > most:
            self._free.insert(0, (first + most, end))
        return first, min(end, first + most)

    def look(self) -> None:
        """Nothing: there is nobody else."""


class _Shift:
    """The workers of one round."""

    def __init__(self, pool: Pool, number: int, tasks: Round, tally: Tally, lot: Claims | _Lot) -> None:
        self.pool, self.number, self.tasks, self.tally = pool, number, tasks, tally
        self.lot = lot
        self.pieces: deque[_Chunk] = deque()  # of chunks whose worker died
        self.jobs = min(pool.jobs or cores(), total(tally.left))
        self.memory = mmap.mmap(-1, max(self.jobs * worker.SLOT.size, mmap.PAGESIZE))
        self.workers: list[_Worker] = []
        self.selector = selectors.DefaultSelector()
        self.timeout = pool.timeout or pool.bench.source.config.run.timeout_s
        self.size = 1  # trials in the next chunk
        self.rows: dict[int, Rows] = {}  # by their first trial; to be put on disk
        self.written = time.monotonic()

    def work(self) -> Iterator[tuple[int, int]]:
        """Yield what has been added, until all trials are there."""
        gc.freeze()  # else the first collection in a worker writes into every page that has an object
        for place in range(self.jobs):
            if not self._hire(place):
                break
        while self.tally.left:
            for one in self.workers:
                self._ask(one)
            for key, _ in self.selector.select(self._patience()):
                self._heard(key.data)
            for one in list(self.workers):
                if (why := self._late(one)) or self._is_gone(one):
                    self._lost(one, why)
            self.lot.beat()
            idle = not self.pieces and not any(one.chunks for one in self.workers)
            if idle or time.monotonic() - self.written > _WRITE:
                self._write()
                yield self.tally.look()
                if idle:
                    self.lot.look()  # who else is at what is left

    def end(self) -> None:
        """End all workers, and what they have started; what they have answered is put on disk."""
        for one in self.workers:
            _kill(one.pid)
            one.line.close()
        for one in self.workers:
            os.waitpid(one.pid, 0)
        self.workers.clear()
        self.selector.close()
        self._write()

    def _write(self) -> None:
        """Put rows on disk, those that stand together in one file."""
        rows, self.rows = self.rows, {}
        while rows:
            first = end = min(rows)
            together = []
            while end in rows:
                together.append(rows.pop(end))
                end += len(together[-1])
            whole = Rows.joined(together)
            self.pool.folder.keep(self.number, first, whole)
            self.tally.know((first, end), whole.error)
        self.written = time.monotonic()

    # --- what is to be done

    def _ask(self, one: _Worker) -> None:
        """Give a worker chunks, until it has enough to do."""
        while len(one.chunks) < _AHEAD and not (one.chunks and one.chunks[0].alone):
            chunk = self._next()
            if chunk is None:
                return
            self._give(one, chunk)

    def _give(self, one: _Worker, chunk: _Chunk) -> None:
        if not one.chunks:
            one.since = time.monotonic()
        one.chunks.append(chunk)
        with suppress(OSError):  # it is dead, which will be seen
            one.line.sendall(worker.HEAD.pack(chunk.first, chunk.end))

    def _next(self) -> _Chunk | None:
        if self.pieces:
            return self.pieces.popleft()
        fair = math.ceil(self.lot.free() / (2 * self.jobs))  # so that all end together
        span = self.lot.take(max(1, min(self.size, fair)))
        return None if span is None else _Chunk(*span)

    # --- what comes of it

    def _heard(self, one: _Worker) -> None:
        """Take what a worker has written; where it is gone, or what it wrote is no answer, see to its trials."""
        try:
            content = one.line.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self._lost(one, closed=not has_ended(one.pid))
            return
        one.answer += content
        size = worker.HEAD.size
        while len(one.answer) >= size:
            length, again = worker.HEAD.unpack_from(one.answer)
            if length != again or not 0 <= length <= _LARGEST or not one.chunks:
                self._lost(one, garbled=True)
                return
            if len(one.answer) < size + length:
                return
            rows = self._rows(one.chunks[0], bytes(one.answer[size : size + length]))
            if rows is None:
                self._lost(one, garbled=True)
                return
            del one.answer[: size + length]
            chunk, now = one.chunks.popleft(), time.monotonic()
            self._learn((now - one.since) / len(chunk))
            one.since = now
            self.rows[chunk.first] = rows
            self._ask(one)

    def _rows(self, chunk: _Chunk, content: bytes) -> Rows | None:
        """Return the rows that a worker has sent; None where they are not those of the chunk."""
        try:
            rows = Rows.decode(content)
        except ValueError:
            return None
        if len(rows) != len(chunk) or any(not 0 <= at < len(rows) for at in rows.error):
            return None
        tasks = [self.tasks[at] for at in range(chunk.first, chunk.end)]
        same = rows.fold.tolist() == [one.fold for one in tasks] and rows.part == [one.part for one in tasks]
        return rows if same else None

    def _learn(self, took: float) -> None:
        """Know by how long a trial took how many the next chunk is to have."""
        self.size = max(1, min(int(_WORK / max(took, 1e-9)), self.size * _GROWTH, _MOST))

    # --- workers

    def _hire(self, place: int, chunk: _Chunk | None = None) -> bool:
        """Start a worker, with one chunk or with what is next; tell whether there can be one more.

        Raises RunError where there can be none at all.
        """
        ours, theirs = socket.socketpair()
        slot = worker.Slot(self.memory, place)
        slot.put(-1)
        parent, others = os.getpid(), [other.line for other in self.workers]  # else they would not see that it has gone

        def be(held: Collection[int]) -> NoReturn:
            worker.serve(
                theirs, [ours, *others], self.pool.bench, self.tasks, slot, self.pool.memory_limit, parent, held
            )

        try:
            pid = worker.fork(be)
        except OSError as error:
            ours.close()
            theirs.close()
            if not self.workers:
                raise RunError(
                    f"no worker can be started: {error.strerror}", hint="free memory or processes, then the same again"
                ) from None
            if chunk is not None:
                self.pieces.append(chunk)
            return False
        theirs.close()
        ours.setblocking(False)
        one = _Worker(pid, ours, place, slot)
        self.workers.append(one)
        self.selector.register(ours, selectors.EVENT_READ, one)
        if chunk is None:
            self._ask(one)
        else:
            self._give(one, chunk)
        return True

    def _lost(self, one: _Worker, late: str = "", *, garbled: bool = False, closed: bool = False) -> None:
        """See to the trials of a worker that has died, or is to: `late` says why its trial fails at once."""
        at, _ = one.slot.get()
        self.workers.remove(one)
        self.selector.unregister(one.line)
        one.line.close()
        _kill(one.pid)
        died = os.waitpid(one.pid, 0)[1]
        chunks = deque(one.chunks)
        self.size = 1  # what kills one may kill others: the less is to be done again
        alone: _Chunk | None = None
        if chunks:
            hand = chunks.popleft()
            if hand.alone or late:
                failed = hand.first if hand.alone else at
                self.rows[failed] = self._failed(failed, late or _told(died, garbled, closed))
                pieces = [_Chunk(hand.first, failed), _Chunk(failed + 1, hand.end)]
            elif hand.first <= at < hand.end:
                alone = _Chunk(at, at + 1, alone=True)
                pieces = [_Chunk(hand.first, at), _Chunk(at + 1, hand.end)]
            else:  # it was at none: any of them may have done it
                pieces = [_Chunk(trial, trial + 1, alone=True) for trial in range(hand.first, hand.end)]
            self.pieces.extendleft(reversed([piece for piece in (*pieces, *chunks) if len(piece)]))
        if alone or self.pieces or self.lot.free():
            self._hire(one.place, alone)

    def _failed(self, at: int, why: str) -> Rows:
        task = self.tasks[at]
        return Rows.of([Row(task.overrides, task.fold, task.part, why, None, None, None, 0.0)])

    def _patience(self) -> float:
        """Return how long to wait for an answer, at most."""
        if self.timeout is None:
            return _LOOK
        running = [since for one in self.workers for at, since in [one.slot.get()] if at >= 0]
        return min([_LOOK, *(max(since + self.timeout - time.monotonic(), 0.0) for since in running)])

    def _late(self, one: _Worker) -> str:
        """Return why a worker's trial fails, where it has taken too long."""
        at, since = one.slot.get()
        if self.timeout is None or not one.chunks or not one.chunks[0].first <= at < one.chunks[0].end:
            return ""
        late = time.monotonic() - since > self.timeout
        return f"stopped after {self.timeout:g} s, its limit" if late else ""

    def _is_gone(self, one: _Worker) -> bool:
        """Tell whether a worker is dead: a child that it left may hold its socket open."""
        return one in self.workers and is_dead(one.pid)


def is_dead(pid: int) -> bool:
    """Tell whether a child that has not been waited for has ended."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def has_ended(pid: int) -> bool:
    """Tell whether a worker whose socket is closed has ended, or is about to."""
    until = time.monotonic() + _ENDS
    while not (dead := is_dead(pid)) and time.monotonic() < until:
        time.sleep(0.001)
    return dead


def _kill(pid: int) -> None:
    """Kill a worker that has not been waited for, and the processes that it has started."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(pid, signal.SIGKILL)


def _told(status: int, garbled: bool, closed: bool) -> str:
    """Return how a worker ended, twice."""
    code = os.waitstatus_to_exitcode(status)
    if garbled:
        return "the strategy wrote into its worker's answer, twice"
    if closed or code == worker.CLOSED:
        return "the strategy closed the descriptor that its worker answers by, twice"
    if code >= 0:
        return f"the strategy ended its process (exit code {code}), twice"
    name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
    if name in _CRASHES:
        return f"the interpreter crashed ({name}), twice"
    return f"killed ({name}), twice"
