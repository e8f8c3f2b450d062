"""What the tests of the limits start: one question to a child, or as the control to DuckDB in its own process.

    questions.py child LAKE < SQL      by `ask.Asking`, as `just lake-query` asks, with both limits
    questions.py alone LAKE < SQL      by DuckDB with that memory limit, and an interrupt every 20 ms once time is up

Prints, as JSON, the error, and what it took beyond the time and in memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

TIME, MEMORY = 0.5, "300MB"
OVERRUN, PEAK = 1.0, 750.0  # more seconds, or MB at the peak, than an answer may take that keeps the limits


def tell(error: object, late: float, peak: float) -> None:
    kept = late < OVERRUN and peak < PEAK
    print(json.dumps({"kept": kept, "error": error, "late": late, "peak": peak}), file=sys.stderr, flush=True)


def child(lake: Path, sql: str) -> None:
    from peak_trade.data.lake import ask
    from peak_trade.errors import PeakError

    asking = ask.Asking(lake, "csv", timeout_s=60, memory_limit=MEMORY)
    asking.answer("SELECT 1")  # DuckDB is there now
    asking.timeout_s = TIME
    start, error = time.monotonic(), None
    try:
        asking.answer(sql)
    except PeakError as raised:
        error = raised.message
    late = time.monotonic() - start - TIME
    asking.close()
    tell(error, late, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)


def alone(lake: Path, sql: str) -> None:
    import duckdb

    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # the machine is everybody's
    connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(lake.parent / "spilled")})
    start = time.monotonic()

    def watch() -> None:
        while True:
            time.sleep(0.02)
            late, peak = time.monotonic() - start - TIME, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            if late > 0:
                connection.interrupt()
            if late > OVERRUN or peak > PEAK:
                tell(None, late, peak)
                os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    try:
        connection.execute(sql).fetchall()
        error = None
    except (duckdb.Error, MemoryError, RuntimeError) as raised:
        error = str(raised)
    tell(error, time.monotonic() - start - TIME, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    os._exit(0)


if __name__ == "__main__":
    {"child": child, "alone": alone}[sys.argv[1]](Path(sys.argv[2]), sys.stdin.read())
