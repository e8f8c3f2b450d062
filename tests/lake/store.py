"""An S3 on loopback, by moto, in a process of its own: its port is the one line on stdout.

What S3 promises of `If-None-Match` it keeps, also between threads: of two that make one object, one is refused. With
`--deaf` it passes over the header, as a store that knows nothing of it does, and an entry of a log waits a moment for
another of the same name: so two that write at once do, however busy the machine is.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

DEAF = "--deaf" in sys.argv
S3 = DomainDispatcherApplication(create_backend_app)
LOCK = threading.Lock()
_HERE = threading.Condition()
_ENTRIES: dict[str, int] = {}


def answer(asked: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    if "_delta_log" in asked["PATH_INFO"] and asked["REQUEST_METHOD"] == "PUT":
        time.sleep(0.1)  # as far away as a store is: who looks first is not always who writes first
    if DEAF and asked.pop("HTTP_IF_NONE_MATCH", None) and asked["PATH_INFO"].endswith(".json"):
        meet(asked["PATH_INFO"])
    with LOCK:
        return S3(asked, start)


def meet(name: str) -> None:
    """Wait until two are here for the same name, for two seconds at most."""
    with _HERE:
        _ENTRIES[name] = _ENTRIES.get(name, 0) + 1
        _HERE.notify_all()
        _HERE.wait_for(lambda: _ENTRIES[name] > 1, timeout=2.0)


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, answer, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
