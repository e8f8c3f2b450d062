"""Bring every run in results/ that is not in the lake into it, with its bars, and what the ledger says since.

Safe to interrupt, to repeat and to run twice at once. With --rebuild the tables of runs are made again from results/,
and shown when all of them are made; what a clean-up has removed from there is taken over from the lake as it was.
Exit 0: done. 1: runs that are not as they were sealed, what can't be rows, or bars that look like another instrument's,
stay out (or, with --rebuild, such bars are in the lake).
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True, lake=True)
    parser.add_argument("--rebuild", action="store_true", help="make the tables of runs again from results/")
    parser.add_argument("--no-bars", action="store_true", help="leave the bars of the runs out")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    args = parser.parse_args()

    from peak_trade.data.lake import query

    query.require()
    import msgspec

    from peak_trade.data.lake import build
    from peak_trade.evidence.results import Results

    script.show_warnings()
    done = build.build(
        Results(script.results_dir(args.results_dir)),
        query.lake_dir(args.lake_dir),
        root=None if args.no_bars else script.repo_root(),
        anew=args.rebuild,
        progress=lambda done, of: script.progress(done, of, "runs"),
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    for run_id, reason in done.broken:
        script.warn(f"{run_id} stays out: {reason}", hint=f"just verify {run_id[:8]}")
    for what, reason in done.unfit:
        script.warn(f"{what} stays out: {reason}", hint="just verify --all")
    for run_id, reason in done.skipped:
        script.warn(f"{run_id}: {reason}")
    for run_id, reason in done.refused:
        script.warn(f"{run_id}: {reason}", hint="give its data a symbol or a source of its own, and run it again")
    for finding in done.doubtful:
        script.warn(f"the bars stay as they are: {finding}")
    for file, count in done.torn.items():
        script.warn(f"{file}: {count:,} line(s) can't be read, and stay out")
    for bars in done.bars:
        script.note(bars.as_text())
        for text in bars.warnings():
            script.warn(f"{bars.symbol}: {text}")
    counts = ", ".join(f"{count:,} {status}" for status, count in done.runs.items()) or "no new run"
    spans = f", {done.spans:,} spans" if done.spans else ""
    script.note(
        f"{counts}, {done.lines:,} ledger lines{spans}, in {done.seconds:.1f} s{' (built anew)' if done.anew else ''}"
    )
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 1 if done.broken or done.unfit or done.refused or done.doubtful else 0


if __name__ == "__main__":
    script.run(main)
