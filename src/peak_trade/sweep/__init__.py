"""Many runs as one: a search over a config's keys, sealed as one parent run with a row a trial.

    axes ─▶ plan ─▶ rounds of tasks ─▶ chunks ─▶ workers ─▶ rows on disk ─▶ table ─▶ the parent's seal, the kept runs

A plan says which tasks there are, round after round; what a round asks for depends on the rows of the rounds before and
on nothing else, so that a plan that is gone through again over rows that are there comes to the same end. Tasks go to
workers in chunks. A chunk's rows are one file in `results/.sweeps/<run_id>/`, whole or not there: whoever makes it,
makes the same, but for how long it took. So what is done is never done again, and what is done twice is the same.

May import record, tracking, runner, stats, evidence and what is below them; nothing that reads runs. In reading order:
`axes` (what is varied), `wish` (what is asked), `task` and `plan` (tasks and rounds), `bench` (one trial), `rows` (what trials
came to), `folder` (a sweep on disk, until it is sealed), `executor` (who works), `table` (`trials.parquet`), `parent`
(files and seal of the parent run), `order` (of a sweep; nothing else knows it).
"""

from peak_trade.sweep.order import sweep
from peak_trade.sweep.wish import Wish, Work, of_options

__all__ = ["Wish", "Work", "of_options", "sweep"]
