"""A search by Optuna's samplers: what it asks for, counts and leaves, held against Optuna used by itself."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import config, runner, sweep
from peak_trade.errors import InputError, RunError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.sweep.axes import axis
from peak_trade.sweep.rows import BLOCKS, KEYS, Row, Rows
from peak_trade.sweep.search import Search, Searched
from peak_trade.trust import verify
from peak_trade.trust.luck.elsewhere import bring_in
from peak_trade.trust.luck.family import family_of, series_of

optuna = pytest.importorskip("optuna", reason="just setup search")
optuna.logging.set_verbosity(optuna.logging.WARNING)

GRID = ("strategy.params.fast=2:12:1", "strategy.params.slow=13:33:2")
WISH = {"grid": GRID, "optuna": 40, "seed": 3}
BARS = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> config.Source:
    """Hourly bars of a price that swings in two rhythms, and two moving averages over them."""
    root = tmp_path_factory.mktemp("search")
    lines = ["timestamp,open,high,low,close,volume"]
    before = 100.0
    for hour in range(BARS):
        close = round(100 + 8 * math.sin(hour / 5) + 3 * math.sin(hour / 1.7) + 0.05 * hour, 2)
        stamp = np.datetime64("2024-01-01", "s") + np.timedelta64(hour, "h")
        lines.append(f"{stamp}Z,{before},{max(before, close) + 0.5:.2f},{min(before, close) - 0.5:.2f},{close},1000")
        before = close
    (root / "bars.csv").write_text("\n".join(lines) + "\n")
    (root / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1h"\ncalendar = "24/7"\n'
        '[strategy]\nname = "sma_crossover"\nparams = { fast = 3, slow = 20 }\n[execution]\nfee_bps = 10\n'
    )
    return config.load(root / "config.toml", [])


def made(source: config.Source, results: Path, **more: Any) -> Path:
    return sweep.sweep(source, sweep.Wish(**WISH | more), root=source.path.parent, results=results)


def table(run: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(run / "trials.parquet").to_pylist()


def sealed(run: Path) -> dict[str, str]:
    subjects = json.loads((run / "manifest.json").read_text())["subject"]
    return {one["name"]: one["digest"]["sha256"] for one in subjects}


@pytest.fixture(scope="module")
def parent(source: config.Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(source, tmp_path_factory.mktemp("results"))


# --- the same as Optuna by itself ---------------------------------------------------------------------------------


def by_itself(source: config.Source, results: Path, trials: int, batch: int, seed: int) -> Any:
    """Optuna used as its own documents say, in batches; each trial is a run of its own, sealed as `just run` does."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True))
    while len(study.trials) < trials:
        asked = [study.ask() for _ in range(min(batch, trials - len(study.trials)))]
        for trial in asked:
            fast, slow = (
                trial.suggest_int("strategy.params.fast", 2, 12),
                trial.suggest_int("strategy.params.slow", 13, 33, step=2),
            )
            overrides = [f"strategy.params.fast={fast}", f"strategy.params.slow={slow}"]
            run = runner.run(config.load(source.path, overrides), root=source.path.parent, results=results)
            trial.set_user_attr("sharpe", json.loads((run / "stats.json").read_text())["sharpe"])
        for trial in asked:
            study.tell(trial, trial.user_attrs["sharpe"])
    return study


def test_a_search_asks_for_what_optuna_by_itself_asks_for_and_finds_the_same_best(
    source: config.Source, parent: Path, tmp_path: Path
) -> None:
    alone = by_itself(source, tmp_path, trials=40, batch=8, seed=3)
    rows = table(parent)
    assert [json.loads(row["params"]) for row in rows] == [
        {key.removeprefix("strategy.params."): value for key, value in trial.params.items()} for trial in alone.trials
    ]
    assert [row["sharpe"] for row in rows] == pytest.approx([trial.value for trial in alone.trials], rel=1e-12)
    chosen = next(row for row in rows if row["chosen"])
    assert chosen["sharpe"] == pytest.approx(alone.best_value, rel=1e-12)
    assert {f"strategy.params.{key}": one for key, one in json.loads(chosen["params"]).items()} == alone.best_params


def test_another_seed_or_batch_asks_for_other_trials(source: config.Source, parent: Path, tmp_path: Path) -> None:
    asked = [row["params"] for row in table(parent)]
    assert [row["params"] for row in table(made(source, tmp_path, seed=4))] != asked
    assert [row["params"] for row in table(made(source, tmp_path, batch=5))] != asked


# --- the same bytes -----------------------------------------------------------------------------------------------


