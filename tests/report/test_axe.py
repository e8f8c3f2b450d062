"""The pages against axe-core's rules of accessibility, in a real browser: no finding, in both schemes, wide and narrow.

axe-core is npm's (`scripts/utils/setup_axe.sh`, which `just test` runs); where it or Chromium is missing, this is told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import ROOT, absent

from peak_trade.evidence.results import Results
from peak_trade.report import comparison, index
from peak_trade.trust import compare, difference

AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
FINDINGS = """
axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.flatMap(
  rule => rule.nodes.map(node => `${rule.id}: ${node.target.join(" ")} ${node.html.slice(0, 200)}`)))
"""
BAD = """<!doctype html><html><head><title>A page</title><style>p { color: #aaa; background: #fff; }</style></head>
<body><h1>One</h1><h4>Four</h4><p>pale</p><img src="data:,"><button></button></body></html>"""
ROOMS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        absent("no axe-core: scripts/utils/setup_axe.sh sets it up where there is npm")
    return AXE.read_text(encoding="utf-8")


def findings(browser: Any, axe: str, path: Path, *, width: int, scheme: str, ticked: int = 0) -> list[str]:
    """Return what axe-core finds in a page, all that is folded away unfolded, and so many runs ticked."""
    browser.open(path, width=width, scheme=scheme)
    browser.ask(f"[...document.querySelectorAll('.list tbody input')].slice(0, {ticked}).forEach(box => box.click())")
    browser.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    browser.ask(f"{axe};0")
    found: list[str] = browser.ask(FINDINGS)
    return found


@pytest.fixture(scope="module")
def page_of_kind(rendered: Any, runs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pages")

    def of(kind: str) -> Path:
        if kind == "index":
            rendered("usual"), rendered("failed"), rendered("stopped")
            return index.write(Results(runs.results))
        if kind.startswith("comparison"):
            names = ("usual", "stopped", "failed", "idle")[: int(kind[-1])]
            path = folder / f"{kind}.html"
            path.write_text(comparison.page(compare.compare([difference.read(runs[name]) for name in names])), "utf-8")
            return path
        found: Path = rendered(kind)
        return found

    return of


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), ROOMS)
@pytest.mark.parametrize("kind", ["usual", "failed", "sold", "index", "comparison2", "comparison4"])
def test_nothing_is_found(kind: str, width: int, scheme: str, browser: Any, axe: str, page_of_kind: Any) -> None:
    assert findings(browser, axe, page_of_kind(kind), width=width, scheme=scheme) == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), ROOMS)
def test_nothing_is_found_where_runs_are_compared_in_place(
    width: int, scheme: str, browser: Any, axe: str, page_of_kind: Any
) -> None:
    assert findings(browser, axe, page_of_kind("index"), width=width, scheme=scheme, ticked=3) == []
    assert not browser.ask("document.getElementById('compared').hidden")


def test_control_what_is_wrong_is_found(browser: Any, axe: str, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD, "utf-8")
    found = findings(browser, axe, tmp_path / "bad.html", width=1280, scheme="light")
    rules = {one.partition(":")[0] for one in found}
    assert {"color-contrast", "image-alt", "button-name", "html-has-lang", "heading-order"} <= rules


def test_control_a_page_of_ours_with_a_pale_text_is_found(
    browser: Any, axe: str, page_of_kind: Any, tmp_path: Path
) -> None:
    page = page_of_kind("usual").read_text("utf-8").replace("--soft: #57616d", "--soft: #8a949e")
    (tmp_path / "pale.html").write_text(page, "utf-8")
    found = findings(browser, axe, tmp_path / "pale.html", width=1280, scheme="light")
    assert {one.partition(":")[0] for one in found} == {"color-contrast"}


def test_axe_is_pinned_by_its_digest_and_no_host_is_named() -> None:
    """So that a newer one changes nothing unseen, and it comes from whatever registry this machine uses."""
    wanted = json.loads((ROOT / "tests/report/axe/package.json").read_text("utf-8"))
    lock = (ROOT / "tests/report/axe/package-lock.json").read_text("utf-8")
    (name, version), = wanted["devDependencies"].items()  # fmt: skip
    locked = json.loads(lock)["packages"][f"node_modules/{name}"]
    assert wanted["private"] is True
    assert locked["version"] == version
    assert locked["integrity"].startswith("sha512-")
    assert "://" not in lock
