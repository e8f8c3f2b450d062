"""How one run comes about, from a loaded config to a sealed directory, and how many do at once.

May import strategies, engine, stats, evidence and what is below them; nothing that reads runs. In reading order:
`order` (of a run; nothing else knows it), `many` (runs over the same bars, sealed in batches), `shared` (what those
share), `edition` (of the rules, where a config lies sealed in an older run),
`outcome` (of a target), `probing` (whether a strategy looks ahead), `making` (a run under way, whatever makes it),
`attempt` (that of a config), `limits` (time and signals), `log`, `snapshot` (the config as it is kept), `definition`
(what a run was made from), `statement` (the manifest's own part).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peak_trade.runner.many import run_many
    from peak_trade.runner.order import run
    from peak_trade.runner.probing import refuse_doubtful

__all__ = ["refuse_doubtful", "run", "run_many"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: who only needs a part of it, as a recorder does, is not kept waiting."""
    from importlib import import_module

    if name == "run":
        return import_module("peak_trade.runner.order").run
    if name == "run_many":
        return import_module("peak_trade.runner.many").run_many
    if name == "refuse_doubtful":
        return import_module("peak_trade.runner.probing").refuse_doubtful
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
