"""Scripts in the engines' own idiom are recorded by the recorder's own observer, and run alone beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from peak_trade.record.result import Result
from peak_trade.record.spool import frames
from peak_trade.record.trials import results

ROOT = Path(__file__).parents[2]
SITE = ROOT / "src/peak_trade/observer/site"
SAMPLES = ROOT / "data/samples"


class Seen(NamedTuple):
    """What came of a script alone and watched, and what was noted of it."""

    alone: subprocess.CompletedProcess[str]
    watched: subprocess.CompletedProcess[str]
    trials: list[Result]
    warnings: list[str]


@pytest.fixture
def see(tmp_path: Path) -> Callable[..., Seen]:
    """Run a script twice, without and with the observer."""

    def run(script: str, *flags: str, env: dict[str, str] | None = None) -> Seen:
        path, spool = tmp_path / "script.py", tmp_path / "spool"
        path.write_text(script.replace("SAMPLES", repr(str(SAMPLES))))
        spool.mkdir()
        bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PEAK_RECORD_SPOOL")}
        bare |= {"PYTHONHASHSEED": "0"} | (env or {})
        watched = bare | {"PEAK_RECORD_SPOOL": str(spool), "PYTHONPATH": str(SITE)}
        alone, seen = (
            subprocess.run(
                [sys.executable, *flags, path], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
            )
            for env in (bare, watched)
        )
        noted = [frame for file in sorted(spool.glob("*.frames")) for frame in frames(file)]
        warnings = [str(frame.header["reason"]) for frame in noted if frame.kind == "warning"]
        return Seen(alone, seen, results(spool), warnings)

    return run
