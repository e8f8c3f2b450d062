"""Files as people's programs write them: decimal commas, indexes of any name or of none, further fees, languages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from tests.record.imports import metatrader
from tests.record.imports.conftest import Run
from tests.record.imports.test_tables import BACKTESTING, VECTORBT

from peak_trade.errors import InputError

Take = Callable[..., Run]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("date;equity\n2024-01-01;1000,50\n2024-01-02;1001,25\n", [1000.5, 1001.25]),
        ('date,equity\n2024-01-01,"1000,50"\n2024-01-02,"1001,25"\n', [1000.5, 1001.25]),
        ("date\tequity\n2024-01-01\t1000,5\n2024-01-02\t1.001,25\n", [1000.5, 1001.25]),
        ('date,equity\n2024-01-01,"1,000.50"\n2024-01-02,"1,001"\n', [1000.5, 1001.0]),
        ('date,equity\n2024-01-01,"1,00,000.50"\n2024-01-02,"1,01,000"\n', [100000.5, 101000.0]),
        ("date;equity\n2024-01-01;1000.5\n2024-01-02;1001.25\n", [1000.5, 1001.25]),
    ],
)
def test_a_comma_is_what_the_file_means_by_it(take: Take, text: str, values: list[float]) -> None:
    assert [value for _, value in take({"e.csv": text}).equity] == values


def test_a_comma_that_can_be_two_things_is_asked_about(take: Take) -> None:
    with pytest.raises(InputError, match="can be read in two ways"):
        take({"e.csv": "date;equity\n2024-01-01;1,234\n2024-01-02;1,250\n"})


def test_trades_may_have_decimal_commas(take: Take) -> None:
    head = "Size;EntryBar;ExitBar;EntryPrice;ExitPrice;PnL;ReturnPct;EntryTime;ExitTime\n"
    trades = take({"t.csv": f"{head}10;1;3;100,5;105,25;47,5;0,0473;2024-01-02;2024-01-04\n"}).trades
    assert [trades.entry_price[0], trades.exit_price[0], trades.pnl[0]] == [100.5, 105.25, 47.5]


@pytest.mark.parametrize("first", ["0", "0.0"])
def test_a_count_of_bars_is_no_time(take: Take, first: str) -> None:
    with pytest.raises(InputError, match="the index counts bars, from `0(.0)?` on: it has no times"):
        take({"e.csv": f",Equity,DrawdownPct\n{first},1000,0\n{first.replace('0', '1', 1)},1001,0\n"})


def test_a_count_of_bars_in_parquet_is_no_time_and_days_as_numbers_are(take: Take) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def packed(times: list[int]) -> bytes:
        stream = io.BytesIO()
        pq.write_table(pa.table({"date": times, "equity": [1000.0, 1001.0]}), stream)
        return stream.getvalue()

    with pytest.raises(InputError, match="date counts bars, from `0` on"):
        take({"e.parquet": packed([0, 1])})
    days = take({"d.parquet": packed([20240102, 20240103])}).equity
    assert [when[:10] for when, _ in days] == ["2024-01-02", "2024-01-03"]
    seconds = take({"s.parquet": packed([1704153600, 1704240000])}).equity  # control: epoch numbers are times
    assert [when[:10] for when, _ in seconds] == ["2024-01-02", "2024-01-03"]


def test_an_index_may_have_any_name(take: Take) -> None:
    run = take({"e.csv": "Gmt time,Equity,DrawdownPct,DrawdownDuration\n2024-01-02,1000,0,\n2024-01-03,1001,0,\n"})
    assert run.said[0] == "e.csv: understood 4 of 4 columns"
    assert [value for _, value in run.equity] == [1000.0, 1001.0]


def test_a_series_without_a_head_is_read_from_its_first_row(take: Take) -> None:
    run = take({"r.csv": "2024-01-02,0.5\n2024-01-03,-0.5\n"})
    assert [value for _, value in run.equity] == [1.0, 1.5, 0.75]


def test_rows_in_no_order_and_times_that_come_again_are_said(take: Take) -> None:
    run = take({"e.csv": "date,equity\n2024-01-03,90\n2024-01-02,100\n2024-01-03,110\n"})
    assert [value for _, value in run.equity] == [100.0, 110.0]
    assert "the rows are not in order of time: they were put so" in run.said
    assert "1 time more than once: the last row of each counts" in run.said
    whole = take({"w.csv": "date,equity\n2024-01-02,100\n2024-01-03,110\n"})  # control
    assert not [text for text in whole.said if "order" in text or "once" in text]


def test_several_series_in_one_file_are_named(take: Take) -> None:
    with pytest.raises(InputError, match="has 2 columns beside its times, each a series of its own: `BTC`, `ETH`"):
        take({"e.csv": ",BTC,ETH\n2024-01-02,1000,1000\n2024-01-03,1001,990\n"})


def test_every_kind_of_line_end_is_one(take: Take) -> None:
    run = take({"r.csv": "date,returns\r\n2024-01-02,0.5\r2024-01-03,-0.5\n"})
    assert [value for _, value in run.equity] == [1.0, 1.5, 0.75]


def test_names_in_another_language_are_said_to_be_so(take: Take) -> None:
    german = metatrader.page(metatrader.NETTING).decode("utf-16")
    for ours, theirs in (("Time", "Zeit"), ("Deal", "Trade"), ("Type", "Typ"), ("Direction", "Richtung"),
                         ("Volume", "Volumen"), ("Price", "Preis"), ("Profit", "Gewinn")):  # fmt: skip
        german = german.replace(ours, theirs)
    with pytest.raises(InputError, match="columns of no engine that is known: `Zeit`, `Trade`") as caught:
        take({"ReportTester.html": german.encode("utf-16")})
    assert "in English" in str(caught.value.hint)


def test_a_fee_beside_the_commission_is_paid_too(take: Take) -> None:
    head = (*metatrader.HEAD[:9], "Fee", *metatrader.HEAD[9:])
    deals = [(*deal[:9], "-0.50" if deal[2] else "0.00", *deal[9:]) for deal in metatrader.NETTING]
    deals[4] = (*deals[4][:9], "0.00", *deals[4][10:])
    page = metatrader.page([]).decode("utf-16").replace(_row(metatrader.HEAD), "".join(map(_row, [head, *deals])))
    run = take({"r.html": page.encode("utf-16")})
    # of the half that the buy cost: 0.2 of 0.4 lots and 0.3 of 0.6; of the turn 0.1875 of the 0.6 lots that it closed
    assert run.trades.pnl.tolist() == pytest.approx([196 - 0.2 - 0.5, 113.8 - 0.3 - 0.1875, -207 - 0.3125])
    without = take({"w.html": metatrader.page(metatrader.NETTING)})  # control
    assert without.trades.pnl.tolist() == pytest.approx([196, 113.8, -207])


def _row(cells: Any) -> str:
    return "<tr>" + "".join(f"<td nowrap>{cell}</td>" for cell in cells) + "</tr>"


def test_numbers_that_are_none_may_stand_in_a_document(take: Take) -> None:
    epoch = '{"loss": %s, "params_dict": {"a": 1}, "results_metrics": {"sharpe": NaN}}'
    run = take({"s.fthypt": f"{epoch % 'NaN'}\n{epoch % '-2.0'}\n{epoch % 'Infinity'}\n"})
    assert "3 epochs, each a trial: the run is the best of them, number 2" in " ".join(run.said)
    with pytest.raises(InputError, match="is no whole JSON"):  # control
        take({"b.fthypt": f"{epoch % '-1.0'}\n{epoch % '-2.0'[:-1]}\n".replace("NaN", "Nan")})


def test_columns_of_several_parts_keep_apart_in_parquet(take: Take) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    head, first, *_ = VECTORBT.splitlines()
    names, cells = head.split(","), first.split(",")
    numbers = {"Size", "Avg Entry Price", "Avg Exit Price", "Entry Fees", "Exit Fees", "PnL", "Return"}
    columns: dict[str, Any] = {
        name: [float(cell) if name in numbers else cell] * 2 for name, cell in zip(names, cells, strict=True) if name
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns | {"Column": [[10, 20], [10, 30]]}), stream)
    assert sorted(set(take({"t.parquet": stream.getvalue()}).trades.symbols.tolist())) == ["(10, 20)", "(10, 30)"]


SIGNS = {
    "zipline": (",period_close,portfolio_value\n2024-01-02,2024-01-02 21:00:00+00:00,100\n"
                "2024-01-03,2024-01-03 21:00:00+00:00,110\n", (",110", ",90"), 0.1, -0.1),
    "equity": ("date,equity\n2024-01-02,100\n2024-01-03,110\n", (",110", ",90"), 0.1, -0.1),
    "returns": ("date,returns\n2024-01-02,0.1\n", ("0.1", "-0.1"), 0.1, -0.1),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNS)
def test_a_changed_sign_of_what_an_account_made_is_seen(take: Take, name: str) -> None:
    text, change, made, changed = SIGNS[name]
    for at, (content, expected) in enumerate(((text, made), (text.replace(*change), changed))):
        values = [value for _, value in take({f"{at}.csv": content}).equity]
        assert values[-1] / values[0] - 1 == pytest.approx(expected)


@pytest.mark.parametrize("head", ["date,amount,price,sid,symbol,value", "date,amount,price,symbol"])
def test_a_changed_sign_of_an_amount_is_another_side(take: Take, head: str) -> None:
    more = ",0,A,0" if "sid" in head else ",A"
    rows = f"{head}\n2024-01-02,10,100{more}\n2024-01-03,-10,110{more}\n"
    trades = take({"t.csv": rows}).trades
    assert (trades.side[0], trades.pnl[0]) == (1, 100.0)
    turned = rows.replace(",-10,", ",+10,").replace(",10,", ",-10,")
    trades = take({"u.csv": turned}).trades
    assert (trades.side[0], trades.pnl[0]) == (-1, -100.0)


def test_control_a_whole_list_of_the_same_names_is_read(take: Take) -> None:
    assert len(take({"t.csv": BACKTESTING}).trades)
