"""Count trials that another program has made: they were chosen from too.

FILE is freqtrade's .fthypt, Optuna's storage (its journal, or SQLite) or MLflow's (its SQLite database, or the folder
mlruns). The trials count on the bars of RUN: symbol, timeframe and fingerprint. Only what they are is taken: how many,
how many failed, and the mean and spread of their Sharpe ratios a year. Made again, it counts what is new; runs that
were logged from here count once.
"""

from __future__ import annotations

from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("file", metavar="FILE", type=Path, help="the store of trials")
    parser.add_argument(
        "--for", dest="run", metavar="RUN", default="last", help="a run on the same bars (default: last)"
    )
    parser.add_argument("--name", default="", help="the study or experiment, where there are several")
    parser.add_argument(
        "--metric",
        default="sharpe",
        help="what the ratio is called there; `value`: what Optuna optimised (default: sharpe)",
    )
    parser.add_argument("--json", action="store_true", help="print what came in as JSON")
    args = parser.parse_args()

    with script.loading():
        from peak_trade.evidence.results import Results
        from peak_trade.trust.luck import elsewhere

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir, there=True))
    done = elsewhere.bring_in(results, results.find(args.run), args.file, name=args.name, metric=args.metric)
    if args.json:
        script.print_json(done.to_json_object())
    else:
        script.show(done.as_text())
    return 0


if __name__ == "__main__":
    script.run(main)
