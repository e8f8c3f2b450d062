"""What a process notes is read as it was written, and a torn end loses nothing before it."""

from pathlib import Path

import numpy as np
import pytest

from peak_trade.observer.spool import NO_TIME, Spool
from peak_trade.record.spool import frames


def _noted(folder: Path) -> Path:
    spool = Spool(str(folder))
    spool.write("trial", {"engine": "e", "own": {"Sharpe": 1.5}}, {"equity": ("f8", [1.0, 2.5])})
    columns = {
        "t": ("i8", np.array([1, NO_TIME])),
        "s": ("text", ["a", None]),
        "x": ("f8", np.array([1, 2], np.float32)),
    }
    spool.write("bars", None, columns)
    (path,) = folder.iterdir()
    return path


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    first, second = frames(_noted(tmp_path))
    assert (first.kind, first.header) == ("trial", {"engine": "e", "own": {"Sharpe": 1.5}})
    assert first.columns["equity"].tolist() == [1.0, 2.5]  # type: ignore[union-attr]
    assert second.columns["s"] == ["a", None]
    assert second.columns["t"].tolist() == [1, -(2**63)]  # type: ignore[union-attr]
    assert second.columns["x"].tolist() == [1.0, 2.0]  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_end_is_told_after_what_is_whole(tmp_path: Path, cut: int) -> None:
    path = _noted(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    reading = frames(path)
    assert next(reading).kind == "trial"
    with pytest.raises(EOFError, match="within a frame|no frame"):
        next(reading)


def test_another_byte_is_told(tmp_path: Path) -> None:
    path = _noted(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EOFError, match="within a frame"):
        list(frames(path))
