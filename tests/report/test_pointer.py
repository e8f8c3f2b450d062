"""Values under the pointer and by keys, and a zoom that all figures share: in a real browser, with real events."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from tests.report.conftest import toml

from peak_trade.report import render

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


def rows(runs: Any, name: str = "equity") -> list[dict[str, str]]:
    return list(csv.DictReader((runs["usual"] / f"{name}.csv").read_text().splitlines()))


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


def test_a_figure_whose_values_start_late_has_the_whole_axis(page: Any, runs: Any) -> None:
    at(page, 0.0, section="rolling")
    moment, *ratio = page.ask(READ % "rolling").split(" · ")
    assert moment == said(rows(runs)[0])[0]
    assert ratio == ["Sharpe ratio –", "Volatility –"]


def test_a_drag_zooms_every_figure_over_time_and_a_double_click_shows_all(page: Any, runs: Any) -> None:
    before = page.ask(VIEWS)
    assert len(before) > 3 and set(before) == {"0 0 10000 10000"}
    at(page, 0.5)
    at(page, 0.5, "mousePressed", button="left", clickCount=1)
    at(page, 0.75, buttons=1)
    at(page, 0.75, "mouseReleased", button="left", clickCount=1)
    views = [list(map(float, one.split())) for one in page.ask(VIEWS)]
    for start, _, width, _ in views:
        assert (start, width) == (pytest.approx(5000, abs=15), pytest.approx(2500, abs=15))
    assert page.ask("document.querySelectorAll('#rolling text.x.zoomed').length") >= 2
    at(page, 0.999)
    equity = rows(runs)
    assert page.ask(READ % "equity").split(" · ")[0] == said(equity[round(0.75 * (len(equity) - 1))])[0]
    for count in (1, 2):
        for kind in ("mousePressed", "mouseReleased"):
            at(page, 0.3, kind, button="left", clickCount=count)
    assert set(page.ask(VIEWS)) == {"0 0 10000 10000"}


def moments(runs: Any, first: int, last: int) -> tuple[int, int]:
    """The times of two rows of the equity, in seconds since 1970."""
    found = [one["timestamp"] for one in rows(runs)]
    first_at, last_at = (datetime.fromisoformat(found[row].replace("Z", "+00:00")) for row in (first, last))
    return int(first_at.timestamp()), int(last_at.timestamp())


def looked(page: Any, start: int, end: int) -> None:
    page.ask(
        "document.querySelector('#equity svg.plot').dispatchEvent(new CustomEvent('look', "
        f"{{detail: {{from: {start}, to: {end}}}}})) && 0"
    )


def test_days_on_a_zoomed_axis_say_their_year_once(page: Any, runs: Any) -> None:
    looked(page, *moments(runs, 100, 1300))
    first, *others = page.ask("[...document.querySelectorAll('#equity text.x.zoomed')].map(one => one.textContent)")
    assert re.fullmatch(r"\d+ [A-Z][a-z]{2} 2023", first)
    assert others and all(re.fullmatch(r"\d+ [A-Z][a-z]{2}", one) for one in others)


def test_the_height_follows_what_is_in_sight(page: Any, runs: Any) -> None:
    looked(page, *moments(runs, 40, 60))
    scale, view, labels = page.ask(
        "[document.querySelector('#equity svg.panel').dataset.scale,"
        " document.querySelector('#equity svg.panel').getAttribute('viewBox'),"
        " [...document.querySelectorAll('#equity text.y.zoomed')].map(one => one.textContent)]"
    )
    least, most = map(float, scale.split()[:2])
    _, top, _, size = map(float, view.split())
    high, low = (most - (most - least) * one / 10_000 for one in (top, top + size))
    market = {one["timestamp"]: float(one["equity"]) for one in rows(runs, "benchmark")}
    seen = [one for row in rows(runs)[40:61] for one in (float(row["equity"]), market[row["timestamp"]])]
    room = 0.06 * (max(seen) - min(seen))
    assert low == pytest.approx(max(min(seen) - room, least), abs=0.02)
    assert high == pytest.approx(min(max(seen) + room, most), abs=0.02)
    assert (low, high) != (least, most)
    written = [float(one.replace(",", "")) for one in labels if "%" not in one]
    assert len(written) >= 2 and all(low <= one <= high for one in written)


def test_other_scripts_point_and_hear_what_is_in_sight(page: Any, runs: Any) -> None:
    start, end = moments(runs, 10, 30)
    page.ask(
        "(() => { window.heard = []; addEventListener('zoomed', e => heard.push([e.detail.from, e.detail.to])) })()"
    )
    looked(page, start, end)
    heard = page.ask("heard")
    assert len(heard) == page.ask("document.querySelectorAll('figure > script.values').length")
    assert [start, end] in heard
    told = f"new CustomEvent('point', {{detail: {{at: {start}}}}})"
    page.ask(f"document.querySelector('#equity svg.plot').dispatchEvent({told})")
    assert page.ask(READ % "equity").split(" · ")[1] == said(rows(runs)[10])[1]


def test_keys_take_what_is_in_sight_along(page: Any, runs: Any) -> None:
    looked(page, *moments(runs, 10, 30))
    page.ask("document.querySelector('#equity svg.plot').focus()")
    press(page, "End")
    assert page.ask(READ % "equity").split(" · ")[1] == said(rows(runs)[-1])[1]
    start, _, width, _ = map(float, page.ask(VIEWS)[0].split())
    assert start + width == pytest.approx(10_000)
    assert width == pytest.approx(10_000 * 20 / (len(rows(runs)) - 1), rel=0.01)
    press(page, "Escape")
    assert set(page.ask(VIEWS)) == {"0 0 10000 10000"}


def test_nothing_complains(page: Any) -> None:
    at(page, 0.4)
    press(page, "+")
    assert page.complaints == []


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("dust", ("execution.initial_cash=1e-9",)), ("swelling", ("execution.initial_cash=1e15",))],
)
def test_what_has_no_height_on_the_page_can_be_zoomed_all_the_same(
    kind: str, changes: tuple[str, ...], browser: Any, runs: Any, builtin: Any
) -> None:
    if kind == "swelling":  # of the axis, the first bars are one part in 10 ** 20
        rows = (f"{moment}Z,{price},{price},{price},{price},1" for moment, price in swelling())
        (runs.root / "bars299.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    run = runs.make(kind, toml("steps", bars=299, name=kind), changes)
    browser.open(render.render(run, builtin).html)
    for section in ("equity", "price"):
        browser.ask(f"document.querySelector('#{section} svg.plot').focus()")
        for key in (*["ArrowRight"] * 2, *"+++++++"):
            press(browser, key)
        views = browser.ask(f"[...document.querySelectorAll('#{section} svg.plot')].map(one => one.outerHTML)")
        assert views
        assert not [view for view in views if "NaN" in view]
    assert browser.complaints == []
    # the control: it does complain of a height below nothing, which the values of the one and the axis would make
    browser.ask("document.querySelector('svg.panel').setAttribute('viewBox', '0 48298 5000 -38298')")
    assert "negative" in browser.complaints[0]


def swelling() -> list[tuple[str, float]]:
    """Hours in which a price grows from 1e-10 to 1e16."""
    start = np.datetime64("2023-11-20", "s")
    return [(str(start + np.timedelta64(hour, "h")), 10.0 ** (-10 + hour * 26 / 298)) for hour in range(299)]
