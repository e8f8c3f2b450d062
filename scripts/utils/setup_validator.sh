#!/usr/bin/env bash
## setup_validator.sh
##
## Make .venv/roc-validator hold roc-validator, by which a test holds archives of runs against RO-Crate's profiles.
## It pins an older rich than ours, so it has an environment of its own; a repeated call does nothing.
## Where it can't be set up, a warning says so, and the test tells that it is missing.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
folder=.venv/roc-validator wanted=tests/trust/validator/requirements.txt
current() { cmp -s "$wanted" "$folder/requirements.txt"; }

[[ -f $wanted ]] && ! current || exit 0
exec 9<"$wanted"
! command -v flock >/dev/null || flock 9 # of several calls at once one sets up
! current || exit 0
uv=$(scripts/utils/find_uv.sh)
printf 'setting up %s\n' "$folder" >&2
if "$uv" venv --quiet --clear --no-project --python .venv/bin/python "$folder" &&
	"$uv" pip install --quiet --require-hashes --compile-bytecode --python "$folder/bin/python" --requirement "$wanted"; then
	cp "$wanted" "$folder/requirements.txt"
else
	printf 'warn: roc-validator could not be set up\nhint: see the lines above, then scripts/utils/setup_validator.sh\n' >&2
fi
