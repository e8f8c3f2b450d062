"""Is everything in the lake as it must be? Reads only.

Digests first: a file whose bytes are not those of its marker is named and looked at no further. Then the contracts over
every bar and trade, row by row; each bar once; the tables against each other, and against the results that they are of;
and gaps, which are shown and no finding.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from peak_trade.data.lake import commit, history, names, parts, query, schema
from peak_trade.data.lake.commit import Commit, Live, Part
from peak_trade.errors import PeakError
from peak_trade.evidence.ledger import ENDED, EVENTS, REMOVED
from peak_trade.evidence.manifest import COMPLETED, RUN, SWEPT
from peak_trade.evidence.results import Results
from peak_trade.evidence.tables import EXCURSIONS
from peak_trade.market.bars import Bars
from peak_trade.market.contract import Violations, check_ohlcv, check_trades
from peak_trade.market.gaps import count_gaps
from peak_trade.market.trades import EXIT_REASONS, SIDES, Trades
from peak_trade.text import counted

__all__ = ["Checked", "Finding", "check"]

_OF_RUNS = ("params", "stats", "equity", "trades", "trials", "run_symbols", "receipts")


class Finding(Struct, frozen=True):
    """What is wrong, in which table, file and row (from 0 in the file; None where the whole is meant)."""

    table: str
    file: str
    row: int | None
    what: str

    def __str__(self) -> str:
        row = "" if self.row is None else f" row {self.row}"
        return f"{self.table}: {self.file}{row}: {self.what}" if self.file else f"{self.table}: {self.what}"


class Checked(Struct):
    """What was found; `gaps` are lines for people, `strays` files that no marker names."""

    tables: int = 0
    files: int = 0
    rows: int = 0
    findings: list[Finding] = []
    gaps: list[str] = []
    strays: int = 0

    def as_text(self) -> str:
        """Return a line for each finding and each series with gaps, and one for all."""
        state = counted(len(self.findings), "finding") if self.findings else "all is as it must be"
        strays = f"; {counted(self.strays, 'file')} that nothing names (just lake-compact removes them)"
        total = ", ".join((counted(self.tables, "table"), counted(self.files, "file"), counted(self.rows, "row")))
        return "\n".join(
            [
                *map(str, self.findings),
                *(f"gaps: {line}" for line in self.gaps),
                f"{total}: {state}{strays if self.strays else ''}",
            ]
        )


def check(lake: str | os.PathLike[str], results: Results | None = None) -> Checked:
    """Check the newest commit of a lake, and that its runs are those of `results`, where that has a ledger.

    Raises InputError where there is no lake.
    """
    reader = commit.reading(lake)
    try:
        checking = _Check(Path(lake), reader.commit)
        checked = checking.go()
        if results is not None:
            checking.check_origin(results)
        return checked
    finally:
        reader.close()


class _Check:
    def __init__(self, lake: Path, found: Commit) -> None:
        self.lake, self.commit = lake, found
        self.checked = Checked()

    def go(self) -> Checked:
        checked = self.checked
        for name, live in self.commit.tables.items():
            checked.tables += 1
            for part in live.parts:
                checked.files += 1
                checked.rows += part.rows
                self._check_file(name, part)
        if not checked.findings:  # the rest reads all files
            for name, live in self.commit.tables.items():
                if live.partitions:
                    self._check_names(name, live)
            self._check_series()
            self._check_past()
            self._check_trades()
            self._check_references()
        known = {path for number in commit.numbers(self.lake) for path in commit.read(self.lake, number).paths}
        checked.strays = sum(path not in known for path in commit.files_of(self.lake))
        return checked

    def check_origin(self, results: Results) -> None:
        """Find the runs that `results` never had; one that was removed is still in its ledger, and keeps its rows."""
        live = self.commit.tables.get("runs")
        if (
            live is None
            or not results.ledger.path.exists()
            or any(found.table == "runs" and found.file for found in self.checked.findings)
        ):
            return
        known = results.reading().runs.keys() | {path.name for path in results.runs()}
        there = parts.read_rows(self.lake, "runs", live.parts, ["run_id"])["run_id"].to_pylist()
        if foreign := sorted(set(there) - known):
            named = ", ".join(run_id[:8] for run_id in foreign[:3]) + (" and others" if foreign[3:] else "")
            what = f"{len(foreign):,} run{'s are' if foreign[1:] else ' is'} of other results than {results.path}"
            self.add("runs", "", None, f"{what} ({named}): just lake-build --rebuild leaves them out")

    def add(self, table: str, file: str, row: int | None, what: str) -> None:
        self.checked.findings.append(Finding(table, file, row, what))

    def _check_file(self, name: str, part: Part) -> None:
        """Hold a file against its marker: digest, rows, and the least and greatest value it is found by."""
        if (self.lake / part.path).is_symlink():
            self.add(name, part.path, None, "is a link")
            return
        try:
            rows = parts.read_part(self.lake, name, part, [schema.TABLES[name].sort[0]])
        except (PeakError, pa.ArrowException, OSError, KeyError) as error:
            text = error.message if isinstance(error, PeakError) else str(error).splitlines()[0]
            self.add(name, part.path, None, text.removeprefix(f"{part.path}: ").removeprefix(f"{part.path} "))
            return
        if rows.num_rows != part.rows:
            self.add(name, part.path, None, f"holds {rows.num_rows:,} rows, its marker says {part.rows:,}")
        elif parts.ends(rows.column(0)) != (part.first, part.last):
            self.add(name, part.path, None, f"does not run from {part.first} to {part.last}")

    def _check_series(self) -> None:
        """Check the bars of each symbol, timeframe and source: the contract, each bar once, and gaps."""

        def key(part: Part) -> tuple[str, ...]:
            return tuple(part.series[name] for name in ("symbol", "timeframe", "source"))

        live = self.commit.tables.get("ohlcv")
        for (symbol, timeframe, source), found in groupby(sorted(live.parts if live else [], key=key), key=key):
            together = sorted(found, key=lambda part: part.first)
            tables = [parts.read_part(self.lake, "ohlcv", part) for part in together]
            for part, table in zip(together, tables, strict=True):
                self._violations("ohlcv", part, 0, check_ohlcv(_bars(table, symbol, timeframe)))
                years = pc.unique(pc.year(table["timestamp"])).to_pylist()
                if [str(year) for year in years] != [part.series["year"]]:
                    self.add("ohlcv", part.path, None, f"holds bars of {', '.join(map(str, years))}")
            times = np.concatenate([parts.to_numpy(table["timestamp"], "i8") for table in tables])
            ordered = np.sort(times)
            if twice := int((ordered[1:] == ordered[:-1]).sum()):
                at = ordered[1:][ordered[1:] == ordered[:-1]][0]
                self.add("ohlcv", "", None, f"{symbol} {timeframe} of {source!r} has {twice:,} bars more than once, "
                                            f"first {_time(at)}")  # fmt: skip
                continue
            calendar = tables[-1]["calendar"][-1].as_py()
            gaps = count_gaps(ordered.view("M8[us]").astype("M8[ns]"), timeframe, calendar)
            if gaps.missing:
                self.checked.gaps.append(
                    f"{symbol} {timeframe}{f' of {source}' if source else ''}{f' on {calendar}' if calendar else ''}: "
                    f"{gaps.missing:,} bars missing ({', '.join(gaps.first)})"
                )

    def _check_past(self) -> None:
        """Find what came into a series and looks like another instrument, unless a person has accepted it."""
        for what in history.doubtful(self.lake, self.commit.tables):
            self.add("ohlcv", "", None, what)

    def _check_names(self, name: str, live: Live) -> None:
        """Check that each partition reads back as it is called: here, and by what else reads the folders."""
        for part in live.parts:
            if names.is_null(part):
                value = next(value for value in part.series.values() if value == names.NULL)
                what = f"other engines read {value!r} in its folder's name as NULL (just lake-compact gives it another)"
                self.add(name, part.path, None, what)
        if not live.parts:
            return
        expected: dict[tuple[str, ...], int] = {}
        for part in live.parts:
            key = tuple(part.series[column] for column in live.partitions)
            expected[key] = expected.get(key, 0) + part.rows
        columns = ", ".join(f"{column}::VARCHAR" for column in live.partitions)
        with query.connect(self.lake, questions=()) as connection:
            rows = connection.execute(f"SELECT {columns}, count(*) FROM {name} GROUP BY ALL").fetchall()
        found = {tuple(row[:-1]): row[-1] for row in rows}
        for key in sorted(set(expected) | set(found), key=str):
            if expected.get(key, 0) != found.get(key, 0):
                shown = "/".join(str(value) for value in key)
                what = f"{shown} reads back as {found.get(key, 0):,} rows, its files hold {expected.get(key, 0):,}"
                self.add(name, "", None, what)

    def _violations(self, name: str, part: Part, offset: int, found: Violations) -> None:
        for violation in found.first:
            row = None if violation.row is None else violation.row + offset
            self.add(name, part.path, row, f"{violation.column}: {violation.value} {violation.must} ({violation.rule})")
        if len(found) > len(found.first):
            self.add(name, part.path, None, f"and {len(found) - len(found.first):,} more")

    def _check_trades(self) -> None:
        live, runs = self.commit.tables.get("trades"), self.commit.tables.get("runs")
        others = set()
        if runs and "kind" in runs.columns:
            rows = parts.read_rows(self.lake, "runs", runs.parts, ["run_id", "kind", "engine"]).to_pylist()
            ours = (RUN, SWEPT, None)
            others = {row["run_id"] for row in rows if row["kind"] not in ours or row["engine"] is not None}
        for part in live.parts if live else []:
            table = parts.read_part(self.lake, "trades", part)
            trades = _trades(table)
            for run_id, start, length in parts.run_slices(table):
                found = check_trades(_slice(trades, start, length), gaps=run_id in others)
                self._violations("trades", part, start, found)

    def _check_references(self) -> None:
        """Check that every row of a run has its run, and that a sealed run has all its rows."""
        with query.connect(self.lake, questions=()) as connection:

            def count(sql: str) -> int:
                return int(connection.execute(sql).fetchall()[0][0])

            if twice := count("SELECT count(*) - count(DISTINCT run_id) FROM runs"):
                self.add("runs", "", None, f"{twice:,} runs stand there more than once")
            for name in [name for name in _OF_RUNS if name in self.commit.tables]:
                if lost := count(f"SELECT count(DISTINCT run_id) FROM {name} ANTI JOIN runs USING (run_id)"):
                    self.add(name, "", None, f"{lost:,} run_ids that `runs` has not")
            for name, own in (("equity", "bars"), ("trades", "trades")):
                wrong = count(
                    f"""SELECT count(*) FROM runs r LEFT JOIN
                        (SELECT run_id, count(*) AS counted FROM {name} GROUP BY run_id) c USING (run_id)
                        WHERE r.status IN {COMPLETED} AND coalesce(c.counted, 0) <> coalesce(r.{own}, 0)"""
                )
                if wrong:
                    self.add(name, "", None, f"{wrong:,} runs have another number of rows than `runs.{own}` says")
            if "trials" in self.commit.tables:  # a lake of an older version has none before a build
                self._check_trials(count)
            events = ", ".join(f"'{name}'" for name, event in EVENTS.items() if event.state in (*ENDED, REMOVED))
            told = f"SELECT DISTINCT run_id FROM ledger WHERE event IN ({events})"
            if lost := count(f"SELECT count(*) FROM ({told}) ANTI JOIN runs USING (run_id)"):
                self.add("ledger", "", None, f"{lost:,} runs have ended that `runs` has not (just lake-build)")
            if lost := count(f"SELECT count(*) FROM runs ANTI JOIN ({told}) USING (run_id)"):
                self.add("runs", "", None, f"{lost:,} runs of which the ledger says nothing")
            if "telemetry" in self.commit.tables:  # a lake of an older version has none before a build
                self._check_telemetry(count)

    def _check_trials(self, count: Callable[[str], int]) -> None:
        """Check that each sweep has all its trials, each once, and that kept runs have what their rows have."""
        wrong = count(
            """SELECT count(*) FROM runs r LEFT JOIN
               (SELECT run_id, count(*) AS counted, count(DISTINCT index) AS different FROM trials GROUP BY run_id) c
               USING (run_id)
               WHERE r.kind = 'swept' AND r.status IN ('sealed', 'ruined')
                 AND (coalesce(c.counted, 0) <> coalesce(r.trials, 0) OR c.counted <> c.different)"""
        )
        if wrong:
            self.add("trials", "", None, f"{wrong:,} sweeps have another number of rows than `runs.trials` says")

    def _check_telemetry(self, count: Callable[[str], int]) -> None:
        """Check that each span is there once, and that the rows are as many as were taken from each folder."""
        if twice := count("SELECT count(*) - count(DISTINCT (run_id, trace_id, span_id)) FROM spans"):
            self.add("spans", "", None, f"{twice:,} spans stand there more than once")
        if wrong := count("SELECT count(*) FROM spans WHERE NOT coalesce(duration_ms >= 0, false)"):
            self.add("spans", "", None, f"{wrong:,} spans end before they start")
        for name, signal in (("spans", "traces"), ("logs", "logs")):
            wrong = count(
                f"""SELECT count(*) FROM (SELECT folder, sum(rows) AS told FROM telemetry
                                          WHERE signal = '{signal}' GROUP BY folder)
                    FULL JOIN (SELECT folder, count(*) AS counted FROM {name} GROUP BY folder) USING (folder)
                    WHERE coalesce(told, 0) <> coalesce(counted, 0)"""
            )
            if wrong:
                self.add(name, "", None, f"{wrong:,} folders have another number of rows than `telemetry` says")


def _bars(table: Any, symbol: str, timeframe: str) -> Bars:
    columns = {name: parts.to_numpy(table[name], "f8") for name in ("open", "high", "low", "close", "volume")}
    return Bars(timestamp=_nanoseconds(table["timestamp"]), symbol=symbol, timeframe=timeframe, **columns)


def _nanoseconds(column: Any) -> Any:
    known = parts.to_numpy(pc.fill_null(column.cast(pa.int64()), np.iinfo(np.int64).min), "i8")
    return known.view("M8[us]").astype("M8[ns]")


def _trades(table: Any) -> Trades:
    """Return the trades of a file as the contract looks at them; a word that is unknown becomes a code that is."""
    floats = ("entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "slippage", "pnl", "return")
    columns = {
        f"{name}_" if name == "return" else name: parts.to_numpy(pc.fill_null(table[name], np.nan), "f8")
        for name in floats
    }
    for name in EXCURSIONS:  # null, or in a lake of an older version not there, for trades that were kept without
        if name in table.column_names:
            columns[name] = parts.to_numpy(pc.fill_null(table[name], np.nan), "f8")
    sides = {word: code for code, word in SIDES.items()}
    reasons = {word: code for code, word in enumerate(EXIT_REASONS)}
    return Trades(
        symbol="",
        side=np.array([sides.get(word, 0) for word in table["side"].to_pylist()], np.int8),
        entry_time=_nanoseconds(table["entry_time"]),
        exit_time=_nanoseconds(table["exit_time"]),
        bars_held=parts.to_numpy(pc.fill_null(table["bars_held"], -1), "i8"),
        exit_reason=np.array([reasons.get(word, -1) for word in table["exit_reason"].to_pylist()], np.int8),
        **columns,
    )


def _slice(trades: Trades, start: int, length: int) -> Trades:
    """Return some of the trades."""
    columns = {name: getattr(trades, name) for name in Trades.__struct_fields__ if name != "symbol"}
    there = {name: column[start : start + length] for name, column in columns.items() if column is not None}
    return Trades(symbol="", **there)


def _time(micros: int) -> str:
    return f"{np.int64(micros).view('M8[us]').astype('M8[s]')}Z"
