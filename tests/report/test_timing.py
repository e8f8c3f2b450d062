"""Where the time went, in the report: the numbers of the telemetry's files, as text only, and nothing where none is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from peak_trade.report import render, timing
from peak_trade.report.sections import SECTIONS

HOSTILE = "</td><script>alert(1)</script>{{< x >}}```\x1b[2J\u202e\n\n"


@pytest.fixture
def traced(copy_of: Callable[[str], Path], otlp: Any) -> Callable[[str], Path]:
    """A copy of a run of a kind, with telemetry."""

    def made(kind: str = "one") -> Path:
        run_dir = copy_of(kind)
        otlp.run(run_dir.parent, run_dir.name)
        return run_dir

    return made


def test_every_span_is_a_row_with_its_time_its_own_time_and_a_bar(traced: Any, page: Any) -> None:
    shown = page(traced()).section("timing")
    assert shown.rows("Where the time went") == [
        ["Step", "Time", "Own", "0 50 ms 100 ms"],
        ["▸ run", "100.0 ms", "36.0 ms", ""],
        ["▸ load_bars", "40.0 ms", "30.0 ms", ""],
        ["warning: a: few bars"],
        ["▸ contract", "10.0 ms", "10.0 ms", ""],
        ["strategy", "20.0 ms", "20.0 ms", ""],
        ["error: ValueError: no idea"],
        ["write stats.json", "4.00 ms", "4.00 ms", ""],
    ]
    bars = re.findall(r'<rect class="(\w*)" x="([\d.]+)%" y="2" width="([\d.]+)%"', shown.html)
    assert bars == [
        ("slowest", "0.00", "100.00"), ("slowest", "5.00", "40.00"), ("slowest", "30.00", "10.00"),
        ("failed", "50.00", "20.00"), ("", "80.00", "4.00"),
    ]  # fmt: skip
    assert "The slowest path, each step by itself: run 36.0 ms, load_bars 30.0 ms, contract 10.0 ms." in shown.words
    assert "which the seal does not cover" in shown.words


def test_the_seal_of_a_run_with_telemetry_is_intact(traced: Any, page: Any) -> None:
    shown = page(traced("usual"))
    assert 'data-seal="intact"' in shown.html
    assert shown.sections[-1] == "timing"
    assert '<a href="#timing">Where the time went</a>' in shown.html


@pytest.mark.parametrize("kind", ["usual", "failed"])
def test_without_telemetry_the_report_says_nothing_of_it(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind])
    assert "timing" not in shown.sections
    assert "Where the time went" not in shown.words


def test_a_failed_run_has_its_waterfall_too(traced: Any, page: Any) -> None:
    assert page(traced("failed")).sections == ["failure", "configuration", "code", "provenance", "timing"]


def test_what_telemetry_says_is_only_text(copy_of: Callable[[str], Path], page: Any, otlp: Any) -> None:
    run_dir = copy_of("one")
    spans = [otlp.span(HOSTILE, 1, 0, 9, error=f"{HOSTILE}: {HOSTILE}", file=HOSTILE), otlp.span("b", 2, 1, 2, 1)]
    otlp.write(run_dir / "telemetry", '"><b>.traces.jsonl', otlp.line(run_dir.name, spans=spans))
    otlp.write(run_dir / "telemetry", "logs.jsonl", otlp.line(run_dir.name, logs=[otlp.log(HOSTILE, 2, 1)]))
    html = page(run_dir).section("timing").html
    assert "<script" not in html and "{{<" not in html and "```" not in html and "<b>" not in html
    assert "\x1b" not in html and "\u202e" not in html and "\n" not in html.strip()
    assert "alert(1)" in html
    ElementTree.fromstring(html)


def test_what_cannot_be_read_is_said_in_a_line(traced: Any, page: Any) -> None:
    run_dir = traced()
    path = run_dir / "telemetry" / "traces.jsonl"
    path.write_bytes(path.read_bytes() + b'{"resourceSp')
    assert "1 line of the telemetry can't be read." in page(run_dir).section("timing").words
    path.write_bytes(b"\xff\n{}\n")
    (run_dir / "telemetry" / "logs.jsonl").unlink()
    assert "timing" not in page(run_dir).sections


def test_what_came_later_has_a_table_of_its_own(traced: Any, page: Any, otlp: Any) -> None:
    run_dir = traced()
    later = otlp.line(run_dir.name, spans=[otlp.span("report", 1, 7_200_000, 1_500, trace=2)])
    otlp.write(run_dir / "telemetry", "report.traces.jsonl", later)
    shown = page(run_dir).section("timing")
    assert shown.html.count('aria-label="Where the time went"') == 2
    assert "2 h 00 min after the first:" in shown.words
    assert shown.html.count('x="0.00%" y="2" width="100.00%"') == 2


def test_log_records_alone_are_a_table(copy_of: Callable[[str], Path], page: Any, otlp: Any) -> None:
    run_dir = copy_of("one")
    otlp.write(run_dir / "telemetry", "logs.jsonl", otlp.line(run_dir.name, logs=[otlp.log("few bars", 2)]))
    assert page(run_dir).section("timing").rows("What was logged") == [["Log"], ["warning: a: few bars"]]


def test_more_rows_than_anybody_reads_are_counted(copy_of: Callable[[str], Path], page: Any, otlp: Any) -> None:
    run_dir = copy_of("one")
    spans = [otlp.span("x", n, n, 1, trace=1) for n in range(1, timing._SHOWN + 102)]
    otlp.write(run_dir / "telemetry", "traces.jsonl", otlp.line(run_dir.name, spans=spans))
    shown = page(run_dir).section("timing")
    assert shown.html.count("<rect ") == timing._SHOWN
    assert "The first 500 of 601 rows are shown." in shown.words


def test_the_bars_carry_no_number_that_the_text_has_not(traced: Any, page: Any) -> None:
    html = page(traced()).section("timing").html
    assert html.count('<svg aria-hidden="true"') == html.count("<rect ") == 5
    assert html.count('<svg role="img" aria-label="Time"') == 1
    assert html.count('aria-label="on the slowest path"') == 3


def test_the_rendered_page_has_the_section(traced: Any, builtin: render.Builtin, page: Any) -> None:
    run_dir = traced()
    made = render.render(run_dir, builtin)
    by_cells = page(run_dir)
    shown = type(by_cells)(made.html.read_text("utf-8"))
    others = {"failure", "ruin", "symbols", "reconciled"}  # of runs that end so, or that another engine made
    others |= {
        "search",
        "folds",
        "paths",
        "heat",
        "plateau",
        "sensitivity",
        "distribution",
        "trials",
        "kept",
    }  # of many
    assert shown.sections == by_cells.sections == [name for name in SECTIONS if name not in others]
    table = "Where the time went"
    assert shown.section("timing").rows(table) == by_cells.section("timing").rows(table)
    assert shown.section("timing").words == by_cells.section("timing").words
    shutil.rmtree(run_dir / "telemetry")
    render.render(run_dir, builtin)
    assert 'id="timing"' not in made.html.read_text("utf-8")


def test_colours_follow_light_and_dark(traced: Any, builtin: render.Builtin, browser: Any, tmp_path: Path) -> None:
    path = render.render(traced(), builtin, tmp_path / "page.html").html
    fills = []
    for scheme in ("light", "dark"):
        browser.open(path, width=360, scheme=scheme)
        fills.append(browser.ask("[...document.querySelectorAll('#timing rect')].map(r => getComputedStyle(r).fill)"))
        wide = browser.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0  # the table scrolls, not the page
        assert browser.complaints == []
        heights = browser.ask(
            "[...document.querySelectorAll('#timing svg')].map(s => s.getBoundingClientRect().height)"
        )
        assert set(heights) == {14}
    assert len({*fills[0]}) == len({*fills[1]}) == 3
    assert not {*fills[0]} & {*fills[1]}
