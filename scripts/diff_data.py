"""Show which bars were added, removed or revised from A to B, day by day (of UTC), and by how much.

A and B are each a file of bars or a pattern, a run (run_id, its start, or `last`), or lake:SYMBOL/TIMEFRAME[/SOURCE].
A run whose own file has changed since is compared by its fingerprint: which days or months differ.
Exit 0: the same. 1: they differ. 2: something is not there or can't be read.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True, lake=True)
    parser.add_argument("a", metavar="A", help="what was")
    parser.add_argument("b", metavar="B", help="what is")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="X", help="least change, as a fraction (0)")
    parser.add_argument("--days", type=script.count, default=20, metavar="N", help="how many days to list (20)")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument(
        "--on-violation",
        choices=("reject", "drop-rows", "warn"),
        help="what becomes of a file's rows against the contract",
    )
    parser.add_argument("--symbol", default="", help="which of the symbols of a file")
    script.reading_options(parser)
    args = parser.parse_args()

    import msgspec

    from peak_trade import config
    from peak_trade.data import difference
    from peak_trade.data.lake import query

    script.show_warnings()
    if not 0 <= args.tolerance < 1:
        parser.error(f"--tolerance {args.tolerance:g} is not from 0 up to 1")
    keys = script.reading_keys(args)
    places = difference.Places(script.results_dir(args.results_dir), query.lake_dir(args.lake_dir), script.repo_root())
    reading = config.reading(keys) if keys else None
    a, b = difference.sides(args.a, args.b, places, reading=reading, on_violation=args.on_violation, symbol=args.symbol)
    for text in dict.fromkeys((*a.said, *b.said)):
        script.note(text)
    found = difference.compare(a, b, args.tolerance)
    if args.json:
        script.print_json({"a": a.summary(), "b": b.summary()} | msgspec.to_builtins(found))
    else:
        script.show(difference.as_text(a, b, found, args.days))
    return 0 if found.same else 1


if __name__ == "__main__":
    script.run(main)
