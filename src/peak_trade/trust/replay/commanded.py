"""A recorded command run again, in a folder of its sealed code and the files it read: does the same come of it?

Where an engine was seen, equity and trades are held against those that were sealed; else what it said on stdout and the
files that it left. What differs after the network, the clock, unseeded randomness or processes that nobody saw is
UNKNOWN, with these named: it may be they, and nobody can tell.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from peak_trade.errors import InputError
from peak_trade.evidence import documents
from peak_trade.evidence.results import Results
from peak_trade.observer import kept
from peak_trade.redact import MASK
from peak_trade.runner.limits import termination_raised
from peak_trade.trust import difference
from peak_trade.trust.difference import Cause, Input, Sealed
from peak_trade.trust.replay import scratch
from peak_trade.trust.replay.held import DIVERGED, IDENTICAL, TOLERANCE, WITHIN_TOLERANCE
from peak_trade.trust.replay.recorded import Whole
from peak_trade.trust.replay.scratch import Laid

__all__ = ["UNKNOWN", "again", "held", "make", "reasons"]

UNKNOWN = "UNKNOWN"
_OURS = ("PEAK_RUN_ID", "PEAK_RUN_DIR", "PEAK_RECORD_SPOOL", "PEAK_RECORD_ENGINE", "PEAK_RESULTS_DIR", "PEAK_STRICT",
         "PEAK_OTEL_ENABLED", "PEAK_SKIPPED")  # fmt: skip
_REASONS = {
    "network": "it reached the network ({})",
    "clock": "its code reads the clock ({})",
    "random": "it draws random numbers without a seed ({})",
    "unseen": "it started processes that were not seen ({})",
    "programs": "it started programs that are not watched ({})",
}
_SHELLS = frozenset("sh bash dash zsh ksh fish".split())
_STDIN = re.compile(rb"\bsys\.stdin\b|\binput\(")
_STDOUT, _STDERR = "outputs/stdout.txt", "outputs/stderr.txt"
_NAMED = 5
_TAIL = 300


class Made(Struct):
    """What came of a command that was run again: the run that it left, the folder and how long it took."""

    sealed: Sealed
    laid: Laid
    seconds: float


def again(run: Whole, given: Sequence[str], *, here: bool, tell: Callable[[str], None]) -> tuple[dict[str, Any], Made]:
    """Run a command again and return verdict, what differs and why, as fields of a Replay, and what was made.

    Raises InputError where that can't be done.
    """
    with tempfile.TemporaryDirectory(prefix="peak-replay-", ignore_cleanup_errors=True) as name, termination_raised():
        made = make(run, Path(name) / "1", given, here=here)
        told = held(run.sealed, made)
        if told["verdict"] == DIVERGED:
            tell("running it once more, to see whether it repeats itself …")
            second = make(run, Path(name) / "2", given, here=here)
            repeats = held(made.sealed, second)["verdict"] == IDENTICAL
            told |= _doubted(run.sealed, made, told, _untold(run), repeats=repeats)
        return told, made


def held(a: Sealed, made: Made) -> dict[str, Any]:
    """Hold what came of it against what was sealed."""
    b, said = made.sealed, list(made.laid.said)
    causes = [Cause(one, "possible") for one in made.laid.changed]
    if a.error or b.error:
        same = a.error == b.error
        said += [f"it fails as it did: {a.error}"] if same else [f"it failed then: {a.error}"] if a.error else []
        error = "" if same else b.error or "it came to its end"
        return {"verdict": IDENTICAL if same else DIVERGED, "error": error, "causes": causes, "said": said}
    outputs = _other_outputs(a, b, made.laid)
    if "equity_digest" not in a.manifest.predicate.results:
        if "equity_digest" in b.manifest.predicate.results:
            said.append("an engine was seen this time: equity and trades have nothing to be held against")
        if not outputs:
            return {
                "verdict": IDENTICAL,
                "causes": causes,
                "said": [*said, "stdout and all files it left are the same"],
            }
        error = f"other output: {_names(outputs)}"
        return {"verdict": DIVERGED, "told": error, "causes": causes + _environment(a, b), "said": said}
    said += [f"other output, beside equity and trades: {_names(outputs)}"] if outputs else []
    if "equity_digest" not in b.manifest.predicate.results:
        causes += _environment(a, b)
        return {"verdict": DIVERGED, "error": "no engine was seen this time", "causes": causes, "said": said}
    if _digests(a) == _digests(b):
        return {"verdict": IDENTICAL, "causes": causes, "said": said}
    exact, loose = difference.between(a, b), difference.between(a, b, TOLERANCE)
    near = bool(loose.series and loose.series.same and loose.trades and loose.trades.same and not loose.figures)
    if near and exact.series and exact.series.same and exact.trades and exact.trades.same and not exact.figures:
        return {"verdict": IDENTICAL, "causes": causes, "said": said}
    shown = exact if near else loose
    kept = [one for one in exact.causes if one.input.kind != "label" and one.input.kind != "data"]
    return {
        "verdict": WITHIN_TOLERANCE if near else DIVERGED, "bar": shown.bar, "trade": shown.trade, "told": shown.told,
        "figures": shown.figures, "causes": [*causes, *kept], "said": said,
    }  # fmt: skip


def _untold(run: Whole) -> list[str]:
    """Return what no recorder sees, and what may be behind another answer: what a shell does, and what stdin said."""
    program, *rest = _command(run)
    base = os.path.basename(program)
    told = [f"{base} is not watched: what it reads is known where --input names it"] if base in _SHELLS else []
    reads = [name for name, content in run.code().items() if _STDIN.search(content)]
    if (base in _SHELLS or base.startswith("python")) and (not rest or rest[0] in ("-", "-s")):
        reads.append(f"{base} its program")
    return [*told, *([f"it reads stdin, which no run keeps ({_names(reads)})"] if reads else [])]


def _doubted(a: Sealed, made: Made, told: dict[str, Any], untold: Sequence[str], *, repeats: bool) -> dict[str, Any]:
    """Return what is to be said of a command that gave another answer: by itself, or by what can't be held still."""
    effects = _effects(a) | {key: value for key, value in _effects(made.sealed).items() if value}
    reasons = [text.format(_names(effects[key])) for key, text in _REASONS.items() if effects.get(key)] + [*untold]
    changed = bool(made.laid.changed) or any(one.input.kind in ("code", "environment") for one in told["causes"])
    if not repeats:
        why = Cause(Input("repeatability", "the command", "one answer", "another", ["replayed twice"]), "likely")
        found: dict[str, Any] = {"causes": [why, *told["causes"]]}
        return found | ({"verdict": UNKNOWN, "said": [*told["said"], *reasons]} if reasons else {})
    if reasons and not changed:
        return {"verdict": UNKNOWN, "said": [*told["said"], *reasons]}
    return {"said": [*told["said"], *reasons]}


