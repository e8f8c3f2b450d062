"""Where the time went: rows on a time axis, and as text of a given width that no terminal obeys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peak_trade.shown import telemetry, waterfall

RUN = "11111111-1111-4111-8111-111111111111"


def read(results: Path) -> telemetry.Telemetry:
    return telemetry.read(results, RUN)


def said(results: Path, **options: Any) -> list[str]:
    return waterfall.as_text(read(results), **options).splitlines()


def test_a_run_is_drawn_on_one_time_axis(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    # 89 columns less 18 of the longest name, 2 of 8 for times and 5 between leave 50 for bars: 2 ms each
    expected = f"""\
{RUN}

2023-11-14T22:13:20.000Z
                         time      own |0                       |50 ms
> run                100.0 ms  36.0 ms {"█" * 50}
>   load_bars         40.0 ms  30.0 ms   {"█" * 20}▌
      ! warning: a: few bars
>     contract        10.0 ms  10.0 ms                {"█" * 5}
    strategy          20.0 ms  20.0 ms                          {"█" * 10}
      ! error: ValueError: no idea
    write stats.json  4.00 ms  4.00 ms                                         ██
> slowest path, each by itself: run 36.0 ms, load_bars 30.0 ms, contract 10.0 ms"""
    assert waterfall.as_text(read(tmp_path), width=89) == expected


@pytest.mark.parametrize(
    ("at", "ms", "whole", "columns", "bar"),
    [
        (0, 10, 10, 4, "████"),
        (0, 5, 10, 4, "██"),
        (5, 5, 10, 4, "  ██"),
        (0, 1, 10, 10, "█"),
        (0, 1, 16, 2, "▏"),  # an eighth of a column
        (0, 0, 10, 4, "▏"),  # what took no time can be seen
        (10, 0, 10, 4, "   █"),  # and stays inside
        (9, 5, 10, 4, "   █"),  # as does what goes on after the end
        (0, 0, 0, 4, "▏"),
    ],
)
def test_a_bar_is_drawn_to_the_eighth_of_a_column(at: float, ms: float, whole: float, columns: int, bar: str) -> None:
    assert waterfall._bar(at, ms, whole, columns) == bar


def test_log_records_stand_where_they_were_made_from_their_level_on(tmp_path: Path, otlp: Any) -> None:
    otlp.write(
        tmp_path / RUN / "telemetry", "traces.jsonl",
        otlp.line(RUN, spans=[otlp.span("run", 1, 0, 100), otlp.span("a", 2, 10, 10, 1), otlp.span("b", 3, 50, 10, 1)]),
    )  # fmt: skip
    kinds = {"exception.type": "KeyError", "exception.message": "'x'"}
    logs = [
        otlp.log("in b", 55, 3), otlp.log("between", 30, 1, severity=17, **kinds), otlp.log("quiet", 20, 1, severity=9),
        otlp.log("of no span", 70), otlp.log("of an unknown span", 5, 99), otlp.log("finer", 12, 2, severity=1),
    ]  # fmt: skip
    otlp.write(tmp_path / RUN / "telemetry", "logs.jsonl", otlp.line(RUN, logs=logs))

    def rows(level: str) -> list[tuple[int, str]]:
        [block] = waterfall.blocks(read(tmp_path), level)
        return [(row.depth, row.text) for row in block.rows]

    assert rows("warning") == [
        (0, "run"), (1, "a"), (1, "a: between: KeyError: 'x'"), (1, "b"), (2, "a: in b"),
        (0, "a: of an unknown span"), (0, "a: of no span"),
    ]  # fmt: skip
    assert [text for _, text in rows("error")] == ["run", "a", "a: between: KeyError: 'x'", "b"]
    assert (1, "a: quiet") in rows("info") and (2, "a: finer") not in rows("info")
    assert (2, "a: finer") in rows("trace")


def test_an_error_that_passes_through_several_spans_is_told_once_at_the_innermost(tmp_path: Path, otlp: Any) -> None:
    spans = [
        otlp.span("run", 1, 0, 10, error="ValueError: no idea"),
        otlp.span("stage", 2, 1, 8, 1, error="ValueError: no idea"),
        otlp.span("strategy", 3, 2, 6, 2, error="ValueError: no idea"),
        otlp.span("seal", 4, 9, 1, 1, error="OSError: full"),
    ]
    otlp.write(tmp_path / RUN / "telemetry", "traces.jsonl", otlp.line(RUN, spans=spans))
    [block] = waterfall.blocks(read(tmp_path))
    assert [(row.depth, row.text) for row in block.rows if row.level == "error"] == [
        (3, "ValueError: no idea"), (2, "OSError: full"),
    ]  # fmt: skip


def test_what_came_later_has_an_axis_of_its_own(tmp_path: Path, otlp: Any) -> None:
    folder = tmp_path / RUN / "telemetry"
    spans = [otlp.span("run", 1, 0, 100), otlp.span("beside", 2, 50, 100, trace=2)]
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=spans))
    later = [otlp.span("report", 3, 3_600_000, 1_500, trace=3), otlp.span("kernel", 4, 3_600_100, 900, 3, trace=3)]
    otlp.write(folder, "report.traces.jsonl", otlp.line(RUN, spans=later[:1]))
    otlp.write(folder, "kernel.traces.jsonl", otlp.line(RUN, spans=later[1:]))
    otlp.write(folder, "logs.jsonl", otlp.line(RUN, logs=[otlp.log("early", -5), otlp.log("late", 3_600_001)]))
    first, second = waterfall.blocks(read(tmp_path))
    assert [row.text for row in first.rows] == ["a: early", "run", "beside"]
    assert (first.ms, second.ms) == (150.0, 1500.0)
    assert [(row.text, row.part) for row in second.rows] == [("report", ""), ("kernel", ""), ("a: late", "")]
    lines = said(tmp_path)
    assert "2023-11-14T23:13:20.000Z, 1 h 00 min after the first" in lines
    assert [line for line in lines if line.startswith("> slowest")] == [
        "> slowest path, each by itself: run 100.0 ms",
        "> slowest path, each by itself: beside 100.0 ms",
        "> slowest path, each by itself: report 600.0 ms, kernel 900.0 ms",
    ]


def test_spans_of_another_process_are_labelled(tmp_path: Path, otlp: Any) -> None:
    folder = tmp_path / RUN / "telemetry"
    otlp.write(folder, "traces.jsonl", otlp.line(RUN, spans=[otlp.span("run", 1, 0, 100)]))
    own = [otlp.span("log_run", 2, 50, 40, 1), otlp.span("upload", 3, 60, 20, 2)]
    otlp.write(folder, "track.traces.jsonl", otlp.line(RUN, spans=own))
    [block] = waterfall.blocks(read(tmp_path))
    assert [(row.depth, row.text, row.part) for row in block.rows] == [
        (0, "run", ""), (1, "log_run", "track"), (2, "upload", ""),
    ]  # fmt: skip
    assert any("log_run [track]" in line for line in said(tmp_path))


def test_a_span_that_a_killed_process_never_wrote_is_marked(tmp_path: Path, otlp: Any) -> None:
    spans = [otlp.span("load_bars", 2, 5, 40, 1), otlp.span("strategy", 3, 50, 20, 1)]
    otlp.write(tmp_path / ".telemetry" / RUN, "traces.jsonl", otlp.line(RUN, spans=spans))
    lines = said(tmp_path)
    assert lines[4].startswith("> (a span that was never written) 65.0 ms 5.00 ms ")
    assert lines[5].startswith(">   load_bars ")


def test_log_records_alone_are_shown(tmp_path: Path, otlp: Any) -> None:
    otlp.write(tmp_path / RUN / "telemetry", "logs.jsonl", otlp.line(RUN, logs=[otlp.log("b", 9), otlp.log("a", 4)]))
    assert said(tmp_path) == [RUN, "", "2023-11-14T22:13:20.004Z", "  ! warning: a: a", "  ! warning: a: b"]


def test_nothing_is_no_rows(tmp_path: Path) -> None:
    assert waterfall.blocks(read(tmp_path)) == []
    assert waterfall.as_text(read(tmp_path)) == RUN


HOSTILE = "\x1b[2J\x07a\nb\u202e\u2028\x9b1m\x00\x7f"


@pytest.mark.parametrize("colour", [False, True])
def test_what_a_terminal_would_obey_is_shown_as_an_escape(colour: bool, tmp_path: Path, otlp: Any) -> None:
    spans = [otlp.span(HOSTILE, 1, 0, 10, error=f"E{HOSTILE}: {HOSTILE}", file=HOSTILE)]
    otlp.write(tmp_path / RUN / "telemetry", "a\x1bb.traces.jsonl", otlp.line(RUN, spans=spans))
    otlp.write(tmp_path / RUN / "telemetry", "logs.jsonl", otlp.line(RUN, logs=[otlp.log(HOSTILE, 5, 1)]))
    shown = waterfall.as_text(read(tmp_path), width=400, colour=colour)
    plain = shown
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"):
        plain = plain.replace(code, "")
    assert (plain != shown) == colour
    assert all(mark.isprintable() for mark in plain.replace("\n", ""))
    assert r"\x1b[2J\x07a\nb\u202e\u2028\x9b1m\x00\x7f" in plain
    assert len(plain.splitlines()) == 8


def test_the_slowest_path_is_marked_without_colour_and_with(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    marked = [line for line in said(tmp_path) if line.startswith("> ")]
    assert [line.split()[1] for line in marked] == ["run", "load_bars", "contract", "slowest"]
    painted = said(tmp_path, colour=True)
    assert [line[: len("\x1b[1m>")] for line in painted if "load_bars " in line] == ["\x1b[1m>", "\x1b[1m>"]
    assert [line.startswith("\x1b[31m") for line in painted if "strategy" in line] == [True]


@pytest.mark.parametrize("width", [1, 20, 40, 60, 81, 200])
def test_no_line_is_wider_than_a_terminal_of_sixty_columns_or_more(width: int, tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    otlp.write(
        tmp_path / RUN / "telemetry", "b.logs.jsonl", otlp.line(RUN, logs=[otlp.log("long " * 99, 20, 2)])
    )  # fmt: skip
    lines = said(tmp_path, width=width, cut=True)
    drawn = [line for line in lines if not line.startswith(("> slowest", RUN))]
    assert max(map(len, drawn)) <= max(width, 60)
    assert any(line.endswith("…") for line in drawn)
    assert any(line.endswith("long long ") for line in said(tmp_path, width=width))  # in a pipe nothing is cut off


def test_json_holds_every_span_with_its_depth_and_the_records(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    otlp.write(
        tmp_path / RUN / "telemetry", "b.traces.jsonl", b"torn\n", otlp.line(RUN, spans=[otlp.span("a", 8, 1, 1, 9)])
    )
    shown = json.loads(json.dumps(waterfall.as_json_object(read(tmp_path)), allow_nan=False))
    assert (shown["run_id"], shown["skipped"]) == (RUN, 1)
    assert [(span["depth"], span["name"], span["slowest"]) for span in shown["spans"]] == [
        (0, "run", True), (1, "load_bars", True), (2, "contract", True), (1, "strategy", False), (1, "write", False),
        (0, None, False), (1, "a", False),
    ]  # fmt: skip
    strategy = shown["spans"][3]
    assert (strategy["duration_ms"], strategy["self_ms"], strategy["error"]) == (20.0, 20.0, "ValueError: no idea")
    assert strategy["start_ns"] == otlp.start + 50_000_000
    assert [(log["level"], log["message"], log["span_id"]) for log in shown["logs"]] == [
        ("warning", "few bars", f"{2:016x}")
    ]
    assert len(waterfall.as_json_object(read(tmp_path), level="info")["logs"]) == 2


def test_names_and_words_without_end_are_cut(tmp_path: Path, otlp: Any) -> None:
    spans = [otlp.span("n" * 10_000, 1, 0, 100, error="ValueError: " + "e" * 10_000)]
    otlp.write(tmp_path / RUN / "telemetry", "traces.jsonl", otlp.line(RUN, spans=spans))
    text = waterfall.as_text(read(tmp_path))
    assert len(text) < 3_500
    assert "n" * 199 + "…" in text
