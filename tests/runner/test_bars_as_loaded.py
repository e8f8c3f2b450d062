"""A run trades the bars that were loaded, and its evidence names those: whatever a strategy does to its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import peak_trade
from peak_trade import config as configs
from peak_trade import runner
from peak_trade.errors import InputError, RunError
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.strategies import check_target

STRATEGIES = """
import ctypes
import warnings
import msgspec
import numpy as np

LONG = np.ones

def fine(bars): return np.ones(len(bars))
def writes(bars): bars.close[:] = 1.0
def unlocks(bars): bars.close.setflags(write=True); bars.close[:] = 1.0
def unlocks_a_view(bars):
    view = bars.close[:]
    view.setflags(write=True)
    view[:] = 1.0
def unlocks_what_is_below(bars):
    below = bars.close.base
    np.asarray(below).setflags(write=True)
def by_out(bars): np.multiply(bars.close, 2, out=bars.close)
def by_buffer(bars): memoryview(bars.close)[0] = 1.0
def by_bytes(bars): memoryview(bars.close.base)[0] = 1
def reshapes(bars): bars.close.shape = (len(bars) // 2, 2)
def retypes(bars): bars.close.dtype = np.int64
def replaces(bars): msgspec.structs.force_setattr(bars, "close", bars.close * 2 + np.arange(len(bars)))
def by_address(bars):
    class Anywhere:
        __array_interface__ = bars.close.__array_interface__ | {"data": (bars.close.ctypes.data, False)}
    np.asarray(Anywhere())[:] = np.linspace(1, 2, len(bars))
def by_ctypes(bars): ctypes.memset(bars.open.ctypes.data, 1, bars.open.nbytes)
"""
HARMLESS = ("writes", "unlocks", "unlocks_a_view", "unlocks_what_is_below", "by_out", "by_buffer", "by_bytes",
            "reshapes", "retypes", "replaces")  # fmt: skip
Made = Callable[[str], dict[str, bytes]]


@pytest.fixture
def sealed(config: Path, ram: Path) -> Made:
    """Return a function that runs a strategy which does something to its bars, and goes long in spite of it."""
    (ram / "user.py").write_text(
        STRATEGIES
        + """
def quietly(bars, *, how):
    n = len(bars)
    try:
        with warnings.catch_warnings():  # NumPy 2.5 warns of some of these
            warnings.simplefilter("ignore", DeprecationWarning)
            globals()[how](bars)
    except (ValueError, TypeError, AttributeError): pass
    return np.ones(n)
"""
    )
    text = config.read_text().replace('name = "sma_crossover"', 'entrypoint = "user.py:quietly"')
    config.write_text(text.replace("fast = 2\nslow = 5\n", 'how = "fine"\n'))

    def run(how: str) -> dict[str, bytes]:
        source = configs.load(config, [f"strategy.params.how={how}"])
        folder = runner.run(source, root=ram, results=ram / "results")
        found = {name: (folder / name).read_bytes() for name in ("equity.csv", "benchmark.csv", "trades.parquet")}
        statement = json.loads((folder / "manifest.json").read_bytes())
        bars = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
        return found | {"bars": bars["digest"]["sha256"].encode()}

    return run


@pytest.mark.parametrize("how", HARMLESS)
def test_what_numpy_can_do_to_the_bars_of_a_strategy_changes_nothing_of_its_run(sealed: Made, how: str) -> None:
    assert sealed(how) == sealed("fine")


@pytest.mark.parametrize("how", ["by_address", "by_ctypes"])
def test_bars_that_were_changed_behind_numpys_back_fail_the_run(sealed: Made, ram: Path, how: str) -> None:
    with pytest.raises(RunError, match="the strategy changed the bars that it was given"):
        sealed(how)
    [error] = ram.glob("results/*/error.json")
    assert json.loads(error.read_bytes())["type"] == "RunError"


@pytest.mark.parametrize("how", ["unlocks", "reshapes", "retypes", "replaces"])
def test_control_bars_that_are_only_set_to_read_only_are_changed(
    sealed: Made, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = sealed("fine")

    def freeze(bars: Bars) -> Bars:
        for name in COLUMNS:
            getattr(bars, name).setflags(write=False)
        return bars

    monkeypatch.setattr(Bars, "freeze", freeze)
    monkeypatch.setattr(Bars, "apart", lambda bars: bars)
    try:
        changed = sealed(how)
    except Exception:  # noqa: BLE001 - whatever comes of arrays of another form
        return
    assert changed != fine


def test_control_without_a_second_look_what_was_changed_by_address_is_traded(
    sealed: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = sealed("fine")
    monkeypatch.setattr("peak_trade.market.fingerprint.digest", lambda bars: fine["bars"].decode())
    changed = sealed("by_address")
    assert changed["bars"] == fine["bars"], "the fingerprint is that of the bars as loaded"
    assert changed["equity.csv"] != fine["equity.csv"]


def bars_of(n: int = 4, **columns: object) -> Bars:
    given = {
        "timestamp": np.datetime64("2024-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D"),
        "volume": np.ones(n),
    }
    given |= {name: np.linspace(100, 103, n) for name in ("open", "high", "low", "close")}
    return Bars(**{**given, **columns}, symbol="A", timeframe="1d")  # type: ignore[arg-type]


def test_frozen_bars_are_the_same_bars_in_no_more_memory() -> None:
    bars, like = bars_of(), bars_of()
    assert bars.freeze() is bars
    assert all(np.array_equal(getattr(bars, name), getattr(like, name)) for name in COLUMNS)
    assert all(np.shares_memory(getattr(bars.apart(), name), getattr(bars.freeze(), name)) for name in COLUMNS)
    with pytest.raises(ValueError, match="WRITEABLE"):
        bars.close.setflags(write=True)


def test_a_part_of_a_buffer_is_frozen_as_what_it_is() -> None:
    content = np.arange(100.0, 109.0).tobytes()
    for column in (np.frombuffer(content, count=4, offset=8), np.ndarray((4,), "f8", content, strides=(16,))):
        assert bars_of(close=column).freeze().close.tolist() == column.tolist()


def test_a_backtest_trades_the_bars_it_was_given_and_leaves_them_alone() -> None:
    mine = bars_of(close=np.array([100.0, 101.0, 102.0, 103.0]))

    def writes(bars: Bars) -> object:
        with pytest.raises(ValueError, match="WRITEABLE"):
            bars.close.setflags(write=True)
        msgspec.structs.force_setattr(bars, "close", bars.close * 2)
        return np.ones(len(bars))

    traded = peak_trade.backtest(mine, writes)
    assert (
        traded.equity["equity"].tolist() == peak_trade.backtest(mine, lambda bars: np.ones(4)).equity["equity"].tolist()
    )
    mine.close[0] = 100.5  # theirs to write to, as before
    assert mine.close[0] == 100.5


# --- masked arrays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        np.ma.array([1.0, 0.5, 0.0, 1.0], mask=[False, True, False, False]),
        np.ma.array([1, 1, 0, 1], mask=[False, True, False, False]),
        np.ma.array([True, True, False, True], mask=[False, True, False, False]),
        np.ma.array([1.0, 0.5, 0.0, 1.0], mask=[False, True, False, False], dtype=object),
        [np.ma.array(value, mask=at == 1) for at, value in enumerate([1.0, 0.5, 0.0, 1.0])],
    ],
    ids=["floats", "integers", "bools", "objects", "a list"],
)
def test_a_masked_target_is_a_missing_one(target: object) -> None:
    with pytest.raises(RunError, match="the strategy returned nan at row 1"):
        check_target(target, 4)


def test_an_object_that_gives_a_masked_array_is_read_as_one() -> None:
    class Series:
        def __array__(self, dtype: object = None, copy: object = None) -> object:
            return np.ma.array([1.0, 1.0], mask=[True, False])

    with pytest.raises(RunError, match="nan at row 0"):
        check_target(Series(), 2)


def test_a_masked_array_without_a_mask_is_an_array() -> None:
    assert check_target(np.ma.array([1.0, 0.5]), 2).tolist() == [1.0, 0.5]


def test_masked_prices_and_times_are_missing() -> None:
    first = [True, False, False, False]
    times = bars_of().timestamp
    bars = bars_of(
        close=np.ma.array(bars_of().close, mask=first),
        volume=np.ma.array([1, 2, 3, 4], mask=first),
        timestamp=np.ma.array(times, mask=first),
    )
    assert type(bars.close) is type(bars.volume) is type(bars.timestamp) is np.ndarray
    assert np.isnan(bars.close[0]) and np.isnan(bars.volume[0]) and np.isnat(bars.timestamp[0])
    assert bars.close[1:].tolist() == bars_of().close[1:].tolist()


def test_a_backtest_refuses_masked_prices() -> None:
    masked = np.ma.array(bars_of().close, mask=[False, True, False, False])
    with pytest.raises(InputError, match="the bars break the contract"):
        peak_trade.backtest(bars_of(close=masked), "buy_and_hold")
    assert peak_trade.backtest(bars_of(close=np.ma.array(bars_of().close)), "buy_and_hold").trades.rows == 1  # control
