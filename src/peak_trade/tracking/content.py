"""What MLflow shows of a run, read from the run's directory: plain values, and no MLflow.

Nothing is computed here: each value stands in a sealed file, whose digest is checked on the way.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.errors import RunError
from peak_trade.evidence import documents, door, manifest, settings, tables
from peak_trade.shown import apart
from peak_trade.text import as_utf8, cut

__all__ = ["SOURCE", "Content", "Metric", "beside", "report_files", "report_state", "run_content", "thinned"]

SOURCE = "peak_trade"  # by which our runs are told from others that MLflow may hold
POINTS = {"equity": 250, "drawdown": 100}  # more than a chart of MLflow's shows; each costs 0.05 ms in SQLite
_KEY, _PARAM, _TAG, _NOTE = 250, 6_000, 8_000, 5_000  # MLflow's limits; the last one is ours
_NAME = 200  # characters of a run's name
_DIGEST, _FILES = 36, 20  # MLflow's longest digest of a dataset; files of the data that are named
_BESIDE, _REPORTS, _DEEPEST = 64 << 20, 200, 4  # bytes of a file that is not sealed; files and folders of a report
_UNFIT = re.compile(r"[^\w.\- :]")

Metric = tuple[str, float, int, int]  # key, value, time in ms since 1970, step


class Content(Struct, kw_only=True):
    """One run as MLflow is told of it; times in ms since 1970, artifacts by their names in the run's directory.

    `left_out` says, a sentence each, what is none for not being the run's own file. What MLflow gets is what was read
    here: between a look at a file and a second one it may become another.
    """

    name: str
    status: str
    started: int | None
    finished: int | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[Metric]
    dataset: dict[str, str] | None
    artifacts: dict[str, bytes]
    left_out: list[str] = []


def run_content(run_dir: Path, parent: str | None = None) -> Content:
    """Read what MLflow shall show of a finished run; `parent` is the run_id of a run that it belongs under.

    Raises RunError where a file is not what was sealed: numbers that nobody vouches for are not passed on.
    """
    statement = _read(run_dir, manifest.NAME)
    sealed = manifest.decode(statement)
    try:
        documents.check(sealed)
        if sealed.run_id != run_dir.name:
            raise RunError(f"{manifest.NAME} speaks of another run")
        most = sealed.predicate.promised
        contents = {name: _sealed_bytes(run_dir, name, sha256, most) for name, sha256 in sealed.files.items()}
        found = _content(sealed, contents, parent)
        log, found.left_out = beside(run_dir, ["run.log"])
        found.artifacts |= {manifest.NAME: statement} | log
        return found
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"its files are not those of a run: {type(error).__name__}: {error}") from None


def _read(run_dir: Path, name: str, most: int | None = None) -> bytes:
    try:
        return door.read(run_dir, name, most)
    except OSError as error:
        raise RunError(f"{name}: {error.strerror}") from None


def _sealed_bytes(run_dir: Path, name: str, sha256: str, most: int | None) -> bytes:
    content = _read(run_dir, name, most)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(f"{name} is not as it was sealed")
    return content


def _content(sealed: manifest.Manifest, contents: dict[str, bytes], parent: str | None) -> Content:
    predicate = sealed.predicate
    config, figures = (
        documents.decode(contents.get(name, b"{}"), name) for name in ("config_snapshot.json", "stats.json")
    )
    origin = {part["name"]: part for part in predicate.build_definition.get("resolvedDependencies", [])}
    metadata, run = predicate.run_details.get("metadata", {}), config.get("run", {})
    started, finished = (_milliseconds(metadata.get(name)) for name in ("startedOn", "finishedOn"))
    subject = _subject(config)
    title = run.get("name") or " ".join(subject.values()) or predicate.status
    custom = {key: text for key, text in run.get("tags", {}).items() if not key.startswith("mlflow.")}
    reasons = figures.pop("reasons", {})
    numbers = {key: value for key, value in figures.items() if type(value) in (int, float)}
    parent = custom.pop("parent_run_id", "") or parent or _sweep_of(sealed)
    tags = subject | {
        "run_id": sealed.run_id,
        "status": predicate.status,
        "ruined": predicate.results.get("ruined", ""),
        "error": (predicate.error or {}).get("message", ""),
        "lookahead": predicate.lookahead,
        "repeatable": "false" if predicate.repeatable is False else "",
        "overrides": ", ".join(f"{key}={_text(value)}" for key, value in config.get("overrides", {}).items()),
        **_origin(predicate, config),
        "undefined": "; ".join(f"{key}: {reason}" for key, reason in reasons.items()),
        "skipped": "; ".join(f"{r['part']}: {r['reason']}" for r in predicate.receipts if r["outcome"] == "skipped"),
        "parent_run_id": parent if parent and parent != sealed.run_id else "",
        "mlflow.source.name": SOURCE,
        "mlflow.source.type": "LOCAL",
        **_git(origin),
    }
    bars = origin.get("bars")
    if bars:
        tags["data_sha256"] = bars["digest"]["sha256"]
    if beside := origin.get(manifest.BENCHMARK):
        tags |= {"benchmark": beside["annotations"]["symbol"], "benchmark_sha256": beside["digest"]["sha256"]}
    if bars and not predicate.gaps:
        tags["mlflow.note.content"] = _note(title, subject, config, bars["annotations"])[:_NOTE]
    asked = _asked(config, contents.get("config_snapshot.toml", b""))
    return Content(
        name=cut(
            f"{sealed.run_id[:8]} {title} {asked}".rstrip(), _NAME
        ),  # the id first: MLflow's lists cut off the end
        status="FINISHED" if predicate.completed else "FAILED",
        started=started,
        finished=finished,
        tags=_fitting(custom, _TAG) | {key: _cut(text, _TAG) for key, text in tags.items() if text},
        params=_fitting(dict(_params(config)), _PARAM),
        metrics=[
            *((key, float(value), finished or 0, 0) for key, value in numbers.items()),
            *(_curves(contents["equity.csv"], gaps=predicate.gaps) if "equity.csv" in contents else ()),
        ],
        dataset=_dataset(config["data"], bars) if bars and not predicate.gaps else None,
        artifacts=contents,
    )


def _asked(config: Mapping[str, Any], file: bytes) -> str:
    """Return the parameters that a person has set, and what else was overridden: lists tell runs apart by this."""
    if not config:
        return ""
    if "strategy" not in config:  # of a command in which no engine was seen
        return ""
    in_file = tomllib.loads(file.decode("utf-8-sig")).get("strategy", {}).get("params", {})
    overridden = config.get("overrides", {})
    given = {*in_file, *(key.removeprefix("strategy.params.").partition(".")[0] for key in overridden)}
    params = {key: value for key, value in config["strategy"]["params"].items() if key in given}
    others = {key: value for key, value in overridden.items() if not key.startswith(("strategy.", "tracking."))}
    return apart.said(settings.short(params | others), briefly=True)


def _milliseconds(time: str | None) -> int | None:
    return int(datetime.fromisoformat(time).timestamp() * 1e3) if time else None


def _subject(config: Mapping[str, Any]) -> dict[str, str]:
    """Return strategy, symbol and timeframe; nothing for a run that died before its config was written."""
    if "strategy" not in config or "data" not in config:
        return {}
    strategy, data = config["strategy"], config["data"]
    name = strategy.get("name") or strategy.get("entrypoint")
    known = {"strategy": name, "symbol": data["symbol"], "timeframe": data["timeframe"]}
    return {key: text for key, text in known.items() if text}


def _engine(told: Any) -> str:
    return " ".join(filter(None, (told.get("name"), told.get("version")))) if isinstance(told, dict) else ""


def _sweep_of(sealed: manifest.Manifest) -> str:
    """Return the parent that a run was kept of, under which MLflow shows it; empty of other runs."""
    return str(sealed.predicate.run_details.get("metadata", {}).get("parent") or "")


def _origin(predicate: manifest.Predicate, config: Mapping[str, Any]) -> dict[str, str]:
    """Return how a run that was not made here came about; nothing of one that was."""
    if predicate.kind == manifest.RUN:
        trial = predicate.run_details.get("metadata", {}).get("trial")
        return {} if trial is None else {"trial": str(trial)}
    told = {"kind": predicate.kind, "command": " ".join(config.get("record", {}).get("command", []))}
    told["engine"] = _engine(predicate.results.get("engine"))
    came_out = {"symbols": "symbols", "trials": "trials", "exit_code": "exitCode", "seen": "seen"}
    found = {tag: predicate.results.get(key) for tag, key in came_out.items()}
    if isinstance(chosen := predicate.results.get("chosen"), dict):  # of a sweep
        values = chosen.get("overrides")
        of = values.items() if isinstance(values, dict) else ()
        found["chosen"] = f"trial {chosen.get('index')}: {', '.join(f'{key}={_text(one)}' for key, one in of)}"
    return told | {tag: _text(value) for tag, value in found.items() if value is not None}


def _git(origin: Mapping[str, Any]) -> dict[str, str]:
    state = origin.get("git", {}).get("annotations") or {}
    if not (commit := state.get("commit")):
        return {}
    return {"git_commit": commit, "git_dirty": _text(bool(state.get("dirty"))), "mlflow.source.git.commit": commit}


def _note(title: str, subject: Mapping[str, str], config: Mapping[str, Any], bars: Mapping[str, Any]) -> str:
    params = ", ".join(f"{key}={_text(value)}" for key, value in config["strategy"]["params"].items())
    span = f"{bars['rows']:,} bars from {bars['start'][:10]} to {bars['end'][:10]}"
    return f"**{title}**: `{subject['strategy']}({params})` on {subject['symbol']} {subject['timeframe']}, {span}"


def _params(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the resolved config, flat; what is null is left out, and what MLflow shows as name and tags anyway."""
    for name, value in tree.items():
        key = prefix + name
        if key in ("overrides", "tracking", "run.name", "run.tags") or value is None:
            continue
        if isinstance(value, dict):
            yield from _params(value, f"{key}.")
        else:
            yield key, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fitting(pairs: Mapping[str, str], longest: int) -> dict[str, str]:
    """Return pairs whose keys MLflow takes: in other marks than its own, or too long, they are rewritten."""
    fitting: dict[str, str] = {}
    for key, text in pairs.items():
        fit = _UNFIT.sub("_", key).lstrip(".")[:_KEY] or "_"
        if fit in fitting:
            fit = f"{fit[: _KEY - 10]} {len(fitting)}"
        fitting[fit] = _cut(text, longest)
    return fitting


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _curves(equity_csv: bytes, *, gaps: bool = False) -> list[Metric]:
    """Return the curves, thinned: the step is the bar's number, the time its own (MLflow knows none before 1970)."""
    names = ("timestamp", "equity", "drawdown", "position")
    columns = tables.read_series(Path("equity.csv"), names, equity_csv, gaps=gaps)
    times = np.maximum(columns["timestamp"].astype("M8[ms]").astype(np.int64), 0)
    return [
        (key, float(columns[key][step]), int(times[step]), int(step))
        for key, most in POINTS.items()
        if not np.isnan(columns[key]).any()
        for step in thinned(columns[key], most)
    ]


