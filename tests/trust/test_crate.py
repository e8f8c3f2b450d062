"""An archive is an RO-Crate: by its rules as we read them, and by those who have written them down for machines.

roc-validator (CRS4) knows RO-Crate 1.1 and the profile Process Run Crate 0.5. It wants another rich than we do, so it
has an environment of its own, which `just test` sets up from validator/requirements.txt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.record.portfolio import recorded, result

from peak_trade.evidence.results import Results
from peak_trade.trust import handover
from peak_trade.trust.handed import package

Evidence = Any  # of conftest.py, which cannot be imported
Crate = dict[str, Any]
NAMES = ("own", "failed")
SCHEMA = "http://schema.org/"
TERMS = {
    **{name: SCHEMA + name for name in (
        "about actionStatus agent author contentSize datePublished description encodingFormat endTime error hasPart "
        "instrument license mentions name object publisher result softwareVersion startTime url value version "
        "CreateAction CreativeWork Dataset Organization PropertyValue SoftwareApplication"
    ).split()},
    "File": SCHEMA + "MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}  # fmt: skip
"""The terms of RO-Crate 1.1 that our archives use: what its context says of them."""

VALIDATE = """
import json, sys
from types import SimpleNamespace
from rocrate_validator import models, services
from rocrate_validator.utils import http

terms = json.loads(sys.argv[2])


def get(self, url, **_):  # nothing leaves this machine
    assert url == "https://w3id.org/ro/crate/1.1/context", url
    return SimpleNamespace(status_code=200, headers={"Content-Type": "application/ld+json"}, json=lambda: terms)


http.HttpRequester.get = get
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier="process-run-crate-0.5", offline=True,
    requirement_severity=models.Severity.RECOMMENDED,
)
result = services.validate(settings)
assert len(result.executed_checks) > 100, result.executed_checks  # those of RO-Crate 1.1 too, which it inherits
for issue in result.get_issues():
    print(issue.severity.name, issue.message)
