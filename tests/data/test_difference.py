"""`just data-diff`: a file, a run or a series of the lake on either side; 0 the same, 1 not, 2 nothing to compare."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from peak_trade.market.ohlcv import load_bars

SCRIPT = Path(__file__).parents[2] / "scripts" / "diff_data.py"


def diff(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def rows(count: int = 60, **changed: str) -> str:
    """Hourly bars; `h5="7"` gives the bar of hour 5 the close 7, and an empty text leaves it out."""
    lines = ["timestamp,open,high,low,close,volume"]
    for hour in range(count):
        close = changed.get(f"h{hour}", "100")
        if close:
            at = f"2024-01-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"
            lines.append(f"{at},100,200,1,{close},5")
    return "\n".join(lines) + "\n"


def test_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(h40=""))
    (tmp_path / "b.csv").write_text(rows(h3="102", h4="99", h30=""))
    done = diff("a.csv", "b.csv", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines() == [
        "A  file a.csv  59 bars  2024-01-01T00:00:00Z to 2024-01-03T11:00:00Z",
        "B  file b.csv  59 bars  2024-01-01T00:00:00Z to 2024-01-03T11:00:00Z",
        "1 added, 1 removed, 2 revised on 2 days, 56 the same",
        "day         added  removed  revised  close moved  columns",
        "2024-01-01      0        0        2          2 %  close",
        "2024-01-02      1        1        0",
        "revised at most by: close in 2 (2 %)",
    ]
    assert diff("a.csv", "a.csv", cwd=tmp_path).returncode == 0


def test_the_list_is_bounded_and_the_json_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(24 * 10))
    (tmp_path / "b.csv").write_text(rows(24 * 10, **{f"h{24 * day}": "101" for day in range(10)}))
    text = diff("a.csv", "b.csv", "--days", "3", cwd=tmp_path).stdout
    assert "2024-01-03" in text and "2024-01-04      0" not in text
    assert "\nand 7 more\n" in text
    done = diff("a.csv", "b.csv", "--days", "3", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["same"], told["revised"], len(told["periods"])) == (1, False, 10, 10)
    assert told["a"]["rows"] == told["b"]["rows"] == 240
    assert told["a"]["digest"] != told["b"]["digest"]
    assert told["periods"][0] == {
        "period": "2024-01-01",
        "change": "revised",
        "added": 0,
        "removed": 0,
        "revised": 1,
        "close": 0.01,
        "columns": ["close"],
    }


def test_a_csv_and_a_parquet_file_of_the_same_bars_are_the_same(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "a.csv").write_text(rows())
    bars = load_bars(tmp_path / "a.csv", symbol="X", timeframe="1h").bars
    columns = {name: getattr(bars, name) for name in ("volume", "close", "low", "high", "open")}
    zoned = pa.array(bars.timestamp.astype("M8[ms]").astype("i8")).cast(pa.timestamp("ms", "Asia/Tokyo"))
    parquet.write_table(pa.table(columns | {"date": zoned}), tmp_path / "b.parquet")
    done = diff("a.csv", "b.parquet", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the same"), done.stdout + done.stderr
    columns["close"] = columns["close"].astype("f4") + 0.1  # what is stored in half the digits is not the same
    parquet.write_table(pa.table(columns | {"date": zoned}), tmp_path / "b.parquet")
    assert diff("a.csv", "b.parquet", cwd=tmp_path).returncode == 1
    assert diff("a.csv", "b.parquet", "--tolerance", "0.01", cwd=tmp_path).returncode == 0


def test_how_the_files_are_read_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows().replace("close", "Settle"))
    (tmp_path / "b.csv").write_text(rows(h7="101").replace("close", "Settle"))
    assert diff("a.csv", "b.csv", cwd=tmp_path).returncode == 2
    done = diff("a.csv", "b.csv", "--columns", "close=Settle", cwd=tmp_path)
    assert (done.returncode, "0 added, 0 removed, 1 revised" in done.stdout) == (1, True), done.stderr


def test_a_run_and_the_file_that_it_read(evidence: Any) -> None:
    run, file = evidence.runs["builtin"], "data/bars.csv"
    words = ("--results-dir", evidence.results)
    assert diff(run, evidence.root / file, *words, cwd=evidence.root).returncode == 0
    text = (evidence.root / file).read_text()
    lines = text.splitlines()
    cells = lines[30].split(",")  # of the second day
    cells[5] = "7"
    (evidence.root / file).write_text("\n".join([*lines[:30], ",".join(cells), *lines[31:]]) + "\n")
    done = diff(run[:8], evidence.root / file, *words, cwd=evidence.root)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[2:] == [
        "1 day not the same, by fingerprint",
        "day         change",
        "2024-01-02  revised",
    ]


def test_a_file_of_another_span_is_compared_in_the_periods_of_the_run(evidence: Any) -> None:
    """A file of more than a year has months of its own; the run has days."""
    long = evidence.root / "long.csv"
    lines = (evidence.root / "data/bars.csv").read_text().splitlines()
    later = [lines[-1].replace(lines[-1][:10], f"{day}") for day in ("2025-06-01", "2025-06-02")]
    long.write_text("\n".join([*lines, *later]) + "\n")
    done = diff("last", long, "--results-dir", evidence.results, "--json", cwd=evidence.root)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(one["period"], one["change"]) for one in told["periods"]] == [
        ("2025-06-01", "added"),
        ("2025-06-02", "added"),
    ]


def test_two_runs_by_their_fingerprints(evidence: Any) -> None:
    first = evidence.runs["builtin"]
    file = evidence.root / "data/bars.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")  # without the last bar
    again = evidence.run("again", (evidence.root / "config/builtin.toml").read_text()).name
    words = ("--results-dir", evidence.results)
    done = diff(first, again, *words, cwd=evidence.root)
    assert done.returncode == 1, done.stderr
    assert f"run {first[:8]} (TEST 1h)" in done.stdout
    assert done.stdout.splitlines()[2:] == [
        "1 day not the same, by fingerprint",
        "day         change",
        "2024-01-02  revised",
    ]
    assert diff(again, again, *words, cwd=evidence.root).returncode == 0
    assert diff(first, evidence.runs["own"], *words, cwd=evidence.root).returncode == 0  # both read the same bars


def test_runs_that_older_versions_sealed(tmp_path: Path) -> None:
    archived = sorted((SCRIPT.parents[1] / "tests/archive").rglob("manifest.json"))
    sealed = [path.parent for path in archived if (path.parent / "equity.csv").is_file()]
    assert len(sealed) > 2
    for folder in sealed:
        done = diff(folder, folder, cwd=tmp_path)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the same"), done.stderr


@pytest.mark.needs("lake")
def test_a_file_and_the_lake(tmp_path: Path) -> None:
    from peak_trade.data.lake import ingest

    (tmp_path / "a.csv").write_text(rows())
    for symbol, source in (("BTC/USDT", "binance"), ("ETH/USDT", "binance"), ("ETH/USDT", "kraken")):
        ingest.ingest_files(tmp_path / "lake", tmp_path / "a.csv", symbol=symbol, timeframe="1h", source=source)
    (tmp_path / "b.csv").write_text(rows(h50="105"))
    words = ("--lake-dir", "lake")
    same = diff("a.csv", "lake:BTC/USDT/1h", *words, cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    done = diff("lake:BTC/USDT/1h/binance", "b.csv", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "2024-01-03      0        0        1          5 %  close" in done.stdout
    assert diff("lake:ETH/USDT/1h/kraken", "lake:BTC/USDT/1h", *words, cwd=tmp_path).returncode == 0
    several = diff("lake:ETH/USDT/1h", "b.csv", *words, cwd=tmp_path)
    assert several.stderr == (
        "error: `lake:ETH/USDT/1h` means 2 series of the lake\n"
        "hint: say which: lake:ETH/USDT/1h/binance, lake:ETH/USDT/1h/kraken\n"
    )
    none = diff("lake:XRP/1h", "b.csv", *words, cwd=tmp_path)
    assert none.returncode == several.returncode == 2
    assert "there are: lake:BTC/USDT/1h/binance, lake:ETH/USDT/1h/binance" in none.stderr


@pytest.mark.needs("lake")
def test_a_run_and_the_lake(evidence: Any) -> None:
    from peak_trade.data.lake import ingest

    lake = evidence.root / "lake"
    ingest.ingest_files(lake, evidence.root / "data/bars.csv", symbol="Y", timeframe="1h", source="")
    words = ("--results-dir", evidence.results, "--lake-dir", lake)
    (evidence.root / "data/bars.csv").unlink()
    done = diff("last", "lake:Y/1h", *words, cwd=evidence.root)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (("a.csv", "gone.csv"), "cannot read gone.csv: no such file or directory; looked in"),
        (("a.csv", "nothing"), "no run 'nothing' in results/, and no file of that name"),
        (("a.csv",), "the following arguments are required: B"),
        (("a.csv", "a.csv", "--tolerance", "-1"), "--tolerance -1 is not from 0 up to 1"),
        (("a.csv", "bad.csv"), "bad.csv row 2, column close: `abc`"),
        (("a.csv", "lake:X/1h", "--lake-dir", "nowhere"), "there is no lake in"),
    ],
)
def test_what_can_not_be_compared_is_neither_the_same_nor_different(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "a.csv").write_text(rows())
    (tmp_path / "bad.csv").write_text(rows(h0="abc"))
    done = diff(*words, "--results-dir", "results", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_broken_manifest_is_no_difference(evidence: Any) -> None:
    manifest = evidence.path("builtin") / "manifest.json"
    manifest.unlink()  # it is a link to the one of other tests
    manifest.write_text("{")
    done = diff(evidence.runs["builtin"], "data/bars.csv", "--results-dir", evidence.results, cwd=evidence.root)
    assert done.returncode == 2, done.stderr


def test_what_a_file_holds_against_the_contract_is_compared_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows())
    (tmp_path / "b.csv").write_text(rows(h7="250"))  # above the high
    done = diff("a.csv", "b.csv", cwd=tmp_path)
    assert (done.returncode, "0 added, 0 removed, 1 revised" in done.stdout) == (1, True)
    assert "b.csv row 9" in done.stderr
    assert "calendar" not in done.stderr  # nothing is annualised or counted here
    (tmp_path / "c.csv").write_text(rows() + rows().splitlines()[-1] + "\n")
    assert diff("a.csv", "c.csv", cwd=tmp_path).returncode == 2  # one time twice: there is nothing to match


def test_rows_against_the_contract_can_be_left_out(tmp_path: Path) -> None:
    lines = rows().splitlines()
    (tmp_path / "a.csv").write_text(rows())
    (tmp_path / "b.csv").write_text("\n".join([*lines[:9], lines[8], *lines[9:]]) + "\n")  # one row twice
    refused = diff("a.csv", "b.csv", cwd=tmp_path)
    assert refused.returncode == 2 and 'on_violation = "drop-rows"' in refused.stderr
    done = diff("a.csv", "b.csv", "--on-violation", "drop-rows", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the same")


def test_a_single_bar_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(1))
    assert diff("a.csv", "a.csv", cwd=tmp_path).returncode == 0


def test_local_times_without_a_zone_are_the_same_over_the_turn_of_the_clocks(tmp_path: Path) -> None:
    """In New York 2024-03-10 has no hour of two o'clock: 48 hours of UTC are 48 bars there too."""
    zone = ZoneInfo("America/New_York")
    times = [datetime(2024, 3, 9, 12, tzinfo=UTC) + timedelta(hours=hour) for hour in range(48)]
    for name, spelled in (
        ("utc", [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times]),
        ("local", [f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" for at in times]),
    ):
        lines = [f"{at},1,2,1,1.5,{number}" for number, at in enumerate(spelled)]
        (tmp_path / f"{name}.csv").write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    assert diff("utc.csv", "local.csv", cwd=tmp_path).returncode == 1
    done = diff("utc.csv", "local.csv", "--timezone", "America/New_York", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the same"), done.stdout + done.stderr


def test_files_of_different_makers_with_the_same_bars_are_the_same(tmp_path: Path) -> None:
    """Binance's own klines, without a header and in ms and µs, beside a file with names."""
    (tmp_path / "a.csv").write_text(rows(h9="104.5"))
    for name, scale in (("ms", 1), ("us", 1000)):
        lines = []
        for hour in range(60):
            at, close = 1_704_067_200_000 + hour * 3_600_000, "104.50000000" if hour == 9 else "100.00000000"
            cells = (at * scale, "100.00000000", "200.0", "1.00", close, "5.0", (at + 3_599_999) * scale, 0, 1, 0, 0, 0)
            lines.append(",".join(map(str, cells)))
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        done = diff("a.csv", f"{name}.csv", cwd=tmp_path)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the same"), done.stdout + done.stderr


def test_a_range_of_time_bounds_both(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows())
    (tmp_path / "b.csv").write_text(rows(h3="101", h50="101"))
    done = diff("a.csv", "b.csv", "--start", "2024-01-02", cwd=tmp_path)
    assert "36 bars" in done.stdout and "1 revised on 1 day" in done.stdout
    assert diff("a.csv", "b.csv", "--start", "2024-01-02", "--end", "2024-01-03", cwd=tmp_path).returncode == 0
