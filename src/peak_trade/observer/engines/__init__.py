"""One module for each engine that can be watched: `wrap(module, note)` stands around its calls (`wrapping.watch`).

May import nothing but what is beside `engines`, and the engine itself where its own call is under way.
"""

__all__: "list[str]" = []
