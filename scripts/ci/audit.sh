#!/usr/bin/env bash
## audit.sh
##
## What could be used against us: pins with known vulnerabilities, weak spots of the workflows, secrets in tracked files.
## All of them are looked for, each says what came of it, and the exit code is 1 if anything was found. Where the database of vulnerabilities
## can't be reached that is a warning; with PEAK_STRICT=1 it is an error.
set -uo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

failed=()
check() {
	printf '$ %s\n' "$*" >&2
	"$@" || { failed+=("${*: -1}") && return 1; }
}

check python scripts/ci/audit_pins.py
check python scripts/ci/audit_secrets.py
check zizmor --offline --no-progress --quiet .github && printf 'ok workflows: no weak spot in .github\n' >&2

if ((${#failed[@]})); then
	printf 'error: failed: %s\nhint: each says above what mends it\n' "${failed[*]}" >&2
	exit 1
fi
