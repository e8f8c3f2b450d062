#!/usr/bin/env bash
## render_last_report.sh [OPTION…]
##
## Render the report of the run that was sealed last, and print the path of the HTML.
## Options are those of render_report.py: --open, --renderer quarto|builtin|auto, --output FILE, --json.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

exec "${BASH_SOURCE[0]%/*}/in_env.sh" scripts/utils/with_telemetry.sh python scripts/render_report.py last "$@"
