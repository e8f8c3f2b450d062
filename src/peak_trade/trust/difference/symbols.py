"""What each symbol earned in one run and in the other, where one of them holds several."""

from __future__ import annotations

import math

from msgspec import Struct

from peak_trade.market.trades import Trades

__all__ = ["Earned", "earned"]


class Earned(Struct, frozen=True):
    """What the closed trades of a symbol, in one currency, earned in A and in B: None where a run has none of it.

    NaN in the trades, which is what nobody said, makes it None too.
    """

    symbol: str
    currency: str
    a: float | None
    b: float | None


def earned(a: Trades, b: Trades, tolerance: float = 0.0) -> list[Earned]:
    """Return the symbols that did not earn the same, the largest difference first; none where both hold one symbol."""
    if a.symbols is None and b.symbols is None:
        return []
    sums = [_sums(of) for of in (a, b)]
    found = [Earned(*key, sums[0].get(key), sums[1].get(key)) for key in sorted(sums[0].keys() | sums[1].keys())]
    return sorted((one for one in found if not _same(one.a, one.b, tolerance)), key=lambda one: -_apart(one))


def _sums(of: Trades) -> dict[tuple[str, str], float | None]:
    symbols = [of.symbol] * len(of) if of.symbols is None else of.symbols.tolist()
    money = [""] * len(of) if of.currencies is None else of.currencies.tolist()
    sums: dict[tuple[str, str], float] = {}
    for symbol, currency, pnl in zip(symbols, money, of.pnl.tolist(), strict=True):
        sums[symbol, currency] = sums.get((symbol, currency), 0.0) + pnl
    return {key: None if math.isnan(total) else total for key, total in sums.items()}


def _same(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=0.0)


def _apart(one: Earned) -> float:
    return abs((one.b or 0.0) - (one.a or 0.0))
