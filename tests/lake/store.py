"""An S3 on loopback, by moto, in a process of its own: its port is the one line on stdout.

What S3 promises of `If-None-Match` it keeps, also between threads: of two that make one object, one is refused. With
`--deaf` it passes over the header, as a store that knows nothing of it does.
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


def answer(asked: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    if "_delta_log" in asked["PATH_INFO"] and asked["REQUEST_METHOD"] == "PUT":
        time.sleep(0.1)  # as far away as a store is: who looks first is not always who writes first
    if DEAF:
        asked.pop("HTTP_IF_NONE_MATCH", None)
    with LOCK:
        return S3(asked, start)


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, answer, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
