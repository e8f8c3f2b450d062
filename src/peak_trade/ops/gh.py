"""GitHub's own program, asked where there is one: what it can't tell is a reason, never an end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.call import TIMED_OUT, call

__all__ = ["installed", "merge_commit", "view"]

_QUIET = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1", "GIT_TERMINAL_PROMPT": "0"}
_FIELDS = "state,mergeCommit,body"


def installed() -> bool:
    """Tell whether `gh` is on PATH."""
    return shutil.which("gh") is not None


def view(root: Path, number: int) -> dict[str, Any] | str:
    """Return what GitHub knows of a pull request (`state`, `mergeCommit`, `body`), or why it can't be asked."""
    if not installed():
        return "gh is missing"
    asked = call(
        "gh", "pr", "view", str(number), "--json", _FIELDS, cwd=root, timeout_s=30, env={**os.environ, **_QUIET}
    )
    if asked.code:
        return "gh gave no answer in time" if asked.code == TIMED_OUT else f"gh failed: {asked.reason}"
    try:
        return msgspec.json.decode(asked.out, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError):
        return "gh answered what is no JSON object"


def merge_commit(told: dict[str, Any] | str) -> str | None:
    """Return the commit that GitHub made of a pull request, None where it is not known."""
    merged = told.get("mergeCommit") if isinstance(told, dict) else None
    commit = merged.get("oid") if isinstance(merged, dict) else None
    return commit if isinstance(commit, str) and commit else None
