"""A process that is killed at any of its calls leaves the lake as it was, or as it was to be, and nothing else."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peak_trade.data.lake import build, check, commit, compact, ingest
from peak_trade.errors import PeakError
from peak_trade.evidence.results import Results

KILLED = -9
VALUES = ("runs", "params", "stats", "equity", "trades", "receipts", "ledger", "spans", "logs", "telemetry")


def state(look: Any, lake: Path) -> Any:
    """Return what a reader sees; the time at which bars came in is left out, as each attempt has its own."""
    if not any((lake / "_commits").glob("0*.json")):
        return None
    bars = "symbol, timeframe, source, CAST(timestamp AS VARCHAR), open, high, low, close, volume, revision"
    return look.contents(lake, VALUES) | {
        name: sorted(look.rows(lake, f"SELECT {bars} FROM {name}")) for name in ("ohlcv", "ohlcv_revisions")
    }


class Seen:
    """What readers of a lake see; a lake of the same intact files is asked and checked only once."""

    def __init__(self, look: Any) -> None:
        self.look, self.known = look, dict[frozenset[str], tuple[Any, list[Any]]]()

    def __call__(self, lake: Path) -> tuple[Any, list[Any]]:
        found = commit.newest(lake)
        if not found.number:
            return None, []
        for part in (part for live in found.tables.values() for part in live.parts):
            assert hashlib.sha256((lake / part.path).read_bytes()).hexdigest() == part.sha256, part.path
        key = frozenset(found.paths)
        if key not in self.known:
            self.known[key] = state(self.look, lake), check.check(lake).findings
        return self.known[key]


def killed_everywhere(
    forge: Any,
    look: Any,
    fresh: Callable[[], Path],
    do: str,
    allowed: Callable[[Any], bool],
    until: str = "",
    first: int = 1,
    **request: Any,
) -> tuple[list[str], list[str]]:
    """Kill at the `first`, next, … call until it completes; return where it died, and what was wrong after.

    A control looks no further than the first fault that has `until` in it.
    """
    places: list[str] = []
    wrong: list[str] = []
    see = Seen(look)
    for n in range(first, 400):
        if until and any(until in fault for fault in wrong):
            return places, wrong
        lake = fresh()
        code, calls = forge.ask(do, lake, n=n, **request)
        wrong += [call for call in calls if call.startswith("uncounted")]
        if code != KILLED:
            assert code == 0, calls
            return places, wrong
        places.append(calls[-1])
        at = f"killed at call {n} ({calls[-1]})"
        try:
            found, findings = see(lake)
        except (AssertionError, OSError, PeakError) as error:
            wrong.append(f"{at}: {error}")
            continue
        wrong += [f"{at}: {finding}" for finding in findings]
        if not allowed(found):
            wrong.append(f"{at}: a reader sees neither before nor after")
        if n % 8 == 0:  # the next process finishes the work, and compaction sweeps up
            assert forge.ask(do, lake, **request | {"sabotage": ""})[0] == 0
            compact.compact(lake, grace_s=0)
            if left := look.strays(lake):
                wrong.append(f"{at}: compaction left {left}")
            if not allowed(see(lake)[0]):
                wrong.append(f"{at}: the next process made something else")
    raise AssertionError("it did not complete")


@pytest.fixture(scope="module")
def template(look: Any, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the other tests' template, with one sealed run and one that failed: every call is tried with all of it."""
    folder = tmp_path_factory.mktemp("few")
    for name in ("bars.csv", "config.toml", "broken.toml", "broken.py"):
        shutil.copy(template / name, folder)
    look.run(folder / "config.toml", folder / "results")
    look.run(folder / "broken.toml", folder / "results")
    return folder


@pytest.fixture
def fresh(place: Path) -> Callable[[Path], Callable[[], Path]]:
    """Return a function that gives, for a lake, fresh copies of it at one path."""

    def of(lake: Path) -> Callable[[], Path]:
        before = lake.rename(place / "before") if lake.exists() else None

        def copy() -> Path:
            shutil.rmtree(lake, ignore_errors=True)
            if before:
                shutil.copytree(before, lake)
            return lake

        return copy

    return of


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True], ids=["before a call", "half way through a write"])
def test_the_first_build_may_be_killed_at_any_call(forge: Any, look: Any, place: Path, fresh: Any, half: bool) -> None:
    build.build(Results(place / "results"), place / "whole", root=place)
    whole = state(look, place / "whole")

    def allowed(found: Any) -> bool:
        if found is None:
            return True
        batch = len(found["runs"]) == 1 and set(found["runs"]) < set(whole["runs"])
        return batch or bool(found == whole)

    places, wrong = killed_everywhere(
        forge, look, fresh(place / "lake"), "build", allowed, results=place / "results", root=place, half=half
    )
    assert not wrong, "\n".join(wrong)
    if not half:
        kinds = {place.split()[0] for place in places}
        assert {"open", "write", "fsync", "mkdir", "rename", "link", "unlink"} <= kinds


