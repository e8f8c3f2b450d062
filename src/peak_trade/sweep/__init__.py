"""Many runs as one: a search over a config's keys, sealed as one parent run with a row a trial.

    axes ─▶ plan ─▶ rounds of tasks ─▶ chunks ─▶ workers ─▶ rows on disk ─▶ table ─▶ the parent's seal, the kept runs

A plan says which tasks there are, round after round; what a round asks for depends on the rows of the rounds before and
on nothing else, so that a plan that is gone through again over rows that are there comes to the same end. Tasks go to
workers in chunks. A chunk's rows are one file in `results/.sweeps/<run_id>/`, whole or not there: whoever makes it,
makes the same, but for how long it took. So what is done is never done again, and what is done twice is the same.

May import record, tracking, runner, stats, evidence and what is below them; nothing that reads runs. In reading order:
`axes` (what is varied), `valid` (which combinations of it), `wish` (what is asked), `task` and `plan` (tasks and
rounds), `bench` (one trial), `rows` (what trials came to), `spans` (which trials of a round), `folder` (a sweep on
disk, until it is sealed), `claims` (who makes which trials), `executor/` (who works), `marks` (by what a sweep is
found again), `joining` (what another machine needs), `start` (up to the first trial), `choice` (what a choice goes
by), `folds` (which bars are train and which are test), `stitching` (one account over windows), `walk_forward` and
`cpcv` (their plans), `keepers` (processes) and `keeping` (the best as runs of their own), `table`
(`trials.parquet`), `parent` (files and seal of the parent run), `heard` and `telling` (what a person hears of it),
`order` (of a sweep; nothing else knows it), `abandoning` (of one that nobody goes on with). `search` is the plan of
Optuna's samplers. Of a sweep over a command: `words` (and their placeholders), `records` (the runs of its trials),
`recorder` (makes them), `chosen` (files and seal of the parent), `commanded` (its order).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peak_trade.sweep.abandoning import abandon
    from peak_trade.sweep.commanded import sweep_command
    from peak_trade.sweep.heard import Beginning
    from peak_trade.sweep.order import Stopped, join, sweep
    from peak_trade.sweep.telling import Telling
    from peak_trade.sweep.wish import Wish, Work, of_options

_IN = {
    "Beginning": "heard",
    "Stopped": "order",
    "Telling": "telling",
    "Wish": "wish",
    "Work": "wish",
    "abandon": "abandoning",
    "join": "order",
    "of_options": "wish",
    "sweep": "order",
    "sweep_command": "commanded",
}
__all__ = [
    "Beginning",
    "Stopped",
    "Telling",
    "Wish",
    "Work",
    "abandon",
    "join",
    "of_options",
    "sweep",
    "sweep_command",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: who makes one trial again has no use for the rest."""
    from importlib import import_module

    if name in _IN:
        return getattr(import_module(f"peak_trade.sweep.{_IN[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
