"""Let runs see the bars that RUN, and the others on its symbol and timeframe, have held out: for good.

It is one line in the ledger, which says when, and can't be taken back. From then on `[run] holdout` holds nothing out
on that series, and a report says how many trials have seen those bars. Made again, it changes nothing.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", help="a run with a holdout, by its run_id or the start of it, or `last`")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever reads the ledger")
    parser.add_argument("--json", action="store_true", help="print what is known of the holdout as JSON")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.trust.luck import unsealing

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    done = unsealing.unseal(results, results.find(args.run), reason=args.reason)
    if args.json:
        script.print_json(done.to_json_object())
    else:
        script.show(done.as_text())
    return 0


if __name__ == "__main__":
    script.run(main)
