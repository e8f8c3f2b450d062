"""Measure what a run and all that comes after it cost, beside other engines and plain tools, and print a table.

PART is `run`, `trust`, `record`, `import`, `sweep`, `many`, `data`, `report`, `tracking`, `lake`, `publish` or
`telemetry` (default: all); the lake takes some minutes and 4 GB, `many` and `report` some minutes. With --write the
rows of these parts go into the table of docs/dev/benchmarks.md, those of other parts stay if they are of this machine's
class. Quote figures of a quiet machine.
"""

from __future__ import annotations

from peak_trade import script

PARTS = (
    "run", "trust", "record", "import", "sweep", "many", "data", "report", "tracking", "lake", "publish", "telemetry",
)  # fmt: skip


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure (default: everything)")
    parser.add_argument("--repeat", type=script.count, default=7, metavar="N", help="how often (default: 7)")
    parser.add_argument("--no-peers", action="store_true", help="leave other engines out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="put the table into docs/dev/benchmarks.md")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")

    import figures
    import lake
    import publishing
    import reading
    import recording
    import reporting
    import run
    import sweeping
    import telemetry
    import tracking
    import trust

    root, parts = script.repo_root(), args.parts or PARTS
    benches = {
        "run": lambda: run.measure(root, repeat=args.repeat, peers=not args.no_peers),
        "trust": lambda: trust.measure(root, repeat=args.repeat),
        "record": lambda: recording.measure_record(root, repeat=args.repeat, peers=not args.no_peers),
        "import": lambda: recording.measure_import(root, repeat=args.repeat),
        "sweep": lambda: sweeping.measure(root, repeat=args.repeat, peers=not args.no_peers),
        "many": lambda: sweeping.measure_long(root),
        "data": lambda: reading.measure(repeat=args.repeat),
        "report": lambda: reporting.measure(root, repeat=args.repeat),
        "tracking": lambda: tracking.measure(root, repeat=args.repeat),
        "lake": lambda: lake.measure(root, repeat=args.repeat),
        "publish": lambda: publishing.measure(repeat=args.repeat),
        "telemetry": lambda: telemetry.measure(root, repeat=args.repeat),
    }
    measured = []
    for figure in (figure for part in PARTS if part in parts for figure in benches[part]()):
        script.note(f"{figure.name}: {figure.median:,.1f} {figure.unit}  {figure.ratio}")
        measured.append(figure)
    if args.json:
        script.print_json([{name: getattr(figure, name) for name in figure.__struct_fields__} for figure in measured])
    else:
        script.show(f"{figures.machine()}\n\n{figures.as_markdown(measured)}")
    if args.write:
        figures.write(root / "docs" / "dev" / "benchmarks.md", measured)
    return 0


if __name__ == "__main__":
    script.run(main)