def test_the_same_search_again_has_the_same_sealed_bytes(source: config.Source, parent: Path, tmp_path: Path) -> None:
    assert sealed(made(source, tmp_path)) == sealed(parent)
    assert sealed(made(source, tmp_path, seed=4)) != sealed(parent)  # the control


class Scripted:
    """Rows that a search is told of, by an objective of its own."""

    def __init__(self, search: Search, value: Any) -> None:
        self.search, self.value = search, value
        self.rows = Rows.joined([])

    def go(self, rounds: Sequence[int]) -> list[dict[str, Any]]:
        for number in rounds:
            batch = self.search.round(number, self.rows)
            self.rows = Rows.joined([self.rows, Rows.of([self.row(batch[at].overrides) for at in range(len(batch))])])
        return self.rows.overrides

    def row(self, overrides: dict[str, Any]) -> Row:
        value = self.value(overrides)
        if isinstance(value, str):
            return Row(overrides, -1, "", value, None, None, None, 0.0)
        values = np.full(len(KEYS), np.nan)
        values[KEYS.index("sharpe")] = np.nan if value is None else value
        digest = hashlib.sha256(repr(overrides).encode()).hexdigest()
        return Row(overrides, -1, "", "", values, (digest, digest), np.zeros((2, BLOCKS)), 0.0)


def hill(overrides: dict[str, Any]) -> float:
    return -((overrides["t.x"] - 0.3) ** 2) - abs(overrides["t.n"] - 7)


HILL = tuple(map(axis, ("t.x=0.0:1.0", "t.n=1:20:1", "t.kind=a,b,c")))


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsgaii"])
@pytest.mark.parametrize("stopped", [1, 5])
def test_a_search_gone_on_with_after_any_round_asks_for_the_same(sampler: str, stopped: int) -> None:
    def begun() -> Search:
        return Search(Searched(HILL, 60, 8, sampler, seed=1))

    whole = Scripted(begun(), hill)
    expected = whole.go(range(8))
    halted = Scripted(begun(), hill)
    halted.go(range(stopped))
    on = Scripted(begun(), hill)
    on.rows = halted.rows
    assert on.go(range(stopped, 8)) == expected
    assert len(expected) == 60


def test_rows_that_the_sampler_would_not_have_asked_for_are_refused() -> None:
    one = Scripted(Search(Searched(HILL, 60, 8, seed=1)), hill)
    one.go(range(2))
    other = Search(Searched(HILL, 60, 8, seed=2))
    with pytest.raises(RunError, match="trial 0 was made of other values than the sampler asks for now"):
        other.round(2, one.rows)


def test_a_search_comes_nearer_than_chance() -> None:
    """Of one hundred trials: the best of TPE is nearer the top than the median of ten draws of as many."""
    best = max(map(hill, Scripted(Search(Searched(HILL, 104, 8, seed=0)), hill).go(range(13))))
    drawn = [
        max(map(hill, Scripted(Search(Searched(HILL, 104, 8, "random", seed=seed)), hill).go(range(13))))
        for seed in range(10)
    ]
    assert best > sorted(drawn)[5]


# --- what trials come to ------------------------------------------------------------------------------------------


def test_a_failed_trial_is_told_as_failed_and_one_without_the_statistic_as_pruned() -> None:
    def value(overrides: dict[str, Any]) -> Any:
        return "it broke" if overrides["t.kind"] == "a" else None if overrides["t.kind"] == "b" else hill(overrides)

    search = Search(Searched(HILL, 60, 8, seed=1))
    there = Scripted(search, value)
    there.go(range(8))
    search.round(7, there.rows)
    states = {"a": "FAIL", "b": "PRUNED", "c": "COMPLETE"}
    told = search._study.get_trials(deepcopy=False)[:56]
    assert {one.params["t.kind"] for one in told} == set(states)
    assert [one.state.name for one in told] == [states[one.params["t.kind"]] for one in told]


def test_a_search_stays_away_from_where_there_is_no_statistic() -> None:
    def value(overrides: dict[str, Any]) -> Any:
        return None if overrides["t.n"] > 10 else hill(overrides)

    asked = Scripted(Search(Searched(HILL, 120, 8, seed=1)), value).go(range(15))
    late = [one["t.n"] for one in asked[60:]]
    assert sum(n > 10 for n in late) < len(late) / 4  # half of them, were it not told


