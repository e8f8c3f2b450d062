"""What the tests of the repository itself share: where it is, and its tools on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run(root: Path) -> Run:
    """Run a command in the checkout, with the tools of this environment first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def started(*command: str, cwd: Path = root, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path, **settings}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )

    return started


@pytest.fixture(scope="session")
def justfile(run: Run) -> dict[str, Any]:
    """The justfile as `just` itself describes it."""
    described: dict[str, Any] = json.loads(run("just", "--dump", "--dump-format", "json").stdout)
    return described


@pytest.fixture(scope="session")
def recipes(justfile: dict[str, Any]) -> dict[str, Any]:
    """The public recipes by name."""
    return {name: recipe for name, recipe in justfile["recipes"].items() if not recipe["private"]}


@pytest.fixture(scope="session")
def files(run: Run, root: Path) -> list[str]:
    """Every file that is tracked or could be: what git does not ignore, and is still there."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    return [name for name in listed.strip("\0").split("\0") if (root / name).is_file()]
