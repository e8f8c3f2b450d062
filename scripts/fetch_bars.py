"""Fetch bars from an exchange into a Parquet file, with a note of where they came from, and print its path.

Only what is missing is asked for: the same command goes on where it was interrupted, and brings a file up to date.
The last page of what is held is asked for too and compared; bars that have other values now are reported.
The bar that has not ended is left out. Bars that the exchange does not give, asked twice, are named and noted.
Exit 1: the exchange does not answer, or its bars break the contract. 2: it has no such market, or wrong usage.
"""

from __future__ import annotations

import os
from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    parser.add_argument("--exchange", required=True, metavar="NAME", help="as ccxt calls it: binance, kraken, coinbase")
    parser.add_argument("--symbol", required=True, metavar="MARKET", help="such as BTC/USDT, or as the exchange has it")
    parser.add_argument("--timeframe", required=True, metavar="STEP", help="time from bar to bar: 1m, 15m, 1h, 1d, 1w")
    parser.add_argument("--since", required=True, metavar="TIME", help="the first bar: 2024-01-31, UTC without a zone")
    parser.add_argument("--until", metavar="TIME", help="the first bar left out (default: up to now)")
    parser.add_argument("--output", metavar="FILE", help="default: data/market/EXCHANGE/MARKET_STEP.parquet")
    parser.add_argument("--to-lake", action="store_true", help="bring the bars into the lake; source is the exchange")
    parser.add_argument("--recheck", action="store_true", help="ask for all that is held again, and compare it")
    parser.add_argument("--revise", action="store_true", help="take other values even of more than half the bars")
    parser.add_argument("--on-violation", default="reject", help="reject (the default), or drop-rows")
    parser.add_argument("--base-url", metavar="URL", help="a mirror's scheme and host (default: $PEAK_MARKET_URL)")
    parser.add_argument("--retries", type=script.count, default=5, metavar="N", help="how often to ask again (5)")
    parser.add_argument("--timeout", type=script.count, default=20, metavar="S", help="for an answer, in seconds (20)")
    parser.add_argument("--json", action="store_true", help="print the note as JSON")
    args = parser.parse_args()

    from peak_trade.data.fetch import order
    from peak_trade.data.lake import query

    url = args.base_url or os.environ.get("PEAK_MARKET_URL", "")
    asked = order.order(args.exchange, args.symbol, args.timeframe, args.since, args.until, url)
    order.require()
    if args.to_lake:
        query.require()
    from peak_trade.data.fetch import client, fetch

    script.show_warnings()
    done = fetch.fetch(
        asked,
        Path(args.output) if args.output else order.default_path(asked),
        telling=fetch.Telling(script.note, script.warn, lambda done, of: script.progress(done, of, "bars")),
        patience=client.Patience(times=args.retries, timeout_s=args.timeout),
        recheck=args.recheck,
        revise=args.revise,
        on_violation=args.on_violation,
    )
    if args.to_lake:
        from peak_trade.data.lake import ingest

        lake = query.lake_dir(args.lake_dir)
        script.note(
            ingest.ingest_bars(lake, done.bars, source=asked.exchange, calendar="24/7", origin="fetch").as_text()
        )
    script.print_json(done.note) if args.json else script.show(str(done.path), exact=True)
    return 0


if __name__ == "__main__":
    script.run(main)
