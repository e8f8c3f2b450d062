"""Evidence of what another engine did: a command that is watched while it runs, or a file that it left.

May import runner, strategies, stats, evidence, observer and what is below them; nothing that reads runs. In reading
order: `result` (what an engine or a file says: equity, trades, parameters), `spool` (what processes have noted),
`trials` (the results in it), `figures` (of one of them), `table` (of all of them).
"""

__all__: list[str] = []
