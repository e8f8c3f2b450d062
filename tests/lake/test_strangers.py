"""Runs, ledger lines, telemetry, configs of strangers: what can't be rows is left out and named, the rest goes in."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from peak_trade.data.lake import build, parts, runs
from peak_trade.data.lake.writer import writing
from peak_trade.evidence import footer
from peak_trade.evidence.ledger import Ledger
from peak_trade.evidence.results import Results
from peak_trade.evidence.tables import suits_trades
from peak_trade.market import promised

HUGE = int("9" * 400)
DEEP = b"[" * 90_000 + b"]" * 90_000


@contextmanager
def in_time(seconds: int = 60) -> Iterator[None]:
    """Fail where something waits: for a pipe that nobody writes to, a device without an end."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Forger:
    """Makes runs as a stranger can: whatever files and manifest he likes, with digests and ledger lines that fit."""

    def __init__(self, place: Path) -> None:
        self.place, self.results = place, place / "results"
        self.honest = next(path for path in Results(self.results).runs() if (path / "stats.json").exists())

    def seal(self, change: Callable[[Path, dict[str, Any]], None]) -> Path:
        """Return a run like the honest one, with its files and its manifest's predicate changed."""
        path = self.results / str(uuid.uuid4())
        shutil.copytree(self.honest, path, ignore=shutil.ignore_patterns("telemetry"))  # it names the honest run
        made = json.loads((path / "manifest.json").read_bytes())
        predicate = made["predicate"]
        predicate["runDetails"]["metadata"]["invocationId"] = path.name
        promises = predicate["receipts"]
        change(path, predicate)
        files = {subject["name"]: path / subject["name"] for subject in made["subject"]}
        there = {name: file for name, file in files.items() if file.is_file() and not file.is_symlink()}
        small = {name: file.read_bytes() for name, file in there.items() if file.stat().st_size < 1 << 30}
        for subject in made["subject"]:
            if subject["name"] in small:
                subject["digest"]["sha256"] = hashlib.sha256(small[subject["name"]]).hexdigest()
        if predicate["receipts"] is promises:
            promises[-1]["bytes"] = sum(map(len, small.values()))
        (path / "manifest.json").unlink()
        (path / "manifest.json").write_bytes(predicate.pop("raw", b"") or json.dumps(made).encode())
        self.note(path, manifest=hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest())
        return path

    def note(self, path: Path, **fields: Any) -> None:
        ledger = Ledger(self.results)
        ledger.append("start", path.name)
        ledger.append("sealed", path.name, **fields)

    def build(self, lake: str = "lake") -> build.Built:
        with in_time():
            return build.build(Results(self.results), self.place / lake, root=self.place)


@pytest.fixture
def forger(place: Path) -> Forger:
    return Forger(place)


def put(path: Path, name: str, content: bytes) -> None:
    (path / name).unlink()  # it is read-only
    (path / name).write_bytes(content)


def write(name: str, content: bytes) -> Callable[[Path, dict[str, Any]], None]:
    return lambda path, predicate: put(path, name, content)


def figure(key: str, value: bytes) -> Callable[[Path, dict[str, Any]], None]:
    def change(path: Path, predicate: dict[str, Any]) -> None:
        figures = json.loads((path / "stats.json").read_bytes()) | {key: "HERE"}
        put(path, "stats.json", json.dumps(figures).encode().replace(b'"HERE"', value))

    return change


def setting(section: str, key: str, value: bytes) -> Callable[[Path, dict[str, Any]], None]:
    def change(path: Path, predicate: dict[str, Any]) -> None:
        config = json.loads((path / "config_snapshot.json").read_bytes())
        config[section][key] = "HERE"
        put(path, "config_snapshot.json", json.dumps(config).encode().replace(b'"HERE"', value))

    return change


def predicate(*keys: str | int, to: Any) -> Callable[[Path, dict[str, Any]], None]:
    def change(path: Path, made: dict[str, Any]) -> None:
        at: Any = made
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = to

    return change


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path, dict[str, Any]], None]:
    def change(path: Path, made: dict[str, Any]) -> None:
        (path / name).unlink()
        make(path / name)

    return change


