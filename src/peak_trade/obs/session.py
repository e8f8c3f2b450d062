"""A process under telemetry: what it has recorded, and where that belongs.

Files are written in `results/.telemetry/<id>/`, which becomes `results/<run_id>/telemetry/` when the run gets its name.
Nothing here may change what the program does, prints or returns: what goes wrong is a fault, which is told once, at the
exit (`farewell`); what cannot start is handed to the run as `PEAK_SKIPPED`, which makes a receipt of it (`entry`).
No thread is started before the exit, so that a strategy may fork as it likes; a forked child records nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from peak_trade.obs.launch import BEFORE, OURS, noted
from peak_trade.obs.settings import Settings, environment
from peak_trade.text import one_line

__all__ = ["Open", "Session"]

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
        self.save: Callable[[], None] = lambda: None  # writes what there is into the files
        self.finishers: list[Callable[[], None]] = []
        self.spans = self.logs = self.dropped = 0
        self.why = ""  # the signal that ended the process
        self.fault = ""  # the first one
        self.untaken: set[str] = set()
        self.subjects: dict[Path, str] = {}  # finished runs that were dealt with, and by which part
        self.run_dir: Path | None = None  # of the run that this process has made
        self.writing = not settings.makes_run  # a run that did not start leaves no trace, here neither
        self.over = False
        self._redactor: Any = None

    # --- what is recorded

    @property
    def here(self) -> bool:
        """Say whether this is the process that is recorded, and not a child that it has forked; and not its end."""
        return not self.over and os.getpid() == self.pid

    def follow(self, pid: int) -> None:
        """Belong to another process from now on: the run, where this one becomes its supervisor."""
        self.pid = pid

    @property
    def redactor(self) -> Any:
        """What masks secrets: that of the run's config, once it is known."""
        if self._redactor is None:
            from peak_trade.redact import Redactor

            self._redactor = Redactor()
        self._redactor.look()
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

    def end(self) -> None:
        """End the spans that are open, and read the metrics."""
        for finisher in self.finishers:
            finisher()
