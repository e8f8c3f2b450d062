"""What several runs did over the same time, by figures worked out by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from peak_trade.report import together
from peak_trade.report.together import Account, correlation


def account(name: str, first: str, equity: list[float], step: str = "D") -> Account:
    """Return an account with a close each day, or hour."""
    times = np.datetime64(first).astype("M8[ns]") + np.arange(len(equity)) * np.timedelta64(1, step)
    values = np.array(equity)
    highest = np.maximum.accumulate(values)
    return Account(name, times, values, (values - highest) / np.maximum(highest, 1.0))


def rows_of(html: str, label: str) -> list[list[str]]:
    table = re.findall(rf'aria-label="{label}".*?</table>', html)[0]
    return [
        [re.sub("<[^>]*>", "", one) for one in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", table)
    ]


ONE = account("A", "2023-12-30", [100.0, 110.0, 121.0, 96.8])  # + 10 %, + 10 %, − 20 %, over a new year
OTHER = account("<b>", "2023-12-31", [50.0, 50.0, 75.0])


def test_returns_stand_by_year_and_month_of_each_run() -> None:
    html = together.by_period([ONE, OTHER])
    # 2023 ends at 110 and 50, its first days; 2024 at 96.8 of 110, and 75 of 50
    years = [["", "A", "&lt;b&gt;"], ["2023", "10.00", "0.00"], ["2024", "−12.00", "50.00"]]
    assert rows_of(html, "Returns by year") == years
    months = [years[0], ["2024-01", "−12.00", "50.00"], ["2023-12", "10.00", "0.00"]]
    assert rows_of(html, "Returns by month") == months
    assert "The newest" not in html


def test_a_year_that_a_run_has_not_is_empty_and_one_without_a_return_a_dash() -> None:
    html = together.by_period([account("A", "2022-12-30", [0.0, 0.0, 1.0]), ONE])
    assert rows_of(html, "Returns by year")[1:] == [["2022", "–", ""], ["2023", "–", "10.00"], ["2024", "", "−12.00"]]


def test_of_very_many_months_the_newest_are_shown() -> None:
    times = np.arange("1990-01", "2015-01", dtype="M8[M]").astype("M8[ns]")
    long = Account("A", times, np.linspace(1.0, 2.0, 300), np.zeros(300))
    html = together.by_period([long])
    assert [row[0] for row in rows_of(html, "Returns by month")[1:]][::239] == ["2014-12", "1995-01"]
    assert "The newest 240 of 300 months." in html


def test_the_deepest_drawdowns_of_each_are_listed_with_their_days() -> None:
    first = account("A", "2024-01-01", [100.0, 90.0, 100.0, 80.0])
    html = together.depths([first, account("B", "2024-01-01", [1.0, 2.0])])
    assert rows_of(html, "The deepest drawdowns")[1:] == [
        ["A", "−20.00 %", "2024-01-03", "2024-01-04", "not yet", "1"],
        ["A", "−10.00 %", "2024-01-01", "2024-01-02", "2024-01-03", "2"],
    ]
    assert together.depths([account("B", "2024-01-01", [1.0, 2.0])]) == ""
    many = together.depths([first] * 5)
    assert len(rows_of(many, "The deepest drawdowns")) == 6, "one of each"


def closes(*equity: float, first: str = "2024-01-01") -> Any:
    return np.datetime64(first) + np.arange(len(equity)), np.array(equity)


def test_a_correlation_is_that_of_returns_over_common_days() -> None:
    # Returns of 0.1, −0.2, 0.25 and of 0.2, −0.1, 0.1: less their means 0.05, −0.25, 0.2 and 2/15, −1/6, 1/30. The sum
    # of the products is 0.055, those of the squares are 0.105 and 7/150, of which the root of the product is 0.07.
    expected = 11 / 14
    one = closes(100.0, 110.0, 88.0, 110.0)
    other = closes(100.0, 120.0, 108.0, 118.8)
    assert correlation(one, other) == pytest.approx(expected, rel=1e-12)
    later = closes(7.0, 100.0, 120.0, 108.0, 118.8, 900.0, first="2023-12-31")
    assert correlation(one, later) == pytest.approx(expected, rel=1e-12), "what only one has, counts not"


@pytest.mark.parametrize(
    "other",
    [
        closes(1.0, 2.0, 3.0),  # two returns
        closes(1.0, 2.0, 3.0, 4.0, first="2024-01-02"),  # two in common
        closes(1.0, 1.0, 1.0, 1.0),
        closes(1.0, 2.0, 0.0, 4.0),
        closes(1.0, 2.0, 3.0, 4.0, first="2030-01-01"),
    ],
)
def test_what_has_no_correlation_has_none(other: Any) -> None:
    assert correlation(closes(100.0, 110.0, 88.0, 110.0), other) is None


def test_the_matrix_takes_the_last_close_of_each_day() -> None:
    days = [100.0, 110.0, 88.0, 110.0]
    daily = account("A", "2024-01-01", days)
    hourly = account("B", "2024-01-01", [value for close in days for value in [*[1.0] * 23, close * 3]], step="h")
    against = account("C", "2024-01-01", [100.0, 90.0, 108.0, 81.0])
    rows = rows_of(together.correlated([daily, hourly, against]), "Correlation of daily returns")
    assert rows == [["", "A", "B", "C"], ["A", "1.00", "1.00", "−1.00"], ["B", "1.00", "1.00", "−1.00"],
                    ["C", "−1.00", "−1.00", "1.00"]]  # fmt: skip
    assert together.correlated([daily]) == ""
    assert "The first 12 runs." in together.correlated([daily] * 13)
