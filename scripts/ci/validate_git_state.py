"""Say whether the checkout is fit for a pull request: one line a finding, with the command that mends it.

Exit 0: fit, though there may be warnings. 1: an error was found. 2: wrong usage, or no repository.
`validate_git_state.sh` starts it in the environment and tells what is looked at.
"""

from __future__ import annotations

from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--remote", metavar="NAME", help="the remote of the base (default: origin)")
    parser.add_argument("--branch", metavar="NAME", help="the base (default: what the remote's HEAD is, else main)")
    parser.add_argument("--skip-fetch", action="store_true", help="compare with the base as it was fetched last")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--strict", action="store_true", help="every warning is an error")
    level.add_argument("--lenient", action="store_true", help="what is usual on a branch in work is a warning")
    parser.add_argument("--json", action="store_true", help="print the state as JSON")
    parser.add_argument("--root", metavar="DIR", type=Path, help="the checkout (default: this one)")
    args = parser.parse_args()

    from peak_trade.ops import git_state

    script.show_warnings()
    state = git_state.examine(
        (args.root or script.repo_root()).resolve(),
        remote=args.remote,
        branch=args.branch,
        fetch=not args.skip_fetch,
        strict=args.strict,
        lenient=args.lenient,
    )
    if args.json:
        script.print_json(state.to_json_object())
    else:
        script.show(state.as_text())
    return 0 if state.fit else 1


if __name__ == "__main__":
    script.run(main)
