"""Trades in groups: every number worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import closed, recorded, result
from tests.report import handmade

from peak_trade.report.grouped import HEAD


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, page: Any) -> Any:
    return page(handmade.made(tmp_path_factory.mktemp("hand")))


def test_trades_are_grouped_by_how_they_ended(shown: Any) -> None:
    assert shown.section("exits").rows("Exits by reason") == [
        ["Ended by", *HEAD],
        ["Stop loss", "1", "25.0 %", "0.0 %", "−210.00", "−210.00", "−2.00 %", "0.00", "1.0"],
        ["Take profit", "1", "25.0 %", "100.0 %", "500.00", "500.00", "5.00 %", "–", "2.0"],
        # 5,145 / 113 = 45.531 were lost and 0 earned, on 5,145 and on another notional: -1 / 113 = -0.885 % and 0
        ["End of data", "2", "50.0 %", "0.0 %", "−45.53", "−22.77", "−0.44 %", "0.00", "1.5"],
        # 500 / 255.531 = 1.957, and (5 - 2 - 0.885 + 0) / 4
        ["All", "4", "100.0 %", "25.0 %", "244.47", "61.12", "0.53 %", "1.96", "1.5"],
    ]


def test_trades_are_grouped_by_the_weekday_of_their_entry_in_utc(shown: Any) -> None:
    assert shown.section("groups").rows("Trades by weekday") == [
        ["Day (UTC)", *HEAD],
        ["Tuesday", "1", "25.0 %", "100.0 %", "500.00", "500.00", "5.00 %", "–", "2.0"],
        ["Wednesday", "1", "25.0 %", "0.0 %", "−45.53", "−45.53", "−0.88 %", "0.00", "2.0"],
        ["Thursday", "1", "25.0 %", "0.0 %", "0.00", "0.00", "0.00 %", "–", "1.0"],
        ["Sunday", "1", "25.0 %", "0.0 %", "−210.00", "−210.00", "−2.00 %", "0.00", "1.0"],
    ]
    assert "Every entry is in the hour from 00:00 UTC." in shown.section("groups").words
    assert "By symbol" not in shown.section("groups").words


def test_trades_are_grouped_by_the_hour_of_their_entry(tmp_path: Path, page: Any) -> None:
    hours = np.array([9, 9, 15, 0, 23, 9]) * np.timedelta64(1, "h")
    given = closed()
    moved = closed(entry_time=given.entry_time + hours)
    rows = page(recorded(tmp_path, result(trades=moved))).section("groups").rows("Trades by hour")
    assert [row[:6] for row in rows[1:]] == [
        ["00:00", "1", "16.7 %", "100.0 %", "96.00", "96.00"],
        ["09:00", "3", "50.0 %", "100.0 %", "223.00", "74.33"],  # 98 + 29 + 96
        ["15:00", "1", "16.7 %", "0.0 %", "−52.00", "−52.00"],
        ["23:00", "1", "16.7 %", "0.0 %", "−102.00", "−102.00"],
    ]


def test_trades_are_grouped_by_symbol_the_one_first_that_came_to_most(tmp_path: Path, page: Any) -> None:
    head, *rows = page(recorded(tmp_path, result())).section("groups").rows("Trades by symbol")
    assert head == ["Symbol", *HEAD]
    assert rows == [
        # 96 / 2,000 twice and -102 / 1,100 are 4.8 and -9.27 %; 192 / 102 = 1.88
        ["B", "3", "50.0 %", "66.7 %", "90.00", "30.00", "0.11 %", "1.88", "–"],
        # 98 / 1,000, 29 / 550 and -52 / 1,050 are 9.8, 5.27 and -4.95 %; 127 / 52 = 2.44
        ["A", "3", "50.0 %", "66.7 %", "75.00", "25.00", "3.37 %", "2.44", "–"],
    ]


def test_trades_in_several_currencies_are_not_added_up(tmp_path: Path, page: Any) -> None:
    mixed = closed(currencies=np.array(["USD", "USD", "USD", "EUR", "EUR", "EUR"]))
    section = page(recorded(tmp_path, result(trades=mixed, open_=None))).section("groups")
    assert "the trades are in EUR, USD, which do not add up" in section.words
    assert "<table" not in section.html


def test_trades_without_a_time_of_entry_are_counted(tmp_path: Path, page: Any) -> None:
    times = closed().entry_time.copy()
    times[[1, 4]] = np.datetime64("NaT", "ns")
    section = page(recorded(tmp_path, result(trades=closed(entry_time=times), open_=None))).section("groups")
    assert "2 trades without a time of entry are in none." in section.words
    assert sum(int(row[1]) for row in section.rows("Trades by weekday")[1:]) == 4


def test_of_very_many_symbols_the_last_are_one_row(tmp_path: Path, page: Any) -> None:
    from tests.report.test_portfolio import many

    section = page(recorded(tmp_path, result(**many(130)))).section("groups")
    rows = section.rows("Trades by symbol")[1:]
    assert len(rows) == 101
    assert rows[-1][0] == "30 others"
    assert sum(int(row[1]) for row in rows) == 130
