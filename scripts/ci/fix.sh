#!/usr/bin/env bash
## fix.sh
##
## Mend what `lint.sh` would complain of and a tool can mend.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

ruff check --fix --exit-zero src tests scripts
ruff format src tests scripts
git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shfmt --write
just --fmt
scripts/ci/generated_docs.sh
git ls-files -z --cached --others --exclude-standard | xargs -0 python scripts/ci/check_files.py --fix
