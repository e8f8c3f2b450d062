"""The bars of a run, found again and held against the fingerprint that was sealed, before anything is made of them.

A file that has grown since still has the bars of the run: those are taken. Where days are gone there is nothing to be
made again. Where days have other values a run can be made, and what comes of it is told with the days.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from peak_trade.config import Config
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import door, manifest
from peak_trade.market import fingerprint, ohlcv, promised
from peak_trade.market.bars import COLUMNS, Bars
from peak_trade.market.benchmark import Benchmark
from peak_trade.market.benchmark_file import read_benchmark
from peak_trade.market.files import SourceFile
from peak_trade.market.gaps import Gaps
from peak_trade.market.ohlcv import Loaded
from peak_trade.trust.replay import days
from peak_trade.trust.replay.recorded import Recorded

__all__ = ["Data", "between", "find", "load", "with_benchmark"]

_ELSEWHERE = "--data FILE names where they lie now"
_SHOWN = 6  # days or months
_CONTENT = ".bars"
_LARGEST = 4 << 30


class Data(Struct, frozen=True):
    """The bars, the files that they came from, and the first and last time between which they were taken of these.

    `said` is what a reader has to know of them; `changed` are the days or months that have other values now, and `days`
    what is known of which days those are, in lines for people. `benchmark` are the files of one that has some.
    """

    loaded: Loaded
    paths: list[str]
    span: tuple[str, str] | None = None
    said: list[str] = []
    changed: list[str] = []
    days: list[str] = []
    benchmark: list[str] = []


def find(
    recorded: Recorded, root: Path, given: Sequence[str] = (), along: Path | None = None, *,
    beside: Sequence[str] = (), compared: bool = True,
) -> Data:  # fmt: skip
    """Return the bars of a run: from the files `given`, else from where its config says, below `root`.

    Where those are not they, what came `along` with the run is taken: a folder of bars by their digests. The same of a
    benchmark that is a file, which `beside` names where it lies elsewhere now; `compared` False leaves it alone.
    Raises InputError where they are gone, with the days.
    """
    found = _bars(recorded, root, given, along)
    if not compared:
        return found
    if not recorded.config.stats.benchmark_file:
        if beside:
            raise InputError(
                f"the benchmark of run {recorded.name} is no file: {recorded.config.stats.benchmark}",
                hint="leave --benchmark out",
            )
        return found
    paths, said = _beside(recorded, root, beside, along, found.loaded.bars)
    loaded = with_benchmark(recorded.config, found.loaded, paths)
    return msgspec.structs.replace(found, loaded=loaded, benchmark=paths, said=[*found.said, *said])


def with_benchmark(config: Config, loaded: Loaded, paths: Sequence[str]) -> Loaded:
    """Return bars with the benchmark that is in these files, as a run loads it; as they are where there are none."""
    if not paths:
        return loaded
    return msgspec.structs.replace(loaded, benchmark=_read(config, paths).over(loaded.bars))


def _read(config: Config, paths: Sequence[str]) -> Benchmark:
    if len(paths) == 1 and paths[0].endswith(_CONTENT):
        came = _content(Path(paths[0]))
        return Benchmark(came.bars, came.files, [])
    return read_benchmark(list(paths), config.stats.benchmark_name)


def _beside(
    recorded: Recorded, root: Path, given: Sequence[str], along: Path | None, bars: Bars
) -> tuple[list[str], list[str]]:
    """Return the files of a run's benchmark, as `find` does of its bars, and what a reader has to know of them."""
    made = recorded.sealed.made.of(manifest.BENCHMARK)
    digest, about = (str(made.digest.get("sha256")), made.about) if made else ("", {})
    came = [] if given or along is None else _came(along, digest)
    elsewhere = "--benchmark FILE names where it lies now"
    try:
        path = recorded.config.stats.benchmark_file
        paths = list(given) or _named_by(recorded, path, about, root, "benchmark", elsewhere)
        now = fingerprint.digest(_read(recorded.config, paths).over(bars).bars)
    except InputError as error:
        if came:
            return came, []
        raise InputError(error.message, hint=error.hint if given else elsewhere) from None
    if now == digest:
        return paths, []
    return (came, []) if came else (paths, ["the benchmark is not what the run read: other closes, by its fingerprint"])


