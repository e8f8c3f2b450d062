"""Measure what a run, the engine and the evidence cost, beside other engines, and print a table.

With --write the table and the machine's class go into docs/dev/benchmarks.md.
Takes about two minutes; quote figures of a quiet machine.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument(
        "--repeat", type=script.count, default=7, metavar="N", help="how often each is run (default: 7)"
    )
    parser.add_argument("--no-peers", action="store_true", help="leave other engines out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="put the table into docs/dev/benchmarks.md")
    args = parser.parse_args()

    from peak_trade import bench

    root = script.repo_root()
    figures = []
    for figure in bench.measure(root, repeat=args.repeat, peers=not args.no_peers):
        script.note(f"{figure.name}: {figure.median:,.1f} {figure.unit}  {figure.ratio}")
        figures.append(figure)
    if args.json:
        script.print_json([{name: getattr(figure, name) for name in figure.__struct_fields__} for figure in figures])
    else:
        print(f"{bench.machine()}\n\n{bench.as_markdown(figures)}")
    if args.write:
        bench.write(root / "docs" / "dev" / "benchmarks.md", figures)
    return 0


if __name__ == "__main__":
    script.run(main)
