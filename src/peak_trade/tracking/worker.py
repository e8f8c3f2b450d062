"""The process that logs: it alone imports mlflow, and may be killed at any time.

    python -P -m peak_trade.tracking.worker ROOT

reads from stdin, in lines of JSON, runs to log to the store that the environment names, and says on stdout what it is
about to do (a string), and at last what became of the run (an `Answer`).
The system ends it when a run takes longer than its limit (SIGALRM), whatever it is doing, and it ends itself when stdin
does: that is, with the process that asked.
A run is `RUNNING` in MLflow until all of it is there, so one that a killed process left half-way is told from a whole
one, and is replaced. It is found again by its tag `run_id`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import msgspec

from peak_trade.errors import PeakError, RunError
from peak_trade.text import one_line
from peak_trade.tracking import condition, database
from peak_trade.tracking.content import SOURCE, Content, beside, report_files, report_state, run_content
from peak_trade.tracking.receipt import DELETED, Answer, Job, Receipt
from peak_trade.tracking.store import Store, redactor

__all__ = ["Logger", "failure", "main"]

_PARAMS = 100  # MLflow's most in one call; of metrics there are fewer than it takes
_WHOLE = ("FINISHED", "FAILED")
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # of runs: MLflow's page takes it for one of traces else
_LONGEST, _TAG = 300, 2_000  # characters of a reason, and of what is left out
_FAREWELL_S = 2.0  # to close what is open
_OF_LIMIT = 0.8  # of a run's time, for which a database may be locked: then there is time left to say so


class Logger:
    """Logs runs to one store; `tell` is called with what it is about to do."""

    def __init__(self, store: Store, tell: Callable[[str], None] = lambda stage: None) -> None:
        self.store, self.tell = store, tell
        self._client: Any = None
        self._experiments: dict[str, Any] = {}
        self._everywhere: list[str] = []  # the experiments in which a run may be
        self._left_out = ""  # of the run that was written last: what was no file of its own

    def log(self, job: Job) -> Receipt | None:
        """Log one run, unless the store has all of it (None); what it has of it otherwise is deleted."""
        run_dir, receipt = Path(job.run_dir), job.receipt
        if self._client is None:
            self.tell("looking at the store")
            condition.check(self.store, job.limit_s * _OF_LIMIT)
        self.tell("importing mlflow")
        import mlflow  # noqa: F401 - heavy: before it is our turn

        self.tell("waiting for the store, which another process writes to")
        with self.store.turn(run_dir):
            self.tell("asking the store")
            self._client = self._client or database.opened(self.store)
            experiment, report = self._experiment(receipt.experiment), report_state(run_dir)
            if job.pending and job.known:
                stage = self._stage(job.known, receipt.run_id)
                if stage == "active" and job.report == report:
                    return None
                if stage == "deleted" and self._only(receipt.run_id) is None:
                    again = f"just track {receipt.run_id[:8]} logs it again"
                    return msgspec.structs.replace(receipt, status="skipped", reason=DELETED, hint=again)
            self.tell("reading the run")
            content = run_content(run_dir, receipt.parent)
            self.tell("asking the store")
            whole = self._only(content.tags["run_id"])
            if whole is None:
                self.tell("logging the run")
                whole = self._write(experiment.experiment_id, run_dir, content)
                receipt.reason = self._left_out and f"left out: {self._left_out}"
            elif job.report != report:
                self._upload_report(whole, run_dir)
        receipt.status, receipt.mlflow_run_id, receipt.report = "logged", whole, report
        return receipt

    def _stage(self, mlflow_run_id: str, run_id: str) -> str | None:
        """Return whether a run of ours is `active` there, or was `deleted`; None where it is gone, or another's."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(mlflow_run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        is_ours = run.data.tags.get("run_id") == run_id and run.info.status in _WHOLE
        return str(run.info.lifecycle_stage) if is_ours else None

    def _experiment(self, name: str) -> Any:
        """Return the experiment of that name, made if it is missing."""
        if name not in self._experiments:
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                experiment = self._client.get_experiment(self._client.create_experiment(name, self._artifacts(), _KIND))
            elif not experiment.experiment_id:  # read out of an answer that says nothing of experiments
                raise condition.no_mlflow(self.store)
            elif experiment.lifecycle_stage != "active":
                raise RunError(f"the experiment {name!r} was deleted there; restore it, or set tracking.experiment")
            self._experiments[name] = experiment
            self._everywhere = [one.experiment_id for one in self._client.search_experiments(max_results=1_000)]
        return self._experiments[name]

    def _artifacts(self) -> str | None:
        """Return where a new experiment keeps its artifacts; None for MLflow's own choice, which is right but for `%`.

        It keeps their folder's path as it is, and reads it as an address.
        """
        if self.store.database is None or "%" not in str(self.store.folder):
            return None
        return f"{self.store.artifacts}/{uuid4().hex}"

    def _search(self, tag: str, run_id: str) -> Iterator[Any]:
        """Yield our runs, in any experiment, that have a run_id in a tag, the oldest first."""
        token: str | None = ""
        while token is not None and "'" not in run_id:
            question = f"tags.{tag} = '{run_id}'"
            page = self._client.search_runs(
                self._everywhere, question, order_by=["attribute.start_time"], page_token=token or None
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
        from mlflow import entities

        client, tags = self._client, dict(content.tags)
        if above := tags.get("parent_run_id"):
            for run in self._search("run_id", above):
                if run.info.status in _WHOLE:
                    tags["mlflow.parentRunId"] = run.info.run_id
        run = client.create_run(experiment_id, start_time=content.started, tags=tags, run_name=content.name)
        run_id: str = run.info.run_id
        metrics = [entities.Metric(*metric) for metric in content.metrics]
        params = [entities.Param(*param) for param in content.params.items()]
        for start in range(0, max(1, len(params)), _PARAMS):
            client.log_batch(run_id, metrics=() if start else metrics, params=params[start : start + _PARAMS])
        if content.dataset:
            context = entities.InputTag("mlflow.data.context", "backtest")
            client.log_inputs(run_id, [entities.DatasetInput(entities.Dataset(**content.dataset), [context])])
        self._upload(run_id, content.artifacts)
        left_out = [*content.left_out, *self._upload_report(run_id, run_dir)]
        self._left_out = "; ".join(left_out)[:_TAG]
        if left_out:
            client.set_tag(run_id, "left_out", self._left_out)
        for child in list(self._search("parent_run_id", content.tags["run_id"])):
            client.set_tag(child.info.run_id, "mlflow.parentRunId", run_id)
        client.set_terminated(run_id, content.status, content.finished)
        return run_id

    def _upload_report(self, run_id: str, run_dir: Path) -> list[str]:
        """Upload the run's report, if it has one; return what is left out, and why."""
        found, left_out = beside(run_dir, report_files(run_dir))
        self._upload(run_id, found)
        return left_out

    def _upload(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Upload what was read, from copies: MLflow would follow what has got the name since then."""
        with tempfile.TemporaryDirectory(prefix="peak_trade-track-") as folder:
            for name, content in files.items():
                draft = Path(folder, name)
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.write_bytes(content)
                self._client.log_artifact(run_id, str(draft), name.rpartition("/")[0] or None)
                draft.unlink()


def main() -> None:
    """Answer what comes on stdin, until it ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what MLflow prints is no answer
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # of the system alone: Python may be held up in somebody's C code

    def say(something: str | Answer) -> None:
        answers.write(msgspec.json.encode(something) + b"\n")

    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_pass_on, args=(lines,), daemon=True).start()
    logger = Logger(Store.of(Path(sys.argv[1])), say)
    while line := lines.get():
        job = msgspec.json.decode(line, type=Job)
        signal.setitimer(signal.ITIMER_REAL, job.limit_s)
        try:
            answer = Answer(logger.log(job))
        except Exception as error:  # noqa: BLE001 - the one guard of an optional part: MLflow may raise anything
            reason, hint, unreachable = failure(error)
            answer = Answer(job.receipt.failed(reason, hint), unreachable)
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(answer)


def _pass_on(lines: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(b"")
    time.sleep(_FAREWELL_S)
    os._exit(0)  # from this thread, as the other one may hang


def failure(error: BaseException) -> tuple[str, str, bool]:
    """Return in one line, without secrets, why MLflow failed, what mends it, and whether that is the store's fault.

    It is the system's or the database's own error, where one lies below.
    """
    cause, below = error, None if isinstance(error, PeakError) else error.__cause__ or error.__context__
    while below is not None:
        cause = below if isinstance(below, OSError | sqlite3.Error) else cause
        below = below.__cause__ or below.__context__
    text = one_line(cause)
    plain = text and isinstance(cause, PeakError | OSError | sqlite3.Error)
    reason = redactor().text(text if plain else f"{type(cause).__name__}: {text}")[:_LONGEST]
    at_fault = isinstance(cause, OSError | sqlite3.Error | ImportError | condition.StoreError)
    hint = "check the folder, and MLFLOW_TRACKING_URI" if getattr(cause, "filename", None) else ""
    if isinstance(cause, ConnectionError):
        hint = "just track --pending once the server answers; check MLFLOW_TRACKING_URI"
    return reason, getattr(cause, "hint", hint), at_fault


if __name__ == "__main__":
    main()
