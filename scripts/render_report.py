"""Render the report of a run: one HTML file, results/<run_id>/report/backtest_report.html, that needs no network.

RUN is a run_id, a unique start of one, `last`, or the path of a run's directory or of an archive of runs, whose report
is written where you stand. The last line of stdout is the path of the HTML. Quarto renders it where it is installed,
else the built-in renderer: same sections, same numbers. --png and --pdf take pictures of it by a headless Chromium, and
print their paths, too; the report is there whether or not there is one.
Exit 0: written. 1: written, but the run's seal is broken; or a cell raised, and the old report stays. 2: no such run,
or no browser for a picture.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path

from peak_trade import places, script
from peak_trade.errors import PeakError, RunError


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", help="which run (default: last)")
    parser.add_argument("--all-missing", action="store_true", help="every run that has no report, with two kernels")
    parser.add_argument("--renderer", choices=("auto", "quarto", "builtin"), default="auto", help="default: auto")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it here instead")
    parser.add_argument("--png", action="append_const", const="png", dest="kinds", help="picture its top, to be pasted")
    parser.add_argument("--pdf", action="append_const", const="pdf", dest="kinds", help="print it to a file, all of it")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--optional", action="store_true", help="where the tools are not installed: warn and exit 0")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON instead of the path")
    args = parser.parse_args()
    if args.all_missing and (args.run or args.output):
        parser.error("--all-missing makes many reports: name no RUN and no --output")

    result = script.claim_stdout()
    from peak_trade.evidence.results import Results
    from peak_trade.report import picture, render
    from peak_trade.runner.limits import termination_raised
    from peak_trade.trust.handed import handed

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    name = "builtin" if args.all_missing and args.renderer == "auto" else args.renderer  # Quarto: a kernel for each
    written: list[tuple[render.Rendered, dict[str, str], list[PeakError]]] = []
    faults: list[PeakError] = []
    with termination_raised(hangup=True), ExitStack() as stack:
        one = None if args.all_missing else stack.enter_context(handed(args.run or "last", results))
        wanted = [one.run] if one else render.missing(results)
        if one and one.source and not args.output:  # nothing is written into an archive
            args.output = Path(f"report-{one.run.name[:8]}.html")
        try:
            script.progress(0, len(wanted), "reports")
            every = render.every(wanted, name, places.shipped(render.QMD), args.output)
            for number, (path, made) in enumerate(stack.enter_context(closing(every)), 1):
                if isinstance(made, RunError):
                    faults.append(RunError(f"{path.name[:8]}: {made.message}", hint=made.hint))
                else:  # of many runs the pages are not kept
                    written.append((made._replace(content=""), *picture.beside(made, args.kinds or ())))
                script.progress(number, len(wanted), "reports")
        except render.MissingTools as error:
            faults.append(error)
    script.progress()
    for made, taken, lacking in written:
        for shown in () if args.json else (str(made.html), *taken.values()):
            script.show(shown, result, exact=True)
        if args.open:
            render.show(made.html)
        faults += [*lacking, *made.faults]
    if args.json:
        script.print_json([made.to_json_object() | taken for made, taken, _ in written], result)
    script.end_with(faults, (render.MissingTools,) if args.optional and os.environ.get("PEAK_STRICT") != "1" else ())
    return 0


if __name__ == "__main__":
    script.run(main)
