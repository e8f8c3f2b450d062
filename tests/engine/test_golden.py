"""Golden tests of the engine: each docstring holds the bars, the expected outcome and the arithmetic between them.

The first table gives the bars (one `price` where all four are the same), the target decided at each close, and right
of the line the equity and the signed units at that close. The second table gives the closed trades; times are
bar numbers. A cell may be a fraction such as 1000/3. Everything in the tables is compared, to 1e-12, and a test without
a table of trades says that nothing is traded. Where not said otherwise the account starts with 1000.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from peak_trade.config import Execution, Sizing, Stops
from peak_trade.engine import Result, run
from peak_trade.errors import RunError
from peak_trade.market.bars import Bars
from peak_trade.market.trades import EXIT_REASONS, SIDES

Play = Callable[..., Result]
WORDS = {
    "side": {word: number for number, word in SIDES.items()},
    "exit_reason": {word: number for number, word in enumerate(EXIT_REASONS)},
}
NO_STOPS, ALL_IN = Stops(), Sizing()


def tables(text: str) -> list[dict[str, list[str]]]:
    """Return the tables in `text`, each as columns of words: a head of words that starts with `bar` or `side`."""
    found: list[dict[str, list[str]]] = []
    names: list[str] = []
    for line in text.splitlines():
        words = line.replace("|", " ").split()
        if words[:1] in (["bar"], ["side"]):
            names = words
            found.append({name: [] for name in names})
        elif names and len(words) == len(names):
            for name, word in zip(names, words, strict=True):
                found[-1][name].append(word)
        else:
            names = []
    return found


def numbers(words: list[str], name: str = "") -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([WORDS[name][word] if name in WORDS else float(Fraction(word)) for word in words], dtype=np.float64)


def bars_in(table: dict[str, list[str]]) -> Bars:
    """Daily bars; a column `day` overrides the days since the first."""
    days = numbers(table.get("day", table["bar"])).astype(np.int64)
    time = np.datetime64("2024-01-01", "ns") + days * np.timedelta64(1, "D")
    names = ("price",) * 4 if "price" in table else ("open", "high", "low", "close")
    open_, high, low, close = (numbers(table[name]) for name in names)
    return Bars(time, open_, high, low, close, np.ones(len(days)), "TEST", "1d")


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Play:
    """Run the table in the test's docstring and hold the outcome against it."""
    table, *rest = tables(request.function.__doc__)

    def run_it(stops: Stops = NO_STOPS, sizing: Sizing = ALL_IN, **execution: float | bool) -> Result:
        bars = bars_in(table)
        result = run(
            bars,
            numbers(table["target"]),
            execution=Execution(**{"initial_cash": 1000.0, **execution}),  # type: ignore[arg-type]
            sizing=sizing,
            stops=stops,
        )
        np.testing.assert_allclose(result.equity, numbers(table["equity"]), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(result.position, numbers(table["units"]), rtol=1e-12, atol=1e-12)
        (trades,) = rest or [{"side": []}]
        assert len(result.trades) == len(trades["side"])
        for name, words in trades.items():
            column = getattr(result.trades, "return_" if name == "return" else name)
            if name.endswith("_time"):
                assert column.tolist() == bars.timestamp[numbers(words).astype(np.int64)].tolist(), name
            else:
                np.testing.assert_allclose(column, numbers(words, name), rtol=1e-12, atol=1e-9, err_msg=name)
        return result

    return run_it


# --- fills ----------------------------------------------------------------------------------------------------------


def test_a_long_that_rises_earns(play: Play) -> None:
    """Decided at the close of bar 0, bought at the open of bar 1: 1000 / 100 = 10 units.

    Decided at the close of bar 2, sold at the open of bar 3: 10 * 130 = 1300, so pnl 300 on a notional of 1000.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   115    95    110       1 |   1100     10
    2     110   125   105    120       0 |   1200     10
    3     130   135   125    125       0 |   1300      0

    side  entry_time  entry_price  exit_time  exit_price  quantity  pnl  return  bars_held  exit_reason
    long           1          100          3         130        10  300     0.3          2  signal
    """
    play()


def test_a_short_that_falls_earns(play: Play) -> None:
    """10 units sold at 100 make the cash 2000; at 70 they cost 700 to buy back: 1300 are left.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    85     90      -1 |   1100    -10
    2      90    95    75     80       0 |   1200    -10
    3      70    75    65     65       0 |   1300      0

    side   entry_time  entry_price  exit_time  exit_price  quantity  pnl  return  bars_held  exit_reason
    short           1          100          3          70        10  300     0.3          2  signal
    """
    play(allow_short=True)


def test_a_short_that_rises_loses(play: Play) -> None:
    """10 units sold at 100 make the cash 2000; at 130 they cost 1300 to buy back: 700 are left.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100       0 |   1000    -10
    2      130       0 |    700      0

    side   entry_time  entry_price  exit_time  exit_price  quantity   pnl  return  exit_reason
    short           1          100          2         130        10  -300    -0.3  signal
    """
    play(allow_short=True)


def test_a_reversal_closes_and_opens_at_the_same_open(play: Play) -> None:
    """10 bought at 100, sold at 120: 1200. At the same open 1200 / 120 = 10 sold short: cash 2400.

    Marked at 100: 2400 - 1000 = 1400, at 90: 1500. Bought back at 80: 2400 - 800 = 1600.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   110   100    110      -1 |   1100     10
    2     120   125    95    100      -1 |   1400    -10
    3     100   105    90     90       0 |   1500    -10
    4      80    80    80     80       0 |   1600      0

    side   entry_time  entry_price  exit_time  exit_price  quantity  pnl  bars_held  exit_reason
    long            1          100          2         120        10  200          1  signal
    short           2          120          4          80        10  400          2  signal
    """
    play(allow_short=True)


def test_each_of_several_reversals_closes_and_opens(play: Play) -> None:
    """10 bought at 100, sold at 110: 1100, a short of 10 there. At 100 it has 1200: 12 bought, sold at 150 for 1800.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100      -1 |   1000     10
    2      110       1 |   1100    -10
    3      100       0 |   1200     12
    4      150       0 |   1800      0

    side   entry_time  exit_time  quantity  pnl  exit_reason
    long            1          2        10  100  signal
    short           2          3        10  100  signal
    long            3          4        12  600  signal
    """
    play(allow_short=True)


def test_a_short_that_a_reversal_opened_is_one_position_when_it_grows(play: Play) -> None:
    """5 bought at 100 and turned into a short of 5 there. At 50 the equity is 1250, all-in is 25, so 20 more are sold.

    At 60 it has 1000; all 25 are bought at 40: 1500.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100    -0.5 |   1000      5
    2      100      -1 |   1000     -5
    3       50      -1 |   1250    -25
    4       60       0 |   1000    -25
    5       40       0 |   1500      0

    side   entry_time  exit_time  quantity   pnl  exit_reason
    long            1          2         5     0  signal
    short           2          5         5   300  signal
    short           3          5        20   200  signal
    """
    play(Stops(stop_loss=0.2), allow_short=True)


def test_a_reversal_pays_the_fee_for_closing_and_for_opening(play: Play) -> None:
    """Fee 1 %. 1010 buy 10 at 100 (fee 10). Sold at 101: 1010 - 10.10 = 999.90 are left.

    Short all-in at 101: q * 101 = 999.90 - 1.01 * q, so q = 999.90 / 102.01, and 101 * q is the equity after the fee.
    999.90 / 102.01 = 99990 / 10201 = 990 / 101, so equity 990. The last close of 101 costs 1 % of 990: 980.10.

    bar  price  target | equity    units
    0      100       1 |   1010        0
    1      100      -1 |   1000       10
    2      101      -1 |    990 -990/101
    3      101      -1 |  980.1        0

    side   entry_time  exit_time  quantity  entry_fee  exit_fee    pnl  exit_reason
    long            1          2        10         10      10.1  -10.1  signal
    short           2          3   990/101        9.9       9.9  -19.8  end_of_data
    """
    play(initial_cash=1010.0, fee_bps=100.0, allow_short=True)


def test_a_higher_target_adds_a_lot(play: Play) -> None:
    """500 buy 5 at 100. At 200 the equity is 500 + 1000 = 1500: all-in is 7.5, so 2.5 are bought with the 500 left.

    All 7.5 are sold at 300 for 2250: the first lot earned 5 * 200, the second 2.5 * 100.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100     0.5 |   1000      0
    1     100   200   100    200       1 |   1500      5
    2     200   240   200    240       0 |   1800    7.5
    3     300   300   300    300       0 |   2250      0

    side  entry_time  entry_price  exit_time  exit_price  quantity   pnl  bars_held  exit_reason
    long           1          100          3         300         5  1000          2  signal
    long           2          200          3         300       2.5   250          1  signal
    """
    play()


def test_a_lower_target_sells_a_part(play: Play) -> None:
    """10 bought at 100. At 160 the equity is 1600, half of it is 5 units: 5 are sold for 800.

    Marked at 140: 800 + 700 = 1500. The other 5 are sold at 130: 800 + 650 = 1450.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   120   100    120     0.5 |   1200     10
    2     160   160   120    140       0 |   1500      5
    3     130   130   130    130       0 |   1450      0

    side  entry_time  entry_price  exit_time  exit_price  quantity  pnl  bars_held  exit_reason
    long           1          100          2         160         5  300          1  signal
    long           1          100          3         130         5  150          2  signal
    """
    play()


def test_the_oldest_units_are_sold_first(play: Play) -> None:
    """5 bought at 100, 2.5 more at 200 (equity 1500, all-in). A fifth of 1500 is 300, 1.5 units: 6 are sold at 200.

    These are the 5 of the first lot and 1 of the second; the 1.5 left of it go at 400: 1200 + 600 = 1800.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100       1 |   1000      5
    2      200     0.2 |   1500    7.5
    3      200       0 |   1500    1.5
    4      400       0 |   1800      0

    side  entry_time  entry_price  exit_time  exit_price  quantity  pnl  exit_reason
    long           1          100          3         200         5  500  signal
    long           2          200          3         200         1    0  signal
    long           2          200          4         400       1.5  300  signal
    """
    play()


def test_a_sale_of_the_whole_oldest_lot_leaves_nothing_of_it(play: Play) -> None:
    """5 bought at 100 and 5 more there; half of 1000 is 5 units again, so the first lot goes, and then the second.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100       1 |   1000      5
    2      100     0.5 |   1000     10
    3      100       0 |   1000      5
    4      100       0 |   1000      0

    side  entry_time  exit_time  quantity  pnl  exit_reason
    long           1          3         5    0  signal
    long           2          4         5    0  signal
    """
    play()


def test_lots_are_those_of_their_own_position_only(play: Play) -> None:
    """10 bought and sold at 100, then 5 and 5 more there, of which the older 5 are sold first.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       0 |   1000     10
    2      100     0.5 |   1000      0
    3      100       1 |   1000      5
    4      100     0.5 |   1000     10
    5      100       0 |   1000      5
    6      100       0 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          2        10  signal
    long           3          5         5  signal
    long           4          6         5  signal
    """
    trades = play().trades
    assert (trades.symbol, trades.side.dtype, trades.exit_reason.dtype) == ("TEST", np.int8, np.int8)


def test_a_trade_goes_as_far_as_the_bars_that_it_was_held_through(play: Play) -> None:
    """The first is sold at an open, so its 300 and 50 do not count; the second at a close, with 130 and 80.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100       1 |   1000      0
    1     100   120   95    100       0 |   1000     10
    2     100   300   50    100       1 |   1000      0
    3     100   110   90    100       1 |   1000     10
    4     100   130   80    100       1 |   1000      0

    side  entry_time  exit_time    mae  mfe  exit_reason
    long           1          2  -0.05  0.2  signal
    long           3          4   -0.2  0.3  end_of_data
    """
    play()


def test_a_short_is_added_to_and_reduced_by_lots(play: Play) -> None:
    """5 sold at 100: cash 1500. At 60 the equity is 1200, all-in is 20 units: 15 more sold, cash 2400.

    At 80 the equity is 2400 - 1600 = 800, of which 0.4 are 4 units: 16 bought for 1280, cash 1120.
    These are the 5 sold at 100 (+100) and 11 of those sold at 60 (-220). The last 4 at 70: 1120 - 280 = 840.

    bar  price  target | equity  units
    0      100    -0.5 |   1000      0
    1      100      -1 |   1000     -5
    2       60    -0.4 |   1200    -20
    3       80       0 |    800     -4
    4       70       0 |    840      0

    side   entry_time  entry_price  exit_time  exit_price  quantity   pnl  exit_reason
    short           1          100          3          80         5   100  signal
    short           2           60          3          80        11  -220  signal
    short           2           60          4          70         4   -40  signal
    """
    play(allow_short=True)


def test_units_stay_constant_while_the_target_does(play: Play) -> None:
    """500 buy 5. Prices move the fraction held to 2000 / 2500 and to 125 / 625, and nothing is traded.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100     0.5 |   1000      5
    2      400     0.5 |   2500      5
    3       25     0.5 |    625      5
    4      100     0.5 |   1000      0

    side  entry_time  entry_price  exit_time  exit_price  quantity  pnl  exit_reason
    long           1          100          4         100         5    0  end_of_data
    """
    play()


def test_a_target_that_the_price_has_already_reached_trades_nothing(play: Play) -> None:
    """200 buy 10 at 20. At 60 the equity is 800 + 600 = 1400, of which 600 is 3/7: the new target. No lot is added.

    bar  price  target | equity  units
    0       20     0.2 |   1000      0
    1       20     3/7 |   1000     10
    2       60       0 |   1400     10
    3       60       0 |   1400      0

    side  entry_time  entry_price  exit_time  exit_price  quantity  pnl  exit_reason
    long           1           20          3          60        10  400  signal
    """
    play()


# --- costs ----------------------------------------------------------------------------------------------------------


def test_the_fee_is_charged_on_both_sides_once(play: Play) -> None:
    """Fee 1 %. 10 units at 100 cost 1000 + 10. Sold at 200 they bring 2000 - 20 = 1980: pnl 970.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1010      0
    1     100   110   100    110       0 |   1100     10
    2     200   200   200    200       0 |   1980      0

    side  entry_price  exit_price  quantity  entry_fee  exit_fee  slippage  pnl  return  exit_reason
    long          100         200        10         10        20         0  970    0.97  signal
    """
    play(initial_cash=1010.0, fee_bps=100.0)


def test_a_short_pays_the_fee_on_both_sides(play: Play) -> None:
    """Fee 1 %. 10 units at 100 bring 1000 - 10: equity 1010 - 10 = 1000, which is 10 * 100: all-in.

    Bought back at 50 for 500 + 5: 1010 + 990 - 505 = 1495, pnl 485.

    bar  price  target | equity  units
    0      100      -1 |   1010      0
    1      100       0 |   1000    -10
    2       50       0 |   1495      0

    side   entry_price  exit_price  quantity  entry_fee  exit_fee  pnl  return  exit_reason
    short          100          50        10         10         5  485   0.485  signal
    """
    play(initial_cash=1010.0, fee_bps=100.0, allow_short=True)


def test_a_partial_target_is_a_fraction_of_the_equity_after_the_fee(play: Play) -> None:
    """Fee 1 %. 5 units at 100 cost 500 + 5: the equity is 1000, half of which is held. Sold at 200: 1000 - 10.

    bar  price  target | equity  units
    0      100     0.5 |   1005      0
    1      100       0 |   1000      5
    2      200       0 |   1490      0

    side  quantity  entry_fee  exit_fee  pnl  return  exit_reason
    long         5          5        10  485    0.97  signal
    """
    play(initial_cash=1005.0, fee_bps=100.0)


def test_a_change_of_target_pays_the_fee_on_the_difference_only(play: Play) -> None:
    """Fee 1 %. 1010 buy 10 at 100 (fee 10). At 100 again the target halves: selling s units leaves

    (10 - s) * 100 = 0.5 * (1000 - s), so s = 1000 / 199; the fee is s, the equity 1000 - s = 198000 / 199.
    The rest, 990 / 199 units, is sold at 100 for a fee of 990 / 199: 197010 / 199.

    bar  price  target |     equity    units
    0      100       1 |       1010        0
    1      100     0.5 |       1000       10
    2      100       0 | 198000/199  990/199
    3      100       0 | 197010/199        0

    side  exit_time  quantity  entry_fee  exit_fee        pnl  exit_reason
    long          2  1000/199   1000/199  1000/199  -2000/199  signal
    long          3   990/199    990/199   990/199  -1980/199  signal
    """
    play(initial_cash=1010.0, fee_bps=100.0)


def test_slippage_moves_a_long_s_prices_against_it(play: Play) -> None:
    """Slippage 1 %. Bought at 101: 1010 / 101 = 10 units. Sold at 200 * 0.99 = 198: 1980. It cost 10 * 1 + 10 * 2.

    bar  price  target | equity  units
    0      100       1 |   1010      0
    1      100       0 |   1000     10
    2      200       0 |   1980      0

    side  entry_price  exit_price  quantity  entry_fee  exit_fee  slippage  pnl   return  exit_reason
    long          101         198        10          0         0        30  970  970/1010  signal
    """
    play(initial_cash=1010.0, slippage_bps=100.0)


def test_slippage_moves_a_short_s_prices_against_it(play: Play) -> None:
    """Slippage 1 %. 10 units sold at 99: cash 2000, equity 1000 at a price of 100. Bought at 50.50: 1495.

    bar  price  target | equity  units
    0      100      -1 |   1010      0
    1      100       0 |   1000    -10
    2       50       0 |   1495      0

    side   entry_price  exit_price  quantity  slippage  pnl   return  exit_reason
    short           99        50.5        10        15  485  485/990  signal
    """
    play(initial_cash=1010.0, slippage_bps=100.0, allow_short=True)


def test_slippage_moves_the_price_of_less_than_one_unit_too(play: Play) -> None:
    """1 %. 1010 buy half a unit at 2020, worth 1000 at 2000, and sold at 1980.

    bar  price  target | equity  units
    0     2000       1 |   1010      0
    1     2000       0 |   1000    0.5
    2     2000       0 |    990      0

    side  entry_price  exit_price  quantity  slippage  pnl  exit_reason
    long         2020        1980       0.5        20  -20  signal
    """
    play(initial_cash=1010.0, slippage_bps=100.0)


def test_the_fee_is_charged_on_the_slipped_price(play: Play) -> None:
    """Both 1 %. A unit costs 101 + 1.01 = 102.01: 10 units. Sold at 198, fee 1.98 each: 1980 - 19.80 = 1960.20.

    bar  price  target | equity  units
    0      100       1 | 1020.1      0
    1      100       0 |   1000     10
    2      200       0 | 1960.2      0

    side  entry_price  exit_price  quantity  entry_fee  exit_fee  slippage    pnl  exit_reason
    long          101         198        10       10.1      19.8        30  940.1  signal
    """
    play(initial_cash=1020.1, fee_bps=100.0, slippage_bps=100.0)


def test_all_in_leaves_no_cash_and_overdraws_none(play: Play) -> None:
    """Both 1 %, awkward prices. All money is in units, so that equity is units * price to the last bit.

    1000 / (7 * 1.01 * 1.01) units; sold at 13 * 0.99 * 0.99.

    bar  price  target |                      equity             units
    0        7       1 |                        1000                 0
    1        7       1 |             10000000/10201  10000000/71407
    2       13       0 |          130000000/71407  10000000/71407
    3       13       0 | 127413000/71407                 0

    side  entry_price  exit_price        quantity  exit_reason
    long         7.07       12.87  10000000/71407  signal
    """
    result = play(fee_bps=100.0, slippage_bps=100.0)
    assert result.equity[1] == result.position[1] * 7
    assert result.equity[2] == result.position[2] * 13


def test_a_short_pays_borrow_on_each_close_until_the_next_open(play: Play) -> None:
    """36.5 % a year are 0.1 % a day. 10 units sold at 100.

    For day 1: 10 * 100 * 0.001 = 1, so 2000 - 1 - 1100 = 899 at the second close.
    For the three days over the weekend: 10 * 110 * 0.003 = 3.30. Bought back at 100: 2000 - 4.30 - 1000.

    bar  day  price  target | equity  units
    0      0    100      -1 |   1000      0
    1      1    100      -1 |   1000    -10
    2      2    110       0 |    899    -10
    3      5    100       0 |  995.7      0

    side   entry_time  exit_time  quantity   pnl   return  exit_reason
    short           1          3        10  -4.3  -0.0043  signal
    """
    play(borrow_rate=0.365, allow_short=True)


def test_each_lot_of_a_short_pays_its_own_borrow(play: Play) -> None:
    """0.1 % a day. 5 sold at 100 pay 0.50 for the first day, which leaves 999.50 and -500 held: -499.50 more is sold.

    4.995 units. For the second day the first lot pays 0.50, the second 0.4995: 999.50 - 0.9995 = 998.5005.

    bar  price  target |   equity   units
    0      100    -0.5 |     1000       0
    1      100      -1 |     1000      -5
    2      100       0 |    999.5  -9.995
    3      100       0 | 998.5005       0

    side   entry_time  exit_time  quantity      pnl  exit_reason
    short           1          3         5       -1  signal
    short           2          3     4.995  -0.4995  signal
    """
    play(borrow_rate=0.365, allow_short=True)


def test_a_long_pays_no_borrow(play: Play) -> None:
    """10 units at 100 for three days.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       1 |   1000     10
    2      100       1 |   1000     10
    3      100       0 |   1000      0

    side  pnl  exit_reason
    long    0  end_of_data
    """
    play(borrow_rate=0.365, allow_short=True)


# --- stops ----------------------------------------------------------------------------------------------------------


def test_a_stop_loss_fills_at_its_level(play: Play) -> None:
    """10 % below 100 is 90, which bar 2 crosses: 10 * 90 = 900. The target stays 1, the position stays flat.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   105    95    100       1 |   1000     10
    2      98    99    88     95       1 |    900      0
    3      95   120    95    120       1 |    900      0

    side  entry_time  entry_price  exit_time  exit_price  quantity   pnl  bars_held  exit_reason
    long           1          100          2          90        10  -100          1  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_a_low_at_the_level_itself_is_a_hit(play: Play) -> None:
    """A quarter below 100 is 75: the low of bar 2.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100    76    100       1 |   1000     10
    2     100   100    75    100       1 |    750      0

    side  exit_time  exit_price   pnl  exit_reason
    long          2          75  -250  stop_loss
    """
    play(Stops(stop_loss=0.25))


def test_a_stop_loss_that_is_gapped_through_fills_at_the_open(play: Play) -> None:
    """The level is 90, bar 2 opens at 85: 10 * 85 = 850.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   105    95    100       1 |   1000     10
    2      85    99    80     95       1 |    850      0

    side  exit_time  exit_price   pnl  exit_reason
    long          2          85  -150  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_a_short_s_stop_loss_lies_above(play: Play) -> None:
    """10 % above 100 is 110, which bar 2 crosses: 2000 - 1100 = 900.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    95    100      -1 |   1000    -10
    2     102   112   101    105      -1 |    900      0

    side   exit_time  exit_price   pnl  exit_reason
    short          2         110  -100  stop_loss
    """
    play(Stops(stop_loss=0.1), allow_short=True)


def test_a_short_s_stop_loss_that_is_gapped_through_fills_at_the_open(play: Play) -> None:
    """The level is 110, bar 2 opens at 115: 2000 - 1150 = 850.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    95    100      -1 |   1000    -10
    2     115   118   101    105      -1 |    850      0

    side   exit_time  exit_price   pnl  exit_reason
    short          2         115  -150  stop_loss
    """
    play(Stops(stop_loss=0.1), allow_short=True)


def test_a_stop_hangs_from_the_slipped_entry_and_its_fill_is_slipped_and_charged_too(play: Play) -> None:
    """Slippage 1 %, fee 1 %. Bought at 101, the level is 101 * 0.75 = 75.75 and fills at 75.75 * 0.99 = 74.9925.

    10 units cost 1020.10 and bring 749.925 - 7.49925 = 742.42575.

    bar  open  high   low  close  target |    equity  units
    0     100   100   100    100       1 |    1020.1      0
    1     100   100    76    100       1 |      1000     10
    2     100   100  75.5    100       1 | 742.42575      0

    side  entry_price  exit_price  quantity  entry_fee  exit_fee  slippage         pnl  exit_reason
    long          101     74.9925        10       10.1   7.49925    17.575  -277.67425  stop_loss
    """
    play(Stops(stop_loss=0.25), initial_cash=1020.1, fee_bps=100.0, slippage_bps=100.0)


def test_a_take_profit_fills_at_its_level(play: Play) -> None:
    """20 % above 100 is 120: 10 * 120 = 1200.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   119    95    110       1 |   1100     10
    2     110   125   110    115       1 |   1200      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2         120  200  take_profit
    """
    play(Stops(take_profit=0.2))


def test_a_high_at_the_goal_itself_is_a_hit(play: Play) -> None:
    """A quarter above 100 is 125: the high of bar 2.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   124   100    100       1 |   1000     10
    2     100   125   100    100       1 |   1250      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2         125  250  take_profit
    """
    play(Stops(take_profit=0.25))


def test_a_take_profit_that_is_gapped_through_fills_at_the_open(play: Play) -> None:
    """The level is 120, bar 2 opens at 130: 10 * 130 = 1300.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   119    95    110       1 |   1100     10
    2     130   130   110    115       1 |   1300      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2         130  300  take_profit
    """
    play(Stops(take_profit=0.2))


def test_a_short_s_take_profit_lies_below(play: Play) -> None:
    """20 % below 100 is 80: 2000 - 800 = 1200.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    81     90      -1 |   1100    -10
    2      90    90    75     85      -1 |   1200      0

    side   exit_time  exit_price  pnl  exit_reason
    short          2          80  200  take_profit
    """
    play(Stops(take_profit=0.2), allow_short=True)


def test_a_short_s_take_profit_that_is_gapped_through_fills_at_the_open(play: Play) -> None:
    """The level is 80, bar 2 opens at 70: 2000 - 700 = 1300.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    81     90      -1 |   1100    -10
    2      70    90    70     85      -1 |   1300      0

    side   exit_time  exit_price  pnl  exit_reason
    short          2          70  300  take_profit
    """
    play(Stops(take_profit=0.2), allow_short=True)


def test_a_trailing_stop_hangs_below_the_highest_high_of_the_bars_before(play: Play) -> None:
    """A tenth below the peak. Bar 1: the peak is the entry, 100, so 90.

    Bar 2: 108 * 0.9 = 97.20; its own high of 120 does not count yet, so a low of 100 is no hit.
    Bar 3: 120 * 0.9 = 108, which the low of 107 crosses: 10 * 108 = 1080.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   108    95    105       1 |   1050     10
    2     105   120   100    118       1 |   1180     10
    3     118   119   107    112       1 |   1080      0

    side  exit_time  exit_price  pnl  bars_held  exit_reason
    long          3         108   80          2  trailing_stop
    """
    play(Stops(trailing_stop=0.1))


def test_a_short_s_trailing_stop_hangs_above_the_lowest_low_of_the_bars_before(play: Play) -> None:
    """Bar 1: 100 * 1.1 = 110. Bar 2: 92 * 1.1 = 101.20. Bar 3: 80 * 1.1 = 88, crossed by 91: 2000 - 880 = 1120.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   105    92     95      -1 |   1050    -10
    2      95   100    80     82      -1 |   1180    -10
    3      82    91    81     88      -1 |   1120      0

    side   exit_time  exit_price  pnl  bars_held  exit_reason
    short          3          88  120          2  trailing_stop
    """
    play(Stops(trailing_stop=0.1), allow_short=True)


def test_a_trailing_stop_is_a_part_of_the_peak_and_not_of_the_entry(play: Play) -> None:
    """Bought at 100, up to 1000: the level is 900. A tenth of the entry would be 990, and the lows would touch it.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100  1000   100   1000       1 |  10000     10
    2    1000  1000   985    990       1 |   9900     10
    3     990   995   980    990       1 |   9900     10
    4     990   990   990    990       1 |   9900      0

    side  exit_time  exit_price   pnl  exit_reason
    long          4         990  8900  end_of_data
    """
    play(Stops(trailing_stop=0.1))


def test_a_trailing_stop_begins_at_the_entry_s_own_slipped_price(play: Play) -> None:
    """Slippage 1 %. Bought at 101, above the high of 100.50: the level of bar 2 is 101 * 0.9 = 90.90, touched at 90.80.

    1010 buy 10; 90.90 * 0.99 = 89.991 each: 899.91.

    bar  open   high   low  close  target | equity  units
    0     100    100   100    100       1 |   1010      0
    1     100  100.5    99    100       1 |   1000     10
    2     100    100  90.8     95       1 | 899.91      0

    side  entry_price  exit_price  pnl      exit_reason
    long          101      89.991  -110.09  trailing_stop
    """
    play(Stops(trailing_stop=0.1), initial_cash=1010.0, slippage_bps=100.0)


def test_a_trailing_stop_that_is_gapped_through_fills_at_the_open(play: Play) -> None:
    """The level is 120 * 0.9 = 108, bar 2 opens at 104: 1040.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   120   100    118       1 |   1180     10
    2     104   106   101    105       1 |   1040      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2         104   40  trailing_stop
    """
    play(Stops(trailing_stop=0.1))


def test_of_stop_loss_and_trailing_stop_the_nearer_one_fills(play: Play) -> None:
    """Stop loss 5 %: 95. Trailing stop 10 %: 90 at first, so the first position goes at 95.

    950 buy 9.5 at 100 again; the high of 110 lifts the trailing stop to 99, past the 95: 9.5 * 99 = 940.50.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100    94     96       0 |    950      0
    2     100   100   100    100       1 |    950      0
    3     100   110   100    108       1 |   1026    9.5
    4     108   108    90     92       1 |  940.5      0

    side  entry_time  exit_time  exit_price  quantity   pnl  exit_reason
    long           1          1          95        10   -50  stop_loss
    long           3          4          99       9.5  -9.5  trailing_stop
    """
    play(Stops(stop_loss=0.05, trailing_stop=0.1))


def test_where_stop_loss_and_trailing_stop_are_one_level_the_reason_is_the_stop_loss(play: Play) -> None:
    """112 * 0.95 = 106.40 and 140 * 0.76 = 106.40: no binary number is any of these, and both are the same price.

    1120 buy 10; they bring 1064.

    bar  open  high   low  close  target | equity  units
    0     112   112   112    112       1 |   1120      0
    1     112   140   112    112       1 |   1120     10
    2     112   112   100    112       1 |   1064      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2       106.4  -56  stop_loss
    """
    play(Stops(stop_loss=0.05, trailing_stop=0.24), initial_cash=1120.0)


def test_where_one_bar_touches_stop_and_target_the_stop_wins(play: Play) -> None:
    """Stop at 90, goal at 110, and bar 2 spans 89 to 111: 10 * 90 = 900.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   105    95    100       1 |   1000     10
    2     100   111    89    105       1 |    900      0

    side  exit_time  exit_price   pnl  exit_reason
    long          2          90  -100  stop_loss
    """
    play(Stops(stop_loss=0.1, take_profit=0.1))


def test_a_stop_that_is_gapped_through_at_the_open_of_a_signal_is_the_signal_s(play: Play) -> None:
    """The stop is at 90. Bar 2 opens at 80, where the signal sells: one exit, and the reason is the signal.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100   100    100       0 |   1000     10
    2      80    80    80     80       0 |    800      0

    side  exit_time  exit_price   pnl  exit_reason
    long          2          80  -200  signal
    """
    play(Stops(stop_loss=0.1))


def test_what_a_signal_leaves_at_an_open_beyond_the_stop_is_stopped_there(play: Play) -> None:
    """The stop is at 90. At the open of 80 the signal halves the position, 5 of 10, and the stop takes the rest.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100   100    100     0.5 |   1000     10
    2      80    80    80     80     0.5 |    800      0

    side  exit_time  exit_price  quantity   pnl  exit_reason
    long          2          80         5  -100  signal
    long          2          80         5  -100  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_the_stop_wins_even_where_the_bar_opens_beyond_the_goal(play: Play) -> None:
    """Bar 2 opens at 115, above the goal of 110, but its low of 89 touches the stop of 90: pessimistic, 900.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   105    95    100       1 |   1000     10
    2     115   116    89    105       1 |    900      0

    side  exit_time  exit_price   pnl  exit_reason
    long          2          90  -100  stop_loss
    """
    play(Stops(stop_loss=0.1, take_profit=0.1))


def test_a_stop_is_looked_for_on_the_entry_bar(play: Play) -> None:
    """Bought at the open of bar 1, stopped at 90 in the same bar: 900 at its close, no bar held.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   105    85     95       1 |    900      0
    2      95    95    95     95       1 |    900      0

    side  entry_time  exit_time  exit_price  quantity   pnl  bars_held  exit_reason
    long           1          1          90        10  -100          0  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_a_goal_is_looked_for_on_the_entry_bar(play: Play) -> None:
    """Bought at 100, sold at 110 in the same bar.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   115    95    105       1 |   1100      0
    2     105   105   105    105       1 |   1100      0

    side  entry_time  exit_time  exit_price  pnl  bars_held  exit_reason
    long           1          1         110  100          0  take_profit
    """
    play(Stops(take_profit=0.1))


def test_a_stop_nearer_than_the_slippage_fills_at_the_open_of_the_entry_bar(play: Play) -> None:
    """Bought at 104, the stop of 1 % lies at 102.96, above the open of 100: it fills there, less slippage, at 96.

    1040 buy 10; they bring 960.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1040      0
    1     100   105    99    105       1 |    960      0

    side  entry_price  exit_price  quantity  pnl  exit_reason
    long          104          96        10  -80  stop_loss
    """
    play(Stops(stop_loss=0.01), initial_cash=1040.0, slippage_bps=400.0)


def test_after_a_stop_only_a_change_of_target_opens_again(play: Play) -> None:
    """Stopped at 90 in bar 2: 900. The target of 1 at bars 2 and 3 is no change; the 0.5 at bar 4 is.

    450 / 90 = 5 units at the open of bar 5. Its own stop lies at 81, which the low of 80 in bar 6 crosses: 450 + 405.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100   100    100       1 |   1000     10
    2     100   100    80     80       1 |    900      0
    3      80    80    80     80       1 |    900      0
    4      80    80    80     80     0.5 |    900      0
    5      90    90    90     90     0.5 |    900      5
    6      90    90    80     80     0.5 |    855      0

    side  entry_time  entry_price  exit_time  exit_price  quantity   pnl  exit_reason
    long           1          100          2          90        10  -100  stop_loss
    long           5           90          6          81         5   -45  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_a_target_that_changes_at_the_close_of_the_stopped_bar_opens_at_the_next_open(play: Play) -> None:
    """Stopped at 90 in bar 2, at whose close the target falls to 0.5: 450 / 90 = 5 units at the open of bar 3.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100   100    100       1 |   1000     10
    2     100   100    80     80     0.5 |    900      0
    3      90    90    90     90     0.5 |    900      5
    4     100   100   100    100     0.5 |    950      0

    side  entry_time  entry_price  exit_time  exit_price  quantity   pnl  exit_reason
    long           1          100          2          90        10  -100  stop_loss
    long           3           90          4         100         5    50  end_of_data
    """
    play(Stops(stop_loss=0.1))


def test_an_exit_at_the_open_comes_before_the_stop_of_that_bar(play: Play) -> None:
    """The signal sells at 95 at the open of bar 2; the low of 80 finds nothing left to stop.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100   100    100       0 |   1000     10
    2      95    95    80     80       0 |    950      0

    side  exit_time  exit_price  pnl  exit_reason
    long          2          95  -50  signal
    """
    play(Stops(stop_loss=0.1))


def test_a_change_of_target_leaves_the_stop_where_the_first_fill_put_it(play: Play) -> None:
    """5 at 100, stop 90. At 200: equity 1500, all-in 7.5 units. The stop is still at 90, so 150 is no hit, 90 is: 675.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100     0.5 |   1000      0
    1     100   200   100    200       1 |   1500      5
    2     200   200   150    150       1 |   1125    7.5
    3     150   150    85     85       1 |    675      0

    side  entry_time  entry_price  exit_time  exit_price  quantity   pnl  exit_reason
    long           1          100          3          90         5   -50  stop_loss
    long           2          200          3          90       2.5  -275  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_a_reversal_can_be_stopped_in_its_own_bar(play: Play) -> None:
    """Long 10 from 100 to 120: 1200. Short 10 at 120 with its stop at 132, crossed in the same bar: 2400 - 1320.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   110   100    110      -1 |   1100     10
    2     120   140   120    125      -1 |   1080      0
    3     125   125   125    125      -1 |   1080      0

    side   entry_time  exit_time  exit_price  quantity   pnl  bars_held  exit_reason
    long            1          2         120        10   200          1  signal
    short           2          2         132        10  -120          0  stop_loss
    """
    play(Stops(stop_loss=0.1), allow_short=True)


def test_a_short_stopped_in_a_bar_pays_borrow_up_to_its_open_only(play: Play) -> None:
    """0.1 % a day. 10 sold at 100 pay 1 for day 1; stopped at 110 on day 2: 2000 - 1 - 1100 = 899.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100      -1 |   1000      0
    1     100   100   100    100      -1 |   1000    -10
    2     100   120   100    120      -1 |    899      0
    3     120   120   120    120      -1 |    899      0

    side   exit_time  exit_price   pnl  exit_reason
    short          2         110  -101  stop_loss
    """
    play(Stops(stop_loss=0.1), borrow_rate=0.365, allow_short=True)


def test_a_short_that_a_reversal_opened_is_stopped_after_it_has_grown_too(play: Play) -> None:
    """5 bought at 100, turned into a short of 5 there, and 5 more; the stop of 20 % takes 10 * 20.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100     0.5 |   1000      0
    1     100   100  100    100    -0.5 |   1000      5
    2     100   100  100    100      -1 |   1000     -5
    3     100   100  100    100      -1 |   1000    -10
    4     100   130  100    100      -1 |    800      0
    5     100   100  100    100      -1 |    800      0

    side   entry_time  exit_time  exit_price  quantity   pnl  exit_reason
    long            1          2         100         5     0  signal
    short           2          4         120         5  -100  stop_loss
    short           3          4         120         5  -100  stop_loss
    """
    play(Stops(stop_loss=0.2), allow_short=True)


def test_a_position_that_a_signal_has_ended_stops_no_later_one(play: Play) -> None:
    """10 bought at 100, stop at 90, sold at 100 by the signal. 20 bought at 50, stop at 45: a price of 50 is above it.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       0 |   1000     10
    2      100       1 |   1000      0
    3       50       1 |   1000     20
    4       50       0 |   1000     20
    5       60       0 |   1200      0

    side  entry_time  exit_time  quantity  pnl  exit_reason
    long           1          2        10    0  signal
    long           3          5        20  200  signal
    """
    play(Stops(stop_loss=0.1))


def test_a_position_is_held_against_its_stop_to_the_bar_before_its_signal(play: Play) -> None:
    """5 bought at 100 and 5 more there, stop at 90: the low of 80 in bar 4 is the last before the signal's open.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100     0.5 |   1000      0
    1     100   100  100    100       1 |   1000      5
    2     100   100  100    100       1 |   1000     10
    3     100   100  100    100       1 |   1000     10
    4     100   100   80    100       0 |    900      0
    5     100   100  100    100       1 |    900      0
    6     100   100  100    100       0 |    900      9
    7     100   100  100    100       0 |    900      0

    side  entry_time  exit_time  exit_price  quantity  pnl  exit_reason
    long           1          4          90         5  -50  stop_loss
    long           2          4          90         5  -50  stop_loss
    long           6          7         100         9    0  signal
    """
    play(Stops(stop_loss=0.1))


def test_of_two_stopped_positions_one_may_open_again_and_the_other_not(play: Play) -> None:
    """Stop 10 %. 10 bought at 100 and stopped at 90, for good: its target does not change before it goes to 0.

    10 bought at 90 (900), stopped at 81: 810. Its target rises to 0.5 and to 1 after that: 5 at 81 (405) and 5 more,
    both stopped at 72.90: 810 - 81 = 729.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   100    90    100       0 |    900      0
    2      90    90    90     90       1 |    900      0
    3      90    90    81     90     0.5 |    810      0
    4      81    81    81     81       1 |    810      5
    5      81    81    81     81       1 |    810     10
    6      81    81    70     81       0 |    729      0
    7      81    81    81     81       0 |    729      0

    side  entry_time  exit_time  exit_price  quantity    pnl  exit_reason
    long           1          1          90        10   -100  stop_loss
    long           3          3          81        10    -90  stop_loss
    long           4          6        72.9         5  -40.5  stop_loss
    long           5          6        72.9         5  -40.5  stop_loss
    """
    play(Stops(stop_loss=0.1))


@pytest.mark.parametrize("held", [255, 256, 257, 768])
def test_a_position_may_be_held_for_any_number_of_bars(held: int) -> None:
    """10 bought at 100, a stop at 90 that nothing touches, sold at the close of the last bar."""
    price, time = (
        np.full(held + 1, 100.0),
        np.datetime64("2024-01-01", "ns") + np.arange(held + 1) * np.timedelta64(1, "D"),
    )
    bars = Bars(time, price, price, price, price, np.ones(held + 1), "TEST", "1d")
    trades = run(bars, np.ones(held + 1), execution=Execution(initial_cash=1000.0), stops=Stops(stop_loss=0.1)).trades
    assert (trades.bars_held.tolist(), trades.exit_price.tolist()) == ([held - 1], [100.0])
    assert EXIT_REASONS[trades.exit_reason[0]] == "end_of_data"


def test_a_trailing_stop_is_found_in_whichever_bar_it_is_hit() -> None:
    """Bought at 100; a high of 120 on the entry bar puts the stop at 108 for good, below a price of 115 ever after.

    One later bar dips to 107, and each bar in turn is that bar: 10 units bring 1080 there, however long they were held.
    """
    size = 1_200
    price = np.full(size, 115.0)
    price[:2] = 100.0
    high, low = price.copy(), price.copy()
    high[1] = 120.0
    time = np.datetime64("2024-01-01", "ns") + np.arange(size) * np.timedelta64(1, "D")
    for bar in range(2, size):
        low[bar] = 107.0
        bars = Bars(time, price, high, low, price, np.ones(size), "TEST", "1d")
        trades = run(
            bars, np.ones(size), execution=Execution(initial_cash=1000.0), stops=Stops(trailing_stop=0.1)
        ).trades
        assert (trades.bars_held.tolist(), trades.exit_price.tolist()) == ([bar - 1], [108.0])
        low[bar] = 115.0


# --- touches on decimal ticks ---------------------------------------------------------------------------------------


def touched(entry: float, price: float, *, side: int, at: float | None = None, **options: Any) -> tuple[str, float]:
    """Open at `entry`, have the next bar reach `price`, and return reason and price of the exit."""
    at = entry if at is None else at
    opened, high, low = np.array([entry] * 3), np.array([entry] * 3), np.array([entry] * 3)
    high[2], low[2] = max(price, at), min(price, at)
    opened[2] = at
    time = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")
    bars = Bars(time, opened, high, low, opened, np.ones(3), "TEST", "1d")
    execution = Execution(initial_cash=1000.0, allow_short=True, slippage_bps=options.pop("slippage_bps", 0.0))
    trades = run(bars, np.full(3, float(side)), execution=execution, stops=Stops(**options)).trades
    return EXIT_REASONS[trades.exit_reason[0]], float(trades.exit_price[0])


@pytest.mark.parametrize("stop", ["stop_loss", "trailing_stop", "take_profit"])
@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize("distance", ["0.05", "0.013", "0.1", "0.3", "0.99"])
def test_a_price_at_the_level_s_decimal_is_a_touch_and_one_tick_away_is_none(
    stop: str, side: int, distance: str
) -> None:
    """Every entry from 0.20 to 100 in 20-cent ticks, at the level to the last digit, and 10^-5 short of it.

    The exit is at the decimal itself: 11.20 less 5 % is 10.64, not 10.639999999999999.
    """
    away = -side if stop != "take_profit" else side
    for ticks in range(1, 501):
        entry = Decimal("0.2") * ticks
        level = entry * (1 + away * Decimal(distance))
        found = touched(float(entry), float(level), side=side, **{stop: float(distance)})
        assert found == (stop, float(level)), entry
        near = level - away * Decimal("0.00001")
        assert touched(float(entry), float(near), side=side, **{stop: float(distance)})[0] == "end_of_data", entry


def test_a_touch_of_a_slipped_entry_s_level_is_one() -> None:
    """Slippage 7 basis points. 11.20 is bought at 11.20784, 5 % below is 10.647448, for all ticks as above."""
    for ticks in range(1, 501):
        entry = Decimal("0.2") * ticks
        level = entry * Decimal("1.0007") * Decimal("0.95")
        for price, reason in ((level, "stop_loss"), (level + Decimal("1e-7"), "end_of_data")):
            found = touched(float(entry), float(price), side=1, slippage_bps=7.0, stop_loss=0.05)
            assert found[0] == reason, (entry, price)


def test_touches_are_told_apart_to_the_fourteenth_digit() -> None:
    """Bitcoin in Satoshi: 100,000 less 5 % is 95,000, and 95,000.00000001 is not touched, 10^-13 of it away."""
    assert touched(100_000.0, 95_000.0, side=1, stop_loss=0.05) == ("stop_loss", 95_000.0)
    assert touched(100_000.0, 95_000.00000001, side=1, stop_loss=0.05)[0] == "end_of_data"
    assert touched(1.2e-9, 1.14e-9, side=1, stop_loss=0.05) == ("stop_loss", 1.14e-9)
    assert touched(1.2e17, 1.14e17, side=1, stop_loss=0.05) == ("stop_loss", 1.14e17)


@pytest.mark.parametrize("power", [-300, -60, -12, -11, -10, -9, -8, -7, -6, 9, 12, 13, 14, 15, 60, 300])
def test_a_price_of_any_size_is_rounded_to_fifteen_digits(power: int) -> None:
    """1.12 less 5 % is 1.064, and 1.14 less 5 % is 1.083, at 10 to any power."""
    for entry, level in (("1.12", "1.064"), ("1.14", "1.083"), ("2.24", "2.128"), ("7.7", "7.315"), ("9.1", "8.645")):
        at, stop = float(f"{entry}e{power}"), float(f"{level}e{power}")
        assert touched(at, stop * 0.9, at=at, side=1, stop_loss=0.05) == ("stop_loss", stop)


def test_a_bar_that_opens_at_the_level_fills_there() -> None:
    """10.64 is the level and the open: no price but that one, of either."""
    assert touched(11.2, 10.5, side=1, at=10.64, stop_loss=0.05) == ("stop_loss", 10.64)
    assert touched(11.2, 10.5, side=1, at=10.63, stop_loss=0.05) == ("stop_loss", 10.63)


MANY = [Decimal("0.2") * ticks for ticks in range(1, 501)]  # entries: more positions than are searched one by one
Decimals = Callable[[Decimal], Decimal]


def stopped_in_one_search(
    levels: Decimals, prices: Decimals, *, side: int, peak: Decimals, entries: list[Decimal] = MANY, **stops: float
) -> None:
    """Hold positions in turn, whose stops are looked for at once, and expect each to end at its level.

    Each is decided on a bar, opened on the next, which reaches its peak, and goes from there to its price on the third.
    """
    rows = []
    for entry in entries:
        best, price = peak(entry), prices(entry)
        rows += [[entry] * 3, [entry, max(entry, best), min(entry, best)], [best, max(best, price), min(best, price)]]
    open_, high, low = np.array([[float(price) for price in row] for row in rows]).T
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(rows)) * np.timedelta64(1, "D")
    bars = Bars(time, open_, high, low, open_, np.ones(len(rows)), "TEST", "1d")
    target = np.tile([float(side), float(side), 0.0], len(entries))
    trades = run(bars, target, execution=Execution(allow_short=True), stops=Stops(**stops)).trades
    (stop,) = stops
    assert [EXIT_REASONS[reason] for reason in trades.exit_reason.tolist()] == [stop] * len(entries)
    assert trades.bars_held.tolist() == [1] * len(entries)
    assert trades.exit_price.tolist() == [float(levels(entry)) for entry in entries]


