"""Files as people have them: for each source a maker of its text, from bars that are known exactly.

Written from what the sources' files look like, without a line of the reader's code.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

UTC = dt.UTC


class Bar(NamedTuple):
    time: dt.datetime  # in UTC
    open: float
    high: float
    low: float
    close: float
    volume: float


def bars(step: dt.timedelta, count: int, start: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=UTC)) -> list[Bar]:
    """Make bars with no two values alike: prices to the cent, of which open is never the low nor the high."""
    made = []
    for at in range(count):
        base = 1000 + 7 * at
        made.append(Bar(start + at * step, base + 0.25, base + 3.75, base - 2.5, base + 1.5, float(1200 + 100 * at)))
    return made


def days(count: int) -> list[Bar]:
    return bars(dt.timedelta(days=1), count)


def hours(count: int) -> list[Bar]:
    return bars(dt.timedelta(hours=1), count)


def table(rows: list[list[Any]], header: str = "", mark: str = ",") -> str:
    lines = ([header] if header else []) + [mark.join(str(cell) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"


def epoch(bar: Bar, unit: int = 1) -> int:
    return int(bar.time.timestamp()) * unit


def grouped(value: float, mark: str = ",", point: str = ".") -> str:
    text = f"{value:,.2f}"
    return text.replace(",", "\0").replace(".", point).replace("\0", mark)


def newest(rows: list[Bar]) -> list[Bar]:
    return rows[::-1]


def klines(rows: list[Bar], unit: int) -> list[list[Any]]:
    return [
        [epoch(b, unit), f"{b.open:.8f}", f"{b.high:.8f}", f"{b.low:.8f}", f"{b.close:.8f}", f"{b.volume:.8f}",
         epoch(b, unit) + 3600 * unit - 1, "1234.5", 17, "5.5", "66.5", "0"]
        for b in rows
    ]  # fmt: skip


class Kind(NamedTuple):
    """A kind of file: what it is called, its bars, its bytes (or text), what `format` calls it, and keys it needs."""

    make: Callable[[list[Bar]], str | bytes]
    rows: Callable[[int], list[Bar]] = days
    format: str = "plain"
    suffix: str = ".csv"
    keys: Mapping[str, Any] = MappingProxyType({})
    said: str = ""
    text: bool = True  # plain text with lines, which may be dressed otherwise


def iso(b: Bar) -> str:
    return b.time.strftime("%Y-%m-%d")


def ohlcv(b: Bar) -> list[Any]:
    return [b.open, b.high, b.low, b.close, b.volume]


def yfinance_levels(rows: list[Bar], names: str, tickers: str, index: str) -> str:
    lines = [names, tickers, *([index] if index else [])]
    return table([[iso(b), b.close, b.high, b.low, b.open, b.volume] for b in rows], "\n".join(lines))


def investing(rows: list[Bar], header: str, date: str, *, mark: str = ",", point: str = ".") -> str:
    lines = [header]
    for b in newest(rows):
        cells = [b.time.strftime(date), *(grouped(p, mark, point) for p in (b.close, b.open, b.high, b.low))]
        cells += [grouped(b.volume / 1000, mark, point) + "K", f"-0{point}57%"]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join(lines) + "\n"


def nasdaq(rows: list[Bar]) -> str:
    lines = [
        f"{b.time:%m/%d/%Y},${b.close:.2f},{b.volume:.0f},${b.open:.2f},${b.high:.2f},${b.low:.2f}"
        for b in newest(rows)
    ]
    return "\n".join(["Date,Close/Last,Volume,Open,High,Low", *lines]) + "\n"


def arrow(rows: list[Bar], unit: str = "ns", name: str = "timestamp", zone: str | None = "UTC") -> pa.Table:
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([epoch(b, scale) for b in rows], pa.int64()).cast(pa.timestamp(unit, zone))
    columns = {key: [getattr(b, key) for b in rows] for key in ("open", "high", "low", "close", "volume")}
    return pa.table({**columns, name: times} if name.startswith("__") else {name: times, **columns})


def parquet(made: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(made, sink)
    return sink.getvalue()


def feathered(made: pa.Table) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(made, sink)
    return sink.getvalue()


def pandas_parquet(rows: list[Bar], name: str | None, levels: bool = False) -> bytes:
    import pandas as pd

    index = pd.DatetimeIndex([b.time for b in rows], name=name)
    frame = pd.DataFrame({key.title(): [getattr(b, key) for b in rows] for key in Bar._fields[1:]}, index=index)
    if levels:
        frame.columns = pd.MultiIndex.from_product([list(frame.columns), ["MSFT"]])
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return sink.getvalue()


KINDS: dict[str, Kind] = {
    "yahoo": Kind(
        lambda rows: table([[iso(b), *ohlcv(b)[:4], b.close * 0.5, b.volume] for b in rows],
                           "Date,Open,High,Low,Close,Adj Close,Volume"),
        format="yahoo", said="read as Yahoo Finance's CSV",
    ),
    "yahoo without the adjusted close": Kind(
        lambda rows: table([[iso(b), *ohlcv(b)] for b in rows], "Date,Open,High,Low,Close,Volume"),
    ),
    "yfinance flat": Kind(
        lambda rows: table([[f"{b.time:%Y-%m-%d} 00:00:00+00:00", *ohlcv(b), "0.0", "0.0"] for b in rows],
                           "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits"),
        format="yfinance", said="read as yfinance's table",
    ),
    "yfinance with a header of three lines": Kind(
        lambda rows: yfinance_levels(rows, "Price,Close,High,Low,Open,Volume",
                                     "Ticker,MSFT,MSFT,MSFT,MSFT,MSFT", "Date,,,,,"),
        format="yfinance", said="read as yfinance's table (header of three lines)",
    ),
    "yfinance by ticker": Kind(
        lambda rows: yfinance_levels(rows, "Ticker,MSFT,MSFT,MSFT,MSFT,MSFT",
                                     "Price,Close,High,Low,Open,Volume", "Date,,,,,"),
        format="yfinance", said="read as yfinance's table (header of three lines)",
    ),
    "yfinance with a header of two lines": Kind(
        lambda rows: yfinance_levels(rows, "Date,Close,High,Low,Open,Volume", ",MSFT,MSFT,MSFT,MSFT,MSFT", ""),
        format="yfinance", said="read as yfinance's table (header of two lines)",
    ),
    "yfinance of several tickers, one of them the symbol": Kind(
        lambda rows: table(
            [[iso(b), b.close, 5.0, b.high, 6.0, b.low, 4.0, b.open, 5.0, b.volume, 7] for b in rows],
            "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
            "Ticker,TEST,MSFT,TEST,MSFT,TEST,MSFT,TEST,MSFT,TEST,MSFT\nDate,,,,,,,,,,"),
        format="yfinance", said="read as yfinance's table (header of three lines)",
    ),
    "stooq in bulk": Kind(
        lambda rows: table([["EURUSD", 60, f"{b.time:%Y%m%d}", f"{b.time:%H%M%S}", *ohlcv(b), 0] for b in rows],
                           "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"),
        hours, "stooq", ".txt", said="read as Stooq's bulk CSV",
    ),
    "stooq in Polish": Kind(
        lambda rows: table([[iso(b), *ohlcv(b)] for b in rows],
                           "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen"),
        format="stooq", said="read as Stooq's Polish CSV",
    ),
    "binance in ms": Kind(
        lambda rows: table(klines(rows, 10**3)), hours, "binance", said="read as Binance's klines"
    ),
    "binance in us": Kind(
        lambda rows: table(klines(rows, 10**6)), hours, "binance", said="read as Binance's klines"
    ),
    "binance with a header": Kind(
        lambda rows: table(klines(rows, 10**3),
                           "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
                           "taker_buy_quote_volume,ignore"),
        hours, "binance", said="read as Binance's klines",
    ),
    "binance's klines as JSON": Kind(
        lambda rows: json.dumps(klines(rows, 10**3)), hours, "binance", ".json", said="read as Binance's klines",
        text=False,
    ),
    "kraken": Kind(
        lambda rows: table([[epoch(b), *ohlcv(b), 12] for b in rows]), hours, "kraken", said="read as Kraken's OHLCVT"
    ),
    "kraken's answer": Kind(
        lambda rows: json.dumps({"error": [], "result": {"XXBTZUSD": [
            [epoch(b), *(f"{p:.1f}" if p % 0.5 == 0 else str(p) for p in ohlcv(b)[:4]), "1.0", str(b.volume), 12]
            for b in rows], "last": 7}}),
        hours, "kraken", ".json", said="read as Kraken's OHLC", text=False,
    ),
    "alpha vantage's JSON": Kind(
        lambda rows: json.dumps({"Meta Data": {"1. Information": "x"}, "Time Series (Daily)": {
            iso(b): {f"{at}. {name}": str(getattr(b, name)) for at, name in enumerate(Bar._fields[1:], 1)}
            for b in newest(rows)}}),
        suffix=".json", text=False,
    ),
    "pandas' split JSON": Kind(
        lambda rows: json.dumps({"columns": list(Bar._fields[1:]), "index": [iso(b) for b in rows],
                                 "data": [ohlcv(b) for b in rows]}),
        suffix=".json", text=False,
    ),
    "coinbase with a header": Kind(
        lambda rows: table([[epoch(b), b.low, b.high, b.open, b.close, b.volume] for b in newest(rows)],
                           "time,low,high,open,close,volume"),
        hours, "coinbase", said="read as Coinbase's candles",
    ),
    "coinbase's lists": Kind(
        lambda rows: json.dumps([[epoch(b), b.low, b.high, b.open, b.close, b.volume] for b in newest(rows)]),
        hours, "coinbase", ".json", said="read as Coinbase's candles", text=False,
    ),
    "coinbase without a header": Kind(
        lambda rows: table([[epoch(b), b.low, b.high, b.open, b.close, b.volume] for b in newest(rows)]),
        hours, "coinbase", said="read as Coinbase's candles",
    ),
    "bitfinex's lists": Kind(
        lambda rows: json.dumps([[epoch(b, 1000), b.open, b.close, b.high, b.low, b.volume] for b in newest(rows)]),
        hours, "bitfinex", ".json", said="read as Bitfinex's candles", text=False,
    ),
    "cryptodatadownload": Kind(
        lambda rows: table(
            [[epoch(b), f"{b.time:%Y-%m-%d %H:%M:%S}", "BTC/USD", *ohlcv(b)[:4], b.volume, b.volume * 9]
             for b in newest(rows)],
            "https://www.example.org\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD"),
        hours, "cryptodatadownload", said="read as CryptoDataDownload's CSV",
    ),
    "cryptodatadownload in ms, the other volume first": Kind(
        lambda rows: table(
            [[epoch(b, 1000), f"{b.time:%Y-%m-%d %H:%M:%S}", "BTCUSDT", *ohlcv(b)[:4], b.volume * 9, b.volume, 5]
             for b in newest(rows)],
            "https://www.example.org\nUnix,Date,Symbol,Open,High,Low,Close,Volume USDT,Volume BTC,tradecount"),
        hours, "cryptodatadownload", said="read as CryptoDataDownload's CSV",
    ),
    "tradingview in ISO": Kind(
        lambda rows: table([[f"{b.time:%Y-%m-%dT%H:%M:%SZ}", *ohlcv(b)[:4], b.volume, "", 5.5, 6.5] for b in rows],
                           "time,open,high,low,close,Volume,Volume MA,Basis,RSI"),
        hours, "tradingview", said="read as TradingView's export",
    ),
    "tradingview in seconds": Kind(
        lambda rows: table([[epoch(b), *ohlcv(b)[:4], 7, b.volume] for b in rows],
                           "time,open,high,low,close,MA,Volume"),
        hours, "tradingview", said="read as TradingView's export",
    ),
    "metatrader 4": Kind(
        lambda rows: table([[f"{b.time:%Y.%m.%d}", f"{b.time:%H:%M}", *ohlcv(b)] for b in rows]),
        hours, "mt4", said="read as MetaTrader 4's export",
    ),
    "metatrader 5": Kind(
        lambda rows: table(
            [[f"{b.time:%Y.%m.%d}", f"{b.time:%H:%M:%S}", *ohlcv(b), 0, 8] for b in rows],
            "\t".join(f"<{n}>" for n in "DATE TIME OPEN HIGH LOW CLOSE TICKVOL VOL SPREAD".split()), "\t"),
        hours, "mt5", said="read as MetaTrader 5's export",
    ),
    "metatrader 5 with commas": Kind(
        lambda rows: table(
            [[f"{b.time:%Y.%m.%d}", f"{b.time:%H:%M:%S}", *ohlcv(b), 0, 8] for b in rows],
            ",".join(f"<{n}>" for n in "DATE TIME OPEN HIGH LOW CLOSE TICKVOL VOL SPREAD".split())),
        hours, "mt5", said="read as MetaTrader 5's export",
    ),
    "metatrader 5 by days": Kind(
        lambda rows: table(
            [[f"{b.time:%Y.%m.%d}", *ohlcv(b), 0, 8] for b in rows],
            "\t".join(f"<{n}>" for n in "DATE OPEN HIGH LOW CLOSE TICKVOL VOL SPREAD".split()), "\t"),
        days, "mt5", said="read as MetaTrader 5's export",
    ),
    "dukascopy": Kind(
        lambda rows: table([[f"{b.time:%d.%m.%Y %H:%M:%S}.000", *ohlcv(b)] for b in rows],
                           "Gmt time,Open,High,Low,Close,Volume"),
        hours, "dukascopy", said="read as Dukascopy's CSV",
    ),
    "dukascopy in local time": Kind(
        lambda rows: table([[f"{b.time + dt.timedelta(hours=1):%d.%m.%Y %H:%M:%S}.000 GMT+0100", *ohlcv(b)]
                            for b in rows], "Local time,Open,High,Low,Close,Volume"),
        hours, "dukascopy", said="read as Dukascopy's CSV",
    ),
    "dukascopy in eastern Europe's time": Kind(
        lambda rows: table([[f"{b.time + dt.timedelta(hours=2):%Y.%m.%d %H:%M:%S}", *ohlcv(b)] for b in rows],
                           "Time (EET),Open,High,Low,Close,Volume"),
        hours, "dukascopy", said="read as Dukascopy's CSV",
    ),
    "histdata": Kind(
        lambda rows: table([[f"{b.time - dt.timedelta(hours=5):%Y%m%d %H%M%S}", *ohlcv(b)] for b in rows], mark=";"),
        hours, "histdata", said="read as HistData's minutes", keys={"format": "histdata"},
    ),
    "investing": Kind(
        lambda rows: investing(rows, '"Date","Price","Open","High","Low","Vol.","Change %"', "%m/%d/%Y"),
        format="investing", said="read as Investing.com's CSV",
    ),
    "investing in German": Kind(
        lambda rows: investing(rows, '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"', "%d.%m.%Y",
                               mark=".", point=","),
        format="investing", said="read as Investing.com's CSV",
    ),
    "investing in French": Kind(
        lambda rows: investing(rows, '"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"', "%d/%m/%Y",
                               mark=".", point=","),
        format="investing", said="read as Investing.com's CSV",
    ),
    "nasdaq": Kind(nasdaq, format="nasdaq", said="read as Nasdaq.com's CSV"),
    "alpha vantage": Kind(
        lambda rows: table([[iso(b), *ohlcv(b)] for b in newest(rows)], "timestamp,open,high,low,close,volume"),
    ),
    "alpha vantage, adjusted": Kind(
        lambda rows: table([[iso(b), *ohlcv(b)[:4], b.close / 2, b.volume, "0.0", "1.0"] for b in newest(rows)],
                           "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient"),
        format="alphavantage", said="read as Alpha Vantage's CSV",
    ),
    "polygon's flat file": Kind(
        lambda rows: table([["AAPL", b.volume, b.open, b.close, b.high, b.low, epoch(b, 10**9), 12] for b in rows],
                           "ticker,volume,open,close,high,low,window_start,transactions"),
        hours, "polygon", said="read as Polygon's flat file",
    ),
    "polygon's aggregates": Kind(
        lambda rows: json.dumps({"ticker": "AAPL", "queryCount": 2, "status": "OK", "results": [
            {"v": b.volume, "vw": b.close, "o": b.open, "c": b.close, "h": b.high, "l": b.low, "t": epoch(b, 1000),
             "n": 7} for b in rows]}),
        hours, "polygon", ".json", said="read as Polygon's aggregates", text=False,
    ),
    "tiingo": Kind(
        lambda rows: table(
            [[iso(b), b.close, b.high, b.low, b.open, b.volume, b.close / 2, 1, 1, 1, 1, 0, 1] for b in rows],
            "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor"),
        format="tiingo", said="read as Tiingo's CSV",
    ),
    "ccxt's lists": Kind(
        lambda rows: json.dumps([[epoch(b, 1000), *ohlcv(b)] for b in rows]), hours, "ccxt", ".json",
        said="read as ccxt's lists", text=False,
    ),
    "ccxt's lists as CSV": Kind(
        lambda rows: table([[epoch(b, 1000), *ohlcv(b)] for b in rows]), hours, "ccxt", said="read as ccxt's lists"
    ),
    "freqtrade's feather": Kind(
        lambda rows: feathered(arrow(rows, "ms", "date")), hours, suffix=".feather", text=False
    ),
    "freqtrade's parquet": Kind(
        lambda rows: parquet(arrow(rows, "ms", "date")), hours, suffix=".parquet", text=False
    ),
    "objects in JSON": Kind(
        lambda rows: json.dumps([{"date": f"{b.time:%Y-%m-%dT%H:%M:%S.000Z}", **b._asdict() | {"time": None}}
                                 for b in rows]).replace('"time": null, ', ""),
        hours, suffix=".json", text=False,
    ),
    "pandas with an unnamed index": Kind(
        lambda rows: table([[f"{b.time:%Y-%m-%d %H:%M:%S}", *ohlcv(b)] for b in rows], ",open,high,low,close,volume"),
        hours,
    ),
    "pandas with a count and a date": Kind(
        lambda rows: table([[at, f"{b.time:%Y-%m-%d %H:%M:%S}", *ohlcv(b)] for at, b in enumerate(rows)],
                           ",date,open,high,low,close,volume"),
        hours,
    ),
    "parquet with an unnamed index": Kind(
        lambda rows: pandas_parquet(rows, None), hours, suffix=".parquet", text=False
    ),
    "parquet with a named index": Kind(
        lambda rows: pandas_parquet(rows, "Date"), hours, suffix=".parquet", text=False
    ),
    "parquet of two levels": Kind(
        lambda rows: pandas_parquet(rows, "Date", levels=True), hours, "yfinance", ".parquet",
        said="read as yfinance's table (header of two lines)", text=False,
    ),
    "an ISO date beside a time": Kind(
        lambda rows: table([[iso(b), f"{b.time:%H:%M}", *ohlcv(b)] for b in rows],
                           "Date,Time,Open,High,Low,Close,Volume"),
        hours,
    ),
    "German": Kind(
        lambda rows: table([[f"{b.time:%Y-%m-%d}", *(grouped(p, ".", ",") for p in ohlcv(b))] for b in rows],
                           "Date;Open;High;Low;Close;Volume", ";"),
    ),
    "Swiss": Kind(
        lambda rows: table([[f"{b.time:%Y-%m-%d}", *(grouped(p, "'", ".") for p in ohlcv(b))] for b in rows],
                           "Date;Open;High;Low;Close;Volume", ";"),
    ),
    "no dialect, positions and a format": Kind(
        lambda rows: table([[b.volume, b.close, b.low, b.high, b.open, f"{b.time:%d/%m/%y %I.%M%p}"] for b in rows],
                           mark="|"),
        hours,
        keys={
            "columns": {"timestamp": 6, "open": 5, "high": 4, "low": 3, "close": 2, "volume": 1},
            "date_format": "%d/%m/%y %I.%M%p",
        },
    ),
}  # fmt: skip