def test_each_trial_counts_also_one_that_is_asked_for_twice(parent: Path) -> None:
    rows = table(parent)
    asked = [row["params"] for row in rows]
    assert len(set(asked)) < len(asked) == 40
    for row in rows:
        first = asked.index(row["params"])
        assert first == row["index"] or row["duplicate_of"] is not None
    end = Ledger(parent.parent).read().of(parent.name).end
    assert end is not None and end.fields["trials"] == 40


def test_every_trial_failing_is_a_failed_run_with_its_reason(source: config.Source, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trial came to its end"):
        made(source, tmp_path, grid=("strategy.params.fast=40:90:1",), optuna=8)


# --- what is varied -----------------------------------------------------------------------------------------------


def test_values_in_steps_are_those_in_decimals_and_a_choice_keeps_its_type() -> None:
    axes = tuple(
        map(axis, ("t.a=0.1:0.7:0.1", "t.b=true,false", "t.c=1,2.5,x", "t.d=2020-01-01,2021-01-01", "t.e=5:50"))
    )
    asked = Scripted(Search(Searched(axes, 64, 8)), lambda overrides: overrides["t.a"]).go(range(8))
    for one in axes:
        values = {repr(row[one.key]) for row in asked}
        assert values <= {repr(value) for value in one.values}
        assert len(values) > 1
    assert {row["t.a"] for row in asked} == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}


def test_a_range_without_a_step_has_no_grid() -> None:
    with pytest.raises(InputError, match="x has a range without a step"):
        sweep.Wish(grid=("x=0.1:0.5",)).check()


def test_of_a_range_values_are_drawn_by_the_seed(source: config.Source, tmp_path: Path) -> None:
    asked = {"grid": ("execution.fee_bps=0.5:20.5", "fast=2:12:1"), "optuna": None, "random": 30, "seed": 1}
    rows = [row["settings"] for row in table(made(source, tmp_path / "1", **asked))]
    fees = [json.loads(one)["execution.fee_bps"] for one in rows]
    assert len(set(fees)) == 30 and all(0.5 <= fee <= 20.5 for fee in fees)
    assert [row["settings"] for row in table(made(source, tmp_path / "2", **asked))] == rows
    assert [row["settings"] for row in table(made(source, tmp_path / "3", **asked | {"seed": 2}))] != rows


def test_of_a_range_what_is_invalid_is_left_out_and_as_many_are_drawn(source: config.Source, tmp_path: Path) -> None:
    asked = {"grid": ("execution.fee_bps=0.5:20.5", "fast=2:38:1"), "optuna": None, "random": 30}
    run = made(source, tmp_path, **asked)
    told = json.loads((run / "manifest.json").read_text())["predicate"]["buildDefinition"]["externalParameters"][
        "sweep"
    ]
    assert len(table(run)) == told["random"] == 30 and told["invalid"] > 5
    assert all(json.loads(row["params"])["fast"] < 20 for row in table(run))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sampler": "annealing"}, "there is no sampler 'annealing'"),
        ({"optuna": 121}, "no fewer trials than the 121 combinations"),
        ({"random": 5}, "--random and --optuna both say"),
        ({"optuna": 200_000}, "too many trials"),
        ({"optuna": None, "sampler": "tpe"}, "--sampler is for a search"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(
    source: config.Source, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        made(source, tmp_path / "results", **more)
    assert not (tmp_path / "results").exists()


# --- the study that is kept ---------------------------------------------------------------------------------------


@pytest.fixture
def study(parent: Path) -> Any:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(parent / "study.journal")))
    return optuna.load_study(study_name=None, storage=storage)


def test_optuna_loads_the_study_and_finds_the_rows_of_the_table_in_it(parent: Path, study: Any) -> None:
    rows = table(parent)
    assert [trial.value for trial in study.trials] == [row["sharpe"] for row in rows]
    assert [trial.user_attrs["max_drawdown"] for trial in study.trials] == [row["max_drawdown"] for row in rows]
    assert study.best_trial.number == next(row["index"] for row in rows if row["chosen"])
    assert study.study_name == parent.name


def test_the_study_lies_beside_the_sealed_files(parent: Path) -> None:
    assert "study.journal" not in sealed(parent)
    assert (parent / "study.journal").is_file()


def test_a_study_of_ours_is_not_counted_twice(parent: Path, tmp_path: Path) -> None:
    results = Results(parent.parent)
    series = series_of(results.reading().of(parent.name))
    before = family_of(results.reading(), series).trials
    brought = bring_in(results, parent, parent / "study.journal")
    assert (brought.new, brought.known, brought.trials.count) == (False, 40, 0)
    assert "40 trials of ours among them counted before" in brought.as_text()
    assert family_of(results.reading(), series).trials == before


