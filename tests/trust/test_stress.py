"""A result at other costs and one bar later: by hand, by the engine that is run again, and as `just stress` says it."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from peak_trade import engine
from peak_trade.config import Execution, Stops
from peak_trade.market.bars import Bars
from peak_trade.market.trades import Trades
from peak_trade.trust.stress.costs import MULTIPLES, Booked, Costs, booked, break_even, told
from peak_trade.trust.stress.verb import KEPT, kept

ROOT = Path(__file__).resolve().parents[2]
DAYS = np.datetime64("2024-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")


def trade(
    entry: int, exit_: int, entry_price: float, exit_price: float, fees: tuple[float, float], **more: Any
) -> Trades:
    """One trade by the numbers of its days; of ten units, long, without slippage, unless `more` says otherwise."""
    side, quantity = more.get("side", 1), more.get("quantity", 10.0)
    pnl = side * quantity * (exit_price - entry_price) - sum(fees) - more.get("borrow", 0.0)
    return Trades(
        symbol="X", side=np.array([side], np.int8), entry_time=DAYS[[entry]], entry_price=np.array([entry_price]),
        exit_time=DAYS[[exit_]], exit_price=np.array([exit_price]), quantity=np.array([quantity]),
        entry_fee=np.array([fees[0]]), exit_fee=np.array([fees[1]]), slippage=np.array([more.get("slippage", 0.0)]),
        pnl=np.array([pnl]), return_=np.array([pnl / (quantity * entry_price)]), bars_held=np.array([exit_ - entry]),
        exit_reason=np.array([0], np.int8),
    )  # fmt: skip


# Ten units are bought at 100 on the second day for a fee of 1 and sold at 105 on the fourth for 2; closes 102 and 98.
EQUITY = np.array([1000.0, 1019.0, 979.0, 1047.0, 1047.0])
BOUGHT = trade(1, 3, 100.0, 105.0, (1.0, 2.0))
CHARGED = Costs(1000.0, 47.0, fees=3.0, final=1047.0, total_return=0.047)


def marked(equity: Any = EQUITY, trades: Trades = BOUGHT, costs: Costs = CHARGED, bps: float = 0.0) -> Booked:
    found = booked(DAYS, equity, trades, costs, bps)
    assert found is not None
    return found


# --- by hand --------------------------------------------------------------------------------------------------------


def test_the_profit_falls_in_a_straight_line_to_nothing_at_the_break_even() -> None:
    costs = Costs(1000.0, 60.0, fees=12.0, slippage=6.0, borrow=2.0, final=1060.0, total_return=0.06)
    assert costs.paid == 20.0
    assert costs.break_even == 4.0  # 1 + 60 / 20
    assert [one.final_equity for one in map(costs.at, (0.0, 1.0, 2.0, 4.0, 5.0))] == [1080, 1060, 1040, 1000, 980]
    returns = [costs.at(multiple).total_return for multiple in (0.0, 1.0, 2.0, 4.0, 5.0)]
    assert returns == pytest.approx([0.08, 0.06, 0.04, 0.0, -0.02], abs=1e-15)


@pytest.mark.parametrize(("earned", "paid", "multiple"), [(-5.0, 10.0, 0.5), (-30.0, 10.0, -2.0), (5.0, 0.0, None)])
def test_the_break_even_of_what_lost_to_costs_before_costs_and_without_costs(
    earned: float, paid: float, multiple: float | None
) -> None:
    assert break_even(earned, paid) == multiple


@pytest.mark.parametrize(
    ("multiple", "equity"),
    [
        (0.0, [1000.0, 1020.0, 980.0, 1050.0, 1050.0]),
        (1.0, [1000.0, 1019.0, 979.0, 1047.0, 1047.0]),
        (3.0, [1000.0, 1017.0, 977.0, 1041.0, 1041.0]),
    ],
)
def test_each_charge_is_taken_at_the_mark_of_its_fill(multiple: float, equity: list[float]) -> None:
    point = marked().at(CHARGED, multiple, 252.0, 0.0)
    returns = [b / a - 1 for a, b in itertools.pairwise(equity)]
    mean = sum(returns) / 4
    deviation = math.sqrt(sum((one - mean) ** 2 for one in returns) / 3)
    assert point.final_equity == equity[-1]
    assert point.total_return == pytest.approx(equity[-1] / 1000 - 1, abs=1e-15)
    assert point.sharpe == pytest.approx(mean / deviation * math.sqrt(252), rel=1e-12)
    assert point.max_drawdown == pytest.approx(equity[2] / equity[1] - 1, rel=1e-12)
    assert not point.ruined


@pytest.mark.parametrize(
    ("side", "entry_price", "exit_price", "at_entry", "at_exit"),
    [(1, 101.0, 108.9, 1.0, 1.1), (-1, 99.0, 111.1, 1.0, 1.1)],  # of 100 and 110, by 1 % against the trader
)
def test_slippage_is_charged_at_both_fills(
    side: int, entry_price: float, exit_price: float, at_entry: float, at_exit: float
) -> None:
    made = trade(1, 3, entry_price, exit_price, (0.0, 0.0), side=side, quantity=1.0, slippage=at_entry + at_exit)
    gained = side * 10.0 - 2.1
    equity = np.array([1000.0, 1000 - at_entry, 1000 - at_entry, 1000 + gained, 1000 + gained])
    found = marked(equity, made, Costs(1000.0, gained, fees=0.0, slippage=2.1, final=1000 + gained), 100.0)
    assert found.charged.tolist() == pytest.approx([0.0, 1.0, 1.0, 2.1, 2.1])


def test_where_equity_would_reach_zero_the_account_is_ruined_and_has_no_ratio() -> None:
    point = marked().at(CHARGED, 500.0, 252.0, 0.0)  # 1000 less 499 times 3
    assert (point.ruined, point.sharpe) == (True, None)
    assert point.final_equity == 1047 - 499 * 3


def test_fills_at_the_first_close_show_at_the_second_mark() -> None:
    equity, made = np.array([1000.0, 1009.0, 1049.0, 1047.0, 1047.0]), trade(0, 3, 100.0, 105.0, (1.0, 2.0))
    at_close = booked(DAYS, equity, made, CHARGED, 0.0, first=True)
    assert at_close is not None
    assert at_close.charged.tolist() == [0.0, 1.0, 1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("what", "trades", "costs", "equity"),
    [
        ("borrowing", BOUGHT, msgspec.structs.replace(CHARGED, borrow=1.0), EQUITY),
        ("no slippage said", BOUGHT, msgspec.structs.replace(CHARGED, slippage=None), EQUITY),
        ("fees that trades do not have", BOUGHT, msgspec.structs.replace(CHARGED, fees=4.0), EQUITY),
        ("money from elsewhere", BOUGHT, CHARGED, np.append(EQUITY[:-1], EQUITY[-1] + 5)),
    ],
)
def test_an_account_that_does_not_add_up_is_not_told_mark_by_mark(
    what: str, trades: Trades, costs: Costs, equity: Any
) -> None:
    assert booked(DAYS, equity, trades, costs, 0.0) is None, what


def test_a_fill_between_two_marks_is_not_put_to_one() -> None:
    assert booked(DAYS[[0, 2, 3, 4]], EQUITY[[0, 2, 3, 4]], BOUGHT, CHARGED, 0.0) is None


def test_stats_that_lack_a_cost_leave_it_out_and_without_fees_nothing_is_told() -> None:
    stats = {"initial_equity": 100, "net_profit": 5.0, "fees_paid": 2.0, "slippage_paid": None, "total_return": 0.05}
    found = told(stats)
    assert found is not None
    assert (found.paid, found.slippage, found.borrow, found.final) == (2.0, None, None, None)
    assert told(stats | {"fees_paid": None}) is None


# --- by the engine --------------------------------------------------------------------------------------------------


def bars(count: int = 400, seed: int = 3) -> Bars:
    lot = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(lot.normal(0.0005, 0.01, count)))
    opens = np.concatenate([[100.0], close[:-1]]) * np.exp(lot.normal(0, 0.001, count))
    stamps = np.datetime64("2023-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")
    return Bars(
        stamps, opens, np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999, close, np.ones(count),
        symbol="X", timeframe="1d",
    )  # fmt: skip


def one_long(count: int) -> Any:
    target = np.zeros(count)
    target[10:200] = 1.0
    return target


@pytest.mark.parametrize(("fee", "slippage"), [(7.0, 0.0), (0.0, 9.0), (7.0, 9.0)])
@pytest.mark.parametrize("multiple", MULTIPLES)
def test_a_trade_of_the_same_size_that_the_engine_makes_again_earns_what_is_said(
    fee: float, slippage: float, multiple: float
) -> None:
    market = bars()
    first = engine.run(market, one_long(400), execution=Execution(fee_bps=fee, slippage_bps=slippage)).trades
    costs = float((first.entry_fee + first.exit_fee + first.slippage).sum())
    trial = Execution(fee_bps=fee * multiple, slippage_bps=slippage * multiple)
    unit = engine.run(market, one_long(400), execution=trial).trades.quantity[0] / trial.initial_cash
    cash = float(first.quantity[0] / unit)  # with which the engine buys as many units at the other costs
    again = engine.run(market, one_long(400), execution=msgspec.structs.replace(trial, initial_cash=cash)).trades
    assert again.quantity[0] == pytest.approx(first.quantity[0], rel=1e-13)
    said = float(first.pnl.sum()) + (1 - multiple) * costs
    notional = float((first.quantity * (first.entry_price + first.exit_price)).sum())
    of_slipped_prices = abs(multiple * (multiple - 1)) * fee * slippage * 1e-8 * notional  # fees on the slippage itself
    assert float(again.pnl.sum()) == pytest.approx(said, abs=1e-8 + 1.01 * of_slipped_prices)


def test_what_was_charged_mark_by_mark_is_what_the_engine_without_costs_did_not_charge() -> None:
    market, target = bars(), np.where(np.arange(400) // 13 % 2, 1.0, 0.25)
    execution = Execution(fee_bps=5.0, slippage_bps=2.0)
    result = engine.run(market, target, execution=execution, stops=Stops(stop_loss=0.03))
    made = result.trades
    gained, initial = float(result.equity[-1]) - execution.initial_cash, execution.initial_cash
    costs = Costs(
        initial, gained, float((made.entry_fee + made.exit_fee).sum()), float(made.slippage.sum()),
        final=float(result.equity[-1]), total_return=gained / initial,
    )  # fmt: skip
    found = booked(market.timestamp, result.equity, made, costs, 2.0)
    assert found is not None
    free = result.equity + found.charged
    moves = np.diff(free) - np.concatenate([[0.0], result.position[1:-1] * np.diff(market.close)[1:]])
    still = (
        np.flatnonzero(np.diff(result.position[:-1]) == 0) + 1
    )  # bars with no fill: equity moves with the price alone
    still = still[(still > 1) & ~np.isin(still - 1, np.searchsorted(market.timestamp, made.exit_time) - 1)]
    assert len(still) > 100
    assert np.abs(moves[still - 1]).max() < 1e-8
    reference = made.entry_price / (1 + 2e-4), made.exit_price / (1 - 2e-4)
    before_costs = float((made.quantity * (reference[1] - reference[0])).sum())
    assert free[-1] - initial == pytest.approx(before_costs, abs=1e-7)


# --- the verb ---------------------------------------------------------------------------------------------------------


STRATEGIES = """
import os
import numpy as np

