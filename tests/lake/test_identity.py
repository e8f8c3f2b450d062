"""Bars of another instrument are told from a revision and a split, refused, and there is a way back from everything."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade.data.lake import build, check, commit, compact, history, identity, ingest, names, parts
from peak_trade.data.lake.history import Series
from peak_trade.data.lake.writer import writing
from peak_trade.errors import InputError
from peak_trade.evidence.results import Results
from peak_trade.market.bars import Bars

ROOT = Path(__file__).resolve().parents[2]
STATE = "SELECT timestamp, open, high, low, close, volume FROM ohlcv ORDER BY ALL"


def made(count: int = 200, seed: int = 1, start: float = 100.0, symbol: str = "ACME") -> Bars:
    """Return daily bars of a random walk, in cents, with whole volumes."""
    draw = np.random.default_rng(seed)
    close = np.round(start * np.exp(np.cumsum(draw.normal(0, 0.01, count))), 2)
    times = np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(86_400, "s")
    volume = draw.integers(1_000, 9_000, count).astype(float)
    return Bars(times, close, np.round(close * 1.01, 2), np.round(close * 0.99, 2), close.copy(), volume, symbol, "1d")


def cut(bars: Bars, rows: slice) -> Bars:
    columns = {name: getattr(bars, name)[rows].copy() for name in ("timestamp", *identity.VALUES)}
    return Bars(**columns, symbol=bars.symbol, timeframe=bars.timeframe)


def put(lake: Path, bars: Bars, **how: Any) -> ingest.Ingested:
    return ingest.ingest_bars(lake, bars, source="me", **how)


@pytest.mark.parametrize("start", [100.0, 300.0])
def test_bars_of_another_instrument_are_refused_with_both_named_and_change_nothing(
    tmp_path: Path, look: Any, start: float
) -> None:
    put(tmp_path, made(), origin="acme.csv")
    before = look.photograph(tmp_path / "ohlcv")
    with pytest.raises(InputError) as told:
        put(tmp_path, made(seed=2, start=start), origin="other.csv")
    assert "200 of 200 bars in common have other values, where 5 % may" in told.value.message
    for name in ("ingest of acme.csv", "ingest of other.csv", "ACME 1d of me", "came in on 2"):
        assert name in told.value.message
    assert look.photograph(tmp_path / "ohlcv") == before


@pytest.mark.parametrize("revised, accepted", [(10, True), (11, False)])
def test_a_share_up_to_five_percent_is_a_revision_and_more_is_not(tmp_path: Path, revised: int, accepted: bool) -> None:
    bars = made()
    put(tmp_path, bars)
    changed = cut(bars, slice(None))
    changed.volume[20 : 20 + revised] += 1
    if accepted:
        assert put(tmp_path, changed).revised == revised
    else:
        with pytest.raises(ingest.AnotherInstrument):
            put(tmp_path, changed)
        assert put(tmp_path, changed, max_revised=0.06).revised == revised


@pytest.mark.parametrize(
    ("ratio", "named"),
    [(1.000002, False), (1.0001, True)],  # the first would be told as `1 times`
)
def test_prices_are_said_to_be_scaled_where_the_ratio_can_be_seen(tmp_path: Path, ratio: float, named: bool) -> None:
    bars = made()
    put(tmp_path, bars)
    values = {name: getattr(bars, name) * ratio for name in ("open", "high", "low", "close")}
    with pytest.raises(ingest.AnotherInstrument) as told:
        put(tmp_path, Bars(bars.timestamp, **values, volume=bars.volume, symbol=bars.symbol, timeframe=bars.timeframe))
    assert ("prices are 1.0001 times what they were" in told.value.message) is named
    assert ("times what they were" in told.value.message) is named


def moved(bars: Bars, by: np.timedelta64) -> Bars:
    columns = {name: getattr(bars, name) for name in identity.VALUES}
    return Bars(bars.timestamp + by, **columns, symbol=bars.symbol, timeframe=bars.timeframe)


@pytest.mark.parametrize("hours", [5, -5, 19])
def test_the_same_days_at_another_hour_are_not_twice_in_the_lake(tmp_path: Path, look: Any, hours: int) -> None:
    put(tmp_path, made())
    before = look.photograph(tmp_path / "ohlcv")
    with pytest.raises(ingest.AnotherInstrument, match="nearer than a bar is long: one of them is stamped otherwise"):
        put(tmp_path, moved(made(), np.timedelta64(hours, "h")))
    assert look.photograph(tmp_path / "ohlcv") == before


def test_days_that_the_clock_moves_by_an_hour_go_on(tmp_path: Path) -> None:
    put(tmp_path, cut(made(), slice(0, 100)))
    assert put(tmp_path, moved(cut(made(), slice(100, 200)), np.timedelta64(-1, "h"))).new == 100


@pytest.mark.parametrize(("times", "accepted"), [(4.0, True), (25.0, False)])
def test_a_break_of_years_hides_no_other_instrument(tmp_path: Path, times: float, accepted: bool) -> None:
    first = made()
    later = moved(made(seed=2, start=float(np.round(first.close[-1] / times, 2))), np.timedelta64(3 * 365 * 24, "h"))
    put(tmp_path, first)
    if accepted:
        assert put(tmp_path, later).new == 200
    else:
        with pytest.raises(ingest.AnotherInstrument, match="no split explains"):
            put(tmp_path, later)
        assert put(tmp_path, later, revise=True).new == 200


def test_the_share_is_that_of_the_environment_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ingest.share() == 0.05
    monkeypatch.setenv(ingest.MAX_REVISED, "0.2")
    assert (ingest.share(), ingest.share(0.0)) == (0.2, 0.0)
    monkeypatch.setenv(ingest.MAX_REVISED, "many")
    with pytest.raises(InputError, match="no share from 0 to 1"):
        ingest.share()


def test_one_bar_whose_price_jumps_is_refused_and_accepted_on_request(tmp_path: Path) -> None:
    bars = made()
    put(tmp_path, bars)
    jump = cut(bars, slice(None))
    for name in identity.PRICES:
        getattr(jump, name)[50] *= 2.7
    with pytest.raises(ingest.AnotherInstrument, match="at 2020-02-20T00:00:00Z .* which no split explains"):
        put(tmp_path, jump)
    assert put(tmp_path, jump, revise=True).revised == 1


@pytest.mark.parametrize("ratio, named", [(2, "2:1"), (1.5, "3:2"), (10, "10:1"), (0.1, "1:10"), (20, "20:1")])
def test_a_split_is_recognised_and_named(tmp_path: Path, ratio: float, named: str) -> None:
    bars = made()
    put(tmp_path, bars)
    split = cut(bars, slice(None))
    for name in identity.PRICES:
        getattr(split, name)[:120] = np.round(getattr(split, name)[:120] / ratio, 2)
    split.volume[:120] = np.round(split.volume[:120] * ratio)
    done = put(tmp_path, split)
    assert done.revised == 120
    assert done.notes == [
        f"120 bars from 2020-01-01T00:00:00Z to 2020-04-29T00:00:00Z are scaled as by a split of {named}"
    ]


@pytest.mark.parametrize("fault", ["volume stays", "one price does not", "older bars are missing"])
def test_what_is_nearly_a_split_is_none(tmp_path: Path, fault: str) -> None:
    bars = made()
    put(tmp_path, bars)
    split = cut(bars, slice(None))
    for name in identity.PRICES:
        getattr(split, name)[:120] /= 2
    if fault != "volume stays":
        split.volume[:120] *= 2
    if fault == "one price does not":
        for name in identity.PRICES:
            getattr(split, name)[60] *= 2
    if fault == "older bars are missing":
        split = cut(split, slice(40, None))
    with pytest.raises(ingest.AnotherInstrument):
        put(tmp_path, split)


def test_bars_of_another_level_are_not_appended_and_those_that_go_on_are(tmp_path: Path) -> None:
    bars = made(260)
    put(tmp_path, cut(bars, slice(0, 200)))
    other = cut(made(260, seed=2, start=437.0), slice(200, 260))
    with pytest.raises(ingest.AnotherInstrument, match="one that no split explains"):
        put(tmp_path, other)
    assert put(tmp_path, cut(bars, slice(200, 260))).new == 60


def test_an_unfinished_bar_that_grew_is_no_jump(tmp_path: Path) -> None:
    bars = made()
    put(tmp_path, bars)
    grown = cut(bars, slice(None))
    grown.high[-1] *= 1.5
    grown.close[-1] *= 1.4
    grown.volume[-1] *= 80
    assert put(tmp_path, grown).revised == 1
    grown.close[-2] *= 1.4
    grown.high[-2] *= 1.5
    with pytest.raises(ingest.AnotherInstrument):  # control: the same of a bar that was over
        put(tmp_path, grown)


def test_a_bar_that_is_not_over_is_left_out() -> None:
    bars = made()
    last = dt.datetime(2020, 7, 18, tzinfo=dt.UTC)
    assert np.datetime64("2020-07-18") == bars.timestamp[-1]
    for at, left in ((last, 199), (last + dt.timedelta(hours=23), 199), (last + dt.timedelta(days=1), 200)):
        assert len(ingest.finished(bars, at)[0]) == left


# --- the way back --------------------------------------------------------------------------------------------------


def test_every_state_of_a_series_can_be_gone_back_to_and_nothing_is_lost(tmp_path: Path, look: Any) -> None:
    one, other = made(), made(260, seed=2, start=300.0)
    states = [[]]
    for bars, revise in ((cut(one, slice(0, 150)), False), (one, False), (other, True)):
        put(tmp_path, bars, revise=revise)
        states.append(look.rows(tmp_path, STATE))
    assert [len(state) for state in states] == [0, 150, 200, 260]
    series = Series("ACME", "1d", "me")
    for to in (1, 3, 0, 2, 3, 1, 2):
        history.revert(tmp_path, series, to, grace_s=0)
        assert look.rows(tmp_path, STATE) == states[to], to
        assert check.check(tmp_path).findings == []
    twice = (
        "SELECT count(*) - count(DISTINCT (timestamp, revision)) FROM (FROM ohlcv_revisions SELECT timestamp, revision"
    )
    assert look.rows(tmp_path, f"{twice} UNION ALL FROM ohlcv SELECT timestamp, revision)") == [(0,)]
    [(_, told)] = history.changes_of(tmp_path).items()
    assert [change.number for change in told] == list(range(1, 11))
    assert [change.bars for change in told] == [150, 200, 260, 150, 260, 0, 200, 260, 150, 200]
    compact.compact(tmp_path, grace_s=0)
    history.revert(tmp_path, series, 3)
    assert look.rows(tmp_path, STATE) == states[3]


def test_a_change_or_a_series_that_is_not_there_is_named(tmp_path: Path) -> None:
    put(tmp_path, made())
    with pytest.raises(InputError, match="has the changes 1 to 1, and no 2"):
        history.revert(tmp_path, Series("ACME", "1d", "me"), 2)
    with pytest.raises(InputError, match="no bars of NONE 1d of me"):
        history.revert(tmp_path, Series("NONE", "1d", "me"), 1)
    with pytest.raises(InputError, match="the lake has no bars of --symbol NONE"):
        history.changes_of(tmp_path, symbol="NONE")


def without_changes(lake: Path) -> None:
    """Make a lake one of an older version, which did not note what changed it."""
    with writing(lake) as writer:
        writer.publish("test", {k: v for k, v in writer.commit.tables.items() if k != "ohlcv_changes"})


def test_a_lake_that_was_damaged_before_is_told_and_mended(place: Path, look: Any) -> None:
    lake, results = place / "lake", Results(place / "results")
    put(lake, made())
    whole = look.rows(lake, STATE)
    put(lake, made(seed=2, start=300.0), revise=True)
    without_changes(lake)
    [finding] = check.check(lake).findings
    assert "ACME 1d of me: change 2" in finding.what and "200 of 200 bars" in finding.what
    assert "just lake-revert --symbol ACME --timeframe 1d --source me" in finding.what
    assert "change 2" in build.build(results, lake, root=place, anew=True).doubtful[0]
    history.revert(lake, Series("ACME", "1d", "me"), 1)
    assert look.rows(lake, "SELECT * EXCLUDE source FROM (SELECT timestamp, open, high, low, close, volume, source "
                           "FROM ohlcv WHERE symbol = 'ACME') ORDER BY ALL") == whole  # fmt: skip
    assert check.check(lake).findings == []
    assert build.build(results, lake, root=place, anew=True).doubtful == []


# --- runs ----------------------------------------------------------------------------------------------------------


def other_file(place: Path) -> None:
    text = (place / "bars.csv").read_text().splitlines()
    rows = [row.split(",") for row in text[1:]]
    scaled = [[row[0], *(str(3.1 * float(cell) + at) for cell in row[1:5]), row[5]] for at, row in enumerate(rows)]
    (place / "other.csv").write_text("\n".join([text[0], *(",".join(row) for row in scaled)]) + "\n")


def test_a_run_of_another_instrument_stays_out_is_named_and_stops_no_other(place: Path, look: Any) -> None:
    other_file(place)
    lake, results = place / "lake", Results(place / "results")
    build.build(results, lake, root=place)
    before = look.rows(lake, STATE)
    wrong = look.run(place / "config.toml", results.path, "data.path=other.csv")
    fine = look.run(place / "config.toml", results.path, "data.path=other.csv", "data.symbol=OTHER")
    done = build.build(results, lake, root=place)
    [(run_id, reason)] = done.refused
    assert run_id == wrong and "other.csv" in reason and "(bars.csv)" in reason
    assert look.rows(lake, f"SELECT run_id FROM runs WHERE run_id IN ('{wrong}', '{fine}')") == sorted(
        [(wrong,), (fine,)]
    )
    assert look.rows(lake, STATE.replace("FROM ohlcv", "FROM ohlcv WHERE symbol = 'TEST'")) == before
    assert look.rows(lake, "SELECT count(*) FROM ohlcv WHERE symbol = 'OTHER'") == [(20,)]


@pytest.mark.parametrize("source", ["", "another"])
def test_a_run_of_another_or_no_source_is_kept_apart(place: Path, look: Any, source: str) -> None:
    other_file(place)
    lake, results = place / "lake", Results(place / "results")
    build.build(results, lake, root=place)
    look.run(place / "config.toml", results.path, "data.path=other.csv", f'data.source="{source}"')
    look.run(place / "config.toml", results.path, f'data.source="{source}3"')
    assert build.build(results, lake, root=place).refused == []
    found = look.rows(lake, "SELECT source, count(*), max(revision) FROM ohlcv GROUP BY ALL ORDER BY ALL")
    assert found == sorted([("made up", 20, 0), (source, 20, 0), (f"{source}3", 20, 0)])


def test_a_run_that_read_older_values_revises_nothing(place: Path, look: Any) -> None:
    lake, results = place / "lake", Results(place / "results")
    newer = Bars(**{name: getattr(of, name) for of in [bars_of(place)] for name in Bars.__struct_fields__})
    newer.volume[3] += 5
    ingest.ingest_bars(lake, newer, source="made up")
    done = build.build(results, lake, root=place)
    assert [(bars.new, bars.same, bars.revised, bars.older) for bars in done.bars] == [(0, 19, 0, 1)]
    assert look.rows(lake, "SELECT max(revision), max(volume) FILTER (day(timestamp) = 4) FROM ohlcv") == [(0, 45.0)]


def bars_of(place: Path) -> Bars:
    from peak_trade.market.ohlcv import load_bars

    return load_bars(place / "bars.csv", symbol="TEST", timeframe="1d").bars


# --- names ---------------------------------------------------------------------------------------------------------

NAMES = [
    "茅" * 40, "A" * 200, "🚀" * 200, "é" * 200, names.NULL, names.NULL.lower(), "NULL", "000001", "1e5", "2024-01-01",
    "true", ".", "..", "dots..", "space ", " space", "100%", "a%2Fb", "a=b", "a/b", "\x01\n\t", "é", "e\u0301", "'",
    '"', "abc", "ABC", "aBc", "x~" + "0" * 32,
]  # fmt: skip


def test_every_name_is_data_and_reads_back(tmp_path: Path, look: Any) -> None:
    for at, symbol in enumerate(NAMES):
        put(tmp_path, look.bars([10 + at, 11 + at], symbol=symbol))
        put(tmp_path, look.bars([10 + at, 11 + at, 12 + at], symbol=symbol))
    found = look.rows(tmp_path, "SELECT symbol, timeframe, year, count(*), min(close) FROM ohlcv GROUP BY ALL")
    assert sorted(found) == sorted((symbol, "1h", 2024, 3, 10 + at) for at, symbol in enumerate(NAMES))
    assert check.check(tmp_path).findings == []
    folders = [step for path in commit.files_of(tmp_path) for step in path.split("/")]
    assert max(len(step.encode()) for step in folders) <= 255
    assert len({step.lower() for step in folders if step.startswith("symbol=")}) == len(NAMES)
    assert not any(step[-1] in ". " or step.endswith(names.NULL) for step in folders)


def test_a_month_and_a_minute_share_no_folder_on_a_disk_that_ignores_case(tmp_path: Path) -> None:
    folders = names.Folders()
    found = [folders.of("t", ("timeframe",), {"timeframe": unit}) for unit in ("1m", "1M", "1m", "1M")]
    assert found == ["t/timeframe=1m", "t/timeframe=%31%4D"] * 2


def test_a_folder_that_reads_as_null_is_found_and_named_anew(tmp_path: Path, look: Any) -> None:
    put(tmp_path, look.bars([10, 11], symbol=names.NULL))
    with writing(tmp_path) as writer:  # as an older version named it
        live = writer.commit.tables["ohlcv"]
        [part] = live.parts
        path = f"ohlcv/symbol={names.NULL}/timeframe=1h/year=2024/{part.path.rpartition('/')[2]}"
        (tmp_path / path).parent.mkdir(parents=True)
        shutil.copy(tmp_path / part.path, tmp_path / path)
        old = commit.Part(path, part.sha256, part.bytes, part.rows, part.first, part.last, part.series)
        writer.publish("test", writer.commit.tables | {"ohlcv": parts.replace("ohlcv", live, [part.path], [old])})
    assert look.rows(tmp_path, "SELECT DISTINCT symbol FROM ohlcv") == [(names.NULL,)]
    [finding] = check.check(tmp_path).findings
    assert "as NULL (just lake-compact gives it another)" in finding.what
    compact.compact(tmp_path, grace_s=0)
    assert check.check(tmp_path).findings == []
    assert look.rows(tmp_path, "SELECT symbol, count(*) FROM ohlcv GROUP BY ALL") == [(names.NULL, 2)]


def test_a_run_with_a_long_name_stops_no_other(place: Path, look: Any) -> None:
    look.run(place / "config.toml", place / "results", f"data.symbol={'茅' * 40}")
    done = build.build(Results(place / "results"), place / "lake", root=place)
    assert done.skipped == [] and done.broken == []
    assert look.rows(place / "lake", "SELECT symbol, count(*) FROM ohlcv GROUP BY ALL ORDER BY ALL") == [
        ("TEST", 20),
        ("茅" * 40, 20),
    ]


# --- the commands --------------------------------------------------------------------------------------------------


def test_the_commands_refuse_list_and_go_back(
    tmp_path: Path, look: Any, script: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    series = ["--symbol", "SPX", "--timeframe", "1d", "--source", "x y"]
    lake = ["--lake-dir", tmp_path]
    true, other = (ROOT / "data" / "samples" / f"{name}_daily.csv" for name in ("sp500", "nasdaq"))
    assert script("ingest_ohlcv", true, *series, *lake).returncode == 0
    before = look.rows(tmp_path, STATE)
    refused = script("ingest_ohlcv", other, *series, *lake)
    assert refused.returncode == 2 and b"sp500_daily.csv" in refused.stderr and b"nasdaq_daily.csv" in refused.stderr
    assert b"--revise accepts" in refused.stderr and look.rows(tmp_path, STATE) == before
    assert script("ingest_ohlcv", other, *series, *lake, "--revise").returncode == 0
    listed = script("revert_lake", *lake)
    assert listed.returncode == 0 and listed.stdout.count(b"5,031 bars") == 2 and b"nasdaq_daily.csv" in listed.stdout
    assert script("revert_lake", *series, "--to", "1", *lake).returncode == 0
    assert look.rows(tmp_path, STATE) == before
    assert script("revert_lake", *series, "--to", "9", *lake).returncode == 2
    nameless = script("ingest_ohlcv", true, *series[:4], "--source", "", *lake)
    assert nameless.returncode == 2 and b"the source is empty" in nameless.stderr


def test_the_command_maps_columns_and_tells_findings(
    tmp_path: Path, script: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    rows = [f"{int((now - dt.timedelta(hours=at)).timestamp())},10,11,9,10,5" for at in (9, 8, 7, 3, 2, 1, 0)]
    (tmp_path / "x.csv").write_text("\n".join(["unix,open,high,low,close,amount", *rows]) + "\n")
    words = ["--symbol", "B", "--timeframe", "1h", "--source", "x", "--lake-dir", tmp_path / "lake"]
    done = script(
        "ingest_ohlcv", tmp_path / "x.csv", *words, "--columns", "timestamp=unix,volume=amount", "--calendar", "24/7"
    )
    assert done.returncode == 0, done.stderr
    assert b"6 new bars" in done.stderr and b"was not over yet" in done.stderr
    assert b"warn: " in done.stderr and b"missing" in done.stderr


# --- like with like ------------------------------------------------------------------------------------------------


def test_saved_questions_compare_like_with_like(place: Path, look: Any) -> None:
    other_file(place)
    results = Results(place / "results")
    for _ in range(3):
        look.run(place / "config.toml", results.path, "strategy.params.fast=3")
    look.run(place / "config.toml", results.path, "data.path=other.csv", "data.symbol=OTHER", "strategy.params.fast=3")
    look.run(place / "config.toml", results.path, "strategy.params.fast=3", "execution.fee_bps=50")
    lake = place / "lake"
    build.build(results, lake, root=place)
    best = look.rows(lake, "SELECT symbol, runs, count(*) OVER (PARTITION BY symbol) FROM best_runs")
    assert sorted(best) == [("OTHER", 1, 1), ("TEST", 1, 3), ("TEST", 1, 3), ("TEST", 4, 3)]
    asked = "SELECT symbol, given, value, results, runs FROM parameter_sensitivity WHERE key = 'fast' ORDER BY ALL"
    assert look.rows(lake, asked) == [
        ("OTHER", "", "3", 1, 1),
        ("TEST", "execution.fee_bps=1.0", "2", 1, 1),
        ("TEST", "execution.fee_bps=1.0", "3", 1, 4),
        ("TEST", "execution.fee_bps=1.0", "4", 1, 1),
        ("TEST", "execution.fee_bps=50.0", "3", 1, 1),
    ]
    once = "SELECT count(*), count(DISTINCT run_id) FROM trades_around('2024-01-10', days := 90)"
    [(_, told)] = look.rows(lake, once)
    assert told == 5  # of eight runs
