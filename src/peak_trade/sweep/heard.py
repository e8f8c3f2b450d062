"""What a sweep tells while it goes on, to whom it may concern: here to nobody; a person hears of it by `telling`."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Beginning", "Heard"]


class Beginning(Struct, frozen=True):
    """A sweep that begins, or goes on, with so many of its trials `done`.

    Its trials are made on the bars of `symbol` and `timeframe` with the fingerprint `data`, which cover so many
    `years`. `trials` are those that its plan has for certain, 0 where that is not known; `most` with those that follow
    from what is chosen.
    """

    run_id: str
    symbol: str
    timeframe: str
    data: str
    years: float
    trials: int
    most: int
    done: int = 0


class Heard:
    """Does nothing with what it hears."""

    def begins(self, told: Beginning) -> None:
        """Hear of a sweep before its first trial."""

    def done(self, done: int, failed: int, of: int) -> None:
        """Hear how many trials of a round are done, how many of these failed, and how many there are."""

    def keeps(self, made: int, of: int) -> None:
        """Hear how many of the best trials are runs of their own by now."""

    def is_there(self, run_id: str) -> None:
        """Hear that the sweep is sealed already, and nothing is to be done."""
