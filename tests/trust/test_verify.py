"""A sealed run is broken in every way a byte can go wrong; each way is found, by name, and nothing else is.

The runs (conftest.py): `builtin` and `bare` have trades.parquet, `plain` and `own` trades.csv, `own` pays for its
shorts, `bare` has no benchmark, `failed` has an error.json. Most tests end with `broken() == {…}`: the rest is intact.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peak_trade.evidence import seal, tables
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.run_dir import RunDir, recover
from peak_trade.market import promised
from peak_trade.trust import content, verify

Evidence = Any  # of conftest.py, which cannot be imported
FILES = {
    "builtin": (
        "benchmark.csv", "config_snapshot.json", "config_snapshot.toml", "equity.csv", "manifest.json", "stats.json",
        "trades.parquet",
    ),
    "plain": ("trades.csv",),
    "failed": ("config_snapshot.json", "config_snapshot.toml", "error.json", "manifest.json"),
}  # fmt: skip
EVERY_FILE = [(name, file) for name, files in FILES.items() for file in files]
UNCOVERED = "expected nothing of that name, found a file that the seal does not cover"
NO_CLOSES = "the closes are neither in a benchmark nor in the data"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def finding(lines: list[str], start: str) -> str:
    """Return the one finding that starts like this."""
    (line,) = [line for line in lines if line.startswith(start)]
    return line


def lines_of(verdict: verify.Verdict) -> list[str]:
    return [str(finding) for finding in verdict.findings]


def broken(verdicts: dict[str, verify.Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.state != "intact"}


# --- untouched ----------------------------------------------------------------------------------------------------


def test_untouched_runs_are_intact_and_checked_in_full(evidence: Evidence) -> None:
    verdicts = evidence.verdicts()
    assert verdicts.keys() == {"ledger.jsonl", "builtin", "own", "plain", "bare", "failed"}
    assert [(verdict.state, verdict.findings, verdict.unchecked) for verdict in verdicts.values()] == [
        ("intact", [], [])
    ] * 6


def test_there_are_trades_to_check(evidence: Evidence) -> None:
    # a negative control: with nothing in the files, every comparison of columns would pass
    own = tables.read_trades(evidence.path("own") / "trades.csv")
    assert len(own) >= 8 and set(own.side.tolist()) == {1, -1} and set(own.exit_reason.tolist()) == {0, 4}
    assert len(tables.read_trades(evidence.path("builtin") / "trades.parquet")) >= 3


def test_an_empty_results_folder_is_intact(tmp_path: Path) -> None:
    (verdict,) = verify.verify_all(Results(tmp_path), None, root=None)
    assert (verdict.name, verdict.state) == ("ledger.jsonl", "intact")


def test_one_run_can_be_verified_alone(evidence: Evidence) -> None:
    assert verify.verify(evidence.path("own"), root=evidence.root).state == "intact"
    assert verify.verify(evidence.path("own")).state == "intact"


RANDOM_STRATEGY = """
import numpy as np

def at_random(bars, *, seed, length):
    random = np.random.default_rng(seed)
    return np.repeat(random.choice([-1.0, -0.3, 0.0, 0.5, 1.0], len(bars)), length)[: len(bars)]
