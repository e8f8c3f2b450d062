"""Publishes lakes in processes that are killed at the n-th step, or start all at once.

Imports everything once, then reads a request a line from stdin (JSON), forks children for it, and answers on stdout
what became of each. A step is what changes the address: a folder that is made, a file that is copied, an entry of a log
that is written; a child dies before it or right after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import deltalake.fs
import deltalake.transaction
import pyarrow.fs  # noqa: F401 - loaded before anything is killed

from peak_trade.data.lake import publish, target


def steps(n: int, after: bool, report: Callable[[str], None]) -> None:
    """Count the steps, and die at the n-th."""
    seen = 0
    lock = threading.Lock()

    def wrapped(holder: Any, name: str) -> None:
        real = getattr(holder, name)

        def step(*given: Any, **named: Any) -> Any:
            nonlocal seen
            with lock:  # one at a time: what one thread does is done when another dies
                seen += 1
                report(name)
                if seen == n and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                done = real(*given, **named)
                if seen == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return done

        setattr(holder, name, step)

    for name in ("prepare", "put", "settle"):
        wrapped(target.Target, name)
    wrapped(deltalake.transaction, "create_table_with_add_actions")
    wrapped(deltalake.DeltaTable, "create_write_transaction")
    wrapped(deltalake.table.TableAlterer, "add_columns")


def sabotage(how: str) -> None:
    """Make the program do what it must not."""
    if how == "log_first":  # an entry of the log is written before the files that it names are there
        real = publish._Publisher._settle
        publish._Publisher._copy = lambda self, missing, progress: None  # type: ignore[method-assign]

        def settle(self: Any, name: str, state: Any) -> Any:
            missing = self._missing(name, state)
            done = real(self, name, state)
            COPY(self, {name: missing}, lambda done, of: None)
            return done

        publish._Publisher._settle = settle  # type: ignore[method-assign]
    elif how == "no_question":  # an entry is written whatever others have written
        real_look = publish._Publisher._look

        def look(self: Any, name: str) -> Any:
            state = real_look(self, name)
            if state.delta is not None:
                state.number, state.owner = min(state.number, self.commit.number - 1), self.owner
            return state

        publish._Publisher._look = look  # type: ignore[method-assign]


COPY = publish._Publisher._copy


def child(request: dict[str, Any], say: int) -> None:
    def report(line: str) -> None:
        os.write(say, line.encode() + b"\n")

    os.environ.update(request.get("environment", {}))
    try:
        if how := request.get("sabotage"):
            sabotage(how)
        if request.get("n"):
            steps(request["n"], request.get("after", False), report)
        while time.time() < request.get("at", 0):
            pass
        done = publish.publish(Path(request["lake"]), request["uri"])
        report(f"changed {done.changed}")
    except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as a second parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        requests = json.loads(line)
        children = []
        for request in requests:
            reading, writing = os.pipe()
            pid = os.fork()
            if not pid:
                os.close(reading)
                child(request, writing)
            os.close(writing)
            children.append((pid, reading))
        answers = []
        for pid, reading in children:
            with os.fdopen(reading) as stream:
                said = stream.read().splitlines()
            _, status = os.waitpid(pid, 0)
            answers.append({"code": os.waitstatus_to_exitcode(status), "said": said})
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
