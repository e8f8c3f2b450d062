"""What OpenTelemetry's own loggers say: kept from the terminal, and for the reason of a fault."""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import get_ident

__all__ = ["by_this_thread", "silence"]

_WORDS: dict[int, list[str]] = {}  # by thread: senders work side by side


def by_this_thread() -> list[str]:
    """Return what was said in this thread: a list that goes on growing, and may be cleared."""
    return _WORDS.setdefault(get_ident(), [])


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            by_this_thread().append(record.getMessage())


def silence() -> None:
    """Have OpenTelemetry's loggers heard here and nowhere else; to ask twice changes nothing."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    if not any(isinstance(handler, _Listener) for handler in logger.handlers):
        logger.addHandler(_Listener(logging.WARNING))
