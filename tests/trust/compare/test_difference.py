"""Two runs that differ in one thing: it is named and the first cause, and the first bar and trade are the right ones.

The runs are made once: all are of the same bars but for one thing each, so that what explains them is known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from peak_trade.errors import RunError
from peak_trade.trust.difference import Difference, Sealed, bars_of, between, read

Evidence = Any  # of conftest.py, which cannot be imported


def difference(made: Evidence, name: str, tolerance: float = 0.0) -> Difference:
    return between(read(made.path("base")), read(made.path(name)), tolerance)


def first_cause(found: Difference) -> tuple[str, str, str]:
    cause = found.causes[0]
    return cause.input.kind, cause.input.name, cause.verdict


def test_a_run_made_again_is_identical_and_its_name_explains_nothing(made: Evidence) -> None:
    found = difference(made, "again")
    assert (found.same, found.identical, found.how) == (True, True, "none")
    assert found.bar is None and found.trade is None and found.figures == []
    assert first_cause(found) == ("label", "run.name", "no")
    assert found.files == ["config_snapshot.json"]


@pytest.mark.parametrize(
    ("name", "how", "cause"),
    [
        ("parameter", "decisions", ("parameters", "strategy.params.level", "likely")),
        ("fees", "fees", ("costs", "execution.fee_bps", "likely")),
        ("slippage", "prices", ("costs", "execution.slippage_bps", "likely")),
        ("cash", "size", ("size", "execution.initial_cash", "likely")),
        ("figures", "figures", ("figures", "stats.risk_free_rate", "likely")),
        ("seed", "none", ("seed", "run.seed", "no")),
        ("code", "size", ("code", "strategies/helper.py", "likely")),
        ("comment", "none", ("code", "strategies/helper.py", "no")),
        ("data", "decisions", ("data", "bars", "likely")),
        ("later", "bars", ("data", "data.start", "likely")),
    ],
)
def test_the_one_thing_that_was_changed_is_the_first_cause(
    made: Evidence, name: str, how: str, cause: tuple[str, str, str]
) -> None:
    found = difference(made, name)
    assert (found.how, first_cause(found)) == (how, cause)
    assert found.same == (how == "none")


def test_code_is_named_by_file_and_lines(made: Evidence) -> None:
    (cause,) = difference(made, "code").causes
    assert cause.input.details == ["line 2", "-     return 0.5", "+     return 0.75"]


def test_data_is_named_by_its_days(made: Evidence) -> None:
    (cause,) = difference(made, "data").causes
    assert (cause.input.details, cause.input.since) == (["revised 2024-01-02"], "2024-01-02")


DAILY = """
[data]
path = "data/{}.csv"
symbol = "TEST"
timeframe = "1d"
calendar = "24/7"
[strategy]
name = "buy_and_hold"
"""


def daily(days: int, revised: str = "") -> str:
    """Return three years of bars, the close of one day another."""
    lines = ["timestamp,open,high,low,close,volume"]
    for at, day in enumerate(np.arange("2021-01-01", "2024-01-01", dtype="M8[D]")[:days].astype(str).tolist()):
        close = 100 + at % 7 + (0.5 if day == revised else 0)
        lines.append(f"{day},{100 + at % 5},110,95,{close},1")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def years(made: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Runs over more than a year, which are fingerprinted by months."""
    copy = made.copy(tmp_path_factory.mktemp("years"))
    for name, text in {"long": daily(1000), "revised": daily(1000, "2022-03-04"), "longer": daily(1020)}.items():
        (copy.root / "data" / f"{name}.csv").write_text(text)
        copy.run(name, DAILY.format(name))
    return copy


def bars_differ(years: Evidence, name: str, *, there: bool) -> Any:
    found = between(
        read(years.path("long")), read(years.path(name)), bars=lambda run: bars_of(run, years.root) if there else None
    )
    (cause,) = [one for one in found.causes if one.input.name == "bars"]
    return cause.input.details, cause.input.since, cause.verdict


def test_the_days_are_told_where_both_files_are_there_and_else_the_months(years: Evidence) -> None:
    assert bars_differ(years, "revised", there=True) == (["revised 2022-03-04"], "2022-03-04", "likely")
    assert bars_differ(years, "revised", there=False) == (["revised 2022-03"], "2022-03", "likely")


def test_bars_that_were_added_at_the_end_are_others_from_there_on(years: Evidence) -> None:
    details, since, verdict = bars_differ(years, "longer", there=True)
    assert (details, since, verdict) == (
        ["added 2023-09-28, 2023-09-29, 2023-09-30, 2023-10-01, 2023-10-02, 2023-10-03, … 20 in all, to 2023-10-17"],
        "2023-09-27T00:00:00Z",
        "likely",
    )
    details, since, verdict = bars_differ(years, "longer", there=False)
    assert (details, since, verdict) == (["revised 2023-09", "added 2023-10"], "2023-09-27T00:00:00Z", "likely")


