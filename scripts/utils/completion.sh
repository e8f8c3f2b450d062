#!/usr/bin/env bash
## completion.sh [bash|zsh|fish]
##
## Print what a shell needs to complete recipes, and run_ids where a run is asked for, on TAB.
## The shell is that of $SHELL where none is named.
## In ~/.bashrc or ~/.zshrc: eval "$(just completion bash)". In fish: just completion fish | source
## The run_ids are those in $PEAK_RESULTS_DIR, else in results/ beside the justfile, as `just` itself looks for it.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

run_recipes='show verify report track trace pin'
shell=${1-${SHELL-}}

case ${shell##*/} in
bash)
	"${JUST:-just}" --completions bash
	cat <<-EOF
		_peak_trade_before=\$(complete -p just | sed 's/.* -F \([^ ]*\) .*/\1/')
		_peak_trade() {
			COMPREPLY=()
			if [[ " $run_recipes " == *" \${COMP_WORDS[1]-} "* && \$COMP_CWORD -gt 1 ]]; then
				local results=\${PEAK_RESULTS_DIR-} at=\$PWD
				while [[ -z \$results && -n \$at ]]; do [[ ! -e \$at/justfile ]] || results=\$at/results; at=\${at%/*}; done
				local runs=(\$(cd "\$results" 2>/dev/null && compgen -G '????????-*-*-*-*'))
				COMPREPLY=(\$(compgen -W "last \${runs[*]-}" -- "\${COMP_WORDS[COMP_CWORD]}"))
			fi
			((\${#COMPREPLY[@]})) || "\$_peak_trade_before" "\$@"
		}
		complete -o bashdefault -o default -F _peak_trade just
	EOF
	;;
zsh)
	"${JUST:-just}" --completions zsh
	cat <<-EOF
		_peak_trade_before=\${_comps[just]}
		_peak_trade() {
			if ((CURRENT > 2)) && [[ " $run_recipes " == *" \$words[2] "* && \$PREFIX != -* ]]; then
				local results=\${PEAK_RESULTS_DIR-} at=\$PWD
				while [[ -z \$results && -n \$at ]]; do [[ ! -e \$at/justfile ]] || results=\$at/results; at=\${at%/*}; done
				compadd -- last "\$results"/????????-*-*-*-*(/N:t)
			else
				"\$_peak_trade_before" "\$@"
			fi
		}
		compdef _peak_trade just
	EOF
	;;
fish)
	"${JUST:-just}" --completions fish
	cat <<-EOF
		function __peak_trade_runs
			set -l at \$PWD
			while test -n "\$at"; and not test -e \$at/justfile; set at (string replace -r '/[^/]*\$' '' \$at); end
			set -q PEAK_RESULTS_DIR; and set -l results \$PEAK_RESULTS_DIR; or set -l results \$at/results
			echo last
			for run in \$results/????????-*-*-*-*; basename \$run; end
		end
		complete -c just -n '__fish_seen_subcommand_from $run_recipes' -a '(__peak_trade_runs)'
	EOF
	;;
'')
	printf 'error: no shell is named\nhint: known: bash, zsh, fish\n' >&2
	exit 2
	;;
*)
	printf "error: unknown shell \`%s\`\nhint: known: bash, zsh, fish\n" "${shell##*/}" >&2
	exit 2
	;;
esac
