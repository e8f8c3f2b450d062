"""The engine against a second one that was written from docs/dev/engine.md, in decimals, bar by bar.

A few thousand seeded markets with each run of the suite, on price grids where lows meet stops and equity meets zero
exactly; a hundred thousand with `pytest -m thorough tests/engine`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import UNSET

from peak_trade import engine
from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import Result, run
from peak_trade.market.bars import Bars
from peak_trade.market.trades import EXIT_REASONS

spec = spec_from_file_location("decimal_simulator", Path(__file__).with_name("decimal_simulator.py"))
assert spec and spec.loader
simulator = module_from_spec(spec)
sys.modules[spec.name] = simulator
spec.loader.exec_module(simulator)

TOLERANCE = 1e-10  # of all the money that was at stake so far
BLOCKS = 8  # of test cases, so that several processes share them
PER_BLOCK, THOROUGH = 500, 12_500
DAY = 86_400 * 10**9
D = Decimal


@dataclass(frozen=True)
class Case:
    """What both engines are given."""

    bars: Sequence[Any]
    target: Sequence[Decimal]
    rules: Any
    short: bool = True

    def settings(self) -> dict[str, Any]:
        rules = self.rules

        def number(value: Decimal | None) -> float | None:
            return None if value is None else float(value)

        return {
            "execution": Execution(
                initial_cash=float(rules.cash),
                fee_bps=float(rules.fee * 10_000),
                slippage_bps=float(rules.slippage * 10_000),
                borrow_rate=float(rules.borrow),
                allow_short=True,
                fill="close" if rules.at_close else UNSET,
            ),
            "sizing": Sizing(
                scale=float(rules.scale), max_exposure=float(rules.cap), min_trade_value=float(rules.smallest)
            ),
            "stops": Stops(
                stop_loss=number(rules.stop_loss),
                take_profit=number(rules.take_profit),
                trailing_stop=number(rules.trailing_stop),
            ),
        }

    def floats(self) -> tuple[Bars, np.ndarray[Any, Any]]:
        time = np.array([bar.time for bar in self.bars]).astype("datetime64[ns]")
        columns = [
            np.array([float(getattr(bar, name)) for bar in self.bars]) for name in ("open", "high", "low", "close")
        ]
        bars = Bars(time, *columns, np.ones(len(time)), "TEST", "1d")
        return bars, np.array([float(wanted) for wanted in self.target])


# --- random markets ---------------------------------------------------------------------------------------------------


def random_case(seed: int) -> Case:
    """Return one market: a walk on a grid of ticks, a target in stretches, and whatever costs, stops and sizes."""
    random = np.random.default_rng(seed)

    def pick(*options: Any) -> Any:
        return options[int(random.integers(len(options)))]

    size = int(random.integers(1, 60))
    tick = pick(D("0.01"), D("0.05"), D("0.2"), D("0.00000001"), D(1))
    last = pick(D("11.2"), D(100), D("0.4")) // tick or D(500)
    step = pick(D("0.005"), D("0.02"), D("0.06"), D("0.25"))
    rows = []
    for gap, body, up, down in random.integers([-3, -4, 0, 0], [4, 5, 4, 4], (size, 4)).tolist():
        opened = max(D(1), last + gap * (last * step // 2))
        last = max(D(1), opened + body * (last * step // 2 + pick(0, 1)))
        high, low = max(opened, last), min(opened, last)
        rows.append([opened, high + up * (high * step // 3), max(D(1), low - down * (low * step // 3)), last])
    rows = [[price * tick for price in row] for row in rows]
    days = np.cumsum(random.choice([1, 1, 1, 3], size)).tolist()

    side = pick((1,), (-1,), (1, -1), (1, -1))
    sizes = (0, 0, 1, 1, D("0.5"), D("0.25"), D("0.8"))
    target: list[Decimal] = []
    longest = pick(2, 5, 20)
    while len(target) < size:
        target += [D(pick(*sizes)) * pick(*side)] * int(random.integers(1, longest + 1))
    target = target[:size]

    costs = pick(D(0), D(0), D(10), D("2.5"), D(100), D("12.3")), pick(D(0), D(0), D(5), D(50), D("0.7"))
    near = (None, None, D("0.05"), D("0.02"), D("0.125"), D("0.1"), D("0.013"), D("0.3"), D("0.8"))
    distance = [pick(*near) if stopped else None for stopped in [pick(True, True, False)] * 3]
    cash = pick(D(1000), D("12345.67"), D(10_000))
    rules = simulator.Rules(
        cash,
        fee=costs[0] / 10_000,
        slippage=costs[1] / 10_000,
        borrow=pick(D(0), D("0.05"), D(2)),
        scale=pick(D(1), D(1), D(1), D("0.3"), D("1.7")),
        cap=pick(D(1), D(1), D("0.6")),
        smallest=cash * pick(D(0), D(0), D(0), D("0.02"), D("0.25"), D("0.4")),
        stop_loss=distance[0],
        take_profit=distance[1],
        trailing_stop=distance[2],
    )
    for bar in range(1, size):
        if target[bar - 1] != (target[bar - 2] if bar > 1 else 0) and target[bar - 1] and random.random() < 0.6:
            _meet(random, rows, bar, 1 if target[bar - 1] > 0 else -1, rules)
    bars = [simulator.Bar(day * DAY, *row) for day, row in zip(days, rows, strict=True)]
    return Case(bars, target, rules)


def _meet(random: np.random.Generator, rows: list[list[Decimal]], entry: int, side: int, rules: Any) -> None:
    """Have a later bar touch a level of the position that opens at `entry` to the last digit, or miss it by one."""
    bar = entry + int(random.integers(0, 5))
    if bar >= len(rows):
        return
    opened, high, low, close = rows[bar]
    price = rows[entry][0] * (1 + side * rules.slippage)
    best = price
    for _, highest, lowest, _ in rows[entry:bar]:
        best = max(best, highest) if side > 0 else min(best, lowest)
    levels = [
        price * (1 - side * rules.stop_loss) if rules.stop_loss else None,
        best * (1 - side * rules.trailing_stop) if rules.trailing_stop else None,
        price * (1 + side * rules.take_profit) if rules.take_profit else None,
        2 * rows[entry][0] if side < 0 else None,  # where a short of all its equity has nothing left
    ]
    there = [choice for choice, level in enumerate(levels) if level is not None]
    if not there:
        return
    choice = there[int(random.integers(len(there)))]
    level = levels[choice] or D(0)
    if choice == 3:
        rows[bar] = [opened, max(high, level), low, level]
        return
    by_a_digit = D(int(random.integers(-1, 2))) * D("1e-12").scaleb(level.adjusted())
    level += by_a_digit  # of the 13th
    if level < min(opened, close):
        rows[bar][2] = level
    elif level > max(opened, close):
        rows[bar][1] = level


# --- comparison -------------------------------------------------------------------------------------------------------


def differences(result: Result, bars: Bars, account: Any) -> list[str]:
    """Return what differs between the engine's result and the account of the simulator."""
    equity, position = np.array(account.equity, np.float64), np.array(account.position, np.float64)
    trades, found = account.trades, []
    at_stake = np.maximum.accumulate(np.abs(equity) + np.abs(position) * bars.close + float(account.rules.cash))
    units = max([1e-300, *np.abs(position).tolist(), *(float(trade["quantity"]) for trade in trades)])
    if not np.all(np.abs(result.equity - equity) <= TOLERANCE * at_stake):
        found.append(f"equity {result.equity.tolist()} != {equity.tolist()}")
    if not np.allclose(result.position, position, rtol=TOLERANCE, atol=TOLERANCE * units):
        found.append(f"position {result.position.tolist()} != {position.tolist()}")
    if result.ruined != account.ruined:
        found.append(f"ruined {result.ruined} != {account.ruined}")
    got = result.trades
    if len(got) != len(trades):
        return [*found, f"{len(got)} trades {got} != {trades}"]

    def column(name: str) -> Any:
        return np.array([trade[name] for trade in trades])

    reasons = [EXIT_REASONS.index(trade["exit_reason"]) for trade in trades]
    for name, expected in (("side", column("side").tolist()), ("bars_held", column("bars_held").tolist()),
                           ("exit_reason", reasons)):  # fmt: skip
        if getattr(got, name).tolist() != expected:
            found.append(f"{name} {getattr(got, name)} != {expected}")
    for name, bar in (("entry_time", "entry_bar"), ("exit_time", "exit_bar")):
        if getattr(got, name).tolist() != bars.timestamp[column(bar).astype(np.int64)].tolist():
            found.append(f"{name} {getattr(got, name)} != bars {column(bar)}")
    for name in ("entry_price", "exit_price"):
        if not np.allclose(getattr(got, name), column(name).astype(np.float64), rtol=1e-14, atol=0):
            found.append(f"{name} {getattr(got, name)} != {column(name)}")
    notional = np.array([float(trade["quantity"] * (trade["entry_price"] + trade["exit_price"])) for trade in trades])
    stake = float(at_stake[-1]) if len(at_stake) else 1.0
    slack = {"mae": 1.0, "mfe": 1.0, "quantity": units, "return_": stake / np.maximum(notional, 1e-300)}
    for name in ("quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return_", "mae", "mfe"):
        if not np.all(
            np.abs(getattr(got, name) - column(name).astype(np.float64)) <= TOLERANCE * slack.get(name, stake)
        ):
            found.append(f"{name} {getattr(got, name)} != {column(name)}")
    return found


