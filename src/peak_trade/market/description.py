"""What a file of bars is: its dialect, its bars, what fits them, what is wrong, and the `[data]` that reads them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade import places, toml
from peak_trade.config import DETECTED, Reading
from peak_trade.errors import InputError
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.contract import Violations, check_ohlcv
from peak_trade.market.findings import Finding
from peak_trade.market.fitting import fitting_calendar
from peak_trade.market.frames import timeframe_of
from peak_trade.market.instants import iso
from peak_trade.market.ohlcv import Loaded, Rows, load_bars, read_rows
from peak_trade.market.timeframe import parse_timeframe

__all__ = ["SYMBOL", "Description", "describe"]

SYMBOL = "SYMBOL"  # where no name of a file tells what is traded
SHOWN = 3  # rows at either end

# Words in the names of files that tell no symbol.
_WORDS = frozenset(
    """bars bar data ohlc ohlcv ohlcvt prices price quotes history historical hist export download candles klines kline
    daily weekly monthly hourly minute day week month spot futures future perp um cm usd-m adjusted raw clean sample
    synthetic stock stocks etf index crypto forex fx table csv yahoo yfinance stooq binance kraken coinbase bitstamp
    bitfinex cryptodatadownload tradingview metatrader mt4 mt5 dukascopy investing nasdaq nyse alphavantage alpha
    vantage polygon tiingo ccxt freqtrade pandas ibkr oanda bybit okx new old copy of in out now""".split()
)
_TIMEFRAME = re.compile(r"\d+(s|m|h|d|w|min|mo|hour|day)?|[smhdw]\d+|mn1?", re.IGNORECASE)
_NAME = re.compile(r"\^?[A-Za-z][A-Za-z0-9^=&]{0,14}")


class Description(Struct, frozen=True, kw_only=True):
    """What files of bars are. `data` is a `[data]` section that reads them, `mends` whether it has to mend something.

    `violations` counts breaches of the contract, `problems` shows the first; `refused` is what a run would say without
    the keys that mend, empty where it would take the bars as they are. `rows` are the first and last as understood.
    """

    files: list[dict[str, Any]]
    count: int
    start: str
    end: str
    timeframe: str
    calendar: str | None
    calendar_why: str
    gaps: int
    first_gaps: list[str]
    violations: int
    problems: list[str]
    refused: str
    findings: list[Finding]
    assumptions: list[str]
    rows: list[dict[str, Any]]
    data: dict[str, Any]

    @property
    def table(self) -> str:
        """The section as TOML, to paste into a config."""
        text = toml.dumps({"data": self.data})
        if self.data["symbol"] == SYMBOL:
            text = text.replace(f'symbol = "{SYMBOL}"\n', f'symbol = "{SYMBOL}"  # what is traded: change it\n')
        return text

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it: numbers that are none as null."""
        tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return tree | {"table": self.table}


def describe(
    paths: Sequence[str],
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    calendar: str | None = None,
    reading: Reading = DETECTED,
    now: np.datetime64 | None = None,
) -> Description:
    """Describe files of bars; what is not given is taken from them.

    Raises InputError where they can't be read, or no key would make bars of them; with what helps.
    """
    name = symbol or _symbol(paths)
    raw = read_rows(paths, symbol=name, reading=reading)
    step = timeframe or _step(raw)
    bars = Bars(**raw.table, symbol=name, timeframe=step)
    found = check_ohlcv(bars)
    if timeframe and "timeframe_spacing" in found.by_rule:
        raise InputError(f"the bars are not {timeframe} apart", hint=f"leave --timeframe out: they are {_step(raw)}")
    keys, loaded, refused = _loaded(paths, raw, found, name, step, reading, now)
    fits, why = (calendar, "as given") if calendar else _fitting(loaded.bars)
    if fits:
        loaded = load_bars(paths, symbol=name, timeframe=step, calendar=fits, now=now, **_options(keys, reading))
    given = {key: value for key, value in msgspec.to_builtins(reading).items() if value not in (None, {}, False)}
    section = {"path": _path(paths), "symbol": name, "timeframe": step, **({"calendar": fits} if fits else {})}
    return Description(
        files=[{"path": file.source.path, "format": file.format, "bytes": file.source.bytes} for file in raw.files],
        count=len(bars),
        start=iso(loaded.bars.timestamp[0]),
        end=iso(loaded.bars.timestamp[-1]),
        timeframe=step,
        calendar=fits,
        calendar_why=why,
        gaps=loaded.gaps.missing,
        first_gaps=loaded.gaps.first,
        violations=len(found),
        problems=found.lines(lambda row: "{} row {}".format(*raw.place(row))) if found else [],
        refused=refused,
        findings=loaded.findings,
        assumptions=loaded.assumptions,
        rows=list(_ends(loaded.bars)),
        data=section | given | keys,
    )


