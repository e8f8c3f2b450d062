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
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    args = parser.parse_args()

    from peak_trade.evidence import run_dir
    from peak_trade.evidence.results import Results
    from peak_trade.trust import given

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    run_dir.warn_unfinished(results)
    root = None if args.no_data else script.repo_root()
    verdicts = []
    for verdict in given.verdicts(None if args.all else args.runs or ["last"], results, root=root):
        verdicts.append(verdict)
        if not args.json:
            script.show(verdict.as_text())
    if args.json:
        script.print_json([verdict.to_json_object() for verdict in verdicts])
    states = {verdict.state for verdict in verdicts}
    return 1 if "broken" in states else 2 if "unreadable" in states else 0


if __name__ == "__main__":
    script.run(main)
