"""The page over all runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence import tables
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import new_run_id
from peak_trade.report import index, render
from peak_trade.report.markup import number, percent, text
from peak_trade.shown import apart, listing
from peak_trade.text import cut

SERIES = ("timestamp", "equity", "drawdown", "position")


def rows_of(page: str) -> Iterator[list[str]]:
    for row in re.findall(r"<tr(?: hidden)?(?: class=kept)?><th scope=\"row\">.*?</tr>", page):
        yield [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]


def test_every_run_has_a_row_with_its_figures(runs: Any) -> None:
    for kind in ("usual", "one", "failed"):
        assert runs[kind]
    page = index.write(Results(runs.results)).read_text("utf-8")
    listed = listing.rows(Results(runs.results))
    assert [row[:9] for row in rows_of(page)] == [
        [
            row.run_id[:8] + text(cut(row.name, 60)), row.started[:19].replace("T", " "), row.strategy, "X 1h",
            text(cut(apart.said(row.differs), 200)) + text(cut(row.reason, 300)), row.status,
            *(["", "", ""] if row.total_return is None else
              [percent(row.total_return), "" if row.sharpe is None else number(row.sharpe), percent(row.max_drawdown)]),
        ]
        for row in listed
    ]  # fmt: skip
    assert f'<span id="shown">{len(listed)}</span>' in page


def test_a_run_with_a_report_links_to_it(runs: Any, tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("report")
    for name in ("one", "two", "sold"):
        shutil.copytree(runs[name], tmp_path / runs[name].name, ignore=ignore)
    for name in ("one", "two"):
        (tmp_path / runs[name].name / "report").mkdir()
    (tmp_path / runs["one"].name / render.OUTPUT).write_text("<p>")
    (tmp_path / runs["two"].name / render.OUTPUT).symlink_to(tmp_path / runs["one"].name / render.OUTPUT)
    page = index.write(Results(tmp_path)).read_text("utf-8")
    assert re.findall(r'<a href="([^"]*)">', page) == [f"{runs['one'].name}/{render.OUTPUT}"], "of one run, and no link"


def test_a_curve_goes_through_rows_of_the_equity_file(runs: Any) -> None:
    equity = tables.read_series(runs["usual"] / "equity.csv", SERIES)["equity"]
    curve = index.sample(runs["usual"])
    assert 50 < len(curve) <= 60
    assert (curve[0], curve[-1]) == (equity[0], equity[-1])
    places = [int(abs(equity - value).argmin()) for value in curve]
    assert all(equity[place] == value for place, value in zip(places, curve, strict=True))


@pytest.mark.parametrize("kind", ["one", "two", "sold"])
def test_a_short_file_gives_each_of_its_rows_once(kind: str, runs: Any) -> None:
    series = tables.read_series(runs[kind] / "equity.csv", SERIES)
    assert index.sample(runs[kind]) == series["equity"].tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"timestamp,equity,drawdown,position\n",
        b"x" * 900,
        b"a,b\n1\n2\n",
        b"a,b\n1,nan\n2,3\n",
        b"a,b\n1,<b>\n",
        b"a,b\n1,1e308\n2,-1e308\n",
    ],
)
def test_what_is_no_equity_file_gives_no_curve(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "equity.csv").write_bytes(content)
    assert index.sample(tmp_path) == []
    assert index.sample(tmp_path / "none") == []


def test_what_the_ledger_tells_is_only_text(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>{rows}{script}"
    ledger = Ledger(tmp_path)
    told = {"strategy": hostile, "symbol": '"><img src=x>', "timeframe": "1d"}
    for run_id in (new_run_id(), hostile):  # of which the second is no run
        ledger.append("start", run_id, **told)
        ledger.append("sealed", run_id, **told, total_return=0.5)
    page = index.write(Results(tmp_path)).read_text("utf-8")
    assert page.count("<script") == 1
    assert "<img" not in page
    assert page.count("50.00 %") == 1


def test_the_page_lets_only_its_own_script_run(tmp_path: Path) -> None:
    import base64
    import hashlib

    page = index.write(Results(tmp_path)).read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert render.loads_from_elsewhere(page) == []


def test_after_the_first_rows_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    for number_ in range(5):
        ledger.append("start", f"{number_:08d}-0000-4000-8000-000000000000", strategy="s", symbol="X", timeframe="1d")
    monkeypatch.setattr(index, "_SHOWN", 3)
    page = index.write(Results(tmp_path)).read_text("utf-8")
    assert (page.count("<tr><th"), page.count("<tr hidden><th")) == (1 + 3, 2)  # one is the head


def test_the_script_prints_the_path_and_refuses_what_it_cannot_write(script: Any, runs: Any, tmp_path: Path) -> None:
    assert runs["one"].is_dir()
    done = script("report_index.py", "--results-dir", str(runs.results))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{runs.results / 'index.html'}\n", "")
    refused = script("report_index.py", "--results-dir", str(tmp_path / "none"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: cannot write {tmp_path / 'none' / 'index.html'}")


# --- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page over 700 runs whose Sharpe ratios are 0 to 698; one has none."""
    folder = tmp_path_factory.mktemp("many")
    ledger = Ledger(folder)
    for place in range(700):
        name = f"{place:08d}-0000-4000-8000-000000000000"
        told = {"strategy": "even" if place % 2 == 0 else "odd", "symbol": "X", "timeframe": "1d"}
        ledger.append("start", name, **told)
        if place < 699:
            ledger.append("sealed", name, **told, sharpe=float(place * 7 % 699))
    return index.write(Results(folder))


