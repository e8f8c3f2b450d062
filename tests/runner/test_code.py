"""The code of a run: every file that ran is sealed, as it ran, however it was loaded; what can't be is named."""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config, runner

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
calendar = "24/7"
[strategy]
entrypoint = "own.py:own"
"""
HERE = "import os, pathlib, sys\nhere = os.path.dirname(__file__)\n"
OWN = "\n\ndef own(bars):\n    return [0.0] * len(bars)\n"
BY_SPEC = (
    HERE + "from importlib.util import module_from_spec, spec_from_file_location\n"
    "spec = spec_from_file_location('helper', here + '/lib/helper.py')\n"
    "helper = module_from_spec(spec)\nspec.loader.exec_module(helper)\n"
)
BY_EXEC = HERE + "file = here + '/lib/helper.py'\nexec(compile(pathlib.Path(file).read_text(), file, 'exec'))\n"
BY_PATH = HERE + "import runpy\nrunpy.run_path(here + '/lib/helper.py')\n"
BY_SEARCH = HERE + "sys.path.insert(0, here + '/lib')\ntry:\n    import helper\nfinally:\n    del sys.path[0]\n"
EDITED = "import pathlib\npathlib.Path(__file__).write_text('#')\n"
DELETED = "import os\nos.remove(__file__)\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a strategy with files beside it, and returns its directory and the code's record."""
    before, searched = set(sys.modules), list(sys.path)

    def run(own: str, **beside: str | bytes) -> tuple[Path, dict[str, Any]]:
        rows = (f"2024-01-01T{hour:02}:00:00Z,100,101,99,100,1" for hour in range(24))
        text = "\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n"
        files = {"bars.csv": text, "c.toml": CONFIG, "own.py": own + OWN, **beside}
        for name, content in files.items():
            path = tmp_path / "work" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        root = tmp_path / "work"
        path = runner.run(config.load(root / "c.toml"), root=root, results=tmp_path / "results")
        whole = json.loads((path / "manifest.json").read_bytes())
        (code,) = (
            part for part in whole["predicate"]["buildDefinition"]["resolvedDependencies"] if part["name"] == "code"
        )
        return path, code["annotations"]

    yield run
    sys.path[:] = searched
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("own", [BY_SPEC, BY_EXEC, BY_PATH, BY_SEARCH])
@pytest.mark.parametrize("more", ["", EDITED, DELETED])
def test_what_ran_is_sealed_by_whatever_way_it_was_loaded(made: Any, own: str, more: str) -> None:
    helper = f"X = 1\n{more}"
    path, _ = made(own, **{"lib/helper.py": helper})
    assert (path / "code/lib/helper.py").read_text() == helper


@pytest.mark.parametrize("more", [EDITED, DELETED])
def test_so_is_the_strategy_itself_that_is_gone_or_another_by_now(made: Any, more: str) -> None:
    path, told = made(more)
    assert (path / "code/own.py").read_text() == more + OWN
    assert told["modules"] == {"own": "own.py"}


def test_control_a_file_that_was_only_read_is_no_code(made: Any) -> None:
    path, _ = made(HERE + "pathlib.Path(here + '/lib/helper.py').read_bytes()\n", **{"lib/helper.py": "X = 1\n"})
    assert [file.name for file in (path / "code").rglob("*.py")] == ["own.py"]


def test_code_that_calls_itself_a_file_of_another_kind_takes_none_along(made: Any) -> None:
    text = HERE + "exec(compile('1', here + '/notes.txt', 'exec'))\nexec(compile('1', '/dev/zero', 'exec'))\n"
    path, told = made(text, **{"notes.txt": "private"})
    assert [file.name for file in (path / "code").rglob("*.*")] == ["own.py"]
    assert "leftOut" not in told


