"""Records commands as a person does, by the script, and looks at what was left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from peak_trade.evidence.results import Results
from peak_trade.trust import verify

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/record_run.py"
PYTHON = sys.executable


class Recorder:
    """Records commands into a folder of its own, from a folder that is no repository."""

    def __init__(self, folder: Path) -> None:
        self.results, self.stands = folder / "results", folder / "stands"
        self.stands.mkdir()

    def start(self, *command: str | Path, options: tuple[str, ...] = (), **more: Any) -> subprocess.Popen[bytes]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("PEAK_")}
        words = [PYTHON, SCRIPT, "--results-dir", self.results, *options, "--", *command]
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen(words, cwd=self.stands, env=own | given.pop("env", {}), **given)

    def __call__(self, *command: str | Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
        text = more.pop("input", None)
        given = {"stdin": subprocess.PIPE} if text is not None else {}
        process = self.start(*command, **(given | more))
        out, err = process.communicate(text, timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def run(self) -> Path:
        [path] = [path for path in self.results.iterdir() if len(path.name) == 36]
        return path

    @property
    def predicate(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "manifest.json").read_bytes())["predicate"]
        return found

    @property
    def findings(self) -> list[str]:
        return [
            f"{found}" for one in verify.verify_all(Results(self.results), None, root=None) for found in one.findings
        ]

    def receipt(self, part: str) -> dict[str, Any]:
        [found] = [receipt for receipt in self.predicate["receipts"] if receipt["part"] == part]
        return found  # type: ignore[no-any-return]


def gone(pid: int, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
