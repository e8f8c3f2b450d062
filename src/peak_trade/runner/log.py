"""A run's log, `run.log`: what this process logs and warns of while a run is made, as JSON lines with the run_id."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from peak_trade.evidence import door
from peak_trade.evidence.ledger import now
from peak_trade.evidence.run_dir import RunDir
from peak_trade.redact import Redactor
from peak_trade.text import as_utf8
from peak_trade.traces import formatted

__all__ = ["RunLog", "logging_to"]


class RunLog(logging.Handler):
    """Writes each record to `run.log` as one JSON line with the run_id; a full disk is not worth a dead run."""

    def __init__(self, directory: RunDir, redactor: Redactor) -> None:
        super().__init__()
        self.directory, self.redactor = directory, redactor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:  # the file is opened for each: user code that configures logging closes what handlers hold open
            door.append(self.directory.place, "run.log", msgspec.json.encode(self._line(record)) + b"\n")
        except Exception:  # noqa: BLE001 - a message that cannot be made, or a full disk: as every log handler does
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> dict[str, str]:
        self.redactor.look()
        line = {
            "time": now(),
            "level": record.levelname.lower(),
            "run_id": self.directory.run_id,
            "logger": record.name,
            "message": self.redactor.text(as_utf8(record.getMessage())),
        }
        text = getattr(record, "traceback", "")
        if not text and record.exc_info and record.exc_info[1] is not None:
            text = formatted(record.exc_info[1])
        if text:
            line["traceback"] = self.redactor.text(as_utf8(text))
        if trace := getattr(record, "otelTraceID", ""):  # the names that OpenTelemetry gives them
            line["trace_id"], line["span_id"] = trace, record.otelSpanID  # type: ignore[attr-defined] # come together
        return line

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: the record has reached stderr by its own way."""


@contextmanager
def logging_to(handler: RunLog, *, alone: bool = False) -> Iterator[None]:
    """Send all log records and warnings of this process to `handler` too, or to it `alone`."""
    root, ours, level = logging.getLogger(), logging.getLogger("peak_trade"), logging.getLogger("peak_trade").level
    others = root.handlers[:] if alone else []
    for other in others:
        root.removeHandler(other)
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(handler)
        for other in others:
            root.addHandler(other)
