"""What was asked of a run, and what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peak_trade.engine import RULES
from peak_trade.evidence import manifest, provenance
from peak_trade.evidence.code import Code
from peak_trade.evidence.manifest import BENCHMARK
from peak_trade.market import ohlcv
from peak_trade.market.files import SourceFile
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.known import Known
from peak_trade.runner.shared import Shared
from peak_trade.runner.snapshot import plain
from peak_trade.runner.statement import git_state, known
from peak_trade.text import as_utf8

__all__ = ["bars_of", "benchmark_of", "definition", "environment"]


def bars_of(attempt: Attempt, loaded: ohlcv.Loaded, marks: dict[str, Any]) -> dict[str, Any]:
    """Return the bars as a dependency of the run; `marks` are the fingerprint of the bars as loaded."""
    config = attempt.source.config
    bars = {
        "name": "bars",
        "digest": {"sha256": marks["digest"]},
        "annotations": {
            **asked(config),
            "source": attempt.redactor.text(config.data.source),
            "files": files_of(loaded.files),
            **{name: mark for name, mark in marks.items() if name != "digest"},
            "dropped": loaded.dropped,
            "violations": loaded.violations,
            "gaps": loaded.gaps.missing,
            "assumptions": loaded.assumptions,
        },
    }
    del bars["annotations"]["strategy"]  # type: ignore[attr-defined] # of the run, not of the bars
    return bars


def benchmark_of(attempt: Attempt, shared: Shared) -> dict[str, Any] | None:
    """Return the benchmark as a dependency of the run, where that is a file: as much of it as the bars need."""
    found, config = shared.loaded.benchmark, attempt.source.config
    if found is None or not config.stats.benchmark_file:
        return None
    marks = shared.benchmark_marks
    return {
        "name": BENCHMARK,
        "digest": {"sha256": marks["digest"]},
        "annotations": {
            "symbol": attempt.redactor.text(found.name),
            "timeframe": found.bars.timeframe,
            "files": files_of(found.files),
            **{name: mark for name, mark in marks.items() if name != "digest"},
            "assumptions": [attempt.redactor.text(line) for line in found.assumptions],
        },
    }


def files_of(files: Sequence[SourceFile]) -> list[dict[str, Any]]:
    """Return files that were read as the manifest names them: by name, digest and size."""
    return [{"name": as_utf8(Path(one.path).name), "sha256": one.sha256, "bytes": one.bytes} for one in files]


def definition(
    attempt: Attempt, git: provenance.GitQuestion, made: dict[str, str | None], captured: Code, params: dict[str, Any]
) -> dict[str, Any]:
    """Return what was asked and what the run was made from.

    `made` is the strategy's source digest, `captured` all its code, `params` are the parameters that it had.
    """
    config = attempt.source.config
    return {
        "buildType": manifest.BUILD,
        "externalParameters": attempt.redactor.tree(
            {
                "config": attempt.directory.sealed["config_snapshot.toml"],
                "overrides": plain(attempt.source.overrides),
                "name": config.run.name,
                "params": plain(params),
            }
        ),
        "internalParameters": {"seed": config.run.seed, "rules": RULES, "environment": environment(attempt.known)}
        | withheld(attempt.source),
        "resolvedDependencies": [
            *attempt.data,
            {"name": "strategy", "digest": known(sha256=made.get("sha256")), "annotations": made},
            captured.dependency(),
            git_state(git),
            {"name": "constraints.txt", "digest": known(sha256=provenance.pins(attempt.root))},
        ],
    }


def environment(known: Known | None = None) -> dict[str, Any]:
    """Return what numbers can depend on, with each distribution that the run has imported by now."""
    return provenance.environment() | {"distributions": (known or Known()).imported.versions()}