def _step(raw: Rows) -> str:
    """Return the timeframe of the rows, by the times there are, in order and once each."""
    times = raw.table["timestamp"]
    try:
        return timeframe_of(np.unique(times[~np.isnat(times)]))
    except InputError as error:
        raise InputError(error.message, hint="say it: --timeframe 1d") from None


def _loaded(
    paths: Sequence[str], raw: Rows, found: Violations, symbol: str, step: str, reading: Reading, now: Any
) -> tuple[dict[str, Any], Loaded, str]:
    """Return the keys with which the bars load, the fewest first, what they come to, and what is said without any."""
    times = raw.table["timestamp"].view(np.int64)
    sorting: list[dict[str, Any]] = [{"sort": True}] if (np.diff(times) < 0).any() and not reading.sort else [{}]
    ways: list[dict[str, Any]] = [{}]
    if found:
        ways += [*sorting, *({**sort, "on_violation": mode} for mode in ("drop-rows", "warn") for sort in sorting)]
    refused: list[InputError] = []
    for keys in ways:
        try:
            loaded = load_bars(paths, symbol=symbol, timeframe=step, now=now, **_options(keys, reading))
        except InputError as error:
            refused.append(error)
        else:
            return keys, loaded, refused[0].message if refused else ""
    raise refused[0]


def _options(keys: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Return keys of `[data]` as `load_bars` takes them."""
    mode = {"on_violation": keys["on_violation"]} if "on_violation" in keys else {}
    return mode | {"reading": msgspec.structs.replace(reading, sort=True) if keys.get("sort") else reading}


def _ends(bars: Bars) -> Iterator[dict[str, Any]]:
    """Yield the first and the last rows as they are understood."""
    count = len(bars)
    for row in range(count) if count <= 2 * SHOWN else (*range(SHOWN), *range(count - SHOWN, count)):
        values = {name: float(getattr(bars, name)[row]) for name in COLUMNS[1:]}
        yield {"timestamp": iso(bars.timestamp[row])} | values


def _path(paths: Sequence[str]) -> str:
    """Return what a config calls the files by, wherever it stands: from the repository's root, or absolute."""
    path = os.path.abspath(paths[0])
    if len(paths) > 1:
        whole = [os.path.abspath(one) for one in paths]
        start = os.path.commonprefix(whole)  # noqa: RUF071 - of letters, not of folders
        end = os.path.commonprefix([one[len(start) :][::-1] for one in whole])[::-1]  # noqa: RUF071 - as above
        path = f"{glob.escape(start)}*{glob.escape(end)}"
        if sorted(glob.glob(path)) != sorted(whole):
            raise InputError(
                f"no pattern names these {len(paths)} files and no others", hint="put them into a folder of their own"
            )
    root = str(places.root())
    return os.path.relpath(path, root) if path.startswith(f"{root}{os.sep}") else path


def _symbol(paths: Sequence[str]) -> str:
    """Return the symbol that the name of a file tells.

    >>> [_symbol([name]) for name in ("BTCUSDT-1h-2024-01.zip", "Binance_ETHUSDT_d.csv", "sp500_daily.csv", "bars.csv")]
    ['BTCUSDT', 'ETHUSDT', 'SP500', 'SYMBOL']
    """
    stem = Path(paths[0]).name.partition(".")[0]
    for word in re.split(r"[-_ ,()]+", stem):
        if word.lower() not in _WORDS and not _TIMEFRAME.fullmatch(word) and len(word) > 1 and _NAME.fullmatch(word):
            return word.upper()
    return SYMBOL


def _fitting(bars: Bars) -> tuple[str | None, str]:
    """Return the calendar that fits the bars and what speaks for it; None where nothing tells."""
    if parse_timeframe(bars.timeframe)[1] in "wM":
        return None, "of weeks and months none is needed"
    name = fitting_calendar(bars.timestamp, bars.timeframe)
    if name is None:
        return None, "the bars tell of none, or of several alike: name the exchange, as XNYS, or their own rate counts"
    return name, "bars on Saturdays and Sundays" if name == "24/7" else "the bars keep its days and hours"
