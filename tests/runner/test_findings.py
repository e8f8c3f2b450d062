from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peak_trade
from peak_trade import config, runner
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir
from peak_trade.report.page import open_page
from peak_trade.shown import listing
from peak_trade.trust.verify import verify

CONFIG = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
{more}
[strategy]
{strategy}
"""


def write(folder: Path, rows: list[str], *, more: str = "", strategy: str = 'name = "buy_and_hold"') -> Path:
    (folder / "bars.csv").write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    (folder / "config.toml").write_text(CONFIG.format(more=more, strategy=strategy))
    return folder / "config.toml"


def hours(count: int, start: str = "2024-01-01") -> list[str]:
    stamps = np.datetime64(start, "s") + np.arange(count) * np.timedelta64(1, "h")
    return [f"{stamp}Z,10,11,9,{10 + at % 2},1" for at, stamp in enumerate(stamps)]


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    """Two days of hours: one row twice, with another close, and six hours that are not there."""
    rows = hours(48)
    return write(tmp_path, [*rows[:10], rows[9].replace(",10,11,9,11,", ",10,11,9,9.5,"), *rows[10:20], *rows[26:]],
                 more='on_violation = "drop-rows"')  # fmt: skip


def manifest(run_dir: Path) -> Any:
    return json.loads((run_dir / "manifest.json").read_text())["predicate"]


def receipts(run_dir: Path) -> list[Any]:
    return [receipt for receipt in manifest(run_dir)["receipts"] if receipt["part"] == "data"]


def test_a_finding_is_a_line_on_stderr_in_the_log_in_show_and_a_receipt(forge: Any, holed: Path) -> None:
    results = holed.parent / "results"
    ran = forge.cli(holed, results)
    assert ran.code == 0
    (run_dir,) = Results(results).runs()
    found = receipts(run_dir)
    assert [(receipt["outcome"], receipt["count"]) for receipt in found] == [("dropped", 1), ("gaps", 6)]
    log = (run_dir / "run.log").read_text()
    shown = listing.summary(run_dir)
    for receipt in found:
        assert f"warn: data: {receipt['reason']}\n" in ran.stderr
        (line,) = (json.loads(line) for line in log.splitlines() if receipt["reason"] in json.loads(line)["message"])
        assert line["level"] == "warning"
        assert ["data", receipt["reason"]] in [line.split(maxsplit=1) for line in shown.splitlines()]
        assert str(holed.parent) not in receipt["reason"]


def test_show_tells_whose_file_it_was_read_as(forge: Any, tmp_path: Path) -> None:
    plain = write(tmp_path, hours(24))
    lines = [f"{1_704_067_200_000 + 3_600_000 * at},10,11,9,10,5,{1_704_070_799_999 + 3_600_000 * at},50,3,2,25,0"
             for at in range(24)]  # fmt: skip
    klines = tmp_path / "klines.csv"
    klines.write_text("\n".join(lines) + "\n")
    for overrides, told in (((), "2024-01-01\n"), (("--set", f"data.path={klines}"), ", read as Binance's klines\n")):
        ran = forge.cli(plain, tmp_path / "results", *overrides)
        assert ran.code == 0
        (line,) = [line for line in ran.stderr.splitlines(keepends=True) if line.startswith("bars ")]
        assert line.endswith(told)


def test_the_rows_that_a_finding_is_about_stand_in_debug(forge: Any, holed: Path) -> None:
    results = holed.parent / "results"
    forge.cli(holed, results)
    (run_dir,) = Results(results).runs()
    assert sorted(path.name for path in (run_dir / "debug").iterdir()) == ["data_dropped.csv", "data_gaps.csv"]
    with (run_dir / "debug" / "data_dropped.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["row"], row["timestamp"], row["close"]) == ("12", "2024-01-01T09:00:00Z", "9.5")
    assert Path(row["file"]).name == "bars.csv"
    assert row["why"] == "timestamp must not occur twice; close 9.5 in place of 11 of bars.csv row 11, which is kept"


def test_what_was_found_is_not_sealed_and_the_run_stays_intact(forge: Any, holed: Path) -> None:
    results = holed.parent / "results"
    forge.cli(holed, results)
    (run_dir,) = Results(results).runs()
    assert not [name for name in listing.describe(run_dir)["files"] if "debug" in name]
    assert verify(run_dir, root=None).state == "intact"
    (run_dir / "debug" / "data_dropped.csv").unlink()
    assert verify(run_dir, root=None).state == "intact"


def test_the_list_of_runs_has_a_word_for_it_from_ledger_and_manifest(forge: Any, holed: Path) -> None:
    results = holed.parent / "results"
    forge.cli(holed, results)
    (row,) = listing.rows(Results(results))
    assert row.findings == {"dropped": 1, "gaps": 6}
    table = listing.as_table([row]).splitlines()
    assert (table[0].split()[-1], table[1].partition("sealed")[2].strip()) == ("data", "dropped 1, gaps 6")
    (results / "ledger.jsonl").unlink()  # a copy from elsewhere
    (copied,) = listing.rows(Results(results))
    assert copied.findings == row.findings


def test_runs_over_whole_bars_have_no_such_column_file_or_receipt(forge: Any, tmp_path: Path) -> None:
    results = tmp_path / "results"
    ran = forge.cli(write(tmp_path, hours(48)), results)
    (run_dir,) = Results(results).runs()
    assert (receipts(run_dir), "warn: data" in ran.stderr, (run_dir / "debug").exists()) == ([], False, False)
    rows = listing.rows(Results(results))
    assert listing.as_table(rows).splitlines()[0].split()[-1] == "status"
    assert "findings" not in (results / "ledger.jsonl").read_text()


def test_report_and_python_show_what_was_found(forge: Any, holed: Path) -> None:
    results = holed.parent / "results"
    forge.cli(holed, results)
    run = peak_trade.open_run("last", results=results)
    assert [text.split(":")[0] for text in run.findings] == [
        "1 row is left out by drop-rows",
        "6 bars are missing, 12.5 % of those due",  # 6 of 48
    ]
    card, page = run._repr_html_(), open_page("last", results=results)
    for text in run.findings:
        assert text in card
        assert text in page.head()._repr_markdown_()
    assert list(peak_trade.runs(results)["findings"]) == ["dropped 1, gaps 6"]


def test_a_run_that_fails_says_it_all_the_same(forge: Any, holed: Path) -> None:
    (holed.parent / "mine.py").write_text("def broken(bars):\n    raise ValueError('no')\n")
    text = holed.read_text().replace('name = "buy_and_hold"', 'entrypoint = "mine.py:broken"')
    holed.write_text(text)
    results = holed.parent / "results"
    assert forge.cli(holed, results).code == 1
    (run_dir,) = Results(results).runs()
    assert manifest(run_dir)["status"] == "failed"
    assert [receipt["outcome"] for receipt in receipts(run_dir)] == ["dropped", "gaps"]
    (row,) = listing.rows(Results(results))
    assert row.findings == {"dropped": 1, "gaps": 6}
    assert verify(run_dir, root=None).state == "intact"


def test_a_bar_that_is_not_over_changes_no_sealed_byte(forge: Any, tmp_path: Path) -> None:
    start = np.datetime64((int(time.time()) // 3600 - 47) * 3600, "s")
    written = write(tmp_path, hours(48, str(start)))
    now, later = tmp_path / "now", tmp_path / "later"
    forge.cli(written, now)
    (first,) = Results(now).runs()
    assert [receipt["outcome"] for receipt in receipts(first)] == ["unfinished"]
    forge.cli(written, later)
    (second,) = Results(later).runs()
    assert manifest(first)["results"] == manifest(second)["results"]
    assert manifest(first)["buildDefinition"] == manifest(second)["buildDefinition"]


@pytest.mark.needs("lake")
def test_what_was_found_fails_no_run_that_is_strict(holed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAK_STRICT", "1")
    run_dir = runner.run(config.load(holed), root=holed.parent, results=holed.parent / "results")
    assert len(receipts(run_dir)) == 2


def test_a_debug_file_that_cannot_be_written_is_a_skip(
    forge: Any, holed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDir, "write_beside", full)
    monkeypatch.delenv("PEAK_STRICT", raising=False)
    run_dir = runner.run(config.load(holed), root=holed.parent, results=holed.parent / "results")
    skipped = [one["reason"] for one in manifest(run_dir)["receipts"] if one["part"] == "debug"]
    assert skipped[0] == "the rows of `dropped` can't be written: No space left on device"
    assert len(receipts(run_dir)) == 2
