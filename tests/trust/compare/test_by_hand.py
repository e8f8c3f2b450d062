"""A run against lists whose differences are worked out by hand, in fractions: each part, and that they are the whole.

The run: long 2 from 100 at 10:00 to 110 at 15:00, short 1 from 120 at 20:00 to 108 at 02:00; fees of 0.1 %.
Profits: 2 × 10 − 0.2 − 0.22 = 19.58, and 1 × 12 − 0.12 − 0.108 = 11.772, so 31.352 in all.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_trade.market.lists import Listed, read_list
from peak_trade.market.lists.fills import Fill, Trip, closed
from peak_trade.trust import live
from peak_trade.trust.live.gaps import PARTS

HOUR = 3600 * 10**9
DAY = int(np.datetime64("2024-03-01", "ns").astype(np.int64))
RUN = (
    Trip(1, DAY + 10 * HOUR, 100.0, DAY + 15 * HOUR, 110.0, 2.0, 0.2, 0.22, 19.58),
    Trip(-1, DAY + 20 * HOUR, 120.0, DAY + 26 * HOUR, 108.0, 1.0, 0.12, 0.108, 11.772),
)
WHOLE = Fraction("31.352")
HEAD = "time,symbol,side,price,quantity,fee,fee_currency\n"
FOUR = (
    "2024-03-01T10:00Z,BTC/USDT,buy,100,2,0.2,USDT",
    "2024-03-01T15:00Z,BTC/USDT,sell,110,2,0.22,USDT",
    "2024-03-01T20:00Z,BTC/USDT,sell,120,1,0.12,USDT",
    "2024-03-02T02:00Z,BTC/USDT,buy,108,1,0.108,USDT",
)
MARKET = {0: 99, 10: 100, 11: 101, 12: 103, 15: 110, 16: 111, 20: 120, 26: 108}  # opens by the hour


class Trades(SimpleNamespace):
    """Columns of trades, as a sealed run's."""

    def __len__(self) -> int:
        return len(self.side)


def run_of(trips: Any = RUN) -> Any:
    columns: Any = list(zip(*((t.side, t.entry_time, t.exit_time, t.entry_price, t.exit_price, t.quantity,
                               t.entry_fee, t.exit_fee, t.pnl) for t in trips), strict=True))  # fmt: skip
    names = ("side", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "entry_fee", "exit_fee", "pnl")
    arrays: dict[str, Any] = {name: np.array(column) for name, column in zip(names, columns, strict=True)}
    for name in ("entry_time", "exit_time"):
        arrays[name] = arrays[name].view("M8[ns]")
    times = (DAY + np.arange(48) * HOUR).view("M8[ns]")
    return SimpleNamespace(
        completed=True, name="run", run_id="run", config={"data": {"timeframe": "1h", "symbol": "BTC/USDT"}},
        equity={"timestamp": times}, trades=Trades(**arrays),
    )  # fmt: skip


def market(time: int) -> float:
    """Return the open of the bar that a time lies in; where nothing is said, the one before."""
    hour = (time - DAY) // HOUR
    return float(MARKET[max(known for known in MARKET if known <= hour)])


def compared(tmp_path: Path, rows: Any, head: str = HEAD, timed: bool = False, **options: Any) -> live.Against:
    path = tmp_path / "list.csv"
    path.write_text(head + "\n".join(rows) + "\n")
    listed = read_list(path, "BTC/USDT", together=1800.0)
    return live.against(run_of(), listed, market if timed else None, start=0, end=DAY + 100 * HOUR, **options)


def checked(found: live.Against, live_profit: str, **parts: str) -> None:
    """Hold parts against those worked out by hand, all others against nothing, and the sum against the whole."""
    wanted = {name: Fraction(parts.get(name, "0")) for name in PARTS}
    assert sum(wanted.values()) == Fraction(live_profit) - WHOLE  # of the hand's own work
    assert found.profit[1] == pytest.approx(float(Fraction(live_profit)), abs=1e-9)
    assert found.parts == pytest.approx({name: float(value) for name, value in wanted.items()}, abs=1e-9)
    assert math.fsum(found.parts.values()) == pytest.approx(found.difference, abs=1e-12)


def test_the_same_trades_differ_in_nothing(tmp_path: Path) -> None:
    checked(compared(tmp_path, FOUR), "31.352")


