"""What a parent says of itself: what was asked, what was chosen, and what a reader has to know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.sweep.conftest import ROOT, Bed, ledger, sealed

from peak_trade.evidence.results import Results
from peak_trade.trust.luck.family import families

GRID = ("--grid", "n=2:6:1", "--keep", "0")  # five trials


def predicate(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "manifest.json").read_text())["predicate"]
    return found


def verified(bed: Bed) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/verify_runs.py"), "--all", "--results-dir", str(bed.results)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_its_config_is_the_one_that_was_asked_for_and_its_manifest_says_what_was_chosen(bed: Bed) -> None:
    swept = bed.sweep(*GRID, "--set", "execution.fee_bps=2")
    best = max(swept.rows, key=lambda row: row["sharpe"])
    assert (swept.path / "config_snapshot.toml").read_bytes() == (bed.home / "config.toml").read_bytes()
    snapshot = json.loads((swept.path / "config_snapshot.json").read_text())
    assert (snapshot["strategy"]["params"], snapshot["overrides"]) == ({"n": 3}, {"execution.fee_bps": 2})
    found = predicate(swept.path)
    number = json.loads(best["params"])["n"]
    assert found["results"]["chosen"] == {
        "index": best["index"], "overrides": {"strategy.params.n": number}, "params": {"n": number},
    }  # fmt: skip
    assert found["results"]["equity_digest"] == best["equity_digest"]
    assert json.loads((swept.path / "stats.json").read_text())["sharpe"] == best["sharpe"]
    assert found["buildDefinition"]["externalParameters"]["sweep"] == {
        "grid": {"strategy.params.n": [2, 3, 4, 5, 6]}, "maximize": "sharpe",
    }  # fmt: skip
    assert ledger(bed.results)[-1]["params"] == {"n": number}
    assert verified(bed).returncode == 0


def test_what_is_minimized_is_the_least(bed: Bed) -> None:
    swept = bed.sweep(*GRID, "--minimize", "volatility")
    (chosen,) = [row for row in swept.rows if row["chosen"]]
    assert chosen["volatility"] == min(row["volatility"] for row in swept.rows)


def test_it_holds_neither_a_run_id_nor_a_time_of_the_clock(bed: Bed) -> None:
    first, second = bed.sweep(*GRID), bed.sweep(*GRID, results=bed.home / "other")
    assert first.sealed == second.sealed
    for name in first.sealed:
        assert first.path.name.encode() not in (first.path / name).read_bytes()
    assert (first.path / "durations.csv").read_bytes() != (second.path / "durations.csv").read_bytes()


def test_where_every_trial_fails_it_is_sealed_as_failed_with_their_rows(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    raise ValueError(f'not with {n}')\n")
    swept = bed.sweep(*GRID)
    assert (swept.code, swept.stdout) == (1, "")
    assert "error: no trial came to its end: the strategy raised ValueError: not with 2" in swept.stderr
    (path,) = Results(bed.results).runs()
    assert f"hint: just show {path.name}" in swept.stderr
    assert predicate(path)["status"] == "failed"
    assert set(sealed(path)) == {
        "config_snapshot.json", "config_snapshot.toml", "error.json", "trials.parquet", "blocks.parquet",
        "code/strategy.py",
    }  # fmt: skip
    (family,) = families(Results(bed.results).reading())
    assert family.trials == 5
    assert verified(bed).returncode == 0


def test_a_trial_that_fails_is_a_row_with_its_reason_and_a_trial(bed: Bed) -> None:
    bed.strategy("def traded(bars, *, n=3):\n    return np.full(len(bars), 1.0 if n != 4 else 7.0)\n")
    swept = bed.sweep(*GRID)
    assert list(swept.errors) == [2]
    assert "the strategy returned 7.0 at row 0" in swept.errors[2]
    last = ledger(bed.results)[-1]
    assert (last["trials"], last["trials_failed"], last["trials_on"][0]["failed"]) == (5, 1, 1)


def test_a_strategy_that_looks_ahead_is_said_and_fails_where_it_is_strict(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.strategy(
        "def traded(bars, *, n=3):\n    ahead = np.append(bars.close[n:], [bars.close[-1]] * n)\n"
        "    return (ahead > bars.close).astype(float)\n"
    )
    swept = bed.sweep(*GRID)
    assert swept.code == 0
    assert "look-ahead found" in swept.stderr
    assert predicate(swept.path)["probe"]["verdict"] == "FAIL"
    assert ledger(bed.results)[-1]["lookahead"]
    monkeypatch.setenv("PEAK_STRICT", "1")
    strict = bed.sweep(*GRID, "--again")
    assert strict.code == 1
    assert "looks ahead, and PEAK_STRICT=1 makes that a failure" in strict.stderr


def test_an_account_that_was_ruined_is_sealed_as_ruined(bed: Bed) -> None:
    bars = (bed.home / "bars.csv").read_text().splitlines()
    cells = bars[200].split(",")
    high = str(float(cells[4]) * 3)
    bars[200] = ",".join([cells[0], cells[1], high, cells[3], high, cells[5]])
    (bed.home / "bars.csv").write_text("\n".join(bars[:201]) + "\n")
    bed.strategy("def traded(bars, *, n=3):\n    return np.full(len(bars), -1.0)\n")
    swept = bed.sweep("--grid", "n=2,3", "--maximize", "total_return", "--set", "execution.allow_short=true")
    assert predicate(swept.path)["status"] == "ruined"
    assert ledger(bed.results)[-1]["ruined"] == predicate(swept.path)["results"]["ruined"]
    assert verified(bed).returncode == 0


def test_bars_that_are_held_out_are_seen_by_no_trial(bed: Bed) -> None:
    swept = bed.sweep("--grid", "n=2,3", "--keep", "1", "--set", "run.holdout=5d")
    assert {row["bars"] for row in swept.rows} == {399 - 5 * 24}  # from five days before the last bar on
    assert "held out" in swept.stderr
    assert ledger(bed.results)[0]["holdout"] == "2020-01-12T15:00:00Z"
    (kept,) = predicate(swept.path)["runDetails"]["metadata"]["kept"].values()
    assert predicate(bed.results / kept)["results"]["equity_digest"] in {row["equity_digest"] for row in swept.rows}
    assert verified(bed).returncode == 0


@pytest.mark.parametrize("form", ["--set=strategy.params.token={}", "--set=run.tags.password={}"])
def test_a_secret_stands_in_nothing_that_is_left(bed: Bed, form: str) -> None:
    bed.strategy(
        "def traded(bars, *, n=3, token=''):\n    return np.ones(len(bars)) * (np.arange(len(bars)) % n > 0)\n"
    )
    bed.sweep(*GRID[:2], form.format("hunter2hunter2"), "--keep", "1")
    found = [path for path in bed.results.rglob("*") if path.is_file()]
    assert len(found) > 10
    assert [path for path in found if b"hunter2" in path.read_bytes()] == []


def test_bars_that_are_wrong_are_told_as_a_run_tells_them(bed: Bed) -> None:
    bars = (bed.home / "bars.csv").read_text().splitlines()
    del bars[100:103]
    (bed.home / "bars.csv").write_text("\n".join(bars) + "\n")
    swept = bed.sweep(*GRID)
    assert "data:" in swept.stderr
    assert "data" in {receipt["part"] for receipt in predicate(swept.path)["receipts"]}
    assert ledger(bed.results)[-1]["findings"]


def test_a_strategy_that_cannot_be_loaded_is_refused_before_anything_is_written(bed: Bed) -> None:
    bed.strategy("raise ImportError('nothing of the kind')")
    swept = bed.sweep(*GRID)
    assert swept.code == 1
    assert "the strategy raised ImportError when it was loaded: nothing of the kind" in swept.stderr
    assert not bed.results.exists() or not any(bed.results.glob("*"))
