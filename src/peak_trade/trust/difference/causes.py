"""Which of the inputs that differ most likely explain an outcome that differs.

The outcome itself says what can have changed it: where the same trades are made at the same prices and only the fees
are others, no parameter of the strategy did that. `symptom` says in one word how two runs part, `LIKELY` which kinds of
inputs do such a thing, most likely first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from peak_trade.market.trades import Trades
from peak_trade.trust.difference.inputs import KINDS, Input
from peak_trade.trust.difference.series import Series, moved
from peak_trade.trust.difference.trades import TradesFound, pairs

__all__ = ["LIKELY", "SYMPTOMS", "Cause", "rank", "symptom"]

ROUNDING = 1e-9  # relative: what another processor or library may change

SYMPTOMS = {
    "none": "the outcome is the same",
    "rounding": "the outcome is the same up to rounding",
    "figures": "equity and trades are the same, statistics are not",
    "decisions": "other trades were made",
    "prices": "the same trades, at other prices",
    "fees": "the same trades at the same prices, at other fees",
    "size": "the same trades at the same prices, in another size",
    "holding": "the same trades, and equity that differs between them",
    "bars": "the bars are others",
    "failure": "one of them failed",
    "failures": "both failed, for other reasons",
    "failed": "both failed, for the same reason",
}
_DECIDES = (
    "repeatability",
    "strategy",
    "parameters",
    "code",
    "data",
    "trading",
    "seed",
    "rules",
    "size",
    "environment",
)
LIKELY = {
    "none": (),
    "rounding": ("environment", "rules", "code"),
    "figures": ("figures", "data"),
    "decisions": _DECIDES,
    "prices": ("repeatability", "costs", "trading", "data", "rules", "code", "parameters"),
    "fees": ("costs", "rules"),
    "size": ("repeatability", "size", "strategy", "parameters", "code", "rules", "costs", "data"),
    "holding": ("costs", "data", "rules"),
    "bars": ("data", *_DECIDES),
    "failure": ("strategy", "code", "parameters", "data", "environment", *_DECIDES),
    "failures": ("strategy", "code", "parameters", "data", "environment", *_DECIDES),
    "failed": (),
}
"""Kinds of inputs that can do what a symptom names, most likely first."""


class Cause(Struct, frozen=True):
    """An input that differs, and whether it explains the outcome: `likely`, `possible` or `no`, and `why` that is."""

    input: Input
    verdict: str
    why: str = ""


def symptom(series: Series, found: TradesFound, a: Trades, b: Trades, *, figures: bool) -> str:
    """Return in a word of `SYMPTOMS` how two runs part; `figures` tells whether statistics differ."""
    if series.same and found.same:
        return "figures" if figures else "none"
    if found.only_a or found.only_b or "exit_time" in found.columns:
        return "bars" if series.only_a or series.only_b else "decisions"
    if series.only_a or series.only_b:
        return "bars"
    both = pairs(a, b)
    prices = [(getattr(a, name)[both.a], getattr(b, name)[both.b]) for name in ("entry_price", "exit_price")]
    if any(moved(old, new, ROUNDING).any() for old, new in prices):
        return "prices"
    for fee, price in (("entry_fee", "entry_price"), ("exit_fee", "exit_price")):
        with np.errstate(all="ignore"):
            rates = [
                getattr(of, fee)[rows] / (getattr(of, price) * of.quantity)[rows]
                for of, rows in ((a, both.a), (b, both.b))
            ]
        if moved(rates[0], rates[1], ROUNDING, 1.0).any():
            return "fees"
    if moved(a.quantity[both.a], b.quantity[both.b], ROUNDING).any():
        return "size"
    return "rounding" if series.largest <= ROUNDING else "holding"


def rank(found: Sequence[Input], how: str, first: str | None) -> list[Cause]:
    """Return the inputs as causes, the likeliest first; `first` is the time of the first bar that differs."""
    likely = LIKELY[how]
    causes = []
    for one in found:
        if one.kind == "label":
            verdict, why = "no", "nothing is computed from it"
        elif not likely:
            verdict, why = "no", "the outcome is the same"
        elif one.weak:
            verdict, why = "no", one.weak
        elif one.kind == "data" and one.since and first and one.since[:10] > first[: len(one.since[:10])]:
            verdict, why = "possible", f"the runs part at {first}, before the first change, in {one.since}"
        elif one.kind not in likely:
            verdict, why = ("no" if one.kind == "figures" else "possible"), "seldom the reason for that"
        else:
            verdict, why = "likely", ""
        causes.append(Cause(one, verdict, why))
    if how != "rounding" and any(cause.verdict == "likely" and cause.input.kind != "environment" for cause in causes):
        causes = [_second(cause) if cause.input.kind == "environment" else cause for cause in causes]
    order = [*likely, *(kind for kind in KINDS if kind not in likely)]
    ranks = ("likely", "possible", "no")
    return sorted(causes, key=lambda cause: (ranks.index(cause.verdict), order.index(cause.input.kind)))


def _second(cause: Cause) -> Cause:
    """Return a cause as a possible one, where it was likely: another version seldom trades otherwise."""
    return Cause(cause.input, "possible", "something likelier differs too") if cause.verdict == "likely" else cause
