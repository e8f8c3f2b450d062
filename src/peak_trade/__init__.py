"""Peak_Trade: a strategy run becomes sealed evidence.

A run on its way from a TOML file to a lake row, which is the order to read the package in:

    config ─▶ market ─▶ strategies ─▶ engine ─▶ stats ─▶ evidence ─▶ results/<run_id>/
                                                                         │
                                      trust · tracking · report · data.lake · shown · ops

- `config`: the TOML file, checked, with every default; `redact`: what of it must not be written down.
- `market`: bars from files, their contract, calendar and fingerprint.
- `strategies`: functions from bars to a target, ours and the user's. `engine`: target to equity and trades.
- `stats`: equity and trades to figures, each with its formula.
- `evidence`: what writes `results/` and reads it back: the run's directory, its seal and the ledger.
- `runner`: the order of a run; nothing else knows it.
- `shown`: what people read at a terminal: the list of runs, where a run's time went.
- `trust`: what can be proved with a run directory: is it intact?
- `tracking`, `report`, `data.lake`: finished runs into MLflow, an HTML page and Parquet. Each takes a run's directory.
- `ops`: the checkout, its pull requests and its environment; the removal of old runs.
- `obs`: telemetry, from outside: nothing here imports it.
- `errors`, `text` and `script`: the one family of errors, text that others wrote, what the files in `scripts/` share.

An import only points down the rooms: `[tool.importlinter]` in pyproject.toml has their order, `just lint` holds it.
"""

__version__ = "0.1.0"
