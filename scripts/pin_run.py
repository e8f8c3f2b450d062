"""Pin runs, so that no clean-up removes them; print their run_ids.

RUN is a run_id, a unique start of one, or `last`. A pin is a file in results/.pins/: the run itself stays as sealed.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="which runs")
    parser.add_argument("--remove", action="store_true", help="take the pins away")
    parser.add_argument("--list", action="store_true", help="list the pinned runs")
    parser.add_argument("--json", action="store_true", help="with --list: print a JSON list")
    args = parser.parse_args()
    if args.list == bool(args.runs):
        parser.error("either RUN or --list is needed")

    from peak_trade.evidence import pins
    from peak_trade.evidence.results import Results
    from peak_trade.shown import listing

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    change = pins.unpin if args.remove else pins.pin
    for which in args.runs:
        script.show(change(results, which))
    if args.list:
        pinned = [row for row in listing.rows(results) if row.pinned]
        if args.json:
            script.print_json([row.to_json_object() for row in pinned])
        elif pinned:
            script.show(listing.as_table(pinned))
        else:
            script.note("no run is pinned; just pin RUN pins one")
    return 0


if __name__ == "__main__":
    script.run(main)
