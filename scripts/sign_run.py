"""Sign runs, or the ledger's head, with your SSH key: a DSSE envelope beside the manifest, or in results/anchors/.

RUN is a run_id, a unique start of one, `last`, or the directory of a run. The key is --key, $PEAK_SIGNING_KEY, the one
that your git signs with by ssh, or ~/.ssh/id_ed25519, id_ecdsa, id_rsa; without one, nothing is signed, and that is
said. Each envelope is a line on stdout; who has signed already does not sign again. Exit 1: a run is not intact.
"""

from __future__ import annotations

import os

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="which runs")
    parser.add_argument("--head", action="store_true", help="the ledger's last line, and so all before it")
    parser.add_argument("--key", metavar="FILE", help="the key to sign with; of one in an agent, the public half")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()
    if args.head == bool(args.runs):
        parser.error("either RUN or --head is needed")

    from msgspec import to_builtins

    from peak_trade.evidence.results import Results
    from peak_trade.trust import sign
    from peak_trade.trust.handed import handed
    from peak_trade.trust.proofs import keys

    script.show_warnings()
    results, done = Results(script.results_dir(args.results_dir, there=True)), []
    try:
        key = keys.key_file(args.key)
        if args.head:
            done.append(sign.head(results, key))
        for which in args.runs:
            with handed(which, results) as given:
                done.append(sign.run(given, key))
    except keys.Absent as error:
        if os.environ.get("PEAK_STRICT") == "1":
            raise
        script.warn(f"not signed: {error.message}", hint=error.hint)
    finally:  # what is signed already, when the next is broken, is told
        for one in done if not args.json else ():
            script.show(one.file, exact=True)
            script.note(f"{one.of} is signed by {one.key}" if one.new else f"{one.of} had been signed by {one.key}")
    if args.json:
        script.print_json(to_builtins(done))
    return 0


if __name__ == "__main__":
    script.run(main)
