"""Trials as other programs keep them: freqtrade's `.fthypt`, Optuna's storages, MLflow's database or folder.

Nothing is unpickled, imported or executed: lines of JSON, words in files, and SQLite that is opened to be read
and given so much time.
What a store may hold is a stranger's, so a figure that is none is none, and what is no trial is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from peak_trade.errors import InputError, did_you_mean
from peak_trade.evidence.run_dir import TRIAL_OF
from peak_trade.text import escaped
from peak_trade.trust.luck import mlruns

__all__ = ["KINDS", "Batch", "Trial", "read"]

_LINE = 1 << 24  # bytes
_LARGEST = 1e6  # of a ratio: what is beyond it is none
_STEPS = 20_000  # rounds of a thousand instructions of SQLite, for all questions of a store: some seconds
_NO_SHARPE = -100.0  # freqtrade's word for a ratio that has no spread to divide by
_MAGIC = b"SQLite format 3\0"


class Trial(Struct, frozen=True):
    """A trial of another program: what it is called there, whether it failed, and its Sharpe ratio a year, if any.

    `run_id` is the run of ours that it is, or in which it counts, of one that was logged from here.
    """

    key: str
    failed: bool = False
    ratio: float | None = None
    run_id: str = ""


class Batch(Struct, frozen=True):
    """The trials of one study, experiment or file; `digest` tells it from others, and stays as it grows."""

    kind: str
    origin: str
    digest: str
    trials: list[Trial]


class _Kind(NamedTuple):
    """A kind of store: what it is called, what its parts are, and what reads them by name."""

    name: str
    part: str
    read: Callable[[Path, str], dict[str, list[Trial]]]


def read(path: Path, *, name: str = "", metric: str = "sharpe") -> Batch:
    """Return the trials in a file: of the study or experiment of that `name`, where there are several.

    `metric` is what the ratio is called there: a metric, a user attribute, or `value` for what Optuna optimises.
    Raises InputError where the file is none of the kinds that are known, or holds several and none is named.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise InputError(f"{path} is no file", hint=_KNOWN)
        kind = _FILES if stat.S_ISDIR(about.st_mode) else _kind_of(path)
        found = kind.read(path, metric)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", hint=_KNOWN) from None
    except (sqlite3.Error, ValueError, RecursionError) as error:
        raise InputError(f"{path} can't be read: {escaped(str(error), 200)}", hint=_KNOWN) from None
    found = {part: trials for part, trials in found.items() if trials or part == name}
    if name and name not in found:
        raise InputError(f"{path.name} has no {kind.part} {name!r}", hint=did_you_mean(name, found))
    if not found:
        raise InputError(f"{path.name} has no trials", hint=_KNOWN)
    if not name and len(found) > 1:
        shown = ", ".join(escaped(part, 60) for part in list(found)[:8])
        raise InputError(f"{path.name} has more than one {kind.part}: {shown}", hint="--name NAME takes one of them")
    part = name or next(iter(found))
    trials = found[part]
    called = "" if kind is _FREQTRADE else part  # a file may get another name
    first = json.dumps([kind.name, called, trials[0].key if trials else ""])
    return Batch(kind.name, escaped(part, 200), hashlib.sha256(first.encode("utf-8", "replace")).hexdigest(), trials)


