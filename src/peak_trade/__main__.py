"""Do what the recipe of that name does, from a checkout or an installed package, in any folder.

Runs, lake and MLflow's store lie below the current folder; of a package that is installed from a checkout, below that.
"""

from __future__ import annotations

import os
import runpy
import sys

from peak_trade import places, script
from peak_trade.commands import COMMANDS
from peak_trade.errors import InputError, did_you_mean

_NAME = "peak-trade"
_TRIED = "PEAK_OTEL_TRIED"


def main() -> int:
    """Run the script of a command as if it had been started by itself."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        script.show(_help())
        return 0 if words else 2
    if words[0] == "--version":
        from peak_trade import __version__

        script.show(__version__)
        return 0
    name, *given = words
    if name not in COMMANDS:
        raise InputError(f"unknown command `{name}`", hint=did_you_mean(name, COMMANDS))
    asked = COMMANDS[name]
    path = str(places.shipped(f"scripts/{asked.script}"))
    before = () if (helped := {"-h", "--help"} & set(given)) else asked.before
    if asked.traced and not helped and not os.environ.pop(_TRIED, ""):
        os.environ[_TRIED] = "1"  # seen by this command alone, when it is started anew: through telemetry, or plainly
        script.under_telemetry()
        del os.environ[_TRIED]
    script.command = f"{_NAME} {name}"
    sys.argv = [path, *before, *given]
    runpy.run_path(path, run_name="__main__")  # it leaves the process by itself
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {command.line}" for name, command in COMMANDS.items())
    head = f"usage: {_NAME} COMMAND [ARG…], or python -m peak_trade COMMAND [ARG…]"
    return "\n".join([head, "", (__doc__ or "").strip(), "", *lines, "", f"`{_NAME} COMMAND --help` says more."])


def entry() -> None:
    """Start from the console script `peak-trade`."""
    script.run(main)


if __name__ == "__main__":
    entry()
