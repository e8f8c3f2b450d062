"""Telemetry in the lake: every span and log record once, whenever it was written, the same as from nothing."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, check, commit, query, schema
from peak_trade.data.lake.writer import writing
from peak_trade.evidence.results import Results

COMMAND = "99999999-9999-4999-8999-999999999999"
SPANS = "SELECT name, status, message, duration_ms FROM spans ORDER BY start, duration_ms DESC"
TRACED = [
    ("run", "unset", "", 100.0), ("load_bars", "unset", "", 40.0), ("contract", "unset", "", 10.0),
    ("strategy", "error", "ValueError: no idea", 20.0), ("write", "unset", "", 4.0),
]  # fmt: skip


def built(place: Path, *, anew: bool = False, lake: str = "lake") -> build.Built:
    return build.build(Results(place / "results"), place / lake, root=place, anew=anew)


def traced(place: Path) -> Path:
    """The run that has telemetry."""
    return next((place / "results").glob("*/telemetry")).parent


def same_from_nothing(place: Path, look: Any) -> bool:
    """Whether the lake's rows are those of one that is built from nothing."""
    shutil.rmtree(place / "other", ignore_errors=True)
    built(place, lake="other")
    return bool(look.contents(place / "lake") == look.contents(place / "other"))


def test_spans_are_those_of_the_file(place: Path, lake: Path, look: Any) -> None:
    run_id = traced(place).name
    assert look.rows(lake, SPANS) == TRACED
    asked = """SELECT run_id, trace_id, span_id, parent_span_id, service, part, attributes, process, folder,
                      strftime(start, '%Y-%m-%dT%H:%M:%S.%f') FROM spans WHERE name = 'load_bars'"""
    assert look.rows(lake, asked) == [
        (run_id, f"{1:032x}", f"{2:016x}", f"{1:016x}", "peak-trade", "main", '{"rows":20}', '{"service.version":"1"}',
         run_id, "2023-11-14T22:13:20.005000")
    ]  # fmt: skip
    assert look.rows(lake, "SELECT DISTINCT parent_span_id FROM spans WHERE name = 'run'") == [("",)]


def test_log_records_are_those_of_the_file(place: Path, lake: Path, look: Any) -> None:
    asked = "SELECT run_id, level, logger, message, exception, trace_id, span_id, part FROM logs ORDER BY time"
    run_id = traced(place).name
    assert look.rows(lake, asked) == [
        (run_id, "warning", "a", "few bars", "", f"{1:032x}", f"{2:016x}", "main"),
        (run_id, "info", "a", "sealed", "", f"{1:032x}", f"{1:016x}", "main"),
    ]


def test_the_files_that_were_read_are_listed(place: Path, lake: Path, look: Any) -> None:
    folder = traced(place)
    asked = "SELECT folder, file, signal, part, bytes, rows, repeated, skipped FROM telemetry ORDER BY file"
    assert look.rows(lake, asked) == [
        (folder.name, f"{folder.name}/telemetry/{name}.jsonl", name, "main",
         (folder / "telemetry" / f"{name}.jsonl").stat().st_size, rows, 0, 0)
        for name, rows in (("logs", 2), ("traces", 5))
    ]  # fmt: skip


def test_one_question_answers_across_runs_and_spans(lake: Path, look: Any) -> None:
    asked = (
        "SELECT r.strategy, s.name, avg(s.duration_ms) FROM runs r JOIN spans s USING (run_id) GROUP BY ALL ORDER BY 2"
    )
    assert look.rows(lake, asked) == [("sma_crossover", name, ms) for name, _, _, ms in sorted(TRACED)]


def test_saved_questions_say_what_is_slow_and_what_went_wrong(lake: Path, look: Any) -> None:
    slowest = look.rows(lake, "SELECT strategy, step, spans, median_ms, p95_ms, most_ms, errors FROM slowest_steps")
    assert [row[1] for row in slowest] == ["run", "load_bars", "strategy", "contract", "write"]
    assert slowest[2] == ("sma_crossover", "strategy", 1, 20.0, 20.0, 20.0, 1)
    assert look.rows(lake, "SELECT kind, level, what, message FROM errors") == [
        ("span", "error", "strategy", "ValueError: no idea"), ("log", "warning", "a", "few bars"),
    ]  # fmt: skip


