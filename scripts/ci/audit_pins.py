"""Ask the OSV database whether a pinned version has a known vulnerability.

All pins of constraints.txt are asked for in one request: those of other platforms too, and nothing but names and
versions. Where the database can't be reached that is a warning, and exit 1 with PEAK_STRICT=1.
What has to be lived with stands in pyproject.toml under [tool.peak_trade.audit]: id = "reason".
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peak_trade import script
from peak_trade.errors import RunError

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
BATCH = 1000  # the most that the database takes at once
TIMEOUT_S = 20


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--root", type=Path, default=script.repo_root(), help="the checkout (default: this one)")
    parser.add_argument("--service", default="https://api.osv.dev", metavar="URL", help="(default: %(default)s)")
    args = parser.parse_args()
    pins = PIN.findall((args.root / "constraints.txt").read_text(encoding="utf-8"))
    project = tomllib.loads((args.root / "pyproject.toml").read_text(encoding="utf-8"))
    accepted = project["tool"].get("peak_trade", {}).get("audit", {})
    try:
        found = [hit for hit in vulnerable(pins, args.service) if hit[2] not in accepted]
    except (OSError, ValueError) as error:
        message = f"the pins were not audited: {getattr(error, 'reason', error)}"
        if os.environ.get("PEAK_STRICT") == "1":
            raise RunError(message, hint=f"repeat where {args.service} can be reached") from None
        script.warn(message, hint=f"repeat where {args.service} can be reached")
        return 0
    for name, version, id_ in found:
        script.note(f"{name} {version}: https://osv.dev/vulnerability/{id_}")
    if found:
        raise RunError("pins have known vulnerabilities", hint="just update-pins --upgrade")
    script.note(f"ok pins: {len(pins)} without a known vulnerability")
    return 0


def vulnerable(pins: list[tuple[str, str]], service: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the version and the vulnerability's id of each pin that has one (docs: osv.dev, querybatch)."""
    for start in range(0, len(pins), BATCH):
        asked = pins[start : start + BATCH]
        queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in asked]
        for (name, version), result in zip(asked, post(f"{service}/v1/querybatch", {"queries": queries}), strict=True):
            yield from ((name, version, vulnerability["id"]) for vulnerability in result.get("vulns", []))


def post(url: str, body: Any) -> list[dict[str, Any]]:
    import urllib.request  # not for --help

    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        results: list[dict[str, Any]] = json.load(answer)["results"]
    return results


if __name__ == "__main__":
    script.run(main)
