"""Run any command, in whatever engine, and leave sealed evidence of it in results/<run_id>/.

The command runs as it would without: what it says passes through and is kept, its exit code or signal is this one's.
The last line of stderr is the run_id; `--json FILE` writes all that is known of the run.
Exit 124: the time was up. 126, 127: the command can't be run, or is not there, and no evidence is left; 2: wrong usage.
"""

from __future__ import annotations

import sys

from peak_trade import script, supervisor
from peak_trade.errors import InputError, PeakError


def main() -> int:
    parser = script.parser(__doc__, results=True, usage="%(prog)s [OPTION…] -- COMMAND…")
    parser.add_argument("--name", default="", metavar="TEXT", help="what lists call the run")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a tag of the run")
    parser.add_argument("--input", nargs="+", action="extend", default=[], metavar="FILE", help="what it reads")
    roles = "keep what it leaves elsewhere: equity=, trades=, returns= or output= and a pattern"
    parser.add_argument("--collect", nargs="+", action="extend", default=[], metavar="ROLE=GLOB", help=roles)
    parser.add_argument("--engine", default="auto", metavar="NAME", help="auto, off, or the one to watch for")
    parser.add_argument(
        "--pick", default="last", metavar="TRIAL", help="the trial that is the run: last, best:STAT, 0…"
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="end it, and all it has started, after S seconds")
    parser.add_argument("--run-id", metavar="UUID4", help="the run's id (default: $PEAK_RUN_ID, else a new one)")
    parser.add_argument("--tracking", choices=("off", "auto", "strict"), default="off", help="log the run to MLflow")
    to = "write what `just show --json` prints; with - to stdout, and what the command says there to stderr"
    parser.add_argument("--json", metavar="FILE", help=to)
    parser.add_argument("--quiet", action="store_true", help="no summary on stderr, the run_id alone")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    try:
        args = parser.parse_args(words[:at])
    except InputError as error:
        if "--" not in words and not error.hint.startswith("did you mean"):
            error.hint = "`--` goes before the command: just record -- python my_backtest.py"
        raise
    script.under_telemetry()
    sys.argv[1:] = words[:at]  # the rest is not for us: `--debug`, say

    from peak_trade.record import asked, command

    script.show_warnings()
    order, results = asked.order(words[at + 1 :], vars(args)), script.results_dir(args.results_dir).absolute()
    run_id = script.given_run_id()
    try:
        done = command.record(
            order, results=results, run_id=args.run_id or run_id, argv=words, out=2 if args.json == "-" else 1
        )
    except PeakError as error:
        script.name_run(error, args.results_dir)
        raise
    from peak_trade.record import telling  # the command has run

    told = {"json": args.json, "tracking": args.tracking, "quiet": args.quiet}
    code = telling.tell(done, root=script.repo_root(), **told)
    return code if code >= 0 else supervisor.end(code)


if __name__ == "__main__":
    script.run(main)
