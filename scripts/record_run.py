"""Run any command, in whatever engine, and leave sealed evidence of it in results/<run_id>/.

The command runs as it would without: its output passes through and is kept, its exit code and signals are this one's.
The last line of stderr is the run_id. Exit 124: the time was up. 126, 127: it can't be run, or is not there, and no
evidence is left. 2: wrong usage.
"""

from __future__ import annotations

import os
import sys

from peak_trade import script, supervisor


def main() -> int:
    parser = script.parser(__doc__, results=True, usage="%(prog)s [OPTION…] -- COMMAND…")
    parser.add_argument("--name", default="", help="what the run is called in lists")
    parser.add_argument("--tag", action="append", default=[], metavar="K=V", help="a tag of the run")
    parser.add_argument("--input", nargs="+", action="extend", default=[], metavar="FILE", help="a file that it reads")
    parser.add_argument(
        "--collect", nargs="+", action="extend", default=[], metavar="ROLE=GLOB",
        help="keep files that it leaves: equity=, trades=, returns= or output=",
    )  # fmt: skip
    parser.add_argument("--engine", default="auto", metavar="NAME", help="auto, off, or the one engine to watch for")
    parser.add_argument("--pick", default="last", metavar="TRIAL", help="which is the run: last, best:STAT or an index")
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="end it, and all that it has started, after S seconds"
    )
    parser.add_argument("--run-id", metavar="UUID4", help="the run's id (default: $PEAK_RUN_ID, else a new one)")
    parser.add_argument("--tracking", choices=("off", "auto", "strict"), default="off", help="log the run to MLflow")
    parser.add_argument(
        "--json", metavar="FILE", help="write what `just show --json` does; -: to stdout, the command's to stderr"
    )
    parser.add_argument("--quiet", action="store_true", help="no summary on stderr, the run_id alone")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:at])
    script.under_telemetry()

    from peak_trade.record import asked, command

    script.show_warnings()
    order = asked.order(words[at + 1 :], vars(args))
    results = script.results_dir(args.results_dir).absolute()
    path, ended = command.record(
        order, results=results, run_id=args.run_id or os.environ.get("PEAK_RUN_ID"), argv=sys.argv[1:]
    )
    from peak_trade.shown import listing

    if not args.quiet:
        script.show(listing.summary(path), sys.stderr)
    script.show(path.name, sys.stderr)
    if ended.exit_code < 0:
        sys.stdout.flush()
        supervisor.end(ended.exit_code)
    return ended.exit_code


if __name__ == "__main__":
    script.run(main)
