"""Publish the lake at URI as Delta tables, which Spark, Trino, ClickHouse, Polars and many others read without us.

URI is a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH, and gets a table for each of ours. Who may
write there is told by the store's usual variables (AWS_ACCESS_KEY_ID and so on). Only new files are copied, and what
the lake has replaced leaves by the log: again, and nothing is new. Safe to interrupt, to kill and to run twice at once.
What left stays in the tables' history until --vacuum deletes it.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    parser.add_argument("uri", metavar="URI", help="where to")
    parser.add_argument("--format", choices=["delta"], default="delta", help="the tables' format (default: delta)")
    parser.add_argument(
        "--replace", action="store_true", help="take the place of another lake that was published there"
    )
    parser.add_argument("--vacuum", action="store_true", help="delete files that left more than a week ago")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    args = parser.parse_args()

    from peak_trade.data.lake import query, target

    target.require()
    import msgspec

    from peak_trade.data.lake import publish

    script.show_warnings()
    done = publish.publish(
        query.lake_dir(args.lake_dir),
        args.uri,
        replace=args.replace,
        vacuum=args.vacuum,
        progress=lambda done, of: script.progress(done // 10**6, of // 10**6, "MB"),
        waiting=lambda: script.note("another process is writing to the lake: waiting for it"),
    )
    script.note(done.as_text())
    if args.json:
        script.print_json(msgspec.to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
