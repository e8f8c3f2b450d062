"""Runs are held against the statistics that they were sealed with, whatever this version has more or otherwise."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from peak_trade import stats
from peak_trade.market import exchanges
from peak_trade.stats import Stat, table
from peak_trade.stats.values import Undefined
from peak_trade.trust import statistics


def have(monkeypatch: pytest.MonkeyPatch, *rows: Stat, without: str = "") -> None:
    """Let this version's table be without a key, and have rows more; one of a known key takes its place."""
    taken = {without, *(row.key for row in rows)}
    monkeypatch.setattr(table, "STATS", (*(stat for stat in table.STATS if stat.key not in taken), *rows))


LUCK = Stat("luck", "ratio", "what nobody can plan", lambda run: 7.0)


def otherwise(key: str, edition: int) -> Stat:
    return Stat(key, "ratio", "by another definition", lambda run: -1.0, edition)


def as_of_0_1(evidence: Any) -> None:
    """Leave the statistics of version 0.1, and take their keys out of the manifests: its runs have none there."""

    def leave_those_of_0_1(written: dict[str, Any]) -> None:
        for figures in (written, written["reasons"]):
            for key in figures.keys() - statistics._OF_0_1.keys() - {"reasons"}:
                del figures[key]

    for name in ("builtin", "own", "plain", "bare"):
        evidence.edit_json(name, "stats.json", leave_those_of_0_1)
        evidence.forge(name, lambda statement: statement["predicate"]["results"].pop("statistics"))


def test_a_manifest_names_the_statistics_and_the_editions_that_it_was_sealed_with(evidence: Any) -> None:
    named = evidence.manifest("own")["predicate"]["results"]["statistics"]
    keys = json.loads((evidence.path("own") / "stats.json").read_bytes()).keys() - {"reasons"}
    assert named.keys() == keys and named == {stat.key: stat.edition for stat in stats.STATS}
    assert list(named) == [stat.key for stat in stats.STATS]


@pytest.mark.parametrize("older", [False, True])
def test_a_key_more_in_this_version_breaks_no_older_run(
    evidence: Any, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    if older:
        as_of_0_1(evidence)
    have(monkeypatch, LUCK)
    changed = sorted(stat.key for stat in stats.STATS if stat.edition > 1) if older else []
    unchecked = [f"stats.json {key}: this version defines it otherwise" for key in changed]
    verdicts = evidence.verdicts()
    assert {name: verdicts[name].unchecked for name in ("builtin", "own", "plain", "bare")} == dict.fromkeys(
        ("builtin", "own", "plain", "bare"), unchecked
    )
    assert evidence.broken() == set()


def test_a_key_more_without_a_value_breaks_no_older_run(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, LUCK._replace(of=lambda run: Undefined("no trades")))
    assert evidence.broken() == set()


def test_a_run_sealed_with_a_key_more_is_checked_by_it(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, LUCK)
    evidence.run("lucky", (evidence.root / "config" / "own.toml").read_text())
    assert evidence.broken() == set()
    evidence.edit_json("lucky", "stats.json", lambda written: written.update(luck=8))
    evidence.forge("lucky")
    assert evidence.findings() == ["stats.json luck: expected 7.0, found 8"]


def test_a_key_that_this_version_does_not_have_is_named_and_no_pass(
    evidence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, without="calmar")
    for name in ("builtin", "own", "plain", "bare"):
        verdict = evidence.verdicts()[name]
        assert (verdict.state, verdict.unchecked) == (
            "intact", ["stats.json calmar: this version has no such statistic"],
        )  # fmt: skip


def test_a_key_that_this_version_defines_otherwise_is_named_and_no_pass(
    evidence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, otherwise("profit_factor", edition=2))
    verdict = evidence.verdicts()["own"]
    assert (verdict.state, verdict.unchecked) == (
        "intact", ["stats.json profit_factor: this version defines it otherwise"],
    )  # fmt: skip
    assert evidence.broken() == set()  # in `bare` it has no value, and a reason for that


def test_another_value_by_the_same_edition_is_found(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, otherwise("profit_factor", edition=1))
    [line] = evidence.findings("own")
    assert line.startswith("stats.json profit_factor: expected -1.0, found ")


def test_a_reason_in_words_that_this_version_does_not_know_is_named(evidence: Any) -> None:
    def reword(written: Any) -> None:
        written["reasons"]["benchmark_cagr"] = "there is none"

    evidence.edit_json("bare", "stats.json", reword)
    evidence.forge("bare")
    verdict = evidence.verdicts()["bare"]
    what = "stats.json reasons benchmark_cagr: this version does not know 'there is none'"
    assert (verdict.state, verdict.unchecked) == ("intact", [what])


def test_a_reason_for_what_has_a_value_is_found(evidence: Any) -> None:
    evidence.edit_json("own", "stats.json", lambda written: written["reasons"].update(total_return="there is none"))
    evidence.forge("own")
    [line] = evidence.findings("own")
    assert line.startswith("stats.json reasons: expected {")


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda written: written.pop("sharpe"), "stats.json sharpe: expected "),
        (lambda written: written.update(sharpe=written["sharpe"] + 1e-6), "stats.json sharpe: expected "),
        (lambda written: written.update(luck=7), "stats.json luck: expected None, found 7"),
    ],
)
def test_what_is_not_what_was_sealed_is_found_all_the_same(
    evidence: Any, monkeypatch: pytest.MonkeyPatch, edit: Any, expected: str, older: bool
) -> None:
    if older:
        as_of_0_1(evidence)
    have(monkeypatch, LUCK._replace(key="later"))
    evidence.edit_json("own", "stats.json", edit)
    evidence.forge("own")
    assert [line for line in evidence.findings("own") if line.startswith(expected)]


def test_what_is_annualised_is_held_against_the_rate_that_an_older_run_was_sealed_with(evidence: Any) -> None:
    as_of_0_1(evidence)
    evidence.edit_json("own", "stats.json", lambda written: written.update(periods_per_year=252.0))
    evidence.forge("own")
    found = {line.partition(":")[0] for line in evidence.findings("own")}
    assert found == {
        *(f"stats.json {key}" for key in ("volatility", "sharpe", "sortino", "benchmark_sharpe")),
        *(f"stats.json {key}" for key in ("alpha", "information_ratio")),
    }


def test_an_exchange_that_is_not_known_here_breaks_no_run(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (evidence.root / "config" / "own.toml").read_text().replace('"24/7"', '"XWBO"')
    evidence.run("vienna", text)
    assert evidence.verdicts()["vienna"].unchecked == []
    exchanges._library.cache_clear()
    exchanges.facts.cache_clear()
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)  # as where the extra `calendars` is not installed
    verdict = evidence.verdicts()["vienna"]
    exchanges._library.cache_clear()
    exchanges.facts.cache_clear()
    assert verdict.state == "intact"
    [line] = verdict.unchecked
    assert line.startswith("stats.json periods_per_year: unknown calendar `XWBO`")
    assert "just setup calendars" in line
