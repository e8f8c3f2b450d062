"""What was asked of a run, and what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peak_trade.engine import RULES
from peak_trade.evidence import manifest, provenance
from peak_trade.evidence.code import Code
from peak_trade.market import ohlcv
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.known import Known
from peak_trade.runner.snapshot import plain
from peak_trade.runner.statement import git_state, known
from peak_trade.text import as_utf8

__all__ = ["bars_of", "definition", "environment"]


def bars_of(attempt: Attempt, loaded: ohlcv.Loaded, marks: dict[str, Any]) -> dict[str, Any]:
    """Return the bars as a dependency of the run; `marks` are the fingerprint of the bars as loaded."""
    config = attempt.source.config
    bars = {
        "name": "bars",
        "digest": {"sha256": marks["digest"]},
        "annotations": {
            **asked(config),
            "source": attempt.redactor.text(config.data.source),
            "files": [{"name": as_utf8(Path(f.path).name), "sha256": f.sha256, "bytes": f.bytes} for f in loaded.files],
            **{name: mark for name, mark in marks.items() if name != "digest"},
            "dropped": loaded.dropped,
            "violations": loaded.violations,
            "gaps": loaded.gaps.missing,
            "assumptions": loaded.assumptions,
        },
    }
    del bars["annotations"]["strategy"]  # type: ignore[attr-defined] # of the run, not of the bars
    return bars


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
            attempt.bars,
            {"name": "strategy", "digest": known(sha256=made.get("sha256")), "annotations": made},
            captured.dependency(),
            git_state(git),
            {"name": "constraints.txt", "digest": known(sha256=provenance.pins(attempt.root))},
        ],
    }


def environment(known: Known | None = None) -> dict[str, Any]:
    """Return what numbers can depend on, with each distribution that the run has imported by now."""
    return provenance.environment() | {"distributions": (known or Known()).imported.versions()}
