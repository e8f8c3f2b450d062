"""What an archive says of itself: RO-Crate metadata for machines, a README for people.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with the profile Process Run Crate 0.5: each run is an action of the
program that made it, from a config, code and bars, to equity, trades and statistics. All that is said stands in the
runs' manifests, so the same runs say the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from peak_trade.evidence import files, manifest, seal
from peak_trade.evidence.run_dir import OUTPUTS
from peak_trade.text import escaped

__all__ = ["METADATA", "README", "Packed", "Sender", "metadata", "readme"]

METADATA, README = "ro-crate-metadata.json", "README.md"
_CRATE, _PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
_SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"  # RO-Crate's own terms have no digest
_FORMATS = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".toml": "application/toml",
    ".parquet": "application/vnd.apache.parquet",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".py": "text/x-python",
    ".log": "application/jsonl",
    ".jsonl": "application/jsonl",
}
_MADE_FROM = ("config_snapshot.toml", "config_snapshot.json", "code/")
_LONGEST = 500  # characters of a text that is a stranger's
_KINDS = {
    manifest.RUN: "The run {} of a strategy over bars",
    manifest.SWEPT: "The sweep {}: many trials of a strategy over bars, a row each, and the result that was chosen",
    manifest.RECORDED: "The run {} of a command, which was recorded: another program made it, and was watched",
    manifest.IMPORTED: "The import {}: what a file says, not what was run",
}
_UNNAMED = {
    manifest.RUN: "a run",
    manifest.SWEPT: "a sweep",
    manifest.RECORDED: "a recorded command",
    manifest.IMPORTED: "an imported result",
}


class Packed(Struct, frozen=True):
    """A file of an archive: its digest and size."""

    sha256: str
    size: int


class Sender(Struct, frozen=True):
    """Who hands over, and under which licence, as far as a person says so."""

    author: str = ""
    author_url: str = ""
    license: str = ""


class Run(Struct, frozen=True):
    """A run of an archive, as its manifest tells of it; `config` is as resolved, empty of a run without one."""

    run_id: str
    sealed: manifest.Manifest
    config: dict[str, Any]
    files: list[str]
    bars: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is called: the name that its config gives it, else its strategy and symbol."""
        strategy, data = self.config.get("strategy", {}), self.config.get("data", {})
        named, kind = self.config.get("run", {}).get("name"), self.sealed.predicate.kind
        called = strategy.get("name") or strategy.get("entrypoint") or _UNNAMED.get(kind, "a run")
        symbol = data.get("symbol")
        return _text(named or (f"{called} on {symbol}" if symbol or kind == manifest.RUN else called))


def metadata(runs: Iterable[Run], packed: Mapping[str, Packed], sender: Sender) -> bytes:
    """Return the content of `ro-crate-metadata.json` for runs and all other files of their archive."""
    runs = list(runs)
    finished = [moment for run in runs if (moment := _moment(run, "finishedOn"))]
    author = {"@id": "#author", "@type": "Organization", "name": sender.author or "not named",
              "url": sender.author_url or "https://peak-trade.invalid/author"}  # fmt: skip
    licence = {"@id": sender.license or "#license", "@type": "CreativeWork", "name": sender.license or "none is given",
               "description": "What whoever receives this archive may do with it."}  # fmt: skip
    programs = {_program(run): _version(run) for run in runs}
    beside = [name for name in packed if not name.startswith("runs/")]
    entities: list[dict[str, Any]] = [
        {"@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": _CRATE}, "about": {"@id": "./"}},
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"{len(runs)} run{'s' * (len(runs) != 1)} of Peak_Trade",
            "description": f"Sealed evidence of strategy runs; {README} says how to check it.",
            "datePublished": max(finished, default="1970-01-01"),
            "conformsTo": {"@id": _PROFILE},
            "license": _to(licence),
            "author": _to(author),
            "publisher": _to(author),
            "hasPart": [*({"@id": f"runs/{run.run_id}/"} for run in runs), *({"@id": quote(name)} for name in beside)],
            "mentions": [{"@id": f"#{run.run_id}"} for run in runs],
        },
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        author,
        licence,
    ]
    for program, version in sorted(programs.items()):
        name = "Peak_Trade"
        entities.append(
            {"@id": program, "@type": "SoftwareApplication", "name": name, "url": program, "softwareVersion": version}
        )
    for run in runs:
        entities += _run(run, author)
    entities += [_file(name, packed[name]) for name in sorted(packed)]
    graph = [{key: _compact(value) for key, value in entity.items()} for entity in entities]
    return files.encode_json({"@context": [f"{_CRATE}/context", {"sha256": _SHA256}], "@graph": graph})


