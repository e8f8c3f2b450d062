"""A command that is recorded in a process of its own, beside others: `python -m peak_trade.record.apart`.

The order comes as a line of JSON on stdin, which stays open as long as whoever gave it lives: once it is closed, the
command is told to end as Ctrl-C would tell it, and what it has left is sealed. What the command says is kept in the run
and shown nowhere. Exit 0: the run is sealed, whatever became of the command; 1, with a sentence on stderr: it is not.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from peak_trade.errors import PeakError
from peak_trade.record.asked import Order
from peak_trade.record.command import record
from peak_trade.terminal import show

__all__ = ["Job", "main"]

_PATIENCE_S = 5.0  # for a command that is told to end, and for what it has left to be sealed


class Job(Struct, frozen=True):
    """An order, where it leaves its run and under which name, and which trial of which parent it is."""

    order: Order
    results: str
    run_id: str
    trial: tuple[str, int]


def main() -> int:
    """Take a job, do it, and return the exit code."""
    line = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1):  # a command of many has nobody that types
        os.dup2(nothing, handle)
    nowhere = os.open("/dev/zero", os.O_WRONLY)  # another place than that of stdout: each stream is kept by itself
    words = b""
    while not words.endswith(b"\n") and (piece := os.read(line, 1 << 16)):
        words += piece
    job = msgspec.json.decode(words, type=Job)
    threading.Thread(target=_listen, args=(line,), daemon=True).start()
    try:
        record(job.order, results=Path(job.results), run_id=job.run_id, out=nothing, err=nowhere, trial=job.trial)
    except PeakError as error:
        show(error.message, sys.stderr)
        return 1
    return 0


def _listen(line: int) -> None:
    """Tell the command to end once the line is closed, and end all of it where it does not."""
    while os.read(line, 64):
        pass
    for number in (signal.SIGINT, signal.SIGTERM):
        if os.getpgid(0) == os.getpid():  # as a terminal does: to all of the group
            os.killpg(os.getpid(), number)
        else:
            os.kill(os.getpid(), number)
        time.sleep(_PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)  # the keeper ends what is left


if __name__ == "__main__":
    sys.exit(main())
