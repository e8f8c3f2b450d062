"""The manifest's own part of a run: its predicate, with the circumstances that vary from run to run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peak_trade.evidence import manifest, provenance
from peak_trade.evidence.ledger import now
from peak_trade.runner.making import Making
from peak_trade.text import as_utf8

if TYPE_CHECKING:
    from peak_trade.probe import Probe

__all__ = ["git_state", "known", "predicate"]


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
            "version": {"peak_trade": provenance.machine()["peak_trade"]},
        },
        "metadata": {
            "invocationId": attempt.directory.run_id,
            "startedOn": attempt.stages.began,
            "finishedOn": now(),
            **attempt.kin,
        },
        "folder": attempt.redactor.text(_from_root(attempt.folder, attempt.root)),
        "argv": attempt.redactor.argv(map(as_utf8, attempt.argv)),
        "host": os.uname().nodename,
        "milliseconds": {stage: round(ms, 3) for stage, ms in attempt.stages.milliseconds.items()},
    }
    receipts = [*attempt.receipts, cost | {"bytes": attempt.directory.bytes}]
    told = attempt.redactor.tree(probe.to_json_object()) if probe else None
    return manifest.Predicate(status, origin, details, results, receipts, {"follows": attempt.follows}, error, told)


def _from_root(folder: Path, root: Path) -> str:
    """Return a folder relative to the repository, so that it is found there in any checkout; as it is, outside."""
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)


def git_state(git: provenance.GitQuestion) -> dict[str, Any]:
    """Return the checkout as a dependency of the run: its commit, and whether there were changes."""
    state = git.answer() or {}
    return {"name": "git", "digest": known(gitCommit=state.get("commit")), "annotations": state}


def known(**digests: str | None) -> dict[str, str]:
    """Return the digests there are: a statement has no room for null in their place."""
    return {name: value for name, value in digests.items() if value}
