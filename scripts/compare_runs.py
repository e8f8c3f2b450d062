"""Show what differs between runs, and what most likely explains it: inputs, statistics, first bar and first trade.

RUN is a run_id, a unique start of one, `last`, or the path of a run directory; all are held against the first, A.
A value differs where it moved by more than `--tolerance`, a fraction of the larger one.
Exit 0: compared. 1: with --exit-code, statistics, bars or trades differ. 2: something can't be read.
"""

from __future__ import annotations

from contextlib import ExitStack

from peak_trade import script
from peak_trade.errors import InputError, RunError


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the runs, the first of which is A")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="X", help="what may differ, as a fraction (0)")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 where they differ")
    parser.add_argument("--all", action="store_true", help="all that differs, however long")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    args = parser.parse_args()
    if not 0 <= args.tolerance < 1:
        parser.error(f"--tolerance {args.tolerance:g} is not from 0 up to 1")

    with script.loading():
        from peak_trade.evidence.results import Results
        from peak_trade.trust import compare, difference
        from peak_trade.trust.handed import handed

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    with ExitStack() as stack:
        try:
            runs = [difference.read(stack.enter_context(handed(which, results)).run) for which in args.runs]
        except RunError as error:  # what can't be read is no difference
            raise InputError(error.message, hint=error.hint) from None
        if len(runs) < 2:
            parser.error("it takes two runs to compare")
        found = compare.compare(runs, args.tolerance)
        if args.json:
            script.print_json(found.to_json_object())
        else:
            script.show(compare.as_text(found, every=args.all))
    return int(args.exit_code and not found.same)


if __name__ == "__main__":
    script.run(main)