def test_a_file_that_has_changed_since_is_not_taken_for_the_run_s(years: Evidence, tmp_path: Path) -> None:
    copy = years.copy(tmp_path / "copy")
    assert bars_of(read(copy.path("long")), copy.root) is not None
    (copy.root / "data" / "long.csv").write_text(daily(1000, "2022-05-05"))
    assert bars_of(read(copy.path("long")), copy.root) is None


def test_the_first_bar_and_the_first_trade_are_those_by_hand(made: Evidence) -> None:
    # hour 24 closes at 80, under the level: it is sold at the open of hour 25, in place of later
    found = difference(made, "data")
    assert found.series and found.series.position and found.bar and found.trade
    assert found.series.position.time == "2024-01-02T01:00:00Z"
    assert (found.bar.time, found.bar.column) == ("2024-01-02T00:00:00Z", "equity")  # marked at 80
    assert found.trade.a and found.trade.b
    assert found.trade.b["exit_time"] == "2024-01-02T01:00:00Z" < found.trade.a["exit_time"]


def test_a_tolerance_lets_small_differences_pass_and_no_larger_ones(made: Evidence) -> None:
    assert not difference(made, "fees").same
    assert not difference(made, "fees", 1e-9).same
    assert difference(made, "fees", 1e9).same


def test_rounding_points_to_the_environment(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")
    run = copy.path("again")
    rows = (run / "equity.csv").read_text().splitlines()
    cells = rows[20].split(",")
    cells[1] = repr(float(cells[1]) * (1 + 1e-13))
    rows[20] = ",".join(cells)
    copy.rewrite("again", "equity.csv", ("\n".join(rows) + "\n").encode())

    def elsewhere(statement: Any) -> None:
        environment = statement["predicate"]["buildDefinition"]["internalParameters"]["environment"]
        environment |= {"cpu": "another", "numpy": "9.9"}
        environment["distributions"]["numpy"] = "9.9"

    copy.forge("again", elsewhere)
    found = difference(copy, "again")
    assert (found.how, found.identical, found.same) == ("rounding", False, False)
    assert [(one.input.name, one.verdict) for one in found.causes] == [
        ("numpy", "likely"), ("cpu", "likely"), ("run.name", "no"),
    ]  # fmt: skip
    assert difference(copy, "again", 1e-9).same


def test_another_version_is_likely_only_where_nothing_likelier_differs(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")

    def elsewhere(statement: Any) -> None:
        statement["predicate"]["buildDefinition"]["internalParameters"]["environment"]["numpy"] = "9.9"

    copy.forge("parameter", elsewhere)
    verdicts = {one.input.name: one.verdict for one in difference(copy, "parameter").causes}
    assert verdicts == {"strategy.params.level": "likely", "numpy": "possible"}


def test_data_that_changed_after_the_runs_part_is_not_the_likely_cause(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")
    copy.run(
        "both", (copy.root / "config/base.toml").read_text(), "strategy.params.level=104"
    )  # on the bars that were revised on the second day
    kinds = [(one.input.kind, one.verdict) for one in difference(copy, "both").causes]
    assert kinds == [("parameters", "likely"), ("data", "possible")]


def test_a_strategy_that_gives_two_answers_is_the_cause_where_nothing_else_differs(made: Evidence) -> None:
    found = between(read(made.path("chance")), read(made.path("luck")))
    assert found.how != "none" and not found.same
    assert {(cause.input.kind, cause.verdict) for cause in found.causes} == {("repeatability", "likely")}
    assert "gave two answers" in found.causes[0].input.details[0]


def test_the_seed_of_a_registered_strategy_explains_nothing(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")
    text = (copy.root / "config" / "builtin.toml").read_text()
    copy.run("first", text, "strategy.params.slow=9")
    copy.run("other", text, "strategy.params.slow=10", "run.seed=5")
    verdicts = {c.input.name: c.verdict for c in between(read(copy.path("first")), read(copy.path("other"))).causes}
    assert verdicts == {"strategy.params.slow": "likely", "run.seed": "no"}


def test_a_failed_run_is_compared_by_what_went_in(made: Evidence) -> None:
    found = between(read(made.path("own")), read(made.path("failed")))
    assert (found.how, found.same, found.series, found.trades) == ("failure", False, None, None)
    assert "strategy.entrypoint" in [cause.input.name for cause in found.causes]


def test_a_file_that_is_not_what_was_sealed_is_refused(made: Evidence, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")
    copy.edit_csv("again", "equity.csv", 20, equity="1.0")
    with pytest.raises(RunError, match=r"equity\.csv is not what was sealed"):
        difference(copy, "again")


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_runs_of_older_versions_are_compared_too(version: str) -> None:
    folder = Path(__file__).parents[2] / "archive" / version
    runs = [Sealed(path.parent) for path in sorted(folder.rglob("manifest.json"))]
    completed = [run for run in runs if run.completed]
    assert len(completed) > 1
    for run in runs:
        found = between(completed[0], run)
        assert found.same == (run is completed[0] or found.how == "none")
        json.dumps(msgspec.to_builtins(found), allow_nan=False)
