"""What else reads a run that another engine made: probe, Python, tracking, retention's recovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.record.portfolio import recorded, result

from peak_trade.api.opened import open_run
from peak_trade.evidence.results import Results
from peak_trade.tracking import content
from peak_trade.trust.probe.verb import of_run


def test_a_strategy_that_another_engine_asked_is_not_assessed(tmp_path: Path) -> None:
    for kind in ("recorded", "imported"):
        run = recorded(tmp_path, result(), kind)
        found = of_run(run.name, Results(tmp_path), tmp_path)
        assert (found.exit_code, found.probe.verdict) == (3, "NOT_ASSESSED")
        assert f"the run is {kind}" in found.probe.reason


def test_python_sees_symbols_and_what_is_open(tmp_path: Path) -> None:
    run = open_run(str(recorded(tmp_path, result())))
    assert run.kind == "recorded"
    assert run.trades["symbol"].tolist() == ["A", "B", "A", "B", "A", "B"]
    assert run.trades["currency"].tolist() == ["USD"] * 6
    assert run.trades["exit_reason"].tolist() == [None] * 6
    assert run.open_trades is not None
    assert np.isnat(run.open_trades["exit_time"]).all()
    assert [row["kind"] for row in run.symbols] == ["symbol", "symbol", "rest", "account"]


def test_tracking_says_of_what_kind_and_engine_a_run_is(tmp_path: Path) -> None:
    run = recorded(tmp_path, result())
    found = content.run_content(run)
    assert (found.tags["kind"], found.tags["engine"]) == ("recorded", "handmade 1")
    assert {key for key, *_ in found.metrics} >= {"trades", "total_return", "equity"}
    assert "position" not in {key for key, *_ in found.metrics}
