#!/usr/bin/env bash
## open_pr.sh [OPTION…]
##
## Check the branch (`just git-state --strict`, pushed or not, and `just validate`), push it if need be, and open a pull
## request whose template is filled in: commits, changed areas, reasons, what was verified, the ledger's head.
## stdout is the address that gh answers; where gh is missing, the commands to paste.
##
##   --base NAME         the branch to merge into (default: the remote's own)
##   --title TITLE       default: the subject of a single commit, else the branch's name in words
##   --draft             open it as a draft
##   --dry-run           print the commands and open nothing
##   --skip-checks       leave git-state and `just validate` out; the body says so
##   --results-dir DIR   where the ledger is (default: results/)
##   --root DIR          the checkout (default: this one)
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

exec "${BASH_SOURCE[0]%/*}/../utils/in_env.sh" --with dev python scripts/automation/open_pr.py "$@"
