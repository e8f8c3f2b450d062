"""Bars that are held out are seen by no run, until one line in the ledger says so, for good."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from peak_trade import script
from peak_trade.errors import InputError, RunError
from peak_trade.evidence import holdouts, tables
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.trust.luck import unsealing
from peak_trade.trust.luck.family import Series
from peak_trade.trust.probe import case
from peak_trade.trust.replay import replay

HELD = """
[run]
holdout = "12h"
[data]
path = "data/bars.csv"
symbol = "HELD"
timeframe = "1h"
calendar = "24/7"
[strategy]
entrypoint = "strategies/last.py:last"
"""
STRATEGY = '''
def last(bars, *, fail=False):
    """Leave how far the bars reach, in the text of an error or in a file."""
    if fail:
        raise ValueError(f"saw {bars.timestamp[-1]}")
    return [1.0] * len(bars)
'''
BEGINS = "2024-01-02T11:00:00Z"  # the last of 48 hours from 2024-01-01 on is 23:00


@pytest.fixture
def held(evidence: Any) -> Any:
    (evidence.root / "strategies" / "last.py").write_text(STRATEGY)
    return evidence


def known(held: Any) -> holdouts.Holdout:
    return holdouts.of(Ledger(held.results).read(), "HELD", "1h")


def lasts(held: Any, name: str) -> str:
    columns = ("timestamp", "equity", "drawdown", "position")
    return str(tables.read_series(held.path(name) / "equity.csv", columns)["timestamp"][-1])[:16]


def test_no_run_sees_what_is_held_out(held: Any) -> None:
    held.run("one", HELD)
    assert lasts(held, "one") == "2024-01-02T10:00"
    held.run("fails", HELD, "strategy.params.fail=true")
    error = json.loads((held.path("fails") / "error.json").read_bytes())
    assert "saw 2024-01-02T10:00" in error["message"]
    held.run("all", HELD.replace('holdout = "12h"', ""))  # a control
    assert lasts(held, "all") == "2024-01-02T23:00"


def test_ledger_manifest_and_config_say_so_and_verify_holds_them_to_it(held: Any) -> None:
    held.run("one", HELD)
    held.run("fails", HELD, "strategy.params.fail=true")
    history = Ledger(held.results).read().of(held.runs["one"])
    assert (history.fields["holdout"], history.fields["end"]) == (BEGINS, "2024-01-02T10:00:00Z")
    config = json.loads((held.path("one") / "config_snapshot.json").read_bytes())
    assert (config["run"]["holdout"], config["data"]["end"]) == ("12h", BEGINS)
    receipt = [one for one in held.manifest("one")["predicate"]["receipts"] if one["part"] == "holdout"]
    assert receipt[0]["outcome"] == "held out" and receipt[0]["reason"].startswith(f"13 of 48 bars, from {BEGINS} on")
    verdicts = held.verdicts()
    assert [verdicts[name].as_text().splitlines()[1:] for name in ("one", "fails")] == [[], []]
    held.edit_json("one", "config_snapshot.json", lambda config: config["data"].update(end="2024-01-02T05:00:00Z"))
    held.forge("one")
    assert any("data.end" in finding for finding in held.findings("one"))


def test_what_was_held_out_stays_so_whatever_a_later_config_says(held: Any) -> None:
    held.run("one", HELD)
    held.run("shorter", HELD, "run.holdout='2h'")
    assert lasts(held, "shorter") == "2024-01-02T10:00"
    held.run("longer", HELD, "run.holdout='1d'")
    assert lasts(held, "longer") == "2024-01-01T22:00"
    held.run("one again", HELD)
    assert lasts(held, "one again") == "2024-01-01T22:00"
    held.run("another series", HELD, "run.holdout='2h'", "data.symbol='OTHER'")
    assert lasts(held, "another series") == "2024-01-02T20:00"


def test_unsealing_is_one_line_and_for_good(held: Any) -> None:
    held.run("one", HELD)
    results = Results(held.results)
    done = unsealing.unseal(results, held.path("one"), reason="chosen: fast=3")
    assert (done.now, done.begins) == (True, BEGINS)
    lines = len(held.ledger())
    again = unsealing.unseal(results, held.path("one"))
    assert (again.now, again.since, len(held.ledger())) == (False, done.since, lines)
    assert json.loads(held.ledger()[-1])["reason"] == "chosen: fast=3"
    assert unsealing.said(known(held)).endswith("and no trial has seen them")
    held.run("sees", HELD)
    assert lasts(held, "sees") == "2024-01-02T23:00"
    assert (known(held).seen, known(held).runs) == (1, 1)
    assert "1 trial has seen them" in unsealing.said(known(held))
    assert held.broken() == set()


def test_a_replay_sees_the_bars_of_then_also_after_they_were_unsealed(held: Any) -> None:
    held.run("one", HELD)
    unsealing.unseal(Results(held.results), held.path("one"))
    assert replay(held.path("one"), Results(held.results), held.root).verdict == "IDENTICAL"


def test_a_probe_sees_no_more_than_a_run(held: Any) -> None:
    held.run("one", HELD)
    config = held.root / "config" / "one.toml"
    with case.of_config(config, ["run.holdout='2h'"], held.root, Results(held.results)) as found:
        assert str(found.bars.timestamp[-1])[:16] == "2024-01-02T10:00"
        assert found.said[0].startswith("held out: 13 of 48 bars")
    with case.of_config(config, ["data.symbol='OTHER'", "run.holdout='2h'"], held.root, Results(held.results)) as found:
        assert str(found.bars.timestamp[-1])[:16] == "2024-01-02T20:00"  # a control


def test_a_killed_run_with_a_holdout_is_sealed_and_intact(held: Any) -> None:
    (held.root / "strategies" / "last.py").write_text("import os\n\n\ndef last(bars):\n    os._exit(0)\n")
    (held.root / "config").mkdir(exist_ok=True)
    (held.root / "config" / "killed.toml").write_text(HELD)
    command = [sys.executable, str(script.repo_root() / "scripts" / "run_strategy_from_config.py")]
    command += ["--config", str(held.root / "config" / "killed.toml"), "--results-dir", str(held.results)]
    command += ["--set", f"data.path={held.root}/data/bars.csv"]
    command += ["--set", f"strategy.entrypoint={held.root}/strategies/last.py:last"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=held.root)
    assert done.returncode == 1, done.stderr
    assert known(held).begins == BEGINS
    assert held.broken() == set()


def test_a_trial_without_a_holdout_that_reaches_into_it_has_seen_it(held: Any) -> None:
    held.run("one", HELD)
    held.run("blind", HELD.replace('holdout = "12h"', ""), "data.end='2024-01-02'")
    assert known(held).seen == 0
    held.run("sees", HELD.replace('holdout = "12h"', ""))
    assert known(held).seen == 1


def test_trials_of_elsewhere_on_bars_that_reach_into_it_have_seen_it_too(held: Any) -> None:
    held.run("one", HELD)
    held.run("sees", HELD.replace('holdout = "12h"', ""))

    def brought(name: str, count: int) -> None:
        data = Ledger(held.results).read().of(held.runs[name]).fields["data"]
        told = {"kind": "optuna", "origin": "s", "digest": name, "count": count}
        Ledger(held.results).append("trials", str(uuid.uuid4()), symbol="HELD", timeframe="1h", data=data, **told)

    brought("one", 5)  # on the bars before it
    on = Series("HELD", "1h")
    assert unsealing.known_of(Ledger(held.results).read(), on).seen == 1
    brought("sees", 7)
    brought("sees", 9)  # the same store, which has grown
    assert unsealing.known_of(Ledger(held.results).read(), on).seen == 10


@pytest.mark.parametrize("text", ["365", "d", "-5d", "0d", "1x", "2024-01-01", "99999999d"])
def test_a_holdout_that_is_no_length_is_refused(held: Any, text: str) -> None:
    with pytest.raises(InputError, match="run.holdout"):
        held.run("one", HELD, f"run.holdout='{text}'")


def test_a_holdout_that_leaves_nothing_is_refused_before_anything_is_written(held: Any) -> None:
    lines = len(held.ledger())
    with pytest.raises(InputError, match="leaves no bar"):
        held.run("one", HELD, "run.holdout='9y'")
    assert len(held.ledger()) == lines


def test_bars_that_are_all_held_out_by_runs_before_are_not_said_to_need_a_shorter_holdout(held: Any) -> None:
    held.run("one", HELD)
    with pytest.raises(InputError, match=f"held out those from {BEGINS} on") as caught:
        held.run("late", HELD, "run.holdout='1h'", "data.start='2024-01-02T12:00:00Z'")
    assert "just unseal-holdout" in caught.value.hint
    with pytest.raises(InputError) as caught:
        held.run("all", HELD, "run.holdout='9y'", "data.symbol='OTHER'")  # a control
    assert caught.value.hint == "make it shorter, or take more data"


def test_there_must_be_something_to_unseal(held: Any) -> None:
    with pytest.raises(InputError, match="has held out no bars"):
        unsealing.unseal(Results(held.results), held.path("own"))


def test_a_broken_ledger_is_not_added_to(held: Any) -> None:
    held.run("one", HELD)
    lines = held.ledger()
    held.write_ledger([lines[0].replace(b"TEST", b"TSET"), *lines[1:]])
    with pytest.raises(RunError, match="not whole"):
        unsealing.unseal(Results(held.results), held.path("one"))


@pytest.mark.parametrize("time", ["", "2024", "2024-99-99T00:00:00Z", "x" * 90, "2024-01-01T00:00:00", 7, None])
def test_a_time_of_the_ledger_that_is_none_holds_nothing_out(tmp_path: Path, time: Any) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("start", "8a1d0f4e-7c7b-4f6e-9d43-0a4c6f1f2b3d", symbol="HELD", timeframe="1h", holdout=time)
    assert holdouts.of(ledger.read(), "HELD", "1h") == holdouts.Holdout()
