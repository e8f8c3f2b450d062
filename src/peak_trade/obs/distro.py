"""What `opentelemetry-instrument` loads of us by entry point: a distro, an instrumentor, and a last step.

Where `OTEL_PYTHON_DISTRO=peak_trade` asks for them, as `launch` does, the distro starts our session, no configurator is
called, and the last step puts back what led here, so that the program and its children see what they would see without.
Where nothing asks, the command's own distro is called instead, and the instrumentor has our edges recorded by what its
configurator made, with a service name and the run_id on each resource. We have no configurator: of two, the command
takes the one that its search finds first, and warns of the other.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import site
import sys
from collections.abc import Collection
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

from opentelemetry.instrumentation import auto_instrumentation
from opentelemetry.instrumentation.distro import BaseDistro, DefaultDistro
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from peak_trade.obs import launch, said

__all__ = ["FOLDER", "Distro", "Instrumentor", "put_back"]

FOLDER = os.path.dirname(os.path.abspath(auto_instrumentation.__file__ or ""))  # what the command puts on PYTHONPATH


def _asked() -> bool:
    return os.environ.get("OTEL_PYTHON_DISTRO") == "peak_trade"


class Distro(BaseDistro):
    """Starts our session, or does what the command's own distro does."""

    def _configure(self, **kwargs: Any) -> None:
        if _asked():
            gc.disable()  # imports make much that stays: to look for garbage in it costs a tenth of the start
            said.silence()  # also that the command's own configurator is left out
            from peak_trade.obs import entry

            entry.start()
        else:
            _theirs()().configure(**kwargs)


def _theirs() -> Any:
    try:
        from opentelemetry.distro import OpenTelemetryDistro
    except ImportError:
        return DefaultDistro
    return OpenTelemetryDistro


def put_back() -> None:
    """Let the program see what it would see without the command: its environment, `sys.path`, and Ctrl-C."""
    if not _asked():
        return
    gc.enable()
    if not (noted := os.environ.get(launch.BEFORE)):
        return
    launch.restore(noted)
    auto_instrumentation.environ = {}  # when this is over, the command puts its folder on PYTHONPATH again: not there
    python_path = os.environ.get("PYTHONPATH")
    theirs = [os.path.abspath(path) for path in python_path.split(os.pathsep)] if python_path else []
    installed = {os.path.dirname(os.__file__), *site.getsitepackages()}  # where somebody may stand
    ours = {FOLDER, os.getcwd()} - installed - set(theirs)
    sys.path[:] = dict.fromkeys([*theirs, *(path for path in sys.path if path not in ours)])
    _run_the_other()
    if "peak_trade.obs.entry" in sys.modules:
        sys.modules["peak_trade.obs.entry"].began()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        launch.say("error: interrupted")
        os._exit(1)


def _run_the_other() -> None:
    """Run the sitecustomize that the command's own stands before, if there is one, as Python would have."""
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != FOLDER])
    if spec and spec.loader:
        try:
            other = sys.modules["sitecustomize"] = module_from_spec(spec)
            spec.loader.exec_module(other)
        except Exception as error:  # noqa: BLE001 - what `site` says of it
            kind = type(error).__name__
            launch.say("Error in sitecustomize; set PYTHONVERBOSE for traceback:", f"{kind}: {error}")


class Instrumentor(BaseInstrumentor):
    """Has the edges of Peak_Trade recorded by the providers that are there."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed: nothing but this package."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        from opentelemetry import _logs, context, metrics, trace

        from peak_trade import supervisor
        from peak_trade.obs import edges
        from peak_trade.obs.session import Session
        from peak_trade.obs.settings import Settings

        session = Session(Settings.read(os.environ, sys.orig_argv))
        session.settings.hand_on()
        session.tracers, session.meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        session.context = context  # where other plug-ins look too; for logs there is one already
        edges.install(session)
        supervisor.followers.append(session.follow)
        atexit.register(session.end)
        for provider in (session.tracers, session.meters, _logs.get_logger_provider()):
            _name(provider, session)

    def _uninstrument(self, **kwargs: Any) -> None:
        """Leave the wrappers where they are: a process is recorded from its start to its end."""


def _name(provider: Any, session: Any) -> None:
    """Name the run on a provider's resource, which is made already, for all that it makes."""
    from peak_trade.obs.pipes import named

    resource = getattr(provider, "_resource", None) or getattr(getattr(provider, "_sdk_config", None), "resource", None)
    if resource is not None:
        whole = named(resource, session)
        resource.__init__(whole.attributes, whole.schema_url)
