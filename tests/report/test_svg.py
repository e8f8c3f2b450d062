"""Figures: places, ticks and paths that can be worked out by hand, and extremes that survive."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from peak_trade.report import svg
from peak_trade.report.svg import Panel, Scale, Tick


def labels(start: str, end: str, count: int = 11) -> list[str]:
    return [tick.label for tick in svg.time_ticks(np.datetime64(start), np.datetime64(end), count)]


def points(path: str) -> list[tuple[int, int]]:
    """The corners of a path that `svg.line` made."""
    (d,) = re.findall(r' d="([^"]*)"', path)
    found = []
    for part in re.findall(r"M[^Mz]*", d):
        first, rest = re.findall(r"M(\S+ \S+)l(.*)", part)[0]
        x, y = map(int, first.split())
        found.append((x, y))
        steps = list(map(int, rest.split()))
        for dx, dy in zip(steps[::2], steps[1::2], strict=True):
            x, y = x + dx, y + dy
            found.append((x, y))
    return found


def test_a_line_goes_through_its_points() -> None:
    path = svg.line(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.25]), "equity")
    assert path == '<path class="equity" d="M0 10000l5000 -10000 5000 7500"/>'  # y grows downwards


def test_a_line_breaks_where_there_is_no_value() -> None:
    path = svg.line(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([0.0, 0.5, np.nan, 0.5, 1.0]), "sharpe")
    assert path == '<path class="sharpe" d="M0 10000l2500 -5000M7500 5000l2500 -5000"/>'


def test_a_line_without_values_is_nothing() -> None:
    assert svg.line(np.array([0.0, 1.0]), np.full(2, np.nan), "sharpe") == ""


def test_a_point_alone_is_marked_as_such() -> None:
    assert svg.line(np.array([0.5]), np.array([0.5]), "equity") == '<path class="equity alone" d="M5000 5000l0 0"/>'


def test_an_area_is_closed_at_its_base() -> None:
    path = svg.area(np.array([0.0, 1.0]), np.array([0.5, 1.0]), 0.0, "drawdown")
    assert path == '<path class="drawdown" d="M0 10000l0 -5000 10000 -5000 0 10000z"/>'


def test_bars_stand_between_their_edges() -> None:
    path = svg.columns([0.0, 0.5, 1.0], np.array([1.0, 0.5]), 0.0, "gain")
    assert path == '<path class="gain" d="M30 10000V0H4970V10000zM5030 10000V5000H9970V10000z"/>'


def test_marks_that_cover_each_other_are_drawn_once() -> None:
    crowd = svg.dots(np.full(1_000, 0.5), np.full(1_000, 0.5), "entry")
    assert crowd == '<path class="entry" d="M5000 5000h0"/>'


def test_extremes_survive_the_downsampling_of_a_million_points() -> None:
    x = np.linspace(0, 1, 1_000_000)
    y = 0.5 + 0.1 * np.sin(x * 40)
    y[123_456], y[777_777] = 0.95, 0.05
    drawn = points(svg.line(x, y, "equity"))
    assert len(drawn) <= 4 * svg.COLUMNS
    assert min(drawn, key=lambda point: point[1]) == (1235, 500)  # 0.123456 across, 0.95 up
    assert max(drawn, key=lambda point: point[1]) == (7778, 9500)
    assert drawn[0] == (0, 5000)
    assert drawn[-1][0] == 10_000


def test_downsampling_keeps_every_columns_range() -> None:
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.random(50_000)), rng.normal(size=50_000)
    kept = svg.keep(x, y, columns=100)
    for column in range(100):
        inside = (x * 100).astype(int) == column
        of_kept = y[kept][inside[kept]]
        assert of_kept.min() == y[inside].min()
        assert of_kept.max() == y[inside].max()


def test_few_points_are_all_kept() -> None:
    assert svg.keep(np.linspace(0, 1, 1_600), np.zeros(1_600)).tolist() == list(range(1_600))


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 4, [0.0, 0.5, 1.0]),
        (-0.37, 0.0, 4, [-0.3, -0.2, -0.1, 0.0]),
        (9_990.0, 10_010.0, 4, [9990.0, 9995.0, 10000.0, 10005.0, 10010.0]),
        (-2e6, 7e6, 5, [-2e6, 0.0, 2e6, 4e6, 6e6]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert svg.linear_ticks(low, high, count) == expected


def test_logarithmic_ticks_are_powers_of_ten_and_their_halves_and_fifths() -> None:
    assert svg.log_ticks(0.9, 21.0) == [1.0, 2.0, 5.0, 10.0, 20.0]
    assert svg.log_ticks(1.0, 1e9) == [10.0**power for power in range(10)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-01-01T00:00", "2024-01-01T00:10", [f"00:{minute:02d}" for minute in range(11)]),
        ("2024-01-01", "2024-01-06", [f"{day} Jan {hour}" for day in range(1, 6) for hour in ("00:00", "12:00")]
         + ["6 Jan 00:00"]),
        ("2024-01-30", "2024-02-04", None),
        ("1999-01-04", "2018-12-31", [str(year) for year in range(2000, 2019, 2)]),
        ("1850-01-01", "2020-01-01", ["1860", "1880", "1900", "1920", "1940", "1960", "1980", "2000", "2020"]),
    ],
)  # fmt: skip
def test_times_are_round(start: str, end: str, expected: list[str] | None) -> None:
    found = labels(start, end)
    assert 2 <= len(found) <= 11
    if expected:
        assert found == expected


def test_a_time_stands_where_it_belongs() -> None:
    ticks = svg.time_ticks(np.datetime64("2019-07-02"), np.datetime64("2021-07-01"), 3)
    assert [(tick.label, round(tick.at, 4)) for tick in ticks] == [
        ("2020", 0.2507),
        ("2021", 0.7521),
    ]  # 183/730, 549/730


def test_one_moment_is_labelled_by_its_day() -> None:
    moment = np.datetime64("2024-05-06T07:08")
    assert svg.time_ticks(moment, moment) == [Tick(0.5, "2024-05-06")]
    assert svg.x_of(np.array([moment])).tolist() == [0.5]


def test_a_scale_has_room_around_its_values() -> None:
    scale = Scale.around(np.array([0.0, 50.0, np.nan]))
    assert (scale.low, scale.high) == (-2.0, 52.0)
    assert Scale.around(np.array([10.0, 50.0]), zero=True).low == 0.0
    assert Scale.around(np.array([7.0])).place(7.0) == pytest.approx(0.5)
    assert Scale.around(np.zeros(3), zero=True).place(0.0) == pytest.approx(0.5)


def test_a_figure_says_what_it_shows_to_those_who_cannot_see_it() -> None:
    panel = Panel(100, [Tick(0.5, "<1>")], ['<path class="x" d="M0 0l1 1"/>'], 0.0)
    root = ElementTree.fromstring(svg.figure("A & B", 'rises "much"', [panel, panel], [Tick(0.1, "2020", minor=True)]))
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'A & B: rises "much"'
    assert root.findtext("title") == "A & B"
    assert root.findtext("desc") == 'rises "much"'
    assert [text.text for text in root.iter("text")] == ["<1>", "<1>", "2020"]
    assert [panel.get("y") for panel in root.findall("svg")] == ["8", "130"]  # 8 + 100 + 22
    assert root.get("height") == "254"  # 8 + 100 + 22 + 100 + 24
