"""The page of a run that another engine made: what it says of symbols, and why it leaves out what nobody said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, closed, recorded, result, trades

from peak_trade.report import render
from peak_trade.report.page import Page
from peak_trade.report.sections import SECTIONS


def page(path: Path) -> dict[str, str]:
    found = Page(path)
    shown = {name: found.section(name) for name in SECTIONS}
    return {"head": str(found.head()._repr_markdown_())} | {
        name: str(body._repr_markdown_()) for name, body in shown.items() if body is not None
    }


def test_a_portfolio_has_a_table_and_a_figure_a_symbol(tmp_path: Path) -> None:
    shown = page(recorded(tmp_path, result()))
    assert "Recorded: another program made it" in shown["head"]
    assert "handmade 1" in shown["head"]
    assert "2 symbols" in shown["head"]
    table = shown["symbols"]
    assert table.count("<figure>") == 2
    for words in ("75.00", "90.00", "74.00", "−9.00", "financing and fees of no trade", "The account", "230.00"):
        assert words in table
    assert "Gross" in shown["exposure"]
    assert "Not shown: the bars are not part of this evidence" in shown["price"]
    assert "Not shown: the bars of the trades are not known" in shown["excursions"]
    assert "Not shown: no trade says why it ended" in shown["exits"]
    assert "nan" not in "".join(shown.values()).lower().replace("financing", "").replace("provenance", "")


def test_what_was_imported_is_no_run(tmp_path: Path) -> None:
    shown = page(recorded(tmp_path, result(), "imported"))
    assert "it is what a file says, not what was run" in shown["head"]
    assert "Run completed" not in shown["head"]
    assert "badge good" not in shown["head"].partition("Seal intact")[0].rpartition("<span")[0]


def test_control_a_run_that_was_recorded_is_completed(tmp_path: Path) -> None:
    assert "Run completed" in page(recorded(tmp_path, result()))["head"]


@pytest.mark.parametrize(
    "chosen", ["no trades", "trades alone", "no cash", "one symbol", "ruined", "mixed", "nothing", "one mark"]
)
def test_every_page_is_made_and_says_what_it_lacks(tmp_path: Path, chosen: str) -> None:
    nothing: dict[str, Any] = {"timestamp": DAYS[:0], "equity": np.empty(0), "open_": None}
    told: dict[str, dict[str, Any]] = {
        "no trades": {"trades": None, "open_": None},
        "trades alone": nothing,
        "no cash": nothing | {"initial_cash": None},
        "one symbol": {"trades": closed(symbols=None, symbol="A", currencies=None), "open_": None},
        "ruined": {"equity": np.array([10.0, 5, 0, -1, 2, 3, 4, 5, 6, 7])},
        "mixed": {"trades": closed(currencies=np.array(["USD", "USD", "USD", "EUR", "EUR", "EUR"])), "open_": None},
        "one mark": {"timestamp": DAYS[:1], "equity": np.array([5.0])},
    }
    shown = page(recorded(tmp_path, None if chosen == "nothing" else result(**told[chosen])))
    assert "badge" in shown["head"]
    if chosen == "nothing":
        assert "No engine seen" in shown["head"]
        assert "no engine was seen" in shown["statistics"]
    if chosen == "no trades":
        assert "Not shown: no trades were given" in shown["trade-returns"]
    if chosen == "no cash":
        assert "Not shown: nobody said what the account had" in shown["equity"]


def many(count: int) -> dict[str, Any]:
    """Return trades of `count` symbols, of which number i earned i."""
    rows = [(f"S{i:04}", 1, 0, 10, 1, 11, 1, 0, 0, i) for i in range(count)]
    return {"trades": trades(rows), "open_": None}


def test_of_many_symbols_the_table_has_those_that_moved_most_and_folds_the_others_away(tmp_path: Path) -> None:
    shown = page(recorded(tmp_path, result(**many(500))))["symbols"]
    first, _, folded = shown.partition("<details>")
    assert first.count("<tr>") == 1 + 40 + 2  # the head; the rest and the account stand in sight
    assert "The account" in first
    assert "S0499" in first
    assert "S0459" not in first
    assert "460 other symbols, which moved less" in folded
    assert folded.partition("</details>")[0].count("<tr>") == 1 + 460
    assert shown.count("<figure>") == 12


def test_of_very_many_symbols_the_page_says_where_the_others_are(tmp_path: Path) -> None:
    shown = page(recorded(tmp_path, result(**many(1_500))))["symbols"]
    assert "460 more symbols in symbols.csv" in shown
    assert len(shown) < 700_000


def test_control_of_few_symbols_nothing_is_folded_away(tmp_path: Path) -> None:
    assert "<details>" not in page(recorded(tmp_path, result(**many(40))))["symbols"]


def test_small_figures_have_room_for_their_dates(tmp_path: Path) -> None:
    days = np.datetime64("2022-01-01", "ns") + np.arange(500) * np.timedelta64(1, "D")
    shown = page(recorded(tmp_path, result(timestamp=days, equity=np.full(500, 1e4))))
    assert shown["symbols"].count("<figure>") == 2
    assert 2 <= shown["symbols"].count('<text class="x') <= 2 * 3
    assert shown["equity"].count('<text class="x') > 3  # control: a wide figure has more


def test_exposure_in_another_currency_than_the_accounts_is_not_shown(tmp_path: Path) -> None:
    euros = closed(currencies=np.full(6, "EUR"))
    shown = page(recorded(tmp_path / "a", result(trades=euros, open_=None)))
    assert "Not shown: trades in another currency than the account" in shown["exposure"]
    some = closed(currencies=np.array(["USD", "", "USD", "", "", ""]))  # not said is no other currency
    assert "Gross exposure is" in page(recorded(tmp_path / "b", result(trades=some, open_=None)))["exposure"]


def test_a_symbol_in_two_currencies_has_a_figure_for_each(tmp_path: Path) -> None:
    both = closed(symbols=np.full(6, "A"), currencies=np.array(["USD"] * 3 + ["EUR"] * 3))
    shown = page(recorded(tmp_path, result(trades=both, open_=None, symbols=("A", "B"))))["symbols"]
    assert "3 trades, 75.00 in all" in shown
    assert "3 trades, 90.00 in all" in shown
    assert "165.00" not in shown


def test_what_has_no_strategy_is_called_by_its_command_or_engine(tmp_path: Path) -> None:
    asked = {"command": ["/opt/envs/a/bin/python", "pairs.py"], "inputs": []}
    shown = page(recorded(tmp_path / "a", result(strategy=""), record=asked))
    assert "python pairs.py (" in shown["head"]
    head = page(recorded(tmp_path / "b", result(strategy="", version=""), "imported", run={"name": None}))["head"]
    assert "<h1>handmade on A,B</h1>" in head
    assert head.count("handmade") == 2  # in the title, and as its engine
    assert "?" not in head


def test_figures_side_by_side_have_one_hint_above_them(tmp_path: Path, browser: Any, builtin: Any) -> None:
    folder = recorded(tmp_path, result())
    browser.open(render.render(folder, builtin).html)
    hints = browser.ask("[...document.querySelectorAll('#symbols .readout')].map(one => one.textContent.slice(0, 5))")
    assert hints == ["Point", "", ""]
