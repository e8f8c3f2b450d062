"""The page of `just compare --html`: one file in the report's style, from the sealed files of the runs alone."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.report.conftest import without_ours

from peak_trade.errors import RunError
from peak_trade.evidence.results import Results
from peak_trade.report import against, chance, comparison, render
from peak_trade.trust import compare, difference, live
from peak_trade.trust.difference.figures import Figure

Evidence = Any  # of conftest.py, which cannot be imported
ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ["differs", "equity", "statistics", "drawdowns", "returns", "correlation", "parting", "trades"]


def compared(evidence: Evidence, *names: str) -> compare.Comparison:
    return compare.compare([difference.read(evidence.path(name)) for name in names])


@pytest.fixture(scope="module")
def evidence(sealed_once: Evidence) -> Evidence:
    return sealed_once


class Texts(HTMLParser):
    """The text of a page's cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in ("td", "th"):
            self.cells.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def test_the_page_has_what_differs_curves_statistics_and_trades(evidence: Evidence) -> None:
    found = compared(evidence, "builtin", "plain")
    page = comparison.page(found)
    assert re.findall('<section id="([a-z]+)"', page) == SECTIONS
    assert re.findall('<path class="(run[0-9])"', page) == ["run0", "run1", "run0", "run1"]  # equity, drawdown
    cells = Texts(page).cells
    at = cells.index("strategy.params.slow")
    assert cells[at : at + 4] == ["strategy.params.slow", "likely", "8", "12"]
    at = cells.index("Total return")
    returns = [run.figures["total_return"] for run in found.runs]
    shown = [f"{100 * value:.2f} %".replace("-", "−") for value in returns]
    shown[returns.index(max(returns))] = f"best {shown[returns.index(max(returns))]}"
    assert cells[at + 1 : at + 3] == shown
    trades = found.differences[0].trades
    assert trades and sum(cell in ("both", "A", "B") for cell in cells) >= len(trades.listed)


def test_the_best_is_said_where_one_alone_is_and_more_or_less_is_better(evidence: Evidence) -> None:
    found = compared(evidence, "builtin", "plain")
    runs = found.runs

    def best(key: str, *values: float | None) -> int | None:
        return comparison._best(runs, Figure(key, "ratio", list(values)))

    assert best("sharpe", 1.0, 2.0) == 1
    assert best("max_drawdown", -0.1, -0.2) == 0
    assert best("fees_paid", 1.0, 2.0) == 0
    assert best("sharpe", 1.0, 1.0) is None
    assert best("sharpe", 1.0, None) is None
    assert best("trades", 1.0, 2.0) is None


def test_a_run_whose_strategy_looks_ahead_is_the_best_of_nothing(evidence: Evidence) -> None:
    found = compared(evidence, "builtin", "plain", "own")
    figure = Figure("sharpe", "ratio", [1.0, 2.0, 9.0])
    assert comparison._best(found.runs, figure) == 2
    probe = msgspec.structs.replace(found.runs[2].manifest.predicate, probe={"verdict": "FAIL", "reason": "so"})
    found.runs[2].manifest = msgspec.structs.replace(found.runs[2].manifest, predicate=probe)
    assert found.runs[2].manifest.predicate.lookahead
    assert comparison._best(found.runs, figure) == 1


def test_a_run_whose_account_was_ruined_is_the_best_of_nothing(evidence: Evidence) -> None:
    found = compared(evidence, "builtin", "plain", "own")
    fees = Figure("fees_paid", "quote", [3.0, 2.0, 1.0])
    assert comparison._best(found.runs, fees) == 2
    lost = msgspec.structs.replace(found.runs[2].manifest.predicate, results={"ruined": "2024-01-03T00:00:00Z"})
    found.runs[2].manifest = msgspec.structs.replace(found.runs[2].manifest, predicate=lost)
    assert comparison._best(found.runs, fees) == 1


def test_what_is_below_zero_has_a_minus_and_no_hyphen() -> None:
    assert comparison._shown(-1.0035, "fraction") == "−100.35 %"
    assert comparison._shown(0.5, "fraction") == "50.00 %"
    assert chance.sentence("a Sharpe ratio of -1.43 & 3 of 2024-01-02, p-1") == (
        "a Sharpe ratio of −1.43 &amp; 3 of 2024-01-02, p-1"
    )


def test_a_long_value_may_break_between_its_parts_and_stays_text() -> None:
    assert comparison._breaking("data/sp_500.csv") == "data/<wbr>sp_<wbr>500.csv"
    assert comparison._breaking("a_<b>") == "a_&lt;b&gt;"


