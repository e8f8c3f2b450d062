"""What is told of a recorded run once it is sealed: to a person, a program, MLflow."""

from __future__ import annotations

import sys
from pathlib import Path

from peak_trade import terminal
from peak_trade.errors import RunError
from peak_trade.evidence import files
from peak_trade.record.command import Recorded
from peak_trade.shown import listing
from peak_trade.text import json_escaped

__all__ = ["tell"]


def tell(done: Recorded, *, json: str | None, tracking: str, quiet: bool, root: Path) -> int:
    """Tell of a run; the run_id is the last line of stderr. Return the exit code; RunError where strictness asks it."""
    if not quiet:
        terminal.show(listing.summary(done.run_dir), sys.stderr)
    if json is not None:
        _tell_in(json, done.run_dir)
    try:
        if tracking != "off":
            _track(done.run_dir, tracking, root)
        if done.refused and not done.ended.exit_code:
            raise RunError(done.refused, hint="PEAK_STRICT=1 makes every skip a failure")
    finally:
        terminal.show(done.run_dir.name, sys.stderr, flush=True)
    return done.ended.exit_code


def _track(run_dir: Path, mode: str, root: Path) -> None:
    from peak_trade.config import Tracking  # who is not tracked waits for none of it
    from peak_trade.tracking import tracker

    tracker(Tracking(mode=mode), root).log(run_dir)  # type: ignore[arg-type] # one of its choices


def _tell_in(name: str, run_dir: Path) -> None:
    text = files.encode_json(listing.describe(run_dir))
    if name == "-":
        shown = text.decode()
        terminal.show(json_escaped(shown) if sys.stdout.isatty() else shown, exact=True, end="", flush=True)
        return
    with files.disk_errors(name), files.drafted(Path(name)) as draft:
        draft.write_bytes(text)
