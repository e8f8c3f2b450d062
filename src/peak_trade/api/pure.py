"""A backtest as a pure function: bars and a strategy in, equity, trades and statistics out, nothing written."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from peak_trade import config as configs
from peak_trade import places, strategies
from peak_trade.api.card import card, figures
from peak_trade.api.table import Table, trades_table
from peak_trade.errors import InputError
from peak_trade.evidence import tables
from peak_trade.market.bars import Bars
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.frames import bars_of
from peak_trade.market.rate import rate_assumption, rate_finding
from peak_trade.runner.outcome import Prepared

__all__ = ["Backtest", "backtest"]


class Backtest:
    """What a backtest came to: as of a run, but kept nowhere.

    `bars` are those traded, `target` what the strategy asked for, of shape (N,); `assumptions` says how a frame was
    read, and what is taken for the bars of a year. `equity`, `benchmark`, `trades`, `stats` and `reasons` are as of
    `peak_trade.Run`. `ruined` is the time of the bar at which the account had lost all it had, and was closed for good;
    None where it never had.
    """

    def __init__(
        self,
        title: str,
        bars: Bars,
        target: npt.NDArray[np.float64],
        config: configs.Config,
        assumptions: list[str],
    ) -> None:
        came = Prepared(bars).trade(target, config)
        result, held = came.result, came.benchmark
        sealed: dict[str, Any] = came.figures.to_json_object()
        self.title, self.bars, self.target, self.assumptions = title, bars, target, assumptions
        self.reasons: dict[str, str] = sealed.pop("reasons", {})
        self.stats: dict[str, Any] = sealed
        self.equity = Table(came.equity)
        self.benchmark = (
            None if held is None else Table({"timestamp": bars.timestamp, "close": bars.close, "equity": held})
        )
        self.trades = trades_table(result.trades)
        self.ruined: np.datetime64 | None = None if result.ruined is None else bars.timestamp[result.ruined]

    def __repr__(self) -> str:
        ruined = "" if self.ruined is None else f", ruined {self._when()}"
        return f"<Backtest of {self.title}: {len(self.bars):,} bars, {self.trades.rows:,} trades{ruined}>"

    def _when(self) -> str:
        return tables.iso(np.array([self.ruined]))[0]

    def _repr_html_(self) -> str:
        state = "not sealed" if self.ruined is None else f"not sealed, account ruined {self._when()}"
        return card(self.title, [*self.assumptions, state], figures(self.stats), self.equity["equity"])


def backtest(
    bars: Any,
    strategy: str | Callable[..., Any],
    params: Mapping[str, Any] | None = None,
    *,
    symbol: str = "",
    timeframe: str | None = None,
    columns: Mapping[str, str] | None = None,
    calendar: str | None = None,
    initial_cash: float = 10_000.0,
    fee_bps: float = 0.0,
    slippage_bps: float = 0.0,
    allow_short: bool = False,
    borrow_rate: float = 0.0,
    scale: float = 1.0,
    max_exposure: float = 1.0,
    min_trade_value: float = 0.0,
    stop_loss: float | None = None,
    take_profit: float | None = None,
    trailing_stop: float | None = None,
    risk_free_rate: float = 0.0,
    benchmark: Literal["buy_and_hold", "none"] = "buy_and_hold",
    periods_per_year: float | None = None,
    seed: int = 0,
    fill: Literal["next_open", "close"] = "next_open",
    declared: Mapping[str, Any] | None = None,
) -> Backtest:
    """Backtest a strategy over bars, and write nothing: the numbers that `run` seals for the same config and bars.

    `bars` are `Bars`, or a frame or series of pandas or polars (`Bars.from_frame` says which; `symbol`, `timeframe` and
    `columns` are for it). `strategy` is a registered name, an entrypoint (`"path/file.py:function"`), or a function
    `(bars, **params) -> target`, where the target is one number in [-1, 1] for each bar, shape (N,): the fraction of
    equity to hold after that bar's close. `params` are its parameters. `declared` says where it takes something else
    than `Bars`, or returns something else than a target, by the keys of `[strategy]`: `{"signals": "events"}`.

    All else is as in the config, with the same defaults and ranges: costs in basis points of notional, stops as
    fractions of the entry price (`trailing_stop`: of the peak price), rates as fractions a year. Python's and NumPy's
    global generators are seeded with `seed` for a strategy of your own, and are as before afterwards.

    Raises:
        InputError: bars, a parameter or a setting are wrong; the message says which and what is allowed.
        RunError: the target is not what it must be, or short where `allow_short` is false.
        Exception: whatever the strategy raises, unchanged.
    """
    named = isinstance(strategy, str) and ":" not in strategy
    label = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", type(strategy).__name__)
    assumed: list[str] = []
    if isinstance(bars, Bars):
        given = bars
        if found := check_ohlcv(given):
            lines = "".join(f"\n  {line}" for line in found.lines())
            raise InputError(f"the bars break the contract, {len(found):,} times:{lines}", hint="mend the rows")
    else:
        given, assumed = bars_of(bars, symbol=symbol, timeframe=timeframe, columns=columns)
    if benchmark not in (configs.BUY_AND_HOLD, configs.NO_BENCHMARK):
        raise InputError(
            f"stats.benchmark is {benchmark!r}, allowed: '{configs.BUY_AND_HOLD}' or '{configs.NO_BENCHMARK}'",
            hint="a file's is for what is sealed: peak_trade.run",
        )
    settings: dict[str, dict[str, Any]] = {
        "data": {"path": "-", "symbol": given.symbol or "-", "timeframe": given.timeframe, "calendar": calendar},
        "strategy": {**(declared or {}), **({"name": label} if named else {"entrypoint": "-"})},
        "execution": {
            "initial_cash": initial_cash,
            "fee_bps": fee_bps,
            "slippage_bps": slippage_bps,
            "allow_short": allow_short,
            "borrow_rate": borrow_rate,
            "fill": None if fill == "next_open" else fill,
        },
        "sizing": {"scale": scale, "max_exposure": max_exposure, "min_trade_value": min_trade_value},
        "stops": {"stop_loss": stop_loss, "take_profit": take_profit, "trailing_stop": trailing_stop},
        "stats": {
            "risk_free_rate": risk_free_rate,
            "benchmark": benchmark,
            "periods_per_year": periods_per_year,
        },
        "run": {"seed": seed},
    }
    for section in settings.values():
        for key in [key for key, value in section.items() if value is None]:
            del section[key]
    config = configs.compose(settings).config
    assumed += rate_assumption(given.timestamp, calendar, periods_per_year)
    assumed += [found.text for found in rate_finding(given.timestamp, given.timeframe, calendar, periods_per_year)]
    given = copy(given).freeze()  # what is traded is what was given, whatever the strategy does
    with _seeded(None if named else seed):
        function = _function(strategy)
        known = strategies.check_params(function, params or {})
        manner = strategies.Manner.of(config.strategy)
        with strategies.reaching():
            answer = function(manner.handed(given.apart()), **known)
        target = manner.target(answer, given)
    return Backtest(f"{label} on {given.symbol or 'bars'} {given.timeframe}", given, target, config, assumed)


def _function(strategy: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(strategy, str):
        return strategy
    if ":" in strategy:
        return strategies.load_entrypoint(strategy, list(dict.fromkeys([Path.cwd(), places.root()])))
    return strategies.resolve(strategy)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed the global generators, as a run does, and put them back; None leaves them alone."""
    if seed is None:
        yield
        return
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what a strategy may draw from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - as above
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002 - as above
