"""What the tests of the repository itself share: where it is, and its tools on PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
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
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
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


@pytest.fixture(scope="session")
def checkout(root: Path, files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout for recipes, under a name that a shell would trip over.

    Its environment has the packages of this one and is taken for complete, so that no recipe installs anything.
    """
    path = tmp_path_factory.mktemp("Wörk 日本's $HOME") / "Peak Trade"
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, path / name)
    venv.create(path / ".venv", with_pip=False, symlinks=True)
    (path / ".venv" / "share").symlink_to(Path(sys.prefix) / "share")
    for tool in Path(sys.executable).parent.iterdir():
        if not (path / ".venv" / "bin" / tool.name).exists():
            (path / ".venv" / "bin" / tool.name).symlink_to(tool)
    packages = next((path / ".venv" / "lib").glob("python3*/site-packages"))
    lines = f"{path / 'src'}\n{Path(pytest.__file__).parents[1]}\n"  # the copy's own source is found first
    (packages / "checkout.pth").write_text(lines, encoding="utf-8")
    memory = path / ".venv" / "peak_trade"  # what set-up notes when it is done
    memory.mkdir()
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy2(path / name, memory)
    (memory / "state").write_text(f"{path}\nall\n", encoding="utf-8")
    return path
