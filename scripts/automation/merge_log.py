"""Write the log of a merge, docs/ops/PR_<N>_MERGE_LOG.md, and list it in docs/ops/README.md; print its path.

The merge is found by `Merge pull request #N` or `(#N)` in the history of HEAD. A log that exists is brought up to date
in its generated parts alone; if one of those was edited by hand, nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("pr", metavar="N", type=script.count, help="the number of the pull request")
    parser.add_argument("--commit", metavar="SHA", help="the merge itself, where its message does not say the number")
    parser.add_argument("--root", metavar="DIR", type=Path, help="the checkout (default: this one)")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.ops import gh, merge_log
    from peak_trade.ops.git import Git

    script.show_warnings()
    root = (args.root or script.repo_root()).resolve()
    git = Git(root)
    told = gh.view(root, args.pr) if gh.installed() else {}
    if isinstance(told, str):
        script.warn(f"the reasons are taken from git: {told}")
    merge = merge_log.find(git, args.pr, args.commit or gh.merge_commit(told))
    why = str(told.get("body") or "") if isinstance(told, dict) else None
    done = merge_log.write(root, merge, Results(script.results_dir(args.results_dir, there=True)), why=why)
    path = merge_log.log_path(root, args.pr).relative_to(root)
    script.note(f"{path.name} is {done}")
    if stale := merge_log.index(root):
        script.warn(f"the index is not: {stale}", hint="just fix")
    script.show(str(path), exact=True)
    return 0


if __name__ == "__main__":
    script.run(main)
