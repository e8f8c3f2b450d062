"""A suite that leaves something of itself in the checkout fails: shown with a suite and a checkout of a few files."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "test_quiet.py": "def test_quiet():\n    pass\n",
    "test_stores.py": """
import os
from pathlib import Path

def test_every_store_is_elsewhere():
    here = str(Path(__file__).parent)
    names = ("HOME", "PEAK_RESULTS_DIR", "PEAK_LAKE_DIR", "MLFLOW_TRACKING_URI")
    assert [name for name in names if here in os.environ[name]] == []
    assert "PEAK_OTEL_ENABLED" not in os.environ
    Path(os.environ["PEAK_RESULTS_DIR"]).mkdir(exist_ok=True)
""",
    "test_skipped.py": "import pytest\n\n@pytest.mark.needs('lake')\ndef test_asks():\n    pass\n",
    "test_imports.py": "import duckdb\n\ndef test_never_runs():\n    pass\n",
}
TOUCHED = {
    "results/new": "Path('results/new').mkdir()",
    "data/lake/runs.parquet": "Path('data/lake/runs.parquet').write_text('after!\\n')",
    "mlflow.db": "os.utime('mlflow.db', (1, 1))",
    "mlruns": "Path('mlruns').mkdir()",
    "config/my_strategy.toml": "Path('config/my_strategy.toml').unlink()",
    ".venv/peak_trade/state": "Path('.venv/peak_trade/state').touch()",
    ".venv/lib/python3.11/site-packages/new.dist-info": "next(Path('.venv/lib').glob('*/*/*')).rename("
    "'.venv/lib/python3.11/site-packages/new.dist-info')",
    ".venv/lib/python3.11/site-packages/numpy-2.dist-info": "pass",
    ".git/config": "subprocess.run(['git', 'config', 'user.name', 'x'], check=True)",
    ".git/hooks/pre-commit": "Path('.git/hooks/pre-commit').touch()",
}
WITHOUT_LAKE = """
import sys
from importlib import metadata
import pytest
sys.modules["duckdb"] = None
found = metadata.version
def version(name):
    if name == "duckdb":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.version = version
sys.exit(pytest.main(sys.argv[1:]))
"""


class Suite:
    """A checkout with stores and the suite's own conftest."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        shutil.copy(root / "conftest.py", path)
        (path / "pytest.ini").write_text("[pytest]\nmarkers = slow: too slow\n", "utf-8")
        packages = path / ".venv/lib/python3.11/site-packages"
        for name in ("results/a/manifest.json", "data/lake/runs.parquet", "mlflow.db", "config/my_strategy.toml"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text("before\n", "utf-8")
        for folder in (packages / "numpy-2.dist-info", path / ".venv/peak_trade"):
            folder.mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet"], cwd=path, check=True)

    def run(self, *words: str, program: tuple[str, ...] = ("-m", "pytest")) -> tuple[int, str]:
        """Run it, and return its exit code and what it said."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        kept |= {"PEAK_OTEL_ENABLED": "1", "HOME": str(self.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        for last in (False, False, True):
            try:
                done = subprocess.run(
                    [sys.executable, *program, "-q", "-p", "xdist", "-p", "no:cacheprovider", *words],
                    cwd=self.path,
                    env=kept,
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                break
            except subprocess.TimeoutExpired:
                if last or "-n" not in words:  # seen once, on a busy machine: all had passed, and the workers stayed
                    raise
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def suite(root: Path, tmp_path: Path) -> Suite:
    made = Suite(root, tmp_path)
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text, "utf-8")
    return made


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_suite_that_touches_nothing_passes_with_every_store_elsewhere(workers: tuple[str, ...], suite: Suite) -> None:
    code, said = suite.run("test_quiet.py", "test_stores.py", *workers)
    assert code == 0, said
    assert "2 passed" in said


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_whatever_is_touched_is_named_and_fails_a_suite_whose_tests_pass(
    workers: tuple[str, ...], suite: Suite
) -> None:
    acts = "".join(f"    {act}\n" for act in TOUCHED.values())
    test = f"import os, subprocess\nfrom pathlib import Path\n\ndef test_touches():\n{acts}"
    (suite.path / "test_touching.py").write_text(test, "utf-8")
    code, said = suite.run("test_touching.py", *workers)
    assert code == 1, said
    assert "1 passed, 1 error" in said
    named = said.partition("somebody else:\n")[2].partition("\n=")[0].splitlines()
    folders = {os.path.dirname(name) for name in named}
    assert {name for name in named if name not in folders} == TOUCHED.keys()


def test_a_test_that_needs_an_extra_is_skipped_by_its_name(suite: Suite) -> None:
    code, said = suite.run("-rs", "test_skipped.py", "test_imports.py", "test_quiet.py", program=("-c", WITHOUT_LAKE))
    assert code == 0, said
    assert said.count("needs the extra `lake`: just setup lake") == 2
    assert "1 passed, 2 skipped" in said


def test_where_every_extra_is_asked_for_a_missing_one_fails(suite: Suite) -> None:
    asked = ("--all-extras", "--continue-on-collection-errors")
    code, said = suite.run("test_skipped.py", "test_imports.py", *asked, program=("-c", WITHOUT_LAKE))
    assert code == 1, said
    assert "2 errors" in said


def test_what_the_everyday_loop_leaves_out_exists(root: Path) -> None:
    tree = ast.parse((root / "conftest.py").read_text(encoding="utf-8"))
    lists = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined] # names
    names = ast.literal_eval(lists["SLOW"])
    assert "lake" in names
    assert [name for name in names if not (root / "tests" / name).exists()] == []
