#!/usr/bin/env bash
## setup_engines.sh NAME…
##
## Make .engines/NAME hold an engine whose packages clash with ours, at the pins of tests/engines/pins/NAME.txt, for the
## tests that run it: zipline, nautilus, freqtrade. A repeated call does nothing while the pins are unchanged.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
pins=tests/engines/pins
fail() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit "${3:-1}"
}

known='freqtrade, nautilus, zipline'
(($#)) || fail 'which engine?' "$0 zipline; known: $known" 2
for name in "$@"; do
	[[ $name =~ ^[a-z]+$ && -f $pins/$name.txt ]] || fail "no engine of that name has pins" "known: $known" 2
done
uv=$(scripts/utils/find_uv.sh)
for name in "$@"; do
	folder=.engines/$name
	if ! cmp -s "$pins/$name.txt" "$folder/pins.txt"; then
		printf 'setting up %s\n' "$folder" >&2
		if ! { "$uv" venv --quiet --clear --no-project --python 3.11 "$folder" &&
			"$uv" pip install --quiet --no-deps --python "$folder/bin/python" --requirement "$pins/$name.txt"; }; then
			fail "$folder could not be set up" 'see the lines above, then repeat'
		fi
		cp "$pins/$name.txt" "$folder/pins.txt"
	fi
	printf 'environment is ready: %s\n' "$folder"
done
