"""The recipe by which commands are recorded, in a copy of the checkout: it may bring its environment up to date."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.record.recorder import PYTHON, Recorder


def test_the_recipe_runs_what_was_typed_where_it_was_typed(checkout: Path, tmp_path: Path) -> None:
    record, programs = Recorder(tmp_path), tmp_path / "programs"
    programs.mkdir()
    mine = programs / "python"
    mine.write_text("#!/bin/sh\necho mine; pwd; echo $VIRTUAL_ENV\n")
    mine.chmod(0o755)
    own = {key: value for key, value in os.environ.items() if not key.startswith("PEAK_")}
    own |= {"PATH": f"{programs}:{os.environ['PATH']}", "PEAK_RESULTS_DIR": str(record.results), "VIRTUAL_ENV": "/mine"}
    words = [
        str(Path(PYTHON).with_name("just")),
        "--justfile",
        str(checkout / "justfile"),
        "record",
        "--quiet",
        "--",
        "python",
        "x.py",
    ]
    done = subprocess.run(words, cwd=record.stands, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"mine\n{record.stands.resolve()}\n/mine\n"), done.stderr
    assert done.stderr.splitlines()[-1] == record.run.name