def trades(rows: int, symbol: str = "TEST") -> bytes:
    """Return a Parquet file of so many equal trades: some kB, whatever the number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from peak_trade.evidence import tables

    columns = {}
    for field in tables._schema(tables.TRADE_COLUMNS):
        one = pa.array([symbol if field.type == pa.string() else 1], field.type)
        columns[field.name] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), one)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", store_schema=False)  # of plain types
    return sink.getvalue()


def bomb(rows: int, told: bool) -> Callable[[Path, dict[str, Any]], None]:
    def change(path: Path, made: dict[str, Any]) -> None:
        put(path, "trades.parquet", trades(rows))
        if told:
            figure("trades", str(rows).encode())(path, made)

    return change


def long_symbol(path: Path, made: dict[str, Any]) -> None:
    count = json.loads((path / "stats.json").read_bytes())["trades"]
    put(path, "trades.parquet", trades(count, "X" * 100_000))


def equity(change: Callable[[bytes], bytes]) -> Callable[[Path, dict[str, Any]], None]:
    return lambda path, made: put(path, "equity.csv", change((path / "equity.csv").read_bytes()))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)  # such names are short
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def deep_footer(levels: int) -> bytes:
    """Return a Parquet file without rows whose columns lie within each other; Thrift's compact form of its footer."""
    count = levels + 2
    size = bytes([0x80 | count & 0x7F, 0x80 | count >> 7 & 0x7F, count >> 14])
    within = b"\x48\x01r\x15\x02\x00" + b"\x35\x00\x18\x01a\x15\x02\x00" * levels + b"\x15\x02\x25\x00\x18\x01l\x00"
    footer_ = b"\x15\x02\x19\xfc" + size + within + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + footer_ + len(footer_).to_bytes(4, "little") + b"PAR1"


