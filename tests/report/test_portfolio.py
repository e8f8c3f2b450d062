"""The page of a run that another engine made: what it says of symbols, and why it leaves out what nobody said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import DAYS, closed, recorded, result

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
