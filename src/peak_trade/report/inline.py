"""The one script that a page of the report may hold, and the policy by which a browser runs it and no other."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

__all__ = ["allowed", "script"]


@cache
def script() -> str:
    """Return the script of the heat map as a page has it: without empty lines (`markup.raw`)."""
    content = (resources.files("peak_trade.report") / "heat.js").read_text(encoding="utf-8")
    return "\n".join(line for line in content.splitlines() if line.strip())


def allowed(body: str) -> str:
    """Return what the policy of a page with this body says of scripts: nothing where it has none, so that none runs."""
    if f"<script>{script()}</script>" not in body:
        return ""
    return f"; script-src 'sha256-{base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()}'"
