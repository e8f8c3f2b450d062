"""Make the synthetic sample bars again, and print each file's sha256, which stands in data/samples/README.md.

With --arch DIR (the folder `arch/data` of an installed PyPI package arch 8.0.0) the real daily bars are converted too.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import math
from pathlib import Path
from random import Random

from peak_trade import script

SAMPLES = Path("data/samples")
HEADER = "timestamp,open,high,low,close,volume\n"
SYNTHETIC_START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--arch", metavar="DIR", type=Path, help="convert the real bars from here")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write (default: data/samples)")
    args = parser.parse_args()
    out = args.out or script.repo_root() / SAMPLES
    texts = {"BTCUSDT_1h_synthetic.csv": synthetic_hours(bars=10_000, seed=20240101)}
    for name in ("sp500", "nasdaq") if args.arch else ():
        texts[f"{name}_daily.csv"] = from_arch((args.arch / name / f"{name}.csv.gz").read_bytes())
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
        script.show(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}")
    return 0


def from_arch(data: bytes) -> str:
    """Return arch's bars as ours: ISO dates, no adjusted close, every number with the digits it came with."""
    rows = csv.DictReader(io.StringIO(gzip.decompress(data).decode()))
    lines = [
        ",".join((_iso_date(row["Date"]), row["Open"], row["High"], row["Low"], row["Close"], row["Volume"]))
        for row in rows
    ]
    return HEADER + "\n".join(lines) + "\n"


def synthetic_hours(*, bars: int, seed: int) -> str:
    """Return a random walk of hourly bars whose volatility clusters: no market's data.

    Returns follow a GARCH(1, 1) with a standard deviation of 0.6 % an hour in the long run. Only sums of integers and
    single operations and square roots of floats are used, which are defined to the last bit: every machine and every
    Python writes the same bytes (`sum` of floats has changed in 3.12, and `log` or `cos` are the C library's).
    """
    random = Random(seed)
    steps, long_run = 12, 0.006**2
    price, variance = 42_000.0, long_run
    lines = []
    for hour in range(bars):
        path = [price]
        for _ in range(steps):
            normal = sum(random.getrandbits(32) for _ in range(12)) / 2**32 - 6  # mean 0, variance 1
            path.append(path[-1] * (1 + normal * math.sqrt(variance / steps)))
        move = path[-1] / price - 1
        prices = ",".join(f"{value:.2f}" for value in (price, max(path), min(path), path[-1]))
        volume = (0.5 + random.random()) * 800 * math.sqrt(variance / long_run)
        lines.append(f"{SYNTHETIC_START + dt.timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},{prices},{volume:.3f}")
        variance = 0.03 * long_run + 0.09 * move * move + 0.88 * variance
        price = path[-1]
    return HEADER + "\n".join(lines) + "\n"


def _iso_date(american: str) -> str:
    month, day, year = american.split("/")
    return f"{year}-{month:0>2}-{day:0>2}"


if __name__ == "__main__":
    script.run(main)
