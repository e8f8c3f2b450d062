"""Who records a command is not kept waiting by what that command has no use for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = 215  # of which a bare interpreter has some 35; each costs up to a millisecond
RECORDED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(*sorted(sys.modules))
"""
SAYS = "from peak_trade import record; record.equity({'2024-01-02': 1.0, '2024-01-03': 2.0})"


def modules_after(folder: Path, *command: str, python: str | Path = sys.executable) -> list[str]:
    """Record a command, and return what its recorder has imported by the end."""
    words = [ROOT / "scripts/record_run.py", "--results-dir", folder / "results", "--json", "run.json", "--", *command]
    done = subprocess.run(
        [python, "-c", RECORDED, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    assert "sealed" in done.stderr, done.stderr
    return done.stdout.split()


def test_a_command_without_a_trial_is_recorded_without_numpy(tmp_path: Path) -> None:
    found = modules_after(tmp_path, sys.executable, "-c", "open('a.txt', 'w').write('a')")
    assert {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"peak_trade", "__main__"} <= {
        "msgspec", "typing_extensions",  # which msgspec takes where it is
    }  # fmt: skip
    assert "peak_trade.strategies" not in found
    assert len(found) <= MODULES


def test_one_with_a_trial_needs_it(tmp_path: Path) -> None:
    assert "numpy" in modules_after(tmp_path, sys.executable, "-c", SAYS)


def test_the_core_alone_records_and_reads_a_trial(tmp_path: Path, core_python: Path) -> None:
    modules_after(tmp_path, str(core_python), "-c", SAYS, python=core_python)
    [stats] = tmp_path.glob("results/*/stats.json")
    assert b'"total_return": 1.0' in stats.read_bytes()


def test_what_a_script_says_it_by_is_there_by_name() -> None:
    from peak_trade import record

    assert callable(record.equity)
    with pytest.raises(AttributeError, match="no attribute 'sharpe'"):
        _ = record.sharpe
