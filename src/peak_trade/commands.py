"""What `python -m peak_trade` can do away from a checkout: each recipe that works there, its script and its line.

Data alone. The lines are those of the justfile, which a test holds.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """A recipe's script below `scripts/`, its line of documentation, and the words that come before a person's own.

    One that is `traced` runs under telemetry where that is asked for.
    """

    script: str
    line: str
    before: tuple[str, ...] = ()
    traced: bool = False


COMMANDS = {
    "run": Command(
        "run_strategy_from_config.py",
        "Run a config and print its run_id: `run CONFIG --set run.seed=2`",
        ("--config",),
        traced=True,
    ),
    "sweep": Command("sweep.py", "Run a config with many values of its keys, sealed as one parent", traced=True),
    "record": Command("record_run.py", "Run any command in any engine, sealed: `record -- python x.py`", traced=True),
    "data": Command("describe_data.py", "What a file of bars is, and the [data] section that reads it"),
    "fetch": Command("fetch_bars.py", "Fetch bars from an exchange; the same command again, to update"),
    "data-diff": Command("diff_data.py", "What differs between two files, runs or the lake's bars, day by day"),
    "runs": Command("list_runs.py", "List the runs, newest first"),
    "show": Command("show_run.py", "Show a run, by a prefix of its run_id; alone the last one"),
    "verify": Command("verify_runs.py", "Check that runs are intact: a run_id, PATH, ARCHIVE or `--all`"),
    "export": Command("export_runs.py", "Pack runs for a stranger to check: `export last --with-data`"),
    "import-run": Command("import_runs.py", "Take the runs of an archive in; their trials count here"),
    "import": Command("import_run.py", "Take in a result made elsewhere: `import trades.csv equity.csv`"),
    "compare": Command("compare_runs.py", "What differs between runs, and what most likely explains it"),
    "luck": Command("luck.py", "How likely is a run's result luck, given all trials on its bars"),
    "sign": Command("sign_run.py", "Sign runs with your SSH key, or the ledger's last line: RUN… or --head"),
    "anchor": Command("anchor_ledger.py", "Show the ledger's age: its last line as a tag of git, or --tsa URL"),
    "replay": Command("replay_run.py", "Run a sealed run again, and say whether the same comes of it"),
    "probe": Command("probe_strategy.py", "Does a strategy look ahead? `probe CONFIG`, or a run"),
    "stress": Command("stress_run.py", "What is left of a run's result at other costs, and one bar later"),
    "import-trials": Command("import_trials.py", "Count trials that freqtrade, Optuna or MLflow have made, too"),
    "unseal-holdout": Command("unseal_holdout.py", "Let runs see the bars that RUN has held out, for good"),
    "pin": Command("pin_run.py", "Keep runs from every clean-up: RUN, RUN --remove or --list"),
    "clean-artifacts": Command(
        "cleanup_artifacts.py", "Show which old runs a clean-up removes; `--apply` removes them"
    ),
    "track": Command("track_runs.py", "Log finished runs to MLflow: a run_id, `last` or `--pending`", traced=True),
    "mlflow-ui": Command("mlflow_ui.py", "Open MLflow's own page over the tracked runs, on this machine alone"),
    "report": Command("render_report.py", "Render a run's report, one HTML file: `report last --open`", traced=True),
    "report-last": Command(
        "render_report.py", "Render the report of the run that was sealed last", ("last",), traced=True
    ),
    "report-index": Command("report_index.py", "Write results/index.html: every run, its figures and its report"),
    "lake-build": Command(
        "build_lake_from_results.py",
        "Bring new runs and their bars into the lake; `--rebuild` starts anew",
        traced=True,
    ),
    "lake-ingest": Command(
        "ingest_ohlcv.py", "Bring files of bars into the lake: --symbol, --timeframe, --source", traced=True
    ),
    "lake-query": Command(
        "query_lake.py", 'Ask the lake in SQL that only reads: `lake-query "FROM runs"`', traced=True
    ),
    "lake-report": Command(
        "query_lake.py",
        "Ask the lake a saved question, as `best_runs`; alone it lists them",
        ("--report",),
        traced=True,
    ),
    "lake-check": Command("check_lake.py", "Check the lake: digests, contracts, gaps, tables against each other"),
    "lake-revert": Command("revert_lake.py", "List what came into each series of bars, or go back to it: `--to N`"),
    "lake-compact": Command("compact_lake.py", "Merge the lake's small files, remove what nothing names any more"),
    "lake-publish": Command(
        "publish_lake.py", "Publish the lake as Delta tables: a folder, S3, GCS or Azure", traced=True
    ),
    "golden": Command("golden_runs.py", "Hold the code against golden runs: check, add RUN, approve, list"),
    "trace": Command("trace_run.py", "Show where a run's time went: `trace last`"),
    "doctor": Command("doctor.py", "What is installed, what is missing, and the command that adds it"),
}
