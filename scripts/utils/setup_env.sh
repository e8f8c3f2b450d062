#!/usr/bin/env bash
## setup_env.sh [--if-needed] [EXTRA…]
##
## Make .venv hold this project and the named extras at the versions of constraints.txt.
## Extras installed earlier stay, and follow the pins too.
## A repeated call does nothing while pyproject.toml and constraints.txt are unchanged.
## Of several calls at once one sets up and the others wait; a .venv that is a link is for one checkout alone.
## --if-needed also leaves alone an environment made by hand, if it holds the project and no extra is named.
set -euo pipefail
[[ ${1-} != --help ]] || exec sed -n 's/^## \{0,1\}//p' "$0"

# One line that cannot act on a terminal: as a shell spells it, where it has more than plain marks.
plain() {
	local LC_ALL=C
	local acts=$'[\x01-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]'
	if [[ $1 =~ $acts ]]; then printf '%q' "$1"; else printf '%s' "$1"; fi
}

fail() {
	printf 'error: %s\nhint: %s\n' "$(plain "$1")" "$2" >&2
	exit "${3:-1}"
}

[[ $OSTYPE != msys && $OSTYPE != cygwin ]] || fail 'windows is supported through WSL 2 only' 'wsl --install, then work in there' 2

if_needed=false
[[ ${1-} != --if-needed ]] || { if_needed=true && shift; }
cd -P "${BASH_SOURCE[0]%/*}/../.."
case ${LC_ALL-} in C | POSIX) export LC_ALL=C.UTF-8 ;; esac # as in in_env.sh: uv starts Python

# What was set up last: where, and with which extras; beside it, the two files it was set up from.
memory=.venv/peak_trade
recall() {
	home='' installed=''
	[[ ! -f $memory/state ]] || { read -r home && read -r installed; } <"$memory/state" || true
}

usable() { [[ -x .venv/bin/python && ($home == "$PWD" || -z $home) ]]; }

has() { [[ " $installed " == *" $1 "* || " $installed " == *" all "* ]]; }

same_inputs() { # times first: they cost nothing; but a checkout often gives the same content a new time
	local name
	for name in pyproject.toml constraints.txt; do
		if [[ $name -nt $memory/$name || $name -ot $memory/$name ]]; then
			cmp -s "$name" "$memory/$name" || return 1
			touch -r "$name" "$memory/$name" 2>/dev/null || true # a checkout that can only be read is current all the same
		fi
	done
}

current() {
	local extra
	usable && [[ -n $home ]] && same_inputs || return 1
	for extra in "$@"; do has "$extra" || return 1; done
}

made_by_hand() { usable && [[ ! -d $memory ]] && compgen -G '.venv/lib/python3*/site-packages/peak_trade-*.dist-info' >/dev/null; }

say_ready() { $if_needed || printf 'environment is ready: .venv (extras: %s)\n' "${installed:-none}"; }

leave_if_ready() {
	recall
	if current "$@"; then
		say_ready
		exit 0
	fi
	if $if_needed && [[ $# -eq 0 ]] && made_by_hand; then exit 0; fi
}

lock() { # [-n]; of descriptor 9, by the kernel: it ends with the processes that hold it, whatever they die of
	if command -v flock >/dev/null; then
		flock "$@" 9
	else # macOS
		perl -e 'open my $held, "<&=", 9; exit !flock $held, @ARGV ? 2 | 4 : 2' -- "$@"
	fi
}

leave_if_ready "$@"
if [[ -L .venv && -n $home && $home != "$PWD" && -f $home/pyproject.toml ]]; then
	fail ".venv is a link to the environment of another checkout, $home" 'rm .venv, and this one gets its own'
fi
if [[ -w pyproject.toml ]]; then exec 9<>pyproject.toml; else exec 9<pyproject.toml; fi # NFS locks what is open to write
lock -n || { printf 'waiting for another set-up of this checkout …\n' >&2 && lock; } ||
	printf 'warn: the checkout could not be locked\nhint: set up once at a time\n' >&2
leave_if_ready "$@" # what the other one left

known=$(sed -n '/^\[project\.optional-dependencies\]/,/^\[tool/s/^\([a-z][a-z_-]*\) = \[.*/\1/p' pyproject.toml | xargs)
had_all=$([[ -n $home ]] && usable && echo true || echo false)
for extra in "$@"; do
	[[ " $known " == *" $extra "* ]] || fail "unknown extra \`$extra\`" "known: $known" 2
	has "$extra" || { installed="${installed:+$installed }$extra" && had_all=false; }
done

stop() { # what can't be set up anew is no reason not to use what is there
	if ! { $if_needed && $had_all; }; then fail "$1" "$2"; fi
	printf 'warn: going on with the packages of the last set-up: %s\nhint: just setup\n' "$(plain "$1")" >&2
	exit 0
}

was_there=$([[ -n $home && -f $memory/constraints.txt ]] && usable && echo true || echo false)
folder=.venv
[[ -e $folder ]] || folder=.
[[ -w $folder ]] || stop "$PWD/$folder can't be written" 'set it up as whoever owns it, or in a copy of your own'
uv=$(scripts/utils/find_uv.sh)
quiet=()
[[ -t 2 ]] || quiet=(--quiet)
usable || "$uv" venv "${quiet[@]+"${quiet[@]}"}" --clear .venv ||
	fail 'python 3.11 or newer is needed' 'install one, or name it: UV_PYTHON=/path/to/python just setup'
mkdir -p "$memory/next"
cp -p pyproject.toml constraints.txt "$memory/next/"
printf 'setting up .venv (extras: %s)\n' "${installed:-none}" >&2
# Byte-code is compiled now because the first run would otherwise pay for it.
if ! "$uv" pip install "${quiet[@]+"${quiet[@]}"}" --python .venv/bin/python --compile-bytecode \
	--constraint constraints.txt --editable ".${installed:+[${installed// /,}]}"; then
	stop 'the packages could not be installed' 'see the lines above, then repeat'
fi

pins() { grep -oE '^[A-Za-z0-9._-]+==[^ ;]+' "$1" | sort; }

if $if_needed && $was_there && ! cmp -s "$memory"/{,next/}constraints.txt; then # numbers may be others from here on
	moved=$(comm -13 <(pins "$memory/constraints.txt") <(pins "$memory/next/constraints.txt") | head -n 20 | xargs)
	printf '.venv was brought to new pins: %s\n' "${moved:-fewer packages}" | tee "$memory/renewed" >&2
fi
mv "$memory/next/"* "$memory/"
printf '%s\n%s\n' "$PWD" "$installed" >"$memory/state"
say_ready
