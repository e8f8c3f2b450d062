"""The config that is sealed in a run of an older edition of the engine's rules: what it meant then is what it means."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from peak_trade.config import Config, Source
from peak_trade.engine import RULES
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.manifest import Predicate
from peak_trade.evidence.run_dir import read_manifest

__all__ = ["changes", "check_edition"]


class _Change(NamedTuple):
    """What an edition changed: whether a config makes use of it, and what it was before."""

    edition: int
    used: Callable[[Config], object]
    was: str


_REFUSED = (  # the same file would ask for something else
    _Change(2, lambda config: config.stops.trailing_stop, "stops.trailing_stop was a fraction of the entry price"),
    _Change(2, lambda config: config.sizing.min_trade_value,
            "a position below sizing.min_trade_value was not opened before the target went flat or turned"),
)  # fmt: skip
_SAID = (  # it asks for the same, which the engine of then did not always give
    _Change(2, lambda config: config.stops.stop_loss or config.stops.take_profit,
            "a price at a stop's own decimal was not always a touch of it"),
    _Change(2, lambda config: config.execution.allow_short, "an account below zero went on"),
)  # fmt: skip


def changes(config: Config, rules: int) -> tuple[list[str], list[str]]:
    """Return what a config asked for under an older edition of the rules: what is refused now, and what is only said.

    As what each was before.
    """
    return tuple(  # type: ignore[return-value] # of two
        [change.was for change in table if change.edition > rules and change.used(config)]
        for table in (_REFUSED, _SAID)
    )


def check_edition(source: Source, root: Path) -> str:
    """Return what to say of a config that lies sealed in a run of an older edition; empty for any other.

    Raises InputError where a key of it meant something else then.
    """
    if source.path.name != "config_snapshot.toml":
        return ""
    try:
        sealed = read_manifest(source.path.parent).predicate
    except RunError:
        return ""
    changed = [change for change in (*_REFUSED, *_SAID) if change.edition > sealed.rules and change.used(source.config)]
    if not changed:
        return ""
    named = sealed.build_definition.get("internalParameters")  # a run whose process died tells nothing of its making
    edition = f"edition {sealed.rules}" if named else "an unknown edition"
    told = f"this config was sealed under {edition} of the engine's rules (today's is {RULES})"
    for change in changed:
        if change in _REFUSED:
            raise InputError(
                f"{told}; in edition {change.edition - 1} {change.was}", hint=_as_its_own(source.path, sealed, root)
            )
    return f"{told}; before that {', and '.join(change.was for change in changed)}"


def _as_its_own(path: Path, sealed: Predicate, root: Path) -> str:
    """Return the commands that run the config by today's rules: from where it came, so that its data is found."""
    folder = root / str(sealed.run_details.get("folder") or ".")
    own = (folder if folder.is_dir() else root) / f"{path.parent.name[:8]}.toml"
    source, copy = (shlex.quote(_from_here(file)) for file in (path, own))
    return f"to run it by today's rules: cp {source} {copy} && just run {copy}"


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