METADATA = ("runDetails", "metadata")
BARS = ("buildDefinition", "resolvedDependencies", 0)
KINDS: dict[str, tuple[Callable[[Path, dict[str, Any]], None], str]] = {
    # bombs
    "equal trades": (bomb(400_000, told=False), "its footer has 400,000 rows, and "),
    "equal trades that are promised": (bomb(400_000, told=True), "400,000 trades in 20 bars"),
    "a symbol of 100 kB in each trade": (long_symbol, "symbol has a text of more than 256 characters"),
    "no Parquet": (write("trades.parquet", b"PAR1" + b"\xff" * 40), "no Parquet file"),
    "a footer of 4 GB": (write("trades.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1"), "footer of usual size"),
    "columns within each other, 100,000 times": (write("trades.parquet", deep_footer(100_000)), "footer of usual size"),
    "columns within each other, 1,000 times": (write("trades.parquet", deep_footer(1_000)), "."),
    "a footer of noise": (write("trades.parquet", b"PAR1" + b"\x15" * 40 + b"\x28\0\0\0PAR1"), "."),
    "statistics 90,000 deep": (write("stats.json", DEEP), "."),
    "a statistic 90,000 deep": (figure("sharpe", DEEP), "."),
    "a statistic of 400 digits": (figure("sharpe", str(HUGE).encode()), "."),
    "bars of 400 digits": (figure("bars", str(HUGE).encode()), "equity.csv has 20 bars"),
    "more than the receipt says": (predicate("receipts", to=[{"part": "evidence", "bytes": 10}]), "more than the 10 "),
    # types
    "statistics that are a list": (write("stats.json", b"[]"), "."),
    "no statistics": (write("stats.json", b""), "."),
    "a statistic that is text": (figure("sharpe", b'"high"'), "."),
    "NaN": (figure("sharpe", b"NaN"), "."),
    "a count that is a fraction": (figure("trades", b"1.5"), "no number of trades"),
    "fewer than no trades": (figure("trades", b"-1"), "no number of trades"),
    "another number of trades": (figure("trades", b"39"), "and 39 are promised"),
    "another number of bars": (figure("bars", b"21"), "equity.csv has 20 bars, and stats.json 21"),
    "reasons that are none": (figure("reasons", b"7"), "."),
    "a seed of 400 digits": (predicate("buildDefinition", "internalParameters", "seed", to=HUGE), "."),
    "a seed that is text": (predicate("buildDefinition", "internalParameters", "seed", to="x"), "."),
    "a parameter of 400 digits": (setting("strategy", "params", b'{"fast": %d}' % HUGE), "."),
    "parameters 90,000 deep": (setting("strategy", "params", b'{"fast": %b}' % DEEP), "."),
    "parameters that are a list": (setting("strategy", "params", b"[1]"), "."),
    "half a character": (setting("run", "name", rb'"\ud800"'), "."),
    "a section that is a number": (write("config_snapshot.json", b'{"strategy": 7}'), "."),
    "a symbol that is a list": (setting("data", "symbol", b"[]"), "."),
    "a status that is none": (predicate("status", to="removed\x1b[31m"), r"the status removed\\x1b\[31m, which no end"),
    "metadata that are a list": (predicate(*METADATA, to=[]), "."),
    "a start that is no time": (predicate(*METADATA, "startedOn", to="yesterday"), "."),
    "a start after the last year": (predicate(*METADATA, "startedOn", to="9999-12-31T23:59:59-23:59"), "."),
    "a cost that is text": (predicate("receipts", to=[{"part": "evidence", "ms": "much"}]), "."),
    "a cost of 400 digits": (predicate("receipts", to=[{"part": "data", "count": HUGE}]), "."),
    "parts that are numbers": (predicate("buildDefinition", "resolvedDependencies", to=[1, 2]), "."),
    "a fingerprint that is a list": (predicate(*BARS, "digest", to={"sha256": [1]}), "."),
    "a host that is a mapping": (predicate("runDetails", "host", to={"a": 1}), "."),
    "a manifest of another run": (predicate(*METADATA, "invocationId", to=str(uuid.uuid4())), "that of the run"),
    "a manifest 90,000 deep": (predicate("raw", to=DEEP), "."),
    # equity, of which each line is a row
    "a line in quotes": (equity(lambda text: text.replace(b",", b',"\n', 1)), "."),
    "a line without cells": (equity(lambda text: text + b"\n"), "equity.csv has 21 bars"),
    "lines that end otherwise": (equity(lambda text: text.replace(b"0\n", b"0\r", 3)), "."),
    "another header": (equity(lambda text: b"t" + text), "."),
    "an equity that is text": (equity(lambda text: text.replace(b"10000.0", b"much", 1)), "."),
    # what is no file
    **{
        f"{what} in place of {name}": (instead(name, make), reason)
        for name in ("config_snapshot.json", "stats.json", "equity.csv", "trades.parquet")
        for what, make, reason in (
            ("a pipe", os.mkfifo, "a named pipe in place of a file"),
            ("a folder", os.mkdir, "a folder in place of a file"),
            ("a socket", a_socket, "a socket in place of a file"),
            ("a link", lambda path: path.symlink_to("/dev/zero"), "a symbolic link in place of a file"),
            ("a terabyte of nothing", sparse, "bytes, more than the"),
            ("nothing", lambda path: None, "No such file"),
        )
    },
}


def test_every_kind_of_hostile_run_is_named_and_left_out_and_the_others_go_in(forger: Forger, look: Any) -> None:
    forger.build("honest")
    whole = look.contents(forger.place / "honest")
    control = forger.seal(lambda path, made: None)
    made = {forger.seal(change).name: kind for kind, (change, _) in KINDS.items()}

    done = forger.build()

    named = {made[run_id]: reason for run_id, reason in done.broken}
    assert named.keys() == KINDS.keys()
    for kind, (_, reason) in KINDS.items():
        assert re.search(reason, named[kind]), (kind, named[kind])
        assert named[kind].isprintable() and len(named[kind]) < 400, kind
    assert done.runs == {"sealed": 4, "failed": 1} and not done.unfit
    there = look.contents(forger.place / "lake")
    for name, rows in there.items():
        if name not in ("ledger", "telemetry"):
            others = [row for row in rows if control.name not in row]
            assert others == whole[name], name
    assert control.name in {row[0] for row in there["equity"]}, "what is made like the hostile ones can go in"
    assert forger.build().runs == {}


