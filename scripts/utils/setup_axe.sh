#!/usr/bin/env bash
## setup_axe.sh
##
## Make .venv/axe hold axe-core, by which tests hold the pages of reports against the rules of accessibility.
## It is npm's, at the version and by the digest that tests/report/axe/ has; no script of it runs. A repeated call does
## nothing. Where there is no npm, or it can't be set up, the tests that need it tell so.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
folder=.venv/axe wanted=tests/report/axe
current() { cmp -s "$wanted/package-lock.json" "$folder/package-lock.json" && [[ -f $folder/node_modules/axe-core/axe.min.js ]]; }

[[ -d .venv && -f $wanted/package-lock.json ]] && command -v npm >/dev/null && ! current || exit 0
exec 9<"$wanted/package-lock.json"
! command -v flock >/dev/null || flock 9 # of several calls at once one sets up
! current || exit 0
printf 'setting up %s\n' "$folder" >&2
rm -rf "$folder" && mkdir "$folder" && cp "$wanted/package.json" "$folder"
cp "$wanted/package-lock.json" "$folder/package-lock.json"
# a registry that does not answer costs a minute or two, not ten
if ! npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent --fetch-timeout 60000 --fetch-retries 1; then
	rm -rf "$folder"
	printf 'warn: axe-core could not be set up\nhint: see the lines above, then scripts/utils/setup_axe.sh\n' >&2
fi
