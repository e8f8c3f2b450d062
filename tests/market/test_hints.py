"""Every error about data ends in a hint, and whoever follows hints, each as it says, gets to the bars.

Files of each kind are spoilt in each way that people know. `follow` then does what hints say, and nothing else: it sets
the keys that they name, every choice of them in turn, takes the name that is offered, and takes out the rows that are
named where they say to mend them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.market.dialects import KINDS, Kind

from peak_trade.config import reading
from peak_trade.errors import InputError
from peak_trade.market import hints
from peak_trade.market.ohlcv import Loaded, load_bars

STEPS = 6
ROWS = 40
_OTHER = ("timeframe", "on_violation", "calendar")


class Try(NamedTuple):
    """A file and the keys of `[data]` with which it is loaded."""

    data: bytes
    keys: Mapping[str, Any]


def attempt(path: Path, tried: Try) -> Loaded:
    path.write_bytes(tried.data)
    keys = {"timeframe": "1h", "symbol": "TEST", **tried.keys}
    rest = {name: keys.pop(name) for name in (*_OTHER, "symbol") if name in keys}
    return load_bars(path, reading=reading(keys), **rest)


def follow(path: Path, tried: Try, trail: tuple[str, ...] = ()) -> Iterator[tuple[Loaded, tuple[str, ...]]]:
    """Yield what comes of a file by each way that hints lead, with the hints; fail where one leads nowhere."""
    try:
        yield attempt(path, tried), trail
        return
    except InputError as error:
        said = f"{error.message}\n  hint: {error.hint}"
    told = "\n".join([*trail, said])
    assert error_hint(said), f"no hint:\n{told}"
    assert said not in trail, f"in a circle:\n{told}"
    assert len(trail) < STEPS, f"{STEPS} steps and no bars:\n{told}"
    ways = list(acts(said, tried))
    assert ways, f"nothing to do:\n{told}"
    for way in ways:
        assert way != tried, f"nothing changed:\n{told}"
        yield from follow(path, way, (*trail, said))


def error_hint(said: str) -> str:
    return said.rpartition("\n  hint: ")[2].strip()


def acts(said: str, tried: Try) -> Iterator[Try]:
    """Yield what a hint says to do, each of its choices."""
    message, hint = said.rpartition("\n  hint: ")[::2]
    if choices := hints.parse(hint):
        for choice in choices:
            yield tried._replace(keys={**tried.keys, **tomllib.loads(choice)})
    elif offered := re.search(r"did you mean `(.+?)`", hint):
        wrong = message[message.index("`") + 1 :].partition("`")[0]
        yield tried._replace(keys=replaced(tried.keys, wrong, offered[1]))
    elif cell := re.search(r"row (\d+), column \w+: `(.*?)` is not a number\n  hint: mend the cell", said):
        lines = tried.data.decode().split("\n")
        lines[int(cell[1]) - 1] = lines[int(cell[1]) - 1].replace(cell[2], "")
        yield tried._replace(data="\n".join(lines).encode())
    elif left := re.search(r"leave (\w+) out|without (\w+), ", hint):
        yield tried._replace(keys={name: value for name, value in tried.keys.items() if name not in left.groups()})
    elif "left out" in hint:
        key = next(name for name in re.findall(r"\w+", message.rpartition("\n")[2]) if name in tried.keys)
        yield tried._replace(keys={name: value for name, value in tried.keys.items() if name != key})
    elif "mend" in hint or "take out" in hint:
        rows = {int(row) for row in re.findall(r"\brow (\d+)", said)}
        lines = tried.data.split(b"\n")
        kept = [line for number, line in enumerate(lines, 1) if number not in rows]
        if len(kept) < len(lines):
            yield tried._replace(data=b"\n".join(kept))


def replaced(tree: Any, wrong: str, right: str) -> Any:
    if isinstance(tree, Mapping):
        return {right if name == wrong else name: replaced(value, wrong, right) for name, value in tree.items()}
    return right if str(tree) == wrong else tree


# --- ways to spoil a file -----------------------------------------------------------------------------------------

Spoil = Callable[[list[str], dict[str, Any]], None]  # works on the lines (the first is the header) and the keys


def cells(line: str) -> tuple[list[str], str]:
    mark = max(",;\t|", key=line.count)
    return line.split(mark), mark


def with_cell(line: str, at: int, text: str) -> str:
    found, mark = cells(line)
    found[at] = text
    return mark.join(found)


def swap(lines: list[str], keys: dict[str, Any]) -> None:
    lines[10], lines[20] = lines[20], lines[10]


def backwards(lines: list[str], keys: dict[str, Any]) -> None:
    lines[5:] = lines[:4:-1]


def repeat(lines: list[str], keys: dict[str, Any]) -> None:
    lines.insert(20, lines[19])


def repeat_otherwise(lines: list[str], keys: dict[str, Any]) -> None:
    lines.insert(20, lines[19].replace("1", "9", 0) or lines[19])
    lines.insert(25, lines[24])


def more_fields(lines: list[str], keys: dict[str, Any]) -> None:
    lines[15] += cells(lines[15])[1] + "7"


def cut_off(lines: list[str], keys: dict[str, Any]) -> None:
    lines[-1] = lines[-1][: len(lines[-1]) // 2]


def no_time(lines: list[str], keys: dict[str, Any]) -> None:
    lines[15] = with_cell(lines[15], 0, "soon")


def no_number(lines: list[str], keys: dict[str, Any]) -> None:
    lines[15] = with_cell(lines[15], 3, "abc")


def wrong_timeframe(lines: list[str], keys: dict[str, Any]) -> None:
    keys["timeframe"] = "7m"


def wrong_format(lines: list[str], keys: dict[str, Any]) -> None:
    keys["format"] = "binanc"


def another_format(lines: list[str], keys: dict[str, Any]) -> None:
    keys["format"] = "kraken"


def wrong_zone(lines: list[str], keys: dict[str, Any]) -> None:
    keys["timezone"] = "America/NewYork"


def no_zone(lines: list[str], keys: dict[str, Any]) -> None:
    keys["timezone"] = "Wonderland"


def wrong_date_format(lines: list[str], keys: dict[str, Any]) -> None:
    keys["date_format"] = "%d-%b-%Y"


def no_date_format(lines: list[str], keys: dict[str, Any]) -> None:
    keys["date_format"] = "yyyy-mm-dd"


def long_delimiter(lines: list[str], keys: dict[str, Any]) -> None:
    keys["delimiter"] = "comma"


def odd_thousands(lines: list[str], keys: dict[str, Any]) -> None:
    keys["thousands"] = "x"


def bounds_in_the_wrong_order(lines: list[str], keys: dict[str, Any]) -> None:
    keys |= {"start": "2024-01-30", "end": "2024-01-02"}


def odd_bound(lines: list[str], keys: dict[str, Any]) -> None:
    keys["start"] = "long ago"


def words_before(lines: list[str], keys: dict[str, Any]) -> None:
    lines.insert(0, "exported on a Monday")


OF_LINES = (swap, backwards, repeat, repeat_otherwise, more_fields, cut_off, no_time, no_number, words_before)
OF_KEYS = (wrong_timeframe, wrong_format, another_format, wrong_zone, no_zone, wrong_date_format,
           no_date_format, long_delimiter, odd_thousands, bounds_in_the_wrong_order, odd_bound)  # fmt: skip


def spoilt(kind: Kind, *spoils: Spoil) -> Try:
    made = kind.make(kind.rows(ROWS))
    keys: dict[str, Any] = {"timeframe": "1d" if kind.rows(2)[1].time.hour == 0 else "1h", **kind.keys}
    if not kind.text:
        for spoil in spoils:
            spoil([], keys)
        return Try(made if isinstance(made, bytes) else made.encode(), keys)
    lines = (made if isinstance(made, str) else made.decode()).split("\n")[:-1]
    for spoil in spoils:
        spoil(lines, keys)
    return Try("\n".join([*lines, ""]).encode(), keys)


def arrives(path: Path, tried: Try, *, least: int = ROWS - 4) -> list[tuple[str, ...]]:
    trails = []
    for loaded, trail in follow(path, tried):
        assert len(loaded.bars) >= least, "\n".join(trail)
        trails.append(trail)
    assert trails
    return trails


CASES = [
    (name, spoil)
    for name, kind in KINDS.items()
    for spoil in OF_LINES + OF_KEYS
    if (kind.text or spoil in OF_KEYS) and not ("date_format" in kind.keys and "date_format" in spoil.__name__)
]  # a form that only its own key can tell is lost with that key


@pytest.mark.parametrize(("name", "spoil"), CASES, ids=[f"{name}, {spoil.__name__}" for name, spoil in CASES])
def test_hints_lead_to_the_bars_of_each_kind_of_file(name: str, spoil: Spoil, tmp_path: Path) -> None:
    kind = KINDS[name]
    arrives(tmp_path / f"bars{kind.suffix}", spoilt(kind, spoil), least=1 if "bound" in spoil.__name__ else ROWS - 4)


# --- files of one kind, spoilt in ways of their own ---------------------------------------------------------------


def plain(header: str = "timestamp,open,high,low,close,volume", *, mark: str = ",", date: str = "%Y-%m-%d") -> str:
    rows = [mark.join([bar.time.strftime(date), "10", "11", "9", "10.5", "100"]) for bar in KINDS["yahoo"].rows(ROWS)]
    return "\n".join([*([header.replace(",", mark)] if header else []), *rows, ""])


DAILY = {"timeframe": "1d"}


@pytest.mark.parametrize("mark", ["|", "~", "^", " ", ":"])
def test_a_delimiter_that_is_not_known_is_named_by_the_hint(mark: str, tmp_path: Path) -> None:
    arrives(tmp_path / "bars.csv", Try(plain(mark=mark).encode(), DAILY))


@pytest.mark.parametrize("given", [";", "|", "tab"])
def test_a_delimiter_that_is_not_the_files_is_taken_back(given: str, tmp_path: Path) -> None:
    (trail,) = arrives(tmp_path / "bars.csv", Try(plain().encode(), DAILY | {"delimiter": given}))
    assert len(trail) == 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        "timestamp,open,high,low,close,vlume",
        "day,open,high,low,close,volume",
        "timestamp,o1,h1,l1,c1,v1",
        "timestamp,open,high,low,settle,volume",
        "timestamp,open,high,low,clse,volume",
        "Date,First,Max,Min,Last,Turnover volume",
        "p,q,r,s,x,y",
    ],
)
def test_a_header_that_says_other_words_or_none_leads_to_columns(header: str, tmp_path: Path) -> None:
    arrives(tmp_path / "bars.csv", Try(plain(header).encode(), DAILY))


@pytest.mark.parametrize("header", ["timestamp,open,high,low,close,close", "time,open,high,low,close,c"])
def test_several_columns_for_one_are_told_apart(header: str, tmp_path: Path) -> None:
    arrives(tmp_path / "bars.csv", Try(plain(header).encode(), DAILY))


@pytest.mark.parametrize(
    ("columns", "steps"),
    [
        ({"clos": "close"}, 1),
        ({"close": "clsoe"}, 1),
        ({"close": 9}, 1),
        ({"close": 0}, 1),
        ({"time": "timestamp"}, 2),
        ({"timestamp": "timestamp", "date": "timestamp"}, 1),
    ],
)
def test_columns_that_are_not_there_lead_back(columns: dict[str, Any], steps: int, tmp_path: Path) -> None:
    for trail in arrives(tmp_path / "bars.csv", Try(plain().encode(), DAILY | {"columns": columns})):
        assert len(trail) <= steps


def test_dates_of_which_day_and_month_can_be_changed_over_are_settled(tmp_path: Path) -> None:
    rows = [f"{month:02}/{day:02}/2024,10,11,9,10.5,100" for month in (1, 2, 3, 4) for day in range(1, 11)]
    data = "\n".join(["timestamp,open,high,low,close,volume", *rows, ""]).encode()
    trails = arrives(tmp_path / "bars.csv", Try(data, DAILY))
    assert {trail[0].count("date_format") for trail in trails} == {2}


@pytest.mark.parametrize(
    "keys",
    [{"decimal": ","}, {"thousands": "."}, {"decimal": ",", "thousands": "."}, {"decimal": ".", "thousands": "."},
     {"date_format": "ms"}, {"date_format": "%d/%m/%y"}, {"date_format": "%Q"}, {"date_format": "%m/%d/%Y %I:%M %p"},
     {"format": "mt5"}, {"format": "yfinance"}, {"format": "zzzz"}, {"timezone": "Mars"}, {"adjust": "Adj Close"},
     {"start": "2030-01-01"}, {"end": "1990-01-01"}, {"start": "2024-13-45"}, {"timeframe": "1h"},
     {"timeframe": "3d"}],
)  # fmt: skip
def test_keys_that_do_not_fit_the_file_lead_back(keys: dict[str, Any], tmp_path: Path) -> None:
    arrives(tmp_path / "bars.csv", Try(plain().encode(), DAILY | keys), least=1)


@pytest.mark.parametrize(
    "cell",
    ["", "None", "-5", "0", "inf", "1e400", "n/a", "--", "10.5.1", "1,000,0"],
)
def test_cells_that_are_no_price_lead_to_the_bars(cell: str, tmp_path: Path) -> None:
    data = plain().replace("2024-01-10,10,", f'2024-01-10,"{cell}",').encode()
    arrives(tmp_path / "bars.csv", Try(data, DAILY))


def test_the_test_can_fail() -> None:
    assert list(acts("it is broken\n  hint: ", Try(b"", {}))) == []
    assert list(acts("row 9 is broken\n  hint: mend row 9", Try(b"a\nb", {}))) == []
