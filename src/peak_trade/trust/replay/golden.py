"""Golden runs: sealed runs that a repository keeps, which every change of its code is held against.

    golden/<name>/<run_id>/     what was sealed, and nothing else of the run
    golden/<name>/figures.txt   its statistics and trades, a line each: what people see of a change

A change that is meant is approved: the run is made anew, and takes the place of the old one.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from peak_trade import stats
from peak_trade.errors import InputError, PeakError, did_you_mean
from peak_trade.evidence import door, manifest, seal, tables
from peak_trade.evidence.results import Results, run_ids
from peak_trade.evidence.run_dir import read_manifest
from peak_trade.trust import difference
from peak_trade.trust.difference import Sealed
from peak_trade.trust.replay import data
from peak_trade.trust.replay.recorded import Recorded
from peak_trade.trust.replay.replay import DIVERGED, Replay, again, replay

__all__ = ["FIGURES", "Held", "add", "approve", "figures", "hold", "names"]

FIGURES = "figures.txt"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_MOST = 1 << 20  # bytes of a golden run: a repository keeps them for good
_TRADE = ("side", "entry_time", "entry_price", "exit_time", "exit_price", "quantity", "pnl", "exit_reason")


class Held(Struct, frozen=True):
    """A golden run, held against what the code of here makes of it; `error` is why it could not be made."""

    name: str
    replay: Replay | None = None
    error: PeakError | None = None
    stale: bool = False  # figures.txt does not say what the run does

    @property
    def exit_code(self) -> int:
        """As of `just replay`; 1 where the figures are not those of the run."""
        if self.error is not None or self.replay is None:
            return self.error.exit_code if self.error else 2
        return 1 if self.stale else self.replay.exit_code

    def as_text(self) -> str:
        """Return a line for what is as it was, and what differs for what is not."""
        if self.error is not None:
            return f"{self.name}: {self.error.message}" + (f"\n  hint: {self.error.hint}" if self.error.hint else "")
        text = f"{self.name}: {self.replay.as_text() if self.exit_code else self.replay.verdict}" if self.replay else ""
        return f"{text}\n  {FIGURES} does not say what the run does" if self.stale else text


def names(folder: Path) -> list[str]:
    """Return the names of the golden runs that there are."""
    try:
        return sorted(
            entry.name
            for entry in os.scandir(folder)
            if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)  # what is put there stays there
        )
    except (FileNotFoundError, NotADirectoryError):
        return []


def add(folder: Path, run: Path, results: Results | None, root: Path, name: str = "") -> tuple[str, Path]:
    """Keep a run as a golden one; return its name, and where it is.

    Raises InputError where it can't be held against the code of here, or is too large; what there is already is left.
    """
    if (kind := read_manifest(run).predicate.kind) != manifest.RUN:
        raise InputError(
            f"run {run.name[:8]} is {kind}: a golden run is made again from its config, which this one has none of",
            hint="just replay runs a recorded command again",
        )
    found = Recorded(run, results)
    if not found.sealed.completed:
        raise InputError(f"run {found.name} failed, and has no figures to be held against")
    name = name or _named(found)
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name of a golden run", hint="small letters, digits and dashes: --name sp500-sma"
        )
    there = run_ids(folder / name) if name in names(folder) else set()  # none, where a process died over it
    if there - {found.sealed.run_id}:
        raise InputError(
            f"there is a golden run `{name}` already", hint=f"just golden approve {name}, or --name another"
        )
    if away := _away(found, root, folder.parent.resolve()):
        raise InputError(
            f"its {away} lies outside of the repository",
            hint="put it into the repository, name it by a relative path, and run it there",
        )
    size = sum(len(found.sealed.content(file)) for file in found.sealed.manifest.files)
    if size > _MOST:
        raise InputError(
            f"the run has {size:,} bytes, a golden one has {_MOST:,} at most", hint="fewer bars: --set data.start=-2y"
        )
    held = replay(run, results, root, here=True)
    if held.verdict == DIVERGED:
        raise InputError(
            f"the code of here makes something else of it: {held.error or held.told or held.verdict}",
            hint=f"just replay {found.name} --code here shows what; run it again, then add that run",
        )
    return name, _put(folder, name, found.sealed)


def hold(folder: Path, root: Path, which: Sequence[str] = ()) -> Iterator[Held]:
    """Make golden runs again by the code of here: all, or those that are named."""
    for name in which or names(folder):
        try:
            run = _run(folder, name)
            found = replay(run, None, root, here=True)
            yield Held(name, found, stale=_read(folder / name) != figures(difference.read(run)))
        except PeakError as error:
            yield Held(name, error=error)


def approve(
    folder: Path, root: Path, which: Sequence[str] = (), *, renew: bool = False
) -> Iterator[tuple[Held, Path | None]]:
    """Put what the code of here makes in the place of golden runs that diverge; yield each, and where a new one is.

    With `renew`, also in the place of those that do not: they are sealed anew, as this version seals.
    """
    for held in hold(folder, root, which):
        made = None
        if held.replay and (renew or held.replay.verdict == DIVERGED):
            found = Recorded(_run(folder, held.name), None)
            with again(found, data.find(found, root), root, here=True) as (end, new):
                if new is None or not new.completed:
                    raise InputError(f"{held.name} fails: {end.message}", hint=f"just golden check {held.name}")
                made = _put(folder, held.name, new)
        elif held.stale:
            made = _put(folder, held.name, difference.read(_run(folder, held.name)))
        yield held, made


def figures(run: Sealed) -> str:
    """Return a run's statistics and trades as text, a line each."""
    bars = run.made.of("bars")
    about = bars.about if bars else {}
    ends = " to ".join(str(about.get(key))[:10] for key in ("start", "end"))
    strategy = run.config["strategy"].get("name") or run.config["strategy"].get("entrypoint")
    lines = [f"{strategy} over {about.get('symbol')} {about.get('timeframe')}, {ends}", "", "statistics"]
    known = {key: run.figures[key] for key in (one.key for one in stats.STATS) if key in run.figures}
    lines += [f"  {key:<24} {_figure(value)}" for key, value in known.items()]
    columns = tables.trade_columns(run.trades)
    lines += ["", f"trades: {' '.join(_TRADE)}"]
    rows = zip(*(columns[name] for name in _TRADE), strict=True)
    lines += ["  " + " ".join(_figure(value) for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def _figure(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "none" if value is None else str(value)


def _away(found: Recorded, root: Path, home: Path) -> str:
    """Return what of a run another checkout of the repository at `home` has not; empty where it has all."""
    own = [name for name in found.modules.values() if not name.startswith("peak_trade/")]
    if not (root / found.folder).resolve().is_relative_to(home):
        return "config"
    if not all((home / name).is_file() for name in own):
        return "code"
    bars = data.find(found, root)
    files = [*bars.paths, *bars.benchmark]
    there = all(Path(file).resolve().is_relative_to(home) for file in files)
    named = found.config.data.path, found.config.stats.benchmark
    return "" if there and not any(map(os.path.isabs, named)) else "data"


def _named(found: Recorded) -> str:
    config = found.config
    text = config.run.name or f"{config.strategy.name or 'own'} {config.data.symbol} {config.data.timeframe}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def _run(folder: Path, name: str) -> Path:
    """Return the directory of a golden run; InputError where there is none, or more than one."""
    if name not in (known := names(folder)):
        raise InputError(
            f"there is no golden run `{name}`", hint=did_you_mean(name, known) if known else "just golden add RUN"
        )
    runs = sorted(run_ids(folder / name))
    if len(runs) != 1:
        raise InputError(f"{folder.name}/{name} holds {len(runs)} runs in place of one", hint="remove what is not it")
    return folder / name / runs[0]


def _read(folder: Path) -> str:
    try:
        return door.read(folder, FIGURES).decode("utf-8", "replace")
    except OSError:
        return ""


def _put(folder: Path, name: str, run: Sealed) -> Path:
    """Write a run in its place, whole or not at all, and take away the one that was there."""
    place = folder / name
    before = run_ids(place)
    if run.run_id not in before:
        place.mkdir(parents=True, exist_ok=True)
        for left in place.glob(".new-*"):  # by a process that died over it
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".new-", ignore_cleanup_errors=True) as draft:
            inner = Path(draft) / run.run_id
            inner.mkdir()
            for file in (*run.manifest.files, manifest.NAME, seal.NAME):
                content = run.content(file) if file in run.manifest.files else door.read(run.path, file)
                door.create(inner, file, [content])
            inner.rename(place / run.run_id)
    door.replace(place, FIGURES, figures(run).encode())
    for other in before - {run.run_id}:
        shutil.rmtree(place / other)
    return place / run.run_id
