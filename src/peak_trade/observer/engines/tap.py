"""Look into a function of another's package, from inside it: no frame of ours stands between it and its caller.

A wrapper would: in every traceback, in the place a warning is attributed to, in the depth of the stack. So the
function stays the one it is, and its code is compiled again from its own source, on its own lines, around a `with`.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import Any

__all__ = ["Call", "after", "tap"]


class Call:
    """One call of a tapped function: its arguments by name, then what it returned or raised, and how long it took."""

    def __init__(self, hook: Hook, arguments: dict[str, Any]) -> None:
        self._hook = hook
        self.arguments = arguments
        self.result: Any = None
        self.error: BaseException | None = None
        self.state: Any = None  # what `before` made
        self.started_ns, self.duration_s = time.time_ns(), 0.0
        frame = sys._getframe(2).f_back  # past this and the hook: the function itself, which C may have called
        self.caller = frame.f_code.co_name if frame else ""
        self._key: Any = None

    def __enter__(self) -> Call:
        self._key = self._hook.enter(self)
        self._start = time.perf_counter()
        return self

    def __call__(self, result: Any) -> Any:
        """Take what the function is about to return."""
        self.result = result
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.duration_s, self.error = time.perf_counter() - self._start, error
        self._hook.leave(self, self._key)
        self.error = self.result = self.state = None


class Hook:
    """What a tapped function calls. A call within one on the same object, of the same `group`, is a part of it."""

    _within = threading.local()

    def __init__(self, note: Any, group: str, seen: Any, before: Any) -> None:
        self.note, self.group, self.seen, self.before = note, group, seen, before

    def __call__(self, arguments: dict[str, Any]) -> Call:
        return Call(self, dict(arguments))

    def enter(self, call: Call) -> Any:
        running = self._within.__dict__.setdefault("keys", set())
        key = (self.group, id(next(iter(call.arguments.values()), None)), os.getpid())
        if key in running:
            return None
        running.add(key)
        if self.before is not None:
            with self.note.guard(self.group):
                call.state = self.before(call)
        return key

    def leave(self, call: Call, key: Any) -> None:
        if key is not None:
            self._within.keys.discard(key)
            with self.note.guard(self.group):
                self.seen(call)


def tap(function: Any, note: Any, group: str, seen: Any, before: Any = None) -> None:
    """Have `seen(call)` called after each outermost call of `function`, and `before(call)` before it."""
    hook, name = Hook(note, group, seen, before), _name(function)

    def body(tree: ast.FunctionDef) -> None:
        returns = _Returns()
        inner = [returns.visit(statement) for statement in tree.body]
        opened = ast.parse(f"with {name}(locals()) as __peak_call__: pass").body[0]
        assert isinstance(opened, ast.With)
        opened.body = inner
        tree.body = [_at(opened, inner[0])]

    _rewrite(function, body)
    function.__globals__[name] = hook


def after(function: Any, note: Any, group: str, seen: Any) -> None:
    """Have `seen(self)` called whenever the body of the method `function` has come to its end: cheap, for each bar."""
    name = _name(function)

    def body(tree: ast.FunctionDef) -> None:
        said = ast.parse(f"{name}({tree.args.args[0].arg})").body[0]
        tree.body.append(_at(said, tree.body[-1]))

    _rewrite(function, body)

    def ended(self: Any) -> None:
        with note.guard(group):
            seen(self)

    function.__globals__[name] = ended


def _name(function: Any) -> str:
    return "__peak_" + "".join(letter if letter.isalnum() else "_" for letter in function.__qualname__) + "__"


def _at(node: Any, place: Any) -> Any:
    """Give what was put in a line that was there before."""
    for part in ast.walk(node):
        if getattr(part, "lineno", None) is not None and not getattr(part, "own", False):
            ast.copy_location(part, place)
    return node


def _rewrite(function: Any, body: Callable[[Any], None]) -> None:
    code: CodeType = function.__code__
    source = inspect.getsource(function)
    owner = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    # Within its class, for names with two underscores, `super()` and the name in a traceback to stay what they are.
    tree = ast.parse(f"class {owner}:\n{source}" if source[:1].isspace() else source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == code.co_name]
    if len(found) < 1 or code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
        raise ValueError(f"{function.__qualname__} is no plain function in its source")
    for node in ast.walk(found[0]):
        node.own = True  # type: ignore[attr-defined]
    body(found[0])
    ast.increment_lineno(tree, code.co_firstlineno - 1 - source[:1].isspace())
    flags = code.co_flags & 0x1FF0000  # of `from __future__ import …`
    made = _find(compile(tree, code.co_filename, "exec", flags, dont_inherit=True), code.co_name)
    if made is None or made.co_freevars != code.co_freevars:
        raise ValueError(f"{function.__qualname__} can't be compiled again from its source")
    function.__code__ = made


def _find(code: CodeType, name: str) -> CodeType | None:
    for const in code.co_consts:
        if isinstance(const, type(code)):
            found = const if const.co_name == name else _find(const, name)
            if found is not None:
                return found
    return None


class _Returns(ast.NodeTransformer):
    """What the function itself returns goes through the call; what functions within it return does not."""

    def _leave(self, node: Any) -> Any:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _leave

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value if node.value is not None else ast.copy_location(ast.Constant(None), node)
        name = ast.copy_location(ast.Name("__peak_call__", ast.Load()), value)
        node.value = ast.copy_location(ast.Call(name, [value], []), value)
        return node
