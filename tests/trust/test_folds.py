"""What is changed in the account that a parent gives of its folds, however well it is sealed anew, is found."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Evidence, ohlcv_csv
from tests.trust.sweeping import edit_rows, rows_of, sweep_of_csv

FILES = {"walk": ("folds.csv",), "cpcv": ("splits.csv", "paths.csv")}
_TOLD = {"walk": "walk_forward", "cpcv": "cpcv"}
_OTHERS = "paths.csv: what the paths that are not the parent's own came to, only trading them again tells"
WALK = {"walk_forward": ("train=12h", "test=6h"), "grid": ("strategy.params.fast=2,3", "strategy.params.slow=5,8")}


@pytest.fixture(scope="session")
def walked_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A parent of a walk-forward, `walk`, and one of a cross-validation, `cpcv`."""
    root = tmp_path_factory.mktemp("walked")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "walk", **WALK)
    sweep_of_csv(made, "cpcv", cpcv="2,1", grid=WALK["grid"])
    return made


@pytest.fixture
def walked(walked_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them, to be broken."""
    return walked_once.copy(tmp_path / "walked")


@pytest.fixture(scope="session")
def long_walked_once(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The same of 120 bars: each window has a return in each part of a row's sums."""
    root = tmp_path_factory.mktemp("long")
    (root / "data").mkdir()
    (root / "data" / "bars.csv").write_text(ohlcv_csv(120), encoding="utf-8")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "walk", walk_forward=("train=60h", "test=30h"), grid=WALK["grid"])
    sweep_of_csv(made, "cpcv", cpcv="4,2", grid=WALK["grid"])
    assert made.findings() == []
    return made