def _bars(recorded: Recorded, root: Path, given: Sequence[str], along: Path | None) -> Data:
    config, made = recorded.config, recorded.sealed.made.of("bars")
    about = made.about if made else {}
    parts = about.get("parts")
    if made is None or not isinstance(parts, dict):
        raise InputError(f"run {recorded.name} does not say which bars it was made from")
    came = [] if given or along is None else _came(along, str(made.digest.get("sha256")))
    try:
        paths = list(given) or _found(recorded, about, root)
        loaded = load(config, paths)
    except InputError:
        if not came:
            raise
        paths, loaded = came, load(config, came)
    if came and fingerprint.digest(loaded.bars) != made.digest.get("sha256"):
        paths, loaded = came, load(config, came)
    if fingerprint.digest(loaded.bars) == made.digest.get("sha256"):
        return Data(loaded, paths)
    span = (str(about.get("start")), str(about.get("end")))
    loaded = between(load(config, paths, whole=True), span)
    found = fingerprint.fingerprint(loaded.bars, by="day" if about.get("by") == "day" else "month")
    if found["digest"] == made.digest.get("sha256"):
        return Data(loaded, paths, span, ["the data has more bars now than the run read: they are left out"])
    known = days.known(recorded.sealed)
    if gone := days.gone(known, loaded.bars) or sorted(parts.keys() - found["parts"].keys()):
        raise InputError(f"the data has no bars of {_named(gone)} any more", hint=_ELSEWHERE)
    changed = fingerprint.compare({"parts": parts}, found)
    said = [f"the data is not what the run read: other bars in {_named(changed)}"]
    closer = days.changed(known, loaded.bars) if found["by"] == "month" else []
    return Data(loaded, paths, span, said, changed, closer)


def load(config: Config, paths: Sequence[str], *, whole: bool = False) -> Loaded:
    """Load bars as a run does; with `whole`, from the first to the last that the files have.

    One file of bars as an archive has them (`market.fingerprint.content`) is taken as it is.
    """
    data = config.data
    if len(paths) == 1 and paths[0].endswith(_CONTENT):
        return _content(Path(paths[0]))
    return ohlcv.load_bars(
        list(paths),
        symbol=data.symbol,
        timeframe=data.timeframe,
        calendar=data.calendar,
        on_violation=data.on_violation,
        reading=msgspec.structs.replace(data, start=None, end=None) if whole else data,
        periods_per_year=config.stats.periods_per_year,
    )


def between(loaded: Loaded, span: tuple[str, str]) -> Loaded:
    """Return the bars from one time to another, both included; InputError where there are none."""
    bars = loaded.bars
    try:
        first, last = (np.datetime64(time.removesuffix("Z"), "ns") for time in span)
    except ValueError:
        raise InputError(f"the run's bars have no first and last time: {' and '.join(span)}") from None
    inside = (bars.timestamp >= first) & (bars.timestamp <= last)
    if not inside.any():
        raise InputError(f"the data has no bars from {span[0][:10]} to {span[1][:10]} any more", hint=_ELSEWHERE)
    columns = {name: getattr(bars, name)[inside] for name in COLUMNS}
    return msgspec.structs.replace(loaded, bars=Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe))


def _came(along: Path, digest: str) -> list[str]:
    """Return the file of bars of a digest in a folder; none where there is none."""
    name = f"{digest}{_CONTENT}"
    there = re.fullmatch("[0-9a-f]{64}", digest) and door.exists(along, name)
    return [str(along / name)] if there else []


def _content(path: Path) -> Loaded:
    try:
        content = door.read(path.parent, path.name, _LARGEST)
        bars = fingerprint.parse(content)
    except (OSError, RunError) as error:
        why = error.message if isinstance(error, RunError) else error.strerror
        raise InputError(f"the bars that came along can't be read: {why}", hint=_ELSEWHERE) from None
    file = SourceFile(str(path), hashlib.sha256(content).hexdigest(), len(content))
    return Loaded(bars=bars, files=[file], assumptions=[], violations=0, dropped=0, problems=[], gaps=Gaps(0, []))


def _found(recorded: Recorded, about: dict[str, Any], root: Path) -> list[str]:
    return _named_by(recorded, recorded.config.data.path, about, root, "data", _ELSEWHERE)


def _named_by(recorded: Recorded, path: str, about: dict[str, Any], root: Path, what: str, elsewhere: str) -> list[str]:
    """Return the files that a path of the config means, as the run found them; `what` they hold."""
    try:
        files: Any = about.get("files")
        return promised.find(path, [root / recorded.folder, root], files, recorded.home)
    except promised.Grown as error:
        raise InputError(error.message, hint=elsewhere) from None
    except (InputError, OSError) as error:
        why = error.message if isinstance(error, InputError) else error.strerror
        days = f"{str(about.get('start'))[:10]} to {str(about.get('end'))[:10]}"
        raise InputError(f"the {what} is gone, bars from {days}: {why}", hint=elsewhere) from None
    except (TypeError, ValueError, LookupError):
        raise InputError(f"the manifest does not say which files the {what} came from", hint=elsewhere) from None


def _named(periods: Sequence[str]) -> str:
    shown = ", ".join(periods[:_SHOWN])
    return f"{shown} … and {len(periods) - _SHOWN} more, to {periods[-1]}" if len(periods) > _SHOWN else shown
