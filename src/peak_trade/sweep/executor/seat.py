"""A sweep as it stands in a process of its own, on another machine: it is asked for trials, and makes them.

    python -m peak_trade.sweep.executor.seat RESULTS RUN_ID

It reads the order in the sweep's folder, and holds its own bars and code against the sweep's. Then it is asked, a line
of JSON on stdin each, and answers with a line on stdout: how long it took, or what is wrong. It ends as stdin does, as
its parent does, and where it has not been asked for a while or the sweep is sealed.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from peak_trade import places
from peak_trade.errors import PeakError, RunError
from peak_trade.sweep.executor.pool import Pool
from peak_trade.sweep.folder import Folder
from peak_trade.sweep.plan import Plan, Round
from peak_trade.sweep.rows import Rows
from peak_trade.sweep.start import ask_along

__all__ = ["main"]

_IDLE = 30.0  # seconds


def main() -> int:
    """Serve until there is nothing more to do."""
    parent, answers = os.getppid(), os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a strategy prints is no answer
    folder = Folder(Path(sys.argv[1]), sys.argv[2])
    try:
        asked = ask_along(folder, places.root(), [])
        bench, rounds = asked.bench(), dict[int, Round]()
    except PeakError as error:
        answers.write(_told(error))
        return error.exit_code

    def beat() -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    while select.select([0], [], [], _IDLE)[0] and (line := _line()):
        said = json.loads(line)
        number, start = said["round"], time.perf_counter()
        try:
            if number not in rounds:
                rounds[number] = _tasks(asked.plan, folder, number)
            pool = Pool(bench, folder, 1, said["timeout"], said["memory_limit"])
            pool.make(number, rounds[number], said["first"], said["end"], beat)
            answers.write(json.dumps({"took": time.perf_counter() - start}) + "\n")
        except PeakError as error:
            answers.write(_told(error))
        except OSError as error:  # a full disk; or the sweep is sealed, and nobody listens
            answers.write(_told(RunError(f"the sweep can't be written: {error.strerror}", hint="make room there")))
    return 0


def _line() -> bytes:
    """Return a line of stdin, unbuffered: what is not read yet must be seen to be there."""
    content = b""
    while not content.endswith(b"\n"):
        if not (more := os.read(0, 1)):
            return b""
        content += more
    return content


def _told(error: PeakError) -> str:
    said: dict[str, Any] = {"error": error.message, "hint": error.hint, "code": error.exit_code}
    return json.dumps(said) + "\n"


def _tasks(plan: Plan, folder: Folder, number: int) -> Round:
    """Return the tasks of a round, by the rows of those before it."""
    rows = Rows.joined([])
    for before in range(number):
        rows = Rows.joined([rows, folder.rows(before, len(plan.round(before, rows)))])
    return plan.round(number, rows)


if __name__ == "__main__":
    sys.exit(main())
