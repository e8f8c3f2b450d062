"""The table has a row a trial, and the ledger keeps of each series what is needed when the table is gone."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import stats
from peak_trade.evidence import tables
from peak_trade.market import fingerprint
from peak_trade.market.bars import Bars
from peak_trade.market.timeframe import timeframe_of
from peak_trade.record import table, trials
from peak_trade.record.result import Series
from peak_trade.stats.sample import sharpe

from .conftest import DAY, START

Note = Callable[..., None]


class Folder:
    """In place of a run's directory: keeps what is written."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        self.written[name] = b"".join(chunks)


def _write(spool: Path, **options: Any) -> tuple[dict[str, bytes], table.Told]:
    folder = Folder()
    return folder.written, table.write_trials(folder, trials.results(spool), **options)  # type: ignore[arg-type]


def _bars(note: Note, name: str, symbol: str) -> None:
    times = START + np.arange(40) * DAY
    prices = {key: ("f8", np.full(40, 5.0)) for key in ("open", "high", "low", "close", "volume")}
    note.spool.write("bars", {"id": name, "symbol": symbol}, {"timestamp": ("i8", times), **prices})  # type: ignore[attr-defined]


def test_a_row_has_the_statistics_and_digests_of_its_trial(note: Note, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    note(1, duration_s=0.5)
    note(2, status="failed", error="ZeroDivisionError: x", columns={})
    written, told = _write(tmp_path / "spool", chosen=0)
    good, bad = pq.read_table(io.BytesIO(written["trials.parquet"])).to_pylist()
    first = trials.results(tmp_path / "spool")[0]
    returns = stats.returns(first.equity)
    assert not isinstance(returns, stats.Undefined)
    assert good["sharpe"] == sharpe(returns, 365.25)
    assert good["equity_digest"] == tables.series_digest(
        "equity",
        {
            "timestamp": first.timestamp,
            "equity": first.equity,
            "drawdown": stats.drawdown(first.equity),  # type: ignore[dict-item]
            "position": np.full(40, np.nan),
        },
    )
    assert (good["index"], good["chosen"], good["status"], good["duration_s"]) == (0, True, "done", 0.5)
    assert good["params"] == '{"a":1,"b":1}'
    assert good["win_rate"] is None and good["exposure"] is None  # the engine said nothing of trades and position
    assert (bad["chosen"], bad["status"], bad["error"], bad["sharpe"]) == (
        False,
        "failed",
        "ZeroDivisionError: x",
        None,
    )
    assert list(good) == list(table.COLUMNS)
    assert told.facts["trials"] == 2 and told.facts["trials_failed"] == 1


def test_without_pyarrow_it_is_csv_and_says_so(note: Note, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    note(1, strategy='a, "b"\r')
    written, told = _write(tmp_path / "spool", chosen=0)
    (row,) = csv.DictReader(io.StringIO(written["trials.csv"].decode(), newline=""))
    assert row["strategy"] == 'a, "b"\r' and row["chosen"] == "true" and row["win_rate"] == ""
    assert json.loads(row["params"]) == {"a": 1, "b": 1}
    assert float(row["final_equity"]) == told.figures[0].stats["final_equity"]
    assert "pyarrow" in told.skipped


def test_what_an_optimiser_makes_once_more_is_a_row_and_no_trial(note: Note, tmp_path: Path) -> None:
    for seed in (1, 2):
        note(seed)
    note(2, repeated=True, started_ns=9)
    told = _write(tmp_path / "spool", chosen=2)[1]
    assert len(told.figures) == 3
    assert told.facts["trials"] == 2
    note(2, started_ns=10)  # made again by the script itself: it was looked at again
    assert _write(tmp_path / "spool")[1].facts["trials"] == 3


def test_trials_are_counted_by_the_bars_they_were_made_on(note: Note, tmp_path: Path) -> None:
    for name in ("A", "B"):
        _bars(note, f"id{name}", name)
    for seed in range(5):
        note(seed, symbols=["A"], bars=["idA"])
    note(5, symbols=["B"], bars=["idB"], status="failed", columns={})
    note(6, symbols=["A", "B"], bars=["idA", "idB"])
    note(7, symbols=["C"])  # its bars were not seen
    note(8)  # nor is anything known
    told = _write(tmp_path / "spool")[1].facts
    counts = {(one["symbol"], one["timeframe"], bool(one["data"])): one["count"] for one in told["trials_on"]}
    several = {("B", "1d", True): 1, ("A,B", "1d", True): 1, ("C", "1d", False): 1, ("", "", False): 1}
    assert counts == {("A", "1d", True): 5} | several
    assert told["trials"] == 9
    of_a = next(one for one in told["trials_on"] if one["symbol"] == "A")
    ratios = [one.stats["sharpe"] for one in _write(tmp_path / "spool")[1].figures[:5]]
    assert of_a["ratios"]["variance"] == pytest.approx(float(np.var(ratios)))  # type: ignore[arg-type]
    assert of_a["ratios"]["count"] == of_a["results"] == 5


def test_the_fingerprint_is_the_one_a_run_on_the_same_bars_has(note: Note, tmp_path: Path) -> None:
    _bars(note, "x", "A")
    note(1, symbols=["A"], bars=["x"])
    (one,) = trials.results(tmp_path / "spool")
    (bars,) = one.series
    same = Bars(bars.timestamp, *[np.full(40, 5.0)] * 5, symbol="A", timeframe="1d")
    assert table.key_of(one) == table.Key("A", "1d", fingerprint.digest(same), fingerprint.unnamed(same))


def test_a_line_of_the_ledger_stays_short(note: Note, tmp_path: Path) -> None:
    for seed in range(150):
        note(seed, symbols=[f"{'S' * 190}{seed}"])
    told = _write(tmp_path / "spool")[1].facts
    assert told["trials"] == 150
    assert len(json.dumps(told)) < 60_000


@pytest.mark.parametrize(
    ("seconds", "word"), [(60, "1m"), (14_400, "4h"), (86_400, "1d"), (604_800, "1w"), (90, "90s"), (0.5, "")]
)
def test_a_timeframe_is_told_by_the_times(seconds: float, word: str) -> None:
    times = np.datetime64("2024-01-01", "ns") + (np.arange(9) * int(seconds * 1e9)).astype("m8[ns]")
    assert timeframe_of(times) == word


def test_series_are_what_the_engine_was_given(note: Note, tmp_path: Path) -> None:
    _bars(note, "x", "A")
    note(1, bars=["x", "unknown"])
    (one,) = trials.results(tmp_path / "spool")
    assert one.symbols == ("A",)
    assert isinstance(one.series[0], Series)
