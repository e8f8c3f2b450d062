"""What a run looks like in a real MLflow store, and that it is there once, whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from peak_trade.tracking.content import run_content
from peak_trade.tracking.store import Store


@pytest.fixture(scope="module")
def shown(made_once: Any, forge: Any, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What MLflow answers about one run of each kind, by name; their content under `content`, the store's files."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copy(empty_store, folder)
    runs = made_once.copy(folder / "repository")
    page = runs["plain"] / "report" / "figures" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>a report</p>")
    store = Store.of(folder, {})
    forge.log(store, *(runs[name] for name in runs.names))
    by_id = {run["tags"]["run_id"]: run for run in forge.look(store)}
    found = {name: by_id[run_id] for name, run_id in runs.names.items()}
    return {**found, "runs": runs, "folder": folder}


@pytest.mark.parametrize("name", ["plain", "flat", "secret", "failed"])
def test_mlflow_has_of_a_run_what_its_files_say(name: str, shown: dict[str, Any]) -> None:
    content, found = run_content(shown["runs"][name]), shown[name]
    assert found["params"] == content.params
    assert content.tags.items() <= found["tags"].items()
    assert (found["name"], found["status"]) == (content.name, content.status)
    assert (found["started"], found["finished"]) == (content.started, content.finished)
    for curve in ("equity", "drawdown"):
        points = [metric[1:] for metric in content.metrics if metric[0] == curve]
        assert [tuple(point) for point in found["history"].get(curve, [])] == points
    assert found["metrics"] == {key: value for key, value, _, _ in content.metrics}  # of a curve, the last point


def test_the_artifacts_are_the_files_of_the_run_byte_for_byte(shown: dict[str, Any]) -> None:
    run_dir, found = shown["runs"]["plain"], shown["plain"]
    expected = {*run_content(run_dir).artifacts, "report/figures/index.html"}
    assert set(found["artifacts"]) == expected
    for name in expected:
        assert (Path(urlsplit(found["artifact_uri"]).path) / name).read_bytes() == (run_dir / name).read_bytes()


def test_artifacts_lie_beside_the_database(shown: dict[str, Any]) -> None:
    path = Path(urlsplit(shown["plain"]["artifact_uri"]).path)
    assert path.is_relative_to(shown["folder"] / "mlruns")


@pytest.mark.parametrize("name", ["a 100%25 b", "100%", "#1 ü", "q?x=1", "plain"])
def test_a_store_in_a_folder_of_any_name_is_there_with_its_artifacts_and_nowhere_else(
    name: str, runs: Any, forge: Any, empty_store: Path, tools: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "outer" / name
    folder.mkdir(parents=True)
    shutil.copy(empty_store, folder)
    store = tools.store_at(folder)
    (answer,) = forge.log(store, runs["plain"])
    assert {"stats.json", "manifest.json"} < set(forge.look(store)[0]["artifacts"])
    assert forge.read(store, answer["mlflow_run_id"], "stats.json") == (runs["plain"] / "stats.json").read_text()
    assert [path.name for path in (tmp_path / "outer").iterdir()] == [name]
    assert len(list(folder.glob("mlruns/*/*/artifacts/stats.json"))) == 1


def test_the_dataset_is_an_input_of_the_run(shown: dict[str, Any]) -> None:
    (dataset,) = shown["plain"]["datasets"]
    expected = run_content(shown["runs"]["plain"]).dataset
    assert expected
    assert expected.items() <= dataset.items()
    assert dataset["tags"] == {"mlflow.data.context": "backtest"}


def test_a_failed_run_is_shown_as_failed(shown: dict[str, Any]) -> None:
    assert shown["failed"]["status"] == "FAILED"
    assert shown["failed"]["metrics"] == {}


def test_no_secret_reaches_the_store(shown: dict[str, Any], tools: Any) -> None:
    kept = [path for place in ("mlflow.db", "mlruns") for path in files_of(shown["folder"] / place)]
    assert len(kept) > 20
    assert [path for path in kept if tools.secret.encode() in path.read_bytes()] == []
    assert any(b"[redacted]" in path.read_bytes() for path in kept)


def files_of(place: Path) -> Iterator[Path]:
    yield from [place] if place.is_file() else (path for path in place.rglob("*") if path.is_file())


def test_a_run_is_logged_once_however_often_it_is_asked_for(runs: Any, store: Store, forge: Any) -> None:
    first, second = forge.log(store, runs["plain"], runs["plain"])
    (third,) = forge.log(store, runs["plain"], receipt={"experiment": "another"})
    (only,) = forge.look(store, deleted=True)
    assert {answer["mlflow_run_id"] for answer in (first, second, third)} == {only["id"]}


def test_two_at_once_log_a_run_once_in_a_store_that_they_have_to_make(
    runs: Any, forge: Any, tools: Any, tmp_path: Path
) -> None:
    store = tools.store_at(tmp_path / "new")
    answers = forge.ask(*(forge.logging(store, runs["plain"], runs["flat"]) for _ in range(2)))
    assert [answer["code"] for answer in answers] == [0, 0]
    assert len(forge.look(store, deleted=True)) == 2


def test_a_run_that_was_left_half_way_is_replaced(runs: Any, store: Store, forge: Any, tmp_path: Path) -> None:
    """Kill the process right after a call of its own; then log again."""
    expected = run_content(runs["plain"])
    last = 5 + len(expected.artifacts)  # experiment, run, batch, input, artifacts, end
    calls = (1, 2, 3, 4, 5, last - 1, last, last + 1)
    stores = [copied(store, tmp_path / str(call)) for call in calls]
    kills = forge.ask(
        *(forge.logging(one, runs["plain"], die_after=call) for one, call in zip(stores, calls, strict=True))
    )
    assert [kill["code"] for kill in kills] == [-9] * 7 + [0]  # there is no other call, after which it could have died
    left_behind = [[run["status"] for run in found] for found in forge.look_at(stores)]
    assert left_behind == [[], *[["RUNNING"]] * 5, ["FINISHED"], ["FINISHED"]]
    forge.ask(*(forge.logging(one, runs["plain"]) for one in stores))
    for (found,) in forge.look_at(stores):
        assert (found["status"], found["params"]) == ("FINISHED", expected.params)
        assert found["metrics"] == {key: value for key, value, _, _ in expected.metrics}
        assert set(found["artifacts"]) == set(expected.artifacts)
        assert len(found["datasets"]) == 1


def copied(store: Store, folder: Path) -> Store:
    assert store.database
    folder.mkdir()
    shutil.copy(store.database, folder)
    return Store.of(folder, {})


def test_what_others_keep_in_the_store_is_left_alone(runs: Any, store: Store, forge: Any) -> None:
    foreign = forge.act(store, "create_run", "0", tags={"run_id": runs["plain"].name})
    forge.log(store, runs["plain"])
    assert {run["id"] for run in forge.look(store)} > {foreign}


def test_duplicates_that_two_machines_have_made_are_reduced_to_the_oldest(runs: Any, store: Store, forge: Any) -> None:
    ((first,), (second,)) = (forge.log(store, runs["plain"]) for _ in range(2))
    assert first["mlflow_run_id"] == second["mlflow_run_id"]
    tags = {"run_id": runs["plain"].name, "mlflow.source.name": "peak_trade"}
    later = forge.act(store, "create_run", "0", tags=tags, start_time=4_000_000_000_000)
    forge.act(store, "set_terminated", later, "FINISHED")
    (answer,) = forge.log(store, runs["plain"])
    assert [run["id"] for run in forge.look(store)] == [first["mlflow_run_id"]] == [answer["mlflow_run_id"]]


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_run_is_nested_under_its_parent_whichever_is_logged_first(
    first: str, runs: Any, store: Store, forge: Any
) -> None:
    tags = f'[run]\ntags = {{ parent_run_id = "{runs["plain"].name}" }}\n'
    child = runs.make("child", tags + '[strategy]\nname = "buy_and_hold"\n')
    forge.log(store, *([runs["plain"], child] if first == "parent" else [child, runs["plain"]]))
    found = {run["tags"]["run_id"]: run for run in forge.look(store)}
    assert found[child.name]["tags"]["mlflow.parentRunId"] == found[runs["plain"].name]["id"]
    assert "mlflow.parentRunId" not in found[runs["plain"].name]["tags"]


def test_a_parent_that_nobody_knows_is_a_tag_and_nothing_more(runs: Any, store: Store, forge: Any) -> None:
    (answer,) = forge.log(store, runs["plain"], receipt={"parent": "it's none"})
    (found,) = forge.look(store)
    assert answer["mlflow_run_id"] == found["id"]
    assert found["tags"]["parent_run_id"] == "it's none"
    assert "mlflow.parentRunId" not in found["tags"]


def test_a_report_that_was_rendered_later_is_added(runs: Any, store: Store, forge: Any) -> None:
    (before,) = forge.log(store, runs["plain"])
    page = runs["plain"] / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("<p>a report</p>")
    (after,) = forge.log(store, runs["plain"], job={"report": before.get("report")})
    (found,) = forge.look(store)
    assert "report/index.html" in found["artifacts"]
    assert after["report"] != before.get("report")


def test_more_params_and_tags_than_one_call_takes_are_all_logged(runs: Any, store: Store, forge: Any) -> None:
    many = ", ".join(f"p{number} = {number}" for number in range(250))
    tags = ", ".join(f't{number} = ""' for number in range(150))
    (runs.folder / "own.py").write_text("def free(bars, **params):\n    return [0.0] * len(bars)\n")
    text = f'[run]\ntags = {{ {tags} }}\n[strategy]\nentrypoint = "own.py:free"\nparams = {{ {many} }}\n'
    run_dir = runs.make("many", text)
    (answer,) = forge.log(store, run_dir)
    assert answer["status"] == "logged"
    (found,) = forge.look(store)
    assert found["params"] == run_content(run_dir).params
    assert len(found["params"]) > 250
    assert sum(key.startswith("t") and text == "" for key, text in found["tags"].items()) == 150


def test_an_experiment_that_was_deleted_in_mlflow_is_a_reason_in_words(runs: Any, store: Store, forge: Any) -> None:
    forge.log(store, runs["plain"])
    (found,) = forge.look(store)
    experiment = Path(urlsplit(found["artifact_uri"]).path).parents[1].name
    forge.act(store, "delete_experiment", experiment)
    (answer,) = forge.log(store, runs["flat"])
    assert answer["reason"].startswith("the experiment 'peak_trade' was deleted there")


def test_what_is_pending_is_known_by_its_receipt_while_the_store_is_the_same_one(
    runs: Any, store: Store, forge: Any, empty_store: Path
) -> None:
    (first,) = forge.log(store, runs["plain"])
    job = {"pending": True, "known": first["mlflow_run_id"]}
    assert forge.log(store, runs["plain"], job=job)[0]["known"]
    assert store.database
    store.database.with_name("mlflow.db-wal").unlink(missing_ok=True)
    shutil.copy(empty_store, store.database)  # deleted, and made anew
    (second,) = forge.log(store, runs["plain"], job=job)
    assert second["status"] == "logged"
    assert [run["id"] for run in forge.look(store)] == [second["mlflow_run_id"]]


def test_a_run_that_was_deleted_there_is_left_be_while_nobody_names_it(runs: Any, store: Store, forge: Any) -> None:
    (first,) = forge.log(store, runs["plain"])
    forge.act(store, "delete_run", first["mlflow_run_id"])
    job = {"pending": True, "known": first["mlflow_run_id"]}
    (pending,) = forge.log(store, runs["plain"], job=job)
    assert (pending["status"], pending["reason"]) == ("skipped", "it was deleted in mlflow")
    assert pending["hint"] == f"just track {runs['plain'].name[:8]} logs it again"
    assert forge.look(store) == []
    (named,) = forge.log(store, runs["plain"], job=job | {"pending": False})
    assert [run["id"] for run in forge.look(store)] == [named["mlflow_run_id"]] != [first["mlflow_run_id"]]


def test_a_run_that_was_restored_there_is_known_again(runs: Any, store: Store, forge: Any) -> None:
    (first,) = forge.log(store, runs["plain"])
    job = {"pending": True, "known": first["mlflow_run_id"]}
    forge.act(store, "delete_run", first["mlflow_run_id"])
    assert forge.log(store, runs["plain"], job=job)[0]["status"] == "skipped"
    forge.act(store, "restore_run", first["mlflow_run_id"])
    assert forge.log(store, runs["plain"], job=job)[0]["known"]


def test_the_id_of_somebody_elses_run_in_a_receipt_is_no_proof(runs: Any, store: Store, forge: Any) -> None:
    foreign = forge.act(store, "create_run", "0")
    forge.act(store, "set_terminated", foreign, "FINISHED")
    (answer,) = forge.log(store, runs["plain"], job={"pending": True, "known": foreign})
    assert answer["status"] == "logged"
    assert answer["mlflow_run_id"] != foreign


def test_a_run_more_costs_little(runs: Any, store: Store, forge: Any) -> None:
    answers = forge.log(
        store, *[runs["plain"]] + [runs.make(f"n{n}", '[strategy]\nname = "macd"\n') for n in range(12)]
    )
    seconds = sorted(answer["seconds"] for answer in answers[1:])
    assert seconds[len(seconds) // 2] < 1.5  # 0.1 on a machine that does nothing else; see docs/dev/benchmarks.md
    assert len(forge.look(store)) == 13
