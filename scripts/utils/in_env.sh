#!/usr/bin/env bash
## in_env.sh [--with EXTRA]… COMMAND [ARG…]
##
## Run COMMAND with .venv first on PATH. A script of ours runs where the person stands, which is $PEAK_CWD where just
## says it, so that the paths on the command line count from there; any other COMMAND runs at the repository's root.
## The environment is made if it is missing, and given the extras that COMMAND needs.
## All that set-up says goes to stderr: stdout belongs to COMMAND.
## Where it brought .venv to new pins, COMMAND has what changed in $PEAK_RENEWED, of which a run makes a receipt.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

extras=()
while [[ ${1-} == --with ]]; do
	extras+=("$2")
	shift 2
done
stands=${PEAK_CWD:-$PWD}
unset PEAK_CWD # what COMMAND starts stands elsewhere
cd -P "${BASH_SOURCE[0]%/*}/../.."
# Python 3.11 reads where the checkout is in the locale's encoding, and would die of an umlaut in a locale of C.
case ${LC_ALL-} in C | POSIX) export LC_ALL=C.UTF-8 ;; esac
# In a subshell rather than a new process: this stands before every recipe.
# shellcheck disable=SC1091 # it is checked by itself
(source scripts/utils/setup_env.sh --if-needed "${extras[@]+"${extras[@]}"}") >&2
# What a recorded command is looked for by is what it was typed in.
[[ " $* " != *" scripts/"@(re[cp]*_run|sweep)".py "* ]] || export PEAK_PATH=$PATH PEAK_VIRTUAL_ENV=${VIRTUAL_ENV-}
if [[ -f .venv/peak_trade/renewed ]]; then # a run that begins now has this in its evidence
	PEAK_RENEWED=$(<.venv/peak_trade/renewed) && export PEAK_RENEWED
	rm -f .venv/peak_trade/renewed
fi
export VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.venv/bin:$PATH

# Up to the script itself, files are ours, named from the root; what follows is the person's.
command=()
while [[ ! $stands -ef . && (${1-} == python || ${1-} == scripts/*) ]]; do
	word=$1
	shift
	[[ $word == python ]] || word=$PWD/$word
	command+=("$word")
	case $word in
	*/with_telemetry.sh) ;;
	*.py | */automation/*.sh | */validate_git_state.sh) cd "$stands" && break ;;
	*.sh) break ;; # a gate is about the checkout
	esac
done
if [[ ! $stands -ef . && ${1-} == pytest ]]; then # it runs at the root, and finds tests from there
	for word in "$@"; do
		[[ $word == -* || $word != *[/.]* || ! -e $stands/${word%%::*} ]] || word=$stands/$word
		command+=("$word")
	done
	set --
fi
exec "${command[@]+"${command[@]}"}" "$@"
