"""What an engine says of itself is sealed beside what we say, and whoever changes a word of it is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.errors import RunError
from peak_trade.record import reconciled, trials
from peak_trade.record.result import Result
from peak_trade.stats.table import Stats, compute
from peak_trade.trust.reconciled import check
from peak_trade.trust.verdict import Verdict

from .test_table import Folder

Note = Callable[..., None]


def _figures(result: Result, rate: float = 0.0) -> Stats:
    return compute(
        result.timestamp, result.equity, None, result.trades, risk_free_rate=rate, periods_per_year=365.25
    )  # fmt: skip


def _sealed(note: Note, tmp_path: Path, **own: Any) -> tuple[Result, bytes, dict[str, int]]:
    note(1, own=own)
    (result,) = trials.results(tmp_path / "spool")
    folder = Folder()
    counts = reconciled.write(folder, result, _figures(result), risk_free_rate=0.0)  # type: ignore[arg-type]
    return result, folder.written.get("reconciliation.json", b""), counts


def _found(result: Result, content: bytes) -> list[str]:
    verdict = Verdict("x")
    check(verdict, content, result.timestamp, result.equity, result.trades, _figures(result))
    return [f"{one.file} {one.expected} {one.found}" for one in verdict.findings] + verdict.unchecked


@pytest.fixture
def sealed(note: Note, tmp_path: Path) -> tuple[Result, bytes, dict[str, int]]:
    returns = np.diff(1000.0 * np.cumprod(1.0 + np.random.default_rng(1).normal(0.0, 0.01, 40)))
    return _sealed(note, tmp_path, sharpe=float(len(returns)), max_drawdown=-0.5, other={"deep": 2.0}, text="x")


def test_it_is_sealed_as_it_can_be_worked_out_again(sealed: tuple[Result, bytes, dict[str, int]]) -> None:
    result, content, counts = sealed
    told = json.loads(content)
    assert [row["name"] for row in told["figures"]] == ["sharpe", "max_drawdown", "other.deep"]
    assert counts == {"unexplained": 2, "unknown": 1}
    assert _found(result, content) == []


@pytest.mark.parametrize(
    ("key", "value"), [("status", "same"), ("convention", "252 periods a year"), ("ours", 1.0), ("stat", "sortino")]
)
def test_a_word_that_was_changed_is_found(sealed: tuple[Result, bytes, dict[str, int]], key: str, value: Any) -> None:
    result, content, _ = sealed
    told = json.loads(content)
    told["figures"][0][key] = value
    assert len(_found(result, json.dumps(told).encode())) == 1


def test_another_edition_is_not_held_against_this_one(sealed: tuple[Result, bytes, dict[str, int]]) -> None:
    result, content, _ = sealed
    told = json.loads(content) | {"edition": 2}
    told["figures"][0]["ours"] = 5.0
    assert _found(result, json.dumps(told).encode()) == ["reconciliation.json: this version reconciles otherwise"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"figures": 7}', b'{"figures": [7]}', b'{"figures": [{"name": 1, "value": 1}]}',
     b'{"figures": [{"name": "a", "value": "x"}]}', b'{"figures": [{"name": "a", "value": 1, "ours": "x"}]}',
     b'{"figures": [{"name": "a", "value": 1, "ours": 1, "status": []}]}', b"[" * 90_000],
)  # fmt: skip
def test_a_strangers_bytes_end_in_a_sentence(sealed: tuple[Result, bytes, dict[str, int]], content: bytes) -> None:
    with pytest.raises(RunError, match=r"reconciliation\.json"):
        _found(sealed[0], content)


def test_without_figures_of_the_engine_there_is_none(note: Note, tmp_path: Path) -> None:
    assert _sealed(note, tmp_path)[1:] == (b"", {})
