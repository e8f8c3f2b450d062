# Peak_Trade: everything that a person or CI runs. Logic lives in scripts/; this is the index.

set positional-arguments
set no-exit-message
set quiet
set shell := ["bash", "-euo", "pipefail", "-c"]

env := "scripts/utils/in_env.sh"
dev := "scripts/utils/in_env.sh --with dev"

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

# Set up, run a strategy on real bars, seal the evidence and print the run_id
[group('run')]
p1 config='config/my_strategy.toml' *args:
    {{ env }} python scripts/run_strategy_from_config.py --config "$@"

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

# The quick gate: ruff, format, hooks, tests
[group('check')]
p0:
    {{ dev }} scripts/ci/p0.sh

# Set up what the tests need and run them: `just test -k fills`
[group('check')]
test *args:
    {{ dev }} pytest -n auto "$@"

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
    {{ dev }} python scripts/bench.py "$@"

# Compile constraints.txt anew; with `--upgrade`, to the newest versions
[group('maintain')]
update-pins *args:
    scripts/utils/update_pins.sh "$@"
