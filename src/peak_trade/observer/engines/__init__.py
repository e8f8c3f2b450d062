"""One module for each engine that can be watched: `wrap(module, note)` writes a trial at each of its calls.

May import nothing but what is beside `engines`, and the engine's own packages where its own call is under way. In
reading order: `tap` (how a call is seen), `frames` (what is written of it), then an adapter an engine.
"""

__all__: "list[str]" = []
