"""Print what the dashboards ask for: each metric, label, span, attribute and log label in their queries, one a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peak_trade import script

STRING = re.compile(r'"[^"]*"')
METRIC = re.compile(r"\b(\w+)(?=\{)|label_values\((\w+)")
LABEL = re.compile(r"[{,|]\s*(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\bby\s*\(([^)]*)\)")
LISTED = re.compile(r"label_values\(.*,\s*(\w+)\)")
SPAN = re.compile(r'(?<![\w.])name\s*!?[=]~?\s*"([^"]+)"')
ATTRIBUTE = re.compile(r"(?<![\w.])(?:span|resource|event)?\.([A-Za-z_][\w.]*)")


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("dashboards", nargs="+", metavar="FILE", type=Path)
    found = {name for path in parser.parse_args().dashboards for name in names(json.loads(path.read_bytes()))}
    for kind, name in sorted(found):
        script.show(f"{kind}\t{name}", exact=True)
    return 0


def names(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of all that a dashboard's panels and variables ask for."""
    for panel in [*dashboard["panels"], *dashboard["templating"]["list"]]:
        source = panel.get("datasource", {}).get("type")
        for query in queries(panel):
            if source == "tempo":
                yield from (("span", name) for name in SPAN.findall(query))
                yield from (("attribute", name) for name in ATTRIBUTE.findall(STRING.sub("", query)))
            elif source:
                yield from asked(source, STRING.sub('""', query))


def queries(panel: dict[str, Any]) -> Iterator[str]:
    """Yield the queries of a panel or of a variable."""
    if isinstance(panel.get("query"), dict):
        yield panel["query"]["query"]
    for target in panel.get("targets", []):
        yield target.get("expr") or target.get("query") or ""


def asked(source: str, query: str) -> Iterator[tuple[str, str]]:
    """Yield the metrics and labels of a PromQL or LogQL query whose strings are blanked."""
    if source == "prometheus":
        yield from (("metric", name or listed) for name, listed in METRIC.findall(query))
    labels = [*LABEL.findall(query), *LISTED.findall(query)]
    labels += [label.strip() for group in GROUPED.findall(query) for label in group.split(",")]
    yield from (("label" if source == "prometheus" else "log label", label) for label in labels)


if __name__ == "__main__":
    script.run(main)
