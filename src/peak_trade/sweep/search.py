"""A search: which trials there are follows from what the ones before came to, as a sampler of Optuna decides it.

Trials are asked for in batches, a batch a round: the same batches whoever works, and with however many workers. The
sampler is seeded, so that a search that is gone through again over the rows that are there asks for the same trials,
which is held against these rows; what is asked for then is told to the study and not made again. One and the same thing
is asked for twice where the sampler wants it: each counts as a trial, and the second is named as the duplicate it is.

A trial that failed is told as failed. One without the statistic, as of an account that never traded, is told as pruned:
Optuna takes it for worse than all that have a value, and nobody has to make up one. Pruning itself is not there: a
trial is made over all its bars.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from peak_trade.errors import InputError, RunError
from peak_trade.evidence.run_dir import TRIAL_OF
from peak_trade.sweep.axes import Axis, Range, Space, described
from peak_trade.sweep.plan import Grid, Outcome, Round
from peak_trade.sweep.rows import KEYS, Rows
from peak_trade.sweep.task import Task

if TYPE_CHECKING:
    import optuna

    from peak_trade.sweep.bench import Bench

__all__ = ["SAMPLERS", "STUDY", "Search", "Searched"]

SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", "cmaes": "CmaEsSampler", "nsgaii": "NSGAIISampler"}
"""Samplers by the names that are typed, the default first."""
STUDY = "study.journal"
_MOST = 100_000  # trials: each is asked for by all before it


class Searched(Struct, frozen=True):
    """What is searched, and how: `trials` trials in batches of `batch`, by a sampler with a seed."""

    axes: tuple[Axis | Range, ...]
    trials: int
    batch: int
    sampler: str = "tpe"
    seed: int = 0
    statistic: str = "sharpe"
    least: bool = False

    invalid: ClassVar[int] = 0  # of trials: a search comes upon them, and is told that they fail

    def __len__(self) -> int:
        return self.trials

    def check(self) -> None:
        """Refuse what nobody can search: InputError."""
        if self.sampler not in SAMPLERS:
            raise InputError(f"there is no sampler {self.sampler!r}", hint=f"known: {', '.join(SAMPLERS)}")
        if self.trials > _MOST:
            raise InputError(f"--optuna {self.trials:,} asks for too many trials", hint=f"at most {_MOST:,}")
        if any(isinstance(one, Range) for one in self.axes):
            return
        size = math.prod(len(one.values) for one in self.axes if isinstance(one, Axis))
        if size <= self.trials:
            raise InputError(
                f"--optuna {self.trials:,} asks for no fewer trials than the {size:,} combinations there are",
                hint="without --optuna each is made once",
            )


class Search:
    """The plan of a search. Raises InputError where Optuna is not installed."""

    def __init__(self, asked: Searched) -> None:
        asked.check()
        self.asked = asked
        self._optuna = _loaded()
        self._best = Grid(Space(()), asked.statistic, asked.least)
        self._study: Any = None
        self._asked: list[list[optuna.Trial]] = []  # by round
        self._told = 0  # rounds

    def rounds(self) -> int:
        """Return how many batches there are."""
        return math.ceil(self.asked.trials / self.asked.batch)

    def trials(self) -> tuple[int, int]:
        """Return how many are asked for, twice."""
        return self.asked.trials, self.asked.trials

    def round(self, number: int, before: Rows) -> Round:
        """Return the next batch, once the study has been told of all rows before it.

        Raises RunError where the sampler asks for other trials than those that the rows are of.
        """
        if self._study is None or number < len(self._asked):
            self._study, self._asked, self._told = self._new_study(), [], 0
        for earlier in range(len(self._asked), number):
            self._tell(before)
            self._ask(earlier)
        self._tell(before)
        return self._ask(number)

    def describe(self) -> Mapping[str, Any]:
        """Return axes, sampler, seed and batch, and the version of Optuna, as another may ask otherwise."""
        asked = self.asked
        optuna = {
            "trials": asked.trials, "batch": asked.batch, "sampler": asked.sampler, "seed": asked.seed,
            "version": self._optuna.__version__,
        }  # fmt: skip
        aim = {"minimize" if asked.least else "maximize": asked.statistic}
        return described(asked.axes) | aim | {"optuna": optuna}

    def outcome(self, bench: Bench, rows: Rows) -> Outcome:
        """Return the best trial, whole, and the study, as Optuna reads it, to lie beside the sealed files."""
        found = self._best.outcome(bench, rows)
        return Outcome(
            found.came, found.index, found.results, found.files, {STUDY: lambda run_id: self.study(rows, run_id)}
        )

    def best(self, rows: Rows) -> list[int]:
        """Return the trials with the statistic, best first; of equal ones the first comes first."""
        return self._best.best(rows)

    # --- the study

    def _new_study(self) -> Any:
        asked, optuna = self.asked, self._optuna
        options: dict[str, Any] = {"seed": asked.seed}
        if asked.sampler == "tpe":
            options["constant_liar"] = True  # a batch is asked for before the first of it is told
        elif asked.sampler == "cmaes":
            options["warn_independent_sampling"] = False
        try:
            sampler = getattr(optuna.samplers, SAMPLERS[asked.sampler])(**options)
            return optuna.create_study(sampler=sampler, direction="minimize" if asked.least else "maximize")
        except ImportError as error:
            raise InputError(f"--sampler {asked.sampler}: {error}", hint="just setup search") from None

    def _ask(self, number: int) -> Batch:
        asked, first = self.asked, number * self.asked.batch
        axes = {one.key: _distribution(self._optuna, one) for one in asked.axes}
        count = min(asked.batch, asked.trials - first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a cmaes that has no axis to go along, say
            self._asked.append([self._study.ask(axes) for _ in range(count)])
        return Batch(tuple(self._task(trial) for trial in self._asked[-1]))

    def _task(self, trial: optuna.Trial) -> Task:
        return Task({one.key: _value(one, trial.params[one.key]) for one in self.asked.axes})

    def _tell(self, rows: Rows) -> None:
        """Tell the study what came of all that it has asked for."""
        states, values = self._optuna.trial.TrialState, rows.of_stat(self.asked.statistic)
        untold, self._told = self._asked[self._told :], len(self._asked)
        for trial in (trial for batch in untold for trial in batch):
            at = trial.number
            if rows.overrides[at] != self._task(trial).overrides:
                raise RunError(
                    f"trial {at} was made of other values than the sampler asks for now",
                    hint="with other versions of NumPy or Optuna: remove the sweep's folder to begin anew",
                )
            if at in rows.error:
                self._study.tell(trial, state=states.FAIL)
            elif math.isnan(values[at]):
                self._study.tell(trial, state=states.PRUNED)
            else:
                self._study.tell(trial, float(values[at]))

    def study(self, rows: Rows, run_id: str) -> bytes:
        """Return the study as a file of Optuna's journal storage, its trials with all statistics that they have."""
        if self._study is None or len(self._asked) < self.rounds():
            self.round(self.rounds() - 1, rows)
        self._tell(rows)
        optuna = self._optuna
        lines = _lines(optuna)
        kept = optuna.create_study(
            storage=optuna.storages.JournalStorage(lines),
            study_name=run_id,
            direction=self._study.direction.name.lower(),
        )
        for trial in self._study.get_trials(deepcopy=False):
            figures = zip(KEYS, rows.values[trial.number].tolist(), strict=True)
            trial.user_attrs = {TRIAL_OF: run_id} | {key: value for key, value in figures if not math.isnan(value)}
            if error := rows.error.get(trial.number):
                trial.user_attrs["error"] = error
            kept.add_trial(trial)
        return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in lines.logs)


