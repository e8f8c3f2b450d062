"""What `assess` finds of a run, with N, the reasons and the verdict."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from peak_trade.stats.luck.resample import Band
from peak_trade.trust.luck.family import Family, Series
from peak_trade.trust.luck.series import Gathered

__all__ = ["Luck"]


class Luck(Struct):
    """What is known of a run's luck: figures by the keys of `FIGURES`, or None with the reason; N; bands; a verdict.

    `verdict` is PASS where the deflated Sharpe ratio is 95 % or more, FAIL where it is less, UNKNOWN where it can't be
    told, NOT_ASSESSED of a run without a result. `returns` is how many there are.
    """

    run_id: str
    series: Series
    family: Family | None
    figures: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    bands: dict[str, Band] = {}
    years: float | None = None
    returns: int = 0
    verdict: str = "NOT_ASSESSED"
    said: list[str] = []
    gathered: Gathered | None = None
    drawn: int = 0
    holdout: str = ""
    probed: dict[str, Any] = {}

    def to_json_object(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "run_id": self.run_id,
            "symbol": self.series.symbol,
            "timeframe": self.series.timeframe,
            "data": self.series.data,
            "verdict": self.verdict,
            "said": self.said,
            "holdout": self.holdout,
            "family": self.family.to_json_object() if self.family else None,
            "years": self.years,
            "returns": self.returns,
            "figures": self.figures,
            "reasons": self.reasons,
            "gathered": self.gathered.to_json_object() if self.gathered else None,
            "drawn": self.drawn,
            "bands": {
                name: dict(zip(("low", "median", "high"), band, strict=True)) for name, band in self.bands.items()
            },
        }