@pytest.mark.slow
def test_a_rebuild_killed_at_any_call_shows_nothing_of_itself(
    forge: Any, look: Any, place: Path, lake: Path, fresh: Any
) -> None:
    whole = state(look, lake)
    _, wrong = killed_everywhere(
        forge, look, fresh(lake), "rebuild", lambda found: found == whole, results=place / "results", root=place
    )
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True], ids=["before a call", "half way through a write"])
def test_an_ingest_with_a_revision_may_be_killed_at_any_call(
    forge: Any, look: Any, place: Path, fresh: Any, half: bool
) -> None:
    lake, before = place / "lake", look.bars([10, 11, 12], "2023-12-31T22:00", symbol="KILL")
    ingest.ingest_bars(lake, before, source="forge")
    shutil.copytree(lake, place / "done")
    change = {"closes": [11, 12.5, 13], "start": "2023-12-31T23:00"}
    assert forge.ask("ingest", place / "done", **change)[0] == 0
    states = [state(look, lake), state(look, place / "done")]
    assert len(states[1]["ohlcv"]) == 4 and len(states[1]["ohlcv_revisions"]) == 1
    _, wrong = killed_everywhere(forge, look, fresh(lake), "ingest", states.__contains__, half=half, **change)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_going_back_may_be_killed_at_any_call(forge: Any, look: Any, place: Path, fresh: Any) -> None:
    lake = place / "lake"
    ingest.ingest_bars(lake, look.bars([10, 11, 12], "2023-12-31T22:00", symbol="KILL"), source="forge")
    ingest.ingest_bars(lake, look.bars([10, 11.5, 12, 13], "2023-12-31T22:00", symbol="KILL"), source="forge")
    shutil.copytree(lake, place / "done")
    assert forge.ask("revert", place / "done", to=1)[0] == 0
    shutil.copytree(place / "done", place / "twice")
    assert forge.ask("revert", place / "twice", to=1)[0] == 0  # as the next process does it again
    states = [state(look, lake), state(look, place / "done")]
    assert len(states[1]["ohlcv"]) == 3 and len(states[1]["ohlcv_revisions"]) == 3
    assert state(look, place / "twice") == states[1]
    _, wrong = killed_everywhere(forge, look, fresh(lake), "revert", states.__contains__, to=1)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_a_build_that_reads_telemetry_again_may_be_killed_at_any_call(
    forge: Any, look: Any, otlp: Any, place: Path, fresh: Any
) -> None:
    run_id = next((place / "results").glob("????????-*")).name
    otlp.run(place / "results", run_id)
    build.build(Results(place / "results"), place / "lake", root=place)
    late = otlp.line(run_id, spans=[otlp.span("report", 1, 500, 9, trace=2)])
    otlp.write(place / "results" / run_id / "telemetry", "report.traces.jsonl", late)
    shutil.copytree(place / "lake", place / "done")
    build.build(Results(place / "results"), place / "done", root=place)
    states = [state(look, place / "lake"), state(look, place / "done")]
    assert [len(found["spans"]) for found in states] == [5, 6]
    places, wrong = killed_everywhere(
        forge, look, fresh(place / "lake"), "build", states.__contains__, results=place / "results", root=place
    )
    assert not wrong, "\n".join(wrong)
    assert any(place.startswith("rename _writing/") for place in places)


def scattered(place: Path, look: Any) -> Path:
    """Return a lake with files to merge, and one that a killed writer left."""
    lake = place / "lake"
    build.build(Results(place / "results"), lake, root=place)
    for day in (1, 2, 3):
        ingest.ingest_bars(lake, look.bars([10 * day] * 24, f"2024-02-{day:02}", symbol="KILL"), source="forge")
    # larger files first: those are not taken in by later ones
    ingest.ingest_bars(lake, look.bars([40] * 10, "2024-02-04", symbol="KILL"), source="forge")
    ingest.ingest_bars(lake, look.bars([50] * 5, "2024-02-05", symbol="KILL"), source="forge")
    (lake / "ohlcv" / "stray.parquet").write_bytes(b"half")
    return lake


@pytest.mark.slow
def test_a_compaction_killed_at_any_call_changes_no_row(forge: Any, look: Any, place: Path, fresh: Any) -> None:
    lake = scattered(place, look)
    whole = state(look, lake)
    places, wrong = killed_everywhere(forge, look, fresh(lake), "compact", lambda found: found == whole)
    assert not wrong, "\n".join(wrong)
    assert any(place.startswith("unlink ohlcv/symbol=KILL") for place in places)
    assert "unlink ohlcv/stray.parquet" in places


