"""Every kind of tampering with every file of a run, with its manifest and with the ledger is found, by name.

The tables say what is done to what; a case is one of each. `just test` draws some, `just test -m hostile` runs all.
The runs are those of conftest.py; a copy of them for each case.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.evidence.results import Results
from peak_trade.trust import sign, verify
from peak_trade.trust.handed import Handed

Evidence = Any  # of conftest.py, which cannot be imported
FILES = {
    "builtin": (
        "benchmark.csv", "config_snapshot.json", "config_snapshot.toml", "equity.csv", "manifest.json", "stats.json",
        "trades.parquet", "code/peak_trade/strategies/rolling.py",
    ),
    "plain": ("trades.csv",),
    "own": ("code/strategies/own.py",),
    "failed": ("code/strategies/own.py", "config_snapshot.json", "config_snapshot.toml", "error.json", "manifest.json"),
}  # fmt: skip
EVERY_FILE = [(name, file) for name, files in FILES.items() for file in files]


# --- files --------------------------------------------------------------------------------------------------------

BYTES: dict[str, Callable[[bytes], bytes]] = {
    "the first bit flipped": lambda content: bytes([content[0] ^ 128]) + content[1:],
    "a bit in the middle flipped": lambda content: _flipped(content, len(content) // 2),
    "the last bit flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "its last byte taken": lambda content: content[:-1],
    "halved": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "doubled": lambda content: content * 2,
    "a byte put before it": lambda content: b" " + content,
    "a line added": lambda content: content + b"\n",
    "as many zeros": lambda content: bytes(len(content)),
    "its lines turned about": lambda content: b"\n".join(reversed(content.split(b"\n"))) + b".",
    "the lines of another system": lambda content: content.replace(b"\n", b"\r\n") + b"\r\n",
    "a mark of UTF-8 put before it": lambda content: b"\xef\xbb\xbf" + content,
    "a huge number": lambda content: b"9" * 5_000,
    "JSON without end": lambda content: b"[" * 90_000,
}


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :]


def put_a_socket(path: Path, kept: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # the name of a socket has at most some hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def put_a_sparse_file(path: Path, kept: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)  # 4 TB that take no room


def put_another_runs_file(path: Path, kept: Path) -> None:
    others = (run / path.name for run in sorted(path.parents[1].iterdir()) if run.is_dir() and run != path.parent)
    same = (other for other in others if other.is_file() and other.read_bytes() != kept.read_bytes())
    shutil.copy(next(same, path.parent / "run.log"), path)


PLACES: dict[str, Callable[[Path, Path], None]] = {  # what stands in a file's place; `kept` holds its bytes
    "nothing": lambda path, kept: None,
    "a folder": lambda path, kept: path.mkdir(),
    "a named pipe": lambda path, kept: os.mkfifo(path),
    "a socket": put_a_socket,
    "a link to the same bytes": lambda path, kept: path.symlink_to(kept),
    "a link that leads nowhere": lambda path, kept: path.symlink_to("nowhere"),
    "a link to itself": lambda path, kept: path.symlink_to(path.name),
    "a link to a device without end": lambda path, kept: path.symlink_to("/dev/zero"),
    "a second name of the same bytes": lambda path, kept: os.link(kept, path),
    "a sparse file": put_a_sparse_file,
    "another run's file": put_another_runs_file,
}


def is_alone_broken(evidence: Evidence, name: str) -> list[str]:
    """Return the findings on a run; the others, and the ledger, are intact."""
    verdicts = evidence.verdicts()
    assert {found for found, verdict in verdicts.items() if verdict.state != "intact"} == {name}
    lines = [str(finding) for finding in verdicts[name].findings]
    assert all(len(line) < 1000 and line.isprintable() for line in lines)
    return lines


@pytest.mark.hostile(share=25)
@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_other_bytes_are_found(evidence: Evidence, name: str, file: str, kind: str) -> None:
    before = (evidence.path(name) / file).read_bytes()
    evidence.rewrite(name, file, BYTES[kind](before))
    assert any(line.startswith(f"{file}: expected ") for line in is_alone_broken(evidence, name))


@pytest.mark.hostile(share=20)
@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_what_stands_in_a_files_place_is_found(evidence: Evidence, name: str, file: str, kind: str) -> None:
    path, kept = evidence.path(name) / file, evidence.root / "kept"
    if file.startswith("code/") and kind == "another run's file":
        pytest.skip("each run has the same")
    path.rename(kept)
    PLACES[kind](path, kept)
    assert any(line.startswith(f"{file}: expected ") for line in is_alone_broken(evidence, name))


UNSEALED = ("run.log", "report", "telemetry", "plots", "debug")
FOREIGN: dict[str, Callable[[Path, Path], None]] = {
    kind: PLACES[kind]
    for kind in ("a named pipe", "a socket", "a link to the same bytes", "a link that leads nowhere",
                 "a link to a device without end", "a second name of the same bytes")
}  # fmt: skip


@pytest.mark.hostile(share=10)
@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("below", ["", "report/", "telemetry/", "plots/", "debug/", "report/deep/"])
def test_what_is_no_file_is_found_where_nothing_is_sealed_too(evidence: Evidence, below: str, kind: str) -> None:
    """The seal does not cover these names: they may come and go, but as files."""
    name = f"{below}file" if below else "run.log"
    path, kept = evidence.path("own") / name, evidence.root / "kept"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    kept.write_bytes(b"{}\n")
    FOREIGN[kind](path, kept)
    assert any(line.startswith(f"{name}: expected ") for line in is_alone_broken(evidence, "own"))


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("folder", ["report", "telemetry", "plots", "debug"])
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a link to a folder", "a link that leads nowhere"])
def test_what_is_no_folder_is_found_where_one_may_be(evidence: Evidence, folder: str, kind: str) -> None:
    path, outside = evidence.path("own") / folder, evidence.root / "data"
    {**FOREIGN, "a link to a folder": lambda path, kept: path.symlink_to(outside)}[kind](path, outside)
    assert any(line.startswith(f"{folder}: expected ") for line in is_alone_broken(evidence, "own"))


ADDED = ("extra.csv", ".hidden", "equity.csv~", "MANIFEST.JSON", "manifest.json ", "a\nb", "a\x1b[2Jb", "\udcff",
         "\u202e", "codes", "outputs", "seal",
         "code/more.py", "code/.hidden", "code/__init__.py", "code/a\nb", "code/\udcff", "-rf", "a" * 255)  # fmt: skip


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("name", ["builtin", "failed"])
@pytest.mark.parametrize("added", ADDED, ids=ascii)
def test_an_added_name_is_found(evidence: Evidence, name: str, added: str) -> None:
    (evidence.path(name) / added).write_text("1")
    assert any("nothing of that name" in line for line in is_alone_broken(evidence, name))


@pytest.mark.hostile(share=3)
@pytest.mark.parametrize("folder", ["code", "code/strategies"])
@pytest.mark.parametrize(
    "kind", ["nothing", "a file", "a named pipe", "a socket", "a link to the same", "a link that leads nowhere"]
)
def test_what_is_no_folder_is_found_where_code_lies(evidence: Evidence, folder: str, kind: str) -> None:
    """Not in the place of a file, but of a folder that it lies in: nobody follows it."""
    path, kept = evidence.path("own") / folder, evidence.root / "kept"
    path.rename(kept)
    {
        **FOREIGN,
        "nothing": lambda path, kept: None,
        "a file": lambda path, kept: path.write_text("1"),
        "a link to the same": lambda path, kept: path.symlink_to(kept),
    }[kind](path, kept)
    lines = is_alone_broken(evidence, "own")
    assert any(line.startswith("code/strategies/own.py: expected ") for line in lines)
    assert kind == "nothing" or any(line.startswith(f"{folder}: expected a folder, found ") for line in lines)


# --- what the run carries of the ledger, and who has signed it ----------------------------------------------------

CARRIED = ("seal.json", "manifest.dsse.json")
SAME = {
    "a line added",
    "the lines of another system",
    "a byte put before it",
    "its last byte taken",
}  # in JSON, the same values


@pytest.fixture
def carrying(evidence: Evidence, ssh_keys: Any) -> Evidence:
    """The runs, two of which are signed."""
    for name in ("own", "builtin"):
        sign.run(Handed(evidence.path(name), Results(evidence.results)), ssh_keys.alice)
    assert evidence.findings() == []
    return evidence


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize("file", CARRIED)
def test_other_bytes_of_what_a_run_carries_are_found(carrying: Evidence, file: str, kind: str) -> None:
    before = (carrying.path("own") / file).read_bytes()
    carrying.rewrite("own", file, BYTES[kind](before))
    if kind in SAME:
        assert carrying.findings() == []
    else:
        assert any(line.startswith(f"{file}: expected ") for line in is_alone_broken(carrying, "own"))


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("kind", [kind for kind in PLACES if kind != "nothing"])
@pytest.mark.parametrize("file", CARRIED)
def test_what_stands_in_the_place_of_what_a_run_carries_is_found(carrying: Evidence, file: str, kind: str) -> None:
    path, kept = carrying.path("own") / file, carrying.root / "kept"
    path.rename(kept)
    PLACES[kind](path, kept)
    assert any(line.startswith(f"{file}: expected ") for line in is_alone_broken(carrying, "own"))


LINE_EDITS: dict[str, Callable[[Any], Any]] = {
    "another text": lambda value: "other",
    "nothing": lambda value: None,
    "400 digits": lambda value: 10**400,
    "a list": lambda value: [value],
    "JSON without end": lambda value: json.loads("[" * 60 + "]" * 60),
}
START = ("event", "time", "run_id", "strategy", "symbol", "timeframe", "prev", "more")
END = ("event", "time", "run_id", "manifest", "strategy", "symbol", "data", "total_return", "bars", "trades", "more")


@pytest.mark.hostile(share=8)
@pytest.mark.parametrize("edit", LINE_EDITS)
@pytest.mark.parametrize(
    ("line", "field"), [*(("start", field) for field in START), *(("end", field) for field in END)]
)
def test_an_edited_line_that_a_copy_carries_is_found(evidence: Evidence, line: str, field: str, edit: str) -> None:
    """Of a run that stands alone they are all that holds its manifest, which in turn tells of both."""
    copied = Path(shutil.copytree(evidence.path("own"), evidence.root / "elsewhere" / evidence.runs["own"]))
    assert verify.verify(copied).state == "foreign", "the control"
    carried = json.loads((copied / "seal.json").read_bytes())
    entry = json.loads(carried[line])
    entry[field] = LINE_EDITS[edit](entry.get(field))
    carried[line] = json.dumps(entry, separators=(",", ":"))
    (copied / "seal.json").chmod(0o644)
    (copied / "seal.json").write_text(json.dumps(carried))
    found = verify.verify(copied)
    if (line, field) == ("end", "more") and edit in ("another text", "nothing", "a list"):
        assert any(f" {field}: this version does not know that field" in one for one in found.unchecked)
    else:
        assert found.state == "broken"
    assert all(str(one).isprintable() and len(str(one)) < 1000 for one in found.findings)


@pytest.mark.hostile
@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_control_the_same_bytes_under_the_same_name_are_intact(evidence: Evidence, name: str, file: str) -> None:
    evidence.rewrite(name, file, (evidence.path(name) / file).read_bytes())
    (evidence.path(name) / "report" / "deep").mkdir(parents=True)
    (evidence.path(name) / "report" / "deep" / "file").write_text("1")
    assert evidence.findings() == []


# --- the manifest -------------------------------------------------------------------------------------------------

NODES: tuple[tuple[Any, ...], ...] = (  # as far as each run has them
    ("_type",),
    ("predicateType",),
    ("subject",),
    ("subject", 0),
    ("subject", 0, "name"),
    ("subject", 0, "digest"),
    ("subject", 0, "digest", "sha256"),
    ("predicate",),
    ("predicate", "status"),
    ("predicate", "receipts"),
    ("predicate", "results"),
    ("predicate", "ledger"),
    ("predicate", "ledger", "follows"),
    ("predicate", "buildDefinition"),
    ("predicate", "buildDefinition", "buildType"),
    ("predicate", "buildDefinition", "externalParameters"),
    ("predicate", "buildDefinition", "externalParameters", "config"),
    ("predicate", "buildDefinition", "externalParameters", "overrides"),
    ("predicate", "buildDefinition", "resolvedDependencies"),
    ("predicate", "buildDefinition", "resolvedDependencies", 0),
    ("predicate", "runDetails"),
    ("predicate", "runDetails", "metadata"),
    ("predicate", "runDetails", "metadata", "invocationId"),
    ("predicate", "runDetails", "metadata", "finishedOn"),
)
VALUES: dict[str, Any] = {
    "null": None,
    "a text": "text",
    "a number": -1.5,
    "400 digits": 10**400,
    "a list": [[], {}],
    "an object": {"a": {"b": None}},
    "a way out": "../../../etc/passwd",
}


@pytest.mark.hostile(share=15)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("node", NODES, ids=lambda node: ".".join(map(str, node)))
def test_an_edited_manifest_is_found(evidence: Evidence, node: tuple[Any, ...], value: str) -> None:
    statement = evidence.manifest("own")
    put(statement, node, VALUES[value])
    evidence.write_manifest("own", statement)
    assert any(line.startswith("manifest.json: expected sha256 ") for line in is_alone_broken(evidence, "own"))


@pytest.mark.hostile(share=8)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("node", NODES, ids=lambda node: ".".join(map(str, node)))
def test_an_edited_manifest_that_the_ledger_seals_is_judged_in_sentences(
    evidence: Evidence, node: tuple[Any, ...], value: str
) -> None:
    """Its digest is right, so whatever it says is read: what is wrong is a finding, and never an error of ours."""
    keep_alone(evidence, "own")
    statement = evidence.manifest("own")
    put(statement, node, VALUES[value])
    evidence.write_manifest("own", statement)
    start, end = evidence.ledger()
    sealed = json.loads(end) | {"manifest": sha256((evidence.path("own") / "manifest.json").read_bytes()).hexdigest()}
    evidence.write_ledger([start, msgspec.json.encode(sealed)])
    lines = evidence.findings()
    assert lines or node[-1] in FREE
    assert all(len(line) < 1000 and line.isprintable() for line in lines)


FREE = (
    "receipts",
    "buildType",
)  # what nothing else tells of: whoever writes ledger and manifest anew may say anything there


def put(tree: Any, node: tuple[Any, ...], value: Any) -> None:
    for key in node[:-1]:
        tree = tree[key]
    tree[node[-1]] = value


def keep_alone(evidence: Evidence, name: str) -> None:
    """Take every other run away, from the ledger too, which is chained anew: all that is left is intact."""
    for other in evidence.runs.keys() - {name}:
        shutil.rmtree(evidence.path(other))
    evidence.runs = {name: evidence.runs[name]}
    evidence.write_ledger([line for line in evidence.ledger() if evidence.runs[name].encode() in line])
    evidence.rechain()
    evidence.rechain()  # the seal of a manifest that follows another line now
    assert evidence.findings() == []


# --- the ledger ---------------------------------------------------------------------------------------------------

LINES = range(10)  # of five runs
FIELDS = ("event", "run_id", "time", "prev", "strategy", "symbol", "timeframe")  # of every line
EDITS: dict[str, Callable[[Any], Any]] = {
    "another text": lambda value: "other",
    "nothing": lambda value: None,
    "400 digits": lambda value: 10**400,
    "a list": lambda value: [value],
}


@pytest.mark.hostile(share=12)
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("line", LINES)
def test_an_edited_line_of_the_ledger_is_found(evidence: Evidence, line: int, field: str, edit: str) -> None:
    lines = evidence.ledger()
    entry = json.loads(lines[line])
    entry[field] = EDITS[edit](entry.get(field))
    lines[line] = json.dumps(entry, separators=(",", ":")).encode()
    evidence.write_ledger(lines)
    assert evidence.broken()


GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"garbage",
    "a list": b"[]",
    "an object of nothing": b"{}",
    "no UTF-8": b"\xff\xfe\x00",
    "a lone surrogate": rb'{"event":"start","run_id":"\ud800","time":"\udfff","prev":""}',
    "NaN": b'{"event":NaN,"run_id":Infinity}',
    "90,000 deep": b'{"event":' + b"[" * 90_000,
    "400 digits": b'{"event":"start","run_id":' + b"9" * 400 + b"}",
    "the year 9999": b'{"event":"start","run_id":"x","time":"9999-12-31T23:59:59.999999Z","prev":""}',
    "a name without end": b'{"' + b"x" * 2_000_000,
    "fields of other types": b'{"event":[],"run_id":{},"time":5,"prev":null,"manifest":[1]}',
    "zeros": bytes(4096),
}  # fmt: skip


@pytest.mark.hostile(share=6)
@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("at", [0, 5, 10])
def test_a_line_of_garbage_in_the_ledger_is_found_and_hides_no_run(evidence: Evidence, at: int, kind: str) -> None:
    lines = evidence.ledger()
    evidence.write_ledger([*lines[:at], GARBAGE[kind], *lines[at:]])
    verdicts = evidence.verdicts()
    assert verdicts.keys() == {"ledger.jsonl", *evidence.runs}
    assert {name for name, verdict in verdicts.items() if verdict.state != "intact"} == {"ledger.jsonl"}
    assert any(f"line {at + 1}" in line for line in evidence.findings("ledger.jsonl"))


SECOND: dict[str, Callable[[dict[str, Any], dict[str, Any]], list[dict[str, Any]]]] = {  # of start and end
    "the same end": lambda start, end: [end],
    "another end of its kind": lambda start, end: [end | {"strategy": "another"}],
    "an end of the other kind": lambda start, end: [end | {"event": {"sealed": "failed"}.get(end["event"], "sealed")}],
    "an abandonment": lambda start, end: [_bare(end, "abandoned")],
    "a second start": lambda start, end: [start],
    "a second start, and an end": lambda start, end: [start, end],
    "a removal of what is there": lambda start, end: [_bare(end, "removed")],
    "a removal, and an end": lambda start, end: [_bare(end, "removed"), end],
    "a removal, a start and an end": lambda start, end: [_bare(end, "removed"), start, end],
}


def _bare(end: dict[str, Any], event: str) -> dict[str, Any]:
    return {"event": event, "time": end["time"], "run_id": end["run_id"], "manifest": end["manifest"]}


@pytest.mark.hostile(share=10)
@pytest.mark.parametrize("rewritten", [False, True], ids=["", "with another manifest"])
@pytest.mark.parametrize("kind", SECOND)
@pytest.mark.parametrize("name", ["builtin", "own", "plain", "bare", "failed"])
def test_a_run_ends_once(evidence: Evidence, name: str, kind: str, rewritten: bool) -> None:
    """Lines that anybody can add, chained as they should be; the manifest that is sealed again may say anything."""
    lines = evidence.ledger()
    start, end = (json.loads(line) for line in lines if evidence.runs[name].encode() in line)
    if rewritten:
        statement = evidence.manifest(name)
        statement["predicate"]["runDetails"]["host"] = "another"
        evidence.write_manifest(name, statement)
        end["manifest"] = sha256((evidence.path(name) / "manifest.json").read_bytes()).hexdigest()
    for entry in SECOND[kind](start, end):
        lines.append(msgspec.json.encode(entry | {"prev": sha256(lines[-1]).hexdigest()}))
    evidence.write_ledger(lines)
    assert evidence.broken() & {"ledger.jsonl", name}
    assert evidence.broken() <= {"ledger.jsonl", name}


@pytest.mark.hostile
def test_control_a_ledger_that_is_chained_anew_around_the_same_lines_is_intact(evidence: Evidence) -> None:
    evidence.rechain()
    assert evidence.findings() == []
    keep_alone(evidence, "own")
