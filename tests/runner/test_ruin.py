"""A ruined account is told as one wherever a run is: and it is sealed, checked, listed and counted like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

import peak_trade
from peak_trade import config, runner
from peak_trade.evidence import manifest
from peak_trade.evidence.results import Results
from peak_trade.ops import retention
from peak_trade.report import open_page
from peak_trade.report.sections import SECTIONS
from peak_trade.shown import listing
from peak_trade.trust import verify

ROOT = Path(__file__).resolve().parents[2]
WHEN = "2024-01-02T00:00:00Z"
PRICES = (100, 250, 255, 120, 50, 50)  # at the close; a short from the second open, 100, on
CONFIG = """\
[data]
path = "bars.csv"
symbol = "X"
timeframe = "1d"
calendar = "24/7"
[strategy]
entrypoint = "short.py:short"
[execution]
allow_short = true
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the config, its bars and its strategy, and one ruined run in `results/`."""
    root = tmp_path_factory.mktemp("ruin")
    opens = (100, 100, *PRICES[1:-1])
    rows = [
        f"2024-01-{day:02d},{first},{max(first, last)},{min(first, last)},{last},1"
        for day, (first, last) in enumerate(zip(opens, PRICES, strict=True), 1)
    ]
    (root / "bars.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    (root / "short.py").write_text("import numpy as np\n\n\ndef short(bars):\n    return -np.ones(len(bars))\n")
    (root / "config.toml").write_text(CONFIG)
    runner.run(config.load(root / "config.toml"), root=root, results=root / "results")
    return root


@pytest.fixture
def ruined(place: Path) -> Path:
    return Results(place / "results").find("last")


def test_the_loss_is_the_return_and_later_prices_bring_nothing_back(ruined: Path) -> None:
    """100 units short at 100 cost 250 each: 10,000 - 15,000 = -5,000, and so to the end, though 50 would be a gain."""
    opened = peak_trade.open_run(ruined)
    assert opened.stats["total_return"] == -1.5 and opened.stats["trades"] == 1
    assert opened.equity["equity"].tolist() == [10_000.0, *[-5_000.0] * 5]
    assert opened.equity["position"].tolist() == [0.0] * 6


def page(run_dir: Path) -> str:
    """Return the report's HTML, section by section."""
    made = open_page(run_dir, results=run_dir.parent)
    return "".join(part._repr_markdown_() for part in (made.head(), *map(made.section, SECTIONS)) if part)


def test_its_status_is_ruined_in_every_place_that_tells_one(place: Path, ruined: Path) -> None:
    results = Results(place / "results")
    [row] = listing.rows(results)
    predicate = manifest.decode((ruined / "manifest.json").read_bytes()).predicate
    assert [row.status, predicate.status, listing.describe(ruined)["status"]] == ["ruined"] * 3
    assert peak_trade.open_run(ruined).status == "ruined" == peak_trade.runs(place / "results")["status"][0]
    assert [item.status for item in retention.plan(results, retention.Policy()).items] == ["ruined"]
    assert predicate.results["ruined"] == listing.describe(ruined)["ruined"] == WHEN
    assert f"{ruined.name}  ruined" in listing.summary(ruined) and WHEN in listing.summary(ruined)
    end = results.reading().of(ruined.name).end
    assert end is not None and (end.event, end.fields["ruined"]) == ("sealed", WHEN)
    assert [(r["part"], r["outcome"]) for r in predicate.receipts] == [("account", "ruined"), ("evidence", "done")]


def test_it_is_intact_and_an_edited_status_is_not(place: Path, ruined: Path, tmp_path: Path) -> None:
    assert verify.verify(ruined, root=place).state == "intact"
    content = (ruined / "manifest.json").read_text()
    other = tmp_path / ruined.name
    other.mkdir()
    for file in ruined.iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    (other / "manifest.json").write_text(content.replace('"status": "ruined"', '"status": "sealed"'))
    found = verify.verify(other, Results(place / "results").reading(), root=place).findings
    assert any("status ruined" in finding.expected and "status sealed" in finding.found for finding in found)


