"""What goes wrong on the way is asked again or ends in a sentence; what comes out is whole or says what is missing."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.fetch.conftest import HOUR, Exchange, Fetching, bar, numbers, only, reply

from peak_trade.data.fetch import fetch, kept
from peak_trade.data.fetch.order import milliseconds
from peak_trade.errors import RunError

ROWS = [bar(number) for number in range(2500)]


def hang_up(handler: Any) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset_in_mid_page(handler: Any) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'[[1704067200000,"1","1","1","1","1"],[17040708')
    hang_up(handler)


def end_in_mid_page(handler: Any) -> None:
    """Without a length, only the JSON tells that something is missing."""
    handler.send_response_only(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.wfile.write(b'[[1704067200000,"1","1","1","1","1"],[17040708')
    hang_up(handler)


def be_slow(handler: Any) -> None:
    time.sleep(1.5)
    reply(handler, [])


def answer(content: Any, status: int = 200, **headers: str) -> Any:
    return lambda handler: reply(
        handler, content, status, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


ROW = [ROWS[1000][0], "1", "1", "1", "1", "1"]
PASSING = {
    "a connection that is closed": (hang_up, "closed the connection"),
    "a reset in mid-page": (reset_in_mid_page, "broke off in the middle of an answer"),
    "an end in mid-page": (end_in_mid_page, "no JSON"),
    "no answer": (be_slow, "gave no answer within 1 s"),
    "too many questions": (answer({"code": -1003, "msg": "Too many"}, 429, Retry_After="1"), "answered 429"),
    "an error of the server": (answer(b"<html>oh</html>", 503), "answered 503 (<html>oh</html>)"),
    "a proxy's error": (answer(b"bad gateway", 502), "answered 502"),
    "garbage": (answer(b"\x00\xff{]"), "no JSON"),
    "half of a JSON": (answer(b'[[1704067200000,"4'), "no JSON"),
    "a page of HTML": (answer(b"<html><body>maintenance</body></html>"), "no JSON"),
    "nothing": (answer(b""), "no JSON"),
    "an answer that is packed wrong": (
        lambda handler: reply(handler, b"no gzip", headers={"Content-Encoding": "gzip"}),
        "can't be unpacked",
    ),
    "a null": (answer(None), "no JSON"),
    "a row without a time": (answer([["x", *ROW[1:]]]), "a row that is no bar"),
    "a row that is short": (answer([ROW[:4]]), "a row that is no bar"),
    "a price that is none": (answer([[*ROW[:4], "NaN", "1"]]), "a row that is no bar"),
    "a price that is a word": (answer([[*ROW[:2], "high", *ROW[3:]]]), "a row that is no bar"),
    "rows that are numbers": (answer([1, 2, 3]), "a row that is no bar"),
    "a dictionary": (answer({"hello": {"a": 1}}), "a row that is no bar"),
    "a bar twice, with other values": (answer([ROW, [*ROW[:4], "2", "1"]]), "gave one bar twice"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_nothing_and_is_said(serve: Any, fetching: Fetching, name: str) -> None:
    act, said = PASSING[name]
    exchange = serve(ROWS)
    exchange.faults.append(only(2, act, after=1))
    fetching(exchange, timeout_s=1 if act is be_slow else 20)
    assert fetching.kept() == numbers(ROWS)
    again = [line for line in fetching.said if "asking again" in line]
    assert len(again) == 2
    assert all(said in line for line in again)
    assert again[0].endswith("(1 of 3)")
    assert fetching.warned == []


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_stays_ends_in_a_sentence_and_keeps_what_came_before(
    serve: Any, fetching: Fetching, name: str
) -> None:
    act, said = PASSING[name]
    exchange = serve(ROWS)
    exchange.faults.append(only(1000, act, after=1))
    with pytest.raises(RunError) as ended:
        fetching(exchange, times=1, timeout_s=1 if act is be_slow else 20)
    assert said in ended.value.message
    assert "asked 2 times for bars" in ended.value.message
    assert "\n" not in ended.value.message
    assert not fetching.path.exists()
    assert [row[0] for row in numbers(ROWS[:1000])] == kept.read(kept.part_of(fetching.path)).times.tolist()
    exchange.faults.clear()
    exchange.asked.clear()
    done = fetching(exchange)  # the same order goes on
    assert fetching.kept() == numbers(ROWS)
    assert int(exchange.asked[0]["startTime"]) == ROWS[1000][0]
    assert done.new == 2500
    assert not kept.part_of(fetching.path).exists()


def test_an_exchange_that_is_not_there(fetching: Fetching) -> None:
    exchange = Exchange(ROWS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        exchange.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RunError, match="binance refused the connection, asked 3 times for its markets"):
        fetching(exchange, times=2)
    assert list(fetching.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "status, words",
    [(418, "answered 418"), (429, "answered 429")],
)
def test_one_that_asks_to_wait_for_long_is_left_alone(serve: Any, fetching: Fetching, status: int, words: str) -> None:
    exchange = serve(ROWS)
    exchange.faults.append(only(1, answer({"code": -1003}, status, Retry_After="7200")))
    with pytest.raises(RunError, match=rf"{words} .* and asks to wait 7,200 s"):
        fetching(exchange)
    assert len(exchange.asked) == 1


def test_a_wait_may_be_asked_for_by_date(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.faults.append(
        only(
            1,
            lambda handler: reply(handler, {}, 429, headers={"Retry-After": formatdate(time.time() + 3, usegmt=True)}),
        )
    )
    start = time.monotonic()
    fetching(exchange)
    assert time.monotonic() - start > 1.5
    assert fetching.kept() == numbers(ROWS)


@pytest.mark.parametrize(
    "status, words", [(451, "does not serve this place"), (403, "refuses this"), (404, "answered 404")]
)
def test_what_does_not_pass_is_not_asked_again(serve: Any, fetching: Fetching, status: int, words: str) -> None:
    exchange = serve(ROWS)
    exchange.faults.append(only(9, answer({"msg": "no"}, status)))
    with pytest.raises(RunError, match=words):
        fetching(exchange)
    assert len(exchange.asked) == 1


def test_an_empty_page_in_the_middle_is_no_hole(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.faults.append(only(1, answer([]), after=1))
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    assert fetching.warned == []


def test_a_page_that_comes_twice_is_no_hole_and_no_bar_twice(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    first = [[*row, row[0] + HOUR - 1, "1", 9, "1", "1", "0"] for row in ROWS[:1000]]
    exchange.faults.append(only(1, answer(first), after=1))
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    assert fetching.warned == []


def test_rows_out_of_order_and_twice_are_put_in_order(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.page = 700
    exchange.edit = lambda rows, question: [*reversed(rows), *rows[:10]][:1000]
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    assert fetching.warned == []


def test_a_hole_in_one_answer_only_is_filled(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.edit = lambda rows, question: rows if len(exchange.asked) > 3 else [*rows[:100], *rows[107:]]
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    assert fetching.warned == []


def test_a_bar_of_far_away_in_each_page_leads_past_nothing(serve: Any, fetching: Fetching) -> None:
    """In the first pages one that is not due, in the later ones one that is."""
    exchange = serve(ROWS)
    other = bar(900_000)
    exchange.edit = lambda rows, question: [*rows[:300], other if len(exchange.asked) % 2 else ROWS[-1]]
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    assert fetching.warned == []


@pytest.mark.parametrize("seed", range(12))
def test_whatever_goes_wrong_the_file_has_what_the_exchange_has(serve: Any, fetching: Fetching, seed: int) -> None:
    """Holes, short pages, faults and interruptions by lot: in the end each bar is there, and each hole is told."""
    draw = random.Random(seed)
    rows = [row for row in ROWS[: draw.randint(1, 2500)] if draw.random() > 0.002]
    gap = draw.randint(0, 1500)
    rows = [row for row in rows if not gap <= (row[0] - ROWS[0][0]) // HOUR < gap + 400] or ROWS[:1]
    exchange = serve(rows)
    exchange.page = draw.randint(40, 1000)
    acts = [act for act, _ in PASSING.values() if act not in (be_slow,)]
    acts = [act for act in acts if act is not PASSING["too many questions"][0]]

    def fault(handler: Any, question: dict[str, str]) -> bool:
        if not question["path"].endswith("klines") or draw.random() > 0.3:
            return False
        draw.choice(acts)(handler)
        return True

    exchange.faults.append(fault)
    for _ in range(60):
        with suppress(RunError):
            done = fetching(exchange, times=1)
            break
    else:
        exchange.faults.clear()
        done = fetching(exchange)
    assert fetching.kept() == numbers(rows)
    due = set(range((rows[-1][0] - ROWS[0][0]) // HOUR + 1))
    missing = due - {(row[0] - ROWS[0][0]) // HOUR for row in rows}
    told = {
        (milliseconds("", hole["from"]) - ROWS[0][0]) // HOUR + at
        for hole in done.note["holes"]["listed"]
        for at in range(hole["bars"])
    }
    assert told == missing
    assert bool(fetching.warned) == bool(missing)
    assert not kept.part_of(fetching.path).exists()


def test_pages_that_are_shorter_than_asked_for_lose_nothing(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.page = 333
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)


def test_a_server_that_ignores_since_makes_a_hole_that_is_named(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange._klines = lambda question: [[*row, 0, "1", 9, "1", "1", "0"] for row in ROWS[-1000:]]
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS[-1000:])
    assert fetching.warned == [
        "1,500 bars missing, which binance did not give, asked twice: 1,500 from 2024-01-01T00:00:00Z on"
    ]


def test_a_server_that_gives_the_oldest_bars_whatever_is_asked_for(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange._klines = lambda question: [[*row, 0, "1", 9, "1", "1", "0"] for row in ROWS[:1000]]
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS[:1000])
    assert "1,500 bars missing" in fetching.warned[0]


def test_a_killed_process_has_lost_little(serve: Any, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing runs on the way out, what was saved on the way is there."""
    monkeypatch.setattr(fetch, "SAVED_EVERY_S", 0.0)
    exchange = serve(ROWS)
    command = [sys.executable, "-c", KILLED, exchange.url, str(fetching.path)]
    died = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(kept.read(kept.part_of(fetching.path)).times) == 2000
    fetching(exchange)
    assert fetching.kept() == numbers(ROWS)
    left = {path.name for path in fetching.path.parent.iterdir()}
    assert left == {"bars.parquet", "bars.parquet.json"}


