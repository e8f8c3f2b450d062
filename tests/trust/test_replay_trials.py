"""A trial of a sweep is made again from its sealed parent, and is what its row says; what is not is named."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import CONFIGS, Evidence
from tests.trust.sweeping import edit_rows, sweep_of, sweep_of_csv

from peak_trade.errors import InputError
from peak_trade.evidence.results import Results
from peak_trade.trust import replay

FUNCTION = """
import os
import numpy as np

def own(bars, *, length=5, size=0.5):
    if length == 7:
        raise ValueError("seven is right out")
    return np.resize(np.repeat([0.0, size], length), len(bars))
"""
ENTRY = CONFIGS["builtin"].replace(
    'name = "sma_crossover"\n        params = { fast = 3, slow = 8 }', 'entrypoint = "strategies/trial.py:own"'
)
LENGTHS = ("strategy.params.length=5,6,7", "strategy.params.size=0.5,1.0")


@pytest.fixture
def made(sealed_once: Evidence, tmp_path: Path) -> Evidence:
    """A repository with one parent, of a strategy of the user's own: trials 4 and 5 fail."""
    root = tmp_path / "repository"
    shutil.copytree(sealed_once.root / "data", root / "data")
    (root / "strategies").mkdir()
    (root / "strategies" / "trial.py").write_text(FUNCTION, "utf-8")
    found = Evidence(root, root / "results", {})
    sweep_of_csv(found, "parent", text=ENTRY, grid=LENGTHS)
    return found


def again(evidence: Evidence, *which: str, **options: Any) -> replay.Replay:
    return replay.replay(
        evidence.path("parent"), Results(evidence.results), evidence.root, which=which or None, **options
    )


def test_every_trial_is_identical_also_those_that_failed_and_with_the_code_of_then(made: Evidence) -> None:
    (made.root / "strategies" / "trial.py").write_text("raise RuntimeError\n", "utf-8")
    found = again(made, "all")
    assert (found.verdict, found.exit_code, found.code) == ("IDENTICAL", 0, "sealed")
    assert [one.index for one in found.trials] == list(range(6))
    assert {one.verdict for one in found.trials} == {"IDENTICAL"}
    assert [one.index for one in found.trials if "it fails as it did" in one.as_text()] == [4, 5]
    assert "6 of 6 trials over 48 bars" in found.as_text()


def test_a_parent_alone_has_its_chosen_trial_and_a_sample_made_and_says_which_were_not(
    sealed_once: Evidence, tmp_path: Path
) -> None:
    shutil.copytree(sealed_once.root / "data", tmp_path / "data")
    found = Evidence(tmp_path, tmp_path / "results", {})
    sweep_of(found, "parent", grid=("strategy.params.fast=2:9:1", "strategy.params.slow=10:13:1"))
    once, twice = again(found), again(found)
    chosen = next(at for at, one in enumerate(_table(found)) if one["chosen"] == "true")
    for one in (once, twice):
        assert one.verdict == "IDENTICAL"
        numbers = [trial.index for trial in one.trials]
        assert chosen in numbers and len(numbers) == len(set(numbers)) == 11
        assert f"the chosen trial {chosen} and 10 drawn from the others" in one.said[-1]
        assert "21 were not: --trial all makes all" in one.said[-1]
    assert [one.index for one in once.trials] != [one.index for one in twice.trials]  # by chance: 1 in 44 million


def _table(evidence: Evidence) -> list[dict[str, str]]:
    from peak_trade.evidence import trials

    run = evidence.path("parent")
    found = trials.read("trials.parquet", (run / "trials.parquet").read_bytes())
    return [{"chosen": "true" if one else "false"} for one in found.chosen]


def test_a_row_that_was_made_better_than_its_trial_diverges_by_the_first_statistic(made: Evidence) -> None:
    edit_rows(made, "parent", lambda rows: rows[1].update(total_return="0.75", equity_digest="ab" * 32))
    made.forge("parent")
    found = again(made, "0-1")
    assert (found.verdict, found.exit_code) == ("DIVERGED", 1)
    assert [one.verdict for one in found.trials] == ["IDENTICAL", "DIVERGED"]  # the control beside it
    assert "trial 1 (length = 5, size = 1.0): DIVERGED: total_return: 0.75 in its row" in found.as_text()
    assert json.loads(json.dumps(found.to_json_object()))["trials"][1]["figures"][0]["key"] == "total_return"


