"""What is wrong with a database is told before MLflow is imported, within a second, and nothing of it is changed."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from peak_trade.tracking import condition
from peak_trade.tracking.condition import StoreError
from peak_trade.tracking.receipt import Receipt
from peak_trade.tracking.store import Store

ALONE = """
import sys
import tempfile
from pathlib import Path
from peak_trade.tracking import condition
from peak_trade.tracking.store import Store
try:
    condition.check(Store.of(Path(sys.argv[1]), {}))
except condition.StoreError as error:
    print(error.message)
print(*(name for name in sys.modules if name.partition(".")[0] in ("mlflow", "sqlalchemy")))
"""


def at(path: Path) -> Store:
    return Store.of(path.parent, {"MLFLOW_TRACKING_URI": f"sqlite:///{path}"})


def said_of(path: Path, patience_s: float = 5.0) -> StoreError:
    with pytest.raises(StoreError) as raised:
        condition.check(at(path), patience_s)
    return raised.value


def somebody_elses(path: Path, *, log: bool = False) -> Path:
    with closing(sqlite3.connect(path)) as database:
        if log:
            database.execute("PRAGMA journal_mode = WAL")
        for name in ("places", "bookmarks", "history", "icons"):
            database.execute(f"CREATE TABLE {name} (url)")
        database.commit()
    return path


def left_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("log", [False, True])
def test_somebody_elses_database_is_named_by_its_tables_and_stays_as_it_is(log: bool, tmp_path: Path) -> None:
    path = somebody_elses(tmp_path / "firefox.db", log=log)
    before = left_in(tmp_path)
    error = said_of(path)
    assert (
        error.message
        == f"{path} is a database of something else than mlflow, with the tables bookmarks, history, icons, …"
    )
    assert error.hint.startswith(f"`MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/firefox.2.db just track --pending`")
    assert left_in(tmp_path) == before


def test_a_table_called_experiments_makes_no_database_of_mlflow(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lab.db")) as database:
        database.execute("CREATE TABLE experiments (id, mice)")
    assert "is a database of something else than mlflow" in said_of(tmp_path / "lab.db").message


def test_a_folder_in_the_files_place_is_named_and_its_hint_names_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    error = said_of(tmp_path / "mlflow.db")
    assert error.message == f"{tmp_path}/mlflow.db is a folder, not a database"
    assert error.hint == f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/mlflow.db/mlflow.db"


def test_a_pipe_in_the_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mlflow.db")
    assert said_of(tmp_path / "mlflow.db").message == f"{tmp_path}/mlflow.db is no file"


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("a file")
    error = said_of(tmp_path / "place" / "mlflow.db")
    assert error.message == f"the folder {tmp_path}/place cannot be made: File exists"


@contextmanager
def nobody() -> Iterator[None]:
    """Be nobody in particular: root may write anywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def seen() -> Iterator[Path]:
    """A folder that everybody may look into, as those of the tests are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_cannot_be_written_to_is_named(seen: Path) -> None:
    (seen / "shut").mkdir(mode=0o555)
    condition.check(at(seen / "shut" / "mlflow.db")) if not os.geteuid() else None  # root may
    with nobody():
        error = said_of(seen / "shut" / "mlflow.db")
    assert error.message == f"the folder {seen}/shut cannot be written to"


def test_a_folder_that_cannot_be_looked_into_is_named(seen: Path) -> None:
    (seen / "closed" / "place").mkdir(parents=True)
    (seen / "closed").chmod(0o000)
    with nobody():
        error = said_of(seen / "closed" / "place" / "mlflow.db")
    (seen / "closed").chmod(0o755)
    assert error.message == f"the folder {seen}/closed/place cannot be made: Permission denied"


@pytest.mark.parametrize("content", [b"", None])
def test_an_empty_file_and_none_are_fit_to_become_a_store(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "mlflow.db").write_bytes(content)
    condition.check(at(tmp_path / "mlflow.db"))
    assert [path.name for path in tmp_path.iterdir()] == ([] if content is None else ["mlflow.db"])


@pytest.mark.parametrize("length", [50, 1_000])
def test_a_text_is_no_database_however_long_it_is(length: int, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("x" * length)
    assert said_of(tmp_path / "mlflow.db").message == f"{tmp_path}/mlflow.db is no SQLite database"


def test_a_database_that_mlflow_has_just_made_is_fit_and_stays_as_it_is(store: Store, forge: Any) -> None:
    assert store.database
    before = left_in(store.folder)
    condition.check(store)
    assert left_in(store.folder) == before


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_database_that_is_locked_is_waited_for_and_named(journal: str, store: Store, forge: Any) -> None:
    assert store.database
    with closing(sqlite3.connect(store.database)) as holder:
        holder.execute(f"PRAGMA journal_mode = {journal}")
        holder.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        error = said_of(store.database, 0.3)
        assert time.monotonic() - start >= 0.3
        assert error.message == f"{store.database} is locked by another program"
        holder.rollback()
    condition.check(store)


def test_the_look_imports_neither_mlflow_nor_what_it_brings(store: Store, forge: Any, tools: Any) -> None:
    def look() -> list[str]:
        done = subprocess.run([sys.executable, "-c", ALONE, store.folder], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert look() == [""]
    assert store.database
    with closing(sqlite3.connect(store.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.commit()
    said, imported = look()
    assert re.match(r".* was made by a newer mlflow than 3", said)
    assert imported == ""


def test_track_names_a_store_that_is_none_within_a_second(runs: Any, cli: Callable[..., Any], forge: Any) -> None:
    """By the processor's time: MLflow's import alone takes two seconds of it, its ten attempts ninety by the clock."""
    path = somebody_elses(runs.folder / "firefox.db")
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = cli("track_runs.py", "--results-dir", runs.results, MLFLOW_TRACKING_URI=f"sqlite:///{path}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 1
    assert "is a database of something else than mlflow" in done.stderr
    assert spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime < 1.5
    assert time.monotonic() - start < 10  # 0.4 where nothing else runs


def test_a_page_over_somebody_elses_database_is_refused(cli: Callable[..., Any], forge: Any, tmp_path: Path) -> None:
    path = somebody_elses(tmp_path / "firefox.db")
    before = left_in(tmp_path)
    done = cli("mlflow_ui.py", MLFLOW_TRACKING_URI=f"sqlite:///{path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a database of something else than mlflow" in done.stderr
    assert left_in(tmp_path) == before


def test_a_run_that_was_logged_and_deleted_or_lost_since_is_not_told_as_present(
    runs: Any, store: Store, forge: Any, empty_store: Path
) -> None:
    (answer,) = forge.log(store, runs["plain"])
    receipt = Receipt(
        run_id="r", status="logged", store=store.shown, experiment="e", mlflow_run_id=answer["mlflow_run_id"]
    )
    assert condition.since(receipt, store) == ""
    forge.act(store, "delete_run", answer["mlflow_run_id"])
    assert condition.since(receipt, store) == "deleted there since"
    assert condition.since(receipt, at(store.folder / "other.db")) == ""
    assert store.database
    for name in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm"):
        (store.folder / name).unlink(missing_ok=True)
    assert condition.since(receipt, store) == "no longer there"
    shutil.copy(empty_store, store.database)
    assert condition.since(receipt, store) == "no longer there"


def test_show_and_track_tell_of_a_run_that_was_deleted_in_mlflow(
    runs: Any, store: Store, forge: Any, cli: Callable[..., Any]
) -> None:
    run_id, settings = runs["plain"].name, {"MLFLOW_TRACKING_URI": store.uri}
    words = ("--results-dir", str(runs.results), "--timeout", "60")
    assert cli("track_runs.py", "--pending", *words, **settings).returncode == 0
    (there,) = [run["id"] for run in forge.look(store) if run["tags"]["run_id"] == run_id]
    forge.act(store, "delete_run", there)
    shown = cli("show_run.py", run_id, *words[:2], **settings).stdout.splitlines()[-1]
    assert re.fullmatch(rf"tracking  logged to \S+ as {there} in [\d,]+ ms; deleted there since", shown)
    pending = cli("track_runs.py", "--pending", *words, **settings)
    assert (pending.returncode, pending.stdout) == (0, f"skipped {run_id}  it was deleted in mlflow\n")
    assert pending.stderr == f"1 run deleted in mlflow: just track {run_id[:8]} logs it again\n"
    named = cli("track_runs.py", run_id[:8], *words, **settings)
    assert re.fullmatch(rf"logged  {run_id}  \w+\n", named.stdout)
    assert cli("track_runs.py", "--pending", *words, **settings).stdout == ""
