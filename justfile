# Peak_Trade: everything that a person or CI runs. Logic lives in scripts/; this is the index.

set positional-arguments
set no-exit-message
set quiet
set shell := ["bash", "-euo", "pipefail", "-c"]

env := "scripts/utils/in_env.sh"
dev := "scripts/utils/in_env.sh --with dev"
tested := "scripts/utils/in_env.sh --with cluster --with dev --with engines --with experiments --with lake --with luck --with market --with observability --with search --with share --with timestamp"
lake := "scripts/utils/in_env.sh --with lake"
market := "scripts/utils/in_env.sh --with market"
share := "scripts/utils/in_env.sh --with share"
traced := "scripts/utils/with_telemetry.sh python"
home := if invocation_directory() == justfile_directory() { "" } else { justfile_directory() + "/" }
sp500 := home + "config/my_strategy.toml"
btcusdt := home + "config/btcusdt_donchian.toml"
export JUST := just_executable()
export PEAK_CWD := invocation_directory() # the paths that a person gives count from there (in_env.sh)

_index:
    "$JUST" --justfile {{ quote(justfile()) }} --list --unsorted

# Make .venv with the extras you name, at the pins: `just setup lake`
[group('set up')]
setup *extras:
    scripts/utils/setup_env.sh "$@"

# What is installed, what is missing, and the command that adds it
[group('set up')]
doctor *args:
    {{ env }} python scripts/doctor.py "$@"

# What a recipe does and the options it takes: `just help run`
[group('set up')]
help *recipe:
    {{ env }} python scripts/recipes.py "$@"

# Complete recipes and run_ids on TAB: `eval "$(just completion bash)"`
[group('set up')]
completion *shell:
    scripts/utils/completion.sh "$@"

# Set up, run on real bars, seal, report, track, and print the run_id
[group('run')]
p1 config=sp500 *args:
    scripts/utils/p1.sh "$@"

# Run a config and print its run_id: `just run CONFIG --set run.seed=2`
[group('run')]
run config *args:
    {{ env }} {{ traced }} scripts/run_strategy_from_config.py --config "$@"

# Run a config with many values of its keys, sealed as one parent
[group('run')]
sweep *args:
    {{ env }} {{ traced }} scripts/sweep.py "$@"

# Run any command in any engine, sealed: `just record -- python x.py`
[group('run')]
record *args:
    {{ env }} {{ traced }} scripts/record_run.py "$@"

# What a file of bars is, and the [data] section that reads it
[group('data')]
data *args:
    {{ env }} python scripts/describe_data.py "$@"

# Fetch bars from an exchange; the same command again, to update
[group('data')]
fetch *args:
    {{ market }} python scripts/fetch_bars.py "$@"

# What differs between two files, runs or the lake's bars, day by day
[group('data')]
data-diff *args:
    {{ env }} python scripts/diff_data.py "$@"

# List the runs, newest first
[group('evidence')]
runs *args:
    {{ env }} python scripts/list_runs.py "$@"

# Show a run, by a prefix of its run_id; alone the last one
[group('evidence')]
show *args:
    {{ env }} python scripts/show_run.py "$@"

# Check that runs are intact: a run_id, PATH, ARCHIVE or `--all`
[group('evidence')]
verify *runs:
    {{ env }} python scripts/verify_runs.py "$@"

# Pack runs for a stranger to check: `just export last --with-data`
[group('evidence')]
export *args:
    {{ env }} python scripts/export_runs.py "$@"

# Take the runs of an archive in; their trials count here
[group('evidence')]
import-run *args:
    {{ env }} python scripts/import_runs.py "$@"

# Take in a result made elsewhere: `just import trades.csv equity.csv`
[group('evidence')]
import *args:
    {{ env }} python scripts/import_run.py "$@"

# What differs between runs, and what most likely explains it
[group('evidence')]
compare *runs:
    {{ env }} python scripts/compare_runs.py "$@"