def compare(case: Case, as_engine: Callable[..., Result] = run) -> list[str]:
    """Return where `as_engine` differs from the simulator on this market."""
    bars, target = case.floats()
    expected = simulator.simulate(case.bars, case.target, case.rules)
    return differences(as_engine(bars, target, **case.settings()), bars, expected)


def block(number: int, count: int) -> Iterator[tuple[int, Case]]:
    for seed in range(number * count, (number + 1) * count):
        yield seed, random_case(seed)


def at_close(case: Case) -> Case:
    """Return the same market, in which decisions fill at the close that they were made on."""
    return replace(case, rules=replace(case.rules, at_close=True))


@pytest.mark.parametrize("number", range(BLOCKS))
def test_the_engine_agrees_with_the_page(number: int) -> None:
    """Equity and position at every close, every column of every trade, and the bar of ruin."""
    for seed, case in block(number, PER_BLOCK):
        assert compare(case) == [], f"random_case({seed})"


@pytest.mark.parametrize("number", range(BLOCKS))
def test_fills_at_the_close_agree_with_the_page(number: int) -> None:
    found_out = 0
    for seed, case in block(number, PER_BLOCK // 2):
        assert compare(at_close(case)) == [], f"random_case({seed})"
        found_out += bool(compare(at_close(case), fills_at_opens))
    assert found_out > PER_BLOCK // 4


def fills_at_opens(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    options["execution"] = msgspec.structs.replace(options["execution"], fill="next_open")
    return run(bars, target, **options)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("number", range(BLOCKS, 2 * BLOCKS))
def test_the_engine_agrees_with_the_page_in_many_more_markets(number: int) -> None:
    for seed, case in block(number, THOROUGH):
        assert compare(case) == [], f"random_case({seed})"


def test_the_random_markets_hold_what_they_are_for() -> None:
    """Every reason of exit, ruin at a close and at a fill, exact touches, reversals, what was too small, more lots."""
    seen: dict[str, int] = {}
    for _, case in block(0, 2 * PER_BLOCK):
        account = simulator.simulate(case.bars, case.target, case.rules)
        lows = {bar.low for bar in case.bars} | {bar.high for bar in case.bars}
        opens = {bar.open for bar in case.bars}
        for trade in account.trades:
            names = [trade["exit_reason"], "short" if trade["side"] < 0 else "long"]
            unslipped = trade["exit_price"] / (1 - trade["side"] * case.rules.slippage)
            if "sto" in trade["exit_reason"] and unslipped in lows - opens:
                names.append("exact touch")
            for name in names:
                seen[name] = seen.get(name, 0) + 1
        if account.ruined is not None:
            last = account.trades[-1]
            names = ["ruined at a close" if last["exit_reason"] == "end_of_data" else "ruined at a fill"]
            names += ["ruined at zero"] * (not account.equity[-1])
            for name in names:
                seen[name] = seen.get(name, 0) + 1
        whole = simulator.simulate(case.bars, case.target, replace(case.rules, smallest=D(0)))
        seen["too small"] = seen.get("too small", 0) + (whole.equity != account.equity)
    wanted = dict.fromkeys([*EXIT_REASONS, "long", "short", "exact touch", "too small", "ruined at a close"], 10)
    wanted |= {"ruined at a fill": 2, "ruined at zero": 2}
    assert {name: seen.get(name, 0) for name, least in wanted.items() if seen.get(name, 0) < least} == {}


@pytest.mark.parametrize("stay", [2, 7, 400, 3_000], ids=lambda stay: f"{stay}_bars_each")
@pytest.mark.parametrize("distance", ["0.01", "0.3"], ids=["near_stops", "distant_stops"])
@pytest.mark.parametrize("smallest", [0, 500])
def test_long_runs_agree_with_the_page(stay: int, distance: str, smallest: int) -> None:
    """4,000 bars: from a thousand positions at once to single ones that last for thousands of bars."""
    random = np.random.default_rng(stay)
    last, bars = D(100), []
    for number, (gap, body, up, down) in enumerate(random.normal(0, [0.003, 0.01, 0.004, 0.004], (4_000, 4)).tolist()):
        opened = round(last * D(1 + gap), 4)
        last = round(opened * D(1 + body), 4)
        high, low = max(opened, last) * D(1 + abs(up)), min(opened, last) * D(1 - abs(down))
        bars.append(simulator.Bar(number * DAY, opened, round(high, 4), round(low, 4), last))
    levels = np.repeat(random.choice([-1.0, -0.5, 0.0, 0.5, 0.8, 1.0], 4_000 // stay + 1), stay)[:4_000]
    rules = simulator.Rules(
        D(10_000),
        fee=D("0.0002"),
        slippage=D("0.0001"),
        borrow=D("0.05"),
        smallest=D(smallest),
        stop_loss=D(distance),
        take_profit=2 * D(distance),
        trailing_stop=D("1.5") * D(distance),
    )
    assert compare(Case(bars, [D(str(level)) for level in levels.tolist()], rules)) == []


# --- controls: engines that are wrong in one thing, each of which the comparison must find ----------------------------


def sees_the_future(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Fill each decision at the open of its own bar, before the close that made it."""
    return run(bars, np.append(target[1:], target[-1:]), **options)


def fills_late(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Fill each decision one bar late."""
    return run(bars, np.append([0.0], target[:-1]), **options)


def differing(section: str, **changes: Callable[[Any], Any]) -> Callable[..., Result]:
    """Return an engine that reads some keys of the config in another way."""

    def wrong(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
        values = {key: change(getattr(options[section], key)) for key, change in changes.items()}
        return run(bars, target, **options | {section: msgspec.structs.replace(options[section], **values)})

    return wrong


def stops_at_closes(bars: Bars, target: np.ndarray[Any, Any], **options: Any) -> Result:
    """Look for stops in opens and closes only."""
    high, low = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    columns = (bars.timestamp, bars.open, high, low, bars.close, bars.volume)
    return run(Bars(*columns, bars.symbol, bars.timeframe), target, **options)


def never(value: Any) -> None:
    return None


WRONG = {
    "sees the future": sees_the_future,
    "fills late": fills_late,
    "stops at closes": stops_at_closes,
    "half the fee": differing("execution", fee_bps=lambda rate: rate / 2),
    "no slippage": differing("execution", slippage_bps=lambda rate: 0.0),
    "lends for nothing": differing("execution", borrow_rate=lambda rate: 0.0),
    "trades however small": differing("sizing", min_trade_value=lambda value: 0.0),
    "cuts off, then scales": differing("sizing", max_exposure=lambda cap: 1.0),
    "no stop loss": differing("stops", stop_loss=never),
    "no take profit": differing("stops", take_profit=never),
    "no trailing stop": differing("stops", trailing_stop=never),
    "a trailing stop that is a hair farther": differing("stops", trailing_stop=lambda part: part and part + 1e-6),
}


def caught(as_engine: Callable[..., Result]) -> bool:
    return any(compare(case, as_engine) for number in range(2) for _, case in block(number, PER_BLOCK))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_engine_is_found_out(name: str) -> None:
    """The comparison can fail: some market among those above tells the wrong engine from the page."""
    assert caught(WRONG[name])


RULES: dict[str, dict[str, Any]] = {
    "touches are left to binary": {"_SAME": 0.0},
    "a touch is a matter of a millionth": {"_SAME": 1e-6},
    "ruin is survived": {"_first_at_or_below_zero": lambda equity, units: None},
    "ruin is one bar late": {
        "_first_at_or_below_zero": lambda equity, units: (
            None if (at := engine_ruin(equity, units)) is None else min(at + 1, len(equity) - 1)
        )
    },
    "nothing is dust": {"_DUST": 0.0},
    "a year of 365.25 days": {"_NANOSECONDS_PER_YEAR": int(365.25 * DAY)},
    "a tie is the trailing stop's": {"STOP_LOSS": engine.TRAILING_STOP},
}
engine_ruin = engine._first_at_or_below_zero


@pytest.mark.parametrize("name", RULES)
def test_a_wrong_rule_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, of what the engine keeps to itself."""
    for what, wrong in RULES[name].items():
        monkeypatch.setattr(engine, what, wrong)
    assert caught(engine.run)


def test_the_comparison_reads_every_column_of_the_trades() -> None:
    """Change one column by a millionth, and the comparison names it."""
    bars = [simulator.Bar(day * DAY, D(price), D(price + 1), D(price - 1), D(price)) for day, price in
            enumerate((100, 100, 120, 130))]  # fmt: skip
    rules = simulator.Rules(D(10_000), fee=D("0.001"), slippage=D("0.001"))
    case = Case(bars, [D(1), D(0), D(0), D(0)], rules)
    floats, target = case.floats()
    result, account = run(floats, target, **case.settings()), simulator.simulate(bars, case.target, rules)
    assert differences(result, floats, account) == []
    (trade,) = account.trades
    for name, value in trade.items():
        other = "signal" if name != "exit_reason" else "stop_loss"
        wrong = other if isinstance(value, str) else value + 1 if isinstance(value, int) else value * (1 + D("1e-6"))
        account.trades = [{**trade, name: wrong}]
        (found,) = differences(result, floats, account)
        assert found.startswith(name.replace("_bar", "_time"))
