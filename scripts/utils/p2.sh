#!/usr/bin/env bash
## p2.sh [CONFIG] [OPTION…]
##
## Stage P2 in one go: run CONFIG, then bring all runs and their bars into the lake.
## CONFIG is config/btcusdt_donchian.toml where none is named. stdout is the run_id alone.
## OPTIONs are those of run_strategy_from_config.py.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

export PEAK_CWD=${PEAK_CWD:-$PWD}
cd -P "${BASH_SOURCE[0]%/*}/../.."
if [[ ${1--} == -* ]]; then
	config=config/btcusdt_donchian.toml
	[[ $PEAK_CWD -ef $PWD ]] || config=$PWD/$config
	set -- "$config" "$@"
fi
python() { scripts/utils/in_env.sh --with lake scripts/utils/with_telemetry.sh python "$@"; }

# shellcheck disable=SC1091 # it is checked by itself
source scripts/utils/results_of.sh "$@"
id=$(python scripts/run_strategy_from_config.py --config "$@")
built=0
python scripts/build_lake_from_results.py >&2 || built=$?
echo "$id"
exit "$built"