"""


@pytest.fixture(scope="module")
def archive(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crate") / "handover.zip"
    results = Results(sealed_once.results)
    runs = []
    for name in NAMES:
        with package(sealed_once.runs[name], results) as found:
            runs += found.runs
    handover.export(runs, results, path, root=sealed_once.root)
    return path


@pytest.fixture(scope="module")
def crate(archive: Path) -> Crate:
    """The entities of an archive, by their identifier."""
    with zipfile.ZipFile(archive) as packed:
        content = json.loads(packed.read("ro-crate-metadata.json"))
    graph = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(graph) == len(content["@graph"])
    return graph


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [one for part in value for one in references(part)]
    return [value["@id"]] if isinstance(value, dict) else []


def test_every_file_is_described_by_its_digest_and_size(archive: Path, crate: Crate) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = {name for name in packed.namelist() if not name.endswith("/")}
        described = {unquote(key): entity for key, entity in crate.items() if entity["@type"] == "File"}
        assert names - described.keys() == {"ro-crate-metadata.json"} and described.keys() <= names
        sums = dict(line.split("  ")[::-1] for line in packed.read("sha256sums.txt").decode().splitlines())
        told = {name: entity.get("sha256") for name, entity in described.items() if name != "sha256sums.txt"}
        assert told == {name: digest for name, digest in sums.items() if name in told}
        assert all(len(packed.read(n)) == int(e["contentSize"]) for n, e in described.items() if n in sums)


def test_what_is_referred_to_is_there(crate: Crate) -> None:
    lost = {
        one
        for entity in crate.values()
        for key, value in entity.items()
        for one in references(value)
        if one not in crate and not one.startswith(("https://w3id.org/", "#"))
    }
    assert lost == set()


def test_every_term_is_one_of_ro_crates(crate: Crate) -> None:
    """What the context does not know, a reader of JSON-LD leaves out in silence."""
    used = {key for entity in crate.values() for key in entity} | {entity["@type"] for entity in crate.values()}
    assert used - TERMS.keys() == {"@id", "@type", "sha256"}


def test_a_run_is_an_action_from_config_code_and_bars_to_results(crate: Crate, sealed_once: Evidence) -> None:
    action = crate[f"#{sealed_once.runs['own']}"]
    folder = f"runs/{sealed_once.runs['own']}/"
    made_from = set(references(action["object"]))
    assert {folder + "config_snapshot.toml", folder + "config_snapshot.json"} < made_from
    assert any(name.startswith(folder + "code/") for name in made_from)
    assert any(name.endswith(".bars") for name in made_from)
    results = {name.removeprefix(folder) for name in references(action["result"])}
    assert {"equity.csv", "trades.csv", "stats.json", "manifest.json"} <= results
    assert action["actionStatus"] == SCHEMA + "CompletedActionStatus"
    failed = crate[f"#{sealed_once.runs['failed']}"]
    assert failed["actionStatus"] == SCHEMA + "FailedActionStatus"
    assert "no idea what to do" in failed["error"]


@pytest.fixture(scope="module")
def validate(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Callable[[Path], list[str]]:
    """What roc-validator finds in an archive, of what is required and of what is recommended."""
    folder = Path(sys.prefix) / "roc-validator"
    wanted = Path(__file__).with_name("validator") / "requirements.txt"
    made = folder / wanted.name  # what it was set up from
    if not made.is_file() or made.read_bytes() != wanted.read_bytes():
        missing = pytest.fail if pytestconfig.getoption("--all-extras") else pytest.skip
        missing("roc-validator is not set up: scripts/utils/setup_validator.sh")
    home = str(tmp_path_factory.mktemp("validator"))

    def findings(path: Path) -> list[str]:
        done = subprocess.run(
            [folder / "bin/python", "-c", VALIDATE, path, json.dumps({"@context": TERMS})],
            capture_output=True, text=True, cwd=home, timeout=300,
            env=os.environ | {"HOME": home, "XDG_CACHE_HOME": home},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.splitlines()

    return findings


@pytest.mark.slow
def test_the_validator_finds_nothing_that_is_required_or_recommended(
    archive: Path, validate: Callable[[Path], list[str]]
) -> None:
    assert validate(archive) == []


@pytest.mark.slow
def test_the_validator_would_find_what_is_left_out(
    archive: Path, tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(archive) as packed, zipfile.ZipFile(path, "w") as other:
        for name in packed.namelist():
            content = packed.read(name)
            if name == "ro-crate-metadata.json":
                told = json.loads(content)
                for one in told["@graph"]:
                    for term in {"./": ["license"], "CreateAction": ["instrument", "agent"]}.get(
                        one["@id"] if one["@id"] == "./" else one["@type"], []
                    ):
                        del one[term]
                content = json.dumps(told).encode()
            other.writestr(name, content)
    found = validate(path)
    for part in ("MUST have a `license`", "MUST have an instrument", "SHOULD have an agent"):
        assert any(part in line for line in found), (part, found)


def test_an_archive_says_what_was_recorded_and_what_a_file_says(tmp_path: Path) -> None:
    made = {kind: recorded(tmp_path / kind, result(), kind) for kind in ("recorded", "imported")}
    said = {}
    for kind, run in made.items():
        path, results = tmp_path / f"{kind}.zip", Results(run.parent)
        with package(str(run), results) as found:
            made_of = handover.export(found.runs, results, path, root=tmp_path)
        assert made_of.without == [run.name]  # asked for the bars, of which it has digests at most
        with zipfile.ZipFile(path) as file:
            readme = file.read("README.md").decode()
            graph = json.loads(file.read("ro-crate-metadata.json"))["@graph"]
        (action,) = [one for one in graph if one["@type"] == "CreateAction"]
        said[kind] = (readme, action)
    readme, action = said["imported"]
    assert "is what a file says, not what was run" in readme
    assert "not what was run" in action["description"]
    given = {one["@id"] for one in action["object"]}
    assert any("/outputs/" in name for name in given)
    assert not any("/outputs/" in one["@id"] for one in action["result"])
    readme, action = said["recorded"]
    assert "| sealed, recorded |" in readme
    assert "not what was run" not in readme
    assert "of a strategy over bars" not in action["description"]
    assert any("/outputs/" in one["@id"] for one in action["result"])  # what a command left
