"""Twelve days and four trades that are worked out by hand, without costs, from 10,000.

    bar  target  open high low close
     0     1      100  101  99  100
     1     1      100  102  99  101    long 100 at 100
     2     1      101  104 100  103
     3     1      103  110 102  109    out at 105, the target of 5 %: 500, 5 %
     4     1      109  111 108  110
     5    -1      110  112 109  111
     6    -1      111  112 109  110    short 10,500 / 111 at 111
     7    -1      110  114 109  113    out at 113.22, the stop of 2 %: -210, -2 %
     8    .5      113  114 112  113
     9     1      113  114 111  112    long 5,145 / 113 at 113
    10     1      112  113 111  112    as much more as makes it all, at 112
    11     1      112  113 111  112    the end at 112: -5,145 / 113, and 0

The last two are one position, which 113 has opened: its stop is at 110.74, its target at 118.65.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from peak_trade import config, runner

TARGET = [1, 1, 1, 1, 1, -1, -1, -1, 0.5, 1, 1, 1]
PRICES = [
    (100, 101, 99, 100), (100, 102, 99, 101), (101, 104, 100, 103), (103, 110, 102, 109), (109, 111, 108, 110),
    (110, 112, 109, 111), (111, 112, 109, 110), (110, 114, 109, 113), (113, 114, 112, 113), (113, 114, 111, 112),
    (112, 113, 111, 112), (112, 113, 111, 112),
]  # fmt: skip
STOPS = "stop_loss = 0.02\ntake_profit = 0.05"
PNL = [500.0, -210.0, -5145 / 113, 0.0]


def data(folder: Path, prices: Sequence[tuple[float, ...]]) -> Path:
    """The file of the bars, from Monday, the first of January 2024, on."""
    days = np.datetime64("2024-01-01") + np.arange(len(prices))
    rows = [f"{day}T00:00:00Z,{','.join(map(str, row))},1" for day, row in zip(days, prices, strict=True)]
    path = folder / "data.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path


def made(folder: Path, stops: str = STOPS, more: str = "", prices: Sequence[tuple[float, ...]] = PRICES) -> Path:
    """Return the directory of the run, whose data stands in `folder`; more bars begin with the targets again."""
    answer = f"np.resize(np.array({TARGET}), len(bars))"
    (folder / "hand.py").write_text(f"import numpy as np\n\n\ndef hand(bars):\n    return {answer}\n")
    (folder / "hand.toml").write_text(
        f'[data]\npath = "{data(folder, prices)}"\nsymbol = "X"\ntimeframe = "1d"\n'
        f"[execution]\nallow_short = true\n{more}\n"
        f'[strategy]\nentrypoint = "hand.py:hand"\n[stops]\n{stops}\n'
    )
    return runner.run(config.load(folder / "hand.toml", ()), root=folder, results=folder / "results")
