"""Bars that came with a run: files in a folder, each named by the digest of what is in it.

An archive has such a folder, and a results folder that runs were received in. Nothing in such a file is parsed or
unpacked: it is what the fingerprint of the bars is the sha256 of, and its size follows from their number.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from peak_trade.errors import RunError
from peak_trade.evidence import door
from peak_trade.market import fingerprint
from peak_trade.market.bars import Bars

__all__ = ["SUFFIX", "name_of", "read"]

SUFFIX = ".bars"


def name_of(digest: str) -> str:
    """Return what the file of bars with this fingerprint is called."""
    return f"{digest}{SUFFIX}"


def read(folder: Path, digest: str, rows: int) -> Bars | None:
    """Return the bars with this fingerprint, of which there are so many; None where no file is called so.

    Raises RunError where what is called so is something else, OSError where it can't be read.
    """
    name = name_of(digest)
    if not door.exists(folder, name):
        return None
    content = door.read(folder, name, fingerprint.bytes_of(rows))
    if (found := hashlib.sha256(content).hexdigest()) != digest:
        raise RunError(f"{name} has the sha256 {found}")
    return fingerprint.parse(content)