def test_values_are_read_under_the_pointer(evidence: Evidence, browser: Any, tmp_path: Path) -> None:
    found = compared(evidence, "builtin", "plain")
    browser.open(comparison.write(found, Results(tmp_path)))
    key = {"key": "End", "code": "End", "windowsVirtualKeyCode": 35}
    browser.ask("document.querySelector('#equity svg.plot').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, **key)
    said = browser.ask("document.querySelector('#equity .readout').textContent")
    for at, run in enumerate(found.runs):
        last = run.equity["equity"][-1] / run.equity["equity"][0]
        assert f"{'AB'[at]} {last:.4f}" in said
    assert browser.complaints == []


def test_any_number_of_runs_has_a_curve_each_told_apart(evidence: Evidence) -> None:
    page = comparison.page(compared(evidence, *["builtin", "plain", "own", "bare"] * 3))
    assert len(set(re.findall('<path class="(run[0-9]+)"', page))) == 12
    looks = re.findall(r"svg\.panel \.run\d+ \{(.*?)\}", page)
    assert len(set(looks)) == 12


def test_a_failed_run_has_no_curve_and_says_why(evidence: Evidence) -> None:
    page = comparison.page(compared(evidence, "own", "failed"))
    assert "failed: the strategy raised ValueError: no idea what to do" in page
    assert set(re.findall('<path class="(run[0-9])"', page)) == {"run0"}


def test_the_page_loads_nothing_and_runs_nothing(evidence: Evidence) -> None:
    page = comparison.page(compared(evidence, "builtin", "plain"))
    assert render.loads_from_elsewhere(page) == []
    assert "<script" not in without_ours(page) and "default-src 'none'" in page


def test_what_a_run_says_of_itself_is_text(evidence: Evidence, tmp_path: Path) -> None:
    copy = evidence.copy(tmp_path / "repository")
    rude = "<img src=//evil.example onerror=alert(1)>{{ x }}`"
    copy.run("rude", (copy.root / "config" / "builtin.toml").read_text(), f"run.name='{rude}'")
    page = comparison.page(compared(copy, "builtin", "rude"))
    assert "<img" not in page and "&lt;img" in page and "`" not in without_ours(page).partition("<main>")[2]
    assert render.loads_from_elsewhere(page) == []


def test_it_is_written_beside_the_runs_or_where_it_is_asked_for(evidence: Evidence, tmp_path: Path) -> None:
    results, found = Results(tmp_path / "results"), compared(evidence, "builtin", "plain")
    ids = [evidence.runs[name][:8] for name in ("builtin", "plain")]
    path = comparison.write(found, results)
    assert path == results.path / f"compare_{ids[0]}_{ids[1]}.html"
    again = path.read_bytes()
    assert comparison.write(found, results).read_bytes() == again  # nothing of the time it was made at
    other = comparison.write(found, results, tmp_path / "new" / "page.html")
    assert other.read_bytes() == again
    with pytest.raises(RunError, match="cannot write"):
        comparison.write(found, results, tmp_path)


def test_a_page_beside_the_runs_links_to_their_reports_where_these_are(evidence: Evidence, tmp_path: Path) -> None:
    copy = evidence.copy(tmp_path / "repository")
    found, results = compared(copy, "builtin", "plain"), Results(copy.results)
    report = copy.path("plain") / render.OUTPUT
    report.parent.mkdir()
    report.write_text("<p>")
    links = re.findall('href="([^#"]*)"', comparison.write(found, results).read_text("utf-8"))
    assert links == [f"{copy.runs['plain']}/{render.OUTPUT}"]
    elsewhere = comparison.write(found, results, tmp_path / "page.html").read_text("utf-8")
    assert re.findall('href="([^#"]*)"', elsewhere) == []


def test_what_a_manifest_calls_its_run_leads_nowhere_else(evidence: Evidence, tmp_path: Path) -> None:
    copy = evidence.copy(tmp_path / "repository")
    statement = copy.manifest("plain")
    statement["predicate"]["runDetails"]["metadata"]["invocationId"] = "../../ab"
    copy.write_manifest("plain", statement)
    with pytest.raises(RunError, match=r"manifest.json names no run, but '../../ab'"):
        compared(copy, "builtin", "plain")


def test_a_run_and_what_was_traded_are_a_page_too(evidence: Evidence, tmp_path: Path) -> None:
    run = difference.read(evidence.path("own"))
    trades = run.trades
    times = [getattr(trades, f"{end}_time").astype("M8[s]").astype(int).tolist() for end in ("entry", "exit")]
    prices = [trades.entry_price.tolist(), trades.exit_price.tolist()]
    first, *rest = zip(times[0], prices[0], times[1], prices[1], trades.quantity.tolist(), strict=True)
    sides = ["long" if side > 0 else "short" for side in run.trades.side.tolist()]
    lines = ["side,entry_time,entry_price,exit_time,exit_price,quantity"]
    lines += [f"{side},{','.join(map(str, row))}" for side, row in zip(sides[1:], rest, strict=True)]
    path = tmp_path / "<b>list.csv"
    path.write_text("\n".join(lines))
    found = live.against_file(run, str(path), evidence.root, start="2020-01-01")
    page = against.page(found)
    assert re.findall('<section id="([a-z]+)"', page) == ["profit", "curve", "gaps", "matched", "missing"]
    cells = Texts(page).cells
    assert cells[cells.index("Profit of the run") + 1] == f"{found.profit[0]:,.2f}".replace("-", "−")
    assert len(found.missing) == 1 and first[1] == found.missing[0].entry_price
    assert set(re.findall('<path class="(run[0-9])"', page)) == {"run0", "run1"}
    assert render.loads_from_elsewhere(page) == [] and "<script" not in without_ours(page)


def test_the_command_prints_the_page_s_path_alone(evidence: Evidence, tmp_path: Path) -> None:
    words = [evidence.runs["builtin"], evidence.runs["plain"], "--html", str(tmp_path / "page.html")]
    command = [sys.executable, "scripts/compare_runs.py", "--results-dir", str(evidence.results), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path / 'page.html'}\n", "")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
