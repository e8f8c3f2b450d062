#!/usr/bin/env bash
## lint.sh
##
## Every check that runs no test: hooks (ruff, shell, justfile, files, documents), types, layers, dashboards, workflows.
## All of them run, so that one look shows all there is to mend; the exit code is 1 if any failed.
set -uo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

failed=()
check() {
	printf '$ %s\n' "$*" >&2
	"$@" || failed+=("$1")
}

check git diff --check
check pre-commit run --all-files
check mypy
check lint-imports --no-logo
check python scripts/ci/check_docs.py
check python scripts/ci/check_observability.py
check actionlint
check zizmor --offline --no-progress --quiet .github
check check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
check check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml

if ((${#failed[@]})); then
	printf 'error: failed: %s\nhint: just fix\n' "${failed[*]}" >&2
	exit 1
fi
