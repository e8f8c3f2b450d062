"""After a merge, check the base: where it is, its tests, its evidence; one line a step.

Exit 0: all is well, though there may be warnings (with PEAK_STRICT=1 they fail). 1: a step failed.
2: wrong usage, or no repository. `post_merge_verify.sh` starts it in the environment and tells what is looked at.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--expected", metavar="SHA", help="the commit that HEAD must be")
    parser.add_argument("--pr", metavar="N", type=script.count, help="write the log of this merge, or check it")
    parser.add_argument("--remote", metavar="NAME", help="the remote of the base (default: origin)")
    parser.add_argument("--branch", metavar="NAME", help="the base (default: what the remote's HEAD is, else main)")
    parser.add_argument("--skip-tests", action="store_true", help="leave `just test` out")
    parser.add_argument("--json", action="store_true", help="print the steps as JSON")
    parser.add_argument("--root", metavar="DIR", type=Path, help="the checkout (default: this one)")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.ops import post_merge

    script.show_warnings()
    steps = []
    for step in post_merge.verify(
        (args.root or script.repo_root()).resolve(),
        Results(script.results_dir(args.results_dir, there=True)),
        expected=args.expected,
        number=args.pr,
        remote=args.remote,
        branch=args.branch,
        skip_tests=args.skip_tests,
        echo=sys.stderr,
    ):
        steps.append(step)
        if not args.json:
            script.show(str(step), flush=True)
    states = Counter(step.state for step in steps)
    failed = states["failed"] > 0 or (states["warn"] > 0 and os.environ.get("PEAK_STRICT") == "1")
    if args.json:
        script.print_json({"state": "failed" if failed else "ok", "steps": [step._asdict() for step in steps]})
    else:
        told = ", ".join(f"{number} {state}" for state, number in states.items())
        script.show(f"{'failed' if failed else 'ok':8}{'post-merge':14}{len(steps)} steps: {told}")
    return 1 if failed else 0


if __name__ == "__main__":
    script.run(main)
