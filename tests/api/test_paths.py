"""A path may be a text, or anything that stands for one, wherever a public function takes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import peak_trade
from peak_trade import config, runner
from peak_trade.evidence.results import Results
from peak_trade.market.ohlcv import load_bars
from peak_trade.report import run
from peak_trade.trust import verify


class Named:
    """What stands for a path without being a Path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


def check_lake(evidence: Any, kind: Callable[[str], Any]) -> Any:
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    from peak_trade.data import lake
    from peak_trade.data.lake import build, check, compact, ingest, query

    place = kind(f"{evidence.root}/lake")
    build.build(Results(kind(str(evidence.results))), place, root=kind(str(evidence.root)))
    ingest.ingest_files(place, kind(f"{evidence.root}/data/bars.csv"), symbol="A", timeframe="1h", source="a test")
    compact.compact(place)
    assert check.check(place, Results(kind(str(evidence.results)))).findings == []
    assert lake.connect(place).sql("SELECT count(*) FROM runs").fetchall() == [(len(evidence.runs),)]
    return query.connect(place)


TAKES: dict[str, Callable[[Any, Callable[[str], Any]], Any]] = {
    "config.load": lambda at, kind: config.load(kind(f"{at.root}/config/builtin.toml")),
    "load_bars": lambda at, kind: load_bars(kind(f"{at.root}/data/bars.csv"), symbol="A", timeframe="1h"),
    "runner.run": lambda at, kind: runner.run(
        config.load(f"{at.root}/config/builtin.toml"), root=kind(str(at.root)), results=kind(str(at.results))
    ),
    "peak_trade.run": lambda at, kind: peak_trade.run(
        kind(f"{at.root}/config/builtin.toml"), root=kind(str(at.root)), results=kind(str(at.results))
    ),
    "open_run": lambda at, kind: peak_trade.open_run(kind(str(at.path("own"))), root=kind(str(at.root))).stats,
    "Run.verify": lambda at, kind: peak_trade.Run(kind(str(at.path("own"))), root=kind(str(at.root))).verify().state,
    "runs": lambda at, kind: peak_trade.runs(kind(str(at.results))),
    "verify": lambda at, kind: verify.verify(kind(str(at.path("own"))), root=kind(str(at.root))).state,
    "report.run.find": lambda at, kind: run.find("last", Results(kind(str(at.results)))),
    "report.run.RunFiles": lambda at, kind: run.RunFiles(kind(str(at.path("own")))).stats,
    "the lake": check_lake,
}


@pytest.mark.parametrize("kind", [str, Named], ids=["text", "path-like"])
@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_a_path_may_be_a_text(take: Callable[[Any, Any], Any], kind: Any, evidence: Any) -> None:
    found = take(evidence, kind)
    assert found is not None
    assert found not in ("broken", "unreadable")


def test_what_stands_for_a_path_is_no_path_here() -> None:
    assert not hasattr(Named("a"), "exists")
    assert os.fspath(Named("a")) == "a"
