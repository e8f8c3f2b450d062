"""A run made again, and held against what was sealed: IDENTICAL, WITHIN_TOLERANCE or DIVERGED.

In reading order: `recorded` is a run as far as it can be made again, `data` finds its bars and holds them against their
fingerprint, `order` lays out what is to be made, `apart` makes it in a process of its own, `environment` is the
throw-away one of the recorded versions, `replay` does it all and says what came of it, `golden` keeps runs for good.

A replay is no trial: it is made in a folder of its own, and `results/` gets one line in the ledger that says so.
"""

from peak_trade.trust.replay.replay import Replay, note, opened, replay

__all__ = ["Replay", "note", "opened", "replay"]
