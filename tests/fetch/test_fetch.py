"""Bars come from an exchange exactly as it holds them, each once, and what is missing is named."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fetch.conftest import DAY, HOUR, START, Fetching, bar, numbers

from peak_trade.data.fetch import kept
from peak_trade.errors import InputError, RunError


def rows_of(count: int, **options: Any) -> list[Any]:
    return [bar(number, **options) for number in range(count)]


def test_the_bars_are_those_of_the_exchange_over_several_pages(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(2345)
    exchange = serve(rows)
    done = fetching(exchange)
    assert fetching.kept() == numbers(rows)
    assert (done.new, len(done.bars)) == (2345, 2345)
    assert [int(one["startTime"]) for one in exchange.asked] == [START, START + 1000 * HOUR, START + 2000 * HOUR]
    assert fetching.warned == []


def test_prices_are_taken_to_the_last_digit(serve: Any, fetching: Fetching) -> None:
    rows = [(START, "0.00001234", "0.10000001", "0.00001233", "0.1", "123456789.12345678"), bar(1), bar(2)]
    rows[1:] = [(row[0], "0.3", "0.3", "0.3", "0.3", "0") for row in rows[1:]]
    fetching(serve(rows))
    assert fetching.kept() == numbers(rows)


def test_since_is_the_first_bar_and_until_the_first_left_out(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(100)
    fetching(serve(rows), since="2024-01-01T05:00Z", until="2024-01-02T06:00+01:00")
    assert fetching.kept() == numbers(rows[5:29])


def test_a_since_between_two_bars_begins_at_the_next(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(10)
    fetching(serve(rows), since="2024-01-01T02:30Z")
    assert fetching.kept() == numbers(rows[3:])
    assert fetching.warned == []


def test_the_bar_that_has_not_ended_is_left_out(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(10)
    fetching(serve(rows, now=rows[9][0] + HOUR - 1000))
    assert fetching.kept() == numbers(rows[:9])
    fetching(serve(rows, now=rows[9][0] + HOUR))  # a second later it has
    assert fetching.kept() == numbers(rows)


def test_a_clock_that_runs_ahead_makes_no_bar_whole(serve: Any, fetching: Fetching) -> None:
    """The exchange's time is two years behind ours in these tests: what it says counts, and is said."""
    rows = rows_of(10)
    fetching(serve(rows, now=rows[4][0] + 1))
    assert fetching.kept() == numbers(rows[:4])
    assert any("ahead of that of binance" in line for line in fetching.said)


def test_days_weeks_and_months_stand_where_the_exchange_has_them(serve: Any, fetching: Fetching) -> None:
    monday = START  # 2024-01-01 is one
    weeks = rows_of(8, step=7 * DAY, start=monday + 3 * DAY)  # of an exchange whose weeks begin on Thursday
    exchange = serve(weeks, now=weeks[-1][0] + 7 * DAY)
    fetching(exchange, timeframe="1w")
    assert fetching.kept("1w") == numbers(weeks)
    assert fetching.warned == []

    fetching.path = fetching.path.with_name("months.parquet")
    starts = [1704067200000, 1706745600000, 1709251200000, 1711929600000]  # January to April 2024
    months = [(at, *bar(number)[1:]) for number, at in enumerate(starts)]
    fetching(serve(months, now=1714521600000), timeframe="1M")  # the first of May
    assert fetching.kept("1M") == numbers(months)
    assert fetching.warned == []


