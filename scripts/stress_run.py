"""How much of a run's result is left at other costs, and when each decision is filled one bar later?

RUN is a run_id, a unique start of one, `last`, or a path to a run's directory or an archive.
It is traded again with its sealed code on its data: at 0, 1, 2, 3 and 5 times its fees, slippage and borrowing, and
with all its decisions a bar later at its own. A stranger's run brings its code along: read code/ first.
It is no trial: nothing is sealed, and the ledger notes nothing. What was found is kept as the run's debug/stress.json,
and its report shows it from then on.
Exit 0: worked out, whatever it says. 1: the run made again comes to something else. 2: it can't be made again.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    args = parser.parse_args()

    result = script.claim_stdout()  # what a strategy prints goes to stderr
    with script.loading():
        import msgspec

        from peak_trade.evidence.results import Results
        from peak_trade.trust.stress import verb

    script.show_warnings()
    found = verb.of_run(args.run, Results(script.results_dir(args.results_dir)), script.repo_root())
    if args.json:
        script.print_json(msgspec.to_builtins(found), result)
    else:
        script.show(found.as_text(), result)
    return 0


if __name__ == "__main__":
    script.run(main)
