"""What `opentelemetry-instrument` loads of us by entry point: distro, configurator, instrumentor, and a last step.

Where `OTEL_PYTHON_CONFIGURATOR=peak_trade` asks for them, as `launch` does, the configurator starts our session, and
the last step puts back what led here, so that the program and its children see what they would see without. Where
nothing asks, the command's own distro and configurator are called instead, and the instrumentor has our edges recorded
by what they made, with a service name and the run_id on each resource.
"""

from __future__ import annotations

import atexit
import gc
import logging
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

__all__ = ["FOLDER", "Configurator", "Distro", "Instrumentor", "put_back"]

FOLDER = os.path.dirname(os.path.abspath(auto_instrumentation.__file__ or ""))  # what the command puts on PYTHONPATH


def _asked() -> bool:
    return os.environ.get("OTEL_PYTHON_CONFIGURATOR") == "peak_trade"


class Distro(BaseDistro):
    """Does what the command's own distro does, or nothing."""

    def _configure(self, **kwargs: Any) -> None:
        if _asked():
            gc.disable()  # imports make much that stays: to look for garbage in it costs a tenth of the start
            said.silence()
        else:  # that there are two configurators, one of which does what the other does, is no warning to anybody
            logger = logging.getLogger(f"{auto_instrumentation.__name__}._load")
            logger.addFilter(lambda record: "peak_trade" not in record.getMessage())
            _theirs("OpenTelemetryDistro", DefaultDistro)().configure(**kwargs)


class Configurator:
    """Starts our session, or does what the command's own configurator does."""

    def configure(self, **kwargs: Any) -> None:
        """Have this process recorded, if that can be; called once, before the program."""
        if _asked():
            from peak_trade.obs import entry

            entry.start()
        elif theirs := _theirs("OpenTelemetryConfigurator", None):
            theirs().configure(**kwargs)


def _theirs(name: str, default: Any) -> Any:
    try:
        return getattr(__import__("opentelemetry.distro").distro, name)
    except ImportError:
        return default


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
        launch.say("error: interrupted\n")
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
            launch.say(f"Error in sitecustomize; set PYTHONVERBOSE for traceback:\n{kind}: {error}\n")


class Instrumentor(BaseInstrumentor):
    """Has the edges of Peak_Trade recorded by the providers that are there."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed: nothing but this package."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        from opentelemetry import _logs, context, metrics, trace

        from peak_trade.obs import edges
        from peak_trade.obs.session import Session
        from peak_trade.obs.settings import Settings

        session = Session(Settings.read(os.environ, sys.orig_argv))
        session.settings.hand_on()
        session.tracers, session.meters = trace.get_tracer_provider(), metrics.get_meter_provider()
        session.context = context  # where other plug-ins look too; for logs there is one already
        edges.install(session)
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
