"""Ask a strategy again and again, without its last bars and with others in their place: does it look ahead?

WHAT is a config (a TOML file), or a run: a run_id, a unique start of one, `last`, or a path to a run's directory.
A run is probed with its sealed code on its data; a stranger's brings its code along: read code/ first.
It is no trial: nothing is sealed, and the ledger notes nothing. The fewest bars that show a leak are shown, and of a
run written to its debug/probe.csv.
Exit 0: PASS. 1: FAIL. 2: it can't be started. 3: NOT_ASSESSED: it can't be asked again, or too little was tested.
"""

from __future__ import annotations

from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("what", metavar="WHAT", help="a config, or a run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    parser.add_argument("--code", choices=("sealed", "here"), default="sealed", help="`here`: of a run, today's code")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    args = parser.parse_args()
    is_config = args.what.endswith(".toml")
    if args.set and not is_config:
        parser.error("--set is for a config: a run is probed as it was made")

    result = script.claim_stdout()  # what a strategy prints goes to stderr
    with script.loading():
        from peak_trade.evidence.results import Results
        from peak_trade.shown.listing import aligned
        from peak_trade.trust import probe

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    if is_config:
        found = probe.of_config(Path(args.what), args.set, script.repo_root(), results)
    else:
        found = probe.of_run(args.what, results, script.repo_root(), here=args.code == "here")
    if args.json:
        script.print_json(found.to_json_object(), result)
    else:
        script.show(aligned(found.lines()), result)
        if found.case:
            script.show(f"\n{found.case.as_table()}", result)
    return found.exit_code


if __name__ == "__main__":
    script.run(main)
