"""What a marker names is the lake; what readers hold stays; what nothing names goes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.data.lake import build, check, commit, compact, ingest
from peak_trade.data.lake.writer import writing
from peak_trade.errors import RunError
from peak_trade.evidence.results import Results


def parts_of(lake: Path, table: str) -> list[Path]:
    return [lake / part.path for part in commit.newest(lake).tables[table].parts]


def scatter(lake: Path, look: Any) -> None:
    """Make files of falling sizes, which are not merged as they come."""
    for day, hours in enumerate((24, 12, 6, 3), 1):
        ingest.ingest_bars(lake, look.bars([10 * day] * hours, f"2024-02-{day:02}"), source="made")


def test_a_file_that_no_marker_names_is_not_seen(lake: Path, look: Any) -> None:
    before = look.contents(lake)
    [path] = parts_of(lake, "runs")
    path.with_name("another.parquet").write_bytes(path.read_bytes())
    (lake / "_commits" / "00000000000000000009.json.tmp").write_bytes(b"{}")
    assert look.contents(lake) == before
    assert check.check(lake).strays == 1


def test_a_marker_cannot_lead_out_of_the_lake(lake: Path) -> None:
    path = commit.marker(lake, commit.newest(lake).number)
    for evil in ("../../etc/passwd", "/etc/passwd", "runs/../../x", "runs/\u0000"):
        found = msgspec.json.decode(path.read_bytes())
        found["tables"]["runs"]["parts"][0]["path"] = evil
        path.unlink()
        path.write_bytes(msgspec.json.encode(found))
        with pytest.raises(RunError, match="which is not a file of the lake"):
            commit.reading(lake)


def test_a_lake_of_another_format_is_refused_with_both_named(lake: Path) -> None:
    commit.marker(lake, 99).write_text('{"format": "peak_trade.lake/9", "new": 1}')
    with pytest.raises(RunError, match="has the format 'peak_trade.lake/9', this program knows 'peak_trade.lake/1'"):
        commit.reading(lake)


def test_a_torn_marker_is_refused(lake: Path) -> None:
    commit.marker(lake, 99).write_text('{"format": "peak_trade.lake/1", "num')
    with pytest.raises(RunError, match="is not a commit marker"):
        commit.reading(lake)


def test_two_writers_cannot_take_the_same_number(lake: Path) -> None:
    with writing(lake) as made:
        tables = made.commit.tables
        made.publish("one", tables)
        made.commit = msgspec.structs.replace(made.commit, number=made.commit.number - 1)  # as if it had not seen it
        with pytest.raises(RunError, match="another process has changed the lake"):
            made.publish("two", tables)


def test_compaction_merges_small_files_and_changes_no_row(tmp_path: Path, look: Any) -> None:
    scatter(tmp_path, look)
    before = look.contents(tmp_path, ("ohlcv",))
    assert len(parts_of(tmp_path, "ohlcv")) == 4
    done = compact.compact(tmp_path, grace_s=0)
    assert (done.before, done.after) == (4, 1)
    assert done.removed == 4 + 3  # and three of `ohlcv_changes`, which were merged as they came
    assert look.contents(tmp_path, ("ohlcv",)) == before
    assert len(parts_of(tmp_path, "ohlcv")) == 1 and len(list(commit.files_of(tmp_path))) == 2
    again = compact.compact(tmp_path, grace_s=0)
    assert (again.before, again.after, again.removed) == (0, 0, 0)


def test_what_was_replaced_stays_until_the_grace_is_over(tmp_path: Path, look: Any) -> None:
    scatter(tmp_path, look)
    assert compact.compact(tmp_path, grace_s=60).removed == 0
    assert len([path for path in commit.files_of(tmp_path) if path.startswith("ohlcv/")]) == 5
    newest = commit.marker(tmp_path, commit.newest(tmp_path).number)
    os.utime(newest, (time.time() - 61,) * 2)
    assert compact.compact(tmp_path, grace_s=60).removed == 0  # but the markers before are younger
    for number in commit.numbers(tmp_path):
        os.utime(commit.marker(tmp_path, number), (time.time() - 61,) * 2)
    assert compact.compact(tmp_path, grace_s=60).removed == 4 + 3  # three of `ohlcv_changes`


def test_what_somebody_reads_stays_whatever_the_grace(tmp_path: Path, look: Any) -> None:
    scatter(tmp_path, look)
    reader = commit.reading(tmp_path)
    compact.compact(tmp_path, grace_s=0)
    assert all((tmp_path / path).exists() for path in reader.commit.paths)
    reader.close()
    compact.compact(tmp_path, grace_s=0)
    assert not any((tmp_path / path).exists() for path in reader.commit.paths if path.startswith("ohlcv/"))


def test_what_a_killed_writer_left_is_swept_up(lake: Path) -> None:
    (lake / "_writing" / "abc").write_bytes(b"half")
    (lake / "equity" / "left.parquet").write_bytes(b"whole, and never named")
    assert compact.compact(lake).removed == 2
    assert not (lake / "_writing" / "abc").exists() and not (lake / "equity" / "left.parquet").exists()


def test_readers_see_every_row_while_others_write_and_compact(tmp_path: Path, look: Any) -> None:
    """A writer adds day after day and compacts without grace; readers always see whole days, and see them grow."""
    lake = tmp_path / "lake"
    ingest.ingest_bars(lake, look.bars([10] * 24, "2024-01-01"), source="made")
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]); import numpy as np; from pathlib import Path\n"
        "from peak_trade.data.lake import compact, ingest; from peak_trade.market.bars import Bars\n"
        "for day in range(1, 500):\n"
        "    c = np.full(24, 10.0 * day)\n"
        "    t = np.datetime64('2024-01-01', 'ns') + (24 * day + np.arange(24)) * np.timedelta64(3600, 's')\n"
        "    bars = Bars(t, c, c + 1, c - 1, c, c, 'TEST', '1h')\n"
        "    ingest.ingest_bars(Path(sys.argv[1]), bars, source='made', grace_s=0)\n"
        "    compact.compact(Path(sys.argv[1]), grace_s=0)\n"
        "    if Path(sys.argv[2], 'enough').exists(): break\n"
    )
    seen = []
    with subprocess.Popen([sys.executable, "-c", program, str(lake), str(tmp_path)]) as writer:
        while writer.poll() is None:
            seen += look.rows(lake, "SELECT count(*), count(DISTINCT timestamp) FROM ohlcv")
            if len(set(seen)) > 9:
                (tmp_path / "enough").touch()
    assert writer.returncode == 0
    assert all(count == distinct and count % 24 == 0 for count, distinct in seen)
    counts = [count for count, _ in seen]
    assert counts == sorted(counts) and len(set(counts)) > 9


def test_a_build_waits_for_the_writer_before_it(place: Path, look: Any) -> None:
    waited: list[bool] = []
    program = (
        "import sys; from pathlib import Path; from peak_trade.data.lake.writer import writing\n"
        "with writing(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(place / "lake")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout and holder.stdout.readline() == b"held\n"

        def let_go() -> None:
            waited.append(True)
            holder.stdin.close()  # type: ignore[union-attr] # as asserted

        build.build(Results(place / "results"), place / "lake", root=place, waiting=let_go)
    assert waited == [True]
    assert look.rows(place / "lake", "SELECT count(*) FROM runs") == [(4,)]


def test_a_lake_that_cannot_be_written_says_so(tmp_path: Path, look: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write to"):
        ingest.ingest_bars(tmp_path / "file" / "lake", look.bars([10, 11, 12]), source="made")