@pytest.mark.parametrize("stop", ["stop_loss", "trailing_stop", "take_profit"])
@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize("distance", ["0.05", "0.013", "0.3"])
def test_a_touch_is_one_for_each_of_many_positions_too(stop: str, side: int, distance: str) -> None:
    """As above, for 500 positions in one search: 11.20 less 5 % is 10.64, of a trailing stop after a peak of 14: 13.30.

    The control: 10^-5 short of their levels none of them is stopped.
    """
    away = -side if stop != "take_profit" else side

    def peak(entry: Decimal) -> Decimal:
        return entry * (1 + side * Decimal("0.25")) if stop == "trailing_stop" else entry

    def level(entry: Decimal) -> Decimal:
        return peak(entry) * (1 + away * Decimal(distance))

    def short_of_it(entry: Decimal) -> Decimal:
        return level(entry) - away * Decimal("0.00001")

    stopped_in_one_search(level, level, side=side, peak=peak, **{stop: float(distance)})
    with pytest.raises(AssertionError, match="signal"):
        stopped_in_one_search(level, short_of_it, side=side, peak=peak, **{stop: float(distance)})


@pytest.mark.parametrize("count", [2, 100])
@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize("stop", ["stop_loss", "trailing_stop", "take_profit"])
def test_a_price_counts_as_the_level_up_to_two_to_the_minus_50_of_it(stop: str, side: int, count: int) -> None:
    """Of 128 a half is 64 below and 192 above, both exact in binary, and so is the 2**-50 of either that counts as it.

    The next price of binary, another 2**-52 of it or less away, is no touch; for two positions and for a hundred.
    """
    away = -side if stop != "take_profit" else side
    level = 128 * (1 + 0.5 * away)
    last = level * (1 - away * 2.0**-50)
    beyond = float(np.nextafter(last, 128.0))
    expect = partial(stopped_in_one_search, side=side, peak=Decimal, entries=[Decimal(128)] * count, **{stop: 0.5})
    expect(lambda entry: Decimal(last), lambda entry: Decimal(last))
    with pytest.raises(AssertionError, match="signal"):
        expect(lambda entry: Decimal(beyond), lambda entry: Decimal(beyond))


