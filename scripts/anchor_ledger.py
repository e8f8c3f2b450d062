"""Anchor the ledger's head: a tag in git, and a timestamp by RFC 3161 where an address is given.

The tag holds the sha256 of the ledger's last line, and nothing of what it says; it is a proof once it is pushed. The
timestamp takes the extra `timestamp` and the address of an authority (--tsa or $PEAK_TSA), and is kept in
results/anchors/, checked against the root certificates of --tsa-roots or $PEAK_TSA_ROOTS. Each anchor is a line on
stdout. A line that has an anchor does not get it twice. Exit 1: the authority gives no good answer.
"""

from __future__ import annotations

import os

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--no-tag", action="store_true", help="leave git alone")
    parser.add_argument("--repository", metavar="DIR", help="where the tag goes (default: the one around the results)")
    parser.add_argument("--tsa", metavar="URL", help="the address of a timestamp authority")
    parser.add_argument("--tsa-roots", metavar="FILE", help="its root certificates, as PEM")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()

    from msgspec import to_builtins

    from peak_trade.errors import RunError
    from peak_trade.evidence.results import Results
    from peak_trade.trust import anchor
    from peak_trade.trust.proofs import keys, tags, timestamps

    script.show_warnings()
    results, done = Results(script.results_dir(args.results_dir, there=True)), []
    address, roots = args.tsa or os.environ.get(timestamps.AUTHORITY), timestamps.roots_file(args.tsa_roots)
    if args.no_tag and not address:
        parser.error(f"with --no-tag nothing is left to do: --tsa URL or ${timestamps.AUTHORITY} names an authority")

    def skip(what: str, error: RunError) -> None:
        if os.environ.get("PEAK_STRICT") == "1":
            raise error
        script.warn(f"no {what}: {error.message}", hint=error.hint)

    if not args.no_tag:
        try:
            done.append(anchor.tag(results, tags.repository(args.repository, results.path)))
        except tags.NoGit as error:
            skip("tag", error)
    try:
        if address:
            done.append(anchor.stamp(results, address, roots))
    except keys.Absent as error:
        skip("timestamp", error)
    finally:
        for one in done if not args.json else ():
            script.show(one.name, exact=True)
            script.note(f"{one.of} {'is' if one.new else 'was'} anchored")
    if args.json:
        script.print_json(to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
