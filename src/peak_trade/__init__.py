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
- `errors`, `text`, `terminal` and `script`: the one family of errors, text that others wrote, the one way to a person's
  terminal, what the files in `scripts/` share.
- `call`: commands that come to an end.
- `places` and `commands`: where things lie, with a checkout and without one; `python -m peak_trade COMMAND`.

From Python (docs/dev/python.md): `run`, `backtest`, `open_run`, `runs`, with `Run`, `Backtest`, `Table` and `Bars`.
They are imported when they are first asked for: `import peak_trade` alone costs next to nothing.

An import only points down the rooms: `[tool.importlinter]` in pyproject.toml has their order, `just lint` holds it.
"""

__version__ = "0.3.0"

TYPE_CHECKING = False  # typing's own costs more than all of this module
if TYPE_CHECKING:
    from peak_trade.api import Backtest, Run, Table, backtest, open_run, run, runs
    from peak_trade.errors import InputError, PeakError, RunError
    from peak_trade.market.bars import Bars

__all__ = [
    "Backtest",
    "Bars",
    "InputError",
    "PeakError",
    "Run",
    "RunError",
    "Table",
    "backtest",
    "open_run",
    "run",
    "runs",
]
_ELSEWHERE = {"Bars": "market.bars", "InputError": "errors", "PeakError": "errors", "RunError": "errors"}


if not TYPE_CHECKING:  # who checks types shall see a name that is none

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"peak_trade.{_ELSEWHERE.get(name, 'api')}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
