"""A run that is made in an environment of its own: `python -m peak_trade.trust.replay ORDER DESCRIPTOR`."""

from __future__ import annotations

import sys
from pathlib import Path

from peak_trade.trust.replay import apart
from peak_trade.trust.replay.order import Order

if __name__ == "__main__":
    apart.report(Order.decode(Path(sys.argv[1]).read_bytes()).make, int(sys.argv[2]))
