from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.market.dialects import KINDS

from peak_trade import config, runner
from peak_trade.config import Reading
from peak_trade.errors import InputError
from peak_trade.market.description import SYMBOL, Description, describe
from peak_trade.shown.bars import page

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
NOW = np.datetime64("2030-01-01", "ns")


def described(*paths: Path, **options: Any) -> Description:
    return describe([str(path) for path in paths], **{"now": NOW, **options})


def table(stamps: Any, *, close: str = "10.5") -> str:
    return "timestamp,open,high,low,close,volume\n" + "".join(f"{stamp}Z,10,11,9,{close},1\n" for stamp in stamps)


def hours(count: int, start: str = "2024-01-01", step: int = 1) -> list[str]:
    return [str(np.datetime64(start, "s") + np.timedelta64(step * at, "h")) for at in range(count)]


def run(found: Description, folder: Path) -> Path:
    """Paste the section into a config, and run it."""
    path = folder / "pasted.toml"
    path.write_text(f'{found.table}\n[strategy]\nname = "buy_and_hold"\n', encoding="utf-8")
    return runner.run(config.load(path), root=ROOT, results=folder / "results")


def test_an_hourly_file_is_told_by_its_name_and_its_times(write: Write, tmp_path: Path) -> None:
    path = write(table(hours(24 * 14)), "BTCUSDT-1h-2024.csv")
    found = described(path)
    assert (found.count, found.start, found.end) == (336, "2024-01-01T00:00:00Z", "2024-01-14T23:00:00Z")
    assert found.data == {"path": str(path), "symbol": "BTCUSDT", "timeframe": "1h", "calendar": "24/7"}
    assert (found.violations, found.refused, found.gaps, found.findings) == (0, "", 0, [])
    assert run(found, tmp_path).is_dir()


@pytest.mark.parametrize(("step", "timeframe"), [(1, "1h"), (4, "4h"), (24, "1d"), (24 * 7, "1w"), (2, "2h")])
def test_the_timeframe_is_the_step(write: Write, step: int, timeframe: str) -> None:
    assert described(write(table(hours(40, step=step)))).timeframe == timeframe


@pytest.mark.parametrize(("name", "calendar"), [("sp500_daily", "XNYS"), ("BTCUSDT_1h_synthetic", "24/7")])
def test_the_samples_fit_their_calendars(name: str, calendar: str) -> None:
    found = described(ROOT / "data" / "samples" / f"{name}.csv")
    assert (found.calendar, found.gaps, found.violations) == (calendar, 0, 0)
    assert found.data["path"] == f"data/samples/{name}.csv"


def test_a_timeframe_that_the_bars_have_not_is_refused(write: Write) -> None:
    path = write(table(hours(48)))
    with pytest.raises(InputError, match="the bars are not 4h apart") as told:
        described(path, timeframe="4h")
    assert told.value.hint == "leave --timeframe out: they are 1h"
    assert described(path, timeframe="1h").data["timeframe"] == "1h"


def test_first_and_last_rows_are_shown_as_they_were_understood(write: Write) -> None:
    found = described(write(table(hours(50)), "X.csv"))
    assert [row["timestamp"][8:16] for row in found.rows] == ["01T00:00", "01T01:00", "01T02:00", "02T23:00",
                                                               "03T00:00", "03T01:00"]  # fmt: skip
    assert found.rows[0] == {"timestamp": "2024-01-01T00:00:00Z", "open": 10.0, "high": 11.0, "low": 9.0,
                             "close": 10.5, "volume": 1.0}  # fmt: skip
    lines = page(found).splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("timestamp"))
    assert lines[head + 1].split() == ["2024-01-01T00:00:00Z", "10", "11", "9", "10.5", "1"]
    assert lines[head + 4] == "…"
    assert "[data]" in lines[head + 7 :]


def test_a_few_rows_are_shown_once(write: Write) -> None:
    found = described(write(table(hours(4))))
    assert len(found.rows) == 4
    assert "…" not in page(found)


def test_a_name_that_tells_no_symbol_leaves_a_word_to_change(write: Write) -> None:
    found = described(write(table(hours(40)), "bars_1h.csv"))
    assert found.data["symbol"] == SYMBOL
    assert 'symbol = "SYMBOL"  # what is traded: change it' in found.table
    assert tomllib.loads(found.table)["data"] == found.data


