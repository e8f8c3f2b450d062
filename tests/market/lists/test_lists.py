"""Lists of trades as each source writes them: one long trade of 2 units from 100 to 110, and what it is read as.

Fees are 0.2 on the way in and 0.22 on the way out wherever the list has them: net 20 - 0.42 = 19.58.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.errors import InputError
from peak_trade.market.lists import MAPS, files, read_list
from peak_trade.market.lists.fills import Fill, Trip, paired

IN, OUT = (int(np.datetime64(text, "ns").astype(np.int64)) for text in ("2024-01-31T13:00:00", "2024-02-01T09:30:00"))
MS_IN, MS_OUT = IN // 10**6, OUT // 10**6
WHOLE = Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.2, 0.22, 19.58)
NO_FEES = Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.0, 0.0, 20.0)
FREQTRADE = {
    "trade_id": 1, "pair": "BTC/USDT", "is_open": False, "is_short": False, "amount": 2.0, "open_rate": 100.0,
    "close_rate": 110.0, "fee_open": 0.001, "fee_close": 0.001, "open_date": "2024-01-31 13:00:00",
    "open_timestamp": MS_IN, "close_date": "2024-02-01 09:30:00", "close_timestamp": MS_OUT, "profit_abs": 19.58,
    "exit_reason": "roi", "orders": [{"amount": 2.0}],
}  # fmt: skip
# fmt: off
LISTS: dict[str, tuple[str, Trip]] = {
    "peak_trade": (
        "trade_id,symbol,side,entry_time,entry_price,exit_time,exit_price,quantity,entry_fee,exit_fee,slippage,pnl,"
        "return,bars_held,exit_reason,mae,mfe\n"
        "1,BTCUSDT,long,2024-01-31T13:00:00Z,100.0,2024-02-01T09:30:00Z,110.0,2.0,0.2,0.22,0.0,19.58,0.1,20,signal,0,0\n",
        WHOLE,
    ),
    "freqtrade": (json.dumps({"strategy": {"Mine": {"trades": [FREQTRADE]}}}), WHOLE),
    "backtesting.py": (
        "Size,EntryBar,ExitBar,EntryPrice,ExitPrice,SL,TP,PnL,Commission,ReturnPct,EntryTime,ExitTime,Duration,Tag\n"
        "2,5,26,100.0,110.0,,,19.58,0.42,0.0979,2024-01-31 13:00:00,2024-02-01 09:30:00,20:30:00,\n",
        Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.21, 0.21, 19.58),
    ),
    "vectorbt": (
        "Exit Trade Id,Column,Size,Entry Timestamp,Avg Entry Price,Entry Fees,Exit Timestamp,Avg Exit Price,Exit Fees,"
        "PnL,Return,Direction,Status,Position Id\n"
        "0,BTCUSDT,2.0,2024-01-31 13:00:00,100.0,0.2,2024-02-01 09:30:00,110.0,0.22,19.58,0.0979,Long,Closed,0\n"
        "1,BTCUSDT,2.0,2024-02-02 13:00:00,100.0,0.2,2024-02-03 09:30:00,110.0,0.22,19.58,0.0979,Long,Open,1\n",
        WHOLE,
    ),
    "tradingview": (
        "Trade #,Type,Signal,Date/Time,Price USDT,Contracts,Profit USDT,Profit %\n"
        "1,Exit long,Close,2024-02-01 09:30,110.00,2,19.58,9.79\n"
        "1,Entry long,Long,2024-01-31 13:00,100.00,2,19.58,9.79\n",
        Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.21, 0.21, 19.58),  # the commission is in the profit alone
    ),
    "ccxt": (
        json.dumps(
            [
                {"timestamp": at, "datetime": "", "symbol": "BTC/USDT", "order": str(at), "takerOrMaker": "taker",
                 "side": side, "price": price, "amount": 2.0, "info": {"a": 1},
                 "fee": {"cost": fee, "currency": "USDT"}}
                for at, side, price, fee in ((MS_IN, "buy", 100.0, 0.2), (MS_OUT, "sell", 110.0, 0.22))
            ]
        ),
        WHOLE,
    ),
    "binance-api": (
        json.dumps(
            [
                {"symbol": "BTCUSDT", "id": at, "orderId": at, "price": str(price), "qty": "2.00000000",
                 "commission": str(fee), "commissionAsset": coin, "time": at, "isBuyer": buyer, "isMaker": False}
                for at, buyer, price, fee, coin in
                ((MS_IN, True, 100.0, 0.002, "BTC"), (MS_OUT, False, 110.0, 0.22, "USDT"))
            ]
        ),
        WHOLE,  # 0.002 BTC at 100
    ),
    "binance": (
        "Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n"
        '2024-01-31 13:00:00,BTCUSDT,BUY,"100.00",2.00000000BTC,200.00USDT,0.00200000BTC\n'
        '2024-02-01 09:30:00,BTCUSDT,SELL,"110.00",2.00000000BTC,220.00USDT,0.22000000USDT\n',
        WHOLE,
    ),
    "binance-futures": (
        "Date(UTC),Symbol,Side,Price,Quantity,Amount,Fee,Fee Coin,Realized Profit,Quote Asset\n"
        "2024-01-31 13:00:00,BTCUSDT,BUY,100,2,200,-0.2,USDT,0,USDT\n"
        "2024-02-01 09:30:00,BTCUSDT,SELL,110,2,220,-0.22,USDT,20,USDT\n",
        WHOLE,
    ),
    "binance-older": (
        "Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin\n"
        "2024-02-01 09:30:00,BTCUSDT,SELL,110,2,220,0.22,USDT\n"
        "2024-01-31 13:00:00,BTCUSDT,BUY,100,2,200,0.2,USDT\n",
        WHOLE,
    ),
    "bybit": (
        "Spot Pairs,Order Type,Direction,Filled Value,Filled Price,Filled Quantity,Fees,Transaction ID,Order No.,"
        "Timestamp (UTC)\n"
        "BTCUSDT,MARKET,BUY,200,100,2,0.002,1,10,13:00 2024-01-31\n"
        "BTCUSDT,MARKET,SELL,220,110,2,0.22,2,11,09:30 2024-02-01\n",
        WHOLE,
    ),
    "kraken": (
        '"txid","ordertxid","pair","time","type","ordertype","price","cost","fee","vol","margin","misc","ledgers"\n'
        '"T1","O1","BTC/USDT","2024-01-31 13:00:00.0000","buy","limit",100.0,200.0,0.2,2.0,0.0,"","L1"\n'
        '"T2","O2","BTC/USDT","2024-02-01 09:30:00.0000","sell","limit",110.0,220.0,0.22,2.0,0.0,"","L2"\n',
        WHOLE,
    ),
    "coinbase": (
        "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit\n"
        "default,1,BTC-USDT,BUY,2024-01-31T13:00:00.000Z,2,BTC,100,0.2,-200.2,USDT\n"
        "default,2,BTC-USDT,SELL,2024-02-01T09:30:00.000Z,2,BTC,110,0.22,219.78,USDT\n",
        WHOLE,
    ),
    "coinbase-api": (
        json.dumps(
            {"fills": [
                {"entry_id": at, "trade_id": at, "order_id": at, "trade_time": at, "trade_type": "FILL", "price": price,
                 "size": "2", "commission": fee, "product_id": "BTC-USDT", "side": side, "size_in_quote": False}
                for at, price, fee, side in (("2024-02-01T09:30:00Z", "110", "0.22", "SELL"),
                                             ("2024-01-31T13:00:00Z", "100", "0.2", "BUY"))
            ], "cursor": ""}
        ),
        WHOLE,
    ),
    "coinbase-account": (
        "\nTransactions\nUser,A Person,00000000-0000\n"
        "ID,Timestamp,Transaction Type,Asset,Quantity Transacted,Price Currency,Price at Transaction,Subtotal,"
        "Total (inclusive of fees and/or spread),Fees and/or Spread,Notes\n"
        "3,2024-02-03 09:30:00 UTC,Receive,BTC,7,USDT,$110.00,$770.00,$770.00,$0.00,a gift\n"
        "2,2024-02-01 09:30:00 UTC,Advanced Trade Sell,BTC,-2,USDT,$110.00,-$220.00,-$219.78,$0.22,Sold 2\n"
        "1,2024-01-31 13:00:00 UTC,Buy,BTC,2,USDT,$100.00,$200.00,$200.20,$0.20,Bought 2\n",
        WHOLE,
    ),
    "alpaca": (
        json.dumps(
            [
                {"activity_type": "FILL", "transaction_time": at, "type": "fill", "price": price, "qty": "2",
                 "side": side, "symbol": "BTCUSDT", "order_id": side}
                for at, side, price in (("2024-01-31T13:00:00Z", "buy", "100"), ("2024-02-01T09:30:00Z", "sell", "110"))
            ]
        ),
        NO_FEES,
    ),
    "interactive-brokers": (
        "ClientAccountID,CurrencyPrimary,Symbol,DateTime,Buy/Sell,Quantity,TradePrice,IBCommission,"
        "IBCommissionCurrency,IBOrderID\n"
        "U1,USD,BTCUSDT,20240131;130000,BUY,2,100,-0.2,USD,1\n"
        "U1,USD,BTCUSDT,20240201;093000,SELL,-2,110,-0.22,USD,2\n",
        WHOLE,
    ),
    "interactive-brokers-xml": (
        '<FlexQueryResponse type="AF"><FlexStatements count="1"><FlexStatement accountId="U1"><Trades>\n'
        '<Trade currency="USDT" symbol="BTCUSDT" dateTime="20240131;130000" quantity="2" tradePrice="100" '
        'ibCommission="-0.2" ibCommissionCurrency="USDT" buySell="BUY" ibOrderID="1" tradeID="1" />\n'
        '<Trade currency="USDT" symbol="BTCUSDT" dateTime="20240201;093000" quantity="-2" tradePrice="110" '
        'ibCommission="-0.22" ibCommissionCurrency="USDT" buySell="SELL" ibOrderID="2" tradeID="2" />\n'
        "</Trades></FlexStatement></FlexStatements></FlexQueryResponse>\n",
        WHOLE,
    ),
    "interactive-brokers-activity": (
        "Statement,Header,Field Name,Field Value\nStatement,Data,Title,Activity Statement\n"
        "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,"
        "Comm/Fee,Basis,Realized P/L,MTM P/L,Code\n"
        'Trades,Data,Order,Stocks,USDT,BTCUSDT,"2024-01-31, 13:00:00",2,100,101,-200,-0.2,200.2,0,2,O;P\n'
        'Trades,Data,Trade,Stocks,USDT,BTCUSDT,"2024-01-31, 13:00:00",2,100,101,-200,-0.2,200.2,0,2,O;P\n'
        "Trades,SubTotal,,Stocks,USDT,BTCUSDT,,2,,,-200,-0.2,200.2,0,2,\n"
        'Trades,Data,Order,Stocks,USDT,BTCUSDT,"2024-02-01, 09:30:00",-2,110,110,220,-0.22,-200.2,19.58,0,C\n'
        'Trades,Data,Order,Stocks,USDT,OTHER,"2024-02-01, 09:31:00","-2,000",110,110,220,-0.22,-200.2,19.58,0,C\n'
        "Trades,Total,,Stocks,USDT,,,,,,20,-0.42,0,19.58,2,\n",
        WHOLE,
    ),
    "metatrader-5": (
        '<!DOCTYPE html><html><body><table><tr><th colspan="14"><div><b>Positions</b></div></th></tr>'
        "<tr><td><b>Time</b></td><td><b>Position</b></td><td><b>Symbol</b></td><td><b>Type</b></td><td><b>Volume</b></td>"
        "<td><b>Price</b></td><td><b>S / L</b></td><td><b>T / P</b></td><td><b>Time</b></td><td><b>Price</b></td>"
        '<td><b>Commission</b></td><td><b>Swap</b></td><td colspan="2"><b>Profit</b></td></tr>'
        '<tr align="right"><td>2024.01.31 13:00:00</td><td>7</td><td>BTCUSDT</td><td>buy</td>'
        '<td class="hidden" colspan="8">a comment</td><td>0.02</td><td>100</td><td></td><td>120</td>'
        "<td>2024.02.01 09:30:00</td><td>110</td><td>-0.42</td><td>0.00</td><td>20.00</td></tr>"
        '<tr><td style="height: 10px"></td></tr><tr><th colspan="14"><div><b>Orders</b></div></th></tr>'
        "<tr><td><b>Open Time</b></td><td><b>Order</b></td><td><b>Symbol</b></td><td><b>Type</b></td></tr>"
        "<tr><td>2024.01.31 13:00:00</td><td>7</td><td>BTCUSDT</td><td>buy</td></tr></table></body></html>",
        Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.21, 0.21, 19.58),  # 0.02 lots of 100 units, as the profit of 20 shows
    ),
    "trades": (
        "Symbol;Direction;Open Time;Open Price;Close Time;Close Price;Size;Commission;Profit\n"
        "BTCUSDT;Long;31.01.2024 13:00:00;100,00;01.02.2024 09:30:00;110,00;2,00;0,42;19,58\n",
        Trip(1, IN, 100.0, OUT, 110.0, 2.0, 0.21, 0.21, 19.58),
    ),
    "fills": (
        "time,symbol,side,price,qty,fee\n"
        "2024-01-31T13:00:00Z,BTC-USDT,Buy,100,2,0.2\n2024-02-01T09:30:00Z,BTC-USDT,Sell,110,2,0.22\n",
        WHOLE,
    ),
}
# fmt: on


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_map_has_its_list_here() -> None:
    assert list(LISTS) == [one.name for one in MAPS]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_told_by_its_columns_and_read(name: str, tmp_path: Path) -> None:
    text, expected = LISTS[name]
    found = read_list(written(tmp_path, text), "BTCUSDT")
    assert found.format == name
    (trip,) = found.trips
    for field in Trip.__struct_fields__:
        assert getattr(trip, field) == pytest.approx(getattr(expected, field), abs=1e-9), field


@pytest.mark.parametrize("name", [one.name for one in MAPS if not one.zone and "Z," not in LISTS[one.name][0]])
def test_whose_clock_it_is_can_be_said(name: str, tmp_path: Path) -> None:
    text, _ = LISTS[name]
    found = read_list(written(tmp_path, text), "BTCUSDT", zone="America/New_York")
    assert found.trips[0].entry_time == IN + 5 * 3600 * 10**9  # winter: UTC-5
    assert not any("read as UTC" in text for text in found.said)
    assert any("read as UTC" in text for text in read_list(written(tmp_path, text), "BTCUSDT").said)


def test_a_freqtrade_database_is_read_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "tradesv3.sqlite"
    with sqlite3.connect(path) as connection:
        row = {
            key: value for key, value in FREQTRADE.items() if key not in ("orders", "open_timestamp", "close_timestamp")
        }
        row["close_profit_abs"] = row.pop("profit_abs")
        connection.execute(f"CREATE TABLE trades ({', '.join(row)})")
        for more in ({}, {"is_open": True, "close_date": None, "close_rate": None, "close_profit_abs": None}):
            values = list((row | more).values())
            connection.execute(f"INSERT INTO trades VALUES ({', '.join('?' * len(values))})", values)
    connection.close()
    before = path.read_bytes()
    found = read_list(path, "BTCUSDT")
    assert (found.format, len(found.trips), path.read_bytes()) == ("freqtrade", 1, before)
    assert found.trips[0].pnl == 19.58 and "1 trade not closed yet: left out" in found.said


def test_a_backtest_of_several_strategies_is_not_mixed(tmp_path: Path) -> None:
    text = json.dumps({"strategy": {"One": {"trades": [FREQTRADE]}, "Two": {"trades": [FREQTRADE]}}})
    with pytest.raises(InputError, match="has the trades of 2 strategies: One, Two") as caught:
        read_list(written(tmp_path, text), "BTCUSDT")
    assert '.strategy["One"]' in caught.value.hint


def test_times_in_milliseconds_may_have_a_point(tmp_path: Path) -> None:
    row = FREQTRADE | {
        "open_timestamp": float(MS_IN),
        "close_timestamp": float(MS_OUT),
    }  # as older freqtrade wrote them
    assert read_list(written(tmp_path, json.dumps([row])), "BTCUSDT").trips == [WHOLE]


def test_trades_by_their_ids_are_read_as_an_api_gives_them(tmp_path: Path) -> None:
    rows = {
        f"T{number}": {"ordertxid": str(number), "pair": "BTC/USDT", "time": at / 1000, "type": side, "price": price,
                       "cost": "1", "fee": fee, "vol": "2.0"}
        for number, (at, side, price, fee) in enumerate(((MS_IN, "buy", "100", "0.2"), (MS_OUT, "sell", "110", "0.22")))
    }  # fmt: skip
    path = written(tmp_path, json.dumps({"error": [], "result": {"count": 2, "trades": rows}}))
    (trip,) = read_list(path, "BTCUSDT", columns={"quantity": "vol", "order": "ordertxid"}).trips
    assert (trip.entry_time, trip.exit_time, trip.pnl) == (IN, OUT, pytest.approx(19.58))


def test_a_database_whose_trades_are_a_view_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tradesv3.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW trades AS SELECT 1 AS pair")
    connection.close()
    with pytest.raises(InputError, match="has no table of trades"):
        read_list(path, "BTCUSDT")


def test_a_short_is_entered_by_a_sell_and_earns_when_the_price_falls() -> None:
    trips, pending = paired([Fill(0, -1, 100.0, 2.0, 0.2), Fill(1, 1, 90.0, 2.0, 0.18)])
    assert pending == 0
    assert (trips[0].side, trips[0].pnl) == (-1, pytest.approx(20 - 0.38))


def test_lots_are_closed_first_in_first_out_and_a_reversal_opens_the_rest() -> None:
    fills = [Fill(0, 1, 100.0, 1.0), Fill(10, 1, 110.0, 1.0), Fill(20, -1, 120.0, 3.0, 0.3), Fill(30, 1, 115.0, 1.0)]
    trips, pending = paired(fills)
    assert [(t.side, t.entry_price, t.exit_price, t.quantity) for t in trips] == [
        (1, 100.0, 120.0, 1.0), (1, 110.0, 120.0, 1.0), (-1, 120.0, 115.0, 1.0),
    ]  # fmt: skip
    assert pending == 0
    assert sum(t.entry_fee + t.exit_fee for t in trips) == pytest.approx(0.3)


def test_parts_of_one_order_are_one_fill_at_their_average_price() -> None:
    parts = [
        Fill(0, 1, 100.0, 1.0, order="a"),
        Fill(10**12, 1, 102.0, 1.0, order="a"),
        Fill(2 * 10**12, -1, 110.0, 2.0),
    ]
    assert [(t.entry_price, t.quantity) for t in paired(parts)[0]] == [(101.0, 2.0)]
    other = [*parts[:1], Fill(10**12, 1, 102.0, 1.0, order="b"), parts[2]]
    assert len(paired(other)[0]) == 2
    assert len(paired(other, together=2000.0)[0]) == 1


def test_a_fee_in_a_third_coin_is_left_out_and_said(tmp_path: Path) -> None:
    text = LISTS["binance"][0].replace("0.22000000USDT", "0.00050000BNB")
    found = read_list(written(tmp_path, text), "BTCUSDT")
    assert "fees in BNB of 1 fill: left out, as no price is known" in found.said
    assert found.trips[0].exit_fee == 0.0


@pytest.mark.parametrize(
    ("pnl", "fee", "said"),
    [("19.58", 0.42, "taken as what its profit"), ("979", 0.0, "none are counted"), ("", 0.0, "none are counted")],
)
def test_fees_that_a_list_has_not_are_what_its_profit_lacks(tmp_path: Path, pnl: str, fee: float, said: str) -> None:
    head = "side,entry_time,entry_price,exit_time,exit_price,quantity,pnl\n"
    path = written(tmp_path, f"{head}long,2024-01-31T13:00:00Z,100,2024-02-01T09:30:00Z,110,2,{pnl}\n")
    found = read_list(path, "BTCUSDT")
    (trip,) = found.trips
    assert trip.entry_fee + trip.exit_fee == pytest.approx(fee)
    assert trip.pnl == pytest.approx(float(pnl or 20))  # of futures, whose prices are in points, it stays as it is
    assert any(text.startswith(f"the list has no fees: {said}") for text in found.said)


def test_other_symbols_are_left_out_and_a_strange_name_is_asked_for(tmp_path: Path) -> None:
    text = LISTS["fills"][0] + "2024-01-31T13:00:00Z,ETH-PERP,Buy,1,2,0.2\n2024-02-01T09:30:00Z,ETH-PERP,Sell,3,2,0\n"
    path = written(tmp_path, text)
    assert "2 rows of other symbols: left out" in read_list(path, "BTCUSDT").said
    with pytest.raises(InputError, match="has no trade of ETHUSD, but of BTC-USDT, ETH-PERP"):
        read_list(path, "ETHUSD")
    assert read_list(path, "ETHUSD", other="ETH-PERP").trips[0].pnl == pytest.approx(3.8)


def test_columns_of_another_name_are_said(tmp_path: Path) -> None:
    path = written(tmp_path, "wann,was,kurs,stück\n2024-01-31T13:00:00Z,buy,100,2\n2024-02-01T09:30:00Z,sell,110,2\n")
    with pytest.raises(InputError, match="is no list of trades that is known: its columns are wann, was, kurs, stück"):
        read_list(path, "BTCUSDT")
    given: dict[str, Any] = {"time": "wann", "side": 2, "price": "kurs", "quantity": "stück"}
    assert read_list(path, "BTCUSDT", columns=given).trips == [NO_FEES]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("a,b\n", "has no rows"),
        ("[" * 100_000, "is not whole JSON"),
        ('{"trades": []}', "has no rows"),
        ("time,side,price,qty\n2024-01-31,hold,1,2\n", "is neither long nor short, buy nor sell"),
        ("time,side,price,qty\n2024-01-31,buy,abc,2\n", "row 1: price `abc` is no number"),
        ("time,side,price,qty\n2024-01-31,buy,nan,2\n", "row 1: price `nan` is no number"),
        ("time,side,price,qty\n2024-99-31,buy,1,2\n", "row 1: time `2024-99-31`"),
        ("time,price,qty\n2024-01-31,1,2\n", "does not say what was bought and what was sold"),
        ("time,side,price,qty\n2024-01-31,buy,1,2\n", "has no trade that was closed"),
        ("time,side,price,qty\n03/04/2024,buy,1,2\n", "can be read in two ways"),
        ("\x00\x01", "is not a text file"),
    ],
)
def test_what_is_no_list_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_list(written(tmp_path, text), "BTCUSDT")
    assert message in caught.value.message


def test_freqtrade_s_archive_and_its_table(tmp_path: Path) -> None:
    path = tmp_path / "backtest-result-2024-02-02.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(
            "backtest-result-2024-02-02_config.json", json.dumps({"stake_currency": "USDT", "exchange": {}})
        )
        packed.writestr("backtest-result-2024-02-02_Mine.py", "raise SystemExit")
        packed.writestr("backtest-result-2024-02-02.json", LISTS["freqtrade"][0])
    assert read_list(path, "BTC/USDT").trips == [WHOLE]
    columns = {key: value for key, value in FREQTRADE.items() if key != "orders"}
    table = "," + ",".join(columns) + "\n0," + ",".join(map(str, columns.values())) + "\n"
    assert read_list(written(tmp_path, table), "BTCUSDT").trips == [WHOLE]


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("[Content_Types].xml", "<Types/>", "is a workbook"),
        ("readme.txt", "nothing", "has no rows"),
        ("trades.json", "{", "is not whole JSON"),
    ],
)
def test_an_archive_without_trades_is_refused(tmp_path: Path, member: str, content: str, message: str) -> None:
    path = tmp_path / "list.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(member, content)
    with pytest.raises(InputError, match=message):
        read_list(path, "BTCUSDT")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="is no whole archive"):
        read_list(path, "BTCUSDT")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BYTES", 1 << 20)
    path = tmp_path / "list.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("trades.json", " " * (1 << 21) + LISTS["freqtrade"][0])
    with pytest.raises(InputError, match=r"trades.json in list.zip is too large"):
        read_list(path, "BTCUSDT")


def test_a_report_in_utf_16_of_two_symbols_and_a_swap(tmp_path: Path) -> None:
    row = LISTS["metatrader-5"][0].partition('<tr align="right">')[2].partition("</tr>")[0]
    second = row.replace("BTCUSDT", "EURUSD").replace("<td>7<", "<td>8<").replace("<td>0.00</td>", "<td>-1 000.25</td>")
    text = LISTS["metatrader-5"][0].replace('<tr><td style="height', f'<tr>{second}</tr><tr><td style="height')
    path = tmp_path / "ReportHistory.html"
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    (trip,) = read_list(path, "EURUSD").trips
    assert trip.pnl == pytest.approx(20 - 0.42 - 1000.25)
    assert read_list(path, "BTCUSDT").trips == [LISTS["metatrader-5"][1]]


@pytest.mark.parametrize("name", ["XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD", "BTC-USD"])
def test_names_of_one_coin_are_one(tmp_path: Path, name: str) -> None:
    text = LISTS["kraken"][0].replace("BTC/USDT", name)
    (trip,) = read_list(written(tmp_path, text), "BTCUSD").trips
    assert (trip.quantity, trip.entry_fee, trip.exit_fee) == (2.0, 0.2, 0.22)


def test_orders_that_were_cancelled_are_left_out(tmp_path: Path) -> None:
    rows = "2024-01-31T13:00:00Z,buy,100,2\n2024-01-31T14:00:00Z,sell,,0\n2024-02-01T09:30:00Z,sell,110,2\n"
    found = read_list(written(tmp_path, f"filled_at,side,filled_avg_price,filled_qty\n{rows}"), "BTCUSDT")
    assert found.trips == [NO_FEES]
    assert "1 row in which nothing was bought or sold: left out" in found.said


def test_kraken_s_answer_by_ids_and_thousands_of_a_known_source(tmp_path: Path) -> None:
    rows = [("T1", 1706706000.5, "buy", "100", "0.2"), ("T2", 1706779800.5, "sell", "110", "0.22")]
    made = {
        key: {"ordertxid": key, "pair": "XXBTZUSD", "time": at, "type": side, "price": price, "fee": fee, "vol": "2"}
        for key, at, side, price, fee in rows
    }
    path = written(tmp_path, json.dumps({"error": [], "result": {"trades": made, "count": 2}}))
    assert read_list(path, "BTCUSD").trips[0].pnl == pytest.approx(19.58)
    head = "CurrencyPrimary,Symbol,DateTime,Quantity,TradePrice,IBCommission,Buy/Sell\n"
    flex = 'USD,ABC,20240131;130000,"1,000",100,-1,BUY\nUSD,ABC,20240201;093000,"-1,000",110,-1,SELL\n'
    assert read_list(written(tmp_path, head + flex), "ABC").trips[0].quantity == 1000.0
    plain = written(tmp_path, 'time,side,price,qty\n2024-01-31,buy,100,"1,000"\n2024-02-01,sell,110,"1,000"\n')
    with pytest.raises(InputError, match="can be read in two ways"):
        read_list(plain, "ABC")


def test_words_of_a_flex_query_may_hold_any_mark(tmp_path: Path) -> None:
    odd = '<Trade description="A > B &amp;lt; C/" currency'
    text = LISTS["interactive-brokers-xml"][0].replace("<Trade currency", odd)
    (trip,) = read_list(written(tmp_path, text), "BTCUSDT").trips
    assert odd in text and trip.quantity == 2.0


@pytest.mark.parametrize(
    "text",
    ["<table>" + "<" * 10**6, "<html>" + "<!--" * 10**6, "<html>" + "<td>" * 10**6, "<x>" + "<Trade " * 10**6,
     "<x>" + '<Trade a="' * 10**6, "<html>" + "<td " * 10**6, "Trades,Header,A\n" + "Trades,Data,1\n" * 10**5],
    ids=["marks", "comments", "cells", "trades", "quotes", "open cells", "rows"],
)  # fmt: skip
def test_a_hostile_page_is_refused_in_no_time(tmp_path: Path, text: str) -> None:
    start = time.process_time()
    with pytest.raises(InputError):
        read_list(written(tmp_path, text), "BTCUSDT")
    assert time.process_time() - start < 10