def thinned(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.intp]:
    """Return the indices of at most `most` (≥ 4) of the values, in order: a curve through them keeps its shape.

    First and last are among them, and the least and the greatest of each of (most - 2) / 2 stretches of equal length.

    >>> thinned(np.array([0, 1, 9, 1, 0, -5, 0, 1, 2, 3.0]), 6)
    array([0, 2, 4, 5, 8, 9])
    """
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(1, len(values) - 1, (most - 2) // 2 + 1).astype(np.intp)
    kept = [0, len(values) - 1]
    for start, end in pairwise(edges.tolist()):
        kept += [start + int(values[start:end].argmin()), start + int(values[start:end].argmax())]
    return np.unique(np.array(kept, np.intp))


def _dataset(data: Mapping[str, Any], bars: Mapping[str, Any]) -> dict[str, str]:
    marks, sha256 = bars["annotations"], bars["digest"]["sha256"]
    source = {"uri": data["path"], "from": data["source"], "sha256": sha256, "files": marks["files"][:_FILES]}
    profile = {"num_rows": marks["rows"]} | {key: marks[key] for key in ("start", "end", "gaps", "dropped")}
    return {
        "name": f"{data['symbol']} {data['timeframe']}"[:500],
        "digest": sha256[:_DIGEST],
        "source_type": "local",
        "source": _text(source),
        "profile": _text(profile),
    }


def beside(run_dir: Path, names: Iterable[str]) -> tuple[dict[str, bytes], list[str]]:
    """Return the content of files that are not sealed, and why some of them are left out: each is a sentence."""
    found: dict[str, bytes] = {}
    left_out = []
    for name in names:
        try:
            found[name] = door.read(run_dir, name, _BESIDE)
        except FileNotFoundError:
            continue
        except OSError as error:
            left_out.append(f"{name}: {error.strerror}")
    return found, left_out


def report_files(run_dir: Path) -> list[str]:
    """Return the names of what is in the run's report, which is rendered after the run was sealed, or never."""
    return [name for name, _ in _report(run_dir)]


def _report(run_dir: Path) -> list[tuple[str, door.Entry]]:
    found: list[tuple[str, door.Entry]] = []
    folders = ["report"]
    while folders and len(found) < _REPORTS:
        folder = folders.pop()
        try:
            entries = door.entries(run_dir, folder)
        except FileNotFoundError:
            continue
        except OSError:  # named when it is asked for, as what is no folder
            found += [(folder, door.Entry(folder, "no folder", 0, 0))]
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}"
            if entry.kind != "a folder":
                found.append((name, entry))
            elif name.count("/") < _DEEPEST:
                folders.append(name)
    return sorted(found)[:_REPORTS]


def report_state(run_dir: Path) -> str | None:
    """Return a mark that changes when the report does; None without a report."""
    marks = [(as_utf8(entry.name), entry.size, entry.modified) for _, entry in _report(run_dir)]
    return hashlib.sha256(_text(marks).encode()).hexdigest()[:16] if marks else None