def test_rows_in_any_order_and_the_newest_first(tmp_path: Path) -> None:
    rows = list(FOUR)
    random.Random(7).shuffle(rows)
    checked(compared(tmp_path, rows), "31.352")
    # in one second the position turns: of a list with the newest first, the buy that closes stands below
    head = "time,symbol,side,price,quantity,fee\n"
    turned = ["2024-03-01T16:00:00Z,BTC/USDT,sell,109,1,0", "2024-03-01T16:00:00Z,BTC/USDT,buy,108,1,0",
              "2024-03-01T10:00:00Z,BTC/USDT,sell,110,1,0"]  # fmt: skip
    path = tmp_path / "turned.csv"
    path.write_text(head + "\n".join(turned))
    (trip,) = read_list(path, "BTC/USDT").trips
    assert (trip.side, trip.entry_price, trip.exit_price) == (-1, 110.0, 108.0)


def test_a_trade_in_three_parts_two_of_them_bars_later(tmp_path: Path) -> None:
    # 0.5 at 100, 0.5 at 102 an hour later, 1 at 104 two hours later: 102.5 on average; the exit in two, 109 and 111
    rows = ["2024-03-01T10:00Z,BTC/USDT,buy,100,0.5,0,USDT", "2024-03-01T11:00Z,BTC/USDT,buy,102,0.5,0,USDT",
            "2024-03-01T12:00Z,BTC/USDT,buy,104,1,0,USDT", "2024-03-01T15:00Z,BTC/USDT,sell,109,1.5,0,USDT",
            "2024-03-01T16:00Z,BTC/USDT,sell,111,0.5,0,USDT", *FOUR[2:]]  # fmt: skip
    # out at (1.5 × 109 + 0.5 × 111) / 2 = 109.5: 2 × 7 = 14, and 11.772 of the short
    found = compared(tmp_path, rows)
    checked(found, "25.772", entry_price="-5", exit_price="-1", fees="0.42")
    assert (len(found.pairs), found.missing, found.extra) == (2, [], [])
    # the market rose by (0.5 × 1 + 1 × 3) / 2 = 1.75 until the parts came, and by (0.5 × 1) / 2 = 0.25 at the end
    timed = compared(tmp_path, rows, timed=True)
    checked(timed, "25.772", entry_timing="-3.5", entry_price="-1.5", exit_timing="0.5", exit_price="-1.5", fees="0.42")


def test_lots_of_the_run_against_one_trade(tmp_path: Path) -> None:
    halves = [
        Trip(1, DAY + 10 * HOUR, 100.0, DAY + 15 * HOUR, 110.0, 1.0, 0.1, 0.11, 9.79),
        Trip(1, DAY + 12 * HOUR, 103.0, DAY + 15 * HOUR, 110.0, 1.0, 0.103, 0.11, 6.787),
    ]
    path = tmp_path / "list.csv"
    path.write_text(HEAD + "\n".join(FOUR[:2]))
    found = live.against(run_of(halves), read_list(path, "BTC/USDT"), start=0)
    # the run entered at 101.5 on average: the list's 100 earned 3 more, and its fees are 0.42 against 0.423
    assert found.profit == pytest.approx((16.577, 19.58))
    assert found.parts["entry_price"] == pytest.approx(3.0) and found.parts["fees"] == pytest.approx(0.003)
    assert (found.missing, found.extra) == ([], [])


def test_a_trade_more_is_extra_and_no_part_of_another(tmp_path: Path) -> None:
    rows = [FOUR[0], "2024-03-01T12:00Z,BTC/USDT,buy,103,2,0,USDT", "2024-03-01T15:00Z,BTC/USDT,sell,110,4,0.44,USDT",
            *FOUR[2:]]  # fmt: skip
    # the first lot as in the run; 2 × 7 − 0.22 = 13.78 more
    found = compared(tmp_path, rows)
    checked(found, "45.132", extra="13.78")


def test_a_fee_in_the_base_currency_closes_with_what_is_left(tmp_path: Path) -> None:
    # 2 bought, 0.002 of them the fee, 1.998 sold at 110: −200 + 219.78 − 0.21978 = 19.56022
    rows = [
        FOUR[0].replace("0.2,USDT", "0.002,BTC"),
        "2024-03-01T15:00Z,BTC/USDT,sell,110,1.998,0.21978,USDT",
        *FOUR[2:],
    ]
    found = compared(tmp_path, rows)
    # size: −0.002 × 10; fees: 0.42 − (0.2 + 0.21978)
    checked(found, str(Fraction("19.56022") + Fraction("11.772")), size="-0.02", fees="0.00022")
    assert not any("not closed" in text or "left over" in text for text in found.said)