@pytest.mark.parametrize(("above", "reason"), [(2.0**-50, "stop_loss"), (2.0**-49, "trailing_stop")])
def test_stops_count_as_one_level_up_to_two_to_the_minus_50_of_it(above: float, reason: str) -> None:
    """Of 1 a half is the stop loss, and half of the peak the trailing stop: exact in binary, as is the peak."""
    price = np.ones(4)
    high, low = price.copy(), price.copy()
    high[1], low[2] = 1.0 + above, 0.25
    time = np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    bars = Bars(time, price, high, low, price, price, "TEST", "1d")
    trades = run(bars, np.ones(4), stops=Stops(stop_loss=0.5, trailing_stop=0.5)).trades
    assert [EXIT_REASONS[at] for at in trades.exit_reason] == [reason]
    np.testing.assert_allclose(trades.exit_price, [0.5], rtol=1e-14)


# --- the ends of the data -------------------------------------------------------------------------------------------


def test_the_last_close_closes_what_is_open_at_its_cost(play: Play) -> None:
    """Both 1 %. 10 units for 1020.10; closed at 150 * 0.99 = 148.50, fee 1.485 each: 1485 - 14.85 = 1470.15.

    bar  open  high   low  close  target |  equity  units
    0     100   100   100    100       1 |  1020.1      0
    1     100   120   100    120       1 |    1200     10
    2     130   160   130    150       1 | 1470.15      0

    side  entry_time  exit_time  exit_price  quantity  exit_fee  slippage     pnl  bars_held  exit_reason
    long           1          2       148.5        10     14.85        25  450.05          1  end_of_data
    """
    play(initial_cash=1020.1, fee_bps=100.0, slippage_bps=100.0)


