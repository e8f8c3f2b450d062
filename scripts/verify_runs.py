"""Check that runs are what was sealed: digests, ledger, statistics recomputed, data unchanged. Reads only.

RUN is a run_id, a unique start of one, or `last`; or the path of a run's directory, anywhere, or of an archive that
`just export` made (ARCHIVE/RUN: one of its runs). Each finding is one line: file, expected, found.
A run that this ledger does not name, and that the two lines of its own ledger hold, is intact, but not of this ledger.
Exit 0: all intact, in whatever ledger. 1: something is broken. 2: something can't be read.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="which runs (default: last)")
    parser.add_argument("--all", action="store_true", help="every run, and the whole ledger")
    parser.add_argument("--no-data", action="store_true", help="leave the data's fingerprint unchecked")
    parser.add_argument(
        "--allowed-signers", metavar="FILE", help="names for the keys of signatures, as ssh-keygen has it"
    )
    parser.add_argument(
        "--signed", action="store_true", help="a run that none of the allowed signers has signed is broken"
    )
    parser.add_argument("--tsa-roots", metavar="FILE", help="root certificates of timestamp authorities, as PEM")
    parser.add_argument(
        "--repository", metavar="DIR", help="where tags of the ledger are (default: around the results)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    args = parser.parse_args()

    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.trust import given
    from peak_trade.trust.proofs import keys, tags, timestamps
    from peak_trade.trust.proofs.check import Trusted

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    run_dir.warn_unfinished(results)
    root = None if args.no_data else script.repo_root()
    allowed, roots = keys.allowed_file(args.allowed_signers), timestamps.roots_file(args.tsa_roots)
    if args.signed and allowed is None:
        parser.error("--signed needs to know whose signatures to believe: --allowed-signers FILE")
    trusted = Trusted(allowed, roots, args.signed, tags.repository(args.repository, results.path))
    verdicts = []
    which = None if args.all else args.runs or ["last"]
    for verdict in given.verdicts(which, results, root=root, trusted=trusted):
        verdicts.append(verdict)
        if not args.json:
            script.show(verdict.as_text())
    if args.json:
        script.print_json([verdict.to_json_object() for verdict in verdicts])
    states = {verdict.state for verdict in verdicts}
    return 1 if "broken" in states else 2 if "unreadable" in states else 0


if __name__ == "__main__":
    script.run(main)