def test_of_a_study_of_ours_that_was_gone_on_with_elsewhere_the_new_trials_count(
    parent: Path, study: Any, tmp_path: Path
) -> None:
    pytest.importorskip("sqlalchemy")
    # one for all of it: a copy by address leaves its connection open
    store = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'on.db'}")
    optuna.copy_study(
        from_study_name=study.study_name, from_storage=study._storage, to_storage=store, to_study_name="on"
    )
    on = optuna.load_study(study_name="on", storage=store)
    on.optimize(lambda trial: float(trial.suggest_int("strategy.params.fast", 2, 12)), n_trials=3)
    store.remove_session()
    store.engine.dispose()
    results = Results(parent.parent)
    brought = bring_in(results, parent, tmp_path / "on.db")
    assert (brought.new, brought.known, brought.trials.count) == (True, 40, 3)


# --- from the command line ----------------------------------------------------------------------------------------

SCRIPT = Path(__file__).parents[2] / "scripts/sweep.py"


def typed(source: config.Source, results: Path, *more: str) -> list[str]:
    grid = [word for one in GRID for word in ("--grid", one)]
    return [sys.executable, str(SCRIPT), str(source.path), *grid, "--optuna", "40", "--seed", "3",
            "--results-dir", str(results), *more]  # fmt: skip


def test_without_optuna_a_sentence_says_what_installs_it(source: config.Source, tmp_path: Path) -> None:
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError(\"No module named 'optuna'\", name='optuna')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        typed(source, tmp_path / "results"), env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--optuna needs Optuna" in done.stderr and "just setup search" in done.stderr
    assert not (tmp_path / "results").exists()


def test_the_command_seals_what_the_package_does(source: config.Source, parent: Path, tmp_path: Path) -> None:
    done = subprocess.run(typed(source, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sealed(tmp_path / done.stdout.strip()) == sealed(parent)


SLEEPY = """
import time
import numpy as np

def wave(bars, *, n=3, share=0.5):
    time.sleep(0.02)
    return np.where(np.arange(len(bars)) % n < n // 2 + 1, share, 0.0)
"""


@pytest.fixture
def sleepy(source: config.Source, tmp_path: Path) -> Path:
    """A config whose trials take their time."""
    (tmp_path / "bars.csv").write_bytes((source.path.parent / "bars.csv").read_bytes())
    (tmp_path / "wave.py").write_text(SLEEPY)
    text = source.content.decode().partition("[strategy]")[0]
    (tmp_path / "config.toml").write_text(f'{text}[strategy]\nentrypoint = "wave.py:wave"\n')
    return tmp_path / "config.toml"


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_to_the_same_bytes(sleepy: Path, tmp_path: Path) -> None:
    asked = ["--grid", "n=2:40:1", "--grid", "share=0.1:1.0", "--optuna", "48", "--seed", "5", "--quiet"]

    def command(results: str, jobs: int) -> list[str]:
        place = str(tmp_path / results)
        return [sys.executable, str(SCRIPT), str(sleepy), *asked, "--jobs", str(jobs), "--results-dir", place]

    whole = subprocess.run(command("whole", 2), capture_output=True, text=True, check=True).stdout.strip()
    for rows in (3, 6, 9):
        killed = subprocess.Popen(command("killed", 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until(lambda rows=rows: rows_of(tmp_path / "killed") >= rows)
        killed.kill()
        killed.communicate()
        assert killed.returncode == -9
    assert 0 < rows_of(tmp_path / "killed") < 48  # it was in the middle
    done = subprocess.run(command("killed", 2), capture_output=True, text=True, check=True).stdout.strip()
    assert sealed(tmp_path / "killed" / done) == sealed(tmp_path / "whole" / whole)
    assert len(Ledger(tmp_path / "killed").read().of(done).entries) > 2  # a START, what was tried, and the end


def rows_of(results: Path) -> int:
    names = [path.name.split("-") for path in results.glob(".sweeps/*/rows/*") if not path.name.startswith(".")]
    return sum(int(end) - int(first) for _, first, end in names)


def until(what: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_the_parent_of_a_search_is_intact(parent: Path) -> None:
    verdict = verify.verify(parent, Results(parent.parent).reading())
    assert verdict.holds, verdict.findings
    (parent / "study.journal").write_bytes((parent / "study.journal").read_bytes() + b"\n")
    try:
        assert not verify.verify(parent, Results(parent.parent).reading()).holds
    finally:
        (parent / "study.journal").write_bytes((parent / "study.journal").read_bytes()[:-1])
