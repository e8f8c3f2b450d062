"""What a walk-forward and a cross-validation came to, in lines; of a stranger's manifest too."""

from __future__ import annotations

from typing import Any

import pytest

from peak_trade.shown.unseen import lines

WALKED = {
    "maximize": "sharpe", "folds": 16, "flat": [], "train_mean": 0.784, "test_mean": 0.512, "above_zero": 0.5625,
    "efficiency": 0.6, "rank_correlation": None,
}  # fmt: skip


def test_a_walk_forward_in_three_lines() -> None:
    assert lines({"walk_forward": WALKED}) == [
        ("folds", "16; what stands above is of their test windows alone"),
        ("test", "sharpe 0.78 on train bars, 0.51 on test bars; 56.25 % of the folds above zero"),
        ("growth", "60.00 % of that on train bars, a year; rank correlation of train and test –"),
    ]


def test_folds_in_which_nothing_was_traded_are_named() -> None:
    assert lines({"walk_forward": WALKED | {"flat": [0, 3]}})[0][1].endswith("; nothing was chosen and traded in 0, 3")


def test_a_cross_validation_in_three_lines() -> None:
    told = {
        "maximize": "sharpe", "paths": 5, "splits": 15, "path": 1, "train_mean": 0.6, "test_mean": 0.38,
        "sharpe": {"least": 0.28, "median": 0.37, "most": 0.46},
        "overfitting": {"probability": 0.267, "trials": 80},
    }  # fmt: skip
    assert lines({"cpcv": told}) == [
        ("paths", "5, Sharpe ratio 0.28 to 0.46, median 0.37; what stands above is path 1, the one in the middle"),
        ("test", "sharpe 0.60 on train bars, 0.38 on test bars; means of 15 splits"),
        ("overfit", "26.70 % probable, by 80 trials"),
    ]


def test_other_runs_have_none() -> None:
    assert lines({"summary": {}}) == []


@pytest.mark.parametrize("kind", ["walk_forward", "cpcv"])
@pytest.mark.parametrize("cell", [None, "\x1b[2J", [], {}, [[]], -1, 1e400, True])
def test_what_a_stranger_has_in_a_cell_stops_no_line(kind: str, cell: Any) -> None:
    keys = (*WALKED, "paths", "splits", "path", "sharpe", "overfitting")
    assert len(lines({kind: dict.fromkeys(keys, cell)})) == 3