"""


def random_bars(count: int, seed: int, jump: float) -> str:
    """Return bars at a random walk with gaps, of days or of seconds."""
    import numpy as np

    random = np.random.default_rng(seed)
    opens = 100 * np.cumprod(1 + jump * random.uniform(-1, 1, count))
    closes = opens * (1 + jump * random.uniform(-1, 1, count))
    highs, lows = np.maximum(opens, closes) * (1 + jump / 3), np.minimum(opens, closes) * (1 - jump / 3)
    rows = zip(opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(), strict=True)
    lines = [f"{1704067200 + 3600 * at},{o!r},{h!r},{low!r},{c!r},1" for at, (o, h, low, c) in enumerate(rows)]
    return "\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.sampled_from([1, 2, 3]) | st.integers(1, 50),
    seed=st.integers(0, 10**6),
    jump=st.sampled_from([0.001, 0.05, 0.6]),
    settings_=st.fixed_dictionaries(
        {},
        optional={
            "strategy.params.length": st.integers(1, 9),
            "execution.fee_bps": st.sampled_from([0, 1.5, 250]),
            "execution.slippage_bps": st.sampled_from([0, 2, 300]),
            "execution.borrow_rate": st.sampled_from([0, 0.03, 9]),
            "execution.initial_cash": st.sampled_from([0.01, 10_000, 1e15]),
            "sizing.scale": st.sampled_from([0.5, 3]),
            "sizing.max_exposure": st.sampled_from([0.1, 1]),
            "sizing.min_trade_value": st.sampled_from([0, 500]),
            "stops.stop_loss": st.sampled_from([0.001, 0.1]),
            "stops.take_profit": st.sampled_from([0.001, 0.2]),
            "stops.trailing_stop": st.sampled_from([0.002, 0.1]),
            "stats.benchmark": st.sampled_from(["none", "buy_and_hold"]),
            "stats.risk_free_rate": st.sampled_from([0.02, -0.01]),
            "data.calendar": st.sampled_from(["24/7", "XNYS"]),
        },
    ),
)
def test_whatever_is_run_is_intact(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, jump: float, settings_: dict[str, Any]
) -> None:
    from peak_trade import config, runner

    root = tmp_path_factory.mktemp("random")
    (root / "bars.csv").write_text(random_bars(count, seed, jump))
    (root / "own.py").write_text(RANDOM_STRATEGY)
    (root / "config.toml").write_text(
        '[data]\npath = "bars.csv"\nsymbol = "T"\ntimeframe = "1h"\n[strategy]\nentrypoint = "own.py:at_random"\n'
        f"[strategy.params]\nseed = {seed}\nlength = 3\n[execution]\nallow_short = true\n"
    )
    overrides = [f"{key}={value}" for key, value in settings_.items()]
    run_dir = runner.run(config.load(root / "config.toml", overrides), root=root, results=root / "results")
    verdict = verify.verify(run_dir, root=root)
    assert (lines_of(verdict), verdict.unchecked) == ([], [])
    shutil.rmtree(root)


# --- bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_a_flipped_bit_is_found(evidence: Evidence, name: str, file: str) -> None:
    before = (evidence.path(name) / file).read_bytes()
    for at in (0, len(before) // 3, len(before) // 2, len(before) - 1):
        after = before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :]
        evidence.rewrite(name, file, after)
        verdicts = evidence.verdicts()
        assert f"{file}: expected sha256 {sha256(before)}, found sha256 {sha256(after)}" in lines_of(verdicts[name])
        assert broken(verdicts) == {name}


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[:-1],
    "halved": lambda content: content[: len(content) // 2],
    "extended": lambda content: content + b"\n",
    "emptied": lambda content: b"",
    "doubled": lambda content: content * 2,
}


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_a_changed_length_is_found(evidence: Evidence, name: str, file: str) -> None:
    before = (evidence.path(name) / file).read_bytes()
    for change in CHANGES.values():
        after = change(before)
        evidence.rewrite(name, file, after)
        verdicts = evidence.verdicts()
        assert f"{file}: expected sha256 {sha256(before)}, found sha256 {sha256(after)}" in lines_of(verdicts[name])
        assert broken(verdicts) == {name}


def put_nothing(path: Path) -> str:
    return "no such file"


def put_a_folder(path: Path) -> str:
    path.mkdir()
    return "a folder"


def put_a_pipe(path: Path) -> str:
    os.mkfifo(path)  # to open it for reading would wait for ever
    return "a named pipe"


def put_a_hard_link_to_the_same_bytes(path: Path) -> str:
    os.link(path.parents[2] / "kept", path)
    return "a hard link"


def put_a_socket(path: Path) -> str:
    bind(path)
    return "a socket"


def put_a_link_to_the_same_bytes(path: Path) -> str:
    path.symlink_to(path.parents[2] / "kept")
    return "a symbolic link"


def put_a_dangling_link(path: Path) -> str:
    path.symlink_to("nowhere")
    return "a symbolic link"


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_what_is_no_file_is_found(evidence: Evidence, name: str, file: str) -> None:
    path = evidence.path(name) / file
    expected = "the run's manifest" if file == "manifest.json" else f"sha256 {sha256(path.read_bytes())}"
    path.rename(evidence.root / "kept")
    for put in (
        put_nothing, put_a_pipe, put_a_socket, put_a_link_to_the_same_bytes, put_a_hard_link_to_the_same_bytes,
        put_a_dangling_link, put_a_folder,
    ):  # fmt: skip
        path.unlink(missing_ok=True)
        found, verdicts = put(path), evidence.verdicts()
        assert lines_of(verdicts[name]) == [f"{file}: expected {expected}, found {found}"]
        assert broken(verdicts) == {name}


@pytest.mark.parametrize("name", ["builtin", "failed"])
@pytest.mark.parametrize("added", ["extra.csv", ".hidden", "equity.csv~", "trades.csv", "notes\nof mine", "\udcff"])
def test_an_added_file_is_found(evidence: Evidence, name: str, added: str) -> None:
    (evidence.path(name) / added).write_text("1")
    shown = {"notes\nof mine": r"notes\nof mine", "\udcff": r"\udcff"}.get(added, added)
    assert evidence.findings(name) == [
        f"{shown}: expected nothing of that name, found a file that the seal does not cover"
    ]
    assert evidence.broken() == {name}


def test_an_added_folder_is_found(evidence: Evidence) -> None:
    (evidence.path("own") / "nested").mkdir()
    assert evidence.broken() == {"own"}


def test_derived_files_may_come_go_and_change(evidence: Evidence) -> None:
    for folder in ("plots", "report", "telemetry", "debug"):
        (evidence.path("own") / folder).mkdir()
        (evidence.path("own") / folder / "file").write_text("1")
    (evidence.path("own") / "run.log").unlink()
    assert evidence.broken() == set()


def test_a_gone_directory_is_found(evidence: Evidence) -> None:
    shutil.rmtree(evidence.path("own"))
    line = next(
        n
        for n, line in enumerate(evidence.ledger(), 1)
        if b'"sealed"' in line and evidence.runs["own"].encode() in line
    )
    assert evidence.findings("ledger.jsonl") == [
        f"{evidence.runs['own']}: expected a directory, as the ledger's line {line} says `sealed`, found none"
    ]


# --- files and directories in each other's place ------------------------------------------------------------------


def test_two_swapped_files_are_both_found(evidence: Evidence) -> None:
    one, other = evidence.path("own") / "equity.csv", evidence.path("own") / "benchmark.csv"
    first, second = sha256(one.read_bytes()), sha256(other.read_bytes())
    swap(one, other)
    assert evidence.findings() == [
        f"benchmark.csv: expected sha256 {second}, found sha256 {first}",
        f"equity.csv: expected sha256 {first}, found sha256 {second}",
    ]


@pytest.mark.parametrize("file", ["equity.csv", "config_snapshot.json", "manifest.json"])
def test_a_file_swapped_between_two_runs_is_found_in_both(evidence: Evidence, file: str) -> None:
    swap(evidence.path("own") / file, evidence.path("plain") / file)
    assert evidence.broken() == {"own", "plain"}
    for name in ("own", "plain"):
        assert f"{file}: expected sha256 " in "\n".join(evidence.findings(name))


def test_two_swapped_directories_are_both_found(evidence: Evidence) -> None:
    swap(evidence.path("builtin"), evidence.path("own"))
    assert evidence.broken() == {"builtin", "own"}
    one, other = evidence.runs["builtin"], evidence.runs["own"]
    assert f"manifest.json: expected run_id {one}, found run_id {other}" in evidence.findings("builtin")
    assert f"manifest.json: expected run_id {other}, found run_id {one}" in evidence.findings("own")


def test_a_copy_under_another_run_id_is_found(evidence: Evidence) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    shutil.copytree(evidence.path("own"), evidence.results / other)
    assert evidence.broken() == {other}
    assert f"ledger.jsonl: expected an entry that seals {other}, found none" in evidence.findings(other)


def test_a_link_in_place_of_a_directory_is_found(evidence: Evidence) -> None:
    outside = evidence.root / "outside"
    evidence.path("own").rename(outside)
    evidence.path("own").symlink_to(outside)
    run_id = evidence.runs["own"]
    assert evidence.findings("own") == [f"{run_id}: expected a directory, found a symbolic link to {outside}"]


def test_a_file_in_place_of_a_directory_is_found(evidence: Evidence) -> None:
    shutil.rmtree(evidence.path("own"))
    evidence.path("own").write_text("not a directory")
    assert evidence.verdicts()["own"].state == "unreadable"
    assert {"own"} < evidence.broken() == {"own", "ledger.jsonl"}


# --- names that are no files of their own, also where the seal does not reach ----------------------------------------


def bind(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have a hundred bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def link_outside(path: Path) -> None:
    path.symlink_to(path.anchor)


def link_a_file(path: Path) -> None:
    outside = path.with_name("outside")  # in the same file system
    outside.write_text("mine")
    moved = outside.rename(next(parent for parent in path.parents if parent.name == "results").parent / "outside")
    os.link(moved, path)


PLANTED: dict[str, Callable[[Path], None]] = {
    "a symbolic link": link_outside,
    "a hard link": link_a_file,
    "a named pipe": lambda path: os.mkfifo(path),
    "a socket": bind,
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("place", ["report/index.html", "telemetry/main.traces.jsonl", "plots/a/b/c.svg", "debug/x"])
def test_what_is_no_file_is_found_below_the_names_that_are_not_sealed(
    evidence: Evidence, place: str, kind: str
) -> None:
    path = evidence.path("own") / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("derived")
    assert evidence.broken() == set(), "the control: a file of its own may lie there"
    path.unlink()
    PLANTED[kind](path)
    assert evidence.findings() == [f"{place}: expected a file or a folder, found {kind}"]


@pytest.mark.parametrize("kind", [*PLANTED, "a file", "a folder"])
@pytest.mark.parametrize("name", sorted(verify.DERIVED))
def test_what_has_a_name_that_is_not_sealed_is_what_it_should_be(evidence: Evidence, name: str, kind: str) -> None:
    path, expected = evidence.path("own") / name, "a file" if "." in name else "a folder"
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    (PLANTED | {"a file": Path.touch, "a folder": os.mkdir})[kind](path)
    if (name, kind) == ("seal.json", "a file"):
        path.write_bytes(seal.of(Ledger(evidence.results), path.parent.name))
    found = [line for line in evidence.findings() if " is no DSSE envelope" not in line]  # which an empty file is not
    assert found == ([] if kind == expected else [f"{name}: expected {expected}, found {kind}"])


def test_what_is_no_file_is_found_without_a_manifest_too(evidence: Evidence) -> None:
    (evidence.path("own") / "manifest.json").unlink()
    (evidence.path("own") / "debug").mkdir(exist_ok=True)
    os.mkfifo(evidence.path("own") / "debug" / "pipe")
    os.mkfifo(evidence.path("own") / "more")
    assert evidence.findings("own") == [
        "manifest.json: expected the run's manifest, found no such file",
        "more: expected a file, found a named pipe",
        "debug/pipe: expected a file or a folder, found a named pipe",
    ]


def test_many_strange_names_are_counted(evidence: Evidence) -> None:
    for n in range(50):
        (evidence.path("own") / f"link{n:02}").symlink_to("x")
    found = evidence.findings()
    assert len(found) == 21 and found[-1].endswith("expected no more of them, found 30 more")


def test_folders_without_an_end_are_found(evidence: Evidence) -> None:
    (evidence.path("own") / "debug" / "/".join("d" * 32)).mkdir(parents=True)
    assert evidence.findings() == [f"debug/{'/'.join('d' * 32)}: expected at most 32 folders in each other, found more"]


@pytest.mark.parametrize("file", ["equity.csv", "stats.json", "manifest.json", "trades.csv"])
def test_a_file_without_an_end_is_found_before_it_is_read(evidence: Evidence, file: str) -> None:
    evidence.rewrite("own", file, b"")
    (evidence.path("own") / file).chmod(0o644)
    with open(evidence.path("own") / file, "r+b") as stream:
        stream.truncate(1 << 40)  # of no room at all
    found = finding(evidence.findings("own"), f"{file}: expected a file that was sealed, found 1,099,511,627,776 bytes")
    assert "more than the " in found
    assert evidence.broken() == {"own"}


def test_no_more_bytes_are_read_than_were_promised(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_SLACK", 0)
    assert evidence.broken() == set(), "the control: what was sealed is read to its last byte"
    evidence.rewrite("own", "trades.csv", (evidence.path("own") / "trades.csv").read_bytes() + b"\n")
    (line,) = evidence.findings()
    assert line.startswith("trades.csv: expected a file that was sealed, found ") and "more than the" in line


def test_what_is_too_much_to_hold_is_digested_and_said(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_KEPT", 3000)
    verdict = evidence.verdicts()["own"]
    assert (verdict.state, verdict.unchecked) == (
        "intact", ["what the files say: they have more than 3,000 bytes"]
    )  # fmt: skip
    evidence.rewrite("own", "equity.csv", b"x")
    assert finding(evidence.findings("own"), "equity.csv: expected sha256 ")


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


# --- the manifest -------------------------------------------------------------------------------------------------


def test_a_file_edited_with_its_digest_is_found_by_the_ledger(evidence: Evidence) -> None:
    before = sha256((evidence.path("own") / "manifest.json").read_bytes())
    statement = evidence.manifest("own")
    evidence.rewrite("own", "config_snapshot.toml", b"# nothing\n")
    (subject,) = [subject for subject in statement["subject"] if subject["name"] == "config_snapshot.toml"]
    subject["digest"]["sha256"] = sha256(b"# nothing\n")
    evidence.write_manifest("own", statement)
    after = sha256((evidence.path("own") / "manifest.json").read_bytes())
    assert f"manifest.json: expected sha256 {before}, found sha256 {after}" in evidence.findings("own")
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("predicate", "receipts"), [], "manifest.json: expected sha256 "),
        (("predicate", "status"), "failed", "manifest.json: expected status sealed, found status failed"),
        (("predicate", "status"), "great", "manifest.json: expected status sealed, found status great"),
        (("predicate", "runDetails", "metadata", "invocationId"), "1", "manifest.json: expected run_id "),
        (("predicate", "runDetails", "host"), "elsewhere", "manifest.json: expected sha256 "),
        (("predicate", "ledger", "follows"), "0" * 64, f"ledger.jsonl: expected sha256 {'0' * 64} of "),
        (("subject",), [], "manifest.json: expected equity.csv among the sealed files, found it is not listed"),
    ],
)  # fmt: skip
def test_an_edited_manifest_is_found(evidence: Evidence, path: tuple[str, ...], value: Any, expected: str) -> None:
    statement = evidence.manifest("own")
    put(statement, path, value)
    evidence.write_manifest("own", statement)
    found = evidence.findings("own")
    assert finding(found, expected)
    assert finding(found, "manifest.json: expected sha256 ")
    assert evidence.broken() == {"own"}


def test_a_manifest_written_otherwise_is_found(evidence: Evidence) -> None:
    evidence.rewrite("own", "manifest.json", json.dumps(evidence.manifest("own")).encode())
    assert finding(evidence.findings("own"), "manifest.json: expected sha256 ")
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize("digest", ["the same", "0" * 64])
def test_a_file_that_is_named_twice_is_found(evidence: Evidence, digest: str) -> None:
    def twice(statement: Any) -> None:
        first = statement["subject"][0]
        again = first["digest"] if digest == "the same" else {"sha256": digest}
        statement["subject"].insert(0, first | {"digest": again})

    evidence.forge("own", lambda statement: statement["subject"].reverse())
    assert evidence.findings("own") == [], "the control: files in another order"
    evidence.forge("own", twice)
    assert "a file is named twice" in evidence.findings("own")[0]
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize("resealed", [False, True])
def test_a_future_format_is_unreadable(evidence: Evidence, resealed: bool) -> None:
    evidence.write_manifest(
        "own", {"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:peak-trade:run-evidence:v3", "new": 1}
    )
    if resealed:
        lines = [json.loads(line) for line in evidence.ledger()]
        lines[3]["manifest"] = sha256((evidence.path("own") / "manifest.json").read_bytes())
        chain(evidence, lines)
    verdict = evidence.verdicts()["own"]
    assert verdict.state == "unreadable"
    assert verdict.findings[-1].expected == "a known format"
    assert "'urn:peak-trade:run-evidence:v3'" in verdict.findings[-1].found
    assert len(verdict.findings) == (1 if resealed else 2)


GARBAGE = {
    "empty": b"",
    "text": b"not JSON",
    "binary": bytes(range(256)) * 40,
    "null": b"null",
    "list": b"[]",
    "NaN": b'{"_type": NaN}',
    "not UTF-8": b'{"_type": "\xff"}',
    "too deep": b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"urn:peak-trade:run-evidence:v1","subject":[],'
    b'"predicate":{"results":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "huge": b'{"_type": "' + b"x" * 5_000_000,
    "a lone surrogate": rb'{"_type": "\ud800"}',
    "a huge number": b'{"_type": 1' + b"0" * 10_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_found_and_stops_no_other_check(evidence: Evidence, kind: str) -> None:
    for file in ("manifest.json", "stats.json", "config_snapshot.json", "equity.csv", "trades.csv"):
        whole = (evidence.path("own") / file).read_bytes()
        evidence.rewrite("own", file, GARBAGE[kind])
        if file != "manifest.json":
            evidence.forge("own")  # so that the contents are read at all
        verdicts = evidence.verdicts()
        assert verdicts["own"].state == "broken"
        assert all(len(line) < 1000 and line.isprintable() for line in lines_of(verdicts["own"]))
        assert broken(verdicts) == {"own"}
        evidence.rewrite("own", file, whole)


WEIRD: list[Any] = [None, [], {"a": None}, "text", -1.5]


@pytest.mark.slow
def test_a_manifest_of_any_shape_is_judged_without_an_error(evidence: Evidence) -> None:
    whole, reading = evidence.manifest("own"), Ledger(evidence.results).read()
    for path, before in nodes(whole):
        for value in WEIRD:
            if value == before:
                continue
            statement = json.loads(json.dumps(whole))
            put(statement, path, value)
            evidence.write_manifest("own", statement)
            assert verify.verify(evidence.path("own"), reading).findings, (path, value)


def nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every node of a tree with the way to it; of lists the first item only, and none of the periods' digests."""
    if path:
        yield path, tree
    if "parts" not in path[-1:]:
        items = tree.items() if isinstance(tree, dict) else enumerate(tree[:1]) if isinstance(tree, list) else ()
        for key, value in items:
            yield from nodes(value, (*path, key))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


