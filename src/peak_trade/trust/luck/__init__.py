"""How much of a run's result is luck, given all the trials that it was chosen from.

May import what trust may. In reading order: `family` (N: every trial on the same data, by the ledger), `series` (their
returns, where their directories are there), `figures` (what is worked out, each with its definition), `result`,
`assess` (of one run), `listed` (of many), `words` (as people read it), `unsealing` (of a holdout), `stores` (of other
programs; `mlruns` is a folder of MLflow's) and `elsewhere` (their trials brought in).
"""