def test_a_run_that_hides_its_ruin_is_found_out(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that seals a ruined account as any other: the seal holds, and what it says does not."""
    with monkeypatch.context() as patch:
        run = peak_trade.engine.run
        patch.setattr(
            peak_trade.runner.outcome.engine,
            "run",
            lambda *args, **options: msgspec.structs.replace(run(*args, **options), ruined=None),
        )
        hidden = runner.run(config.load(place / "config.toml"), root=place, results=tmp_path / "results")
    [finding] = verify.verify(hidden, root=place).findings
    assert (finding.expected, finding.found) == (WHEN, "None")


def test_the_report_says_it_in_words_with_the_day(place: Path, ruined: Path) -> None:
    html = page(ruined)
    assert 'data-status="ruined"' in html and "Account ruined on 2024-01-02" in html
    assert f"At the bar of {WHEN} equity was at or below zero" in html
    assert 'id="statistics"' in html and 'id="equity"' in html
    assert "Run completed" not in html


def test_the_command_succeeds_with_one_line_of_warning(place: Path) -> None:
    words = [sys.executable, ROOT / "scripts" / "run_strategy_from_config.py", "--config", "config.toml"]
    done = subprocess.run(
        [*words, "--results-dir", "more", "--quiet"], cwd=place, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0 and (place / "more" / done.stdout.strip()).is_dir()
    assert done.stderr.splitlines() == [
        f"warn: account ruined: equity was at or below zero at {WHEN}: closed there, for good"
    ]


def test_an_account_that_is_not_ruined_is_not_told_as_one(place: Path) -> None:
    """The control: the same short, of half the equity: 10,000 - 50 * 150 = 2,500 at the worst."""
    path = runner.run(
        config.load(place / "config.toml", ["sizing.scale=0.5"]), root=place, results=place / "not_ruined"
    )
    predicate = manifest.decode((path / "manifest.json").read_bytes()).predicate
    assert (predicate.status, predicate.results.get("ruined"), listing.describe(path)["ruined"]) == (
        "sealed",
        None,
        None,
    )
    assert peak_trade.open_run(path).equity["equity"].min() == 2_250.0
    assert verify.verify(path, root=place).state == "intact"


def test_a_pickled_minute_is_told_to_the_second(place: Path) -> None:
    """Nothing of a ruin is undefined but what compounds: each null has its reason, and the JSON is JSON."""
    opened = peak_trade.open_run(Results(place / "results").find("last"))
    figures = json.loads((opened.path / "stats.json").read_text())
    assert figures["cagr"] is None and figures["reasons"]["cagr"] == "equity fell to zero or below"
    assert all(
        value is None or np.isfinite(value)
        for key, value in figures.items()
        if key != "reasons" and type(value) is float
    )


def test_equity_of_zero_has_statistics_too(place: Path, tmp_path: Path) -> None:
    """A short that loses exactly all: equity is 0 to the end, which no statistic may divide by."""
    bars = (place / "bars.csv").read_text().replace("100,250,100,250", "100,200,100,200")
    (tmp_path / "bars.csv").write_text(bars.replace("250,255,250,255", "200,255,200,255"))
    for name in ("short.py", "config.toml"):
        (tmp_path / name).write_text((place / name).read_text())
    path = runner.run(config.load(tmp_path / "config.toml"), root=tmp_path, results=tmp_path / "results")
    opened = peak_trade.open_run(path)
    assert (opened.status, opened.stats["total_return"], opened.equity["equity"][-1]) == ("ruined", -1.0, 0.0)
    assert verify.verify(path, root=tmp_path).state == "intact"
    assert "Account ruined" in page(path)


@pytest.mark.needs("lake")
def test_it_is_in_the_lake_with_its_rows(place: Path, tmp_path: Path) -> None:
    from peak_trade.data.lake import build, check, query

    built = build.build(Results(place / "results"), tmp_path / "lake", root=place)
    assert built.runs == {"ruined": 1}
    with query.connect(tmp_path / "lake") as connection:
        sql = "SELECT status, bars, (SELECT count(*) FROM equity), (SELECT count(*) FROM trades) FROM runs"
        assert connection.execute(sql).fetchall() == [("ruined", 6, 6, 1)]
    assert check.check(tmp_path / "lake").findings == []


def test_tracking_tells_it_and_calls_the_run_finished(ruined: Path) -> None:
    from peak_trade.tracking.content import run_content

    content = run_content(ruined)
    assert (content.status, content.tags["status"], content.tags["ruined"]) == ("FINISHED", "ruined", WHEN)
