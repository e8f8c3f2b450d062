from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peak_trade.market.ohlcv import Loaded, load_bars
from peak_trade.market.rate import observed_rate

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data" / "samples"
NOTED = {
    name: (int(rows), first, last, sha256)
    for name, rows, first, last, sha256 in re.findall(
        r"^\| `(\S+)` \| (\d+) \| (\S+) to (\S+) \| `([0-9a-f]{64})` \|$",
        (SAMPLES / "README.md").read_text(),
        re.MULTILINE,
    )
}


def load(name: str) -> Loaded:
    daily = name.endswith("_daily.csv")
    return load_bars(
        SAMPLES / name, symbol="TEST", timeframe="1d" if daily else "1h", calendar="XNYS" if daily else "24/7"
    )


def test_the_note_lists_every_sample() -> None:
    assert set(NOTED) == {path.name for path in SAMPLES.glob("*.csv")}
    assert len(NOTED) == 3


@pytest.mark.parametrize("name", NOTED)
def test_a_sample_is_what_the_note_says(name: str) -> None:
    loaded = load(name)
    rows, first, last, sha256 = NOTED[name]
    assert loaded.files[0].sha256 == sha256
    assert len(loaded.bars) == rows
    assert [str(loaded.bars.timestamp[at].astype("datetime64[s]")) + "Z" for at in (0, -1)] == [
        stamp if "T" in stamp else f"{stamp}T00:00:00Z" for stamp in (first, last)
    ]


@pytest.mark.parametrize("name", NOTED)
def test_no_row_of_a_sample_breaks_the_contract_and_none_is_missing(name: str) -> None:
    loaded = load(name)
    assert (loaded.violations, loaded.dropped) == (0, 0)
    assert loaded.gaps == (0, [])


def test_the_volume_the_note_speaks_of_is_missing_in_the_nasdaq_sample() -> None:
    bars = load("nasdaq_daily.csv").bars
    assert [str(day)[:10] for day in bars.timestamp[bars.volume == 0]] == ["2015-05-12", "2018-01-09"]


def test_the_synthetic_sample_comes_out_again_byte_for_byte(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_samples.py"), "--out", str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (made,) = tmp_path.iterdir()
    assert made.read_bytes() == (SAMPLES / made.name).read_bytes()
    assert printed == f"{hashlib.sha256(made.read_bytes()).hexdigest()}  {made.name}\n"


def test_the_synthetic_samples_volatility_clusters() -> None:
    close = load("BTCUSDT_1h_synthetic.csv").bars.close
    size = abs(close[1:] / close[:-1] - 1)
    centred = size - size.mean()
    correlation = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    assert correlation > 0.1  # independent moves would give 0 to within 0.02


def test_arch_bars_keep_their_digits_and_lose_the_adjusted_close(tmp_path: Path) -> None:
    import gzip

    source = "Date,Open,High,Low,Close,Adj Close,Volume\n1/4/1999,1.50,2.250,1,2,9,877\n12/31/1999,1,1,1,1,1,0\n"
    for name in ("sp500", "nasdaq"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv.gz").write_bytes(gzip.compress(source.encode()))
    (tmp_path / "out").mkdir()
    command = [sys.executable, str(ROOT / "scripts" / "make_samples.py"), "--arch", str(tmp_path)]
    subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, check=True)
    assert (tmp_path / "out" / "sp500_daily.csv").read_text() == (
        "timestamp,open,high,low,close,volume\n1999-01-04,1.50,2.250,1,2,877\n1999-12-31,1,1,1,1,0\n"
    )


def test_the_daily_bars_of_new_york_are_252_a_year_also_where_no_calendar_says_so() -> None:
    loaded = load_bars(SAMPLES / "sp500_daily.csv", symbol="SPX", timeframe="1d")
    # 5,030 steps in the 7,301 days from 1999-01-04 to 2018-12-31
    assert observed_rate(loaded.bars.timestamp) == pytest.approx(5030 / (7301 / 365.25), rel=1e-12)
    assert "no calendar is given: a year has 251.638 bars, as many as these bars show" in loaded.assumptions
    assert [finding.kind for finding in loaded.findings if finding.kind == "rate"] == []
    around = load_bars(SAMPLES / "sp500_daily.csv", symbol="SPX", timeframe="1d", calendar="24/7")
    assert [finding.kind for finding in around.findings if finding.kind == "rate"] == ["rate"]
