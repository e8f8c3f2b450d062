"""Try bytes of all kinds on what reads a stranger's files, until one lets another error out than the house's.

TARGET is `import`, `toml`, `csv`, `parquet`, `series`, `trades`, `manifest`, `ledger`, `otlp` or `run` (a file of a run
directory). Atheris chooses the bytes by what they reach, where it is installed (`uv pip install atheris`); elsewhere
hypothesis changes what the files should look like. What was found is printed, as short as it could be made.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

from peak_trade import script
from peak_trade.errors import InputError, did_you_mean


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("target", metavar="TARGET", help="what to try")
    parser.add_argument("--seconds", type=script.count, default=60, metavar="N", help="for how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="where chance begins (default: 0)")
    parser.add_argument("--no-atheris", action="store_true", help="use hypothesis where atheris is installed too")
    args = parser.parse_args()
    if args.no_atheris or importlib.util.find_spec("atheris") is None:
        import drivers
        import targets
    else:
        import atheris

        with atheris.instrument_imports(include=["peak_trade"]):
            import drivers
            import targets
    if args.target not in targets.TARGETS:
        raise InputError(f"unknown target {args.target!r}", hint=did_you_mean(args.target, targets.TARGETS))
    target, seeds = targets.TARGETS[args.target], targets.seeds(args.target)
    if "atheris" in sys.modules:
        with tempfile.TemporaryDirectory() as corpus:
            drivers.by_atheris(target, seeds, seconds=args.seconds, seed=args.seed, corpus=Path(corpus))
    tried = drivers.by_hypothesis(target, seeds, seconds=args.seconds, seed=args.seed)
    script.show(f"{tried:,} inputs in {args.seconds} s: nothing found")
    return 0


if __name__ == "__main__":
    script.run(main)
