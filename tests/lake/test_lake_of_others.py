"""Runs that other engines made, in the lake: several symbols, empty cells as null, and what they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, closed, recorded, result

from peak_trade.data import lake
from peak_trade.data.lake.build import build
from peak_trade.data.lake.check import check
from peak_trade.evidence.results import Results


def made(tmp_path: Path) -> tuple[Path, Path]:
    results, folder = tmp_path / "results", tmp_path / "lake"
    built = build(Results(results), folder, root=None)
    assert (built.broken, built.skipped, built.unfit) == ([], [], [])
    return results, folder


def rows(folder: Path, sql: str) -> list[Any]:
    with lake.connect(folder) as connection:
        return connection.execute(sql).fetchall()


def test_a_portfolio_is_in_the_lake_with_its_symbols(tmp_path: Path) -> None:
    recorded(tmp_path / "results", result())
    results, folder = made(tmp_path)
    assert rows(folder, "SELECT status, kind, engine, symbol, bars FROM runs") == [
        ("sealed", "recorded", "handmade 1", "A,B", 10)
    ]
    traded = "SELECT symbol, sum(pnl), any_value(currency), count(slippage) FROM trades GROUP BY 1 ORDER BY 1"
    assert rows(folder, traded) == [("A", 75.0, "USD", 0), ("B", 90.0, "USD", 0)]
    assert rows(folder, "SELECT count(*), count(position), max(equity) FROM equity") == [(10, 0, 10_230.0)]
    summed = (
        "SELECT sum(pnl + coalesce(open_pnl, 0)) FILTER (kind <> 'account'), any_value(pnl) FILTER (kind = 'account')"
    )
    assert rows(folder, f"{summed} FROM run_symbols") == [(230.0, 230.0)]
    assert [str(finding) for finding in check(folder, results=Results(results)).findings] == []


def test_what_nobody_said_is_null(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"timestamp": DAYS[:0], "equity": np.empty(0), "open_": None}
    recorded(tmp_path / "results", result(trades=None, open_=None), "imported")
    recorded(tmp_path / "results", result(**nothing, initial_cash=None))
    recorded(tmp_path / "results", None)
    recorded(tmp_path / "results", result(trades=closed(symbols=None, symbol="A", currencies=None)))
    results, folder = made(tmp_path)
    asked = "SELECT status, kind, bars, trades FROM runs ORDER BY 1, 3 NULLS FIRST"
    assert rows(folder, asked) == [
        ("imported", "imported", 10, None),
        ("sealed", "recorded", None, None),
        ("sealed", "recorded", 0, 6),
        ("sealed", "recorded", 10, 6),
    ]
    assert rows(folder, "SELECT count(*), count(currency) FROM trades") == [(12, 6)]
    assert [str(finding) for finding in check(folder, results=Results(results)).findings] == []


@pytest.mark.parametrize("pyarrow", [True, False])
def test_trades_are_the_same_from_both_files(tmp_path: Path, pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pyarrow:

        def absent(trades: object) -> bytes:
            raise ImportError("No module named 'pyarrow'")

        monkeypatch.setattr("peak_trade.evidence.tables.trades_parquet", absent)
    run = recorded(tmp_path / "results", result())
    assert (run / ("trades.parquet" if pyarrow else "trades.csv")).exists()
    _, folder = made(tmp_path)
    found = rows(
        folder, 'SELECT trade_id, symbol, pnl, slippage, bars_held, exit_reason, currency, "group" FROM trades LIMIT 1'
    )
    assert found == [(1, "A", 98.0, None, None, None, "USD", None)]
