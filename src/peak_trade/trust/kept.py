"""Where what a run was made from may be now: along with the run, by digest, or where its config says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from peak_trade.errors import RunError
from peak_trade.evidence import bars as came
from peak_trade.market.bars import Bars
from peak_trade.trust.verdict import Verdict

__all__ = ["Kept"]


class Kept(NamedTuple):
    """Where a run's data may be, and whether the run was made `elsewhere`: what lies here is then no part of it."""

    data: Path | None
    results: Path
    root: Path | None
    elsewhere: bool

    def differ(self, verdict: Verdict, path: str, expected: str, found: str) -> None:
        """Note data that is not what the run had."""
        if self.elsewhere:
            verdict.skip("the data", f"{path} is not what this run, made elsewhere, ran on: {found}")
        else:
            verdict.add(path, expected, found)

    def along(self, verdict: Verdict, digest: str, rows: int) -> Bars | None:
        """Return the bars of this digest that came with the run; None where none did, or what came is not they."""
        if self.data is None:
            return None
        try:
            return came.read(self.data, digest, rows)
        except OSError as error:
            verdict.add(f"{self.data.name}/{came.name_of(digest)}", f"{rows:,} bars", error.strerror)
        except RunError as error:
            verdict.add(f"{self.data.name}/{came.name_of(digest)}", f"sha256 {digest}", error.message)
        return None
