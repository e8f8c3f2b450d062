"""Classes with `generate_signals`, and files that import from the package that they are of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peak_trade.errors import InputError
from peak_trade.strategies import check_params, load_entrypoint, reaching, source_digest


@pytest.fixture(autouse=True)
def no_modules_stay() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


CROSS = """
class Base:
    threshold = 0.5
    _hidden = 1
    def generate_signals(self, df, scale: float = 2.0):
        return [self.fast, self.slow, self.threshold, scale, df]

class Cross(Base):
    def __init__(self, fast: int = 10, slow: int = 30):
        self.fast, self.slow = fast, slow

class Holds:
    def __init__(self, symbol, bars, window=5):
        self.symbol, self.bars, self.window = symbol, bars, window
    def generate_signals(self):
        return [self.symbol, self.bars, self.window]

class Nothing:
    def generate_signals(self):
        return []

made = Cross(1, 2)

class Bound:
    fast = 5
    @classmethod
    def generate_signals(cls, bars):
        return cls.fast

class ByName:
    fast = 5
    def generate_signals(self, bars):
        return ByName.fast

class Early:
    __slots__ = ("twice",)
    fast = 5
    def __init__(self):
        self.twice = 2 * self.fast
    def generate_signals(self, bars):
        return self.twice

class Kid(Bound):
    pass

class Replaced:
    fast = 5
    def __init__(self):
        self.fast = 9
    def generate_signals(self, bars):
        return self.fast
"""


def test_a_class_is_made_with_its_parameters_and_asked(tmp_path: Path) -> None:
    write(tmp_path, {"own.py": CROSS})
    strategy = load_entrypoint("own.py:Cross", [tmp_path])
    params = check_params(strategy, {"fast": 3, "threshold": 0.25})
    assert params == {"fast": 3, "slow": 30, "scale": 2.0, "threshold": 0.25}
    assert strategy("bars", **params) == [3, 30, 0.25, 2.0, "bars"]
    assert strategy("bars", **check_params(strategy, {})) == [10, 30, 0.5, 2.0, "bars"]  # nothing stays of the other
    assert source_digest(strategy)["name"] == "Cross"
    assert source_digest(strategy)["file"] == "own.py"


@pytest.mark.parametrize(
    ("name", "usual", "told"), [("Bound", 5, 8), ("ByName", 5, 8), ("Early", 10, 16), ("Kid", 5, 8)]
)
def test_an_attribute_that_is_given_is_the_one_that_is_read(tmp_path: Path, name: str, usual: int, told: int) -> None:
    """From wherever: what is sealed as its value would else be none that was used."""
    write(tmp_path, {"own.py": CROSS})
    strategy = load_entrypoint(f"own.py:{name}", [tmp_path])
    assert strategy("bars", **check_params(strategy, {"fast": 8})) == told
    assert strategy("bars", **check_params(strategy, {})) == usual  # nothing stays of the other


def test_an_attribute_that_init_replaces_is_no_parameter(tmp_path: Path) -> None:
    write(tmp_path, {"own.py": CROSS})
    strategy = load_entrypoint("own.py:Replaced", [tmp_path])
    assert check_params(strategy, {}) == {}
    assert strategy("bars") == 9
    with pytest.raises(InputError, match=r"unknown parameter strategy\.params\.fast"):
        check_params(strategy, {"fast": 8})


def test_its_parameters_are_checked_by_name_and_kind(tmp_path: Path) -> None:
    write(tmp_path, {"own.py": CROSS})
    strategy = load_entrypoint("own.py:Cross", [tmp_path])
    with pytest.raises(InputError, match=r"unknown parameter strategy\.params\.fats") as error:
        check_params(strategy, {"fats": 3})
    assert error.value.hint == "did you mean `fast`?"
    with pytest.raises(InputError, match="fast is 'x', allowed: int"):
        check_params(strategy, {"fast": "x"})


def test_bars_go_to_init_where_the_method_takes_none(tmp_path: Path) -> None:
    write(tmp_path, {"own.py": CROSS})
    strategy = load_entrypoint("own.py:Holds", [tmp_path])
    assert strategy("bars", **check_params(strategy, {"symbol": "SPY"})) == ["SPY", "bars", 5]
    with pytest.raises(InputError, match="takes bars"):
        load_entrypoint("own.py:Nothing", [tmp_path])
    assert load_entrypoint("own.py:made", [tmp_path])("bars") == [1, 2, 0.5, 2.0, "bars"]


def test_a_class_of_another_engine_is_pointed_to_record(tmp_path: Path) -> None:
    write(tmp_path, {"own.py": "import backtesting\nclass Mine(backtesting.Strategy):\n    def next(self): pass\n"})
    write(tmp_path, {"backtesting.py": "class Strategy: pass\n"})
    with pytest.raises(
        InputError, match="`Mine` in own.py is a strategy of backtesting, which alone can run it"
    ) as error:
        load_entrypoint("own.py:Mine", [tmp_path])
    assert "just record -- python your_script.py" in str(error.value.hint)


def test_relative_imports_find_the_package_that_a_file_is_of(tmp_path: Path) -> None:
    own = "from .helpers import twice\ndef f(bars):\n    from .. import NAME\n    return twice(bars), NAME\n"
    write(
        tmp_path,
        {
            "lib/__init__.py": "NAME = 'lib'\n",
            "lib/core.py": "def twice(x): return 2 * x\n",
            "lib/strats/helpers.py": "from ..core import twice\n",
            "lib/strats/own.py": own,
        },
    )
    strategy = load_entrypoint("lib/strats/own.py:f", [tmp_path])
    with reaching():
        assert strategy(2) == (4, "lib")
    assert Path(str(sys.modules["lib.core"].__file__)) == tmp_path / "lib" / "core.py"


def test_a_package_of_the_same_name_is_not_taken_for_it(tmp_path: Path) -> None:
    write(tmp_path, {"json/own.py": "from .helpers import x\ndef f(bars): return x\n", "json/helpers.py": "x = 1\n"})
    with pytest.raises(InputError, match="imports from its own package `json`, and another one has that name") as error:
        load_entrypoint("json/own.py:f", [tmp_path])
    assert error.value.hint == "rename the folder json"
