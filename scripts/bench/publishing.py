"""What publishing the lake costs, beside a plain copy of the same files in the same call."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import Figure, figure, prove, random_bars

__all__ = ["measure"]


def measure(*, repeat: int = 7, rows: int = 10_000_000) -> Iterator[Figure]:
    """Measure publishing a lake of `rows` bars to a folder, in turn with copying its files; all of it is on disk."""
    from deltalake import DeltaTable

    from peak_trade.data.lake import commit, ingest, publish

    with tempfile.TemporaryDirectory() as made:
        lake, target = Path(made) / "lake", Path(made) / "target"
        ingest.ingest_bars(lake, random_bars(rows), source="bench")

        def copied() -> None:
            subprocess.run(["cp", "-r", str(lake), str(target)], check=True)

        def flushed() -> None:
            copied()
            subprocess.run(["sync", "-f", str(target)], check=True)

        def published() -> None:
            publish.publish(lake, target)

        published()
        adds = DeltaTable(target / "ohlcv").get_add_actions()
        prove("what is published", [sum(adds.column(name).to_pylist()) for name in ("num_records", "size_bytes")],
              [rows, sum(part.bytes for part in commit.newest(lake).tables["ohlcv"].parts)])  # fmt: skip
        ways = {"copied": copied, "flushed": flushed, "published": published}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeat):  # in turn: machines drift
            for name, way in ways.items():
                shutil.rmtree(target, ignore_errors=True)
                os.sync()  # what another has left to be written is not this one's
                seconds[name].append(_timed(way))
        again = [_timed(published) for _ in range(repeat)]
    ratio = statistics.median(
        ours / plain for ours, plain in zip(seconds["published"], seconds["flushed"], strict=True)
    )
    million = f"{rows / 1e6:g} M bars"
    yield figure(f"publish: plain copy of the files of {million}, cp -r", seconds["copied"])
    yield figure(f"publish: the same, flushed to disk by sync -f, {million}", seconds["flushed"])
    yield figure(f"publish: as Delta tables, flushed to disk, {million}", seconds["published"],
                 f"{ratio:.2f} × the copy that is flushed")  # fmt: skip
    yield figure("publish: again, and nothing is new", again)


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
