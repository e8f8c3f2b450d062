#!/usr/bin/env bash
## p0.sh
##
## The quick gate, as the runbook lists it, with what is fast of the tests.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

ruff check src tests scripts
ruff format --check src tests scripts
pre-commit run --all-files
pytest -q -n auto --dist worksteal -m 'not slow'
