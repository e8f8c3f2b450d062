"""A process under telemetry, from the start of Python to its exit.

    start ─▶ spans and log records, kept in memory ─▶ written before the strategy ─▶ exit: written, sent, receipt

Files are written in `results/.telemetry/<id>/`, which becomes `results/<run_id>/telemetry/` when the run gets its name.
Nothing here may change what the program does, prints or returns: what goes wrong is a fault, which is told once, at the
exit, and stands in the receipt; what cannot start is handed to the run as `PEAK_SKIPPED`, which makes a receipt of it.
No thread is started before the exit, so that a strategy may fork as it likes; a forked child records nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from peak_trade.obs.launch import BEFORE, OURS, noted
from peak_trade.obs.settings import Settings, environment
from peak_trade.text import one_line

__all__ = ["FAREWELL_S", "GRACE_S", "Open", "Session"]

GRACE_S = 0.35  # beyond the time-out of a request: for a name that is not found, and an answer that drips
FAREWELL_S = 0.1  # for all senders that did not get through to see that it is over
_JOINED = ("PEAK_RUN_ID", "TRACEPARENT", "PEAK_OTEL_PART", "PEAK_OTEL_RESULTS")


class Open(NamedTuple):
    """A span that has not ended."""

    span: Any
    token: Any
    name: str


class Session:
    """What one process has recorded, and where it goes."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.started_ns, self.pid = settings, time.time_ns(), os.getpid()
        self.folder = settings.home
        self.facts: dict[str, Any] = {}  # of the run that is being made: strategy, symbol, rows
        self.open: list[Open] = []  # the spans that have not ended, the outermost first
        self.lasting: Open | None = None  # that of a run that has ended: it lasts as long as the process, or the next
        self.tracers: Any = None  # the providers of spans, metrics and logs; without the last no logs are recorded
        self.meters: Any = None
        self.loggers: Any = None
        self.context: Any = None  # what knows the span that is open here: our own, which the program does not see
        self.pipes: list[Any] = []  # see `pipes`
        self.finishers: list[Callable[[], None]] = []
        self.spans = self.logs = self.dropped = 0
        self.why = ""  # the signal that ended the process
        self.fault = ""  # the first one
        self.untaken: set[str] = set()
        self.subjects: dict[Path, str] = {}  # finished runs that were dealt with, and by which part
        self.run_dir: Path | None = None  # of the run that this process has made
        self.writing = not settings.makes_run  # a run that did not start leaves no trace, here neither
        self.over = self._ending = False
        self.flushing = self.terminated = False  # the end is under way; and the process is to die of SIGTERM then
        self._redactor: Any = None

    # --- what is recorded

    @property
    def here(self) -> bool:
        """Say whether this is the process that is recorded, and not a child that it has forked; and not its end."""
        return not self.over and os.getpid() == self.pid

    @property
    def redactor(self) -> Any:
        """What masks secrets: that of the run's config, once it is known."""
        if self._redactor is None:
            from peak_trade.redact import Redactor

            self._redactor = Redactor()
        return self._redactor

    def knows(self, redactor: Any) -> None:
        """Mask with this redactor from now on, and what is still in memory too."""
        self._redactor = redactor

    def failed(self, what: str, error: BaseException | None = None) -> None:
        """Note a fault. Only the first is told: the others follow from it, or would drown it."""
        if error is not None:
            text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            what = f"{what}: {one_line(text)}"
        self.fault = self.fault or what[:300]

    def save(self) -> None:
        """Write what there is into the files, if there are any; a collector is only asked at the exit."""
        if self.here and self.writing:
            for pipe in self.pipes:
                if pipe.to_file:
                    pipe.flush()

    def make_folder(self) -> Path:
        """Return the folder of the files, made if it is missing; but a run that was removed is not made again."""
        self.folder.mkdir(parents=self.run_dir is None, exist_ok=True)
        return self.folder

    def published(self, run_dir: Path) -> None:
        """Move the folder into the run that has just got its name; what is open there is written on."""
        if run_dir.name != self.settings.run_id:
            return
        self.run_dir, target = run_dir, run_dir / "telemetry"
        if self.folder.is_dir():
            try:
                os.rename(self.folder, target)
            except OSError:  # as on another file system: the files are taken there at the exit
                return
        self.folder = target

    @contextmanager
    def joined(self, part: str, run_id: str, traceparent: str) -> Iterator[None]:
        """Have the process that is started within the block recorded too, as a part of this trace."""
        from opentelemetry.instrumentation import auto_instrumentation

        folder = os.path.dirname(os.path.abspath(auto_instrumentation.__file__ or ""))
        paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        with environment(
            **{BEFORE: noted(*_JOINED)},
            **OURS,
            PYTHONPATH=os.pathsep.join(paths),
            PEAK_RUN_ID=run_id,
            TRACEPARENT=traceparent,
            PEAK_OTEL_PART=part or None,
            PEAK_OTEL_RESULTS=str(self.settings.results),
        ):
            yield

    # --- the end

    def end(self) -> None:
        """End the spans that are open, and read the metrics."""
        for finisher in self.finishers:
            finisher()

    def finish(self, why: str = "") -> None:
        """End what is open, send and write everything, and leave a receipt: in a bounded time, whatever happens."""
        if not self.here or self._ending:
            return
        self._ending, self.flushing, self.why, began = True, True, why, time.perf_counter()
        try:
            self._finish(began)
        finally:
            self.flushing = False

    def _finish(self, began: float) -> None:
        try:
            self.end()
            self.save()
            self._send()
        except BaseException as error:  # noqa: BLE001 - an interrupt ends the wait, a bug must not reach the program
            self.failed("it could not be finished", error)
        self.over = True
        for pipe in self.pipes:
            if pipe.fault:
                self.failed(pipe.fault)
        with suppress(Exception):
            self._settle(round((time.perf_counter() - began) * 1e3, 1))
        if self.fault:
            self._tell()

    def _send(self) -> None:
        """Send what is for a collector, each signal by itself, for as long as the limit allows."""
        import threading

        with environment(GRPC_VERBOSITY="NONE", GRPC_ENABLE_FORK_SUPPORT="0"):
            loads = [(pipe, pipe.take()) for pipe in self.pipes if not pipe.to_file]
            loads = [(pipe, items) for pipe, items in loads if items and pipe.opened()]
        senders = [threading.Thread(target=pipe.send, args=(items,), daemon=True) for pipe, items in loads]
        deadline = time.monotonic() + self.settings.timeout_s + GRACE_S
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))
        for (pipe, items), sender in zip(loads, senders, strict=True):
            if sender.is_alive():
                pipe.fails(len(items), "timed out")
            pipe.close()
        deadline = max(deadline, time.monotonic()) + FAREWELL_S
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))  # long over, or ended by what was just closed

    def _settle(self, ms: float) -> None:
        """Leave the receipt, and put the files where they belong."""
        if not self.writing or not (self.folder.is_dir() or self.fault or self.run_dir):
            return
        if self.run_dir and self.folder != self.run_dir / "telemetry":
            try:
                self._move_to(self.run_dir, "")
            except OSError as error:
                self.failed(f"it stays in {self.folder}", error)
        self.make_folder()
        name = f"{self.settings.part}.receipt.json" if self.settings.part else "receipt.json"
        import json

        receipt = {
            "run_id": self.settings.run_id,
            "status": "failed" if self.fault else "done",
            "reason": self.redactor.text(self.fault),
            "endpoint": self.redactor.text(self.settings.endpoint.url) if self.settings.endpoint else None,
            "spans": self.spans,
            "logs": self.logs,
            "dropped": self.dropped,
            "untaken": sorted(self.untaken),
            "ms": ms,
        }
        (self.folder / name).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
        if not self.settings.part and not self.run_dir and len(self.subjects) == 1:
            self._move_to(*next(iter(self.subjects.items())))

    def _move_to(self, run_dir: Path, part: str) -> None:
        """Move the files beside those of a run: its own, or those of a command that did a part of its work later."""
        import shutil

        target = run_dir / "telemetry"
        target.mkdir(exist_ok=True)
        for path in list(self.folder.iterdir()):
            plain = path.name in ("traces.jsonl", "logs.jsonl", "metrics.jsonl", "receipt.json")
            new = target / (f"{part}.{path.name}" if part and plain else path.name)
            if new.exists() and new.suffix == ".jsonl":
                with new.open("ab") as stream:
                    stream.write(path.read_bytes())
                path.unlink()
            else:
                shutil.move(path, new)  # a copy, where it is another file system
        self.folder.rmdir()
        self.folder = target

    def _tell(self) -> None:
        """Say what went wrong: on stderr, and in the run's log."""
        text = f"telemetry failed: {self.redactor.text(self.fault)}"
        hint = "just obs-check asks the collector" if self.settings.endpoint else "check the folder and the disk"
        with suppress(Exception):
            sys.stderr.write(f"warn: {text}\nhint: {hint}\n")
            sys.stderr.flush()
        if self.run_dir:
            import json

            from peak_trade.evidence.ledger import now

            line = {
                "time": now(),
                "level": "warning",
                "run_id": self.run_dir.name,
                "logger": __package__,
                "message": text,
            }
            with suppress(OSError), (self.run_dir / "run.log").open("ab") as stream:
                stream.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
