"""The page on paper, as Chromium prints it: headings stay with what they head, figures whole, links told.

A PDF says on which sheet the target of a link lies: so what is to be looked for gets a name and a link to it.
"""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.results import Results
from peak_trade.report import comparison, index
from peak_trade.trust import compare, difference

MARK = """
(() => {
  const links = document.createElement("p");
  const named = (element, name) => {
    const mark = document.createElement("span"), link = document.createElement("a");
    mark.id = name;
    element.prepend(mark);
    link.href = `#${name}`;
    link.textContent = "x ";
    links.append(link);
  };
  const leaves = "h2, h3, caption, summary, p, li, td, th, dt, dd, pre, figcaption";
  const seen = [...document.querySelectorAll(leaves)]
    .filter(each => each.checkVisibility() && each.getClientRects().length);
  const headings = seen.filter(each => each.matches("h2, h3"));
  const told = headings.map((heading, at) => {
    const next = seen[seen.indexOf(heading) + 1];
    named(heading, `mark-heading-${at}`);
    if (next) named(next, `mark-next-${at}`);
    return heading.textContent;
  });
  [...document.querySelectorAll("figure")].forEach((figure, at) => {
    const first = document.createElement("div"), last = document.createElement("div");
    figure.prepend(first);
    figure.append(last);
    named(first, `mark-top-${at}`);
    named(last, `mark-foot-${at}`);
  });
  document.body.append(links);
  return told;
})()
"""


def printed(browser: Any, path: Path, scheme: str = "light") -> tuple[bytes, list[str], dict[str, tuple[int, float]]]:
    """Return the PDF of a page, its headings, and of each mark its sheet and how high on it (in points) it lies."""
    browser.open(path, scheme=scheme)
    browser.send("Emulation.setEmulatedMedia", media="print")
    headings = browser.ask(MARK)
    browser.send("Emulation.setEmulatedMedia", media="")
    given = browser.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    pdf = base64.b64decode(given["data"])
    found = re.findall(rb"/(mark-[\w-]+) \[(\d+) 0 R /XYZ [-\d.e]+ ([-\d.e]+) 0\]", pdf)
    sheets = sorted({int(sheet) for _, sheet, _ in found})
    return pdf, headings, {name.decode(): (sheets.index(int(sheet)), float(high)) for name, sheet, high in found}


def alone(headings: list[str], marks: dict[str, tuple[int, float]]) -> list[str]:
    """Return the headings that stand on another sheet than what follows them."""
    pairs = [(f"mark-heading-{at}", f"mark-next-{at}", heading) for at, heading in enumerate(headings)]
    assert all(name in marks and after in marks for name, after, _ in pairs[:-1])
    return [heading for name, after, heading in pairs if after in marks and marks[name][0] != marks[after][0]]


def torn(marks: dict[str, tuple[int, float]]) -> list[str]:
    """Return the figures that begin on one sheet and end on another."""
    tops = [name for name in marks if name.startswith("mark-top-")]
    return [name for name in tops if marks[name][0] != marks[name.replace("top", "foot")][0]]


@pytest.fixture(scope="module")
def page_of_kind(rendered: Any, runs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pages")

    def of(kind: str) -> Path:
        if kind == "index":
            rendered("usual")
            return index.write(Results(runs.results))
        if kind == "comparison":
            path = folder / "comparison.html"
            found = compare.compare([difference.read(runs[name]) for name in ("usual", "stopped", "idle")])
            path.write_text(comparison.page(found), "utf-8")
            return path
        made: Path = rendered(kind)
        return made

    return of


@pytest.mark.parametrize("kind", ["usual", "stopped", "failed", "sold", "comparison"])
def test_no_heading_is_alone_at_the_foot_of_a_sheet_and_no_figure_is_torn(
    kind: str, browser: Any, page_of_kind: Any
) -> None:
    _, headings, marks = printed(browser, page_of_kind(kind))
    assert len(headings) > 2
    assert alone(headings, marks) == []
    assert torn(marks) == []


def long_page(page: str, *, rules: bool) -> str:
    """Return sections whose headings lie at every height of a sheet, in the style of a page of ours."""
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    if not rules:
        style = re.sub(r"break-(?:after|inside): avoid", "break-after: auto", style)
    figure = '<figure><div style="height: 9rem">x</div><figcaption>words</figcaption></figure>'
    table = '<p>Words.</p><div class="scroll"><table><tbody>' + "<tr><th>a</th><td>b</td></tr>" * 8
    body = "".join(
        f"<section><h2>Heading {at}</h2>{figure if at % 2 else f'{table}</tbody></table></div>'}"
        f'<div style="height: {at * 7 % 90}px"></div></section>'
        for at in range(60)
    )
    return f"<!doctype html><html><head><style>{style}</style></head><body>{body}</body></html>"


@pytest.mark.parametrize("rules", [True, False])
def test_at_every_height_of_a_sheet_and_control_without_the_rules(
    rules: bool, browser: Any, page_of_kind: Any, tmp_path: Path
) -> None:
    page = tmp_path / "long.html"
    page.write_text(long_page(page_of_kind("usual").read_text("utf-8"), rules=rules), "utf-8")
    _, headings, marks = printed(browser, page)
    assert len(headings) == 60
    assert bool(alone(headings, marks)) == (not rules)
    assert bool(torn(marks)) == (not rules)


def test_the_dark_scheme_prints_as_the_light_one(browser: Any, page_of_kind: Any) -> None:
    """The colours of the text alone: what a PDF says besides has a time in it."""
    light, dark = (printed(browser, page_of_kind("usual"), scheme)[0] for scheme in ("light", "dark"))
    assert drawn(light) == drawn(dark)
    assert len(drawn(light)) > 1000


def drawn(pdf: bytes) -> bytes:
    """Return what is drawn on the sheets of a PDF."""
    found = b""
    for part in re.findall(rb"/Filter /FlateDecode\n/Length \d+>> stream\n(.*?)\nendstream", pdf, re.DOTALL):
        content = zlib.decompressobj().decompress(part)
        found += content if b" rg\n" in content else b""
    return found


def test_a_link_to_the_web_has_its_address_in_print_alone(browser: Any, page_of_kind: Any, tmp_path: Path) -> None:
    page = (
        page_of_kind("usual").read_text("utf-8").replace("<footer>", '<footer><a href="https://a.example/b">there</a>')
    )
    (tmp_path / "page.html").write_text(page, "utf-8")
    browser.open(tmp_path / "page.html")
    asked = "getComputedStyle(document.querySelector('footer a'), '::after').content"
    assert browser.ask(asked) == "none"
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.ask(asked) in ('" (https://a.example/b)"', '" (" attr(href) ")"')
    browser.send("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("kind", ["usual", "failed", "comparison", "index"])
def test_nothing_is_wider_than_the_sheet(kind: str, browser: Any, page_of_kind: Any) -> None:
    """8.5 inches less two margins of 14 mm are 710 px."""
    browser.open(page_of_kind(kind), width=710)
    browser.send("Emulation.setEmulatedMedia", media="print")
    wider = browser.ask(
        "[...document.querySelectorAll('body *')].filter(each => !each.closest('svg') && each.checkVisibility())"
        ".filter(each => each.getBoundingClientRect().right > 711).map(each => each.outerHTML.slice(0, 90))"
    )
    browser.send("Emulation.setEmulatedMedia", media="")
    assert wider == []
