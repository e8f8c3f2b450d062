from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, EQUITY, closed, result

from peak_trade.evidence import symbols, tables
from peak_trade.evidence.run_dir import RunDir
from peak_trade.record.result import Result
from peak_trade.record.sealing import OPEN, Sealed, equity_of_returns, write

SETTINGS: dict[str, dict[str, Any]] = {"run": {"name": "two"}, "record": {"command": ["python", "bt.py"]}}


def seal(folder: Path, chosen: Result | None, kind: str = "recorded", **settings: Any) -> tuple[Sealed, Path]:
    directory = RunDir.create(folder, str(uuid.uuid4()), given=False)
    return write(directory, chosen, kind=kind, settings=SETTINGS | settings), directory.path


def figures(path: Path) -> dict[str, Any]:
    return json.loads((path / "stats.json").read_bytes())


def test_symbols_sum_to_the_account_with_the_rest_named(tmp_path: Path) -> None:
    _, path = seal(tmp_path, result())
    a, b, rest, account = symbols.read((path / symbols.NAME).read_bytes())
    assert [a["symbol"], a["trades"], a["open"], a["pnl"], a["fees"], a["open_pnl"]] == ["A", 3, 0, 75.0, 5.0, None]
    assert [b["symbol"], b["trades"], b["open"], b["pnl"], b["fees"], b["open_pnl"]] == ["B", 3, 1, 90.0, 11.0, 74.0]
    assert [rest["kind"], rest["pnl"]] == ["rest", pytest.approx(-9.0)]
    assert account["pnl"] == 230.0
    assert a["pnl"] + b["pnl"] + b["open_pnl"] + rest["pnl"] == pytest.approx(account["pnl"])
    assert a["share"] + b["share"] + rest["share"] == pytest.approx(1.0)


def test_exposure_is_what_is_held_after_each_mark_at_its_entry_price(tmp_path: Path) -> None:
    _, path = seal(tmp_path, result())
    a, b, _, account = symbols.read((path / symbols.NAME).read_bytes())
    held_a = np.array([1000, 550, 550, 1050, 1050, 0, 0, 0, 0, 0]) / EQUITY
    net_a = np.array([1000, -550, -550, 1050, 1050, 0, 0, 0, 0, 0]) / EQUITY
    held_b = np.array([2000, 2000, 1100, 1100, 2000, 2000, 2000, 950, 950, 950]) / EQUITY
    assert a["gross"] == pytest.approx(held_a.mean())
    assert a["net"] == pytest.approx(net_a.mean())
    assert b["gross_max"] == pytest.approx(held_b.max())
    assert account["gross"] == pytest.approx((held_a + held_b).mean())


def test_the_trades_are_sealed_in_the_order_of_their_exits_and_read_back(tmp_path: Path) -> None:
    sealed, path = seal(tmp_path, result())
    found = tables.read_trades(path / "trades.parquet", gaps=True)
    assert found.symbols is not None
    assert found.symbols.tolist() == ["A", "B", "A", "B", "A", "B"]
    assert found.pnl.tolist() == [98, 96, 29, -102, -52, 96]
    assert np.isnan(found.slippage).all()
    assert tables.trades_digest(found) == sealed.results["trades_digest"]
    as_csv = b"".join(tables.trades_csv(found))
    assert tables.trades_digest(tables.read_trades(Path("trades.csv"), as_csv, gaps=True)) == tables.trades_digest(
        found
    )
    left = tables.read_trades(path / OPEN, gaps=True)
    assert np.isnat(left.exit_time).all()
    assert tables.trades_digest(left) == sealed.results["open_digest"]


def test_a_run_of_ours_may_not_have_gaps(tmp_path: Path) -> None:
    _, path = seal(tmp_path, result())
    for name in ("trades.parquet", OPEN):
        with pytest.raises(Exception, match="trades|symbol|finite|columns"):
            tables.read_trades(path / name)
    with pytest.raises(Exception, match="equity"):
        tables.read_series(path / "equity.csv", ("timestamp", "equity", "drawdown", "position"))


def test_an_unknown_position_is_an_empty_cell(tmp_path: Path) -> None:
    sealed, path = seal(tmp_path, result())
    assert (path / "equity.csv").read_text().splitlines()[1] == "2024-01-01T00:00:00Z,10000.0,0.0,"
    columns = tables.read_series(path / "equity.csv", ("timestamp", "equity", "drawdown", "position"), gaps=True)
    assert np.isnan(columns["position"]).all()
    assert columns["equity"].tolist() == EQUITY
    assert tables.series_digest("equity", columns) == sealed.results["equity_digest"]
    assert figures(path)["reasons"]["exposure"] == "no position given"


def test_statistics_of_what_is_not_said_have_no_value(tmp_path: Path) -> None:
    _, path = seal(tmp_path, result())
    found = figures(path)
    assert (found["trades"], found["win_rate"], found["fees_paid"]) == (6, pytest.approx(4 / 6), 15.0)
    assert found["slippage_paid"] is None
    assert found["reasons"]["slippage_paid"] == "not every trade says it"
    assert found["reasons"]["average_bars_held"] == "not every trade says it"
    assert found["reasons"]["sharpe"] == "no calendar, and less than a twelfth of a year of bars"


