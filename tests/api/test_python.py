"""`peak_trade` from Python: runs that are made, opened and listed, and a backtest that gives the same numbers."""

from __future__ import annotations

import inspect
import os
import random
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.record.portfolio import recorded, result

import peak_trade
from peak_trade import config as configs
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import tables
from peak_trade.market.bars import Bars
from peak_trade.market.ohlcv import load_bars

BUILTIN = {
    "data": {"path": "data/bars.csv", "symbol": "TEST", "timeframe": "1h"},
    "strategy": {"name": "sma_crossover", "params": {"fast": 3, "slow": 8}},
    "execution": {"fee_bps": 10, "slippage_bps": 5},
}


def bars_of(root: Path) -> Bars:
    return load_bars(root / "data" / "bars.csv", symbol="TEST", timeframe="1h").bars


def make(evidence: Any, config: Any, **overrides: Any) -> peak_trade.Run:
    """Run a mapping, or a config of the repository by its name, in there."""
    given = config if isinstance(config, dict) else evidence.root / "config" / f"{config}.toml"
    return peak_trade.run(given, root=evidence.root, results=evidence.results, **overrides)


def same(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


# --- the package itself -------------------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy() -> None:
    asked = "import sys; before = set(sys.modules); import peak_trade; print(*sorted(set(sys.modules) - before))"
    answered = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answered.stdout.split() == ["peak_trade"]


def test_every_public_name_is_there_and_documented() -> None:
    assert set(peak_trade.__all__) <= set(dir(peak_trade))
    assert [name for name in peak_trade.__all__ if not inspect.getdoc(getattr(peak_trade, name))] == []
    with pytest.raises(AttributeError, match="has no attribute 'backtset'"):
        _ = peak_trade.backtset  # type: ignore[attr-defined]


def test_the_function_stays_a_function_whatever_else_was_imported() -> None:
    asked = "import peak_trade.runner, peak_trade.engine, peak_trade.api; print(callable(peak_trade.backtest))"
    answered = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answered.stdout == "True\n"


# --- runs ---------------------------------------------------------------------------------------------------------


def test_a_run_is_sealed_and_reads_as_its_directory_does(evidence: Any) -> None:
    run = peak_trade.run(
        str(evidence.root / "config" / "builtin.toml"), root=str(evidence.root), results=str(evidence.results)
    )
    assert run.path == evidence.results / run.run_id
    assert run.status == "sealed"
    assert run.verify().state == "intact"
    series = tables.read_series(run.path / "equity.csv", ("timestamp", "equity", "drawdown", "position"))
    assert same(run.equity, series)
    assert run.equity.rows == 48
    assert list(run.trades) == list(tables.TRADE_COLUMNS)
    assert set(run.trades["side"]) == {"long"}
    assert run.stats["trades"] == run.trades.rows > 0
    assert run.stats["final_equity"] == run.equity["equity"][-1]
    assert run.manifest["predicate"]["status"] == "sealed"
    assert run.config["execution"]["fee_bps"] == 10
    assert run.benchmark is not None
    assert run.benchmark["close"].shape == (48,)
    assert peak_trade.open_run("last", results=evidence.results).run_id == run.run_id


def test_the_same_config_gives_the_same_bytes_from_a_file_and_from_a_mapping(evidence: Any) -> None:
    path = evidence.root / "config" / "same.toml"
    path.write_bytes(configs.compose(BUILTIN).content)
    from_file = make(evidence, "same")
    from_mapping = make(evidence, BUILTIN)
    for name in ("config_snapshot.toml", "config_snapshot.json", "stats.json", "equity.csv"):
        assert (from_file.path / name).read_bytes() == (from_mapping.path / name).read_bytes(), name
    assert from_mapping.verify().state == "intact"


@pytest.mark.parametrize(
    "overrides",
    [{"strategy": {"params": {"fast": np.int64(4)}}}, {"strategy.params.fast": 4}, {"strategy.params": {"fast": 4}}],
)
def test_an_override_is_a_section_or_a_dotted_key(overrides: dict[str, Any], evidence: Any) -> None:
    run = make(evidence, "builtin", **overrides)
    assert run.config["strategy"]["params"] == {"fast": 4, "slow": 8, "short": False}
    assert run.config["overrides"] == {"strategy.params.fast": 4}
    assert run.verify().state == "intact"


def test_what_a_config_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong, said in (
        ({"data": {**BUILTIN["data"], "path": None}, "strategy": {"name": "macd"}}, "data.path is None"),
        ({**BUILTIN, "excution": {}}, "unknown section [excution]"),
        ({**BUILTIN, "run": {"tags": {"a": object()}}}, "run.tags.a is of type object"),
    ):
        with pytest.raises(InputError) as caught:
            peak_trade.run(wrong, root=tmp_path, results=tmp_path)
        assert said in caught.value.message
    with pytest.raises(InputError, match=r"the override 'seed' is not of the form section\.key"):
        peak_trade.run(BUILTIN, root=tmp_path, results=tmp_path, seed=3)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_names_its_evidence_and_can_be_opened(evidence: Any) -> None:
    with pytest.raises(RunError) as caught:
        make(evidence, "failed")
    failed = peak_trade.open_run(str(caught.value.run_id), results=evidence.results, root=evidence.root)
    assert failed.status == "failed"
    assert "no idea what to do" in failed._repr_html_()
    with pytest.raises(RunError, match=r"has no stats\.json: it failed"):
        _ = failed.stats


def test_what_a_run_of_another_program_never_had_is_said(tmp_path: Path) -> None:
    bare, alone = recorded(tmp_path / "a", None), recorded(tmp_path / "b", result(trades=None, open_=None))
    with pytest.raises(RunError, match=r"has no stats\.json: no engine was seen"):
        _ = peak_trade.open_run(bare).stats
    run = peak_trade.open_run(alone)
    assert run.stats["final_equity"] == 10_230.0
    with pytest.raises(RunError, match=r"has no trades\.csv: nobody said what would be in it"):
        _ = run.trades
    (alone / "stats.json").unlink()  # control: what was there, and is gone, is not said never to have been
    with pytest.raises(RunError, match="No such file"):
        _ = peak_trade.open_run(alone).stats


def test_a_broken_run_says_so(evidence: Any) -> None:
    evidence.edit_csv("builtin", "equity.csv", 5, equity="1.0")
    run = peak_trade.open_run(evidence.path("builtin"), root=evidence.root)
    assert run.verify().state == "broken"


def test_a_run_is_opened_by_its_start_its_path_or_not_at_all(evidence: Any) -> None:
    run_id = evidence.runs["own"]
    assert peak_trade.open_run(run_id[:13], results=str(evidence.results)).run_id == run_id
    assert peak_trade.open_run(str(evidence.path("own"))).run_id == run_id
    with pytest.raises(InputError, match="no run 'zzz'"):
        peak_trade.open_run("zzz", results=evidence.results)


def test_runs_are_told_apart_in_words(evidence: Any) -> None:
    listed = peak_trade.runs(evidence.results)
    own = {name: dict(zip(listed["run_id"], listed[name], strict=True)) for name in ("params", "differs", "name")}
    plain = evidence.runs["plain"]
    assert (own["params"][plain], own["differs"][plain]) == ("fast=3, slow=12, short=false", "slow=12")
    assert own["name"][evidence.runs["own"]] == "our own"
    for extra, frame in (("pandas", "to_pandas"), ("polars", "to_polars")):
        pytest.importorskip(extra)
        assert list(getattr(listed, frame)()["differs"]) == list(listed["differs"])


def test_results_are_where_is_said_else_the_environment_else_below_the_root(
    evidence: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, root = evidence.root / "config" / "builtin.toml", evidence.root
    monkeypatch.setenv("PEAK_RESULTS_DIR", str(tmp_path / "environment"))
    assert peak_trade.run(config, root=root, results=str(tmp_path / "said")).path.parent == tmp_path / "said"
    assert peak_trade.run(config, root=root).path.parent == tmp_path / "environment"
    assert peak_trade.runs().rows == 1
    monkeypatch.delenv("PEAK_RESULTS_DIR")
    assert peak_trade.run(config, root=root).path.parent == evidence.results


def test_runs_are_a_table_newest_first(evidence: Any) -> None:
    table = peak_trade.runs(evidence.results)
    assert set(table["run_id"]) == set(evidence.runs.values())
    assert list(table["started"]) == sorted(table["started"], reverse=True)
    failed = table["status"] == "failed"
    assert np.isnan(table["sharpe"][failed]).all()
    assert table.rows == len(evidence.runs)
    assert peak_trade.runs(evidence.root / "nowhere").rows == 0


def test_a_report_is_rendered_without_a_checkout_in_between(evidence: Any) -> None:
    pytest.importorskip("nbclient")
    page = peak_trade.open_run(evidence.path("builtin")).report(renderer="builtin", output=evidence.root / "a.html")
    assert evidence.runs["builtin"] in page.read_text(encoding="utf-8")


# --- tables -------------------------------------------------------------------------------------------------------


def test_a_table_becomes_a_frame_of_the_same_numbers(evidence: Any) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    run = peak_trade.open_run(evidence.path("own"))
    frame, other = run.equity.to_pandas(), run.equity.to_polars()
    assert str(frame.index.tz) == "UTC"
    assert (frame.index.tz_convert(None).to_numpy() == run.equity["timestamp"]).all()
    assert other.schema["timestamp"] == polars.Datetime("ns", "UTC")
    for name in ("equity", "drawdown", "position"):
        assert (frame[name].to_numpy() == run.equity[name]).all()
        assert (other[name].to_numpy() == run.equity[name]).all()
    trades, others = run.trades.to_pandas(), run.trades.to_polars()
    assert isinstance(trades, pandas.DataFrame)
    assert trades["side"].tolist() == others["side"].to_list() == run.trades["side"].tolist()
    assert (trades["pnl"].to_numpy() == run.trades["pnl"]).all()


def test_a_table_cannot_be_written_to_and_shows_itself(evidence: Any) -> None:
    run = peak_trade.open_run(evidence.path("own"))
    with pytest.raises(ValueError, match="read-only"):
        run.equity["equity"][0] = 0.0
    assert repr(run.equity) == "<Table of 48 rows: timestamp, equity, drawdown, position>"
    assert "48 rows, the first 10 shown" in run.equity._repr_html_()


# --- what a notebook shows ----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_card_of_a_run_is_escaped_and_loads_nothing(evidence: Any) -> None:
    run = make(
        evidence,
        "builtin",
        run={"name": "<script>alert(1)</script>"},
        data={"symbol": "<img src=x onerror=alert(2)>"},
    )
    html = run._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;img src=x" in html
    tags = Tags()
    tags.feed(html)
    assert tags.seen == {"div", "b", "small", "table", "tr", "td", "br", "svg", "polyline"}
    assert {name for name in tags.attributes if name.startswith(("on", "src", "href"))} == set()
    assert "<polyline points=" in html
    assert run.run_id in html


# --- a backtest ---------------------------------------------------------------------------------------------------


def steps(bars: Bars, *, length: int = 5, size: float = 0.8) -> Any:
    return np.resize(np.repeat([0.0, size, size / 2, -size, -size / 4], length), len(bars))


def noise(bars: Bars) -> Any:
    return [random.random() * np.random.random() for _ in range(len(bars))]  # noqa: NPY002 - as old code does


SETTINGS: dict[str, dict[str, Any]] = {
    "costs": {"execution": {"fee_bps": 10.0, "slippage_bps": 5.0, "initial_cash": 5e3}},
    "shorts": {"execution": {"allow_short": True, "borrow_rate": 0.5}, "strategy": {"params": {"short": True}}},
    "sizes": {"sizing": {"scale": 0.7, "max_exposure": 0.5, "min_trade_value": 100.0}},
    "stops": {"stops": {"stop_loss": 0.01, "take_profit": 0.05, "trailing_stop": 0.02}},
    "statistics": {
        "stats": {"risk_free_rate": 0.02, "benchmark": "none", "periods_per_year": 100.0},
        "data": {"calendar": "XNYS"},
    },
}


@pytest.mark.parametrize("changed", SETTINGS.values(), ids=SETTINGS)
def test_a_backtest_has_the_numbers_of_a_run_to_the_bit(changed: dict[str, Any], evidence: Any) -> None:
    tree = {name: {**BUILTIN.get(name, {}), **changed.get(name, {})} for name in BUILTIN.keys() | changed.keys()}
    tree["strategy"]["params"] = {"fast": 3, "slow": 8} | changed.get("strategy", {}).get("params", {})
    run = make(evidence, tree)
    keywords = {key: value for name in tree if name not in ("data", "strategy") for key, value in tree[name].items()}
    keywords |= {"calendar": tree["data"].get("calendar")}
    made = peak_trade.backtest(bars_of(evidence.root), "sma_crossover", tree["strategy"]["params"], **keywords)
    assert made.stats == run.stats
    assert made.reasons == run.reasons
    assert same(made.equity, run.equity)
    assert same(made.trades, run.trades)
    assert (made.benchmark is None) == (run.benchmark is None)
    assert made.benchmark is None or same(made.benchmark, run.benchmark)
    assert made.trades.rows > 0


def test_a_ruined_backtest_says_when_and_another_says_nothing() -> None:
    """Short all-in at 100; at the close of the second day 250 is asked for: 10,000 - 15,000."""
    price = np.array([100.0, 250.0, 50.0])
    opened = np.array([100.0, 100.0, 250.0])
    days = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    bars = Bars(days, opened, np.maximum(opened, price), np.minimum(opened, price), price, np.ones(3), "X", "1d")
    done = peak_trade.backtest(bars, lambda bars: -np.ones(len(bars)), allow_short=True)
    assert done.ruined == np.datetime64("2024-01-02") and done.stats["total_return"] == -1.5
    assert repr(done).endswith("1 trades, ruined 2024-01-02T00:00:00Z>") and "ruined 2024-01-02" in done._repr_html_()
    held = peak_trade.backtest(bars, lambda bars: np.ones(len(bars)))
    assert held.ruined is None and "ruined" not in repr(held) + held._repr_html_()


def test_a_frame_gives_the_numbers_of_its_file(evidence: Any) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    from_bars = peak_trade.backtest(bars_of(evidence.root), "macd")
    path = evidence.root / "data" / "bars.csv"
    frames = (pandas.read_csv(path, parse_dates=["timestamp"])[::-1], polars.read_csv(path, try_parse_dates=True))
    for frame in frames:
        made = peak_trade.backtest(frame, "macd", symbol="TEST")
        assert made.stats == from_bars.stats
        assert same(made.equity, from_bars.equity)
        assert same(made.trades, from_bars.trades)
        assert "timeframe taken from the times: 1h" in made.assumptions


def test_a_function_and_an_entrypoint_give_the_numbers_of_the_run(evidence: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(evidence.root)
    run = peak_trade.open_run(evidence.path("own"))
    costs = {"fee_bps": 10, "slippage_bps": 5, "allow_short": True, "borrow_rate": 0.5, "calendar": "24/7"}
    for strategy in (steps, "strategies/own.py:steps"):
        made = peak_trade.backtest(bars_of(evidence.root), strategy, **costs)  # type: ignore[arg-type]
        assert made.stats == run.stats
        assert same(made.trades, run.trades)
    assert (made.target == steps(made.bars)).all()
    longer = peak_trade.backtest(bars_of(evidence.root), steps, {"length": 7}, **costs)  # type: ignore[arg-type]
    assert not np.array_equal(longer.target, made.target)


def test_a_strategy_that_draws_gives_the_same_again_and_leaves_the_generators_alone(evidence: Any) -> None:
    bars = bars_of(evidence.root)
    random.seed(9)
    np.random.seed(9)  # noqa: NPY002 - the state that must not be touched
    expected = random.Random(9).random(), np.random.RandomState(9).random_sample()
    one, two, other = (peak_trade.backtest(bars, noise, seed=seed) for seed in (1, 1, 2))
    assert (one.target == two.target).all()
    assert (one.target != other.target).any()
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002 - as above


def test_the_defaults_are_those_of_the_config() -> None:
    given = {name: p.default for name, p in inspect.signature(peak_trade.backtest).parameters.items()}
    config = configs.compose({**BUILTIN, "execution": {}}).config
    sections = (config.execution, config.sizing, config.stops, config.stats, config.run, config.data)
    known = {name: getattr(part, name) for part in sections for name in part.__struct_fields__}
    known["fill"] = configs.UNSAID["execution.fill"]
    apart = {"bars", "strategy", "params", "symbol", "timeframe", "columns", "declared"}
    assert {name: default for name, default in given.items() if name not in apart} == {
        name: known[name] for name in given if name not in apart
    }
    settings = {name for part in sections[:4] for name in part.__struct_fields__}
    assert settings <= given.keys()


def test_a_backtest_writes_nothing_and_a_strategy_cannot_write_into_its_bars(
    evidence: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("PEAK_RESULTS_DIR", str(tmp_path / "results"))
    bars = bars_of(evidence.root)
    peak_trade.backtest(bars, "macd")
    assert os.listdir(tmp_path / "empty") == []
    assert not (tmp_path / "results").exists()

    def greedy(bars: Bars) -> Any:
        bars.close[:] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        peak_trade.backtest(bars, greedy)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fee_bps": -1}, "execution.fee_bps is -1"),
        ({"stop_loss": 2}, "stops.stop_loss is 2"),
        ({"borrow_rate": 0.1}, "execution.borrow_rate cannot take effect"),
        ({"calendar": "XNYC"}, "unknown calendar `XNYC`"),
        ({"benchmark": "spy"}, "stats.benchmark is 'spy'"),
    ],
)
def test_a_wrong_setting_is_refused_as_in_a_config(settings: dict[str, Any], said: str, evidence: Any) -> None:
    with pytest.raises(InputError) as caught:
        peak_trade.backtest(bars_of(evidence.root), "macd", **settings)
    assert said in caught.value.message


def test_wrong_strategies_parameters_and_bars_are_refused(evidence: Any) -> None:
    bars = bars_of(evidence.root)
    with pytest.raises(InputError, match="unknown strategy `sma_crosover`"):
        peak_trade.backtest(bars, "sma_crosover")
    with pytest.raises(InputError, match=r"unknown parameter strategy\.params\.fats"):
        peak_trade.backtest(bars, "sma_crossover", {"fats": 3})
    with pytest.raises(RunError, match="the strategy returned None"):
        peak_trade.backtest(bars, lambda bars: None)
    with pytest.raises(RunError, match="short"):
        peak_trade.backtest(bars, lambda bars: -np.ones(len(bars)))
    with pytest.raises(ZeroDivisionError):
        peak_trade.backtest(bars, lambda bars: 1 / 0)
    columns = {name: getattr(bars, name)[::-1] for name in ("timestamp", "open", "high", "low", "close", "volume")}
    with pytest.raises(InputError, match="the bars break the contract"):
        peak_trade.backtest(Bars(**columns, symbol="A", timeframe="1h"), "macd")
    with pytest.raises(InputError, match="bars can't be read from a dict"):
        peak_trade.backtest({}, "macd")
