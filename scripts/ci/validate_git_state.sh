#!/usr/bin/env bash
## validate_git_state.sh [OPTION…]
##
## Say whether the checkout is fit for a pull request: one line a finding, with the command that mends it.
## Looked at: the tree is clean; on a branch; ahead, behind or diverged from the base; pushed; no merge, rebase,
## cherry-pick, revert or bisect half done; no conflict marks; generated documents current; constraints.txt in step with
## pyproject.toml; no result and no large file tracked. What can't be known is a warning.
##
##   --remote NAME   the remote of the base (default: origin)
##   --branch NAME   the base (default: what the remote's HEAD is, else main)
##   --skip-fetch    compare with the base as it was fetched last
##   --strict        every warning is an error
##   --lenient       a tree that is not clean and a base that has moved on are warnings, as in `just validate`
##   --json          print the state as JSON
##   --root DIR      the checkout (default: this one)
##
## Exit 0: fit, though there may be warnings. 1: an error was found. 2: wrong usage, or no repository.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

exec "${BASH_SOURCE[0]%/*}/../utils/in_env.sh" --with dev python scripts/ci/validate_git_state.py "$@"