def test_the_last_bar_s_decision_fills_nowhere(play: Play) -> None:
    """Nothing is open, and no open follows.

    bar  price  target | equity  units
    0      100       0 |   1000      0
    1      100       0 |   1000      0
    2      100       1 |   1000      0
    """
    play()


def test_an_entry_at_the_last_open_is_closed_at_the_last_close(play: Play) -> None:
    """10 bought at 100, closed at 110 in the same bar.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       0 |   1000      0
    1     100   100   100    100       1 |   1000      0
    2     100   115    95    110       0 |   1100      0

    side  entry_time  exit_time  exit_price  pnl  bars_held  exit_reason
    long           2          2         110  100          0  end_of_data
    """
    play()


def test_a_stop_in_the_last_bar_comes_before_the_end_of_data(play: Play) -> None:
    """Stopped at 90, not closed at 110.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100       1 |   1000      0
    1     100   115    85    110       1 |    900      0

    side  exit_price   pnl  exit_reason
    long          90  -100  stop_loss
    """
    play(Stops(stop_loss=0.1))


def test_one_bar_trades_nothing(play: Play) -> None:
    """Its decision is the last bar's.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    """
    play()


def test_two_bars_hold_one_trade(play: Play) -> None:
    """Decided at bar 0, bought at the open of bar 1 at 100, closed at its close at 120.

    bar  open  high   low  close  target | equity  units
    0      90    90    90     90       1 |   1000      0
    1     100   120   100    120      -1 |   1200      0

    side  entry_time  exit_time  entry_price  exit_price  quantity  pnl  bars_held  exit_reason
    long           1          1          100         120        10  200          0  end_of_data
    """
    play(allow_short=True)


