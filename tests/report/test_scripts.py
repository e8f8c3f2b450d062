"""The report as an operator asks for it: what stands on stdout, what on stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import RunError
from peak_trade.report import render

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TOOLS = """
import runpy, sys
sys.modules["nbclient"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_last_line_is_the_path_of_the_html(copy_of: Callable[[str], Path], script: Any, builtin: Any) -> None:
    run_dir = copy_of("one")
    done = script("render_report.py", run_dir.name[:8], "--results-dir", str(run_dir.parent), "--renderer", "builtin")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{run_dir / render.OUTPUT}\n"
    assert (run_dir / render.OUTPUT).is_file()


def test_all_missing_reports_are_made_and_a_second_time_none(
    copy_of: Callable[[str], Path], script: Any, builtin: Any
) -> None:
    paths = sorted([copy_of("one"), copy_of("two"), copy_of("failed")])
    words = ("render_report.py", "--all-missing", "--renderer", "builtin", "--results-dir", str(paths[0].parent))
    done = script(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(path / render.OUTPUT) for path in paths]
    again = script(*words)
    assert (again.returncode, again.stdout) == (0, "")


def test_a_broken_seal_is_exit_1_and_the_report_is_written(
    copy_of: Callable[[str], Path], script: Any, builtin: Any
) -> None:
    run_dir = copy_of("one")
    (run_dir / "stats.json").write_text("{}")
    results = str(run_dir.parent)
    done = script("render_report.py", str(run_dir), "--json", "--results-dir", results, "--renderer", "builtin")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: the seal of {run_dir.name} is broken\nhint: just verify {run_dir.name[:8]} says where\n"
    )
    html = run_dir / render.OUTPUT
    assert json.loads(done.stdout) == [
        {"run_id": run_dir.name, "html": str(html), "renderer": "builtin", "seal": "broken"}
    ]
    assert "The seal is broken." in html.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zzz"], "error: no run 'zzz'"),
        (["--renderer", "word"], "error: argument --renderer: invalid choice"),
        (["last", "--all-missing"], "error: --all-missing makes many reports"),
        (["--all-missing", "--output", "x.html"], "error: --all-missing makes many reports"),
    ],
)
def test_wrong_usage_is_exit_2(words: list[str], said: str, script: Any, tmp_path: Path) -> None:
    refused = script("render_report.py", *words, "--results-dir", str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr.startswith(said)
    assert refused.stdout == ""


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder", "a device", "a link to a pipe"])
def test_a_report_takes_the_place_of_no_device_pipe_or_folder(
    kind: str, tmp_path: Path, runs: Any, builtin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "page.html"
    if kind == "a device" and os.geteuid():
        output = Path("/dev/null")  # which only root could replace
    elif kind == "a device":
        os.mknod(output, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "a folder":
        output.mkdir()
    elif kind == "a socket":
        monkeypatch.chdir(tmp_path)  # a socket's path is a short one
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(output.name)
    else:
        os.mkfifo(tmp_path / "pipe" if "link" in kind else output)
        if "link" in kind:
            output.symlink_to("pipe")
    before = os.lstat(output)
    said = "a folder" if kind == "a folder" else "no regular file"
    with pytest.raises(RunError, match=f"cannot write {output}: it is {said}"):
        render.render(runs["one"], builtin, output)
    assert os.path.samestat(os.lstat(output), before)


def test_control_a_report_takes_the_place_of_a_file(tmp_path: Path, runs: Any, builtin: Any) -> None:
    (tmp_path / "page.html").write_text("the page before")
    render.render(runs["one"], builtin, tmp_path / "page.html")
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")[:500].lower()


def test_what_the_system_calls_a_file_is_a_place_for_none(tmp_path: Path) -> None:
    (tmp_path / "dev").symlink_to("/dev")
    ask = "from peak_trade import places; import sys; print([places.taken(path) for path in sys.argv[1:]])"
    names = ["/dev/stdout", str(tmp_path / "dev" / "stdout"), str(tmp_path / "out")]
    with open(tmp_path / "out", "w") as stdout:  # /dev/stdout is a link to a regular file then
        subprocess.run([sys.executable, "-c", ask, *names], stdout=stdout, check=True)
    assert (tmp_path / "out").read_text() == "['no regular file', 'no regular file', '']\n"


@pytest.mark.parametrize(
    ("words", "strict", "code", "label"),
    [((), "", 2, "error"), (("--optional",), "", 0, "warn"), (("--optional",), "1", 2, "error")],
)
def test_without_the_tools_the_report_is_refused_or_skipped(
    words: tuple[str, ...], strict: str, code: int, label: str, runs: Any
) -> None:
    path = str(ROOT / "scripts" / "render_report.py")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TOOLS, path, str(runs["one"]), "--renderer", "builtin", *words],
        env={**os.environ, "PEAK_STRICT": strict},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{label}: ")
    assert "the report's tools are missing: " in first
    assert second == "hint: just setup experiments"
