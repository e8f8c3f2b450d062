"""What is asked for: an exchange, a market, a timeframe, and from when to when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from peak_trade import places
from peak_trade.errors import InputError
from peak_trade.market.timeframe import parse_timeframe

__all__ = ["Order", "default_path", "milliseconds", "nearest", "order", "require", "utc"]


class Order(Struct, frozen=True):
    """Bars of one market that open from `since` on and before `until`, in milliseconds since 1970; None is now."""

    exchange: str
    symbol: str
    timeframe: str
    since: int
    until: int | None = None
    base_url: str = ""


def order(
    exchange: str, symbol: str, timeframe: str, since: str, until: str | None = None, base_url: str = ""
) -> Order:
    """Read an order as a person gives it; InputError for what can't be meant."""
    parse_timeframe(timeframe)
    if base_url and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", base_url):
        raise InputError(f"{base_url!r} is no address of a mirror", hint="--base-url http://127.0.0.1:8000")
    made = Order(
        exchange.strip().lower(),
        symbol.strip(),
        timeframe,
        milliseconds("--since", since),
        None if until is None else milliseconds("--until", until),
        base_url.rstrip("/"),
    )
    if made.until is not None and made.until <= made.since:
        raise InputError(f"--until {until} is not after --since {since}", hint="--until is the first bar left out")
    return made


def milliseconds(option: str, text: str) -> int:
    """Return a day or a time, of UTC where it names no zone, in milliseconds since 1970.

    >>> milliseconds("--since", "2024-01-01")
    1704067200000
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{option} {text!r} is not a time", hint=f"{option} 2024-01-31, or 2024-01-31T13:00Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.year < 1970:
        raise InputError(f"{option} {text} is before 1970", hint=f"{option} 2017-01-01")
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def utc(ms: int) -> str:
    """Return a time in milliseconds as text.

    >>> utc(1704067200000)
    '2024-01-01T00:00:00Z'
    """
    spec = "milliseconds" if ms % 1000 else "seconds"
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


def default_path(order: Order) -> Path:
    """Return where the bars are kept that are ordered without a place: below `data/market/`, by exchange."""
    name = re.sub(r"[^\w.-]", "-", order.symbol.replace(":", "_"))
    timeframe = re.sub("M$", "mo", order.timeframe)  # not every file system tells 1M from 1m
    return places.root() / "data" / "market" / re.sub(r"\W", "-", order.exchange) / f"{name}_{timeframe}.parquet"


def nearest(name: str, known: Iterable[str], such_as: Iterable[str] = ()) -> str:
    """Return a hint that names what is nearest among very many names, else a few of them."""
    import difflib  # only needed on the way to an error

    options = {option.lower(): option for option in known}
    near = [options[one] for one in difflib.get_close_matches(name.lower(), options, n=3)]
    if near:
        return f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
    few = [one for one in such_as if one in options.values()] or sorted(options.values())[:8]
    return f"{len(options):,} are known, such as {', '.join(few[:8])}"


def require() -> None:
    """Raise InputError where the extra is not installed."""
    if missing := [name for name in ("ccxt", "pyarrow") if find_spec(name) is None]:
        raise InputError(f"fetching market data needs {' and '.join(missing)}", hint="just setup market")
