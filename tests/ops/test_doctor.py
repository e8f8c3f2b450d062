"""`peak_trade.ops.doctor`: what is there, what is not, and the command that mends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from peak_trade import script
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.ops import doctor


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with an extra that is there, one that is not, and `all`."""
    info = tmp_path / "made_up-1.0.dist-info"
    info.mkdir()
    wanted = ["numpy; extra == 'here'", "absent-one>=1; extra == 'gone'", "numpy>=1 ; extra == 'gone'", "numpy"]
    wanted += [f"absent-{n}; python_version > '3' and extra == \"far-gone\"" for n in ("one", "two", "three", "four")]
    wanted += ["made-up[here,gone]; extra == 'all'"]
    lines = ["Metadata-Version: 2.1", "Name: made-up", "Version: 1.0", *(f"Requires-Dist: {text}" for text in wanted)]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "made-up"


def test_each_extra_is_told_with_the_command_that_adds_it(distribution: str) -> None:
    assert list(doctor.extras(distribution)) == [
        doctor.Finding("extra here", "ok", "installed"),
        doctor.Finding("extra gone", "missing", "lacks absent-one", "just setup gone"),
        doctor.Finding(
            "extra far-gone", "missing", "lacks absent-one, absent-two, absent-three and 1 more", "just setup far-gone"
        ),
    ]


def test_pins_are_ok_where_one_of_the_pinned_versions_is_installed(tmp_path: Path) -> None:
    version = metadata.version("numpy")
    blocks = [
        "NumPy==0.1 ; python_version < '3' \\",
        "    --hash=sha256:0",
        f"numpy=={version} \\",
        "    --hash=sha256:1",
    ]
    text = "\n".join([*blocks, "absent-one==1", ""])
    (tmp_path / "constraints.txt").write_text(text, encoding="utf-8")
    assert doctor.pins(tmp_path / "constraints.txt") == doctor.Finding("pins", "ok", "1 packages as pinned")


def test_an_installed_version_that_is_not_pinned_is_named(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("numpy==0.1\nmsgspec==0.2\n", encoding="utf-8")
    found = doctor.pins(tmp_path / "constraints.txt")
    numpy, msgspec = metadata.version("numpy"), metadata.version("msgspec")
    assert found == doctor.Finding(
        "pins", "stale", f"not as pinned: msgspec {msgspec}, numpy {numpy}", "just setup", needed=True
    )


def test_the_whole_examination_names_tools_extras_pins_and_disk(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "equity.csv").write_bytes(b"x" * 1500)
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path))}
    assert list(found)[:4] == ["python", "git", "uv", "just"]
    assert {"quarto", "chromium", "docker", "extra dev", "extra lake", "pins"} <= set(found)
    assert found["python"].state == found["git"].state == "ok"
    assert found["disk"].detail.startswith(f"2 kB in 1 files under {tmp_path}, ")


def test_that_quarto_is_missing_is_told_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path))}
    assert (found["quarto"].state, found["quarto"].needed) == ("missing", False)
    assert found["quarto"].hint.startswith("optional, the built-in renderer makes the same page")
    told = (script.repo_root() / "docs" / "reports" / "quarto.md").read_text(encoding="utf-8")
    for way in ("quarto.org", "pip install quarto-cli", "GitHub", "pip download quarto-cli"):
        assert way in found["quarto"].hint
        assert way in told.partition("### Get Quarto")[2]


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((script.repo_root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["optional-dependencies"].keys() - {"all"}
    assert {finding.name for finding in doctor.extras()} == {f"extra {name}" for name in declared}


def test_a_broken_ledger_is_found_with_its_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for run_id in ("one", "two", "three"):
        ledger.append("start", run_id)
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path))}
    assert found["ledger"] == doctor.Finding("ledger", "ok", "3 lines, each chained to the one before")
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b'"two"', b'"owt"'))
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path))}
    assert found["ledger"] == doctor.Finding(
        "ledger", "broken", "not whole at line 3", "just verify --all", needed=True
    )


def test_a_run_that_is_left_as_it_is_is_not_called_mended(tmp_path: Path) -> None:
    run_id = "11111111-1111-4111-8111-111111111111"
    (tmp_path / ".working" / run_id).mkdir(parents=True)
    Ledger(tmp_path).append("start", run_id)
    Ledger(tmp_path).append("sealed", run_id, manifest="0" * 64)

    def found() -> doctor.Finding:
        return {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path))}[
            "run 11111111"
        ]

    assert (found().state, found().hint) == ("broken", "just verify --all")
    Ledger(tmp_path).path.unlink()
    assert found().state == "mended", "the control"


@pytest.mark.parametrize("link", [False, True])
def test_nothing_is_made_where_a_link_in_place_of_the_runs_in_the_making_leads(tmp_path: Path, link: bool) -> None:
    results, outside = tmp_path / "results", tmp_path / "outside"
    results.mkdir()
    outside.mkdir()
    Ledger(results).append("start", "11111111-1111-4111-8111-111111111111")
    if link:
        (results / ".working").symlink_to(outside)
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(results))}["run 11111111"]
    assert not list(outside.iterdir())
    if link:
        assert (found.state, found.detail) == ("broken", "not recovered: a symbolic link in place of a folder")
    else:
        assert found.state == "mended", "the control"


def test_results_that_are_not_there_yet_take_no_room(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in doctor.examine(script.repo_root(), Results(tmp_path / "not" / "yet"))}
    assert found["disk"].detail.startswith("0 B in 0 files under ")


def call(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script.repo_root() / "scripts" / "doctor.py"), *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60)


def test_json_holds_what_the_table_shows() -> None:
    table, findings = call().stdout.splitlines(), json.loads(call("--json").stdout)
    assert len(table) == len(findings)
    assert all(line.split()[0] == finding["state"] for line, finding in zip(table, findings, strict=True))


def test_a_missing_tool_fails_only_if_strict(tmp_path: Path) -> None:
    assert call(PATH=str(tmp_path)).returncode == 0
    strict = call("--strict", PATH=str(tmp_path))
    assert strict.returncode == 1
    assert "git" in strict.stderr
