"""What is changed in the account that a parent gives of its folds, however well it is sealed anew, is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Evidence, ohlcv_csv
from tests.trust.sweeping import edit_rows, rows_of, sweep_of_csv

GRID = ("strategy.params.fast=2,3", "strategy.params.slow=5,8")
FILES = {"walk": ("folds.csv",), "cpcv": ("splits.csv", "paths.csv")}
_TOLD = {"walk": "walk_forward", "cpcv": "cpcv"}
_OTHERS = "paths.csv: what the paths that are not the parent's own came to, only trading them again tells"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A parent of a walk-forward with two folds, `walk`, and one of six splits and three paths, `cpcv`."""
    root = tmp_path_factory.mktemp("folds")
    (root / "data").mkdir()
    (root / "data" / "bars.csv").write_text(ohlcv_csv(120), encoding="utf-8")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "walk", walk_forward=("train=60h", "test=30h"), grid=GRID)
    sweep_of_csv(made, "cpcv", cpcv="4,2", grid=GRID)
    return made


@pytest.fixture
def folds(once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them, to be broken."""
    return once.copy(tmp_path / "folds")


def _plan(statement: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
    return found


def test_what_follows_from_the_trials_is_intact_and_what_does_not_is_said(folds: Evidence) -> None:
    for name in FILES:
        folds.forge(name)
        assert folds.findings(name) == []  # the control of all below
    assert folds.verdicts()["walk"].unchecked == []
    assert folds.verdicts()["cpcv"].unchecked == [_OTHERS]


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in FILES.items() for file in files])
def test_each_cell_is_held_against_the_trials(folds: Evidence, name: str, file: str) -> None:
    first = rows_of(folds.path(name) / file)
    at = next((at for at, row in enumerate(first) if row.get("chosen") == "true"), 1)
    assert len(first) >= 2
    for column, before in first[at].items():
        other = "0.125" if before != "0.125" else "0.25"
        edit_rows(folds, name, lambda rows, key=column, to=other: rows[at].update({key: to}), file)
        folds.forge(name)
        found = folds.findings(name)
        what = f"{file} row {at} {column}: expected {before or 'nothing'}, found {other}"
        if (file, column) == ("paths.csv", "sharpe"):  # by which another path is the one in the middle
            what = f"paths.csv row {at} chosen"
        assert any(what in one for one in found), (column, found)
        edit_rows(folds, name, lambda rows, key=column, to=before: rows[at].update({key: to}), file)
    folds.forge(name)
    assert folds.findings(name) == []


@pytest.mark.parametrize("name", FILES)
def test_each_value_of_the_manifest_is_held_against_the_trials(folds: Evidence, name: str) -> None:
    told = folds.manifest(name)["predicate"]["results"][_TOLD[name]]
    assert len(told) > 8
    for key in told:
        folds.forge(
            name, lambda statement, key=key: statement["predicate"]["results"][_TOLD[name]].update({key: "other"})
        )
        assert any(f"manifest.json {_TOLD[name]} {key}: expected" in one for one in folds.findings(name)), key
        folds.forge(
            name, lambda statement, key=key: statement["predicate"]["results"][_TOLD[name]].update({key: told[key]})
        )
    assert folds.findings(name) == []
    folds.forge(name, lambda statement: statement["predicate"]["results"].pop(_TOLD[name]))
    assert any("what its folds tell together" in one for one in folds.findings(name))


def test_a_path_that_is_made_up_shows_in_how_the_paths_spread(folds: Evidence) -> None:
    rows = rows_of(folds.path("cpcv") / "paths.csv")
    at = next(at for at, row in enumerate(rows) if row["chosen"] != "true")
    edit_rows(folds, "cpcv", lambda rows: rows[at].update(sharpe="9.5"), "paths.csv")
    folds.forge("cpcv")
    assert any("manifest.json cpcv sharpe: expected" in one for one in folds.findings("cpcv"))


@pytest.mark.parametrize(("name", "file"), [("walk", "folds.csv"), ("cpcv", "splits.csv"), ("cpcv", "paths.csv")])
@pytest.mark.parametrize("what", ["a row less", "a column less", "no table", "no text"])
def test_a_file_that_is_another_is_found(folds: Evidence, name: str, file: str, what: str) -> None:
    path = folds.path(name) / file
    lines = path.read_bytes().splitlines(keepends=True)
    made = {
        "a row less": b"".join(lines[:-1]),
        "a column less": b"".join(line.rpartition(b",")[0] + b"\n" for line in lines),
        "no table": b'"',
        "no text": b"\xff\xfe\n\xff",
    }
    path.chmod(0o644)
    path.write_bytes(made[what])
    folds.forge(name)
    assert any(file in one for one in folds.findings(name))


@pytest.mark.parametrize(("name", "file"), [("walk", "folds.csv"), ("cpcv", "splits.csv"), ("cpcv", "paths.csv")])
def test_a_file_that_is_left_out_is_found(folds: Evidence, name: str, file: str) -> None:
    (folds.path(name) / file).unlink()
    edited = folds.manifest(name)
    edited["subject"] = [one for one in edited["subject"] if one["name"] != file]
    folds.write_manifest(name, edited)
    folds.forge(name)
    assert any(f"{file}: expected a row for each" in one for one in folds.findings(name))


def test_bars_to_choose_on_that_reach_into_those_to_test_on_are_found(folds: Evidence) -> None:
    def ahead(statement: dict[str, Any]) -> None:
        fold = _plan(statement)["walk_forward"]["folds"][0]
        fold["train"]["bars"][1] = fold["test"]["bars"][0] + 1

    folds.forge("walk", ahead)
    expected = "manifest.json fold 0: expected bars to choose on, and after them those to test on, found others"
    assert expected in " ".join(folds.findings("walk"))


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
def test_splits_and_groups_that_are_not_all_are_found(folds: Evidence, edit: Any, expected: str) -> None:
    folds.forge("cpcv", lambda statement: edit(_plan(statement)["cpcv"]))
    assert expected in " ".join(folds.findings("cpcv"))


def test_a_choice_by_another_statistic_is_found(folds: Evidence) -> None:
    folds.forge("cpcv", lambda statement: _plan(statement).update(maximize="cagr"))
    assert "expected a choice by sharpe or total_return, found cagr" in " ".join(folds.findings("cpcv"))
    folds.forge("cpcv", lambda statement: _plan(statement).update(maximize="total_return"))
    assert "manifest.json cpcv" in " ".join(folds.findings("cpcv"))
