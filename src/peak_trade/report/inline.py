"""The scripts that a page of the report may hold, and the policy by which a browser runs them and no other."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

__all__ = ["SCRIPTS", "allowed", "script"]

SCRIPTS = ("heat", "index", "pointer", "price", "ticked", "trades")
"""Their names: `heat` draws the heat map by other choices, `index` and `ticked` the page over all runs, `pointer` reads
values off figures, `price` draws candles and single trades in the figure of the price, `trades` sorts their table."""


@cache
def script(name: str) -> str:
    """Return a script as the element that a page has, without empty lines (`markup.raw`)."""
    content = (resources.files("peak_trade.report") / f"{name}.js").read_text(encoding="utf-8")
    return "<script>" + "\n".join(line for line in content.splitlines() if line.strip()) + "</script>"


def allowed(body: str) -> str:
    """Return what the policy of a page with this body says of scripts: nothing where it has none, so that none runs."""
    there = [one for one in map(script, SCRIPTS) if one in body]
    digests = (hashlib.sha256(one[len("<script>") : -len("</script>")].encode()).digest() for one in there)
    hashes = "".join(f" 'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    return f"; script-src{hashes}" if hashes else ""
