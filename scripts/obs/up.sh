#!/usr/bin/env bash
## up.sh
##
## Start the stack for the dashboards (Grafana, Tempo, Loki, Prometheus and a collector) and wait until it is healthy.
## stdout is what makes runs send to it: eval "$(just obs-up)"; where to look is told on stderr.
## Ports: PEAK_GRAFANA_PORT (3000), PEAK_OTLP_GRPC_PORT (4317) and PEAK_OTLP_HTTP_PORT (4318), on 127.0.0.1 alone.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.."
compose=scripts/obs/compose.sh
patience_s=300

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

grafana=${PEAK_GRAFANA_PORT:-3000} http=${PEAK_OTLP_HTTP_PORT:-4318}
running=$("$compose" ps --quiet --status running)
if [[ -z $running ]]; then
	for wanted in "PEAK_GRAFANA_PORT $grafana" "PEAK_OTLP_GRPC_PORT ${PEAK_OTLP_GRPC_PORT:-4317}" "PEAK_OTLP_HTTP_PORT $http"; do
		read -r variable port <<<"$wanted"
		if in_use "$port"; then
			printf 'error: port %s is in use\nhint: %s=%d just obs-up\n' "$port" "$variable" $((port + 10000 < 65536 ? port + 10000 : port - 10000)) >&2
			exit 1
		fi
	done
fi
if ! "$compose" up --detach --wait --wait-timeout "$patience_s" >&2; then
	printf 'error: the stack did not become healthy\nhint: just obs-check\n' >&2
	exit 1
fi
cat >&2 <<-END
	dashboard: http://127.0.0.1:$grafana (everybody may look; to change things log in as admin, password \$PEAK_GRAFANA_PASSWORD or admin)
	the lines below send every run there; \`just obs-check\` looks whether it arrives
END
printf 'export %s\n' PEAK_OTEL_ENABLED=1 "PEAK_OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$http"
