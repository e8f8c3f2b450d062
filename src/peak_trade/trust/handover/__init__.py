"""Runs that change hands: `packing` makes an archive, `crate` describes it, `sums` checks it, `receiving` takes it in.

An archive is an RO-Crate (1.1, profile Process Run Crate 0.5) in a zip file: `ro-crate-metadata.json`, `README.md`,
`sha256sums.txt`, a directory `runs/<run_id>/` for each run, and `data/<digest>.bars` for what they ran on.
"""

from __future__ import annotations

from peak_trade.trust.handover.crate import Sender
from peak_trade.trust.handover.packing import Exported, export, kept_of
from peak_trade.trust.handover.receiving import Received, finish, receive, whence
from peak_trade.trust.handover.sums import check

__all__ = ["Exported", "Received", "Sender", "check", "export", "finish", "kept_of", "receive", "whence"]
