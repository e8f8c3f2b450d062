"""What Python runs before the program when `with_telemetry.sh` has put this folder on PYTHONPATH.

It takes itself back first (sys.path, PYTHONPATH, the place of another sitecustomize), so that the program and whatever
it starts see what they would see without telemetry; then it starts telemetry. No way to fail may reach the program.
Ctrl-C in here would be a fatal error of Python's, with a traceback: it waits until it can be what scripts make of it.
"""

import time

STARTED_NS = time.time_ns()

import os  # noqa: E402 - the first thing is the clock
import signal  # noqa: E402 - as above
import sys  # noqa: E402 - as above

_HERE = os.path.dirname(os.path.abspath(__file__))


def _take_back() -> None:
    sys.path[:] = [path for path in sys.path if path != _HERE]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path != _HERE]
    if paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    else:
        os.environ.pop("PYTHONPATH", None)


def _run_the_other() -> None:
    """Run the sitecustomize that this one stands before, if there is one, as Python would have."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize")
    if spec and spec.loader:
        other = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(other)


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # it was closed before Python began, or is a file to read from
        pass


def _begin() -> None:
    interrupts: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    _take_back()
    try:
        from peak_trade.obs.entry import start

        start(STARTED_NS)
    except Exception as error:  # noqa: BLE001 - the one guard: not even a broken installation may stop the program
        _say(f"warn: telemetry skipped: {type(error).__name__}: {error}\nhint: just setup observability\n")
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        _say("error: interrupted\n")
        os._exit(1)
    _run_the_other()


if __name__ == "sitecustomize":  # not where something reads the package module by module, as doctest does
    _begin()
