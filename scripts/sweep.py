"""Run a config, or any command, with many combinations of values, sealed as one parent run with a row a trial.

Of a command (`just sweep --grid fast=5:50:5 -- python mine.py --fast {fast}`) each trial is recorded. The same command
goes on where it stopped, and does nothing where all is there. The last line of stdout is the run_id of the parent;
everything else goes to stderr. Exit 0: sealed, or it was. 1: it failed. 2: wrong config, data, grid or usage. 130:
interrupted, and what is done is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True, usage="%(prog)s CONFIG --grid KEY=a:b:step [OPTION…] [-- COMMAND…]")
    parser.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="the config's TOML file")
    script.sweep_options(parser)
    script.command_options(parser)
    parser.add_argument("--again", action="store_true", help="make a sweep that is sealed once more")
    parser.add_argument("--abandon", metavar="RUN", help="give a sweep up that stopped: sealed as failed, and counted")
    parser.add_argument("--tracking", choices=("off", "auto", "strict"), help="override tracking.mode")
    parser.add_argument("--json", action="store_true", help="print what `just show --json` does instead of the run_id")
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary on stderr")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    args, command = parser.parse_args(words[:at]), words[at + 1 :] if "--" in words else None
    if [args.config, args.abandon, args.join, command].count(None) != 3:
        parser.error("a sweep takes a CONFIG, or a command after `--`, or --join PARENT, or --abandon RUN")
    if command is not None and args.set:
        parser.error("--set changes a config, and a command has none")
    script.under_telemetry()
    if command is None:
        script.one_thread()
    result = script.claim_stdout()
    with script.loading():
        from peak_trade import config, runner, sweep, tracking
        from peak_trade.evidence.results import Results
        from peak_trade.record import asked
        from peak_trade.shown import listing
        from peak_trade.trust.luck import beforehand
    script.show_warnings()
    root, results = script.repo_root(), script.results_dir(args.results_dir).absolute()
    if args.abandon:
        script.show(sweep.abandon(args.abandon, Results(results)).name, result)
        return 0
    wish, work = sweep.of_options(sweep.Wish, vars(args)), sweep.of_options(sweep.Work, vars(args))
    heard = None if args.quiet else sweep.Telling(lambda one: beforehand.sentences(Results(results), one))
    told: dict[str, Any] = {"work": work, "results": results, "argv": words[:at], "heard": heard}
    if args.join:
        run_dir, source = sweep.join(args.join, root=root, **told)
        tracker = source and tracking.tracker(source.config.tracking, root)
    elif command is None:
        source = config.load(args.config, [*args.set, *([f"tracking.mode={args.tracking}"] if args.tracking else [])])
        tracker = tracking.tracker(source.config.tracking, root)
        run_dir = sweep.sweep(source, wish, root=root, again=args.again, **told)
    else:
        tracker = tracking.tracker(config.Tracking(mode=args.tracking or "off"), root)
        run_dir = sweep.sweep_command(asked.order(command, vars(args) | {"json": None}), wish, again=args.again, **told)
    script.print_json(listing.describe(run_dir), result) if args.json else script.show(run_dir.name, result)
    if not args.quiet:
        script.show(listing.summary(run_dir), sys.stderr)
    if tracker:  # else another has sealed it, who tracks it
        tracker.log(run_dir)
    runner.refuse_doubtful(run_dir)
    return 0


if __name__ == "__main__":
    script.run(main)
