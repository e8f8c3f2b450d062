"""The process that logs: it alone imports mlflow, and may be killed at any time.

    python -P -m peak_trade.tracking.worker

reads from stdin, in lines of JSON, a store and then runs to log there, and answers each on stdout when it is logged.
It ends, whatever it is doing, when stdin does: that is, with the process that asked.
A run is `RUNNING` in MLflow until all of it is there, so one that a killed process left half-way is told from a whole
one, and is replaced. It is found again by its tag `run_id`.
"""

from __future__ import annotations

import glob
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from peak_trade.errors import PeakError, RunError
from peak_trade.tracking.content import SOURCE, Content, report_files, report_state, run_content
from peak_trade.tracking.store import Store, redactor

__all__ = ["Answer", "Job", "Logger", "main", "make_database", "reason"]

_METRICS, _PAIRS = 1_000, 100  # MLflow's most in one call
_WHOLE = ("FINISHED", "FAILED")
_LONGEST = 300  # characters of a reason
_FAREWELL_S = 2.0  # to close what is open
_T = TypeVar("_T")


class Job(Struct, kw_only=True):
    """One run to log. `epoch` is set where a receipt says that the store has it already, `report` as that receipt."""

    run_dir: str
    experiment: str
    parent: str | None = None
    epoch: str | None = None
    report: str | None = None
    mlflow_run_id: str | None = None


class Answer(Struct, kw_only=True, omit_defaults=True):
    """Where the process has come to (`stage`), or what became of a job: `failed` says why not, else it is logged."""

    stage: str = ""
    failed: str = ""
    unreachable: bool = False  # the store is at fault, not the run
    known: bool = False
    mlflow_run_id: str | None = None
    epoch: str | None = None
    report: str | None = None


def make_database(store: Store) -> None:
    """Make a database that is not there yet: whole, or, where the process dies meanwhile, not at all.

    It keeps SQLite's log of writes, which all who open it then use, instead of the usual journal: a write waits less
    for the disk, and a reader never for a writer.
    """
    if store.database is None or store.database.exists():
        return
    from mlflow import MlflowClient
    from sqlalchemy import Engine, event

    def in_haste(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")  # of some hundred writes only the last has to reach the disk

    new = store.database.with_name(f"{store.database.name}.new")
    for left in new.parent.glob(f"{glob.escape(new.name)}*"):
        left.unlink()
    event.listen(Engine, "connect", in_haste)
    try:
        MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)  # with it, MLflow makes its tables
    finally:
        event.remove(Engine, "connect", in_haste)
    with closing(sqlite3.connect(new)) as made:
        made.execute("PRAGMA journal_mode = WAL")
    with new.open("rb") as whole:
        os.fsync(whole.fileno())
    new.rename(store.database)


def _wait_less(connection: Any, _: object) -> None:
    """Let writes to a log of writes wait for the disk only now and then: a power cut may take the last, no more."""
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")


