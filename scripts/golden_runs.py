"""Keep golden runs in the repository, and hold the code of here against them.

add RUN      keeps a sealed run in golden/, without its log and telemetry
check        makes the golden runs again: all, or those that are named; `just validate` does it too
approve      puts what the code makes now in their place, where that differs: golden/*/figures.txt is the diff to review
list         names them
Exit 0: the same comes of all of them. 1: something else does. 2: one can't be made.
"""

from __future__ import annotations

from pathlib import Path

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("action", choices=("add", "check", "approve", "list"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="golden runs; of `add`, a RUN")
    parser.add_argument("--name", default="", help="of `add`: what to call it (default: as the run is called)")
    parser.add_argument("--renew", action="store_true", help="of `approve`: seal anew what is identical too")
    parser.add_argument("--golden-dir", type=Path, metavar="DIR", help="where they lie (default: golden/)")
    args = parser.parse_args()
    if args.action == "add" and len(args.names) != 1:
        parser.error("add takes one RUN")

    result = script.claim_stdout()  # what a strategy prints goes to stderr
    with script.loading():
        from peak_trade.evidence.results import Results
        from peak_trade.trust import replay
        from peak_trade.trust.replay import golden

    script.show_warnings()
    root, folder = script.repo_root(), args.golden_dir or script.repo_root() / "golden"
    if args.action == "list":
        script.show("\n".join(golden.names(folder)), result)
        return 0
    if args.action == "add":
        with replay.opened(args.names[0], Results(script.results_dir(args.results_dir))) as one:
            name, place = golden.add(folder, one.run, one.results, root, args.name)
        script.note(f"golden run {name}: {place}")
        script.show(name, result)
        return 0
    codes, count = [0], len(args.names) or len(golden.names(folder))
    if not count:
        script.warn(f"there are no golden runs in {folder}", hint="just golden add RUN keeps one")
    if args.action == "approve":
        for held, new in golden.approve(folder, root, args.names, renew=args.renew):
            script.show(f"{held.name}: approved, see {folder / held.name}" if new else held.as_text(), result)
            codes.append(0 if new else held.exit_code)
    else:
        for done, held in enumerate(golden.hold(folder, root, args.names), 1):
            script.progress(done, count, "golden runs")
            script.show(held.as_text(), result)
            codes.append(held.exit_code)
    return max(codes)


if __name__ == "__main__":
    script.run(main)