def test_without_trades_nothing_is_said_of_them(tmp_path: Path) -> None:
    sealed, path = seal(tmp_path, result(trades=None, open_=None))
    found = figures(path)
    assert (found["trades"], found["reasons"]["trades"]) == (None, "no trades given")
    assert not list(path.glob("trades.*"))
    assert "trades" not in sealed.facts


def test_no_two_currencies_are_added(tmp_path: Path) -> None:
    mixed = closed(currencies=np.array(["USD", "USD", "USD", "EUR", "EUR", "EUR"]))
    sealed, path = seal(tmp_path, result(trades=mixed, open_=None))
    found = figures(path)
    assert found["reasons"]["fees_paid"] == found["reasons"]["profit_factor"] == "trades of several currencies"
    assert found["win_rate"] == pytest.approx(4 / 6)
    a, b, rest, account = symbols.read((path / symbols.NAME).read_bytes())
    assert (a["pnl"], b["pnl"], rest["pnl"], account["pnl"]) == (75.0, 90.0, None, 230.0)
    assert (a["share"], b["share"], b["gross"]) == (None, None, None)
    assert any(receipt["part"] == symbols.NAME for receipt in sealed.receipts)


def test_trades_alone_give_what_they_realised_of_the_cash_and_say_so(tmp_path: Path) -> None:
    nothing = {"timestamp": DAYS[:0], "equity": np.empty(0), "open_": None}
    sealed, path = seal(tmp_path, result(**nothing))
    columns = tables.read_series(path / "equity.csv", ("timestamp", "equity", "drawdown", "position"), gaps=True)
    assert columns["equity"].tolist() == [10_000, 10_098, 10_194, 10_223, 10_121, 10_069, 10_165]
    assert [one["outcome"] for one in sealed.receipts if one["part"] == "equity"] == ["made"]
    sealed, path = seal(tmp_path, result(**nothing, initial_cash=None))
    assert not (path / "equity.csv").exists()
    assert figures(path)["reasons"]["total_return"] == "no bars"
    assert figures(path)["expectancy"] == pytest.approx(165 / 6)


def test_equity_at_or_below_zero_is_ruin(tmp_path: Path) -> None:
    sealed, _ = seal(tmp_path, result(equity=np.array([*EQUITY[:5], 0.0, -5.0, 1.0, 2.0, 3.0])))
    assert (sealed.status, sealed.facts["ruined"]) == ("ruined", "2024-01-06T00:00:00Z")
    sealed, _ = seal(tmp_path, result(equity=np.array([*EQUITY[:5], 0.0, -5.0, 1.0, 2.0, 3.0])), kind="imported")
    assert (sealed.status, sealed.results["ruined"]) == ("imported", "2024-01-06T00:00:00Z")


def test_marks_out_of_order_and_without_value_are_mended_and_said(tmp_path: Path) -> None:
    times = DAYS[[1, 0, 2, 2, 3]]
    sealed, path = seal(tmp_path, result(timestamp=times, equity=np.array([2.0, 1.0, np.nan, 4.0, np.inf])))
    columns = tables.read_series(path / "equity.csv", ("timestamp", "equity", "drawdown", "position"), gaps=True)
    assert columns["equity"].tolist() == [1.0, 2.0, 4.0]
    assert {one["outcome"] for one in sealed.receipts if one["part"] == "equity"} == {"dropped", "sorted"}


def test_no_engine_leaves_a_config_and_no_figures(tmp_path: Path) -> None:
    sealed, path = seal(tmp_path, None)
    assert sorted(file.name for file in path.iterdir()) == ["config_snapshot.json", "config_snapshot.toml"]
    assert (sealed.status, sealed.results) == ("sealed", {})


def test_returns_alone_make_equity_from_one() -> None:
    times, equity, said = equity_of_returns(DAYS[1:4], np.array([0.1, -0.5, 0.0]))
    assert times.tolist() == DAYS[:4].tolist()
    assert equity.tolist() == [1.0, 1.1, 0.55, 0.55]
    assert "only returns" in said


def test_of_an_account_whose_currency_nobody_says_no_amount_of_two_is_held_against_equity(tmp_path: Path) -> None:
    mixed = closed(currencies=np.array(["USD", "USD", "USD", "EUR", "EUR", "EUR"]))
    _, path = seal(tmp_path, result(trades=mixed, open_=None, currency=""))
    a, b, rest, account = symbols.read((path / symbols.NAME).read_bytes())
    assert (a["gross"], b["gross"], account["gross"], rest["pnl"]) == (None, None, None, None)
    _, path = seal(tmp_path, result(currency=""))  # control: of one currency they are, whatever it is
    a, *_ = symbols.read((path / symbols.NAME).read_bytes())
    assert a["gross"] == pytest.approx(np.mean(np.array([1000, 550, 550, 1050, 1050, 0, 0, 0, 0, 0]) / EQUITY))


def test_of_an_account_in_one_of_two_currencies_that_one_is(tmp_path: Path) -> None:
    mixed = closed(currencies=np.array(["USD", "USD", "USD", "EUR", "EUR", "EUR"]))
    _, path = seal(tmp_path, result(trades=mixed, open_=None))
    a, b, *_ = symbols.read((path / symbols.NAME).read_bytes())
    assert a["gross"] == pytest.approx(np.mean(np.array([1000, 550, 550, 1050, 1050, 0, 0, 0, 0, 0]) / EQUITY))
    assert b["gross"] is None
