"""Runs that change hands: `export` packs an archive, which `crate` describes; `check` looks at one, `receive` takes it.

An archive is an RO-Crate (1.1, profile Process Run Crate 0.5) in a zip file: `ro-crate-metadata.json`, `README.md`,
`sha256sums.txt`, a directory `runs/<run_id>/` for each run, and `data/<digest>.bars` for what they ran on.
"""

from __future__ import annotations

from peak_trade.trust.handover.check import check

__all__ = ["check"]
