"""Run a sealed run again, and say whether the same comes of it: IDENTICAL, WITHIN_TOLERANCE or DIVERGED.

RUN is a run_id, a unique start of one, `last`, or a path to a run's directory or an archive, anywhere.
It is made from its sealed config and code, on its data, in a folder that is thrown away; the ledger notes it, and it is
no trial. A stranger's run brings its code along: read code/ before you run it.
Of a sweep the chosen trial and some drawn from the others are made again, or those that --trial names, and held against
their rows.
A recorded command is run in a folder of its sealed code and the files that it read: what it reached beside them is
named, and makes another answer UNKNOWN. Of an imported run its files are read again.
Exit 0: IDENTICAL, or WITHIN_TOLERANCE (1e-9). 1: DIVERGED, or UNKNOWN. 2: it can't be made again.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", help="which run")
    parser.add_argument(
        "--code", choices=("sealed", "here"), default="sealed", help="`here`: the code of this checkout"
    )
    parser.add_argument(
        "--environment", choices=("this", "recorded"), default="this", help="`recorded`: the versions of then, by uv"
    )
    parser.add_argument("--data", action="append", default=[], metavar="FILE", help="where its bars lie now")
    parser.add_argument("--benchmark", action="append", default=[], metavar="FILE", help="where its benchmark lies now")
    parser.add_argument("--trial", nargs="+", metavar="N", help="of a sweep: which trials (3, 5-9 or all)")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    args = parser.parse_args()

    result = script.claim_stdout()  # what a strategy prints goes to stderr
    with script.loading():
        from peak_trade.evidence import run_dir
        from peak_trade.evidence.results import Results
        from peak_trade.trust import replay

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    run_dir.warn_unfinished(results)
    with replay.opened(args.run, results) as one:
        found = replay.replay(
            one.run, one.results, script.repo_root(), here=args.code == "here",
            recorded=args.environment == "recorded", paths=args.data, beside=args.benchmark, along=one.data,
            which=args.trial, tell=script.note,
        )  # fmt: skip
        if one.results is not None:
            try:
                replay.note(one.results, found)
            except OSError as error:
                script.warn(f"the ledger does not note it: {error.strerror}")
    if args.json:
        script.print_json(found.to_json_object(), result)
    else:
        script.show(found.as_text(), result)
    return found.exit_code


if __name__ == "__main__":
    script.run(main)
