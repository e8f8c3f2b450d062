"""What MLflow is told of a run is what stands in the run's sealed files."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.errors import RunError
from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.tracking import content
from peak_trade.tracking.content import report_state, run_content, thinned


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "equity.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def sealed_json(run_dir: Path, name: str) -> Any:
    return json.loads((run_dir / name).read_bytes())


def test_every_statistic_that_is_a_number_is_a_metric(runs: Any) -> None:
    figures = sealed_json(runs["plain"], "stats.json")
    expected = {key: value for key, value in figures.items() if isinstance(value, int | float)}
    found = {key: value for key, value, _, step in run_content(runs["plain"]).metrics if key not in content.POINTS}
    assert found == expected
    assert len(found) > 30


def test_a_statistic_that_does_not_exist_is_no_metric_but_has_its_reason_in_a_tag(runs: Any) -> None:
    figures = sealed_json(runs["flat"], "stats.json")
    found = run_content(runs["flat"])
    assert figures["win_rate"] is None
    assert "win_rate" not in {key for key, *_ in found.metrics}
    assert f"win_rate: {figures['reasons']['win_rate']}" in found.tags["undefined"].split("; ")


def test_the_curves_are_points_of_the_equity_file_at_their_bars(runs: Any) -> None:
    bars = rows(runs["plain"])
    for name, most in content.POINTS.items():
        points = [metric[1:] for metric in run_content(runs["plain"]).metrics if metric[0] == name]
        assert most / 2 < len(points) <= most < len(bars)
        for value, at, step in points:
            assert value == float(bars[step][name])
            assert at == np.datetime64(bars[step]["timestamp"][:-1], "ms").astype(int)


@pytest.mark.parametrize("name", list(content.POINTS))
def test_a_curve_holds_its_first_and_last_point_and_its_extremes(name: str, runs: Any) -> None:
    values = [float(row[name]) for row in rows(runs["plain"])]
    points = {step: value for key, value, _, step in run_content(runs["plain"]).metrics if key == name}
    assert points[0] == values[0]
    assert points[len(values) - 1] == values[-1]
    assert min(points.values()) == min(values)
    assert max(points.values()) == max(values)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=300), st.integers(4, 60))
def test_a_thinned_curve_holds_the_extremes_of_every_stretch(values: list[int], most: int) -> None:
    array = np.array(values, float)
    kept = thinned(array, most).tolist()
    assert kept == sorted(set(kept))
    assert len(kept) == len(values) if len(values) <= most else len(kept) <= most
    assert {0, len(values) - 1} <= set(kept)
    assert {min(values), max(values)} <= {values[index] for index in kept}
    longest = int(np.ceil((len(values) - 2) / ((most - 2) // 2))) if len(values) > most else 1
    for start in range(1, len(values) - 2 * longest):  # any window of two stretches holds a whole one
        window = range(start, start + 2 * longest)
        assert any(index in window for index in kept)


def test_one_bar_of_a_million_that_stands_out_is_kept() -> None:
    values = np.ones(1_000_000)
    values[654_321] = 2.0
    assert 654_321 in thinned(values, 300)


def test_a_million_bars_are_read_and_thinned_in_seconds() -> None:
    bars = 1_000_000
    times = np.datetime64("2020-01-01", "ns") + np.arange(bars) * np.timedelta64(60 * 10**9, "ns")
    equity = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 1e-4, bars)))
    columns = {"timestamp": times, "equity": equity, "drawdown": equity - 1, "position": equity}
    file = b"".join(tables.series_csv(columns))
    start = time.thread_time()  # what this thread works: a busy machine does not count
    found = content._curves(file)
    assert time.thread_time() - start < 15  # it takes 1.8 s
    assert sum(1 for key, *_ in found if key == "equity") <= content.POINTS["equity"]
    assert max(value for key, value, *_ in found if key == "equity") == equity.max()


def test_times_before_1970_which_mlflow_does_not_know_are_its_first_instant(runs: Any, tools: Any) -> None:
    tools.write_bars(runs.folder / "bars.csv", 10, "1969-12-31T20:00")
    found = run_content(runs.make("old", '[strategy]\nname = "buy_and_hold"\n'))
    times = [(at, step) for key, _, at, step in found.metrics if key == "equity"]
    assert times == [(max(0, (step - 4) * 3_600_000), step) for step in range(10)]


def test_params_are_the_resolved_config_laid_flat(runs: Any) -> None:
    found = run_content(runs["plain"]).params
    assert found["strategy.name"] == "sma_crossover"
    assert found["strategy.params.fast"] == "5"
    assert found["strategy.params.short"] == "false"  # a default that the config does not name
    assert found["execution.fee_bps"] == "10.0"
    assert found["data.path"] == "bars.csv"
    assert found["run.seed"] == "0"


def test_what_is_null_is_no_param(runs: Any) -> None:
    resolved = sealed_json(runs["plain"], "config_snapshot.json")
    assert resolved["stops"]["stop_loss"] is None
    assert [key for key in run_content(runs["plain"]).params if key.startswith("stops.")] == []


def test_params_stay_within_what_mlflow_takes(runs: Any) -> None:
    text = '[strategy]\nentrypoint = "own.py:free"\n[strategy.params]\n'
    text += f'long = "{"x" * 7_000}"\nlist = [1, 2.5, "c"]\n"odd/key√" = 1\n"odd/key∛" = 2\n{"k" * 300} = 3\n'
    text += "table = { inner = { deep = true } }\n"
    own = "import numpy as np\n\n\ndef free(bars, **params):\n    return np.zeros(len(bars))\n"
    (runs.folder / "own.py").write_text(own)
    found = run_content(runs.make("odd", text)).params
    params = {key.removeprefix("strategy.params."): value for key, value in found.items() if ".params." in key}
    assert len(params.pop("long")) == 6_000
    assert params.pop("list") == '[1,2.5,"c"]'
    assert params.pop("table.inner.deep") == "true"
    assert sorted(params.values()) == ["1", "2", "3"]
    assert params["odd_key_"] == "1"
    assert max(map(len, found)) == 250


def test_tags_say_what_was_run(runs: Any) -> None:
    tags = run_content(runs["plain"]).tags
    expected = {
        "run_id": runs["plain"].name,
        "status": "sealed",
        "strategy": "sma_crossover",
        "symbol": "TEST",
        "timeframe": "1h",
        "desk": "equities",
    }
    assert expected.items() <= tags.items()
    assert (
        tags["data_sha256"]
        == sealed_json(runs["plain"], "manifest.json")["predicate"]["buildDefinition"]["resolvedDependencies"][0][
            "digest"
        ]["sha256"]
    )
    assert "1,500 bars from 2024-01-01 to 2024-03-03" in tags["mlflow.note.content"]


def test_the_commit_and_whether_it_was_changed_are_tags(runs: Any) -> None:
    made = {"git": {"annotations": {"commit": "c0ffee", "dirty": True}}}
    assert content._git(made) == {"git_commit": "c0ffee", "git_dirty": "true", "mlflow.source.git.commit": "c0ffee"}
    assert content._git({"git": {"annotations": {"commit": None, "dirty": False}}}) == {}
    assert content._git({}) == {}


def test_tags_of_the_config_cannot_take_the_place_of_ours(runs: Any) -> None:
    text = '[run]\ntags = { run_id = "other", status = "splendid", "mlflow.runName" = "x", "a/b?" = "c" }\n'
    run_dir = runs.make("tags", text + '[strategy]\nname = "buy_and_hold"\n')
    tags = run_content(run_dir).tags
    assert (tags["run_id"], tags["status"], tags["a_b_"]) == (run_dir.name, "sealed", "c")
    assert "mlflow.runName" not in tags


@pytest.mark.parametrize(
    ("name", "shown"), [("plain", "A plain one fast=5, slow=20"), ("flat", "own.py:steps TEST 1h length=100000")]
)
def test_the_name_is_readable_and_tells_runs_apart(name: str, shown: str, runs: Any) -> None:
    assert run_content(runs[name]).name == f"{runs[name].name[:8]} {shown}"


def test_start_and_end_are_those_of_the_manifest(runs: Any) -> None:
    found = run_content(runs["plain"])
    metadata = sealed_json(runs["plain"], "manifest.json")["predicate"]["runDetails"]["metadata"]
    for at, text in ((found.started, metadata["startedOn"]), (found.finished, metadata["finishedOn"])):
        assert at == np.datetime64(text[:-1], "ms").astype(int)


def test_the_dataset_has_a_name_a_digest_and_a_source(runs: Any) -> None:
    found = run_content(runs["plain"])
    assert found.dataset
    sha256 = found.tags["data_sha256"]
    source = json.loads(found.dataset["source"])
    assert (found.dataset["name"], found.dataset["digest"]) == ("TEST 1h", sha256[:36])
    assert (source["uri"], source["from"], source["sha256"]) == ("bars.csv", "made up", sha256)
    assert json.loads(found.dataset["profile"])["num_rows"] == 1_500


def test_artifacts_are_all_sealed_files_the_manifest_and_the_log(runs: Any) -> None:
    (runs["plain"] / "debug").mkdir()
    (runs["plain"] / "debug" / "dump.bin").touch()
    sealed = {subject["name"] for subject in sealed_json(runs["plain"], "manifest.json")["subject"]}
    assert set(run_content(runs["plain"]).artifacts) == sealed | {"manifest.json", "run.log"}


def test_a_failed_run_tells_its_error_and_no_numbers(runs: Any) -> None:
    found = run_content(runs["failed"])
    assert (found.status, found.tags["status"]) == ("FAILED", "failed")
    assert found.tags["error"] == (
        'the strategy raised ValueError: no idea what to do, at own.py:11: raise ValueError("no idea what to do")'
    )
    assert found.metrics == []
    assert "error.json" in found.artifacts


def test_a_run_whose_process_died_before_it_wrote_its_config_has_a_content_too(runs: Any) -> None:
    from peak_trade.evidence.ledger import Ledger
    from peak_trade.evidence.run_dir import new_run_id, recover

    run_id = new_run_id()
    Ledger(runs.results).append("start", run_id)
    recover(Results(runs.results))
    found = run_content(runs.results / run_id)
    assert (found.name, found.status) == (f"{run_id[:8]} failed", "FAILED")


@pytest.mark.parametrize("of", ["tag", "environment"])
def test_a_parent_is_named_by_a_tag_of_the_run_or_by_the_environment(of: str, runs: Any) -> None:
    run_dir = runs["plain"]
    if of == "tag":
        run_dir = runs.make("child", '[run]\ntags = { parent_run_id = "p" }\n[strategy]\nname = "buy_and_hold"\n')
    assert run_content(run_dir, None if of == "tag" else "p").tags["parent_run_id"] == "p"


def test_a_run_is_not_its_own_parent(runs: Any) -> None:
    assert "parent_run_id" not in run_content(runs["plain"], runs["plain"].name).tags


def test_no_secret_is_told(runs: Any, tools: Any) -> None:
    found = run_content(runs["secret"])
    assert found.params["strategy.params.api_key"] == "[redacted]"
    assert found.tags["api_key"] == "[redacted]"
    assert tools.secret not in repr(found)


def spoil(run_dir: Path, how: str) -> str:
    path = run_dir / "stats.json"
    content_ = path.read_bytes()
    path.unlink()
    if how == "changed":
        path.write_bytes(content_.replace(b"1", b"2", 1))
    elif how == "linked":
        (run_dir.parent / "elsewhere").write_bytes(content_)
        path.symlink_to(run_dir.parent / "elsewhere")
    return {"changed": "is not as it was sealed", "missing": "No such file", "linked": "a symbolic link in place of"}[
        how
    ]


@pytest.mark.parametrize("how", ["changed", "missing", "linked"])
def test_numbers_that_nobody_vouches_for_are_not_passed_on(how: str, runs: Any) -> None:
    said = spoil(runs["plain"], how)
    with pytest.raises(RunError, match=f"stats.json.*{said}"):
        run_content(runs["plain"])


def test_a_report_that_is_rendered_anew_has_another_state(runs: Any) -> None:
    assert report_state(runs["plain"]) is None
    page = runs["plain"] / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("one")
    before = report_state(runs["plain"])
    page.write_text("another")
    assert before != report_state(runs["plain"]) is not None
