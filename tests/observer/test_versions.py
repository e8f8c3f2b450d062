"""Which versions of an engine an adapter was held against, and what is said of any other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from peak_trade.observer.hooks import ENGINES, TESTED, was_tested

DOC = Path(__file__).parents[2] / "docs/ops/record.md"


@pytest.mark.parametrize(
    ("engine", "version", "known"),
    [
        ("backtesting", "0.6.6", True), ("backtesting", "0.6", True), ("backtesting", "0.60.1", False),
        ("backtesting", "", False), ("backtrader", "1.9.78.123", True), ("backtrader", "1.9.79.1", False),
        ("peak_trade.record", "0.4.0", True),
    ],
)  # fmt: skip
def test_a_version_is_known_by_its_first_numbers(engine: str, version: str, known: bool) -> None:
    assert was_tested(engine, version) is known


def test_each_engine_that_is_watched_has_its_versions_in_the_document() -> None:
    assert {name.partition(".")[0] for name in ENGINES} == TESTED.keys()
    rows = re.findall(r"^\| ([a-z_.]+(?:-reloaded)?) ([0-9., ]+) \|", DOC.read_text(), re.M)
    said = {re.sub(r"\.py$|-reloaded$", "", name): tuple(versions.split(", ")) for name, versions in rows}
    assert said == TESTED
