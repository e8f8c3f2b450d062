"""The same edges for OpenTelemetry's own command, `opentelemetry-instrument -- python scripts/…`, as a plug-in of it.

What goes where is then up to its settings alone: no folder of the run, no limit at the exit, and of secrets only those
in exceptions are masked. `with_telemetry.sh` has all of that (docs/ops/telemetry.md).
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Collection
from typing import Any

from opentelemetry import context, metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from peak_trade.obs import edges
from peak_trade.obs.session import Session
from peak_trade.obs.settings import Settings

__all__ = ["Instrumentor"]


class Instrumentor(BaseInstrumentor):
    """Wraps the edges of Peak_Trade."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed: nothing but this package."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        session = Session(Settings.read(os.environ, sys.orig_argv), time.time_ns())
        session.tracers, session.meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        session.context = context  # where other plug-ins look too; for logs there is one already
        edges.install(session)
        atexit.register(session.end)

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave the wrappers where they are: a process is recorded from its start to its end."""