KILLED = """
import os, signal, sys
from pathlib import Path
from peak_trade.data.fetch import client, fetch, order
fetch.SAVED_EVERY_S = 0
bars = client.Client.bars
def bars_or_die(self, since, count, seen=[]):
    seen.append(since)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return bars(self, since, count)
client.Client.bars = bars_or_die
fetch.fetch(order.order("binance", "BTC/USDT", "1h", "2024-01-01", None, sys.argv[1]), Path(sys.argv[2]))
"""


# --- the command ---------------------------------------------------------------------------------------------------


def command(exchange: Exchange, *words: str, **options: Any) -> Any:
    script = Path(__file__).parents[2] / "scripts" / "fetch_bars.py"
    order = ["--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h", "--since", "2024-01-01"]
    environment = os.environ | {"PEAK_MARKET_URL": exchange.url, "PYTHONWARNINGS": "default"}
    started = subprocess.Popen(
        [sys.executable, script, *order, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    return started


def test_the_command_prints_the_path_alone(serve: Any, tmp_path: Path) -> None:
    started = command(serve(ROWS), "--output", "btc.parquet", cwd=tmp_path)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (0, "btc.parquet\n"), err
    assert "BTC/USDT 1h of binance: 2,500 bars new, 2,500 in all" in err


def test_an_interrupt_keeps_what_was_fetched(serve: Any, fetching: Fetching) -> None:
    exchange = serve(ROWS)
    exchange.faults.append(only(1, lambda handler: time.sleep(20), after=2))
    started = command(exchange, "--output", str(fetching.path))
    deadline = time.monotonic() + 30
    while len(exchange.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (1, "")
    assert "2,000 bars kept beside" in err and err.endswith("error: interrupted\n")
    exchange.faults.clear()
    exchange.asked.clear()
    again = command(exchange, "--output", str(fetching.path))
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert fetching.kept() == numbers(ROWS)
    assert int(exchange.asked[0]["startTime"]) == ROWS[2000][0]


def test_the_bars_go_into_the_lake_under_the_name_of_the_exchange(serve: Any, tmp_path: Path, need: Any) -> None:
    need("lake")
    from peak_trade.data import lake

    started = command(serve(ROWS), "--output", "x.parquet", "--to-lake", "--lake-dir", "lake", cwd=tmp_path)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 0, err
    rows = lake.connect(tmp_path / "lake").execute(
        "SELECT symbol, timeframe, source, count(*), sum(close) FROM ohlcv GROUP BY ALL"
    )
    assert rows.fetchall() == [("BTC/USDT", "1h", "binance", 2500, pytest.approx(sum(r[4] for r in numbers(ROWS))))]


def test_the_exit_code_tells_a_fault_from_a_wrong_order(serve: Any, tmp_path: Path) -> None:
    exchange = serve(ROWS)
    wrong = command(exchange, "--symbol", "BTC/USTD", cwd=tmp_path)
    err = wrong.communicate(timeout=60)[1]
    assert err.startswith("error: binance has no market `BTC/USTD`\nhint: did you mean `BTC/USDT` or ")
    assert wrong.returncode == 2
    exchange.faults.append(only(99, answer(b"<html>")))
    failed = command(exchange, "--retries", "1", "--output", "x.parquet", cwd=tmp_path)
    err = failed.communicate(timeout=60)[1]
    assert failed.returncode == 1
    assert "error: binance answered with what is no JSON: `<html>`, asked 2 times for bars\n" in err


@pytest.mark.parametrize("absent", ["ccxt", "pyarrow"])
def test_without_the_extra_a_sentence_names_it(tmp_path: Path, absent: str) -> None:
    script = Path(__file__).parents[2] / "scripts" / "fetch_bars.py"
    order = ["--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h", "--since", "2024-01-01"]
    hidden = f"import runpy, sys; sys.modules[{absent!r}] = None; sys.argv = {[str(script), *order]}"
    words = [sys.executable, "-c", f"{hidden}; runpy.run_path(sys.argv[0], run_name='__main__')"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: fetching market data needs {absent}\nhint: just setup market\n"