# --- the forger: files, manifest and ledger edited so that all digests agree ---------------------------------------


def test_a_forger_who_changes_nothing_is_not_found(evidence: Evidence) -> None:
    # a negative control: the forged digests and the new chain are right, so what the tests below find is the content
    before = evidence.ledger()
    for name in ("builtin", "own", "plain", "bare", "failed"):
        evidence.forge(name, lambda statement: statement["predicate"]["runDetails"].update(host="elsewhere"))
    assert evidence.ledger() != before
    assert evidence.broken() == set()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"trade_id": "7"}, "trades.csv: trade_id is not 1, 2, 3"),
        ({"symbol": "OTHER"}, "trades.csv: trade_id is not 1, 2, 3, … or there is more than one symbol"),
        ({"side": "flat"}, "trades.csv: 'flat'"),
        ({"side": "short"}, "equity.csv row 8 position: expected "),
        ({"entry_time": "2024-01-01T07:00:00Z"}, "trades.csv row 3 bars_held: expected "),
        ({"entry_time": "2024-01-01T06:30:00Z"}, "trades.csv: expected entry and exit times that are bars, in order"),
        ({"entry_time": "2025-01-01T06:30:00Z"}, "trades.csv: expected entry and exit times that are bars, in order"),
        ({"entry_time": "2024-01-01T07:00:00"}, "trades.csv: a timestamp does not end in Z"),
        ({"entry_time": "noon"}, "trades.csv: a timestamp does not end in Z"),
        ({"entry_price": "90.0"}, "trades.csv row 3 pnl: expected "),
        ({"exit_time": "2024-01-02T07:00:00Z"}, "trades.csv row 3 bars_held: expected "),
        ({"exit_price": "130.0"}, "trades.csv row 3 pnl: expected "),
        ({"quantity": "1.0"}, "equity.csv row 8 position: expected "),
        ({"entry_fee": "0.0"}, "trades.csv row 3 entry_fee: expected "),
        ({"exit_fee": "0.0"}, "trades.csv row 3 exit_fee: expected "),
        ({"slippage": "0.0"}, "trades.csv row 3 slippage: expected "),
        ({"pnl": "1000.0"}, "trades.csv: expected pnl that sums to the change of equity, "),
        ({"pnl": "1000.0"}, "trades.csv row 3 pnl: expected "),
        ({"pnl": "nan"}, "trades.csv: "),
        ({"pnl": "1e999"}, "trades.csv: "),
        ({"return": "0.5"}, "trades.csv row 3 return: expected "),
        ({"bars_held": "3"}, "trades.csv row 3 bars_held: expected "),
        ({"bars_held": "3.5"}, "trades.csv: "),
        ({"exit_reason": "stop_loss"}, "trades.csv exit_reason: expected signal, or end_of_data at the last bar"),
        ({"exit_reason": "end_of_data"}, "trades.csv exit_reason: expected signal, or end_of_data at the last bar"),
        ({"exit_reason": "luck"}, "trades.csv: "),
        ({"mae": "-0.5"}, "trades.csv row 3 mae: expected "),
        ({"mae": "0.0"}, "trades.csv row 3 mae: expected "),
        ({"mfe": "0.5"}, "trades.csv row 3 mfe: expected "),
        ({"mae": ""}, "trades.csv: "),
    ],
)
def test_a_forged_trade_is_found(evidence: Evidence, cells: dict[str, str], expected: str) -> None:
    evidence.edit_csv("own", "trades.csv", 2, **cells)
    evidence.forge("own")
    assert expected in "\n".join(evidence.findings("own"))
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pnl": 1000.0}, "trades.parquet row 1 pnl: expected "),
        ({"return_": 0.5}, "trades.parquet row 1 return: expected "),
        ({"quantity": 1.0}, "equity.csv row "),
        ({"symbol": "OTHER"}, "trades.parquet symbol: expected TEST, found OTHER"),
        ({"mae": -0.5}, "trades.parquet row 1 mae: expected "),
        ({"mfe": 0.5}, "trades.parquet row 1 mfe: expected "),
    ],
)
@pytest.mark.parametrize("name", ["builtin", "bare"])
def test_a_forged_parquet_trade_is_found(evidence: Evidence, name: str, change: dict[str, Any], expected: str) -> None:
    trades = tables.read_trades(evidence.path(name) / "trades.parquet")
    for column, value in change.items():
        if column == "symbol":
            trades = replaced(trades, symbol=value)
        else:
            changed = getattr(trades, column).copy()
            changed[0] = value
            trades = replaced(trades, **{column: changed})
    evidence.rewrite(name, "trades.parquet", tables.trades_parquet(trades))
    evidence.forge(name)
    assert expected in "\n".join(evidence.findings(name))
    assert evidence.broken() == {name}


