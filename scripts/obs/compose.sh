#!/usr/bin/env bash
## compose.sh ARG…
##
## Run `docker compose ARG…` over the stack of ops/observability; where Docker can't, say so and what to do instead.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

fail() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit 1
}

cd -P "${BASH_SOURCE[0]%/*}/../.."
command -v docker >/dev/null || fail 'docker is not installed; an MLflow server needs none' 'just obs-local'
docker compose version >/dev/null 2>&1 || fail 'docker has no compose plugin' 'install it, or just obs-local'
docker info >/dev/null 2>&1 || fail 'docker does not answer' 'start it, or just obs-local'
exec docker compose --file ops/observability/docker-compose.yml "$@"
