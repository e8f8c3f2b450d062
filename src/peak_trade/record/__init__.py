"""Evidence of what another engine did: a command that is watched while it runs, or a file that it left.

May import runner, tracking, shown, strategies, stats, evidence, observer and what is below them. In reading order:
`asked` (of a recorded run), `command` (its order; nothing else knows it), `child` (the process), `capture` (what it
says), `result` (what an engine or a file says: equity, trades, parameters), `spool` (what processes have noted),
`trials` (the results in it), `picking` (of the one that is the run), `figures` (of one of them), `table` (of all of
them), `sealing` (what one leaves in the run's directory), `collect` (what the command left), `closing` (what becomes
of it all), `telling` (of the sealed run), `said` (what a script says of itself).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peak_trade.record.said import equity, param, returns, trades

__all__ = ["equity", "param", "returns", "trades"]


def __getattr__(name: str) -> Any:
    """Import what scripts say it by when one does: a recorder has no use for it."""
    if name in __all__:
        from peak_trade.record import said

        return getattr(said, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
