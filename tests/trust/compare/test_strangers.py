"""A run that comes from a stranger is compared or refused with a sentence, whatever stands in its files."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peak_trade.errors import InputError, PeakError
from peak_trade.market.lists import read_list
from peak_trade.report import against as against_page
from peak_trade.report import comparison
from peak_trade.trust import compare, difference, live

Evidence = Any  # of conftest.py, which cannot be imported
ODD: list[Any] = [
    None, True, -1, 1e308, 10**400, "", "x" * 5000, "\x1b[31m\u202e", "nan", [], [[]], {}, {"a": {"b": {"c": 1}}},
    [None, 1],
]  # fmt: skip
DOCUMENTS = ("manifest.json", "config_snapshot.json", "stats.json")
LIST = Path("list.csv")


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of a document."""
    if path:
        yield path
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, (*path, key))


def with_value(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(tree)
    node = made
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return made


def reseal(run: Path, name: str, content: bytes) -> None:
    """Put a document in place of another, and its digest into the manifest: as a stranger does."""
    (run / name).chmod(0o644)
    (run / name).write_bytes(content)
    if name != "manifest.json":
        statement = json.loads((run / "manifest.json").read_bytes())
        for subject in statement["subject"]:
            if subject["name"] == name:
                subject["digest"]["sha256"] = hashlib.sha256(content).hexdigest()
        for receipt in statement["predicate"]["receipts"]:
            receipt |= {"bytes": 1 << 30} if receipt["part"] == "evidence" else {}
        (run / "manifest.json").chmod(0o644)
        (run / "manifest.json").write_bytes(json.dumps(statement).encode())


@pytest.fixture(scope="module")
def strange(made: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A copy whose run `fees` is written over again and again."""
    return made.copy(tmp_path_factory.mktemp("strange"))


@pytest.fixture(scope="module")
def listed(made: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trades = difference.read(made.path("base")).trades
    path = tmp_path_factory.mktemp("list") / LIST
    rows = zip(trades.entry_time, trades.entry_price, trades.exit_time, trades.exit_price, trades.quantity, strict=True)
    text = "".join(f"long,{a}Z,{b},{c}Z,{d},{e}\n" for a, b, c, d, e in rows)
    path.write_text(f"side,entry_time,entry_price,exit_time,exit_price,quantity\n{text}")
    return path


def tried(base: Path, strange: Path, listed: Path, root: Path) -> str:
    """Compare in all ways; return what became of it."""
    try:
        found = compare.compare([difference.read(base), difference.read(strange)])
        text = compare.as_text(found, every=True)
        json.dumps(found.to_json_object(), allow_nan=False)
        comparison.page(found)
        against = live.against_file(difference.read(strange), str(listed), root)
        text += live.as_text(against, every=True)
        json.dumps(against.to_json_object(), allow_nan=False)
        against_page.page(against)
    except PeakError as error:
        return error.message
    assert isinstance(text, str)
    return "compared"


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_in_any_document_is_no_fault_of_ours(
    strange: Evidence, made: Evidence, listed: Path, data: st.DataObject
) -> None:
    run, original = strange.path("fees"), made.path("fees")
    name = data.draw(st.sampled_from(DOCUMENTS))
    kept = {one: (original / one).read_bytes() for one in DOCUMENTS}
    tree = json.loads(kept[name])
    path = data.draw(st.sampled_from(list(leaves(tree))))
    value = data.draw(st.sampled_from(ODD))
    try:
        reseal(run, name, json.dumps(with_value(tree, path, value)).encode())
        tried(made.path("base"), run, listed, made.root)
    finally:
        for one, content in kept.items():
            (run / one).chmod(0o644)
            (run / one).write_bytes(content)


def test_untouched_they_are_compared(strange: Evidence, made: Evidence, listed: Path) -> None:
    # the control: with nothing changed, all of it is reached
    assert tried(made.path("base"), strange.path("fees"), listed, made.root) == "compared"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000, "x = " + "-" * 50_000 + "1\n", "if 1:\n" * 2, "\x00", "a = 1\n" * 100_000,
        "".join(f"a{n % 7} = {n % 11}\n" for n in range(40_000)),
    ],
    ids=["parentheses", "signs", "no code", "nul", "equal lines", "few kinds of lines"],
)  # fmt: skip
def test_code_of_any_kind_is_compared_in_no_time(made: Evidence, tmp_path: Path, text: str) -> None:
    copied = made.copy(tmp_path / "copy")
    run = copied.path("again")
    reseal(run, "code/strategies/helper.py", text.encode())
    found = difference.between(difference.read(made.path("base")), difference.read(run))
    (cause,) = [one for one in found.causes if one.input.name == "strategies/helper.py"]
    assert cause.input.details and len(cause.input.details) < 40


def test_a_link_in_place_of_a_file_is_not_followed(made: Evidence, tmp_path: Path) -> None:
    copied = made.copy(tmp_path / "copy")
    run = copied.path("again")
    (run / "equity.csv").rename(tmp_path / "equity.csv")
    (run / "equity.csv").symlink_to(tmp_path / "equity.csv")
    with pytest.raises(PeakError, match="a symbolic link in place of a file"):
        difference.between(difference.read(made.path("base")), difference.read(run))


LETTERS = st.text(st.sampled_from('0123456789.,;:-T Zabuyselr"\n\t{}[]eE+/')) | st.text(max_size=30)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | LETTERS.map(lambda text: ("time,side,price,qty,fee\n" + text).encode("utf-8", "replace"))
)
def test_bytes_of_any_kind_are_a_list_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    try:
        found = read_list(path, "TEST")
    except InputError:
        return
    assert all(trip.quantity > 0 for trip in found.trips)


@pytest.mark.parametrize("cell", ["1e308", "-1", "0", "1e400", "inf", "nan", "", "9" * 400])
@pytest.mark.parametrize("name", ["entry_price", "exit_price", "quantity", "entry_fee", "pnl", "entry_time", "side"])
def test_odd_cells_are_refused_or_compared(made: Evidence, tmp_path: Path, name: str, cell: str) -> None:
    row = {
        "symbol": "TEST", "side": "long", "entry_time": "2024-01-01T02:00:00Z", "entry_price": "100",
        "exit_time": "2024-01-01T09:00:00Z", "exit_price": "101", "quantity": "5", "entry_fee": "1", "pnl": "4",
    } | {name: cell}  # fmt: skip
    path = tmp_path / "list.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    try:
        found = live.against_file(difference.read(made.path("base")), str(path), made.root)
        live.as_text(found)
        msgspec.json.encode(found.to_json_object())
        json.dumps(found.to_json_object(), allow_nan=False)
    except PeakError:
        return
