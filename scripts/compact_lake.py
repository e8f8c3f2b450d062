"""Merge the lake's small files, and remove what nothing names any more: replaced files and what killed writers left.

A file that a reader may still need stays: one whose marker is read, or was replaced less than --grace seconds ago.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    parser.add_argument("--grace", type=float, metavar="S", help="keep what was replaced in the last S seconds")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    args = parser.parse_args()

    from peak_trade.data.lake import query

    query.require()
    import msgspec

    from peak_trade.data.lake import compact, writer

    script.show_warnings()
    done = compact.compact(
        query.lake_dir(args.lake_dir),
        grace_s=writer.GRACE_S if args.grace is None else args.grace,
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    script.note(f"{done.before:,} files merged to {done.after:,}, {done.removed:,} removed")
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
