#!/usr/bin/env bash
## p1.sh [CONFIG] [OPTION…]
##
## Stage P1 in one go: run CONFIG, render the run's report, log both to MLflow.
## CONFIG is config/my_strategy.toml where none is named. stdout is the run_id alone.
## OPTIONs are those of run_strategy_from_config.py.
## The run comes first: where the other two steps can't be done there is a warning, and the run stays sealed;
## with PEAK_STRICT=1 that is exit 1.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

export PEAK_CWD=${PEAK_CWD:-$PWD}
cd -P "${BASH_SOURCE[0]%/*}/../.."
if [[ ${1--} == -* ]]; then
	config=config/my_strategy.toml
	[[ $PEAK_CWD -ef $PWD ]] || config=$PWD/$config
	set -- "$config" "$@"
fi
python() { scripts/utils/in_env.sh scripts/utils/with_telemetry.sh python "$@"; }
skipped=0
optional() {
	"$@" >&2 || { skipped=1 && printf 'warn: this step of p1 was skipped: %s\n' "$1" >&2; }
}

# shellcheck disable=SC1091 # it is checked by itself
source scripts/utils/results_of.sh "$@"
optional scripts/utils/in_env.sh --with experiments true
id=$(python scripts/run_strategy_from_config.py --config "$@")
report() { python scripts/render_report.py "$id"; }
tracking() { python scripts/track_runs.py "$id"; }
optional report
optional tracking
echo "$id"
[[ ${PEAK_STRICT-} != 1 ]] || exit "$skipped"
