"""The manifest's own part of a run: what was asked, what the run was made from, and the circumstances."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from peak_trade.engine import RULES
from peak_trade.evidence import distributions, manifest, provenance
from peak_trade.evidence.ledger import now
from peak_trade.market import ohlcv
from peak_trade.probe import Probe
from peak_trade.runner.attempt import Attempt, asked, withheld
from peak_trade.runner.code import Code
from peak_trade.runner.making import Making
from peak_trade.runner.snapshot import plain
from peak_trade.text import as_utf8

__all__ = ["bars_of", "definition", "environment", "git_state", "predicate"]


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
        "internalParameters": {"seed": config.run.seed, "rules": RULES, "environment": environment()}
        | withheld(attempt.source),
        "resolvedDependencies": [
            attempt.bars,
            {"name": "strategy", "digest": _known(sha256=made.get("sha256")), "annotations": made},
            captured.dependency(),
            git_state(git),
            {"name": "constraints.txt", "digest": _known(sha256=provenance.pins(attempt.root))},
        ],
    }


def environment() -> dict[str, Any]:
    """Return what numbers can depend on, with each distribution that the run has imported by now."""
    return provenance.environment() | {"distributions": distributions.imported()}


def _from_root(folder: Path, root: Path) -> str:
    """Return a folder relative to the repository, so that it is found there in any checkout; as it is, outside."""
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)


def git_state(git: provenance.GitQuestion) -> dict[str, Any]:
    """Return the checkout as a dependency of the run: its commit, and whether there were changes."""
    state = git.answer() or {}
    return {"name": "git", "digest": _known(gitCommit=state.get("commit")), "annotations": state}


def _known(**digests: str | None) -> dict[str, str]:
    """Return the digests there are: a statement has no room for null in their place."""
    return {name: value for name, value in digests.items() if value}


def predicate(
    attempt: Making,
    status: str,
    origin: dict[str, Any],
    results: dict[str, Any],
    error: dict[str, str] | None = None,
    probe: Probe | None = None,
    builder: str = "runner",
) -> manifest.Predicate:
    """Return the whole predicate: `origin` (see `definition`), what came out, and what varies from run to run."""
    attempt.redactor.look()
    origin = attempt.redactor.tree(origin)
    cost = {"part": "evidence", "outcome": "done", "ms": round(attempt.stages.milliseconds.get("evidence", 0.0), 3)}
    details = {
        "builder": {
            "id": f"urn:peak-trade:{builder}",
            "version": {"peak_trade": provenance.environment()["peak_trade"]},
        },
        "metadata": {"invocationId": attempt.directory.run_id, "startedOn": attempt.stages.began, "finishedOn": now()},
        "folder": attempt.redactor.text(_from_root(attempt.folder, attempt.root)),
        "argv": attempt.redactor.argv(map(as_utf8, attempt.argv)),
        "host": os.uname().nodename,
        "milliseconds": {stage: round(ms, 3) for stage, ms in attempt.stages.milliseconds.items()},
    }
    receipts = [*attempt.receipts, cost | {"bytes": attempt.directory.bytes}]
    told = attempt.redactor.tree(probe.to_json_object()) if probe else None
    return manifest.Predicate(status, origin, details, results, receipts, {"follows": attempt.follows}, error, told)
