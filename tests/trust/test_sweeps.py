"""A parent of a sweep is intact as it was sealed; what is changed in it, however well it is sealed anew, is found."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import CONFIGS, Evidence, rewrite
from tests.trust.sweeping import edit_end, edit_rows, rows_of, sweep_of, sweep_of_csv

from peak_trade.evidence import trials
from peak_trade.evidence.results import Results
from peak_trade.trust import sweeps, verify


@pytest.fixture(scope="session")
def swept_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Two parents of the same sweep: `parent` with Parquet, `plain` with CSV."""
    root = tmp_path_factory.mktemp("swept")
    for folder in ("data", "strategies"):
        shutil.copytree(sealed_once.root / folder, root / folder)
    made = Evidence(root, root / "results", {})
    sweep_of(made, "parent")
    sweep_of_csv(made, "plain")
    return made


@pytest.fixture
def swept(swept_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of the parents, to be broken."""
    return swept_once.copy(tmp_path / "repository")


def _forged(swept: Evidence, name: str = "plain") -> list[str]:
    """Seal a parent anew whose files were edited, and return what is found."""
    swept.forge(name)
    return swept.findings(name)


def test_a_parent_is_intact_with_parquet_and_with_csv(swept: Evidence) -> None:
    assert {name: one.state for name, one in swept.verdicts().items()} == dict.fromkeys(
        ("ledger.jsonl", "parent", "plain"), "intact"
    )
    assert not any(one.unchecked for one in swept.verdicts().values())
    assert _forged(swept) == []  # the control of all below: what is sealed anew and not changed is intact


def test_the_table_of_both_is_the_same_and_has_what_trials_came_to(swept: Evidence) -> None:
    found = [
        trials.read(name, (swept.path(run) / name).read_bytes())
        for run, name in (("parent", "trials.parquet"), ("plain", "trials.csv"))
    ]
    for one in found:
        assert one.status == ["done"] * 4 + ["failed"] * 2 + ["done"] * 2
        assert one.duplicate_of.tolist() == [-1, 0, -1, 2, -1, -1, -1, 6]
        assert one.first_of_results().tolist() == one.duplicate_of.tolist()
        assert one.overrides(3) == {
            "strategy.params.fast": 3, "strategy.params.slow": 12, "stops.stop_loss": 0.95
        }  # fmt: skip
    a, b = found
    assert a.keys == b.keys
    assert (a.values == b.values)[~a.failed].sum() == (~(a.values != a.values))[~a.failed].sum()
    assert (a.equity_digest, a.error, a.params, a.best) == (b.equity_digest, b.error, b.params, b.best)


_CELLS = {
    "index": "77", "fold": "0", "part": "test", "params": '{"fast":3,"slow":9}', "settings": '{"stops.stop_loss":0.91}',
    "seed": "5", "status": "failed", "error": "no idea", "duplicate_of": "0", "sharpe": "0.123", "equity_digest": "ab",
    "trades_digest": "",
}  # fmt: skip


@pytest.mark.parametrize("column", _CELLS)
def test_a_cell_that_was_changed_in_a_row_that_is_not_the_chosen_one_is_found(swept: Evidence, column: str) -> None:
    chosen = next(at for at, row in enumerate(rows_of(swept.path("plain") / "trials.csv")) if row["chosen"] == "true")
    at = 2 if chosen != 2 else 0
    edit_rows(swept, "plain", lambda rows: rows[at].update({column: _CELLS[column]}))
    found = _forged(swept)
    where = "trials_on" if column == "sharpe" else f"trials.csv row {at}"
    assert any(where in one for one in found), found


def test_each_cell_of_the_chosen_row_is_held_against_the_result(swept: Evidence) -> None:
    rows = rows_of(swept.path("plain") / "trials.csv")
    at = next(at for at, row in enumerate(rows) if row["chosen"] == "true")
    columns = [key for key in rows[at] if key not in _CELLS and key != "chosen" and rows[at][key]]
    assert len(columns) > 50
    for column in columns:
        before = rows[at][column]
        edit_rows(swept, "plain", lambda rows, key=column: rows[at].update({key: "0.987"}))
        found = _forged(swept)
        assert any(f"trials.csv row {at} {column}" in one for one in found), (column, found)
        edit_rows(swept, "plain", lambda rows, key=column, old=before: rows[at].update({key: old}))
    assert _forged(swept) == []


def test_another_row_is_not_chosen_in_place_of_the_best(swept: Evidence) -> None:
    def other(rows: list[dict[str, str]]) -> None:
        at = next(at for at, row in enumerate(rows) if row["chosen"] == "true")
        rows[at]["chosen"], rows[6 if at != 6 else 0]["chosen"] = "false", "true"

    edit_rows(swept, "plain", other)
    found = _forged(swept)
    assert any("trials.csv chosen: expected row" in one for one in found), found


def test_two_chosen_rows_and_none_are_found(swept: Evidence) -> None:
    edit_rows(swept, "plain", lambda rows: [row.update(chosen="true") for row in rows[:2]] and None)
    assert any("trials.csv chosen: expected one row" in one for one in _forged(swept))
    edit_rows(swept, "plain", lambda rows: [row.update(chosen="false") for row in rows] and None)
    assert any("that of the parent's result, found none" in one for one in _forged(swept))


def test_a_trial_that_is_left_out_is_found_however_well_it_is_sealed(swept: Evidence) -> None:
    """The trial that looks worst is taken out of the table, of the manifest's count and of the ledger's line."""

    def without(rows: list[dict[str, str]]) -> None:
        del rows[-1]

    edit_rows(swept, "plain", without)
    edit_rows(swept, "plain", without, "blocks.csv")
    table = trials.read("trials.csv", (swept.path("plain") / "trials.csv").read_bytes())
    known = {row["sharpe"] for row in rows_of(swept.path("plain") / "trials.csv") if row["sharpe"]}
    ratios = [float(one) for one in known]

    def told(entry: dict[str, Any]) -> None:
        entry["trials"] = 7
        entry["trials_on"][0] |= {"count": 7, "results": len(ratios)}
        entry["trials_on"][0]["ratios"] = {
            "count": len(ratios), "mean": math.fsum(ratios) / len(ratios), "variance": statistics.pvariance(ratios)
        }  # fmt: skip

    edit_end(swept, "plain", told)
    swept.forge("plain", lambda statement: statement["predicate"]["results"].update(trials=len(table)))
    assert swept.findings("plain") == ["trials.csv: expected 8 rows, one for each combination, found 7"]


def test_a_row_that_is_there_twice_in_place_of_another_is_found(swept: Evidence) -> None:
    def twice(rows: list[dict[str, str]]) -> None:
        rows[7] = rows[6] | {"index": "7", "duplicate_of": "6"}

    edit_rows(swept, "plain", twice)
    assert [one for one in _forged(swept) if "row 7 params" in one]


def test_a_search_of_other_axes_than_were_searched_is_found(swept: Evidence) -> None:
    def narrow(statement: dict[str, Any]) -> None:
        asked = statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
        asked["grid"]["strategy.params.slow"] = [8]

    swept.forge("plain", narrow)
    assert "trials.csv: expected 4 rows, one for each combination, found 8" in swept.findings("plain")


@pytest.mark.parametrize(
    ("key", "value"), [("count", 3), ("failed", 0), ("results", 8), ("best", 9.5), ("symbol", "X"), ("data", "0" * 64)]
)
def test_what_the_ledger_counts_is_what_the_table_has(swept: Evidence, key: str, value: Any) -> None:
    edit_end(swept, "plain", lambda entry: entry["trials_on"][0].update({key: value}))
    swept.rechain()
    assert any(f"trials_on {key}" in one for one in swept.findings("plain"))


def test_the_ledgers_spread_of_ratios_is_that_of_the_different_results(swept: Evidence) -> None:
    end = json.loads(swept.ledger()[-1])
    rows = rows_of(swept.path("plain") / "trials.csv")
    ratios = [float(row["sharpe"]) for row in rows if row["status"] == "done" and not row["duplicate_of"]]
    told = end["trials_on"][0]
    assert (told["count"], told["failed"], told["results"]) == (8, 2, 3)
    assert told["ratios"]["mean"] == pytest.approx(statistics.mean(ratios), rel=1e-12)
    assert told["ratios"]["variance"] == pytest.approx(statistics.pvariance(ratios), rel=1e-12)
    edit_end(swept, "plain", lambda entry: entry["trials_on"][0]["ratios"].update(variance=9.0))
    swept.rechain()
    assert any("trials_on ratios" in one for one in swept.findings("plain"))


def test_a_parent_by_the_least_of_a_statistic_has_the_row_with_least(swept_once: Evidence, tmp_path: Path) -> None:
    made = Evidence(tmp_path, tmp_path / "results", {})
    shutil.copytree(swept_once.root / "data", tmp_path / "data")
    sweep_of_csv(made, "least", minimize="sharpe")
    assert made.findings("least") == []
    rows = rows_of(made.path("least") / "trials.csv")
    least = min(float(row["sharpe"]) for row in rows if row["sharpe"])
    assert [float(row["sharpe"]) for row in rows if row["chosen"] == "true"] == [least]
    asked = made.manifest("least")
    told = asked["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
    told["maximize"] = told.pop("minimize")
    made.write_manifest("least", asked)
    made.rechain()
    assert any("trials.csv chosen: expected row" in one for one in made.findings("least"))


def test_some_combinations_drawn_by_a_seed_are_those_that_the_manifest_names(
    swept_once: Evidence, tmp_path: Path
) -> None:  # fmt: skip
    made = Evidence(tmp_path, tmp_path / "results", {})
    shutil.copytree(swept_once.root / "data", tmp_path / "data")
    sweep_of_csv(made, "drawn", random=5, seed=3)
    assert made.findings("drawn") == []
    other = made.manifest("drawn")
    chosen = other["predicate"]["buildDefinition"]["externalParameters"]["sweep"]["chosen"]
    free = next(one for one in range(8) if one not in chosen)
    chosen[:] = sorted({*chosen[1:], free})
    made.write_manifest("drawn", other)
    made.rechain()
    found = made.findings("drawn")
    assert any("params: expected combination" in one for one in found)
    assert "trials.csv params: expected the combinations that the seed 3 draws, found others" in found


def test_a_valid_combination_that_is_called_invalid_is_found_where_a_registered_strategy_can_be_asked(
    swept_once: Evidence, tmp_path: Path
) -> None:
    made = Evidence(tmp_path, tmp_path / "results", {})
    shutil.copytree(swept_once.root / "data", tmp_path / "data")
    sweep_of_csv(made, "grid", text=CONFIGS["builtin"], grid=("fast=3,8", "slow=8,12"))
    assert made.findings("grid") == []
    asked = made.manifest("grid")
    plan = asked["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
    assert (plan["chosen"], plan["invalid"]) == ([0, 1, 3], 1)

    def without(rows: list[dict[str, str]]) -> None:  # the last one, which is valid, and not the best
        assert rows[2]["chosen"] == "false"
        del rows[2]

    edit_rows(made, "grid", without)
    plan.update(chosen=[0, 1], invalid=2)
    asked["predicate"]["results"]["trials"] = 2
    made.write_manifest("grid", asked)
    made.forge("grid")
    expected = (
        "trials.csv params: expected 3 combinations that are valid, found left out: combination 3, which is valid"
    )
    assert any(one.startswith(expected) for one in made.findings("grid"))


def test_what_a_strategy_of_ones_own_refuses_is_said_to_be_unchecked(swept_once: Evidence, tmp_path: Path) -> None:
    made = Evidence(tmp_path, tmp_path / "results", {})
    shutil.copytree(swept_once.root / "data", tmp_path / "data")
    sweep_of_csv(made, "own", grid=("strategy.params.fast=3,8", "stops.stop_loss=0.9,1.5"))
    verdict = made.verdicts()["own"]
    assert (verdict.state, len(verdict.unchecked)) == ("intact", 1)
    assert "which 2 combinations are invalid: the strategy's own code says it" in verdict.unchecked[0]


def test_a_kept_run_that_has_other_digests_than_its_row_is_found(swept_once: Evidence, tmp_path: Path) -> None:
    made = Evidence(tmp_path, tmp_path / "results", {})
    shutil.copytree(swept_once.root / "data", tmp_path / "data")
    sweep_of_csv(made, "kept", keep=3)
    assert made.findings() == []
    kept = made.manifest("kept")["predicate"]["runDetails"]["metadata"]["kept"]
    assert len(kept) == 3
    rows = rows_of(made.path("kept") / "trials.csv")
    at = next(int(at) for at in kept if rows[int(at)]["chosen"] == "false")
    edit_rows(made, "kept", lambda rows: rows[at].update(equity_digest="ab" * 32))
    made.forge("kept")
    assert any(f"trials.csv row {at} equity_digest: expected of run {kept[str(at)][:8]}" in one
               for one in made.findings("kept"))  # fmt: skip


def test_without_pyarrow_what_is_in_parquet_is_named_as_not_checked(
    swept: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type]
    found = swept.verdicts()
    assert (found["parent"].state, found["plain"].state) == ("intact", "intact")
    assert "just setup lake" in found["parent"].unchecked[0]
    assert found["plain"].unchecked == []


def test_durations_are_held_by_the_digest_in_the_manifest_though_they_are_not_sealed(swept: Evidence) -> None:
    path = swept.path("plain") / "durations.csv"
    rewrite(path, path.read_bytes().replace(b"0.", b"1.", 1))
    assert [one.split(":")[0] for one in swept.findings("plain")] == ["durations.csv"]
    path.unlink()
    verdict = swept.verdicts()["plain"]
    assert (verdict.state, "durations.csv" in verdict.unchecked[0]) == ("intact", True)


def _without_sums(swept: Evidence) -> None:
    """Take the sums of returns away from a parent, from its seal too."""
    (swept.path("plain") / "blocks.csv").unlink()
    edited = swept.manifest("plain")
    edited["subject"] = [one for one in edited["subject"] if one["name"] != "blocks.csv"]
    swept.write_manifest("plain", edited)
    swept.forge("plain")


def test_sums_of_returns_that_are_left_out_are_found(swept: Evidence) -> None:
    _without_sums(swept)
    assert swept.findings("plain") == [
        "blocks.parquet: expected the sums of the returns of each trial, found no such file"
    ]


def test_of_more_trials_than_sums_are_kept_of_it_is_said_that_they_are_unchecked(
    swept: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "BLOCKED", 7)
    _without_sums(swept)
    verdict = swept.verdicts()["plain"]
    assert (verdict.state, verdict.unchecked) == (
        "intact", ["statistics of trials: the sums of returns are not kept of more than 7"]
    )  # fmt: skip


def _beside(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return an edit of what a manifest tells of what lies beside its sealed files."""

    def edit(statement: dict[str, Any]) -> None:
        details = statement["predicate"]["runDetails"]
        told = details["metadata"] if key == "kept" else details
        told[key] = value(told[key]) if callable(value) else value

    return edit


_RUN = "5a0c1a9e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kept", None),
        ("kept", [_RUN]),
        ("kept", "none"),
        ("kept", {"x": _RUN}),
        ("kept", {"01": _RUN}),
        ("kept", {"-1": _RUN}),
        ("kept", {"1": None}),
        ("kept", {"1": "../" * 12}),
        ("kept", {"0": _RUN, "1": {}}),
        ("byproducts", None),
        ("byproducts", {}),
        ("byproducts", "durations.csv"),
        ("byproducts", ["durations.csv"]),
        ("byproducts", lambda told: [one | {"digest": one["digest"]["sha256"]} for one in told]),
        ("byproducts", lambda told: [one | {"digest": {"sha256": "ab"}} for one in told]),
        ("byproducts", lambda told: [one | {"digest": {"sha512": "ab" * 64}} for one in told]),
        ("byproducts", lambda told: [one | {"name": 1} for one in told]),
        ("byproducts", lambda told: [*told, *told]),
        ("byproducts", lambda told: [*told, None]),
    ],
)
def test_what_is_told_of_kept_runs_or_of_files_beside_but_not_as_it_is_told_is_found(
    swept: Evidence, key: str, value: Any
) -> None:
    swept.forge("plain", _beside(key, value))
    found = swept.findings("plain")
    assert len(found) == 1 and found[0].startswith(f"manifest.json {key}: expected "), found


