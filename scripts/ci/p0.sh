#!/usr/bin/env bash
## p0.sh
##
## The quick gate, as the runbook lists it.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

ruff check src tests scripts
ruff format --check src tests scripts
pre-commit run --all-files
pytest -q
