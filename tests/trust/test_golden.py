"""Golden runs: those of this repository hold; a change of the code is found, and one that is meant is one diff."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from peak_trade import config, runner
from peak_trade.errors import InputError
from peak_trade.evidence.ledger import Reading
from peak_trade.evidence.results import Results
from peak_trade.trust import difference, verify
from peak_trade.trust.replay import golden

Evidence = Any  # of conftest.py, which cannot be imported
ROOT = Path(__file__).parents[2]


def added(evidence: Evidence, name: str = "own") -> Path:
    folder = Path(evidence.root) / "golden"
    called, place = golden.add(folder, evidence.path(name), Results(evidence.results), evidence.root)
    assert place.parent == folder / called
    return folder


def change(evidence: Evidence) -> None:
    path = evidence.root / "strategies" / "own.py"
    path.write_text(path.read_text(encoding="utf-8").replace("size / 2", "size / 4"), encoding="utf-8")


@pytest.mark.needs("lake")
def test_the_golden_runs_of_this_repository_are_what_its_code_makes() -> None:
    held = list(golden.hold(ROOT / "golden", ROOT))
    assert len(held) >= 4
    assert {one.name: one.as_text() for one in held if one.exit_code} == {}


@pytest.mark.needs("lake")
def test_they_are_intact_by_the_lines_that_they_carry() -> None:
    for name in golden.names(ROOT / "golden"):
        (run,) = [path for path in (ROOT / "golden" / name).iterdir() if path.is_dir()]
        assert verify.verify(run, Reading(), root=ROOT, copy=True).as_text().startswith("intact")


@pytest.mark.needs("lake")
def test_they_trade_long_and_short_with_stops_of_each_kind_and_sized() -> None:
    seen = set()
    for name in golden.names(ROOT / "golden"):
        (run,) = [path for path in (ROOT / "golden" / name).iterdir() if path.is_dir()]
        sealed = difference.read(run)
        trades = difference.read(run).trades
        seen |= {f"side {side}" for side in trades.side.tolist()} | {
            f"exit {code}" for code in trades.exit_reason.tolist()
        }
        seen |= {key for key, value in (sealed.config["sizing"] | sealed.config["stops"]).items() if value}
        assert not (run / "run.log").exists() and not (run / "telemetry").exists()
    assert {"side 1", "side -1", "stop_loss", "take_profit", "trailing_stop", "min_trade_value", "max_exposure"} <= seen
    assert {f"exit {code}" for code in range(5)} <= seen


def test_a_run_that_is_added_holds_until_the_code_changes(evidence: Evidence) -> None:
    folder = added(evidence)
    (before,) = golden.hold(folder, evidence.root)
    assert (before.name, before.exit_code, before.as_text()) == ("our-own", 0, "our-own: IDENTICAL")
    change(evidence)
    (after,) = golden.hold(folder, evidence.root)
    assert after.exit_code == 1
    assert "DIVERGED" in after.as_text() and "code strategies/own.py" in after.as_text()


def test_a_change_that_is_meant_is_approved_and_is_a_diff_of_statistics_and_trades(evidence: Evidence) -> None:
    folder = added(evidence)
    old = (folder / "our-own" / "figures.txt").read_text(encoding="utf-8")
    change(evidence)
    ((held, new),) = golden.approve(folder, evidence.root)
    assert held.exit_code == 1 and new is not None
    assert sorted(path.name for path in (folder / "our-own").iterdir()) == sorted([new.name, "figures.txt"])
    text = (folder / "our-own" / "figures.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line not in old.splitlines()]
    assert any(line.startswith("  total_return ") for line in lines) and any(
        line.startswith("  long ") for line in lines
    )
    (again,) = golden.hold(folder, evidence.root)
    assert again.exit_code == 0
    assert [made for _, made in golden.approve(folder, evidence.root)] == [None]  # there is nothing to approve
    ((_, renewed),) = golden.approve(folder, evidence.root, renew=True)
    assert renewed is not None and renewed.name != new.name
    assert (folder / "our-own" / "figures.txt").read_text(encoding="utf-8") == text


def test_adding_the_same_run_again_changes_nothing_and_another_is_refused_its_name(evidence: Evidence) -> None:
    folder = added(evidence)
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "figures.txt" and path.is_file()
    }
    added(evidence)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(InputError, match="a golden run `our-own` already"):
        golden.add(folder, evidence.path("plain"), Results(evidence.results), evidence.root, "our-own")


def test_what_can_not_be_held_is_not_added(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, results = evidence.root / "golden", Results(evidence.results)
    with pytest.raises(InputError, match="failed, and has no figures"):
        added(evidence, "failed")
    with pytest.raises(InputError, match="is no name of a golden run"):
        golden.add(folder, evidence.path("own"), results, evidence.root, "../own")
    monkeypatch.setattr(golden, "_MOST", 1000)
    with pytest.raises(InputError, match="a golden one has 1,000 at most"):
        added(evidence)
    monkeypatch.undo()
    text = (evidence.root / "config" / "own.toml").read_text(encoding="utf-8")
    evidence.run("absolute", text.replace("data/bars.csv", str(evidence.root / "data" / "bars.csv")))
    with pytest.raises(InputError, match="its data lies outside of the repository"):
        added(evidence, "absolute")
    change(evidence)
    with pytest.raises(
        InputError, match="the code of here makes something else of it: the same trades at the same"
    ) as error:
        added(evidence)
    assert "\n" not in error.value.message  # a line of a terminal, where a break would be shown as an escape
    assert f"just replay {evidence.path('own').name[:8]} --code here" in error.value.hint
    assert not folder.exists()


@pytest.mark.parametrize("away", ["config", "data", "code"])
def test_what_another_checkout_has_not_is_not_added(evidence: Evidence, tmp_path: Path, away: str) -> None:
    folder, results = evidence.root / "golden", Results(evidence.results)
    text = (evidence.root / "config" / "own.toml").read_text(encoding="utf-8")
    path = evidence.root / "config" / "own.toml"
    if away == "config":
        path = tmp_path / "own.toml"
    elif away == "data":
        shutil.copy(evidence.root / "data" / "bars.csv", tmp_path)
        (evidence.root / "data" / "linked.csv").symlink_to(tmp_path / "bars.csv")
        text = text.replace("data/bars.csv", "data/linked.csv")
    else:
        (tmp_path / "elsewhere.py").write_bytes((evidence.root / "strategies" / "own.py").read_bytes())
        text = text.replace("strategies/own.py", str(tmp_path / "elsewhere.py"))
    path.write_text(text, encoding="utf-8")
    run = runner.run(config.load(path), root=evidence.root, results=evidence.results)
    with pytest.raises(InputError, match=f"its {away} lies outside of the repository"):
        golden.add(folder, run, results, evidence.root)
    assert not folder.exists()
    added(evidence, "builtin")  # the control


def test_what_a_process_left_that_died_over_it_is_no_hindrance(evidence: Evidence) -> None:
    place = evidence.root / "golden" / "our-own"
    (place / ".new-dead" / evidence.runs["own"]).mkdir(parents=True)
    folder = added(evidence)
    assert sorted(path.name for path in place.iterdir()) == sorted([evidence.runs["own"], "figures.txt"])
    (place / "figures.txt").unlink()  # what is written last
    added(evidence)
    (held,) = golden.hold(folder, evidence.root)
    assert held.exit_code == 0


def test_a_link_in_place_of_a_golden_run_is_none(evidence: Evidence, tmp_path: Path) -> None:
    folder = added(evidence)
    (folder / "our-own").rename(tmp_path / "elsewhere")
    (folder / "our-own").symlink_to(tmp_path / "elsewhere")
    assert golden.names(folder) == []


def test_figures_that_were_edited_are_found_and_written_anew(evidence: Evidence) -> None:
    folder = added(evidence)
    path = folder / "our-own" / "figures.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("trades ", "trades 9"), encoding="utf-8")
    (held,) = golden.hold(folder, evidence.root)
    assert held.exit_code == 1 and "figures.txt does not say what the run does" in held.as_text()
    list(golden.approve(folder, evidence.root))
    (held,) = golden.hold(folder, evidence.root)
    assert held.exit_code == 0


def test_one_that_can_not_be_made_is_named_and_the_others_are_held(evidence: Evidence) -> None:
    folder = added(evidence)
    added(evidence, "builtin")
    (run,) = [path for path in (folder / "our-own").iterdir() if path.is_dir()]
    evidence_file = run / "equity.csv"
    evidence_file.chmod(0o644)
    evidence_file.write_bytes(evidence_file.read_bytes() + b"\n")
    held = {one.name: one for one in golden.hold(folder, evidence.root)}
    assert held["our-own"].exit_code == 2 and "equity.csv is not what was sealed" in held["our-own"].as_text()
    assert held["sma-crossover-test-1h"].exit_code == 0
    shutil.rmtree(run)
    held = {one.name: one for one in golden.hold(folder, evidence.root)}
    assert "holds 0 runs in place of one" in held["our-own"].as_text()
    ((unknown),) = golden.hold(folder, evidence.root, ["our-onw"])
    assert unknown.error is not None and "our-own" in unknown.error.hint
