"""`just trace` as an operator types it: in a pipe, on a terminal, as JSON, and where there is nothing to show."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [sys.executable, str(ROOT / "scripts" / "trace_run.py")]
RUN = "11111111-1111-4111-8111-111111111111"


def trace(results: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, "--results-dir", str(results), *words], capture_output=True, text=True, timeout=120
    )  # fmt: skip


def on_terminal(results: Path, columns: int, **settings: str) -> str:
    """What a terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*SCRIPT, RUN, "--results-dir", str(results)],
        env=os.environ | {"TERM": "xterm", "NO_COLOR": ""} | settings,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    process.wait(timeout=120)
    return said.decode().replace("\r\n", "\n")


def test_in_a_pipe_there_is_no_colour_and_nothing_is_cut(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    otlp.write(tmp_path / RUN / "telemetry", "b.logs.jsonl", otlp.line(RUN, logs=[otlp.log("long " * 99, 9)]), b"torn")
    done = trace(tmp_path, "1111")
    assert (done.returncode, done.stderr) == (0, "warn: 1 line(s) of its telemetry can't be read, and are left out\n")
    assert "\x1b" not in done.stdout
    assert "long " * 99 in done.stdout
    assert ">     contract " in done.stdout
    assert "sealed" not in done.stdout
    assert "- info: a: sealed" in trace(tmp_path, "1111", "--logs").stdout
    assert "few bars" not in trace(tmp_path, "1111", "--level", "error").stdout


@pytest.mark.parametrize(("settings", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_on_a_terminal_it_is_as_wide_and_coloured_as_asked(
    settings: dict[str, str], coloured: bool, tmp_path: Path, otlp: Any
) -> None:
    otlp.run(tmp_path, RUN)
    shown = on_terminal(tmp_path, 70, **settings)
    assert ("\x1b[" in shown) == coloured
    if not coloured:
        assert max(len(line) for line in shown.splitlines() if "slowest" not in line) == 70


def test_json_is_for_programs(tmp_path: Path, otlp: Any) -> None:
    otlp.run(tmp_path, RUN)
    done = trace(tmp_path, RUN, "--json")
    shown = json.loads(done.stdout)
    assert [span["name"] for span in shown["spans"]] == ["run", "load_bars", "contract", "strategy", "write"]
    assert (shown["run_id"], len(shown["logs"])) == (RUN, 1)


def test_a_run_without_telemetry_is_exit_1_and_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir()
    done = trace(tmp_path, RUN)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {RUN} has no telemetry\n"
        "hint: PEAK_OTEL_ENABLED=1 just run … records it, after just setup observability\n"
    )


def test_a_run_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    done = trace(tmp_path, "last")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no sealed run in ")


@pytest.mark.slow
@pytest.mark.needs("lake", "observability")
def test_a_real_run_is_traced_built_into_the_lake_and_reported(tmp_path: Path) -> None:
    """From `with_telemetry.sh` on, with no hand in between."""
    rows = [f"2024-01-{day:02d},{day + 99},{day + 102},{day + 98},{day + 100},1" for day in range(1, 29)]
    (tmp_path / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    (tmp_path / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1d"\n[strategy]\nname = "buy_and_hold"\n'
    )
    results, lake = tmp_path / "results", tmp_path / "lake"
    ran = subprocess.run(
        [str(ROOT / "scripts" / "utils" / "with_telemetry.sh"), sys.executable,
         str(ROOT / "scripts" / "run_strategy_from_config.py"), "--config", str(tmp_path / "config.toml"),
         "--results-dir", str(results), "--tracking", "off"],
        env={name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PEAK_"))}
        | {"PEAK_OTEL_ENABLED": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    run_id = ran.stdout.split()[0]

    shown = json.loads(trace(results, "last", "--json").stdout)
    names = [span["name"] for span in shown["spans"]]
    assert names[0] == "run" and {"load_bars", "strategy", "backtest", "stats", "write", "seal"} <= set(names)
    assert {span["run_id"] for span in shown["spans"]} == {run_id}
    assert len({span["trace_id"] for span in shown["spans"]}) == 1
    assert [span["depth"] for span in shown["spans"]].count(0) == 1
    assert shown["skipped"] == 0

    from peak_trade.data.lake import build, check, query
    from peak_trade.evidence.results import Results
    from peak_trade.report import open_page

    assert build.build(Results(results), lake, root=None).spans == len(names)
    asked = (
        "SELECT r.strategy, s.name, avg(s.duration_ms) FROM runs r JOIN spans s USING (run_id) GROUP BY ALL ORDER BY 2"
    )
    with query.connect(lake) as connection:
        answer = connection.execute(asked).fetchall()
    assert [(strategy, name) for strategy, name, _ in answer] == [("buy_and_hold", name) for name in sorted(set(names))]
    run = next(span for span in shown["spans"] if span["name"] == "run")
    assert {name: ms for _, name, ms in answer}["run"] == run["duration_ms"]
    assert check.check(lake).findings == []
    section = open_page(run_id, results=results).section("timing")
    assert section and "load_bars" in section.content
