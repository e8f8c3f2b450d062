"""The core alone runs, and a run imports no more than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"pandas", "mlflow", "duckdb", "opentelemetry", "matplotlib", "scipy", "numba", "dask", "ccxt", "yaml",
         "requests", "sklearn", "polars", "papermill", "asyncio", "http", "multiprocessing", "numpy.ma"}  # fmt: skip
PROBE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as exit:
    assert not exit.code, exit.code
tops = {name.partition(".")[0] for name in sys.modules}
print(*sorted(tops | {"numpy.ma"} & sys.modules.keys()), file=sys.stderr)  # which np.unique imports: a tenth of a run
"""


def run(
    python: Path | str, config: Path, results: Path, *argv: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts/run_strategy_from_config.py"
    return subprocess.run(
        [python, "-c", PROBE, script, "--config", config, "--results-dir", results, *argv],
        env={key: value for key, value in os.environ.items() if not key.startswith(("PEAK_", "PYTHON"))} | settings,
        capture_output=True,
        text=True,
    )


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_core_alone_runs_and_says_what_it_skips(core_python: Path, config: Path, ram: Path) -> None:
    done = run(core_python, config, ram / "results")
    assert imported(done) & (HEAVY | {"pyarrow"}) == set()
    path = ram / "results" / done.stdout.strip()
    assert (path / "trades.csv").is_file()
    assert "warn: trades.parquet skipped: No module named 'pyarrow'" in done.stderr
    [receipt] = [
        r
        for r in json.loads((path / "manifest.json").read_bytes())["predicate"]["receipts"]
        if r["outcome"] == "skipped"
    ]
    assert receipt["part"] == "trades.parquet"


def test_strict_makes_the_missing_extra_a_failure(core_python: Path, config: Path, ram: Path, look: Any) -> None:
    done = run(core_python, config, ram / "results", PEAK_STRICT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: trades.parquet was skipped: No module named 'pyarrow'" in done.stderr
    assert look.unrecovered(ram / "results") == []


def test_every_registered_strategy_runs_on_the_core_alone(core_python: Path, config: Path, ram: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from peak_trade import config, runner, strategies\n"
        "path, results = map(Path, sys.argv[1:])\n"
        "path.write_text(path.read_text().replace('fast = 2\\nslow = 5\\n', ''))\n"
        "for name in strategies.names():\n"
        "    runner.run(config.load(path, [f'strategy.name={name}']), root=path.parent, results=results)\n"
    )
    done = subprocess.run([core_python, "-c", code, config, ram / "results"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((ram / "results").glob("*-*/trades.csv"))) >= 9


def test_with_every_extra_a_run_imports_pyarrow_alone(config: Path, ram: Path) -> None:
    assert imported(run(sys.executable, config, ram / "results")) & (HEAVY | {"pyarrow"}) == {"pyarrow"}


def test_core_and_extras_seal_the_same_values(core_python: Path, config: Path, ram: Path) -> None:
    runs = [run(python, config, ram / "results").stdout.strip() for python in (core_python, sys.executable)]
    core, full = (json.loads((ram / "results" / name / "manifest.json").read_bytes()) for name in runs)
    assert core["predicate"]["results"] == full["predicate"]["results"]
    files = [{subject["name"]: subject["digest"] for subject in statement["subject"]} for statement in (core, full)]
    assert files[0].keys() ^ files[1].keys() == {"trades.csv", "trades.parquet"}
    assert all(files[0][name] == files[1][name] for name in files[0].keys() & files[1].keys())


def test_help_imports_not_even_numpy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ROOT / "scripts/run_strategy_from_config.py", "--help"],
        capture_output=True,
        text=True,
    )
    assert imported(done) & {"numpy", "msgspec"} == set()


def test_control_the_probe_sees_what_is_imported(config: Path, ram: Path) -> None:
    (ram / "heavy.py").write_text("import scipy\nimport numpy as np\ndef f(bars): return np.zeros(len(bars))\n")
    text = config.read_text().replace('name = "sma_crossover"', 'entrypoint = "heavy.py:f"')
    config.write_text(text.replace("fast = 2\nslow = 5\n", ""))
    assert "scipy" in imported(run(sys.executable, config, ram / "results"))
