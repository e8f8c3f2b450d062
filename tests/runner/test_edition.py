"""The config that is sealed in a run of an older version never runs by rules that it did not mean."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from peak_trade import config, runner
from peak_trade.engine import RULES
from peak_trade.errors import InputError
from peak_trade.evidence import manifest

ARCHIVE = Path(__file__).resolve().parents[1] / "archive"
CHANGED = {
    "stops.trailing_stop": "[stops]\ntrailing_stop = 0.1\n",
    "sizing.min_trade_value": "[sizing]\nmin_trade_value = 500.0\n",
}


@pytest.fixture(params=["0.1.0", "0.2.0"])
def snapshot(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The sealed config of a completed run of an older version, in a copy of its repository."""
    root = tmp_path / "old"
    shutil.copytree(ARCHIVE / request.param, root)
    for path in sorted((root / "runs").glob("*/config_snapshot.toml")):
        if "sma_crossover" in path.read_text() and (path.parent / "stats.json").is_file():
            path.chmod(0o644)
            path.write_text(path.read_text().split("[stops]")[0].split("[sizing]")[0])
            return path
    raise AssertionError("the archive has no such run")


def started(path: Path, root: Path, *overrides: str) -> Path:
    """Run a config whose data is found from anywhere."""
    overrides = (f"data.path={root / 'data' / 'bars.csv'}", *overrides)
    return runner.run(config.load(path, overrides), root=root, results=root / "results")


@pytest.mark.parametrize("key", CHANGED)
def test_what_meant_something_else_is_refused_and_the_hint_works(
    snapshot: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = snapshot.parents[2]
    snapshot.write_text(snapshot.read_text() + CHANGED[key])
    with pytest.raises(InputError, match=f"edition 1 .*{key}") as error:
        started(snapshot, root)
    assert not (root / "results").exists()
    monkeypatch.chdir(root)
    copying, running = error.value.hint.partition(": ")[2].split(" && ")
    subprocess.run(shlex.split(copying), check=True)
    just, run, own = shlex.split(running)
    assert (just, run) == ("just", "run")
    path = runner.run(config.load(own), root=root, results=root / "results")  # its data is found beside its old place
    assert manifest.decode((path / "manifest.json").read_bytes()).predicate.rules == RULES == 2


@pytest.mark.parametrize("key", CHANGED)
def test_an_override_is_no_way_around_it(snapshot: Path, key: str) -> None:
    with pytest.raises(InputError, match=key):
        started(snapshot, snapshot.parents[2], f"{key}=0.5")


def test_what_it_asks_for_as_today_runs_and_says_what_was_decided_otherwise(snapshot: Path) -> None:
    root = snapshot.parents[2]
    quiet, told = started(snapshot, root), started(snapshot, root, "stops.stop_loss=0.05")
    receipts = [manifest.decode((path / "manifest.json").read_bytes()).predicate.receipts for path in (quiet, told)]
    short = "allow_short = true" in snapshot.read_text()
    assert [part["outcome"] for part in receipts[0] if part["part"] == "rules"] == ["changed"] * short
    [receipt] = [part for part in receipts[1] if part["part"] == "rules"]
    assert "edition 1" in receipt["reason"] and "a touch" in receipt["reason"]


@pytest.mark.parametrize("key", CHANGED)
def test_the_config_of_a_run_of_today_runs_as_it_is(snapshot: Path, key: str) -> None:
    """The control: the same keys, sealed under today's rules."""
    root = snapshot.parents[2]
    own = root / "config" / "mine.toml"
    own.write_text(snapshot.read_text() + CHANGED[key])
    first = started(own, root)
    again = started(first / "config_snapshot.toml", root)
    assert (first / "equity.csv").read_bytes() == (again / "equity.csv").read_bytes()


def test_a_run_whose_process_died_names_no_edition(snapshot: Path) -> None:
    root = snapshot.parents[2]
    whole = manifest.decode((snapshot.parent / "manifest.json").read_bytes())
    died = msgspec.structs.replace(whole.predicate, build_definition={"internalParameters": {}})
    (snapshot.parent / "manifest.json").chmod(0o644)
    (snapshot.parent / "manifest.json").write_bytes(manifest.encode(whole.files, died))
    with pytest.raises(InputError, match="an unknown edition .* in edition 1 stops.trailing_stop"):
        started(snapshot, root, "stops.trailing_stop=0.1")
