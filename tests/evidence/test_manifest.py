"""The manifest: a valid in-toto Statement that says what a run was asked, made from and left; and what it came from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

import peak_trade
from peak_trade import config
from peak_trade.errors import RunError
from peak_trade.evidence import manifest, provenance, tables
from peak_trade.market.fingerprint import fingerprint
from peak_trade.market.ohlcv import load_bars

Evidence = Any  # of conftest.py, which cannot be imported


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def dependency(statement: Any, name: str) -> Any:
    (found,) = [
        part for part in statement["predicate"]["buildDefinition"]["resolvedDependencies"] if part["name"] == name
    ]
    return found


# --- the form -----------------------------------------------------------------------------------------------------


def as_attestation(content: bytes) -> Statement:
    """Read a manifest with in-toto's own package, which refuses fields and types that the spec does not have."""
    return Statement.copy_from_pb(json_format.Parse(content, statement_pb2.Statement()))


@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare", "failed"])
def test_a_manifest_is_a_valid_in_toto_statement(evidence: Evidence, name: str) -> None:
    content = (evidence.path(name) / "manifest.json").read_bytes()
    statement = as_attestation(content)
    statement.validate()
    assert statement.pb.type == "https://in-toto.io/Statement/v1"
    assert statement.pb.predicate_type == "urn:peak-trade:run-evidence:v2"
    run = evidence.path(name)
    sealed = {path.relative_to(run).as_posix(): sha256(path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    assert {subject.name: dict(subject.digest) for subject in statement.pb.subject} == {
        file: {"sha256": digest}
        for file, digest in sealed.items()
        if file not in ("manifest.json", "run.log", "seal.json")
    }


def test_in_totos_package_would_refuse_another_form(evidence: Evidence) -> None:
    # a negative control
    whole = evidence.manifest("own")
    with pytest.raises(json_format.ParseError):
        as_attestation(json.dumps(whole | {"extra": 1}).encode())
    with pytest.raises(ValueError, match="At least one digest required"):
        as_attestation(json.dumps(whole | {"subject": [{"name": "a"}]}).encode()).validate()


@pytest.mark.parametrize("name", ["builtin", "own", "bare", "failed"])
def test_definition_and_details_have_the_form_of_slsa_provenance(evidence: Evidence, name: str) -> None:
    predicate = evidence.manifest(name)["predicate"]
    form = {key: predicate[key] for key in ("buildDefinition", "runDetails")}
    read = json_format.ParseDict(form, provenance_pb2.Provenance(), ignore_unknown_fields=True)
    assert read.build_definition.build_type == "urn:peak-trade:backtest:v1"
    assert read.run_details.builder.id == "urn:peak-trade:runner"
    assert read.run_details.metadata.invocation_id == evidence.runs[name]
    assert all(part.name for part in read.build_definition.resolved_dependencies)


def test_a_manifest_reads_back_as_it_was_written(evidence: Evidence) -> None:
    for name in evidence.runs:
        content = (evidence.path(name) / "manifest.json").read_bytes()
        read = manifest.decode(content)
        assert manifest.encode(read.files, read.predicate) == content
        assert read.run_id == evidence.runs[name]


def test_subjects_are_in_order_of_their_names() -> None:
    predicate = manifest.Predicate("failed", {}, {}, {}, [], {})
    subject = json.loads(manifest.encode({"b": "2", "a": "1", "c": "3"}, predicate))["subject"]
    assert subject == [{"name": name, "digest": {"sha256": digest}} for name, digest in zip("abc", "123", strict=True)]


WHOLE = manifest.encode({"a": "1"}, manifest.Predicate("sealed", {}, {}, {}, [], {}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"garbage",
        WHOLE[:-5],
        WHOLE + b"x",
        b'{"_type": NaN}',
        b'{"_type": "\xff"}',
        WHOLE.replace(b'"status": "sealed"', b'"status": 5'),
        WHOLE.replace(b'"subject"', b'"subjects"'),
        WHOLE.replace(b'"results": {}', b'"results": ' + b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_what_is_no_manifest_is_a_sentence(content: bytes) -> None:
    with pytest.raises(RunError, match=r"manifest.json is not a run's manifest: ") as caught:
        manifest.decode(content)
    assert not isinstance(caught.value, manifest.UnknownVersion)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "content",
    [
        WHOLE.replace(b"run-evidence:v2", b"run-evidence:v3"),
        b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:peak-trade:run-evidence:v9", "new": []}',
        WHOLE.replace(b"Statement/v1", b"Statement/v2"),
    ],
)
def test_another_version_is_named_whatever_its_shape(content: bytes) -> None:
    with pytest.raises(manifest.UnknownVersion, match="manifest.json has the format") as caught:
        manifest.decode(content)
    assert caught.value.hint == "read it with the version of peak_trade that wrote it"


def test_a_manifest_of_fields_to_come_is_still_read() -> None:
    later = json.loads(WHOLE)
    later["predicate"]["more"] = later["more"] = 1
    assert manifest.decode(json.dumps(later).encode()).files == {"a": "1"}


def test_a_manifest_has_these_bytes() -> None:
    # by hand: one blank for each step in, a line for each value, and an end to the last line
    whole = manifest.encode({"a": "1"}, manifest.Predicate("failed", {"k": 1}, {}, {}, [], {}))
    assert (
        whole.decode()
        == """{
 "_type": "https://in-toto.io/Statement/v1",
 "subject": [
  {
   "name": "a",
   "digest": {
    "sha256": "1"
   }
  }
 ],
 "predicateType": "urn:peak-trade:run-evidence:v2",
 "predicate": {
  "status": "failed",
  "buildDefinition": {
   "k": 1
  },
  "runDetails": {},
  "results": {},
  "receipts": [],
  "ledger": {},
  "error": null,
  "probe": null
 }
}
"""
    )


@pytest.mark.parametrize(("status", "completed"), [("sealed", True), ("ruined", True), ("failed", False), ("", False)])
def test_a_ruined_account_came_to_the_end_of_its_run_too(status: str, completed: bool) -> None:
    assert manifest.Predicate(status, {}, {}, {}, [], {}).completed is completed


@pytest.mark.parametrize(
    ("definition", "rules"),
    [
        ({"internalParameters": {"rules": 2}}, 2),
        ({"internalParameters": {"rules": 3, "Rules": 7}, "internalparameters": {"rules": 9}}, 3),
        ({"internalParameters": {}}, 1),  # as before there were editions
        ({}, 1),
    ],
)
def test_a_run_that_names_no_rules_was_traded_by_the_first(definition: dict[str, Any], rules: int) -> None:
    assert manifest.Predicate("sealed", definition, {}, {}, [], {}).rules == rules


@pytest.mark.parametrize("rules", ["2", None, [1], 1.0, True])
def test_what_is_no_edition_of_rules_is_refused(rules: Any) -> None:
    with pytest.raises(RunError, match="names no edition of the engine's rules"):
        _ = manifest.Predicate("sealed", {"internalParameters": {"rules": rules}}, {}, {}, [], {}).rules


@pytest.mark.parametrize(
    "details", [{}, {"metadata": {}}, {"metadata": {"invocationID": "a"}}, {"metadata": None}, {"metadata": "a"}]
)
def test_a_manifest_without_a_run_speaks_of_none(details: dict[str, Any]) -> None:
    later = manifest.decode(manifest.encode({}, manifest.Predicate("sealed", {}, details, {}, [], {})))
    assert later.run_id == ""


def test_a_file_sealed_by_another_digest_has_no_sha256() -> None:
    assert manifest.decode(WHOLE.replace(b'"sha256"', b'"sha512"')).files == {"a": ""}


# --- what was asked -----------------------------------------------------------------------------------------------


def test_it_says_what_was_asked(evidence: Evidence) -> None:
    run = evidence.run(
        "asked",
        "[data]\npath = 'data/bars.csv'\nsymbol = 'TEST'\ntimeframe = '1h'\n[strategy]\nname = 'sma_crossover'\n",
        "strategy.params.slow=9",
        "run.seed=7",
        "run.tags.desk=fx",
        "strategy.params.fast=2",
        argv=["--config", "config/asked.toml", "--set", "run.tags.password=hunter22"],
    )
    predicate = evidence.manifest("asked")["predicate"]
    asked = predicate["buildDefinition"]["externalParameters"]
    given = (evidence.root / "config" / "asked.toml").read_bytes()
    assert asked["config"] == sha256(given) == sha256((run / "config_snapshot.toml").read_bytes())
    assert list(asked["overrides"].items()) == [
        ("strategy.params.slow", 9),
        ("run.seed", 7),
        ("run.tags.desk", "fx"),
        ("strategy.params.fast", 2),
    ]
    assert predicate["buildDefinition"]["internalParameters"]["seed"] == 7
    assert predicate["runDetails"]["argv"] == ["--config", "config/asked.toml", "--set", "run.tags.password=[redacted]"]


# --- what it was made from ----------------------------------------------------------------------------------------


def test_it_names_the_strategys_source(evidence: Evidence) -> None:
    part = dependency(evidence.manifest("own"), "strategy")
    digest = sha256((evidence.root / "strategies" / "own.py").read_bytes())
    assert part["digest"] == {"sha256": digest}
    assert part["annotations"] == {"name": "steps", "file": "strategies/own.py", "sha256": digest}
    source = Path(peak_trade.__file__).parent / "strategies" / "sma_crossover.py"
    assert dependency(evidence.manifest("builtin"), "strategy")["digest"] == {"sha256": sha256(source.read_bytes())}


def test_it_holds_the_fingerprint_of_the_bars(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    part = dependency(evidence.manifest("own"), "bars")
    marks = fingerprint(load_bars(path, symbol="TEST", timeframe="1h").bars)
    noted = part["annotations"]
    assert part["digest"] == {"sha256": marks["digest"]}
    assert {key: noted[key] for key in ("rows", "start", "end", "by", "parts")} == {
        key: marks[key] for key in ("rows", "start", "end", "by", "parts")
    }
    assert (noted["rows"], noted["by"], list(noted["parts"])) == (48, "day", ["2024-01-01", "2024-01-02"])
    assert (noted["start"], noted["end"]) == ("2024-01-01T00:00:00Z", "2024-01-02T23:00:00Z")
    content = path.read_bytes()
    assert noted["files"] == [{"name": "bars.csv", "sha256": sha256(content), "bytes": len(content)}]
    assert (noted["symbol"], noted["timeframe"]) == ("TEST", "1h")
    assert (noted["dropped"], noted["violations"], noted["gaps"]) == (0, 0, 0)


def test_it_counts_what_was_dropped_and_what_is_missing(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    lines = path.read_text().splitlines()
    del lines[20]
    lines[10] = lines[10].rpartition(",")[0] + ",-1"
    path.write_text("\n".join(lines) + "\n")
    text = "[data]\npath = 'data/bars.csv'\nsymbol = 'T'\ntimeframe = '1h'\non_violation = 'drop-rows'\n"
    evidence.run("dropped", text + "[strategy]\nname = 'buy_and_hold'\n")
    noted = dependency(evidence.manifest("dropped"), "bars")["annotations"]
    assert (noted["rows"], noted["dropped"], noted["violations"], noted["gaps"]) == (46, 1, 1, 2)


def test_it_holds_the_digest_of_the_pins(evidence: Evidence) -> None:
    assert not (dependency(evidence.manifest("own"), "constraints.txt").get("digest") or {}).get("sha256")
    (evidence.root / "constraints.txt").write_text("numpy==2.0\n")
    provenance.pins.cache_clear()
    evidence.run(
        "pinned", "[data]\npath='data/bars.csv'\nsymbol='T'\ntimeframe='1h'\n[strategy]\nname='buy_and_hold'\n"
    )
    part = dependency(evidence.manifest("pinned"), "constraints.txt")
    assert part["digest"] == {"sha256": sha256(b"numpy==2.0\n")}


def test_it_names_the_interpreter_and_the_machine(evidence: Evidence) -> None:
    found = evidence.manifest("own")["predicate"]["buildDefinition"]["internalParameters"]["environment"]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
    with open("/proc/cpuinfo") as stream:
        models = {line.partition(":")[2].strip() for line in stream if line.startswith("model name")}
    assert found == {
        "peak_trade": peak_trade.__version__,
        "python": platform.python_version(),
        "implementation": "cpython",
        "numpy": np.__version__,
        "msgspec": msgspec.__version__,
        "system": f"linux-{platform.machine()}",
        "cpu": found["cpu"],
        "blas": f"{blas['name']} {blas['version']}",
        "distributions": found["distributions"],
    }
    assert found["distributions"].items() >= {"numpy": np.__version__, "msgspec": msgspec.__version__}.items()
    assert found["cpu"] in models or not models


# --- what came out ------------------------------------------------------------------------------------------------


def packed(kind: str, values: Any) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *values)


def test_its_digests_are_those_of_the_typed_values(evidence: Evidence) -> None:
    lines = (evidence.path("own") / "equity.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    moments = [int(datetime.fromisoformat(row[0]).timestamp()) * 10**9 for row in rows]
    by_hand = hashlib.sha256(f"peak_trade equity v1 {len(rows)}\n".encode() + b"timestamp <i8\n" + packed("q", moments))
    for at, name in enumerate(("equity", "drawdown", "position"), 1):
        by_hand.update(f"{name} <f8\n".encode() + packed("d", [float(row[at]) for row in rows]))
    results = evidence.manifest("own")["predicate"]["results"]
    assert results["equity_digest"] == by_hand.hexdigest()
    trades = tables.read_trades(evidence.path("own") / "trades.csv")
    assert results["trades_digest"] == tables.trades_digest(trades)


def test_its_summary_is_that_of_the_statistics(evidence: Evidence) -> None:
    figures = json.loads((evidence.path("own") / "stats.json").read_bytes())
    summary = evidence.manifest("own")["predicate"]["results"]["summary"]
    assert summary == {key: figures[key] for key in ("total_return", "sharpe", "max_drawdown", "trades")}


def test_the_digest_of_trades_is_the_same_with_and_without_pyarrow(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (evidence.root / "config" / "builtin.toml").read_text()
    evidence.run("with", text)
    monkeypatch.delenv("PEAK_STRICT", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    evidence.run("without", text)
    assert (evidence.path("with") / "trades.parquet").is_file()
    assert (evidence.path("without") / "trades.csv").is_file()
    one, other = (evidence.manifest(name)["predicate"] for name in ("with", "without"))
    assert one["results"] == other["results"]
    (skipped,) = [receipt for receipt in other["receipts"] if receipt["outcome"] == "skipped"]
    assert skipped["part"] == "trades.parquet"
    assert "wrote trades.csv instead" in skipped["reason"]
    assert not [receipt for receipt in one["receipts"] if receipt["outcome"] == "skipped"]


def test_a_failed_run_says_its_error_and_no_results(evidence: Evidence) -> None:
    predicate = evidence.manifest("failed")["predicate"]
    assert predicate["status"] == "failed"
    assert predicate["results"] == {}
    assert predicate["error"] == {
        "stage": "strategy",
        "type": "ValueError",
        "message": "the strategy raised ValueError: no idea what to do, at strategies/own.py:12: "
        'raise ValueError("no idea what to do")',
    }
    assert json.loads((evidence.path("failed") / "error.json").read_bytes()) == predicate["error"]
    assert evidence.manifest("own")["predicate"]["status"] == "sealed"
    assert evidence.manifest("own")["predicate"]["error"] is None


# --- when, where, at what cost ------------------------------------------------------------------------------------


def test_it_says_when_and_where(evidence: Evidence) -> None:
    for name in evidence.runs:
        details = evidence.manifest(name)["predicate"]["runDetails"]
        moments = [datetime.fromisoformat(details["metadata"][key]) for key in ("startedOn", "finishedOn")]
        assert moments[0] <= moments[1]
        assert all(moment.utcoffset() is not None and not moment.utcoffset() for moment in moments)
        assert details["host"] == socket.gethostname()
        assert details["metadata"]["invocationId"] == evidence.runs[name]


def test_the_receipt_says_what_the_evidence_cost(evidence: Evidence) -> None:
    for name in evidence.runs:
        predicate = evidence.manifest(name)["predicate"]
        (receipt,) = [receipt for receipt in predicate["receipts"] if receipt["part"] == "evidence"]
        assert receipt["outcome"] == "done"
        assert 0 < receipt["ms"] < 60_000
        sealed = [subject["name"] for subject in evidence.manifest(name)["subject"]]
        assert receipt["bytes"] == sum((evidence.path(name) / file).stat().st_size for file in sealed)


@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare", "failed"])
def test_it_promises_how_large_the_sealed_files_are(evidence: Evidence, name: str) -> None:
    sealed = manifest.decode((evidence.path(name) / "manifest.json").read_bytes())
    assert sealed.predicate.promised == sum((evidence.path(name) / file).stat().st_size for file in sealed.files) > 1000


@pytest.mark.parametrize(
    "receipts",
    [[], [{}], [{"part": "data", "bytes": 1}]]
    + [[{"part": "evidence", "bytes": bad}] for bad in (None, -1, 1.5, True, "9", [], {}, float("inf"))],
)
def test_what_is_no_size_promises_nothing(receipts: Any) -> None:
    assert manifest.Predicate("sealed", {}, {}, {}, receipts, {}).promised is None


@pytest.mark.parametrize("size", [0, 1, 1 << 40])
def test_a_promise_is_the_receipts_of_the_evidence_alone(size: int) -> None:
    receipts = [{"part": "data", "bytes": 7}, {"part": "evidence", "bytes": size}, {"part": "evidence", "bytes": 9}]
    assert manifest.Predicate("sealed", {}, {}, {}, receipts, {}).promised == size


def test_it_follows_the_line_of_the_ledger_that_starts_the_run(evidence: Evidence) -> None:
    lines = evidence.ledger()
    for name, run_id in evidence.runs.items():
        (start,) = [line for line in lines if json.loads(line)["event"] == "start" and run_id.encode() in line]
        assert evidence.manifest(name)["predicate"]["ledger"] == {"follows": sha256(start)}


def test_a_second_run_differs_in_its_details_only(evidence: Evidence) -> None:
    text = (evidence.root / "config" / "builtin.toml").read_text()
    first, second = evidence.run("first", text), evidence.run("second", text)  # what is imported grows with a process
    one, other = (json.loads((run / "manifest.json").read_bytes()) for run in (first, second))
    assert first != second
    assert one["subject"] == other["subject"]
    assert one["predicate"]["buildDefinition"] == other["predicate"]["buildDefinition"]
    assert one["predicate"]["results"] == other["predicate"]["results"]


# --- git ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run git in a new repository, with nobody's settings."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "repo"
    folder.mkdir()

    def run(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("init", "--quiet", "--initial-branch=trunk")
    (folder / "tracked.py").write_text("one = 1\n")
    return run


def state_of(folder: Path) -> dict[str, Any] | None:
    """Ask anew: within one process the answer for a folder is kept."""
    provenance._ANSWERS.clear()
    return provenance.GitQuestion(folder).answer()


def test_outside_git_there_is_no_state(tmp_path: Path) -> None:
    assert state_of(tmp_path) is None


def test_without_git_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert state_of(tmp_path) is None


def test_before_the_first_commit_there_is_no_commit_and_all_is_changed(git: Any, tmp_path: Path) -> None:
    state = state_of(tmp_path / "repo")
    assert state is not None
    assert (state["commit"], state["branch"], state["dirty"]) == (None, "trunk", True)
    assert len(state["diff_sha256"]) == 64


def test_a_clean_checkout_is_its_commit(git: Any, tmp_path: Path) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    assert state_of(tmp_path / "repo") == {"commit": git("rev-parse", "HEAD"), "branch": "trunk", "dirty": False}


def test_a_detached_head_is_said(git: Any, tmp_path: Path) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("checkout", "--quiet", "--detach")
    assert state_of(tmp_path / "repo") == {"commit": git("rev-parse", "HEAD"), "branch": "(detached)", "dirty": False}


def test_every_change_has_a_digest_of_its_own(git: Any, tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit, digests = git("rev-parse", "HEAD"), []

    def note() -> None:
        state = state_of(folder)
        assert state is not None
        assert (state["commit"], state["dirty"]) == (commit, True)
        digests.append(state["diff_sha256"])

    (folder / "tracked.py").write_text("one = 2\n")
    note()
    git("add", ".")
    (folder / "tracked.py").write_text("one = 3\n")
    note()
    (folder / "untracked.py").write_text("two = 2\n")
    note()
    (folder / "untracked.py").write_text("two = 3\n")
    note()
    (folder / "new folder").mkdir()
    (folder / "new folder" / "näme.py").write_text("three = 3\n")
    note()
    (folder / "new folder" / "näme.py").write_text("three = 4\n")
    note()
    (folder / "tracked.py").unlink()
    note()
    assert len(set(digests)) == len(digests)
    again = state_of(folder)
    assert again is not None and again["diff_sha256"] == digests[-1]


def test_staged_changes_before_the_first_commit_have_digests_of_their_own(git: Any, tmp_path: Path) -> None:
    git("add", ".")
    one = state_of(tmp_path / "repo")
    (tmp_path / "repo" / "tracked.py").write_text("one = 2\n")
    git("add", ".")
    other = state_of(tmp_path / "repo")
    assert one is not None and other is not None
    assert one["diff_sha256"] != other["diff_sha256"]


def test_names_that_are_no_utf_8_can_be_written_down(git: Any, tmp_path: Path) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("checkout", "--quiet", "-b", "caf\udce9")
    Path(tmp_path / "repo" / "caf\udce9.py").write_text("1")
    state = state_of(tmp_path / "repo")
    assert state is not None and state["dirty"]
    assert msgspec.json.encode(state)


def test_ignored_files_change_nothing(git: Any, tmp_path: Path) -> None:
    (tmp_path / "repo" / ".gitignore").write_text("results/\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (tmp_path / "repo" / "results").mkdir()
    (tmp_path / "repo" / "results" / "big").write_text("1")
    state = state_of(tmp_path / "repo")
    assert state is not None and not state["dirty"]


def test_a_look_writes_nothing_into_the_repository(git: Any, tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    os.utime(folder / "tracked.py", (1, 1))  # a plain `git status` would refresh the index
    before = {path: path.stat().st_mtime_ns for path in (folder / ".git").rglob("*")}
    state_of(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / ".git").rglob("*")} == before


def test_a_folder_within_a_checkout_speaks_of_the_whole(git: Any, tmp_path: Path) -> None:
    inner = tmp_path / "repo" / "inner"
    inner.mkdir()
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (tmp_path / "repo" / "untracked.py").write_text("1")
    one = state_of(inner)
    (tmp_path / "repo" / "untracked.py").write_text("2")
    other = state_of(inner)
    assert one is not None and other is not None
    assert one["dirty"] and one["diff_sha256"] != other["diff_sha256"]


def test_the_answer_is_kept_for_a_batch_of_runs(git: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = state_of(tmp_path / "repo")
    monkeypatch.setenv("PATH", str(tmp_path))  # git cannot be asked again
    assert provenance.GitQuestion(tmp_path / "repo").answer() == first


def test_the_state_of_git_stands_in_the_manifest_of_sealed_and_failed_runs(
    git: Any, evidence: Evidence, tmp_path: Path
) -> None:
    folder = tmp_path / "repo"
    shutil.copytree(evidence.root, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("results"))
    (folder / ".gitignore").write_text("results/\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    provenance._ANSWERS.clear()
    here = msgspec.structs.replace(evidence, root=folder, results=folder / "results", runs={})
    for name in ("own", "failed"):
        here.run(name, (folder / "config" / f"{name}.toml").read_text())
        part = dependency(here.manifest(name), "git")
        assert part["digest"] == {"gitCommit": git("rev-parse", "HEAD")}
        assert part["annotations"] == {"commit": git("rev-parse", "HEAD"), "branch": "trunk", "dirty": False}


def test_outside_git_the_manifest_says_so(evidence: Evidence) -> None:
    part = dependency(evidence.manifest("own"), "git")
    assert not part.get("annotations")
    assert not (part.get("digest") or {}).get("gitCommit")


def test_a_config_is_read_from_its_own_folder(evidence: Evidence) -> None:
    # what `verify` needs to find the data again
    assert evidence.manifest("own")["predicate"]["runDetails"]["folder"] == "config"
    assert config.load(evidence.root / "config" / "own.toml").bases(evidence.root)[0] == evidence.root / "config"
