"""List the runs, newest first, from the ledger and the manifests.

A run_id may be shortened wherever one is asked for, as long as it fits one run only.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--full", action="store_true", help="print whole run_ids")
    parser.add_argument("--limit", type=script.count, metavar="N", help="only the newest N")
    args = parser.parse_args()

    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.shown import listing

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    run_dir.warn_unfinished(results)
    found = listing.rows(results)[: args.limit]
    if args.json:
        script.print_json([row.to_json_object() for row in found])
    elif found:
        script.show(listing.as_table(found, full=args.full))
    else:
        script.note(f"no runs in {results.path.name}/; just run config/my_strategy.toml makes one")
    return 0


if __name__ == "__main__":
    script.run(main)
