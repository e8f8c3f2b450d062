"""A database is made whole or not at all; and of one that MLflow cannot open, what it is and what mends it is said."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from peak_trade.tracking.store import Store

pytestmark = pytest.mark.slow
HALF_WAY = "CREATE TABLE webhooks"
A_RUN = "INSERT INTO runs (run_uuid, experiment_id, name, lifecycle_stage) VALUES ('r', 0, 'old', 'active')"


def ask(path: Path | None, question: str) -> list[Any]:
    assert path
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(question).fetchall()
        database.commit()
    return rows


def tables(path: Path | None) -> set[str]:
    return {name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture(scope="session")
def half_made(forge: Any, tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow leaves it that is killed in its first start."""
    store = tools.store_at(tmp_path_factory.mktemp("half"))
    assert forge.make(store, statement=HALF_WAY) == -9
    assert {"runs", "webhooks"} < tables(store.database)
    assert isinstance(store.database, Path)
    return store.database


@pytest.fixture
def place(tools: Any, tmp_path: Path) -> Store:
    """A store in a folder in which nothing is yet."""
    (tmp_path / "a place").mkdir()
    store: Store = tools.store_at(tmp_path / "a place")
    return store


def command(hint: str) -> str:
    """Return what a hint says to do first: a command, or settings before one."""
    found = re.search("`(.+?)`", hint)
    assert found, hint
    return found[1]


def follow(hint: str) -> None:
    subprocess.run(["sh", "-c", command(hint)], check=True)


def test_mlflow_alone_never_gets_past_a_first_start_that_was_killed(forge: Any, half_made: Path, place: Store) -> None:
    shutil.copy(half_made, place.folder)
    assert forge.make(place) == 1


def test_a_half_made_database_without_runs_is_moved_aside_by_its_hint(
    runs: Any, forge: Any, half_made: Path, place: Store, cli: Callable[..., Any]
) -> None:
    shutil.copy(half_made, place.folder)
    before = half_made.read_bytes()
    done = cli("track_runs.py", "--results-dir", runs.results, "--timeout", "60", MLFLOW_TRACKING_URI=place.uri)
    assert done.returncode == 1
    said, hint = done.stderr.splitlines()[-2:]
    half = f"{place.database} is half made: mlflow was ended while it made the tables, or is still at it"
    assert said == f"warn: not logged: {half}; it holds no runs"
    assert hint.endswith("`, then `just track --pending`")
    follow(hint)
    (answer,) = forge.log(place, runs["plain"])
    assert answer["status"] == "logged"
    assert (place.folder / "mlflow.db.2").read_bytes() == before


def test_a_half_made_database_with_runs_stays_and_its_hint_names_another_store(
    runs: Any, forge: Any, half_made: Path, place: Store, cli: Callable[..., Any]
) -> None:
    assert place.database
    shutil.copy(half_made, place.folder)
    ask(place.database, A_RUN)
    before = place.database.read_bytes()
    (answer,) = forge.log(place, runs["plain"])
    assert answer["reason"].endswith("; it holds 1 runs")
    found = re.search("`(MLFLOW_TRACKING_URI.+?) just track (.+?)`", answer["hint"])
    assert found
    settings, words = found.groups()
    uri = subprocess.run(["sh", "-c", f'{settings}; printf %s "$MLFLOW_TRACKING_URI"'], capture_output=True, text=True)
    done = cli("track_runs.py", words, "--results-dir", runs.results, "--timeout", "60", MLFLOW_TRACKING_URI=uri.stdout)
    assert (done.returncode, done.stdout.count("logged")) == (0, 4), done.stderr
    assert place.database.read_bytes() == before


@pytest.mark.parametrize("statement", ["CREATE TABLE experiments", HALF_WAY, "INSERT INTO experiments"])
def test_a_process_that_is_killed_while_it_makes_a_store_leaves_none_or_a_whole_one(
    statement: str, runs: Any, forge: Any, place: Store
) -> None:
    (died,) = forge.ask(forge.logging(place, runs["plain"], statement=statement))
    assert died["code"] == -9
    assert tables(place.database) == set()
    (answer,) = forge.log(place, runs["plain"])
    assert answer["status"] == "logged"
    assert ask(place.database, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("start", ["nothing", "a version that is not there yet"])
def test_a_file_without_tables_becomes_a_store(start: str, runs: Any, forge: Any, place: Store) -> None:
    assert place.database
    place.database.touch()
    if start != "nothing":
        ask(place.database, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    (answer,) = forge.log(place, runs["plain"])
    assert answer["status"] == "logged"


def spoil(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("no database, only text that is long enough to be looked at as one " * 9)
    elif how == "cut off":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3])
    elif how == "somebody else's":
        path.unlink()
        ask(path, "CREATE TABLE places (url)")
        ask(path, "CREATE TABLE bookmarks (url)")
    elif how == "newer":
        ask(path, "UPDATE alembic_version SET version_num = '4465047574b1x'")
    elif how == "no version":
        ask(path, "DELETE FROM alembic_version")
    elif how == "behind":
        ask(path, "UPDATE alembic_version SET version_num = '75868b020152'")


@pytest.mark.parametrize(
    ("how", "with_run", "said", "hint"),
    [
        (
            "somebody else's",
            False,
            "is a database of something else than mlflow, with the tables bookmarks, p",
            "another",
        ),
        ("text", False, "is no SQLite database", "mv"),
        ("cut off", True, "is damaged", "another"),
        ("newer", True, "was made by a newer mlflow than 3", "another"),
        ("newer", False, "was made by a newer mlflow than 3", "another"),
        ("no version", False, "is half made.*holds no runs", "mv"),
        ("no version", True, "is half made.*holds 1 runs", "another"),
        ("behind", False, "is half made.*holds no runs", "mv"),
        ("behind", True, "has the tables of an older mlflow than 3", "upgrade"),
    ],
)
def test_what_is_wrong_with_a_database_is_one_sentence_and_its_hint_works(
    how: str, with_run: bool, said: str, hint: str, runs: Any, forge: Any, store: Store
) -> None:
    assert store.database
    if with_run:
        ask(store.database, A_RUN)
    spoil(store.database, how)
    before = store.database.read_bytes()
    (answer,) = forge.log(store, runs["plain"])
    assert re.match(f"{re.escape(str(store.database))} {said}", answer["reason"])
    assert "\n" not in answer["reason"]
    if hint == "mv":
        follow(answer["hint"])
        kept = store.database.with_name("mlflow.db.2")
    else:
        other = re.search(r"MLFLOW_TRACKING_URI=(\S+) just track --pending", answer["hint"])
        assert other
        assert hint != "upgrade" or command(answer["hint"]).startswith(f"cp {store.database} {store.database}.2 && ")
        kept, store = store.database, Store.of(store.folder, {"MLFLOW_TRACKING_URI": other[1]})
    (again,) = forge.log(store, runs["plain"])
    assert again["status"] == "logged"
    assert kept.read_bytes() == before
