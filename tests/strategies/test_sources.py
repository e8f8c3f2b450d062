"""What a strategy is made from: its file, and all that it imports and nobody has installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peak_trade.strategies import load_entrypoint, resolve
from peak_trade.strategies.sources import Source, sources

STRATEGY = """
import json
import numpy as np
from helpers import half
import toolbox.deep


def decide(bars):
    import late
    return np.full(len(bars), half() * late.ONE)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of modules; those of the tests before, which have their names, are gone as in a process of its own."""
    before = set(sys.modules)
    for name, text in {
        "own.py": STRATEGY,
        "helpers.py": "from numbers_of import TWO\ndef half():\n    return 1 / TWO\n",
        "numbers_of.py": "TWO = 2\n",
        "unused.py": "",
        "toolbox/__init__.py": "",
        "toolbox/deep.py": "import toolbox.side\n",
        "toolbox/side.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names(found: list[Source], folder: Path) -> list[str]:
    return [source.path.relative_to(folder).as_posix() for source in found]


def test_a_strategy_is_its_file_and_what_that_imports(folder: Path) -> None:
    before = frozenset(sys.modules)
    function = load_entrypoint("own.py:decide", [folder])
    found = sources(function, before)
    expected = ["helpers.py", "numbers_of.py", "own.py", "toolbox/__init__.py", "toolbox/deep.py", "toolbox/side.py"]
    assert names(found, folder) == expected
    assert [source.content for source in found] == [(folder / name).read_bytes() for name in expected]
    assert [source.module for source in found if source.path.name != "own.py"] == [
        "helpers", "numbers_of", "toolbox", "toolbox.deep", "toolbox.side"
    ]  # fmt: skip


def test_what_was_there_before_counts_where_the_strategy_has_it(folder: Path) -> None:
    function = load_entrypoint("own.py:decide", [folder])
    assert "helpers.py" in names(sources(function, sys.modules), folder)
    assert "toolbox/side.py" in names(sources(function, sys.modules), folder)  # by the names of its package


def test_what_is_imported_for_a_number_alone_counts_in_each_run_of_a_process(folder: Path) -> None:
    (folder / "toolbox" / "side.py").write_text("from .near import FOUR\n")
    (folder / "toolbox" / "near.py").write_text("FOUR = 4\n")
    for _ in range(2):
        found = names(sources(load_entrypoint("own.py:decide", [folder]), sys.modules), folder)
        assert {"numbers_of.py", "toolbox/near.py"} <= set(found)
        assert "unused.py" not in found


def test_what_a_strategy_imports_while_it_runs_counts_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "late.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(elsewhere)
    before = frozenset(sys.modules)
    function = load_entrypoint("own.py:decide", [folder])
    assert "elsewhere/late.py" not in names(sources(function, before), folder)
    function(range(3))
    assert "elsewhere/late.py" in names(sources(function, before), folder)
    monkeypatch.delitem(sys.modules, "late")


def test_it_is_what_ran_and_not_what_was_saved_since(folder: Path) -> None:
    function = load_entrypoint("own.py:decide", [folder])
    (folder / "own.py").write_text("changed")
    (folder / "helpers.py").write_text("changed")
    found = {source.path.name: source.content for source in sources(function, sys.modules)}
    assert found["own.py"] == STRATEGY.encode()
    assert found["helpers.py"] and b"TWO" in found["helpers.py"]


def test_of_a_strategy_that_could_not_be_loaded_it_is_what_was_begun(folder: Path) -> None:
    (folder / "own.py").write_text("import helpers\n1 / 0\n")
    before = frozenset(sys.modules)
    with pytest.raises(ZeroDivisionError):
        load_entrypoint("own.py:decide", [folder])
    assert names(sources(None, before), folder) == ["helpers.py", "numbers_of.py", "own.py"]


def test_the_strategy_before_is_no_part_of_this_one(folder: Path) -> None:
    load_entrypoint("own.py:decide", [folder])
    (folder / "other.py").write_text("def decide(bars):\n    return bars\n")
    function = load_entrypoint("other.py:decide", [folder])
    assert names(sources(function, sys.modules), folder) == ["other.py"]


def test_a_registered_strategy_is_its_module_and_those_of_its_siblings_that_it_has() -> None:
    found = sources(resolve("sma_crossover"), sys.modules)
    assert [source.module.removeprefix("peak_trade.strategies.") for source in found] == [
        "rolling", "signals", "sma_crossover"
    ]  # fmt: skip
    assert all(source.content for source in found)


def test_a_function_without_a_module_is_made_from_no_file() -> None:
    scope: dict[str, object] = {}
    exec("def made_up(bars): return bars", scope)  # noqa: S102 - a function that no file holds
    assert sources(scope["made_up"], sys.modules) == []  # type: ignore[arg-type]