@pytest.fixture
def long_walked(long_walked_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them, to be broken."""
    return long_walked_once.copy(tmp_path / "long")


def _plan(statement: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
    return found


def test_what_follows_from_the_trials_is_intact_and_what_does_not_is_said(long_walked: Evidence) -> None:
    for name in FILES:
        long_walked.forge(name)
        assert long_walked.findings(name) == []  # the control of all below
    assert long_walked.verdicts()["walk"].unchecked == []
    assert long_walked.verdicts()["cpcv"].unchecked == [_OTHERS]


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in FILES.items() for file in files])
def test_each_cell_is_held_against_the_trials(long_walked: Evidence, name: str, file: str) -> None:
    first = rows_of(long_walked.path(name) / file)
    at = next((at for at, row in enumerate(first) if row.get("chosen") == "true"), 1)
    assert len(first) >= 2
    for column, before in first[at].items():
        other = "0.125" if before != "0.125" else "0.25"
        edit_rows(long_walked, name, lambda rows, key=column, to=other: rows[at].update({key: to}), file)
        long_walked.forge(name)
        found = long_walked.findings(name)
        what = f"{file} row {at} {column}: expected {before or 'nothing'}, found {other}"
        if (file, column) == ("paths.csv", "sharpe"):  # by which another path is the one in the middle
            what = f"paths.csv row {at} chosen"
        assert any(what in one for one in found), (column, found)
        edit_rows(long_walked, name, lambda rows, key=column, to=before: rows[at].update({key: to}), file)
    long_walked.forge(name)
    assert long_walked.findings(name) == []


@pytest.mark.parametrize("name", FILES)
def test_each_value_of_the_manifest_is_held_against_the_trials(long_walked: Evidence, name: str) -> None:
    told = long_walked.manifest(name)["predicate"]["results"][_TOLD[name]]
    assert len(told) > 8
    for key in told:
        long_walked.forge(
            name, lambda statement, key=key: statement["predicate"]["results"][_TOLD[name]].update({key: "other"})
        )
        assert any(f"manifest.json {_TOLD[name]} {key}: expected" in one for one in long_walked.findings(name)), key
        long_walked.forge(
            name, lambda statement, key=key: statement["predicate"]["results"][_TOLD[name]].update({key: told[key]})
        )
    assert long_walked.findings(name) == []
    long_walked.forge(name, lambda statement: statement["predicate"]["results"].pop(_TOLD[name]))
    assert any("what its folds tell together" in one for one in long_walked.findings(name))


def test_a_path_that_is_made_up_shows_in_how_the_paths_spread(long_walked: Evidence) -> None:
    rows = rows_of(long_walked.path("cpcv") / "paths.csv")
    at = next(at for at, row in enumerate(rows) if row["chosen"] != "true")
    edit_rows(long_walked, "cpcv", lambda rows: rows[at].update(sharpe="9.5"), "paths.csv")
    long_walked.forge("cpcv")
    assert any("manifest.json cpcv sharpe: expected" in one for one in long_walked.findings("cpcv"))


@pytest.mark.parametrize(("name", "file"), [("walk", "folds.csv"), ("cpcv", "splits.csv"), ("cpcv", "paths.csv")])
@pytest.mark.parametrize("what", ["a row less", "a column less", "no table", "no text"])
def test_a_file_that_is_another_is_found(long_walked: Evidence, name: str, file: str, what: str) -> None:
    path = long_walked.path(name) / file
    lines = path.read_bytes().splitlines(keepends=True)
    made = {
        "a row less": b"".join(lines[:-1]),
        "a column less": b"".join(line.rpartition(b",")[0] + b"\n" for line in lines),
        "no table": b'"',
        "no text": b"\xff\xfe\n\xff",
    }
    path.chmod(0o644)
    path.write_bytes(made[what])
    long_walked.forge(name)
    assert any(file in one for one in long_walked.findings(name))


@pytest.mark.parametrize(("name", "file"), [("walk", "folds.csv"), ("cpcv", "splits.csv"), ("cpcv", "paths.csv")])
def test_a_file_that_is_left_out_is_found(long_walked: Evidence, name: str, file: str) -> None:
    (long_walked.path(name) / file).unlink()
    edited = long_walked.manifest(name)
    edited["subject"] = [one for one in edited["subject"] if one["name"] != file]
    long_walked.write_manifest(name, edited)
    long_walked.forge(name)
    assert any(f"{file}: expected a row for each" in one for one in long_walked.findings(name))


def test_bars_to_choose_on_that_reach_into_those_to_test_on_are_found(long_walked: Evidence) -> None:
    def ahead(statement: dict[str, Any]) -> None:
        fold = _plan(statement)["walk_forward"]["folds"][0]
        fold["train"]["bars"][1] = fold["test"]["bars"][0] + 1

    long_walked.forge("walk", ahead)
    expected = "manifest.json fold 0: expected bars to choose on, and after them those to test on, found others"
    assert expected in " ".join(long_walked.findings("walk"))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda told: told["splits"].pop(), "splits: expected every way to test 2 of 4 groups"),
        (lambda told: told.update(tested=3), "splits: expected every way to test 3 of 4 groups"),
        (lambda told: told.update(tested=-1), "splits: expected every way to test -1 of 4 groups"),
        (lambda told: told["groups"][1]["train"].__setitem__(0, 0), "group 1: expected bars of which some"),
        (lambda told: told.update(splits="all"), "does not say on which bars"),
        (lambda told: told["groups"][1].pop("from"), "does not say on which bars"),
    ],
)
def test_splits_and_groups_that_are_not_all_are_found(long_walked: Evidence, edit: Any, expected: str) -> None:
    long_walked.forge("cpcv", lambda statement: edit(_plan(statement)["cpcv"]))
    assert expected in " ".join(long_walked.findings("cpcv"))


def test_a_choice_by_another_statistic_is_found(long_walked: Evidence) -> None:
    long_walked.forge("cpcv", lambda statement: _plan(statement).update(maximize="cagr"))
    assert "expected a choice by sharpe or total_return, found cagr" in " ".join(long_walked.findings("cpcv"))
    long_walked.forge("cpcv", lambda statement: _plan(statement).update(maximize="total_return"))
    assert "manifest.json cpcv" in " ".join(long_walked.findings("cpcv"))


# --- trials of folds


def test_parents_of_folds_are_intact_over_the_windows_that_they_traded(walked: Evidence) -> None:
    assert walked.findings() == []
    for name in ("walk", "cpcv"):
        assert walked.verdicts()[name].unchecked == []
        walked.forge(name)
        assert walked.findings(name) == []  # the control of those below
    rows = rows_of(walked.path("walk") / "trials.csv")
    assert {row["part"] for row in rows} == {"train", "test"}
    assert not any(row["chosen"] == "true" for row in rows)


@pytest.mark.parametrize("name", ["walk", "cpcv"])
def test_a_combination_that_a_fold_lacks_is_found(walked: Evidence, name: str) -> None:
    def other(rows: list[dict[str, str]]) -> None:
        rows[1]["params"] = rows[0]["params"]

    edit_rows(walked, name, other)
    walked.forge(name)
    assert any("trials.csv row 1: expected combination 1 on fold 0" in one for one in walked.findings(name))


def test_a_choice_that_was_not_the_best_on_its_train_bars_is_found(walked: Evidence) -> None:
    def other(rows: list[dict[str, str]]) -> None:
        at = next(at for at, row in enumerate(rows) if row["part"] == "test")
        rows[at]["params"] = next(row["params"] for row in rows if row["params"] != rows[at]["params"])

    edit_rows(walked, "walk", other)
    walked.forge("walk")
    assert any("trials.csv fold 0: expected its best trial" in one for one in walked.findings("walk"))


def test_a_window_that_is_left_out_of_the_account_is_found(walked: Evidence) -> None:
    def fewer(statement: dict[str, Any]) -> None:
        walk = statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]["walk_forward"]
        del walk["folds"][0]

    walked.forge("walk", fewer)
    found = walked.findings("walk")
    assert any("equity.csv: expected the timestamps of the data" in one for one in found)
    assert any("rows for each of" in one for one in found)


@pytest.mark.parametrize(("name", "row"), [("walk", 1), ("walk", -1), ("cpcv", 1)])
@pytest.mark.parametrize("column", ["sharpe", "volatility"])
def test_a_figure_of_a_trial_of_a_fold_is_held_against_the_sums_of_its_returns(
    long_walked: Evidence, name: str, row: int, column: str
) -> None:  # fmt: skip
    def better(rows: list[dict[str, str]]) -> None:
        rows[row][column] = repr(float(rows[row][column]) * 1.001)

    number = row % len(rows_of(long_walked.path(name) / "trials.csv"))
    edit_rows(long_walked, name, better)
    long_walked.forge(name)
    assert any(f"blocks.csv row {number}: expected a" in one for one in long_walked.findings(name))


def test_the_sums_of_a_trial_of_a_fold_are_held_against_its_figures(long_walked: Evidence) -> None:
    edit_rows(long_walked, "walk", lambda rows: rows[1].update(sum_3="0.5"), "blocks.csv")
    long_walked.forge("walk")
    found = long_walked.findings("walk")
    assert any("blocks.csv row 1: expected a" in one for one in found) and "float64" not in str(found)


@pytest.mark.parametrize("statistic", [None, "luck", 5])
def test_a_walk_forward_by_no_statistic_is_found(walked: Evidence, statistic: Any) -> None:
    def other(statement: dict[str, Any]) -> None:
        statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]["maximize"] = statistic

    walked.forge("walk", other)
    assert any("manifest.json sweep: expected a statistic by which" in one for one in walked.findings("walk"))
