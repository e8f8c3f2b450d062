"""Write results/index.html: every run with its figures, a curve of its equity, and a link to its report.

The page is static and needs no network. It sorts itself, filters by what is typed, as `fast=10`, and shows those runs
compared that are ticked. The last line of stdout is its path.
"""

from __future__ import annotations

from peak_trade import script
from peak_trade.errors import RunError


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.report import index, render

    script.show_warnings()
    results = Results(script.results_dir(args.results_dir))
    try:
        path = index.write(results)
    except OSError as error:
        page = results.path / "index.html"
        raise RunError(f"cannot write {page}: {error.strerror}", hint="check the folder") from None
    script.show(str(path), exact=True)
    if args.open:
        render.show(path)
    return 0


if __name__ == "__main__":
    script.run(main)
