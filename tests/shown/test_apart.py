"""What tells runs of one strategy apart: what is shown of each, and what is left unsaid because all have it."""

from __future__ import annotations

from typing import Any

from peak_trade.shown.apart import Asked, differences, said


def asked(strategy: str = "macd", symbol: str = "SPX", **more: Any) -> Asked:
    known: dict[str, Any] = {"params": {}, "settings": {}, "start": "", "end": "", "data": "", "code": ""}
    known |= more
    known["settings"] = {"data.path": "bars.csv"} | known["settings"]
    return Asked(strategy=strategy, symbol=symbol, timeframe="1d", **known)


def told(*runs: Asked) -> list[str]:
    return [said(one) for one in differences(runs)]


def test_a_parameter_that_differs_stands_with_every_run() -> None:
    runs = [asked(params={"fast": fast, "slow": 50}) for fast in (5, 10, 5)]
    assert told(*runs) == ["fast=5", "fast=10", "fast=5"]


def test_what_all_have_is_not_said() -> None:
    assert told(asked(params={"fast": 5}), asked(params={"fast": 5})) == ["", ""]
    assert told(asked(params={"fast": 5})) == [""]


def test_runs_of_another_strategy_do_not_count() -> None:
    assert told(asked("macd", params={"fast": 5}), asked("sma", params={"fast": 10})) == ["", ""]


def test_another_setting_stands_where_it_is_not_what_most_have() -> None:
    runs = [asked(settings={"execution.fee_bps": fee}) for fee in (1.0, 1.0, 2.0)]
    assert told(*runs) == ["", "", "execution.fee_bps=2"]
    assert told(*runs[1:]) == ["execution.fee_bps=1", "execution.fee_bps=2"]


def test_what_a_config_leaves_out_has_its_default() -> None:
    set_to_default = asked(settings={"execution.fee_bps": 0.0})
    assert told(asked(), set_to_default) == ["", ""]
    other = asked(settings={"execution.fee_bps": 3.0})
    assert told(asked(), set_to_default, other) == ["", "", "execution.fee_bps=3"]
    tagged = asked(settings={"run.tags.desk": "fx"})
    assert told(asked(), tagged) == ["", "run.tags.desk=fx"]
    assert told(asked(), tagged, tagged) == ["run.tags.desk=none", "", ""]


def test_a_run_of_which_less_is_known_makes_no_difference() -> None:
    failed = asked(params={"fast": 5})  # a default of the strategy's own stands in none of its lines
    whole = asked(
        params={"fast": 5, "short": False}, start="2020-01-01T00:00:00Z", end="2021-01-01T00:00:00Z", code="a"
    )
    assert told(failed, whole, whole) == ["", "", ""]


def test_dates_are_held_against_those_of_the_same_series() -> None:
    runs = [asked(symbol=symbol, start=f"{year}-01-01T00:00:00Z", end="2024-01-01T00:00:00Z")
            for symbol, year in (("SPX", 2000), ("SPX", 2010), ("BTC", 2017))]  # fmt: skip
    assert told(*runs) == ["start=2000-01-01", "start=2010-01-01", ""]


def test_a_file_is_held_against_those_of_the_same_series() -> None:
    files = [asked(symbol=name, settings={"data.path": f"{name}.csv"}) for name in ("SPX", "BTC", "ETH")]
    assert told(*files) == ["", "", ""]
    assert told(*files, asked(symbol="ETH", settings={"data.path": "new.csv"}))[2:] == [
        "data.path=ETH.csv",
        "data.path=new.csv",
    ]


def test_other_bars_of_the_same_dates_are_told_by_their_fingerprint() -> None:
    same = {"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}
    assert told(asked(data="a" * 64, **same), asked(data="b" * 64, **same)) == ["data=aaaaaaaa", "data=bbbbbbbb"]
    later = same | {"end": "2022-01-01T00:00:00Z"}  # the dates say enough
    assert told(asked(data="a" * 64, **same), asked(data="b" * 64, **later)) == ["end=2021-01-01", "end=2022-01-01"]


def test_other_code_is_told() -> None:
    assert told(asked(code="a" * 64), asked(code="a" * 64), asked(code="b" * 64)) == ["", "", "code=bbbbbbbb"]


def test_what_has_the_most_values_comes_first() -> None:
    runs = [asked(params={"slow": slow, "fast": fast}, settings={"execution.fee_bps": float(fast)})
            for slow, fast in ((50, 1), (50, 2), (60, 3))]  # fmt: skip
    assert told(*runs)[2] == "fast=3, slow=60, execution.fee_bps=3"


def test_one_and_true_are_not_the_same_and_one_and_a_whole_number_are() -> None:
    assert told(asked(params={"p": 1}), asked(params={"p": True})) == ["p=1", "p=true"]
    assert told(asked(params={"p": 1}), asked(params={"p": 1.0})) == ["", ""]


def test_ten_thousand_runs_take_no_time() -> None:
    runs = [asked(params={f"p{n}": at * n for n in range(5)}) for at in range(10_000)]
    assert said(differences(runs)[2]) == "p1=2, p2=4, p3=6, p4=8"