def decided(bars, window=10):
    mean = np.convolve(bars.close, np.ones(window) / window)[: len(bars)]
    target = np.where(bars.close > mean, 1.0, 0.0)
    target[: window - 1] = 0
    return target
def a_bar_late(bars): return np.concatenate([[0.0], decided(bars)[:-1]])
def by_the_weather(bars): return decided(bars, 20 if os.environ.get("WEATHER") else 10)
def sold(bars): return -decided(bars)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars, a config and strategies."""
    folder = tmp_path_factory.mktemp("stress")
    market = bars(300)
    columns = zip(market.timestamp, market.open, market.high, market.low, market.close, strict=True)
    rows = [f"{str(day)[:10]},{o:.4f},{h + 1:.4f},{low - 1:.4f},{c:.4f},10" for day, o, h, low, c in columns]
    (folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    (folder / "user.py").write_text(STRATEGIES)
    (folder / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1d"\n[strategy]\nentrypoint = "user.py:decided"\n'
        "[execution]\nfee_bps = 4.0\nslippage_bps = 1.5\n"
    )
    return folder


def script(name: str, *words: Any, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / name, *map(str, words), "--results-dir", folder / "results"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **settings}
    )


def ran(folder: Path, *overrides: str, **settings: str) -> Path:
    words = [word for one in overrides for word in ("--set", one)]
    done = script("run_strategy_from_config.py", "--config", "config.toml", *words, folder=folder, **settings)
    assert done.returncode == 0, done.stderr
    return folder / "results" / done.stdout.strip()


def stats_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "stats.json").read_text()))


FIGURES = ("final_equity", "total_return", "sharpe", "max_drawdown", "trades")


@pytest.fixture(scope="module")
def stressed(home: Path) -> tuple[Path, dict[str, Any]]:
    """A run, and what `just stress` found of it."""
    run = ran(home)
    done = script("stress_run.py", run.name, "--json", folder=home)
    assert done.returncode == 0, done.stderr
    return run, json.loads(done.stdout)


@pytest.mark.parametrize("multiple", MULTIPLES)
def test_at_a_multiple_it_is_what_a_run_at_such_costs_comes_to(
    home: Path, stressed: tuple[Path, dict[str, Any]], multiple: float
) -> None:
    other = stats_of(ran(home, f"execution.fee_bps={4 * multiple}", f"execution.slippage_bps={1.5 * multiple}"))
    [row] = [row for row in stressed[1]["costs"] if row["multiple"] == multiple]
    assert [row[key] for key in FIGURES] == [other[key] for key in FIGURES]


def test_one_bar_later_it_is_what_a_strategy_that_decides_a_bar_later_comes_to(
    home: Path, stressed: tuple[Path, dict[str, Any]]
) -> None:
    late = stats_of(ran(home, "strategy.entrypoint=user.py:a_bar_late", "run.probe=off"))
    assert [stressed[1]["delayed"][key] for key in FIGURES] == [late[key] for key in FIGURES]
    assert late["sharpe"] != stats_of(stressed[0])["sharpe"]


def test_it_is_the_delay_that_a_probe_tells(home: Path, stressed: tuple[Path, dict[str, Any]]) -> None:
    found = json.loads(script("probe_strategy.py", stressed[0].name, "--json", folder=home).stdout)["delay"]
    own = next(row for row in stressed[1]["costs"] if row["multiple"] == 1.0)
    assert (found["sharpe"], found["delayed"]) == (own["sharpe"], stressed[1]["delayed"]["sharpe"])


def test_it_seals_nothing_notes_nothing_and_keeps_what_it_found(home: Path) -> None:
    run = ran(home)
    ledger = (home / "results" / "ledger.jsonl").read_bytes()
    done = script("stress_run.py", run.name, folder=home)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[1:]] == [
        *(f"costs × {multiple:g}" for multiple in MULTIPLES), "one bar later",
    ]  # fmt: skip
    assert (home / "results" / "ledger.jsonl").read_bytes() == ledger
    found = kept(run)
    assert found is not None
    assert found.own.sharpe == stats_of(run)["sharpe"]
    assert script("verify_runs.py", run.name, folder=home).returncode == 0
    first = (run / KEPT).read_bytes()
    script("stress_run.py", run.name, folder=home)
    assert (run / KEPT).read_bytes() == first


def test_what_was_found_of_another_run_or_is_no_such_thing_is_not_taken(
    home: Path, stressed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, other = stressed[0], tmp_path / "copy"
    shutil.copytree(ran(home, "strategy.params.window=12"), other)
    found = (run / KEPT).read_bytes()
    assert kept(run) is not None
    (other / "debug").mkdir(exist_ok=True)
    endless = found.replace(b'"final_equity": ', b'"final_equity": 1e300, "x": ')
    for said in (found, b"{", b"[]", b'{"manifest": 1}', endless):
        (other / KEPT).write_bytes(said)
        assert kept(other) is None


def test_where_it_can_t_be_kept_it_is_shown_and_that_is_said(home: Path) -> None:
    run = ran(home, "strategy.params.window=14")
    shutil.rmtree(run / "debug", ignore_errors=True)
    (run / "debug").symlink_to(home)
    done = script("stress_run.py", run.name, folder=home)
    (run / "debug").unlink()
    assert done.returncode == 0
    assert "one bar later" in done.stdout
    assert "debug/stress.json is not kept for the report" in done.stderr
    assert not (home / "stress.json").exists()


def test_a_run_that_comes_to_something_else_is_held_against_nothing(home: Path) -> None:
    run = ran(home, "strategy.entrypoint=user.py:by_the_weather")
    done = script("stress_run.py", run.name, folder=home, WEATHER="fine")
    assert done.returncode == 1
    assert f"just replay {run.name[:8]}" in done.stderr
    assert not (run / KEPT).exists()
    control = script("stress_run.py", run.name, folder=home)
    assert control.returncode == 0, control.stderr


def test_costs_that_can_t_be_traded_say_so(home: Path) -> None:
    run = ran(home, "execution.fee_bps=1500")
    rows = json.loads(script("stress_run.py", run.name, "--json", folder=home).stdout)["costs"]
    assert [bool(row["why"]) for row in rows] == [False, False, False, True, True]  # 4,500 and 7,500
    assert rows[3]["total_return"] is None


def test_borrowing_is_a_cost_like_the_others(home: Path) -> None:
    asked = ("strategy.entrypoint=user.py:sold", "execution.allow_short=true")
    run = ran(home, *asked, "execution.borrow_rate=0.1")
    found = json.loads(script("stress_run.py", run.name, "--json", folder=home).stdout)
    costs = [f"execution.{name}={3 * value}" for name, value in (("fee_bps", 4), ("slippage_bps", 1.5))]
    other = stats_of(ran(home, *asked, *costs, f"execution.borrow_rate={0.1 * 3}"))
    assert found["costs"][3]["total_return"] == other["total_return"]


def test_a_benchmark_of_a_file_changes_nothing_of_it(home: Path, stressed: tuple[Path, dict[str, Any]]) -> None:
    shutil.copy(home / "bars.csv", home / "other.csv")
    run = ran(home, 'stats.benchmark="other.csv"')
    found = json.loads(script("stress_run.py", run.name, "--json", folder=home).stdout)
    assert [found["costs"], found["delayed"]] == [stressed[1]["costs"], stressed[1]["delayed"]]


def test_an_imported_run_has_no_strategy_to_trade_again(home: Path) -> None:
    (home / "returns.csv").write_text("date,return\n2024-01-02,0.01\n2024-01-03,-0.02\n2024-01-04,0.005\n")
    made = script("import_run.py", "returns.csv", folder=home)
    assert made.returncode == 0, made.stderr
    done = script("stress_run.py", made.stdout.strip(), folder=home)
    assert done.returncode == 2
    assert "can't be traded again: a file says no strategy" in done.stderr
