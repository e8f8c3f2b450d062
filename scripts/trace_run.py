"""Show where a run's time went: its spans as a waterfall, with warnings and errors in place.

RUN is a run_id, a unique start of one, or `last`: the run that was sealed last. Spans are indented below the one that
started them; `own` is the time in which none of them was under way, and > marks the slowest path: at each level the
one that took longest. Exit 0: shown. 1: the run has no telemetry. 2: no such run.
"""

from __future__ import annotations

import os
import sys

from peak_trade import script

LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="which run (default: last)")
    parser.add_argument(
        "--level", choices=LEVELS, default="warning", help="log records from here on (default: warning)"
    )
    parser.add_argument("--logs", action="store_true", help="every log record")
    parser.add_argument("--json", action="store_true", help="print spans and log records as JSON")
    args = parser.parse_args()

    from peak_trade.shown import telemetry, waterfall

    script.show_warnings()
    results = script.results_dir(args.results_dir)
    told = telemetry.read(results, telemetry.find(results, args.run))
    if told.skipped:
        script.warn(f"{told.skipped:,} line(s) of its telemetry can't be read, and are left out")
    if not (told.spans or told.logs):
        raise telemetry.absent(results, told.folder)
    level = LEVELS[0] if args.logs else args.level
    if args.json:
        script.print_json(waterfall.as_json_object(told, level=level))
        return 0
    terminal = sys.stdout.isatty()
    width = (os.get_terminal_size(1).columns or 80) if terminal else 100
    colour = script.coloured(sys.stdout)
    text = waterfall.as_text(told, level=level, width=width, cut=terminal, colour=colour)
    script.show(text, painted=colour)
    return 0


if __name__ == "__main__":
    script.run(main)