def reasons(run: Whole) -> list[str]:
    """Return why a command may come to something else: what can't be held still, and what no recorder sees."""
    effects = _effects(run.sealed)
    return [text.format(_names(effects[key])) for key, text in _REASONS.items() if effects.get(key)] + _untold(run)


def make(
    run: Whole, room: Path, given: Sequence[str], *, here: bool,
    command: Sequence[str] | None = None, fill: Callable[[Sequence[str]], list[str]] = list,
) -> Made:  # fmt: skip
    """Run a command again, that of the run or another, in a folder below `room`; InputError where that can't be."""
    folder, results, errors = room / "work", room / "results", room / "errors"
    try:
        folder.mkdir(parents=True)
        laid = scratch.lay_out(run, folder, given, here=here)
        words = _words(run, laid, _command(run) if command is None else command, fill)
        environment = {key: value for key, value in os.environ.items() if key not in _OURS} | _kept(run, room)
        began = time.perf_counter()
        with errors.open("wb") as stream:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "peak_trade", "record", "--results-dir", str(results), *words],
                cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream,
                check=False,
            )  # fmt: skip
        seconds = time.perf_counter() - began
    except OSError as error:
        raise InputError(f"it can't be made again: {error.strerror}", hint="check the disk, and $TMPDIR") from None
    runs = Results(results).runs()
    if len(runs) != 1:
        said = errors.read_text(errors="replace").strip()[-_TAIL:] or f"exit code {done.returncode}"
        raise InputError(f"the command can't be run again: {said}", hint="run it by hand in the folder it was run in")
    made = difference.read(runs[0], "the replay")
    for receipt in made.manifest.predicate.receipts:
        reason = str(receipt.get("reason"))
        if receipt.get("part") == "observer" and reason.startswith("replay: "):
            raise InputError(
                f"it can't be made again without a change there: {reason.removeprefix('replay: ')}",
                hint="record it with paths that start at its folder, or at $PEAK_RUN_DIR",
            )
    return Made(made, laid, seconds)


