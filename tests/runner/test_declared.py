"""Runs of strategies that are declared, from config to seal: each figure is held by verify, lists and statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import peak_trade
from peak_trade.errors import RunError

SAMPLE = Path(__file__).resolve().parents[2] / "data/samples/sp500_daily.csv"
CODE = """
def above(bars, fast=10, slow=30):
    import numpy as np
    mean = lambda n: np.convolve(bars.close, np.ones(n) / n)[: len(bars)]
    held = (mean(fast) > mean(slow)).astype(float)
    held[:slow] = 0
    return held

def late(bars):
    held = above(bars)
    held[1:] = held[:-1].copy()
    return held

def weekdays(bars):
    return ((bars.timestamp.astype("datetime64[D]").astype(int) % 7) < 3).astype(float)

def by_the_week(bars):
    import numpy as np
    weeks = (bars.timestamp.astype("datetime64[D]").astype(int) + 3) // 7
    return by_the_one_before(bars, np.diff(weeks, prepend=weeks[0]) > 0)

def by_the_month(bars):
    import numpy as np
    months = bars.timestamp.astype("datetime64[M]").astype(int)
    return by_the_one_before(bars, np.diff(months, prepend=months[0]) > 0)

def by_fives(bars):
    import numpy as np
    return by_the_one_before(bars, np.arange(len(bars)) % 5 == 0)

def by_the_one_before(bars, begins):
    held, now = late(bars), 0.0
    for bar, begin in enumerate(begins):
        held[bar] = now = held[bar] if begin else now
    return held

def both(bars):
    held = above(bars)
    return 2 * held - 1
"""


@pytest.fixture
def made(tmp_path: Path) -> Any:
    (tmp_path / "own.py").write_text(CODE, encoding="utf-8")

    def make(function: str, execution: dict[str, Any] | None = None, **sections: Any) -> peak_trade.Run:
        strategy = {"entrypoint": f"{tmp_path / 'own.py'}:{function}", **sections.pop("strategy", {})}
        data = {"path": str(SAMPLE), "symbol": "SPX", "timeframe": "1d", "start": "2010-01-01", "end": "2013-01-01"}
        config = {"data": data, "strategy": strategy, "execution": execution or {}, **sections}
        return peak_trade.run(config, results=tmp_path / "results")

    return make


@pytest.mark.parametrize(
    "sections",
    [
        {"execution": {"fill": "close", "fee_bps": 10.0, "slippage_bps": 5.0}},
        {"execution": {"fill": "close", "fee_bps": 10.0}, "stops": {"stop_loss": 0.01, "take_profit": 0.02}},
        {"execution": {"fill": "close"}, "stops": {"trailing_stop": 0.02}, "sizing": {"min_trade_value": 500.0}},
    ],
)
def test_a_run_that_fills_at_closes_is_intact(made: Any, sections: dict[str, Any]) -> None:
    run = made("above", **sections)
    assert run.verify().state == "intact"
    closes = dict(zip(run.benchmark["timestamp"].tolist(), run.benchmark["close"].tolist(), strict=True))
    slip = 1 + sections["execution"].get("slippage_bps", 0.0) / 1e4
    trades = run.trades
    entries = zip(trades["entry_time"].tolist(), trades["entry_price"].tolist(), strict=True)
    assert all(price == pytest.approx(closes[time] * slip, rel=1e-12) for time, price in entries)
    assert run.stats["initial_equity"] == 10_000.0


def test_shorts_that_fill_at_closes_and_pay_for_it_are_intact(made: Any) -> None:
    run = made("both", {"fill": "close", "allow_short": True, "borrow_rate": 0.05, "fee_bps": 3.0})
    assert run.verify().state == "intact"
    assert run.stats["borrow_paid"] > 0


def test_of_a_close_that_was_not_the_fills_nothing_is_intact(made: Any) -> None:
    """The control: the money of a run that filled at opens does not add up once it says that it filled at closes."""
    run, other = made("above", {"fill": "close"}), made("above")
    assert other.verify().state == "intact"
    assert run.equity["equity"].tolist() != other.equity["equity"].tolist()
    assert "fill" not in other.config["execution"] and run.config["execution"]["fill"] == "close"


def test_a_target_that_is_a_bar_late_is_refused_until_that_is_said(made: Any) -> None:
    with pytest.raises(RunError, match="it would be a bar late a second time") as error:
        made("late")
    assert 'strategy.signals = "positions"' in str(error.value.hint)
    again = made("late", strategy={"signals": "positions"})
    assert again.equity["equity"].tolist() == made("above").equity["equity"].tolist()
    assert made("late", strategy={"signals": "target"}).stats["trades"] > 0


def test_what_goes_by_the_calendar_is_not_taken_for_late(made: Any) -> None:
    assert made("weekdays").stats["trades"] > 50


@pytest.mark.parametrize("function", ["by_the_week", "by_the_month", "by_fives"])
def test_what_decides_as_a_period_begins_by_the_one_before_is_not_taken_for_late(made: Any, function: str) -> None:
    """As a week's signal that is carried forward to its days; the control is `late`, which is refused above."""
    run = made(function)
    assert run.manifest["predicate"]["probe"]["verdict"] == "PASS"
    assert run.stats["trades"] >= 3


def test_a_probe_keeps_to_what_the_time_limit_leaves(tmp_path: Path) -> None:
    """All that it does together: each of its stretches by itself once took all that was left, and runs were killed."""
    (tmp_path / "own.py").write_text(
        "import time\nimport numpy as np\ntime.sleep(0.5)\n"
        "def leaks(bars):\n    time.sleep(0.1)\n    return (np.append(bars.close[1:], 0) > bars.close).astype(float)\n",
        encoding="utf-8",
    )
    config = {
        "run": {"timeout_s": 2.0, "probe": "full"},
        "data": {"path": str(SAMPLE), "symbol": "SPX", "timeframe": "1d", "start": "2010-01-01", "end": "2011-01-01"},
        "strategy": {"entrypoint": f"{tmp_path / 'own.py'}:leaks"},
    }
    run = peak_trade.run(config, results=tmp_path / "results")
    took = run.manifest["predicate"]["runDetails"]["milliseconds"]
    assert took["strategy"] + took["probe"] < 2_900
    assert "there was no time left" in run.manifest["predicate"]["probe"]["reason"]


def test_values_in_another_order_than_the_bars_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "own.py").write_text(
        "def turned(df):\n    held = (df.close > df.open).astype(float)\n    return held.iloc[::-1]\n"
        "def zoned(df):\n    held = (df.close > df.open).astype(float)\n"
        "    return held.tz_localize('UTC').tz_convert('Asia/Tokyo').tz_localize(None)\n"
        "def two(df):\n    return df.close > df.open, (df.close < df.open).iloc[::-1]\n",
        encoding="utf-8",
    )
    data = {"path": str(SAMPLE), "symbol": "SPX", "timeframe": "1d", "start": "2010-01-01", "end": "2011-01-01"}

    def made(function: str, **strategy: Any) -> peak_trade.Run:
        told = {"entrypoint": f"{tmp_path / 'own.py'}:{function}", "bars": "dataframe", **strategy}
        return peak_trade.run({"data": data, "strategy": told}, results=tmp_path / "results")

    for function, signals in (("turned", "target"), ("turned", "positions"), ("two", "entries_exits")):
        with pytest.raises(RunError, match="in another order than the bars"):
            made(function, signals=signals)
    assert made("zoned").stats["trades"] > 10