def test_the_command_names_them_and_never_fails_for_a_reason_of_its_own(
    forger: Forger, script: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    kinds = ("a statistic 90,000 deep", "a status that is none", "a pipe in place of stats.json")
    made = [forger.seal(KINDS[kind][0]).name for kind in kinds]
    done = script(
        "build_lake_from_results", "--results-dir", forger.results, "--lake-dir", forger.place / "lake", "--json"
    )
    told = done.stderr.decode()
    assert (done.returncode, json.loads(done.stdout)["runs"]) == (1, {"sealed": 3, "failed": 1})
    assert "internal:" not in told and "\x1b" not in told
    assert [f"{run_id} stays out: " in told for run_id in made] == [True] * 3


def test_equal_trades_are_refused_before_they_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    content = trades(400_000)
    assert footer.table(content, 400_000, suits_trades).nbytes > 100 * len(content), "such a file is a bomb"
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("it is unpacked"))
    monkeypatch.setattr(footer, "column", lambda *_, **__: pytest.fail("it is unpacked"))
    with pytest.raises(Exception, match="its footer has 400,000 rows, and 4 are promised"):
        footer.table(content, 4, suits_trades)


def test_no_run_gets_rows_of_another_whatever_ends_a_line(forger: Forger, look: Any) -> None:
    """The first has a row less than it has lines, the last a row more: together they would fit, and shift what lies
    between them by a row."""

    def less(path: Path, made: dict[str, Any]) -> None:
        equity(lambda text: text.replace(b"\n", b"\n\n", 2).replace(b"\n\n", b"\n", 1))(path, made)
        figure("bars", b"21")(path, made)

    def more(path: Path, made: dict[str, Any]) -> None:
        equity(lambda text: text[:-1].replace(b"\n", b"\r", 2).replace(b"\r", b"\n", 1) + b"\n")(path, made)
        figure("bars", b"19")(path, made)

    made = [forger.seal(change) for change in (less, lambda path, made: None, more)]
    assert [runs.read_run(path, seal_of(path)).error for path in made] == [""] * 3, "they come as far as the tables"
    done = forger.build()
    assert {run_id for run_id, _ in done.broken} == {made[0].name, made[2].name}
    honest = made[1]
    there = look.rows(forger.place / "lake", f"SELECT equity FROM equity WHERE run_id = '{honest.name}'")
    own = (honest / "equity.csv").read_text().splitlines()[1:]
    assert sorted(there) == sorted((float(row.split(",")[1]),) for row in own)


def seal_of(path: Path) -> str:
    return hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("what", ["a link", "a file", "a pipe"])
def test_what_is_in_the_place_of_a_run_is_named(forger: Forger, what: str) -> None:
    path = forger.seal(lambda path, made: None)
    aside = forger.place / "aside"
    path.rename(aside)
    {"a link": lambda: path.symlink_to(aside), "a file": path.touch, "a pipe": lambda: os.mkfifo(path)}[what]()
    done = forger.build()
    assert [run_id for run_id, _ in done.broken] == [path.name]
    assert "in place of a folder" in done.broken[0][1] and done.runs == {"sealed": 3, "failed": 1}
    path.unlink()
    aside.rename(path)
    assert forger.build().runs == {"sealed": 1}, "what was there before is a run"


# --- the ledger ---------------------------------------------------------------------------------------------------


def line(**fields: Any) -> bytes:
    told = {"event": "sealed", "time": "2026-01-01T00:00:00.000Z", "run_id": str(uuid.uuid4())} | fields
    return msgspec.json.encode(told)


