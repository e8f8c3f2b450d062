#!/usr/bin/env bash
## completion.sh [bash|zsh|fish]
##
## Print what a shell needs to complete recipes, and run_ids where a run is asked for, on TAB.
## The shell is that of $SHELL where none is named.
## In ~/.bashrc or ~/.zshrc: eval "$(just completion bash)". In fish: just completion fish | source
## The run_ids are those in $PEAK_RESULTS_DIR, else in results/ beside the justfile, as `just` itself looks for it.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

run_recipes='show verify compare replay report track trace pin probe luck sign export unseal-holdout'
shell=${1-${SHELL-}}

# Names found on disk are compared, never expanded or put on a line as they are: only what has the shape of a run_id is
# offered. What `just` itself offers after a recipe are files, which bash would not quote: those are left to bash.
case ${shell##*/} in
bash)
	"${JUST:-just}" --completions bash
	printf "_peak_trade_recipes=' %s '\n" "$run_recipes"
	cat <<-'EOF'
		_peak_trade_before=$(complete -p just | sed 's/.* -F \([^ ]*\) .*/\1/')
		_peak_trade_runs() (
			results=${PEAK_RESULTS_DIR-} at=$PWD
			while [[ -z $results && -n $at ]]; do [[ ! -e $at/justfile ]] || results=$at/results; at=${at%/*}; done
			shopt -u failglob
			set +f
			[[ last != "$1"* ]] || echo last
			for run in "$results"/[0-9a-f]???????-????-????-????-????????????/; do
				run=${run%/} run=${run##*/}
				[[ $run == *[!0123456789abcdef-]* || $run != "$1"* ]] || echo "$run"
			done
		)
		_peak_trade() {
			local IFS=$'\n' flags=$- at
			COMPREPLY=()
			set -f
			if [[ $_peak_trade_recipes == *" ${COMP_WORDS[1]-} "* && $COMP_CWORD -gt 1 ]]; then
				COMPREPLY=($(_peak_trade_runs "${COMP_WORDS[COMP_CWORD]}"))
			fi
			((${#COMPREPLY[@]})) || "$_peak_trade_before" "$@"
			[[ $flags == *f* ]] || set +f
			for at in "${!COMPREPLY[@]}"; do
				[[ ${COMPREPLY[at]} != *[!_.,:=/@%+[:alnum:]-]* ]] || unset "COMPREPLY[$at]"
			done
		}
		complete -o bashdefault -o default -F _peak_trade just
	EOF
	;;
zsh)
	"${JUST:-just}" --completions zsh
	printf "_peak_trade_recipes=' %s '\n" "$run_recipes"
	cat <<-'EOF'
		_peak_trade_before=${_comps[just]}
		_peak_trade() {
			if ((CURRENT > 2)) && [[ $_peak_trade_recipes == *" $words[2] "* && $PREFIX != -* ]]; then
				local results=${PEAK_RESULTS_DIR-} at=$PWD run
				while [[ -z $results && -n $at ]]; do [[ ! -e $at/justfile ]] || results=$at/results; at=${at%/*}; done
				compadd -- last
				for run in "$results"/[0-9a-f]???????-????-????-????-????????????(/N:t); do
					[[ $run == *[^0123456789abcdef-]* ]] || compadd -- "$run"
				done
			else
				"$_peak_trade_before" "$@"
			fi
		}
		compdef _peak_trade just
	EOF
	;;
fish)
	"${JUST:-just}" --completions fish
	printf "set -g __peak_trade_recipes %s\n" "$run_recipes"
	cat <<-'EOF'
		function __peak_trade_runs
			set -l at $PWD
			while test -n "$at"; and not test -e $at/justfile; set at (string replace -r '/[^/]*$' '' -- $at); end
			set -q PEAK_RESULTS_DIR; and set -l results $PEAK_RESULTS_DIR; or set -l results $at/results
			echo last
			for run in $results/*/
				string match -r -- '(?<=/)[0-9a-f][0-9a-f-]{35}(?=/\z)' $run
			end
		end
		complete -c just -n '__fish_seen_subcommand_from $__peak_trade_recipes' -a '(__peak_trade_runs)'
	EOF
	;;
'')
	printf 'error: no shell is named\nhint: known: bash, zsh, fish\n' >&2
	exit 2
	;;
*)
	LC_ALL=C
	shell=${shell##*/}
	[[ $shell != *[!\ -~]* ]] || shell=$(printf '%q' "$shell") # what a terminal might obey, as a shell spells it
	printf "error: unknown shell \`%s\`\nhint: known: bash, zsh, fish\n" "$shell" >&2
	exit 2
	;;
esac
