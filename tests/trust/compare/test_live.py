"""A run against what was traded: pairs, gaps, and a difference in profit whose parts sum to the whole.

Most lists are made of the run's own trades, each moved in a known way, so that what must come out is known.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peak_trade.errors import InputError
from peak_trade.market.lists import Listed
from peak_trade.market.lists.fills import Trip
from peak_trade.trust import difference, live
from peak_trade.trust.live.gaps import PARTS, pair
from peak_trade.trust.live.matching import matched

Evidence = Any  # of conftest.py, which cannot be imported
ROOT = Path(__file__).resolve().parents[3]
HOUR = 3600 * 10**9


def trips_of(made: Evidence, name: str = "base") -> list[Trip]:
    trades = difference.read(made.path(name)).trades
    times = [getattr(trades, f"{end}_time").astype("M8[ns]").view(np.int64) for end in ("entry", "exit")]
    columns = (trades.side, times[0], trades.entry_price, times[1], trades.exit_price, trades.quantity,
               trades.entry_fee, trades.exit_fee, trades.pnl)  # fmt: skip
    return [Trip(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def moved(trip: Trip, **changes: float) -> Trip:
    """Return a trade with other values, and the profit that they make."""
    values = {name: getattr(trip, name) for name in Trip.__struct_fields__} | changes
    if "pnl" not in changes:
        gross = values["side"] * values["quantity"] * (values["exit_price"] - values["entry_price"])
        values["pnl"] = gross - values["entry_fee"] - values["exit_fee"]
    return Trip(**values)  # type: ignore[arg-type]


def compared(made: Evidence, trips: list[Trip], **options: Any) -> live.Against:
    listed = Listed("fills", "TEST", sorted(trips, key=lambda trip: trip.entry_time), [])
    return live.against(difference.read(made.path("base")), listed, **options)


def parts(found: live.Against) -> dict[str, float]:
    """Return what explains something."""
    return {name: value for name, value in found.parts.items() if abs(value) > 1e-9}


def test_the_run_s_own_trades_differ_in_nothing(made: Evidence) -> None:
    found = compared(made, trips_of(made))
    assert (len(found.pairs), found.missing, found.extra, found.same) == (3, [], [], True)
    assert found.difference == 0.0 and parts(found) == {}


@pytest.mark.parametrize(
    ("changes", "part", "gap", "size"),
    [
        ({"entry_price": 1.0}, "entry_price", "entry_price", -1),
        ({"exit_price": 1.0}, "exit_price", "exit_price", 1),
        ({"exit_fee": 2.5}, "fees", "fees", -1),
    ],
)
def test_one_gap_explains_all_of_the_difference(
    made: Evidence, changes: dict[str, float], part: str, gap: str, size: int
) -> None:
    trips = trips_of(made)
    (name, by), units = next(iter(changes.items())), trips[0].quantity
    found = compared(made, [moved(trips[0], **{name: getattr(trips[0], name) + by}), *trips[1:]])
    money = size * by * (1.0 if part == "fees" else units)  # a long trade: a dearer entry costs, a dearer exit earns
    assert parts(found) == {part: pytest.approx(money)}
    assert found.difference == pytest.approx(money)
    assert np.sign(found.gaps()[gap]["worst"]) == -np.sign(money)  # worse is positive
    assert not found.same


def test_what_another_time_did_is_told_apart_from_the_price(made: Evidence) -> None:
    first, *rest = trips_of(made)
    # entered an hour later, where the market's price is 3 higher, and filled half a unit better than that
    late = moved(first, entry_time=first.entry_time + HOUR, entry_price=first.entry_price + 2.5)
    found = compared(made, [late, *rest], price=lambda time: 100.0 + 3.0 * (time > first.entry_time))
    assert parts(found) == {
        "entry_timing": pytest.approx(-3.0 * first.quantity), "entry_price": pytest.approx(0.5 * first.quantity),
    }  # fmt: skip
    assert found.gaps()["entry_time"]["worst"] == 3600.0


def test_financing_is_what_is_left(made: Evidence) -> None:
    first, *rest = trips_of(made)
    found = compared(made, [moved(first, pnl=first.pnl - 7.0), *rest])
    assert parts(found) == {"other": pytest.approx(-7.0)}


def test_missing_and_extra_trades_count_with_their_whole_profit(made: Evidence) -> None:
    first, second, third = trips_of(made)
    odd = moved(second, side=-1)
    found = compared(made, [first, odd, third])
    assert (found.missing, found.extra) == ([second], [odd])
    assert parts(found) == {"missing": pytest.approx(-second.pnl), "extra": pytest.approx(odd.pnl)}


def test_the_size_of_the_account_is_taken_out_where_that_is_asked_for(made: Evidence) -> None:
    tenth = [
        moved(t, quantity=t.quantity / 10, entry_fee=t.entry_fee / 10, exit_fee=t.exit_fee / 10) for t in trips_of(made)
    ]
    found = compared(made, tenth)
    assert "sizes are 0.1 times the run's in the median: --scale auto takes that out" in found.said
    assert set(parts(found)) == {"size", "fees"}
    assert compared(made, tenth, scale=None).difference == pytest.approx(0.0, abs=1e-9)
    assert parts(compared(made, tenth, scale=0.1)) == {}


def test_lots_of_one_entry_are_one_trade_where_only_one_side_tells_them_apart(made: Evidence) -> None:
    first, *rest = trips_of(made)
    half = {"quantity": first.quantity / 2, "entry_fee": first.entry_fee / 2, "exit_fee": first.exit_fee / 2}
    lots = [moved(first, **half), moved(first, **half, exit_time=first.exit_time - HOUR)]
    found = compared(made, [*lots, *rest])
    assert (len(found.pairs), found.extra, parts(found)) == (3, [], {})
    assert "lots of one entry are one trade: 4 of the list are 3" in found.said


def test_trades_beyond_the_time_of_both_are_no_difference(made: Evidence) -> None:
    _, second, third = trips_of(made)
    found = compared(made, [second, third])
    assert (len(found.pairs), found.missing, found.outside) == (2, [], (1, 0))
    whole = compared(made, [second, third], start=0)
    assert (len(whole.missing), whole.outside) == (1, (0, 0))


def test_a_clock_that_is_off_is_noticed(made: Evidence) -> None:
    late = [
        moved(t, entry_time=t.entry_time + 2 * HOUR, exit_time=t.exit_time + 2 * HOUR, pnl=t.pnl)
        for t in trips_of(made)
    ]
    (said,) = compared(made, late).said
    assert said.startswith("with the list's times 2 h earlier, 3 trades would match in place of 0: --timezone")


def test_lists_of_another_time_are_refused(made: Evidence) -> None:
    years = 10 * 365 * 24 * HOUR
    away = [moved(t, entry_time=t.entry_time + years, exit_time=t.exit_time + years) for t in trips_of(made)]
    with pytest.raises(InputError, match="have no time in common"):
        compared(made, away)


amounts = st.floats(0.01, 1e6)
trades = st.builds(
    Trip, st.sampled_from([1, -1]), st.integers(0, 10**18), amounts, st.integers(0, 10**18), amounts, amounts,
    st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e9, 1e9),
)  # fmt: skip


@given(trades, trades, st.booleans())
def test_the_parts_sum_to_the_difference_in_profit(a: Trip, b: Trip, timed: bool) -> None:
    found = pair(a, b, (lambda time: 100.0 + time % 1_000) if timed else None)
    assert set(found.parts) == set(PARTS) - {"missing", "extra"}
    scale = max(abs(part) for part in found.parts.values())
    assert math.fsum(found.parts.values()) == pytest.approx(b.pnl - a.pnl, abs=1e-9 * max(scale, 1.0))


@given(st.lists(trades, max_size=12), st.lists(trades, max_size=12), st.integers(1, 10**9))
def test_a_trade_is_in_one_pair_at_most_and_none_is_too_far_away(a: list[Trip], b: list[Trip], within: int) -> None:
    found = matched(a, b, within)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    for i, j in found:
        assert a[i].side == b[j].side and abs(a[i].entry_time - b[j].entry_time) <= within * 10**9


# --- as an operator does it ---------------------------------------------------------------------------------------


def just_compare(made: Evidence, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/compare_runs.py", "--results-dir", str(made.results), made.runs["base"], *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def fills_csv(made: Evidence, path: Path, slip: float) -> Path:
    """Write the run's trades as an exchange would: each fill `slip` worse than the run's price, fees of 10 bps."""
    fills = []
    for trip in trips_of(made):
        for time, side, price in (
            (trip.entry_time, trip.side, trip.entry_price), (trip.exit_time, -trip.side, trip.exit_price),
        ):  # fmt: skip
            price *= 1 + side * slip
            fills.append(
                (time + 5 * 10**9, "BUY" if side > 0 else "SELL", price, trip.quantity, price * trip.quantity / 1e3)
            )
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Date(UTC)", "Pair", "Side", "Price", "Executed", "Amount", "Fee"])
        for time, side, price, units, fee in sorted(fills):
            stamp = str(np.datetime64(time, "ns").astype("M8[s]")).replace("T", " ")
            rows.writerow([stamp, "TEST", side, repr(price), f"{units!r}BASE", f"{price * units!r}USD", repr(fee)])
    return path


def test_an_exchange_s_fills_on_one_screen(made: Evidence, tmp_path: Path) -> None:
    done = just_compare(made, "--live", str(fills_csv(made, tmp_path / "fills.csv", 0.0005)), "--exit-code")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert "note: read as Binance: spot trade history" in lines
    assert any(line.startswith("3 matched, 0 missing") for line in lines)
    (gap,) = [line.split() for line in lines if line.startswith("entry price")]
    assert gap[-6:] == ["+5.0", "bps"] * 3
    assert len(lines) < 30


def test_json_of_it_sums_too_and_the_bars_tell_timing(made: Evidence, tmp_path: Path) -> None:
    done = just_compare(made, "--live", str(fills_csv(made, tmp_path / "fills.csv", 0.0005)), "--json")
    told = json.loads(done.stdout)
    known = [part for part in told["parts"].values() if part is not None]
    assert math.fsum(known) == pytest.approx(told["profit"]["difference"], abs=1e-9)
    assert told["parts"]["entry_price"] < 0 and told["parts"]["fees"] == pytest.approx(0, abs=0.05)
    assert told["matched"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--live", "nowhere.csv"], "cannot read nowhere.csv: no such file or directory"),
        (["--within", "2h"], "--within goes with --live"),
        (["--live", "{list}", "--scale", "-1"], "--scale takes a number above 0, or auto, not '-1'"),
        (["--live", "{list}", "--start", "soon"], "--start takes a time in UTC, not 'soon'"),
        (["--live", "{list}", "--form", "krakne"], "no list is called 'krakne'"),
        (["last", "--live", "{list}"], "--live takes one run"),
    ],
)
def test_what_is_wrong_is_said_with_exit_2(made: Evidence, tmp_path: Path, words: list[str], message: str) -> None:
    path = str(fills_csv(made, tmp_path / "fills.csv", 0.0))
    done = just_compare(made, *(word.replace("{list}", path) for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}\nhint: ")
