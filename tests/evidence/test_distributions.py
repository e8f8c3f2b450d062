"""Which distributions a process has imported, held against what Python's own package says."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

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
