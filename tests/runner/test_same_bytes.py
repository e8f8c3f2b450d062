"""The same config, data and code give the same sealed bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/run_strategy_from_config.py"


def sealed(run: Path) -> dict[str, bytes]:
    """Return the content of every file that the seal covers, and of what the manifest says beside the circumstances."""
    statement = json.loads((run / "manifest.json").read_bytes())
    predicate = statement["predicate"]
    lasting = {"subject": statement["subject"]} | {
        key: predicate[key] for key in ("buildDefinition", "results", "status")
    }
    files = {subject["name"]: (run / subject["name"]).read_bytes() for subject in statement["subject"]}
    return files | {"manifest": json.dumps(lasting).encode()}


@pytest.fixture
def first(forge: Any, config: Path, ram: Path) -> dict[str, bytes]:
    """The sealed bytes of one run."""
    return sealed(ram / "results" / forge.cli(config, ram / "results").run_id)


def test_a_second_run_seals_the_same_bytes(forge: Any, config: Path, ram: Path, first: dict[str, bytes]) -> None:
    assert {name for name in first if not name.startswith("code/")} == {
        "config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv", "benchmark.csv", "trades.csv",
        "manifest",
    }  # fmt: skip
    assert "code/peak_trade/strategies/sma_crossover.py" in first
    assert sealed(ram / "results" / forge.cli(config, ram / "results").run_id) == first


def test_a_run_of_copies_in_another_folder_seals_the_same_bytes(
    forge: Any, config: Path, ram: Path, first: dict[str, bytes]
) -> None:
    moved = ram / "an other" / "folder"
    moved.mkdir(parents=True)
    for path in (config, ram / "bars.csv"):
        shutil.copyfile(path, moved / path.name)
    outcome = forge.cli(Path("folder/config.toml"), Path("results"), cwd=str(moved.parent))
    assert sealed(moved.parent / "results" / outcome.run_id) == first


def test_a_process_of_another_hash_seed_zone_and_locale_seals_the_same_bytes(config: Path, ram: Path) -> None:
    runs = []
    for settings in (
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "COLUMNS": "40", "OMP_NUM_THREADS": "1"},
    ):
        done = subprocess.run(
            [sys.executable, SCRIPT, "--config", config, "--results-dir", ram / "results"],
            env=os.environ | settings, capture_output=True, text=True, check=True,
        )  # fmt: skip
        runs.append(sealed(ram / "results" / done.stdout.strip()))
    assert runs[0] == runs[1]


def test_sealed_files_hold_neither_time_nor_run_id_nor_path(forge: Any, config: Path, ram: Path) -> None:
    outcome = forge.cli(config, ram / "results")
    started = (ram / "results" / "ledger.jsonl").read_text().partition('"time":"')[2][:10]
    for name, content in sealed(ram / "results" / outcome.run_id).items():
        for word in (outcome.run_id, started, str(ram), os.uname().nodename):
            assert word.encode() not in content, f"{word} in {name}"


@pytest.mark.parametrize(
    "change",
    ["strategy.params.fast=3", "execution.fee_bps=1", "sizing.scale=0.5", "data.symbol=OTHER", "run.seed=1"],
)
def test_control_another_config_seals_other_bytes(
    forge: Any, config: Path, ram: Path, first: dict[str, bytes], change: str
) -> None:
    assert sealed(ram / "results" / forge.cli(config, ram / "results", "--set", change).run_id) != first


def test_control_another_price_seals_other_bytes(forge: Any, config: Path, ram: Path, first: dict[str, bytes]) -> None:
    bars = ram / "bars.csv"
    bars.write_text(bars.read_text().replace(",112,200", ",111.5,200"))
    other = sealed(ram / "results" / forge.cli(config, ram / "results").run_id)
    assert {name for name in first if name in other and other[name] != first[name]} >= {"equity.csv", "manifest"}
