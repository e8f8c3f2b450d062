"""MLflow's file store, a folder such as `mlruns/`: an experiment a folder, in it a run a folder, in that a file a word.

Read without MLflow, and as a stranger's: no link is followed, only files are opened, and of each so much is read.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Logged", "read"]

_META, _TRASH = "meta.yaml", ".trash"
_MOST = 1 << 20  # bytes of a file: of a longer one its end
FAILED = ("4", "5")
"""MLflow's numbers for a run that failed or was killed."""


class Logged(NamedTuple):
    """A run: when it began, its name there, whether it failed, the metric's last value, its parent, our run_id."""

    began: int
    run: str
    failed: bool
    value: float | None
    parent: str
    ours: str


def read(folder: Path, metric: str) -> dict[str, list[Logged]]:
    """Return the runs of each experiment in the order in which they began; deleted ones too."""
    found: dict[str, list[Logged]] = {}
    for place in (*_folders(folder), *_folders(folder / _TRASH)):
        about = _meta(place)
        if "experiment_id" in about:
            made = found.setdefault(about.get("name", place.name), [])
            made.extend(_run(run, told, metric) for run in _folders(place) if "run_id" in (told := _meta(run)))
    return {name: sorted(made) for name, made in found.items()}


def _run(run: Path, told: dict[str, str], metric: str) -> Logged:
    tags = run / "tags"
    parent, ours = (_text(tags / name).strip() for name in ("mlflow.parentRunId", "run_id"))
    began = told.get("start_time", "")
    failed = told.get("status") in FAILED
    return Logged(int(began[:20]) if began.isdecimal() else 0, told["run_id"], failed, _last(run, metric), parent, ours)


def _last(run: Path, metric: str) -> float | None:
    """Return the last value of a metric: that of the highest step, whose lines are `time value step`."""
    parts = metric.split("/")  # as MLflow names the folders of a metric
    if any(part in ("", ".", "..") for part in parts):
        return None
    rows = []
    for line in _text(run.joinpath("metrics", *parts)).splitlines():
        with suppress(ValueError):
            time, value, step = [*line.split(), "0"][:3]  # of old, without a step
            rows.append((int(step), int(time), float(value)))
    return max(rows)[2] if rows else None


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from sorted(Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))


def _text(path: Path) -> str:
    """Return the end of a file as text; empty where there is none, or something else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            return ""
        return os.pread(handle, _MOST, max(about.st_size - _MOST, 0)).decode("utf-8", "replace")
    finally:
        os.close(handle)


def _meta(folder: Path) -> dict[str, str]:
    """Return the keys and values of a `meta.yaml`, which has no levels."""
    found = {}
    for line in _text(folder / _META).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found[key] = _plain(value.strip())
    return found


def _plain(value: str) -> str:
    """Return a word of YAML without its quotes."""
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    if len(value) > 1 and value[0] == value[-1] == '"':
        with suppress(ValueError):
            return str(json.loads(value))
    return value
