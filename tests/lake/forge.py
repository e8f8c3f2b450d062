"""Changes a lake in processes that are killed at the n-th call that touches it, or at an instant of one's choice.

Imports everything once, then reads a request a line from stdin (JSON), forks a child for it, and answers on stdout what
became of it. The calls are wrapped in the child alone; the program knows nothing of it.
"""

from __future__ import annotations

import builtins
import io
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

import numpy as np
import pyarrow.csv
import pyarrow.parquet  # noqa: F401 - imported before the fork

from peak_trade.data.lake import build, compact, history, ingest, parts, writer
from peak_trade.evidence.results import Results
from peak_trade.market.bars import Bars

CALLS = ("open", "write", "fsync", "mkdir", "rename", "link", "unlink", "rmdir")
OTHERS = ("replace", "remove", "symlink", "truncate", "ftruncate", "pwrite", "writev", "sendfile")


def install(lake: str, n: int, report: Callable[[str], None], *, half: bool) -> None:
    """Count the calls below `lake`, and die at the `n`-th; `half`: writes alone count, and half is written first."""
    seen = 0
    lock = threading.Lock()  # files are written in threads

    def touched(target: Any) -> str | None:
        if isinstance(target, int):
            try:
                target = os.readlink(f"/proc/self/fd/{target}")
            except OSError:
                return None
        path = os.path.abspath(os.fspath(target))
        return os.path.relpath(path, lake) if path.startswith(lake) else None

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            nonlocal seen
            path = touched(first)
            if path is None or (half and name != "write"):
                return real(first, *rest, **named)
            with lock:
                seen += 1
                report(f"{name} {path}")
                if seen == n:
                    if half:
                        real(first, rest[0][: len(rest[0]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(first, *rest, **named)

        return call

    def refused(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            if path := touched(first):
                report(f"uncounted {name} {path}")
            return real(first, *rest, **named)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name, getattr(os, name)))
    for name in OTHERS:
        setattr(os, name, refused(name, getattr(os, name)))
    real_open = io.open

    def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if set(mode) & set("wax+") and (path := touched(file)):
            report(f"uncounted write to {path}")
        return real_open(file, mode, *rest, **named)

    io.open = builtins.open = opened  # type: ignore[assignment]


def work(request: dict[str, Any]) -> None:
    lake = Path(request["lake"])
    do = request["do"]
    if do in ("build", "rebuild"):
        build.RUNS = 1  # several batches
        build.build(
            Results(Path(request["results"])), lake, root=Path(request["root"]), anew=do == "rebuild", grace_s=0
        )
    elif do == "ingest":
        close = np.array(request["closes"], float)
        times = np.datetime64(request["start"], "ns") + np.arange(len(close)) * np.timedelta64(3600, "s")
        bars = Bars(times, close, close + 1, close - 1, close, np.ones(len(close)), "KILL", "1h")
        ingest.ingest_bars(lake, bars, source="forge", grace_s=0)
    elif do == "revert":
        history.revert(lake, history.Series("KILL", "1h", "forge"), request["to"], grace_s=0)
    elif do == "compact":
        compact.compact(lake, grace_s=0)
    else:
        raise ValueError(do)


def sabotage(how: str) -> None:
    """Make the program do what it must not."""
    if how == "marker_first":  # the marker is written before the files that it names
        real = parts.write_parts

        def early(made: writer.Writer, name: str, pieces: Any) -> Any:
            written = real(made, name, pieces)
            aside = {made.lake / part.path: (made.lake / part.path).read_bytes() for part in written}
            LATE.update(aside)
            for path in aside:
                path.unlink()
            return written

        def publish(self: writer.Writer, *given: Any, **named: Any) -> Any:
            commit = PUBLISH(self, *given, **named)
            for path, content in LATE.items():
                path.write_bytes(content)
            LATE.clear()
            return commit

        parts.write_parts = early
        writer.Writer.publish = publish  # type: ignore[method-assign]
    elif how == "remove_first":  # what is replaced goes before the marker that replaces it
        real_replace = parts.replace

        def replace(name: str, live: Any, taken: Any, written: Any) -> Any:
            for path in taken:
                os.unlink(Path(CURRENT["lake"]) / path)
            return real_replace(name, live, taken, written)

        parts.replace = replace


LATE: dict[Path, bytes] = {}
CURRENT: dict[str, str] = {}
PUBLISH = writer.Writer.publish


def child(request: dict[str, Any], report_to: int) -> None:
    real_write = os.write

    def report(line: str) -> None:
        real_write(report_to, line.encode() + b"\n")

    try:
        CURRENT["lake"] = request["lake"]
        if request.get("sabotage"):
            sabotage(request["sabotage"])
        install(request["lake"], request.get("n", 0), report, half=request.get("half", False))
        work(request)
    except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as a second parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        reading, writing = os.pipe()
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            os.close(reading)
            child(request, writing)
        os.close(writing)
        if request.get("kill_after_s") is not None:
            time.sleep(request["kill_after_s"])
            os.kill(pid, signal.SIGKILL)
        with os.fdopen(reading) as stream:
            calls = stream.read().splitlines()
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "calls": calls}), flush=True)


if __name__ == "__main__":
    main()
