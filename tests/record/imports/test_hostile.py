"""Files that mean no good, or are simply not what they are called: a sentence, exit 2, and nothing written."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.record.imports import freqtrade, metatrader, tradingview
from tests.record.imports.conftest import Run

from peak_trade.errors import InputError
from peak_trade.record import sources

Take = Callable[..., Run]
Command = Callable[..., subprocess.CompletedProcess[str]]
RETURNS = "Date,ret\n2024-01-02,0.01\n2024-01-03,0.02\n"


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def bomb() -> bytes:
    """A document of 9 MB that takes 9 kB packed."""
    return zipped({"backtest-result.json": b'{"strategy": {"' + b" " * (9 << 20) + b'": 1}}'})


RESULT = json.dumps(freqtrade.result()).encode()
ENTITY = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.csv", lambda: b"", "is empty"),
    "blank": ("a.csv", lambda: b"\n \n\n", "is empty"),
    "a head alone": ("a.csv", lambda: b"Date,returns\n", "has no rows"),
    "binary": ("a.csv", lambda: bytes(range(256)) * 9, "neither text in UTF-8 nor in UTF-16"),
    "an executable": ("a.csv", lambda: b"\x7fELF\x02\x01\x01" + b"\0" * 200, "is not a text file"),
    "no table": ("a.csv", lambda: b"once\nupon\na time\n", "is no table"),
    "latin": ("a.csv", lambda: "Date,Erträge\n2024-01-02,0.1\n".encode("latin-1"), "neither text in UTF-8"),
    "ragged": ("a.csv", lambda: b"Date,equity,position\n2024-01-02,9,1,7\n", "has 4 cells below 3 names"),
    "many columns": ("a.csv", lambda: b",".join([b"a%d" % at for at in range(9_000)]) + b"\n", "more than 500 columns"),
    "wrong table": ("a.csv", lambda: b"name,age\nbob,7\n", "columns of no engine that is known: `name`"),
    "nan": ("a.csv", lambda: b"Date,equity\n2024-01-02,nan\n", "has no equity in any row"),
    "infinite": ("a.csv", lambda: b"Date,equity\n2024-01-02,inf\n", "is no amount"),
    "huge": ("a.csv", lambda: b"Date,equity\n2024-01-02," + b"9" * 400 + b"\n", "is no amount"),
    "very huge": ("a.csv", lambda: b"Date,equity\n2024-01-02," + b"9" * 200_000 + b"\n", ""),
    "year 9999": ("a.csv", lambda: b"Date,equity\n9999-12-31,1\n", "is outside the years"),
    "formula": ("a.csv", lambda: b"Date,equity\n2024-01-02,=1+1\n", "is no number"),
    "loses all twice": ("a.csv", lambda: b"Date,ret\n2024-01-02,-1.5\n2024-01-03,0.1\n2024-01-04,0.1\n", "loses more"),
    "deep json": ("a.json", lambda: b"[" * 90_000 + b"]" * 90_000, "is no whole JSON"),
    "torn json": ("a.json", lambda: RESULT[:-20], "is no whole JSON"),
    "digits": ("a.json", lambda: b'[{"date": "2024-01-02", "equity": ' + b"9" * 400 + b"}]", ""),
    "other json": ("a.json", lambda: b'{"hello": 1}', "has no table that is known"),
    "json of numbers": ("a.json", lambda: b"[1, 2, 3]", "has no table that is known"),
    "pickle": ("a.pkl", lambda: pickle.dumps({"a": 1}), "is a pickle"),
    "pickle called csv": ("a.csv", lambda: pickle.dumps(RETURNS), "is a pickle"),
    "old pickle": ("a.joblib", lambda: b"(lp0\n.", "is a pickle"),
    "gzip": ("a.csv.gz", lambda: b"\x1f\x8b\x08" + b"\0" * 30, "is packed"),
    "torn zip": ("a.zip", lambda: freqtrade.packed(freqtrade.result())[:-60], "is no whole archive"),
    "zip of nothing": ("a.zip", lambda: zipped({}), "has no JSON in it"),
    "zip in a zip": ("a.zip", lambda: zipped({"b.zip": zipped({"c.json": RESULT})}), "has no JSON in it"),
    "leads out": ("a.zip", lambda: zipped({"../../evil.json": RESULT}), "has a member that leads out of it"),
    "bomb": ("a.zip", bomb, "unpacks to more than"),
    "many members": ("a.zip", lambda: zipped({f"{at}.json": b"{}" for at in range(1_100)}), "has 1,100 members"),
    "entities in a page": ("a.html", lambda: (ENTITY + "<html>&b;</html>").encode(), ""),
    "entities in html": ("a.html", lambda: b"<!DOCTYPE html [<!ENTITY a 'b'>]><table></table>", "declares entities"),
    "a page without a table": ("a.html", lambda: b"<html><p>hello</p></html>", "has no table that is known"),
    "torn parquet": ("a.parquet", lambda: b"PAR1" + b"\0" * 90 + b"PAR1", "is no whole Parquet file"),
    "one cell over and over": (
        "a.xlsx",
        lambda: metatrader.workbook({"s": [["a" * 9_000, "ret"], ["b"]]}, within='<c r="B2" t="s"><v>0</v></c>' * 9),
        "has a cell of more than 32,767 characters",
    ),
    "a formula without a value": (
        "a.xlsx",
        lambda: metatrader.workbook({"s": [["Date", "ret"], ["2024-01-02"]]}, within='<c r="B2"><f>1+1</f></c>'),
        "has a formula without a value in row 2, column 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_a_sentence_before_anything_is_written(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sources, "_UNPACKED", 8 << 20)
    file, content, sentence = HOSTILE[name]
    with pytest.raises(InputError) as caught:
        take({file: content()})
    assert sentence in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.hint
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["deep json", "torn zip", "pickle called csv"])
def test_the_command_says_it_too_and_ends_with_2(command: Command, tmp_path: Path, name: str) -> None:
    file, content, sentence = HOSTILE[name]
    (tmp_path / file).write_bytes(content())
    done = command(file)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "hint: " in done.stderr
    assert not (tmp_path / "results").exists()


def test_control_what_is_whole_is_taken(take: Take) -> None:
    book = metatrader.workbook({"s": [["Date", "ret"], ["2024-01-02"]]}, within='<c r="B2"><f>1+1</f><v>0.5</v></c>')
    for name, content in (("a.csv", RETURNS), ("a.zip", freqtrade.packed(freqtrade.result())), ("a.xlsx", book)):
        assert (take({name: content}).path / "manifest.json").exists()


@pytest.mark.parametrize("member", ["xl/sharedStrings.xml", "xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_entities_in_a_workbook_are_refused(take: Take, member: str) -> None:
    packed = zipfile.ZipFile(io.BytesIO(metatrader.workbook({"s": [["Date", "ret"], ["2024-01-02", 0.5]]})))
    members = {name: packed.read(name) for name in packed.namelist()}
    members[member] = ENTITY.encode() + members[member]
    with pytest.raises(InputError, match="declares entities"):
        take({"a.xlsx": zipped(members)})


def test_what_is_no_file_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, sentence in (("folder", "is a folder"), ("pipe", "not a regular file"), ("nowhere", "no such file"),
                           ("zero", "not a regular file"), ("missing", "no such file")):  # fmt: skip
        done = command(name, timeout=20)
        assert done.returncode == 2
        assert sentence in done.stderr


def test_a_file_that_is_too_large_is_refused_by_its_size(command: Command, tmp_path: Path) -> None:
    with (tmp_path / "a.html").open("wb") as file:
        file.truncate(1 << 30)
    done = command("a.html", timeout=20)
    assert done.returncode == 2
    assert "1,073,741,824 bytes, more than 268,435,456" in done.stderr


def test_objects_in_parquet_are_not_opened(take: Take) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({
        "date": pa.array(["2024-01-02", "2024-01-03"]), "equity": pa.array([1.0, 2.0]),
        "objects": pa.array([pickle.dumps(1), pickle.dumps(2)]), "lists": pa.array([[1], [2]]),
    })  # fmt: skip
    stream = io.BytesIO()
    pq.write_table(table, stream)
    run = take({"a.parquet": stream.getvalue()})
    assert [value for _, value in run.equity] == [1.0, 2.0]
    assert any("understood 2 of 4 columns" in text for text in run.said)


@pytest.mark.parametrize("rows", [3, 100_000])
def test_a_text_that_is_there_once_and_meant_a_million_times_is_counted(
    take: Take, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(sources, "_UNPACKED", 8 << 20)
    days = pa.array([f"{day}" for day in np.datetime64("2000-01-01") + np.arange(rows)])
    stream = io.BytesIO()
    columns = {"date": days, "equity": pa.array(np.arange(1.0, rows + 1)), "note": pa.array(["x" * 1000] * rows)}
    pq.write_table(pa.table(columns), stream, compression="zstd")
    if rows == 3:  # the control: such a text alone is no reason
        assert len(take({"a.parquet": stream.getvalue()}).equity) == 3
        return
    with pytest.raises(InputError, match="too large once it is unpacked"):
        take({"a.parquet": stream.getvalue()})


def test_two_engines_that_fit_are_asked_about(take: Take) -> None:
    head = "EntryBar,ExitBar,Avg Entry Price,Avg Exit Price,Size,EntryTime,EntryPrice,ExitTime,ExitPrice,Direction,"
    text = head + "Entry Timestamp,Exit Timestamp\n0,1,1,2,1,2024-01-01,1,2024-01-02,2,Long,2024-01-01,2024-01-02\n"
    with pytest.raises(InputError, match=r"may be of backtesting\.py or of vectorbt") as caught:
        take({"a.csv": text})
    assert caught.value.hint == "--engine backtesting.py"
    assert len(take({"a.csv": text}, engine="vectorbt").trades) == 1


def test_the_nearest_map_and_what_it_lacks_are_named(take: Take) -> None:
    text = tradingview.FIRST.replace("Type", "Kind")
    with pytest.raises(InputError, match="is nearest to tradingview, .* and lacks `Type`") as caught:
        take({"a.csv": text})
    assert "freqtrade" in caught.value.hint
    with pytest.raises(InputError, match="no engine is called freqtrad"):
        take({"a.csv": "name,age\nbob,7\n"}, engine="freqtrad")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"initial_cash": 0.0}, "--initial-cash must be above 0"),
        ({"initial_cash": float("nan")}, "--initial-cash must be above 0"),
        ({"risk_free_rate": 7.0}, "--risk-free-rate is a fraction"),
        ({"tags": ["nope"]}, "--tag takes KEY=VALUE"),
        ({"timeframe": "soon"}, "timeframe"),
        ({"calendar": "MOON"}, "calendar"),
        ({"zone": "Mars/Base"}, "zone"),
    ],
)
def test_an_option_that_can_not_be_is_refused(take: Take, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        take({"a.csv": RETURNS}, **options)
    assert sentence in caught.value.message


def test_one_file_twice_and_two_of_one_name_are_refused(take: Take, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are the same file"):
        take({"a.csv": RETURNS, "b.csv": RETURNS})
    with pytest.raises(InputError, match="both have an account's value"):
        take({"a.csv": RETURNS, "b.csv": RETURNS.replace("0.02", "0.03")})
