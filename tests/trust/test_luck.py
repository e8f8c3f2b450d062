"""N is counted over the ledger, and a run's luck is what the papers' formulas make of it and of its own files."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peak_trade import script
from peak_trade.errors import PeakError, RunError
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.shown import listing
from peak_trade.stats.luck import track, trials
from peak_trade.trust.handed import Handed, handed
from peak_trade.trust.luck import assess, family, listed, words
from peak_trade.trust.luck.family import Family, Series

DATA, OTHER = "d" * 64, "e" * 64
ON = Series("SPX", "1d", DATA)


class Books:
    """A ledger that runs are written into, without their directories."""

    def __init__(self, results: Path) -> None:
        results.mkdir(exist_ok=True)
        self.ledger = Ledger(results)

    def run(self, sharpe: float | None = 1.0, *, data: str = DATA, end: str = "sealed", **told: Any) -> str:
        run_id = str(uuid.uuid4())
        called = {"strategy": "any", "symbol": "SPX", "timeframe": "1d"} | told
        self.ledger.append("start", run_id, **called)
        if end == "sealed":
            figures = {"sharpe": sharpe, "total_return": sharpe, "max_drawdown": -0.1, "trades": 7}
            self.ledger.append(end, run_id, manifest="0" * 64, **called, data=data, bars=100, **figures)
        elif end:
            self.ledger.append(end, run_id, manifest="0" * 64, **called, message="no")
        return run_id

    def trials(self, count: int, digest: str = "a", **told: Any) -> None:
        fields = {"symbol": "SPX", "timeframe": "1d", "data": DATA, "kind": "optuna", "origin": "a study"} | told
        self.ledger.append("trials", str(uuid.uuid4()), digest=digest, count=count, **fields)

    def family(self, on: Series = ON) -> Family:
        return family.family_of(self.ledger.read(), on)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "results")


def test_every_trial_on_the_same_bars_counts_whatever_it_is_called_and_however_it_ended(books: Books) -> None:
    for sharpe in (0.5, 1.0, 1.5):
        books.run(sharpe, strategy=f"one of its own {sharpe}")
    books.run(end="failed")
    books.run(end="abandoned")
    books.run(end="")  # under way
    gone = books.run(2.0)
    books.ledger.append("removed", gone, reason="old")
    found = books.family()
    assert (found.trials, found.sealed, found.failed, found.unfinished, found.removed) == (7, 4, 2, 1, 1)
    assert sorted(found.ratios) == [0.5, 1.0, 1.5, 2.0]
    assert found.variance == pytest.approx(statistics.variance([0.5, 1.0, 1.5, 2.0]), rel=1e-14)


def test_a_ledger_is_gone_through_once_however_many_series_it_has(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        books.run(1.0, data=f"{number:064}")
    books.run(end="failed")
    looks = []
    known = family.series_of
    monkeypatch.setattr(family, "series_of", lambda history: looks.append(history) or known(history))
    found = family.families(books.ledger.read())
    assert [(one.trials, one.failed, one.wider) for one in found] == [(2, 1, 31)] * 30
    assert len(looks) == 31


@pytest.mark.parametrize("told", [{"data": OTHER}, {"symbol": "NDX"}, {"timeframe": "1h"}])
def test_a_trial_on_something_else_counts_for_that(books: Books, told: dict[str, str]) -> None:
    books.run(1.0)
    books.run(1.0, **told)
    assert books.family().trials == 1
    assert books.family().wider == 1 + ("data" in told)
    assert [one.trials for one in family.families(books.ledger.read())] == [1, 1]


def test_a_failed_run_whose_bars_are_known_counts_for_those_alone(books: Books) -> None:
    run_id = str(uuid.uuid4())
    books.ledger.append("start", run_id, symbol="SPX", timeframe="1d")
    books.ledger.append("failed", run_id, manifest="0" * 64, symbol="SPX", timeframe="1d", data=OTHER)
    assert (books.family().trials, books.family(Series("SPX", "1d", OTHER)).trials) == (0, 1)


def test_the_same_result_twice_is_two_trials_and_one_among_the_ratios(books: Books) -> None:
    books.run(1.0)
    books.run(1.0)
    books.run(3.0)
    assert (books.family().trials, books.family().results, sorted(books.family().ratios)) == (3, 2, [1.0, 3.0])


def test_trials_of_elsewhere_count_and_spread_with_the_others(books: Books) -> None:
    own, others = [0.5, 1.5], [1.0, 2.0, 4.0]
    for sharpe in own:
        books.run(sharpe)
    ratios = {"count": 3, "mean": statistics.fmean(others), "variance": statistics.pvariance(others)}
    books.trials(5, failed=2, ratios=ratios)
    found = books.family()
    assert (found.trials, found.elsewhere, found.wider) == (7, 5, 7)
    assert found.variance == pytest.approx(statistics.variance(own + others), rel=1e-14)


def test_an_import_that_is_made_again_counts_once_and_with_all_that_there_are_by_then(books: Books) -> None:
    books.trials(5)
    books.trials(9)
    books.trials(7)  # an older copy of it: trials never become fewer
    books.trials(2, digest="b")
    assert books.family().trials == 11


@pytest.mark.parametrize(
    "told",
    [
        {"count": -5},
        {"count": "many"},
        {"count": 2, "failed": 3},
        {"count": 5, "ratios": {"count": 2, "mean": 1e300, "variance": 0}},
        {"count": 5, "ratios": {"count": 6, "mean": 1, "variance": 0}},
        {"count": 5, "ratios": {"count": 2, "mean": 1, "variance": -1}},
        {"count": 5, "ratios": [1, 2]},
        {"count": 5, "kind": None},
    ],
)
def test_a_line_that_no_trials_could_be_is_none(books: Books, told: dict[str, Any]) -> None:
    fields = {"symbol": "SPX", "timeframe": "1d", "data": DATA, "kind": "optuna", "origin": "o", "digest": "d"} | told
    books.ledger.append("trials", str(uuid.uuid4()), **fields)
    assert books.family().trials == 0
    books.trials(3)  # a control
    assert books.family().trials == 3


def test_a_ratio_that_is_none_has_no_part_in_the_spread(books: Books) -> None:
    for sharpe in (1.0, None, 2.0, 1e200):
        books.run(sharpe)
    assert (books.family().trials, sorted(books.family().ratios)) == (4, [1.0, 2.0])


# --- one run --------------------------------------------------------------------------------------------------------


def luck_of(evidence: Any, name: str, **options: Any) -> Any:
    with handed(evidence.runs[name], Results(evidence.results)) as given:
        return assess.assess(given, **options)


def test_a_run_is_held_against_all_trials_on_its_bars(sealed_once: Any) -> None:
    luck = luck_of(sealed_once, "own")
    assert (luck.family.trials, luck.family.sealed, luck.family.failed) == (5, 4, 1)
    stats = json.loads((sealed_once.path("own") / "stats.json").read_bytes())
    ratios = [json.loads((sealed_once.path(name) / "stats.json").read_bytes())["sharpe"] for name in
              ("builtin", "own", "plain", "bare")]  # fmt: skip
    per_year = stats["periods_per_year"]
    record = track.Track(stats["sharpe"] / math.sqrt(per_year), stats["bars"] - 1, stats["skew"], stats["kurtosis"] + 3)
    expected = trials.deflated(record, statistics.variance(ratios) / per_year, 5)
    assert luck.figures["deflated_sharpe"] == pytest.approx(expected, rel=1e-9)
    assert luck.figures["hurdle"] == pytest.approx(statistics.stdev(ratios) * trials.expected_maximum(5), rel=1e-9)
    assert luck.figures["probabilistic_sharpe_2012"] == pytest.approx(stats["probabilistic_sharpe"], rel=1e-9)
    assert luck.verdict == "FAIL"
    assert luck.said[-1] == words.LOWER_BOUND


@pytest.mark.parametrize("seed, code", [("-1", 2), ("0", 0), ("9" * 30, 0)])
def test_a_seed_is_a_whole_number_from_0_on(sealed_once: Any, seed: str, code: int) -> None:
    command = [sys.executable, str(script.repo_root() / "scripts" / "luck.py"), sealed_once.runs["own"], "--seed", seed]
    command += ["--results-dir", str(sealed_once.results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "internal" in done.stderr) == (code, False), done.stderr


def test_every_figure_has_a_value_or_a_reason_and_the_same_again(sealed_once: Any) -> None:
    one, other = luck_of(sealed_once, "builtin"), luck_of(sealed_once, "builtin")
    assert one.to_json_object() == other.to_json_object()
    assert list(one.figures) == list(assess.FIGURES)
    missing = {key for key, value in one.figures.items() if value is None}
    assert missing <= one.reasons.keys() and all(one.reasons.values())
    assert json.loads(json.dumps(one.to_json_object(), allow_nan=False))["verdict"] in ("PASS", "FAIL")
    text = words.as_text(one)
    assert "nan" not in text and "5 trials (4 sealed, 1 failed), 4 different results" in text


def test_the_costs_that_a_run_survives_are_those_that_eat_what_it_earned(sealed_once: Any) -> None:
    stats = json.loads((sealed_once.path("own") / "stats.json").read_bytes())
    paid = stats["fees_paid"] + stats["slippage_paid"] + stats["borrow_paid"]
    luck = luck_of(sealed_once, "own", thorough=False)
    multiple = luck.figures["cost_multiple"]
    assert stats["net_profit"] + paid - multiple * paid == pytest.approx(0.0, abs=1e-9) or multiple == 0.0
    assert luck_of(sealed_once, "bare", thorough=False).reasons["cost_multiple"] == "the run paid no costs"


def test_a_run_that_earns_nothing_without_costs_is_not_said_to_survive_none(sealed_once: Any) -> None:
    luck = luck_of(sealed_once, "own", thorough=False)
    luck.figures["cost_multiple"] = 0.4
    assert "at 0.4 times the recorded costs nothing is left" in words.sentences(luck)
    luck.figures["cost_multiple"] = 0.0
    assert "it would have earned nothing without costs either" in words.sentences(luck)


def test_a_run_that_failed_is_not_assessed(sealed_once: Any) -> None:
    luck = luck_of(sealed_once, "failed")
    assert (luck.verdict, luck.said) == ("NOT_ASSESSED", ["the run has no result", words.LOWER_BOUND])


def test_a_copy_without_its_ledger_is_unknown(evidence: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(evidence.path("own"), copy)
    luck = assess.assess(Handed(copy, None))
    assert (luck.verdict, luck.figures["deflated_sharpe"]) == ("UNKNOWN", None)
    assert luck.figures["probabilistic_sharpe_2012"] is not None


def test_a_ledger_that_is_not_whole_passes_nothing(evidence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assess, "LEVEL", 0.0)
    assert luck_of(evidence, "own", thorough=False).verdict == "PASS"
    lines = evidence.ledger()
    (evidence.results / "ledger.jsonl").write_bytes(b"\n".join([*lines[:4], *lines[6:], b""]))  # `plain` is taken out
    luck = luck_of(evidence, "bare", thorough=False)
    assert (luck.verdict, luck.family.broken) == ("UNKNOWN", 5)
    assert luck.said[0].startswith("the ledger is not whole at line 5")


def test_a_handful_of_returns_passes_nothing_whatever_the_formula_makes_of_them(evidence: Any) -> None:
    """Some steady bars have 99.99 % by a formula that is one of large samples."""
    rows = ["timestamp,open,high,low,close,volume"]
    for day in range(40):
        close = 100 * 1.01**day * (1 + 1e-4 * (day % 3))
        rows.append(f"2024-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z,{close},{close},{close},{close},1")
    (evidence.root / "strategies" / "hold.py").write_text("def hold(bars):\n    return [1.0] * len(bars)\n")
    for name, count in (("few", 20), ("enough", 21)):
        (evidence.root / "data" / f"{name}.csv").write_text("\n".join(rows[: count + 1]) + "\n")
        config = HOLD.format(name=name)
        evidence.run(name, config)
    few, enough = luck_of(evidence, "few", thorough=False), luck_of(evidence, "enough", thorough=False)
    assert few.figures["deflated_sharpe"] > 0.95 and enough.figures["deflated_sharpe"] > 0.95
    assert (few.verdict, few.returns, enough.verdict, enough.returns) == ("UNKNOWN", 19, "PASS", 20)
    assert few.said[0].endswith("(95 % would pass), but 19 returns are too few to tell")
    assert few.said[0].startswith("a Sharpe ratio that is not known a year, where it is the only trial on these bars")
    assert enough.said[0].endswith("more than luck explains")


HOLD = """
[run]
probe = "off"
[data]
path = "data/{name}.csv"
symbol = "{name}"
timeframe = "1d"
[strategy]
entrypoint = "strategies/hold.py:hold"
"""


def test_a_run_that_looks_ahead_passes_nothing(evidence: Any) -> None:
    (evidence.root / "strategies" / "ahead.py").write_text(
        "import numpy as np\n\n\ndef ahead(bars):\n"
        "    return (np.append(bars.close[1:], bars.close[-1]) > bars.close).astype(float)\n"
    )
    config = evidence_config(evidence).replace('name = "sma_crossover"', 'entrypoint = "strategies/ahead.py:ahead"')
    evidence.run("ahead", config.replace("params = { fast = 3, slow = 8 }", ""))
    luck = luck_of(evidence, "ahead", thorough=False)
    assert (luck.verdict, luck.probed["verdict"]) == ("FAIL", "FAIL")
    assert luck.figures["deflated_sharpe"] > 0.95  # which is what it would be let through by
    assert luck.said[0].startswith("the run has look-ahead")


def test_a_copy_among_the_runs_is_none_of_their_ledger(evidence: Any) -> None:
    lines = [line for line in evidence.ledger() if evidence.runs["own"].encode() not in line]
    evidence.write_ledger(lines)
    luck = luck_of(evidence, "own")
    assert (luck.verdict, luck.family) == ("UNKNOWN", None)


@pytest.mark.parametrize("file", ["stats.json", "equity.csv", "config_snapshot.json", "manifest.json"])
def test_a_run_that_is_not_as_it_was_sealed_has_no_luck(evidence: Any, file: str) -> None:
    evidence.rewrite("own", file, (evidence.path("own") / file).read_bytes() + b" ")
    with pytest.raises(RunError, match="not the one in the ledger|not what was sealed"):
        luck_of(evidence, "own")


ODD_PARTS = [None, 5, "text", [1], [[]], {"a": 1}, [{"name": "bars"}], [{"name": "bars", "digest": 7}]]


@pytest.mark.parametrize("odd", ODD_PARTS)
def test_a_manifest_of_odd_parts_is_no_error_of_ours(evidence: Any, odd: Any) -> None:
    evidence.forge("own", lambda told: told["predicate"]["buildDefinition"].update(resolvedDependencies=odd))
    with suppress(PeakError):
        assert luck_of(evidence, "own").verdict in ("UNKNOWN", "FAIL", "PASS")


@pytest.mark.parametrize("odd", [None, "text", [], {}, True, 1e308, -1e308, 10**18])
@pytest.mark.parametrize("key", ["sharpe", "skew", "periods_per_year", "net_profit", "fees_paid", "years", "reasons"])
def test_statistics_of_odd_values_are_figures_or_reasons(evidence: Any, key: str, odd: Any) -> None:
    evidence.edit_json("own", "stats.json", lambda stats: stats.update({key: odd}))
    evidence.forge("own")
    with suppress(PeakError):
        luck = luck_of(evidence, "own", thorough=False)
        json.dumps(luck.to_json_object(), allow_nan=False)
        words.as_text(luck)


def test_one_trial_alone_is_not_deflated(evidence: Any) -> None:
    path = evidence.run("alone", evidence_config(evidence), "data.symbol='ALONE'")
    luck = luck_of(evidence, "alone")
    assert (luck.family.trials, path.name) == (1, luck.run_id)
    assert luck.figures["deflated_sharpe"] == luck.figures["probabilistic_sharpe_2012"]
    evidence.run("again", evidence_config(evidence), "data.symbol='ALONE'")
    again = luck_of(evidence, "again")  # the same result: nothing tells how trials spread, so as those without skill
    assert again.figures["deflated_sharpe"] < luck.figures["deflated_sharpe"]
    expected = math.sqrt(again_years(evidence) / (BARS - 2))
    assert again.figures["dispersion"] == pytest.approx(expected, rel=1e-9)


BARS = 48


def evidence_config(evidence: Any) -> str:
    return (evidence.root / "config" / "builtin.toml").read_text()


def again_years(evidence: Any) -> float:
    return float(json.loads((evidence.path("again") / "stats.json").read_bytes())["periods_per_year"])


def test_the_returns_of_a_run_that_was_changed_have_no_part(evidence: Any) -> None:
    whole = luck_of(evidence, "own")
    assert (whole.gathered.returns.shape, whole.gathered.unfit, whole.gathered.missing) == ((BARS - 1, 4), 0, 0)
    evidence.edit_csv("plain", "equity.csv", 9, equity="77777.0")
    shutil.rmtree(evidence.path("bare"))
    less = luck_of(evidence, "own")
    assert (less.gathered.returns.shape, less.gathered.unfit, less.gathered.missing) == ((BARS - 1, 2), 1, 1)
    assert less.to_json_object()["gathered"] == {"results": 2, "missing": 1, "unfit": 1, "beyond": 0}
    assert less.family.trials == whole.family.trials == 5
    assert less.figures["deflated_sharpe"] == whole.figures["deflated_sharpe"]  # the ledger has not forgotten
    assert np.isfinite(less.gathered.returns).all()


def test_what_lists_show_of_a_run_is_what_its_own_page_says(sealed_once: Any) -> None:
    luck = luck_of(sealed_once, "own", thorough=False)
    stats = json.loads((sealed_once.path("own") / "stats.json").read_bytes())
    assert assess.deflated_of(luck.family, stats) == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-9)
    assert assess.deflated_of(luck.family, stats | {"sharpe": None}) is None
    results = Results(sealed_once.results)
    rows = {row.run_id: row for row in listed.deflated(results, listing.rows(results))}
    assert rows[sealed_once.runs["own"]].deflated == pytest.approx(luck.figures["deflated_sharpe"], rel=1e-9)
    assert rows[sealed_once.runs["failed"]].deflated is None
    assert "deflated" in listing.as_table(list(rows.values())).splitlines()[0]
    assert "deflated" not in listing.as_table(listing.rows(results)).splitlines()[0]


def test_a_family_lists_its_runs_the_best_first_and_alone_all_families(sealed_once: Any) -> None:
    results = Results(sealed_once.results)
    (one,) = listed.kin(results, sealed_once.path("own"))
    assert one.family.trials == 5 and len(one.rows) == 4
    ratios = [row.deflated for row in one.rows]
    assert ratios == sorted(ratios, reverse=True)
    assert listed.as_text([one]).splitlines()[0].split()[:4] == ["symbol", "timeframe", "bars", "trials"]
    assert [kin.family.trials for kin in listed.every(results)] == [5]
    json.dumps([kin.to_json_object() for kin in [one, *listed.every(results)]], allow_nan=False)


def test_a_list_deflates_no_run_that_is_not_as_it_was_sealed(evidence: Any) -> None:
    evidence.edit_json("own", "stats.json", lambda stats: stats.update(skew=9.0))
    shutil.rmtree(evidence.path("bare"))
    results = Results(evidence.results)
    rows = {row.run_id: row.deflated for row in listed.deflated(results, listing.rows(results))}
    assert rows[evidence.runs["own"]] is None and rows[evidence.runs["bare"]] is None
    assert rows[evidence.runs["builtin"]] is not None


@pytest.mark.needs("luck")
@pytest.mark.filterwarnings("ignore")  # arch's own
def test_superior_ability_is_found_where_it_is_and_not_in_noise(evidence: Any) -> None:
    drawn = np.random.default_rng(12)
    noise = drawn.normal(0.0, 0.01, (500, 8))
    assert assess.superior_ability(noise, 1.0) > 0.2
    assert assess.superior_ability(noise, 1.0) == assess.superior_ability(noise, 1.0)
    noise[:, 3] += 0.002
    assert assess.superior_ability(noise, 1.0) < 0.01
    assert 0.0 <= luck_of(evidence, "own").figures["superior_ability"] <= 1.0


def test_without_arch_superior_ability_says_how_to_have_it(sealed_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    luck = luck_of(sealed_once, "own")
    assert luck.figures["superior_ability"] is None
    assert luck.reasons["superior_ability"] == "arch is not installed: just setup luck"
    assert luck.figures["deflated_sharpe"] is not None
