#!/usr/bin/env bash
## check.sh
##
## Look at every part of the stack for the dashboards and send a span through it.
## One line a finding on stdout, with the command that mends it; exit 0 if all is well, else 1.
set -uo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

cd -P "${BASH_SOURCE[0]%/*}/../.." || exit 1
compose=scripts/obs/compose.sh
again='just obs-down && just obs-up'
patience_s=30 # until the span is found
failed=0

tell() { # STATE NAME DETAIL [COMMAND]: as `just doctor` does
	[[ $1 == ok ]] || failed=1
	printf '%-8s%-22s%s%s\n' "$1" "$2" "$3" "${4:+  ($4)}"
}

answer() { # METHOD PORT PATH [BODY]: the status of an answer to this machine
	(
		exec 3<>"/dev/tcp/127.0.0.1/$2" || exit
		printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
			"$1" "$3" "$2" "${#4}" "$4" >&3
		read -r -t 10 _ status _ <&3 && printf '%s' "$status"
	) 2>/dev/null
}

inside() { "$compose" exec -T lgtm "$@" 2>/dev/null; }

part() { # NAME VARIABLE PATH: one program in the container
	local version
	if version=$(inside sh -c "curl -fsS -m 5 -o /dev/null http://127.0.0.1:$3 && printenv $2"); then
		tell ok "$1" "$version is ready"
	else
		tell failed "$1" 'is not ready' "$again"
	fi
}

container=$("$compose" ps --quiet lgtm) || exit 1
if [[ -z $container ]]; then
	tell failed container 'is not running' 'just obs-up'
	exit 1
fi
pinned=$(sed -n 's/^ *image: //p' ops/observability/docker-compose.yml)
read -r image state < <(docker inspect --format '{{.Config.Image}} {{.State.Status}}/{{.State.Health.Status}}' "$container")
if [[ $image == "$pinned" ]]; then tell ok image "${image%@*}"; else tell failed image "$image is not the pinned one" 'just obs-up'; fi
if [[ $state == running/healthy ]]; then tell ok container "$state"; else tell failed container "$state" "$again"; fi

published() { # PORT: where it is on this machine
	local where
	where=$("$compose" port lgtm "$1" 2>/dev/null) && printf '%s' "${where##*:}"
}

part grafana GRAFANA_VERSION 3000/api/health
part tempo TEMPO_VERSION 3200/ready
part loki LOKI_VERSION 3100/ready
part prometheus PROMETHEUS_VERSION 9090/-/ready
part collector OPENTELEMETRY_COLLECTOR_VERSION 13133/ready

grafana=$(published 3000) grpc=$(published 4317) http=$(published 4318)
if [[ $(answer GET "$grafana" /api/dashboards/uid/peak-trade-runs '') == 200 ]]; then
	tell ok dashboard "http://127.0.0.1:$grafana/d/peak-trade-runs"
else
	tell failed dashboard "is not at http://127.0.0.1:$grafana" "$again"
fi
if (exec 3<>"/dev/tcp/127.0.0.1/$grpc") 2>/dev/null; then
	tell ok 'OTLP over gRPC' "port $grpc takes connections"
else
	tell failed 'OTLP over gRPC' "port $grpc takes no connection" "$again"
fi

read -r trace span < <(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' | sed 's/^.\{32\}/& /')
now=$(date +%s)000000000
body='{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"obs-check"}}]},"scopeSpans":[{"spans":[{"traceId":"'$trace'","spanId":"'$span'","name":"obs-check","kind":1,"startTimeUnixNano":"'$now'","endTimeUnixNano":"'$now'"}]}]}]}'
if [[ $(answer POST "$http" /v1/traces "$body") != 200 ]]; then
	tell failed 'OTLP over HTTP' "port $http did not take a span" "$again"
	exit 1
fi
tell ok 'OTLP over HTTP' "port $http took a span"
for ((waited = 0; ; waited++)); do
	if inside curl -fsS -m 5 -o /dev/null "http://127.0.0.1:3200/api/traces/$trace"; then
		tell ok 'test span' "trace $trace is in Tempo"
		break
	elif ((waited == patience_s)); then
		tell failed 'test span' "did not reach Tempo within $patience_s s" "$again"
		break
	fi
	sleep 1
done
exit "$failed"
