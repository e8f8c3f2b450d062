#!/usr/bin/env bash
## results_of.sh [OPTION…]
##
## To be sourced: where OPTIONs of a run name its --results-dir, make it that of the steps after the run too.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

for word in "$@"; do
	[[ ${before-} != --results-dir ]] || export PEAK_RESULTS_DIR=$word
	[[ $word != --results-dir=* ]] || export PEAK_RESULTS_DIR=${word#*=}
	before=$word
done
