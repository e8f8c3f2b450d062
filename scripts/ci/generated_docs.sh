#!/usr/bin/env bash
## generated_docs.sh [--check]
##
## Write the generated parts of the documents anew (cog blocks); with --check, only say whether they are stale.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

mode=(-r)
[[ ${1-} != --check ]] || mode=(--check --diff)
if ! grep -rl --null --include='*.md' '\[\[\[cog' README.md docs | xargs -0 cog "${mode[@]}" -I scripts >&2; then
	printf 'error: generated documents are stale\nhint: just fix\n' >&2
	exit 1
fi