# How likely is a run's result luck, given all trials on its bars
[group('evidence')]
luck *args:
    {{ env }} python scripts/luck.py "$@"

# Sign runs with your SSH key, or the ledger's last line: RUN… or --head
[group('evidence')]
sign *args:
    {{ env }} python scripts/sign_run.py "$@"

# Show the ledger's age: its last line as a tag of git, or --tsa URL
[group('evidence')]
anchor *args:
    {{ env }} python scripts/anchor_ledger.py "$@"

# Run a sealed run again, and say whether the same comes of it
[group('evidence')]
replay *args:
    {{ env }} python scripts/replay_run.py "$@"

# Does a strategy look ahead? `just probe CONFIG`, or a run
[group('evidence')]
probe *args:
    {{ env }} python scripts/probe_strategy.py "$@"

# What is left of a run's result at other costs, and one bar later
[group('evidence')]
stress *args:
    {{ env }} python scripts/stress_run.py "$@"

# Count trials that freqtrade, Optuna or MLflow have made, too
[group('evidence')]
import-trials *args:
    {{ env }} python scripts/import_trials.py "$@"

# Let runs see the bars that RUN has held out, for good
[group('evidence')]
unseal-holdout *args:
    {{ env }} python scripts/unseal_holdout.py "$@"

# Keep runs from every clean-up: RUN, RUN --remove or --list
[group('evidence')]
pin *args:
    {{ env }} python scripts/pin_run.py "$@"

# Show which old runs a clean-up removes; `--apply` removes them
[group('evidence')]
clean-artifacts *args:
    {{ env }} python scripts/cleanup_artifacts.py "$@"

# Log finished runs to MLflow: a run_id, `last` or `--pending`
[group('tracking')]
track *args:
    {{ env }} {{ traced }} scripts/track_runs.py "$@"

# Open MLflow's own page over the tracked runs, on this machine alone
[group('tracking')]
mlflow-ui *args:
    {{ env }} python scripts/mlflow_ui.py "$@"

# Render a run's report, one HTML file: `just report last --open`
[group('report')]
report *args:
    {{ env }} {{ traced }} scripts/render_report.py "$@"

# Render the report of the run that was sealed last
[group('report')]
report-last *args:
    scripts/utils/render_last_report.sh "$@"

# Write results/index.html: every run, its figures and its report
[group('report')]
report-index *args:
    {{ env }} python scripts/report_index.py "$@"

# Set up the lake, run on synthetic BTCUSDT bars, bring runs and bars in
[group('lake')]
p2 config=btcusdt *args:
    scripts/utils/p2.sh "$@"

# Bring new runs and their bars into the lake; `--rebuild` starts anew
[group('lake')]
lake-build *args:
    {{ lake }} {{ traced }} scripts/build_lake_from_results.py "$@"

# Bring files of bars into the lake: --symbol, --timeframe, --source
[group('lake')]
lake-ingest *args:
    {{ lake }} {{ traced }} scripts/ingest_ohlcv.py "$@"

# Ask the lake in SQL that only reads: `just lake-query "FROM runs"`
[group('lake')]
lake-query *args:
    {{ lake }} {{ traced }} scripts/query_lake.py "$@"

# Ask the lake a saved question, as `best_runs`; alone it lists them
[group('lake')]
lake-report *args:
    {{ lake }} {{ traced }} scripts/query_lake.py --report "$@"

# Check the lake: digests, contracts, gaps, tables against each other
[group('lake')]
lake-check *args:
    {{ lake }} python scripts/check_lake.py "$@"

# List what came into each series of bars, or go back to it: `--to N`
[group('lake')]
lake-revert *args:
    {{ lake }} python scripts/revert_lake.py "$@"

# Merge the lake's small files, remove what nothing names any more
[group('lake')]
lake-compact *args:
    {{ lake }} python scripts/compact_lake.py "$@"

# Publish the lake as Delta tables: a folder, S3, GCS or Azure
[group('lake')]
lake-publish *args:
    {{ share }} {{ traced }} scripts/publish_lake.py "$@"

