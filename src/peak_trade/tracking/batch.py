"""Runs on their way to MLflow: one process logs them all, and is started and ended from here.

Whatever MLflow does (hang, crash, never come to an end of its retries), each run gets a receipt, and in time.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec

from peak_trade.config import Tracking
from peak_trade.errors import RunError
from peak_trade.evidence import documents, door
from peak_trade.evidence.results import Results
from peak_trade.tracking import receipt as receipts
from peak_trade.tracking.receipt import Answer, Job, Receipt
from peak_trade.tracking.store import Store, redactor

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

__all__ = ["ABSENT", "INSTALL", "MlflowTracker", "installed", "pending", "track"]

ABSENT, INSTALL = "mlflow is not installed", "just setup experiments"
_LOG = logging.getLogger("peak_trade.tracking")
_FAREWELL_S = 3.0  # for the process to close the database
_ENOUGH = 3  # failures of the store in a row, after which it is given up


def installed() -> bool:
    """Say whether mlflow is installed, without importing it."""
    spec = find_spec("mlflow")
    return spec is not None and spec.origin is not None  # a mere folder of that name has no origin


class MlflowTracker:
    """Logs a run once its evidence is there: in a process of its own, for which only `strict` waits."""

    def __init__(self, root: Path, *, strict: bool) -> None:
        self.root, self.strict, self.store = root, strict, Store.of(root)
        self.parent = os.environ.get("PEAK_PARENT_RUN_ID", "").strip() or None

    def log(self, run_dir: Path) -> None:
        """Log a sealed run; where `strict` was asked for, wait for it, and raise RunError if it fails."""
        if not self.strict:
            self.log_later(run_dir)
        elif not installed():
            self._note(run_dir, "skipped", ABSENT)
            raise RunError(f"the run is sealed, but not logged: {ABSENT}", hint=INSTALL)
        else:
            (receipt,) = track([run_dir], self.store, parent=self.parent)
            if receipt and receipt.status != "logged":
                hint = receipt.hint or f"just track {run_dir.name[:8]} tries again"
                raise RunError(f"the run is sealed, but not logged: {receipt.reason}", hint=hint)

    def log_later(self, run_dir: Path) -> None:
        """Send off a process that logs a run, and return; a problem that shows at once is a warning. Never raises."""
        try:
            with door.folder(run_dir):
                pass
        except OSError:
            return
        if not installed():
            self._note(run_dir, "skipped", ABSENT)
            _LOG.warning("tracking skipped: %s; hint: %s, then just track --pending", ABSENT, INSTALL)
            return
        self._note(run_dir, "started")
        try:
            self._send_off(run_dir)
        except OSError as error:
            reason = f"no process can be started: {error.strerror}"
            self._note(run_dir, "failed", reason)
            _LOG.warning("tracking failed: %s; hint: just track --pending", reason)

    def _note(self, run_dir: Path, status: Literal["started", "failed", "skipped"], reason: str = "") -> None:
        receipts.write(run_dir, _receipt(run_dir, self.store, self.parent, status, reason))

    def _send_off(self, run_dir: Path) -> None:
        """Start what `just track` does for this run, apart from the terminal: it outlives it and holds nothing open."""
        subprocess.Popen(
            [sys.executable, "-P", "-m", "peak_trade.tracking", str(run_dir.absolute()), str(self.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _receipt(
    run_dir: Path,
    store: Store,
    parent: str | None,
    status: Literal["started", "failed", "skipped"] = "started",
    reason: str = "",
) -> Receipt:
    return Receipt(
        run_id=run_dir.name,
        status=status,
        store=store.shown,
        experiment=settings(run_dir).experiment,
        reason=reason,
        parent=parent,
    )


def settings(run_dir: Path) -> Tracking:
    """Return a run's `[tracking]` from its config as resolved; the defaults where that cannot be read."""
    try:
        snapshot: dict[str, Any] = documents.read(run_dir, "config_snapshot.json")
        return msgspec.convert(snapshot["tracking"], Tracking)
    except (RunError, KeyError, msgspec.ValidationError):
        return Tracking()


def pending(results: Results) -> list[Path]:
    """Return all finished runs, sealed and failed, the oldest first.

    Which of them the store has already turns out while they are logged: see `track`.
    """
    there = {path.name: path for path in results.runs()}
    known = [run_id for run_id in results.reading().runs if run_id in there]
    return [there[run_id] for run_id in dict.fromkeys([*known, *there])]