class Logger:
    """Logs runs to one store; `tell` is called with what it is about to do."""

    def __init__(self, store: Store, tell: Callable[[str], None] = lambda stage: None) -> None:
        self.store, self.tell = store, tell
        self._experiments: dict[str, Any] = {}
        store.folder.mkdir(parents=True, exist_ok=True)
        os.chdir(store.folder)  # MLflow puts the artifacts of a database below the current directory
        tell("importing mlflow")
        from mlflow import MlflowClient, entities

        if store.database:
            from sqlalchemy import Engine, event

            event.listen(Engine, "connect", _wait_less)
        self._client_of, self._entities = MlflowClient, entities
        self._client: Any = None
        self._everywhere: set[str] = set()  # the experiments in which a run may be

    def log(self, job: Job) -> Answer:
        """Log one run, unless the store has all of it; what it has of it otherwise is deleted."""
        run_dir = Path(job.run_dir)
        self.tell("waiting for the store, which another process writes to")
        with self.store.turn(run_dir):
            self.tell("asking the store")
            if self._client is None:
                make_database(self.store)
                self._client = self._client_of(self.store.uri)
            experiment = self._experiment(job.experiment)
            epoch = f"{experiment.experiment_id}@{experiment.creation_time}"
            report = report_state(run_dir)
            if job.epoch == epoch and job.report == report:
                return Answer(known=True, mlflow_run_id=job.mlflow_run_id, epoch=epoch, report=report)
            self.tell("reading the run")
            content = run_content(run_dir, job.parent)
            self.tell("asking the store")
            whole = self._only(content.tags["run_id"])
            if whole is None:
                self.tell("logging the run")
                whole = self._write(experiment.experiment_id, run_dir, content)
            elif job.report != report:
                self._write_report(whole, run_dir)
            return Answer(mlflow_run_id=whole, epoch=epoch, report=report)

    def _experiment(self, name: str) -> Any:
        """Return the experiment of that name, made if it is missing."""
        if name not in self._experiments:
            if not self._everywhere:
                self._everywhere = {e.experiment_id for e in self._client.search_experiments(max_results=1_000)}
            found = self._client.get_experiment_by_name(name)
            if found is None:
                found = self._client.get_experiment(self._client.create_experiment(name))
            elif found.lifecycle_stage != "active":
                raise RunError(f"the experiment {name!r} was deleted there; restore it, or set tracking.experiment")
            self._everywhere.add(found.experiment_id)
            self._experiments[name] = found
        return self._experiments[name]

    def _search(self, tag: str, run_id: str) -> Iterator[Any]:
        """Yield our runs, in any experiment, that have a run_id in a tag, the oldest first."""
        token: str | None = ""
        while token is not None and "'" not in run_id:
            question = f"tags.{tag} = '{run_id}'"
            page = self._client.search_runs(
                list(self._everywhere), question, order_by=["attribute.start_time"], page_token=token or None
            )
            yield from (run for run in page if run.data.tags.get("mlflow.source.name") == SOURCE)
            token = page.token or None

    def _only(self, run_id: str) -> str | None:
        """Return MLflow's id of the whole run that is there, if one is, and delete every other one."""
        found = list(self._search("run_id", run_id))
        whole = next((run.info.run_id for run in found if run.info.status in _WHOLE), None)
        for run in found:
            if run.info.run_id != whole:
                self._client.delete_run(run.info.run_id)
        return whole

    def _write(self, experiment_id: str, run_dir: Path, content: Content) -> str:
        """Make MLflow's run, and end it when all of it is there."""
        client, of = self._client, self._entities
        tags = dict(content.tags)
        if above := tags.get("parent_run_id"):
            for run in self._search("run_id", above):
                if run.info.status in _WHOLE:
                    tags["mlflow.parentRunId"] = run.info.run_id
        made = client.create_run(experiment_id, start_time=content.started, tags=tags, run_name=content.name)
        run_id: str = made.info.run_id
        metrics = [of.Metric(*metric) for metric in content.metrics]
        params = [of.Param(key, text) for key, text in content.params.items()]
        for some_metrics, some_params in zip_longest(
            _parts(metrics, _METRICS - _PAIRS), _parts(params, _PAIRS), fillvalue=()
        ):
            client.log_batch(run_id, metrics=some_metrics, params=some_params)
        if content.dataset:
            context = of.InputTag("mlflow.data.context", "backtest")
            client.log_inputs(run_id, [of.DatasetInput(of.Dataset(**content.dataset), [context])])
        for name in content.artifacts:
            client.log_artifact(run_id, str(run_dir / name))
        self._write_report(run_id, run_dir)
        for child in list(self._search("parent_run_id", content.tags["run_id"])):
            client.set_tag(child.info.run_id, "mlflow.parentRunId", run_id)
        client.set_terminated(run_id, content.status, content.finished)
        return run_id

    def _write_report(self, run_id: str, run_dir: Path) -> None:
        for path in report_files(run_dir):
            self._client.log_artifact(run_id, str(path), path.parent.relative_to(run_dir).as_posix())


def _parts(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def main() -> None:
    """Answer what comes on stdin, until it ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what MLflow prints is no answer

    def answer(found: Answer) -> None:
        answers.write(msgspec.json.encode(found) + b"\n")

    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_pass_on, args=(lines,), daemon=True).start()
    store = msgspec.json.decode(lines.get(), type=Store, dec_hook=lambda kind, text: kind(text))
    logger = None
    while line := lines.get():
        job = msgspec.json.decode(line, type=Job)
        try:
            logger = logger or Logger(store, lambda stage: answer(Answer(stage=stage)))
            done = logger.log(job)
        except Exception as error:  # noqa: BLE001 - the one guard of an optional part: MLflow may raise anything
            unreachable = isinstance(_cause(error), OSError | sqlite3.Error | ImportError)
            done = Answer(failed=reason(error), unreachable=unreachable)
        answer(done)


def _pass_on(lines: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(b"")
    time.sleep(_FAREWELL_S)
    os._exit(0)  # from this thread, as the other one may hang


def _cause(error: BaseException) -> BaseException:
    """Return the error of the system or the database that lies deepest; where there is none, the error itself."""
    cause, at = error, error.__cause__ or error.__context__
    while at is not None:
        cause = at if isinstance(at, OSError | sqlite3.Error) else cause
        at = at.__cause__ or at.__context__
    return cause


def reason(error: BaseException) -> str:
    """Return in one line, and without secrets, why MLflow failed."""
    cause = _cause(error)
    text = " ".join(str(getattr(cause, "message", "") or cause).split())
    plain = text and isinstance(cause, PeakError | OSError | sqlite3.Error)
    return redactor().text(text if plain else f"{type(cause).__name__}: {text}")[:_LONGEST]


if __name__ == "__main__":
    main()