def test_a_digest_that_alone_is_another_is_within_tolerance_and_is_named(made: Evidence) -> None:
    edit_rows(made, "parent", lambda rows: rows[1].update(trades_digest="ab" * 32))
    made.forge("parent")
    found = again(made, "1")
    assert (found.verdict, found.exit_code) == ("WITHIN_TOLERANCE", 0)
    assert "no statistic; the digest of its trades is another" in found.as_text()


def test_a_row_that_failed_and_does_not_now_diverges(made: Evidence) -> None:
    def failed(rows: list[dict[str, str]]) -> None:
        keep = ("index", "chosen", "fold", "part", "params", "settings", "seed", "duplicate_of")
        rows[1] = {key: one if key in keep else "" for key, one in rows[1].items()}
        rows[1] |= {"status": "failed", "error": "out of luck"}

    edit_rows(made, "parent", failed)
    made.forge("parent")
    found = again(made, "1")
    assert found.verdict == "DIVERGED"
    assert "it failed then (out of luck), and does not now" in found.as_text()


def test_the_chosen_trial_is_named_by_its_first_bar_where_the_code_of_here_is_other(made: Evidence) -> None:
    file = made.root / "strategies" / "trial.py"
    file.write_text(FUNCTION.replace("len(bars))", "len(bars)) * 0.5"), "utf-8")
    chosen = next(at for at, row in enumerate(_rows(made)) if row["chosen"] == "true")
    found = again(made, str(chosen), here=True)
    assert (found.verdict, found.code) == ("DIVERGED", "here")
    assert re.search(r"first bar 2024-01-0\dT\d\d:00:00Z position", found.as_text()), found.as_text()


def _rows(evidence: Evidence) -> list[dict[str, str]]:
    from tests.trust.sweeping import rows_of

    return rows_of(evidence.path("parent") / "trials.csv")


def test_a_trial_that_ends_its_process_is_told_and_the_others_are_made(made: Evidence) -> None:
    file = made.root / "strategies" / "trial.py"
    file.write_text(
        FUNCTION.replace("if length == 7:", "if length == 6:\n        os._exit(3)\n    if length == 7:"), "utf-8"
    )
    found = again(made, "all", here=True)
    assert [one.verdict for one in found.trials] == ["IDENTICAL"] * 2 + ["DIVERGED"] * 2 + ["IDENTICAL"] * 2
    assert "it fails this time: the strategy ended the process that it ran in" in found.as_text()


def test_a_trial_that_was_killed_then_and_ends_its_process_now_is_the_same(made: Evidence) -> None:
    def killed(rows: list[dict[str, str]]) -> None:
        for at in (4, 5):
            rows[at]["error"] = "killed (SIGSEGV), twice"

    edit_rows(made, "parent", killed)
    made.forge("parent")
    assert again(made, "4").verdict == "DIVERGED"  # by its sealed code it raises: the control
    file = made.root / "strategies" / "trial.py"
    file.write_text(FUNCTION.replace('raise ValueError("seven is right out")', "os.kill(os.getpid(), 9)"), "utf-8")
    assert again(made, "4-5", here=True).verdict == "IDENTICAL"


def test_a_trial_that_was_stopped_at_its_limit_is_no_longer_waited_for_than_that(made: Evidence) -> None:
    def late(rows: list[dict[str, str]]) -> None:
        rows[4]["error"] = "stopped after 0.2 s, its limit"

    edit_rows(made, "parent", late)
    made.forge("parent")
    file = made.root / "strategies" / "trial.py"
    hangs = 'raise ValueError("seven is right out")', "import time; time.sleep(60)"
    file.write_text(FUNCTION.replace(*hangs), "utf-8")
    found = again(made, "3-4", here=True)
    assert found.verdict == "IDENTICAL"
    assert found.seconds < 20