def _run(run: Run, author: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield the directory of a run, the action that made it, and the parameters it was asked for."""
    folder, predicate = f"runs/{run.run_id}/", run.sealed.predicate
    yield {
        "@id": folder,
        "@type": "Dataset",
        "name": run.run_id,
        "description": f"{run.title}: {predicate.status}; sealed by its {manifest.NAME}",
        "hasPart": [{"@id": quote(name)} for name in run.files],
    }
    own = [name.removeprefix(folder) for name in run.files]
    given = (*_MADE_FROM, f"{OUTPUTS}/") if predicate.kind == manifest.IMPORTED else _MADE_FROM
    sources = [folder + name for name in own if name.startswith(given)]
    made = [folder + name for name in own if not name.startswith((*given, seal.NAME, "run.log"))]
    params = [
        {"@id": f"#{run.run_id}/{quote(key)}", "@type": "PropertyValue", "name": _text(key), "value": _value(value)}
        for key, value in sorted(run.config.get("strategy", {}).get("params", {}).items())
    ]
    failed = {} if predicate.completed else {"error": _text((predicate.error or {}).get("message") or "failed")}
    status = "CompletedActionStatus" if predicate.completed else "FailedActionStatus"
    yield {
        "@id": f"#{run.run_id}",
        "@type": "CreateAction",
        "name": run.title,
        "description": f"{_KINDS[predicate.kind].format(run.run_id)}: {predicate.status}",
        "startTime": _moment(run, "startedOn"),
        "endTime": _moment(run, "finishedOn"),
        "agent": _to(author),
        "instrument": {"@id": _program(run)},
        "object": [{"@id": quote(name)} for name in (*sources, *run.bars)] + [_to(p) for p in params],
        "result": [{"@id": quote(name)} for name in made],
        "actionStatus": f"http://schema.org/{status}",
        **failed,
    }
    yield from params


def _file(name: str, packed: Packed) -> dict[str, Any]:
    kind = _FORMATS.get(os.path.splitext(name)[1], "application/octet-stream")
    return {"@id": quote(name), "@type": "File", "name": os.path.basename(name), "encodingFormat": kind,
            "contentSize": str(packed.size), "sha256": packed.sha256}  # fmt: skip


def _to(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {"@id": entity["@id"]}


def _compact(value: Any) -> Any:
    """Return a value as the crate's form has it: one of a kind is no list."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _moment(run: Run, name: str) -> str:
    moment = _text(run.sealed.predicate.run_details.get("metadata", {}).get(name) or "")
    return f"{moment[:-1]}+00:00" if moment.endswith("Z") else moment  # as the profile writes it


def _version(run: Run) -> str:
    environment = run.sealed.predicate.build_definition.get("internalParameters", {}).get("environment", {})
    return _text(environment.get("peak_trade") or "not known")


def _program(run: Run) -> str:
    return f"https://peak-trade.invalid/{quote(_version(run))}"  # RFC 2606: a name, and no address


def _text(value: object) -> str:
    return escaped(str(value), _LONGEST)


def _value(value: object) -> object:
    return value if isinstance(value, int | float) else _text(value)


# In parentheses, so that a shell that it is pasted into stays, and a script ends as it does.
_CHECK = r"""(
sha256sum --check --strict --quiet sha256sums.txt || exit 1
for run in runs/*/; do
  (cd "$run" &&
    jq -r '.subject[] | "\(.digest.sha256)  \(.name)"' manifest.json | sha256sum --check --strict --quiet &&
    test "$(jq -r '.end | fromjson | .manifest' seal.json)  -" = "$(sha256sum < manifest.json)" &&
    test "$(jq -r .predicate.ledger.follows manifest.json)  -" = "$(jq -j .start seal.json | sha256sum)" &&
    test "$(jq -r '.start | fromjson | .run_id' seal.json)/" = "${run#runs/}" &&
    echo "holds: $run") || { echo "broken: $run"; exit 1; }
done"""
_CHECK_BARS = r"""
for bars in data/*.bars; do
  test "data/$(sha256sum < "$bars")" = "${bars%.bars}  -" || { echo "broken: $bars"; exit 1; }
  echo "holds: $bars"
done
jq -r 'select(.predicate.status != "failed") | .predicate.buildDefinition |
  select(.buildType == "urn:peak-trade:backtest:v1") | .resolvedDependencies[] |
  select(.name == "bars") | .digest.sha256' runs/*/manifest.json | sort -u | while read -r bars; do
  test -f "data/$bars.bars" || { echo "missing: data/$bars.bars"; exit 1; }
done"""


_OTHERS = {
    manifest.SWEPT: "One that is `swept` is the parent of many trials, a row each in `trials.parquet` or `trials.csv`.",
    manifest.RECORDED: "One that is `recorded` was made by another program, which was watched while it ran.",
    manifest.IMPORTED: "One that is `imported` is what a file says, not what was run.",
}


def readme(runs: Iterable[Run]) -> bytes:
    """Return the README of an archive: what it holds, and how it is checked with `sha256sum` and `jq` alone."""
    runs = list(runs)
    rows = [_row(run) for run in runs]
    with_bars = any(run.bars for run in runs)
    lines = [
        "# Runs of Peak_Trade", "",
        "Each directory in `runs/` is what a run of a strategy left, sealed on the spot.",
        *(_OTHERS[kind] for kind in _OTHERS if any(run.sealed.predicate.kind == kind for run in runs)),
        f"`{METADATA}` says the same for machines (RO-Crate 1.1, Process Run Crate 0.5).", "",
        "| run | what | status | total return |", "|---|---|---|---|", *rows, "",
        "## Check it", "",
        "In the folder that this file was unpacked to, with `sha256sum` and `jq` alone:", "",
        "```bash", _CHECK + _CHECK_BARS * with_bars + "\n)", "```", "",
        "It prints `holds` and a name for each part, and ends at the first that does not hold.",
        "The first check is that the archive is whole.",
        "Then, of each run: every sealed file has the digest that `manifest.json` names; `manifest.json` has the one",
        "that the run's last line in its ledger names; and the manifest follows the run's first line in that ledger,",
        "which names the run as its directory is called.",
        "`seal.json` carries both lines, byte for byte; `prev` in each is the sha256 of the line before it.",
        "So nothing was changed without changing all of it.",
        "Whoever has the whole ledger can say that these lines stand in it; a signature says who vouches for them.",
        "`run.log` is not sealed.", "",
    ]  # fmt: skip
    if with_bars:
        lines += [
            "## The bars", "",
            "`data/<digest>.bars` are the bars that a run used: the name is the sha256 of the file, and the digest of",
            "`bars` in the manifest; a run that failed brings none along.", "",
            "A file is one line of JSON, then its columns one after the other: little-endian int64 nanoseconds since",
            "1970, then five of little-endian float64.", "",
        ]  # fmt: skip
    lines += [
        "## More", "",
        "With Peak_Trade installed: `just verify ARCHIVE` works every statistic out again, `just report ARCHIVE/RUN`",
        "shows a run, `just replay ARCHIVE/RUN` runs it again, `just import-run ARCHIVE` takes all of them in.",
    ]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def _row(run: Run) -> str:
    total = run.sealed.predicate.results.get("summary", {}).get("total_return")
    shown = f"{total:.2%}" if isinstance(total, int | float) else "–"
    title = run.title.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
    status, kind = run.sealed.predicate.status, run.sealed.predicate.kind
    told = status if kind in (manifest.RUN, status) else f"{status}, {kind}"
    return f"| `{run.run_id}` | {title} | {told} | {shown} |"