def test_what_is_recorded_after_the_run_came_in_comes_with_the_next_build(place: Path, look: Any, otlp: Any) -> None:
    first = built(place)
    assert (first.spans, first.logs) == (5, 2)
    folder = traced(place) / "telemetry"
    otlp.write(
        folder, "report.traces.jsonl", otlp.line(folder.parent.name, spans=[otlp.span("report", 1, 900, 7, trace=2)])
    )
    done = built(place)
    assert (done.runs, done.lines, done.spans) == ({}, 0, 6)
    assert look.rows(place / "lake", f"{SPANS} LIMIT 9") == [*TRACED, ("report", "unset", "", 7.0)]
    with (folder / "logs.jsonl").open("ab") as file:
        file.write(otlp.line(folder.parent.name, logs=[otlp.log("late", 901, severity=17)]))
    built(place)
    assert look.rows(place / "lake", "SELECT message FROM logs ORDER BY time") == [
        ("few bars",),
        ("sealed",),
        ("late",),
    ]
    assert same_from_nothing(place, look)
    before = look.photograph(place / "lake")
    assert built(place).spans == 0
    assert look.photograph(place / "lake") == before


def test_other_commands_and_killed_runs_have_their_spans_too(place: Path, lake: Path, look: Any, otlp: Any) -> None:
    folder = place / "results" / ".telemetry" / COMMAND
    run_id = traced(place).name
    spans = [otlp.span("lake_build", 1, 0, 9, trace=3), otlp.span("track", 2, 1, 3, 1, trace=3, run_id=run_id)]
    otlp.write(folder, "traces.jsonl", otlp.line(COMMAND, spans=spans))
    built(place)
    asked = f"SELECT name, run_id, folder FROM spans WHERE folder = '{COMMAND}' ORDER BY name"
    assert look.rows(lake, asked) == [("lake_build", COMMAND, COMMAND), ("track", run_id, COMMAND)]
    assert check.check(lake).findings == []
    assert same_from_nothing(place, look)


def test_files_that_move_to_their_run_move_in_the_lake(place: Path, lake: Path, look: Any, otlp: Any) -> None:
    run_id = traced(place).name
    line = otlp.line(run_id, spans=[otlp.span("report", 1, 5, 5, trace=4)])
    otlp.write(place / "results" / ".telemetry" / COMMAND, "traces.jsonl", line)
    built(place)
    otlp.write(place / "results" / run_id / "telemetry", "report.traces.jsonl", line)
    built(place)  # while it stands in both
    asked = "SELECT count(*), any_value(folder) FROM spans WHERE name = 'report'"
    assert look.rows(lake, asked)[0][0] == 1
    shutil.rmtree(place / "results" / ".telemetry" / COMMAND)
    built(place)
    assert look.rows(lake, asked) == [(1, run_id)]
    assert same_from_nothing(place, look)
    assert check.check(lake).findings == []


def test_a_span_of_two_folders_stands_there_once_from_the_first_build_on(place: Path, look: Any, otlp: Any) -> None:
    run_id = traced(place).name
    for name in (COMMAND, COMMAND.replace("9", "0", 8)):
        line = otlp.line(run_id, spans=[otlp.span("track", 1, 5, 5, trace=4)])
        otlp.write(place / "results" / ".telemetry" / name, "traces.jsonl", line)
    assert built(place).spans == 6
    assert look.rows(place / "lake", "SELECT sum(rows), sum(repeated) FROM telemetry WHERE signal = 'traces'") == [
        (6, 1)
    ]
    assert check.check(place / "lake").findings == []


def test_torn_lines_are_counted_told_and_read_when_they_are_whole(place: Path, look: Any, otlp: Any) -> None:
    path = traced(place) / "telemetry" / "traces.jsonl"
    whole = path.read_bytes() + otlp.line(path.parts[-3], spans=[otlp.span("late", 9, 200, 1)])
    path.write_bytes(whole[:-40])
    done = built(place)
    assert done.torn == {f"{path.parts[-3]}/telemetry/traces.jsonl": 1}
    assert done.broken == []
    assert look.rows(place / "lake", "SELECT skipped, rows FROM telemetry WHERE signal = 'traces'") == [(1, 5)]
    path.write_bytes(whole)
    assert built(place).torn == {}
    assert look.rows(place / "lake", "SELECT skipped, rows FROM telemetry WHERE signal = 'traces'") == [(0, 6)]
    assert same_from_nothing(place, look)