# --- ruin -----------------------------------------------------------------------------------------------------------


def test_a_short_squeeze_ends_at_the_first_close_below_zero(play: Play) -> None:
    """10 sold at 100: cash 2000. At 250 they are worth 2500, so they are bought back there: -500, for good.

    What the target asks for later is not traded, nor does a price of 50 bring anything back.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100      -1 |   1000    -10
    2      250    -0.5 |   -500      0
    3      300       1 |   -500      0
    4      100       1 |   -500      0
    5       50       1 |   -500      0

    side   entry_time  exit_time  exit_price  quantity    pnl  return  exit_reason
    short           1          2         250        10  -1500    -1.5  end_of_data
    """
    assert play(allow_short=True).ruined == 2


def test_in_ruin_the_closing_fill_still_pays_its_costs(play: Play) -> None:
    """Both 1 %. 10 sold at 99, fee 9.90: cash 1019.90 + 980.10 = 2000, and 1000 of equity at a price of 100.

    At the close of 250 they are bought at 252.50, fee 25.25: 2000 - 2550.25.

    bar  price  target |  equity  units
    0      100      -1 |  1019.9      0
    1      100      -1 |    1000    -10
    2      250      -1 | -550.25      0
    3       50      -1 | -550.25      0

    side   exit_time  exit_price  quantity  entry_fee  exit_fee  slippage       pnl  exit_reason
    short          2       252.5        10        9.9     25.25        35  -1570.15  end_of_data
    """
    play(initial_cash=1019.9, fee_bps=100.0, slippage_bps=100.0, allow_short=True)


