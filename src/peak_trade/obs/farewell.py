"""The exit of a process under telemetry: what is open ends, all is written or sent in bounded time, a receipt is left.

exit or SIGTERM ─▶ end ─▶ files written ─▶ collector asked, each signal by itself ─▶ receipt ─▶ files in their place
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from peak_trade.obs.launch import say
from peak_trade.obs.pipes import Pipe
from peak_trade.obs.session import Session
from peak_trade.obs.settings import environment

__all__ = ["FAREWELL_S", "GRACE_S", "Farewell"]

GRACE_S = 0.35  # beyond the time-out of a request: for a name that is not found, and an answer that drips
FAREWELL_S = 0.1  # for all senders that did not get through to see that it is over
_REST_S = 0.5  # for what a flush does besides waiting: imports, files, the receipt


class Farewell:
    """How a session ends: with these pipes, once, whatever happens."""

    def __init__(self, session: Session, pipes: Sequence[Pipe]) -> None:
        self.session, self.pipes = session, pipes
        self._ending = self._flushing = self._terminated = False
        session.save = self.save

    def register(self) -> None:
        """Have it done at the exit, and at SIGTERM, which then ends the process as it would without telemetry."""
        atexit.register(self._leave)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)

    def _leave(self) -> None:
        self.finish()
        if self._terminated and os.getpid() == self.session.pid:
            _die()

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        session = self.session
        if self._flushing and os.getpid() == session.pid:  # below this frame, or in the thread of a SIGTERM before
            self._terminated = True
            return
        if session.here:  # in a thread: what was interrupted may hold what the flush waits for
            flush = threading.Thread(target=self.finish, args=("SIGTERM",), daemon=True)
            flush.start()
            flush.join(session.settings.timeout_s + GRACE_S + FAREWELL_S + _REST_S)
        _die()

    def save(self) -> None:
        """Write what there is into the files, if there are any; a collector is only asked at the exit."""
        if self.session.here and self.session.writing:
            for pipe in self.pipes:
                if pipe.to_file:
                    pipe.flush()

    def finish(self, why: str = "") -> None:
        """End what is open, send and write everything, and leave a receipt: in a bounded time, whatever happens."""
        session, began = self.session, time.perf_counter()
        if not session.here or self._ending:
            return
        self._ending, self._flushing, session.why = True, True, why
        try:
            session.end()
            self.save()
            self._send()
        except BaseException as error:  # noqa: BLE001 - an interrupt ends the wait, a bug must not reach the program
            session.failed("it could not be finished", error)
        session.over = True
        for pipe in self.pipes:
            if pipe.fault:
                session.failed(pipe.fault)
        with suppress(Exception):
            self._settle(round((time.perf_counter() - began) * 1e3, 1))
        if session.fault:
            self._tell()
        self._flushing = False

    def _send(self) -> None:
        """Send what is for a collector, each signal by itself, for as long as the limit allows."""
        session = self.session
        with environment(GRPC_VERBOSITY="NONE", GRPC_ENABLE_FORK_SUPPORT="0"):
            loads = [(pipe, pipe.take()) for pipe in self.pipes if not pipe.to_file]
            loads = [(pipe, items) for pipe, items in loads if items and pipe.opened()]
        senders = [threading.Thread(target=pipe.send, args=(items,), daemon=True) for pipe, items in loads]
        deadline = time.monotonic() + session.settings.timeout_s + GRACE_S
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))
        for (pipe, items), sender in zip(loads, senders, strict=True):
            if sender.is_alive():
                pipe.fails(len(items), "timed out")
            pipe.shutdown()
        deadline = max(deadline, time.monotonic()) + FAREWELL_S
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))  # long over, or ended by what was just closed

    def _settle(self, ms: float) -> None:
        """Leave the receipt, and put the files where they belong."""
        session = self.session
        if not session.writing or not (session.folder.is_dir() or session.fault or session.run_dir):
            return
        if session.run_dir and session.folder != session.run_dir / "telemetry":
            self._move_to(session.run_dir, "")
        session.make_folder()
        name = f"{session.settings.part}.receipt.json" if session.settings.part else "receipt.json"
        receipt = {
            "run_id": session.settings.run_id,
            "status": "failed" if session.fault else "done",
            "reason": session.redactor.text(session.fault),
            "endpoint": session.redactor.text(session.settings.endpoint.url) if session.settings.endpoint else None,
            "spans": session.spans,
            "logs": session.logs,
            "dropped": session.dropped,
            "untaken": sorted(session.untaken),
            "ms": ms,
        }
        (session.folder / name).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
        if not session.settings.part and not session.run_dir and len(session.subjects) == 1:
            self._move_to(*next(iter(session.subjects.items())))

    def _move_to(self, run_dir: Path, part: str) -> None:
        """Move the files beside those of a run: its own, or those of a command that did a part of its work later."""
        session = self.session
        from peak_trade.evidence import door  # only at the exit

        try:
            for path in list(session.folder.iterdir()):
                plain = path.name in ("traces.jsonl", "logs.jsonl", "metrics.jsonl", "receipt.json")
                name = f"{part}.{path.name}" if part and plain else path.name
                put = door.append if path.suffix == ".jsonl" else door.replace
                put(run_dir, f"telemetry/{name}", path.read_bytes())
                path.unlink()
            session.folder.rmdir()
        except OSError as error:
            session.failed(f"it stays in {session.folder}", error)
        else:
            session.folder = run_dir / "telemetry"

    def _tell(self) -> None:
        """Say what went wrong: on stderr, and in the run's log."""
        session = self.session
        text = f"telemetry failed: {session.redactor.text(session.fault)}"
        hint = "just obs-check asks the collector" if session.settings.endpoint else "check the folder and the disk"
        say(f"warn: {text}", f"hint: {hint}")
        if session.run_dir:
            from peak_trade.evidence import door
            from peak_trade.evidence.ledger import now

            line = {
                "time": now(),
                "level": "warning",
                "run_id": session.run_dir.name,
                "logger": __package__,
                "message": text,
            }
            with suppress(OSError):
                door.append(session.run_dir, "run.log", json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
