"""What looks ahead is found, each way by itself, and what does not is left alone."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import strategies
from peak_trade.market.bars import Bars
from peak_trade.strategies.registry import STRATEGIES


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"probe_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cheats, honest = _beside("cheats"), _beside("honest")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, bars: Bars) -> Path:
    path = tmp_path_factory.mktemp("data") / "bars.csv"
    path.write_text("close\n" + "".join(f"{close}\n" for close in bars.close))
    cheats.FILE = str(path)
    return path


@pytest.mark.parametrize("full", [False, True], ids=["in a run", "in full"])
@pytest.mark.parametrize("cheat", [*cheats.CHEATS, *cheats.MORE], ids=lambda cheat: str(cheat.__name__))
def test_a_planted_cheat_is_caught(
    probe: Callable[..., Any], bars: Bars, file: Path, cheat: Callable[[Bars], Any], full: bool
) -> None:
    found = probe(cheat, bars, full=full, files=(file,)).probe()
    assert found.verdict == "FAIL", found
    assert found.reason.startswith("look-ahead: ")
    assert found.repeatable is True or cheat is cheats.reads_the_file
    assert (found.first is None) == (cheat is cheats.reads_the_file)


@pytest.mark.parametrize("seed", range(200))
def test_an_honest_strategy_raises_no_alarm(probe: Callable[..., Any], bars: Bars, seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002 - what a run does for the strategies of users
    found = probe(honest.drawn(seed), bars).probe()
    assert found.verdict == "PASS", found


@pytest.mark.parametrize("seed", range(len(honest.KINDS)))
def test_an_honest_strategy_raises_no_alarm_in_full(probe: Callable[..., Any], bars: Bars, seed: int) -> None:
    np.random.seed(seed)  # noqa: NPY002 - as above
    found = probe(honest.drawn(seed), bars, full=True).probe()
    assert found.verdict == "PASS", found


@pytest.mark.parametrize("full", [False, True], ids=["in a run", "in full"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_what_ships_raises_no_alarm(probe: Callable[..., Any], bars: Bars, name: str, full: bool) -> None:
    function = strategies.resolve(name)
    params = {"short": True} if "short" in strategies.check_params(function, {}) else {}
    for given in ({}, params):
        found = probe(function, bars, full=full, params=strategies.check_params(function, given)).probe()
        assert found.verdict == "PASS", found
