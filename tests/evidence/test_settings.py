"""What the ledger's lines tell of a run's config: few words, never a secret, and another text for another value."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade import config, runner
from peak_trade.errors import RunError
from peak_trade.evidence import settings
from peak_trade.evidence.ledger import FIELDS
from peak_trade.evidence.results import Results

Evidence = Any  # of conftest.py, which cannot be imported


def resolved(text: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(config.parse(text.encode(), {}))
    return found


BARE = '[data]\npath = "b.csv"\nsymbol = "TEST"\ntimeframe = "1h"\n[strategy]\nname = "macd"\n'


def test_what_a_config_sets_is_told_by_its_key() -> None:
    text = BARE + '[run]\nname = "n"\ntags = { desk = "fx" }\n[strategy.params]\nfast = 3\n[execution]\nfee_bps = 0\n'
    assert settings.named(resolved(text), settings.keys(text.encode(), {"stops.stop_loss": 0.1})) == {
        "name": "n",
        "params": {"fast": 3},
        "settings": {"data.path": "b.csv", "run.tags.desk": "fx", "execution.fee_bps": 0.0, "stops.stop_loss": None},
    }


def test_what_changes_nothing_of_a_run_is_not_told() -> None:
    text = BARE + '[tracking]\nmode = "auto"\n[lake]\nmax_revised = 0.5\n'
    assert settings.named(resolved(text), settings.keys(text.encode(), ())) == {"settings": {"data.path": "b.csv"}}


def test_of_a_snapshot_alone_what_is_no_default_is_told() -> None:
    text = BARE + "[execution]\nfee_bps = 0\nslippage_bps = 2\n"
    snapshot = resolved(text) | {"overrides": {"execution.slippage_bps": 2}}
    assert settings.of_snapshot(snapshot) == {"settings": {"data.path": "b.csv", "execution.slippage_bps": 2.0}}


@pytest.mark.parametrize("more", ["x", "y"])
def test_what_is_cut_off_still_makes_another_text(more: str) -> None:
    long = settings.short({"text": "a" * 200, "list": list(range(100)), "k" * 100: 1, "number": 1 << 70})
    other = settings.short({"text": "a" * 200 + more, "list": [*range(100), more], "k" * 100 + more: 1, "number": 1})
    assert not set(long.items()) & set(other.items())
    assert all(len(str(one)) <= 80 for one in [*long, *long.values()])


def test_of_very_many_the_rest_is_counted() -> None:
    many = {f"p{n}": n for n in range(1_000)}
    told, other = settings.short(many), settings.short(many | {"p999": 0})
    assert len(told) == 32 and str(told["…"]).startswith("969 more #")
    assert told["…"] != other["…"]
    assert settings.short(dict(list(many.items())[:32])) == dict(list(many.items())[:32])  # the control: these fit


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", [1], {"a": [1]}, 1 << 70, float(10**300), "\ud800" * 3])
def test_what_is_told_is_what_the_ledger_takes(value: Any) -> None:
    assert FIELDS["params"].fits(settings.short({"p": value}))
    assert not FIELDS["params"].fits({"p": [value]}), "the control"


def test_each_run_tells_it_in_its_lines(evidence: Evidence) -> None:
    history = Results(evidence.results).reading().of(evidence.runs["plain"])
    assert history.start and history.end
    start, end = history.start.fields, history.end.fields
    assert start["params"] == {"fast": 3, "slow": 12}
    assert start["settings"]["data.path"] == "data/bars.csv"
    assert end["params"] == {"fast": 3, "slow": 12, "short": False}
    assert (end["start"], end["end"]) == ("2024-01-01T00:00:00Z", "2024-01-02T23:00:00Z")
    made = {
        part["name"]: part
        for part in evidence.manifest("plain")["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert (end["data"], end["code"]) == tuple(made[name]["digest"]["sha256"] for name in ("bars", "code"))


def test_the_manifest_names_run_and_parameters(evidence: Evidence) -> None:
    told = evidence.manifest("own")["predicate"]["buildDefinition"]["externalParameters"]
    assert (told["name"], told["params"]) == ("our own", {"length": 5, "size": 0.8})


def test_a_failed_run_tells_what_it_was_asked(evidence: Evidence, tmp_path: Path) -> None:
    text = (evidence.root / "config" / "failed.toml").read_text() + '[run]\nname = "no luck"\n'
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(RunError) as caught:
        runner.run(config.load(path, ["execution.fee_bps=7"]), root=evidence.root, results=evidence.results)
    fields = Results(evidence.results).reading().of(str(caught.value.run_id)).fields
    assert (fields["name"], fields["settings"]["execution.fee_bps"]) == ("no luck", 7.0)
    assert fields["message"].startswith("the strategy raised ValueError: no idea what to do")


def test_no_secret_is_told(evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    text = (evidence.root / "config" / "own.toml").read_text()
    path.write_text(text.replace("[run]", '[run]\ntags = { api_key = "hunter2hunter2", desk = "of hunter2hunter2" }'))
    run_dir = runner.run(config.load(path), root=evidence.root, results=evidence.results)
    ledger = (evidence.results / "ledger.jsonl").read_text()
    assert "hunter2" not in ledger
    assert '"run.tags.api_key":"[redacted]","run.tags.desk":"of [redacted]"' in ledger
    assert evidence.verdicts()[run_dir.name].state == "intact"


# --- verify holds the lines against the files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "key", "value"),
    [
        ("start", "params", {"fast": 4, "slow": 12}),
        ("start", "settings", {"data.path": "other.csv"}),
        ("start", "settings", None),
        ("start", "name", "another"),
        ("sealed", "params", {"fast": 4, "slow": 12, "short": False}),
        ("sealed", "params", None),
        ("sealed", "start", "2024-01-01T01:00:00Z"),
        ("sealed", "end", None),
        ("sealed", "code", "0" * 64),
    ],
)
def test_a_line_that_tells_another_config_is_found(evidence: Evidence, event: str, key: str, value: Any) -> None:
    assert evidence.broken() == set(), "the control"
    lines = []
    for line in evidence.ledger():
        entry = msgspec.json.decode(line)
        if (entry["event"], entry["run_id"]) == (event, evidence.runs["plain"]):
            entry[key] = value
        lines.append(msgspec.json.encode(entry))
    evidence.write_ledger(lines)
    rechained(evidence)
    (line,) = evidence.findings()
    assert f" {key}: expected " in line


def rechained(evidence: Evidence) -> None:
    """Chain the lines anew as they are, and the manifests to them."""
    previous, lines, follows = "0" * 64, [], {}
    for line in evidence.ledger():
        entry = msgspec.json.decode(line) | {"prev": previous}
        path = evidence.results / entry["run_id"] / "manifest.json"
        if entry["event"] != "start":
            statement = msgspec.json.decode(path.read_bytes())
            statement["predicate"]["ledger"]["follows"] = follows[entry["run_id"]]
            content = msgspec.json.encode(statement)
            path.unlink()
            path.write_bytes(content)
            entry["manifest"] = hashlib.sha256(content).hexdigest()
        lines.append(msgspec.json.encode(entry))
        previous = hashlib.sha256(lines[-1]).hexdigest()
        if entry["event"] == "start":
            follows[entry["run_id"]] = previous
    evidence.write_ledger(lines)