def _kept(run: Whole, room: Path) -> dict[str, str]:
    """Return the variables by which its processes write nothing where it was recorded."""
    folder = run.sealed.manifest.predicate.run_details.get("folder")
    if not isinstance(folder, str) or not os.path.isabs(folder) or "\0" in folder:
        return {}
    found = {kept.FOLDER: folder, kept.ROOM: str(room)}
    if Path(tempfile.gettempdir()).resolve().is_relative_to(Path(folder).resolve()):
        temporary = room / "temporary"
        temporary.mkdir()
        found["TMPDIR"] = str(temporary)
    return found


def _words(run: Whole, laid: Laid, command: Sequence[str], fill: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Return the command line of the recorder: what was asked of it then, in the folder of now."""
    tree = documents.decode(run.sealed.content("config_snapshot.json"), "config_snapshot.json")
    asked, timed = tree["record"], tree.get("run")
    if any(MASK in one for one in command):
        raise InputError(
            "it can't be made as it was: its command had a secret, which no run keeps",
            hint=f"record it anew, then just compare {run.name} last",
        )
    words = ["--engine", str(asked.get("engine", "auto")), "--pick", str(asked.get("pick", "last")), "--quiet"]
    limit = timed.get("timeout_s") if isinstance(timed, dict) else None
    words += ["--timeout", str(limit)] if isinstance(limit, int | float) else []
    for name in ("collect", "inputs"):
        values = asked.get(name)
        told = [str(one) for one in values] if isinstance(values, list) else []
        for one in fill(told) if name == "collect" else told:
            words += [f"--{name.removesuffix('s')}", _moved(one, laid)]
    program, *rest = command
    if "/" in program and not os.path.isabs(program) and not (laid.folder / program).exists() and laid.base:
        program = str(laid.base / program)  # an interpreter in the folder, say
    return [*words, "--", program, *(_moved(one, laid) for one in rest)]


def _command(run: Whole) -> list[str]:
    tree = documents.decode(run.sealed.content("config_snapshot.json"), "config_snapshot.json")
    asked = tree.get("record")
    command = asked.get("command") if isinstance(asked, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(one, str) for one in command):
        raise InputError(f"run {run.name} does not say which command it was")
    return command


def _moved(word: str, laid: Laid) -> str:
    """Return a word that names a file of the folder of then as it is named in the folder of now."""
    start = f"{laid.base}{os.sep}" if laid.base else ""
    if start and word.startswith(start) and (laid.folder / word[len(start) :]).exists():
        return str(laid.folder / word[len(start) :])
    return word


def _digests(run: Sealed) -> list[Any]:
    results = run.manifest.predicate.results
    return [results.get("equity_digest"), results.get("trades_digest")]


def _effects(run: Sealed) -> dict[str, list[str]]:
    parameters = run.manifest.predicate.build_definition.get("internalParameters")
    effects = parameters.get("effects") if isinstance(parameters, dict) else None
    found = effects.items() if isinstance(effects, dict) else ()
    return {str(key): [str(one) for one in value] for key, value in found if isinstance(value, list)}


def _other_outputs(a: Sealed, b: Sealed, laid: Laid) -> list[str]:
    """Return the outputs that are not the same: what it said on stdout, and files that it left.

    That it ran in a folder of another name is no difference.
    """
    before, after = _outputs(a), _outputs(b)
    if laid.base and _STDOUT in before and _STDOUT in after and before[_STDOUT] != after[_STDOUT]:
        said = b.content(_STDOUT).replace(os.fsencode(laid.folder), os.fsencode(laid.base))
        after[_STDOUT] = hashlib.sha256(said).hexdigest()
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _outputs(run: Sealed) -> dict[str, str]:
    found = {name: sha for name, sha in run.manifest.files.items() if name.startswith("outputs/") and name != _STDERR}
    written = run.manifest.predicate.results.get("written")
    for one in written if isinstance(written, list) else ():
        if isinstance(one, dict) and isinstance(one.get("digest"), dict):
            found[str(one.get("name"))] = str(one["digest"].get("sha256"))
    return found


def _environment(a: Sealed, b: Sealed) -> list[Cause]:
    """Return what differs of versions and code."""
    return [Cause(one, "possible") for one in difference.inputs(a, b) if one.kind in ("environment", "code")]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
