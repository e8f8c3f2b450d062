"""Watch engines from the moment at which they are imported. What the import gives is as it is without us."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from .note import Note

__all__ = ["ENGINES", "TESTED", "install", "was_tested"]

ENGINES = {
    "backtesting.backtesting": ("backtesting", "wrap"),
    "backtesting.lib": ("backtesting", "wrap_lib"),
    "vectorbt.portfolio.base": ("vectorbt", "wrap"),
    "backtrader.cerebro": ("backtrader", "wrap"),
    "bt.backtest": ("bt", "wrap"),
    "zipline.algorithm": ("zipline", "wrap"),
    "nautilus_trader.backtest.engine": ("nautilus", "wrap"),
    "freqtrade.optimize.backtesting": ("freqtrade", "wrap"),
    "freqtrade.optimize.hyperopt.hyperopt_optimizer": ("freqtrade", "wrap_hyperopt"),
}
"""The module that an engine's calls are in -> our module in `engines`, and its function that gets (module, note)."""

TESTED = {
    "backtesting": ("0.5", "0.6"),
    "vectorbt": ("1.1", "1.2"),
    "backtrader": ("1.9.77", "1.9.78"),
    "bt": ("1.3", "1.4"),
    "zipline": ("3.1", "3.2"),
    "nautilus_trader": ("1.220", "1.221"),
    "freqtrade": ("2026.9",),
}
"""Engine -> the versions that its adapter was held against. Any other is tried as well, and the run says so."""


def was_tested(engine: str, version: str) -> bool:
    """Tell whether an engine's adapter was held against this version; what says of itself what it did, always is."""
    known = TESTED.get(engine, (version,))
    return any(f"{version}.".startswith(f"{one}.") for one in known)


def install(note: Note, which: str = "auto") -> None:
    """Watch for the engines: `auto` for all, `off` for none, or the one whose package has that name."""
    chosen = {name: where for name, where in ENGINES.items() if which in ("auto", name.partition(".")[0])}
    if not chosen:
        return
    sys.meta_path.insert(0, _Finder(chosen, note))
    for name in chosen:  # what a .pth file has imported before
        if name in sys.modules:
            _wrap(sys.modules[name], chosen[name], note)


def _wrap(module: ModuleType, where: tuple[str, str], note: Note) -> None:
    adapter, function = where
    with note.guard(f"engine {adapter}"):
        getattr(importlib.import_module(f"{__package__}.engines.{adapter}"), function)(module, note)


class _Finder:
    """Finds what the finders behind it find, and has the adapter called once the module is there."""

    def __init__(self, chosen: dict[str, tuple[str, str]], note: Note) -> None:
        self.chosen, self.note = chosen, note

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.chosen:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self.chosen[name], self.note)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The module's loader, which is put back before the module's own code can see another."""

    def __init__(self, loader: Any, where: tuple[str, str], note: Note) -> None:
        self._loader, self._where, self._note = loader, where, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_loader"], name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._loader, "create_module", None)
        spec.loader = self._loader
        try:
            return create(spec) if create else None
        finally:
            spec.loader = self  # type: ignore[assignment]

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _wrap(module, self._where, self._note)
