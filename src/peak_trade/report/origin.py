"""Where the run came from: its config, what it was made of, and the error that ended it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from peak_trade.evidence import code
from peak_trade.evidence.manifest import BENCHMARK, SWEPT
from peak_trade.report.markup import counted, in_toml, number, table, text
from peak_trade.report.run import RunFiles, flat

__all__ = ["configuration", "failure", "provenance", "ruin"]


class _Internal(Struct):
    environment: dict[str, Any] = {}
    seed: int | str | None = ""


class _Moments(Struct, rename="camel"):
    started_on: str | None = None
    finished_on: str | None = None


class _Details(Struct):
    metadata: _Moments = msgspec.field(default_factory=_Moments)
    milliseconds: dict[str, float | None] = {}
    argv: list[str] = []
    host: str | None = ""


class _Cost(Struct):
    ms: float
    bytes: int


def configuration(run: RunFiles) -> str:
    """Every key of the config as it ran: what was overridden, what the file set, what is a default."""
    overridden = sorted(map(str, run.config.get("overrides", {})))
    groups = []
    for section, content in run.config.items():
        if section == "overrides":
            continue
        rows = "".join(_key(run, f"{section}.", key, value, overridden) for key, value in flat(content).items())
        groups.append(f"<table><caption><code>[{text(section)}]</code></caption><tbody>{rows}</tbody></table>")
    words = (
        f"Overridden on the command line: <code>{text(', '.join(overridden))}</code>."
        if overridden
        else "Nothing was overridden."
    )
    if run.kind == SWEPT:
        words += ' All trials began with this; what was varied stands under <a href="#search">the search</a>.'
    return (
        f"<p>{words} What is grey is a default that the file leaves out.</p>"
        f'<div class="config">{"".join(groups)}</div>'
        f"<details><summary>The config file as given</summary><pre>{text(run.config_text)}</pre></details>"
    )


def _key(run: RunFiles, prefix: str, key: str, value: object, overridden: Sequence[str]) -> str:
    name, mark, origin = prefix + key, "", "given" if prefix + key in run.given else "default"
    if any(name == other or name.startswith(f"{other}.") for other in overridden):
        origin, mark = "override", " <small>override</small>"
    shown = "–" if value is None or value == {} else text(in_toml(value))
    return f'<tr class="{origin}"><th scope="row"><code>{text(key)}</code></th><td>{shown}{mark}</td></tr>'


def provenance(run: RunFiles) -> str:
    """What the run was made from, where, when, and what was skipped."""
    if run.manifest is None:
        return "<p>There is no readable manifest: nothing is known of where this comes from.</p>"
    predicate = run.manifest.predicate
    details = run.told(predicate.run_details, _Details)
    inside = run.told(predicate.build_definition.get("internalParameters", {}), _Internal)
    moments = details.metadata
    took = ", ".join(f"{stage} {number(ms, 1)} ms" for stage, ms in details.milliseconds.items())
    facts: list[tuple[str, Any]] = [
        ("Run", run.run_id),
        ("Commit", _commit(run.annotations("git"))),
        *_data(run),
        ("Strategy", _source(run.annotations("strategy"))),
        ("Pins", f"constraints.txt, sha256 {run.digest('constraints.txt')}" if run.digest("constraints.txt") else ""),
        ("Code", _code(run)),
        ("Environment", _environment(inside.environment)),
        ("Seed", inside.seed),
        ("Command", " ".join(details.argv)),
        ("Time", f"{moments.started_on} to {moments.finished_on}" + (f": {took}" if took else "")),
        ("Host", details.host),
        ("Ledger", f"follows {predicate.ledger.get('follows')}"),
        ("Seal", "; ".join(run.seal.notes)),
        ("Signed", "; ".join(f"by {by}" for by in run.signed)),
        ("Anchored", f"by {run.anchored}, with the ledger; just verify --all checks it" if run.anchored else ""),
        (
            "Not checked",
            "; ".join(run.seal.unchecked) + f"; just verify {run.run_id[:8]} has the bars, where they are"
            if run.seal.unchecked
            else "",
        ),
        ("Tracking", _tracked(run.tracking)),
    ]
    listed = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in facts if v not in ("", None))
    digests = [[f"<code>{text(name)}</code>", f"<code>{text(digest)}</code>"]
               for name, digest in run.manifest.files.items()]  # fmt: skip
    return (
        f'<dl class="provenance">{listed}</dl>{_receipts(run, predicate.receipts)}'
        f'<details class="printed"><summary>Sealed files</summary>'
        f"{table(['File', 'sha256'], digests, label='Sealed files', name='digests')}</details>"
    )


def _commit(git: Mapping[str, Any]) -> str:
    if not git:
        return "not in a git repository"
    commit = f"{git.get('commit') or 'none yet'} on {git.get('branch')}"
    if not git.get("dirty"):
        return f"{commit}, clean"
    return f"{commit}, with local changes (digest {git.get('diff_sha256')})"


def _data(run: RunFiles) -> Iterable[tuple[str, str]]:
    bars = run.bars
    if bars is None:
        return
    files = ", ".join(f"{file.name} ({file.bytes:,} bytes)" for file in bars.files)
    yield "Data", f"{files}; source: {bars.source or 'not said'}"
    yield "Fingerprint", f"{run.digest('bars')} over {counted(bars.rows, 'bar')}, {bars.start} to {bars.end}"
    counts = [
        f"{count:,} {what}" for what, count in (("gaps", bars.gaps), ("dropped", bars.dropped)) if count is not None
    ]
    broken = bars.violations or []
    notes = [*counts, f"{len(broken) if isinstance(broken, list | dict) else broken} violations", *bars.assumptions]
    yield "Checks", ", ".join(notes)
    yield "Benchmark", _benchmark(run)


def _benchmark(run: RunFiles) -> str:
    """Say which file the benchmark is from, and how it was aligned; nothing where there is no file of it."""
    made = run.benchmark_part
    if made is None:
        return ""
    files = ", ".join(f"{file.name} ({file.bytes:,} bytes)" for file in made.files)
    digest = run.digest(BENCHMARK)
    said = "; ".join(made.assumptions)
    return f"{files}; fingerprint {digest} over {counted(made.rows, 'close')}, {made.start} to {made.end}; {said}"


def _code(run: RunFiles) -> str:
    """Say what is sealed below `code/`, and of what is not, why."""
    count = sum(name.startswith(f"{code.FOLDER}/") for name in run.manifest.files) if run.manifest else 0
    told = run.annotations(code.FOLDER)
    found = told.get("leftOut")
    left = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    words = [f"{counted(count, 'file')}, digest {run.digest(code.FOLDER)}"] if told else []
    return "; ".join([*words, *(f"left out {one.get('file')}: {one.get('reason')}" for one in left[:10])])


def _environment(known: Mapping[str, Any]) -> str:
    """Say versions and machine, then what was imported of what is installed."""
    imported = known.get("distributions")
    words = [f"{key} {value}" for key, value in known.items() if key != "distributions" and value is not None]
    if isinstance(imported, dict) and imported:
        words.append("imported " + ", ".join(f"{key} {value}" for key, value in imported.items()))
    return "; ".join(words)


def _source(made: Mapping[str, Any]) -> str:
    if not made:
        return ""
    return ", ".join(f"{value}" if key in ("name", "file") else f"{key} {value}" for key, value in made.items())


def _tracked(receipt: Mapping[str, Any]) -> str:
    if receipt.get("status") != "logged":
        return ""
    return f"logged to {receipt.get('store')} as {receipt.get('mlflow_run_id')}"


def _receipts(run: RunFiles, receipts: Sequence[Mapping[str, Any]]) -> str:
    skipped = [receipt for receipt in receipts if receipt.get("outcome") != "done"]
    if run.tracking.get("status") in ("failed", "skipped"):
        skipped.append({"part": "tracking", "outcome": run.tracking["status"], "reason": run.tracking.get("reason")})
    cost = next((receipt for receipt in receipts if receipt.get("part") == "evidence"), None)
    words = ""
    if cost:
        evidence = run.told(cost, _Cost)
        words = f"The evidence took {number(evidence.ms, 1)} ms and {evidence.bytes:,} bytes."
    if not skipped:
        return f"<p>Nothing was skipped. {words}</p>"
    rows = [[text(receipt.get(key, "")) for key in ("part", "outcome", "reason")] for receipt in skipped]
    return table(["Part", "Outcome", "Reason"], rows, label="Receipts", name="receipts") + f"<p>{words}</p>"


def failure(run: RunFiles) -> str:
    """The error that ended a run, and the last lines of its log."""
    error = run.error
    stage = f" in stage <code>{text(error['stage'])}</code>" if error.get("stage") else ""
    parts = [
        f'<p class="error"><strong>{text(error.get("type", "An error"))}</strong>{stage}: '
        f"{text(error.get('message', 'nothing is known of it'))}</p>"
    ]
    if run.log:
        lines = "&#10;".join(
            text(f"{record.get('time', '')} {record.get('level', ''):7} {record.get('message', '')}")
            + (f"&#10;{text(record['traceback'].rstrip())}" if "traceback" in record else "")
            for record in run.log
        )
        parts.append(f"<h3>End of the log</h3><pre>{lines}</pre>")
    return "".join(parts)


def ruin(run: RunFiles) -> str:
    """When the account of a run was ruined, and what that means for the figures below."""
    if not run.ours:
        return (
            f'<p class="error">At {text(run.ruined)} equity was at or below zero. What compounds has no value from '
            "there on: the figures below say so.</p>"
        )
    return (
        f'<p class="error">At the bar of {text(run.ruined)} equity was at or below zero. What was open was closed '
        "there, and nothing was traded after it: equity stays where it is to the end of the data.</p>"
    )
