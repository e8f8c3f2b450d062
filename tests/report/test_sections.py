"""What the report shows of a run: the numbers of its files, all of them, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from tests.report.conftest import without_ours

from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.report import months
from peak_trade.report.grouped import HEAD
from peak_trade.report.head import GROUPS
from peak_trade.report.markup import FENCE, counted, figure_of, money, number, percent
from peak_trade.report.sections import SECTIONS
from peak_trade.shown import apart, listing
from peak_trade.stats import STATS
from peak_trade.trust.handed import Handed
from peak_trade.trust.luck import assess
from peak_trade.trust.luck.words import trials_of

SWEPT = ("search", "folds", "paths", "heat", "plateau", "sensitivity", "distribution", "trials", "kept")
OTHERS = ("timing", "symbols", "reconciled", *SWEPT)
SEALED = [name for name, section in SECTIONS.items() if "sealed" in section.of and name not in OTHERS]
"""Without what has telemetry, several symbols, an engine of its own, or many trials."""


def stats_of(run_dir: Path) -> dict[str, Any]:
    return dict(json.loads((run_dir / "stats.json").read_text()))


def test_the_sections_stand_in_the_order_of_a_sceptical_reader(runs: Any, page: Any) -> None:
    assert page(runs["usual"]).sections == [
        "statistics", "equity", "returns", "rolling", "luck", "price", "trade-returns", "exits", "groups",
        "excursions", "extremes", "all-trades", "exposure", "costs", "configuration", "code", "provenance",
    ]  # fmt: skip


def test_luck_counts_the_trials_of_the_ledger_and_says_up_to_which_line(runs: Any, page: Any) -> None:
    section = page(runs["usual"]).section("luck")
    reading = Results(runs["usual"].parent).reading()
    luck = assess.assess(Handed(runs["usual"], Results(runs["usual"].parent)), thorough=False, banded=True)
    assert luck.family is not None
    assert trials_of(luck.family) in section.words
    assert f"by the ledger up to its line {len(reading.entries)}, as this page was made" in section.words
    deflated = next(row for row in section.rows("How likely is it luck") if row[0] == "Deflated Sharpe")
    assert deflated[1] == percent(luck.figures["deflated_sharpe"])
    assert [row[0] for row in section.rows("Bands")][1:] == ["Sharpe ratio", "CAGR", "Max drawdown"]
    assert "a lower bound" in section.words


def test_luck_of_a_copy_is_not_told_without_its_ledger(runs: Any, page: Any, tmp_path: Path) -> None:
    shutil.copytree(runs["usual"], tmp_path / runs["usual"].name)
    words = page(tmp_path / runs["usual"].name).section("luck").words
    assert (
        words.startswith("How likely is it luck ? Not known") and "how many trials there were nobody can tell" in words
    )


@pytest.mark.parametrize("kind", ["usual", "idle", "one", "two", "unpriced"])
def test_every_statistic_is_shown_rounded_and_held_unrounded(kind: str, runs: Any, page: Any) -> None:
    stats, shown = stats_of(runs[kind]), page(runs[kind]).section("statistics")
    reasons = stats.pop("reasons")
    assert shown.values() == stats
    cells = dict(re.findall(r'data-key="(\w+)"[^>]*>(.*?)</td>', shown.html))
    for stat in STATS:
        value = stats[stat.key]
        if value is None:
            assert reasons[stat.key] in cells[stat.key]
        else:
            assert cells[stat.key] == figure_of(value, stat.unit)


def test_every_statistic_has_its_definition_on_hover_and_below(runs: Any, page: Any) -> None:
    shown = page(runs["usual"]).section("statistics")
    for stat in STATS:
        assert stat.definition in shown.words
        assert f"<code>{stat.key}</code>" in shown.html
    assert shown.html.count(' title="') == len(STATS)


def test_every_statistic_has_its_place_in_one_group() -> None:
    grouped = [key for _, keys in GROUPS for key in keys.split()]
    assert sorted(grouped) == sorted(stat.key for stat in STATS)


def test_the_verdict_names_the_run_its_status_and_its_seal(runs: Any, page: Any) -> None:
    head = page(runs["usual"]).html.partition("</header>")[0]
    assert f'data-run="{runs["usual"].name}" data-status="sealed" data-seal="intact"' in head
    assert "<h1>the usual</h1>" in head
    assert "own.py:steps (length = 9)" in head
    assert 'class="alarm"' not in head


def test_the_verdict_says_what_tells_the_run_from_others_of_its_strategy(runs: Any, page: Any) -> None:
    for kind in ("usual", "one", "two", "sold"):  # each is made when it is first asked for
        assert runs[kind]
    rows = {row.run_id: row for row in listing.rows(Results(runs.results))}
    own = rows[runs["usual"].name]
    others = sum(row.strategy == own.strategy for row in rows.values()) - 1
    head = page(runs["usual"]).html.partition("</header>")[0]
    assert others and own.differs
    assert (
        f"Beside {counted(others, 'other run')} of this strategy, it differs in {apart.said(own.differs)}.</p>" in head
    )


def test_months_are_those_of_the_equity_curve(runs: Any, page: Any) -> None:
    rows = page(runs["usual"]).section("returns").rows("Returns by month and year")
    equity = tables.read_series(runs["usual"] / "equity.csv", ("timestamp", "equity", "drawdown", "position"))
    marked = dict(
        zip(equity["timestamp"].astype("M8[M]").astype(str), equity["equity"], strict=True)
    )  # the last of each
    first = equity["equity"][0]
    expected = {
        "2023-11": marked["2023-11"] / first - 1,
        "2023-12": marked["2023-12"] / marked["2023-11"] - 1,
        "2024-01": marked["2024-01"] / marked["2023-12"] - 1,
    }
    by_year = {row[0]: row[1:] for row in rows[1:]}
    assert by_year["2023"][10:12] == [number(expected["2023-11"] * 100), number(expected["2023-12"] * 100)]
    assert by_year["2024"][0] == number(expected["2024-01"] * 100)
    assert by_year["2024"][1:12] == [""] * 11  # the run ends in January
    assert by_year["2023"][12] == number((marked["2023-12"] / first - 1) * 100)


def test_colours_say_the_sign_and_the_size(runs: Any, page: Any) -> None:
    html = page(runs["usual"]).section("returns").html.partition("<h3>")[0]
    cells = re.findall(r'<td class="(\w+)" style="--heat:([\d.]+)">([−\d.]+)</td>', html)
    assert len(cells) == 3
    assert all((kind == "loss") == value.startswith("−") for kind, _, value in cells)
    strength = {float(value.replace("−", "")): float(heat) for _, heat, value in cells}
    assert sorted(strength) == sorted(strength, key=strength.__getitem__)
    assert max(strength.values()) == 0.55


def test_the_best_and_the_worst_trades_are_those_of_the_trades_file(runs: Any, page: Any) -> None:
    run_dir = runs["usual"]
    trades = tables.read_trades(next(run_dir.glob("trades.*")))
    shown = page(run_dir).section("extremes")
    order = np.argsort(trades.return_, kind="stable")
    for label, chosen in (("Best trades", order[::-1][:5]), ("Worst trades", order[:5])):
        rows = shown.rows(label)[1:]
        assert [int(row[0]) for row in rows] == [index + 1 for index in chosen]
        assert [row[2] for row in rows] == [percent(trades.return_[index]) for index in chosen]
        assert [row[3] for row in rows] == [number(trades.pnl[index]) for index in chosen]
        assert [row[10] for row in rows] == [percent(trades.mae[index]) for index in chosen]
        assert [row[11] for row in rows] == [percent(trades.mfe[index]) for index in chosen]


def test_the_best_and_the_worst_month_are_those_of_stats(runs: Any, page: Any) -> None:
    stats = stats_of(runs["usual"])
    told = f"best {percent(stats['best_month'])}, worst {percent(stats['worst_month'])}."
    assert told in page(runs["usual"]).section("returns").words


def test_a_month_that_is_the_first_bar_alone_is_no_month_that_did_not_gain() -> None:
    stamps = np.array(["2024-01-31", "2024-02-28", "2024-02-29", "2024-03-31"], "M8[ns]")
    told = {"benchmark": None, "has": lambda *names: False}
    run = SimpleNamespace(equity={"timestamp": stamps, "equity": np.array([100.0, 99.0, 98.0, 49.0])}, **told)
    assert "0 of 2 months gained; best −2.00 %, worst −50.00 %." in months.returns(run)
    one = SimpleNamespace(equity={"timestamp": stamps[:1], "equity": np.array([100.0])}, **told)
    assert "One bar has no return." in months.returns(one)


def test_exits_are_told_by_reason_with_the_figures_of_stats(runs: Any, page: Any) -> None:
    run_dir = runs["stopped"]
    stats, shown = stats_of(run_dir), page(run_dir).section("exits")
    head, *rows, whole = shown.rows("Exits by reason")
    assert head == ["Ended by", *HEAD]
    told = {row[0].lower().replace(" ", "_"): (row[1], row[4]) for row in rows}
    keys = [key.removeprefix("exits_") for key, value in stats.items() if key.startswith("exits_") and value]
    assert {"signal", "stop_loss", "take_profit"} <= set(keys)
    assert told == {key: (f"{stats[f'exits_{key}']:,}", number(stats[f"pnl_{key}"])) for key in keys}
    assert whole[:5] == [
        "All", f"{stats['trades']:,}", "100.0 %", percent(stats["win_rate"], 1), number(stats["net_profit"]),
    ]  # fmt: skip
    assert whole[5:] == [
        number(stats["expectancy"]), percent(tables.read_trades(next(run_dir.glob("trades.*"))).return_.mean()),
        number(stats["profit_factor"]), number(stats["average_bars_held"], 1),
    ]  # fmt: skip
    assert {row[0]: row[3] for row in rows}["Take profit"] == "100.0 %"


def test_excursions_are_drawn_with_what_winners_bore_and_losers_had(runs: Any, page: Any) -> None:
    run_dir = runs["usual"]
    trades, stats = tables.read_trades(next(run_dir.glob("trades.*"))), stats_of(run_dir)
    shown = page(run_dir).section("excursions")
    won, lost = trades.pnl > 0, trades.pnl < 0
    assert (
        f"{len(trades):,} trades: at the worst {percent(stats['average_mae'])} on average, "
        f"at the best {percent(stats['average_mfe'])}."
    ) in shown.words
    assert f"the average was {percent(trades.mae[won].mean())} at its worst" in shown.words
    assert f"the average had been {percent(trades.mfe[lost].mean())} at its best" in shown.words
    for name in ("mae", "mfe"):
        (path,) = re.findall(rf'<path class="{name}" d="([^"]*)"/>', shown.html)
        assert 0 < path.count("M") <= len(trades)


def test_trades_without_excursions_are_shown_without(copy_of: Callable[[str], Path], page: Any) -> None:
    run_dir = copy_of("usual")
    file = next(run_dir.glob("trades.*"))
    trades = msgspec.structs.replace(tables.read_trades(file), mae=None, mfe=None)
    file.unlink()
    (run_dir / "trades.csv").write_bytes(b"".join(tables.trades_csv(trades)))
    shown = page(run_dir)
    assert "kept without excursions" in shown.section("excursions").words
    assert shown.section("extremes").rows("Best trades")[0][-1] == "Exit reason"


def test_the_worst_drawdown_is_that_of_stats(runs: Any, page: Any) -> None:
    rows = page(runs["usual"]).section("extremes").rows("Worst drawdowns")
    assert rows[1][1] == percent(stats_of(runs["usual"])["max_drawdown"])


def test_costs_lead_from_the_profit_before_them_to_the_net_profit(runs: Any, page: Any) -> None:
    stats = stats_of(runs["usual"])
    rows = {row[0]: row[1:] for row in page(runs["usual"]).section("costs").rows("Costs")[1:]}
    paid = [stats[f"{name}_paid"] for name in ("fees", "slippage", "borrow")]
    assert min(paid) > 0
    assert rows["Profit before costs"][0] == money(stats["net_profit"] + sum(paid))
    assert [rows[name][0] for name in ("Fees", "Slippage", "Borrow")] == [money(-amount) for amount in paid]
    assert rows["Net profit"][0] == money(stats["net_profit"])
    assert rows["Fees"][3] == "5.00"  # bps of what was traded, on each side
    assert rows["Slippage"][3] == "2.00"


def test_what_was_overridden_given_and_left_out_is_told_apart(runs: Any, page: Any) -> None:
    shown = page(runs["usual"]).section("configuration")
    rows = re.findall(r'<tr class="(\w+)"><th scope="row"><code>([\w.]+)</code>', shown.html)
    by_key = {key: origin for origin, key in rows}
    assert {origin for origin, _ in rows} == {"override", "given", "default"}
    assert by_key["params.length"] == "override"
    assert by_key["fee_bps"] == "given"
    assert by_key["initial_cash"] == "default"
    assert by_key["tags.desk"] == "given"
    assert "Overridden on the command line: strategy.params.length" in shown.words


def test_provenance_tells_what_the_run_was_made_from(runs: Any, page: Any) -> None:
    run_dir = runs["usual"]
    manifest = json.loads((run_dir / "manifest.json").read_text())
    words = page(run_dir).section("provenance").words
    definition = manifest["predicate"]["buildDefinition"]
    bars = definition["resolvedDependencies"][0]
    for told in (run_dir.name, bars["digest"]["sha256"], "bars1500.csv", "1,500 bars", "not in a git repository",
                 definition["internalParameters"]["environment"]["numpy"],
                 manifest["predicate"]["ledger"]["follows"]):  # fmt: skip
        assert told in words
    for subject in manifest["subject"]:
        assert f"{subject['name']} {subject['digest']['sha256']}" in words


def test_receipts_of_what_was_skipped_are_shown(copy_of: Callable[[str], Path], page: Any) -> None:
    run_dir = copy_of("usual")
    path = run_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["predicate"]["receipts"].append({"part": "the lake", "outcome": "skipped", "reason": "it is dry"})
    path.write_text(json.dumps(manifest))
    assert page(run_dir).section("provenance").rows("Receipts")[-1:] == [["the lake", "skipped", "it is dry"]]


@pytest.mark.parametrize(
    ("receipt", "told", "listed"),
    [
        ({"status": "failed", "reason": "the store is locked"}, "", [["tracking", "failed", "the store is locked"]]),
        ({"status": "logged", "store": "sqlite:///x.db", "mlflow_run_id": "ab"}, "logged to sqlite:///x.db as ab", []),
        ({"status": "started"}, "", []),
        ([], "", []),
    ],
)
def test_the_receipt_of_tracking_is_shown(
    receipt: Any, told: str, listed: list[list[str]], copy_of: Callable[[str], Path], page: Any
) -> None:
    run_dir = copy_of("one")
    (run_dir / "tracking.json").write_text(json.dumps(receipt))
    shown = page(run_dir)
    assert 'data-seal="intact"' in shown.html
    provenance = shown.section("provenance")
    assert told in provenance.words
    assert (provenance.rows("Receipts")[1:] if listed else []) == listed
    assert ("Tracking" in provenance.words) == bool(told)
    assert ("Nothing was skipped." in provenance.words) == (not listed)


def test_a_run_without_trades_says_so(runs: Any, page: Any) -> None:
    shown = page(runs["idle"])
    assert shown.sections == SEALED
    for name in ("trade-returns", "exits", "excursions", "extremes", "price"):
        assert "The run closed no trade." in shown.section(name).words
    assert "Costs took 0.00 in all" in shown.section("costs").words


@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_run_of_one_or_two_bars_has_all_its_sections(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind])
    assert shown.sections == SEALED
    assert "Not shown" not in shown.words
    assert "too few returns" in shown.section("rolling").words


def test_without_a_benchmark_there_is_neither_its_curve_nor_a_price(runs: Any, page: Any) -> None:
    shown = page(runs["unpriced"])
    assert 'class="benchmark"' not in shown.html
    assert "holds no prices" in shown.section("price").words
    assert "Buy and hold" not in shown.section("returns").words


def test_equity_below_zero_is_drawn_on_a_linear_axis(runs: Any, page: Any) -> None:
    run_dir = runs["sold"]
    assert stats_of(run_dir)["max_drawdown"] < -1
    shown = page(run_dir)
    assert shown.sections == ["ruin", *SEALED]
    assert "Account ruined on 2023-11-20" in shown.html
    assert "linear axis" in shown.section("equity").words
    assert "equity fell to zero or below" in shown.section("statistics").words


def test_a_failed_run_shows_its_error_its_config_and_its_log(runs: Any, page: Any) -> None:
    shown = page(runs["failed"])
    assert shown.sections == ["failure", "configuration", "code", "provenance"]
    assert 'data-status="failed" data-seal="intact"' in shown.html
    failure = shown.section("failure").words
    assert "ValueError in stage strategy : the strategy raised ValueError" in failure
    assert "Traceback (most recent call last)" in failure


@pytest.mark.parametrize("kind", ["hostile", "failed"])
def test_what_a_run_says_of_itself_is_only_text(kind: str, runs: Any, page: Any) -> None:
    shown = page(runs[kind])
    assert "<script" not in without_ours(shown.html)
    assert "{{<" not in shown.html
    assert not re.search(r"^```(?!\{=html\}$|$)", shown.html, re.MULTILINE)
    assert shown.html.count("```") == 2 * (len(shown.sections) + 2)
    assert "alert(1)" in shown.words


@pytest.mark.parametrize("kind", ["usual", "hostile", "failed", "one"])
def test_every_element_that_is_opened_is_closed(kind: str, runs: Any, page: Any) -> None:
    html = without_ours(page(runs[kind]).html.replace(FENCE[0], "").replace(FENCE[1], "\n"))
    ElementTree.fromstring(f"<page>{html}</page>")


@pytest.mark.slow
def test_a_long_run_is_thinned_for_drawing_and_never_for_numbers(runs: Any, page: Any) -> None:
    shown = page(runs["long"])
    stats = stats_of(runs["long"])
    del stats["reasons"]
    assert stats["bars"] == 100_000
    assert shown.section("statistics").values() == stats
    for line in re.findall(r'class="(?:equity|benchmark|drawdown|price|sharpe)" d="[^l]*l([^"]*)"', shown.html):
        assert line.count(" ") < 2 * 4 * 800
    assert f"Exit ({stats['trades']:,})" in shown.section("price").words
    assert "the number of entries in each of 120 spans of time" in shown.section("price").words
    assert len(shown.html) < 600_000


# --- a broken seal ------------------------------------------------------------------------------------------------


def test_a_broken_seal_is_the_first_thing_on_the_page(copy_of: Callable[[str], Path], page: Any) -> None:
    run_dir = copy_of("usual")
    stats = (run_dir / "stats.json").read_text()
    (run_dir / "stats.json").write_text(stats.replace('"trades": ', '"trades": 1'))
    shown = page(run_dir)
    head = shown.html.partition("<h1>")[0]
    assert 'data-seal="broken"' in head
    assert 'class="alarm" role="alert"' in head
    assert "The seal is broken." in head
    assert "stats.json: expected sha256" in head
    assert shown.sections == SEALED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stats.json", b"\xff{"),
        ("stats.json", b"[]"),
        ("stats.json", b"{}"),
        ("stats.json", b'{"sharpe": "<script>", "total_return": [], "reasons": [1]}'),
        ("equity.csv", b""),
        ("equity.csv", b"timestamp,equity,drawdown,position\n"),
        ("equity.csv", None),
        ("benchmark.csv", b"timestamp,close,equity\n2024-01-01T00:00:00Z,-1.0,0.0\n"),
        ("trades.csv", b"trade_id\n"),
        ("config_snapshot.json", b'{"run": [], "data": 3, "strategy": {"params": [1]}, "overrides": 1}'),
        ("config_snapshot.toml", b"\xff="),
        ("manifest.json", b"{}"),
        ("manifest.json", None),
        ("run.log", b"\xff\n[]\n" + b'{"a": 1}\n'),
    ],
)
def test_a_corrupt_file_costs_no_more_than_its_own_sections(
    name: str, content: bytes | None, copy_of: Callable[[str], Path], page: Any
) -> None:
    run_dir = copy_of("usual")
    if content is None:
        (run_dir / name).unlink()
    else:
        (run_dir / name).write_bytes(content)
    shown = page(run_dir)
    assert ('data-seal="intact"' in shown.html) == (name == "run.log")
    assert "configuration" in shown.sections
    assert "<script" not in without_ours(shown.html)


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(copy_of: Callable[[str], Path], page: Any) -> None:
    import os

    run_dir = copy_of("usual")
    (run_dir / "equity.csv").unlink()
    os.mkfifo(run_dir / "equity.csv")
    assert "equity.csv: a named pipe in place of a file" in page(run_dir).words


def test_an_error_of_ours_is_not_hidden_where_the_seal_is_intact(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from peak_trade.report.page import open_page

    def wrong(run: Any) -> str:
        raise ZeroDivisionError("ours")

    monkeypatch.setitem(SECTIONS, "costs", SECTIONS["costs"]._replace(body=wrong))
    opened = open_page(runs["usual"], results=runs.results)
    with pytest.raises(ZeroDivisionError):
        opened.section("costs")


def test_what_a_stranger_sealed_leaves_out_its_section_and_no_more(
    copy_of: Callable[[str], Path], page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = copy_of("usual")
    (run_dir.parent / "ledger.jsonl").unlink()

    def of_no_type(run: Any) -> str:
        return f"{abs(run.stats | {'average_win': {}})}"

    whole = page(run_dir)
    monkeypatch.setitem(SECTIONS, "costs", SECTIONS["costs"]._replace(body=of_no_type))
    shown = page(run_dir)
    assert 'data-seal="foreign"' in shown.html
    assert "Not shown: bad operand type for abs(): 'dict'" in shown.section("costs").words
    assert shown.sections == whole.sections
    assert shown.section("statistics").html == whole.section("statistics").html