def test_the_build_says_what_it_has_left_out(place: Path, script: Any) -> None:
    path = traced(place) / "telemetry" / "traces.jsonl"
    path.write_bytes(path.read_bytes() + b'{"resourceSp')
    done = script(
        "build_lake_from_results", "--results-dir", place / "results", "--lake-dir", place / "lake", "--no-bars"
    )
    assert done.returncode == 0
    told = done.stderr.decode()
    assert f"warn: {path.parts[-3]}/telemetry/traces.jsonl: 1 line(s) can't be read, and stay out\n" in told
    assert "lines, 5 spans, in " in told


def test_what_is_removed_from_results_goes_from_the_lake(place: Path, lake: Path, look: Any) -> None:
    shutil.rmtree(traced(place) / "telemetry")
    built(place)
    assert [look.rows(lake, f"SELECT count(*) FROM {name}") for name in ("spans", "logs", "telemetry")] == [[(0,)]] * 3
    assert look.rows(lake, "SELECT count(*) FROM runs") == [(4,)]
    assert same_from_nothing(place, look)


def test_a_run_that_is_missing_takes_its_spans_with_it_and_brings_them_back(place: Path, lake: Path, look: Any) -> None:
    before, run_dir = look.contents(lake), traced(place)
    run_dir.rename(place / "aside")
    built(place)
    assert look.rows(lake, "SELECT count(*) FROM spans") == [(0,)]
    (place / "aside").rename(run_dir)
    built(place)
    assert look.contents(lake) == before


def test_built_anew_the_rows_are_the_same(place: Path, lake: Path, look: Any) -> None:
    before = look.contents(lake)
    done = built(place, anew=True)
    assert (done.spans, done.logs) == (5, 2)
    assert look.contents(lake) == before


def test_many_folders_are_read_in_batches(place: Path, look: Any, otlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "RECORDS", 3)
    for number in range(7):
        run_id = f"{number:08}-0000-4000-8000-000000000000"
        spans = [otlp.span("a", 1, 0, 1, trace=number + 5), otlp.span("b", 2, 0, 1, trace=number + 5)]
        otlp.write(place / "results" / ".telemetry" / run_id, "traces.jsonl", otlp.line(run_id, spans=spans))
    assert built(place).spans == 14 + 5
    assert look.rows(place / "lake", "SELECT count(*), count(DISTINCT run_id) FROM spans") == [(19, 8)]
    assert same_from_nothing(place, look)
    assert check.check(place / "lake").findings == []


def test_hostile_values_come_in_as_text(place: Path, lake: Path, look: Any, otlp: Any) -> None:
    name = "'; DROP TABLE runs; --\0\x1b[2J\u202e"
    span = otlp.span(name, 1, 0, 1, trace=9, rows=float("inf"), deep=[["x"]]) | {
        "endTimeUnixNano": "9223372036854775807"
    }
    text = otlp.line(COMMAND, spans=[span]).replace(b"Infinity", b'"Infinity"')
    otlp.write(place / "results" / ".telemetry" / COMMAND, "traces.jsonl", text)
    built(place)
    [(found, attributes)] = look.rows(lake, f"SELECT name, attributes FROM spans WHERE folder = '{COMMAND}'")
    assert found == name
    assert json.loads(attributes) == {"rows": "Infinity", "deep": [["x"]]}
    assert check.check(lake).findings == []


def test_two_builders_at_once_leave_each_span_once(place: Path, look: Any) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            built(place)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failed.append(error)

    builders = [threading.Thread(target=work) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert failed == []
    assert look.rows(place / "lake", SPANS) == TRACED


# --- older lakes, and damage ---------------------------------------------------------------------------------------


def test_a_lake_from_before_there_were_spans_can_be_asked_and_gets_them(place: Path, lake: Path, look: Any) -> None:
    with writing(lake) as made:
        old = {name: live for name, live in made.commit.tables.items() if name not in ("spans", "logs", "telemetry")}
        made.publish("test", old)
    with query.connect(lake) as connection:
        assert connection.execute("SELECT count(*) FROM best_runs").fetchall() == [(3,)]
    assert check.check(lake).findings == []
    assert built(place).spans == 5
    assert look.rows(lake, SPANS) == TRACED


def test_a_lake_without_telemetry_has_its_tables_all_the_same(place: Path, look: Any) -> None:
    shutil.rmtree(traced(place) / "telemetry")
    built(place)
    assert set(commit.newest(place / "lake").tables) == set(schema.TABLES)
    assert look.rows(place / "lake", "SELECT count(*) FROM slowest_steps") == [(0,)]
