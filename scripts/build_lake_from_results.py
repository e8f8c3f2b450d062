"""Bring every run in results/ that is not in the lake into it, with its bars, and what the ledger says since.

Safe to interrupt, to repeat and to run twice at once. With --rebuild the tables of runs are made again from results/
alone, and shown when all of them are made. Exit 0: done. 1: some runs are not as they were sealed, and stay out.
"""

from __future__ import annotations

import sys

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--rebuild", action="store_true", help="make the tables of runs again from results/ alone")
    parser.add_argument("--no-bars", action="store_true", help="leave the bars of the runs out")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.add_argument("--results-dir", metavar="DIR", help="where runs are kept (default: results/)")
    parser.add_argument("--lake-dir", metavar="DIR", help="where the lake is (default: $PEAK_LAKE_DIR or data/lake/)")
    args = parser.parse_args()

    from peak_trade.data.lake import query

    query.require()
    import msgspec

    from peak_trade.data.lake import build

    done = build.build(
        script.results_dir(args.results_dir),
        query.lake_dir(args.lake_dir),
        root=None if args.no_bars else script.repo_root(),
        anew=args.rebuild,
        progress=show_progress if sys.stderr.isatty() else lambda done, of: None,
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    for run_id, reason in done.broken:
        script.warn(f"{run_id} stays out: {reason}", hint=f"just verify {run_id[:8]}")
    for run_id, reason in done.skipped:
        script.warn(f"{run_id}: {reason}")
    for bars in done.bars:
        script.note(bars.as_text())
    counts = ", ".join(f"{count:,} {status}" for status, count in done.runs.items()) or "no new run"
    script.note(f"{counts}, {done.lines:,} ledger lines, in {done.seconds:.1f} s{' (built anew)' if done.anew else ''}")
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 1 if done.broken else 0


def show_progress(done: int, of: int) -> None:
    """Draw a bar over the line of the one before it."""
    width = 30 * done // of
    end = "\n" if done == of else ""
    print(f"\r{'█' * width}{'·' * (30 - width)} {done:,} of {of:,} runs", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    script.run(main)
