"""Files of bars that came with runs, in `results/.bars/`: which of them no run names any more, and their removal."""

from __future__ import annotations

import fcntl
import re
from contextlib import suppress

from peak_trade.evidence import door, manifest
from peak_trade.evidence.ledger import REMOVED
from peak_trade.evidence.results import BARS, IMPORTING, Results

__all__ = ["remove", "unnamed"]

_FILE = re.compile(r"([0-9a-f]{64})\.bars")


def unnamed(results: Results, going: frozenset[str] = frozenset()) -> dict[str, int]:
    """Return digest → bytes of the bars that no run names, without those of `going`; one that can't be asked names all.

    What has another name than bars have, or is no file, is none of them.
    """
    with suppress(OSError):
        entries = [entry for entry in door.entries(results.path, BARS) if entry.is_file]
        there = {match[1]: entry.size for entry in entries if (match := _FILE.fullmatch(entry.name))}
        return {digest: size for digest, size in there.items() if not _is_named(results, digest, going)}
    return {}


def _is_named(results: Results, digest: str, going: frozenset[str]) -> bool:
    runs = results.reading().runs
    if any(
        digest in (history.fields.get("data"), history.fields.get("benchmark"))
        for run_id, history in runs.items()
        if history.state != REMOVED and run_id not in going
    ):
        return True
    for path in results.runs():  # of which the ledger tells no bars: of old, or put there by somebody
        history = runs.get(path.name)
        if path.name in going or (history and history.fields.get("data") and history.state != REMOVED):
            continue
        try:
            if digest.encode() in door.read(path, manifest.NAME):
                return True
        except FileNotFoundError:  # what goes on, or has just been removed
            continue
        except OSError:
            return True
    return False


def remove(results: Results, digest: str) -> str:
    """Delete the bars of this digest, which no run may name by now; return what went wrong, empty where they are gone.

    Runs that are being received wait meanwhile: their bars come before their line in the ledger.
    """
    try:
        with door.folder(results.path.resolve(), IMPORTING, make=True) as importing:
            fcntl.flock(importing, fcntl.LOCK_EX)
            if digest not in unnamed(results):
                return "a run names them"
            with door.folder(results.path.resolve(), BARS) as folder:
                door.remove(folder, f"{digest}.bars")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"not finished: {error.strerror}"
    return ""
