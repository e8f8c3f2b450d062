"""Peak_Trade: a strategy run becomes sealed evidence.

A run on its way from a TOML file to a lake row, which is the order to read the package in:

    config ─▶ data ─▶ strategies ─▶ backtest ─▶ stats ─▶ evidence ─▶ results/<run_id>/
                                                                        │
                              evidence.verify · tracking · report · data.lake

- `config`: the TOML file, checked, with every default; `redact`: what of it must not be written down.
- `data`: bars from files, their contract, calendar and fingerprint; `data.lake`, a sink, stands at the end.
- `strategies`: functions from bars to a target, ours and the user's. `backtest`: target to equity and trades.
- `stats`: equity and trades to figures, each with its formula.
- `evidence`: the run's directory, its seal and the ledger, and what reads, checks, shows and removes runs.
- `runner`: the order of a run; nothing else knows it.
- `tracking`, `report`, `data.lake`: finished runs into MLflow, an HTML page and Parquet. Each takes a run's directory.
- `obs`: telemetry, from outside: nothing here imports it.
- `ops` and `doctor`: the checkout itself, its pull requests and its environment. `bench*`: what all of it costs.
- `errors` and `script`: the one family of errors, and what the files in `scripts/` share.

An import only points down this list's layers: `[tool.importlinter]` in pyproject.toml has them, `just lint` holds them.
"""

__version__ = "0.1.0"
