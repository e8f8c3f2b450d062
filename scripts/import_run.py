"""Take in the result of a backtest that was made elsewhere: FILE… say it, and one run is sealed of what they say.

Trades and equity of one backtest may lie in several files. The engine is told by the files' columns; nothing in them is
executed or unpickled. The run's status is `imported`: it is what a file says, and not what was run here.
The same file once more is a run of its own, and it is said which run holds it already.
docs/ops/import.md has a table of what is read, and two lines for each engine. Prints the run_id.
"""

from __future__ import annotations

import sys
from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="what was exported: CSV, Parquet, JSON, zip, HTML, XLSX"
    )
    for name, metavar, text in (
        ("engine", "NAME", "whose files these are (default: told by their columns)"),
        ("strategy", "NAME", "which strategy, where a file has several; else what it is called"),
        ("symbol", "NAME", "what was traded, where the files do not say it"),
        ("currency", "CODE", "the account's money"),
        ("timezone", "ZONE", "the zone of times without one, as America/New_York (default: UTC)"),
        ("timeframe", "TIME", "of the bars that were traded on, as 1h"),
        ("calendar", "NAME", "of the bars: 24/7, or an exchange's"),
        ("name", "TEXT", "what to call the run"),
        ("run-id", "UUID", "the run's id (default: a new one)"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    parser.add_argument("--initial-cash", type=float, metavar="X", help="what the account began with")
    parser.add_argument("--risk-free-rate", type=float, default=0.0, metavar="R", help="a year, as a fraction")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a tag; may come again")
    parser.add_argument("--json", action="store_true", help="print what was sealed as JSON")
    parser.add_argument("--quiet", action="store_true", help="print the run_id alone")
    args = parser.parse_args()

    with script.loading():
        from peak_trade.record import imported

    script.show_warnings()
    options = imported.options(
        engine=args.engine, strategy=args.strategy, symbol=args.symbol, currency=args.currency, zone=args.timezone,
        timeframe=args.timeframe, calendar=args.calendar, name=args.name, initial_cash=args.initial_cash,
        risk_free_rate=args.risk_free_rate, tags=args.tag,
    )  # fmt: skip
    found = imported.import_files(
        [Path(name) for name in args.files], options, results=script.results_dir(args.results_dir),
        root=script.repo_root(), run_id=args.run_id, argv=sys.argv,
    )  # fmt: skip
    if not args.quiet:
        for line in found.said():
            script.note(line)
    if args.json:
        script.print_json(found.to_json_object())
    else:
        script.show(found.path.name)
    return 0


if __name__ == "__main__":
    script.run(main)
