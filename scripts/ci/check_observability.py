"""Check the stack of ops/observability without starting it: its compose file and its dashboards.

The compose file fits the Compose Specification and schemas/compose.json: versions, ports of this machine alone,
read-only mounts, health checks, limits; what it mounts is there. The dashboards fit schemas/dashboard.json,
and no uid and no id is given twice. That queries name what the code emits is a test's to say.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from peak_trade import script
from peak_trade.errors import RunError


def main() -> int:
    parser = script.parser(__doc__)
    folder = script.repo_root() / "ops" / "observability"
    parser.add_argument("folder", nargs="?", type=Path, default=folder, help="(default: ops/observability)")
    folder = parser.parse_args().folder
    compose, dashboards = folder / "docker-compose.yml", sorted((folder / "dashboards").glob("*.json"))
    found = [
        *misfits("--builtin-schema=vendor.compose-spec", compose),
        *misfits(f"--schemafile={folder / 'schemas' / 'compose.json'}", compose),
        *misfits(f"--schemafile={folder / 'schemas' / 'dashboard.json'}", *dashboards),
    ]
    if not found:  # what follows relies on their shape
        found = [*missing_mounts(compose), *dashboard_faults(dashboards)]
    for finding in found:
        script.note(finding)
    if found:
        raise RunError("the observability stack is not as it should be", hint="correct what is named above")
    return 0


def misfits(schema: str, *paths: Path) -> Iterator[str]:
    """Yield where files do not fit a schema; nothing is fetched."""
    command = ["check-jsonschema", "--no-cache", schema, *map(str, paths)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    if checked.returncode:
        said = (checked.stdout + checked.stderr).splitlines()
        yield from [line.strip() for line in said if line.startswith(" ")] or said


def missing_mounts(compose: Path) -> Iterator[str]:
    """Yield what a service mounts and is not there: a file of the folder, or a declared volume."""
    import yaml  # not for --help

    content = yaml.safe_load(compose.read_text(encoding="utf-8"))
    for name, service in content["services"].items():
        for source in (mount.partition(":")[0] for mount in service.get("volumes", [])):
            if not (compose.parent / source).exists() and source not in content["volumes"]:
                yield f"{compose.name}: {name} mounts {source}, which is not there"


def dashboard_faults(paths: Iterable[Path]) -> Iterator[str]:
    """Yield what is given twice."""
    dashboards = {path.name: json.loads(path.read_bytes()) for path in paths}
    yield from (f"uid {uid} is given twice" for uid in twice(one["uid"] for one in dashboards.values()))
    for name, dashboard in dashboards.items():
        yield from (f"{name}: id {id_} is given twice" for id_ in twice(panel["id"] for panel in dashboard["panels"]))


def twice(values: Iterable[Any]) -> list[Any]:
    """Return the values that occur more than once."""
    return [value for value, times in Counter(values).items() if times > 1]


if __name__ == "__main__":
    script.run(main)