def test_a_fee_in_the_base_currency_shifts_no_later_trade() -> None:
    fills = []
    for n in range(50):
        fills += [
            Fill(2 * n * HOUR, 1, 100.0, 1.0, 0.1, spent=0.001),
            Fill((2 * n + 1) * HOUR, -1, 110.0, 0.999, 0.10989),
        ]
    found = closed(fills)
    assert [(trip.entry_time, trip.exit_time) for trip in found.trips] == [
        (2 * n * HOUR, (2 * n + 1) * HOUR) for n in range(50)
    ]
    assert (found.open, found.remains) == ([], 0)
    # each: −100 + 109.89 − 0.10989
    assert math.fsum(trip.pnl for trip in found.trips) == pytest.approx(50 * 9.78011)


def test_sizes_in_steps_leave_something_over_that_shifts_no_later_trade(tmp_path: Path) -> None:
    rows = [FOUR[0], "2024-03-01T15:00Z,BTC/USDT,sell,110,1.99,0.2189,USDT",
            "2024-03-01T20:00Z,BTC/USDT,buy,120,1,0,USDT",
            "2024-03-02T02:00Z,BTC/USDT,sell,108,0.99,0,USDT"]  # fmt: skip
    found = compared(tmp_path, rows)
    assert [(one.b.quantity, one.b.exit_time) for one in found.pairs] == [(1.99, DAY + 15 * HOUR)]
    assert [(one.quantity, one.entry_time) for one in found.extra] == [(0.99, DAY + 20 * HOUR)]
    assert "0.02 that was left over of trades was not sold: left out" in found.said
    # 1.99 × 10 − 0.2 × 0.995 − 0.2189 = 19.4821, 0.99 × −12 = −11.88; of the run's 11.772 none was made
    checked(found, "7.6021", size="-0.1", fees="0.0021", extra="-11.88", missing="-11.772")


@pytest.mark.parametrize("head", ["fee", "fee_rate"])
def test_fees_in_percent(tmp_path: Path, head: str) -> None:
    fee = "0.2%" if head == "fee" else "0.002"
    rows = [",".join([*row.split(",")[:5], fee]) for row in FOUR]
    # twice the run's
    checked(compared(tmp_path, rows, f"time,symbol,side,price,quantity,{head}\n"), "30.704", fees="-0.648")


