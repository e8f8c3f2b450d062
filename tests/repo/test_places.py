"""The whole way in awkward places: names full of signs, no HOME, a locale of C, a checkout that is read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NAMED = """\
[run]
name = "Käse – 日本"

[data]
path = "Bärs é.csv"
symbol = "ÖL日/USD"
timeframe = "1d"

[strategy]
entrypoint = "Stratégie.py:größer"
"""
STRATEGY = """\
def größer(bars):
    return (bars.close > bars.open).astype(float)
"""
Just = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(checkout: Path, root: Path) -> Path:
    """A folder of somebody's own in the checkout: a config, a strategy and bars under such names."""
    path = checkout / "Öl & co"
    path.mkdir()
    (path / "Köln.toml").write_text(NAMED, encoding="utf-8")
    (path / "Stratégie.py").write_text(STRATEGY, encoding="utf-8")
    shutil.copy(root / "data" / "samples" / "sp500_daily.csv", path / "Bärs é.csv")
    return path


def caller(checkout: Path, *before: str, **settings: str) -> Just:
    """Return what calls a recipe of the checkout, without HOME and with the locale C."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PEAK_", "LC_", "HOME", "LANG"))}
    ours |= {"LC_ALL": "C", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **settings}

    def just(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, "just", *words],
            cwd=checkout,
            env=ours,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=300,
        )

    return just


@pytest.mark.needs("lake")
def test_the_whole_way_works_whatever_things_are_called(checkout: Path, folder: Path) -> None:
    just = caller(checkout)
    ran = just("run", f"{folder.name}/Köln.toml")
    run_id = ran.stdout.strip()
    assert (checkout / "results" / run_id / "manifest.json").is_file(), ran.stderr
    assert "ÖL日/USD" in just("show", run_id[:8]).stdout
    assert just("show").stdout == just("show", "last").stdout == just("show", run_id).stdout
    assert just("verify", "--all").stdout == f"intact      ledger.jsonl\nintact      {run_id}\n"
    reported = just("report", "last")
    page = checkout / "results" / run_id / "report" / "backtest_report.html"
    assert reported.stdout == f"{page}\n", reported.stderr
    assert "Käse – 日本" in page.read_text(encoding="utf-8")
    assert just("report-index").stdout == f"{checkout / 'results' / 'index.html'}\n"
    assert just("lake-build").returncode == 0
    question = "SELECT run_id, symbol, count(*) FROM ohlcv JOIN runs USING (symbol) GROUP BY ALL"
    asked = just("lake-query", "--format", "csv", question)
    assert asked.stdout.splitlines()[1:] == [f"{run_id},ÖL日/USD,5031"], asked.stderr
    assert just("doctor").returncode == 0


@pytest.fixture
def read_only(checkout: Path) -> Iterator[tuple[str, ...]]:
    """Make the checkout read-only, and give what a command must be started with for that."""
    os.utime(checkout / "constraints.txt")  # same content, new time: set-up would note that
    if os.geteuid() == 0:  # permissions do not stop root
        mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        before = ("unshare", "--mount", "sh", "-c", mount, str(checkout))
        if not shutil.which("unshare") or subprocess.run([*before, "true"], capture_output=True).returncode:
            pytest.skip("root cannot make anything read-only here")
        yield before
        return
    modes = {path: path.lstat().st_mode for path in (checkout, *checkout.rglob("*")) if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    yield ()
    for path, mode in modes.items():
        path.chmod(mode)


def test_a_checkout_that_is_read_only_says_where_runs_can_go(checkout: Path, read_only: tuple[str, ...]) -> None:
    refused = caller(checkout, *read_only)("run", "config/my_strategy.toml")
    assert refused.returncode == 1
    assert refused.stdout == ""
    error, hint = refused.stderr.splitlines()
    assert error.startswith("error: cannot write to ")
    assert "PEAK_RESULTS_DIR" in hint


@pytest.mark.needs("lake")
def test_a_checkout_that_is_read_only_runs_with_its_results_elsewhere(
    checkout: Path, read_only: tuple[str, ...], tmp_path: Path
) -> None:
    places = {"PEAK_RESULTS_DIR": str(tmp_path / "out side"), "PEAK_LAKE_DIR": str(tmp_path / "lake")}
    just = caller(checkout, *read_only, **places)
    ran = just("run", "config/my_strategy.toml", "--quiet")
    run_id = ran.stdout.strip()
    assert (tmp_path / "out side" / run_id / "manifest.json").is_file(), ran.stderr
    assert just("verify", "last").returncode == 0
    assert just("lake-build").returncode == 0
    assert just("lake-query", "--format", "csv", "SELECT run_id FROM runs").stdout == f"run_id\n{run_id}\n"


@pytest.fixture
def new_pins(checkout: Path) -> Iterator[None]:
    pins = checkout / "constraints.txt"
    before = pins.read_bytes()
    pins.write_bytes(before + b"# newer\n")
    yield
    pins.write_bytes(before)


def test_a_checkout_that_is_read_only_goes_on_with_what_was_set_up(
    checkout: Path, new_pins: None, read_only: tuple[str, ...], tmp_path: Path
) -> None:
    just = caller(checkout, *read_only, PEAK_RESULTS_DIR=str(tmp_path))
    listed = just("runs")
    reason = f"{checkout}/.venv can't be written"
    assert listed.returncode == 0
    assert listed.stderr.startswith(
        f"warn: going on with the packages of the last set-up: {reason}\nhint: just setup\n"
    )
    refused = just("setup")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {reason}\nhint: ")
