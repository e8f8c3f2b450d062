"""Runs the real scripts in processes that are killed, or whose system calls fail, at a call or instant of one's choice.

Started as a program it imports everything once, then reads a request a line from stdin (JSON), forks a child for it and
answers on stdout what became of the child. Nothing of the program knows of this: the calls are wrapped in the child
alone, and only those that touch the results directory are counted.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import itertools
import json
import os
import runpy
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CALLS = (
    "open",
    "write",
    "fsync",
    "mkdir",
    "rename",
    "unlink",
    "rmdir",
    "ftruncate",
    "fchmod",
)  # all that can change a folder
OTHERS = ("replace", "remove", "link", "symlink", "truncate", "pwrite", "writev", "fdatasync", "sendfile", "removedirs")
LIMIT_S = 300.0  # a child that takes longer hangs


@dataclass
class Fault:
    """At the `n`-th call below `results`: SIGKILL, or the error `code`; once, or from then on (`lasting`).

    `half`: only writes count, and half of the bytes are written first. `where` says what is hit: the whole `command`,
    which is two processes where a run has its supervisor, the `run` alone, or the `supervisor` alone.
    """

    results: str
    report: Callable[[str], None]
    n: int = 0
    code: str = "KILL"
    lasting: bool = False
    half: bool = False
    where: str = "command"
    seen: int = 0
    first: int = 0  # the process that was started: the supervisor, once there is a run
    in_turn: bool = True  # files are flushed one after the other, so that the `n`-th call is the same each time
    turn: Any = field(default_factory=threading.Lock)

    def install(self) -> None:
        self.first = os.getpid()
        if self.in_turn:
            from peak_trade.evidence import files

            files._AT_A_TIME = 1
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        io.open = builtins.open = self._wrapped("read", io.open)  # type: ignore[assignment]
        for name in OTHERS:  # a way to write that this does not count would be a hole in what it proves
            setattr(os, name, self._refused(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            path = self._touched(first, named)
            elsewhere = (self.where == "run") == (os.getpid() == self.first) and self.where != "command"
            if path is None or elsewhere or (self.half and name != "write"):
                return real(first, *rest, **named)
            with self.turn:
                self.seen += 1
                number = self.seen
                self.report(f"{name} {path}")
            if name == "read" and set(rest[0] if rest else named.get("mode", "r")) & set("wax+"):
                self.report(f"uncounted write to {path}")
            if number == self.n or (self.lasting and number > self.n > 0):
                if self.half:
                    real(first, rest[0][: len(rest[0]) // 2])
                if self.code == "KILL":
                    if self.where == "command":
                        os.kill(self.first, signal.SIGKILL)
                    os.kill(os.getpid(), signal.SIGKILL)
                if self.code in ("SIGINT", "SIGTERM"):
                    os.kill(os.getpid(), getattr(signal, self.code))
                    return real(first, *rest, **named)
                code = getattr(errno, self.code)
                raise OSError(code, os.strerror(code))
            return real(first, *rest, **named)

        return call

    def _refused(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            if path := self._touched(first, named):
                self.report(f"uncounted {name} {path}")
            return real(first, *rest, **named)

        return call

    def _touched(self, target: Any, named: dict[str, Any]) -> str | None:
        """Return a path in the results directory relative to it, None for one outside."""
        within = named.get("dir_fd", named.get("src_dir_fd"))
        try:
            base = "" if within is None else os.readlink(f"/proc/self/fd/{within}")
            path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.path.join(base, target)
            path = os.path.abspath(path)
        except (OSError, TypeError):
            return None
        inside = path == self.results or path.startswith(self.results + "/")
        return os.path.relpath(path, self.results) if inside else None


# --- what is done in a child --------------------------------------------------------------------------------------


def cli(request: dict[str, Any]) -> int:
    """Run a script as the command line does, and return its exit code."""
    sys.argv = [request["script"], *request["argv"]]
    try:
        runpy.run_path(str(ROOT / "scripts" / request["script"]), run_name="__main__")
    except SystemExit as exit:
        return int(exit.code or 0)
    return 0


def recover(request: dict[str, Any]) -> int:
    """Bring dead runs to their end."""
    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results

    done = run_dir.recover(Results(Path(request["results"])))
    sys.stderr.write("".join(f"{run_id} {what}\n" for run_id, what in done))
    return 0


def many(request: dict[str, Any]) -> int:
    """Make `runs` runs one after the other; `ids` are given to them in order, and a refusal of one is counted."""
    from peak_trade import config, runner
    from peak_trade.errors import InputError

    source = config.load(Path(request["config"]))
    ids = request.get("ids") or [None] * request["runs"]
    for run_id in ids:
        try:
            print(runner.run(source, root=ROOT, results=Path(request["results"]), run_id=run_id).name)
        except InputError:
            print("refused")
    return 0


def batch(request: dict[str, Any]) -> int:
    """Make a run with each of the overrides in `sets` in one batch, and print what became of each."""
    from peak_trade import config
    from peak_trade.runner.many import Wanted, run_many
    from peak_trade.runner.order import load_bars
    from peak_trade.runner.shared import Shared

    sources = [config.load(Path(request["config"]), overrides) for overrides in request["sets"]]
    wanted = [Wanted(source, parent=request.get("parent", ""), trial=at) for at, source in enumerate(sources)]
    for made in run_many(
        wanted, root=ROOT, results=Path(request["results"]), shared=Shared(load_bars(sources[0], ROOT))
    ):
        print(f"{made.run_id} {made.error.message if made.error else 'sealed'}")
    return 0


def until_told(most: int | None = None) -> Iterator[int]:
    """Count rounds, from 1 on, until SIGTERM, which may have come before this, or `most` are done."""
    ended, parent = list[bool](), os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    for number in itertools.count(1):
        yield number
        if ended or number == most or os.getppid() != parent:
            return


def watch(request: dict[str, Any]) -> int:
    """Recover and read, over and over, until told to end; print each run that was taken over and each break seen."""
    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.shown import listing

    results, rounds = Results(Path(request["results"])), 0
    for _ in until_told():
        rounds += 1
        for run_id, what in run_dir.recover(results):
            print(f"recovered {run_id}: {what}")
        for broken in results.ledger.read().broken:
            print(f"broken {broken}")
        for row in listing.rows(results):
            if row.status not in ("sealed", "running", "unfinished"):  # one that ends while it is listed
                print(f"{row.run_id} is {row.status}")
        with contextlib.suppress(Exception):
            results.find("last")
    sys.stderr.write(f"{rounds} rounds\n")
    return 0


def clean(request: dict[str, Any]) -> int:
    """Clean up `rounds` times, else over and over until told to end, and print what became of each run."""
    from peak_trade.evidence.results import Results
    from peak_trade.ops import removal, retention

    results = Results(Path(request["results"]))
    for _ in until_told(request.get("rounds")):
        made = removal.apply(results, retention.Policy(keep=request["keep"], days=0))
        for item in made.of("removed", "failed"):
            print(f"{item.action} {item.run_id} {item.why}")
    return 0


def check(request: dict[str, Any]) -> int:
    """List and verify everything, over and over, until told to end; print each thing that is wrong."""
    from peak_trade.evidence.results import Results
    from peak_trade.shown import listing
    from peak_trade.trust import verify

    results, rounds = Results(Path(request["results"])), 0
    for _ in until_told():
        rounds += 1
        for verdict in verify.verify_all(results, None, root=None):
            for finding in verdict.findings:
                print(f"{verdict.name}: {finding}")
        for row in listing.rows(results):
            if row.status not in ("sealed", "running", "unfinished", "removed"):
                print(f"{row.run_id} is {row.status}")
    sys.stderr.write(f"{rounds} rounds\n")
    return 0


DEEDS: dict[str, Callable[[dict[str, Any]], int]] = {
    "cli": cli, "recover": recover, "many": many, "batch": batch, "watch": watch, "clean": clean, "check": check
}  # fmt: skip


# --- ways to break the program, so that a test which passes without them is seen to fail --------------------------


def publish_first() -> None:
    """Give the final name before the seal is noted."""
    from peak_trade.evidence import files, manifest, run_dir

    def seal(self: Any, predicate: Any, event: str, **fields: Any) -> Path:
        written = files.write(self.path / manifest.NAME, [manifest.encode(self.sealed, predicate)])
        path: Path = self.publish()
        self.ledger.append(event, self.run_id, manifest=written.sha256, **fields)
        return path

    run_dir.RunDir.seal = seal  # type: ignore[method-assign]


def write_in_place() -> None:
    """Write a run under its final name from the start."""
    from peak_trade.evidence import run_dir

    create = run_dir.RunDir.create.__func__  # type: ignore[attr-defined]

    def created(cls: Any, results: Path, run_id: str, *, given: bool) -> Any:
        made = create(cls, results, run_id, given=given)
        made.path = made.path.rename(results / run_id)
        return made

    run_dir.RunDir.create = classmethod(created)  # type: ignore[method-assign,assignment]
    run_dir.RunDir.displaced = property(lambda self: False)  # type: ignore[method-assign,assignment]


def name_first() -> None:
    """Give the runs of a batch their final names before their seals are noted."""
    from peak_trade.evidence import run_dir
    from peak_trade.runner import many

    def seal_all(sealings: Any) -> Any:
        for sealing in sealings:
            sealing.run._rename()
        return real(sealings)

    real = run_dir.seal_all
    run_dir.RunDir._make_way = lambda self: None  # type: ignore[method-assign]
    many.seal_all = seal_all  # type: ignore[assignment]


def leave_torn() -> None:
    """Append behind a torn line without setting it aside."""
    from peak_trade.evidence import ledger

    real = ledger.Ledger._repaired

    def unrepaired(self: Any, handle: int) -> tuple[int, str]:
        truncate, os.ftruncate = os.ftruncate, lambda *_: None
        try:
            _, previous = real(self, handle)
        finally:
            os.ftruncate = truncate
        return os.lseek(handle, 0, os.SEEK_END), previous

    ledger.Ledger._repaired = unrepaired  # type: ignore[method-assign]


def swallow_errors() -> None:
    """Take a write that fails for done."""
    from peak_trade.evidence import files

    real = files.write_all

    def write_all(handle: int, content: bytes) -> None:
        with contextlib.suppress(OSError):
            real(handle, content)

    files.write_all = write_all  # type: ignore[assignment]


def no_turns() -> None:
    """Let writers of the ledger overlap."""
    from peak_trade.evidence import ledger

    real = ledger.Ledger._repaired

    @contextlib.contextmanager
    def nothing(handle: int) -> Iterator[None]:
        yield

    def slowly(self: Any, handle: int) -> tuple[int, str]:
        found = real(self, handle)
        time.sleep(0.005)  # so that they do overlap, on any machine
        return found

    ledger._locked = nothing  # type: ignore[assignment]
    ledger.Ledger._repaired = slowly  # type: ignore[method-assign]


def all_dead() -> None:
    """Take every run in the making for dead."""
    from peak_trade.evidence import run_dir

    run_dir._lock = lambda folder: os.open(folder, os.O_RDONLY)


def delete_first() -> None:
    """Delete a run before its tombstone is written."""
    from peak_trade.ops import removal

    real = removal._Remover._note

    def note(self: Any, item: Any) -> bool:
        shutil.rmtree(self.results.path / item.run_id)
        return real(self, item)

    removal._Remover._note = note  # type: ignore[method-assign]


def delete_in_place() -> None:
    """Delete a run under its own name."""
    from peak_trade.ops import removal

    def delete_run(self: Any, run_id: str) -> None:
        os.rmdir(run_id, dir_fd=self.aside)
        self._delete(self.base, run_id)

    removal._Remover._delete_run = delete_run  # type: ignore[method-assign]


def all_at_once() -> None:
    """Let clean-ups overlap: they wait for each other once they have planned."""
    from peak_trade.ops import removal

    class Free:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(handle: int, how: int) -> None:
            pass

    def wait(self: Any) -> None:
        meeting = self.results.path.parent / "planned"
        meeting.mkdir(exist_ok=True)
        (meeting / str(os.getpid())).touch()
        deadline = time.monotonic() + LIMIT_S
        while len(os.listdir(meeting)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)

    removal.fcntl = Free  # type: ignore[assignment]
    removal._Remover.take_back = wait  # type: ignore[method-assign]


def hold_nothing() -> None:
    """Let signals interrupt a seal."""
    from peak_trade.runner import order

    order.uninterrupted = contextlib.nullcontext  # type: ignore[assignment]


SABOTAGE = {
    f.__name__: f
    for f in (
        *(publish_first, write_in_place, name_first, leave_torn, swallow_errors, no_turns, all_dead, hold_nothing),
        *(delete_first, delete_in_place, all_at_once),
    )
}


# --- the server ---------------------------------------------------------------------------------------------------


def goes_on(request: dict[str, Any]) -> bool:
    """Say whether a request goes on until it is told to end."""
    return request["do"] in ("watch", "check", "clean") and "rounds" not in request


def start(request: dict[str, Any]) -> tuple[int, int]:
    """Fork a child for the request; return its pid and the pipe that it reports to."""
    reader, writer = os.pipe()
    write = os.write
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until a child that is told by it has its handler
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(writer)
        return pid, reader
    code = 70
    try:
        os.setpgid(0, 0)
        if not goes_on(request):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), descriptor)
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _text(1), _text(2)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background has it ignored
        os.chdir(request.get("cwd", "/"))
        for key, value in request.get("env", {}).items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
        SABOTAGE.get(request.get("sabotage", ""), lambda: None)()
        if "fault" in request:
            results = os.path.abspath(request["results"])
            Fault(results, lambda line: write(writer, line.encode() + b"\n") and None, **request["fault"]).install()
        code = DEEDS[request["do"]](request)
    except BaseException:  # noqa: BLE001 - told to the test, which looks for it
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _text(descriptor: int) -> Any:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def finish(pid: int, reader: int, kill_after_s: float | None = None) -> dict[str, Any]:
    """Wait for a child; return its exit code (minus the signal that killed it) and the calls that it reported.

    One that shall be killed by the clock is, with all that it has started.
    """
    reported, deadline = b"", time.monotonic() + LIMIT_S
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    while time.monotonic() < deadline:
        if select.select([reader], [], [], 0.5)[0]:
            if not (part := os.read(reader, 1 << 16)):
                break
            reported += part
        elif os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break  # a grandchild holds the pipe
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"code": status, "calls": reported.decode().splitlines()}


def serve() -> None:
    """Answer requests until stdin ends. A list of requests runs all at once; those that watch end with the others."""

    class WithoutPyarrow:
        """As in an environment without the extra, and quicker."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == "pyarrow":
                raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    sys.meta_path.insert(0, WithoutPyarrow)  # type: ignore[arg-type]
    from peak_trade import engine, runner, script, stats, strategies  # noqa: F401 - imported once, for every child
    from peak_trade.evidence import provenance, run_dir  # noqa: F401
    from peak_trade.ops import removal  # noqa: F401
    from peak_trade.shown import listing  # noqa: F401
    from peak_trade.trust import verify  # noqa: F401

    provenance.GitQuestion(ROOT).answer()
    strategies.resolve("sma_crossover")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        requests = json.loads(line)
        started = [start(request) for request in requests]
        watching = [goes_on(request) for request in requests]
        outcomes = {
            i: finish(*started[i], requests[i].get("kill_after_s")) for i, watches in enumerate(watching) if not watches
        }
        for i, watches in enumerate(watching):
            if watches:
                os.kill(started[i][0], signal.SIGTERM)
                outcomes[i] = finish(*started[i])
        answers.write(json.dumps([outcomes[i] for i in range(len(requests))]) + "\n")


if __name__ == "__main__":
    serve()
