"""The page of the strategies that ship names each of them, with its parameters and defaults."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from peak_trade import strategies


@pytest.mark.parametrize("name", strategies.names())
def test_a_strategy_stands_on_its_page_with_its_defaults(name: str, root: Path) -> None:
    page = (root / "docs" / "dev" / "strategies.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    parameters = list(inspect.signature(strategies.resolve(name)).parameters.values())[1:]
    for parameter in parameters:
        default = str(parameter.default).lower() if isinstance(parameter.default, bool) else parameter.default
        assert f"`{parameter.name} = {default}`" in row
