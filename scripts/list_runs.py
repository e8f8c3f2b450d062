"""List the runs, newest first, from the ledger and the manifests, each with what tells it from others of its strategy.

--where takes a parameter (fast=10), any key of a config (execution.fee_bps=5), or a column of --json; with = != < <= >
>= or ~ (contains), and may be given more than once: then all of them hold. Percent may be written as such.
Those whose strategy looks ahead come after all others.
A run_id may be shortened wherever one is asked for, as long as it fits one run only.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--full", action="store_true", help="print whole run_ids")
    parser.add_argument("--limit", type=script.count, metavar="N", help="only the newest N")
    parser.add_argument("--strategy", metavar="TEXT", default="", help="only runs of a strategy with this in its name")
    parser.add_argument("--symbol", metavar="TEXT", default="", help="only runs on a symbol with this in it")
    parser.add_argument("--since", metavar="TIME", help="only runs since 2026-11-28, or 7d (12h, 90min): so long ago")
    so = "only runs of which this is so: fast=10, 'sharpe>1', status=failed, name~grid"
    parser.add_argument("--where", metavar="KEY=VALUE", action="append", default=[], help=so)
    parser.add_argument(
        "--deflated", action="store_true", help="with the deflated Sharpe ratio (just luck says of what)"
    )
    parser.add_argument("--kept", action="store_true", help="also the runs that were kept of sweeps")
    args = parser.parse_args()

    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.shown import choice, listing
    from peak_trade.terminal import width

    script.show_warnings()
    wanted = choice.Choice.read(args.strategy, args.symbol, args.since, args.where)
    results = Results(script.results_dir(args.results_dir))
    run_dir.warn_unfinished(results)
    listed = listing.rows(results)
    if args.deflated:
        from peak_trade.trust.luck import listed as luck

        listed = luck.deflated(results, listed)
    asked = wanted.of(listed)
    found = choice.without_kept(asked, wanted) if not args.kept else asked
    hidden, found = len(asked) - len(found), found[: args.limit]
    if args.json:
        script.print_json([row.to_json_object() for row in found])
    elif found:
        script.show(listing.as_table(found, full=args.full, width=width()))
        if hidden:
            script.note(f"without {hidden:,} runs that were kept of sweeps: --kept lists them")
    elif listed:
        script.note(f"none of {len(listed):,} runs in {results.path.name}/ is like that; just runs lists them")
    else:
        script.note(f"no runs in {results.path.name}/; just run config/my_strategy.toml makes one")
    return 0


if __name__ == "__main__":
    script.run(main)