LINES: dict[str, list[bytes]] = {
    "no JSON": [b"\x00\xff{"],
    "nothing": [b""],
    "a list": [b"[1]"],
    "deep": [b'{"event":' + DEEP + b"}"],
    "half a character": [rb'{"event":"start","time":"\ud800","run_id":"x","prev":"PREV"}'],
    "an event that is a number": [line(event=7)],
    "a time that is none": [line(event="start", time="yesterday")],
    "a time after the last year": [line(event="start", time="9999-12-31T23:59:59-23:59")],
    "a time before the first year": [line(event="start", time="0001-01-01T00:00:00+23:59")],
    "a figure that is text": [line(sharpe="high")],
    "a figure of 400 digits": [b'{"sharpe":%d,' % HUGE + line()[1:]],
    "a strategy that is a list": [line(strategy=[1])],
    "fields that are deep": [b'{"more":' + b"[" * 900 + b"]" * 900 + b"," + line()[1:]],
}


def append(results: Path, contents: list[bytes]) -> list[int]:
    """Append lines, each with the digest of the one before, and return their numbers."""
    path = results / "ledger.jsonl"
    whole = path.read_bytes().splitlines()
    numbers = []
    for content in contents:
        previous = hashlib.sha256(whole[-1]).hexdigest().encode()
        if content.endswith(b"}") and b"PREV" not in content:
            content = content[:-1] + b',"prev":"PREV"}'
        whole.append(content.replace(b"PREV", previous))
        numbers.append(len(whole))
    path.write_bytes(b"\n".join([*whole, b""]))
    return numbers


@pytest.mark.parametrize("kind", LINES)
def test_a_hostile_line_of_the_ledger_is_named_and_the_others_go_in(forger: Forger, look: Any, kind: str) -> None:
    [number] = append(forger.results, LINES[kind])
    later = forger.seal(lambda path, made: None)
    done = forger.build()
    assert done.runs.pop("missing", 0) <= 1  # of which the rest of the line may tell
    assert done.runs == {"sealed": 4, "failed": 1} and done.broken == []
    named = any(what == f"ledger line {number:,}" or len(what) == 36 for what, _ in done.unfit)
    assert named or look.rows(forger.place / "lake", f"SELECT count(*) FROM ledger WHERE line = {number}") == [(1,)]
    assert all(text.isprintable() for told in done.unfit for text in told)
    assert look.rows(forger.place / "lake", f"SELECT status FROM runs WHERE run_id = '{later.name}'") == [("sealed",)]
    assert look.rows(forger.place / "lake", "SELECT max(line) - count(*) FROM ledger")[0][0] in (0, 1)


def test_an_honest_line_of_the_ledger_is_not_named(forger: Forger) -> None:
    append(forger.results, [line()])
    done = forger.build()
    assert (done.runs, done.unfit) == ({"sealed": 3, "failed": 1, "missing": 1}, [])


@pytest.mark.parametrize("ledger", [None, b"", b"no ledger\n", b"{}\n"])
def test_runs_of_which_the_ledger_knows_nothing_are_named_one_by_one(forger: Forger, ledger: bytes | None) -> None:
    there = {path.name for path in Results(forger.results).runs()}
    assert len(there) > 1 and not forger.build().broken  # the control
    (forger.results / "ledger.jsonl").unlink()
    if ledger is not None:
        (forger.results / "ledger.jsonl").write_bytes(ledger)
    built = build.build(Results(forger.results), forger.place / "new lake", root=None)
    assert dict(built.broken).keys() == there


