"""List what came into each series of bars, when and from where, or go back to any moment of it.

A series is named by --symbol, --timeframe and --source; each that is left out stands for all. With --to N the series
becomes what it was after its change N (0: before the first). That is a change too: what it replaces is kept, and the
same command undoes it. To go back to the last change says that the series is as it should be; `lake-check` takes that.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    for name, text in (("symbol", "BTCUSDT"), ("timeframe", "1d"), ("source", "the name it was ingested under")):
        parser.add_argument(f"--{name}", help=f"of the series, such as {text}" if name != "source" else text)
    parser.add_argument("--to", type=int, metavar="N", help="go back to the series as it was after its change N")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    args = parser.parse_args()

    from peak_trade.data.lake import query

    query.require()
    import msgspec

    from peak_trade.data.lake import history

    script.show_warnings()
    lake = query.lake_dir(args.lake_dir)
    found = history.changes_of(lake, symbol=args.symbol, timeframe=args.timeframe, source=args.source)
    if args.to is None:
        if args.json:
            script.print_json(
                [series._asdict() | {"changes": msgspec.to_builtins(own)} for series, own in found.items()]
            )
            return 0
        for series, own in found.items():
            script.show("\n".join([str(series), *(f"  {change}" for change in own)]))
        return 0
    done = history.revert(
        lake,
        history.only(found),
        args.to,
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    script.note(done.as_text())
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
