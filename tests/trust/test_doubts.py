"""A run whose strategy looks ahead, or gives two answers, wherever it is shown: named, red, and never first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peak_trade
from peak_trade import config, runner
from peak_trade.evidence.results import Results
from peak_trade.report import index
from peak_trade.report.head import head
from peak_trade.report.run import RunFiles
from peak_trade.shown import listing
from peak_trade.tracking.content import run_content
from peak_trade.trust.verify import verify

STRATEGIES = """
import numpy as np

ASKED = []
def honest(bars): return (bars.close > np.append(bars.close[:1], bars.close[:-1])).astype(float)
def cheat(bars): return (np.append(bars.close[1:], bars.close[-1:]) > bars.close).astype(float)
def two_answers(bars): ASKED.append(1); return np.full(len(bars), float(len(ASKED) % 2))
def takes_all(bars):
    if len(bars) < 200 or bars.close[-1] != LAST: raise ValueError
    return honest(bars)
"""
SAID = "look-ahead: the decision at bar 0 changes when bars after it are cut off: 1.0 → 0.0"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each strategy: the one that looks ahead is the newest, and its Sharpe ratio the highest by far."""
    folder = tmp_path_factory.mktemp("doubts")
    close = np.round(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.002, 0.01, 200))), 2)
    close[1] = close[0] + 1
    opens = [100.0, *close[:-1]]
    days = np.datetime64("2023-01-01") + np.arange(200)
    rows = [
        f"{day},{o},{max(o, c) + 1:.2f},{min(o, c) - 1:.2f},{c},10"
        for day, o, c in zip(days, opens, close, strict=True)
    ]
    (folder / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    (folder / "user.py").write_text(STRATEGIES.replace("LAST", f"{close[-1]}"))
    made = {}
    for name in ("honest", "two_answers", "takes_all", "cheat"):
        (folder / "config.toml").write_text(
            f'[data]\npath = "bars.csv"\nsymbol = "TEST"\ntimeframe = "1d"\n[strategy]\nentrypoint = "user.py:{name}"\n'
        )
        made[name] = runner.run(config.load(folder / "config.toml"), root=folder, results=folder / "results")
    return made


def test_the_lists_have_it_last(ran: dict[str, Path]) -> None:
    results = Results(ran["cheat"].parent)
    rows = listing.rows(results)
    assert [row.run_id for row in rows] == [ran[name].name for name in ("takes_all", "two_answers", "honest", "cheat")]
    assert max(rows, key=lambda row: row.sharpe or 0).run_id == ran["cheat"].name
    page = index.write(results).read_text("utf-8")
    found = re.findall(r'<tr role="row"( data-last)?><th .*?<code>(\w{8})</code>', page)
    assert found == [("", row.run_id[:8]) for row in rows[:-1]] + [(" data-last", ran["cheat"].name[:8])]
    for doubt in ("look-ahead", "not repeatable"):
        badges = f'<span class="badge good">sealed</span><span class="badge bad">✗ {doubt}</span></td>'
        assert badges in page, "and no word of luck"


def test_what_is_not_assessed_is_no_doubt(ran: dict[str, Path]) -> None:
    [row] = [row for row in listing.rows(Results(ran["cheat"].parent)) if row.run_id == ran["takes_all"].name]
    assert (row.standing, row.lookahead, row.repeatable) == ("sealed", "", None)


@pytest.mark.parametrize(
    ("name", "badge", "note"),
    [
        ("honest", '<span class="badge good">✓ Run completed</span>', "no look-ahead was found in 8 places."),
        ("cheat", '<span class="badge bad">✗ Look-ahead</span>', f"{SAID}."),
        ("two_answers", '<span class="badge bad">✗ Not repeatable</span>', "not repeatable: two answers"),
        ("takes_all", '<span class="badge open">– Not assessed</span>', "it can&#39;t be asked again"),
    ],
)
def test_the_report_has_a_badge_of_its_colour(ran: dict[str, Path], name: str, badge: str, note: str) -> None:
    shown = head(RunFiles(ran[name]), "now")
    assert badge in shown
    assert note[:1].upper() + note[1:] in shown.replace("&#x27;", "&#39;")
    assert ("✓ Run completed" in shown) == (name in ("honest", "takes_all"))


@pytest.mark.needs("lake")
def test_the_lake_has_it_in_a_column_and_not_among_the_best(ran: dict[str, Path], tmp_path: Path) -> None:
    from peak_trade.data.lake import build, query

    build.build(Results(ran["cheat"].parent), tmp_path / "lake", root=ran["cheat"].parents[1])
    with query.connect(tmp_path / "lake") as connection:
        asked = "SELECT run_id, lookahead, repeatable FROM runs"
        found = {run_id: rest for run_id, *rest in connection.execute(asked).fetchall()}
        best = [run_id for (run_id,) in connection.execute("SELECT run_id FROM best_runs").fetchall()]
    assert found == {
        ran["honest"].name: [None, True],
        ran["cheat"].name: [SAID, True],
        ran["two_answers"].name: [None, False],
        ran["takes_all"].name: [None, True],
    }
    assert ran["cheat"].name not in best
    assert ran["honest"].name in best


def test_tracking_has_it_as_a_tag(ran: dict[str, Path]) -> None:
    assert run_content(ran["cheat"]).tags["lookahead"] == SAID
    assert run_content(ran["two_answers"]).tags["repeatable"] == "false"
    assert run_content(ran["honest"]).tags.keys() & {"lookahead", "repeatable"} == set()


def test_a_notebook_has_it_too(ran: dict[str, Path]) -> None:
    run = peak_trade.open_run(ran["cheat"])
    assert run.probe["verdict"] == "FAIL"
    assert SAID in run._repr_html_()
    assert "look-ahead" not in peak_trade.open_run(ran["honest"])._repr_html_()


def test_a_ledger_that_says_otherwise_than_the_manifest_is_found(ran: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    results = shutil.copytree(ran["cheat"].parent, tmp_path / "results")
    run = results / ran["cheat"].name
    assert verify(run).state == "intact"
    lines = (results / "ledger.jsonl").read_text().splitlines()
    for change in ({"lookahead": None}, {"repeatable": False}, {"lookahead": "look-ahead: none"}):
        last = {key: value for key, value in (json.loads(lines[-1]) | change).items() if value is not None}
        (results / "ledger.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last, separators=(",", ":"))]) + "\n")
        assert verify(run).state == "broken", change


@pytest.mark.parametrize(
    "probe",
    [
        {},
        {"verdict": "FAIL"},
        {"verdict": ["FAIL"], "reason": {"a": 1}},
        {"verdict": "FAIL", "reason": "<b>\x1b[2J" * 1000, "repeatable": "no"},
        {"verdict": 5, "repeatable": 0, "first": []},
    ],
)
def test_a_strangers_probe_stops_no_reader(ran: dict[str, Path], tmp_path: Path, probe: Any) -> None:
    import shutil

    results = shutil.copytree(ran["honest"].parent, tmp_path / "results")
    run = results / ran["honest"].name
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["predicate"]["probe"] = probe
    (run / "manifest.json").write_text(json.dumps(manifest))
    (results / "ledger.jsonl").unlink()
    assert len(listing.rows(Results(results))) == 4
    assert len(listing.summary(run)) < 5000
    assert "<b>" not in head(RunFiles(run), "now")
    assert run_content(run).tags["run_id"] == run.name
    assert verify(run).state == "broken"