def test_a_file_that_is_up_to_date_is_not_touched(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(50)
    exchange = serve(rows)
    fetching(exchange)
    note = kept.note_of(fetching.path)
    before = fetching.path.stat(), note.read_bytes()
    done = fetching(exchange)
    assert (fetching.path.stat(), note.read_bytes()) == before
    assert (done.new, done.note["bars"]["rows"]) == (0, 50)
    assert sorted(path.name for path in fetching.path.parent.iterdir()) == ["bars.parquet", "bars.parquet.json"]


def test_only_what_is_missing_and_the_last_page_is_asked_for(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(2600)
    exchange = serve(rows, now=rows[2200][0])
    fetching(exchange)
    exchange.now = rows[-1][0] + HOUR
    exchange.asked.clear()
    done = fetching(exchange)
    assert fetching.kept() == numbers(rows)
    assert [(int(one["startTime"]) - START) // HOUR for one in exchange.asked] == [1200, 2200]
    assert (done.new, done.note["fetches"][-1]["compared"]) == (400, 1000)


def test_an_earlier_since_extends_the_file_to_the_front_without_a_hole_between(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(300)
    exchange = serve(rows)
    fetching(exchange, since="2024-01-10", until="2024-01-11")
    fetching(exchange, since="2024-01-02", until="2024-01-03")
    assert fetching.kept() == numbers(rows[24 : 10 * 24])


def test_a_bar_with_other_values_is_taken_reported_and_the_old_one_noted(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(50)
    exchange = serve(rows)
    fetching(exchange)
    exchange.rows = [*rows[:20], (rows[20][0], *rows[21][1:]), *rows[21:]]
    done = fetching(exchange)
    assert fetching.kept() == numbers(exchange.rows)
    assert fetching.warned == ["1 bar revised by binance (at 2024-01-01T20:00:00Z): the note keeps what they were"]
    (revised,) = done.note["revised"]
    assert (revised["timestamp"], tuple(revised["before"].values())) == ("2024-01-01T20:00:00Z", numbers(rows)[20][1:])
    fetching(exchange)
    assert fetching.warned == []


def test_an_old_bar_that_was_revised_is_found_when_all_is_asked_for_again(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(1500)
    exchange = serve(rows)
    fetching(exchange)
    exchange.rows = [(rows[0][0], *rows[1][1:]), *rows[1:]]
    assert fetching(exchange).note["revised"] == []  # not in the last page
    done = fetching(exchange, recheck=True)
    assert [one["timestamp"] for one in done.note["revised"]] == ["2024-01-01T00:00:00Z"]
    assert fetching.kept() == numbers(exchange.rows)


def test_a_bar_that_is_not_given_again_stays_and_is_said(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(50)
    exchange = serve(rows)
    fetching(exchange)
    exchange.rows = [*rows[:20], *rows[22:]]
    fetching(exchange)
    assert fetching.kept() == numbers(rows)
    assert fetching.warned == [
        "2 bars held that binance did not give again, asked twice: 2 from 2024-01-01T20:00:00Z on; kept"
    ]


def test_other_values_of_most_bars_are_refused_and_taken_when_asked(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(50)
    exchange = serve(rows)
    fetching(exchange)
    before = fetching.path.read_bytes()
    exchange.rows = [(row[0], *rows[(number + 1) % 50][1:]) for number, row in enumerate(rows)]
    with pytest.raises(RunError, match="50 of 50 bars that .* holds have other values now"):
        fetching(exchange)
    assert fetching.path.read_bytes() == before
    done = fetching(exchange, revise=True)
    assert fetching.kept() == numbers(exchange.rows)
    assert len(done.note["revised"]) == 50


def test_a_hole_is_asked_for_twice_then_named_and_noted(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(100)
    exchange = serve([*rows[:30], *rows[33:70], *rows[71:]])
    done = fetching(exchange)
    assert fetching.kept() == numbers(exchange.rows)
    assert fetching.warned == [
        "4 bars missing, which binance did not give, asked twice: "
        "3 from 2024-01-02T06:00:00Z on; 1 from 2024-01-03T22:00:00Z on"
    ]
    assert done.note["holes"] == {
        "bars": 4,
        "runs": 2,
        "listed": [
            {"from": "2024-01-02T06:00:00Z", "to": "2024-01-02T09:00:00Z", "bars": 3},
            {"from": "2024-01-03T22:00:00Z", "to": "2024-01-03T23:00:00Z", "bars": 1},
        ],
    }
    assert [(int(one["startTime"]) - START) // HOUR for one in exchange.asked] == [0, 30, 70]


def test_a_noted_hole_is_asked_for_again_only_when_all_is(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(1500)
    exchange = serve([*rows[:30], *rows[33:]])
    fetching(exchange)
    exchange.rows = rows  # the exchange has found them
    exchange.asked.clear()
    fetching(exchange)
    assert len(fetching.kept()) == 1497
    assert [(int(one["startTime"]) - START) // HOUR for one in exchange.asked] == [500]
    assert "3 from 2024-01-02T06:00:00Z on" in fetching.warned[0]  # it is said each time
    fetching(exchange, recheck=True)
    assert fetching.kept() == numbers(rows)
    assert fetching.warned == []


def test_bars_before_the_market_began_and_after_it_ended_are_named(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(48)
    exchange = serve(rows[24:40], now=rows[47][0] + HOUR)
    done = fetching(exchange)
    assert fetching.kept() == numbers(rows[24:40])
    assert [(one["from"], one["bars"]) for one in done.note["holes"]["listed"]] == [
        ("2024-01-01T00:00:00Z", 24),
        ("2024-01-02T16:00:00Z", 8),
    ]
    exchange.rows = rows[24:]  # the end may come later: it is asked for again
    fetching(exchange)
    assert fetching.kept() == numbers(rows[24:])


def test_an_exchange_without_these_bars_is_an_error_and_leaves_nothing(serve: Any, fetching: Fetching) -> None:
    exchange = serve(rows_of(5), now=START + 1000 * HOUR)
    with pytest.raises(RunError, match="binance gave no bars of BTC/USDT 1h from 2024-02-01T00:00:00Z on"):
        fetching(exchange, since="2024-02-01")
    assert list(fetching.path.parent.iterdir()) == []


def test_bars_that_break_the_contract_are_refused_or_left_out_and_said(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(20)
    exchange = serve([*rows[:7], (rows[7][0], "5", "4", "3", "4", "1"), *rows[8:]])
    with pytest.raises(RunError, match=r"2024-01-01T07:00:00Z, column high: 4.0 must not be below open or close"):
        fetching(exchange)
    assert not fetching.path.exists()
    done = fetching(exchange, on_violation="drop-rows")
    assert fetching.kept() == numbers([*rows[:7], *rows[8:]])
    assert [one["from"] for one in done.note["holes"]["listed"]] == ["2024-01-01T07:00:00Z"]
    assert "2024-01-01T07:00:00Z" in done.note["dropped"][0]
    exchange.rows = rows  # the exchange has mended it
    fetching(exchange, recheck=True)
    assert fetching.kept() == numbers(rows)


def test_what_was_refused_and_is_mended_meanwhile_is_taken(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(20)
    exchange = serve([*rows[:7], (rows[7][0], "5", "4", "3", "4", "1"), *rows[8:]])
    with pytest.raises(RunError):
        fetching(exchange)
    exchange.rows = rows
    fetching(exchange)
    assert fetching.kept() == numbers(rows)


def test_bars_of_another_step_than_asked_for_are_refused(serve: Any, fetching: Fetching) -> None:
    with pytest.raises(RunError, match="declared 1h, found 2h"):
        fetching(serve(rows_of(30, step=2 * HOUR)))
    fetching.path = fetching.path.with_name("other.parquet")
    with pytest.raises(RunError, match="gave a bar at 2024-01-01T00:30:00Z, between those of 1h"):
        fetching(serve(rows_of(30, step=HOUR // 2)))


def test_file_and_note_say_where_the_bars_come_from(serve: Any, fetching: Fetching) -> None:
    done = fetching(serve(rows_of(20)), until="2024-01-01T20:00Z")
    note = json.loads(kept.note_of(fetching.path).read_bytes())
    assert note == done.note
    series = {"exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}
    assert note.items() >= series.items()
    assert (note["since"], note["until"]) == ("2024-01-01T00:00:00Z", "2024-01-01T20:00:00Z")
    sha256 = __import__("hashlib").sha256(fetching.path.read_bytes()).hexdigest()
    assert note["file"] == {"name": "bars.parquet", "sha256": sha256, "bytes": fetching.path.stat().st_size}
    inside = json.loads(pq.read_schema(fetching.path).metadata[b"peak_trade.fetch"])
    assert inside.items() >= (series | {"bars": note["bars"]["digest"], "ccxt": note["ccxt"]}).items()


def test_a_password_in_an_address_is_in_no_note(serve: Any, fetching: Fetching) -> None:
    exchange = serve(rows_of(20))
    exchange.url = exchange.url.replace("//", "//me:hunter22@")
    fetching(exchange)
    kept_text = kept.note_of(fetching.path).read_text()
    assert "hunter22" not in kept_text + str(pq.read_schema(fetching.path).metadata)
    assert "me:[redacted]@127.0.0.1" in kept_text


def test_a_file_of_another_market_is_refused(serve: Any, fetching: Fetching) -> None:
    exchange = serve(rows_of(20))
    fetching(exchange)
    before = fetching.path.read_bytes()
    with pytest.raises(InputError, match="holds the symbol BTC/USDT, not ETH/USDT"):
        fetching(exchange, symbol="ETH/USDT")
    with pytest.raises(InputError, match="holds the timeframe 1h, not 1d"):
        fetching(exchange, timeframe="1d")
    assert fetching.path.read_bytes() == before


def test_a_file_that_was_not_fetched_is_refused(serve: Any, fetching: Fetching) -> None:
    exchange = serve(rows_of(20))
    fetching(exchange)
    table = pq.read_table(fetching.path).replace_schema_metadata(None)
    kept.note_of(fetching.path).unlink()
    pq.write_table(table, fetching.path)
    with pytest.raises(InputError, match="holds bars of no known exchange"):
        fetching(exchange)
    fetching.path.write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match="can't be read as a file of bars"):
        fetching(exchange)


def test_a_file_that_was_changed_since_is_asked_for_anew_and_the_change_found(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(1500)
    exchange = serve(rows)
    fetching(exchange)
    table = pq.read_table(fetching.path)
    close = table["close"].to_pylist()
    close[3] = 41_000.5
    pq.write_table(table.set_column(4, "close", pa.array(close)), fetching.path)
    done = fetching(exchange)
    assert "is not as it was fetched" in fetching.warned[0]
    assert [one["timestamp"] for one in done.note["revised"]] == ["2024-01-01T03:00:00Z"]
    assert fetching.kept() == numbers(rows)


def test_a_fetch_that_died_between_file_and_note_is_brought_to_its_end(
    serve: Any, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(1500)
    exchange = serve(rows, now=rows[1200][0])
    fetching(exchange)
    exchange.now = rows[-1][0] + HOUR

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kept, "write_note", die)
        with pytest.raises(KeyboardInterrupt):
            fetching(exchange)
    content = fetching.path.read_bytes()
    exchange.asked.clear()
    done = fetching(exchange)
    assert (fetching.warned, fetching.path.read_bytes()) == ([], content)
    assert [(int(one["startTime"]) - START) // HOUR for one in exchange.asked] == [500]
    assert done.note["file"] == kept.describe(fetching.path) == kept.read_note(fetching.path)["file"]
    assert not kept.part_of(fetching.path).exists()


def test_the_market_may_be_named_as_the_exchange_does(serve: Any, fetching: Fetching) -> None:
    assert fetching(serve(rows_of(20)), symbol="BTCUSDT").bars.symbol == "BTC/USDT"


@pytest.mark.parametrize(
    "asked, message, hint",
    [
        ({"name": "binanse"}, "unknown exchange `binanse`", "did you mean `binance`"),
        ({"symbol": "BTC/USTD"}, "binance has no market `BTC/USTD`", "did you mean `BTC/USDT`"),
        ({"symbol": "btc/usdt"}, "binance has no market `btc/usdt`", "did you mean `BTC/USDT`"),
        ({"symbol": "XRP/JPY"}, "binance has no market `XRP/JPY`", ""),
        ({"timeframe": "7m"}, "binance has no bars of 7m", "it has 1s, 1m, 3m"),
        ({"timeframe": "1x"}, "`1x` is not a timeframe", ""),
        ({"since": "soon"}, "--since 'soon' is not a time", "2024-01-31"),
        ({"since": "2024-01-02", "until": "2024-01-02"}, "--until 2024-01-02 is not after --since", ""),
        ({"since": "2090-01-01"}, "no bar of 1h that opens from 2090-01-01T00:00:00Z on has ended", "earlier --since"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    serve: Any, fetching: Fetching, asked: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(InputError) as refused:
        fetching(serve(rows_of(5)), **asked)
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert list(fetching.path.parent.glob("bars*")) == []


def test_kraken_gives_its_newest_bars_only_and_that_is_said(serve: Any, fetching: Fetching) -> None:
    rows = rows_of(1001)
    exchange = serve(rows, now=rows[1000][0] + 1)  # the last has not ended
    done = fetching(exchange, name="kraken", symbol="BTC/USD")
    assert fetching.kept() == numbers(rows[281:1000])
    assert fetching.warned == [
        "281 bars missing, which kraken did not give, asked twice: 281 from 2024-01-01T00:00:00Z on"
    ]
    assert done.note["exchange"] == "kraken"


def test_an_exchange_that_answers_by_window_is_asked_past_a_hole_longer_than_a_page(
    serve: Any, fetching: Fetching
) -> None:
    """As Coinbase: of what lies beyond the window that is asked for nothing is given, so a page may be empty."""
    rows = rows_of(3000)
    exchange = serve([*rows[:10], *rows[2600:]])
    exchange.edit = lambda given, asked: [
        row for row in given if row[0] < int(asked["startTime"]) + int(asked["limit"]) * HOUR
    ]
    done = fetching(exchange)
    assert fetching.kept() == numbers(exchange.rows)
    assert [one["bars"] for one in done.note["holes"]["listed"]] == [2590]


def test_two_fetches_of_one_file_do_not_mix(serve: Any, fetching: Fetching) -> None:
    exchange = serve(rows_of(20))
    with kept.claimed(fetching.path), pytest.raises(InputError, match="another process is fetching"):
        fetching(exchange)
    fetching(exchange)