@pytest.mark.parametrize("name", ["own", "bare"])
def test_excursions_are_held_against_what_is_left_where_the_data_is_gone(evidence: Evidence, name: str) -> None:
    """`own` has the closes in its benchmark, and `bare` its exits alone: less than those show can't be, more can."""
    (evidence.root / "data" / "bars.csv").unlink()
    file, first = ("trades.csv", 2) if name == "own" else ("trades.parquet", 1)
    trades = tables.read_trades(evidence.path(name) / file)

    def found(mae: Any, mfe: Any) -> list[str]:
        changed = replaced(trades, mae=mae, mfe=mfe)
        written = b"".join(tables.trades_csv(changed)) if name == "own" else tables.trades_parquet(changed)
        evidence.rewrite(name, file, written)
        evidence.forge(name)
        return [line for line in evidence.findings(name) if " mae: " in line or " mfe: " in line]

    assert found(trades.mae - 0.25, trades.mfe + 0.25) == []
    gross = trades.side * (trades.exit_price / trades.entry_price - 1)
    row, mfe = int((gross > 0).argmax()), trades.mfe.copy()
    mfe[row] = 0.0
    (line,) = found(trades.mae, mfe)
    assert line.startswith(f"{file} row {row + first} mfe: expected ") and line.endswith(", found 0.0")
    least = float(line.split()[5].rstrip(","))
    assert least == gross[row] if name == "bare" else gross[row] <= least <= trades.mfe[row]


def replaced(trades: Any, **changes: Any) -> Any:
    return (dataclasses.replace if dataclasses.is_dataclass(trades) else msgspec.structs.replace)(trades, **changes)


def test_a_trade_left_out_is_found(evidence: Evidence) -> None:
    for name, file in (("plain", "trades.csv"), ("own", "trades.csv")):
        lines = (evidence.path(name) / file).read_bytes().splitlines(keepends=True)
        evidence.rewrite(name, file, b"".join(lines[:-1]))
        evidence.forge(name)
        found = "\n".join(evidence.findings(name))
        assert "pnl that sums to the change of equity" in found
        assert "stats.json trades: expected " in found
    assert evidence.broken() == {"plain", "own"}


@pytest.mark.parametrize("name", ["own", "plain", "builtin", "bare"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"equity": "11000.0"}, "equity.csv row 11 equity: expected "),
        ({"drawdown": "-0.25"}, "equity.csv row 11 drawdown: expected "),
        ({"position": "1.25"}, "equity.csv row 11 position: expected "),
        ({"equity": "null"}, "readable contents"),
        ({"equity": "NaN"}, "readable contents"),
        ({"timestamp": "2024-01-01T09:30:00Z"}, "the timestamps of the data"),
        ({"timestamp": "2024-01-01T09:00:00"}, "readable contents"),
    ],
)
def test_a_forged_bar_of_equity_is_found(evidence: Evidence, name: str, cells: dict[str, str], expected: str) -> None:
    evidence.edit_csv(name, "equity.csv", 10, **cells)
    evidence.forge(name)
    assert expected in "\n".join(evidence.findings(name))
    assert evidence.broken() == {name}


@pytest.mark.parametrize("name", ["own", "plain", "bare"])
def test_scaled_equity_is_found(evidence: Evidence, name: str) -> None:
    scale_equity(evidence, name, 1.5)
    evidence.forge(name)
    found = evidence.findings(name)
    assert finding(found, "equity.csv row 2 equity: expected the initial cash, 10000.0, found 15000.0")
    assert any("pnl that sums to the change of equity" in line for line in found)
    assert evidence.broken() == {name}


@pytest.mark.parametrize("name", ["own", "plain", "bare"])
def test_a_bar_left_out_of_equity_is_found(evidence: Evidence, name: str) -> None:
    lines = (evidence.path(name) / "equity.csv").read_bytes().splitlines(keepends=True)
    evidence.rewrite(name, "equity.csv", b"".join(lines[:20] + lines[21:]))
    evidence.forge(name)
    assert "equity.csv: expected the timestamps of the data, found others" in evidence.findings(name)
    assert evidence.broken() == {name}


def scale_equity(evidence: Evidence, name: str, factor: float) -> None:
    path = evidence.path(name) / "equity.csv"
    columns = tables.read_series(path, ("timestamp", "equity", "drawdown", "position"))
    columns["equity"] = columns["equity"] * factor
    evidence.rewrite(name, "equity.csv", b"".join(tables.series_csv(columns)))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"equity": "11000.0"}, "benchmark.csv row 11 equity: expected "),
        ({"close": "101.0"}, "benchmark.csv row 11 close: expected "),
        ({"timestamp": "2024-01-01T09:30:00Z"}, "benchmark.csv: expected the timestamps of equity.csv, found others"),
    ],
)
def test_a_forged_bar_of_the_benchmark_is_found(evidence: Evidence, cells: dict[str, str], expected: str) -> None:
    evidence.edit_csv("own", "benchmark.csv", 10, **cells)
    evidence.forge("own")
    assert expected in "\n".join(evidence.findings("own"))
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize("row", [2, 10, 48])  # at the first close nobody holds anything: it tells only with the data
def test_a_forged_close_is_found_without_the_data_too(evidence: Evidence, row: int) -> None:
    (evidence.root / "data" / "bars.csv").unlink()
    evidence.edit_csv("own", "benchmark.csv", row, close="177.0")
    evidence.forge("own")
    assert any(line.startswith("benchmark.csv row ") for line in evidence.findings("own"))
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize("row", [1, 2, 10, 47, 48])
def test_a_forged_equity_of_the_benchmark_is_found_without_the_data_too(evidence: Evidence, row: int) -> None:
    (evidence.root / "data" / "bars.csv").unlink()
    evidence.edit_csv("own", "benchmark.csv", row, equity="10777.0")
    evidence.forge("own")
    assert any(line.startswith("benchmark.csv row ") for line in evidence.findings("own"))


def test_a_benchmark_left_out_is_found(evidence: Evidence) -> None:
    (evidence.path("own") / "benchmark.csv").unlink()
    statement = evidence.manifest("own")
    statement["subject"] = [subject for subject in statement["subject"] if subject["name"] != "benchmark.csv"]
    evidence.write_manifest("own", statement)
    evidence.forge("own")
    assert "benchmark.csv: expected what the config says: buy_and_hold, found something else" in evidence.findings(
        "own"
    )


def test_every_forged_statistic_is_found(evidence: Evidence) -> None:
    original = (evidence.path("own") / "stats.json").read_bytes()
    whole = json.loads(original)
    assert len(whole) > 40
    for key, value in whole.items():
        forged: Any = 0.5 if value is None else value + 1 if not isinstance(value, dict) else value | {"trades": "none"}
        evidence.edit_json("own", "stats.json", lambda stats, key=key, forged=forged: stats.update({key: forged}))
        evidence.forge("own", lambda statement: sync_summary(evidence, statement))
        assert lines_of(verify.verify(evidence.path("own"))) == [f"stats.json {key}: expected {value}, found {forged}"]
        evidence.rewrite("own", "stats.json", original)


@pytest.mark.parametrize(("added", "more"), [(20, 0), (3000, 2980)])
def test_of_many_findings_the_first_are_said_and_the_others_counted(evidence: Evidence, added: int, more: int) -> None:
    evidence.edit_json("own", "stats.json", lambda stats: stats.update({f"x{n}": n for n in range(added)}))
    evidence.forge("own")
    verdict = verify.verify(evidence.path("own"))
    told = verdict.as_text().splitlines()
    assert verdict.state == "broken" and verdict.count == added
    assert sum(line.startswith("  stats.json x") for line in told) == len(verdict.findings) == 20
    assert ("  stats.json: 2,980 more" in told) is bool(more)
    assert verdict.to_json_object().get("more") == ({"stats.json": more} if more else None)


def test_findings_of_many_kinds_are_counted_too_and_never_hidden_by_what_is_not_checked() -> None:
    verdict = verify.Verdict("x")
    for n in range(500):
        verdict.skip(f"line {n}", "it is unknown")
    assert (verdict.state, verdict.count, len(verdict.unchecked)) == ("intact", 0, 20)
    verdict.add("not checked: x", "this", "that")
    assert verdict.state == "broken"
    for n in range(5000):
        verdict.add(f"{n}.csv", "this", "that")
    assert verdict.count == 5001 and len(verdict.as_text().splitlines()) < 200


def test_a_statistic_left_out_or_added_is_found(evidence: Evidence) -> None:
    sharpe = json.loads((evidence.path("own") / "stats.json").read_bytes())["sharpe"]
    evidence.edit_json("own", "stats.json", lambda stats: stats.pop("sharpe"))
    evidence.edit_json("own", "stats.json", lambda stats: stats.update(luck=7))
    evidence.forge("own")
    found = evidence.findings("own")
    assert f"stats.json sharpe: expected {sharpe}, found None" in found
    assert "stats.json luck: expected None, found 7" in found


def sync_summary(evidence: Evidence, statement: Any) -> None:
    """Let the manifest's summary say what stats.json says: the ledger is chained to it by `forge`."""
    stats = json.loads((evidence.path("own") / "stats.json").read_bytes())
    summary = statement["predicate"]["results"]["summary"]
    summary.update({key: stats[key] for key in summary})


def test_a_forged_summary_is_found(evidence: Evidence) -> None:
    stats = json.loads((evidence.path("own") / "stats.json").read_bytes())
    evidence.forge("own", lambda statement: statement["predicate"]["results"]["summary"].update(sharpe=9.5))
    assert evidence.findings() == [f"manifest.json summary sharpe: expected {stats['sharpe']}, found 9.5"]


