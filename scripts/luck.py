"""How likely is a run's result luck, given all the trials on the same data that the ledger counts.

RUN is a run_id, a unique start of one, `last`, or the directory of a run. `--family` alone lists how many trials there
were on each series of bars, and of RUN its trials, the best by the deflated Sharpe ratio first.
Exit 0: worked out, whatever it says; with --gate, 1: the deflated Sharpe ratio is below 95 %, or the run looks ahead,
and 3: it can't be told. docs/ops/luck.md says what each figure means, and what N cannot see.
"""

from __future__ import annotations

from peak_trade import script

CODES = {"PASS": 0, "FAIL": 1}


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", help="which run (default: last)")
    parser.add_argument(
        "--family", action="store_true", help="the trials on the bars of RUN; alone, a count for each series"
    )
    parser.add_argument("--quick", action="store_true", help="by the ledger alone: no bands, no look at other runs")
    parser.add_argument("--seed", type=script.seed, default=0, metavar="N", help="of the bootstrap (default: 0)")
    parser.add_argument("--gate", action="store_true", help="let the exit code be the verdict")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()
    if args.seed < 0:
        parser.error(f"argument --seed: {args.seed} is below 0")

    with script.loading():
        from peak_trade.evidence import run_dir
        from peak_trade.evidence.results import Results
        from peak_trade.trust.handed import handed
        from peak_trade.trust.luck import assess, listed, words

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    run_dir.warn_unfinished(results)
    if args.family:
        kin = listed.kin(results, results.find(args.run)) if args.run else listed.every(results)
        if args.json:
            script.print_json([one.to_json_object() for one in kin])
        else:
            script.show(listed.as_text(kin))
        return 0
    with handed(args.run or "last", results) as given:
        luck = assess.assess(given, thorough=not args.quick, seed=args.seed)
    if args.json:
        script.print_json(luck.to_json_object())
    else:
        script.show(words.as_text(luck))
    return CODES.get(luck.verdict, 3) if args.gate else 0


if __name__ == "__main__":
    script.run(main)
