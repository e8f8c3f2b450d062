"""The table of all trades, without scripts: its rows, what is left out of it, and what the page carries of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
from tests.record.portfolio import closed, recorded, result
from tests.report import handmade

from peak_trade.market.trades import Trades
from peak_trade.report.trades import all_trades

HEAD = ["Trade", "Side", "Exit reason", "Entry", "Exit", "Entry price", "Exit price", "Quantity", "Pnl", "Return",
        "MAE", "MFE", "Bars"]  # fmt: skip


def carried(html: str) -> dict[str, Any]:
    return dict(json.loads(re.findall(r'class="trades">(.*?)</script>', html, re.DOTALL)[0]))


def many(count: int, **more: Any) -> Any:
    """A run with so many trades of a usual kind, as far as the table asks for one."""
    rng = np.random.default_rng(count)
    hours = np.cumsum(rng.integers(1, 30, count))
    entry = np.datetime64("2020-01-01", "ns") + hours * np.timedelta64(1, "h")
    price = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, count))), 2)
    gain = rng.normal(0.0, 0.02, count)
    trades = Trades(
        symbol="X",
        side=rng.choice(np.array([1, -1], np.int8), count),
        entry_time=entry,
        entry_price=price,
        exit_time=entry + rng.integers(1, 30, count) * np.timedelta64(1, "h"),
        exit_price=price * (1 + gain),
        quantity=10_000 / price,
        entry_fee=np.ones(count),
        exit_fee=np.ones(count),
        slippage=np.ones(count),
        pnl=10_000 * gain,
        return_=gain,
        bars_held=rng.integers(1, 30, count),
        exit_reason=rng.integers(0, 4, count).astype(np.int8),
        mae=np.minimum(gain, 0) - 0.01,
        mfe=np.maximum(gain, 0) + 0.01,
    )
    trades = msgspec.structs.replace(trades, **more)
    return SimpleNamespace(
        trades=trades, path=Path("some-run"), has=lambda name: name == "trades.csv", config={}, kind="run",
        ours=True,
    )  # fmt: skip


def test_each_trade_has_a_row(tmp_path: Path, page: Any) -> None:
    section = page(handmade.made(tmp_path)).section("all-trades")
    assert section.rows("All trades") == [
        HEAD,
        ["1", "long", "take profit", "2024-01-02", "2024-01-04", "100.00", "105.00", "100.000", "500.00", "5.00 %",
         "−1.00 %", "5.00 %", "2"],
        ["2", "short", "stop loss", "2024-01-07", "2024-01-08", "111.00", "113.22", "94.595", "−210.00", "−2.00 %",
         "−2.00 %", "1.80 %", "1"],
        ["3", "long", "end of data", "2024-01-10", "2024-01-12", "113.00", "112.00", "45.531", "−45.53", "−0.88 %",
         "−1.77 %", "0.88 %", "2"],
        ["4", "long", "end of data", "2024-01-11", "2024-01-12", "112.00", "112.00", "45.938", "0.00", "0.00 %",
         "−0.89 %", "0.89 %", "1"],
    ]  # fmt: skip
    assert "All of them are in" in section.words


def test_without_scripts_the_first_two_hundred_stand_there_with_the_path_of_all() -> None:
    html = all_trades(many(1_234))
    rows = re.findall(r'<th scope="row">(\d+)</th>', html)
    assert rows == [str(number) for number in range(1, 201)]
    assert "The first 200 of 1,234; all of them are in <code>some-run/trades.csv</code>" in html


def test_beyond_ten_thousand_the_page_says_where_they_are_and_carries_none() -> None:
    html = all_trades(many(10_001))
    assert "10,001 trades, more than the 10,000 that a page carries" in html
    assert "those at the extremes stand above, all of them are in <code>some-run/trades.csv" in html
    assert "<table" not in html and "<script" not in html
    assert "<table" in all_trades(many(10_000))


def test_beyond_ten_thousand_no_extremes_are_told_of_where_the_page_has_none() -> None:
    run = many(10_001)
    run.ours = False  # and without equity.csv, which the section of the extremes needs
    assert "all of them are in <code>some-run/trades.csv" in all_trades(run)
    assert "extremes" not in all_trades(run)


def test_a_thousand_trades_add_no_more_than_150_kb_and_ten_thousand_no_more_than_a_megabyte() -> None:
    assert len(all_trades(many(1_000))) < 150_000
    assert len(all_trades(many(10_000))) < 1_000_000


def test_the_page_carries_every_value_of_every_trade() -> None:
    run = many(500)
    told = {one["key"]: one for one in carried(all_trades(run))["columns"]}
    trades = run.trades
    for key, values in (("entry", trades.entry_time), ("exit", trades.exit_time)):
        assert (np.cumsum(told[key]["v"]) * told[key]["unit"]).tolist() == values.astype("M8[s]").astype(int).tolist()
    for key, values, size in (
        ("entry_price", trades.entry_price, 1),
        ("exit_price", trades.exit_price, 1),
        ("quantity", trades.quantity, 1),
        ("pnl", trades.pnl, 1),
        ("return", trades.return_, 100),
        ("mae", trades.mae, 100),
        ("bars", trades.bars_held, 1),
    ):
        (digits,) = told[key]["digits"]
        whole = np.cumsum(told[key]["v"])
        assert np.abs(whole / 10 ** (digits + told[key]["more"]) - values * size).max() <= 0.5 * 10.0**-digits
    words = told["reason"]
    assert [words["words"][at] for at in words["v"]][:3] == [
        ("signal", "stop loss", "take profit", "trailing stop")[code] for code in trades.exit_reason[:3]
    ]


def test_sums_of_what_is_carried_are_those_of_the_trades_to_the_last_digit_that_is_shown() -> None:
    run = many(10_000)
    told = next(one for one in carried(all_trades(run))["columns"] if one["key"] == "pnl")
    total = sum(np.cumsum(told["v"]).tolist()) / 10 ** (2 + told["more"])
    assert abs(total - run.trades.pnl.sum()) < 0.005


def test_what_no_trade_says_has_no_column(tmp_path: Path, page: Any) -> None:
    section = page(recorded(tmp_path, result())).section("all-trades")
    head, first, *_ = section.rows("All trades")
    assert head == [
        "Trade",
        "Symbol",
        "Side",
        "Entry",
        "Exit",
        "Entry price",
        "Exit price",
        "Quantity",
        "Pnl",
        "Return",
    ]
    assert first == ["1", "A", "long", "2024-01-01", "2024-01-02", "100", "110", "10", "98.00", "9.80 %"]


def test_what_single_trades_do_not_say_is_a_dash() -> None:
    nothing = np.array([np.nan, 1.0, 2.0])
    html = all_trades(many(3, exit_price=nothing, pnl=nothing, bars_held=np.array([-1, 5, 5])))
    columns = {one["key"]: one for one in carried(html)["columns"]}
    assert columns["pnl"]["v"][0] is None
    assert columns["bars"]["v"] == [None, 5, 0]
    assert html.count("<td>–</td>") == 3


def test_trades_in_several_currencies_say_theirs() -> None:
    html = all_trades(many(3, currencies=np.array(["USD", "EUR", "USD"])))
    assert '<th scope="col">Currency</th>' in html
    assert "Currency" not in all_trades(many(3, currencies=np.array(["USD", "USD", "USD"])))


def test_each_symbol_has_the_digits_of_its_own_prices(tmp_path: Path, page: Any) -> None:
    small = closed(
        entry_price=np.array([60_000.5, 61_000.25, 62_000.0, 0.00012, 0.00013, 0.00014]),
        exit_price=np.array([60_000.5, 61_000.25, 62_000.0, 0.00012, 0.00013, 0.00014]),
    )
    rows = page(recorded(tmp_path, result(trades=small, open_=None))).section("all-trades").rows("All trades")
    assert {(row[1], row[5]) for row in rows[1:]} == {
        ("A", "60,000.50"), ("A", "61,000.25"), ("A", "62,000.00"),
        ("B", "0.00012000"), ("B", "0.00013000"), ("B", "0.00014000"),
    }  # fmt: skip


def test_a_symbol_of_a_stranger_is_text_on_the_page_and_in_what_it_carries(tmp_path: Path, page: Any) -> None:
    bad = "</script><script>alert(1)</script><!--"
    some = closed(symbols=np.array([bad, bad, bad, "B", "B", "B"]))
    html = page(recorded(tmp_path, result(trades=some, open_=None))).section("all-trades").html
    assert html.count("<script") == html.count("</script") == 1
    assert "<!--" not in html
    told = next(one for one in carried(html)["columns"] if one["key"] == "symbol")
    assert bad in told["words"]
