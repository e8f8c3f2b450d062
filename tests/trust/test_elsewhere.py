"""Trials that other programs made count in N: once each, as what they are, and whatever their store holds besides."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import uuid
import warnings
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.trust.luck import stores
from peak_trade.trust.luck.elsewhere import bring_in
from peak_trade.trust.luck.family import family_of, series_of

STORES = Path(__file__).with_name("stores")
RATIOS = [1.0, 1.4, 1.0, 0.6, 1.15, 0.75, 0.95, 1.25, 1.35, 1.35, 1.4]  # as Optuna printed them; one failed, one waits


def epochs(path: Path, *ratios: Any, **more: Any) -> Path:
    """A .fthypt as freqtrade writes it: an epoch a line, NaN as it is."""
    lines = []
    for number, ratio in enumerate(ratios, 1):
        metrics = {"total_trades": 5, "sharpe": ratio, "profit_total": 0.1, "calmar": float("nan")} | more
        epoch = {"loss": -1.0, "params_dict": {"buy_rsi": number}, "params_details": {}, "results_metrics": metrics}
        lines.append(json.dumps(epoch | {"current_epoch": number, "is_best": False}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def optuna(tmp_path: Path) -> Path:
    database = tmp_path / "optuna.db"
    with sqlite3.connect(database) as connection:
        connection.executescript((STORES / "optuna.sql").read_text())
    connection.close()
    return database


# --- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["sharpe", "value"])
@pytest.mark.parametrize("kind", ["journal", "database"])
def test_optunas_trials_are_read_as_optuna_has_them(kind: str, metric: str, optuna: Path) -> None:
    path = optuna if kind == "database" else STORES / "optuna_journal.log"
    batch = stores.read(path, name="moving averages", metric=metric)
    assert (batch.kind, batch.origin, len(batch.trials)) == ("optuna", "moving averages", 12)
    assert [trial.ratio for trial in batch.trials if trial.ratio is not None] == RATIOS
    assert [number for number, trial in enumerate(batch.trials) if trial.failed] == [5]


def test_of_several_studies_one_must_be_named(optuna: Path) -> None:
    with pytest.raises(InputError, match="has more than one study: another, moving averages"):
        stores.read(optuna)
    with pytest.raises(InputError) as caught:
        stores.read(optuna, name="moving average")
    assert caught.value.hint == "did you mean `moving averages`?"


def test_freqtrades_epochs_are_trials_and_its_word_for_no_ratio_is_none(tmp_path: Path) -> None:
    path = epochs(tmp_path / "strategy.fthypt", 1.5, -100.0, float("nan"), None, 2.5, "much", 1e300)
    with path.open("a") as stream:
        stream.write('{"loss": 1, "params_dict": {"buy')  # it is being written
    batch = stores.read(path)
    assert (batch.kind, batch.origin) == ("freqtrade", "strategy.fthypt")
    assert [trial.ratio for trial in batch.trials] == [1.5, None, None, None, 2.5, None, None]


@pytest.mark.needs("experiments")
def test_mlflows_runs_are_trials_and_ours_among_them_are_told_apart(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
        experiment = client.create_experiment("theirs", artifact_location=str(tmp_path / "files"))
        made = []
        for ratio in (0.5, 1.5, None):
            run = client.create_run(experiment).info.run_id
            if ratio is not None:
                client.log_metric(run, "sharpe", ratio)
            client.set_terminated(run, "FAILED" if ratio is None else "FINISHED")
            made.append(run)
        client.delete_run(made[0])  # it was made all the same
        parent = client.create_run(experiment).info.run_id
        child = client.create_run(experiment, tags={"mlflow.parentRunId": parent, "run_id": "ours"}).info.run_id
        client._tracking_client.store.engine.dispose()
    batch = stores.read(tmp_path / "mlflow.db", name="theirs")
    assert [(trial.key, trial.failed, trial.ratio) for trial in batch.trials[:3]] == [
        (made[0], False, 0.5), (made[1], False, 1.5), (made[2], True, None),
    ]  # fmt: skip
    assert [(trial.key, trial.run_id) for trial in batch.trials[3:]] == [(child, "ours")]


def logged(experiment: Path, run: str, began: int, status: int = 3, **files: str) -> None:
    """A run in MLflow's file store; of `files`, `metrics__sharpe` is metrics/sharpe."""
    (experiment / run).mkdir(parents=True)
    (experiment / run / "meta.yaml").write_text(f"run_id: {run}\nstart_time: {began}\nstatus: {status}\n")
    for name, content in files.items():
        path = (experiment / run).joinpath(*name.split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    """As MLflow 3.17 writes it: a metric's file has a line `time value step` for each time that it was logged."""
    theirs, gone = tmp_path / "mlruns" / "77", tmp_path / "mlruns" / ".trash" / "78"
    logged(theirs, "c" * 32, 30, metrics__sharpe="31 9.0 5\n32 0.25 6\n33 8.0 1\n", metrics__a__b="1 7.0 0\n")
    logged(theirs, "b" * 32, 20, status=4)
    logged(theirs, "a" * 32, 40, **{"tags__run_id": "ours", "tags__mlflow.parentRunId": "d" * 32})
    logged(theirs, "d" * 32, 10, metrics__sharpe="1 99 0\n")  # the parent of `a`
    logged(gone, "e" * 32, 1, metrics__sharpe="1 nan 0\n")
    (theirs / "meta.yaml").write_text("experiment_id: '77'\nname: 'it''s: theirs'\n")
    (gone / "meta.yaml").write_text('experiment_id: "78"\nname: "g\\u00f6ne"\n')
    return tmp_path / "mlruns"


def test_mlflows_folder_is_read_as_its_database_is(mlruns: Path) -> None:
    batch = stores.read(mlruns, name="it's: theirs")
    assert (batch.kind, batch.origin) == ("mlflow", "it's: theirs")
    assert [(trial.key[0], trial.failed, trial.ratio, trial.run_id) for trial in batch.trials] == [
        ("b", True, None, ""), ("c", False, 0.25, ""), ("a", False, None, "ours"),
    ]  # fmt: skip
    assert stores.read(mlruns, name="it's: theirs", metric="a/b").trials[1].ratio == 7.0
    assert [trial.ratio for trial in stores.read(mlruns, name="göne").trials] == [None]  # deleted: made all the same


def test_mlflows_folder_is_left_by_no_link_and_no_name_of_a_metric(mlruns: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("1 3.5 0\n")
    run = mlruns / "77" / ("c" * 32)
    (run / "metrics" / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(run / "metrics" / "pipe")
    (mlruns / "79").symlink_to(mlruns / "77")
    (run / "metrics" / "inside").write_text("1 3.5 0\n")  # a control
    for metric, ratio in (("inside", 3.5), ("linked", None), ("pipe", None), ("../../../../outside", None), ("", None)):
        batch = stores.read(mlruns, name="it's: theirs", metric=metric)
        assert (len(batch.trials), batch.trials[1].ratio) == (3, ratio)


@pytest.mark.parametrize(
    "content", ["", "\0" * 99, "1", "a b c\n", "1 2.5 0 9\n1", "9" * 5000, "start_time: " + "9" * 5000]
)
def test_mlflows_folder_of_odd_files_is_read_as_far_as_it_goes(content: str, mlruns: Path) -> None:
    run = mlruns / "77" / ("c" * 32)
    (run / "metrics" / "sharpe").write_text(content)
    assert stores.read(mlruns, name="it's: theirs").trials[1].ratio in (None, 2.5)
    (run / "meta.yaml").write_text(f"run_id: {'c' * 32}\n{content}")
    assert len(stores.read(mlruns, name="it's: theirs").trials) == 3


@pytest.mark.needs("experiments")
def test_mlflow_itself_writes_such_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"file://{tmp_path}/mlruns")
        experiment = client.create_experiment("theirs: #1")
        runs = [client.create_run(experiment, start_time=at).info.run_id for at in (1, 2, 3)]
        for step, ratio in enumerate((9.0, 0.5)):
            client.log_metric(runs[1], "sharpe", ratio, step=step)
        client.set_terminated(runs[2], "KILLED")
        client.delete_run(runs[0])
    found = [(trial.key, trial.failed, trial.ratio) for trial in stores.read(tmp_path / "mlruns").trials]
    assert found == [(runs[0], False, None), (runs[1], False, 0.5), (runs[2], True, None)]


# --- what is no store, or a stranger's ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}", b"[1]", b"a,b\n1,2\n", b"\x80\x04pickled", b"SQLite format 3\0 and no more", b"[" * 100_000,
     b'{"op_code": 0}', b'{"params_dict"', b"\0" * 4096],
)  # fmt: skip
def test_what_is_no_store_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError):
        stores.read(tmp_path / "file")


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            stores.read(path)


