"""The ledger by itself: its chain, its repair, and what it says of lines that are wrong."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.ledger import GENESIS, Entry, History, Ledger, Reading, is_run_id

RUN = "8a1d0f4e-7c7b-4f6e-9d43-0a4c6f1f2b3d"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def lines(ledger: Ledger) -> list[bytes]:
    """The lines without their ends; the last must have one."""
    *whole, last = ledger.path.read_bytes().split(b"\n")
    assert last == b""
    return whole


def test_a_ledger_that_is_not_there_is_empty(ledger: Ledger) -> None:
    reading = ledger.read()
    assert (reading.entries, reading.broken, reading.torn, reading.head) == ([], [], False, GENESIS)


def test_each_line_names_the_sha256_of_the_one_before(ledger: Ledger) -> None:
    appended = [ledger.append("start", RUN), ledger.append("sealed", RUN, manifest="ab"), ledger.append("removed", RUN)]
    written = lines(ledger)
    assert appended == written
    digests = [hashlib.sha256(line).hexdigest() for line in written]
    assert [json.loads(line)["prev"] for line in written] == ["0" * 64, *digests[:2]]
    assert ledger.read().head == digests[-1]


def test_an_entry_is_read_as_it_was_written(ledger: Ledger) -> None:
    ledger.append("sealed", RUN, symbol="Größe\n🚀", sharpe=None, trades=3, total_return=-0.1)
    [entry] = ledger.read().entries
    assert (entry.line, entry.event, entry.run_id) == (1, "sealed", RUN)
    assert entry.fields == {"symbol": "Größe\n🚀", "sharpe": None, "trades": 3, "total_return": -0.1}
    assert len(entry.time) == 24 and entry.time.endswith("Z")


def test_a_run_has_its_entries_in_order(ledger: Ledger) -> None:
    for event, run in (("start", "a"), ("start", "b"), ("sealed", "a")):
        ledger.append(event, run)
    assert [entry.event for entry in ledger.read().of("a").entries] == ["start", "sealed"]
    assert ledger.read().of("c").entries == []


@pytest.mark.parametrize("torn", [b"{", b'{"event":"start","time":"2', b"\xff", b" "])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_torn_line_is_set_aside_by_the_next(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, torn: bytes, before: int
) -> None:
    for _ in range(before):
        ledger.append("start", RUN)
    with ledger.path.open("ab") as stream:
        stream.write(torn)
    assert ledger.read().torn
    ledger.append("start", RUN)
    reading = ledger.read()
    assert (len(reading.entries), reading.broken, reading.torn) == (before + 1, [], False)
    assert (ledger.path.parent / "ledger.torn").read_bytes() == torn + b"\n"
    assert caplog.messages == [f"the ledger's last line was torn ({len(torn)} bytes); set aside in ledger.torn"]


def test_a_whole_line_without_its_end_counts_as_torn(ledger: Ledger) -> None:
    ledger.append("start", RUN)
    ledger.append("sealed", RUN)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-1])
    assert [entry.event for entry in ledger.read().entries] == ["start"]
    ledger.append("abandoned", RUN)
    assert [entry.event for entry in ledger.read().entries] == ["start", "abandoned"]


def test_reading_repairs_nothing(ledger: Ledger) -> None:
    ledger.append("start", RUN)
    with ledger.path.open("ab") as stream:
        stream.write(b"{")
    before = ledger.path.read_bytes()
    ledger.read()
    assert ledger.path.read_bytes() == before
    assert os.listdir(ledger.path.parent) == ["ledger.jsonl"]


@pytest.mark.parametrize("size", [65_400, 65_536, 65_600, 200_000])
def test_a_line_may_be_longer_than_what_is_read_of_the_end(ledger: Ledger, size: int) -> None:
    ledger.append("start", RUN)
    ledger.append("failed", RUN, message="x" * size)
    ledger.append("start", RUN)
    assert (len(ledger.read().entries), ledger.read().broken) == (3, [])


@pytest.mark.parametrize("size", [70_000, 200_000])
def test_a_long_line_may_be_torn(ledger: Ledger, size: int) -> None:
    ledger.append("start", RUN)
    with ledger.path.open("ab") as stream:
        stream.write(b"x" * size)
    ledger.append("start", RUN)
    assert (len(ledger.read().entries), ledger.read().broken) == (2, [])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_line_that_cannot_be_written_leaves_the_ledger_as_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, call: str, error: OSError
) -> None:
    ledger.append("start", RUN)
    before, write = ledger.path.read_bytes(), os.write

    def fails(handle: int, content: bytes = b"") -> int:
        if content and len(content) > 10:
            return write(handle, content[:10])  # first a part of it, as on a full disk
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match=error.strerror):
            ledger.append("sealed", RUN)
    assert ledger.path.read_bytes() == before
    ledger.append("sealed", RUN)
    assert ledger.read().broken == []


def broken(ledger: Ledger, changed: list[bytes]) -> list[int]:
    """Write other lines and return the numbers of those that are called wrong."""
    ledger.path.write_bytes(b"".join(line + b"\n" for line in changed))
    return [line for line, _, _ in ledger.read().broken]


@pytest.fixture
def four(ledger: Ledger) -> list[bytes]:
    for event in ("start", "sealed", "start", "failed"):
        ledger.append(event, RUN)
    return lines(ledger)


def test_control_an_untouched_chain_is_whole(ledger: Ledger, four: list[bytes]) -> None:
    assert broken(ledger, four) == []


def test_a_line_that_is_lost_is_found(ledger: Ledger, four: list[bytes]) -> None:
    assert [broken(ledger, four[:n] + four[n + 1 :]) for n in range(3)] == [[1], [2], [3]]


def test_lines_that_change_places_are_found(ledger: Ledger, four: list[bytes]) -> None:
    assert broken(ledger, [four[0], four[2], four[1], four[3]]) == [2, 3, 4]


def test_a_line_that_is_doubled_is_found(ledger: Ledger, four: list[bytes]) -> None:
    assert broken(ledger, [*four[:2], four[1], *four[2:]]) == [3]


def test_a_changed_byte_is_found_in_any_line_but_the_last(ledger: Ledger, four: list[bytes]) -> None:
    """Nothing follows the last line but the manifest of its run, which `verify` holds against it."""
    for n, line in enumerate(four[:-1]):
        for at in (0, len(line) // 3, len(line) - 2):
            changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            assert broken(ledger, [*four[:n], changed, *four[n + 1 :]])[-1] in (n + 1, n + 2)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"1", b"null", b"\xff\xfe", b"{}", b'{"event":"start"}', b"{" * 5000, b'{"event":"\xff"}'),
        b'{"event":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    ],
)
def test_a_line_that_is_no_entry_is_found_and_stops_nothing(ledger: Ledger, four: list[bytes], line: bytes) -> None:
    assert broken(ledger, [*four[:2], line, *four[2:]]) == [3, 4]
    assert len(ledger.read().entries) == 4


def test_threads_take_turns_too(ledger: Ledger) -> None:
    def work(name: str) -> None:
        for _ in range(20):
            ledger.append("start", name)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading: Any = ledger.read()
    assert (len(reading.entries), reading.broken) == (80, [])


def test_only_the_end_is_read_to_append(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.append("start", RUN)
    line = lines(ledger)[0]
    ledger.path.write_bytes((line + b"\n") * 5000)
    taken, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *args: taken.append(args[1]) or pread(*args))
    ledger.append("start", RUN)
    assert 0 < sum(taken) < 100_000 < ledger.path.stat().st_size


# --- what a line holds ---------------------------------------------------------------------------------------------


def test_a_line_has_these_bytes(ledger: Ledger) -> None:
    told = "2031-01-01T00:00:00.000Z"
    one = b'{"event":"start","time":"%b","run_id":"a","prev":"%b"}' % (told.encode(), b"0" * 64)
    assert ledger.append("start", "a", time=told) == one
    ledger.append("sealed", "a", time=told, manifest="b", bytes=3)
    two = b'{"event":"sealed","time":"%b","run_id":"a","manifest":"b","bytes":3,"prev":"%b"}' % (
        told.encode(),
        hashlib.sha256(one).hexdigest().encode(),
    )
    assert ledger.path.read_bytes() == one + b"\n" + two + b"\n"


def test_a_line_is_of_now_in_utc_to_the_millisecond(ledger: Ledger) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ledger.append("start", RUN)
    [entry] = ledger.read().entries
    assert before <= datetime.strptime(entry.time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}Z", entry.time)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (RUN, True),
        (RUN.upper(), False),
        (RUN + "0", False),
        ("x" + RUN, False),
        (RUN.replace("-4f6e-", "-1f6e-"), False),  # a UUID1
        (RUN.replace("-9d43-", "-cd43-"), False),
        ("", False),
    ],
)
def test_a_run_has_the_name_of_a_uuid4_in_lower_case(text: str, fits: bool) -> None:
    assert is_run_id(text) is fits


def told(ledger: Ledger, line: dict[str, Any] | bytes) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    """Write this one line, and return the fields of each entry that is read and what is called wrong."""
    whole = line if isinstance(line, bytes) else json.dumps({**FIRST, **line}).encode()
    ledger.path.write_bytes(whole + b"\n")
    reading = ledger.read()
    return [entry.fields for entry in reading.entries], reading.broken


FIRST = {"event": "sealed", "time": "2031-01-01T00:00:00.000Z", "run_id": "a", "prev": "0" * 64}
DEEP = 8


def nested(depth: int, *, mapping: bool = False) -> Any:
    """Return a list or a mapping with as many in each other."""
    value: Any = 0
    for _ in range(depth):
        value = {"a": value} if mapping else [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"manifest": "0" * 64, "strategy": None, "reason": ""},
        {"sharpe": 0.5, "trades": 3, "bars": None, "total_return": -1},
        {"trades": 2**63 - 1, "bytes": -(2**63) + 1},
        {"findings": {"a": 0, "b": 2**63 - 1}},
        {"findings": {}},
        {"findings": None},
        {"note": 2**63 - 1, "more": [True, None, "x", 1.5, {"a": [1]}]},
        {"note": nested(DEEP)},
        {"note": nested(DEEP, mapping=True)},
    ],
)
def test_a_field_that_fits_is_read_as_it_stands(ledger: Ledger, fields: dict[str, Any]) -> None:
    assert told(ledger, fields) == ([fields], [])


@pytest.mark.parametrize(
    ("name", "value", "called", "shown"),
    [
        ("manifest", 5, "a text", "5"),
        ("strategy", [], "a text", "a list"),
        ("ruined", True, "a text", "True"),
        ("reason", {}, "a text", "a dict"),
        ("sharpe", "high", "a number", "high"),
        ("trades", True, "a number", "True"),
        ("trades", 2**63, "a number", str(2**63)),
        ("bytes", -(2**63), "a number", str(-(2**63))),
        ("max_drawdown", [1.0], "a number", "a list"),
        ("findings", [1], "counts", "a list"),
        ("findings", 1, "counts", "1"),
        ("findings", {"a": 1, "b": 0.5}, "counts", "a dict"),
        ("findings", {"a": 2**63}, "counts", "a dict"),
        ("note", 2**63, "a value that is not too deep or too large", str(2**63)),
        ("note", [0, [2**63]], "a value that is not too deep or too large", "a list"),
        ("note", {"a": 1, "b": 2**63}, "a value that is not too deep or too large", "a dict"),
        ("note", nested(DEEP + 1), "a value that is not too deep or too large", "a list"),
        ("note", nested(DEEP + 1, mapping=True), "a value that is not too deep or too large", "a dict"),
    ],
)
def test_a_field_that_does_not_fit_is_left_out_and_named(
    ledger: Ledger, name: str, value: Any, called: str, shown: str
) -> None:
    fields = {"symbol": "first", name: value, "message": "last"}
    assert told(ledger, fields) == ([{"symbol": "first", "message": "last"}], [(1, f"{called} as {name}", shown)])


@pytest.mark.parametrize("word", ["event", "time", "run_id", "prev"])
def test_a_word_of_a_line_has_at_most_100_characters(ledger: Ledger, word: str) -> None:
    entries, broken = told(ledger, {word: "x" * 100})
    assert len(entries) == 1 and [number for number, _, _ in broken] == [1] * (word == "prev")
    entries, broken = told(ledger, {word: "x" * 101})
    assert entries == [] and len(broken) == 1 and broken[0][:2] == (1, "a ledger entry")


def test_what_is_no_entry_is_shown_by_its_first_60_characters(ledger: Ledger) -> None:
    assert told(ledger, b"\xffx" + b"y" * 100) == ([], [(1, "a ledger entry", "\ufffdx" + "y" * 58)])


def test_another_prev_is_named_beside_the_one_that_is_due(ledger: Ledger) -> None:
    assert told(ledger, {"prev": "else"}) == ([{}], [(1, f"prev {'0' * 64}", "prev else")])
    ledger.append("start", "a")
    whole, last = ledger.path.read_bytes().splitlines()
    other = b'{"x":1}'
    ledger.path.write_bytes(whole + b"\n" + other + b"\n" + last + b"\n")
    assert ledger.read().broken[1:] == [
        (2, "a ledger entry", '{"x":1}'),
        (3, f"prev {hashlib.sha256(other).hexdigest()}", f"prev {hashlib.sha256(whole).hexdigest()}"),
    ]


def test_after_a_line_that_is_too_long_nothing_fits(ledger: Ledger) -> None:
    ledger.append("start", "a")
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + b"x" * 5_000_000 + b"\n" + whole)
    reading = ledger.read()
    assert [entry.line for entry in reading.entries] == [1, 3]
    assert reading.broken == [
        (2, "a ledger entry", "a line longer than any that is written"),
        (3, "prev ", f"prev {GENESIS}"),
    ]
    assert (reading.torn, len(reading.entries)) == (False, 2)


# --- what is asked of a reading ------------------------------------------------------------------------------------


def entries(*events: str) -> list[Entry]:
    return [
        Entry(line, f"sha {line}", event, f"time {line}", run, {f"by {event}": line})
        for line, (event, run) in enumerate((word.split(":") for word in events), 1)
    ]


def test_histories_are_in_order_of_first_lines() -> None:
    reading = Reading(entries("start:b", "noted:c", "start:a", "sealed:b", "removed:b", "failed:a"))
    assert list(reading.histories) == ["b", "c", "a"]
    assert [entry.line for entry in reading.of("b").entries] == [1, 4, 5]
    assert (reading.of("z"), reading.head, reading.removed) == (History(), "sha 6", {"b"})
    assert [entry.line for entry in reading.unknown] == [2]
    assert reading.histories is reading.histories


def test_runs_have_a_state_and_the_name_of_one() -> None:
    reading = Reading(entries(f"start:{RUN}", "start:../../etc", f"noted:{RUN[:-1]}0"))
    assert list(reading.runs) == [RUN]


def test_a_history_tells_when_it_began_and_what_ended_it() -> None:
    history = Reading(entries("start:a", "noted:a", "sealed:a", "removed:a")).of("a")
    assert (history.began, history.line, history.state, history.status) == ("time 1", 4, "removed", "removed")
    assert history.fields == {"by start": 1, "by sealed": 3}
    assert history.since is not None and history.since.line == 4 and history.manifest is None
    lost = Reading(entries("noted:a", "failed:a")).of("a")
    assert (lost.began, lost.line, lost.start, lost.end and lost.end.line) == ("time 1", 2, None, 2)
    assert lost.misplaced == [(lost.entries[1], "")]
    assert (Reading(entries("noted:a")).of("a").line, History().line, History().manifest) == (0, 0, None)


@pytest.mark.parametrize(
    ("state", "told", "status"),
    [
        ("sealed", {}, "sealed"),
        ("sealed", {"ruined": "2024"}, "ruined"),
        ("sealed", {"ruined": ""}, "sealed"),
        ("sealed", {"ruined": None}, "sealed"),
        ("failed", {"ruined": "2024"}, "failed"),
    ],
)
def test_the_status_of_a_sealed_run_says_whether_it_was_ruined(
    ledger: Ledger, state: str, told: dict[str, Any], status: str
) -> None:
    ledger.append("start", "a")
    ledger.append(state, "a", manifest="b", **told)
    history = ledger.read().of("a")
    assert (history.status, history.state, history.manifest) == (status, state, "b")


def test_only_a_line_of_the_run_names_it(ledger: Ledger) -> None:
    assert not ledger.names("a")
    ledger.append("start", "a", strategy="b")
    assert ledger.names("a") and not ledger.names("b") and not ledger.names("A")


# --- what is on disk when a line is written ------------------------------------------------------------------------


def test_the_folder_is_on_disk_with_the_ledgers_first_line(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("peak_trade.evidence.ledger.sync_folder", synced.append)
    ledger.append("start", "a")
    ledger.append("sealed", "a")
    assert synced == [ledger.path.parent]


def test_each_line_is_written_under_the_lock_and_on_disk_before_it_is_let_go(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    flock, fsync = fcntl.flock, os.fsync
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: done.append(how) or flock(handle, how))
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("on disk") or fsync(handle))
    ledger.append("start", "a")
    done.clear()
    ledger.append("sealed", "a")
    assert done == [fcntl.LOCK_EX, "on disk", fcntl.LOCK_UN]


def test_torn_lines_are_set_aside_one_after_the_other(ledger: Ledger) -> None:
    for torn in (b"first", b"second"):
        with ledger.path.open("ab") as stream:
            stream.write(torn)
        ledger.append("start", "a")
    assert (ledger.path.parent / "ledger.torn").read_bytes() == b"first\nsecond\n"
    assert (len(ledger.read().entries), ledger.read().broken) == (2, [])


def test_the_longest_line_that_is_looked_back_for_is_twice_what_the_door_lets_through(ledger: Ledger) -> None:
    first = b"{}\n"
    ledger.path.write_bytes(first + b"x" * (2 * (1 << 22) - 1))  # the line's end before it is the last byte looked at
    whole = ledger.path.stat().st_size
    with pytest.raises(OSError, match=r"no line ends within its last 8,388,608 bytes") as caught:
        ledger.append("start", "a")
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, "ledger.jsonl")
    assert ledger.path.stat().st_size == whole and not (ledger.path.parent / "ledger.torn").exists()
