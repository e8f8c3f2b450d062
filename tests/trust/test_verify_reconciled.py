"""An engine's own figures are sealed beside ours, and worked out again by whoever verifies the run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.record.portfolio import recorded, result
from tests.report.test_portfolio import page
from tests.trust.test_verify_other import reseal, says

from peak_trade.trust.verify import verify

OWN = {
    "Total Return [%]": 2.3,
    "logarithmic": 1.0,
    "total_return": math.log(1.023),
    "win_rate": 4 / 6,
    "sharpe": 99.0,
    "nested": {"trades": 6},
    "nan": None,
}
NAME = "reconciliation.json"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return recorded(tmp_path / "results", result(engine="vectorbt", own=OWN))


def test_what_the_engine_says_is_sealed_beside_what_we_say(run: Path) -> None:
    rows = {row["name"]: row for row in json.loads((run / NAME).read_bytes())["figures"]}
    assert rows["Total Return [%]"]["status"] == "same"
    assert (rows["total_return"]["status"], rows["total_return"]["convention"]) == (
        "explained",
        "logarithmic returns",
    )
    assert rows["total_return"]["ours"] == pytest.approx(0.023)
    assert {name: rows[name]["status"] for name in ("win_rate", "sharpe", "nested.trades", "logarithmic")} == {
        "win_rate": "same", "sharpe": "unexplained", "nested.trades": "same", "logarithmic": "unknown",
    }  # fmt: skip
    assert verify(run).findings == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("status", "same"), ("convention", "252 periods a year"), ("ours", 99.0), ("value", 98.0), ("name", "sortino")],
)
def test_whoever_flatters_the_engine_is_found(run: Path, key: str, value: Any) -> None:
    def flatter(content: bytes) -> bytes:
        told = json.loads(content)
        row = next(row for row in told["figures"] if row["name"] == "sharpe")
        row[key] = value
        if key == "value":  # of a figure that nothing holds but itself: it must still follow
            row["status"] = "explained"
        return json.dumps(told).encode()

    assert NAME in says(reseal(run, NAME, flatter))


def test_control_the_same_bytes_sealed_anew_are_intact(run: Path) -> None:
    assert reseal(run, NAME, lambda content: content).findings == []


@pytest.mark.parametrize("content", [b"{}", b'{"figures": [1]}', b"[" * 50_000, b"\xff"])
def test_a_strangers_file_is_a_finding(run: Path, content: bytes) -> None:
    assert reseal(run, NAME, lambda _: content).findings


def test_the_page_shows_what_is_unexplained_first(run: Path) -> None:
    section = page(run)["reconciled"]
    assert section.index("sharpe") < section.index("Total Return [%]")
    assert "1 of 5 figures unexplained" in section
    assert "logarithmic returns" in section
    assert "1 figure that stats.json has no counterpart of" in section


def test_the_page_of_a_run_without_them_has_no_such_section(tmp_path: Path) -> None:
    assert "reconciled" not in page(recorded(tmp_path, result()))


def test_names_of_an_engine_can_end_no_element(tmp_path: Path) -> None:
    run = recorded(tmp_path, result(engine="<b>", own={"</table><script>": 1.0, "sharpe": 2.0}))
    assert "<script>" not in page(run)["reconciled"]
