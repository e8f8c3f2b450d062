# Peak_Trade: everything that a person or CI runs. Logic lives in scripts/; this is the index.

set positional-arguments
set no-exit-message
set quiet
set shell := ["bash", "-euo", "pipefail", "-c"]

env := "scripts/utils/in_env.sh"
dev := "scripts/utils/in_env.sh --with dev"
tested := "scripts/utils/in_env.sh --with dev --with experiments --with lake --with observability"
lake := "scripts/utils/in_env.sh --with lake"

_index:
    {{ quote(just_executable()) }} --justfile {{ quote(justfile()) }} --list --unsorted

# Make .venv with the named extras at the pinned versions: `just setup lake`, `just setup all`
[group('set up')]
setup *extras:
    scripts/utils/setup_env.sh "$@"

# What is installed, what is missing, and the command that adds it
[group('set up')]
doctor *args:
    {{ env }} python scripts/doctor.py "$@"

# Set up, run a strategy on real bars, seal the evidence, track it, render its report and print the run_id
[group('run')]
p1 config='config/my_strategy.toml' *args:
    scripts/utils/p1.sh "$@"

# Run one config and print its run_id: `just run CONFIG --set strategy.params.fast=10`
[group('run')]
run config *args:
    {{ env }} python scripts/run_strategy_from_config.py --config "$@"

# List the runs, newest first
[group('evidence')]
runs *args:
    {{ env }} python scripts/list_runs.py "$@"

# Show one run, by a prefix of its run_id or `last`
[group('evidence')]
show run *args:
    {{ env }} python scripts/show_run.py "$@"

# Check that runs are intact: a run_id, `last` or `--all`
[group('evidence')]
verify *runs:
    {{ env }} python scripts/verify_runs.py "$@"

# Log finished runs to MLflow: a run_id, `last`, or all that are `--pending`
[group('tracking')]
track *args:
    {{ env }} python scripts/track_runs.py "$@"

# Open MLflow's own page over the tracked runs, on this machine alone
[group('tracking')]
mlflow-ui *args:
    {{ env }} python scripts/mlflow_ui.py "$@"

# Render a run's report, one HTML file that needs no network, and print its path: `just report last --open`
[group('report')]
report *args:
    {{ env }} python scripts/render_report.py "$@"

# Render the report of the run that was sealed last
[group('report')]
report-last *args:
    scripts/utils/render_last_report.sh "$@"

# Write results/index.html: every run with its figures, its curve and a link to its report
[group('report')]
report-index *args:
    {{ env }} python scripts/report_index.py "$@"

# Photograph the top of a run's report for the README: docs/reports/report.png
[group('report')]
report-picture *args:
    {{ env }} python scripts/report_picture.py "$@"

# Set up the lake, run a strategy on synthetic BTCUSDT bars, and bring all runs and their bars into it
[group('lake')]
p2 config='config/btcusdt_donchian.toml' *args:
    {{ lake }} python scripts/run_strategy_from_config.py --config "$@"
    {{ lake }} python scripts/build_lake_from_results.py

# Bring every run that is not in the lake into it, with its bars; `--rebuild` makes its tables again
[group('lake')]
lake-build *args:
    {{ lake }} python scripts/build_lake_from_results.py "$@"

# Bring files of bars into the lake: `just lake-ingest FILES… --symbol BTCUSDT --timeframe 1h --source NAME`
[group('lake')]
lake-ingest *args:
    {{ lake }} python scripts/ingest_ohlcv.py "$@"

# Ask the lake in SQL, which can only read: `just lake-query "SELECT * FROM runs LIMIT 10"`, `--list`
[group('lake')]
lake-query *args:
    {{ lake }} python scripts/query_lake.py "$@"

# Ask the lake a saved question: `just lake-report best_runs`; alone it lists them
[group('lake')]
lake-report *args:
    {{ lake }} python scripts/query_lake.py --report "$@"

# Check everything in the lake: digests, contracts, gaps, and the tables against each other
[group('lake')]
lake-check *args:
    {{ lake }} python scripts/check_lake.py "$@"

# Merge the lake's small files and remove what nothing names any more
[group('lake')]
lake-compact *args:
    {{ lake }} python scripts/compact_lake.py "$@"

# The quick gate: ruff, format, hooks, tests
[group('check')]
p0:
    {{ tested }} scripts/ci/p0.sh

# Set up what the tests need and run them: `just test -k fills`
[group('check')]
test *args:
    {{ tested }} pytest -n auto "$@"

# Every static check: hooks, types, layers, shell, workflows, documents
[group('check')]
lint:
    {{ dev }} scripts/ci/lint.sh

# Mend what can be mended: format, safe lint fixes, generated documents
[group('check')]
fix:
    {{ dev }} scripts/ci/fix.sh

# All that a pull request needs: `lint` and `test`, and so all of `p0`
[group('check')]
validate: lint test

# What CI runs: `p1`, `lint`, `test`
[group('check')]
ci: p1 lint test

# Measure the speed of the run, the engine and the evidence
[group('maintain')]
bench *args:
    {{ tested }} python scripts/bench.py "$@"

# Compile constraints.txt anew; with `--upgrade`, to the newest versions
[group('maintain')]
update-pins *args:
    scripts/utils/update_pins.sh "$@"
