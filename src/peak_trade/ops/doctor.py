"""What this checkout needs and has: tools, extras, pins, runs and disk, each with the command that mends it.

Nothing heavy is imported. Runs that dead processes left are brought to their end, and removals of runs that they began;
a run that lacks its lines of the ledger gets them. Nothing else is changed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from peak_trade.evidence import run_dir
from peak_trade.evidence.results import Results
from peak_trade.ops import removal
from peak_trade.shown.listing import readable_size
from peak_trade.trust import handover

__all__ = ["Finding", "examine", "extras", "pins"]

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(?:;.*extra == ['\"](?P<extra>[\w-]+)['\"])?")
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_OPTIONAL_TOOLS = {
    "quarto": "optional, the built-in renderer makes the same page; quarto.org has it, or `pip install quarto-cli`, "
    "which fetches the program from GitHub (`pip download quarto-cli` brings none)",
    "chromium": "optional: looks at the report",
    "docker": "optional: runs the dashboards",
}


class Finding(NamedTuple):
    """One thing looked at; `hint` is the command that mends it.

    Its state is `ok`, `missing`, `stale`, `broken` or `mended`.
    """

    name: str
    state: str
    detail: str
    hint: str = ""
    needed: bool = False


def examine(root: Path, results: Results) -> list[Finding]:
    """Look at everything, in the order in which a newcomer would set it up.

    `root` is the checkout, `results` the directory that holds the runs; it need not exist.
    """
    pinned = root / "constraints.txt"  # an installed package has none
    tools = [_python(), *_tools(), *extras(), *([pins(pinned)] if pinned.is_file() else [])]
    return [*tools, *_runs(results), _ledger(results), _disk(results.path)]


def extras(distribution: str = "peak-trade") -> Iterator[Finding]:
    """Tell of each extra of `distribution` whether all that it names is installed."""
    wanted: dict[str, list[str]] = {}
    for text in metadata.requires(distribution) or []:
        match = _REQUIREMENT.match(text)
        if match and match["extra"] not in (None, "all"):  # `all` is the others, said once more
            wanted.setdefault(match["extra"], []).append(match["name"])
    for extra, names in wanted.items():
        missing = [name for name in names if _installed_version(name) is None]
        if missing:
            detail = "lacks " + ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
            yield Finding(f"extra {extra}", "missing", detail, f"just setup {extra}")
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def pins(constraints: Path) -> Finding:
    """Tell whether what is installed has the versions of `constraints`.

    A name may be pinned more than once, by Python version; any of its versions counts as in step.
    """
    pinned: dict[str, set[str]] = {}
    for match in _PIN.finditer(constraints.read_text(encoding="utf-8")):
        pinned.setdefault(_canonical(match["name"]), set()).add(match["version"])
    installed = {name: version for name in pinned if (version := _installed_version(name)) is not None}
    astray = [f"{name} {version}" for name, version in installed.items() if version not in pinned[name]]
    if astray:
        return Finding("pins", "stale", "not as pinned: " + ", ".join(sorted(astray)), "just setup", needed=True)
    return Finding("pins", "ok", f"{len(installed)} packages as pinned")


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding(
        "python", "ok" if good else "stale", f"{platform.python_version()} at {sys.executable}", "python 3.11 or newer"
    )


def _tools() -> Iterator[Finding]:
    for name, hint in (("git", "install git"), ("uv", "pip install uv"), ("just", "pip install rust-just")):
        yield _tool(name, hint, needed=name == "git")
    for name, use in _OPTIONAL_TOOLS.items():
        yield _tool(name, use)


def _tool(name: str, hint: str, *, needed: bool = False) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, "missing", "not on PATH", hint, needed)
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding(name, "missing", f"{path} does not answer --version", hint, needed)
    version = re.search(r"\d+(?:\.\d+)+", asked.stdout)
    return Finding(name, "ok", f"{version[0] if version else '?'} at {path}")


def _runs(results: Results) -> Iterator[Finding]:
    """Bring the runs and removals of dead processes to their end, and tell of each, and of runs still going on."""
    mended = run_dir.recover(results) + removal.finish(results) + handover.finish(results)
    mended += run_dir.carry(results)
    for run_id, what in mended:
        state, hint = ("broken", "just verify --all") if what.startswith("not recovered") else ("mended", "")
        if what.startswith(run_dir.STOPPED):
            state, hint = "stale", f"or just sweep --abandon {run_id[:8]}" if "it goes on with" in what else ""
        yield Finding(f"run {run_id[:8]}", state, what, hint)
    going = [left.run_id[:8] for left in run_dir.unfinished(results) if left.alive]
    yield Finding("runs", "ok", f"{len(results.runs())} finished, {len(going)} going on {' '.join(going)}".rstrip())


def _ledger(results: Results) -> Finding:
    """Tell whether each line of the ledger is one, and follows from the one before."""
    try:
        reading = results.reading()
    except OSError as error:
        return Finding("ledger", "broken", f"can't be read: {error.strerror}", "check the folder", needed=True)
    if reading.broken:
        return Finding(
            "ledger", "broken", f"not whole at line {reading.broken[0][0]}", "just verify --all", needed=True
        )
    events = sorted({entry.event for entry in reading.unknown})
    more = f"; this version does not know the event {', '.join(events)}" if events else ""
    return Finding("ledger", "ok", f"{len(reading.entries)} lines, each chained to the one before{more}")


def _disk(results: Path) -> Finding:
    files = list(_sizes(results))
    there = next(path for path in (results, *Path(os.path.realpath(results)).parents) if path.exists())
    free = shutil.disk_usage(there).free
    detail = f"{readable_size(sum(files))} in {len(files)} files under {results}, {readable_size(free)} free"
    return Finding("disk", "ok" if free > 1e9 else "stale", detail, "make room: less than 1 GB is free")


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the size of each file below a folder; no link is followed, and what can't be looked at is left out."""
    folders = [folder]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # gone meanwhile, not ours to see, or too deep
            continue
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
