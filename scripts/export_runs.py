"""Pack runs into one archive that a stranger can check: an RO-Crate in a zip file, whose README says how.

RUN is a run_id, a unique start of one, `last`, or the path of a run's directory. Only what is intact is packed, and the
same runs give the same bytes. The last line of stdout is the path of the archive; `just verify ARCHIVE` checks it.
Exit 0: written. 1: a run is not what was sealed. 2: no such run, or its bars are not there any more.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="which runs (default: last)")
    parser.add_argument("--with-data", action="store_true", help="add the bars that the runs used")
    parser.add_argument("--with-kept", action="store_true", help="add the runs that were kept of sweeps among them")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it here (default: run-<run_id>.zip)")
    parser.add_argument("--author", default="", metavar="NAME", help="who hands the runs over (default: not said)")
    parser.add_argument("--author-url", default="", metavar="URL", help="where to find them")
    parser.add_argument("--license", default="", metavar="URL", help="what the receiver may do (default: not said)")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON instead of the path")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.trust.handed import package
    from peak_trade.trust.handover import Sender, export, kept_of

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    with ExitStack() as stack:
        given = [run for name in args.runs or ["last"] for run in stack.enter_context(package(name, results)).runs]
        if args.with_kept:
            kept = kept_of(given, results)
            given += [run for run_id in kept for run in stack.enter_context(package(run_id, results)).runs]
        root = script.repo_root() if args.with_data else None
        sender = Sender(args.author, args.author_url, args.license)
        done = partial(script.progress, what="runs")
        made = export(given, results, args.output, root=root, sender=sender, progress=done)
    script.progress()
    for run_id in made.without:
        script.warn(f"{run_id[:8]} brings no bars along: it failed, or another program had them")
    if args.json:
        script.print_json(made.to_json_object())
    else:
        script.note(f"{len(made.runs)} run{'s' * (len(made.runs) != 1)}, {made.bytes:,} bytes, sha256 {made.sha256}")
        script.show(str(made.archive), exact=True)
    return 0


if __name__ == "__main__":
    script.run(main)
