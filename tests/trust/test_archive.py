"""Runs that earlier versions sealed are read as on their first day: verified, listed, shown, rendered, queried.

They lie in tests/archive, are copied before anything looks at them, and are never regenerated.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import peak_trade
from peak_trade import script
from peak_trade.evidence.results import Results
from peak_trade.report import render
from peak_trade.shown import listing
from peak_trade.stats import Stat, table
from peak_trade.trust import verify

ARCHIVE = Path(__file__).resolve().parents[1] / "archive"
HEADS = {
    "0.1.0": "ecccf801414b6f4d29d5f93c8a24eaf7787fcf820a361880fc529136d1012a01",
    "0.2.0": "a8935311db7037825c6eebecda09151dbec04b3a7a788b66f85913227950f296",
    "0.3.0": "4a425e810f1812f0f6e504a7f1bc0fa453ff675d7d2e2516b302734d753299cd",
}
"""The last line of each ledger; every byte that was sealed follows from it."""
LATER = Stat("later", "ratio", "a statistic of a version to come", lambda run: 7.0)

Archived = tuple[Path, Results]


@pytest.fixture(params=HEADS)
def archived(request: pytest.FixtureRequest, tmp_path: Path) -> Archived:
    """A copy of what a version sealed: its folder and its results."""
    root = tmp_path / "archive"
    shutil.copytree(ARCHIVE / request.param, root)
    return root, Results(root / "runs")


def test_every_version_is_held_by_its_ledger() -> None:
    assert {path.name for path in ARCHIVE.iterdir() if path.is_dir()} == HEADS.keys()
    assert {name: Results(ARCHIVE / name / "runs").reading().head for name in HEADS} == HEADS


def test_every_run_is_intact_beside_its_data(archived: Archived) -> None:
    pytest.importorskip("pyarrow", reason="trades.parquet is read by the extra lake")
    root, results = archived
    verdicts = list(verify.verify_all(results, None, root=root))
    assert [(verdict.state, verdict.findings) for verdict in verdicts] == [("intact", [])] * 5
    redefined = {
        f"stats.json {stat.key}: this version defines it otherwise" for stat in table.STATS if stat.edition > 1
    }
    assert {line for verdict in verdicts for line in verdict.unchecked} <= redefined


def test_a_later_statistic_changes_nothing_for_them(archived: Archived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "STATS", (*table.STATS, LATER))
    assert {verdict.state for verdict in verify.verify_all(archived[1], None, root=archived[0])} == {"intact"}


def test_a_byte_that_changes_in_any_sealed_file_is_found(archived: Archived) -> None:
    root, results = archived
    names = set()
    for run in results.runs():
        for file in run.iterdir():
            if file.name in verify.DERIVED:
                continue
            content = file.read_bytes()
            file.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
            assert verify.verify(run, root=root).state == "broken", f"{run.name}/{file.name}"
            file.write_bytes(content)
            names.add(file.name)
    assert names == {
        "manifest.json", "config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv", "benchmark.csv",
        "trades.parquet", "trades.csv", "error.json",
    }  # fmt: skip


def test_the_data_is_held_against_them(archived: Archived) -> None:
    root, results = archived
    bars = root / "data" / "bars.csv"
    bars.write_text(bars.read_text().replace("1000\n", "1001\n"))
    broken = [verdict for verdict in verify.verify_all(results, None, root=root) if verdict.state == "broken"]
    assert [["2024-01-01" in str(finding) for finding in verdict.findings] for verdict in broken] == [[True]] * 3


def version(path: Path) -> str:
    """Return the version that sealed a run."""
    told = json.loads((path / "manifest.json").read_bytes())["predicate"]["buildDefinition"]["internalParameters"]
    return str(told["environment"]["peak_trade"])


def test_trades_before_0_3_are_read_without_excursions_and_later_ones_with_them(archived: Archived) -> None:
    pytest.importorskip("pyarrow", reason="trades.parquet is read by the extra lake")
    read = 0
    for path in archived[1].runs():
        run = peak_trade.open_run(path)
        if run.status == "sealed":
            assert list(run.trades)[-2:] == ["mae", "mfe"] and run.trades.rows > 0
            absent = np.isnan([run.trades["mae"], run.trades["mfe"]])
            assert absent.all() if version(path) < "0.3" else not absent.any()
            read += 1
    assert read == 3


def test_they_are_listed_with_their_figures(archived: Archived) -> None:
    listed = listing.rows(archived[1])
    found = {(row.strategy.rpartition("/")[2], row.status): row.total_return for row in listed}
    assert {key: value and round(value, 4) for key, value in found.items()} == {
        ("own.py:broken", "failed"): None,
        ("buy_and_hold", "sealed"): 0.1173,
        ("own.py:steps", "sealed"): -0.076,
        ("sma_crossover", "sealed"): 0.1102,
        ("momentum", "removed"): 0.2529,
    }
    assert archived[1].find("last").name == listed[1].run_id


def test_each_is_shown(archived: Archived) -> None:
    for run in archived[1].runs():
        described, text = listing.describe(run), listing.summary(run)
        assert text.splitlines()[0].split()[1:] == [run.name, described["status"]]
        assert ("sharpe" in text) == (described["status"] == "sealed") == (described["error"] is None)


def test_each_is_rendered(archived: Archived) -> None:
    for module in ("nbclient", "nbconvert", "jupytext", "ipykernel"):
        pytest.importorskip(module, reason="the built-in renderer is of the extra experiments")
    with render.Builtin(script.repo_root() / render.QMD) as renderer:
        for run in archived[1].runs():
            render.render(run, renderer)
            page = (run / render.OUTPUT).read_text(encoding="utf-8")
            assert f'data-run="{run.name}"' in page and 'data-seal="intact"' in page
            figures = json.loads((run / "stats.json").read_bytes()) if (run / "stats.json").exists() else {}
            assert ("Sharpe ratio" in page) == bool(figures)


def test_they_come_into_the_lake(archived: Archived, tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="of the extra lake")
    from peak_trade.data.lake import build, check, query

    root, results = archived
    done = build.build(results, tmp_path / "lake", root=root)
    assert (done.runs, done.broken, done.skipped) == ({"sealed": 3, "failed": 1, "removed": 1}, [], [])
    assert [bars.new for bars in done.bars] == [60]
    assert check.check(tmp_path / "lake", results).findings == []
    with query.connect(tmp_path / "lake") as connection:
        rows = connection.execute("SELECT run_id, sharpe, trades FROM runs WHERE status = 'sealed'").fetchall()
        told = connection.execute("SELECT count(*), count(pnl), count(mae), count(mfe) FROM trades").fetchall()
    count = sum(row[2] for row in rows)
    with_them = count if version(next(iter(results.runs()))) >= "0.3" else 0
    assert told == [(count, count, with_them, with_them)]
    for run_id, sharpe, trades in rows:
        stats = json.loads((results.path / run_id / "stats.json").read_bytes())
        assert (sharpe, trades) == (stats["sharpe"], stats["trades"])
