"""Numbers as scripts get them: exact, and rounded as Python rounds."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from peak_trade.report.carried import differences, moments, whole


@pytest.mark.parametrize("more", [0, 2, 4])
def test_what_a_script_makes_of_a_multiple_is_what_python_writes(more: int) -> None:
    rng = np.random.default_rng(more)
    values = [*np.round(rng.normal(0, 100, 3_000), 3).tolist(), 1.115, 2.675, 0.125, -0.125, -0.005, 0.005, 1e-9, 0.0]
    for value in values:
        made = whole(value, 2, more)
        assert made is not None
        shown = (Decimal(abs(made)) / 10**more).quantize(Decimal(1), ROUND_HALF_UP)  # as Math.round does
        assert int(shown) == abs(int(f"{value:.2f}".replace(".", "")))


def test_control_without_its_care_some_would_be_written_otherwise() -> None:
    assert round(2.675 * 10**6) == 2675000  # half-way, which Math.round takes up: 2.68
    assert f"{2.675:.2f}" == "2.67"
    assert whole(2.675, 2, 4) == 2674999


def test_what_has_no_exact_multiple_is_left_out() -> None:
    assert [whole(value, 2) for value in (float("inf"), float("nan"), 1e14)] == [None, None, None]
    assert whole(8e13, 2) == 8 * 10**15


def test_differences_and_moments_of_nothing_are_nothing() -> None:
    assert differences([]) == []
    assert moments(np.array([], "M8[ns]")) == {"unit": 1, "v": []}
    assert moments(np.array(["NaT"], "M8[ns]")) == {"unit": 1, "v": [None]}
