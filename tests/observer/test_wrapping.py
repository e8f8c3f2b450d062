"""Around a function: what comes of it is its own, whatever the one that watches does."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peak_trade.observer import hooks, note, wrapping
from peak_trade.record.spool import frames


class Engine:
    def run(self, x: int = 1) -> int:
        """Twice."""
        if x < 0:
            raise ValueError("below zero")
        if x == 0:
            warnings.warn("nothing", stacklevel=2)
        return 2 * x

    @classmethod
    def made(cls, x: int) -> Any:
        return cls, x


@pytest.fixture
def engine() -> type[Engine]:
    return type("Own", (), dict(vars(Engine)))


@pytest.fixture
def noting(tmp_path: Path) -> note.Note:
    return note.Note(str(tmp_path))


def told(tmp_path: Path) -> list[tuple[str, str]]:
    return [
        (frame.kind, str(frame.header.get("reason", frame.header.get("value"))))
        for file in tmp_path.iterdir()
        for frame in frames(file)
    ]


def test_a_call_is_seen_with_what_it_was_given_and_what_came_of_it(
    engine: Any, noting: note.Note, tmp_path: Path
) -> None:
    def seen(self: Any, x: int = 1) -> Iterator[Any]:
        result = yield
        noting.write("trial", {"value": [x, result]})

    wrapping.watch(engine, "run", seen, noting)
    assert engine().run(x=3) == 6
    assert engine.run.__doc__ == "Twice."
    assert told(tmp_path) == [("trial", "[3, 6]")]


def test_an_error_is_seen_and_is_the_callers(engine: Any, noting: note.Note, tmp_path: Path) -> None:
    def seen(self: Any, x: int) -> Iterator[Any]:
        try:
            yield
        except ValueError as error:
            noting.write("trial", {"value": str(error)})
            raise

    wrapping.watch(engine, "run", seen, noting)
    with pytest.raises(ValueError, match="below zero"):
        engine().run(-1)
    assert told(tmp_path) == [("trial", "below zero")]


@pytest.mark.parametrize("after", [False, True])
def test_what_breaks_in_a_watcher_is_one_warning(engine: Any, noting: note.Note, tmp_path: Path, after: bool) -> None:
    def seen(self: Any, x: int) -> Iterator[Any]:
        if after:
            yield
        raise KeyError("ours")

    wrapping.watch(engine, "run", seen, noting)
    assert [engine().run(1), engine().run(2)] == [2, 4]
    assert told(tmp_path) == [("warning", "KeyError: 'ours'")]


def test_class_methods_stay_what_they_are(engine: Any, noting: note.Note) -> None:
    def seen(cls: Any, x: int) -> Iterator[Any]:
        yield

    wrapping.watch(engine, "made", seen, noting)
    assert engine.made(3) == (engine, 3)


def test_of_calls_within_calls_only_the_outermost_is_seen(engine: Any, noting: note.Note, tmp_path: Path) -> None:
    def seen(self: Any, x: int) -> Iterator[Any]:
        yield
        noting.write("trial", {"value": x})

    engine.twice = lambda self, x: self.run(x) + self.run(x)
    inside = wrapping.Inside()
    wrapping.watch(engine, "run", seen, noting, inside=inside)
    wrapping.watch(engine, "twice", seen, noting, inside=inside)
    assert engine().twice(4) == 16
    assert engine().run(5) == 10
    assert told(tmp_path) == [("trial", "4"), ("trial", "5")]


def test_a_warning_is_about_the_line_that_called(engine: Any, noting: note.Note) -> None:
    def seen(self: Any, x: int) -> Iterator[Any]:
        yield

    wrapping.watch(engine, "run", seen, noting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine().run(0)
    assert caught[0].filename == __file__


def test_every_module_of_the_observer_reads_in_python_3_9_and_imports_the_standard_library_alone() -> None:
    import ast

    folder = Path(hooks.__file__).parent
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                named = [str(node.module)]
            own = path.parent.name == "engines"  # which meet their engine there, with what it needs
            for name in named:
                top = name.partition(".")[0]
                assert own or top in sys.stdlib_module_names or top in ("sitecustomize", "peak_observer"), (path, name)
