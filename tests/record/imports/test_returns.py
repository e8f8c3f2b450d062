"""A series of returns alone, as quantstats and pyfolio take it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError

Take = Callable[..., Run]
RETURNS = "Date,Strategy\n2024-01-02,0.5\n2024-01-03,-0.5\n2024-01-04,0.25\n"


def test_returns_become_equity_from_one(take: Take) -> None:
    run = take({"returns.csv": RETURNS})
    assert [value for _, value in run.equity] == [1.0, 1.5, 0.75, 0.9375]
    assert run.equity[0][0] == "2024-01-01T00:00:00Z"
    assert "only returns were given: equity is made of them, from 1 one step before the first" in run.said
    assert run.stats["total_return"] == pytest.approx(-0.0625)


def test_returns_become_equity_from_the_cash_that_is_named(take: Take) -> None:
    assert [value for _, value in take({"r.csv": RETURNS}, initial_cash=200.0).equity] == [200.0, 300.0, 150.0, 187.5]


def test_returns_in_percent_are_taken_so_where_they_say_it(take: Take) -> None:
    text = RETURNS.replace("0.5\n", "50%\n", 1).replace("-0.5\n", "-50%\n").replace("0.25\n", "25%\n")
    assert [value for _, value in take({"r.csv": text}).equity] == [1.0, 1.5, 0.75, 0.9375]


def test_returns_that_are_no_fractions_are_refused(take: Take) -> None:
    with pytest.raises(InputError, match="they are no fractions"):
        take({"r.csv": "Date,ret\n2024-01-02,1.5\n2024-01-03,-2.5\n2024-01-04,0.7\n"})


def test_a_series_without_names_is_one_too(take: Take) -> None:
    run = take({"r.csv": ",0\n2024-01-02,0.5\n2024-01-03,-0.5\n"})
    assert [value for _, value in run.equity] == [1.0, 1.5, 0.75]


def test_the_same_time_twice_is_refused(take: Take) -> None:
    with pytest.raises(InputError, match="row 3: Date `2024-01-03` comes twice"):
        take({"r.csv": RETURNS.replace("2024-01-04", "2024-01-03")})


def test_the_run_says_that_it_was_imported(take: Take) -> None:
    run = take({"r.csv": RETURNS}, name="theirs", tags=["desk=rates"])
    predicate = run.manifest.predicate
    assert (predicate.status, predicate.kind) == ("imported", "imported")
    assert run.config["run"] == {"name": "theirs", "tags": {"desk": "rates"}}
    assert (run.path / "outputs" / "r.csv").read_text() == RETURNS
    (material,) = [one for one in predicate.build_definition["resolvedDependencies"] if one["name"] == "import"]
    assert material["digest"]["sha256"] == run.manifest.files["outputs/r.csv"]


def test_the_same_file_again_is_another_run_and_says_which_has_it(take: Take) -> None:
    first = take({"r.csv": RETURNS})
    second = take({"r.csv": RETURNS})
    other = take({"r.csv": RETURNS.replace("0.25", "0.26")})
    assert first.path != second.path
    assert any(first.path.name[:8] in text for text in second.said)
    assert not any("already" in text for text in other.said)


def test_the_command_prints_the_run_id_alone(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_text(RETURNS)
    done = command("r.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / done.stdout.strip()).is_dir()
    assert "r.csv: understood 2 of 2 columns" in done.stderr
    assert command("r.csv", "--quiet").stderr == ""
