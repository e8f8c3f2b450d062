"""Say what files of bars are: their dialect, range, step, the calendar that fits, gaps, what breaks the contract.

Then the first and last rows as they are understood, and the `[data]` section to paste into a config.
Exit 0: a run takes the bars as they are. 1: they break the contract; the section has the key with which they run all
the same. 2: they can't be read; the hint says what helps.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file, or files of one symbol")
    parser.add_argument("--symbol", help="what is traded (default: as the file's name says)")
    parser.add_argument("--timeframe", help="time from bar to bar (default: as the bars say)")
    parser.add_argument("--calendar", help="24/7, 24/5 or an exchange (default: one that fits)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    script.reading_options(parser)
    args = parser.parse_args()

    from peak_trade import config
    from peak_trade.market import description
    from peak_trade.shown import bars

    script.show_warnings()
    found = description.describe(
        args.files,
        symbol=args.symbol,
        timeframe=args.timeframe,
        calendar=args.calendar,
        reading=config.reading(script.reading_keys(args)),
    )
    if args.json:
        script.print_json(found.to_json_object())
    else:
        script.show(bars.page(found))
    return 1 if found.refused else 0


if __name__ == "__main__":
    script.run(main)