COLUMN = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[%d].textContent)"
SEEN = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).length"

TYPE = """
document.getElementById('filter').value = '%s';
document.getElementById('filter').dispatchEvent(new Event('input'));
"""


def test_a_click_sorts_by_number_and_another_turns_the_order(browser: Any, many: Path) -> None:
    browser.open(many)
    for click, expected in (("descending", range(698, -1, -1)), ("ascending", range(699))):
        browser.ask("document.querySelectorAll('thead button')[7].click()")
        assert browser.ask("document.querySelector('[aria-sort]').ariaSort") == click
        assert browser.ask(COLUMN % 7) == [*(f"{value}.00" for value in expected), ""]
    assert browser.complaints == []
    assert browser.requests == [many.as_uri()]


def test_the_filter_takes_words_and_the_button_shows_the_rest(browser: Any, many: Path) -> None:
    browser.open(many)
    assert browser.ask(SEEN) == 500
    browser.ask(TYPE % "ODD 069")
    assert browser.ask(SEEN) == 6  # 0069-run, and 0691-run, 0693-run, …, 0699-run
    assert browser.ask("document.getElementById('shown').textContent") == "6 of 700"
    browser.ask(TYPE % "")
    browser.ask("document.getElementById('more').click()")
    assert browser.ask(SEEN) == 700
    assert browser.ask("document.getElementById('more').hidden") is True


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """The page over thirty runs of one strategy with a parameter each; the last one failed."""
    ledger = Ledger(tmp_path)
    told = {"strategy": "trend", "symbol": "SPX", "timeframe": "1d", "name": "a <study>"}
    for at in range(30):
        name = f"{at:08d}-0000-4000-8000-000000000000"
        ledger.append("start", name, **told, params={"length": at, "band": 0.5}, settings={"data.path": "b.csv"})
        if at < 29:
            ledger.append("sealed", name, sharpe=float(at))
    ledger.append("failed", name, message="the strategy raised ValueError: no <idea>, at own.py:3: raise")
    return index.write(Results(tmp_path))


def test_the_page_tells_runs_of_one_strategy_apart(browser: Any, grid: Path) -> None:
    browser.open(grid)
    assert browser.ask("[...document.querySelectorAll('thead th')].map(head => head.textContent)")[4] == "Differs in"
    cells = browser.ask(COLUMN % 4)
    assert sorted(cells[1:]) == sorted(f"length={number}" for number in range(29))
    assert cells[0] == "length=29the strategy raised ValueError: no <idea>, at own.py:3: raise"
    assert set(browser.ask(COLUMN % 0)) == {f"{number:08d}a <study>" for number in range(30)}
    browser.ask("document.querySelectorAll('thead button')[4].click()")
    assert browser.ask(COLUMN % 4)[:12] == [f"length={number}" for number in range(12)]  # and not 0, 1, 10, 11, 2
    browser.ask(TYPE % "length=17")
    assert browser.ask(SEEN) == 1
    browser.ask(TYPE % "no <idea>")
    assert browser.ask(SEEN) == 1
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_no_wider_than_the_window(browser: Any, grid: Path, width: int) -> None:
    browser.open(grid, width=width)
    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_a_run_whose_strategy_looks_ahead_leads_in_no_order(browser: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for at, doubt in enumerate([{}, {"lookahead": "look-ahead: it does"}, {}]):
        name = f"{at:08d}-0000-4000-8000-000000000000"
        ledger.append("start", name, strategy="trend", symbol="SPX", timeframe="1d")
        ledger.append("sealed", name, sharpe=float([1, 99, 2][at]), **doubt)
    browser.open(index.write(Results(tmp_path)))
    runs = COLUMN % 0
    assert [name[7] for name in browser.ask(runs)] == ["2", "0", "1"]
    for expected in (["2", "0", "1"], ["0", "2", "1"]):  # by Sharpe ratio, the largest first, and the least
        browser.ask("document.querySelectorAll('thead button')[7].click()")
        assert [name[7] for name in browser.ask(runs)] == expected
    assert browser.complaints == []


def test_runs_that_were_kept_of_a_sweep_stand_below_it_by_the_numbers_of_their_trials(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    names = {word: f"{at:08d}-0000-4000-8000-000000000000" for at, word in enumerate(("sweep", "nine", "two", "late"))}
    told = {"strategy": "s", "symbol": "X", "timeframe": "1d"}
    for word, more in (
        ("sweep", {}), ("nine", {"trial": 9}), ("two", {"trial": 2}), ("late", {}),
    ):  # fmt: skip
        of: dict[str, Any] = {"parent": names["sweep"], **more} if more else {}
        ledger.append("start", names[word], **told, **of)
        ledger.append("sealed", names[word], **told, **of)
    page = index.write(Results(tmp_path)).read_text()
    rows = [row[0] for row in rows_of(page)]
    assert [row[:8] for row in rows] == [names[word][:8] for word in ("late", "sweep", "two", "nine")]
    assert "<small>trial 9 of <code>00000000</code></small>" in page
    assert page.count("class=kept") == 2


def test_a_run_whose_sweep_is_not_there_stands_where_it_would(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for at, parent in enumerate(("<b>", "99999999-0000-4000-8000-000000000000")):
        of: dict[str, Any] = {"parent": parent, "trial": 1}
        ledger.append("start", f"{at:08d}-0000-4000-8000-000000000000", strategy="s", symbol="X", timeframe="1d", **of)
    page = index.write(Results(tmp_path)).read_text()
    assert len(list(rows_of(page))) == 2
    assert "<b>" not in page
