"""What stands behind a figure: its table, and the points for the script, which say the same."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

import numpy as np

from peak_trade.report.values import Column, Over, behind, encoded, over

DAYS = np.arange("2024-01-01", "2024-01-05", dtype="M8[D]").astype("M8[ns]")


def told(html: str) -> dict[str, Any]:
    found = re.search('<script type="application/json" class="values">(.*)</script>', html)
    assert found
    return dict(json.loads(found[1]))


def cells(html: str) -> list[str]:
    return re.findall("<td>([^<]*)</td>", html)


def test_the_script_gets_the_digits_that_the_table_has() -> None:
    """1.115 is a little less than it looks, and 100 * 1.115 is not."""
    html = behind(Over(DAYS, [Column("one", np.array([1.115, 2.675, -1.005, 0.0]))]))
    assert cells(html) == ["1.11", "2.67", "−1.00", "0.00"]
    (column,) = told(html)["columns"]
    assert list(accumulate(column["v"])) == [111, 267, -100, 0]


def test_times_are_seconds_and_values_multiples_of_their_last_digit_in_differences() -> None:
    html = behind(Over(DAYS, [Column("one", np.array([0.5, np.nan, -0.25, 0.1]), 1, percent=True, digits=1)]))
    assert told(html)["t"] == [1_704_067_200, 2 * 86_400, 86_400]
    (column,) = told(html)["columns"]
    assert (column["panel"], column["sign"], column["digits"]) == (1, " %", 1)
    assert column["v"] == [500, -750, 350]


def test_what_is_no_number_is_none_to_the_script() -> None:
    values = [np.array([1.0, np.inf, 2.0, 1e200]), np.array([1.0, 2.0, 3.0, 4.0])]
    columns = told(behind(Over(DAYS, [Column(name, column) for name, column in zip("ab", values, strict=True)])))[
        "columns"
    ]
    assert columns[0]["v"] == [100, None, 100, None]
    assert columns[1]["v"] == [100, 100, 100, 100]


def test_a_long_table_has_the_extremes_in_two_hundred_rows_and_says_how_many_there_are() -> None:
    times = np.arange("2000-01-01", "2030-01-01", dtype="M8[D]").astype("M8[ns]")
    values = np.sin(np.arange(len(times)) / 50.0)
    values[[1234, 5678]] = 7.0, -8.0
    html = behind(Over(times, [Column("one", values)]))
    rows = cells(html)
    assert 50 <= len(rows) <= 200
    assert {"7.00", "−8.00"} <= set(rows)
    assert f"{len(rows)} of {len(times):,} rows, the extremes among them." in html


def test_json_of_a_page_ends_no_element_comment_or_fence() -> None:
    hostile = "</script><!-- `x` &amp;"
    assert not set("<>&`") & set(encoded(hostile))
    assert json.loads(encoded(hostile)) == hostile


def test_values_at_some_times_are_nothing_at_the_others() -> None:
    made = over(DAYS, DAYS[[1, 3]], np.array([5.0, 6.0]))
    np.testing.assert_array_equal(made, [np.nan, 5.0, np.nan, 6.0])