def test_a_strategy_that_does_not_repeat_itself_is_named_as_such(made: Evidence) -> None:
    file = made.root / "strategies" / "trial.py"
    file.write_text(FUNCTION.replace("size], length)", "size * (os.urandom(1)[0] + 1) / 256], length)"), "utf-8")
    found = again(made, "1", here=True)
    assert found.verdict == "DIVERGED"
    assert any("does not repeat itself" in one for one in found.said)


def test_on_other_bars_the_days_are_named(made: Evidence) -> None:
    data = made.root / "data" / "bars.csv"
    lines = data.read_text("utf-8").splitlines()
    stamp, opened, high, low, close, volume = lines[20].split(",")
    lines[20] = ",".join([stamp, opened, str(float(high) + 5), low, str(float(close) + 1), volume])
    data.write_text("\n".join(lines) + "\n", "utf-8")
    found = again(made, "0-3")
    assert found.verdict == "DIVERGED"
    assert any("the data is not what the run read" in one for one in found.said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("6",), "has no trial 6: its 6 trials are numbered from 0 to 5"),
        (("3-9",), "has no trial 9"),
        (("-1",), "--trial '-1' is no trial"),
        (("x",), "--trial 'x' is no trial"),
        (("5-3",), "--trial '5-3' is no trial"),
    ],
)
def test_what_is_no_trial_is_refused_in_a_sentence(made: Evidence, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        again(made, *words)


def test_a_run_has_no_trials(evidence: Evidence) -> None:
    with pytest.raises(InputError, match="it is no sweep, and has no trials"):
        replay.replay(evidence.path("builtin"), Results(evidence.results), evidence.root, which=("3",))


def test_a_parent_whose_table_was_changed_without_a_new_seal_is_refused(made: Evidence) -> None:
    edit_rows(made, "parent", lambda rows: rows[1].update(total_return="0.75"))
    with pytest.raises(InputError, match="trials.csv is not what was sealed"):
        again(made, "1")


def test_nothing_is_left_behind(made: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(away))
    before = sorted(os.listdir(made.results))
    again(made, "all")
    assert (os.listdir(away), sorted(os.listdir(made.results))) == ([], before)


WALK = {"walk_forward": ("train=12h", "test=6h"), "grid": ("strategy.params.fast=2,3", "strategy.params.slow=5,8")}


@pytest.mark.parametrize("wish", [WALK, {"cpcv": "2,1", "grid": WALK["grid"]}], ids=["walk-forward", "cpcv"])
def test_trials_of_folds_are_made_again_on_their_own_bars_and_so_is_the_account_over_all(
    sealed_once: Evidence, tmp_path: Path, wish: dict[str, Any]
) -> None:
    shutil.copytree(sealed_once.root / "data", tmp_path / "data")
    made = Evidence(tmp_path, tmp_path / "results", {})
    sweep_of_csv(made, "parent", **wish)
    assert made.findings("parent") == []
    found = again(made, "all")
    assert (found.verdict, found.trials[0].index) == ("IDENTICAL", None)
    assert len(found.trials) == len(_rows(made)) + 1

    def better(rows: list[dict[str, str]]) -> None:
        rows[1]["total_return"] = "0.75"

    edit_rows(made, "parent", better)
    made.forge("parent")
    found = again(made, "0-2")
    assert [one.verdict for one in found.trials] == ["IDENTICAL", "DIVERGED", "IDENTICAL"]


def test_an_account_over_windows_that_their_choices_do_not_give_diverges(sealed_once: Evidence, tmp_path: Path) -> None:
    shutil.copytree(sealed_once.root / "data", tmp_path / "data")
    made = Evidence(tmp_path, tmp_path / "results", {})
    sweep_of_csv(made, "parent", **WALK)
    made.edit_csv("parent", "equity.csv", 3, equity="123456.0")
    made.forge("parent")
    found = again(made)
    account = found.trials[0]
    assert (found.verdict, account.index, account.other) == ("WITHIN_TOLERANCE", None, ("equity",))
    assert account.bar is not None and account.bar.column == "equity"
    made.edit_json("parent", "stats.json", lambda tree: tree.update(total_return=3.0))
    made.forge("parent")
    found = again(made)
    assert found.verdict == "DIVERGED"
    assert "the account over all windows: DIVERGED" in found.as_text()
    assert "total_return: 3.0 in its row" in found.as_text()
