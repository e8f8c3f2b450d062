"""Check everything in the lake: files against their digests, contracts, gaps, and the tables against each other.

Each finding is one line: table, file, row, what is wrong. A run that the results never had is one (of a lake that
--lake-dir names only where --results-dir says whose it is). Gaps are shown and are no finding.
Exit 0: all is as it must be. 1: something is not.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True, lake=True)
    parser.add_argument("--json", action="store_true", help="print findings and gaps as JSON")
    args = parser.parse_args()

    from peak_trade.data.lake import query

    query.require()
    import msgspec

    from peak_trade.data.lake import check
    from peak_trade.evidence.results import Results

    script.show_warnings()
    own = args.results_dir or not args.lake_dir  # a lake elsewhere is of results elsewhere
    results = Results(script.results_dir(args.results_dir)) if own else None
    checked = check.check(query.lake_dir(args.lake_dir), results)
    if args.json:
        script.print_json(msgspec.to_builtins(checked))
    else:
        script.show(checked.as_text())
    return 1 if checked.findings else 0


if __name__ == "__main__":
    script.run(main)