@pytest.mark.slow
@pytest.mark.parametrize("do, how", [("build", "marker_first"), ("compact", "remove_first")])
def test_control_a_writer_with_a_gap_is_found_out(
    forge: Any, look: Any, place: Path, fresh: Any, do: str, how: str
) -> None:
    lake = scattered(place, look)
    whole = state(look, lake)
    if do == "build":
        look.run(place / "config.toml", place / "results")
    again, request = fresh(lake), {"results": place / "results", "root": place, "sabotage": how}
    _, calls = forge.ask(do, again(), **request)
    gap = next(n for n, call in enumerate(calls, 1) if call.startswith(("link ", "unlink ohlcv/")))
    _, wrong = killed_everywhere(
        forge, look, again, do, lambda found: found == whole, until="parquet", first=gap, **request
    )
    assert any("parquet" in fault for fault in wrong)


def test_a_marker_is_written_after_all_that_it_names_is_on_disk(forge: Any, place: Path) -> None:
    _, calls = forge.ask("build", place / "lake", results=place / "results", root=place)
    links = [at for at, call in enumerate(calls) if call.startswith("link ")]
    assert len(links) == 2  # batches
    for at, call in enumerate(calls):
        if call.startswith("rename "):
            marker = next(link for link in links if link > at)
            draft = call.removeprefix("rename ")
            written = max(i for i in range(at) if calls[i] == f"write {draft}")
            assert f"fsync {draft}" in calls[written:at]
            assert any(step.startswith("fsync ") and "_writing" not in step for step in calls[at:marker])
    for link in links:
        draft = calls[link].removeprefix("link ")
        assert f"fsync {draft}" in calls[:link]
        assert calls[link + 1] == "open _commits" and calls[link + 2] == "fsync _commits"


# --- at any instant -----------------------------------------------------------------------------------------------

KILLS = [(deed, n) for deed, count in {"build": 25, "rebuild": 15, "ingest": 20, "compact": 15, "revert": 15}.items()
         for n in range(count)]  # fmt: skip
CHANGE: dict[str, dict[str, Any]] = {
    "ingest": {"closes": [50, 50.5, 51], "start": "2024-02-05T03:00"},  # as it was, revised, new
    "revert": {"to": 1},
}
TOOK: dict[str, float] = {}  # seconds of what was done once without being killed


def killed_at_an_instant(forge: Any, do: str, lake: Path, copy: Callable[[], Path], number: int, **given: Any) -> None:
    """Kill once, at an instant drawn from all those that it takes; what was quicker is killed earlier."""
    if do not in TOOK:
        copy()
        began = time.monotonic()
        assert forge.ask(do, lake, **given)[0] == 0
        TOOK[do] = time.monotonic() - began
    lot = random.Random(f"{do} {number}")
    for _ in range(50):
        copy()
        if forge.ask(do, lake, kill_after_s=lot.uniform(0, TOOK[do]), **given)[0] == KILLED:
            return
    raise AssertionError("it was never killed")


@pytest.fixture(scope="module")
def prepared(
    forge: Any, look: Any, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, dict[str, Any], list[Any]]]:
    """Return a function that gives a folder with a lake before a change, what the change is given, and both states."""
    known: dict[str, tuple[Path, dict[str, Any], list[Any]]] = {}

    def of(do: str) -> tuple[Path, dict[str, Any], list[Any]]:
        if do not in known:
            place = tmp_path_factory.mktemp(do) / "place"
            shutil.copytree(template, place)
            lake = scattered(place, look)
            if do == "build":
                look.run(place / "config.toml", place / "results")
            given = {"results": place / "results", "root": place} if "build" in do else CHANGE.get(do, {})
            shutil.copytree(lake, place / "done")
            assert forge.ask(do, place / "done", **given)[0] == 0
            known[do] = place, given, [state(look, lake), state(look, place / "done")]
        return known[do]

    return of


@pytest.mark.hostile(share=2)
@pytest.mark.parametrize(("do", "number"), KILLS)
def test_a_lake_whose_writer_was_killed_at_any_instant_is_as_before_or_after(
    forge: Any, look: Any, prepared: Any, tmp_path: Path, do: str, number: int
) -> None:
    place, given, states = prepared(do)
    lake, see = tmp_path / "lake", Seen(look)

    def copy() -> None:
        shutil.rmtree(lake, ignore_errors=True)
        shutil.copytree(place / "lake", lake)

    killed_at_an_instant(forge, do, lake, copy, number, **given)
    found, findings = see(lake)
    assert findings == []
    assert found in states
    assert forge.ask(do, lake, **given)[0] == 0
    compact.compact(lake, grace_s=0)
    assert look.strays(lake) == set()
    assert see(lake)[0] == states[1]
