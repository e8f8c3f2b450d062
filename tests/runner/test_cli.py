"""The command that runs a config: what it prints, what it refuses, and where it may be started from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.ledger import Ledger

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/run_strategy_from_config.py"
ID = "8a1d0f4e-7c7b-4f6e-9d43-0a4c6f1f2b3d"

UNPRIVILEGED = """
import ctypes, os, sys
for capability in (1, 2) if os.geteuid() == 0 else ():
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""  # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: permissions count for root too


def refused(outcome: Any, code: int, message: str) -> None:
    """Hold that the operator was told one sentence, and a hint, without a traceback."""
    assert (outcome.code, outcome.stdout) == (code, ""), outcome.stderr
    [error] = outcome.said("error")
    assert message in error
    assert outcome.said("hint")
    assert "Traceback" not in outcome.stderr


def test_stdout_is_the_run_id_alone(forge: Any, config: Path, ram: Path) -> None:
    outcome = forge.cli(config, ram / "results")
    [path] = (ram / "results").glob("*-*")
    assert outcome.stdout == f"{path.name}\n"
    assert uuid.UUID(path.name).version == 4


def test_json_describes_the_run(forge: Any, config: Path, ram: Path) -> None:
    described = json.loads(forge.cli(config, ram / "results", "--json").stdout)
    assert (described["status"], described["stats"]["trades"]) == ("sealed", 2)
    assert (ram / "results" / described["run_id"]).is_dir()


def test_quiet_leaves_stderr_to_warnings(forge: Any, config: Path, ram: Path) -> None:
    outcome = forge.cli(config, ram / "results", "--quiet")
    assert [line.partition(":")[0] for line in outcome.stderr.splitlines()] == ["warn"]  # there is no pyarrow


def test_a_run_id_may_be_given(forge: Any, config: Path, ram: Path) -> None:
    assert forge.cli(config, ram / "results", "--run-id", ID.upper()).stdout == f"{ID}\n"


def test_a_run_id_may_come_from_the_environment(forge: Any, config: Path, ram: Path) -> None:
    assert forge.cli(config, ram / "results", env={"PEAK_RUN_ID": ID}).stdout == f"{ID}\n"


def test_a_run_id_that_is_given_comes_before_the_environment(forge: Any, config: Path, ram: Path) -> None:
    outcome = forge.cli(config, ram / "results", "--run-id", ID, env={"PEAK_RUN_ID": str(uuid.uuid4())})
    assert outcome.stdout == f"{ID}\n"


def test_an_empty_run_id_in_the_environment_is_none(forge: Any, config: Path, ram: Path) -> None:
    assert forge.cli(config, ram / "results", env={"PEAK_RUN_ID": ""}).code == 0


@pytest.mark.parametrize(
    "given",
    ["1", "../x", "5bcba952-e75c-11f1-9aa1-02fc00000001", ID[:-1], ID + "0", "{" + ID + "}", ID.replace("-", "")],
)
@pytest.mark.parametrize("by", ["option", "environment"])
def test_what_is_no_uuid4_is_refused_as_a_run_id(forge: Any, config: Path, ram: Path, given: str, by: str) -> None:
    how: Any = ({}, ("--run-id", given)) if by == "option" else ({"env": {"PEAK_RUN_ID": given}}, ())
    refused(forge.cli(config, ram / "results", *how[1], **how[0]), 2, "is not a UUID4")
    assert not (ram / "results").exists()


def test_a_run_id_that_exists_is_refused(forge: Any, config: Path, results: Path, look: Any) -> None:
    [path] = results.glob("*-*")
    before = look.photograph(results)
    refused(forge.cli(config, results, "--run-id", path.name), 2, f"run {path.name} exists already")
    assert look.photograph(results) == before


def test_the_run_id_of_a_removed_run_is_refused(forge: Any, config: Path, results: Path) -> None:
    [path] = results.glob("*-*")
    shutil.rmtree(path)
    Ledger(results).append("removed", path.name)
    refused(forge.cli(config, results, "--run-id", path.name), 2, f"run {path.name} exists already")


def test_the_run_id_of_an_unfinished_run_is_refused(forge: Any, config: Path, results: Path) -> None:
    forge.cli(config, results, "--run-id", ID, fault={"n": 20})
    refused(forge.cli(config, results, "--run-id", ID), 2, f"run {ID} exists already")


def test_a_file_where_the_results_should_be_fails_the_run(forge: Any, config: Path, ram: Path) -> None:
    (ram / "results").write_text("mine")
    refused(forge.cli(config, ram / "results"), 1, "cannot write to ")
    refused(forge.cli(config, ram / "results" / "below"), 1, "cannot write to ")
    assert (ram / "results").read_text() == "mine"


def test_results_that_cannot_be_written_fail_the_run(config: Path, ram: Path) -> None:
    (ram / "results").mkdir(mode=0o500)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, SCRIPT, "--config", config, "--results-dir", ram / "results"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cannot write to {ram / 'results'}: Permission denied\nhint: ")


@pytest.mark.parametrize("name", ["two words", "Größe-結果-🚀", "-dash", "a'b\"c$d", "new\nline"])
def test_results_may_have_any_name(forge: Any, config: Path, ram: Path, look: Any, name: str) -> None:
    outcome = forge.cli(config, ram / name)
    assert outcome.code == 0, outcome.stderr
    assert look.unrecovered(ram / name) == []


