"""What is loaded in this process, asked without a module's own code: a lazy one would be loaded by being asked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

__all__ = ["file_of", "names"]


def names(module: object) -> dict[str, Any]:
    """Return the names of a module; none of anything else that is among the modules, and may say that it is one."""
    if not issubclass(type(module), ModuleType):  # a library of cffi says so, and has no names
        return {}
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found


def file_of(module: object) -> str | None:
    """Return the file that a module says it is of, None where it says none."""
    file = names(module).get("__file__")
    return file if isinstance(file, str) else None
