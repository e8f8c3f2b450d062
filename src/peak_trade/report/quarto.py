"""Quarto as a renderer, and what its output says of a failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from peak_trade.errors import RunError
from peak_trade.report.renderer import LONGEST, MissingTools, raised, title_of
from peak_trade.text import one_line

__all__ = ["NotInstalled", "Quarto"]

_OLDEST = (1, 5)
# Jupyter's words for a cell that raised; Quarto shows them after the cell it had begun.
_RAISED = "An error occurred while executing the following cell"


class NotInstalled(MissingTools):
    """There is no Quarto, which is nothing wrong: the built-in renderer makes the same page."""


class Quarto:
    """Renders the qmd with the `quarto` binary, in a folder of its own, so that two at once don't meet.

    Raises NotInstalled where there is none, MissingTools where it is too old or does not run.
    """

    name = "quarto"

    def __init__(self, qmd: Path) -> None:
        self.qmd = qmd
        binary = shutil.which("quarto")
        hint = "install Quarto 1.5 or newer, or use --renderer builtin"
        if binary is None:
            raise NotInstalled("quarto is not installed", hint=hint)
        try:
            asked = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingTools(f"quarto does not run: {error}", hint=hint) from None
        found = re.match(r"\s*(\d+)\.(\d+)", asked.stdout)
        if asked.returncode or not found:
            raise MissingTools("quarto does not tell its version", hint=hint)
        if tuple(map(int, found.groups())) < _OLDEST:
            raise MissingTools(f"quarto {asked.stdout.strip()} is too old", hint=hint)
        self.binary = binary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held: Quarto starts and ends a kernel for each page."""

    def page(self, run_dir: Path) -> str:
        """Return the page of a run."""
        with tempfile.TemporaryDirectory(prefix="peak_trade-report-") as folder:
            qmd = Path(folder) / self.qmd.name
            for name in (self.qmd, self.qmd.parent / "report.css"):
                shutil.copy(name, folder)
            command = [
                self.binary, "render", qmd.name, "--to", "html",
                "-P", f"run_dir:{json.dumps(str(run_dir.absolute()))}",
                "-M", f"pagetitle:{title_of(run_dir.name)}",
            ]  # fmt: skip
            code, said = _call(command, folder)
            if code:
                raise _failure(code, said)
            try:
                return qmd.with_suffix(".html").read_text(encoding="utf-8")
            except OSError:
                raise RunError("quarto left no page", hint="`quarto check` looks at its installation") from None


def _call(command: list[str], folder: str) -> tuple[int, str]:
    """Run Quarto and return its exit code and what it said; what it has started itself ends with it."""
    environment = {**os.environ, "QUARTO_PYTHON": sys.executable, "JUPYTER_PREFER_ENV_PATH": "1"}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise RunError(f"quarto does not run: {error.strerror}") from None
    with process:
        try:
            said, _ = process.communicate(timeout=LONGEST)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise RunError(f"quarto took longer than {LONGEST} s") from None
            raise
    return process.returncode, said


def _failure(code: int, said: str) -> RunError:
    """Return the error that Quarto's exit code and output tell of: CellRaised only where they name a cell that raised.

    Quarto shows a cell's name as it begins it and `Done` behind that once it is done. What fails after the last cell
    (Sass, Pandoc, a filter) is no cell's fault, whatever its words look like.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    begun = list(re.finditer(r"^[ \t]*Cell \d+/\d+: '([^']*)'\.*(?!\.)(?!Done)", plain, re.MULTILINE))
    if begun and _RAISED in (after := plain[begun[-1].end() :]):
        errors = re.findall(
            r"^(\w[\w.]*(?:Error|Exception|Group|Interrupt|Exit|Warning))(?:: (.*))?$", after, re.MULTILINE
        )
        return raised(begun[-1][1], *(errors[-1] if errors else ("an exception", "")))
    reason = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed: {_own_words(plain)}"
    return RunError(f"quarto {reason}", hint="`quarto check` looks at its installation")


def _own_words(plain: str) -> str:
    """Return what Quarto says of its failure, on one line: from the word `error` on, else its last line."""
    after = re.split(r"^[ \t]*Cell \d.*Done$", plain, flags=re.MULTILINE)[-1]
    lines = [
        line.strip() for line in after.splitlines() if not re.match(r"\s*(at |stack trace:|$)", line, re.IGNORECASE)
    ]
    errors = [at for at, line in enumerate(lines) if re.match(r"(\[\w+\] )?error\b", line, re.IGNORECASE)]
    words = lines[errors[0] :] if errors else lines[-1:]
    return one_line(" ".join(words), 300) or "it said nothing"
