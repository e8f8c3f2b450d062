"""A benchmark that is a file, through the whole chain: run, verify, replay, compare, sweep, hand over."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import config, runner
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import tables
from peak_trade.evidence.results import Results
from peak_trade.market import fingerprint
from peak_trade.report.run import RunFiles
from peak_trade.shown import listing
from peak_trade.sweep import order
from peak_trade.sweep.wish import Wish
from peak_trade.tracking.content import run_content
from peak_trade.trust import difference, handed, handover, replay, verify
from peak_trade.trust.probe import case
from peak_trade.trust.probe.delay import delay
from peak_trade.trust.replay import data
from peak_trade.trust.replay.environment import Python
from peak_trade.trust.replay.recorded import Recorded
from peak_trade.trust.replay.replay import again

CONFIG = """\
[data]
path = "bars.csv"
symbol = "BTC"
timeframe = "1d"
calendar = "24/7"

[strategy]
name = "sma_crossover"
params = {{ fast = 3, slow = 8 }}

[execution]
fee_bps = 10.0

[stats]
benchmark = "{benchmark}"
"""
HEAD = ["date", "open", "high", "low", "close", "volume"]
DAYS = np.arange("2024-01-01", "2024-05-01", dtype="M8[D]")


class Desk:
    """A folder with bars of all days, a benchmark of weekdays from a month before, and runs."""

    def __init__(self, home: Path) -> None:
        self.home, self.results = home, home / "results"
        self.write("bars.csv", DAYS, 1)
        weekdays = np.arange("2023-12-01", "2024-06-01", dtype="M8[D]")
        self.write("spx.csv", weekdays[np.is_busday(weekdays)], 2)
        self.config("spx.csv")

    def write(self, name: str, days: Any, seed: int) -> None:
        closes = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, len(days))))
        opens = [closes[0], *closes[:-1]]
        with open(self.home / name, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(HEAD)
            for day, first, last in zip(days, opens, closes, strict=True):
                rows.writerow([day, first, max(first, last), min(first, last), last, 1])

    def config(self, benchmark: str) -> None:
        (self.home / "config.toml").write_text(CONFIG.format(benchmark=benchmark))

    def run(self, **overrides: Any) -> Path:
        asked = config.load(self.home / "config.toml", {key.replace("__", "."): one for key, one in overrides.items()})
        return runner.run(asked, root=self.home, results=self.results)

    def sweep(self, wish: Wish) -> Path:
        asked = config.load(self.home / "config.toml")
        return order.sweep(asked, wish, root=self.home, results=self.results)

    def verdict(self, run: Path) -> verify.Verdict:
        return verify.verify(run, Results(self.results).reading(), root=self.home)

    def replayed(self, run: Path, **options: Any) -> replay.Replay:
        return replay.replay(run, Results(self.results), self.home, **options)

    def edit(self, name: str, day: str) -> None:
        """Take another close on a day."""
        lines = (self.home / name).read_text().splitlines()
        at = next(at for at, line in enumerate(lines) if line.startswith(day))
        lines[at] = f"{day},70,70,70,70,1"
        (self.home / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def manifest(run: Path) -> dict[str, Any]:
    predicate: dict[str, Any] = json.loads((run / "manifest.json").read_text())["predicate"]
    return predicate


def part(run: Path) -> dict[str, Any]:
    parts = manifest(run)["buildDefinition"]["resolvedDependencies"]
    return next(one for one in parts if one["name"] == "benchmark")


def series(run: Path) -> list[dict[str, str]]:
    with open(run / "benchmark.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_benchmark_csv_and_the_statistics_are_those_of_the_file_by_hand(desk: Desk) -> None:
    run = desk.run()
    with open(desk.home / "spx.csv", newline="") as file:
        closes = {row["date"]: float(row["close"]) for row in csv.DictReader(file)}
    known = [
        max(day for day in closes if day <= str(bar)) for bar in DAYS
    ]  # of days of one length: same date or before
    expected = [closes[day] for day in known]
    found = series(run)
    assert [float(row["benchmark"]) for row in found] == expected
    assert [row["timestamp"][:10] for row in found] == [str(day) for day in DAYS]
    assert [float(row["equity"]) for row in found] == pytest.approx([1e4 * one / expected[0] for one in expected])
    figures = json.loads((run / "stats.json").read_text())
    assert figures["benchmark_total_return"] == pytest.approx(expected[-1] / expected[0] - 1)
    with open(run / "equity.csv", newline="") as file:
        own = np.array([float(row["equity"]) for row in csv.DictReader(file)])
    ours, theirs = own[1:] / own[:-1] - 1, np.diff(expected) / np.array(expected[:-1])
    assert figures["beta"] == pytest.approx(np.cov(ours, theirs)[0, 1] / np.var(theirs, ddof=1))
    assert figures["information_ratio"] == pytest.approx(
        np.mean(ours - theirs) / np.std(ours - theirs, ddof=1) * np.sqrt(figures["periods_per_year"])
    )
    bars = (desk.home / "bars.csv").read_text().splitlines()[1:]
    assert [float(row["close"]) for row in found] == [float(line.split(",")[4]) for line in bars]


def test_the_manifest_names_the_file_its_closes_and_how_it_was_aligned(desk: Desk) -> None:
    run = desk.run()
    about = part(run)["annotations"]
    assert (about["symbol"], about["timeframe"]) == ("spx", "1d")
    assert (about["start"], about["end"]) == ("2023-12-29T00:00:00Z", "2024-04-30T00:00:00Z")
    assert [one["name"] for one in about["files"]] == ["spx.csv"]
    assert "its last close that was known by then" in about["assumptions"][-1]
    assert json.loads((run / "config_snapshot.json").read_text())["stats"]["benchmark"] == "spx.csv"
    line = Results(desk.results).reading().of(run.name).end
    assert line is not None
    assert line.fields["benchmark"] == part(run)["digest"]["sha256"]


def test_a_run_without_a_file_is_to_the_byte_what_it_was(desk: Desk) -> None:
    """Buy and hold has no column, no part and no field more; with the file, equity and trades are the same."""
    of_file, held = desk.run(), desk.run(stats__benchmark="buy_and_hold")
    assert list(series(held)[0]) == ["timestamp", "close", "equity"]
    assert "benchmark" not in [one["name"] for one in manifest(held)["buildDefinition"]["resolvedDependencies"]]
    assert (of_file / "equity.csv").read_bytes() == (held / "equity.csv").read_bytes()
    digests = [
        {key: manifest(run)["results"][key] for key in ("equity_digest", "trades_digest")} for run in (of_file, held)
    ]
    assert digests[0] == digests[1]


def test_the_name_is_on_the_page_in_what_is_shown_and_among_the_tags(desk: Desk) -> None:
    run = desk.run()
    assert RunFiles(run).benchmark_name == "spx"
    shown = listing.summary(run).splitlines()
    assert [" ".join(line.split()) for line in shown if line.startswith("benchmark")] == [
        "benchmark spx 1d, 88 closes to 2024-04-30"
    ]
    assert any("(spx " in line for line in shown)
    tags = run_content(run).tags
    assert (tags["benchmark"], tags["benchmark_sha256"]) == ("spx", part(run)["digest"]["sha256"])
    assert RunFiles(desk.run(stats__benchmark="buy_and_hold")).benchmark_name == "Buy and hold"


def test_verify_works_it_out_again_with_its_file_and_without(desk: Desk) -> None:
    run = desk.run()
    assert (desk.verdict(run).state, desk.verdict(run).unchecked) == ("intact", [])
    (desk.home / "spx.csv").rename(desk.home / "away.csv")
    found = desk.verdict(run)
    assert found.holds
    assert found.unchecked[0].startswith("the benchmark's file: there is no file spx.csv; looked in ")


def test_verify_sees_a_close_that_is_another_and_none_of_a_day_that_no_bar_needs(desk: Desk) -> None:
    run = desk.run()
    desk.edit("spx.csv", "2024-05-15")
    desk.edit("spx.csv", "2023-12-04")
    assert desk.verdict(run).holds
    desk.edit("spx.csv", "2024-03-05")
    (finding,) = desk.verdict(run).findings
    assert finding.file == "spx.csv"
    assert "changed in 2024-03-05" in str(finding)


@pytest.mark.parametrize(("column", "said"), [("benchmark", "row 41 equity"), ("equity", "row 41 equity")])
def test_verify_sees_a_series_that_does_not_fit_its_own_columns(desk: Desk, column: str, said: str) -> None:
    """Sealed anew by who forged it: what gives it away are the columns, not the digest."""
    run = desk.run()
    contents = {name: (run / name).read_bytes() for name in ("benchmark.csv",)}
    rows = contents["benchmark.csv"].decode().splitlines()
    names = rows[0].split(",")
    cells = rows[40].split(",")
    cells[names.index(column)] = repr(float(cells[names.index(column)]) * 1.01)
    rows[40] = ",".join(cells)
    (run / "benchmark.csv").write_text("\n".join(rows) + "\n")
    from peak_trade.evidence import benchmark
    from peak_trade.evidence import manifest as manifests
    from peak_trade.trust import benchmarks
    from peak_trade.trust.kept import Kept

    sealed = manifests.decode((run / "manifest.json").read_bytes())
    found = benchmark.read((run / "benchmark.csv").read_bytes())
    asked = config.load(desk.home / "config.toml").config
    verdict = verify.Verdict(run.name)
    kept = Kept(None, desk.results, None, elsewhere=False)
    benchmarks.check(verdict, sealed, asked, found, found["timestamp"], kept)
    assert said in str(verdict.findings[0])


def test_a_replay_gives_the_same_bytes_also_from_where_the_file_lies_now(desk: Desk) -> None:
    run = desk.run()
    assert desk.replayed(run).verdict == "IDENTICAL"
    (desk.home / "spx.csv").rename(desk.home / "moved.csv")
    with pytest.raises(InputError, match="the benchmark is gone, bars from 2023-12-29 to 2024-04-30") as caught:
        desk.replayed(run)
    assert caught.value.hint == "--benchmark FILE names where it lies now"
    made = desk.replayed(run, beside=[str(desk.home / "moved.csv")])
    assert (made.verdict, made.said) == ("IDENTICAL", [])


def test_a_replay_names_the_days_on_which_the_benchmark_is_another(desk: Desk) -> None:
    run = desk.run()
    desk.edit("spx.csv", "2024-03-05")
    found = desk.replayed(run)
    assert found.verdict == "DIVERGED"
    assert {one.key for one in found.figures} >= {"beta", "alpha"}
    assert (found.causes[0].verdict, found.causes[0].input.name) == ("likely", "benchmark spx")
    assert found.causes[0].input.details == ["revised 2024-03-05"]


def test_another_process_of_python_makes_it_again_to_the_byte(desk: Desk) -> None:
    run = desk.run()
    found = Recorded(run, Results(desk.results))
    bars = data.find(found, desk.home)
    with again(found, bars, desk.home, here=False, python=Python(Path(sys.executable))) as (_, made):
        assert made is not None
        for name in ("benchmark.csv", "stats.json"):
            assert made.content(name) == (run / name).read_bytes()


def test_a_run_that_failed_names_its_benchmark_and_fails_again(desk: Desk) -> None:
    (desk.home / "own.py").write_text("def broken(bars):\n    raise ValueError('no')\n")
    text = (desk.home / "config.toml").read_text()
    section = '[strategy]\nname = "sma_crossover"\nparams = { fast = 3, slow = 8 }\n'
    assert section in text
    (desk.home / "config.toml").write_text(text.replace(section, '[strategy]\nentrypoint = "own.py:broken"\n'))
    with pytest.raises(RunError) as caught:
        desk.run()
    run = desk.results / str(caught.value.run_id)
    assert part(run)["annotations"]["symbol"] == "spx"
    assert desk.verdict(run).holds
    assert desk.replayed(run).verdict == "IDENTICAL"


def test_a_probe_needs_no_benchmark(desk: Desk) -> None:
    run = desk.run()
    (desk.home / "spx.csv").unlink()
    with handed.handed(run.name, Results(desk.results)) as one, case.of_run(one, desk.home) as found:
        assert delay(found.bars, found.target, found.config).sharpe is not None


def test_a_replay_takes_no_file_for_a_benchmark_that_is_none(desk: Desk) -> None:
    run = desk.run(stats__benchmark="none")
    with pytest.raises(InputError, match="is no file: none") as caught:
        desk.replayed(run, beside=[str(desk.home / "spx.csv")])
    assert caught.value.hint == "leave --benchmark out"


def inputs(a: Path, b: Path) -> list[difference.Input]:
    return difference.inputs(difference.read(a), difference.read(b))


def test_compare_says_that_the_benchmark_is_another_and_not_that_its_path_is(desk: Desk) -> None:
    first = desk.run()
    (desk.home / "more").mkdir()
    shutil.copy(desk.home / "spx.csv", desk.home / "more" / "spx.csv")
    moved = desk.run(stats__benchmark="more/spx.csv")
    found = inputs(first, moved)
    assert [(one.kind, one.name) for one in found] == [("label", "stats.benchmark")]
    desk.edit("spx.csv", "2024-03-05")
    found = inputs(first, desk.run())
    assert [(one.kind, one.name, one.details) for one in found] == [
        ("figures", "benchmark spx", ["revised 2024-03-05"])
    ]
    held = inputs(first, desk.run(stats__benchmark="buy_and_hold"))
    assert [(one.kind, one.name, one.b) for one in held] == [("figures", "stats.benchmark", "buy_and_hold")]


def test_a_kept_trial_has_the_bytes_of_the_run_alone_and_its_parent_those_of_the_best(desk: Desk) -> None:
    swept = desk.sweep(Wish(grid=("fast=3,4",), keep=2))
    kept = {int(at): desk.results / run for at, run in manifest(swept)["runDetails"]["metadata"]["kept"].items()}
    assert sorted(kept) == [0, 1]
    for at, path in kept.items():
        alone = desk.run(strategy__params__fast=[3, 4][at])
        for name in ("benchmark.csv", "stats.json", "equity.csv", "config_snapshot.toml"):
            assert (path / name).read_bytes() == (alone / name).read_bytes()
        assert part(path) == part(alone)
    best = manifest(swept)["results"]["chosen"]["index"]
    assert (swept / "benchmark.csv").read_bytes() == (kept[best] / "benchmark.csv").read_bytes()
    assert part(swept) == part(kept[best])
    assert all(desk.verdict(run).holds for run in (swept, *kept.values()))
    assert desk.replayed(swept, which=["all"]).verdict == "IDENTICAL"


def test_each_window_of_a_walk_forward_and_the_account_over_all_are_held_against_it(desk: Desk) -> None:
    swept = desk.sweep(Wish(grid=("fast=3,4",), keep=0, walk_forward=("train=30d", "test=15d")))
    first = series(swept)[0]
    assert float(first["equity"]) == 10_000.0  # from the first window's first close on
    assert first["benchmark"] == next(
        row["benchmark"] for row in series(desk.run()) if row["timestamp"] == first["timestamp"]
    )
    found = desk.verdict(swept)
    assert (found.state, found.unchecked) == ("intact", [])
    assert desk.replayed(swept, which=["all"]).verdict == "IDENTICAL"


def test_a_sweep_whose_benchmark_has_changed_is_another_sweep(desk: Desk) -> None:
    wish = Wish(grid=("fast=3,4",), keep=0)
    first = desk.sweep(wish)
    assert desk.sweep(wish) == first
    desk.edit("spx.csv", "2024-03-05")
    assert desk.sweep(wish) != first


def test_an_archive_with_data_has_the_benchmark_too_and_is_replayed_and_taken_in_without_any_file(
    desk: Desk, tmp_path: Path
) -> None:
    run = desk.run()
    results = Results(desk.results)
    archive = tmp_path / "run.zip"
    with handed.handed(run.name, results) as one:
        handover.export([one], results, archive, root=desk.home)
    for name in ("bars.csv", "spx.csv"):
        (desk.home / name).unlink()
    with handed.handed(str(archive), results) as one:
        found = verify.verify(one.run, results.reading(), copy=True, data=one.data)
        assert (found.holds, found.unchecked) == (True, [])
        made = replay.replay(one.run, None, desk.home, along=one.data)
        assert made.verdict == "IDENTICAL"
    other = Results(tmp_path / "other")
    handover.receive(str(archive), other)
    names = sorted(os.listdir(other.path / ".bars"))
    assert f"{part(run)['digest']['sha256']}.bars" in names
    assert len(names) == 2
    from peak_trade.ops import bars

    assert bars.unnamed(other) == {}
    content = (other.path / ".bars" / f"{part(run)['digest']['sha256']}.bars").read_bytes()
    assert fingerprint.parse(content).symbol == "spx"


def test_bars_that_are_long_without_a_close_are_warned_of(desk: Desk) -> None:
    days = np.arange("2023-12-01", "2024-03-01", dtype="M8[D]")
    desk.write("spx.csv", days[np.is_busday(days)], 2)
    receipts = [one for one in manifest(desk.run())["receipts"] if one["part"] == "benchmark"]
    assert [one["outcome"] for one in receipts] == ["stale"]
    assert receipts[0]["reason"].endswith("the one before stands, for 61 days at the longest")
    assert [one for one in manifest(desk.run(data__end="2024-03-01"))["receipts"] if one["part"] == "benchmark"] == []


def refused(desk: Desk, benchmark: str) -> InputError:
    """Return the error of a run, which leaves nothing at all."""
    desk.config(benchmark)
    with pytest.raises(InputError) as caught:
        desk.run()
    assert caught.value.exit_code == 2
    assert not desk.results.exists()
    return caught.value


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("buy-and-hold", "the benchmark: there is no file buy-and-hold; looked in "),
        ("gone/*.csv", "the benchmark: there is no file gone/*.csv; looked in "),
        (".", "is a directory"),
        ("/dev/zero", "/dev/zero is not a regular file"),
        ("spx.csv\\u0000", "the benchmark: "),
    ],
)
def test_a_path_that_is_no_file_is_refused_and_leaves_nothing(desk: Desk, name: str, said: str) -> None:
    error = refused(desk, name)
    assert said in error.message
    assert "buy_and_hold" in (error.hint or "")


def test_a_pipe_is_refused_and_not_waited_for(desk: Desk) -> None:
    os.mkfifo(desk.home / "pipe.csv")
    assert "is not a regular file" in refused(desk, "pipe.csv").message


def test_what_is_said_of_the_start_is_taken(desk: Desk) -> None:
    days = np.arange("2024-02-01", "2024-06-01", dtype="M8[D]")
    desk.write("late.csv", days[np.is_busday(days)], 2)
    error = refused(desk, "late.csv")
    start = (error.hint or "").partition('"')[2].partition('"')[0]
    assert start == "2024-02-01T00:00:00Z"
    assert desk.verdict(desk.run(data__start=start)).holds


def test_a_secret_in_an_address_is_not_said(desk: Desk) -> None:
    error = refused(desk, "https://desk:hunter2hunter2@data.invalid/spx.csv?token=0123456789abcdef0123")
    assert "hunter2" not in str(error)
    assert "0123456789abcdef" not in str(error)
    assert "https://desk:[redacted]@data.invalid/spx.csv" in str(error)


def test_bars_that_are_held_out_hold_out_the_benchmark_s_too(desk: Desk) -> None:
    assert part(desk.run(run__holdout="30d"))["annotations"]["end"] == "2024-03-29T00:00:00Z"


def test_a_hostile_name_is_text_and_nothing_else(desk: Desk) -> None:
    name = "<img src=x>'; drop"
    (desk.home / "spx.csv").rename(desk.home / f"{name}.csv")
    desk.config(f"{name}.csv")
    run = desk.run()
    assert RunFiles(run).benchmark_name == name
    assert desk.verdict(run).holds


def test_of_more_bars_than_rows_each_is_checked_with_the_file_and_named_without(desk: Desk) -> None:
    hours = np.arange("2024-01-01T00", "2024-05-01T00", dtype="M8[h]")
    desk.write("bars.csv", [f"{hour}:00:00Z" for hour in hours], 1)
    run = desk.run(data__timeframe="1h")
    assert len(series(run)) < len(hours)
    found = desk.verdict(run)
    assert (found.state, found.unchecked) == ("intact", [])
    (desk.home / "spx.csv").unlink()
    found = desk.verdict(run)
    assert found.holds
    assert any("its closes between those of benchmark.csv are in its file alone" in one for one in found.unchecked)
    columns = tables.read_series(run / "equity.csv", ("timestamp", "equity", "drawdown", "position"))
    assert len(columns["timestamp"]) == len(hours)
