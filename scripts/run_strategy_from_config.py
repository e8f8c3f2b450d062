"""Run a strategy from a TOML config and leave sealed evidence in results/<run_id>/.

The last line of stdout is the run_id, so that `id=$(just run config/my_strategy.toml)` works;
everything else goes to stderr. Exit 0: sealed. 1: the run failed, and left evidence; or it is sealed, its strategy
looks ahead, and PEAK_STRICT=1. 2: wrong config, data or usage; evidence is left where only the strategy's own code
could tell.
"""

from __future__ import annotations

import os
import sys

from peak_trade import supervisor


def main(line: supervisor.Line) -> int:
    from pathlib import Path

    from peak_trade import script

    parser = script.parser(__doc__, results=True)
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the run's TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, e.g. strategy.params.fast=10"
    )
    parser.add_argument("--run-id", metavar="UUID4", help="the run's id (default: $PEAK_RUN_ID, else a new one)")
    parser.add_argument("--tracking", choices=("off", "auto", "strict"), help="override tracking.mode")
    parser.add_argument("--json", action="store_true", help="print what `just show --json` does instead of the run_id")
    parser.add_argument("--quiet", action="store_true", help="no summary on stderr")
    args = parser.parse_args()
    script.under_telemetry()
    line.stay()

    result = script.claim_stdout()  # what a strategy prints goes to stderr
    with script.loading():  # after the arguments: --help answers at once
        from peak_trade import config, runner, tracking
        from peak_trade.errors import PeakError
        from peak_trade.shown import listing

    script.show_warnings()
    run_id = script.given_run_id()
    overrides = [*args.set, *([f"tracking.mode={args.tracking}"] if args.tracking else [])]
    root, results = script.repo_root(), script.results_dir(args.results_dir).absolute()
    source = config.load(args.config, overrides)
    tracker = tracking.tracker(source.config.tracking, root)
    try:
        run_dir = runner.run(
            source, root=root, results=results, run_id=args.run_id or run_id, argv=sys.argv[1:], line=line
        )
    except PeakError as error:
        if error.run_id:
            tracker.log_later(results / error.run_id)
        script.name_run(error, args.results_dir)
        raise
    if not script.is_open(result):  # the run is sealed all the same
        script.warn(
            f"the strategy closed stdout: the run is sealed as {run_dir.name}", hint=f"just show {run_dir.name}"
        )
    elif args.json:
        script.print_json(listing.describe(run_dir), result)
    else:
        script.show(run_dir.name, result)
    if not args.quiet:
        script.show(listing.summary(run_dir), sys.stderr)
    tracker.log(run_dir)  # the last thing: whatever comes of it, the run is sealed and its id is told
    runner.refuse_doubtful(run_dir)
    return 0


if __name__ == "__main__":
    # before all else: what this process holds by now, it and the run, which is another from here on, pay for twice
    with supervisor.stand_by(hand_on=os.environ.get("PEAK_OTEL_ENABLED") == "1") as watched:
        from peak_trade import script

        script.run(lambda: main(watched))
