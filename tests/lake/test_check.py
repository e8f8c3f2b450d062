"""What is wrong in the lake is found, named by table, file and row."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from peak_trade.data.lake import build, check, commit, ingest, parts, schema
from peak_trade.data.lake.writer import writing
from peak_trade.evidence.results import Results
from peak_trade.ops import removal, retention


def every_file(lake: Path) -> list[tuple[str, Path]]:
    return [(name, lake / part.path) for name, live in commit.newest(lake).tables.items() for part in live.parts]


def test_a_whole_lake_has_no_findings(lake: Path) -> None:
    checked = check.check(lake)
    assert (checked.findings, checked.gaps, checked.strays) == ([], [], 0)
    assert checked.rows == sum(live.rows for live in commit.newest(lake).tables.values()) > 100
    assert checked.as_text().endswith("all is as it must be")
    one = check.Checked(1, 1, 1, strays=1).as_text()
    assert one.startswith("1 table, 1 file, 1 row: all is as it must be; 1 file that nothing names (")


@pytest.mark.parametrize("damage", ["flip a bit", "cut off", "remove", "swap for another"])
def test_damage_to_any_file_is_found(lake: Path, damage: str) -> None:
    files = every_file(lake)
    assert len(files) == 12
    for table, path in files:
        content = path.read_bytes()
        path.unlink()
        if damage == "flip a bit":
            path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        elif damage == "cut off":
            path.write_bytes(content[:-7])
        elif damage == "swap for another":
            path.write_bytes(next(other for _, other in files if other != path).read_bytes())
        found = check.check(lake).findings
        assert [(finding.table, finding.file) for finding in found] == [(table, str(path.relative_to(lake)))]
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert check.check(lake).findings == []


@pytest.mark.parametrize("end", ["first", "last"])
def test_a_marker_that_is_wrong_about_where_a_file_ends_is_found(lake: Path, end: str) -> None:
    """By its ends a file is found: where they are wrong, bars that it holds are taken for new ones."""
    right = commit.newest(lake).tables
    for name, live in right.items():
        for part in live.parts:
            wrong = part.first if end == "last" else part.last
            if wrong == getattr(part, end):  # a row, or one run
                wrong += "0"
            changed = msgspec.structs.replace(part, **{end: wrong})
            parts_ = [changed if other is part else other for other in live.parts]
            with writing(lake) as writer:
                writer.publish("test", right | {name: commit.Live(live.columns, live.partitions, parts_)})
            found = check.check(lake).findings
            assert [(one.table, one.file) for one in found] == [(name, part.path)]
            assert found[0].what == f"does not run from {changed.first} to {changed.last}"
    with writing(lake) as writer:
        writer.publish("test", right)
    assert check.check(lake).findings == []


def test_runs_that_the_results_never_had_are_found_and_a_build_anew_mends_it(
    place: Path, lake: Path, tmp_path: Path, look: Any
) -> None:
    results, other = Results(place / "results"), Results(tmp_path / "results")
    assert check.check(lake, results).findings == []
    strange = look.run(place / "config.toml", other.path)
    build.build(other, lake, root=place)
    (finding,) = check.check(lake, results).findings
    what = f"runs: 1 run is of other results than {results.path} ({strange[:8]})"
    assert str(finding) == f"{what}: just lake-build --rebuild leaves them out"
    build.build(results, lake, root=place, anew=True)
    assert check.check(lake, results).findings == []


def test_runs_that_were_removed_are_no_strangers(place: Path, lake: Path) -> None:
    results = Results(place / "results")
    assert removal.apply(results, retention.Policy(keep=1, days=0)).of("removed")
    build.build(results, lake, root=place)
    assert check.check(lake, results).findings == []


def change(lake: Path, table: str, alter: Callable[[Any], Any]) -> None:
    """Replace the file of a table by one whose rows were altered, properly named and committed."""
    with writing(lake) as made:
        live = made.commit.tables[table]
        [part] = live.parts
        rows = alter(parts.read_part(lake, table, part))
        written = parts.write_parts(made, table, [(part.series, rows)])
        made.publish("test", made.commit.tables | {table: parts.replace(table, live, [part.path], written)})


def put(rows: Any, column: str, row: int, value: Any) -> Any:
    values = rows[column].to_pylist()
    values[row] = value
    at = rows.column_names.index(column)
    return rows.set_column(at, column, pa.array(values, rows.schema.field(at).type))


@pytest.mark.parametrize(
    "table, column, row, value, expected",
    [
        ("ohlcv", "high", 3, 1.0, "high: 1.0 must not be below open or close"),
        ("ohlcv", "close", 7, -1.0, "close: -1.0 must be finite and greater than 0"),
        ("ohlcv", "volume", 0, float("nan"), "volume: nan must be finite and not negative"),
        ("trades", "quantity", 1, 0.0, "quantity: 0.0 must be finite and greater than 0"),
        ("trades", "side", 2, "sideways", "side: 0 must be long or short"),
        ("trades", "exit_reason", 0, "boredom", "exit_reason: -1 must be one of"),
    ],
)
def test_a_row_that_breaks_a_contract_is_named(
    lake: Path, table: str, column: str, row: int, value: Any, expected: str
) -> None:
    change(lake, table, lambda rows: put(rows, column, row, value))
    found = check.check(lake).findings
    assert (found[0].table, found[0].row) == (table, row)
    assert found[0].file.startswith(table) and expected in found[0].what


def test_a_bar_that_is_there_twice_is_found(lake: Path, look: Any) -> None:
    with writing(lake) as made:
        live = made.commit.tables["ohlcv"]
        [part] = live.parts
        rows = parts.read_part(lake, "ohlcv", part).slice(4, 3)
        written = parts.write_parts(made, "ohlcv", [(part.series, rows)])
        made.publish("test", made.commit.tables | {"ohlcv": parts.replace("ohlcv", live, [], written)})
    [found] = check.check(lake).findings
    assert found.what == "TEST 1d of 'made up' has 3 bars more than once, first 2024-01-05T00:00:00Z"


def test_bars_in_the_folder_of_another_year_are_found(lake: Path) -> None:
    def later(rows: Any) -> Any:
        moved = parts.to_numpy(rows["timestamp"], "i8") + 366 * 86_400 * 10**6
        return rows.set_column(0, "timestamp", parts.from_numpy(moved, pa.timestamp("us", "UTC")))

    change(lake, "ohlcv", later)
    assert "holds bars of 2025" in str(check.check(lake).findings[0])


@pytest.mark.parametrize("table", ["params", "stats", "equity", "trades", "receipts", "ledger"])
def test_rows_of_a_run_that_is_not_there_are_found(lake: Path, table: str) -> None:
    def rename(rows: Any) -> Any:
        ids = ["ffffffff" + run_id[8:] for run_id in rows["run_id"].to_pylist()]
        at = rows.column_names.index("run_id")
        return rows.set_column(at, "run_id", pa.array(sorted(ids)))

    change(lake, table, rename)
    assert any(finding.table == table for finding in check.check(lake).findings)


def test_a_run_without_all_its_rows_is_found(lake: Path) -> None:
    change(lake, "equity", lambda rows: rows.slice(1))
    [found] = check.check(lake).findings
    assert str(found) == "equity: 1 runs have another number of rows than `runs.bars` says"


def test_a_run_that_stands_there_twice_is_found(lake: Path) -> None:
    change(lake, "runs", lambda rows: pa.concat_tables([rows.slice(0, 1), rows]))
    assert "1 runs stand there more than once" in [finding.what for finding in check.check(lake).findings]


def test_a_span_that_stands_there_twice_or_not_at_all_is_found(lake: Path) -> None:
    change(lake, "spans", lambda rows: pa.concat_tables([rows.slice(0, 1), rows]))
    assert [str(finding) for finding in check.check(lake).findings] == [
        "spans: 1 spans stand there more than once",
        "spans: 1 folders have another number of rows than `telemetry` says",
    ]
    change(lake, "spans", lambda rows: rows.slice(1))
    assert check.check(lake).findings == []
    change(lake, "logs", lambda rows: rows.slice(1))
    [found] = check.check(lake).findings
    assert str(found) == "logs: 1 folders have another number of rows than `telemetry` says"


def test_a_span_that_ends_before_it_starts_is_found(lake: Path) -> None:
    change(lake, "spans", lambda rows: put(rows, "duration_ms", 0, -1.0))
    [found] = check.check(lake).findings
    assert str(found) == "spans: 1 spans end before they start"


def test_gaps_are_counted_against_the_calendar_and_are_no_finding(tmp_path: Path, look: Any) -> None:
    days = look.bars([100] * 5 + [101] * 9, "2024-07-01", timeframe="1d", symbol="SPX")
    weekday = (days.timestamp.astype("M8[D]").astype(int) + 3) % 7 < 5
    holiday = days.timestamp == np.datetime64("2024-07-04")
    missing = days.timestamp == np.datetime64("2024-07-09")
    columns = ("timestamp", "open", "high", "low", "close", "volume")

    def kept(mask: Any) -> Any:
        return type(days)(**{name: getattr(days, name)[mask] for name in columns}, symbol="SPX", timeframe="1d")

    ingest.ingest_bars(tmp_path / "whole", kept(weekday & ~holiday), source="x", calendar="XNYS")
    assert check.check(tmp_path / "whole").gaps == []
    ingest.ingest_bars(tmp_path / "gap", kept(weekday & ~holiday & ~missing), source="x", calendar="XNYS")
    checked = check.check(tmp_path / "gap")
    assert checked.gaps == ["SPX 1d of x on XNYS: 1 bars missing (no bar on 2024-07-09)"]
    assert checked.findings == []


def test_the_command_fails_where_something_is_wrong(
    lake: Path, script: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    assert script("check_lake", "--lake-dir", lake).returncode == 0
    table, path = every_file(lake)[0]
    path.unlink()
    done = script("check_lake", "--lake-dir", lake)
    assert done.returncode == 1
    assert done.stdout.decode().startswith(f"{table}: {path.relative_to(lake)}: No such file or directory")


def test_every_table_of_the_schema_is_what_its_files_hold(lake: Path) -> None:
    import pyarrow.parquet as pq

    for table, path in every_file(lake):
        found = pq.read_schema(path)
        expected = schema.arrow_schema(table)
        assert found.names == expected.names
        assert [str(field.type) for field in found] == [str(field.type) for field in expected]


def test_files_sort_and_compress_as_the_documents_say(lake: Path) -> None:
    import pyarrow.parquet as pq

    [path] = [path for table, path in every_file(lake) if table == "ohlcv"]
    group = pq.read_metadata(path).row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "BYTE_STREAM_SPLIT" in columns["close"].encodings and "RLE_DICTIONARY" in columns["source"].encodings
    assert columns["timestamp"].statistics.has_min_max