# Show where a run's time went: `just trace last`
[group('telemetry')]
trace *args:
    {{ env }} python scripts/trace_run.py "$@"

# Start Grafana's dashboards in Docker: `eval "$(just obs-up)"`
[group('telemetry')]
obs-up:
    scripts/obs/up.sh

# Stop the dashboards; `--volumes` deletes what is stored too
[group('telemetry')]
obs-down *args:
    scripts/obs/compose.sh down "$@"

# Check each part of the dashboards' stack, and send a span through it
[group('telemetry')]
obs-check:
    scripts/obs/check.sh

# Take traces without Docker: an MLflow server on this machine
[group('telemetry')]
obs-local *args:
    {{ env }} python scripts/obs/local.py "$@"

# The quick gate, for while you work: hooks and the fast tests
[group('check')]
p0:
    {{ tested }} scripts/ci/p0.sh

# Set up what the tests need and run them: `just test -k fills`
[group('check')]
test *args: _validator _axe
    (($#)) || echo 'all tests: some twenty minutes on two cores; just test-fast: five' >&2
    {{ tested }} pytest -n auto --dist worksteal --all-extras "$@"

_validator:
    {{ dev }} scripts/utils/setup_validator.sh

_axe:
    {{ dev }} scripts/utils/setup_axe.sh

# Run the fast tests, a quarter of the time: `just test-fast -k fills`
[group('check')]
test-fast *args:
    {{ tested }} pytest -n auto --dist worksteal -m 'not slow' "$@"

# Plant faults that a module's tests may miss: `just mutate engine`
[group('check')]
mutate *args:
    {{ tested }} python scripts/ci/mutate.py "$@"

# Every static check: hooks, types, layers, shell, workflows, documents
[group('check')]
lint:
    {{ dev }} scripts/ci/lint.sh

# Mend what can be mended: format, safe lint fixes, generated documents
[group('check')]
fix:
    {{ dev }} scripts/ci/fix.sh

# Is the checkout fit for a pull request, and what mends it
[group('check')]
git-state *args:
    {{ dev }} scripts/ci/validate_git_state.sh "$@"

# Look for vulnerable pins, weak workflows and secrets in tracked files
[group('check')]
audit:
    {{ dev }} scripts/ci/audit.sh

# Try bytes of all kinds on what reads a file: `just fuzz csv`
[group('check')]
fuzz *args:
    {{ tested }} python scripts/fuzz/fuzz.py "$@"

# Hold the code against golden runs: check, add RUN, approve, list
[group('check')]
golden *args:
    {{ lake }} python scripts/golden_runs.py "$@"

# All a pull request needs: `git-state`, `lint`, `golden`, `test`
[group('check')]
validate: (git-state "--lenient" "--skip-fetch") lint (golden "check") test

# What CI runs: `p1`, `lint`, `test`
[group('check')]
ci: p1 lint test

# Check, push, and open a pull request: `just pr --dry-run`
[group('pull request')]
pr *args:
    {{ dev }} scripts/automation/open_pr.sh "$@"

# Check the base after a merge: `just post-merge --pr 12`
[group('pull request')]
post-merge *args:
    {{ dev }} scripts/automation/post_merge_verify.sh "$@"

# Write the log of a merge, and list it in docs/ops/README.md
[group('pull request')]
merge-log pr *args:
    {{ dev }} python scripts/automation/merge_log.py "$@"

# Measure what runs, engine, evidence, tracking and lake cost
[group('maintain')]
bench *args:
    {{ tested }} python scripts/bench/bench.py "$@"

# Compile constraints.txt anew; with `--upgrade`, to the newest versions
[group('maintain')]
update-pins *args:
    scripts/utils/update_pins.sh "$@"

# Picture every kind of page, to be looked through
[group('maintain')]
report-pictures *args:
    {{ env }} python scripts/pictures/pictures.py "$@"
