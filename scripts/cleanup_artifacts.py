"""Remove old runs: show which would go, and with --apply remove them, each noted in the ledger before it is deleted.

A run stays if it is among the last N that ended, OR ended less than D days ago, OR is pinned (just pin RUN), OR is
running; all others go. Runs that the ledger does not know, or that are not as they were sealed, are left to you.
What telemetry left in results/.telemetry/ goes with its run; that of other commands when older than D days.
Bars that came with runs (results/.bars/) go with the last run that names them.
Exit 0: done, or planned. 1: something could not be removed, or the ledger is not whole.
"""

from __future__ import annotations

import argparse
import shlex

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--apply", action="store_true", help="remove; without it nothing is changed")
    parser.add_argument("--keep", type=number, metavar="N", default=200, help="keep the last N (default: 200)")
    parser.add_argument("--days", type=number, metavar="D", default=30, help="keep what is younger (default: 30)")
    parser.add_argument("--status", choices=("sealed", "failed"), help="look at these alone: the others stay uncounted")
    parser.add_argument("--full", action="store_true", help="print whole run_ids")
    parser.add_argument("--json", action="store_true", help="print the plan, or what was done, as JSON")
    args = parser.parse_args()

    from peak_trade.errors import RunError
    from peak_trade.evidence.results import Results
    from peak_trade.ops import removal, retention
    from peak_trade.shown import listing

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    policy = retention.Policy(keep=args.keep, days=args.days, status=args.status)
    if args.apply:
        plan = removal.apply(
            results,
            policy,
            waiting=lambda: script.note("another clean-up is at work: waiting for it"),
            progress=lambda done, of: script.progress(done, of, "runs"),
        )
    else:
        plan = retention.plan(results, policy)
    if args.json:
        script.print_json(plan.to_json_object())
    elif plan.items:
        width = 36 if args.full else listing.distinct([item.run_id for item in plan.items])
        script.show(listing.aligned(plan.table(width), right=(1, 3)))
    script.note(plan.totals())
    if failed := plan.of("failed"):
        raise RunError(
            f"{len(failed)} of {len(failed) + len(plan.of('removed'))} could not be removed: {failed[0].why}",
            hint=f"{again(args)} goes on where this has stopped",
        )
    if plan.of("remove"):
        script.note(f"nothing was changed; {again(args)} removes them")
    return 0


def again(args: argparse.Namespace) -> str:
    """Return the command that removes what these options choose."""
    given = {"--keep": (args.keep, 200), "--days": (args.days, 30), "--status": (args.status, None)}
    given["--results-dir"] = (args.results_dir, None)
    chosen = [f" {name} {shlex.quote(str(value))}" for name, (value, default) in given.items() if value != default]
    return "just clean-artifacts --apply" + "".join(chosen)


def number(text: str) -> int:
    """Read a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 on")
    return int(text)


if __name__ == "__main__":
    script.run(main)