@pytest.mark.parametrize("key", ["equity_digest", "trades_digest"])
def test_a_forged_digest_of_values_is_found(evidence: Evidence, key: str) -> None:
    evidence.forge("own", lambda statement: statement["predicate"]["results"].update({key: "0" * 64}))
    file = {"equity_digest": "equity.csv", "trades_digest": "trades.csv"}[key]
    assert finding(evidence.findings(), f"{file}: expected values digest {'0' * 64}, found values digest ")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("run", "name", "another"),
        ("run", "seed", 7),
        ("data", "symbol", "OTHER"),
        ("data", "timeframe", "1d"),
        ("data", "calendar", "XNYS"),
        ("strategy", "entrypoint", "strategies/own.py:other"),
        ("execution", "initial_cash", 20_000.0),
        ("execution", "fee_bps", 0.0),
        ("execution", "borrow_rate", 0.0),
        ("stats", "risk_free_rate", 0.05),
        ("stops", "stop_loss", 0.05),
        ("sizing", "scale", 2.0),
    ],
)
def test_a_forged_resolved_config_is_found(evidence: Evidence, section: str, key: str, value: Any) -> None:
    evidence.edit_json("own", "config_snapshot.json", lambda config: config[section].update({key: value}))
    evidence.forge("own")
    assert finding(evidence.findings("own"), f"config_snapshot.json {section}.{key}: expected ")
    assert evidence.broken() == {"own"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"fee_bps = 0", "trades.csv row 2 entry_fee: expected 0.0"),
        (b"slippage_bps = 0", "trades.csv row 2 slippage: expected 0.0"),
        (b"borrow_rate = 0.25", "pnl: expected "),
        (b"initial_cash = 20000", "equity.csv row 2 equity: expected the initial cash, 20000.0, found 10000.0"),
    ],
)
def test_a_forged_cost_is_found_by_the_money(evidence: Evidence, line: bytes, expected: str) -> None:
    key = line.split(b" ")[0]
    given = (evidence.path("own") / "config_snapshot.toml").read_bytes().splitlines()
    kept = [text for text in given if not text.strip().startswith(key)]
    forged = b"\n".join(text + b"\n" + line if text.strip() == b"[execution]" else text for text in kept) + b"\n"
    evidence.rewrite("own", "config_snapshot.toml", forged)
    value = float(line.split(b" ")[2])
    evidence.edit_json("own", "config_snapshot.json", lambda config: config["execution"].update({key.decode(): value}))
    evidence.forge(
        "own",
        lambda statement: statement["predicate"]["buildDefinition"]["externalParameters"].update(config=sha256(forged)),
    )
    found = evidence.findings("own")
    assert expected in "\n".join(found)
    assert not [line for line in found if line.startswith(("config_snapshot", "manifest.json"))]
    assert evidence.broken() == {"own"}


def test_forged_parameters_are_found(evidence: Evidence) -> None:
    evidence.edit_json("builtin", "config_snapshot.json", lambda config: config["strategy"]["params"].update(fast=4))
    evidence.forge("builtin")
    expected, found = ({"fast": fast, "slow": 8, "short": False} for fast in (3, 4))
    assert evidence.findings() == [
        f"config_snapshot.json strategy.params: expected {expected}, found {found}",
        f"manifest.json params: expected {found}, found {expected}",
    ]


def test_a_forged_config_file_is_found(evidence: Evidence) -> None:
    content = (evidence.path("own") / "config_snapshot.toml").read_bytes() + b"# a remark\n"
    evidence.rewrite("own", "config_snapshot.toml", content)
    evidence.forge("own")
    assert finding(evidence.findings(), f"manifest.json config: expected {sha256(content)}, found ")


def test_forged_overrides_are_found(evidence: Evidence) -> None:
    evidence.edit_json("plain", "config_snapshot.json", lambda config: config["overrides"].clear())
    evidence.forge("plain")
    found = evidence.findings()
    assert "manifest.json overrides: expected {}, found {'strategy.params.slow': 12}" in found
    assert finding(found, "config_snapshot.json strategy.params: expected ")


def test_a_forged_error_is_found(evidence: Evidence) -> None:
    evidence.edit_json("failed", "error.json", lambda error: error.update(message="all went well"))
    evidence.forge("failed")
    assert finding(evidence.findings(), "error.json: expected ")
    assert evidence.broken() == {"failed"}


def test_a_failed_run_cannot_be_passed_off_as_sealed(evidence: Evidence) -> None:
    evidence.forge("failed", lambda statement: statement["predicate"].update(status="sealed"))
    found = evidence.findings("failed")
    assert "manifest.json: expected status failed, found status sealed" in found
    assert "manifest.json: expected stats.json among the sealed files, found it is not listed" in found


# --- the ledger ---------------------------------------------------------------------------------------------------


def chain(evidence: Evidence, entries: list[dict[str, Any]]) -> None:
    """Write these entries, chained anew; unlike `rechain`, the manifests stay as they are."""
    previous, lines = "0" * 64, []
    for entry in entries:
        lines.append(msgspec.json.encode(entry | {"prev": previous}))
        previous = sha256(lines[-1])
    evidence.write_ledger(lines)


def test_lines_that_are_carried_must_be_those_of_the_ledger(evidence: Evidence) -> None:
    path = evidence.path("own") / "seal.json"
    carried = json.loads(path.read_bytes())
    for key in ("start", "end"):
        evidence.rewrite("own", "seal.json", json.dumps(carried | {key: carried[key].replace("2", "3", 1)}).encode())
        [found] = evidence.findings("own")
        assert found.startswith("seal.json: expected the ")
    evidence.rewrite("own", "seal.json", b"{}")
    assert evidence.findings("own") == [finding(evidence.findings("own"), "seal.json: expected two lines of a ledger")]
    path.unlink()
    assert evidence.findings("own") == []  # it can be made again


LINES = range(10)  # of five runs


def test_the_ledger_has_the_lines_that_the_tests_take_away(evidence: Evidence) -> None:
    assert len(evidence.ledger()) == len(LINES)


@pytest.mark.parametrize("line", LINES)
def test_a_dropped_line_is_found(evidence: Evidence, line: int) -> None:
    lines = evidence.ledger()
    dropped = json.loads(lines.pop(line))
    evidence.write_ledger(lines)
    run = {run_id: name for name, run_id in evidence.runs.items()}[dropped["run_id"]]
    missing = "a start of" if dropped["event"] == "start" else "an entry that seals"
    assert f"ledger.jsonl: expected {missing} {dropped['run_id']}, found none" in evidence.findings(run)
    if line < len(lines):
        assert finding(evidence.findings("ledger.jsonl"), f"ledger.jsonl line {line + 1}: expected prev ")
    assert evidence.broken() - {"ledger.jsonl"} == {run}


@pytest.mark.parametrize("line", LINES[:-1])
def test_two_lines_in_the_wrong_order_are_found(evidence: Evidence, line: int) -> None:
    lines = evidence.ledger()
    lines[line], lines[line + 1] = lines[line + 1], lines[line]
    evidence.write_ledger(lines)
    assert finding(evidence.findings("ledger.jsonl"), f"ledger.jsonl line {line + 1}: expected prev ")
    own = name_of(evidence, lines[line])  # of whose two lines the end now comes first
    assert evidence.broken() == {"ledger.jsonl"} | ({own} if own == name_of(evidence, lines[line + 1]) else set())


def name_of(evidence: Evidence, line: bytes) -> str:
    return next(name for name, run_id in evidence.runs.items() if run_id == json.loads(line)["run_id"])


@pytest.mark.parametrize("line", LINES)
def test_a_repeated_line_is_found(evidence: Evidence, line: int) -> None:
    lines = evidence.ledger()
    lines.insert(line, lines[line])
    evidence.write_ledger(lines)
    assert finding(evidence.findings("ledger.jsonl"), f"ledger.jsonl line {line + 2}: expected prev ")
    assert evidence.broken() == {"ledger.jsonl", name_of(evidence, lines[line])}


@pytest.mark.parametrize("line", LINES)
def test_an_edited_line_is_found(evidence: Evidence, line: int) -> None:
    lines = evidence.ledger()
    for key in ("event", "run_id", "prev", "strategy", "symbol", "timeframe"):
        edited = msgspec.json.encode(json.loads(lines[line]) | {key: "other"})
        evidence.write_ledger([*lines[:line], edited, *lines[line + 1 :]])
        assert evidence.broken(), key


@pytest.mark.parametrize("key", ["stage", "type", "message", "manifest"])
def test_an_edited_last_line_is_found_although_no_line_follows_it(evidence: Evidence, key: str) -> None:
    lines = evidence.ledger()
    lines[-1] = msgspec.json.encode(json.loads(lines[-1]) | {key: "other"})
    evidence.write_ledger(lines)
    assert evidence.broken() == {"failed"}


@pytest.mark.parametrize("key", ["total_return", "sharpe", "max_drawdown", "trades", "data", "bars", "symbol"])
def test_a_ledger_chained_anew_around_an_edited_figure_is_found(evidence: Evidence, key: str) -> None:
    entries = [json.loads(line) for line in evidence.ledger()]
    was, entries[3][key] = entries[3][key], 5
    evidence.write_ledger([msgspec.json.encode(entry) for entry in entries[:4]])
    found = None if isinstance(was, str) else 5  # what is of another type is not read, and named
    assert f"ledger.jsonl line 4 {key}: expected {was}, found {found}" in evidence.findings("own")
    named = [line for line in evidence.findings("ledger.jsonl") if line.startswith("ledger.jsonl line 4: ")]
    assert named == ([f"ledger.jsonl line 4: expected a text as {key}, found 5"] if found is None else [])


