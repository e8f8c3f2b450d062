"""Show one run: its status, strategy, bars, statistics, costs, where it came from and where it is tracked.

RUN is a run_id, a unique start of one, `last` (the run that was sealed last, by the ledger), or the path of a run's
directory or of an archive of runs.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()

    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.shown import listing
    from peak_trade.tracking import condition, receipt
    from peak_trade.tracking.store import Store
    from peak_trade.trust.handed import handed
    from peak_trade.trust.handover import whence
    from peak_trade.trust.proofs import told

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    run_dir.warn_unfinished(results)
    with handed(args.run, results) as given:
        tracked = receipt.read(given.run)
        since = condition.since(tracked, Store.of(script.repo_root())) if tracked else ""
        if args.json:
            run = listing.describe(given.run) | {"tracking": tracked and tracked.to_json_object() | {"since": since}}
            anchor = told.anchored(results, given.run.name) or None
            script.print_json(run | {"signed": told.signed(given.run), "anchored": anchor})
        else:
            more = (
                [("tracking", tracked.said().removeprefix("tracking ") + (since and f"; {since}"))] if tracked else []
            )
            if said := whence(results.reading().of(given.run.name)):
                more.append(("received", said))
            if keys := told.signed(given.run):
                more.append(("signed", f"by {', '.join(keys)}; just verify checks it"))
            if by := told.anchored(results, given.run.name):
                more.append(("anchored", f"by {by}, with the ledger; just verify --all checks it"))
            script.show(listing.summary(given.run, more))
    return 0


if __name__ == "__main__":
    script.run(main)
