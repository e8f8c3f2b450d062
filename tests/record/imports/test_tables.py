"""Tables as backtesting.py, vectorbt, nautilus, zipline, backtrader and pyfolio export them, and what comes of each."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]

BACKTESTING = """,Size,EntryBar,ExitBar,EntryPrice,ExitPrice,SL,TP,PnL,Commission,ReturnPct,EntryTime,ExitTime,\
Duration,Tag,"Entry_SMA(C,10)","Exit_SMA(C,10)"
0,-59,63,75,169.0,179.0,,,-631.0,41.0,-0.0633,2004-11-17,2004-12-06,19 days,,175.8,176.6
1,52,75,85,179.0,182.0,,,118.5,37.5,0.0127,2004-12-06,2004-12-20,14 days,breakout,176.6,175.7
"""
BACKTESTING_EQUITY = """,Equity,DrawdownPct,DrawdownDuration
2004-11-17,10000.0,0.0,
2004-12-06,9369.0,0.0631,
2004-12-20,9487.5,0.05125,33 days
"""
VECTORBT = """,Exit Trade Id,Column,Size,Entry Timestamp,Avg Entry Price,Entry Fees,Exit Timestamp,Avg Exit Price,\
Exit Fees,PnL,Return,Direction,Status,Position Id
0,0,Close,10.0,2024-01-02 11:00:00,100.0,1.0,2024-01-02 17:00:00,98.0,0.98,-21.98,-0.02198,Long,Closed,0
1,1,Close,5.0,2024-01-03 08:00:00,98.0,0.49,2024-01-03 13:00:00,97.0,0.485,4.025,0.0082,Short,Closed,1
2,2,Close,5.0,2024-01-04 08:00:00,98.0,0.49,2024-01-04 13:00:00,99.0,0.0,4.51,0.0092,Long,Open,2
"""
VECTORBT_VALUE = ",Close\n2024-01-02 11:00:00,1000.0\n2024-01-02 17:00:00,978.02\n2024-01-03 13:00:00,982.045\n"
POSITIONS = """position_id,trader_id,strategy_id,instrument_id,account_id,opening_order_id,closing_order_id,entry,side,\
quantity,peak_qty,ts_init,ts_opened,ts_last,ts_closed,duration_ns,avg_px_open,avg_px_close,commissions,realized_return,\
realized_pnl,is_snapshot
P-1,T-001,E-0,ETHUSDT.BINANCE,B-1,O-1,O-2,SELL,FLAT,0.00000,10.00000,1704068340000000000,2024-01-01 00:19:00+00:00,\
1704068760000000000,2024-01-01 00:26:00+00:00,420000000000,1989.44,2005.03,['3.99447000 USDT'],-0.00784,\
-159.89447000 USDT,True
P-2,T-001,E-0,ETHUSDT.BINANCE,B-1,O-3,O-4,BUY,FLAT,0.00000,10.00000,1704068760000000000,2024-01-01 00:26:00+00:00,\
1704069660000000000,2024-01-01 00:41:00+00:00,900000000000,2005.03,2105.03,"['3.00 USDT', '1.25 USDT']",0.05,\
1_004.25 USDT,True
"""
FILLS = """client_order_id,trader_id,strategy_id,instrument_id,venue_order_id,account_id,trade_id,position_id,\
order_side,order_type,last_qty,last_px,currency,commission,liquidity_side,event_id,ts_event,ts_init,info,reconciliation
O-1,T,E,ETHUSDT.BINANCE,V-1,B-1,1,P,BUY,MARKET,10.0,2000.0,USDT,2.0 USDT,TAKER,e,2024-01-01 00:19:00+00:00,0,{},False
O-2,T,E,ETHUSDT.BINANCE,V-2,B-1,2,P,SELL,MARKET,4.0,2010.0,USDT,0.8 USDT,TAKER,e,2024-01-01 00:26:00+00:00,0,{},False
O-3,T,E,ETHUSDT.BINANCE,V-3,B-1,3,P,SELL,MARKET,8.0,1990.0,USDT,1.6 USDT,TAKER,e,2024-01-01 00:27:00+00:00,0,{},False
"""
ACCOUNT = """,total,locked,free,currency,account_id,account_type,base_currency,margins,reported,info
2024-01-01 00:00:00+00:00,1000.00000000,0.0,1000.0,USDT,B-1,MARGIN,,[],True,{}
2024-01-01 00:26:00+00:00,840.10553000,0.0,840.1,USDT,B-1,MARGIN,,[],False,{}
2024-01-01 00:41:00+00:00,1844.35553000,0.0,1844.3,USDT,B-1,MARGIN,,[],False,{}
"""
ZIPLINE = """,period_open,period_close,portfolio_value,returns,ending_cash,starting_cash,long_exposure,algo_volatility,\
sharpe,max_drawdown,trading_days,AAPL
2024-01-02 21:00:00+00:00,2024-01-02 14:31:00+00:00,2024-01-02 21:00:00+00:00,10000.0,0.0,10000.0,10000.0,0.0,,,0.0,1,
2024-01-03 21:00:00+00:00,2024-01-03 14:31:00+00:00,2024-01-03 21:00:00+00:00,10100.0,0.01,1.0,1.0,1.0,0.1,1.0,0.0,2,180
2024-01-04 21:00:00+00:00,2024-01-04 14:31:00+00:00,2024-01-04 21:00:00+00:00,9999.0,-0.01,1.0,1.0,1.0,0.1,1.0,0.0,3,181
"""
TRANSACTIONS = """date,amount,price,sid,symbol,value
2023-02-21 00:00:00+00:00,10,100.0,0,ACME,-1000.0
2023-02-22 00:00:00+00:00,5,104.0,0,ACME,-520.0
2023-03-01 00:00:00+00:00,-12,110.0,0,ACME,1320.0
2023-03-02 00:00:00+00:00,-3,99.0,0,ACME,297.0
2023-03-03 00:00:00+00:00,-4,50.0,1,BETA,200.0
"""
HELD = "Datetime,ACME,cash\n2023-02-20 00:00:00+00:00,0.0,1000.0\n2023-02-21 00:00:00+00:00,250.0,750.0\n"


def test_backtesting_py_has_its_side_in_the_sign_of_the_size(take: Take) -> None:
    run = take({"trades.csv": BACKTESTING, "equity.csv": BACKTESTING_EQUITY}, symbol="GOOG")
    trades = run.trades
    assert trades.side.tolist() == [-1, 1]
    assert trades.quantity.tolist() == [59.0, 52.0]
    assert trades.pnl.tolist() == [-631.0, 118.5]
    assert trades.entry_fee.tolist() == [20.5, 18.75]
    assert trades.return_.tolist() == [-0.0633, 0.0127]  # a fraction, though it is called percent
    assert trades.bars_held.tolist() == [12, 10]
    assert [value for _, value in run.equity] == [10000.0, 9369.0, 9487.5]
    assert [row["Tag"] for row in run.rows("trades_extra.csv")] == ["", "breakout"]
    assert "trades.csv: understood 17 of 17 columns" in run.said


def test_backtesting_py_with_a_changed_sign_is_seen(take: Take) -> None:
    assert take({"t.csv": BACKTESTING.replace("0,-59,", "0,59,")}).trades.side.tolist() == [1, 1]


def test_vectorbt_has_a_word_for_the_side_and_open_trades(take: Take) -> None:
    run = take({"trades.csv": VECTORBT, "value.csv": VECTORBT_VALUE})
    trades = run.trades
    assert trades.side.tolist() == [1, -1]
    assert trades.exit_fee.tolist() == [0.98, 0.485]
    assert trades.pnl.tolist() == [-21.98, 4.025]
    (still,) = run.rows("open_trades.csv")
    assert (still["entry_price"], still["exit_price"]) == ("98.0", "")
    assert [value for _, value in run.equity] == [1000.0, 978.02, 982.045]
    assert any("taken as the account's value" in text for text in run.said)


def test_vectorbt_with_a_changed_side_is_seen(take: Take) -> None:
    assert take({"t.csv": VECTORBT.replace("Short", "Long")}).trades.side.tolist() == [1, 1]


def test_several_columns_of_vectorbt_are_symbols_which_is_said(take: Take) -> None:
    run = take({"t.csv": VECTORBT.replace("1,1,Close", "1,1,ETH")}, initial_cash=1000.0)
    assert run.trades.symbols is not None
    assert run.trades.symbols.tolist() == ["Close", "ETH"]
    assert any("its 2 columns are taken as symbols of one account" in text for text in run.said)
    assert not any("columns are taken" in text for text in take({"u.csv": VECTORBT}).said)


def test_nautilus_has_money_as_text_with_its_currency(take: Take) -> None:
    run = take({"positions.csv": POSITIONS, "account.csv": ACCOUNT})
    trades = run.trades
    assert trades.symbol == "ETHUSDT.BINANCE"
    assert trades.side.tolist() == [-1, 1]
    assert trades.pnl.tolist() == [-159.89447, 1004.25]
    assert np.allclose(trades.entry_fee, [1.997235, 2.125], rtol=0, atol=1e-12)
    assert [value for _, value in run.equity] == [1000.0, 840.10553, 1844.35553]
    assert run.manifest.predicate.results["account"]["currency"] == "USDT"
    assert not any("zone" in text for text in run.said)


def test_nautilus_fills_become_trades_first_in_first_out(take: Take) -> None:
    run = take({"fills.csv": FILLS})
    trades = run.trades
    assert trades.quantity.tolist() == [4.0, 6.0]
    # 4 × 10 less 0.2 and 0.2 a unit; 6 × −10 less the same
    assert np.allclose(trades.pnl, [40 - 0.8 - 0.8, -60 - 1.2 - 1.2])
    (still,) = run.rows("open_trades.csv")
    assert (still["side"], still["quantity"]) == ("short", "2.0")


def test_nautilus_with_a_changed_side_is_seen(take: Take) -> None:
    assert take({"f.csv": FILLS.replace("BUY", "SELL", 1).replace("4.0,2010", "4.0,2010")
                .replace("P,SELL,MARKET,4.0", "P,BUY,MARKET,4.0")}).trades.side.tolist() == [-1]  # fmt: skip


def test_an_account_in_several_moneys_is_asked_about(take: Take) -> None:
    two = ACCOUNT + "2024-01-01 00:41:00+00:00,7.0,0.0,7.0,ETH,B-1,MARGIN,,[],False,{}\n"
    with pytest.raises(InputError, match="has an account in ETH, USDT"):
        take({"a.csv": two})
    assert len(take({"a.csv": two}, currency="USDT").equity) == 3


def test_zipline_has_the_accounts_value_each_day(take: Take) -> None:
    run = take({"perf.csv": ZIPLINE})
    assert run.equity == [("2024-01-02T21:00:00Z", 10000.0), ("2024-01-03T21:00:00Z", 10100.0),
                          ("2024-01-04T21:00:00Z", 9999.0)]  # fmt: skip
    assert "perf.csv: understood 12 of 13 columns: `AAPL` is kept as it is" in run.said  # what a strategy recorded


def test_transactions_are_closed_first_in_first_out_by_symbol(take: Take) -> None:
    run = take({"transactions.csv": TRANSACTIONS})
    trades = run.trades
    assert trades.symbol == "ACME"
    assert trades.quantity.tolist() == [10.0, 2.0, 3.0]
    assert trades.entry_price.tolist() == [100.0, 104.0, 104.0]
    assert trades.pnl.tolist() == [100.0, 12.0, -15.0]
    assert np.isnan(trades.entry_fee).all()
    (still,) = run.rows("open_trades.csv")
    assert (still["symbol"], still["side"], still["quantity"]) == ("BETA", "short", "4.0")


def test_positions_and_cash_are_the_account(take: Take) -> None:
    run = take({"positions.csv": HELD, "transactions.csv": TRANSACTIONS})
    assert [value for _, value in run.equity] == [1000.0, 1000.0]
    assert [row["position"] for row in run.rows("equity.csv")] == ["0.0", "0.25"]


@pytest.mark.parametrize("name", ["trades", "equity"])
def test_parquet_says_the_same_as_csv(take: Take, name: str) -> None:
    pa, csv = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.csv")
    pq = pytest.importorskip("pyarrow.parquet")
    text = {"trades": BACKTESTING, "equity": BACKTESTING_EQUITY}[name]
    table = csv.read_csv(io.BytesIO(text.encode()))
    table = table.rename_columns(["__index_level_0__", *table.column_names[1:]])
    stream = io.BytesIO()
    pq.write_table(table, stream)
    files = {f"{name}.csv": text}, {f"{name}.parquet": stream.getvalue()}
    assert pa
    digests = [take(one).manifest.predicate.results[f"{name}_digest"] for one in files]
    assert digests[0] == digests[1]


def test_two_engines_in_one_run_are_refused(take: Take) -> None:
    with pytest.raises(InputError, match="the files are of vectorbt and of nautilus"):
        take({"a.csv": VECTORBT, "b.csv": ACCOUNT})


def test_utf_16_is_read_with_and_without_a_mark(take: Take) -> None:
    for name, form in (("a.csv", "utf-16"), ("b.csv", "utf-16-le"), ("c.csv", "utf-16-be")):
        assert len(take({name: VECTORBT.encode(form)}).trades) == 2


def test_100_000_trades_are_as_they_were_written(take: Take) -> None:
    when = np.datetime_as_string(np.datetime64("2014-01-01", "s") + 1_800 * np.arange(100_001)).tolist()
    rows = (
        f"{at},{at},X,1.5,{when[at]},{100 + at % 977 / 8},0.1,{when[at + 1]},{99 + at % 881 / 8},0.2,{at % 7},0.01,"
        f"Long,Closed,{at}"
        for at in range(100_000)
    )
    run = take({"trades.csv": "\n".join([VECTORBT.splitlines()[0], *rows]) + "\n"})
    assert len(run.trades) == 100_000
    assert run.trades.pnl.sum() == sum(at % 7 for at in range(100_000))
    assert run.rows("trades_extra.csv")[-1]["trade_id"] == "100000"
