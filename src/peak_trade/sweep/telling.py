"""What a person sees of a sweep: what it means before it starts, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from peak_trade.sweep.heard import Beginning, Heard
from peak_trade.terminal import progress, say, shows_progress
from peak_trade.text import counted

__all__ = ["Telling", "lasting"]

_BAR_S, _LINE_S = 0.1, 10.0  # between two bars on a terminal; between two lines where there is none


class Telling(Heard):
    """Says it on stderr: a bar on a terminal, a line every ten seconds elsewhere.

    `means` returns what there is to be said of a sweep before it starts.
    """

    def __init__(self, means: Callable[[Beginning], Sequence[str]]) -> None:
        self.means = means
        self.since, self.first, self.last, self.due = time.monotonic(), 0, -1, 0.0

    def begins(self, told: Beginning) -> None:
        """Say what the sweep means, or how far it is already."""
        for sentence in self.means(told):
            say(sentence)
        if told.done:
            say(f"goes on as {told.run_id[:8]}: {counted(told.done, 'trial')} done before")

    def done(self, done: int, failed: int, of: int) -> None:
        """Show how far a round is, at which rate, and how long it takes yet."""
        now = time.monotonic()
        if self.last < 0 or done < self.last:  # a round begins: what is done by now took no time
            self.since, self.first, self.due = now, done, now + (0.0 if shows_progress() else _LINE_S)
        self.last, made, took = done, done - self.first, now - self.since
        if now < self.due and done < of:
            return
        rate = made / took if made and took > 0.0 else 0.0
        what = f"trials{f', {failed:,} failed' if failed else ''}"
        what += f", {rate:,.{0 if rate >= 10 else 1}f}/s, {lasting((of - done) / rate)} left" if rate else ""
        if shows_progress():
            progress(done, of, what)
            self.due = now + _BAR_S
        elif done < of:
            say(f"{done:,} of {of:,} {what}")
            self.due = now + _LINE_S

    def keeps(self, made: int, of: int) -> None:
        """Show how many runs are kept."""
        progress(made, of, "kept runs")

    def is_there(self, run_id: str) -> None:
        """Say that there is nothing to be done."""
        say(f"nothing to do: the same command has sealed {run_id[:8]}; --again makes it once more")


def lasting(seconds: float) -> str:
    """Return a time for people.

    >>> lasting(7.2), lasting(187), lasting(7300)
    ('7 s', '3:07 min', '2:01 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"
