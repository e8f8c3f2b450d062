"""Log finished runs to MLflow: a run_id, a unique start of one, `last`, or all that are --pending.

A run that is there already is found by its run_id and not logged twice; one that was left half-way is replaced.
One that was deleted in MLflow is logged again where it is named; --pending leaves it be, and says so.
Each of these is one line on stdout. Exit 0: all is done. 1: a run is not logged, or MLflow is missing. 2: no such run.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="which runs (default: last)")
    parser.add_argument("--pending", action="store_true", help="every run, sealed or failed, that is not logged yet")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds for each run (default: tracking.timeout_s)")
    parser.add_argument("--json", action="store_true", help="print the receipts as JSON")
    args = parser.parse_args()
    if args.pending and args.runs:
        parser.error("--pending stands for all runs: name no other")
    if args.timeout is not None and not args.timeout > 0:
        parser.error(f"--timeout {args.timeout:g} is not above 0")

    from peak_trade.errors import RunError
    from peak_trade.evidence.results import Results
    from peak_trade.text import counted
    from peak_trade.tracking import batch
    from peak_trade.tracking.store import Store

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    wanted = batch.pending(results) if args.pending else [results.find(run) for run in args.runs or ["last"]]
    if wanted and not batch.installed():
        raise RunError(batch.ABSENT, hint=batch.INSTALL)
    store, seen, done = Store.of(script.repo_root()), 0, []
    for receipt in batch.track(wanted, store, timeout_s=args.timeout, pending=args.pending):
        seen += 1
        if receipt:
            done.append(receipt)
            if not args.json:
                script.progress()
                script.show(f"{receipt.status:8}{receipt.run_id}  {receipt.outcome}", flush=True)
        script.progress(seen, len(wanted), "runs")
    script.progress()
    if args.json:
        script.print_json([receipt.to_json_object() for receipt in done])
    elif not done:
        script.note(f"nothing to log: {store.shown} has every run of {results.path.name}/")
    failed = next((receipt for receipt in done if receipt.status == "failed"), None)
    if seen < len(wanted):
        hint = (failed and failed.hint) or "just track --pending"
        script.warn(f"given up with {len(wanted) - seen} runs left: the store fails", hint=hint)
    elif failed:
        script.warn(f"not logged: {failed.reason}", hint=failed.hint)
    elif left := [receipt for receipt in done if receipt.status == "skipped"]:
        script.note(f"{counted(len(left), 'run')} deleted in mlflow: {left[0].hint}")
    return 0 if seen == len(wanted) and not failed else 1


if __name__ == "__main__":
    script.run(main)