def _kind_of(path: Path) -> _Kind:
    with open(path, "rb") as stream:
        head = stream.readline(_LINE)
    if head.startswith(_MAGIC):
        with _database(path) as ask:
            tables = {name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = next((kind for needed, kind in _DATABASES if needed <= tables), None)
    else:
        with suppress(ValueError, RecursionError):
            first = json.loads(head)
            if isinstance(first, dict):
                found = next((kind for key, kind in _LINES if key in first), None)
                if found:
                    return found
        found = None
    if found is None:
        raise InputError(f"{path.name} is no store of trials that is known", hint=_KNOWN)
    return found


def _ratio(value: Any) -> float | None:
    """Return a Sharpe ratio; None for what is none."""
    fits = isinstance(value, int | float) and type(value) is not bool and abs(value) < _LARGEST
    return float(value) if fits and math.isfinite(value) else None


# --- lines of JSON --------------------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the lines of a file that are objects; the last one may be half written, and NaN is written as it is."""
    with open(path, "rb") as stream:
        while line := stream.readline(_LINE):
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield line, entry


def _freqtrade(path: Path, metric: str) -> dict[str, list[Trial]]:
    trials: list[Trial] = []
    for line, epoch in _lines(path):
        if "params_dict" not in epoch and "results_metrics" not in epoch:
            continue
        told = epoch.get("results_metrics")
        ratio = _ratio(told.get(metric)) if isinstance(told, dict) else None
        key = hashlib.sha256(line.rstrip()).hexdigest() if not trials else str(len(trials))
        trials.append(Trial(key, ratio=None if ratio is not None and ratio <= _NO_SHARPE else ratio))
    return {path.name: trials}


_RUNNING, _COMPLETE, _PRUNED, _FAIL, _WAITING = range(5)  # Optuna's states


def _journal(path: Path, metric: str) -> dict[str, list[Trial]]:
    """Read Optuna's journal: studies and trials have the numbers of their lines' order."""
    names: list[str] = []
    study_of: list[int] = []
    states: dict[int, int] = {}
    ratios: dict[int, float | None] = {}
    begun: dict[int, str] = {}
    ours: dict[int, str] = {}
    for _, entry in _lines(path):
        operation, trial = entry.get("op_code"), entry.get("trial_id")
        if operation == 0:
            names.append(str(entry.get("study_name")))
        elif operation == 4:
            study = entry.get("study_id")
            states[len(study_of)] = _state(entry.get("state"), _RUNNING)
            begun[len(study_of)] = str(entry.get("datetime_start"))
            told, value = entry.get("user_attrs"), entry.get("value")
            given = told.get(metric) if isinstance(told, dict) else None
            ours[len(study_of)] = str(told.get(TRIAL_OF, "")) if isinstance(told, dict) else ""
            ratios[len(study_of)] = _ratio(value if metric == "value" else given)
            study_of.append(study if type(study) is int else -1)
        elif type(trial) is int and trial in states:
            told, values = entry.get("user_attr"), entry.get("values")
            if operation == 6:
                states[trial] = _state(entry.get("state"), states[trial])
                if began := entry.get("datetime_start"):  # of one that waited
                    begun[trial] = str(began)
                if metric == "value" and isinstance(values, list) and values:
                    ratios[trial] = _ratio(values[0])
            elif operation == 8 and isinstance(told, dict) and metric in told:
                ratios[trial] = _ratio(told[metric])
            elif operation == 8 and isinstance(told, dict) and TRIAL_OF in told:
                ours[trial] = str(told[TRIAL_OF])
    found: dict[str, list[Trial]] = {name: [] for name in names}
    for trial, study in enumerate(study_of):
        if states[trial] != _WAITING and 0 <= study < len(names):
            failed = states[trial] in (_FAIL, _PRUNED)
            found[names[study]].append(Trial(begun[trial], failed, ratios[trial], ours[trial]))
    return found


def _state(value: Any, otherwise: int) -> int:
    return value if type(value) is int and 0 <= value <= _WAITING else otherwise


# --- SQLite ---------------------------------------------------------------------------------------------------------


@contextmanager
def _database(path: Path) -> Iterator[Callable[..., Iterator[tuple[Any, ...]]]]:
    """Open a database to be read, and yield what asks it; sqlite3.Error where it takes too long or is none."""
    rounds = iter(range(_STEPS))
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.set_progress_handler(lambda: next(rounds, None) is None, 1000)
        connection.text_factory = lambda content: content.decode("utf-8", "replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        yield connection.execute


def _optuna(path: Path, metric: str) -> dict[str, list[Trial]]:
    with _database(path) as ask:
        found: dict[str, list[Trial]] = {str(name): [] for (name,) in ask("SELECT study_name FROM studies")}
        if metric == "value":
            rows = ask("SELECT trial_id, value FROM trial_values WHERE objective = 0")
        else:
            rows = ask("SELECT trial_id, value_json FROM trial_user_attributes WHERE key = ?", (metric,))
        ratios = {trial: _ratio(value if metric == "value" else _of_json(value)) for trial, value in rows}
        ours = dict(ask("SELECT trial_id, value_json FROM trial_user_attributes WHERE key = ?", (TRIAL_OF,)))
        trials = ask(
            "SELECT s.study_name, t.trial_id, t.state, t.datetime_start FROM trials t JOIN studies s USING (study_id) "
            "WHERE t.state <> 'WAITING' ORDER BY t.trial_id"
        )
        for study, trial, state, begun in trials:
            run_id = str(_of_json(ours.get(trial)) or "")
            found[str(study)].append(Trial(str(begun), state in ("FAIL", "PRUNED"), ratios.get(trial), run_id))
    return found


def _of_json(text: Any) -> Any:
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)
    return None


def _mlflow(path: Path, metric: str) -> dict[str, list[Trial]]:
    """Read MLflow's database: deleted runs too; one that is the parent of others is none of its own."""
    with _database(path) as ask:
        names = {number: str(name) for number, name in ask("SELECT experiment_id, name FROM experiments")}
        ratios = dict(ask("SELECT run_uuid, value FROM latest_metrics WHERE key = ? AND NOT is_nan", (metric,)))
        parents = {value for (value,) in ask("SELECT value FROM tags WHERE key = 'mlflow.parentRunId'")}
        ours = dict(ask("SELECT run_uuid, value FROM tags WHERE key = 'run_id'"))
        found: dict[str, list[Trial]] = {name: [] for name in names.values()}
        for run, experiment, status in ask(
            "SELECT run_uuid, experiment_id, status FROM runs ORDER BY start_time, run_uuid"
        ):
            if run not in parents and experiment in names:
                trial = Trial(str(run), status in ("FAILED", "KILLED"), _ratio(ratios.get(run)), str(ours.get(run, "")))
                found[names[experiment]].append(trial)
    return found


def _mlflow_files(path: Path, metric: str) -> dict[str, list[Trial]]:
    """Read MLflow's file store, as its database is read."""
    logged = mlruns.read(path, metric)
    parents = {run.parent for made in logged.values() for run in made}
    return {
        name: [Trial(run.run, run.failed, _ratio(run.value), run.ours) for run in made if run.run not in parents]
        for name, made in logged.items()
    }


_FREQTRADE = _Kind("freqtrade", "file", _freqtrade)
_JOURNAL, _OPTUNA = _Kind("optuna", "study", _journal), _Kind("optuna", "study", _optuna)
_MLFLOW, _FILES = _Kind("mlflow", "experiment", _mlflow), _Kind("mlflow", "experiment", _mlflow_files)
_LINES = (("op_code", _JOURNAL), ("params_dict", _FREQTRADE), ("results_metrics", _FREQTRADE))
_DATABASES = (
    ({"studies", "trials", "trial_values", "trial_user_attributes"}, _OPTUNA),
    ({"experiments", "runs", "latest_metrics", "tags"}, _MLFLOW),
)
KINDS = ("freqtrade's .fthypt", "Optuna's journal or SQLite storage", "MLflow's SQLite database or folder mlruns")
_KNOWN = f"known: {', '.join(KINDS)}"