class Batch(Struct, frozen=True):
    """The tasks of a round."""

    tasks: tuple[Task, ...]

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, at: int) -> Task:
        return self.tasks[at]


def _loaded() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError(f"--optuna needs Optuna: {error}", hint="just setup search") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _lines(optuna: Any) -> Any:
    """Return a backend for a journal that keeps its lines in memory: a file would flush each of them."""

    class Lines(optuna.storages.journal.BaseJournalBackend):  # type: ignore[misc] # Optuna may be absent
        def __init__(self) -> None:
            self.logs: list[dict[str, Any]] = []

        def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
            return self.logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.logs += logs

    return Lines()


def _distribution(optuna: Any, axis: Axis | Range) -> Any:
    """Return a key's values as Optuna has them: numbers in steps, in between, or a choice among any."""
    kinds = optuna.distributions
    if isinstance(axis, Range):
        return kinds.FloatDistribution(axis.low, axis.high)
    low, high = axis.values[0], axis.values[-1]
    if axis.step is None:
        return kinds.CategoricalDistribution([_choice(one) for one in axis.values])
    if isinstance(low, int):
        return kinds.IntDistribution(low, high, step=axis.step)
    return kinds.FloatDistribution(low, high, step=axis.step)


def _choice(value: Any) -> Any:
    """Return a value that Optuna can have among its choices: a date, say, is a text."""
    return value if isinstance(value, str | int | float | bool) else str(value)


def _value(axis: Axis | Range, suggested: Any) -> Any:
    """Return the value of an axis that was suggested: of steps, the one in decimals that is nearest."""
    if isinstance(axis, Range):
        return float(suggested)
    if axis.step is None:
        return next(one for one in axis.values if repr(_choice(one)) == repr(suggested))
    return axis.values[round((suggested - axis.values[0]) / axis.step)]