def test_results_may_have_a_name_that_is_not_utf_8(config: Path, ram: Path) -> None:
    folder = os.fsencode(ram) + b"/caf\xe9"
    done = subprocess.run([sys.executable, SCRIPT, "--config", config, "--results-dir", folder], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert os.path.isfile(folder + b"/" + done.stdout.strip() + b"/manifest.json")


def test_a_config_may_lie_anywhere_and_be_named_from_anywhere(forge: Any, config: Path, ram: Path) -> None:
    (ram / "elsewhere").mkdir()
    relative = Path("..") / config.name
    outcome = forge.cli(relative, Path("../results"), cwd=str(ram / "elsewhere"))
    assert outcome.code == 0, outcome.stderr
    assert (ram / "results" / outcome.run_id).is_dir()


def test_a_config_that_is_a_link_is_read_where_it_points(forge: Any, config: Path, ram: Path) -> None:
    (ram / "links").mkdir()
    (ram / "links" / "mine.toml").symlink_to(config)
    assert forge.cli(ram / "links" / "mine.toml", ram / "results").code == 0


def test_a_bare_environment_suffices(config: Path, ram: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--config", config, "--results-dir", ram / "results"],
        env={"LC_ALL": "C", "PATH": "/nowhere"},  # no HOME, no git, no terminal
        cwd="/",
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert (ram / "results" / done.stdout.strip() / "manifest.json").is_file()


def test_an_ascii_locale_holds_no_name_back(config: Path, ram: Path) -> None:
    config.write_text(config.read_text() + '[run]\nname = "Größe 🚀"\n')
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--config", config, "--results-dir", f"{ram}/Größe"],
        env=plain, capture_output=True, text=True, encoding="ascii", errors="backslashreplace",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (ram / "Größe" / done.stdout.strip() / "manifest.json").is_file()


def test_a_reader_that_leaves_early_is_no_failure(config: Path, ram: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--config", config, "--results-dir", ram / "results"],
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert b"Traceback" not in done.stderr
    assert len(list((ram / "results").glob("*-*/manifest.json"))) == 1


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--set", "strategy.params.fats=3"], "unknown parameter strategy.params.fats"),
        (["--set", "strategy.params.fast=0"], "strategy.params.fast is 0, allowed: "),
        (["--set", "strategy.name=sma_crosover"], "sma_crosover"),
        (["--set", "execution.fee_bps=-1"], "execution.fee_bps is -1"),
        (["--set", "nonsense"], "--set 'nonsense' is not of the form"),
        (["--set", "data.path=missing.csv"], "there is no file missing.csv"),
        (["--set", "data.timeframe=1y"], "1y"),
        (["--set", "data.calendar=MOON"], "MOON"),
        (["--config", "/nowhere.toml"], "config /nowhere.toml: No such file"),
        (["--unknown"], "unknown option `--unknown`"),
        (["stray"], "unexpected argument `stray`"),
    ],
)
def test_what_an_operator_gets_wrong_is_said_and_leaves_no_trace(
    forge: Any, config: Path, ram: Path, argv: list[str], message: str
) -> None:
    refused(forge.cli(config, ram / "results", *argv), 2, message)
    assert not (ram / "results").exists()


def test_an_override_is_recorded(forge: Any, config: Path, ram: Path) -> None:
    run = forge.cli(config, ram / "results", "--set", "strategy.params.fast=3", "--set", "run.name=three").run_id
    snapshot = json.loads((ram / "results" / run / "config_snapshot.json").read_bytes())
    assert snapshot["overrides"] == {"strategy.params.fast": 3, "run.name": "three"}
    assert snapshot["strategy"]["params"]["fast"] == 3


def test_a_secret_reaches_no_file(forge: Any, config: Path, ram: Path) -> None:
    config.write_text(config.read_text() + '[run]\ntags = { api_key = "sk-tagged-123" }\n')
    outcome = forge.cli(
        config,
        ram / "results",
        "--set",
        "run.tags.token=t-overridden-9",
        "--set",
        "data.source=https://me:pw-in-url@host/x",
    )
    assert outcome.code == 0, outcome.stderr
    for path in (ram / "results").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (b"sk-tagged-123", b"t-overridden-9", b"pw-in-url"):
            assert secret not in content, path.name
    assert b"[redacted]" in (ram / "results" / outcome.run_id / "config_snapshot.toml").read_bytes()


def test_a_torn_ledger_is_repaired_and_told_of(forge: Any, config: Path, results: Path, look: Any) -> None:
    ledger = results / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() + b'{"event":"sta')
    outcome = forge.cli(config, results)
    assert outcome.code == 0
    assert "the ledger's last line was torn (13 bytes); set aside in ledger.torn" in outcome.said("warn")
    assert (results / "ledger.torn").read_bytes() == b'{"event":"sta\n'
    assert look.unrecovered(results) == []


def test_strict_makes_a_skipped_part_a_failure(forge: Any, config: Path, ram: Path, look: Any) -> None:
    outcome = forge.cli(config, ram / "results", env={"PEAK_STRICT": "1"})
    refused(outcome, 1, "trades.parquet was skipped: No module named 'pyarrow'")
    [path] = (ram / "results").glob("*-*")
    assert not (path / "equity.csv").exists(), "a failed run keeps no half result"
    assert look.unrecovered(ram / "results") == []
