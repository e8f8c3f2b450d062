"""One exchange through ccxt: a page of bars, or an error that says what happened.

What may pass (a connection that breaks, a server that is busy, an answer that is none) is asked again, later each time
and not for ever. An answer counts only if it is JSON and each of its rows is a bar: ccxt makes an empty page of
garbage, and an empty page would be a hole.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct

from peak_trade.data.fetch.grid import Rows, Times
from peak_trade.data.fetch.order import Order, nearest
from peak_trade.errors import InputError, RunError
from peak_trade.redact import Redactor
from peak_trade.text import escaped, one_line

__all__ = ["Client", "Patience"]

PAGE = 500  # bars, where ccxt does not know how many an exchange gives at once
KNOWN = ("binance", "bitfinex", "bitstamp", "bybit", "coinbase", "gate", "kraken", "okx")
CLOCKS_APART_S = 120
GO_ON = "the same command goes on where this one stopped"
# What the words of an exception mean, the first that is found in it.
_BROKEN = (
    (r"timed out", "gave no answer in time"),
    (r"refused", "refused the connection"),
    (r"ContentDecoding", "gave an answer that can't be unpacked"),
    (r"IncompleteRead|Connection broken|InvalidChunk", "broke off in the middle of an answer"),
    (r"reset|Connection aborted|RemoteDisconnected|closed connection|BrokenPipe", "closed the connection"),
    (r"NameResolution|getaddrinfo|resolve|Name or service", "can't be found: its name does not resolve"),
    (r"SSL|certificate", "can't be trusted: its certificate does not hold"),
    (r"unreachable|No route", "can't be reached from here"),
)
_FINAL = {401: "wants keys", 403: "refuses this", 451: "does not serve this place"}
_T = TypeVar("_T")


class Patience(Struct, frozen=True):
    """How often something is asked again, after how long at first (each time twice as long), and how long at most."""

    times: int = 5
    first_s: float = 1.0
    longest_s: float = 120.0
    timeout_s: float = 20.0


class Client:
    """A market of an exchange: `symbol` as ccxt calls it, `page` bars at once, `now` by the slower of two clocks."""

    def __init__(self, order: Order, patience: Patience, say: Callable[[str], None]) -> None:
        import ccxt  # a third of a second

        self._ccxt, self._patience, self._say = ccxt, patience, say
        if order.exchange not in ccxt.exchanges:
            raise InputError(
                f"unknown exchange `{order.exchange}`", hint=nearest(order.exchange, ccxt.exchanges, KNOWN)
            )
        self.name, self.timeframe = order.exchange, order.timeframe
        self.version = f"ccxt {ccxt.__version__}"
        options = {"enableRateLimit": True, "timeout": int(patience.timeout_s * 1000)}
        self._exchange: Any = getattr(ccxt, order.exchange)(options)
        if self._exchange.has.get("fetchOHLCV") is not True:
            raise InputError(f"{self.name} gives no bars", hint=f"others do, such as {', '.join(KNOWN)}")
        frames = self._exchange.timeframes or {}
        if self.timeframe not in frames:
            raise InputError(f"{self.name} has no bars of {self.timeframe}", hint=f"it has {', '.join(frames)}")
        _ask_for_spot_alone(self._exchange, order.symbol)
        if order.base_url:
            self._exchange.urls["api"] = _moved(self._exchange.urls["api"], order.base_url)
        _refuse_garbage(self._exchange, ccxt.BadResponse)
        self._markets = self._patiently("its markets", self._exchange.load_markets)
        if not self._markets:
            raise RunError(f"{self.name} names no markets", hint="another exchange, or check --base-url")
        self.symbol: str = self._find(order.symbol)
        self.page = int(self._exchange.feature_value(self.symbol, "fetchOHLCV", "limit") or PAGE)
        self.now = self._clock()

    def _find(self, symbol: str) -> str:
        """Return a market's name with ccxt: given as that, or as the exchange calls it."""
        if symbol in self._markets:
            return symbol
        by_id: dict[str, str] = {str(market["id"]): str(name) for name, market in self._markets.items()}
        if symbol in by_id:
            return by_id[symbol]
        hint = nearest(symbol, [*self._markets, *by_id], ("BTC/USDT", "BTC/USD", "ETH/USDT"))
        raise InputError(f"{self.name} has no market `{escaped(symbol, 60)}`", hint=hint)

    def _clock(self) -> int:
        """Return the time in ms by the exchange's clock or ours: a bar that has ended by the slower one has ended."""
        here = time.time()
        try:
            there = parsedate_to_datetime((self._exchange.last_response_headers or {})["Date"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return int(here * 1000)
        if abs(here - there) > CLOCKS_APART_S:
            way = "ahead of" if here > there else "behind"
            self._say(f"this machine's clock is {abs(here - there):,.0f} s {way} that of {self.name}")
        return int(min(here, there) * 1000)

    def bars(self, since: int, count: int) -> tuple[Times, Rows]:
        """Return at most `count` bars that open from `since` on, in order of time, each once; there may be none.

        Raises RunError where the exchange gives no usable answer.
        """
        arguments = (self.symbol, self.timeframe, since, min(count, self.page))
        return self._patiently("bars", lambda: self._table(self._exchange.fetch_ohlcv(*arguments)))

    def _table(self, rows: list[list[Any]]) -> tuple[Times, Rows]:
        if not rows:
            return np.empty(0, np.int64), np.empty((0, 5))
        times = np.array([row[0] for row in rows], np.int64)
        values = np.array([row[1:6] for row in rows], np.float64)
        again = np.flatnonzero(times[1:] == times[:-1])
        if (values[again] != values[again + 1]).any():
            raise self._ccxt.BadResponse("gave one bar twice, with different values")
        keep = np.ones(len(times), bool)
        keep[again + 1] = False
        return times[keep], values[keep]

    def _patiently(self, what: str, ask: Callable[[], _T]) -> _T:
        """Return the answer to a question, which is asked again where that may help; RunError where it does not."""
        wait = self._patience.first_s
        for attempt in range(self._patience.times + 1):
            try:
                return ask()
            except self._ccxt.BaseError as error:
                found = error
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                found = self._ccxt.BadResponse(f"gave an answer that ccxt can't read ({type(error).__name__})")
            reason, status = self._reason(found)
            asked_s = _retry_after(found)
            may_pass = isinstance(found, self._ccxt.OperationFailed) or any(map(_is_packed_wrong, _chain(found)))
            if not may_pass or status in _FINAL or status in (400, 404, 410):
                hint = "no keys are read here: another exchange, or a mirror by --base-url" if status in _FINAL else ""
                raise RunError(f"{self.name} {reason}, when asked for {what}", hint=hint) from None
            if asked_s > self._patience.longest_s:
                raise RunError(f"{self.name} {reason} and asks to wait {asked_s:,.0f} s", hint=GO_ON) from None
            if attempt == self._patience.times:
                tries = f"{attempt + 1} time{'s' if attempt else ''}"
                raise RunError(f"{self.name} {reason}, asked {tries} for {what}", hint=GO_ON) from None
            pause = max(min(wait, self._patience.longest_s), asked_s)
            self._say(f"{self.name} {reason}: asking again in {pause:g} s ({attempt + 1} of {self._patience.times})")
            time.sleep(pause)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _reason(self, error: Exception) -> tuple[str, int]:
        """Return what happened, to follow the exchange's name, and the answer's status (0: there was none)."""
        if (answer := _answer(error)) is not None:  # one of an error is false
            status = int(answer.status_code)
            said = escaped(one_line(Redactor().text(answer.text)), 120) or answer.reason
            head = f"{_FINAL[status]}: " if status in _FINAL else ""
            return f"{head}answered {status} ({said})", status
        if isinstance(error, self._ccxt.RequestTimeout):
            return f"gave no answer within {self._patience.timeout_s:g} s", 0
        if isinstance(error, self._ccxt.BadResponse):
            return escaped(one_line(error), 200), 0
        words = " ".join(f"{type(link).__name__} {link}" for link in _chain(error))
        for pattern, meaning in _BROKEN:
            if re.search(pattern, words):
                return meaning, 0
        return f"failed: {escaped(one_line(Redactor().text(str(error))), 200)}", 0


def _ask_for_spot_alone(exchange: Any, symbol: str) -> None:
    """Leave the derivatives' markets unasked for a market that is none: a spot market's name has no colon."""
    markets = exchange.options.get("fetchMarkets")
    types = markets.get("types") if isinstance(markets, dict) else None
    if ":" not in symbol and isinstance(types, list) and "spot" in types:
        exchange.options["fetchMarkets"] = markets | {"types": ["spot"]}


def _moved(urls: Any, base: str) -> Any:
    """Return an exchange's addresses with another scheme and host, the paths as they are."""
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    return re.sub(r"^\w+://[^/]*", lambda _: base, urls) if isinstance(urls, str) else urls


def _refuse_garbage(exchange: Any, bad: type[Exception]) -> None:
    """Make an exchange raise for an answer that is no JSON, and for a row that is no bar."""
    fetch, parse = exchange.fetch, exchange.parse_ohlcv

    def fetch_json(*args: Any, **options: Any) -> Any:
        answer = fetch(*args, **options)
        if not isinstance(answer, dict | list):
            raise bad(f"answered with what is no JSON: `{escaped(one_line(answer), 60)}`")
        return answer

    def parse_bar(row: Any, market: Any = None) -> list[Any]:
        try:
            bar: list[Any] = parse(row, market)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            bar = []
        numbers = all(isinstance(cell, int | float) and math.isfinite(cell) for cell in bar)
        if len(bar) < 6 or not numbers or bar[0] != int(bar[0]):
            raise bad(f"gave a row that is no bar: `{escaped(one_line(row), 60)}`")
        return bar

    exchange.fetch, exchange.parse_ohlcv = fetch_json, parse_bar


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_packed_wrong(error: BaseException) -> bool:
    return type(error).__name__ == "ContentDecodingError"  # of requests, which ccxt takes for final


def _answer(error: Exception) -> Any:
    """Return the HTTP answer that an error came of; None where there was none."""
    answers = (getattr(link, "response", None) for link in _chain(error))
    return next((answer for answer in answers if answer is not None), None)


def _retry_after(error: Exception) -> float:
    """Return for how many seconds an answer asks to be left alone."""
    answer = _answer(error)
    text = str(answer.headers.get("Retry-After", "")).strip() if answer is not None else ""
    if text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return 0.0
