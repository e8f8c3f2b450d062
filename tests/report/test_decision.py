"""The box at the head of a page: each row, what makes its word, and no word that says more than was done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.record.portfolio import recorded, result
from tests.report.stressed import leave, stats_of

from peak_trade.evidence.results import Results
from peak_trade.report import decision
from peak_trade.report.markup import number, percent
from peak_trade.report.run import RunFiles
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess
from peak_trade.trust.stress.again import Result as Made
from peak_trade.trust.stress.costs import Costs


def box(page: Any) -> dict[str, tuple[str, str, str, str]]:
    """Return the rows of a page's box: where the name leads, how it stands, the word, and what is said."""
    found = re.findall(
        r'<div><dt><a href="#([\w-]+)">([^<]*)</a></dt><dd><span class="badge (\w+)">([^<]*)</span></dd>'
        r"<dd>(.*?)</dd></div>",
        page.html,
    )
    return {name: (section, stands, word, re.sub("<[^>]*>", "", said)) for section, name, stands, word, said in found}


ROWS = ["Evidence", "Look-ahead", "Luck", "Costs", "Delay", "Sample"]


@pytest.mark.parametrize("kind", ["usual", "hostile", "idle", "one", "two", "unpriced", "sold", "stopped"])
def test_every_completed_run_has_every_row_with_a_mark_and_a_section_that_is_there(
    kind: str, runs: Any, page: Any
) -> None:
    shown = page(runs[kind])
    rows = box(shown)
    assert list(rows) == ROWS
    for section, stands, word, said in rows.values():
        assert section in shown.sections
        assert word.startswith({"good": "✓ ", "bad": "✗ ", "open": "– "}[stands])
        assert said.endswith(".")


def test_a_run_that_failed_has_its_evidence_alone(runs: Any, page: Any) -> None:
    rows = box(page(runs["failed"]))
    assert list(rows) == ["Evidence"]
    assert rows["Evidence"][1:3] == ("good", "✓ Seal intact")


def test_no_row_promises_more_than_was_done(runs: Any, page: Any) -> None:
    rows = [row for kind in ("usual", "idle", "sold") for row in box(page(runs[kind])).values()]
    said = " ".join(f"{word} {words}" for _, _, word, words in rows)
    assert not re.search(r"\b(prove|proof|guarante|certain|safe|sure)", said, re.IGNORECASE)


def test_it_stands_before_the_figures(runs: Any, page: Any) -> None:
    html = page(runs["usual"]).html
    assert html.index('class="decision"') < html.index('class="tiles"') < html.index('<section id="statistics"')


def test_a_broken_seal_is_the_first_row(copy_of: Callable[[str], Path], page: Any) -> None:
    run = copy_of("usual")
    (run / "equity.csv").write_text("timestamp,equity\n")
    rows = box(page(run))
    assert rows["Evidence"][1:3] == ("bad", "✗ Seal broken")
    assert rows["Luck"][1:3] == ("open", "– Not readable")
    assert rows["Costs"][1] in ("good", "bad")  # stats.json is whole


def test_luck_is_told_with_the_trials_so_far_and_the_line_of_the_ledger(runs: Any, page: Any) -> None:
    results = Results(runs.results)
    luck = assess.assess(Handed(runs["usual"], results), thorough=False)
    assert luck.family is not None
    _, stands, word, said = box(page(runs["usual"]))["Luck"]
    count = luck.family.trials
    tries = f"Picked from {count:,} tries" if count > 1 else "The only try"
    assert said.startswith(tries)
    assert f"up to line {len(results.reading().entries):,})" in said
    assert f"above zero is {percent(luck.figures['deflated_sharpe'], 1)}; 95 % is asked for." in said
    assert (stands, word) == (
        ("good", "✓ More than luck explains") if luck.verdict == "PASS" else ("bad", "✗ Not to be told from luck")
    )


