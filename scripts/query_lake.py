"""Ask the lake in SQL: `just lake-query "SELECT * FROM runs ORDER BY sharpe DESC LIMIT 10"`.

SQL comes from the command line, --file, a saved --report, or standard input; with none of them on a terminal, from a
prompt. Only what reads is accepted, and only the lake can be read. The answer goes to stdout, all else to stderr.
"""

from __future__ import annotations

import sys

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__, lake=True)
    parser.add_argument("question", metavar="SQL", nargs="?", help="the question")
    parser.add_argument("--sql", metavar="SQL", help="the question, as an option")
    parser.add_argument("--file", metavar="FILE", help="a file that holds it; - for standard input")
    parser.add_argument("--report", nargs="*", metavar="WORD", help="a saved question and its arguments")
    parser.add_argument("--format", metavar="F", help="table, csv, json, jsonl or parquet (default: by the output)")
    parser.add_argument("--output", metavar="FILE", help="where to write (default: stdout)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N rows (default: all; of a table 100)")
    parser.add_argument("--explain", action="store_true", help="show DuckDB's plan instead of the answer")
    parser.add_argument("--list", action="store_true", help="show tables, columns, row counts and partitions")
    parser.add_argument("--files", metavar="TABLE", help="print the live files of a table, for other engines")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after S seconds")
    parser.add_argument("--memory-limit", metavar="SIZE", help="as 2GB (default: 80 %% of the machine's)")
    args = parser.parse_args()

    from peak_trade.data.lake import ask, prompt, query

    script.show_warnings()
    lake = query.lake_dir(args.lake_dir)
    if args.list or args.files is not None:
        script.show("\n".join(ask.listing(lake) if args.list else ask.files(lake, args.files)), exact=bool(args.files))
        return 0
    if args.report == []:
        script.show(ask.reports())
        return 0
    asking = ask.Asking(lake, args.format, args.output, args.limit, args.timeout, args.memory_limit, args.explain)
    text = ask.saved(args.report) if args.report else args.sql or args.question or ask.read_sql(args.file, args.timeout)
    with asking:
        if text is None:
            return prompt.prompt(asking)
        asking.answer(text)
    for note in asking.notes:
        script.note(note)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    script.run(main)
