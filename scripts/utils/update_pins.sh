#!/usr/bin/env bash
## update_pins.sh [--upgrade]
##
## Compile constraints.txt from pyproject.toml: every extra, every platform, with hashes and without a host.
## Pins that still fit are kept; --upgrade takes the newest versions. Other options go to uv.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
uv=$(scripts/utils/find_uv.sh)
UV_CUSTOM_COMPILE_COMMAND='just update-pins' "$uv" pip compile pyproject.toml --quiet \
	--universal --all-extras --generate-hashes --python-version 3.11 --output-file constraints.txt "$@" >/dev/null
printf 'constraints.txt is compiled; what it pins is installed by: just setup\n' >&2
