"""Show what differs between runs, and what most likely explains it: inputs, statistics, first bar and first trade.

RUN is a run_id, a unique start of one, `last`, or the path of a run directory or of an archive, all of whose runs are
taken; all are held against the first, A.
A value differs where it moved by more than `--tolerance`, a fraction of the larger one.
With --live a run is held against a list of trades that were made: of a broker, an exchange, or freqtrade.
Exit 0: compared. 1: with --exit-code, statistics, bars or trades differ. 2: something can't be read or written.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from peak_trade import script
from peak_trade.errors import InputError, RunError


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the runs, the first of which is A")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="X", help="what may differ, as a fraction (0)")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 where they differ")
    parser.add_argument("--all", action="store_true", help="all that differs, however long")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument("--html", nargs="?", const="", metavar="FILE", help="write a page, by default beside the runs")
    parser.add_argument("--open", action="store_true", help="open that page in the browser")
    script.list_options(parser)
    args = parser.parse_args()
    if not 0 <= args.tolerance < 1:
        parser.error(f"--tolerance {args.tolerance:g} is not from 0 up to 1")
    if args.html and Path(args.html).suffix not in (".html", ".htm"):  # `compare --html A B` means no file A
        parser.error(f"--html {args.html} is no page: a FILE ends with .html, and --html alone comes last")
    keys = script.list_keys(args)

    with script.loading():
        from peak_trade.evidence.results import Results
        from peak_trade.trust import compare, difference, live
        from peak_trade.trust.handed import package

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    with ExitStack() as stack:
        try:
            given = [one for which in args.runs for one in stack.enter_context(package(which, results)).runs]
            runs = [difference.read(one.run) for one in given]
            if len(runs) != 1 if args.live else len(runs) < 2:
                parser.error("--live takes one run" if args.live else "it takes two runs, or --live FILE")
            root, data = script.repo_root(), {run: one.data for run, one in zip(runs, given, strict=True)}
            found: Any
            if args.live:
                keys |= {"bars": data[runs[0]], "tolerance": args.tolerance}
                found = live.against_file(runs[0], args.live, root, **keys)
            else:
                found = compare.compare(runs, args.tolerance, lambda run: difference.bars_of(run, root, data[run]))
            told = found.to_json_object() if args.json else {}
            text = "" if args.json else (live if args.live else compare).as_text(found, every=args.all)
            if args.html is not None or args.open:
                from peak_trade.report import against, comparison, render

                write: Any = against.write if args.live else comparison.write
                path = write(found, results, Path(args.html) if args.html else None)
                told, text = told | {"html": str(path)}, str(path)
                if args.open:
                    render.show(path)
        except RunError as error:  # what can't be read is no difference
            raise InputError(error.message, hint=error.hint) from None
    if args.json:
        script.print_json(told)
    else:
        script.show(text, exact="html" in told)
    return int(args.exit_code and not found.same)


if __name__ == "__main__":
    script.run(main)