@pytest.mark.parametrize("name", ["own", "failed"])
def test_an_end_says_nothing_that_its_run_does_not(evidence: Evidence, name: str) -> None:
    lines = evidence.ledger()
    at = next(at for at in reversed(range(len(lines))) if name_of(evidence, lines[at]) == name)
    event = json.loads(lines[at])["event"]
    more = {"findings": {"gaps": 2}, "bytes": 5, "reason": "of age"} | ({"message": "odd"} if event == "sealed" else {})
    for key, value in more.items():
        evidence.write_ledger([*lines[:at], msgspec.json.encode(json.loads(lines[at]) | {key: value})])
        assert evidence.findings(name) == [f"ledger.jsonl line {at + 1} {key}: expected None, found {value}"]
    evidence.write_ledger([*lines[:at], msgspec.json.encode(json.loads(lines[at]) | {"desk": "rates"})])
    verdict = evidence.verdicts()[name]
    assert not verdict.findings, "the control: what a later version says"
    assert f"ledger.jsonl line {at + 1} desk: this version does not know that field" in verdict.unchecked


def test_what_was_found_in_the_bars_can_not_be_taken_from_the_ledger(evidence: Evidence) -> None:
    rows = "".join(f"2024-01-{day:02}T00:00:00Z,1,1,1,1,1\n" for day in range(1, 29) if day != 9)
    (evidence.root / "gap.csv").write_text("timestamp,open,high,low,close,volume\n" + rows)
    evidence.run(
        "gap",
        """[data]
path = "gap.csv"
symbol = "A"
timeframe = "1d"
calendar = "24/7"
[strategy]
name = "buy_and_hold"
""",
    )
    assert evidence.findings("gap") == [], "the control"
    lines = evidence.ledger()
    end = json.loads(lines[-1])
    assert end["findings"]["gaps"] == 1
    for found in ({"gaps": 2}, {}, None):
        evidence.write_ledger([*lines[:-1], msgspec.json.encode(end | {"findings": found})])
        expected = f"ledger.jsonl line {len(lines)} findings: expected {end['findings']}, found {found}"
        assert evidence.findings("gap") == [expected]


@pytest.mark.parametrize("key", ["event", "data", "sharpe"])
def test_a_line_that_has_a_key_twice_is_found(evidence: Evidence, key: str) -> None:
    lines = evidence.ledger()
    last = json.loads(lines[-1])
    evidence.write_ledger([*lines[:-1], json.dumps(last, indent=None, separators=(", ", ": ")).encode()])
    assert evidence.verdicts()["ledger.jsonl"].findings == [], "the control: a line that is written otherwise"
    evidence.write_ledger([*lines[:-1], lines[-1][:-1] + f',"{key}":1,"{key}":{json.dumps(last.get(key))}}}'.encode()])
    assert finding(evidence.findings("ledger.jsonl"), f"ledger.jsonl line {len(lines)}: expected a ledger entry, found")


@pytest.mark.parametrize(
    "garbage",
    [b"garbage", b"", b"{}", b"[]", b"null", b"\xff\xfe\x00", b'{"event":"start"}', b'{"event":' + b"[" * 100_000],
)
def test_a_line_of_garbage_is_found(evidence: Evidence, garbage: bytes) -> None:
    lines = evidence.ledger()
    for line in (0, 5, 10):
        evidence.write_ledger([*lines[:line], garbage, *lines[line:]])
        verdicts = evidence.verdicts()
        expected = f"ledger.jsonl line {line + 1}: expected a ledger entry, found "
        assert finding(lines_of(verdicts["ledger.jsonl"]), expected)
        assert broken(verdicts) == {"ledger.jsonl"}


def test_a_torn_last_line_is_said_and_its_run_is_found(evidence: Evidence) -> None:
    path = evidence.results / "ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    verdict = evidence.verdicts()["ledger.jsonl"]
    assert (verdict.findings, len(verdict.unchecked)) == ([], 1)
    assert "the last line is torn" in verdict.unchecked[0]
    assert evidence.broken() == {"failed"}


def test_a_ledger_that_is_gone_is_found_in_every_run(evidence: Evidence) -> None:
    (evidence.results / "ledger.jsonl").unlink()
    assert evidence.broken() == evidence.runs.keys()


def test_a_ledger_that_cannot_be_read_stops_no_check(evidence: Evidence) -> None:
    (evidence.results / "ledger.jsonl").unlink()
    (evidence.results / "ledger.jsonl").mkdir()
    assert evidence.verdicts()["ledger.jsonl"].state == "unreadable"
    assert evidence.broken() == {"ledger.jsonl", *evidence.runs}


def test_a_removed_run_is_not_missed(evidence: Evidence) -> None:
    digest = sha256((evidence.path("own") / "manifest.json").read_bytes())
    shutil.rmtree(evidence.path("own"))
    Ledger(evidence.results).append("removed", evidence.runs["own"], manifest=digest)
    assert evidence.broken() == set()


@pytest.mark.parametrize("told", ["0" * 64, None])
def test_a_tombstone_of_another_manifest_is_found(evidence: Evidence, told: str | None) -> None:
    digest = sha256((evidence.path("own") / "manifest.json").read_bytes())
    shutil.rmtree(evidence.path("own"))
    Ledger(evidence.results).append("removed", evidence.runs["own"], manifest=told)
    assert evidence.findings() == [f"ledger.jsonl line 11 manifest: expected {digest}, found {told}"]


def test_a_removed_run_that_is_there_is_found(evidence: Evidence) -> None:
    digest = sha256((evidence.path("own") / "manifest.json").read_bytes())
    Ledger(evidence.results).append("removed", evidence.runs["own"], manifest=digest)
    assert evidence.findings() == [
        f"ledger.jsonl: expected nothing after the removal of {evidence.runs['own']}, found its directory is there"
    ]


@pytest.mark.parametrize("left", [[], ["run.log"], ["config_snapshot.toml", "stats.json"], ["error.json"]])
def test_a_run_that_was_recovered_is_intact(evidence: Evidence, left: list[str]) -> None:
    run = RunDir.create(evidence.results, "00000000-0000-4000-8000-000000000000", given=False)
    run.ledger.append("start", run.run_id)
    for name in left:
        (run.path / name).write_text("{}")
    run.release()  # as when its process has died
    assert recover(Results(evidence.results)) == [(run.run_id, "sealed as failed: its process died")]
    assert evidence.broken() == set()
    evidence.runs["recovered"] = run.run_id
    evidence.rewrite("recovered", "manifest.json", b"{}")
    assert evidence.broken() == {"recovered"}


def test_an_end_without_a_start_is_found(evidence: Evidence) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    Ledger(evidence.results).append("abandoned", other)
    assert f"ledger.jsonl line 11: expected a start of {other} before it, found none" in evidence.findings(
        "ledger.jsonl"
    )


# --- the data -----------------------------------------------------------------------------------------------------


