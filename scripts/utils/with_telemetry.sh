#!/usr/bin/env bash
## with_telemetry.sh COMMAND [ARG…]
##
## Run COMMAND, a Python program, through opentelemetry-instrument where PEAK_OTEL_ENABLED=1; else plainly, at no cost.
## The run_id is made before it starts (unless --run-id or PEAK_RUN_ID gives it), so that whatever is recorded bears it.
## Also read: PEAK_OTEL_SERVICE_NAME, PEAK_OTEL_EXPORTER_OTLP_ENDPOINT, PEAK_OTEL_FILE, PEAK_OTEL_SAMPLE_RATIO and
## OpenTelemetry's own (docs/ops/telemetry.md).
## What can't be recorded is a warning: COMMAND does, prints and exits as it would without.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"
[[ ${PEAK_OTEL_ENABLED-} == 1 ]] || exec "$@"
command -v "$1" >/dev/null || exec "$@" # which says that there is no such command

here=$(cd -P "${BASH_SOURCE[0]%/*}/../.." && pwd)
python=python
case ${1##*/} in python*) python=$1 ;; esac
# The command's own process, in which it is checked before it becomes COMMAND's (docs/adr/0008). -P: this folder's
# modules are not for everybody.
exec "$python" -P "$here/src/peak_trade/obs/launch.py" "$@"
