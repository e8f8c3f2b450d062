"""A large file read at once gives the same bars, to the bit, as the same file read cell by cell, or is left to that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.market.dialects import KINDS, hours

from peak_trade.config import reading
from peak_trade.errors import InputError
from peak_trade.market import bulk
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import Loaded, load_bars

Write = Callable[..., Path]
HEADER = "timestamp,open,high,low,close,volume\n"


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, Any, bool]]:
    """Load a file at once and cell by cell: both outcomes, and whether the first did not need the cells."""

    def outcome(path: Path, **keys: Any) -> Loaded | str:
        try:
            return load_bars(path, symbol="T", timeframe="1h", on_violation="drop-rows", reading=reading(keys))
        except InputError as error:
            return f"{error.message} / {error.hint}"

    def load(path: Path, **keys: Any) -> tuple[Any, Any, bool]:
        read: list[bool] = []
        real = bulk.read

        def noted(*args: Any) -> Any:
            read.append((found := real(*args)) is not None)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(bulk, "AT_LEAST", 0)
            patch.setattr(bulk, "read", noted)
            at_once = outcome(path, **keys)
            patch.setattr(bulk, "AT_LEAST", 1 << 60)
            cells = outcome(path, **keys)
        return at_once, cells, read == [True]

    return load


def same(first: Loaded | str, second: Loaded | str) -> bool:
    if isinstance(first, str) or isinstance(second, str):
        return first == second
    assert fingerprint(first.bars) == fingerprint(second.bars)
    names = ("files", "assumptions", "violations", "dropped", "problems", "gaps", "formats")
    return all(getattr(first, name) == getattr(second, name) for name in names)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.text])
def test_each_kind_is_the_same_either_way(write: Write, both: Any, name: str) -> None:
    kind = KINDS[name]
    text = kind.make(hours(700))
    at_once, cells, _ = both(write(text, f"bars{kind.suffix}"), **kind.keys)
    assert same(at_once, cells)


@pytest.mark.parametrize(
    "name", ["binance in ms", "binance in us", "kraken", "coinbase with a header", "cryptodatadownload", "tiingo"]
)
def test_the_large_ones_are_read_at_once(write: Write, both: Any, name: str) -> None:
    assert both(write(KINDS[name].make(hours(700))))[2]


HARD = [
    "0.1", "0.30000000000000004", "1.7976931348623157e308", "2.2250738585072011e-308", "4.9e-324", "5e-324",
    "2.4703282292062327208e-324", "9007199254740993", "9007199254740992.5", "123456789012345678901234567890",
    "0.500000000000000166533453693773481063544750213623046875",
    "1.00000000000000011102230246251565404236316680908203125",
    "8.41e-21", "7.2057594037927933e16", "6.9294956446009195e15", "3.518437208883201171875e13", "1e23", "8.5e22",
    "62.5364939768271845828", "0.000000000000000000000000000000000000000000000123", "100000000000000016777215",
    "100000000000000016777216", "1.448997445238699", "30078505129381147446200",
    "9355950000000000000.00184467440737095516",
]  # fmt: skip


def test_hard_decimals_are_rounded_as_python_rounds_them(write: Write, both: Any) -> None:
    rows = "".join(f"{1704067200 + 3600 * at},1,1e308,1e-308,{text},{text}\n" for at, text in enumerate(HARD))
    path = write(HEADER + rows)
    at_once, cells, read = both(path)
    assert read
    assert same(at_once, cells)
    found = bulk.read(path.read_bytes(), 1, 6, ",", {"timestamp": 0, "close": 4}, ["close"], "")
    assert found is not None
    assert found[1]["close"].tolist() == [float(text) for text in HARD]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.floats(1e-320, 1e308).map(repr),
            st.decimals(0, 10**20, allow_nan=False, places=12).map(str),
            st.integers(1, 10**30).map(str),
            st.tuples(st.integers(0, 10**17), st.integers(0, 10**25)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_any_decimal_is_the_same_either_way(write: Write, both: Any, texts: list[str]) -> None:
    rows = "".join(f"2024-01-{1 + at // 24:02}T{at % 24:02}:00Z,1,1,1,1,{text}\n" for at, text in enumerate(texts))
    assert same(*both(write(HEADER + rows))[:2])


CELLS = (
    "", "1", "1.5", "+1", "-1", " 1", "1 ", "1.", ".5", "1e5", "1E5", "nan", "inf", "0x10", "1_0", "null", "None",
    "1,5", '"1"', '"1', "1e400", "1e-400", "NaN", "1d", "true", "#N/A", "\uff11",
)  # fmt: skip
STAMPS = (
    "2024-01-01T{:02}:00Z", "2024-01-01T{:02}:00", "2024-01-01 {:02}:00:00", "17040{:02}000", "017040{:02}000",
    "0x{:02}", " 17040{:02}000", "20240101{:02}", "2024-13-01T{:02}:00Z", "{:02}", "202401{:02}",
    "2024-01-01T{:02}:00+01:00",
)  # fmt: skip
CELL = st.one_of(st.sampled_from(CELLS), st.text(alphabet='0123456789.,eE+- \t"xnN', max_size=5))
STAMP = st.sampled_from(STAMPS)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stamp=STAMP,
    other=STAMP,
    cells=st.lists(CELL, min_size=0, max_size=3),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", ""]),
    at=st.integers(0, 5),
)
def test_what_is_not_read_alike_is_left_to_the_cells(
    write: Write, both: Any, stamp: str, other: str, cells: list[str], end: str, at: int
) -> None:
    lines = [f"{stamp.format(hour)},10,12,9,11,5" for hour in range(6)]
    lines[at] = f"{other.format(at)},{','.join([*cells, '10', '12', '9', '11', '5'][:5])}"
    assert same(*both(write(HEADER + (end or "\n").join(lines) + end))[:2])


def test_without_pyarrow_a_large_file_is_read_cell_by_cell(write: Write) -> None:
    path = write(HEADER + "".join(f"{1704067200 + 3600 * at},1,1,1,1,{at}\n" for at in range(300)))
    program = (
        "import sys\n{}from peak_trade.market import bulk, ohlcv, fingerprint\nbulk.AT_LEAST = 0\n"
        f"bars = ohlcv.load_bars({str(path)!r}, symbol='T', timeframe='1h').bars\n"
        "print(fingerprint.fingerprint(bars)['digest'], 'pyarrow.csv' in sys.modules)"
    )
    said = [
        subprocess.run([sys.executable, "-c", program.format(text)], capture_output=True, text=True, check=True).stdout
        for text in ("", "sys.modules['pyarrow'] = None\n")
    ]
    assert [line.split()[1] for line in said] == ["True", "False"]
    assert said[0].split()[0] == said[1].split()[0]


def test_a_small_file_does_not_wait_for_pyarrow(write: Write) -> None:
    path = write(HEADER + "1704067200,1,1,1,1,1\n")
    program = f"""import sys; from peak_trade.market.ohlcv import load_bars
load_bars({str(path)!r}, symbol="T", timeframe="1h"); print("pyarrow" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_rows_of_a_file_read_at_once_go_by_their_lines(write: Write, both: Any) -> None:
    rows = [f"{1704067200 + 3600 * at},1,1,1,1,{-1 if at == 40 else 1}" for at in range(300)]
    at_once, _, read = both(write(HEADER + "\n".join(rows) + "\n"))
    assert read and at_once.problems[0].startswith(f"{at_once.files[0].path} row 42, column volume: -1.0")
    assert np.count_nonzero(at_once.bars.volume != 1) == 0
