from __future__ import annotations

import functools
import os
import pickle
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import peak_trade
from peak_trade.errors import InputError
from peak_trade.strategies import entrypoint, load_entrypoint, resolve, source_digest

OWN = "def decide(bars, size=1.0):\n    return [size] * len(bars)\n"


@pytest.fixture(autouse=True)
def _modules_as_before():
    before = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _refused(spec, *bases):
    with pytest.raises(InputError) as caught:
        load_entrypoint(spec, bases)
    return caught.value


# A file


def test_a_file_is_found_from_a_base_folder(tmp_path):
    _write(tmp_path / "mine/own.py", OWN)
    assert load_entrypoint("mine/own.py:decide", [tmp_path])([0, 0]) == [1.0, 1.0]


def test_the_first_base_folder_that_holds_the_file_wins(tmp_path):
    _write(tmp_path / "b/own.py", "def decide(bars): return 'b'")
    _write(tmp_path / "c/own.py", "def decide(bars): return 'c'")
    bases = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    assert load_entrypoint("own.py:decide", bases)(None) == "b"


def test_a_file_is_not_looked_for_in_the_current_folder(tmp_path, monkeypatch):
    _write(tmp_path / "own.py", OWN)
    monkeypatch.chdir(tmp_path)
    assert _refused("own.py:decide", tmp_path / "elsewhere").message == "strategy file own.py does not exist"


def test_an_absolute_path_needs_no_base_folder(tmp_path):
    path = _write(tmp_path / "own.py", OWN)
    assert load_entrypoint(f"{path}:decide", [])([0]) == [1.0]


def test_a_file_may_import_the_modules_beside_it(tmp_path):
    _write(tmp_path / "helper_beside.py", "SIZE = 0.5")
    _write(tmp_path / "package_beside/inner.py", "SIZE = 0.25")
    text = "from helper_beside import SIZE\nfrom package_beside.inner import SIZE as OTHER\n"
    _write(tmp_path / "own.py", text + "def decide(bars): return SIZE + OTHER")
    assert load_entrypoint("own.py:decide", [tmp_path])(None) == 0.75


def test_a_module_beside_the_file_never_takes_the_place_of_an_installed_one(tmp_path):
    _write(tmp_path / "colorsys.py", "rgb_to_hsv = None")
    _write(tmp_path / "own.py", "import colorsys\ndef decide(bars): return colorsys.__file__")
    assert not Path(load_entrypoint("own.py:decide", [tmp_path])(None)).is_relative_to(tmp_path)


def test_two_files_have_each_their_own_helpers(tmp_path):
    for side in ("a", "b"):
        _write(tmp_path / side / "helpers_of_own.py", f"SIDE = '{side}'")
        _write(tmp_path / side / "own.py", "from helpers_of_own import SIDE\ndef decide(bars): return SIDE")
    first, second = (load_entrypoint(f"{side}/own.py:decide", [tmp_path]) for side in ("a", "b"))
    assert (first(None), second(None)) == ("a", "b")


def test_nothing_that_python_searches_is_changed_by_a_load(tmp_path):
    _write(tmp_path / "helper_once.py", "")
    _write(tmp_path / "own.py", "import helper_once\n" + OWN)
    before = list(sys.path), list(sys.meta_path)
    load_entrypoint("own.py:decide", [tmp_path])
    assert (sys.path, sys.meta_path) == before


def test_nothing_that_python_searches_is_changed_by_a_load_that_fails(tmp_path):
    _write(tmp_path / "own.py", "raise KeyError")
    before = list(sys.path), list(sys.meta_path), set(sys.modules)
    with pytest.raises(KeyError):
        load_entrypoint("own.py:decide", [tmp_path])
    assert (sys.path, sys.meta_path, set(sys.modules)) == before


