"""Commands that come to an end: a child process with a time limit, which takes its own children with it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple, TextIO

from peak_trade.terminal import show
from peak_trade.text import escaped

__all__ = ["NOT_FOUND", "TIMED_OUT", "Done", "call"]

TIMED_OUT, NOT_FOUND = 124, 127  # as timeout(1) and the shell have them
_POLL_S = 0.2


class Done(NamedTuple):
    """How a command ended; bytes of its output that are no UTF-8 are kept as surrogates."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """Why it failed: the first thing that it said on stderr, for advice follows; fit for a terminal."""
        lines = self.err.strip().splitlines()
        said = lines[0].strip() if lines else f"exit code {self.code}"
        return escaped(said)


def call(
    *command: str,
    cwd: Path,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    echo: TextIO | None = None,
) -> Done:
    """Run `command` and return how it ended, after `timeout_s` seconds at the latest; it never raises for that.

    `env` is the whole environment (default: ours). With `echo`, what is said on stdout and stderr is copied there as it
    comes, and `out` holds both.

    Output goes to files rather than pipes: a grandchild that outlives the command (the master of an ssh connection)
    would keep a pipe open, and its reader waiting.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(_bytes(stdin))
        given.seek(0)
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=given, stdout=out, stderr=out if echo else err, start_new_session=True
            )
        except OSError as error:
            return Done(NOT_FOUND, "", f"{command[0]}: {error.strerror}")
        code = _wait(process, out, time.monotonic() + timeout_s, echo)
        late = f"no end after {timeout_s:g} s\n" if code == TIMED_OUT else ""
        return Done(code, _text(out), late + _text(err))


def _wait(process: subprocess.Popen[bytes], out: IO[bytes], deadline: float, echo: TextIO | None) -> int:
    shown = 0
    try:
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            try:
                code: int | None = process.wait(min(left, _POLL_S) if echo else left)
            except subprocess.TimeoutExpired:
                code = None
            if echo:
                # The child shares our place in the file: look without moving it.
                fresh = os.pread(out.fileno(), os.fstat(out.fileno()).st_size - shown, shown)
                show(fresh.decode("utf-8", "replace"), echo, end="", flush=True)
                shown += len(fresh)
            if code is not None:
                return code
            if time.monotonic() >= deadline:
                return TIMED_OUT
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")
