"""Bars come in once; what has changed is a revision, and what it was before is kept."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peak_trade.data.lake import check, commit, ingest
from peak_trade.data.lake.writer import writing
from peak_trade.errors import InputError
from peak_trade.market.bars import Bars

CLOSES = "SELECT strftime(timestamp, '%d %H'), close, revision FROM ohlcv ORDER BY timestamp"


def test_bars_come_out_as_they_went_in(tmp_path: Path, look: Any) -> None:
    count = 3_000
    draw = np.random.default_rng(1)
    close = np.exp(draw.normal(0, 1, count))
    times = np.datetime64("2023-11-01", "ns") + np.arange(count) * np.timedelta64(3600, "s")
    bars = Bars(times, close * 1.01, close * 1.1, close * 0.9, close, close * 7, "BTC/USDT", "1h")
    done = ingest.ingest_bars(tmp_path, bars, source="made")
    assert (done.new, done.same, done.revised) == (count, 0, 0)
    asked = "SELECT epoch_us(timestamp), open, high, low, close, volume, symbol, year FROM ohlcv ORDER BY timestamp"
    found = look.rows(tmp_path, asked)
    expected = zip(times.astype("M8[us]").astype(int).tolist(), bars.open.tolist(), bars.high.tolist(),
                   bars.low.tolist(), bars.close.tolist(), bars.volume.tolist(), strict=True)  # fmt: skip
    assert [row[:6] for row in found] == list(expected)
    assert {row[6:] for row in found} == {("BTC/USDT", 2023), ("BTC/USDT", 2024)}
    folders = {path.rpartition("/")[0] for path in commit.files_of(tmp_path)} - {"ohlcv_changes"}
    assert folders == {f"ohlcv/symbol=BTC%2FUSDT/timeframe=1h/year={year}" for year in (2023, 2024)}


def test_the_same_bars_again_change_no_file(tmp_path: Path, look: Any) -> None:
    bars = look.bars([10, 11, 12])
    ingest.ingest_bars(tmp_path, bars, source="made")
    before = look.photograph(tmp_path)
    done = ingest.ingest_bars(tmp_path, bars, source="made")
    assert (done.new, done.same, done.revised) == (0, 3, 0)
    assert look.photograph(tmp_path) == before


def test_overlapping_bars_add_only_what_is_new(tmp_path: Path, look: Any) -> None:
    ingest.ingest_bars(tmp_path, look.bars([10, 11, 12], "2024-01-01T05"), source="made")
    done = ingest.ingest_bars(tmp_path, look.bars([8, 9, 10, 11, 12, 13], "2024-01-01T03"), source="made")
    assert (done.new, done.same, done.revised) == (3, 3, 0)
    assert [row[1] for row in look.rows(tmp_path, CLOSES)] == [8, 9, 10, 11, 12, 13]


def test_a_changed_bar_is_a_revision_and_its_old_values_are_kept(tmp_path: Path, look: Any) -> None:
    ingest.ingest_bars(tmp_path, look.bars([10, 11, 12]), source="made")
    done = ingest.ingest_bars(tmp_path, look.bars([10, 11.5, 12, 13]), source="made")
    assert (done.new, done.same, done.revised, done.shown) == (1, 2, 1, ["2024-01-01T01:00:00Z"])
    assert "1 revised (at 2024-01-01T01:00:00Z)" in done.as_text()
    ingest.ingest_bars(tmp_path, look.bars([11], "2024-01-01T01"), source="made")
    assert look.rows(tmp_path, CLOSES) == [("01 00", 10, 0), ("01 01", 11, 2), ("01 02", 12, 0), ("01 03", 13, 0)]
    old = "SELECT strftime(timestamp, '%d %H'), close, high, revision FROM ohlcv_revisions ORDER BY revision"
    assert look.rows(tmp_path, old) == [("01 01", 11, 12, 0), ("01 01", 11.5, 12.5, 1)]
    times = "SELECT bool_and(recorded_at < superseded_at) FROM ohlcv_revisions"
    assert look.rows(tmp_path, times) == [(True,)]
    linked = "SELECT count(*) FROM ohlcv_revisions o JOIN ohlcv n ON n.recorded_at = o.superseded_at AND o.revision = 1"
    assert look.rows(tmp_path, linked) == [(1,)]
    assert check.check(tmp_path).findings == []


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_change_of_any_value_is_a_revision(tmp_path: Path, look: Any, column: str) -> None:
    bars = look.bars([10, 11, 12])
    ingest.ingest_bars(tmp_path, bars, source="made")
    getattr(bars, column)[1] += 0.25 if column != "low" else -0.25
    assert ingest.ingest_bars(tmp_path, bars, source="made").revised == 1


def test_sources_and_timeframes_and_symbols_do_not_mix(tmp_path: Path, look: Any) -> None:
    ingest.ingest_bars(tmp_path, look.bars([10, 11, 12]), source="one")
    others = [
        ingest.ingest_bars(tmp_path, look.bars([20, 21, 22]), source="two"),
        ingest.ingest_bars(tmp_path, look.bars([20, 21, 22], symbol="OTHER"), source="one"),
        ingest.ingest_bars(tmp_path, look.bars([20, 21, 22], timeframe="1d"), source="one"),
    ]
    assert [(done.new, done.revised) for done in others] == [(3, 0)] * 3
    assert look.rows(tmp_path, "SELECT count(*) FROM ohlcv WHERE close < 20") == [(3,)]


@settings(max_examples=25, deadline=None)
@example(pieces=[(0, [2]), (2, [2]), (4, [2, 2])])
@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.integers(2, 4), min_size=1, max_size=12)), min_size=1, max_size=7
    )
)
def test_any_pieces_in_any_order_end_as_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, look: Any, pieces: list[tuple[int, list[int]]]
) -> None:
    lake = tmp_path_factory.mktemp("pieces")
    model: dict[int, tuple[float, int]] = {}
    old: list[tuple[int, float, int]] = []
    for start, closes in pieces:
        new = same = revised = 0
        for at, close in enumerate(closes, start):
            value, revision = model.get(at, (None, -1))
            if value is None:
                new += 1
                model[at] = (close, 0)
            elif value == close:
                same += 1
            else:
                revised += 1
                old.append((at, value, revision))
                model[at] = (close, revision + 1)
        first = np.datetime64("2023-12-31T12", "h") + start  # across the turn of a year
        done = ingest.ingest_bars(lake, look.bars(closes, str(first)), source="made", grace_s=0, revise=True)
        assert (done.new, done.same, done.revised) == (new, same, revised)
    hour = "CAST(epoch(timestamp) / 3600 - epoch(TIMESTAMPTZ '2023-12-31 12:00Z') / 3600 AS INTEGER)"
    found = look.rows(lake, f"SELECT {hour}, close, revision FROM ohlcv ORDER BY timestamp")
    assert found == [(at, *model[at]) for at in sorted(model)]
    assert sorted(look.rows(lake, f"SELECT {hour}, close, revision FROM ohlcv_revisions")) == sorted(old)
    # Bars that are accepted one at a time may turn out, seen together, to be two hours apart: that is said.
    assert [finding for finding in check.check(lake).findings if "declared 1h" not in str(finding)] == []


def test_bars_that_break_the_contract_change_nothing(tmp_path: Path, look: Any) -> None:
    ingest.ingest_bars(tmp_path, look.bars([10, 11, 12]), source="made")
    before = look.photograph(tmp_path)
    bars = look.bars([13, 14, 15], "2024-01-01T03")
    bars.high[1] = 1
    with pytest.raises(InputError, match="break the contract.*\n.*row 1, column high: 1.0 must not be below"):
        ingest.ingest_bars(tmp_path, bars, source="made")
    assert look.photograph(tmp_path) == before


def test_times_between_two_microseconds_are_refused(tmp_path: Path, look: Any) -> None:
    bars = look.bars([10, 11])
    bars.timestamp[0] += np.timedelta64(1, "ns")
    with pytest.raises(InputError, match="between two microseconds"):
        ingest.ingest_bars(tmp_path, bars, source="made")


def test_the_command_takes_files_and_says_what_came_of_them(
    tmp_path: Path, look: Any, script: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    look.write_bars(tmp_path / "bars.csv")
    words = [
        tmp_path / "bars.csv",
        "--symbol",
        "X",
        "--timeframe",
        "1d",
        "--source",
        "me",
        "--lake-dir",
        tmp_path / "l",
    ]
    first, second = script("ingest_ohlcv", *words), script("ingest_ohlcv", *words)
    assert (first.returncode, second.returncode) == (0, 0)
    assert b"X 1d of me: 20 new bars, 0 known" in first.stderr
    assert b"X 1d of me: 0 new bars, 20 known" in second.stderr
    wrong = script("ingest_ohlcv", tmp_path / "none.csv", *words[1:])
    assert (wrong.returncode, b"cannot read" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("at", [0, -1])
def test_a_bar_at_the_end_of_a_file_is_known_again(tmp_path: Path, look: Any, at: int) -> None:
    """Files are looked into by their ends: one that is wrong in the marker makes a known bar a new one."""
    bars = look.bars([float(close) for close in range(100, 150)])
    one = look.bars([float(close) for close in [range(100, 150)[at]]], str(bars.timestamp[at]))
    ingest.ingest_bars(tmp_path, bars, source="a")
    again = ingest.ingest_bars(tmp_path, one, source="a")
    assert (again.new, again.same) == (0, 1)

    tables = commit.newest(tmp_path).tables
    [part] = tables["ohlcv"].parts
    wrong = msgspec.structs.replace(part, **({"last": part.first} if at else {"first": part.last}))
    live = msgspec.structs.replace(tables["ohlcv"], parts=[wrong])
    with writing(tmp_path) as writer:
        writer.publish("test", tables | {"ohlcv": live})
    twice = ingest.ingest_bars(tmp_path, one, source="a", revise=True)
    assert twice.new == 1, "the control: it is the marker that tells"