def test_where_nobody_can_tell_the_bars_it_is_not_called_the_only_try(
    runs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a file of returns."""
    luck = assess.assess(Handed(runs["usual"], Results(runs.results)), thorough=False)
    assert luck.family is not None
    alone = replace(luck, family=replace(luck.family, alone=True))
    own = "this one is" if luck.family.trials == 1 else f"its own {luck.family.trials:,} are"
    monkeypatch.setattr(decision, "assessed", lambda run: alone)
    said = next(row.said for row in decision._rows(RunFiles(runs["usual"]), "now") if row.name == "Luck")
    assert said.startswith(f"Which other tries were made on its bars nobody can tell: {own} counted. ")
    assert "only try" not in said


def test_luck_of_a_copy_without_its_ledger_is_open(runs: Any, page: Any, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs["usual"], tmp_path / runs["usual"].name)
    rows = box(page(tmp_path / runs["usual"].name))
    assert rows["Luck"][1:3] == ("open", "– Not known")
    assert "nobody can tell" in rows["Luck"][3]
    assert rows["Evidence"][2] == "✓ Seal intact, of a ledger that is not here"


@pytest.mark.parametrize(
    ("earned", "paid", "stands", "word", "said"),
    [
        (30.0, 10.0, "good", "Bears twice the costs", "4.0 times what was charged"),  # 1 + 30 / 10
        (10.0, 10.0, "bad", "Gone at twice the costs", "2.0 times what was charged"),
        (
            4.0,
            10.0,
            "bad",
            "Gone at twice the costs",
            "At twice the costs the total return is −0.60 %",
        ),  # (4 - 10) / 1000
        (-4.0, 10.0, "bad", "Lost to costs", "From 0.60 times"),
        (-10.0, 10.0, "bad", "Lost before costs", "nothing without costs either"),
        (30.0, 0.0, "open", "None charged", "was not tested"),
    ],
)
def test_costs_are_held_against_twice_of_them(
    earned: float, paid: float, stands: str, word: str, said: str, runs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Costs(1000.0, earned, fees=paid, final=1000 + earned, total_return=earned / 1000)
    monkeypatch.setattr(decision, "costs_of", lambda run: known)
    row = next(row for row in decision._rows(RunFiles(runs["usual"]), "now") if row.name == "Costs")
    assert (row.stands, row.word) == (stands, word)
    assert said in row.said


@pytest.mark.parametrize(
    ("own", "late", "stands", "word"),
    [
        (1.2, 0.9, "good", "75 % of Sharpe left"),
        (1.2, 0.6, "good", "50 % of Sharpe left"),
        (1.2, 0.3, "bad", "25 % of Sharpe left"),
        (1.2, -0.3, "bad", "0 % of Sharpe left"),
        (0.05, 0.04, "open", "No edge to lose"),
        (None, None, "open", "No edge to lose"),
    ],
)
def test_delay_is_held_against_half_of_the_ratio(
    own: float | None, late: float | None, stands: str, word: str, copy_of: Callable[[str], Path], page: Any
) -> None:
    from peak_trade.trust.stress.again import AtCosts

    run = copy_of("usual")
    leave(run, costs=[AtCosts(total_return=0.25, sharpe=own)], delayed=Made(total_return=0.125, sharpe=late))
    row = box(page(run))["Delay"]
    assert (row[1], row[2][2:]) == (stands, word)
    assert f"is {number(late)} in place of {number(own)}, and the total return 12.50 % in place of 25.00 %" in row[3]
    assert "the seal does not cover it" in row[3]


def test_a_delay_that_was_not_worked_out_names_the_command(runs: Any, page: Any) -> None:
    row = box(page(runs["usual"]))["Delay"]
    assert row[1:3] == ("open", "– Not tested")
    assert f"just stress {runs['usual'].name[:8]}" in row[3]


def test_the_sample_is_held_against_the_years_that_its_returns_need(runs: Any, page: Any) -> None:
    for kind in ("usual", "stopped"):
        luck = assess.assess(Handed(runs[kind], Results(runs.results)), thorough=False)
        own = stats_of(runs[kind])
        row = box(page(runs[kind]))["Sample"]
        assert f"{round(own['years'] * 365.25)} days, {own['bars']:,} bars, {own['trades']:,} trades." in row[3]
        needed = luck.figures["minimum_track_record"]
        if needed is None:
            assert row[1:3] == ("open", "– Not known")
            assert luck.reasons["minimum_track_record"] in row[3]
        else:
            assert f"need {decision._span(needed)} to tell" in row[3]
            assert (row[1] == "bad") == (own["years"] < needed or own["trades"] < 30)


def test_a_run_without_trades_has_few_of_them(runs: Any, page: Any) -> None:
    assert box(page(runs["idle"]))["Sample"][1:3] == ("bad", "✗ Few trades")


@pytest.mark.parametrize(
    ("kind", "look_ahead", "delay"),
    [
        ("recorded", "Another engine asked the strategy, and it was not asked again.", "another engine traded it"),
        ("imported", "A file says no strategy.", "a file says no strategy"),
    ],
)
def test_what_another_engine_made_is_not_assessed_by_silence(
    kind: str, look_ahead: str, delay: str, tmp_path: Path, page: Any
) -> None:
    rows = box(page(recorded(tmp_path, result(), kind)))
    assert rows["Look-ahead"][1:] == ("open", "– Not assessed", look_ahead)
    assert rows["Delay"][1:3] == ("open", "– Not tested")
    assert delay in rows["Delay"][3]
    assert "10 marks, 6 trades." in rows["Sample"][3]


def test_a_command_of_which_no_engine_was_seen_has_no_figures_to_judge(tmp_path: Path, page: Any) -> None:
    rows = box(page(recorded(tmp_path, None)))
    assert list(rows) == ["Evidence", "Look-ahead", "Luck"]
    assert rows["Luck"][1] == "open"
