#!/usr/bin/env bash
## with_telemetry.sh COMMAND [ARG…]
##
## Run COMMAND, a Python program, under OpenTelemetry where PEAK_OTEL_ENABLED=1; else plainly, at no cost.
## The run_id is made here (unless --run-id or PEAK_RUN_ID gives it), so that whatever is recorded bears it.
## Also read: PEAK_OTEL_SERVICE_NAME, PEAK_OTEL_EXPORTER_OTLP_ENDPOINT, PEAK_OTEL_FILE, PEAK_OTEL_SAMPLE_RATIO
## (docs/ops/telemetry.md). What can't be recorded is a warning: COMMAND does, prints and exits as it would without.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"
[[ ${PEAK_OTEL_ENABLED-} == 1 ]] || exec "$@"

here=$(cd -P "${BASH_SOURCE[0]%/*}/../.." && pwd)
if [[ -z ${PEAK_RUN_ID-} && " $* " != *" --run-id"[\ =]* ]]; then
	{ read -r PEAK_RUN_ID </proc/sys/kernel/random/uuid; } 2>/dev/null ||
		PEAK_RUN_ID=$(uuidgen 2>/dev/null | tr '[:upper:]' '[:lower:]') || true
	export PEAK_RUN_ID
fi
# Python runs the sitecustomize.py in there first, as it does that of opentelemetry-instrument (docs/adr/0008).
export PYTHONPATH=$here/src/peak_trade/obs/start${PYTHONPATH:+:$PYTHONPATH}
exec "$@"
