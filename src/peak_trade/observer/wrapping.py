"""Stand around a function of an engine, and see each call: what it was given, what came of it, or how it failed.

    def run(self, *args, **kwargs):     # a watcher: a generator, given what the call is given
        began = time.time_ns()
        stats = yield                   # the engine's own call; its error is raised here, and goes on to the caller
        note.write("trial", …)

    watch(Backtest, "run", run, note)

What breaks in a watcher is a warning, and the call goes on as if there were none.
"""

from __future__ import annotations

import functools
import inspect
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from .note import Note

__all__ = ["Inside", "unseen", "watch"]

_INTERNAL = "<peak_observer: importlib._bootstrap>"
"""`warnings` passes over frames of files that are named like this when it counts to the caller whom it warns."""


def watch(
    owner: Any,
    name: str,
    watcher: Callable[..., Generator[None, Any, None]],
    note: Note,
    *,
    inside: Inside | None = None,
) -> None:
    """Put a watched function in place of `owner.name` (a function, method, class method or static method).

    Of calls within calls of functions that share `inside`, only the outermost is watched.
    """
    static = inspect.getattr_static(owner, name)
    kind = type(static) if isinstance(static, (classmethod, staticmethod)) else None
    original = static.__func__ if kind else static
    part = f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', getattr(owner, '__name__', ''))}.{name}"
    depth = Inside() if inside is None else inside

    def watched(*args: Any, **kwargs: Any) -> Any:
        if inside is not None and depth.now:
            return original(*args, **kwargs)
        seen = _begun(watcher, args, kwargs, note, part)
        depth.now += 1
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            if seen is not None:
                _failed(seen, error, note, part)
            raise
        finally:
            depth.now -= 1
        if seen is not None:
            _ended(seen, result, note, part)
        return result

    watched = unseen(functools.wraps(original)(watched))
    setattr(owner, name, kind(watched) if kind else watched)


def unseen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of Python whose frame is not counted when a warning looks for the code that it is about."""
    function.__code__ = function.__code__.replace(co_filename=_INTERNAL)
    return function


class Inside(_local):
    """How deep a thread is in watched calls."""

    now = 0


def _begun(
    watcher: Callable[..., Generator[None, Any, None]], args: Any, kwargs: Any, note: Note, part: str
) -> Generator[None, Any, None] | None:
    with note.guard(part):
        seen = watcher(*args, **kwargs)
        next(seen)
        return seen
    return None


def _ended(seen: Generator[None, Any, None], result: Any, note: Note, part: str) -> None:
    with note.guard(part):
        try:
            seen.send(result)
        except StopIteration:
            return
        seen.close()


def _failed(seen: Generator[None, Any, None], error: BaseException, note: Note, part: str) -> None:
    with note.guard(part):
        try:
            seen.throw(error)
        except StopIteration:
            return
        except BaseException as raised:
            if raised is not error:
                raise
            return
        seen.close()
