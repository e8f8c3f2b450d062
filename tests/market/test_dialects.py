from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.market.dialects import KINDS, Bar, Kind

from peak_trade.config import reading
from peak_trade.market.ohlcv import Loaded, load_bars

Write = Callable[..., Path]

TEXTS = [name for name, kind in KINDS.items() if kind.text]


def zipped(data: bytes, *names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("bars.csv",):
            archive.writestr(name, data)
    return sink.getvalue()


def as_bytes(made: str | bytes) -> bytes:
    return made if isinstance(made, bytes) else made.encode()


def load(path: Path, kind: Kind, **keys: object) -> Loaded:
    step = (
        "1d"
        if kind.rows(2)[1].time - kind.rows(2)[0].time
        == KINDS["yahoo"].rows(2)[1].time - KINDS["yahoo"].rows(2)[0].time
        else "1h"
    )
    return load_bars(path, symbol="TEST", timeframe=step, reading=reading({**kind.keys, **keys}))


def are(loaded: Loaded, rows: list[Bar]) -> bool:
    bars = loaded.bars
    times = np.array([bar.time.replace(tzinfo=None) for bar in rows], "datetime64[ns]")
    assert (bars.timestamp == times).all()
    for name in Bar._fields[1:]:
        assert getattr(bars, name).tolist() == [getattr(bar, name) for bar in rows], name
    return loaded.violations == 0


@pytest.mark.parametrize("count", [1, 2, 40, 1100])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_each_kind_is_read_exactly(write: Write, name: str, count: int) -> None:
    kind = KINDS[name]
    rows = kind.rows(count)
    loaded = load(write(kind.make(rows), f"bars{kind.suffix}"), kind)
    assert are(loaded, rows)
    assert loaded.formats == [kind.format]
    assert not kind.said or loaded.assumptions.count(kind.said) == 1