def test_what_is_given_goes_before_what_is_taken_from_the_file(write: Write, tmp_path: Path) -> None:
    path = write(table(hours(60)).replace("close", "Settle"), "X.csv")
    found = described(path, symbol="ES", timeframe="1h", calendar="24/5", reading=Reading(columns={"close": "Settle"}))
    assert found.data == {"path": str(path), "symbol": "ES", "timeframe": "1h", "calendar": "24/5",
                          "columns": {"close": "Settle"}}  # fmt: skip
    assert run(found, tmp_path).is_dir()


def test_rows_that_break_the_contract_are_shown_and_the_section_leaves_them_out(write: Write, tmp_path: Path) -> None:
    rows = table(hours(60)).replace("2024-01-01T05:00:00Z,10,", "2024-01-01T05:00:00Z,,")
    found = described(write(rows, "ABC.csv"))
    assert (found.violations, found.data["on_violation"]) == (1, "drop-rows")
    assert "row 7, column open: nan must be finite and greater than 0" in found.problems[0]
    assert found.refused.startswith("the bars break the contract")
    assert [one.kind for one in found.findings] == ["dropped", "gaps"]
    assert "contract  broken 1 times" in page(found)
    assert run(found, tmp_path).is_dir()


def test_what_is_to_be_said_of_the_bars_is_on_the_page(write: Write) -> None:
    stamps = hours(24 * 20)
    del stamps[100:130]
    found = described(write(table(stamps), "X.csv"), now=np.datetime64("2024-01-20T23:30", "ns"))
    text = page(found)
    assert "gaps      30: 30 bars missing after 2024-01-05T03:00:00Z" in text
    assert "not over until 2024-01-21T00:00:00Z" in text


def test_several_files_are_named_by_a_pattern_that_fits_them_alone(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "btc"
    folder.mkdir()
    for month, name in enumerate(("BTC-1h-01.csv", "BTC-1h-02.csv"), 1):
        (folder / name).write_text(table(hours(48, f"2024-{month:02}-01")))
    paths = [folder / "BTC-1h-01.csv", folder / "BTC-1h-02.csv"]
    found = described(*paths)
    assert found.data["path"] == f"{folder}/BTC-1h-0*.csv"
    assert found.count == 96
    assert run(found, tmp_path).is_dir()
    (folder / "BTC-1h-03.csv").write_text(table(hours(48, "2024-03-01")))
    with pytest.raises(InputError, match="no pattern names these 2 files and no others"):
        described(*paths)


def test_one_bar_needs_its_timeframe_said(write: Write) -> None:
    path = write(table(hours(1)))
    with pytest.raises(InputError, match="don't tell how long a bar is") as caught:
        described(path)
    assert caught.value.hint == "say it: --timeframe 1d"
    assert described(path, timeframe="1d").count == 1


def command(*words: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PEAK_CWD": str(folder)}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "describe_data.py"), *map(str, words)],
        capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_section_of_each_kind_of_file_runs_as_it_is_pasted(name: str, write: Write, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = write(kind.make(kind.rows(60)), f"TEST{kind.suffix}")
    found = described(path, reading=config.reading(kind.keys))
    assert (found.count, found.files[0]["format"], found.refused) == (60, kind.format, "")
    assert found.data["symbol"] == "TEST"
    equity = (run(found, tmp_path) / "equity.csv").read_text().splitlines()
    assert len(equity) == 61


def test_the_command_exits_by_what_a_run_would_say(write: Write, tmp_path: Path) -> None:
    good = command(write(table(hours(30)), "A.csv"))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("file ")
    broken = command(write(table([*hours(30), hours(30)[-1]]), "B.csv"))
    assert (broken.returncode, broken.stderr) == (1, "")
    assert 'on_violation = "drop-rows"' in broken.stdout
    none = command(write("nothing of use", "C.csv"))
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.startswith("error: ")
    assert "\nhint: " in none.stderr


def test_json_holds_it_all(write: Write) -> None:
    answer = command(write(table(hours(30)), "A.csv"), "--json", "--symbol", "ABC")
    tree = json.loads(answer.stdout)
    assert (tree["count"], tree["data"]["symbol"], tree["timeframe"]) == (30, "ABC", "1h")
    assert tomllib.loads(tree["table"])["data"] == tree["data"]


def test_the_options_of_reading_are_taken_and_pasted(write: Write) -> None:
    path = write(table(hours(30)).replace("close", "Settle"), "A.csv")
    answer = command(path, "--columns", "close=Settle", "--json")
    assert json.loads(answer.stdout)["data"]["columns"] == {"close": "Settle"}