def test_changed_data_is_found_with_the_day(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    path.write_text(path.read_text().replace(",1030\n", ",1031\n"))  # the volume at 6 o'clock of the second day
    for name in ("builtin", "own", "plain", "bare"):
        (line,) = evidence.findings(name)
        assert line.startswith("data/bars.csv: expected fingerprint ")
        assert line.endswith(", changed in 2024-01-02")
    assert evidence.broken() == {"builtin", "own", "plain", "bare"}


def test_data_that_ends_earlier_is_found_with_the_day(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert evidence.findings("own")[0].endswith(", changed in 2024-01-02")


def test_data_that_is_written_otherwise_but_says_the_same_is_intact(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    path.write_text(path.read_text().replace("timestamp,open", "Date,Open").replace(",100.0,", ",1e2,"))
    assert evidence.broken() == set()


def test_data_that_breaks_the_contract_is_found(evidence: Evidence) -> None:
    path = evidence.root / "data" / "bars.csv"
    path.write_text(path.read_text().replace(",1030\n", ",-1\n"))
    (line,) = evidence.findings("own")
    assert line.startswith("data/bars.csv: expected bars with the fingerprint ")
    assert "1 violation" in line


def test_data_that_is_gone_is_said_not_to_be_checked(evidence: Evidence) -> None:
    (evidence.root / "data" / "bars.csv").unlink()
    verdicts = evidence.verdicts()
    assert evidence.broken() == set()
    gone = f"the data: there is no file data/bars.csv; looked in {evidence.root}/config and {evidence.root}"
    assert verdicts["own"].unchecked == [gone]
    assert verdicts["bare"].unchecked == [gone, f"equity bar by bar: {NO_CLOSES}"]


@pytest.mark.parametrize("path", ["beside.csv", "besi*.csv"])
def test_data_beside_the_config_is_found_again(evidence: Evidence, path: str) -> None:
    there = evidence.root / "config" / "beside.csv"
    shutil.copy(evidence.root / "data" / "bars.csv", there)
    evidence.run("beside", (evidence.root / "config" / "own.toml").read_text().replace("data/bars.csv", path))
    assert (evidence.broken(), evidence.verdicts()["beside"].unchecked) == (set(), [])
    there.write_text(there.read_text().replace(",1030\n", ",1031\n"))
    assert evidence.findings("beside")[0].endswith(", changed in 2024-01-02")
    assert evidence.broken() == {"beside"}


def test_a_run_whose_config_lies_elsewhere_is_checked_in_full(evidence: Evidence, tmp_path: Path) -> None:
    from peak_trade import config, runner

    text = (evidence.root / "config" / "builtin.toml").read_text()
    (tmp_path / "elsewhere.toml").write_text(text.replace("data/bars.csv", "elsewhere.csv"))
    shutil.copy(evidence.root / "data" / "bars.csv", tmp_path / "elsewhere.csv")
    run_dir = runner.run(config.load(tmp_path / "elsewhere.toml"), root=evidence.root, results=evidence.results)
    verdict = verify.verify(run_dir, root=evidence.root)
    assert (verdict.state, verdict.unchecked) == ("intact", [])


def test_the_data_is_left_alone_without_a_root(evidence: Evidence) -> None:
    (evidence.root / "data" / "bars.csv").write_text("garbage")
    verdicts = list(verify.verify_all(Results(evidence.results), None, root=None))
    assert {verdict.state for verdict in verdicts} == {"intact"}


def test_a_forged_fingerprint_is_found(evidence: Evidence) -> None:
    def forge(statement: Any) -> None:
        statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"] = "0" * 64

    evidence.forge("own", forge)
    found = evidence.findings("own")
    assert finding(found, f"data/bars.csv: expected fingerprint {'0' * 64}, found fingerprint ")
    assert finding(found, f"ledger.jsonl line 4 data: expected {'0' * 64}, found ")


@pytest.mark.parametrize("path", ["/**/*", "/*/*/*", "../**/*.csv"])
def test_a_strangers_pattern_is_followed_no_further_than_the_run_went(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def verdict() -> verify.Verdict:
        return verify.verify(evidence.path("own"), root=evidence.root)

    with monkeypatch.context() as patch:
        patch.setattr(content.ohlcv, "load_bars", lambda *_, **__: pytest.fail("it was read"))
        patch.setattr(promised, "_NAMES", 500)
        name_data(evidence, path)
        found = [*lines_of(verdict()), *verdict().unchecked]
        assert len(found) == 1
        assert re.search("more than the 1 files of|more than 500 names|lies in results/, which is no place", found[0])
    name_data(evidence, "data/*.csv")
    assert (lines_of(verdict()), verdict().unchecked) == ([], []), "the control"


def test_a_file_without_a_size_is_never_opened(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    (evidence.root / "data" / "empty.csv").touch()
    (evidence.root / "data" / "link.csv").symlink_to("/proc/kmsg" if os.path.exists("/proc/kmsg") else "/dev/null")
    paths = ["/proc/self/maps", "/proc/kmsg", "/dev/null", "data/link.csv", "data/empty.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(content.ohlcv, "load_bars", lambda *_, **__: pytest.fail("it was read"))
        for path in filter(lambda path: os.path.exists(evidence.root / path), paths):
            name_data(evidence, path)
            (told,) = verify.verify(evidence.path("own"), root=evidence.root).unchecked
            assert re.search("is no regular file|is an empty file", told), told
    (evidence.root / "data" / "link.csv").unlink()
    (evidence.root / "data" / "link.csv").symlink_to(evidence.root / "data" / "bars.csv")
    name_data(evidence, "data/link.csv")
    assert verify.verify(evidence.path("own"), root=evidence.root).state == "intact", "the control: a link to a file"


def name_data(evidence: Evidence, path: str) -> None:
    """Let the config of `own` name other data."""
    given = (evidence.path("own") / "config_snapshot.toml").read_text().splitlines()
    text = "\n".join(f'path = "{path}"' if line.strip().startswith("path =") else line for line in given) + "\n"
    evidence.rewrite("own", "config_snapshot.toml", text.encode())
    evidence.edit_json("own", "config_snapshot.json", lambda config: config["data"].update(path=path))
    evidence.forge(
        "own",
        lambda statement: statement["predicate"]["buildDefinition"]["externalParameters"].update(
            config=sha256(text.encode())
        ),
    )


def test_more_data_than_a_run_can_have_seen_is_not_read(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    name_data(evidence, "data/*.csv")
    for n in range(200):
        (evidence.root / "data" / f"more{n:03}.csv").write_text("x")
    (line,) = evidence.findings("own")
    assert line.startswith("data/*.csv: expected the files that the run read, found data/*.csv means much more than")
    for n in range(200):
        (evidence.root / "data" / f"more{n:03}.csv").unlink()
    with open(evidence.root / "data" / "bars.csv", "r+b") as stream:
        stream.truncate(1 << 40)  # of no room at all
    assert evidence.findings("own")[0].startswith("data/*.csv: expected the files that the run read,")
    with open(evidence.root / "data" / "bars.csv", "r+b") as stream:
        stream.truncate(4096)
    assert "fingerprint" in evidence.findings("own")[0], "the control: a little more is read"


# --- what checks must not let through: each of these was once a fault that no test saw -----------------------------


@pytest.mark.parametrize("name", ["failed", "bare"])
def test_an_edited_time_of_the_last_line_is_found(evidence: Evidence, name: str) -> None:
    lines = evidence.ledger()[: 10 if name == "failed" else 8]
    evidence.write_ledger(lines)
    assert name not in evidence.broken(), "the control"
    lines[-1] = msgspec.json.encode(json.loads(lines[-1]) | {"time": "2024-01-01T00:00:00.000Z"})
    evidence.write_ledger(lines)
    finished = evidence.manifest(name)["predicate"]["runDetails"]["metadata"]["finishedOn"]
    assert evidence.findings(name) == [
        f"ledger.jsonl: expected the run's end at {finished}, found at 2024-01-01T00:00:00.000Z"
    ]


@pytest.mark.parametrize("name", ["own", "builtin"])
def test_two_files_of_trades_are_found(evidence: Evidence, name: str) -> None:
    trades = tables.read_trades(next(evidence.path(name).glob("trades.*")))
    both = {"trades.csv": b"".join(tables.trades_csv(trades)), "trades.parquet": tables.trades_parquet(trades)}
    statement = evidence.manifest(name)
    for file, written in both.items():
        evidence.rewrite(name, file, written)
        if file not in {subject["name"] for subject in statement["subject"]}:
            statement["subject"].append({"name": file, "digest": {"sha256": ""}})
    evidence.write_manifest(name, statement)
    evidence.forge(name)
    expected = "manifest.json: expected one of trades.csv and trades.parquet, found none or both"
    assert evidence.findings() == [expected]


@pytest.mark.parametrize("key", ["strategy", "symbol", "timeframe"])
@pytest.mark.parametrize("name", ["own", "failed"])
def test_a_start_that_does_not_fit_the_config_is_found(evidence: Evidence, name: str, key: str) -> None:
    lines = [json.loads(line) for line in evidence.ledger()]
    (at,) = [
        at for at, line in enumerate(lines) if line["run_id"] == evidence.runs[name] and line["event"] == "start"
    ]  # fmt: skip
    was, lines[at][key] = lines[at][key], "another"
    chain(evidence, lines)
    evidence.rechain()  # so that all digests agree
    assert evidence.findings() == [f"ledger.jsonl line {at + 1} {key}: expected {was}, found another"]


SLIGHTLY = 1 + 1e-7  # more than another processor's summation makes, and less than anybody sees


def test_a_slightly_forged_statistic_is_found(evidence: Evidence) -> None:
    evidence.edit_json("own", "stats.json", lambda stats: stats.update(net_profit=stats["net_profit"] * SLIGHTLY))
    evidence.forge("own")
    (line,) = evidence.findings()
    assert line.startswith("stats.json net_profit: expected ")


@pytest.mark.parametrize("column", ["entry_fee", "exit_fee", "slippage", "return_", "mae", "mfe", "pnl", "quantity"])
def test_a_slightly_forged_trade_is_found(evidence: Evidence, column: str) -> None:
    trades = tables.read_trades(evidence.path("own") / "trades.csv")
    changed = getattr(trades, column).copy()
    row = int(abs(changed).argmax())
    changed[row] = changed[row] * SLIGHTLY if abs(changed[row]) > 100 else changed[row] + 1e-4
    evidence.rewrite("own", "trades.csv", b"".join(tables.trades_csv(replaced(trades, **{column: changed}))))
    evidence.forge("own")
    assert any(line.startswith(("trades.csv", "equity.csv row")) for line in evidence.findings("own"))


@pytest.mark.parametrize("column", ["equity", "drawdown", "position"])
def test_a_slightly_forged_bar_is_found(evidence: Evidence, column: str) -> None:
    path = evidence.path("own") / "equity.csv"
    columns = tables.read_series(path, ("timestamp", "equity", "drawdown", "position"))
    columns[column][20] += abs(columns[column]).max() * 1e-7
    evidence.rewrite("own", "equity.csv", b"".join(tables.series_csv(columns)))
    evidence.forge("own")
    assert any(line.startswith(f"equity.csv row 22 {column}: ") for line in evidence.findings("own"))


def test_a_slightly_forged_benchmark_is_found(evidence: Evidence) -> None:
    path = evidence.path("own") / "benchmark.csv"
    columns = tables.read_series(path, ("timestamp", "close", "equity"))
    columns["equity"][20] *= SLIGHTLY
    evidence.rewrite("own", "benchmark.csv", b"".join(tables.series_csv(columns)))
    evidence.forge("own")
    assert any(line.startswith("benchmark.csv row 22 equity: ") for line in evidence.findings("own"))


def test_what_is_no_number_agrees_with_nothing() -> None:
    import numpy as np

    numbers, none = np.array([1.0, 2.0]), np.array([1.0, np.nan])
    for expected, found, row in ((numbers, none, 1), (none, numbers, 1), (none, none, 1), (numbers, numbers, None)):
        verdict = verify.Verdict("a run")
        verdict.agree("x.csv", "y", expected, found, 1e9)
        assert [finding.file for finding in verdict.findings] == ([f"x.csv row {row + 2} y"] if row else [])


def test_a_benchmark_that_makes_no_numbers_is_found(evidence: Evidence) -> None:
    (evidence.root / "data" / "bars.csv").unlink()
    path = evidence.path("own") / "benchmark.csv"
    columns = tables.read_series(path, ("timestamp", "close", "equity"))
    columns["close"][:] = columns["equity"][1] = 0.0  # units = 0 / 0
    evidence.rewrite("own", "benchmark.csv", b"".join(tables.series_csv(columns)))
    evidence.forge("own")
    assert finding(evidence.findings("own"), "benchmark.csv row 3 equity: expected nan, found 0.0")


# --- the command --------------------------------------------------------------------------------------------------


def command(evidence: Evidence, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "scripts" / "verify_runs.py"
    return subprocess.run(
        [sys.executable, str(script), "--results-dir", str(evidence.results), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=evidence.root,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_the_command_says_intact_with_exit_code_0(evidence: Evidence) -> None:
    answered = command(evidence, "--all", "--no-data")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout.splitlines()[0] == "intact      ledger.jsonl"
    rest = "\n".join(answered.stdout.splitlines()[1:])
    assert [line for line in rest.splitlines() if line.startswith("intact")] == [
        f"intact      {run_id}" for run_id in sorted(evidence.runs.values())
    ]


def test_the_command_says_each_finding_in_a_line_with_exit_code_1(evidence: Evidence) -> None:
    before = (evidence.path("own") / "equity.csv").read_bytes()
    after = before + b"\n"
    evidence.rewrite("own", "equity.csv", after)
    (evidence.path("own") / "more").write_text("1")
    answered = command(evidence, "--no-data", evidence.runs["own"][:13], evidence.runs["plain"])
    assert answered.returncode == 1
    assert answered.stdout.splitlines() == [
        "intact      ledger.jsonl",
        f"broken      {evidence.runs['own']}",
        f"  more: {UNCOVERED}",
        f"  equity.csv: expected sha256 {sha256(before)}, found sha256 {sha256(after)}",
        f"intact      {evidence.runs['plain']}",
    ]


def test_the_command_says_unreadable_with_exit_code_2(evidence: Evidence) -> None:
    evidence.write_manifest(
        "own", {"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:peak-trade:run-evidence:v3"}
    )
    answered = command(evidence, evidence.runs["own"])
    assert answered.returncode == 2
    assert f"unreadable  {evidence.runs['own']}\n" in answered.stdout


def test_the_command_prints_json(evidence: Evidence) -> None:
    (evidence.path("own") / "more\udcff").write_text("1")
    answered = command(evidence, "--json", "--no-data", evidence.runs["own"])
    assert answered.returncode == 1
    assert json.loads(answered.stdout) == [
        {"name": "ledger.jsonl", "state": "intact", "findings": [], "unchecked": []},
        {
            "name": evidence.runs["own"],
            "state": "broken",
            "findings": [
                {
                    "file": r"more\udcff",
                    "expected": "nothing of that name",
                    "found": "a file that the seal does not cover",
                }
            ],
            "unchecked": [],
        },
    ]


@pytest.mark.parametrize("asked", [[], ["last"]])
def test_the_command_takes_the_last_sealed_run_by_default(evidence: Evidence, asked: list[str]) -> None:
    answered = command(evidence, "--no-data", *asked)
    assert answered.stdout.splitlines()[1] == f"intact      {evidence.runs['bare']}"
    assert answered.returncode == 0


def test_the_command_takes_a_path(evidence: Evidence) -> None:
    answered = command(evidence, "--no-data", f"{evidence.path('own')}/")
    assert (answered.returncode, answered.stdout.splitlines()[1]) == (0, f"intact      {evidence.runs['own']}")


@pytest.mark.parametrize("asked", ["0000", "", "no-such-run", "../results"])
def test_the_command_refuses_a_run_that_is_not_there(evidence: Evidence, asked: str) -> None:
    answered = command(evidence, asked)
    assert (answered.returncode, answered.stdout) == (2, "")
    what = "there is no file or folder '../results'" if "/" in asked else f"no run '{asked}' in results/"
    assert answered.stderr.startswith(f"error: {what}\nhint: ")


# --- reads only ---------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return what is known of everything in a folder."""
    return {
        str(path): (info.st_mtime_ns, info.st_ctime_ns, info.st_mode, info.st_size, info.st_ino,
                    sha256(path.read_bytes()) if path.is_file() else "")
        for path in (folder, *folder.rglob("*"))
        for info in [path.lstat()]
    }  # fmt: skip


def test_verify_changes_nothing(evidence: Evidence) -> None:
    path = evidence.results / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"torn')  # a writer would repair this
    before = snapshot(evidence.root)
    assert evidence.broken() == set()
    assert command(evidence, "--all").returncode == 0
    assert snapshot(evidence.root) == before


@pytest.fixture
def public(sealed_once: Evidence) -> Iterator[Evidence]:
    """A copy that other users can read, as they cannot read pytest's folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copied = sealed_once.copy(Path(folder))
        copied.root.chmod(0o755)
        yield copied


def test_verify_needs_no_right_to_write(public: Evidence, unprivileged: None) -> None:
    with pytest.raises(PermissionError):
        (public.results / "probe").write_text("1")
    assert public.broken() == set()


def test_a_file_without_the_right_to_read_is_unreadable(public: Evidence, request: pytest.FixtureRequest) -> None:
    (public.path("own") / "equity.csv").chmod(0)
    (public.path("plain") / "manifest.json").chmod(0)
    public.path("bare").chmod(0)
    assert public.broken() <= {"own", "plain", "bare"}  # as root nothing is closed; else this imports what is needed
    request.getfixturevalue("unprivileged")
    verdicts = public.verdicts()
    assert {name for name, verdict in verdicts.items() if verdict.state == "unreadable"} == {"own", "plain", "bare"}
    assert public.findings("own") == ["equity.csv: expected a readable file, found Permission denied"]
    assert public.findings("plain") == ["manifest.json: expected a readable file, found Permission denied"]


# --- any byte -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(sealed_once: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A copy that examples change and mend again."""
    return sealed_once.copy(tmp_path_factory.mktemp("shared"))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_flipped_byte_of_any_run_is_found(shared: Evidence, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(shared.runs)))
    there = (path for path in shared.path(name).rglob("*") if path.is_file())
    sealed = sorted(path for path in there if path.name not in ("run.log", "seal.json"))
    path = data.draw(st.sampled_from(sealed))
    with flipped(path, data):
        assert verify.verify(shared.path(name)).findings
    assert not verify.verify(shared.path(name)).findings


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_flipped_byte_of_the_ledger_is_found(shared: Evidence, data: st.DataObject) -> None:
    with flipped(shared.results / "ledger.jsonl", data):
        assert any(verdict.findings for verdict in verify.verify_all(Results(shared.results), None, root=None))


class flipped:
    """Flip bits of one byte, and put it back."""

    def __init__(self, path: Path, data: st.DataObject) -> None:
        self.path, self.before = path, path.read_bytes()
        content = bytearray(self.before)
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        self.after = bytes(content)

    def __enter__(self) -> None:
        self._put(self.after)

    def __exit__(self, *_: object) -> None:
        self._put(self.before)

    def _put(self, content: bytes) -> None:
        self.path.unlink()
        self.path.write_bytes(content)


@pytest.mark.parametrize("block", [1, 16])
def test_many_runs_are_checked_by_several_processes_with_the_same_outcome(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    sealed = sorted(path for path in evidence.results.iterdir() if (path / "stats.json").is_file())
    (sealed[0] / "stats.json").unlink()  # the copies share their files with the original
    (sealed[0] / "stats.json").write_bytes(b"{}")
    one_by_one = [
        verdict.to_json_object() for verdict in verify.verify_all(Results(evidence.results), None, root=evidence.root)
    ]
    monkeypatch.setattr(verify, "_MANY", 1)
    monkeypatch.setattr(verify, "_BLOCK", block)  # of one each, this process has its share
    together = [
        verdict.to_json_object() for verdict in verify.verify_all(Results(evidence.results), None, root=evidence.root)
    ]
    assert together == one_by_one
    assert {verdict["state"] for verdict in together} == {"intact", "broken"}


def test_a_default_that_a_later_version_changed_breaks_no_older_run(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(path for path in sorted(evidence.results.iterdir()) if (path / "stats.json").is_file())
    older = content.parse

    def later(content: bytes, overrides: Any) -> Any:
        made = older(content, overrides)
        return msgspec.structs.replace(made, tracking=msgspec.structs.replace(made.tracking, timeout_s=7.0))

    monkeypatch.setattr(content, "parse", later)
    monkeypatch.setattr(content, "_parsed", content._parsed.__wrapped__)  # which remembers what this version made of it
    assert verify.verify(path, root=evidence.root).findings  # the control: this version has no such default
    monkeypatch.setattr("peak_trade.__version__", "99.0.0")
    assert not verify.verify(path, root=evidence.root).findings
