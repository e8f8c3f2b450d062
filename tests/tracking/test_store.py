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


NAMES = ["100%", "100%25", "a%20b", "#1", "q?x=1", "q?mode=ro&x", "ü w", "a&b;c"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_where_its_store_is(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    root.mkdir()
    found = store(root)
    assert (found.database, found.folder, found.shown) == (root / "mlflow.db", root, "sqlite:///mlflow.db")
    assert store(tmp_path, found.uri) == found._replace(shown=found.uri.replace(f"{tmp_path}/", ""))
    as_it_is = store(tmp_path, f"sqlite:///{root}/new.db")
    assert as_it_is.database == root / "new.db"


@pytest.mark.parametrize(
    ("uri", "there", "file"),
    [
        ("a%20b/m.db", [], "a b/m.db"),
        ("a%20b/m.db", ["a%20b/"], "a%20b/m.db"),
        ("a%20b/m.db", ["a%20b/", "a b/"], "a b/m.db"),
        ("a%20b/m.db", ["a%20b/m.db", "a b/"], "a%20b/m.db"),
        ("a%20b/m.db", ["a%20b/m.db", "a b/m.db"], "a b/m.db"),
        ("a%3Fb%25c/m.db", [], "a?b%c/m.db"),
        ("a?b/m.db", [], "a?b/m.db"),
        ("m%.db", [], "m%.db"),
        ("m.db?timeout=3&mode=rw", [], "m.db"),
    ],
)
def test_an_address_is_read_as_mlflow_does_unless_only_the_letters_are_there(
    uri: str, there: list[str], file: str, tmp_path: Path
) -> None:
    for name in there:
        place = tmp_path / name
        (place if name.endswith("/") else place.parent).mkdir(exist_ok=True)
        if not name.endswith("/"):
            place.touch()
    assert store(tmp_path, f"sqlite:///{uri}").database == tmp_path / file


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
