"""Bring files of bars into the lake, after the OHLCV contract.

Bars that are there already add nothing; a bar whose values have changed is kept as a revision, and reported. Bars that
look like another instrument's are refused, all of them: more than --max-revised of those in common have other values,
or a price moves as no split explains. --revise takes them. A last bar that is not over yet is left out.
Exit 0: done. 2: refused, nothing has changed.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file or a pattern such as bars/*.csv")
    parser.add_argument("--symbol", required=True, help="what is traded, such as BTCUSDT")
    parser.add_argument("--timeframe", required=True, help="time from bar to bar: 30s, 5m, 1h, 1d, 1w, 1M")
    parser.add_argument("--source", required=True, help="where the bars come from, in your words")
    parser.add_argument("--calendar", help="24/7, 24/5 or an exchange, to count gaps against")
    parser.add_argument("--on-violation", default="reject", help="reject (the default), or drop-rows")
    parser.add_argument("--revise", action="store_true", help="take bars that look like another instrument's as well")
    parser.add_argument(
        "--max-revised",
        type=float,
        metavar="SHARE",
        help="of the bars in common, how many may have other values (default: $PEAK_LAKE_MAX_REVISED, else 0.05)",
    )
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    script.reading_options(parser)
    args = parser.parse_args()

    from peak_trade.data.lake import query
    from peak_trade.errors import InputError

    query.require()
    if not args.source.strip():
        raise InputError("the source is empty: bars are known by it", hint="--source NAME, in your words")
    import msgspec

    from peak_trade import config
    from peak_trade.data.lake import ingest

    script.show_warnings()
    done = ingest.ingest_files(
        query.lake_dir(args.lake_dir),
        args.files,
        symbol=args.symbol,
        timeframe=args.timeframe,
        source=args.source,
        calendar=args.calendar,
        on_violation=args.on_violation,
        reading=config.reading(script.reading_keys(args)),
        revise=args.revise,
        max_revised=args.max_revised,
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    for assumption in done.assumptions:
        script.note(assumption)
    for text in done.warnings():
        script.warn(text)
    script.note(f"{done.as_text()}, in {done.seconds:.1f} s")
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
