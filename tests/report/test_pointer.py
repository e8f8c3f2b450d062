"""Values under the pointer and by keys, and a zoom that all figures share: in a real browser, with real events."""

from __future__ import annotations

import csv
from typing import Any

import pytest

BOX = """
(() => {
  document.querySelector('#%s svg.plot').scrollIntoView({block: 'center'});
  const box = document.querySelector('#%s svg.plot').getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})()
"""
READ = "document.querySelector('#%s .readout').textContent"
VIEWS = "[...document.querySelectorAll('figure:has(.values) svg.panel')].map(one => one.getAttribute('viewBox'))"


@pytest.fixture
def page(browser: Any, rendered: Any) -> Any:
    browser.open(rendered("usual"))
    return browser


def at(page: Any, share: float, kind: str = "mouseMoved", section: str = "equity", **more: Any) -> None:
    """Move the pointer to a share of a figure's width, or press or release it there."""
    left, top, width, height = page.ask(BOX % (section, section))
    page.send("Input.dispatchMouseEvent", type=kind, x=left + share * width, y=top + height / 3, **more)


def press(page: Any, key: str, **more: Any) -> None:
    text = {"text": key} if len(key) == 1 else {}
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}), **more)


def rows(runs: Any) -> list[dict[str, str]]:
    return list(csv.DictReader((runs["usual"] / "equity.csv").read_text().splitlines()))


def said(row: dict[str, str]) -> tuple[str, str]:
    """The time and the equity of a row, as the page writes them."""
    moment = row["timestamp"].replace("T", " ").removesuffix("Z")
    return moment.removesuffix(":00").removesuffix(" 00:00"), f"Equity {float(row['equity']):,.2f}"


def test_the_pointer_reads_the_nearest_bar(page: Any, runs: Any) -> None:
    equity = rows(runs)
    for share in (0.001, 0.25, 0.5, 0.999):
        at(page, share)
        row = round(share * (len(equity) - 1))
        near = [said(one) for one in equity[max(row - 1, 0) : row + 2]]  # a pointer stands on a whole pixel
        assert tuple(page.ask(READ % "equity").split(" · ")[:2]) in near


def test_keys_go_from_bar_to_bar(page: Any, runs: Any) -> None:
    equity = rows(runs)
    page.ask("document.querySelector('#equity svg.plot').focus()")
    for key, row in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", -1)):
        press(page, key)
        assert page.ask(READ % "equity").split(" · ")[1] == said(equity[row])[1]
    press(page, "Home")
    assert page.ask(READ % "equity").split(" · ")[0] == said(equity[0])[0]


def test_a_drag_zooms_every_figure_over_time_and_a_double_click_shows_all(page: Any, runs: Any) -> None:
    before = page.ask(VIEWS)
    assert len(before) > 3 and set(before) == {"0 0 10000 10000"}
    at(page, 0.5)
    at(page, 0.5, "mousePressed", button="left", clickCount=1)
    at(page, 0.75, buttons=1)
    at(page, 0.75, "mouseReleased", button="left", clickCount=1)
    views = page.ask(VIEWS)
    assert len(set(views)) == 1
    start, _, width, _ = map(float, views[0].split())
    assert (start, width) == (pytest.approx(5000, abs=15), pytest.approx(2500, abs=15))
    assert page.ask("document.querySelectorAll('#rolling text.x.zoomed').length") >= 2
    at(page, 0.999)
    equity = rows(runs)
    assert page.ask(READ % "equity").split(" · ")[0] == said(equity[round(0.75 * (len(equity) - 1))])[0]
    for count in (1, 2):
        for kind in ("mousePressed", "mouseReleased"):
            at(page, 0.3, kind, button="left", clickCount=count)
    assert set(page.ask(VIEWS)) == {"0 0 10000 10000"}


def test_nothing_complains(page: Any) -> None:
    at(page, 0.4)
    press(page, "+")
    assert page.complaints == []
