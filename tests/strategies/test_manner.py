"""How a strategy of somebody's own is asked, and what its answer is taken for: as declared, or refused."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

import peak_trade
from peak_trade.config import Strategy, compose
from peak_trade.errors import InputError, RunError
from peak_trade.market.bars import Bars
from peak_trade.strategies import Manner

nan = float("nan")


def bars(*closes: float) -> Bars:
    close = np.array(closes, np.float64)
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(close)) * np.timedelta64(1, "D")
    return Bars(time, close, close + 1, close - 1, close, np.ones(len(close)), "X", "1d").freeze()


FLAT = bars(*[10.0] * 8)


def taken(answer: Any, over: Bars = FLAT, **declared: Any) -> list[float]:
    manner = Manner.of(msgspec.convert({"entrypoint": "own.py:f", **declared}, Strategy))
    return manner.target(answer, over).tolist()


def refused(answer: Any, over: Bars = FLAT, **declared: Any) -> tuple[str, str]:
    with pytest.raises(RunError) as error:
        taken(answer, over, **declared)
    return error.value.message, str(error.value.hint)


def column(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values)


ENTER = column(0, 1, 0, 0, 1, 0, 1, 0) > 0
LEAVE = column(1, 0, 0, 1, 1, 0, 0, 0) > 0


@pytest.mark.parametrize(
    ("ties", "held"),
    [
        ("ignore", [0, 1, 1, 0, 0, 0, 1, 1]),
        ("enter", [0, 1, 1, 0, 1, 1, 1, 1]),
        ("leave", [0, 1, 1, 0, 0, 0, 1, 1]),
    ],
)
def test_entries_and_exits_with_a_tie_while_flat(ties: str, held: list[float]) -> None:
    assert taken((ENTER, LEAVE), signals="entries_exits", ties=ties) == held


@pytest.mark.parametrize(
    ("ties", "held"),
    [
        ("ignore", [1, 1, 1, 1, 0, 0, 0, 0]),
        ("enter", [1, 1, 1, 1, 0, 0, 0, 0]),
        ("leave", [1, 1, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_entries_and_exits_with_a_tie_while_held(ties: str, held: list[float]) -> None:
    enter, leave = column(1, 0, 1, 0, 0, 0, 0, 0), column(0, 0, 1, 0, 1, 0, 0, 0)
    assert taken((enter, leave), signals="entries_exits", ties=ties) == held


def test_a_tie_that_nothing_decides_is_refused() -> None:
    message, hint = refused((ENTER, LEAVE), signals="entries_exits")
    assert message.startswith("the strategy both enters and leaves at bar 4, in all 1 such bars")
    assert 'strategy.ties = "ignore"' in hint


def test_without_a_tie_nothing_need_be_said_of_them() -> None:
    assert taken((ENTER, LEAVE & ~ENTER), signals="entries_exits") == [0, 1, 1, 0, 1, 1, 1, 1]


def test_entries_of_shorts_turn_the_position() -> None:
    none = np.zeros(8, np.bool_)
    short = column(0, 0, 1, 0, 0, 0, 0, 0) > 0
    cover = column(0, 0, 0, 1, 0, 1, 0, 0) > 0
    assert taken((ENTER, none, short, cover), signals="entries_exits") == [0, 1, -1, 0, 1, 1, 1, 1]


def test_what_is_missing_is_no_event() -> None:
    assert taken(column(nan, 1, 0, nan, -1, -1, 1, nan), signals="events") == [0, 1, 1, 1, 0, 0, 1, 1]
    assert taken((column(nan, 1, nan, nan, nan, nan, nan, nan), column(*[nan] * 6, 1, nan)),
                 signals="entries_exits") == [0, 1, 1, 1, 1, 1, 0, 0]  # fmt: skip


def test_an_event_of_another_size_is_refused() -> None:
    assert refused(column(0, 2, 0, 0, 0, 0, 0, 0), signals="events")[0].startswith("the strategy returned 2 at bar 1")


def test_positions_are_a_bar_late_unless_it_is_said_that_they_are_not() -> None:
    late = column(nan, 1, 1, 0, 0, 1, 1, 0)
    assert taken(late, signals="positions") == [1, 1, 0, 0, 1, 1, 0, 0]
    assert taken(late, signals="target", shifted=True) == [1, 1, 0, 0, 1, 1, 0, 0]
    assert taken(late, signals="positions", shifted=False) == [0, 1, 1, 0, 0, 1, 1, 0]
    assert taken((ENTER, LEAVE & ~ENTER), signals="entries_exits", shifted=True) == [1, 1, 0, 1, 1, 1, 1, 1]


def test_a_hole_in_positions_is_no_beginning() -> None:
    assert "nan at row 3" in refused(column(nan, 1, 1, 1, nan, 1, 1, 0), signals="positions")[0]


def test_booleans_are_no_target_until_that_is_said() -> None:
    for answer in (ENTER, ENTER.tolist(), np.array([None, *ENTER[1:].tolist()], dtype=object)):
        message, hint = refused(answer)
        assert "true and false, which may say when to enter, or what to hold" in message
        assert 'strategy.signals = "target" where true means hold' in hint
    assert taken(ENTER, signals="target") == [0, 1, 0, 0, 1, 0, 1, 0]


def test_pulses_are_no_target_until_that_is_said() -> None:
    pulses = column(0, 1, 0, 0, -1, 0, 1, 0)
    message, hint = refused(pulses)
    assert message.startswith("the strategy returned 3 values of 1 and -1 that each stay for one bar")
    assert "allow_short" not in hint
    assert taken(pulses, signals="events") == [0, 1, 1, 1, 0, 0, 1, 1]
    assert taken(pulses, signals="target") == [0, 1, 0, 0, -1, 0, 1, 0]


@pytest.mark.parametrize(
    "target",
    [
        (0, 1, 1, 0, -1, -1, 0, 0),
        (1, -1, 1, -1, 1, -1, 1, -1),
        (0, 1, 0, 1, 0, 1, 0, 0),
        (0, 0.5, 0, 0, -0.5, 0, 0, 0),
    ],
)
def test_what_can_be_a_target_is_one(target: tuple[float, ...]) -> None:
    """The control: positions that stay, that turn each bar, or of one side or size."""
    assert taken(column(*target)) == list(target)


def test_a_column_that_was_shifted_is_refused_as_a_target() -> None:
    message, hint = refused(column(nan, 1, 1, 0, 0, 1, 1, 0))
    assert "a bar late a second time" in message
    assert 'strategy.signals = "positions"' in hint
    assert "nan at row 0, in all 2" in refused(column(nan, nan, 1, 0, 0, 1, 1, 0))[0]  # an average's own beginning


def test_a_column_that_is_called_a_position_is_to_be_declared() -> None:
    """A shift whose first value was filled with 0 shows in nothing but its name."""
    pandas = pytest.importorskip("pandas")
    late = pandas.Series([0, 1, 1, 0, 0, 1, 1, 0], name="Position")
    message, hint = refused(late)
    assert message.startswith("the strategy returned a column called 'Position'")
    assert '"positions" where it was shifted' in hint
    assert taken(late, signals="positions") == [1, 1, 0, 0, 1, 1, 0, 0]
    assert taken(late, signals="target") == late.tolist() == taken(late.rename("signal"))


@pytest.mark.parametrize("signals", [{}, {"signals": "positions"}])
def test_weights_that_drift_are_refused(signals: dict[str, str]) -> None:
    prices = np.array([10.0, 11, 12, 11, 13, 12, 14, 15])
    held = 0.5 * prices / 10 / (0.5 + 0.5 * prices / 10)
    message, hint = refused(held, bars(*prices), **signals)
    assert message.startswith("the strategy returned weights that drift with the price, from bar 1 on, 7 times")
    assert "just record" in hint
    assert taken(held, bars(*prices), signals="target") == held.tolist()
    assert taken(held, FLAT) == held.tolist()  # where the price stays, nothing drifts


def test_a_frame_is_no_column_until_one_is_named() -> None:
    frame = {"close": FLAT.close, "signal": column(0, 1, 1, 1, 0, 0, 0, 0)}
    message, hint = refused(frame)
    assert message == "the strategy returned a dict of close, signal, and a target is one column"
    assert 'strategy.take = ["signal"]' in hint
    assert taken(frame, take=["signal"]) == [0, 1, 1, 1, 0, 0, 0, 0]
    message, _ = refused(frame, take=["signals"])
    assert message == "the strategy returned no column 'signals'; it has close, signal"


def test_a_frame_of_pandas_is_writable_and_apart() -> None:
    pandas = pytest.importorskip("pandas")
    manner = Manner.of(Strategy(entrypoint="own.py:f", bars="dataframe", case="title"))
    frame = manner.handed(FLAT)
    assert [*frame.columns] == ["Open", "High", "Low", "Close", "Volume"]
    assert isinstance(frame.index, pandas.DatetimeIndex)
    assert frame.index.tz is None
    frame.loc[frame.index[0], "Close"] = 5.0
    frame["Signal"] = 1.0
    assert FLAT.close[0] == 10.0
    assert manner.handed(FLAT)["Close"].iloc[0] == 10.0


def test_a_frame_of_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = Manner.of(Strategy(entrypoint="own.py:f", bars="dataframe", frame="polars", case="upper")).handed(FLAT)
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == ["TIMESTAMP", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"]
    assert frame["CLOSE"].to_list() == FLAT.close.tolist()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"name": "sma_crossover", "signals": "target"}, "strategy.signals cannot take effect: what is registered"),
        ({"entrypoint": "a.py:f", "case": "title"}, 'strategy.case cannot take effect without bars = "dataframe"'),
        ({"entrypoint": "a.py:f", "ties": "enter"}, 'strategy.ties cannot take effect without signals = "entries_ex'),
        ({"entrypoint": "a.py:f", "take": ["a", "b"]}, "strategy.take has 2 names, allowed: 1"),
        (
            {"entrypoint": "a.py:f", "take": ["a"], "signals": "entries_exits"},
            "strategy.take has 1 names, allowed: 2 or 4",
        ),
        ({"entrypoint": "a.py:f", "signals": "weights"}, "strategy.signals is 'weights', allowed: 'entries_exits' or"),
    ],
)
def test_a_declaration_that_could_not_take_effect_is_refused(declared: dict[str, Any], message: str) -> None:
    data = {"path": "x.csv", "symbol": "X", "timeframe": "1d"}
    with pytest.raises(InputError) as error:
        compose({"data": data, "strategy": declared})
    assert error.value.message.startswith(message)


def test_polars_answers_as_pandas_does() -> None:
    polars = pytest.importorskip("polars")
    events = polars.Series("event", [None, 1, 0, None, -1, 0, 1, None])
    assert taken(events, signals="events") == [0, 1, 1, 1, 0, 0, 1, 1]
    assert "true and false" in refused(polars.Series("above", ENTER.tolist()))[0]
    assert "called 'position'" in refused(polars.Series("position", [0, 1, 1, 1, 0, 0, 0, 0]))[0]


def test_from_python_it_is_declared_too() -> None:
    rising = bars(*[10.0 + at for at in range(8)])
    assert peak_trade.backtest(rising, lambda _: column(0, 1, 0, 0, 0, -1, 0, 0), declared={"signals": "events"},
                               fill="close").equity["equity"][-1] == 10_000 * 15 / 11  # fmt: skip
    with pytest.raises(RunError, match="true and false"):
        peak_trade.backtest(rising, lambda _: ENTER)


def test_a_run_from_before_signals_were_declared_is_replayed_as_it_was_taken_then() -> None:
    manner = Manner.of(Strategy(entrypoint="own.py:f"), lenient=True)
    assert manner.target(ENTER, FLAT).tolist() == ENTER.astype(float).tolist()
