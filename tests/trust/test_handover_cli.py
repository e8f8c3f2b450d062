"""The recipes of a hand-over, as a person calls them: what goes to stdout, what is said, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.evidence.results import Results
from peak_trade.trust import handover
from peak_trade.trust.handed import package

Evidence = Any  # of conftest.py, which cannot be imported
SCRIPTS = script.repo_root() / "scripts"


class Desk:
    """Somebody's folder, in which commands are given."""

    def __init__(self, path: Path, results: Path) -> None:
        self.path, self.results = path, results
        path.mkdir(exist_ok=True)

    def __call__(self, name: str, *words: str, results: Path | None = None) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PEAK_")}
        return subprocess.run(
            [sys.executable, SCRIPTS / f"{name}.py", *words],
            cwd=self.path, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
            env=kept | {"PEAK_RESULTS_DIR": str(results or self.results)},
        )  # fmt: skip


@pytest.fixture
def desk(evidence: Evidence, tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk", evidence.results)


def test_a_run_goes_from_one_desk_to_another(desk: Desk, evidence: Evidence, tmp_path: Path) -> None:
    run_id, there = evidence.runs["own"], tmp_path / "there"
    made = desk("export_runs", run_id[:8])
    name = f"run-{run_id[:8]}.zip"
    assert (made.returncode, made.stdout) == (0, f"{name}\n") and "1 run, " in made.stderr
    checked = desk("verify_runs", name, results=there)
    assert checked.returncode == 0
    assert [line[: line.index("  ")] for line in checked.stdout.splitlines() if not line.startswith(" ")] == [
        "intact", "intact, but not of this ledger"
    ]  # fmt: skip
    for _ in range(2):
        taken = desk("import_runs", name, results=there)
        assert taken.returncode == 0, taken.stderr
    assert (taken.stdout, taken.stderr) == ("", f"{run_id} is here already\n")
    assert desk("verify_runs", "--all", results=there).returncode == 0
    shown = desk("show_run", results=there)
    assert f"received  {name}, sha256 " in shown.stdout


def test_what_is_said_as_json(desk: Desk, evidence: Evidence, tmp_path: Path) -> None:
    made = json.loads(desk("export_runs", evidence.runs["own"], "--output", "a.zip", "--json").stdout)
    assert made["archive"] == "a.zip" and made["runs"] == [evidence.runs["own"]]
    assert made["bytes"] == (desk.path / "a.zip").stat().st_size
    checked = json.loads(desk("verify_runs", "a.zip", "--json", results=tmp_path / "none").stdout)
    assert [one["state"] for one in checked] == ["intact", "foreign"]
    taken = json.loads(desk("import_runs", "a.zip", "--json", results=tmp_path / "there").stdout)
    assert taken == {"received": [evidence.runs["own"]], "there": []}


@pytest.mark.needs("experiments")
def test_the_report_of_a_run_in_an_archive_is_written_where_one_stands(desk: Desk, evidence: Evidence) -> None:
    run_id = evidence.runs["own"]
    desk("export_runs", run_id, evidence.runs["builtin"], "--output", "a.zip")
    several = desk("render_report", "a.zip", "--renderer", "builtin")
    assert several.returncode == 2 and f"hint: a.zip/{sorted(evidence.runs[n] for n in ('own', 'builtin'))[0][:8]}" in (
        several.stderr
    )
    made = desk("render_report", f"a.zip/{run_id[:8]}", "--renderer", "builtin")
    assert (made.returncode, made.stdout) == (0, f"report-{run_id[:8]}.html\n"), made.stderr
    assert "<title>" in (desk.path / f"report-{run_id[:8]}.html").read_text(encoding="utf-8")


def test_a_run_is_shown_compared_and_replayed_out_of_an_archive(desk: Desk, evidence: Evidence, tmp_path: Path) -> None:
    with package(evidence.runs["own"], Results(evidence.results)) as found:  # a script looks for bars in the checkout
        handover.export(found.runs, Results(evidence.results), desk.path / "a.zip", root=evidence.root)
    desk("export_runs", evidence.runs["builtin"], "--output", "b.zip")
    (evidence.root / "data" / "bars.csv").unlink()
    none = tmp_path / "none"
    assert evidence.runs["own"] in desk("show_run", "a.zip", results=none).stdout
    compared = desk("compare_runs", "a.zip", "b.zip", results=none)
    assert compared.returncode == 0 and "sma_crossover" in compared.stdout, compared.stderr
    replayed = desk("replay_run", "a.zip", results=none)
    assert replayed.stdout.startswith(f"IDENTICAL  {evidence.runs['own']}"), replayed.stderr
    gone = desk("replay_run", "b.zip", results=none)
    assert gone.returncode == 2 and "the data is gone" in gone.stderr
    assert not none.exists()


HOSTILE = {
    "zip slip": "../../secret",
    "an absolute name": "/tmp/peak_trade_secret",
    "an odd name": "runs/\x1b[31m",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", ["verify_runs", "show_run", "render_report", "replay_run", "import_runs"])
def test_no_command_writes_where_a_hostile_archive_says(
    desk: Desk, evidence: Evidence, tmp_path: Path, command: str, name: str
) -> None:
    desk("export_runs", evidence.runs["own"], "--output", "a.zip")
    before = {path for path in tmp_path.rglob("*") if "report" not in path.name}
    with zipfile.ZipFile(desk.path / "a.zip", "a") as packed:
        packed.writestr(name, "1")
    done = desk(command, "a.zip", results=tmp_path / "there")
    assert done.returncode == (2 if command == "replay_run" else 1), done.stderr  # it can't be made again
    said = done.stdout + done.stderr
    assert "the archive a.zip has a name" in said and "internal" not in said and "\x1b" not in said
    assert {path for path in tmp_path.rglob("*") if "report" not in path.name} == before
    assert not Path("/tmp/peak_trade_secret").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("none.zip",), "there is no file or folder 'none.zip'"),
        (("notes.txt",), "notes.txt is no zip archive"),
        (("empty.zip",), "empty.zip holds no run"),
        (("empty.zip/3f2a",), "empty.zip holds no run"),
        (("a.zip/ffff",), "a.zip holds no run 'ffff'"),
    ],
)
def test_what_holds_no_run_is_wrong_usage(
    desk: Desk, evidence: Evidence, words: tuple[str, ...], sentence: str
) -> None:
    desk("export_runs", evidence.runs["own"], "--output", "a.zip")
    (desk.path / "notes.txt").write_text("notes")
    with zipfile.ZipFile(desk.path / "empty.zip", "w"):
        pass
    for command in ("verify_runs", "import_runs", "show_run"):
        done = desk(command, *words)
        assert (done.returncode, sentence in done.stderr) == (2, True), (command, done.stderr)
        assert "hint: " in done.stderr


@pytest.mark.parametrize("place", ["/dev/null", "folder", "missing/a.zip"])
def test_no_device_or_folder_makes_way_for_an_archive(desk: Desk, evidence: Evidence, place: str) -> None:
    (desk.path / "folder").mkdir()
    done = desk("export_runs", evidence.runs["own"], "--output", place)
    assert done.returncode == 1 and "cannot write" in done.stderr, done.stderr
    assert Path("/dev/null").is_char_device()


def test_a_file_of_the_folder_where_one_stands_is_not_the_run_called_last(desk: Desk, evidence: Evidence) -> None:
    (desk.path / "last").write_text("1")
    (desk.path / "runs").mkdir()
    assert desk("show_run", "last").returncode == 0
    assert desk("show_run").returncode == 0
