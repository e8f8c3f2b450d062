"""Candles: those of the run's own bars or none, and why; few enough for a page, and as a page carries them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report import handmade

from peak_trade.market.bars import Bars
from peak_trade.report import candles
from peak_trade.report.run import RunFiles


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return handmade.made(tmp_path)


def bars(prices: Any) -> Bars:
    columns = np.array(prices, np.float64).T
    days = np.datetime64("2024-01-01", "ns") + np.arange(len(prices)) * np.timedelta64(1, "D")
    return Bars(days, *columns, np.ones(len(prices)), symbol="X", timeframe="1d")


def rows(found: candles.Candles) -> list[tuple[float, ...]]:
    return list(zip(*(column.tolist() for column in found[1:5]), strict=True))


def test_the_candles_are_the_bars_that_the_run_read(run_dir: Path) -> None:
    found = candles.candles(RunFiles(run_dir))
    assert rows(found) == handmade.PRICES
    assert (found.bars, found.none) == (1, "")
    assert found.times.astype("M8[D]").astype(str).tolist() == [f"2024-01-{day:02}" for day in range(1, 13)]


def test_of_other_data_there_are_none_and_the_caption_says_so(run_dir: Path, page: Any) -> None:
    words = "No candles: the data is not where the run found it, or is not what the run read."
    data = run_dir.parent.parent / "data.csv"
    assert words not in page(run_dir).section("price").words
    data.write_text(data.read_text().replace("103,110,102,109", "103,111,102,109"))
    assert words in page(run_dir).section("price").words
    data.unlink()
    section = page(run_dir).section("price")
    assert words in section.words
    assert carried(section)["candles"] is None


def test_of_a_run_whose_seal_is_broken_there_are_none(run_dir: Path) -> None:
    (run_dir / "stats.json").chmod(0o644)
    (run_dir / "stats.json").write_text("{}")
    assert candles.candles(RunFiles(run_dir)).none == "the seal is broken, and bars are looked for by what it says"


def test_bars_that_came_along_are_taken_where_the_data_is_gone(run_dir: Path) -> None:
    from peak_trade.evidence.results import BARS
    from peak_trade.market import fingerprint

    own = RunFiles(run_dir)
    folder = run_dir.parent / BARS
    folder.mkdir()
    content = b"".join(fingerprint.content(bars(handmade.PRICES)))
    (folder / f"{own.digest('bars')}.bars").write_bytes(content)
    (run_dir.parent.parent / "data.csv").unlink()
    assert rows(candles.candles(own)) == handmade.PRICES


def test_more_bars_than_a_page_has_candles_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "MOST", 5)
    found = candles.grouped(bars(handmade.PRICES[:11]), slice(0, 11))
    assert found.bars == 3  # 11 bars in 5 candles at most: 3, 3, 3 and 2
    assert rows(found) == [
        (100.0, 104.0, 99.0, 103.0),
        (103.0, 112.0, 102.0, 111.0),
        (111.0, 114.0, 109.0, 113.0),
        (113.0, 114.0, 111.0, 112.0),
    ]
    assert found.times.astype("M8[h]").astype(str).tolist() == [
        "2024-01-02T00", "2024-01-05T00", "2024-01-08T00", "2024-01-10T12",
    ]  # fmt: skip


def test_the_caption_says_what_a_candle_covers(run_dir: Path, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "they are drawn, from the data that the run read" in page(run_dir).section("price").words
    monkeypatch.setattr(candles, "MOST", 5)
    assert "they are drawn, each of 3 bars, from the data that the run read" in page(run_dir).section("price").words


def test_bars_with_prices_that_are_none_are_left_out() -> None:
    faulty = [(1, 2, 1, 2), (float("nan"), 2, 1, 2), (1, 2, 0, 2), (1, 3, 1, 2)]
    assert rows(candles.grouped(bars(faulty), slice(0, 4))) == [(1.0, 2.0, 1.0, 2.0), (1.0, 3.0, 1.0, 2.0)]


def carried(section: Any) -> dict[str, Any]:
    (content,) = re.findall(r'class="prices">(.*?)</script>', section.html, re.DOTALL)
    return dict(json.loads(content))


def test_the_page_carries_each_price_of_each_candle(run_dir: Path, page: Any) -> None:
    told = carried(page(run_dir).section("price"))
    found, close = [], 0
    for o, h, low, c in zip(*(told["candles"][name] for name in "ohlc"), strict=True):
        opened, close = close + o, close + o + c
        prices = (opened, max(opened, close) + h, min(opened, close) - low, close)
        found.append(tuple(price / 10 ** told["digits"] for price in prices))
    assert found == handmade.PRICES
    assert told["candles"]["t"] == {"unit": 86400, "v": [19723, *[1] * 11]}  # 2024-01-01 is day 19,723
    assert told["span"] == [19723 * 86400, 19734 * 86400]
    assert told["stops"] == [0.02, 0.05, None]


def test_five_thousand_candles_take_no_more_than_twenty_four_bytes_each() -> None:
    rng = np.random.default_rng(5)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 5_000))), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    found = candles.grouped(bars(np.stack([opened, high, low, close], axis=1)), slice(0, 5_000))
    assert len(json.dumps(candles.told(found, 3), separators=(",", ":"))) < 24 * 5_000


def test_the_same_run_gives_the_same_bytes(run_dir: Path, page: Any) -> None:
    assert page(run_dir).section("price").html == page(run_dir).section("price").html
