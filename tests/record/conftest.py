"""What an engine's process notes, as a real one writes it; and commands recorded as by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.recorder import Recorder

from peak_trade.observer.spool import Spool

DAY = 86_400 * 10**9
START = np.datetime64("2024-01-01", "ns").view("i8")


@pytest.fixture
def note(tmp_path: Path) -> Callable[..., None]:
    """Return what writes a trial of 40 days into the folder `spool`, whose equity `seed` tells."""
    (tmp_path / "spool").mkdir()
    spool = Spool(str(tmp_path / "spool"))

    def write(seed: int = 0, columns: dict[str, Any] | None = None, **header: Any) -> None:
        times = START + np.arange(40) * DAY
        equity = 1000.0 * np.cumprod(1.0 + np.random.default_rng(seed).normal(0.0, 0.01, 40))
        told = {"engine": "e", "version": "1", "strategy": "S", "params": {"b": 1, "a": seed}, "status": "done"}
        given = {"timestamp": ("i8", times), "equity": ("f8", equity)} if columns is None else columns
        spool.write("trial", told | {"started_ns": seed} | header, given)

    write.spool = spool  # type: ignore[attr-defined]
    return write


@pytest.fixture
def record(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)
