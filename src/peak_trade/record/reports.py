"""What a report says above its tables: labels that end with a colon, each with its figure behind it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from peak_trade.record.parts import Part
from peak_trade.record.sheets import LARGEST

__all__ = ["told"]

_FIGURES = 200
_WORDS = {"Expert": "strategy", "Symbol": "symbol", "Period": "timeframe", "Currency": "currency"}
_FRAMES = {"M1": "1m", "M5": "5m", "M15": "15m", "M30": "30m", "H1": "1h", "H4": "4h", "D1": "1d", "W1": "1w"}


def told(rows: Sequence[Sequence[str]], part: Part) -> None:
    """Take the figures that a report has above its tables to `part.own`, and what it calls strategy and symbol."""
    own: dict[str, object] = {}
    for row in rows[:400]:
        cells = [cell for cell in row if cell.strip()]
        for label, value in pairwise(cells):
            name = label.strip().removesuffix(":")
            if not label.strip().endswith(":") or value.strip().endswith(":") or len(own) >= _FIGURES:
                continue
            if name in _WORDS:
                _word(part, _WORDS[name], value.strip())
            elif (number := _number(value)) is not None:
                own.setdefault(name[:100], number)
            elif name[:1].isalpha() and len(value) < 60 and value[:1].isdigit():
                own.setdefault(name[:100], value.strip())
    part.own = {**own, **part.own}
    deposit = own.get("Initial Deposit")
    if part.initial_cash is None and isinstance(deposit, float):
        part.initial_cash = deposit


def _word(part: Part, what: str, text: str) -> None:
    if what == "symbol":
        part.symbols = part.symbols or (text[:60],)
    elif what == "timeframe":
        part.timeframe = _FRAMES.get(text.partition(" ")[0], "")
    else:
        setattr(part, what, text[:100])


def _number(text: str) -> float | None:
    plain = text.strip().replace("\u00a0", "").replace(" ", "")
    try:
        number = float(plain)
    except ValueError:
        return None
    return number if abs(number) < LARGEST else None