def test_equity_of_exactly_zero_is_ruin(play: Play) -> None:
    """1000 / 11.20 units sold at 11.20, cash 2000. At 22.40 they are worth 2000, though not in binary: 0 is left.

    bar  price  target | equity      units
    0     11.2      -1 |   1000          0
    1     11.2      -1 |   1000  -625/7
    2     22.4      -1 |      0          0
    3       11      -1 |      0          0

    side   exit_time  exit_price    pnl  exit_reason
    short          2        22.4  -1000  end_of_data
    """
    result = play(allow_short=True)
    assert (result.ruined, result.equity[2], result.equity[3]) == (2, 0.0, 0.0)


@pytest.mark.parametrize(("price", "left"), [(30.0, -1), (99.0, 1), (990.0, -1)])
def test_what_binary_leaves_of_nothing_is_nothing(price: float, left: int) -> None:
    """1000 / price units sold, cash 2000, worth 2000 at twice the price, and a little less or more in binary."""
    prices, time = (
        np.array([1.0, 1.0, 2.0, 1.0]) * price,
        np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D"),
    )
    assert np.sign(2000.0 - 1000.0 / price * (2 * price)) == left
    bars = Bars(time, prices, prices, prices, prices, np.ones(4), "TEST", "1d")
    result = run(bars, np.full(4, -1.0), execution=Execution(initial_cash=1000.0, allow_short=True))
    assert (result.ruined, result.equity[2:].tolist()) == (2, [0.0, 0.0])


@pytest.mark.parametrize(("price", "worth"), [(11.2, 33.6), (11.3, 33.9)])
def test_what_binary_leaves_of_nothing_at_a_fill_is_nothing(price: float, worth: float) -> None:
    """500 / price units sold, cash 1500, bought back at three times the price for 1500, or nearly so in binary."""
    prices, time = (
        np.array([price, price, worth, worth]),
        np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D"),
    )
    assert 1.5 - 0.5 * (worth / price) != 0
    bars = Bars(time, prices, prices, prices, prices, np.ones(4), "TEST", "1d")
    result = run(bars, np.array([-0.5, 0, 1, 1]), execution=Execution(initial_cash=1000.0, allow_short=True))
    assert (result.ruined, result.equity[2:].tolist()) == (2, [0.0, 0.0])
    assert not np.signbit(result.position[2:]).any(), "no -0.0, which a table would show"


def test_an_account_that_was_nearly_nothing_may_be_ruined_later(play: Play) -> None:
    """10 sold at 100, cash 2000. At 199.99 a dime is left, at 150 it is 500, and at 250 it is gone: 2000 - 2500.

    bar   price  target | equity  units
    0       100      -1 |   1000      0
    1       100      -1 |   1000    -10
    2    199.99      -1 |    0.1    -10
    3       150      -1 |    500    -10
    4       250       1 |   -500      0
    5       100       1 |   -500      0

    side   exit_time  exit_price    pnl  exit_reason
    short          4         250  -1500  end_of_data
    """
    result = play(allow_short=True)
    assert result.ruined == 4
    assert not np.signbit(result.position[4:]).any(), "no -0.0, which a table would show"


