"""TradingView's list of trades, in each generation of its header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.record.imports import tradingview as made
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]


@pytest.mark.parametrize("text", [made.FIRST, made.SECOND, made.THIRD], ids=["first", "second", "third"])
def test_every_generation_gives_the_same_trades(take: Take, text: str) -> None:
    run = take({"trades.csv": text}, initial_cash=1000.0, symbol="BTCUSDT")
    trades = run.trades
    assert trades.side.tolist() == [1, -1]
    assert trades.entry_price.tolist() == [100.0, 110.0]
    assert trades.exit_price.tolist() == [110.0, 120.0]
    assert trades.quantity.tolist() == [2.0, 1.0]
    assert trades.pnl.tolist() == [19.6, -10.23]
    assert np.allclose(trades.return_, [0.098, -0.093], rtol=0, atol=1e-15)
    assert trades.entry_time.tolist() == np.array(["2024-01-03T15:00", "2024-01-05T09:00"], "M8[ns]").tolist()
    assert np.isnan(trades.entry_fee).all()  # the list has none: none are invented
    assert [value for _, value in run.equity] == [1000.0, 1019.6, pytest.approx(1009.37, abs=1e-9)]


def test_the_latest_has_a_commission_and_how_long_each_was_held(take: Take) -> None:
    trades = take({"trades.csv": made.LATEST}, symbol="ES").trades
    assert trades.entry_fee.tolist() == [0.21, 0.115]
    assert trades.exit_fee.tolist() == [0.21, 0.115]
    assert trades.bars_held.tolist() == [42, 84]


def test_the_money_in_the_header_is_that_of_the_account(take: Take) -> None:
    run = take({"trades.csv": made.SECOND}, initial_cash=1.0)
    assert run.manifest.predicate.results["account"]["currency"] == "USDT"


def test_numbers_may_be_written_as_in_german(take: Take) -> None:
    trades = take({"trades.csv": made.GERMAN}).trades
    assert (trades.entry_price[0], trades.exit_price[0], trades.pnl[0]) == (1100.5, 1110.5, -20.25)


def test_a_trade_that_is_open_at_the_end_is_kept_apart(take: Take) -> None:
    lines = made.THIRD.splitlines()
    run = take({"trades.csv": "\n".join([*lines[:1], lines[1].replace("Close", "Open"), *lines[2:]])})
    assert len(run.trades) == 1
    (still,) = run.rows("open_trades.csv")
    assert (still["entry_price"], still["exit_price"], still["pnl"]) == ("110.0", "", "")


def test_a_column_that_is_not_known_is_kept_and_named(take: Take) -> None:
    text = "\n".join(f"{line},{'Mystery' if not at else f'm{at}'}" for at, line in enumerate(made.THIRD.splitlines()))
    run = take({"trades.csv": text})
    assert "trades.csv: understood 15 of 16 columns: `Mystery` is kept as it is" in run.said
    extra = run.rows("trades_extra.csv")
    assert [row["trade_id"] for row in extra] == ["1", "2"]
    assert [row["entry: Mystery"] for row in extra] == ["m4", "m2"]  # by exit, as the trades are
    assert [row["exit: Mystery"] for row in extra] == ["m3", "m1"]


def test_a_changed_sign_is_seen(take: Take) -> None:
    before = take({"a.csv": made.FIRST}, initial_cash=1000.0)
    after = take({"b.csv": made.FIRST.replace("-10.23", "10.23")}, initial_cash=1000.0)
    assert before.trades.pnl.sum() == pytest.approx(9.37)
    assert after.trades.pnl.sum() == pytest.approx(29.83)
    assert before.stats["total_return"] != after.stats["total_return"]


def test_times_are_those_of_the_zone_that_is_named(take: Take) -> None:
    run = take({"trades.csv": made.FIRST}, zone="America/New_York")
    assert str(run.trades.entry_time[0])[:16] == "2024-01-03T20:00"
    assert "timestamps carry no zone: read as America/New_York" in run.said
    assert "timestamps carry no zone: read as UTC" in take({"b.csv": made.FIRST + "\n"}).said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("100,2,19.6", "cheap,2,19.6"), "row 1: Price `cheap` is no number"),
        (("1,Entry Long", "1,Exit Long"), "is a trade with two entries or two exits"),
        (("2,Entry Short", "2,Enter Short"), "is no entry or exit, long or short"),
        (("100,2,19.6", "1e300,2,19.6"), "is no amount"),
        (("2024-01-03 15:00", "2025-01-03 15:00"), "is before the entry"),
        (("2024-01-03 15:00", "2024-02-31 15:00"), "`2024-02-31 15:00`"),
    ],
)
def test_a_cell_that_can_not_be_is_named(take: Take, tmp_path: Any, change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=".") as caught:
        take({"trades.csv": made.FIRST.replace(*change)})
    assert sentence in caught.value.message
    assert not (tmp_path / "results").exists()  # nothing is written before all is read