@pytest.mark.parametrize("event", ["sealed", "failed", "abandoned"])
@pytest.mark.parametrize("known", [False, True], ids=["before the build", "after a build"])
def test_a_second_end_is_not_taken_in(forger: Forger, look: Any, event: str, known: bool) -> None:
    """The manifest that the second line names is another one, as is what it says of commit, host and command line."""
    if known:
        forger.build()
    before = seal_of(forger.honest)
    content = (forger.honest / "manifest.json").read_bytes()
    put(forger.honest, "manifest.json", content.replace(b'"host": "', b'"host": "another-'))
    assert seal_of(forger.honest) != before
    append(forger.results, [line(event=event, run_id=forger.honest.name, manifest=seal_of(forger.honest))])
    done = forger.build()
    assert known or [run_id for run_id, _ in done.broken] == [forger.honest.name]
    asked = f"SELECT count(*) FROM runs WHERE host LIKE 'another-%' OR manifest_digest = '{seal_of(forger.honest)}'"
    assert look.rows(forger.place / "lake", asked) == [(0,)]


# --- bars ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("pipe.csv", "is no regular file"),
        ("/dev/zero", "is no regular file"),
        ("/proc/kmsg", "is no regular file|there is no file"),
        ("kmsg.csv", "is no regular file"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "is no regular file|there is no file"),
        ("empty.csv", "is an empty file"),
        ("large.csv", "much more than the 1 files"),
        ("/**/*", "much more than the 1 files"),
        ("/**/*.nothing-is-called-so", "more than 20,000 names"),
        ("ring/**/*.nothing", "there is no file"),
        ("half\\u0000name", "."),
        ("../" * 2000 + "x", "."),
        ("results/bomb.csv.gz", "lies in results/"),
        ("link.csv", "lies in results/"),
    ],
)
def test_bars_of_a_strangers_config_are_not_read_without_bounds(forger: Forger, path: str, reason: str) -> None:
    os.mkfifo(forger.place / "pipe.csv")
    sparse(forger.place / "large.csv")
    (forger.results / "bomb.csv.gz").write_bytes(gzip.compress(b"0" * (1 << 20)))
    (forger.place / "empty.csv").touch()
    (forger.place / "kmsg.csv").symlink_to("/proc/kmsg" if os.path.exists("/proc/kmsg") else "/dev/null")
    (forger.place / "link.csv").symlink_to(forger.results / "bomb.csv.gz")
    (forger.place / "ring" / "below").mkdir(parents=True)
    (forger.place / "ring" / "below" / "round").symlink_to(forger.place / "ring")

    def change(folder: Path, made: dict[str, Any]) -> None:
        setting("data", "path", f'"{path}"'.encode())(folder, made)
        made["buildDefinition"]["resolvedDependencies"][0]["digest"] = {"sha256": "0" * 64}  # else they are known

    made = forger.seal(change)
    with in_time(20):
        done = forger.build()
    [(run_id, told)] = done.skipped
    assert run_id == made.name and told.startswith("its bars stay out: ") and re.search(reason, told), told
    assert done.runs == {"sealed": 4, "failed": 1} and [bars.new for bars in done.bars] == [20]


def test_a_pattern_means_what_glob_means(place: Path) -> None:
    import glob

    for name in ("a/2024/x.csv", "a/2024/y.csv", "a/2025/x.csv", "a/.hidden/x.csv", "a/x.csv", "b/[z].csv", "b/z.csv"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    for pattern in ("a/*/x.csv", "a/**/*.csv", "a/**", "**/x.csv", "*/[xz].csv", "b/*", "b/[[]z].csv", "a/.*/x.csv"):
        wanted = sorted(set(glob.glob(str(place / pattern), recursive=True)))
        assert (
            promised.find(pattern, [place], [{"bytes": 1 << 20}], place / "results")
            == list(filter(os.path.isfile, wanted))
            != []
        )


# --- telemetry ----------------------------------------------------------------------------------------------------


def test_telemetry_that_can_be_no_rows_stops_no_other(forger: Forger, look: Any) -> None:
    forger.build("honest")
    whole = look.contents(forger.place / "honest", ("spans", "logs"))
    assert whole["spans"]
    folder = forger.seal(lambda path, made: None) / "telemetry"
    folder.mkdir()
    os.mkfifo(folder / "pipe.traces.jsonl")
    (folder / "link.logs.jsonl").symlink_to("/dev/zero")
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "x", "startTimeUnixNano": 1, "endTimeUnixNano": HUGE}
    lines = [
        DEEP,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [%b]}]}]}' % json.dumps(span).encode(),
        rb'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\ud800"}]}]}]}',
    ]
    (folder / "main.traces.jsonl").write_bytes(b"\n".join([*lines, b""]))
    (folder / os.fsdecode(b"\xff.traces.jsonl")).write_bytes(lines[1] + b"\n")
    done = forger.build()
    assert done.runs == {"sealed": 4, "failed": 1} and done.broken == []
    there = look.contents(forger.place / "lake", ("spans", "logs"))
    own = {name: [row for row in rows if folder.parent.name not in row] for name, rows in there.items()}
    assert own == whole


