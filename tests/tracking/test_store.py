"""Where runs are kept, how that is shown, and how processes take turns there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade.tracking.store import Store, redactor

HOLD = """
import sys
from pathlib import Path
from peak_trade.tracking.store import Store
with Store.of(Path(sys.argv[1]), {"MLFLOW_TRACKING_URI": sys.argv[3]}).turn(Path(sys.argv[2])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def store(root: Path, uri: str = "") -> Store:
    return Store.of(root, {"MLFLOW_TRACKING_URI": uri})


@pytest.mark.parametrize("uri", ["", "  ", "sqlite:///mlflow.db", "sqlite+pysqlite:///./mlflow.db"])
def test_the_default_is_a_database_in_the_repository(uri: str, tmp_path: Path) -> None:
    found = store(tmp_path, uri)
    assert (found.uri, found.shown) == (f"sqlite:///{tmp_path}/mlflow.db", "sqlite:///mlflow.db")
    assert (found.database, found.folder) == (tmp_path / "mlflow.db", tmp_path)


def test_a_database_elsewhere_keeps_its_place_its_options_and_its_artifacts(tmp_path: Path) -> None:
    found = store(tmp_path / "repository", f"sqlite:///{tmp_path}/else/runs.db?timeout=3")
    assert found.uri == f"sqlite:///{tmp_path}/else/runs.db?timeout=3"
    assert (found.shown, found.folder) == (f"sqlite:///{tmp_path}/else/runs.db", tmp_path / "else")


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host", "databricks", "sqlite:///:memory:", "mlruns"])
def test_any_other_address_is_left_to_mlflow(uri: str, tmp_path: Path) -> None:
    found = store(tmp_path, uri)
    assert (found.uri, found.shown, found.folder, found.database) == (uri, uri, tmp_path, None)
    assert found.is_server == uri.startswith("http")


def test_a_password_is_for_mlflow_alone(tmp_path: Path) -> None:
    found = store(tmp_path, "https://me:pa%24%24word@host/path")
    assert found.uri == "https://me:pa%24%24word@host/path"
    assert found.shown == "https://me:[redacted]@host/path"


def test_the_secrets_of_the_store_are_masked_wherever_they_stand() -> None:
    mask = redactor(
        {"MLFLOW_TRACKING_URI": "https://me:pa%24%24word@host", "MLFLOW_TRACKING_TOKEN": "t0k3n-abc", "HOME": "/here"}
    )
    said = "cannot log in with pa$$word or pa%24%24word or t0k3n-abc from /here"
    assert mask.text(said) == "cannot log in with [redacted] or [redacted] or [redacted] from /here"


@pytest.mark.parametrize(("uri", "waits"), [("", True), ("http://host", False)])
@pytest.mark.parametrize("same_run", [True, False])
def test_a_database_is_written_by_one_process_at_a_time_and_elsewhere_a_run(
    uri: str, waits: bool, same_run: bool, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    def process(run: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path), str(tmp_path / run), uri]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with process("a") as first:
        assert first.stdout
        assert first.stdout.readline() == "mine\n"
        with process("a" if same_run else "b") as second:
            assert second.stdin and second.stdout and first.stdin
            if waits or same_run:
                with pytest.raises(subprocess.TimeoutExpired):
                    second.wait(0.5)
                first.stdin.close()
            assert second.stdout.readline() == "mine\n"
            second.stdin.close()
        if not first.stdin.closed:
            first.stdin.close()
