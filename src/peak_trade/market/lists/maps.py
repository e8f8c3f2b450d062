"""Which column of whose list means what: declarations alone.

A list's columns are found by name, whatever their case; of several names the first that is there counts, and one that
ends with a star stands for all that begin so (a price has its currency in its name). What a list
writes in another way than ours is declared as well: a fee that is a rate, an amount with its currency behind it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["IDS", "MAPS", "OURS", "Map", "simplified"]

OURS = {
    "trades": ("entry_time", "entry_price", "exit_time", "exit_price", "quantity"),
    "fills": ("time", "price", "quantity"),
    "legs": ("number", "leg", "time", "price", "quantity"),
}
"""What each shape needs; the rest may be there.

A row of `trades` is a trade from entry to exit, one of `fills` a single buy or sell, of `legs` there are two a trade.
"""
OPTIONAL = ("symbol", "side", "short", "buyer", "open", "status", "entry_fee", "exit_fee", "entry_fee_rate",
            "exit_fee_rate", "fee", "fee_rate", "fee_currency", "quote", "pnl", "financing", "order")  # fmt: skip
IDS = ("trade id", "tradeid", "id", "txid", "transaction id", "transactionid", "execution id", "exec_id", "execid",
       "ibexecid", "fill_id", "deal", "position", "match id")  # fmt: skip
"""Columns that number what was made: a row that comes again with the same number is the same."""


class Map(Struct, frozen=True, kw_only=True):
    """Whose list, the shape of its rows, and the names of its columns by ours.

    `marks` are columns that this list has and others of its shape have not. `zone` is that of times that name none;
    empty where the source does not say. `received`: a fee without its currency is in what the fill brought.
    `paid` is the sign of a fee that was paid, 0 where both occur and the larger part tells. `gross`: the profit is
    before fees and financing. `lots`: sizes are in lots of units that the profits tell. `kinds` are the words of `side`
    that count, where a list has other rows too. `local`: its numbers may be written as in any country.
    """

    name: str
    title: str
    shape: Literal["trades", "fills", "legs"]
    columns: dict[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    zone: str = ""
    paid: int = 1
    received: bool = False
    gross: bool = False
    lots: bool = False
    kinds: frozenset[str] = frozenset()
    local: bool = False


MAPS = (
    Map(
        name="peak_trade",
        title="Peak_Trade's trades.csv",
        shape="trades",
        marks=("trade_id", "bars_held", "exit_reason"),
        zone="UTC",
        columns={name: (name,) for name in ("symbol", "side", *OURS["trades"], "entry_fee", "exit_fee", "pnl")},
    ),
    Map(
        name="freqtrade",
        title="freqtrade: trades as JSON, or tradesv3.sqlite",
        shape="trades",
        marks=("pair", "open_rate", "close_rate"),
        zone="UTC",
        columns={
            "symbol": ("pair",),
            "short": ("is_short",),
            "open": ("is_open",),
            "entry_time": ("open_timestamp", "open_date"),
            "entry_price": ("open_rate",),
            "exit_time": ("close_timestamp", "close_date"),
            "exit_price": ("close_rate",),
            "quantity": ("amount",),
            "entry_fee_rate": ("fee_open",),
            "exit_fee_rate": ("fee_close",),
            "pnl": ("close_profit_abs", "profit_abs"),
        },
    ),
    Map(
        name="backtesting.py",
        title="backtesting.py: stats._trades as CSV",
        shape="trades",
        marks=("EntryBar", "ExitBar"),
        columns={
            "quantity": ("Size",),
            "entry_time": ("EntryTime",),
            "entry_price": ("EntryPrice",),
            "exit_time": ("ExitTime",),
            "exit_price": ("ExitPrice",),
            "fee": ("Commission",),
            "pnl": ("PnL",),
        },
    ),
    Map(
        name="vectorbt",
        title="vectorbt: trades.records_readable as CSV",
        shape="trades",
        marks=("Avg Entry Price", "Avg Exit Price"),
        columns={
            "symbol": ("Column",),
            "side": ("Direction",),
            "status": ("Status",),
            "quantity": ("Size",),
            "entry_time": ("Entry Timestamp", "Entry Index"),
            "entry_price": ("Avg Entry Price",),
            "entry_fee": ("Entry Fees",),
            "exit_time": ("Exit Timestamp", "Exit Index"),
            "exit_price": ("Avg Exit Price",),
            "exit_fee": ("Exit Fees",),
            "pnl": ("PnL",),
        },
    ),
    Map(
        name="tradingview",
        title="TradingView: list of trades",
        shape="legs",
        local=True,
        marks=("Trade #",),
        columns={
            "number": ("Trade #",),
            "leg": ("Type",),
            "time": ("Date/Time", "Date and time"),
            "price": ("Price", "Price *"),
            "quantity": ("Contracts", "Quantity", "Position size (qty)", "Size (qty)"),
            "pnl": ("Net P&L", "Profit", "P&L", "Net P&L *", "Profit *", "P&L *"),
        },
    ),
    Map(
        name="ccxt",
        title="ccxt: fetch_my_trades as JSON",
        shape="fills",
        marks=("takerOrMaker",),
        zone="UTC",
        columns={
            "time": ("timestamp", "datetime"),
            "symbol": ("symbol",),
            "side": ("side",),
            "price": ("price",),
            "quantity": ("amount",),
            "fee": ("fee.cost",),
            "fee_currency": ("fee.currency",),
            "order": ("order",),
        },
    ),
    Map(
        name="binance-api",
        title="Binance: myTrades as JSON",
        shape="fills",
        marks=("commissionAsset", "isBuyer"),
        zone="UTC",
        columns={
            "time": ("time",),
            "symbol": ("symbol",),
            "buyer": ("isBuyer",),
            "price": ("price",),
            "quantity": ("qty",),
            "fee": ("commission",),
            "fee_currency": ("commissionAsset",),
            "order": ("orderId",),
        },
    ),
    Map(
        name="binance",
        title="Binance: spot trade history",
        shape="fills",
        marks=("Date(UTC)", "Executed"),
        zone="UTC",
        columns={
            "time": ("Date(UTC)",),
            "symbol": ("Pair",),
            "side": ("Side",),
            "price": ("Price",),
            "quantity": ("Executed",),
            "fee": ("Fee",),
        },
    ),
    Map(
        name="binance-futures",
        title="Binance: futures trade history",
        shape="fills",
        marks=("Date(UTC)", "Realized Profit"),
        zone="UTC",
        paid=0,
        columns={
            "time": ("Date(UTC)",),
            "symbol": ("Symbol",),
            "side": ("Side",),
            "price": ("Price",),
            "quantity": ("Quantity",),
            "fee": ("Fee",),
            "fee_currency": ("Fee Coin", "Fee Asset"),
        },
    ),
    Map(
        name="binance-older",
        title="Binance: spot trade history up to 2020",
        shape="fills",
        marks=("Date(UTC)", "Market"),
        zone="UTC",
        columns={
            "time": ("Date(UTC)",),
            "symbol": ("Market",),
            "side": ("Type",),
            "price": ("Price",),
            "quantity": ("Amount",),
            "fee": ("Fee",),
            "fee_currency": ("Fee Coin",),
        },
    ),
    Map(
        name="bybit",
        title="Bybit: spot order history",
        shape="fills",
        marks=("Spot Pairs", "Filled Price"),
        zone="UTC",
        received=True,
        columns={
            "time": ("Timestamp (UTC)",),
            "symbol": ("Spot Pairs",),
            "side": ("Direction",),
            "price": ("Filled Price",),
            "quantity": ("Filled Quantity",),
            "fee": ("Fees",),
            "order": ("Order No.",),
        },
    ),
    Map(
        name="kraken",
        title="Kraken: trades.csv",
        shape="fills",
        marks=("ordertxid", "vol"),
        zone="UTC",
        columns={
            "time": ("time",),
            "symbol": ("pair",),
            "side": ("type",),
            "price": ("price",),
            "quantity": ("vol",),
            "fee": ("fee",),
            "order": ("ordertxid",),
        },
    ),
    Map(
        name="coinbase",
        title="Coinbase: fills",
        shape="fills",
        marks=("product", "created at", "size unit"),
        zone="UTC",
        columns={
            "time": ("created at",),
            "symbol": ("product",),
            "side": ("side",),
            "price": ("price",),
            "quantity": ("size",),
            "fee": ("fee",),
            "fee_currency": ("price/fee/total unit",),
        },
    ),
    Map(
        name="coinbase-api",
        title="Coinbase: fills as JSON",
        shape="fills",
        marks=("trade_time", "product_id", "commission"),
        zone="UTC",
        columns={
            "time": ("trade_time",),
            "symbol": ("product_id",),
            "side": ("side",),
            "price": ("price",),
            "quantity": ("size",),
            "fee": ("commission",),
            "order": ("order_id",),
        },
    ),
    Map(
        name="coinbase-account",
        title="Coinbase: transaction history",
        shape="fills",
        marks=("Transaction Type", "Asset", "Quantity Transacted"),
        zone="UTC",
        kinds=frozenset({"buy", "sell", "advanced_trade_buy", "advanced_trade_sell"}),
        columns={
            "time": ("Timestamp",),
            "symbol": ("Asset",),
            "side": ("Transaction Type",),
            "price": ("Price at Transaction", "Spot Price at Transaction"),
            "quantity": ("Quantity Transacted",),
            "fee": ("Fees and/or Spread", "Fees"),
        },
    ),
    Map(
        name="alpaca",
        title="Alpaca: account activities, FILL",
        shape="fills",
        marks=("transaction_time", "qty"),
        zone="UTC",
        columns={
            "time": ("transaction_time",),
            "symbol": ("symbol",),
            "side": ("side",),
            "price": ("price",),
            "quantity": ("qty",),
            "order": ("order_id",),
        },
    ),
    Map(
        name="interactive-brokers",
        title="Interactive Brokers: Flex query, trades",
        shape="fills",
        marks=("TradePrice", "CurrencyPrimary"),
        paid=-1,
        columns={
            "time": ("DateTime", "Date/Time", "TradeDate"),
            "symbol": ("Symbol",),
            "side": ("Buy/Sell",),
            "price": ("TradePrice",),
            "quantity": ("Quantity",),
            "fee": ("IBCommission",),
            "fee_currency": ("IBCommissionCurrency",),
            "quote": ("CurrencyPrimary",),
            "order": ("IBOrderID",),
        },
    ),
    Map(
        name="interactive-brokers-xml",
        title="Interactive Brokers: Flex query as XML",
        shape="fills",
        marks=("tradePrice", "ibCommission"),
        paid=-1,
        columns={
            "time": ("dateTime", "tradeDate"),
            "symbol": ("symbol",),
            "side": ("buySell",),
            "price": ("tradePrice",),
            "quantity": ("quantity",),
            "fee": ("ibCommission",),
            "fee_currency": ("ibCommissionCurrency",),
            "quote": ("currency",),
            "order": ("ibOrderID",),
        },
    ),
    Map(
        name="interactive-brokers-activity",
        title="Interactive Brokers: activity statement",
        shape="fills",
        marks=("DataDiscriminator", "T. Price"),
        paid=-1,
        columns={
            "time": ("Date/Time",),
            "symbol": ("Symbol",),
            "price": ("T. Price",),
            "quantity": ("Quantity",),
            "fee": ("Comm/Fee", "Comm in *"),
        },
    ),
    Map(
        name="metatrader-5",
        title="MetaTrader 5: report of the history, positions",
        shape="trades",
        marks=("Position", "Time.1", "Price.1"),
        paid=-1,
        gross=True,
        lots=True,
        columns={
            "symbol": ("Symbol",),
            "side": ("Type",),
            "entry_time": ("Time",),
            "entry_price": ("Price",),
            "exit_time": ("Time.1",),
            "exit_price": ("Price.1",),
            "quantity": ("Volume",),
            "fee": ("Commission",),
            "financing": ("Swap",),
            "pnl": ("Profit",),
        },
    ),
    Map(
        name="trades",
        title="a list of trades from entry to exit",
        shape="trades",
        local=True,
        columns={
            "symbol": ("symbol", "pair", "market", "ticker", "instrument"),
            "side": ("side", "direction", "type", "position"),
            "entry_time": ("entry_time", "open_time", "entry_date", "open_date", "entry_timestamp", "opened", "entry"),
            "entry_price": ("entry_price", "open_price", "open_rate", "avg_entry_price", "buy_price"),
            "exit_time": ("exit_time", "close_time", "exit_date", "close_date", "exit_timestamp", "closed", "exit"),
            "exit_price": ("exit_price", "close_price", "close_rate", "avg_exit_price", "sell_price"),
            "quantity": ("quantity", "qty", "size", "amount", "volume", "shares", "contracts", "units", "lots"),
            "entry_fee": ("entry_fee", "open_fee", "entry_fees", "entry_commission"),
            "exit_fee": ("exit_fee", "close_fee", "exit_fees", "exit_commission"),
            "entry_fee_rate": ("entry_fee_rate", "fee_open", "fee_rate"),
            "exit_fee_rate": ("exit_fee_rate", "fee_close", "fee_rate"),
            "fee": ("fee", "fees", "commission", "commissions"),
            "pnl": ("pnl", "net_pnl", "profit", "net_profit", "profit_abs", "realized_pnl", "p&l"),
        },
    ),
    Map(
        name="fills",
        title="a list of buys and sells",
        shape="fills",
        local=True,
        columns={
            "time": (
                "time",
                "date",
                "timestamp",
                "datetime",
                "date/time",
                "executed_at",
                "filled_at",
                "trade_time",
                "date(utc)",
                "time(utc)",
            ),
            "symbol": ("symbol", "pair", "market", "ticker", "instrument", "product"),
            "side": ("side", "action", "direction", "type", "buy/sell"),
            "price": (
                "fill_price",
                "filled_price",
                "filled_avg_price",
                "avg_price",
                "average_price",
                "trade_price",
                "price",
            ),
            "quantity": (
                "filled_qty",
                "filled",
                "executed",
                "quantity",
                "qty",
                "size",
                "shares",
                "contracts",
                "units",
                "volume",
                "amount",
            ),
            "fee": ("fee", "fees", "commission", "commissions"),
            "fee_rate": ("fee_rate",),
            "fee_currency": ("fee_currency", "fee_coin", "fee_asset", "commission_asset", "commissionasset"),
            "order": ("order_id", "order", "orderid"),
        },
    ),
)
"""All lists that are known, the two of no particular source last."""


def simplified(name: str) -> str:
    """Return a column's name as names are compared: without case, and spaces and dashes as underscores.

    >>> simplified(" Entry Time"), simplified("entry-time")
    ('entry_time', 'entry_time')
    """
    return "_".join(name.strip().lower().replace("-", " ").split())
