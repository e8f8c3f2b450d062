"""The start of a process under telemetry, and what becomes of one that cannot start: the run is handed the reason."""

from __future__ import annotations

import atexit
import os
import sys
import time

from peak_trade import supervisor
from peak_trade.obs.launch import hint_of, say
from peak_trade.obs.session import Session
from peak_trade.obs.settings import Settings

__all__ = ["began", "start"]

_session: Session | None = None


def start() -> None:
    """Start telemetry for this process as the environment asks, or hand on why it is skipped. Raises nothing."""
    global _session
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":  # OpenTelemetry's own switch
        return
    try:
        from peak_trade.obs import edges, pipes
        from peak_trade.obs.farewell import Farewell

        session = Session(Settings.read(os.environ, sys.orig_argv))
        session.settings.hand_on()
        if (made := pipes.configure(session)) is None:
            return
        farewell = Farewell(session, made)
        edges.install(session)
    except Exception as error:  # noqa: BLE001 - the one guard: whatever is broken, the program runs plainly
        _skip(error)
        return
    farewell.register()
    supervisor.followers.append(session.follow)
    if session.settings.complaint:
        say(f"warn: {session.settings.complaint}", "hint: docs/ops/telemetry.md lists the settings")
    _session = session


def began() -> None:
    """Note that the program begins: what the command and we have taken until then is not its time."""
    if _session:
        _session.started_ns = time.time_ns()


def _skip(error: Exception) -> None:
    """Hand on why nothing is recorded: the run warns and makes a receipt; where there is none, a line at the exit."""
    os.environ["PEAK_SKIPPED"] = f"telemetry: {hint_of(error)}"
    pid = os.getpid()

    def tell() -> None:
        if "PEAK_SKIPPED" in os.environ and os.getpid() == pid:
            part, _, why = os.environ["PEAK_SKIPPED"].partition(": ")
            why, _, hint = why.partition("; hint: ")
            say(f"warn: {part} skipped: {why}", f"hint: {hint}")

    atexit.register(tell)
