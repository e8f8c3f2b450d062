"""How much a result bears: other costs, each decision one bar later. `just stress`, and what a report says alone.

In reading order: `costs` (a multiple of the costs that were booked, by the sealed files alone), `again` (the run made
again at such costs, and a bar late), `verb` (of a run, beside whose sealed files what was found is kept).
"""