def test_a_file_of_two_names_is_sealed_once_and_both_are_told(made: Any, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/linked.py").symlink_to("real.py")
    path, told = made("import linked, real\n", **{"real.py": "X = 1\n"})
    assert told["modules"] == {"own": "own.py", "linked": "real.py", "real": "real.py"}
    assert sorted(file.name for file in (path / "code").iterdir()) == ["own.py", "real.py"]


def test_what_is_no_source_is_left_out_with_its_digest(made: Any, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("X = 1\n")
    py_compile.compile(str(tmp_path / "helper.py"), str(tmp_path / "helper.pyc"))
    (tmp_path / "helper.py").unlink()
    content = (tmp_path / "helper.pyc").read_bytes()
    _, told = made(BY_SEARCH, **{"lib/helper.pyc": content})
    assert told["leftOut"] == [
        {"file": "lib/helper.pyc", "sha256": hashlib.sha256(content).hexdigest(), "reason": "it is no source"}
    ]


def test_a_module_of_an_archive_is_sealed_as_its_source(made: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "helpers.zip", "w") as archive:
        archive.writestr("helper.py", "X = 1\n")
    text = f"import sys\nsys.path.insert(0, {str(tmp_path / 'helpers.zip')!r})\nimport helper\n"
    path, told = made(text)
    assert (path / "code" / told["modules"]["helper"]).read_text() == "X = 1\n"


@pytest.mark.parametrize(
    "odd",
    [
        "class Odd(types.ModuleType):\n    def __getattr__(self, name): raise ImportError(name)\nodd = Odd('odd')\n",
        "class Odd:\n    def __getattr__(self, name): raise RuntimeError(name)\nodd = Odd()\n",
        "class Odd:\n    __slots__ = ()\n    __class__ = types.ModuleType\nodd = Odd()\n",
        "odd = None\n",
        "odd = types.ModuleType('odd')\nodd.__file__ = 3\n",
        "odd = types.ModuleType('odd')\nodd.__file__ = '/dev/zero'\n",
    ],
)
def test_a_module_that_tells_nothing_or_raises_stops_no_run(made: Any, odd: str) -> None:
    _, told = made(f"import sys, types\n{odd}sys.modules['odd'] = odd\n")
    assert told["modules"] == {"own": "own.py"} and "leftOut" not in told


def test_a_lazy_module_is_not_loaded_by_being_looked_at(made: Any) -> None:
    text = (
        HERE + "from importlib.util import LazyLoader, module_from_spec, spec_from_file_location\n"
        "spec = spec_from_file_location('lazy', here + '/lazy.py')\n"
        "spec.loader = LazyLoader(spec.loader)\nlazy = module_from_spec(spec)\nsys.modules['lazy'] = lazy\n"
        "spec.loader.exec_module(lazy)\n"
    )
    _, told = made(text, **{"lazy.py": "raise SystemExit(3)\n"})
    assert told["modules"] == {"own": "own.py", "lazy": "lazy.py"}


def test_the_script_that_was_started_is_none_of_the_code(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts/run_strategy_from_config.py"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    path, told = made("import __main__\n")
    assert told["modules"] == {"own": "own.py"}
    assert [file.name for file in (path / "code").rglob("*.py")] == ["own.py"]


def test_a_name_has_no_line_of_its_own_in_a_list_of_digests(made: Any) -> None:
    text = BY_EXEC.replace("helper.py", "hel\\nper.py")
    path, _ = made(text, **{"lib/hel\nper.py": "X = 1\n"})
    assert (path / "code/lib/hel_per.py").read_text() == "X = 1\n"


def test_each_repository_has_a_folder_and_a_commit_of_its_own(made: Any, tmp_path: Path) -> None:
    tops = [tmp_path / "one/lib", tmp_path / "two/lib", tmp_path / "work/nested"]
    for top, name in zip(tops, ("first", "second", "third"), strict=True):
        top.mkdir(parents=True)
        (top / f"{name}_of_all.py").write_text("X = 1\n")
        for words in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", "-C", str(top), *words], check=True, capture_output=True)
    commits = [
        subprocess.run(["git", "-C", str(top), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
        for top in tops
    ]
    text = f"import sys\nsys.path[:0] = {list(map(str, tops))}\nimport first_of_all, second_of_all, third_of_all\n"
    _, told = made(text)
    assert {one["folder"]: f"{one['commit']}\n" for one in told["repositories"]} == dict(
        zip(("lib", "2/lib", "nested"), commits, strict=True)
    )
    assert {name: told["modules"][name] for name in ("first_of_all", "second_of_all", "third_of_all")} == {
        "first_of_all": "lib/first_of_all.py",
        "second_of_all": "2/lib/second_of_all.py",
        "third_of_all": "nested/third_of_all.py",
    }


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages", "plain"])
def test_what_another_environment_has_installed_is_named_and_not_copied(made: Any, tmp_path: Path, folder: str) -> None:
    packages = tmp_path / "other" / folder
    (packages / "lent-2.5.dist-info").mkdir(parents=True)
    (packages / "lent-2.5.dist-info" / "RECORD").write_text("lent.py,,\n")
    (packages / "lent.py").write_text("X = 1\n")
    (packages / "stray.py").write_text("Y = 1\n")
    path, told = made(f"import sys\nsys.path.append({str(packages)!r})\nimport lent, stray\n")
    whole = json.loads((path / "manifest.json").read_bytes())
    environment = whole["predicate"]["buildDefinition"]["internalParameters"]["environment"]
    assert environment["distributions"]["lent"] == "2.5"
    assert ("lent" in told["modules"], "stray" in told["modules"]) == (folder == "plain", True)
