"""What other processes do for a run joins its trace, or lies beside it; and OpenTelemetry's own command works too."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs("observability")]


def script(tools: Any, name: str) -> list[str]:
    return [tools.wrapper, sys.executable, str(tools.root / "scripts" / name)]


def test_the_tracker_in_its_own_process_joins_the_trace_of_the_run(case: Any, tools: Any) -> None:
    (case.folder / "mlflow.py").write_text("raise RuntimeError('not today')\n")
    ran = case.run("--tracking", "auto", PYTHONPATH=str(case.folder))
    assert (ran.code, ran.stderr) == (0, "")
    deadline = time.monotonic() + tools.limit_s
    while not (ran.telemetry / "track.receipt.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    [sent_off] = [span for span in ran.spans() if span.name == "track"]
    [tracked] = ran.spans("track.traces.jsonl")
    assert sent_off.attributes == {"run_id": ran.run_id, "status": "started"}
    assert (tracked.name, tracked.trace, tracked.parent) == ("track", sent_off.trace, sent_off.id)
    assert tracked.attributes["status"] == "failed"
    assert tracked.attributes["reason"].startswith("RuntimeError: not today")
    assert tracked.resource["run_id"] == ran.run_id
    assert list((ran.results / ".telemetry").iterdir()) == []


def test_a_run_that_is_tracked_by_hand_has_that_beside_it(case: Any, tools: Any) -> None:
    ran = case.plain()
    (case.folder / "mlflow.py").write_text("raise RuntimeError('not today')\n")
    command = [*script(tools, "track_runs.py"), "last", "--results-dir", str(ran.results)]
    for _ in range(2):
        assert case.call(command, "x", PYTHONPATH=str(case.folder)).code == 1
    both = ran.spans("track.traces.jsonl")
    assert [span.resource["run_id"] for span in both] == [ran.run_id] * 2
    assert len({span.trace for span in both}) == 2
    assert list((ran.results / ".telemetry").iterdir()) == []


@pytest.mark.needs("experiments")
def test_the_kernel_of_the_report_joins_the_trace_of_the_report(case: Any, tools: Any) -> None:
    ran = case.plain()
    words = ["last", "--renderer", "builtin", "--results-dir", str(ran.results)]
    done = case.call([*script(tools, "render_report.py"), *words], "x")
    assert (done.code, done.stderr) == (0, "")
    [report] = ran.spans("report.traces.jsonl")
    kernel, *inner = ran.spans("report_kernel.traces.jsonl")
    html = ran.run_dir / "report" / "backtest_report.html"
    assert report.attributes == {"run_id": ran.run_id, "renderer": "builtin", "bytes": html.stat().st_size}
    assert (kernel.name, kernel.trace, kernel.parent, kernel.status) == ("report_kernel", report.trace, report.id, 0)
    assert {span.resource["run_id"] for span in (report, kernel, *inner)} == {ran.run_id}
    assert list((ran.results / ".telemetry").iterdir()) == []


def test_opentelemetrys_own_command_sees_the_same_edges(case: Any, tools: Any) -> None:
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    run_id = "6f0c1a52-58b4-4d7e-9d0b-8f3f5c3b9a01"
    ran = case.call(
        [str(instrument), "--", sys.executable, *case.command("--run-id", run_id)[2:]],
        run_id,
        PATH=f"{instrument.parent}:/usr/bin:/bin",
        OTEL_CONFIG_FILE=str(tools.root / "ops" / "observability" / "otel-file.yaml"),
        PEAK_OTEL_DIR=str(case.folder),
        PEAK_RUN_ID=run_id,
    )
    assert ran.code == 0, ran.stderr
    lines = (case.folder / "traces.jsonl").read_text().splitlines()
    spans = tools.spans_of([json.loads(line) for line in lines])
    assert [span.name for span in spans][:4] == ["run", "load_bars", "contract", "ledger"]
    assert {span.resource["run_id"] for span in spans} == {run_id}


@pytest.mark.parametrize("planted", ["folder", "file", "hard link"])
def test_what_is_planted_where_telemetry_goes_is_not_written_to(
    planted: str, case: Any, tools: Any, tmp_path: Path
) -> None:
    """A later command's telemetry goes beside that of the run, which may come from a stranger."""
    ran = case.plain()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "track.traces.jsonl").write_text("the user's\n")
    at = ran.run_dir / "telemetry"
    if planted == "folder":
        at.symlink_to(outside)
    else:
        at.mkdir()
        plant = os.link if planted == "hard link" else os.symlink
        plant(outside / "track.traces.jsonl", at / "track.traces.jsonl")
    (case.folder / "mlflow.py").write_text("raise RuntimeError('not today')\n")
    command = [*script(tools, "track_runs.py"), "last", "--results-dir", str(ran.results)]
    done = case.call(command, "x", PYTHONPATH=str(case.folder))
    assert done.code == 1
    assert f"telemetry failed: it stays in {ran.results / '.telemetry'}" in done.stderr
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("track.traces.jsonl", "the user's\n")]
    assert list((ran.results / ".telemetry").rglob("traces.jsonl"))
