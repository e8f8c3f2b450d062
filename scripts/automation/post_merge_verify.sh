#!/usr/bin/env bash
## post_merge_verify.sh [OPTION…]
##
## After a merge, check the base: one line a step, then a summary. Repeating it does no harm.
## Looked at: the base is checked out, clean, as expected, and the same as on the remote; the pull request is merged, says
## GitHub; `just test` passes; `just verify --all` passes; the ledger's head; the log of the merge.
## The commands have limits of time. Where gh or the remote is missing there is a warning.
##
##   --expected SHA      the commit that HEAD must be
##   --pr N              write docs/ops/PR_<N>_MERGE_LOG.md with all this, or check the one that is there
##   --remote NAME       the remote of the base (default: origin)
##   --branch NAME       the base (default: what the remote's HEAD is, else main)
##   --skip-tests        leave `just test` out
##   --json              print the steps as JSON
##   --results-dir DIR   where the runs are (default: results/)
##   --root DIR          the checkout (default: this one)
##
## Exit 0: all is well, though there may be warnings (with PEAK_STRICT=1 they fail). 1: a step failed.
## 2: wrong usage, or no repository.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

exec "${BASH_SOURCE[0]%/*}/../utils/in_env.sh" --with dev python scripts/automation/post_merge_verify.py "$@"
