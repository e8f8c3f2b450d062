"""What a reader needs who sees little, or has no mouse: contrast in both schemes and on paper, a focus that is seen."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from tests.report.conftest import ROOT

CSS = (ROOT / "reports" / "quarto" / "report.css").read_text("utf-8")
TEXTS = ("ink", "soft", "blue", "red", "good", "override")  # what is read on the page and in its fields
DRAWN = ("blue", "orange", "green", "purple", "grey", "red")
STRONGEST = 0.55  # of a month's colour (performance.py)


def palettes(css: str) -> dict[str, dict[str, str]]:
    """Return the colours of the schemes: what the dark one and paper do not say, they have of the light one."""
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    told = [dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in blocks]
    return {name: told[0] | one for name, one in zip(("light", "dark", "print"), told, strict=False)}


def rgb(colour: str) -> tuple[float, float, float]:
    """Return a colour's parts from 0 to 1: of `#rgb`, `#rrggbb` or `r g b`."""
    if not colour.startswith("#"):
        red, green, blue = (int(part) / 255 for part in colour.split())
        return red, green, blue
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def luminance(colour: tuple[float, float, float]) -> float:
    """Return the relative luminance of WCAG 2.2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(colour: tuple[float, float, float], below: tuple[float, float, float], opacity: float) -> Any:
    return tuple(opacity * a + (1 - opacity) * b for a, b in zip(colour, below, strict=True))


def test_contrast_is_that_of_wcag() -> None:
    """Of its own examples: black on white, the palest grey that may be read on white, and one that is too pale."""
    white = rgb("#fff")
    assert contrast(rgb("#000"), white) == pytest.approx(21.0)
    assert contrast(rgb("#767676"), white) == pytest.approx(4.54, abs=0.005)
    assert contrast(rgb("#777777"), white) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_text_can_be_read_and_every_line_be_seen(scheme: str) -> None:
    colours = {name: value for name, value in palettes(CSS)[scheme].items() if name not in ("mono",)}
    shade = {name: rgb(value) for name, value in colours.items() if re.fullmatch(r"#[0-9a-f]{3,6}|[\d ]+", value)}
    pairs = {(text, field): contrast(shade[text], shade[field]) for text in TEXTS for field in ("page", "field")}
    pairs |= {(text, f"{text}-field"): contrast(shade[text], shade[f"{text}-field"]) for text in ("red", "good")}
    pairs |= {(f"t{at}", f"c{at}"): contrast(shade[f"t{at}"], shade[f"c{at}"]) for at in range(9)}
    for month in ("gain", "loss"):
        pairs["ink", month] = contrast(shade["ink"], over(shade[month], shade["page"], STRONGEST))
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < 4.5} == {}
    assert {name: ratio for name in DRAWN if (ratio := contrast(shade[name], shade["page"])) < 3} == {}


def test_paper_has_the_colours_of_the_light_scheme_but_for_greys() -> None:
    light, paper = palettes(CSS)["light"], palettes(CSS)["print"]
    assert {name for name in light if light[name] != paper[name]} == {"ink", "soft", "rule", "field", "grey"}


# --- in a browser -------------------------------------------------------------------------------------------------

REACHABLE = """
[...document.querySelectorAll('a[href], summary, :is(button, select, input):enabled, svg.plot[tabindex], .scroll')]
  .filter(each => each.checkVisibility() && (!each.matches('.scroll') || each.scrollWidth > each.clientWidth))
  .map((each, at) => { each.dataset.at = at; return each.outerHTML.slice(0, 60); })
"""
OUTLINE = """
(() => {
  const style = getComputedStyle(document.activeElement);
  return document.activeElement === document.body ? null : [style.outlineStyle, style.outlineWidth, style.outlineColor];
})()
"""
FOCUSED = "document.activeElement === document.body ? null : document.activeElement.dataset.at ?? ''"


def tabbed(browser: Any) -> list[str]:
    """Return what the Tab key reaches, until it leaves the page."""
    found: list[str] = []
    for _ in range(400):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        at = browser.ask(FOCUSED)
        if at is None or (found and at == found[0]):
            break
        found.append(at)
    return found


@pytest.mark.parametrize(("kind", "width"), [("usual", 390), ("usual", 1280), ("failed", 390)])
def test_the_keyboard_alone_reaches_everything(kind: str, width: int, browser: Any, rendered: Any) -> None:
    browser.open(rendered(kind), width=width)
    there = browser.ask(REACHABLE)
    reached = tabbed(browser)
    assert [there[at] for at in range(len(there)) if str(at) not in reached] == []
    assert len(there) > 5


def test_the_first_links_lead_past_the_list_of_sections(browser: Any, rendered: Any) -> None:
    browser.open(rendered("usual"))
    for _ in range(6):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if browser.ask("document.activeElement.className") == "skip":
            break
    left, target = browser.ask(
        "[document.activeElement.getBoundingClientRect().left, document.activeElement.getAttribute('href')]"
    )
    assert left >= 0  # it is seen while it has the focus, and not before
    assert browser.ask("document.querySelector('section').id") == target[1:]
    browser.ask("document.activeElement.blur()")
    assert browser.ask("document.querySelector('.skip').getBoundingClientRect().right") < 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_has_the_focus_is_seen_to_have_it(scheme: str, browser: Any, rendered: Any) -> None:
    browser.open(rendered("usual"), scheme=scheme)
    seen = set()
    for _ in range(40):
        browser.send("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if outline := browser.ask(OUTLINE):
            seen.add(tuple(outline))
    blue = {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}[scheme]
    assert seen == {("solid", "2px", blue)}


def test_a_system_that_chooses_the_colours_keeps_those_that_tell_something(browser: Any, rendered: Any) -> None:
    browser.open(rendered("usual"))
    asked = "getComputedStyle(document.querySelector('.legend li.equity, .legend li'), '::before').backgroundColor"
    edge = "getComputedStyle(document.querySelector('.badge')).borderTopWidth"
    before = browser.ask(asked), browser.ask(edge)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    try:
        assert before == ("rgb(0, 114, 178)", "0px")
        assert (browser.ask(asked), browser.ask(edge)) == ("rgb(0, 114, 178)", "1px")
    finally:
        browser.send("Emulation.setEmulatedMedia", features=[])


def test_headings_go_down_by_one(page: Any, runs: Any) -> None:
    for kind in ("usual", "stopped", "failed", "sold"):
        levels = [int(level) for level in re.findall(r"<h([1-6])", page(runs[kind]).html)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