@pytest.mark.parametrize("state", [None, "1", 7, -1, True, [1], {"a": 1}, 10**400])
def test_a_journal_of_odd_values_is_read_as_far_as_it_goes(state: Any, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"op_code": 0, "study_name": "s"},
        {"op_code": 4, "study_id": 0, "datetime_start": "t"},
        {"op_code": 6, "trial_id": 0, "state": state, "values": state},
        {"op_code": 8, "trial_id": state, "user_attr": state},
        {"op_code": 8, "trial_id": 0, "user_attr": {"sharpe": state}},
        {"op_code": 4, "study_id": state},
        {"op_code": 4, "study_id": 99},
    ]
    (tmp_path / "j").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (trial,) = stores.read(tmp_path / "j").trials[:1]
    assert trial.ratio in (None, 7.0, -1.0)


def test_a_database_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_STEPS", 50)
    with sqlite3.connect(tmp_path / "db") as connection:
        for table in ("trials", "trial_values", "trial_user_attributes"):
            connection.execute(f"CREATE TABLE {table} (a)")
        connection.execute("CREATE TABLE studies (study_name)")
        connection.executemany("INSERT INTO studies VALUES (?)", [(str(n),) for n in range(200_000)])
    connection.close()
    with pytest.raises(InputError, match="interrupted"):
        stores.read(tmp_path / "db")


