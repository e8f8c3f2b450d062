"""Say what this checkout has, what it lacks, and which command adds it; seal runs that dead processes left.

Exit 0 whatever is found; with --strict, exit 1 if something needed is missing or out of step.
"""

from __future__ import annotations

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, results=True)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--strict", action="store_true", help="exit 1 if something needed is missing")
    args = parser.parse_args()

    from peak_trade.evidence.results import Results
    from peak_trade.ops import doctor  # after the arguments: --help answers at once

    script.show_warnings()
    findings = doctor.examine(script.repo_root(), Results(script.results_dir(args.results_dir)))
    if args.json:
        script.print_json([finding._asdict() for finding in findings])
    else:
        for name, state, detail, hint, _ in findings:
            mend = f"  ({script.as_here(hint)})" if state not in ("ok", "mended") and hint else ""
            script.show(f"{state:8}{name:22}{detail}{mend}")
    lacking = [finding.name for finding in findings if finding.needed and finding.state != "ok"]
    if args.strict and lacking:
        script.warn("needed: " + ", ".join(lacking))
        return 1
    return 0


if __name__ == "__main__":
    script.run(main)
