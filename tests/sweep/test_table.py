"""The tables of a sweep's trials: what is written is what is read, as Parquet and as CSV."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from tests.sweep.conftest import ROOT

from peak_trade.evidence import trials
from peak_trade.evidence.run_dir import RunDir
from peak_trade.redact import MASK, Redactor
from peak_trade.sweep import table
from peak_trade.sweep.rows import BLOCKS, KEYS, Row, Rows

DIGESTS = [("a" * 64, "b" * 64), ("c" * 64, "d" * 64)]


class Directory:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        self.files[name] = b"".join(chunks)


def row(number: int, both: tuple[str, str], **more: Any) -> Row:
    values = np.arange(len(KEYS), dtype=float) + number / 8
    values[3] = np.nan
    blocks = np.arange(2 * BLOCKS, dtype=float).reshape(2, BLOCKS) + number
    made = Row({"strategy.params.n": number, "execution.fee_bps": 1.5}, -1, "", "", values, both, blocks, 0.25)
    return msgspec.structs.replace(made, **more)


def rows() -> Rows:
    failed = row(3, DIGESTS[0], error="no idea: token=hunter2hunter2", values=None, digests=None, blocks=None)
    seeded = row(4, DIGESTS[1], overrides={"run.seed": 9})
    return Rows.of([row(1, DIGESTS[0]), row(2, DIGESTS[0]), failed, seeded])


def written(content: Rows) -> dict[str, bytes]:
    directory = Directory()
    told = Redactor({"token": "hunter2hunter2"})
    table.write(cast(RunDir, directory), content, 3, 5, told)
    return directory.files


@pytest.fixture(params=["parquet", "csv"])
def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    if request.param == "csv":
        monkeypatch.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type] # as where it is not installed
    made = written(rows())
    monkeypatch.undo()
    assert sorted(made) == [f"blocks.{request.param}", f"trials.{request.param}"]
    return made


def test_the_trials_are_read_as_they_were_written(files: dict[str, bytes]) -> None:
    name = trials.name_in(files)
    found = trials.read(name, files[name])
    assert found.index.tolist() == [0, 1, 2, 3]
    assert found.chosen.tolist() == [False, False, False, True]
    assert found.duplicate_of.tolist() == [-1, 0, -1, -1]
    assert found.fold.tolist() == [-1] * 4
    assert found.seed.tolist() == [5, 5, 5, 9]
    assert found.status == ["done", "done", "failed", "done"]
    assert found.params == [{"n": 1}, {"n": 2}, {"n": 3}, {}]
    assert found.settings == [{"execution.fee_bps": 1.5}] * 3 + [{"run.seed": 9}]
    assert list(found.equity_digest) == ["a" * 64, "a" * 64, "", "c" * 64]
    assert list(found.trades_digest) == ["b" * 64, "b" * 64, "", "d" * 64]
    np.testing.assert_array_equal(found.values, rows().values)


def test_an_error_holds_no_secret(files: dict[str, bytes]) -> None:
    name = trials.name_in(files)
    assert trials.read(name, files[name]).error == ["", "", f"no idea: token={MASK}", ""]


def test_the_blocks_are_the_sums_of_each_part(files: dict[str, bytes]) -> None:
    name = next(one for one in files if one.startswith("blocks"))
    sums, squares = trials.blocks(name, files[name], 4)
    assert sums[3].tolist() == (np.arange(BLOCKS) + 4.0).tolist()
    assert squares[3].tolist() == (np.arange(BLOCKS) + 4.0 + BLOCKS).tolist()
    assert np.isnan(sums[2]).all() and np.isnan(squares[2]).all()


def test_above_so_many_trials_there_are_no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "BLOCKED", 3)
    assert list(written(rows())) == ["trials.parquet"]


def test_the_table_imports_no_pandas() -> None:
    code = (
        "import sys; from tests.sweep.test_table import rows, written; written(rows()); "
        "assert 'pyarrow' in sys.modules; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
