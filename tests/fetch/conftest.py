"""An exchange on this machine: bars behind the addresses of Binance and Kraken, and the faults that real ones have.

ccxt itself asks it; what it holds is worked out by a formula, so that a test can say what each bar must be.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from peak_trade.data.fetch import client, fetch, order
from peak_trade.market.ohlcv import load_bars

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_704_067_200_000  # 2024-01-01T00:00Z
Row = tuple[int, str, str, str, str, str]


def bar(number: int, *, step: int = HOUR, start: int = START) -> Row:
    """The bar of a number, its prices as texts of eight decimals, as Binance writes them."""
    cents = 4_000_000 + (number * 7919) % 100_000
    texts = (cents, cents + 4211, cents - 3307, cents + number % 11 - 5)
    return (start + number * step, *(f"{value / 100:.8f}" for value in texts), f"{number * 1.125:.8f}")  # type: ignore[return-value]


class Exchange:
    """What the exchange holds, what it was asked, and what it does wrong.

    A fault is a function of handler and question (the arguments of an address); where it returns True, it has answered.
    """

    def __init__(self, rows: list[Row], *, now: int | None = None, page: int = 1000) -> None:
        self.rows, self.page = rows, page
        self.now = now if now is not None else rows[-1][0] + HOUR  # all have ended
        self.asked: list[dict[str, str]] = []
        self.faults: list[Callable[[Any, dict[str, str]], bool]] = []
        self.edit: Callable[[list[Row], dict[str, str]], list[Row]] = lambda rows, question: rows
        self.step = HOUR
        self.url = ""

    def answer(self, handler: Any) -> None:
        split = urlsplit(handler.path)
        question = {key: values[-1] for key, values in parse_qs(split.query).items()}
        question["path"] = split.path
        if split.path.endswith(("klines", "OHLC")):
            self.asked.append(question)
        for fault in list(self.faults):
            if fault(handler, question):
                return
        routes = {
            "/api/v3/exchangeInfo": self._markets,
            "/api/v3/klines": self._klines,
            "/0/public/Assets": lambda _: {"error": [], "result": KRAKEN_ASSETS},
            "/0/public/AssetPairs": lambda _: {"error": [], "result": KRAKEN_PAIRS},
            "/0/public/OHLC": self._ohlc,
        }
        route = routes.get(split.path)
        if route is None:
            reply(handler, {"code": -1, "msg": "no such address"}, 404)
        else:
            reply(handler, route(question), date=self.now)

    def _markets(self, question: dict[str, str]) -> Any:
        names = (("BTCUSDT", "BTC", "USDT"), ("ETHUSDT", "ETH", "USDT"), ("BTCEUR", "BTC", "EUR"))
        return {"timezone": "UTC", "rateLimits": [], "symbols": [binance_market(*name) for name in names]}

    def _klines(self, question: dict[str, str]) -> Any:
        since = int(question.get("startTime", 0))
        rows = [row for row in self.rows if row[0] >= since and row[0] <= self.now]
        rows = self.edit(rows[: min(int(question.get("limit", 500)), self.page)], question)
        return [[*row, row[0] + self.step - 1, "1", 9, "1", "1", "0"] for row in rows]

    def _ohlc(self, question: dict[str, str]) -> Any:
        """Kraken gives its newest 720 bars, whatever is asked for, and the one that has not ended."""
        rows = [row for row in self.rows if row[0] <= self.now][-720:]
        kraken = [[row[0] // 1000, *row[1:5], "0.0", row[5], 3] for row in rows]
        return {"error": [], "result": {"XXBTZUSD": kraken, "last": rows[-1][0] // 1000}}


def binance_market(name: str, base: str, quote: str) -> dict[str, Any]:
    return {
        "symbol": name,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        ],
    }


KRAKEN_ASSETS = {
    name: {"aclass": "currency", "altname": short, "decimals": 8, "display_decimals": 5, "status": "enabled"}
    for name, short in (("XXBT", "XBT"), ("ZUSD", "USD"))
}
KRAKEN_PAIRS = {
    "XXBTZUSD": {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    }
}


def reply(
    handler: Any, content: Any, status: int = 200, *, date: int | None = None, headers: dict[str, str] | None = None
) -> bool:
    """Answer with JSON, or with bytes as they are; the date is the exchange's clock."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response_only(status)
    handler.send_header("Date", formatdate((date or time.time() * 1000) / 1000, usegmt=True))
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
    return True


def only(times: int, act: Callable[[Any], Any], *, after: int = 0) -> Callable[[Any, dict[str, str]], bool]:
    """A fault that meets some of the questions for bars: `times` of them, `after` so many that went well."""
    seen = 0

    def fault(handler: Any, question: dict[str, str]) -> bool:
        nonlocal seen
        if not question["path"].endswith(("klines", "OHLC")):
            return False
        seen += 1
        if not after < seen <= after + times:
            return False
        act(handler)
        return True

    return fault


@pytest.fixture(scope="session", autouse=True)
def _extra(need: Callable[[str], None]) -> None:
    need("market")


@pytest.fixture
def serve() -> Iterator[Callable[..., Exchange]]:
    servers: list[ThreadingHTTPServer] = []

    def start(rows: list[Row], **options: Any) -> Exchange:
        exchange = Exchange(rows, **options)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                exchange.answer(self)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...  # a client that hangs up is part of the tests

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        exchange.url = f"http://127.0.0.1:{server.server_port}"
        return exchange

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Fetching:
    """Fetches into one folder, keeping what was said."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bars.parquet"
        self.said: list[str] = []
        self.warned: list[str] = []

    def __call__(
        self,
        exchange: Exchange,
        *,
        name: str = "binance",
        symbol: str = "BTC/USDT",
        timeframe: str = "1h",
        since: str = "2024-01-01",
        until: str | None = None,
        times: int = 3,
        timeout_s: float = 20.0,
        longest_s: float = 5.0,
        **options: Any,
    ) -> fetch.Fetched:
        self.said.clear()
        self.warned.clear()
        asked = order.order(name, symbol, timeframe, since, until, exchange.url)
        patience = client.Patience(times=times, first_s=0.01, longest_s=longest_s, timeout_s=timeout_s)
        telling = fetch.Telling(self.said.append, self.warned.append)
        return fetch.fetch(asked, self.path, telling=telling, patience=patience, **options)

    def kept(self, timeframe: str = "1h") -> list[tuple[int, float, float, float, float, float]]:
        """The bars of the file, as a run would load them."""
        bars = load_bars(self.path, symbol="X", timeframe=timeframe).bars
        times = (bars.timestamp.astype("M8[ms]").astype("i8")).tolist()
        columns = (getattr(bars, name).tolist() for name in ("open", "high", "low", "close", "volume"))
        return list(zip(times, *columns, strict=True))  # type: ignore[arg-type]


def numbers(rows: list[Row]) -> list[tuple[float, ...]]:
    """What the exchange's rows are as numbers."""
    return [(row[0], *map(float, row[1:])) for row in rows]


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)