@pytest.mark.parametrize(
    ("key", "value"), [("kept", {}), ("kept", {"1": _RUN}), ("byproducts", []), ("byproducts", list)]
)
def test_what_is_told_of_them_as_it_is_told_is_intact(swept: Evidence, key: str, value: Any) -> None:
    """The control: nothing was kept, or a run that is not here; nothing is beside, or what was there before."""
    swept.forge("plain", _beside(key, value))
    assert (swept.findings("plain"), swept.verdicts()["plain"].unchecked) == ([], [])


def test_a_file_beside_that_this_version_does_not_know_is_said_to_be_unchecked(swept: Evidence) -> None:
    other = {"name": "other.bin", "digest": {"sha256": "ab" * 32}}
    swept.forge("plain", _beside("byproducts", lambda told: [*told, other]))
    verdict = swept.verdicts()["plain"]
    assert (verdict.state, len(verdict.unchecked)) == ("intact", 1)
    assert "other.bin" in verdict.unchecked[0]


@pytest.fixture(scope="session")
def asked_once(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A parent of a search by Optuna, `search`, and one that was drawn from a range, `drawn`."""
    pytest.importorskip("optuna", reason="just setup search")
    root = tmp_path_factory.mktemp("asked")
    shutil.copytree(sealed_once.root / "data", root / "data")
    made = Evidence(root, root / "results", {})
    sweep_of_csv(made, "search", grid=("strategy.params.fast=2:6:1", "stops.stop_loss=0.9,0.95"), optuna=6)
    sweep_of_csv(made, "drawn", grid=("strategy.params.fast=2:6:1", "stops.stop_loss=0.9:0.95"), random=6)
    return made


@pytest.fixture
def asked(asked_once: Evidence, tmp_path: Path) -> Evidence:
    """A copy of them, to be broken."""
    return asked_once.copy(tmp_path / "asked")


def _plan(statement: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = statement["predicate"]["buildDefinition"]["externalParameters"]["sweep"]
    return told


@pytest.mark.parametrize("name", ["search", "drawn"])
def test_a_search_and_what_was_drawn_are_intact(asked: Evidence, name: str) -> None:
    assert (asked.findings(name), asked.verdicts()[name].unchecked) == ([], [])
    asked.forge(name)
    assert (asked.findings(name), asked.verdicts()[name].unchecked) == ([], [])  # the control of those below


@pytest.mark.parametrize("search", [None, [], "tpe", 6, {}, {"trials": None}, {"trials": "6"}, {"trials": 6.0},
                                    {"trials": -6}, {"trials": True}, {"trials": [6]}])  # fmt: skip
def test_a_search_that_does_not_say_how_many_trials_it_asked_for_is_found(asked: Evidence, search: Any) -> None:
    asked.forge("search", lambda statement: _plan(statement).update(optuna=search))
    (found,) = asked.findings("search")
    assert "does not say how many trials were asked for" in found or "has no count of what it calls trials" in found


@pytest.mark.parametrize("count", [None, "6", 5.5, -1])
def test_of_a_range_it_is_said_how_many_were_drawn(asked: Evidence, count: Any) -> None:
    asked.forge("drawn", lambda statement: _plan(statement).update(random=count))
    (found,) = asked.findings("drawn")
    assert "does not say how many trials were asked for" in found or "has no count of what it calls random" in found


@pytest.mark.parametrize("count", [5, 7])
def test_of_a_search_and_of_what_was_drawn_there_are_as_many_rows_as_were_asked_for(
    asked: Evidence, count: int
) -> None:
    asked.forge("search", lambda statement: _plan(statement)["optuna"].update(trials=count))
    asked.forge("drawn", lambda statement: _plan(statement).update(random=count))
    for name in ("search", "drawn"):
        assert asked.findings(name) == [f"trials.csv: expected {count} rows, one for each trial, found 6"]


_HOSTILE = {
    "nothing": b"",
    "a header alone": b"index,chosen\n",
    "another table": b"a,b\n1,2\n",
    "no number": None,
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_table_ends_in_a_sentence(swept: Evidence, name: str) -> None:
    path = swept.path("plain") / "trials.csv"
    content = _HOSTILE[name]
    rewrite(path, path.read_bytes().replace(b"0.95", b"null]", 1) if content is None else content)
    found = _forged(swept)
    assert len(found) == 1 and "trials.csv is no table of trials" in found[0], found


@pytest.mark.parametrize("cell", ["[" * 5000, "nan", "1e400", '{"a":' * 3000, "9" * 400, "x" * 100_000])
@pytest.mark.parametrize("column", ["params", "sharpe", "index", "seed", "chosen"])
def test_a_hostile_cell_ends_in_a_sentence(swept: Evidence, column: str, cell: str) -> None:
    edit_rows(swept, "plain", lambda rows: rows[2].update({column: cell}))
    found = _forged(swept)
    assert found and all(len(one) < 1000 for one in found)
    assert not any("Traceback" in one or "RecursionError" in one for one in found)


def test_a_table_of_very_many_rows_in_few_bytes_is_not_unpacked(swept: Evidence) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = swept.path("parent") / "trials.parquet"
    like = pq.read_schema(path)
    rows = 5_000_000
    arrays = [pa.nulls(rows, field.type) if field.name not in ("part",) else pa.array([""] * rows) for field in like]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=like), sink, compression="zstd")
    assert len(sink.getvalue()) < rows // 4
    rewrite(path, sink.getvalue())
    found = _forged(swept, "parent")
    assert len(found) == 1 and "more than" in found[0] and "can hold" in found[0], found


def test_a_parquet_file_with_columns_of_other_kinds_ends_in_a_sentence(swept: Evidence) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = swept.path("parent") / "trials.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index("sharpe")
    nested = pa.array([[1.0]] * len(table), pa.list_(pa.float64()))
    path.unlink()
    pq.write_table(table.set_column(at, "sharpe", nested), path)
    found = _forged(swept, "parent")
    assert len(found) == 1 and "sharpe has the type" in found[0], found


def test_verify_alone_says_that_a_parent_is_intact(swept: Evidence) -> None:
    verdict = verify.verify(swept.path("parent"), Results(swept.results).reading(), root=swept.root)
    assert verdict.as_text().split()[0] == "intact"


def test_a_trial_that_is_the_same_as_another_has_its_statistics(swept: Evidence) -> None:
    edit_rows(swept, "plain", lambda rows: rows[7].update(max_drawdown="-0.001"))
    assert _forged(swept) == ["trials.csv row 7: expected the statistics of row 6, whose digests it has, found others"]


@pytest.mark.parametrize("told", [None, {}, {"index": 7, "overrides": {}, "params": {}}])
def test_what_the_manifest_calls_chosen_is_the_row_that_is(swept: Evidence, told: Any) -> None:
    swept.forge("plain", lambda statement: statement["predicate"]["results"].update(chosen=told))
    assert any("manifest.json chosen index: expected 0" in one for one in swept.findings("plain"))
