#!/usr/bin/env bash
## in_env.sh [--with EXTRA]… COMMAND [ARG…]
##
## Run COMMAND at the repository's root with .venv first on PATH.
## The environment is made if it is missing, and given the extras that COMMAND needs.
## All that set-up says goes to stderr: stdout belongs to COMMAND.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

extras=()
while [[ ${1-} == --with ]]; do
	extras+=("$2")
	shift 2
done
cd -P "${BASH_SOURCE[0]%/*}/../.."
# Python 3.11 reads where the checkout is in the locale's encoding, and would die of an umlaut in a locale of C.
case ${LC_ALL-} in C | POSIX) export LC_ALL=C.UTF-8 ;; esac
# In a subshell rather than a new process: this stands before every recipe.
# shellcheck disable=SC1091 # it is checked by itself
(source scripts/utils/setup_env.sh --if-needed "${extras[@]+"${extras[@]}"}") >&2
export VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.venv/bin:$PATH
exec "$@"