def test_a_file_that_was_edited_within_the_second_to_the_same_size_runs_as_edited(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # else there would be no stale byte-code to fall for
    path = _write(tmp_path / "own.py", "def decide(bars): return 1")
    _write(tmp_path / "beside_edited.py", "X = 1")
    _write(tmp_path / "user.py", "from beside_edited import X\ndef decide(bars): return X")
    load_entrypoint("own.py:decide", [tmp_path])
    load_entrypoint("user.py:decide", [tmp_path])
    for edited, text in ((path, "def decide(bars): return 2"), (tmp_path / "beside_edited.py", "X = 2")):
        times = edited.stat()
        edited.write_text(text)
        os.utime(edited, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load_entrypoint("own.py:decide", [tmp_path])(None) == 2
    assert load_entrypoint("user.py:decide", [tmp_path])(None) == 2


def test_a_dataclass_in_the_file_works_and_can_be_pickled(tmp_path):
    text = (
        "from __future__ import annotations\nfrom dataclasses import KW_ONLY, dataclass\n"
        "@dataclass\nclass State:\n    n: int\n    _: KW_ONLY\n    m: int = 0\n"
        "def decide(bars): return State(3)\n"
    )
    _write(tmp_path / "own.py", text)
    state = load_entrypoint("own.py:decide", [tmp_path])(None)
    assert pickle.loads(pickle.dumps(state)) == state


def test_a_file_does_not_become_main(tmp_path):
    _write(tmp_path / "own.py", OWN + "if __name__ == '__main__':\n    raise SystemExit(3)\n")
    assert load_entrypoint("own.py:decide", [tmp_path])([0]) == [1.0]


def test_a_file_that_does_not_exist_is_refused_with_where_it_was_looked_for(tmp_path):
    error = _refused("no/own.py:decide", tmp_path / "a", tmp_path / "b")
    assert error.message == "strategy file no/own.py does not exist"
    assert error.hint == f"looked in {tmp_path / 'a'}, {tmp_path / 'b'}"


def test_a_function_that_does_not_exist_is_refused_with_the_nearest(tmp_path):
    _write(tmp_path / "own.py", OWN)
    error = _refused("own.py:decid", tmp_path)
    assert error.message == "no function `decid` in own.py"
    assert error.hint == "did you mean `decide`?"


def test_a_file_without_any_function_says_so(tmp_path):
    _write(tmp_path / "own.py", "x = 1")
    assert _refused("own.py:decide", tmp_path).hint == "there is no function in it"


@pytest.mark.parametrize(
    "text, kind", [("decide = 5", "of type int"), ("class decide: pass", "a class without generate_signals")]
)
def test_what_is_no_function_is_refused(tmp_path, text, kind):
    _write(tmp_path / "own.py", text)
    assert _refused("own.py:decide", tmp_path).message == f"`decide` in own.py is {kind}, not a function"


@pytest.mark.parametrize("spec", ["own.py", "own.py:", ":decide", "", ":"])
def test_what_names_no_function_is_refused(tmp_path, spec):
    error = _refused(spec, tmp_path)
    assert error.message == f"entrypoint {spec!r} does not name a function in a module"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("raise KeyError('mine')", KeyError),
        ("def decide(bars:", SyntaxError),
        ("import not_installed_anywhere", ModuleNotFoundError),
        ("raise SystemExit(3)", SystemExit),
    ],
)
def test_what_the_users_file_raises_comes_through_unchanged(tmp_path, text, expected):
    _write(tmp_path / "own.py", text)
    with pytest.raises(expected) as caught:
        load_entrypoint("own.py:decide", [tmp_path])
    assert type(caught.value) is expected


# A module


def test_an_installed_module_is_imported():
    assert load_entrypoint("peak_trade.strategies.macd:macd", []) is resolve("macd")


def test_a_module_is_found_from_a_base_folder(tmp_path):
    _write(tmp_path / "own_module.py", OWN)
    assert load_entrypoint("own_module:decide", [tmp_path / "empty", tmp_path])([0]) == [1.0]


def test_a_package_in_a_base_folder_may_import_within_itself(tmp_path):
    _write(tmp_path / "own_package/__init__.py", "")
    _write(tmp_path / "own_package/sizes.py", "SIZE = 0.5")
    text = "from .sizes import SIZE\ndef decide(bars):\n    from . import later\n    return SIZE + later.MORE\n"
    _write(tmp_path / "own_package/rules.py", text)
    _write(tmp_path / "own_package/later.py", "MORE = 0.25")
    assert load_entrypoint("own_package.rules:decide", [tmp_path])(None) == 0.75


def test_a_package_wins_over_a_plain_folder_of_the_same_name(tmp_path):
    (tmp_path / "a/own_choice").mkdir(parents=True)
    _write(tmp_path / "b/own_choice/__init__.py", OWN)
    assert load_entrypoint("own_choice:decide", [tmp_path / "a", tmp_path / "b"])([0]) == [1.0]


