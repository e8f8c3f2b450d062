"""Which distributions a process has imported, held against what Python's own package says."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade.evidence.distributions import imported

SHOW = "import json, sys; from peak_trade.evidence.distributions import imported; print(json.dumps(imported()))"


def asked(code: str) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_a_process_has_what_it_has_imported_and_no_more() -> None:
    assert asked(SHOW) == {}
    assert {"numpy", "msgspec"} <= asked("import numpy, msgspec\n" + SHOW).keys()
    assert "pytest" not in asked("import numpy, msgspec\n" + SHOW)


def test_versions_are_those_that_python_itself_tells() -> None:
    found = imported()
    assert {"numpy", "msgspec", "pytest"} <= found.keys()
    for name, version in found.items():
        assert importlib.metadata.version(name) == version


@pytest.mark.parametrize(("module", "distribution"), [("yaml", "pyyaml"), ("dateutil", "python_dateutil")])
def test_a_module_of_another_name_than_its_distribution(module: str, distribution: str) -> None:
    pytest.importorskip(module)
    names = {name.lower() for name in asked(f"import {module}\n{SHOW}")}
    assert distribution in names
    assert distribution not in {name.lower() for name in asked(SHOW)}


def test_it_is_what_pythons_own_package_finds_for_the_modules_that_are_there() -> None:
    of = importlib.metadata.packages_distributions()
    tops = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
    theirs = {name.lower().replace("-", "_") for top in tops for name in of.get(top, ()) if name != "peak-trade"}
    ours = {name.lower().replace("-", "_") for name in imported()}
    assert ours <= theirs


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages, as an installer leaves it."""
    folder = tmp_path / "site-packages"
    for name, text in {
        "shared/one/__init__.py": "",
        "shared/two/__init__.py": "",
        "shared_one-1.5.dist-info/RECORD": "shared/one/__init__.py,,\nshared_one-1.5.dist-info/RECORD,,\n",
        "shared_two-2.5.dist-info/RECORD": "shared/two/__init__.py,,\nshared_two-2.5.dist-info/RECORD,,\n",
        "of_old.py": "",
        "of_old-0.1-py3.11.egg-info/PKG-INFO": "Name: of-old\nVersion: 0.1\n",
        "nameless.py": "",
        "nameless.egg-info/PKG-INFO": "Name: nameless\nVersion: 7\n",
        "stray.py": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def shown(folder: Path, modules: str) -> str:
    return f"import sys; sys.path.append({str(folder)!r})\nimport {modules}\n{SHOW}"


def test_of_several_that_share_a_name_it_is_those_whose_files_are_there(site: Path) -> None:
    assert asked(shown(site, "shared.two")) == {"shared_two": "2.5"}
    assert asked(shown(site, "shared.one, shared.two")) == {"shared_one": "1.5", "shared_two": "2.5"}


def test_records_of_older_installers_count(site: Path) -> None:
    assert asked(shown(site, "of_old, nameless")) == {"of_old": "0.1", "nameless": "7"}


def test_what_is_carried_along_in_a_folder_of_ones_own_is_named_too(site: Path) -> None:
    vendored = site.rename(site.parent / "vendored")
    assert asked(shown(vendored, "shared.one, stray")) == {"shared_one": "1.5"}


def test_a_module_among_them_that_is_no_distributions_is_a_stray(site: Path) -> None:
    text = shown(site, "stray, of_old").replace("imported", "strays").replace("strays())", "dict.fromkeys(strays()))")
    assert asked(text) == {"stray": None}


def test_a_folder_that_a_program_took_out_of_its_path_again_counts(site: Path) -> None:
    """As a strategy does that brings its own pandas: what it computed with is named, in its version."""
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import shared.one; del sys.path[0]\n{SHOW}"
    assert asked(code) == {}  # a namespace has no file: nothing tells where it came from
    (site / "carried").mkdir()
    (site / "carried" / "__init__.py").write_text("")
    (site / "carried-2.3.0.dist-info").mkdir()
    (site / "carried-2.3.0.dist-info" / "RECORD").write_text("carried/__init__.py,,\n")
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import carried; del sys.path[0]\n{SHOW}"
    assert asked(code) == {"carried": "2.3.0"}


LATER = """
import json, sys
sys.path.append({folder!r})
from peak_trade.evidence import distributions
asked, looks, real = distributions.Imported(), [], distributions._owners
distributions._owners = lambda: looks.append(1) or real()
told = []
def tell():
    told.append([asked.versions(), sorted(asked.strays()), len(looks)])
tell(); tell()
{code}
tell()
print(json.dumps(told))
"""


def later(folder: Path, code: str) -> list[list[object]]:
    """Return what is told of a process at first, again, and after some code, and how often it was looked up by then."""
    done = subprocess.run(
        [sys.executable, "-c", LATER.format(folder=str(folder), code=code)], capture_output=True, text=True, check=True
    )
    told: list[list[object]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    ("code", "versions", "strays"),
    [("import shared.two", {"shared_two": "2.5"}, []), ("import stray", {}, ["stray"]),
     ("import of_old", {"of_old": "0.1"}, [])],
)  # fmt: skip
def test_what_is_imported_after_it_was_asked_is_told_from_then_on(
    site: Path, code: str, versions: dict[str, str], strays: list[str]
) -> None:
    first, again, after = later(site, code)
    assert first == again == [{}, [], 1]
    assert after == [versions, strays, 2]


def test_what_is_gone_again_is_told_no_more(site: Path) -> None:
    code = "import of_old\nasked.versions()\ndel sys.modules['of_old']"
    assert later(site, code)[-1] == [{}, [], 3]


def test_a_persons_own_module_is_nothing_to_look_up_again_for(site: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("")
    code = (
        "import importlib.util as util\n"
        f"spec = util.spec_from_file_location('mine', {str(tmp_path / 'own' / 'mine.py')!r})\n"
        "sys.modules['mine'] = util.module_from_spec(spec)"
    )
    assert later(site, code)[-1] == [{}, [], 1]
