"""Wraps functions of modules when the program imports those, so that nothing is imported for their sake."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["Wrap", "when_imported"]

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def when_imported(wraps: Mapping[str, Mapping[str, Wrap]]) -> None:
    """Wrap, in each module that is named, the functions and methods (`Class.method`) that are named there."""
    waiting = {name: wanted for name, wanted in wraps.items() if name not in sys.modules}
    for name in wraps.keys() - waiting.keys():
        _wrap(sys.modules[name], wraps[name])
    sys.meta_path.insert(0, _Finder(waiting))


class _Finder:
    """Finds a module as the other finders do, and has it wrapped as soon as it is executed."""

    def __init__(self, waiting: dict[str, Mapping[str, Wrap]]) -> None:
        self.waiting = waiting

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.waiting:
            return None
        wanted = self.waiting.pop(name)
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if not self.waiting:
            sys.meta_path.remove(self)
        if spec and spec.loader:
            loader, execute = spec.loader, spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                vars(loader).pop("exec_module", None)  # another finder may have taken it back before
                execute(module)
                _wrap(module, wanted)

            loader.exec_module = executed  # type: ignore[method-assign] # each module has a loader of its own
        return spec


def _wrap(module: ModuleType, wanted: Mapping[str, Wrap]) -> None:
    for path, wrap in wanted.items():
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        raw = vars(owner)[name]
        if isinstance(raw, classmethod):
            setattr(owner, name, classmethod(wrap(raw.__func__)))
        else:
            setattr(owner, name, wrap(raw))
