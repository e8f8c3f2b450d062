"""Run a config with many combinations of some of its keys, sealed as one parent run with a row a trial.

The same command goes on where it stopped, and does nothing where all is there. The last line of stdout is the run_id of
the parent; everything else goes to stderr. Exit 0: sealed. 1: it failed. 2: wrong config, data, grid or usage.
"""

from __future__ import annotations

import sys
from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True, usage="%(prog)s CONFIG --grid KEY=a:b:step [OPTION…]")
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the config's TOML file")
    parser.add_argument("--grid", action="append", default=[], metavar="KEY=…", help="vary a key: a:b:step or a,b,c")
    parser.add_argument("--random", type=script.count, metavar="N", help="so many of the combinations, by --seed")
    parser.add_argument("--seed", type=script.seed, metavar="S", help="of what is drawn (default: 0)")
    parser.add_argument("--maximize", metavar="STAT", help="what the best has most of (default: sharpe)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key for all trials")
    parser.add_argument("--jobs", type=script.count, metavar="N", help="workers (default: cores of this process)")
    parser.add_argument("--timeout", type=script.seconds, metavar="S", help="stop a trial that takes longer")
    parser.add_argument("--memory-limit", type=script.size, metavar="SIZE", help="of a worker's own memory, as 2G")
    args = parser.parse_args()
    script.one_thread()
    result = script.claim_stdout()
    with script.loading():
        from peak_trade import config, sweep
    source, options = config.load(args.config, args.set), vars(args)
    run_dir = sweep.sweep(
        source, sweep.of_options(sweep.Wish, options), work=sweep.of_options(sweep.Work, options),
        root=script.repo_root(), results=script.results_dir(args.results_dir), argv=sys.argv[1:],
    )  # fmt: skip
    script.show(run_dir.name, result)
    return 0


if __name__ == "__main__":
    script.run(main)
