#!/usr/bin/env bash
## find_uv.sh
##
## Print the path of a uv that runs here; where there is none, install one into .venv.
## Looks at $UV (which uvx sets), PATH, .venv, and the current Python's packages, in this order.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
packaged='import uv; print(uv.find_uv_bin())'

works() { [[ -n $1 ]] && "$1" --version >/dev/null 2>&1; }

for uv in "${UV-}" "$(command -v uv || true)" .venv/bin/uv "$(python3 -c "$packaged" 2>/dev/null || true)"; do
	if works "$uv"; then
		printf '%s\n' "$uv"
		exit 0
	fi
done

for python in .venv/bin/python python3 python3.13 python3.12 python3.11; do
	"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
	.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv >&2 || continue
	if .venv/bin/python -m pip install --quiet uv >&2 && works .venv/bin/uv; then
		printf '%s\n' .venv/bin/uv
		exit 0
	fi
done
printf 'error: uv is missing and could not be installed\nhint: pip install uv\n' >&2
exit 1
