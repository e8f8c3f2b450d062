"""What a page says of other costs and a bar's delay, by the run's own files and by what lies beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import recorded, result
from tests.report.conftest import Html, toml
from tests.report.stressed import leave, stats_of

from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.report.markup import money, number, percent
from peak_trade.trust.stress import verb
from peak_trade.trust.stress.again import Result as Made

HEAD = ["Costs", "Total return", "Sharpe ratio", "Max drawdown", "Final equity"]


@pytest.fixture(scope="module")
def plain(runs: Any) -> Path:
    """A run that pays fees and slippage, and for no borrowing."""
    return Path(runs.make("plain", toml("steps", bars=1500).replace("borrow_rate = 0.05", "")))


def trades_of(run: Path) -> Any:
    name = next(name for name in ("trades.parquet", "trades.csv") if (run / name).exists())
    return tables.read_trades(run / name)


def test_the_result_at_a_multiple_is_worked_out_trade_by_trade(plain: Path, page: Any) -> None:
    made, own = trades_of(plain), stats_of(plain)
    rows = page(plain).section("costs").rows("At other costs")
    charged = math.fsum([*made.entry_fee, *made.exit_fee, *made.slippage])
    assert charged > 0
    assert rows[0] == HEAD
    for row, multiple in zip(rows[1:], (0, 1, 2, 3, 5), strict=True):
        profit = math.fsum(made.pnl) + (1 - multiple) * charged
        assert row[1] == percent(profit / 10_000)
        assert row[4] == money(10_000 + profit)
    assert rows[2][1:] == [
        percent(own["total_return"]), number(own["sharpe"]), percent(own["max_drawdown"]), money(own["final_equity"]),
    ]  # fmt: skip
    sharpes, depths = ([row[column] for row in rows[1:]] for column in (2, 3))
    assert len(set(sharpes)) == 5
    assert len(set(depths)) > 1


def test_the_break_even_is_the_one_of_luck(runs: Any, page: Any) -> None:
    shown, own = page(runs["usual"]), stats_of(runs["usual"])
    paid = sum(own[f"{name}_paid"] for name in ("fees", "slippage", "borrow"))
    multiple = 1 + own["net_profit"] / paid
    luck = next(
        row for row in shown.section("luck").rows("How likely is it luck") if row[0] == "Costs it survives, times"
    )
    assert luck[1] == number(max(multiple, 0.0))
    words = shown.section("costs").words
    if multiple >= 1:
        assert f"Nothing is left at {number(multiple)} times the costs" in words
    else:
        assert "nothing is left from" in words or "earned nothing without costs either" in words


def test_borrowing_counts_and_is_not_told_mark_by_mark(runs: Any, page: Any) -> None:
    section, own = page(runs["usual"]).section("costs"), stats_of(runs["usual"])
    rows = section.rows("At other costs")
    paid = sum(own[f"{name}_paid"] for name in ("fees", "slippage", "borrow"))
    assert own["borrow_paid"] > 0
    assert rows[1][1] == percent((own["net_profit"] + paid) / 10_000)
    as_charged = [number(own["sharpe"]), percent(own["max_drawdown"])]
    assert [row[2:4] for row in rows[1:]] == [["–", "–"], as_charged, *[["–", "–"]] * 3]
    assert "Sharpe ratio and drawdown are told as charged alone: borrowing is paid by the day." in section.words


def test_a_run_without_costs_has_no_multiple_of_them(runs: Any, page: Any) -> None:
    words = page(runs["idle"]).section("costs").words
    assert "Nothing was charged, so there is no multiple of it." in words


def test_what_was_not_worked_out_is_said_with_the_command(plain: Path, page: Any) -> None:
    words = page(plain).section("costs").words
    assert (
        f"was not worked out: sealed files do not tell at which prices that is, and just stress {plain.name[:8]}"
        in words
    )
    assert "Traded again at such costs it was not" in words


def test_what_was_worked_out_is_shown_beside_and_is_not_called_sealed(
    copy_of: Callable[[str], Path], page: Any
) -> None:
    run = copy_of("usual")
    own, made = stats_of(run), leave(run)
    section = page(run).section("costs")
    rows = section.rows("At other costs")
    assert rows[0] == [*HEAD, "Traded again: return", "Sharpe ratio", "Max drawdown"]
    assert rows[4][5:] == ["1.25 %", "0.50", "−25.00 %"]
    assert rows[3][5:] == ["–", "–", "–"]  # at twice the costs it was not
    assert section.rows("One bar later")[1:] == [
        ["As decided", percent(own["total_return"]), number(own["sharpe"]), percent(own["max_drawdown"]),
         f"{own['trades']:,}", money(own["final_equity"])],
        ["One bar later", "6.25 %", number(made.delayed.sharpe), "−50.00 %", "77", "1,234.50"],
    ]  # fmt: skip
    assert section.words.count("worked out by just stress ; the seal does not cover it") == 2
    assert "Seal intact" in page(run).words


def test_what_was_worked_out_of_another_seal_is_not_shown(copy_of: Callable[[str], Path], page: Any) -> None:
    run = copy_of("usual")
    leave(run, manifest="ab" * 32)
    section = page(run).section("costs")
    assert "Traded again: return" not in section.words
    assert "was not worked out" in section.words


def test_what_lies_beside_the_seal_is_text(copy_of: Callable[[str], Path], page: Any) -> None:
    run, payload = copy_of("usual"), "<img src=x onerror=hit()>`{{< include x >}}"
    leave(run, said=[payload])
    shown = page(run)
    assert "<img" not in shown.html
    assert (
        payload[1:] in shown.section("costs").words.replace("\\", "") or "onerror=hit()" in shown.section("costs").words
    )
    leave(run, delayed=Made(why=payload))
    assert "<img" not in page(run).html
    assert "it can't be traded: <img src=x" in page(run).section("costs").words


def test_what_lies_beside_the_seal_is_no_longer_than_a_page_has_room_for(
    copy_of: Callable[[str], Path], page: Any
) -> None:
    run = copy_of("usual")
    leave(run, said=["x" * 1_000_000] * 15)  # a file of ours has 16 MB at most
    assert page(run).section("costs").words.count("…") == 15
    assert len(page(run).section("costs").html) < 20_000
    leave(run, delayed=Made(why="y" * 1_000_000))
    assert len(page(run).section("costs").html) < 20_000
    leave(run, said=["a sentence"])  # the control: what has room stands there as it is
    assert "A sentence." in page(run).section("costs").words


def test_a_run_that_another_engine_made_says_what_it_lacks(tmp_path: Path, page: Any) -> None:
    run = recorded(tmp_path, result())
    own, section = stats_of(run), page(run).section("costs")
    assert own["slippage_paid"] is None
    rows = section.rows("At other costs")
    assert rows[3][1] == percent(own["total_return"] - own["fees_paid"] / 10_000)
    assert rows[3][4] == money(own["final_equity"] - own["fees_paid"])
    charged = {row[0]: row[1:] for row in section.rows("Costs")[1:]}
    assert charged["Slippage"] == ["–", "–", "–", "–"]
    assert charged["Fees"][0] == money(-own["fees_paid"])
    assert "bps a side" not in section.words
    assert "What slippage took nobody says, and it is left out." in section.words
    assert "Traded again at such costs it was not: another engine traded it." in section.words


def test_the_figure_has_a_point_for_each_multiple(plain: Path, page: Any) -> None:
    section = page(plain).section("costs")
    drawn = Html(section.html[section.html.index('aria-label="Total return at other costs') :])
    assert len(drawn.html.partition("equity at")[2].partition("/>")[0].split("M")) - 1 == 5
    own = stats_of(plain)
    assert [row[0] for row in section.rows("Total return at other costs")[1:]] == [
        "none", "as charged", "2 times", "3 times", "5 times",
    ]  # fmt: skip
    assert section.rows("Total return at other costs")[2][1] == percent(own["total_return"])


def test_the_page_shows_what_just_stress_has_found(runs: Any, page: Any, plain: Path) -> None:
    before = page(plain)
    found = verb.of_run(plain.name, Results(runs.results), runs.root)
    try:
        rows = page(plain).section("costs").rows("At other costs")
        assert [row[5] for row in rows[1:]] == [percent(one.total_return) for one in found.costs]
        assert rows[2][5:8] == rows[2][1:4]  # at its own costs both are what was sealed
        assert not np.isclose(found.costs[4].total_return or 0, found.costs[1].total_return or 0)
    finally:
        (plain / verb.KEPT).unlink()
    assert page(plain).section("costs").html == before.section("costs").html
