"""`python -P launch.py PROGRAM…`: run a program through `opentelemetry-instrument`, or plainly where that is not sound.

This process is that command: it is checked here, by importing what it imports, so that a second check costs nothing,
and then runs as it is installed, with `--` before the program. What it needs to find us (`OURS`) and what it leaves in
the environment is noted in `BEFORE`, by which `distro` puts everything back for the program and its children.
Standard library and leaves only: it has to work where nothing else does.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from peak_trade import supervisor
from peak_trade.terminal import show
from peak_trade.text import escaped, one_line

__all__ = ["BEFORE", "OURS", "hint_of", "makes_run", "noted", "option", "restore", "say"]

OURS = {
    "OTEL_PYTHON_DISTRO": "peak_trade",
    "OTEL_PYTHON_CONFIGURATOR": "peak_trade",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",  # they would report to the global providers, the program's own
}
BEFORE = "PEAK_OTEL_BEFORE"
_SETUP = "just setup observability"


def option(words: Sequence[str], name: str) -> str:
    """Return the value of an option on a command line, in either of its two forms."""
    for at, word in enumerate(words):
        if word == name:
            return words[at + 1] if at + 1 < len(words) else ""
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return ""


def makes_run(words: Sequence[str]) -> bool:
    """Tell whether a command line is one that makes a run.

    >>> makes_run(["python", "-m", "peak_trade", "run", "a.toml"]), makes_run(["python", "scripts/list_runs.py"])
    (True, False)
    """
    names = [os.path.basename(word) for word in words]
    return "run_strategy_from_config.py" in names or any(
        name in ("peak_trade", "peak-trade", "__main__.py") and after == "run" for name, after in pairwise(names)
    )


def noted(*names: str) -> str:
    """Return what the environment holds under these names, as `BEFORE` has it."""
    return json.dumps({name: os.environ.get(name) for name in ("PYTHONPATH", BEFORE, *OURS, *names)})


def restore(noted: str) -> None:
    """Have the environment hold again what `noted` found."""
    for name, value in json.loads(noted).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def say(*lines: str) -> None:
    """Tell a person something, if anybody can be told: stderr may be closed, or a file to read from."""
    with suppress(AttributeError, OSError, ValueError):
        show("\n".join(map(escaped, lines)), sys.stderr, flush=True)


def hint_of(error: BaseException) -> str:
    """Return why telemetry can't be had, and what helps, as one line: `reason; hint: …`."""
    absent = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if absent in ("opentelemetry", "yaml", "jsonschema"):
        return f"the extra observability is not installed; hint: {_SETUP}"
    kind = "" if hasattr(error, "exit_code") else f"{type(error).__name__}: "  # else it is an error of our own
    text = one_line(error, 250)
    return f"{kind}{text}; hint: {getattr(error, 'hint', '') or 'PEAK_OTEL_ENABLED=0 leaves it out'}"


def _instrument(program: Sequence[str]) -> None:
    """Become the command, and so the program; return only where it can't be. Raises whatever is wrong with it."""
    from opentelemetry.instrumentation import auto_instrumentation
    from opentelemetry.util._importlib_metadata import entry_points

    found = list(entry_points(group="opentelemetry_distro", name="peak_trade"))
    command = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    if not found or not os.path.isfile(command):
        raise ModuleNotFoundError(auto_instrumentation.__name__, name="opentelemetry")
    for one in found:
        one.load()
    os.environ.update({BEFORE: noted(), **OURS})
    python, first = os.path.basename(program[0]).startswith("python"), (program[1:] or [""])[0]
    if not (python and (first[:2] in ("-c", "-m") or first[:1] not in ("", "-"))):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # nobody would where `distro` is not loaded
    sys.argv = [command, "--", *program]
    runpy.run_path(command, run_name="__main__")


def main(program: list[str]) -> int:
    """Run a program through the command, or plainly with the reason handed on. Returns only if interrupted before."""
    before = dict(os.environ)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until `distro` is there: Python would die of it
    try:
        try:
            _instrument(program)
            reason = "opentelemetry-instrument did not start it; hint: just setup observability"
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever is broken, the program runs plainly
            reason = hint_of(error)
        os.environ.clear()
        os.environ.update(before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        say("error: interrupted")
        return 1
    if makes_run(program):
        os.environ["PEAK_SKIPPED"] = f"telemetry: {reason}"
    else:
        why, _, hint = reason.partition("; hint: ")
        say(f"warn: telemetry skipped: {why}", f"hint: {hint}")
    os.execvp(program[0], program)


if __name__ == "__main__":
    gc.disable()  # this process is over in a moment
    recorded = os.path.basename(os.path.dirname(os.environ.get("PEAK_RUN_DIR", "")))  # by whom: it has that run_id
    if os.environ.get("PEAK_RUN_ID", "") in ("", recorded) and not option(sys.argv, "--run-id"):
        import uuid

        os.environ["PEAK_RUN_ID"] = str(uuid.uuid4())
    if makes_run(sys.argv[1:]):
        supervisor.stand_by(hand_on=True)  # in front of telemetry too, which is not to know two processes
    sys.exit(main(sys.argv[1:]))
