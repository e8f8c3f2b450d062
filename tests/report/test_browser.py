"""The page in a real browser: the numbers are seen, nothing complains, nothing is asked of another host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.report.conftest import without_ours

from peak_trade.report.markup import figure_of
from peak_trade.stats import STATS

VISIBLE = """
Object.fromEntries([...document.querySelectorAll('[data-key]')].map(cell => {
  const box = cell.getBoundingClientRect();
  return [cell.dataset.key, box.width > 0 && box.height > 0 ? cell.innerText.trim() : 'not seen'];
}))
"""
WIDER = """
[...document.querySelectorAll('body *')]
  .filter(each => !each.closest('.scroll, .source, svg'))
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(each => each.outerHTML.slice(0, 80))
"""
PLOTS = """
[...document.querySelectorAll('svg.plot')].map(plot => {
  const box = plot.getBoundingClientRect();
  const paths = [...plot.querySelectorAll('path')].filter(path => path.getBoundingClientRect().width > 0);
  return [plot.getAttribute('aria-label').split(':')[0], box.width, box.height, paths.length > 0];
})
"""
LUMINANCE = """
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
      .map(each => each / 255).map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (selector, property) => [...document.querySelectorAll(selector)].map(each => {
    const other = light(getComputedStyle(each)[property]);
    return (Math.max(page, other) + 0.05) / (Math.min(page, other) + 0.05);
  });
  return {
    page,
    text: Math.min(...ratio('p, th, td, dt, dd, li, h1, h2, a, figcaption', 'color')),
    lines: Math.min(...ratio('svg.panel .equity, svg.panel .drawdown, svg.panel .price, svg.panel .sharpe', 'stroke')),
  };
})()
"""


@pytest.mark.parametrize("kind", ["usual", "hostile", "failed", "one"])
def test_nothing_complains_and_nothing_else_is_asked_for(kind: str, browser: Any, rendered: Any) -> None:
    browser.open(rendered(kind))
    assert browser.complaints == []
    assert browser.requests == [rendered(kind).as_uri()]
    assert "<script" not in without_ours(rendered(kind).read_text("utf-8"))


def test_a_complaint_and_a_request_would_be_seen(browser: Any, tmp_path: Any) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.log('oh')</script><img src='file:///nowhere/x.png'><script>nope()</script>")
    browser.open(page)
    assert len(browser.complaints) >= 2
    assert "file:///nowhere/x.png" in browser.requests


@pytest.mark.parametrize("kind", ["usual", "one"])
def test_the_numbers_of_stats_json_are_seen(kind: str, browser: Any, rendered: Any, runs: Any) -> None:
    browser.open(rendered(kind))
    seen = browser.ask(VISIBLE)
    stats = json.loads((runs[kind] / "stats.json").read_text())
    for stat in STATS:
        value = stats[stat.key]
        expected = figure_of(value, stat.unit) if value is not None else f"– {stats['reasons'][stat.key]}"
        assert seen[stat.key] == expected


@pytest.mark.parametrize("width", [360, 390, 768, 1200])
@pytest.mark.parametrize("kind", ["usual", "failed"])
def test_nothing_is_wider_than_the_screen(width: int, kind: str, browser: Any, rendered: Any) -> None:
    browser.open(rendered(kind), width=width)
    assert browser.ask(WIDER) == []
    assert browser.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1200])
def test_figures_are_drawn_as_wide_as_the_page(width: int, browser: Any, rendered: Any) -> None:
    browser.open(rendered("usual"), width=width)
    plots = browser.ask(PLOTS)
    assert [name for name, *_ in plots] == [
        "Equity and drawdown", "Rolling Sharpe ratio and volatility", "Rolling beta and correlation",
        "Price with entries and exits", "Distribution of trade returns", "Excursions of the trades", "Exposure",
        "Total return at other costs",
    ]  # fmt: skip
    for _, wide, high, drawn in plots:
        assert width * 0.75 < wide < width
        assert high > 100
        assert drawn


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_can_both_be_read(scheme: str, dark: bool, browser: Any, rendered: Any) -> None:
    browser.open(rendered("usual"), scheme=scheme)
    found = browser.ask(LUMINANCE)
    assert (found["page"] < 0.05) == dark
    assert found["text"] >= 4.5  # contrast as WCAG 2.2 asks for text (1.4.3) and for what is drawn (1.4.11)
    assert found["lines"] >= 3.0


def test_a_broken_seal_is_seen_first(browser: Any, builtin: Any, copy_of: Any) -> None:
    from peak_trade.report import render

    run_dir = copy_of("one")
    (run_dir / "stats.json").write_text("{}")
    browser.open(render.render(run_dir, builtin).html)
    first = browser.ask("document.querySelector('main').innerText.trim().split('\\n')[0]")
    assert first.startswith("The seal is broken.")
    colour = browser.ask("getComputedStyle(document.querySelector('.alarm')).color")
    red, green, blue = (int(part) for part in colour.strip("rgb()").split(","))
    assert red > 150 > max(green, blue)