@pytest.mark.parametrize(
    "module", ["nowhere_at_all", "nowhere_at_all.rules", "peak_trade.strategies.nowhere", "../own"]
)
def test_a_module_that_does_not_exist_is_refused(tmp_path, module):
    error = _refused(f"{module}:decide", tmp_path)
    assert error.message == f"strategy module {module} does not exist"
    assert str(tmp_path) in error.hint and "path/to/file.py" in error.hint


def test_an_import_that_fails_inside_the_module_comes_through_unchanged(tmp_path):
    _write(tmp_path / "own_broken.py", "import not_installed_anywhere")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_entrypoint("own_broken:decide", [tmp_path])


def test_a_function_that_a_module_does_not_have_is_refused():
    assert _refused("peak_trade.strategies.macd:mcad").hint == "did you mean `macd`?"


@given(st.text(max_size=20))
@example("a\0b:c")
@example("a\0b.py:c")
@example("..:x")
@example(".a.b:x")
@example("a..b:x")
@example("~/x.py:f")
@example("\ud800:f")
@example("\ud800.py:f")
@example("x" * 5_000 + ".py:f")
@example("x" * 5_000 + ":f")
def test_no_text_leads_to_anything_but_a_sentence(spec):
    with pytest.raises(InputError):
        load_entrypoint(f"zz_{spec}" if spec[:1].isalpha() else spec, [Path("/nonexistent")])


# The digest


def test_the_digest_is_that_of_the_file_by_its_place_in_the_root(tmp_path):
    path = _write(tmp_path / "mine/own.py", OWN)
    function = load_entrypoint("mine/own.py:decide", [tmp_path])
    assert source_digest(function, tmp_path) == {
        "name": "decide",
        "file": "mine/own.py",
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }


def test_a_registered_strategy_has_a_digest_of_its_own_file():
    root = Path(peak_trade.__file__).parents[1]
    digest = source_digest(resolve("macd"), root)
    assert digest["file"] == "peak_trade/strategies/macd.py"
    assert digest["sha256"] == sha256((root / "peak_trade/strategies/macd.py").read_bytes()).hexdigest()


def test_a_file_outside_the_root_is_named_without_its_folder(tmp_path):
    _write(tmp_path / "secret/own.py", OWN)
    function = load_entrypoint("secret/own.py:decide", [tmp_path])
    assert source_digest(function, tmp_path / "root")["file"] == "own.py"
    assert source_digest(function)["file"] == "own.py"


def test_the_digest_is_of_the_bytes_that_ran(tmp_path):
    path = _write(tmp_path / "own.py", OWN)
    function = load_entrypoint("own.py:decide", [tmp_path])
    path.write_text("something else")
    assert source_digest(function)["sha256"] == sha256(OWN.encode()).hexdigest()


def test_a_decorated_function_has_the_digest_of_the_one_inside(tmp_path):
    _write(tmp_path / "own.py", OWN)
    function = load_entrypoint("own.py:decide", [tmp_path])

    @functools.wraps(function)
    def wrapped(*args):
        return function(*args)

    assert source_digest(wrapped) == source_digest(function)
    assert source_digest(functools.partial(function, size=2))["sha256"] == source_digest(function)["sha256"]


def test_an_object_that_can_be_called_has_the_digest_of_its_class(tmp_path):
    _write(tmp_path / "own.py", "class Model:\n    def __call__(self, bars): return 1\ndecide = Model()\n")
    digest = source_digest(load_entrypoint("own.py:decide", [tmp_path]))
    assert (digest["name"], digest["file"]) == ("Model", "own.py")


def test_a_function_without_python_source_has_no_digest():
    assert source_digest(len) == {"name": "len", "file": None, "sha256": None}
    exec("def made_up(bars): return bars", scope := {})  # noqa: S102 - a function that no file holds
    assert source_digest(scope["made_up"]) == {"name": "made_up", "file": None, "sha256": None}


def test_sealed_code_takes_the_place_of_strategies_and_of_nothing_else_here(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text("WHOSE = 'a stranger'\n", encoding="utf-8")
    ours = ["peak_trade", "peak_trade.engine", "peak_trade.evidence.tables", "peak_trade.strategies.checks"]
    before = [import_module(name) for name in ours]
    with entrypoint.sealed(dict.fromkeys([*ours, "peak_trade.strategies.macd"], fake), None):
        assert [import_module(name) for name in ours] == before
        assert import_module("peak_trade.strategies.macd").WHOSE == "a stranger"  # the control
    assert not hasattr(import_module("peak_trade.strategies.macd"), "WHOSE")