def test_equity_just_above_zero_is_no_ruin(play: Play) -> None:
    """10 sold at 100, cash 2000. At 199.99 they are worth 1999.90: a dime is left, and grows again.

    bar   price  target | equity  units
    0       100      -1 |   1000      0
    1       100      -1 |   1000    -10
    2    199.99       0 |    0.1    -10
    3       150       0 |    500      0

    side   exit_time  exit_price   pnl  exit_reason
    short          3         150  -500  signal
    """
    assert play(allow_short=True).ruined is None


def test_ruin_within_a_bar_is_none_if_the_close_is_not(play: Play) -> None:
    """10 sold at 100; the high of 300 would have been ruin, the close of 120 is not: marked at closes, not called.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100      -1 |   1000      0
    1     100   300  100    120       0 |    800    -10
    2     120   120  120    120       0 |    800      0

    side   exit_time  exit_price   pnl  exit_reason
    short          2         120  -200  signal
    """
    assert play(allow_short=True).ruined is None


def test_a_stop_that_is_gapped_through_can_be_ruin(play: Play) -> None:
    """10 sold at 100, stop at 110. Bar 2 opens at 230: bought back there, 2000 - 2300 = -300. A new target is too late.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100      -1 |   1000    -10
    2      230       1 |   -300      0
    3      230       1 |   -300      0

    side   exit_time  exit_price    pnl  exit_reason
    short          2         230  -1300  stop_loss
    """
    assert play(Stops(stop_loss=0.1), allow_short=True).ruined == 2


def test_ruin_at_the_last_close_is_ruin(play: Play) -> None:
    """10 sold at 100, bought back at the last close of 210: 2000 - 2100.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100      -1 |   1000    -10
    2      210      -1 |   -100      0

    side   exit_time  exit_price    pnl  exit_reason
    short          2         210  -1100  end_of_data
    """
    assert play(allow_short=True).ruined == 2


def test_what_borrow_takes_can_be_ruin(play: Play) -> None:
    """730 % a year are 2 % a day. 10 sold at 100 and 80 days without a bar: 10 * 100 * 1.6 = 1600 are owed.

    2000 - 1600 - 1000 = -600 at the close of bar 2, where they are bought back at 100.

    bar  day  price  target | equity  units
    0      0    100      -1 |   1000      0
    1      1    100      -1 |   1000    -10
    2     81    100      -1 |   -600      0
    3     82     10      -1 |   -600      0

    side   exit_time  exit_price    pnl  exit_reason
    short          2         100  -1600  end_of_data
    """
    play(borrow_rate=7.3, allow_short=True)


def test_a_short_has_paid_its_borrow_before_it_is_ruined(play: Play) -> None:
    """2 % a day. 10 sold at 100: 20 are paid at the opens of bars 2 and 3, and 2500 at its close: 2000 - 40 - 2500.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100      -1 |   1000    -10
    2      100      -1 |    980    -10
    3      250      -1 |   -540      0
    4      100      -1 |   -540      0

    side   exit_time  exit_price    pnl  exit_reason
    short          3         250  -1540  end_of_data
    """
    assert play(borrow_rate=7.3, allow_short=True).ruined == 3


def test_a_reversal_in_ruin_only_closes(play: Play) -> None:
    """10 sold at 100. At 250: 2000 - 2500 = -500, and no long follows, though the target asks for one.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100       1 |   1000    -10
    2      250       1 |   -500      0
    3      500       1 |   -500      0

    side   exit_time  exit_price  quantity    pnl  exit_reason
    short          2         250        10  -1500  signal
    """
    play(allow_short=True)


@pytest.mark.parametrize("smallest", [0.0, 1.0], ids=["any", "minimum"])
def test_what_the_closing_fee_alone_takes_can_be_ruin(play: Play, smallest: float) -> None:
    """Fee 1 %. 10 sold at 100, fee 10: cash 2000. At 199 they are worth 1990, so 10 are left at the close of bar 2.

    Buying them back at the next open costs a fee of 19.90 more: -9.90, and no long follows, at whatever price.

    bar  price  target | equity  units
    0      100      -1 |   1010      0
    1      100      -1 |   1000    -10
    2      199       1 |     10    -10
    3      199       1 |   -9.9      0
    4      199     0.5 |   -9.9      0
    5      100       1 |   -9.9      0

    side   exit_time  exit_price  quantity  exit_fee      pnl  exit_reason
    short          3         199        10      19.9  -1019.9  signal
    """
    sizing = Sizing(min_trade_value=smallest)
    assert play(sizing=sizing, initial_cash=1010.0, fee_bps=100.0, allow_short=True).ruined == 3


@pytest.mark.parametrize("smallest", [0.0, 0.1], ids=["any", "minimum"])
def test_what_the_closing_fee_leaves_a_dime_of_is_no_ruin(play: Play, smallest: float) -> None:
    """Fee 1 %, as above; 10 at 198 are worth 1980 and cost a fee of 19.80: 0.20 are left, which buy 0.20 / 1.01 at 1.

    bar  price  target | equity   units
    0      100      -1 |   1010       0
    1      100      -1 |   1000     -10
    2      198       0 |     20     -10
    3      198       1 |    0.2       0
    4        1       0 | 20/101  20/101
    5        1       0 | 99/505       0

    side   exit_time  exit_price  quantity  exit_fee      pnl  exit_reason
    short          3         198        10      19.8  -1009.8  signal
    long           5           1    20/101     1/505   -2/505  signal
    """
    sizing = Sizing(min_trade_value=smallest)
    assert play(sizing=sizing, initial_cash=1010.0, fee_bps=100.0, allow_short=True).ruined is None


# --- sizing ---------------------------------------------------------------------------------------------------------


def test_scale_multiplies_the_target(play: Play) -> None:
    """1 * 0.5: 500 buy 5.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       0 |   1000      5
    2      200       0 |   1500      0

    side  quantity  pnl  exit_reason
    long         5  500  signal
    """
    play(sizing=Sizing(scale=0.5))


def test_max_exposure_caps_both_sides(play: Play) -> None:
    """1 and -1 become 0.5 and -0.5. 500 buy 5; at 200 the equity is 1500, and 750 / 200 = 3.75 are sold short.

    At 100: 1500 + 750 - 375 = 1875.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100      -1 |   1000      5
    2      200       0 |   1500  -3.75
    3      100       0 |   1875      0

    side   quantity  pnl  exit_reason
    long          5  500  signal
    short      3.75  375  signal
    """
    play(sizing=Sizing(max_exposure=0.5), allow_short=True)


def test_the_cap_is_applied_after_the_scale(play: Play) -> None:
    """0.3 * 2 = 0.6 stays, 0.9 * 2 = 1.8 becomes 0.8: 6 units, then 8.

    bar  price  target | equity  units
    0      100     0.3 |   1000      0
    1      100     0.9 |   1000      6
    2      100       0 |   1000      8
    3      100       0 |   1000      0

    side  quantity  exit_reason
    long         6  signal
    long         2  signal
    """
    play(sizing=Sizing(scale=2.0, max_exposure=0.8))


def test_a_change_that_the_cap_hides_is_no_change(play: Play) -> None:
    """0.6 and 0.9 are both 0.5 once capped. 500 buy 5; at 200 nothing is rebalanced.

    bar  price  target | equity  units
    0      100     0.6 |   1000      0
    1      100     0.6 |   1000      5
    2      200     0.9 |   1500      5
    3      200       0 |   1500      5
    4      200       0 |   1500      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          4         5  signal
    """
    play(sizing=Sizing(max_exposure=0.5))


def test_a_change_below_the_minimum_trade_value_is_left_out(play: Play) -> None:
    """Minimum 100. From 500 to 550 would trade 50: left out. To 700 then trades 200: 2 units.

    The way down from 700 to 650 is left out too; closing trades whatever is left.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100    0.55 |   1000      5
    2      100     0.7 |   1000      5
    3      100    0.65 |   1000      7
    4      100       0 |   1000      7
    5      100       0 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          5         5  signal
    long           3          5         2  signal
    """
    play(sizing=Sizing(min_trade_value=100.0))


def test_a_trade_of_the_minimum_trade_value_itself_is_made(play: Play) -> None:
    """500 is not below 500.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100       0 |   1000      5
    2      100       0 |   1000      0

    side  quantity  exit_reason
    long         5  signal
    """
    play(sizing=Sizing(min_trade_value=500.0))


def test_the_minimum_is_held_against_the_value_that_would_be_traded(play: Play) -> None:
    """Fee 1 %. Half of 1005 is 502.50, but 500 would be bought, as the fee of 5 comes off first: under 501: left out.

    bar  price  target | equity  units
    0      100     0.5 |   1005      0
    1      100       0 |   1005      0
    2      100       0 |   1005      0
    """
    play(sizing=Sizing(min_trade_value=501.0), initial_cash=1005.0, fee_bps=100.0)


def test_closing_trades_however_small(play: Play) -> None:
    """10 bought for 1000; at 10 they are worth 100, below the minimum of 600, and are sold all the same.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       0 |   1000     10
    2       10       0 |    100      0

    side  exit_time  quantity   pnl  exit_reason
    long          2        10  -900  signal
    """
    play(sizing=Sizing(min_trade_value=600.0))


def test_a_position_too_small_to_open_waits_for_a_target_that_is_large_enough(play: Play) -> None:
    """Minimum 600. 500 is too small. 0.8 is 800 from flat: 8 units.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100     0.8 |   1000      0
    2      100     0.8 |   1000      8
    3      100     0.8 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           2          3         8  end_of_data
    """
    play(sizing=Sizing(min_trade_value=600.0))


