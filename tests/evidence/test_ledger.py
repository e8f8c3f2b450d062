"""The ledger by itself: its chain, its repair, and what it says of lines that are wrong."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from peak_trade.evidence.ledger import GENESIS, Ledger

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
    digests = [ledger.append("start", RUN), ledger.append("sealed", RUN, manifest="ab"), ledger.append("removed", RUN)]
    written = lines(ledger)
    assert digests == [hashlib.sha256(line).hexdigest() for line in written]
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


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b"null", b"\xff\xfe", b"{}", b'{"event":"start"}', b"{" * 5000])
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
