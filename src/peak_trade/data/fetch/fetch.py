"""Fetch bars: what is missing is asked for, what is not given is asked for again, and what stays missing is named."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

import peak_trade
from peak_trade.data.fetch import kept
from peak_trade.data.fetch.client import GO_ON, Client, Patience
from peak_trade.data.fetch.grid import VALUES, Grid, Run, Store
from peak_trade.data.fetch.order import Order, milliseconds, utc
from peak_trade.errors import InputError, RunError, did_you_mean
from peak_trade.evidence import ledger
from peak_trade.market.bars import Bars
from peak_trade.market.contract import check_ohlcv
from peak_trade.market.fingerprint import fingerprint
from peak_trade.redact import Redactor

__all__ = ["Fetched", "Telling", "fetch"]

SAVED_EVERY_S = 10.0  # what a process that is killed may lose
SHOWN = 5
LISTED = 10_000  # holes and revisions in the note
MODES = ("reject", "drop-rows")


class Telling(Struct, frozen=True):
    """How a person is told: a line, something that looks wrong, and how many bars of how many there are."""

    say: Callable[[str], None] = lambda text: None
    warn: Callable[[str], None] = lambda text: None
    progress: Callable[[int, int], None] = lambda done, of: None


class Fetched(Struct, frozen=True):
    """What has come of a fetch: the file and its bars, how many are `new`, and the note beside the file."""

    path: Path
    bars: Bars
    new: int
    note: dict[str, Any]


def fetch(
    order: Order,
    path: Path,
    *,
    telling: Telling = Telling(),  # noqa: B008 - frozen, so one for all calls
    patience: Patience = Patience(),  # noqa: B008 - frozen, so one for all calls
    recheck: bool = False,
    revise: bool = False,
    on_violation: str = "reject",
) -> Fetched:
    """Fetch the bars of an order into a Parquet file, which it may extend.

    The file covers one stretch, from the earlier of its first bar and the order's `since`: only what is missing of it
    is asked for, and the last page of what is held, or with `recheck` all of it, to be compared. A bar that has other
    values now takes the place of the old one, which the note keeps; where that is more than half of those compared,
    RunError, unless `revise`. What the exchange does not give when it is asked twice is a hole: warned of, and noted.

    Interrupted at any point, the bars given so far stay beside the file, and the same order goes on from there.

    Raises InputError for what is wrong with the order or the file, RunError where the exchange does not answer, gives
    nothing, or gives bars that break the contract (which `on_violation="drop-rows"` leaves out).
    """
    if on_violation not in MODES:
        raise InputError(f"unknown --on-violation `{on_violation}`", hint=did_you_mean(on_violation, MODES))
    if path.suffix not in (".parquet", ".pq"):
        raise InputError(f"{path} is no name for a Parquet file", hint=f"--output {path.with_suffix('.parquet').name}")
    client = Client(order, patience, telling.say)
    with kept.claimed(path):
        return _Fetch(order, path, client, telling, recheck).run(revise, on_violation)


class _Fetch:
    """One fetch while it goes on."""

    def __init__(self, order: Order, path: Path, client: Client, telling: Telling, recheck: bool) -> None:
        self.order, self.path, self.client, self.telling = order, path, client, telling
        self.series = {"exchange": client.name, "symbol": client.symbol, "timeframe": client.timeframe}
        self.note = kept.read_note(path)
        file, part = kept.read(path), kept.read(kept.part_of(path))
        self._refuse_others(path, file)
        self._refuse_others(kept.part_of(path), part)
        self.as_noted = bool(self.note) and path.exists() and kept.describe(path) == self.note["file"]
        marks = fingerprint(kept.as_bars(file.times, file.values, client.symbol, client.timeframe))
        self.as_fetched = (
            self.as_noted or file.origin.get("bars") == marks["digest"]
        )  # the note may have come to nothing
        if len(file.times) and not self.as_fetched:
            telling.warn(f"{path} is not as it was fetched: all of its bars are asked for again, and compared")
        self.recheck = recheck or not self.as_fetched
        held = np.concatenate((file.times, part.times))
        grid = Grid.of(client.timeframe, int(held[0]) if len(held) else None)
        if not grid.on(held).all():
            raise InputError(f"{path} holds bars between those of {client.timeframe}", hint="another --output")
        ended = int(grid.time(grid.number(client.now)))  # the bar that opens here has not
        until = min(ended, int(grid.time(grid.at_or_after(order.until)))) if order.until is not None else ended
        if ended <= order.since:
            raise InputError(
                f"no bar of {client.timeframe} that opens from {utc(order.since)} on has ended",
                hint=f"an earlier --since: it is {utc(client.now)}",
            )
        last = int(grid.time(grid.number(held.max()) + 1)) if len(held) else until
        first = int(held.min()) if len(held) else order.since
        self.store = Store(grid, min(order.since, first), max(until, last))
        self.store.hold(file.times, file.values)
        self.before = self.store.have.copy()
        if len(part.times):
            self.store.give(part.times, part.values)
            telling.say(f"going on with {_bars(len(part.times))} of an interrupted fetch")
        self.again = np.zeros_like(self.before)
        self.saved = time.monotonic()

    def _refuse_others(self, path: Path, held: kept.Held) -> None:
        """Refuse a file that holds other bars, or whose origin nobody knows."""
        if not len(held.times):
            return
        origin = held.origin or (self.note if path == self.path else {})
        for key, ours in self.series.items():
            if origin.get(key) != ours:
                whose = f"the {key} {origin[key]}, not {ours}" if key in origin else f"bars of no known {key}"
                raise InputError(f"{path} holds {whose}", hint="name another --output; just data-diff compares files")

    def run(self, revise: bool, on_violation: str) -> Fetched:
        try:
            self._ask()
        except BaseException:
            self._save()
            if self.store.fresh.any():
                self.telling.say(f"{_bars(int(self.store.fresh.sum()))} kept beside {self.path}: {GO_ON}")
            raise
        return self._keep(revise, on_violation)

    def _ask(self) -> None:
        """Ask for what is missing and what is to be compared, then for what was not given, until nothing more is."""
        noted = self._noted_holes()
        self.again = self._to_compare()
        self._ask_for(self._due(noted))
        while self._ask_for(self._due(noted)):
            pass
        self.telling.progress(0, 0)

    def _due(self, noted: list[Run]) -> list[Run]:
        """Return what is to be asked for: bars that are missing, and those to compare that were not given yet."""
        store = self.store
        return store.runs((~store.have | (self.again & ~store.fresh)) & ~store.mark(noted))

    def _noted_holes(self) -> list[Run]:
        """Return the holes that an earlier fetch found, and that have bars after them: these are settled."""
        if self.recheck or not self.as_noted or not self.before.any():
            return []
        last = int(self.store.grid.time(self.store.first + int(np.flatnonzero(self.before)[-1])))
        listed = [(milliseconds("holes", hole["from"]), hole) for hole in self.note["holes"]["listed"]]
        return [
            run
            for start, hole in listed
            if (run := Run(start, milliseconds("holes", hole["to"]), hole["bars"])).end <= last
        ]

    def _to_compare(self) -> Any:
        """Return which bars are asked for although they are held: the last page of the file, or all."""
        again = self.before & ~self.store.fresh
        if not self.recheck and again.any():
            again[: max(int(np.flatnonzero(self.before)[-1]) + 1 - self.client.page, 0)] = False
        return again

    def _ask_for(self, runs: list[Run]) -> int:
        """Ask for runs of bars page by page, and return how many bars are new.

        Times rather than numbers lead, for the first bars may move the grid.
        """
        total, before, new = sum(run.bars for run in runs), 0, 0
        for run in runs:
            cursor = run.start
            while cursor < run.end:
                grid = self.store.grid
                at, end = int(grid.number(cursor)), int(grid.number(run.end))
                count = min(max(end - at, 1), self.client.page)
                times, values = self.client.bars(cursor, count)
                if len(times):
                    self._place(times)
                    new += self.store.give(times, values)
                    within = times[times < self.store.until]  # what is not due must not lead past what is
                    cursor = int(
                        self.store.grid.time(self.store.grid.number((within if len(within) else times)[-1]) + 1)
                    )
                else:
                    cursor = int(grid.time(at + count))
                left = max(end - int(grid.number(cursor)), 0)
                self.telling.progress(before + max(run.bars - left, 0), total)
                if time.monotonic() - self.saved > SAVED_EVERY_S:
                    self._save()
            before += run.bars
        return new

    def _place(self, times: Any) -> None:
        """Take the grid from the first bars there are, and refuse bars that stand off it."""
        store = self.store
        if not store.have.any() and not store.grid.on(times).all():
            grid = Grid.of(self.client.timeframe, int(times[0]))
            self.store = store = Store(
                grid, store.since, min(store.until, int(grid.time(grid.number(self.client.now))))
            )
            self.before, self.again = store.have.copy(), store.have.copy()
        if len(astray := np.flatnonzero(~store.grid.on(times))):
            at = utc(int(times[astray[0]]))
            raise RunError(
                f"{self.client.name} gave a bar at {at}, between those of {self.client.timeframe}",
                hint="another --timeframe",
            )

    def _save(self) -> None:
        """Keep what the exchange has given so far beside the file."""
        times, values = self.store.bars(self.store.fresh)
        self.saved = time.monotonic()
        if len(times):
            kept.write(kept.part_of(self.path), times, values, {"format": kept.FORMAT, **self.series})

    def _keep(self, revise: bool, on_violation: str) -> Fetched:
        """Check the bars, and write file and note where they say anything new."""
        store, client = self.store, self.client
        if not store.have.any():
            raise RunError(
                f"{client.name} gave no bars of {client.symbol} {client.timeframe} from {utc(store.since)} on",
                hint="the market may be younger than that, or the exchange gives its newest bars only: a later --since",
            )
        dropped = self._check(on_violation)
        if store.revised and 2 * len(store.revised) > store.compared and not revise:
            self._save()
            raise RunError(
                f"{len(store.revised):,} of {store.compared:,} bars that {self.path} holds have other values now",
                hint="--revise takes them all the same; --output another file, and just data-diff compares the two",
            )
        times, values = store.bars()
        new = int((store.have & ~self.before).sum())
        bars = kept.as_bars(times, values, client.symbol, client.timeframe)
        note = self._noted(bars, new, dropped)
        same = self.as_fetched and not new and not store.revised
        if not same:
            origin = {key: note[key] for key in ("format", *kept.SERIES, "since", "until", "fetched_at", "ccxt")}
            note["file"] = kept.write(self.path, times, values, origin | {"bars": note["bars"]["digest"]})
        elif self.as_noted and all(note[key] == self.note.get(key) for key in ("since", "until", "holes", "dropped")):
            note = self.note
        else:
            note["file"] = kept.describe(self.path)
        if note is not self.note:
            kept.write_note(self.path, note)
        kept.part_of(self.path).unlink(missing_ok=True)
        self._tell(note, new, len(bars))
        return Fetched(self.path, bars, new, note)

    def _check(self, on_violation: str) -> list[str]:
        """Hold the bars against the contract, and return what was left out of them."""
        store = self.store
        times, values = store.bars()
        bars = kept.as_bars(times, values, self.client.symbol, self.client.timeframe)
        found = check_ohlcv(bars)
        if not found:
            return []
        lines = found.lines(lambda row: utc(int(times[row])))
        shown = "".join(f"\n  {line}" for line in lines)
        store.forget(times[found.rows])  # what is kept beside the file holds; these are asked for again
        if on_violation == "reject" or not found.rows.any() or found.rows.all():
            if found.rows.any():
                self._save()
            hint = (
                "--on-violation drop-rows leaves these out, and says so" if found.rows.any() else "another --timeframe"
            )
            raise RunError(
                f"the bars of {self.client.name} break the contract, {len(found):,} violation(s):{shown}", hint=hint
            )
        self.telling.warn(f"{_bars(int(found.rows.sum()))} left out, against the contract:{shown}")
        return lines

    def _noted(self, bars: Bars, new: int, dropped: list[str]) -> dict[str, Any]:
        """Return the note of the file as it is now."""
        store, now = self.store, ledger.now()
        holes = store.missing()
        marks = fingerprint(bars)
        revised = [
            {"timestamp": utc(at), "before": dict(zip(VALUES, old, strict=True)), "noted_at": now}
            for at, old in sorted(store.revised.items())
        ]
        entry = {
            "at": now,
            "since": utc(self.order.since),
            "until": None if self.order.until is None else utc(self.order.until),
            "new": new,
            "compared": store.compared,
            "revised": len(revised),
            "withdrawn": int((self.again & ~store.fresh).sum()),
        }
        address = {"base_url": Redactor().text(self.order.base_url)} if self.order.base_url else {}
        return {
            "format": kept.FORMAT,
            **self.series,
            **address,
            "since": utc(store.since),
            "until": utc(store.until),
            "fetched_at": now,
            "ccxt": self.client.version,
            "peak_trade": peak_trade.__version__,
            "bars": {key: marks[key] for key in ("digest", "rows", "start", "end")},
            "holes": {
                "bars": sum(hole.bars for hole in holes),
                "runs": len(holes),
                "listed": [
                    {"from": utc(hole.start), "to": utc(hole.end), "bars": hole.bars} for hole in holes[:LISTED]
                ],
            },
            "dropped": dropped or ([] if self.recheck else self.note.get("dropped", [])),
            "revised": [*self.note.get("revised", []), *revised][-LISTED:],
            "fetches": [*self.note.get("fetches", []), entry],
        }

    def _tell(self, note: dict[str, Any], new: int, total: int) -> None:
        """Say what has come of it: what is new, what was revised, and what is not there."""
        series, store = f"{self.client.symbol} {self.client.timeframe} of {self.client.name}", self.store
        span = f"{note['bars']['start']} to {note['bars']['end']}"
        self.telling.say(f"{series}: {_bars(new)} new, {total:,} in all, {span}; {store.compared:,} compared")
        if store.revised:
            shown = ", ".join(utc(at) for at in sorted(store.revised)[:SHOWN])
            rest = ", …" if len(store.revised) > SHOWN else ""
            text = f"{_bars(len(store.revised))} revised by {self.client.name} (at {shown}{rest})"
            self.telling.warn(f"{text}: the note keeps what they were")
        if withdrawn := store.runs(self.again & ~store.fresh):
            shown = "; ".join(f"{run.bars:,} from {utc(run.start)} on" for run in withdrawn[:SHOWN])
            count = _bars(sum(run.bars for run in withdrawn))
            self.telling.warn(f"{count} held that {self.client.name} did not give again, asked twice: {shown}; kept")
        if holes := note["holes"]["listed"]:
            shown = "; ".join(f"{one['bars']:,} from {one['from']} on" for one in holes[:SHOWN])
            more = note["holes"]["runs"] - min(len(holes), SHOWN)
            text = (
                f"{_bars(note['holes']['bars'])} missing, which {self.client.name} did not give, asked twice: {shown}"
            )
            self.telling.warn(f"{text}{f'; and {more:,} more runs' if more else ''}")


def _bars(count: int) -> str:
    """Return a number of bars as text.

    >>> _bars(1), _bars(2500)
    ('1 bar', '2,500 bars')
    """
    return f"{count:,} bar{'s' if count != 1 else ''}"
