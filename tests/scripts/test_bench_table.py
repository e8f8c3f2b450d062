"""The table of the benchmarks: a part that is measured again replaces its own rows, and no others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from peak_trade.errors import InputError

FILE = Path(__file__).parents[2] / "scripts" / "bench" / "figures.py"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("bench_figures", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "bench_figures", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "machine", lambda: "a machine")
    return module


def names(page: Path) -> list[str]:
    return [line.split(" | ")[0][2:] for line in page.read_text().splitlines() if line.startswith("| ")][1:]


def test_rows_of_other_parts_stay_and_all_of_the_measured_ones_are_new(figures: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Before\n<!-- measured -->\n<!-- /measured -->\nafter\n")
    first = [figures.figure(name, [0.001]) for name in ("process: a", "process: gone", "lake: b", "telemetry: c")]
    figures.write(page, first)
    assert names(page) == ["process: a", "process: gone", "lake: b", "telemetry: c"]
    figures.write(page, [figures.figure(name, [0.002]) for name in ("process: a", "luck: d")])
    assert names(page) == ["process: a", "luck: d", "lake: b", "telemetry: c"]
    assert "| process: a | 2.0 | 2.0 – 2.0 | ms |  |" in page.read_text()
    assert "| lake: b | 1.0 | 1.0 – 1.0 | ms |  |" in page.read_text()
    assert page.read_text().startswith("# Before\n<!-- measured -->\na machine\n\n| what | median |")
    assert page.read_text().endswith("<!-- /measured -->\nafter\n")


def test_rows_of_another_machine_are_not_mixed_with_ours(
    figures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- measured -->\n<!-- /measured -->\n")
    figures.write(page, [figures.figure("process: a", [1.0]), figures.figure("lake: b", [1.0])])
    before = page.read_text()
    monkeypatch.setattr(figures, "machine", lambda: "another")
    with pytest.raises(InputError, match="another class of machine"):
        figures.write(page, [figures.figure("lake: b", [2.0])])
    assert page.read_text() == before
    figures.write(page, [figures.figure("process: a", [2.0]), figures.figure("lake: b", [2.0])])  # all of it
    assert "another" in page.read_text()


def test_each_row_of_the_page_is_of_a_kind_that_has_its_place(figures: Any) -> None:
    page = FILE.parents[2] / "docs" / "dev" / "benchmarks.md"
    table = page.read_text(encoding="utf-8").partition("<!-- measured -->")[2].partition("<!-- /measured -->")[0]
    kinds = [figures._kind(row) for row in table.splitlines() if row.startswith("| ")][1:]
    assert kinds and set(kinds) <= set(figures._KINDS)
