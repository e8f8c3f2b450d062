"""The start of a process under telemetry, and what becomes of one that cannot start: the run is handed the reason."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from peak_trade.obs.launch import hint_of, say
from peak_trade.obs.session import FAREWELL_S, GRACE_S, Session
from peak_trade.obs.settings import Settings

__all__ = ["began", "start"]

_REST_S = 0.5  # for what a flush does besides waiting: imports, files, the receipt
_session: Session | None = None


def start() -> None:
    """Start telemetry for this process as the environment asks, or hand on why it is skipped. Raises nothing."""
    global _session
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":  # OpenTelemetry's own switch
        return
    try:
        session = Session(Settings.read(os.environ, sys.orig_argv))
        session.settings.hand_on()
        with _uncollected():  # imports make much that stays: to look for garbage in it costs a tenth of the start
            from peak_trade.obs import edges, pipes

            if not pipes.configure(session):
                return
            edges.install(session)
    except Exception as error:  # noqa: BLE001 - the one guard: whatever is broken, the program runs plainly
        _skip(error)
        return
    atexit.register(_leave, session)
    _flush_on_sigterm(session)
    if session.settings.complaint:
        say(f"warn: {session.settings.complaint}\nhint: docs/ops/telemetry.md lists the settings\n")
    _session = session


def began() -> None:
    """Note that the program begins: what the command and we have taken until then is not its time."""
    if _session:
        _session.started_ns = time.time_ns()


@contextmanager
def _uncollected() -> Iterator[None]:
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _skip(error: Exception) -> None:
    """Hand on why nothing is recorded: the run warns and makes a receipt; where there is none, a line at the exit."""
    os.environ["PEAK_SKIPPED"] = f"telemetry: {hint_of(error)}"
    pid = os.getpid()

    def tell() -> None:
        if "PEAK_SKIPPED" in os.environ and os.getpid() == pid:
            part, _, why = os.environ["PEAK_SKIPPED"].partition(": ")
            say("warn: {} skipped: {}\nhint: {}\n".format(part, *why.split("; hint: ")))

    atexit.register(tell)


def _leave(session: Session) -> None:
    session.finish()
    if session.terminated and os.getpid() == session.pid:
        _die()


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _flush_on_sigterm(session: Session) -> None:
    """Let SIGTERM end the process as it would without telemetry, but for a last flush."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        import threading

        if session.flushing and os.getpid() == session.pid:  # below this frame, or in the thread of a SIGTERM before
            session.terminated = True
            return
        if session.here:  # in a thread: what was interrupted may hold what the flush waits for
            flush = threading.Thread(target=session.finish, args=("SIGTERM",), daemon=True)
            flush.start()
            flush.join(session.settings.timeout_s + GRACE_S + FAREWELL_S + _REST_S)
        _die()

    signal.signal(signal.SIGTERM, handle)
