"""`python -P -m peak_trade.tracking RUN_DIR ROOT` logs one run, apart from the process that made it."""

from __future__ import annotations

import sys
from pathlib import Path

from peak_trade.tracking.batch import track
from peak_trade.tracking.store import Store

if __name__ == "__main__":
    list(track([Path(sys.argv[1])], Store.of(Path(sys.argv[2]))))