# --- in the ledger ------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> Results:
    folder = tmp_path / "results"
    folder.mkdir()
    ledger = Ledger(folder)
    for sharpe in (0.5, 2.0):
        run_id = str(uuid.uuid4())
        called = {"symbol": "SPX", "timeframe": "1d"}
        ledger.append("start", run_id, **called)
        ledger.append("sealed", run_id, manifest="0" * 64, **called, data="d" * 64, sharpe=sharpe)
    return Results(folder)


def run_of(results: Results) -> Path:
    return results.path / next(iter(results.reading().runs))


def family(results: Results) -> Any:
    reading = results.reading()
    return family_of(reading, series_of(reading.of(run_of(results).name)))


def test_trials_of_elsewhere_are_counted_and_their_spread_with_them(results: Results, optuna: Path) -> None:
    done = bring_in(results, run_of(results), optuna, name="moving averages")
    assert (done.new, done.total, done.trials.count, done.trials.failed) == (True, 14, 12, 1)
    assert family(results).trials == 14
    assert family(results).variance == pytest.approx(statistics.variance([0.5, 2.0, *RATIOS]), rel=1e-12)
    lines = len(results.reading().entries)
    again = bring_in(results, run_of(results), optuna, name="moving averages")
    assert (again.new, again.total, len(results.reading().entries)) == (False, 14, lines)


def test_a_store_that_grows_counts_what_is_new_under_whatever_name(results: Results, tmp_path: Path) -> None:
    path = epochs(tmp_path / "a.fthypt", 1.0, 2.0)
    assert bring_in(results, run_of(results), path).total == 4
    renamed = epochs(tmp_path / "b.fthypt", 1.0, 2.0, 3.0)
    assert bring_in(results, run_of(results), renamed).total == 5
    assert bring_in(results, run_of(results), path).new is False  # as it was before
    other = epochs(tmp_path / "c.fthypt", 9.0, 2.0)
    assert bring_in(results, run_of(results), other).total == 7


def test_runs_that_were_logged_from_here_count_once(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = run_of(results).name
    trials = [stores.Trial("1", ratio=1.0), stores.Trial("2", ratio=0.5, run_id=ours)]
    monkeypatch.setattr(stores, "read", lambda *args, **options: stores.Batch("mlflow", "e", "d", trials))
    done = bring_in(results, run_of(results), tmp_path / "any")
    assert (done.total, done.trials.count, done.known) == (3, 1, 1)


def test_nothing_of_a_store_but_figures_and_a_name_gets_into_the_ledger(results: Results, tmp_path: Path) -> None:
    path = epochs(tmp_path / "x\x1b[31m.fthypt", 1.0, secret="hunter2")
    bring_in(results, run_of(results), path)
    line = results.ledger.path.read_bytes().splitlines()[-1]
    assert b"hunter2" not in line and b"\x1b" not in line and b"u001b" not in line
    assert json.loads(line).keys() == {
        *("event", "time", "run_id", "prev", "symbol", "timeframe", "data"),
        *("kind", "origin", "digest", "count", "failed", "ratios"),
    }
