"""The suite leaves the checkout and its user alone: every store is elsewhere, and what is touched fails the run.

Also here: `needs`, the marker of a test that takes an extra, `slow`, which the everyday loop leaves out, and `hostile`,
of which there are hundreds and `just test` takes a share.
It stands at the root because the doctests of src/ are part of the suite.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# The first imports the next of its name, as Python starts; the second runs where freqtrade is.
collect_ignore = ["src/peak_trade/observer/site/sitecustomize.py", "tests/engines/freqtrade_offline.py"]
STORES = ("results", "data/lake", "data/market", "mlflow.db*", "mlruns", "config", ".venv/peak_trade")
# The extras that a test can need: a package that tells whether one is there, and what is imported of it.
EXTRAS = {
    "cluster": ("distributed", {"distributed"}),
    "engines": ("backtrader", {"backtrader", "bt"}),
    "experiments": ("mlflow", {"mlflow", "nbclient", "sqlalchemy"}),
    "lake": ("duckdb", {"duckdb"}),
    "luck": ("arch", {"arch"}),
    "market": ("ccxt", {"ccxt"}),
    "observability": ("opentelemetry-exporter-otlp-json-file", {"grpc", "opentelemetry"}),
    "search": ("optuna", {"cmaes", "optuna"}),
    "share": ("deltalake", {"deltalake"}),
    "timestamp": ("rfc3161-client", {"rfc3161_client"}),
}


# What starts processes by the dozen, waits for clocks, or fails at every call: `just test-fast` leaves it out unread.
# By what `just test --durations=40` says; a single slow test elsewhere bears the marker itself.
SLOW = (
    "data",
    "engines",
    "engine/test_parity.py",
    "engine/test_decimal.py",
    "fetch",
    "hostile",
    "lake",
    "obs",
    "ops/test_doctor.py",
    "ops/test_git_state.py",
    "ops/test_merge_log.py",
    "ops/test_post_merge.py",
    "ops/test_pull_request.py",
    "report/test_accessible.py",
    "report/test_axe.py",
    "report/test_browser.py",
    "report/test_hostile.py",
    "report/test_index.py",
    "report/test_picture.py",
    "report/test_pointer.py",
    "report/test_print.py",
    "report/test_render.py",
    "report/test_scripts.py",
    "report/test_timing.py",
    "report/test_trades_shown.py",
    "repo/test_audit.py",
    "repo/test_console.py",
    "repo/test_gates.py",
    "repo/test_left_alone.py",
    "repo/test_observability.py",
    "repo/test_pins.py",
    "repo/test_places.py",
    "repo/test_readme.py",
    "repo/test_scripts.py",
    "repo/test_setup.py",
    "runner/test_cli.py",
    "runner/test_failing_calls.py",
    "runner/test_fuzzed_config.py",
    "runner/test_kill.py",
    "runner/test_lean.py",
    "runner/test_misbehaviour.py",
    "runner/test_parallel.py",
    "runner/test_removal.py",
    "runner/test_signals.py",
    "scripts/test_replay_run.py",
    "sweep/test_dask.py",
    "sweep/test_executor.py",
    "sweep/test_join.py",
    "tracking",
    "trust/test_archive.py",
    "trust/test_golden.py",
    "trust/test_handover.py",
    "trust/test_handover_cli.py",
    "trust/test_hostile.py",
    "trust/test_replay.py",
)


def is_slow(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / "tests" / name) for name in SLOW)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.option.markexpr == "not slow" and is_slow(collection_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_slow(item.path):
        item.add_marker("slow")


# --- hostile ------------------------------------------------------------------------------------------------------


def lot(item: pytest.Item) -> bytes:
    """By what a case is drawn: by chance, but the same at each start and in each worker."""
    return hashlib.sha256(item.nodeid.encode("utf-8", "surrogateescape")).digest()


@pytest.hookimpl(tryfirst=True)  # before `-m` is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is beyond a test's share as thorough: it runs where it is asked for, by `-m hostile`."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("hostile"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for drawn in cases.values():
        marker = drawn[0].get_closest_marker("hostile")
        share = marker.kwargs.get("share", len(drawn)) if marker else 0
        for item in sorted(drawn, key=lot)[share:]:
            item.add_marker("thorough")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-extras", action="store_true", help="fail where a test would be skipped for an extra")


# --- elsewhere ----------------------------------------------------------------------------------------------------


def move_stores(scratch: Path) -> None:
    """Point every store, and HOME, below `scratch`, for this process and all that it starts; uv and pip load nothing.

    Kept of HOME: caches, and how git, uv and pip find names and packages that are here.
    """
    for name in [*os.environ]:
        if name.startswith(("PEAK_", "OTEL_", "MLFLOW_")) and name != "PEAK_STRICT":
            del os.environ[name]
    before, home = Path.home(), scratch / "home"
    settings = Path(os.environ.pop("XDG_CONFIG_HOME", "") or before / ".config")
    os.environ.setdefault("XDG_CACHE_HOME", str(before / ".cache"))
    os.environ |= {
        "HOME": str(home),
        "UV_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PEAK_RESULTS_DIR": str(scratch / "results"),
        "PEAK_LAKE_DIR": str(scratch / "lake"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
    }
    (home / ".config").mkdir(parents=True)
    for name in ("uv", "pip"):
        if (settings / name).exists():
            (home / ".config" / name).symlink_to(settings / name)
    for name in (".gitconfig", ".netrc"):
        if (before / name).exists():
            shutil.copy2(before / name, home)


if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker is started with what its controller has set
    SCRATCH = Path(tempfile.mkdtemp(prefix="peak-trade-tests-"))
    move_stores(SCRATCH)


# --- untouched ----------------------------------------------------------------------------------------------------


def snapshot() -> dict[str, tuple[int, int]]:
    """What stands in the checkout's stores, in its environment and in git's settings: times and sizes by path."""
    asked = ("git", "rev-parse", "--git-path", "config", "--git-path", "hooks")
    git = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True) if shutil.which("git") else None
    places = [path for pattern in STORES for path in ROOT.glob(pattern)]
    places += [path for line in git.stdout.splitlines() if (path := ROOT / line).exists()] if git else []
    seen = {}
    for path in (path for place in places for path in (place, *place.rglob("*"))):
        status = path.lstat()
        seen[os.path.relpath(path, ROOT)] = status.st_mtime_ns, 0 if path.is_dir() else status.st_size
    packages = ROOT.glob(".venv/lib/python3*/site-packages/*.dist-info")
    return seen | {os.path.relpath(path, ROOT): (0, 0) for path in packages}


BEFORE = pytest.StashKey[dict[str, tuple[int, int]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(extra, …): takes these extras, and is skipped where one is missing")
    config.addinivalue_line(
        "markers", "hostile(share=N): what a stranger does; N cases of the test run always, all of them by `-m hostile`"
    )
    if not hasattr(config, "workerinput"):
        config.stash[BEFORE] = snapshot()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run by an error more where it left a trace; the reporter counts and shows it as any other."""
    if hasattr(session.config, "workerinput"):
        return
    before, after = session.config.stash[BEFORE], snapshot()
    touched = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if not touched:
        return
    lines = ["touched while the tests ran, by one of them or by somebody else:", *touched[:20]]
    lines += [f"… and {len(touched) - 20} more"] if len(touched) > 20 else []
    name = f"{Path(__file__).name}::the_checkout_is_left_alone"
    report = pytest.TestReport(name, (name, None, name), {}, "failed", "\n".join(lines), "teardown")
    session.config.hook.pytest_runtest_logreport(report=report)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(SCRATCH, ignore_errors=True)


# --- extras -------------------------------------------------------------------------------------------------------


def missing(extra: str) -> bool:
    try:
        metadata.version(EXTRAS[extra][0])
    except metadata.PackageNotFoundError:
        return True
    return False


def skip_reason(extra: str) -> str:
    return f"needs the extra `{extra}`: just setup {extra}"


def need_extra(extra: str, config: pytest.Config) -> None:
    if missing(extra):
        (pytest.fail if config.getoption("--all-extras") else pytest.skip)(skip_reason(extra))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for extra in marker.args:
            need_extra(extra, item.config)


@pytest.fixture(scope="session")
def need(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """What the marker does, for a fixture."""
    return partial(need_extra, config=pytestconfig)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that can't be imported because an extra is not there, and say which."""
    report = yield
    error = call.excinfo.value if (call := getattr(report, "call", None)) and call.excinfo else None
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__
    module = (error.name or "").partition(".")[0] if error else ""
    extra = next((extra for extra, (_, modules) in EXTRAS.items() if module in modules), "")
    if report.failed and extra and missing(extra) and not collector.config.getoption("--all-extras"):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {skip_reason(extra)}")
    return report
