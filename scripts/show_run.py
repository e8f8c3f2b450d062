"""Show one run: its status, strategy, bars, statistics, costs and where it came from.

RUN is a run_id, a unique start of one, or `last`: the run that was sealed last, by the ledger.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--results-dir", metavar="DIR", help="where the runs are (default: results/)")
    args = parser.parse_args()

    from peak_trade.evidence import listing, run_dir

    script.show_warnings()
    results = script.results_dir(args.results_dir)
    run_dir.warn_unfinished(results)
    found = run_dir.find(results, args.run)
    if args.json:
        script.print_json(listing.describe(found))
    else:
        print(listing.summary(found))
    return 0


if __name__ == "__main__":
    script.run(main)