def track(
    run_dirs: Sequence[Path],
    store: Store,
    *,
    timeout_s: float | None = None,
    pending: bool = False,
    parent: str | None = None,
) -> Iterator[Receipt | None]:
    """Log finished runs to `store`, and yield a receipt for each, which its directory has got too.

    `timeout_s` is each run's limit (None: that of its config); that of the first covers the start of MLflow.
    `pending` passes over, with None, the runs that the store has, and leaves be what was deleted there (`skipped`);
    else each has a receipt, and what was deleted is logged again.
    When the store has failed three times in a row the runs that are left stay as they are. Nothing that MLflow does is
    raised.
    """
    worker, failures = Worker(store), 0
    try:
        for run_dir in run_dirs:
            start, before = time.perf_counter(), receipts.read(run_dir)
            receipt = _receipt(run_dir, store, parent or (before.parent if before else None))
            job = Job(str(run_dir.absolute()), timeout_s or settings(run_dir).timeout_s, receipt, pending=pending)
            if before and before.mlflow_run_id and before.store == store.shown:
                job.report, job.known = before.report, before.mlflow_run_id
                receipt.mlflow_run_id, receipt.report = before.mlflow_run_id, before.report
            answer = worker.log(job)
            if not answer.receipt and before and before.status != "logged":  # it is there all the same
                answer.receipt = msgspec.structs.replace(receipt, status="logged")
            if answer.receipt:
                answer.receipt.ms = round((time.perf_counter() - start) * 1e3, 1)
                receipts.write(run_dir, answer.receipt)
            yield answer.receipt
            failures = failures + 1 if answer.unreachable else 0
            if failures == _ENOUGH:
                return
    finally:
        worker.end(_FAREWELL_S)


class Worker:
    """The process that logs (see `worker`); started when it is needed, and again when it had to be ended."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes]
        self._drafts: TemporaryDirectory[str]

    def log(self, job: Job) -> Answer:
        """Return what became of a run; the process ends where that takes longer than the job's limit."""
        stage, hint = "starting", ""
        try:
            process = self._process or self._start(job.limit_s)
            assert process.stdin and process.stdout
            with suppress(BrokenPipeError):  # it has died, which shows by what it says
                process.stdin.write(msgspec.json.encode(job) + b"\n")
            for line in process.stdout:
                answer = msgspec.json.decode(line, type=str | Answer)
                if isinstance(answer, Answer):
                    return answer
                stage = answer
            if process.wait() == -signal.SIGALRM:
                reason, hint = f"mlflow took more than {job.limit_s:g} s ({stage})", self._later(job)
            else:
                reason = f"mlflow's process died ({stage}){self._last_words()}"
        except OSError as error:
            reason = f"no process can be started: {error.strerror}"
        self.end()
        return Answer(job.receipt.failed(reason, hint), unreachable=True)

    def _later(self, job: Job) -> str:
        again = f"just track {job.receipt.run_id[:8]}"
        if self.store.is_server:
            return f"{again} once {self.store.shown} answers; --timeout 60 waits longer"
        return f"{again} tries again; --timeout 60 gives it longer"

    def _start(self, limit: float) -> subprocess.Popen[bytes]:
        from tempfile import TemporaryDirectory, TemporaryFile  # bring every compressor, which a run has no need of

        defaults = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(limit))),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # retries that come to nothing shall end before the limit does
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        self._errors = TemporaryFile()  # noqa: SIM115 - it is closed when the process has ended
        self._drafts = TemporaryDirectory(prefix="peak_trade-track-")  # goes with the process, however that ends
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "peak_trade.tracking.worker", str(self.store.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env=defaults
            | os.environ
            | {
                "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
                "MLFLOW_TRACKING_URI": self.store.uri,
                "TMPDIR": self._drafts.name,
            },
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        words = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f": {redactor().text(words[-1])[:300]}" if words else ""

    def end(self, patience: float = 0.0) -> None:
        """End the process, and all that it has started; it has `patience` seconds to end by itself."""
        if self._process is None:
            return
        assert self._process.stdin
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._process:  # waits for it, and closes its pipes
            self._errors.close()
        self._drafts.cleanup()
        self._process = None
