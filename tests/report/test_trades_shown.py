"""All trades and the price chart with scripts: sorted, filtered, turned, chosen and drawn in a real browser."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import closed, recorded, result
from tests.report import handmade
from tests.report.conftest import Html

from peak_trade.evidence import tables
from peak_trade.report import render

ROWS = "[...document.querySelectorAll('#all-trades tbody tr')].map(row => [...row.cells].map(one => one.textContent))"
COUNT = "document.querySelector('#all-trades output').textContent"
FILTER = """
(() => {
  const field = document.querySelector('#all-trades input');
  field.value = %r;
  field.dispatchEvent(new Event('input'));
  return document.querySelector('#all-trades output').textContent;
})()
"""
SORT = "document.querySelectorAll('#all-trades th[scope=col] button')[%d].click()"
SORTED = "[...document.querySelectorAll('#all-trades th[aria-sort]')].map(one => one.textContent + one.ariaSort)"
TURN = "[...document.querySelectorAll('#all-trades .pages button')].find(one => one.textContent === '%s').click()"
PATH = "document.querySelector('#price svg.panel g path.%s')?.getAttribute('d') ?? ''"
SCALE = "document.querySelector('#price svg.panel').dataset.scale.split(' ').map(Number)"
MIDDLE = "document.querySelector('#price svg.plot').scrollIntoView({block: 'center'})"
LOOK = """
document.querySelector('#price svg.plot').dispatchEvent(new CustomEvent('look', {detail: {from: %d, to: %d}}))
"""
VIEWS = """
[...document.querySelectorAll('#price svg.panel, #equity svg.panel')].map((one) => one.getAttribute('viewBox'))
"""
PLACE = """
(() => {
  const [panel, plot] = [document.querySelector('#price svg.panel'), document.querySelector('#price svg.plot')];
  const [left, top, wide, tall] = panel.getAttribute('viewBox').split(' ').map(Number);
  const [low, high] = panel.dataset.scale.split(' ').map(Number);
  const box = plot.getBoundingClientRect();
  const x = (%r - left) / wide * box.width + box.left;
  return [x, ((1 - (%r - low) / (high - low)) * 10000 - top) / tall * 280 + 8 + box.top];
})()
"""
RATIOS = """
(() => {
  const light = (words) => {
    const [r, g, b] = words.match(/[\\d.]+/g).map((one) => Number(one) / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = light(getComputedStyle(document.documentElement).backgroundColor);
  return ['wick.up', 'wick.down', 'stop-level', 'target-level', 'held'].map((name) => {
    const own = light(getComputedStyle(document.querySelector(`#price g .${name}`)).stroke);
    return (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
  });
})()
"""
WIDTHS = """
(() => {
  const one = document.querySelector('#all-trades .scroll');
  return [one.scrollWidth, one.clientWidth];
})()
"""
DAY = 10_000 / 11  # units of a panel between two of twelve days


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, builtin: Any) -> Any:
    """The page of the run that is worked out by hand, with stops of a kind."""
    known: dict[str, Path] = {}

    def of(stops: str = handmade.STOPS, more: str = "") -> Path:
        if stops + more not in known:
            run_dir = handmade.made(tmp_path_factory.mktemp("hand"), stops, more)
            known[stops + more] = render.render(run_dir, builtin).html
        return known[stops + more]

    return of


@pytest.fixture
def many(browser: Any, rendered: Any) -> Any:
    browser.open(rendered("stopped"))
    return browser


def seconds(moment: Any) -> int:
    return int(moment.astype("M8[s]").astype(int))


def units(moment: Any) -> float:
    """Where a moment of the run `stopped` is in a panel: it has 1,500 hours from the 20th of November 2023 on."""
    return (seconds(moment) - 1_700_438_400) / (1_499 * 3_600) * 10_000


def prices(page: Any, path: str) -> list[tuple[float, float]]:
    """The points of a path: days from the first one, and prices by the panel's scale, which is linear."""
    low, high = page.ask(SCALE)
    points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)
    return [(float(x) / DAY, low + (1 - float(y) / 10_000) * (high - low)) for x, y in points]


def near(points: list[tuple[float, float]], *expected: tuple[float, float]) -> bool:
    return len(points) == len(expected) and all(
        math.isclose(a, b, abs_tol=1e-3)
        for one, other in zip(points, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    )


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_rows_are_those_that_stand_there_without_scripts(many: Any, rendered: Any) -> None:
    plain = Html(rendered("stopped").read_text("utf-8")).section("all-trades").rows("All trades")[1:]
    assert len(plain) > 100
    found = many.ask(ROWS)
    assert len(found) == 50
    while len(found) < len(plain):
        many.ask(TURN % "Next")
        found += many.ask(ROWS)
    assert found == plain


def test_pages_of_fifty_are_turned_and_end_where_there_are_no_more(many: Any, runs: Any) -> None:
    count = len(tables.read_trades(next(runs["stopped"].glob("trades.*"))))
    disabled = "[...document.querySelectorAll('.pages button')].map(one => one.disabled)"
    assert many.ask("document.querySelector('.pages span').textContent") == f"Page 1 of {math.ceil(count / 50)}"
    assert many.ask(disabled) == [True, True, False, False]
    many.ask(TURN % "Last")
    assert many.ask(ROWS)[-1][0] == str(count)
    assert many.ask(disabled) == [False, False, True, True]


@pytest.mark.parametrize(
    ("at", "title", "name"), [(8, "Pnl", "pnl"), (3, "Entry", "entry_time"), (12, "Bars", "bars_held")]
)
def test_a_head_sorts_up_and_then_down(at: int, title: str, name: str, many: Any, runs: Any) -> None:
    column = getattr(tables.read_trades(next(runs["stopped"].glob("trades.*"))), name).tolist()
    assert many.ask(SORTED) == ["Tradeascending"]
    many.ask(SORT % at)
    assert many.ask(SORTED) == [f"{title}ascending"]
    expected = sorted(range(len(column)), key=lambda row: (column[row], row))
    assert [int(row[0]) - 1 for row in many.ask(ROWS)] == expected[:50]
    many.ask(SORT % at)
    assert many.ask(SORTED) == [f"{title}descending"]
    expected = sorted(range(len(column)), key=lambda row: (-column[row], row))
    assert [int(row[0]) - 1 for row in many.ask(ROWS)] == expected[:50]


@pytest.mark.parametrize(
    ("asked", "rows", "told"),
    [
        ("", [1, 2, 3, 4], "4 trades, pnl 244.47"),
        ("side=short", [2], "1 of 4 trades, pnl −210.00"),
        ("reason=stop_loss", [2], "1 of 4 trades, pnl −210.00"),
        ('reason="end of data"', [3, 4], "2 of 4 trades, pnl −45.53"),
        ("return<-0.01", [2], "1 of 4 trades, pnl −210.00"),
        ("return<-0.5%", [2, 3], "2 of 4 trades, pnl −255.53"),
        ("return>=5%", [1], "1 of 4 trades, pnl 500.00"),
        ("side=long pnl<=0", [3, 4], "2 of 4 trades, pnl −45.53"),
        ("side!=long", [2], "1 of 4 trades, pnl −210.00"),
        ("entry>=2024-01-10", [3, 4], "2 of 4 trades, pnl −45.53"),
        ("exit=2024-01-0", [1, 2], "2 of 4 trades, pnl 290.00"),
        ("bars=2 mae<-1.5%", [3], "1 of 4 trades, pnl −45.53"),
        ("take", [1], "1 of 4 trades, pnl 500.00"),
        ("LONG 105", [1], "1 of 4 trades, pnl 500.00"),
        ("trade=4", [4], "1 of 4 trades, pnl 0.00"),
        ("nothing=3", [], "0 of 4 trades"),
        ("side=", [], "0 of 4 trades"),
        ("pnl<x", [], "0 of 4 trades"),
    ],
)  # fmt: skip
def test_a_filter_finds_trades_and_adds_up_what_they_earned(
    asked: str, rows: list[int], told: str, made: Any, browser: Any
) -> None:
    browser.open(made())
    assert browser.ask(FILTER % asked) == told
    assert [int(row[0]) for row in browser.ask(ROWS)] == rows


def test_trades_of_several_symbols_are_found_by_symbol(tmp_path: Path, builtin: Any, browser: Any) -> None:
    bad = "<b>A</b> & 'co'"
    some = closed(symbols=np.array([bad, bad, bad, "B", "B", "B"]))
    browser.open(render.render(recorded(tmp_path, result(trades=some, open_=None)), builtin).html)
    assert browser.ask(FILTER % "symbol=B") == "3 of 6 trades, pnl 90.00"
    assert browser.ask(FILTER % f'symbol="{bad}"') == "3 of 6 trades, pnl 75.00"
    assert browser.ask(ROWS)[0][1] == bad
    assert browser.ask("document.querySelectorAll('#all-trades b').length") == 0
    assert browser.ask("document.querySelectorAll('#all-trades tbody button').length") == 0  # no chart to look at
    assert browser.complaints == []


# --- the price chart ----------------------------------------------------------------------------------------------


def test_a_trade_that_is_chosen_is_marked_in_its_row_and_in_the_chart(made: Any, browser: Any) -> None:
    browser.open(made())
    browser.ask("document.querySelectorAll('#all-trades tbody tr')[1].click()")
    current = "[...document.querySelectorAll('#all-trades tr[aria-current=true] th')].map(one => one.textContent)"
    assert browser.ask(current) == ["2"]
    words = browser.ask("document.querySelector('.chosen-trade').textContent")
    assert words == "Trade 2: short, stop loss, −2.00 %, −210.00, stop 113.22, target 105.45. Back to its row"
    browser.ask("document.querySelector('.chosen-trade a').click()")
    assert browser.ask("document.querySelector('tr:target').cells[0].textContent") == "2"
    assert near(prices(browser, browser.ask(PATH % "held")), (6, 111), (7, 113.22))
    assert near(prices(browser, browser.ask(PATH % "entry.ring")), (6, 111))
    assert near(prices(browser, browser.ask(PATH % "exit.ring")), (7, 113.22))
    assert browser.complaints == []


def test_every_figure_over_time_looks_at_a_trade_that_is_chosen_by_key(many: Any, runs: Any) -> None:
    trades = tables.read_trades(next(runs["stopped"].glob("trades.*")))
    many.ask("document.querySelectorAll('#all-trades tbody button')[30].focus()")
    for kind in ("keyDown", "keyUp"):
        many.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    views = many.ask(VIEWS)
    entry, exit_ = units(trades.entry_time[30]), units(trades.exit_time[30])
    for view in views:
        left, _, width, _ = map(float, view.split())
        assert left < entry < exit_ < left + width < 10_000
    assert many.ask("document.activeElement.textContent") == "31"
    assert many.ask("document.querySelector('.chosen-trade').textContent").startswith("Trade 31: ")


def test_a_click_on_a_mark_chooses_its_trade_and_turns_to_its_page(many: Any, runs: Any) -> None:
    trades = tables.read_trades(next(runs["stopped"].glob("trades.*")))
    many.ask(MIDDLE)
    many.ask(LOOK % (seconds(trades.entry_time[100]) - 36_000, seconds(trades.exit_time[100]) + 36_000))
    x, y = many.ask(PLACE % (units(trades.exit_time[100]), float(trades.exit_price[100])))
    for kind in ("mousePressed", "mouseReleased"):
        many.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert many.ask("document.querySelector('#all-trades tr[aria-current]')?.cells[0].textContent") == "101"
    assert many.ask("document.querySelector('.pages span').textContent").startswith("Page 3 of")


def test_stops_and_targets_are_drawn_of_every_trade_in_sight(made: Any, browser: Any) -> None:
    browser.open(made())
    stop = re.findall(r"M(-?[\d.]+) (-?[\d.]+)H(-?[\d.]+)", browser.ask(PATH % "stop-level"))
    low, high = browser.ask(SCALE)
    found = [(float(a) / DAY, low + (1 - float(y) / 10_000) * (high - low), float(b) / DAY) for a, y, b in stop]
    assert [tuple(round(part, 2) for part in one) for one in found] == [
        (1, 98, 3), (6, 113.22, 7), (9, 110.74, 11), (10, 110.74, 11),
    ]  # fmt: skip
    assert near(prices(browser, browser.ask(PATH % "target-level")), (1, 105), (6, 105.45), (9, 118.65), (10, 118.65))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        # below 100, 102, 104, 110, 111 and 112, the highest before each bar; out at the open of bar 6
        ("", [(1, 97), (2, 98.94), (3, 100.88), (4, 106.7), (5, 107.67), (6, 108.64)]),
        # filled at the close of bar 0, at 100, and out at the close of bar 5: looked for from bar 1 on
        ('fill = "close"', [(1, 97), (2, 98.94), (3, 100.88), (4, 106.7), (5, 107.67)]),
    ],
)
def test_the_trailing_stop_of_a_trade_goes_from_bar_to_bar(
    more: str, expected: list[tuple[float, float]], made: Any, browser: Any
) -> None:
    browser.open(made("trailing_stop = 0.03", more))
    browser.ask("document.querySelectorAll('#all-trades tbody tr')[0].click()")
    found = prices(browser, browser.ask(PATH % "trail-level"))
    assert near(found, *expected)


def test_candles_stand_at_the_prices_of_their_bars_up_hollow_and_down_filled(made: Any, browser: Any) -> None:
    browser.open(made())
    low, high = browser.ask(SCALE)
    for name, rises in (("up", True), ("down", False)):
        bars = [(day, *row) for day, row in enumerate(handmade.PRICES) if (row[3] >= row[0]) == rises]
        bodies = re.findall(r"M(-?[\d.]+) (-?[\d.]+)H(-?[\d.]+)V(-?[\d.]+)H", browser.ask(PATH % f"body.{name}"))
        wicks = re.findall(r"M(-?[\d.]+) (-?[\d.]+)V(-?[\d.]+)", browser.ask(PATH % f"wick.{name}"))
        assert len(bodies) == len(wicks) == len(bars) >= 2
        for (day, opened, top, bottom, close), body, wick in zip(bars, bodies, wicks, strict=True):
            left, at_open, right, at_close = map(float, body)
            assert left / DAY == pytest.approx(max(day - 0.35, 0), abs=1e-3)  # those at the ends are cut by the axis
            assert right / DAY == pytest.approx(min(day + 0.35, 11), abs=1e-3)
            for y, price in ((at_open, opened), (at_close, close), (float(wick[1]), bottom), (float(wick[2]), top)):
                assert low + (1 - y / 10_000) * (high - low) == pytest.approx(price, abs=1e-3)
    fill = "getComputedStyle(document.querySelector('#price .body.%s')).fill"
    page = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
    assert browser.ask(fill % "up") == page != browser.ask(fill % "down")


def test_candles_give_way_to_the_line_where_too_many_are_in_sight(browser: Any, builtin: Any, tmp_path: Path) -> None:
    prices = [(p, p + 1, p - 1, p) for p in (100 + number % 7 for number in range(400))]
    run_dir = handmade.made(tmp_path, prices=prices)
    browser.open(render.render(run_dir, builtin).html)
    drawn = "document.querySelectorAll('#price .body').length"
    line = "getComputedStyle(document.querySelector('#price path.price')).display"
    assert (browser.ask(drawn), browser.ask(line)) == (0, "inline")
    start = 19_723 * 86_400
    browser.ask(LOOK % (start, start + 290 * 86_400))
    assert browser.ask(drawn) > 0
    assert browser.ask(line) == "none"
    browser.ask(LOOK % (start, start + 310 * 86_400))
    assert (browser.ask(drawn), browser.ask(line)) == (0, "inline")
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_can_be_told_from_the_page(scheme: str, made: Any, browser: Any) -> None:
    browser.open(made(), scheme=scheme)
    browser.ask("document.querySelectorAll('#all-trades tbody tr')[1].click()")
    ratio = browser.ask(RATIOS)
    assert min(ratio) >= 3.0


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_of_it_is_wider_than_the_screen(width: int, browser: Any, rendered: Any) -> None:
    browser.open(rendered("stopped"), width=width)
    browser.ask("document.querySelectorAll('#all-trades tbody tr')[9].click()")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    box = browser.ask(WIDTHS)
    assert (box[0] <= box[1]) == (width > 1200)


def test_the_axis_of_a_closer_look_holds_the_candles_and_the_levels_in_sight(made: Any, browser: Any) -> None:
    browser.open(made("trailing_stop = 0.9"))  # no level is drawn but of the trade that is chosen
    start = 19_723 * 86_400
    browser.ask(LOOK % (start + 2.6 * 86_400, start + 6.4 * 86_400))
    low, high = browser.ask(SCALE)
    _, top, _, tall = map(float, browser.ask(VIEWS)[-1].split())
    lowest, highest = (low + (1 - y / 10_000) * (high - low) for y in (top + tall, top))
    # bars 3 to 6 go from 102 to 112, the line leads on to a close at 113; six hundredths of that are room
    assert (lowest, highest) == (pytest.approx(102 - 0.66, abs=0.05), pytest.approx(113 + 0.66, abs=0.05))