def test_another_clock_is_found_and_put_right(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [
        row.replace("Z,", ",").replace("T10", "T05").replace("T15", "T10").replace("T20", "T15") for row in FOUR[:3]
    ]
    rows.append(FOUR[3].replace("-02T02", "-01T21").replace("Z,", ","))
    path.write_text(HEAD + "\n".join(rows))
    found = live.against(run_of(), read_list(path, "BTC/USDT", zone="America/New_York"), start=0)
    checked(found, "31.352")
    wrong = live.against(run_of(), read_list(path, "BTC/USDT"), start=0)
    assert any("with the list's times 5 h later, 2 trades would match" in text for text in wrong.said)


def test_the_opposite_side_is_one_missing_and_one_extra(tmp_path: Path) -> None:
    rows = [FOUR[0].replace("buy", "sell"), FOUR[1].replace("sell", "buy"), *FOUR[2:]]
    # −2 × 10 − 0.42
    checked(compared(tmp_path, rows), "-8.648", missing="-19.58", extra="-20.42")


def test_what_is_open_in_the_list_is_no_trade_that_was_not_made(tmp_path: Path) -> None:
    found = compared(tmp_path, FOUR[:3])
    assert (len(found.pairs), found.missing, found.extra) == (1, [], [])
    assert found.difference == pytest.approx(0.0)
    assert "1 trade of the run not closed yet in the list: left out" in found.said
    # of a list that has it not at all, it is missing
    checked(compared(tmp_path, FOUR[:2]), "19.58", missing="-11.772")


def test_several_symbols_and_rows_that_come_again(tmp_path: Path) -> None:
    head = "trade id," + HEAD
    rows = [f"{n},{row}" for n, row in enumerate(FOUR)]
    other = [f"{n + 10},{row.replace('BTC', 'ETH')}" for n, row in enumerate(FOUR)]
    found = compared(tmp_path, [*rows, *other, *rows[1:3]], head)
    checked(found, "31.352")
    assert {"4 rows of other symbols: left out", "2 rows that came again: left out"} <= set(found.said)
    # without a number, two fills that look the same are two
    twice = compared(tmp_path, [*FOUR[:2], *FOUR[:2], *FOUR[2:]])
    checked(twice, str(Fraction("11.772") + 2 * Fraction("19.58")), size="20", fees="-0.42")


def test_funding_is_what_prices_and_fees_do_not_make(tmp_path: Path) -> None:
    rows = ["long,2024-03-01T10:00Z,100,2024-03-01T15:00Z,110,2,0.42,17.08",
            "short,2024-03-01T20:00Z,120,2024-03-02T02:00Z,108,1,0.228,11.772"]  # fmt: skip
    head = "side,entry_time,entry_price,exit_time,exit_price,quantity,fee,pnl\n"
    checked(compared(tmp_path, rows, head), "28.852", other="-2.5")


def test_all_at_once(tmp_path: Path) -> None:
    rows = ["2024-03-01T10:10Z,BTC/USDT,buy,101,3,0.606,USDT", "2024-03-01T16:00Z,BTC/USDT,sell,110.5,3,0.663,USDT",
            "2024-03-01T20:00Z,BTC/USDT,sell,119,1,0,USDT", "2024-03-02T02:00Z,BTC/USDT,buy,109,1,0,USDT"]  # fmt: skip
    # 3 × 9.5 − 1.269 = 27.231 and 10; in: −3 × 1 and −1 × 1; out: 3 × 0.5 and −1, of which 3 × 1 is the market's
    found = compared(tmp_path, rows, timed=True)
    checked(found, "37.231", size="10", entry_price="-4", exit_timing="3", exit_price="-2.5", fees="-0.621")


prices = st.floats(1.0, 1e5)
trips = st.builds(
    lambda side, entry, held, a, b, units, fee, pnl: Trip(
        side, DAY + entry, a, DAY + entry + held, b, units, fee, fee, pnl
    ),
    st.sampled_from([1, -1]), st.integers(0, 40 * HOUR), st.integers(0, 9 * HOUR), prices, prices,
    st.floats(1e-6, 1e4), st.floats(-1.0, 100.0), st.floats(-1e6, 1e6),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.lists(trips, min_size=1, max_size=14), st.lists(trips, min_size=1, max_size=14),
    st.sampled_from([1.0, 0.3, None]), st.booleans(),
)  # fmt: skip
def test_whatever_the_trades_the_parts_are_the_whole(
    a: list[Trip], b: list[Trip], scale: float | None, timed: bool
) -> None:
    listed = Listed("fills", "TEST", sorted(b, key=lambda trip: trip.entry_time), [])
    found = live.against(run_of(a), listed, market if timed else None, scale=scale, start=0, end=DAY + 99 * HOUR)
    size = math.fsum(abs(part) for part in found.parts.values()) + 1.0
    assert math.fsum(found.parts.values()) == pytest.approx(found.difference, abs=1e-15 * size, rel=0)
    # every trade is counted, once: in a pair, missing, or extra
    for trades, profit, rest, which in (
        (a, found.profit[0], found.missing, "a"),
        (b, found.profit[1], found.extra, "b"),
    ):
        units = [getattr(one, which).quantity for one in found.pairs] + [trip.quantity for trip in rest]
        share = found.scale if which == "a" else 1.0
        assert math.fsum(units) == pytest.approx(share * math.fsum(trip.quantity for trip in trades), rel=1e-9)
        assert profit == pytest.approx(share * math.fsum(trip.pnl for trip in trades), rel=1e-9, abs=1e-6)


def test_a_screen_has_80_columns_and_the_digits_that_a_dear_currency_needs(tmp_path: Path) -> None:
    def small(trip: Trip) -> Trip:
        values = [getattr(trip, name) * 1e-6 for name in ("quantity", "entry_fee", "exit_fee", "pnl")]
        return Trip(trip.side, trip.entry_time, trip.entry_price, trip.exit_time, trip.exit_price, *values)

    made = [
        Trip(t.side, t.entry_time, t.entry_price + 1, t.exit_time, t.exit_price, t.quantity, t.entry_fee, t.exit_fee,
             t.pnl - t.side * t.quantity) for t in map(small, RUN)
    ]  # fmt: skip
    found = live.against(run_of([small(t) for t in RUN]), Listed("fills", "ETH/BTC", made, ["x" * 70 + " yes " * 9]))
    text = live.as_text(found)
    assert found.digits == 7 and "0.0000314" in text and "-0.0000010" in text
    assert "rounding" not in text and "-0.0000000" not in text
    assert max(map(len, text.splitlines())) <= 80
