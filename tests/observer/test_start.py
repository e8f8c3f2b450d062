"""A command that is watched starts as it does without: its own customisations run, its imports are its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import peak_trade.observer
from peak_trade.record.spool import Frame, frames

SITE = Path(peak_trade.observer.__file__).parent / "site"


def run(tmp_path: Path, *words: str, paths: tuple[str, ...] = (), watched: bool = True, **variables: str) -> str:
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    given = [str(SITE), *paths] if watched else paths
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(given), **variables)
    if watched:
        environment["PEAK_RECORD_SPOOL"] = str(spool)
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def noted(tmp_path: Path, kind: str) -> list[Frame]:
    files = sorted((tmp_path / "spool").iterdir())
    return [frame for file in files if file.suffix == ".frames" for frame in frames(file) if frame.kind == kind]


def test_what_a_script_sees_of_python_is_as_it_is_without(tmp_path: Path) -> None:
    say = "import sys; print(sys.path, sys.modules.get('sitecustomize'), sys.flags)"
    assert run(tmp_path, "-c", say) == run(tmp_path, "-c", say, watched=False)
    assert [frame.header["how"] for frame in noted(tmp_path, "process")] == ["start"]


def test_the_customisations_of_the_command_still_run(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("sitecustomize", "usercustomize"):
        (own / f"{name}.py").write_text(f"print({name!r})\n")
    # a virtual environment has no usercustomize, but for one that is asked for
    say = "import sys; print(sys.modules['sitecustomize'].__file__)"
    seen = run(tmp_path, "-c", say, paths=(str(own),))
    assert seen == run(tmp_path, "-c", say, paths=(str(own),), watched=False)
    assert "sitecustomize\n" in seen and str(own) in seen
    assert noted(tmp_path, "process")


def test_a_customisation_that_fails_is_told_as_without(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("raise ValueError('mine')\n")
    seen = run(tmp_path, "-c", "pass", paths=(str(own),))
    assert seen == run(tmp_path, "-c", "pass", paths=(str(own),), watched=False)
    assert "mine" in seen


def test_a_folder_for_notes_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert (
        run(tmp_path, "-c", "print(1)", PEAK_RECORD_SPOOL=str(tmp_path / "none"), paths=(str(SITE),), watched=False)
        == "1\n"
    )


ENGINE = """
import backtesting.backtesting as engine, importlib, importlib.resources, importlib.util, sys, warnings
loaders = engine.__loader__, engine.__spec__.loader
said = [type(loaders[0]).__name__, type(loaders[1]).__name__, loaders[0] is loaders[1]]
said.append(importlib.resources.files('backtesting').joinpath('__init__.py').is_file())
again = importlib.reload(engine)
said += [again is engine, type(engine.__loader__).__name__, engine.Backtest().run(2)]
warnings.filterwarnings('error', module='__main__')
try:
    engine.Backtest().run(0)
    said.append('no warning')
except UserWarning as warned:
    said.append(str(warned))
print(said)
"""


@pytest.fixture
def engine(tmp_path: Path) -> str:
    """A package that is called as an engine is."""
    package = tmp_path / "packages" / "backtesting"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '0.0'\n")
    (package / "backtesting.py").write_text(
        "import warnings\nclass Backtest:\n    def run(self, x):\n"
        "        if not x: warnings.warn('nothing', stacklevel=2)\n        return x * 2\n"
    )
    return str(package.parent)


def test_an_engine_is_imported_as_it_is_without(tmp_path: Path, engine: str) -> None:
    seen = run(tmp_path, "-c", ENGINE, paths=(engine,))
    assert seen == run(tmp_path, "-c", ENGINE, paths=(engine,), watched=False)
    assert "['SourceFileLoader', 'SourceFileLoader', True, True, True, 'SourceFileLoader', 4, 'nothing']" in seen


def test_engines_are_left_alone_where_none_is_wanted(tmp_path: Path, engine: str) -> None:
    say = "import sys; print(any('peak_observer' in type(one).__module__ for one in sys.meta_path))"
    assert run(tmp_path, "-c", say, paths=(engine,), PEAK_RECORD_ENGINE="off") == "False\n"
    assert run(tmp_path, "-c", say, paths=(engine,)) == "True\n"