def test_small_steps_add_up_to_one_that_is_traded(play: Play) -> None:
    """Minimum 150, steps of 100: 5 units stay until the target is 0.7, 200 from what is held, and then 0.9, 200 again.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100     0.6 |   1000      5
    2      100     0.7 |   1000      5
    3      100     0.8 |   1000      7
    4      100     0.9 |   1000      7
    5      100     0.9 |   1000      9
    6      100     0.9 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          6         5  end_of_data
    long           3          6         2  end_of_data
    long           5          6         2  end_of_data
    """
    play(sizing=Sizing(min_trade_value=150.0))


def test_in_an_account_of_one_too_the_fee_comes_off_what_is_held_against_the_minimum(play: Play) -> None:
    """Fee 1 %, minimum 0.501. Half of 1.005 is 0.5025, of which 0.50 would be bought: left out.

    bar  price  target | equity  units
    0      100     0.5 |  1.005      0
    1      100       0 |  1.005      0
    2      100       0 |  1.005      0
    """
    play(sizing=Sizing(min_trade_value=0.501), initial_cash=1.005, fee_bps=100.0)


def test_a_long_of_less_than_one_unit_pays_its_fee_and_no_borrow_before_the_minimum(play: Play) -> None:
    """Fee 1 %, minimum 0.2483. 0.50 is bought of 1.005, and its fee is 0.005: 1 is left.

    0.75 of it asks for 0.25, of which 0.25 / 1.0075 = 0.24814 would be bought: left out. A day's borrow, 0.1 % or
    0.0005 on top, would have made it 0.24851; an unpaid fee of 0.01, 0.2556. Sold for 0.50 with a fee of 0.005.

    bar  price  target | equity  units
    0      100     0.5 |  1.005      0
    1      100    0.75 |      1  0.005
    2      100       0 |      1  0.005
    3      100       0 |  0.995      0

    side  entry_time  exit_time  quantity    pnl  exit_reason
    long           1          3     0.005  -0.01  signal
    """
    sizing = Sizing(min_trade_value=0.2483)
    play(sizing=sizing, initial_cash=1.005, fee_bps=100.0, borrow_rate=0.365, allow_short=True)


def test_what_borrow_has_taken_counts_before_the_minimum(play: Play) -> None:
    """2 % a day, minimum 110. 10 sold at 100, 20 paid at the open of bar 2: 0.9 of 980 are 8.82 units, 118 less.

    Of the 1000 without it, 0.9 would have been 100 less, too little. The 8.82 pay 17.64 to the open of bar 3.

    bar  price  target | equity  units
    0      100      -1 |   1000      0
    1      100    -0.9 |   1000    -10
    2      100       0 |    980  -8.82
    3      100       0 | 962.36      0

    side   entry_time  exit_time  quantity     pnl  exit_reason
    short           1          2      1.18   -2.36  signal
    short           1          3      8.82  -35.28  signal
    """
    play(sizing=Sizing(min_trade_value=110.0), borrow_rate=7.3, allow_short=True)


def test_a_change_that_was_left_out_is_not_made_up_for_without_a_change(play: Play) -> None:
    """Minimum 100. 5 units at 100; the 0.55 of bar 1 is 50 away. At 300 it would trade 400, but nobody asks.

    Equity is 500 + 1500 = 2000 there. The 0.5 of bar 4 asks for 1000: 5/3 of the units, worth 500, are sold.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100    0.55 |   1000      5
    2      100    0.55 |   1000      5
    3      300    0.55 |   2000      5
    4      300     0.5 |   2000      5
    5      300     0.5 |   2000   10/3
    6      300     0.5 |   2000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          5       5/3  signal
    long           1          6      10/3  end_of_data
    """
    play(sizing=Sizing(min_trade_value=100.0))


def test_the_second_half_of_a_reversal_can_be_too_small(play: Play) -> None:
    """Minimum 600. The long of 1000 is closed, the short of 500 is too small: flat, until 0.7 asks for 700.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100    -0.5 |   1000     10
    2      100     0.7 |   1000      0
    3      100     0.7 |   1000      7
    4      100     0.7 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           1          2        10  signal
    long           3          4         7  end_of_data
    """
    play(sizing=Sizing(min_trade_value=600.0), allow_short=True)


def test_stops_hang_from_the_fill_that_was_made(play: Play) -> None:
    """Minimum 600, stop 10 %. The 500 at 100 are left out. 800 at 80 are not: 10 units, cash 200, the stop at 72.

    The low of 75 is no hit (from 100 the stop would have been at 90), that of 70 is: 200 + 720 = 920.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100     0.5 |   1000      0
    1     100   100   80     80     0.8 |   1000      0
    2      80    80   75     80     0.8 |   1000     10
    3      80    80   70     70     0.8 |    920      0
    4      70    70   70     70     0.8 |    920      0

    side  entry_time  exit_time  exit_price  quantity  pnl  exit_reason
    long           2          3          72        10  -80  stop_loss
    """
    play(Stops(stop_loss=0.1), Sizing(min_trade_value=600.0))


def test_after_a_stop_a_small_change_is_measured_from_flat(play: Play) -> None:
    """Minimum 600, stop 10 %. 10 at 100, stopped at 90: 900. The change to 0.5 asks for 450: too small. 0.8: 720 at 90.

    bar  open  high  low  close  target | equity  units
    0     100   100  100    100       1 |   1000      0
    1     100   100   90     90     0.5 |    900      0
    2      90    90   90     90     0.8 |    900      0
    3      90    90   90     90     0.8 |    900      8
    4      90    90   90     90     0.8 |    900      0

    side  entry_time  exit_time  exit_price  quantity   pnl  exit_reason
    long           1          1          90        10  -100  stop_loss
    long           3          4          90         8     0  end_of_data
    """
    play(Stops(stop_loss=0.1), Sizing(min_trade_value=600.0))


def test_a_value_of_the_minimum_counts_as_it_in_binary_too(play: Play) -> None:
    """0.57 of 100 is 57, and 56.99999999999999 in binary: 5.7 units at 10.

    bar  price  target | equity  units
    0       10    0.57 |    100      0
    1       10    0.57 |    100    5.7
    2       10    0.57 |    100      0

    side  quantity  exit_reason
    long       5.7  end_of_data
    """
    assert 0.57 * 100 < 57
    play(sizing=Sizing(min_trade_value=57.0), initial_cash=100.0)


def test_a_value_of_the_minimum_counts_as_it_in_a_larger_account_too(play: Play) -> None:
    """0.57 of 10,000 is 5,700, and 5,699.999999999999 in binary: 570 units at 10.

    bar  price  target | equity  units
    0       10    0.57 |  10000      0
    1       10    0.57 |  10000    570
    2       10    0.57 |  10000      0

    side  quantity  exit_reason
    long       570  end_of_data
    """
    assert 0.57 * 10_000 < 5700
    play(sizing=Sizing(min_trade_value=5700.0), initial_cash=10_000.0)


def test_a_change_of_the_minimum_counts_as_it_beside_as_much_cash_as_is_held(play: Play) -> None:
    """Half of 100 is 5 units at 10. 0.57 of it is 7 more, and 6.999999999999993 in binary: 0.7 units.

    bar  price  target | equity  units
    0       10     0.5 |    100      0
    1       10    0.57 |    100      5
    2       10    0.57 |    100    5.7
    3       10    0.57 |    100      0

    side  entry_time  quantity  exit_reason
    long           1         5  end_of_data
    long           2       0.7  end_of_data
    """
    assert 0.57 * 100 - 50 < 7
    play(sizing=Sizing(min_trade_value=7.0), initial_cash=100.0)


def test_a_short_that_is_large_enough_opens_after_a_long_that_was_not(play: Play) -> None:
    """Minimum 600. A long of 500 is too small; a short of 800 is not: 8 units.

    bar  price  target | equity  units
    0      100     0.5 |   1000      0
    1      100    -0.8 |   1000      0
    2      100       0 |   1000     -8
    3      100       0 |   1000      0

    side   entry_time  exit_time  quantity  exit_reason
    short           2          3         8  signal
    """
    play(sizing=Sizing(min_trade_value=600.0), allow_short=True)


def test_a_position_that_was_never_opened_has_no_stop(play: Play) -> None:
    """Minimum 600, stop 10 %. The long of 500 never opens, so the low of 85 stops nothing.

    The 1 at bar 3 is large enough: 10 units at the open of bar 4.

    bar  open  high   low  close  target | equity  units
    0     100   100   100    100     0.5 |   1000      0
    1     100   100    85    100     0.5 |   1000      0
    2     100   100   100    100       0 |   1000      0
    3     100   100   100    100       1 |   1000      0
    4     100   100   100    100       1 |   1000     10
    5     100   100   100    100       1 |   1000      0

    side  entry_time  exit_time  quantity  exit_reason
    long           4          5        10  end_of_data
    """
    play(Stops(stop_loss=0.1), Sizing(min_trade_value=600.0))


def test_a_short_target_without_allow_short_is_refused() -> None:
    """-0.5 at bar 2 of a run that may not go short."""
    table = {"bar": ["0", "1", "2"], "price": ["100"] * 3}
    with pytest.raises(RunError, match=r"short \(-0.5 at bar 2\) but execution.allow_short is false") as error:
        run(bars_in(table), np.array([0.5, 0.0, -0.5]))
    assert error.value.hint.startswith('strategy.signals = "events" where -1 means to leave')


def test_the_tables_are_read_and_compared() -> None:
    """The golden tests can fail: a table with a wrong unit of equity does not pass.

    bar  price  target | equity  units
    0      100       1 |   1000      0
    1      100       0 |   1001     10
    2      100       0 |   1000      0

    side  quantity  exit_reason
    long        10  signal
    """
    table, trades = tables(test_the_tables_are_read_and_compared.__doc__ or "")
    result = run(bars_in(table), numbers(table["target"]), execution=Execution(initial_cash=1000.0))
    assert trades == {"side": ["long"], "quantity": ["10"], "exit_reason": ["signal"]}
    assert (result.equity != numbers(table["equity"])).tolist() == [False, True, False]
