"""A run made again, and held against what was sealed: IDENTICAL, WITHIN_TOLERANCE or DIVERGED.

In reading order: `recorded` is a run as far as it can be made again, `data` finds its bars and holds them against their
fingerprint (`days` tells on which days they are others), `order` lays out what is to be made (`beside` has what lies by
the code), `apart` makes it in a process of its own, `environment` is the throw-away one of the recorded versions,
`held` says what came of it, `replay` does it all, `golden` keeps runs for good.

A replay is no trial: it is made in a folder of its own, and `results/` gets one line in the ledger that says so.
"""

from peak_trade.trust.replay.replay import Replay, note, opened, replay

__all__ = ["Replay", "note", "opened", "replay"]
