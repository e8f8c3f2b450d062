"""Take the runs of an archive that `just export` made into the results folder: their trials count there.

FILE is an archive, ARCHIVE/RUN one run of it, or the path of a run's directory. All of it is checked before anything is
taken, by the two lines of its own ledger that each run carries. The same again changes nothing.
Exit 0: the runs are here. 1: one of them is not what was sealed, or another is here. 2: there is none.
"""

from __future__ import annotations

from functools import partial

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("file", metavar="FILE", help="an archive of runs")
    parser.add_argument("--json", action="store_true", help="print the run_ids as JSON")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.trust.handover import receive

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    found = receive(args.file, results, partial(script.progress, what="runs"))
    script.progress()
    for run_id in found.there:
        script.note(f"{run_id} is here already")
    if args.json:
        script.print_json({"received": found.received, "there": found.there})
    else:
        for run_id in found.received:
            script.show(run_id)
    return 0


if __name__ == "__main__":
    script.run(main)
