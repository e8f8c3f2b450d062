"""Check the branch, then open a pull request with its template filled in; print its address.

Where gh is missing, or with --dry-run, print the commands that would do it, ready to paste.
`open_pr.sh` starts it in the environment.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from peak_trade import script
from peak_trade.errors import RunError

LIMIT_S = 3600


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--base", metavar="NAME", help="the branch to merge into (default: the remote's own)")
    parser.add_argument("--title", help="default: the subject of a single commit, else the branch's name in words")
    parser.add_argument("--draft", action="store_true", help="open it as a draft")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and open nothing")
    parser.add_argument("--skip-checks", action="store_true", help="leave git-state and `just validate` out")
    parser.add_argument("--root", metavar="DIR", type=Path, help="the checkout (default: this one)")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.ops import gh, git_state, pull_request
    from peak_trade.ops.git import Git

    script.show_warnings()
    root = (args.root or script.repo_root()).resolve()
    results = Results(script.results_dir(args.results_dir, there=True))
    state = git_state.examine(root, branch=args.base, strict=True)
    change = pull_request.read(Git(root), state.base)
    unpushed = [finding for finding in state.findings if finding.check == "upstream"]
    faults = [str(finding) for finding in state.findings if finding not in unpushed]
    verification = pull_request.SKIPPED if args.skip_checks else checks(root, faults)
    text = pull_request.body(root, change, verification, results)
    commands = pull_request.commands(change, args.title or change.title, text, draft=args.draft, push=bool(unpushed))
    if args.dry_run or not gh.installed():
        if not args.dry_run:
            script.warn("gh is missing: run this by hand, or open the page of the repository")
        script.show("\n".join(map(shlex.join, commands)), exact=True)
        return 0
    for command in commands:  # at the terminal, for they may ask for a password
        if subprocess.run(command, cwd=root, stdout=sys.stderr if command[0] == "git" else None).returncode:
            raise RunError(
                f"{shlex.join(command[:3])} failed", hint="see above; `just pr --dry-run` prints the commands"
            )
    return 0


def checks(root: Path, faults: list[str]) -> list[tuple[str, str]]:
    """Return what passed; the faults of the checkout are already known.

    Raises:
        RunError: if something did not pass.
    """
    from peak_trade.call import call

    for fault in faults:
        script.note(fault)
    if faults:
        raise RunError("the checkout is not fit for a pull request", hint="see above, or `just pr --skip-checks`")
    if call(os.environ.get("JUST", "just"), "validate", cwd=root, timeout_s=LIMIT_S, echo=sys.stderr).code:
        raise RunError("`just validate` failed", hint="see above, or `just pr --skip-checks`")
    return [("just git-state --strict", "fit"), ("just validate", "passed")]


if __name__ == "__main__":
    script.run(main)
