"""The start of a process under telemetry, and what becomes of one that cannot start: the run is handed the reason."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from peak_trade.errors import InputError
from peak_trade.obs.session import FAREWELL_S, GRACE_S, Session
from peak_trade.obs.settings import Settings

__all__ = ["start"]

_HINT = "just setup observability"
_REST_S = 0.5  # for what a flush does besides waiting: imports, files, the receipt


def start(started_ns: int) -> None:
    """Start telemetry for this process, or hand on why it is skipped. Raises nothing."""
    asked = dict(os.environ)
    for name in asked.get("PEAK_OTEL_JOINED", "").split():
        os.environ.pop(name, None)
    if asked.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":  # OpenTelemetry's own switch
        return
    try:
        session = Session(Settings.read(asked, sys.orig_argv), started_ns)
        if session.settings.makes_run and not session.settings.given:
            os.environ["PEAK_RUN_ID"] = session.settings.run_id  # the wrapper had no means to make one
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
        _say(f"warn: {session.settings.complaint}\nhint: docs/ops/telemetry.md lists the settings\n")


def _say(text: str) -> None:
    with suppress(AttributeError, OSError, ValueError):  # a stderr that is closed, or a file to read from
        sys.stderr.write(text)
        sys.stderr.flush()


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
    absent = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if absent in ("opentelemetry", "yaml", "jsonschema"):
        reason = f"the extra observability is not installed; hint: {_HINT}"
    else:
        text = " ".join(str(error).split())[:250]
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        reason = f"{kind}{text}; hint: {getattr(error, 'hint', '') or 'PEAK_OTEL_ENABLED=0 leaves it out'}"
    os.environ["PEAK_SKIPPED"] = f"telemetry: {reason}"
    pid = os.getpid()

    def tell() -> None:
        if "PEAK_SKIPPED" in os.environ and os.getpid() == pid:
            part, _, why = os.environ["PEAK_SKIPPED"].partition(": ")
            why, _, hint = why.partition("; hint: ")
            _say(f"warn: {part} skipped: {why}\n" + (f"hint: {hint}\n" if hint else ""))

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