# --- what it costs ------------------------------------------------------------------------------------------------


def test_what_fails_is_found_by_halves() -> None:
    tried = 0

    def make(items: Any) -> list[int]:
        nonlocal tried
        tried += 1
        return [100 // item for item in items]

    blamed: list[tuple[int, str]] = []
    items = [*range(1, 1000), 0, *range(1000, 2000)]
    made = runs.fitting(items, make, lambda item, why: blamed.append((item, why)))
    assert [item for fit, _ in made for item in fit] == [item for item in items if item]
    assert [item for item, _ in blamed] == [0] and "division" in blamed[0][1]
    assert tried < 30


def singles(count: int) -> Any:
    """Return rows of `runs`, one for each of so many runs, in order."""
    run_ids = sorted(
        str(uuid.UUID(int=int(number))) for number in np.random.default_rng(count).integers(1 << 62, size=count)
    )
    return runs.rows_table("runs", [{"run_id": run_id, "status": "removed"} for run_id in run_ids])


def seconds_of(action: Callable[[], object]) -> float:
    """Return the least processor time of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)


def test_eight_times_the_runs_are_merged_in_about_eight_times_the_time() -> None:
    """It was 64 times, and 13 GB for 50,000: a slice, and all names, for each run."""
    few, many = ([singles(count), singles(count + 1)] for count in (500, 4_000))
    assert parts.sort_rows("runs", many)["run_id"].to_pylist() == sorted(
        run_id for table in many for run_id in table["run_id"].to_pylist()
    )
    assert seconds_of(lambda: parts.sort_rows("runs", many)) < 25 * seconds_of(lambda: parts.sort_rows("runs", few))


def test_eight_times_the_removed_runs_are_built_with_eight_times_the_calls(tmp_path: Path) -> None:
    """Calls of functions are counted, not seconds: they are the same on any machine."""

    def calls(count: int) -> int:
        results = tmp_path / str(count)
        results.mkdir()
        told = [(event, str(uuid.UUID(int=n))) for n in range(count) for event in ("start", "failed", "removed")]
        (results / "ledger.jsonl").touch()
        previous, contents = "0" * 64, []
        for event, run_id in told:
            run_id = run_id[:14] + "4" + run_id[15:19] + "8" + run_id[20:]
            contents.append(line(event=event, run_id=run_id, prev=previous))
            previous = hashlib.sha256(contents[-1]).hexdigest()
        (results / "ledger.jsonl").write_bytes(b"\n".join([*contents, b""]))
        counted = 0

        def count_call(frame: Any, event: str, what: Any) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            done = build.build(Results(results), tmp_path / f"lake-{count}", root=None)
        finally:
            sys.setprofile(before)
        assert done.runs == {"removed": count} and done.lines == 3 * count
        return counted

    calls(1)  # what is imported and made once
    few, many = calls(150), calls(1_200)
    assert many < 9 * few


def test_a_part_of_what_stays_out_is_named_once(place: Path) -> None:
    """Reasons are looked for in a set: among a list, 50,000 that differ cost a thousand million comparisons."""
    with writing(place / "lake") as writer:
        building = build._Build(writer, Results(place / "results"), place, anew=False)
        for number in range(30_000):
            building._skip(f"{number}", f"reason {number // 3}")
    assert len(building.built.skipped) == 10_000
