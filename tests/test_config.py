"""Every key of a config: its default, its type, its range, and the sentence for each thing that a person gets wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_trade import config
from peak_trade.config import Config, load, locate, parse
from peak_trade.errors import InputError

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "config" / "my_strategy.toml"
LEAST = """
[data]
path = "bars.csv"
symbol = "TEST"
timeframe = "1h"
[strategy]
name = "sma_crossover"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(LEAST, encoding="utf-8")
    return path


def refused(text: str, *overrides: str) -> InputError:
    """Return the error of a config."""
    with pytest.raises(InputError) as caught:
        parse(text.encode(), dict(config._parse_override(override) for override in overrides))
    assert caught.value.exit_code == 2
    assert str(caught.value)[0].islower() or str(caught.value)[0] in "[`-"
    assert not str(caught.value).endswith(".")
    return caught.value


def said_by(call: Callable[[], object]) -> str:
    """Return the sentence with which a call refuses what it was given, nothing where it does not."""
    try:
        call()
    except InputError as error:
        return str(error)
    return ""


# --- keys and defaults --------------------------------------------------------------------------------------------

DEFAULTS: dict[str, Any] = {
    "run": {"name": None, "seed": 0, "timeout_s": None, "tags": {}, "probe": "auto"},
    "data": {
        "path": "bars.csv",
        "symbol": "TEST",
        "timeframe": "1h",
        "calendar": None,
        "source": "",
        "format": None,
        "columns": {},
        "date_format": None,
        "timezone": None,
        "delimiter": None,
        "decimal": None,
        "thousands": None,
        "sort": False,
        "start": None,
        "end": None,
        "adjust": None,
        "on_violation": "reject",
    },
    "strategy": {"name": "sma_crossover", "entrypoint": None, "params": {}},
    "execution": {
        "initial_cash": 10_000.0,
        "fee_bps": 0.0,
        "slippage_bps": 0.0,
        "allow_short": False,
        "borrow_rate": 0.0,
    },
    "sizing": {"scale": 1.0, "max_exposure": 1.0, "min_trade_value": 0.0},
    "stops": {"stop_loss": None, "take_profit": None, "trailing_stop": None},
    "stats": {"risk_free_rate": 0.0, "benchmark": "buy_and_hold", "periods_per_year": None},
    "tracking": {"mode": "off", "experiment": "peak_trade", "timeout_s": 60.0},
}


LEFT_OUT: dict[str, Any] = {"lake": {"max_revised": None}}  # sections that a snapshot has only where they are given


def test_the_section_of_the_lake_is_kept_only_where_it_is_given() -> None:
    given = parse(LEAST.encode(), {"lake.max_revised": 0.2})
    assert msgspec.to_builtins(given) == DEFAULTS | {"lake": {"max_revised": 0.2}}
    assert str(refused(LEAST, "lake.max_revised=7")) == "lake.max_revised is 7, allowed: a number >= 0 and <= 1"
    assert str(refused(LEAST, "lake.max_revise=1")) == "unknown key `max_revise` in [lake]"


def test_only_data_and_strategy_are_required_and_all_else_has_its_default(file: Path) -> None:
    assert msgspec.to_builtins(load(file).config) == DEFAULTS


@pytest.mark.parametrize("section", ["run", "execution", "sizing", "stops", "stats", "tracking"])
def test_an_empty_section_is_one_left_out(section: str) -> None:
    assert msgspec.to_builtins(parse(f"{LEAST}[{section}]\n".encode(), {})) == DEFAULTS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "[data] is missing"),
        ("[strategy]\nname = 'macd'\n", "[data] is missing"),
        ("[data]\npath='p'\nsymbol='s'\ntimeframe='1d'\n", "[strategy] is missing"),
        ("[data]\nsymbol='s'\ntimeframe='1d'\n[strategy]\nname='macd'\n", "data.path is missing"),
        ("[data]\npath='p'\ntimeframe='1d'\n[strategy]\nname='macd'\n", "data.symbol is missing"),
        ("[data]\npath='p'\nsymbol='s'\n[strategy]\nname='macd'\n", "data.timeframe is missing"),
    ],
)
def test_what_is_required_is_named(text: str, message: str) -> None:
    assert str(refused(text)) == message


# --- types and ranges ---------------------------------------------------------------------------------------------

TEXT = "text of 1 to 200 characters"
ALLOWED = {
    "run.name": TEXT,
    "run.seed": "a whole number >= 0 and <= 4294967295",
    "run.timeout_s": "a number > 0 and <= 86400",
    "run.tags": "a table of text",
    "run.probe": "'auto' or 'full' or 'off'",
    "data.path": TEXT,
    "data.symbol": TEXT,
    "data.timeframe": TEXT,
    "data.calendar": TEXT,
    "data.source": "text",
    "data.columns": "a table of names or positions",
    "data.format": TEXT,
    "data.date_format": TEXT,
    "data.timezone": TEXT,
    "data.delimiter": TEXT,
    "data.decimal": "',' or '.'",
    "data.thousands": TEXT,
    "data.sort": "true or false",
    "data.start": TEXT,
    "data.end": TEXT,
    "data.adjust": TEXT,
    "data.on_violation": "'drop-rows' or 'reject' or 'warn'",
    "strategy.name": TEXT,
    "strategy.entrypoint": TEXT,
    "strategy.params": "a table",
    "execution.initial_cash": "a number > 0 and <= 1e+15",
    "execution.fee_bps": "a number >= 0 and < 4000",
    "execution.slippage_bps": "a number >= 0 and < 4000",
    "execution.allow_short": "true or false",
    "execution.borrow_rate": "a number >= 0 and <= 10",
    "sizing.scale": "a number > 0 and <= 100",
    "sizing.max_exposure": "a number > 0 and <= 1",
    "sizing.min_trade_value": "a number >= 0 and <= 1e+15",
    "stops.stop_loss": "a number > 0 and < 1",
    "stops.take_profit": "a number > 0 and <= 100",
    "stops.trailing_stop": "a number > 0 and < 1",
    "stats.risk_free_rate": "a number > -1 and <= 10",
    "stats.benchmark": TEXT,
    "stats.periods_per_year": "a number > 0 and <= 1000000000",
    "tracking.mode": "'auto' or 'off' or 'strict'",
    "tracking.experiment": TEXT,
    "tracking.timeout_s": "a number > 0 and <= 3600",
}


def test_the_table_of_ranges_names_every_key() -> None:
    assert ALLOWED.keys() == {f"{section}.{key}" for section, keys in DEFAULTS.items() for key in keys}


def wrong_types(allowed: str) -> list[str]:
    """Return values in TOML that are of none of the types that a sentence allows."""
    every = {"text": "'text'", "whole": "1", "number": "1.5", "true": "true", "table": "{ a = 'b' }", "list": "[1]"}
    fits = [kind for kind in every if kind in allowed.replace("a table of text", "a table")]
    fits += ["text"] if "'" in allowed else ["whole"] if "number" in fits else []
    if "whole" in allowed:
        fits = ["whole"]
    return [value for kind, value in every.items() if kind not in fits] + ["2024-01-01"]


@pytest.mark.parametrize("key", ALLOWED)
def test_a_value_of_the_wrong_type_is_refused_with_key_and_range(key: str) -> None:
    for value in wrong_types(ALLOWED[key]):
        if key in ("data.start", "data.end") and value == "2024-01-01":
            continue  # TOML's own dates are what these two are for
        shown = repr(tomllib.loads(f"x = {value}")["x"])
        assert str(refused(LEAST, f"{key}={value}")) == f"{key} is {shown}, allowed: {ALLOWED[key]}"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("2020-01-31", "2020-01-31"),
        ("'2020-01-31'", "2020-01-31"),
        ("2020-01-31T10:30:00", "2020-01-31T10:30:00"),
        ("2020-01-31 10:30:00-05:00", "2020-01-31T10:30:00-05:00"),
        ("'-5y'", "-5y"),
    ],
)
@pytest.mark.parametrize("key", ["start", "end"])
def test_a_date_of_toml_is_a_start_or_an_end_as_its_text(key: str, given: str, text: str) -> None:
    value = tomllib.loads(f"x = {given}")["x"]
    assert getattr(config.parse(LEAST.encode(), {f"data.{key}": value}).data, key) == text
    assert getattr(config.reading({key: value}), key) == text


def bounds(allowed: str) -> tuple[list[float], list[float]]:
    """Return values at the edge that a range lets in, and values at the edge that it keeps out."""
    inside, outside = [], []
    for sign, text in re.findall(r"([<>]=?) (\S+)", allowed):
        bound = float(text)
        step = max(abs(bound), 1.0) * 1e-6
        if "whole" in allowed:
            step = 1
        beyond = bound + step if sign[0] == "<" else bound - step
        within = bound - step if sign[0] == "<" else bound + step
        inside.append(bound if "=" in sign else within)
        outside.append(beyond if "=" in sign else bound)
    return inside, outside


RANGES = [key for key, allowed in ALLOWED.items() if "number" in allowed]


@pytest.mark.parametrize("key", RANGES)
def test_a_number_out_of_range_is_refused_with_key_and_range(key: str) -> None:
    _, outside = bounds(ALLOWED[key])
    assert len(outside) == 2
    for value in outside:
        number = int(value) if "whole" in ALLOWED[key] else value
        assert str(refused(LEAST, f"{key}={number!r}")) == f"{key} is {number!r}, allowed: {ALLOWED[key]}"


@pytest.mark.parametrize("key", RANGES)
def test_a_number_at_the_edge_of_its_range_is_taken(key: str) -> None:
    inside, _ = bounds(ALLOWED[key])
    for value in inside:
        number = int(value) if "whole" in ALLOWED[key] else value
        overrides = {key: number, "execution.allow_short": True}
        section, name = key.split(".")
        assert getattr(getattr(parse(LEAST.encode(), overrides), section), name) == number


@pytest.mark.parametrize("key", [key for key, allowed in ALLOWED.items() if allowed == TEXT])
def test_a_text_may_be_neither_empty_nor_endless(key: str) -> None:
    assert str(refused(LEAST, f"{key}=''")) == f"{key} is '', allowed: {TEXT}"
    shown = repr("x" * 201)[:57] + "…"
    assert str(refused(LEAST, f"{key}={'x' * 201}")) == f"{key} is {shown}, allowed: {TEXT}"


@pytest.mark.parametrize("key", ["data.on_violation", "tracking.mode"])
def test_a_choice_takes_its_words_and_no_other(key: str) -> None:
    section, name = key.split(".")
    for word in re.findall(r"'([^']+)'", ALLOWED[key]):
        assert getattr(getattr(parse(LEAST.encode(), {key: word}), section), name) == word
    assert str(refused(LEAST, f"{key}=other")) == f"{key} is 'other', allowed: {ALLOWED[key]}"


def test_a_whole_number_is_taken_for_a_number() -> None:
    value = parse(LEAST.encode(), {"execution.fee_bps": 5}).execution.fee_bps
    assert (value, type(value)) == (5.0, float)


def test_a_table_of_text_takes_text_only() -> None:
    assert str(refused(LEAST, "run.tags={a = 1}")) == "run.tags is {'a': 1}, allowed: a table of text"
    message = "data.columns is {'a': 1.5}, allowed: a table of names or positions"
    assert str(refused(LEAST, "data.columns={a = 1.5}")) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data = 5\n", "data is 5, allowed: a section"),
        ("data = 'x'\n", "data is 'x', allowed: a section"),
        ("[[data]]\npath = 'p'\n", "data is [{'path': 'p'}], allowed: a section"),
        ("data = []\n", "data is [], allowed: a section"),
        (f"{LEAST}[[run]]\nname = 'n'\n", "run is [{'name': 'n'}], allowed: a section"),
        (f"{LEAST}[[strategy.params]]\nfast = 1\n", "strategy.params is [{'fast': 1}], allowed: a table"),
    ],
)
def test_what_is_no_section_is_refused(text: str, message: str) -> None:
    assert str(refused(text)) == message


# --- numbers that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "+nan", "1e400", "[1.0, inf]", "{ a = { b = nan } }"])
@pytest.mark.parametrize("key", ["execution.fee_bps", "strategy.params.x"])
def test_a_number_that_is_not_finite_is_refused(key: str, value: str) -> None:
    error = refused(LEAST, f"{key}={value}")
    assert re.fullmatch(rf"{key}(\.a\.b)? is (-?inf|nan), which is not a number to compute with", str(error))
    assert error.hint == "give a finite number"


@pytest.mark.parametrize(
    "value", ["9223372036854775808", "-9223372036854775809", "0x" + "f" * 5000, "[1" + "0" * 30 + "]"]
)
@pytest.mark.parametrize("key", ["run.seed", "execution.fee_bps", "strategy.params.x"])
def test_a_whole_number_beyond_64_bits_is_refused(key: str, value: str) -> None:
    assert str(refused(LEAST, f"{key}={value}")) == f"{key} is a whole number of more than 64 bits"


def test_the_largest_whole_number_is_taken() -> None:
    largest = 2**63 - 1
    assert parse(LEAST.encode(), {"strategy.params.x": largest}).strategy.params == {"x": largest}


@pytest.mark.parametrize("digits", [5_000, 100_000])
def test_a_number_of_thousands_of_digits_is_no_traceback(file: Path, digits: int) -> None:
    file.write_text(f"{LEAST}[strategy.params]\nx = {'9' * digits}\n")
    with pytest.raises(InputError, match="is not valid TOML: "):
        load(file)


@pytest.mark.parametrize(
    "deep",
    [
        "x = " + "[" * 40 + "]" * 40,
        "x = " + "[" * 100_000 + "]" * 100_000,
        "x" + ".x" * 40 + " = 1",
        "x" + ".x" * 3_000 + " = 1",
    ],
)
def test_endless_nesting_is_no_traceback(file: Path, deep: str) -> None:
    file.write_text(f"{LEAST}[strategy.params]\n{deep}\n")
    with pytest.raises(
        InputError, match="nested more than 16 levels deep|is not valid TOML|keys of at most 32 parts"
    ) as caught:
        load(file)
    assert len(str(caught.value)) < 300


def test_nesting_that_a_person_writes_is_taken() -> None:
    deep = parse(LEAST.encode(), {"strategy.params.a": {"b": [[1, [2]], {"c": {"d": 1}}]}})
    assert deep.strategy.params == {"a": {"b": [[1, [2]], {"c": {"d": 1}}]}}


# --- unknown names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[excution]\nfee_bps = 1\n", "unknown section [excution]", "did you mean `execution`?"),
        ("[zzz]\n", "unknown section [zzz]",
         "known: data, execution, lake, run, sizing, stats, stops, strategy, tracking"),
        ("[execution]\nfee_bp = 1\n", "unknown key `fee_bp` in [execution]", "did you mean `fee_bps`?"),
        ("[stops]\nstoploss = 0.1\n", "unknown key `stoploss` in [stops]", "did you mean `stop_loss`?"),
        ("[sizing]\nq = 1\n", "unknown key `q` in [sizing]", "known: max_exposure, min_trade_value, scale"),
        ("run.nam = 'x'\n", "unknown section [run.nam]", None),
        ("'' = 1\n", "unknown key `` outside of a section",
         "known: data, execution, lake, run, sizing, stats, stops, strategy, tracking"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_what_was_meant(text: str, message: str, hint: str | None) -> None:
    if hint is None:  # a dotted key on top is a key in a section
        message, hint = "unknown key `nam` in [run]", "did you mean `name`?"
    error = refused(text + LEAST)
    assert (str(error), error.hint) == (message, hint)


EVERY_KEY = [(section, key) for section, keys in DEFAULTS.items() for key in keys]


def homes(name: str) -> list[str]:
    """Return the sections that have a key, in the order of the config."""
    return [section for section, key in EVERY_KEY if key == name]


@pytest.mark.parametrize("key", sorted({key for _, key in EVERY_KEY}))
def test_a_key_without_the_header_of_its_section_is_told_where_it_belongs(key: str) -> None:
    error = refused(f"{key} = 'x'\n{LEAST}")
    assert str(error) == f"unknown key `{key}` outside of a section"
    assert error.hint == f"`{key}` belongs under {' or '.join(f'[{section}]' for section in homes(key))}"


@pytest.mark.parametrize("key", ["tags", "columns", "params"])
def test_a_table_without_the_section_above_it_is_told_its_whole_name(key: str) -> None:
    error = refused(f"{LEAST}[{key}]\na = 'b'\n")
    assert (str(error), error.hint) == (f"unknown section [{key}]", f"write [{homes(key)[0]}.{key}]")


@pytest.mark.parametrize("section", DEFAULTS)
def test_a_key_under_the_header_of_another_section_is_told_where_it_belongs(section: str) -> None:
    for key in sorted({key for _, key in EVERY_KEY} - DEFAULTS[section].keys()):
        error = refused(LEAST, f"{section}.{key}='x'")
        assert str(error) == f"unknown key `{key}` in [{section}]"
        assert error.hint == f"`{key}` belongs under {' or '.join(f'[{home}]' for home in homes(key))}"


@pytest.mark.parametrize("section", DEFAULTS)
def test_a_section_within_another_is_told_that_it_is_one_of_its_own(section: str) -> None:
    above = "run" if section != "run" else "data"
    error = refused(LEAST, f"{above}.{section}={{ a = 1 }}")
    assert (str(error), error.hint) == (f"unknown key `{section}` in [{above}]", f"[{section}] is a section of its own")


def test_a_table_under_the_wrong_section_is_told_its_whole_name() -> None:
    error = refused(f"{LEAST}[data.params]\nfast = 10\n")
    assert (str(error), error.hint) == ("unknown key `params` in [data]", "write [strategy.params]")


def test_a_parameter_outside_of_params_is_told_where_it_belongs() -> None:
    error = refused(LEAST, "strategy.fast=10")
    assert (str(error), error.hint) == (
        "unknown key `fast` in [strategy]", "what the strategy takes belongs under [strategy.params]",
    )  # fmt: skip
    assert refused(LEAST, "strategy.parms={ fast = 10 }").hint == "did you mean `params`?"  # near enough to be meant


def test_an_unknown_key_in_the_overrides_is_refused_too() -> None:
    error = refused(LEAST, "execution.fees_bps=3")
    assert (str(error), error.hint) == ("unknown key `fees_bps` in [execution]", "did you mean `fee_bps`?")


# --- what must fit together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", 'name = "macd"\nentrypoint = "a.py:f"\n'])
def test_a_strategy_has_either_a_name_or_an_entrypoint(text: str) -> None:
    head = LEAST.partition("[strategy]")[0]
    assert str(refused(f"{head}[strategy]\n{text}")) == "[strategy] needs either `name` or `entrypoint`, and not both"


def test_an_entrypoint_alone_is_taken() -> None:
    head = LEAST.partition("[strategy]")[0]
    text = f'{head}[strategy]\nentrypoint = "a.py:f"\n[strategy.params]\nanything = [1, "two", 2024-01-01]\n'
    strategy = parse(text.encode(), {}).strategy
    assert (strategy.name, strategy.entrypoint) == (None, "a.py:f")
    assert strategy.params == {"anything": [1, "two", date(2024, 1, 1)]}


def test_a_borrow_rate_without_shorts_is_refused() -> None:
    error = refused(LEAST, "execution.borrow_rate=0.02")
    assert str(error) == "execution.borrow_rate cannot take effect while execution.allow_short is false"
    assert parse(LEAST.encode(), {"execution.borrow_rate": 0.02, "execution.allow_short": True})


# --- overrides ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("-1.5", -1.5),
        ("1_000", 1000),
        ("1e-3", 0.001),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("SPX", "SPX"),
        ("BTC-USD.x", "BTC-USD.x"),
        ("two words", "two words"),
        (" padded ", "padded"),
        ('"quoted"', "quoted"),
        ("'10'", "10"),
        ('"a=b"', "a=b"),
        ("a=b", "a=b"),
        ("2024-01-31", date(2024, 1, 31)),
        ("[1, 2]", [1, 2]),
        ("{ a = 1, b = 'c' }", {"a": 1, "b": "c"}),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
        ("[1", "[1"),
        ("näme", "näme"),
        ("10%", "10%"),
    ],
)
def test_a_value_is_toml_or_else_a_bare_word(file: Path, text: str, value: Any) -> None:
    source = load(file, [f"strategy.params.x={text}"])
    assert source.overrides == {"strategy.params.x": value}
    assert source.config.strategy.params == {"x": value}


def test_an_override_replaces_what_the_file_says(file: Path) -> None:
    file.write_text(f"{LEAST}[execution]\nfee_bps = 3\nslippage_bps = 2\n[strategy.params]\nfast = 5\nslow = 9\n")
    loaded = load(file, ["execution.fee_bps=7", "strategy.params.fast=6", "data.symbol=OTHER"]).config
    assert (loaded.execution.fee_bps, loaded.execution.slippage_bps) == (7, 2)
    assert loaded.strategy.params == {"fast": 6, "slow": 9}
    assert loaded.data.symbol == "OTHER"


def test_an_override_makes_the_section_that_is_not_there(file: Path) -> None:
    loaded = load(file, ["stops.stop_loss=0.05", "run.tags.desk=fx", "strategy.params.deep.er=1"]).config
    assert loaded.stops.stop_loss == 0.05
    assert loaded.run.tags == {"desk": "fx"}
    assert loaded.strategy.params == {"deep": {"er": 1}}


def test_an_override_of_a_section_stays_as_it_was_given_when_a_later_one_goes_into_it(file: Path) -> None:
    source = load(file, ["strategy.params={x = 1}", "strategy.params.y=2"])
    assert source.config.strategy.params == {"x": 1, "y": 2}
    assert source.overrides == {"strategy.params": {"x": 1}, "strategy.params.y": 2}


def test_overrides_take_effect_in_their_order_and_the_last_counts(file: Path) -> None:
    source = load(file, ["strategy.params.fast=1", "strategy.params={slow = 9}", "strategy.params.fast=2"])
    assert source.config.strategy.params == {"slow": 9, "fast": 2}
    assert list(source.overrides.items()) == [("strategy.params", {"slow": 9}), ("strategy.params.fast", 2)]
    assert load(file, ["run.seed=1", "run.seed=2"]).overrides == {"run.seed": 2}


def test_the_content_is_the_files_bytes_whatever_is_overridden(file: Path) -> None:
    source = load(file, ["run.seed=1"])
    assert source.content == LEAST.encode()
    assert source.path == file.resolve()


@pytest.mark.parametrize(
    "text", ["", "fast", "fast=3", "=3", ".a=3", "a.=3", "a..b=3", "a b.c=3", "a.b", "--set", "a.b c=1"]
)
def test_an_override_of_another_form_is_refused(text: str) -> None:
    error = refused(LEAST, text)
    assert str(error) == f"--set {text!r} is not of the form section.key=value"
    assert error.hint == "--set strategy.params.fast=10"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.path.deeper=1", "--set data.path.deeper: path is a value, not a section"),
        ("data.path.deeper.still=1", "--set data.path.deeper.still: path is a value, not a section"),
    ],
)
def test_an_override_below_a_value_is_refused(text: str, message: str) -> None:
    assert str(refused(LEAST, text)) == message


def test_an_override_that_is_no_text_is_refused() -> None:
    # what a shell passes on where it is given bytes that are not UTF-8
    assert str(refused(LEAST, "data.symbol=\udcff")) == r"--set 'data.symbol=\udcff' is not UTF-8 text"


# --- files --------------------------------------------------------------------------------------------------------


def load_bytes(file: Path, content: bytes) -> config.Source:
    file.write_bytes(content)
    return load(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"\[data\] is missing"),
        (b"# nothing\n", r"\[data\] is missing"),
        (b"[data", "is not valid TOML: "),
        (b"a = 1\na = 2\n", "is not valid TOML: "),
        (b"\x00", "is not valid TOML: "),
        (b"name = 'x\xff'\n", r"is not UTF-8 text \(byte 9\)"),
        ("[data]\n".encode("utf-16"), r"is not UTF-8 text \(byte 0\)"),
        (b"PK\x03\x04", "is not valid TOML: "),
        (b"day = 2024-13-45\n", "is not valid TOML: "),
    ],
)
def test_a_file_that_is_no_config_is_refused(file: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_bytes(file, content)


def test_a_byte_order_mark_and_other_line_ends_are_taken(file: Path) -> None:
    content = b"\xef\xbb\xbf" + LEAST.encode().replace(b"\n", b"\r\n")
    source = load_bytes(file, content)
    assert msgspec.to_builtins(source.config) == DEFAULTS
    assert source.content == content


def test_dotted_keys_and_inline_tables_are_sections_too(file: Path) -> None:
    text = b"data = { path = 'bars.csv', symbol = 'TEST', timeframe = '1h' }\nstrategy.name = 'sma_crossover'\n"
    assert msgspec.to_builtins(load_bytes(file, text).config) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent.toml", "No such file or directory"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("a\0b", "not a usable path"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == f"config {tmp_path / name}: {reason}"
    assert caught.value.exit_code == 2


@settings(deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_config_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.toml"
    with pytest.raises(InputError):  # no text that chance makes holds both sections
        load_bytes(file, content)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(key=st.sampled_from([*ALLOWED, *DEFAULTS, "strategy.params.x"]), value=json_like)
def test_any_value_of_any_key_is_taken_or_a_sentence(key: str, value: Any) -> None:
    assert len(said_by(lambda: parse(LEAST.encode(), {key: value}))) < 400


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The folder of the config and the root, and a current directory that is neither and holds a decoy."""
    beside, root, elsewhere = tmp_path / "repo" / "config", tmp_path / "repo", tmp_path / "elsewhere"
    for folder in (beside, elsewhere):
        folder.mkdir(parents=True)
        (folder / "both.csv").touch()
    (root / "both.csv").touch()
    (root / "root.csv").touch()
    (elsewhere / "decoy.csv").touch()
    monkeypatch.chdir(elsewhere)
    return beside, root


def test_a_path_is_looked_for_beside_the_config_first_then_in_the_root(folders: tuple[Path, Path]) -> None:
    beside, root = folders
    assert locate("both.csv", [beside, root]) == str(beside / "both.csv")
    assert locate("root.csv", [beside, root]) == str(root / "root.csv")


def test_a_path_is_not_looked_for_in_the_current_directory(folders: tuple[Path, Path]) -> None:
    beside, root = folders
    with pytest.raises(InputError) as caught:
        locate("decoy.csv", [beside, root])
    assert str(caught.value) == f"there is no file decoy.csv; looked in {beside} and {root}"
    assert caught.value.hint == "check data.path in the config"


def test_an_absolute_path_stands(folders: tuple[Path, Path], tmp_path: Path) -> None:
    there = tmp_path / "elsewhere" / "decoy.csv"
    assert locate(str(there), list(folders)) == str(there)
    assert locate(str(there.with_name("*.csv")), list(folders)) == str(there.with_name("*.csv"))
    with pytest.raises(InputError) as caught:
        locate(str(there.with_name("none.csv")), list(folders))
    assert str(caught.value) == f"there is no file {there.with_name('none.csv')}"


def test_a_glob_is_looked_for_in_the_same_order(folders: tuple[Path, Path]) -> None:
    beside, root = folders
    assert locate("b*.csv", [beside, root]) == str(beside / "b*.csv")
    assert locate("r??t.csv", [beside, root]) == str(root / "r??t.csv")
    assert locate("**/both.csv", [root]) == str(root / "**/both.csv")
    with pytest.raises(InputError, match="there is no file x"):
        locate("x*.csv", [beside, root])


def test_a_folder_may_have_a_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    from glob import glob

    folder = tmp_path / "data [old]*"
    folder.mkdir()
    (folder / "bars [1].csv").touch()
    assert locate("bars [1].csv", [folder]) == str(folder / "bars [1].csv")
    assert glob(locate("bars*.csv", [folder])) == [str(folder / "bars [1].csv")]


@pytest.mark.parametrize("path", ["a\0b", "a\0*", "x" * 200, "é" * 200, "/" * 200, "~", "[", "**", "nothing/" * 20])
def test_a_strange_path_is_taken_or_a_sentence(tmp_path: Path, path: str) -> None:
    said = said_by(lambda: locate(path, [tmp_path / "nowhere"]))
    assert not said or said.startswith(f"there is no file {path}")


def test_the_bases_of_a_config_are_its_folder_and_the_root(file: Path, tmp_path: Path) -> None:
    assert load(file).bases(tmp_path / "root") == [tmp_path.resolve(), tmp_path / "root"]
    assert load(file).bases(tmp_path.resolve()) == [tmp_path.resolve()]


# --- the commented config -----------------------------------------------------------------------------------------


def documented() -> dict[str, tuple[Any, bool, str]]:
    """Return, for each key in the shipped file, its value, whether it stands in a comment, and the remark beside it."""
    found: dict[str, tuple[Any, bool, str]] = {}
    section = ""
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\].*", line):
            section = header[1]
        elif match := re.fullmatch(r"(# )?(\w+ = .*)", line):
            ((key, value),) = tomllib.loads(match[2]).items()
            remark = match[2].partition(" #")[2]
            found[f"{section}.{key}"] = value, bool(match[1]), remark
    return found


def test_the_shipped_config_loads_and_its_data_is_there() -> None:
    source = load(SHIPPED)
    assert source.overrides == {}
    assert Path(locate(source.config.data.path, source.bases(ROOT))).is_file()


def test_every_key_stands_in_the_shipped_config() -> None:
    missing = ALLOWED.keys() - documented().keys() - {"strategy.params"}
    assert not missing


def test_the_shipped_config_has_no_key_that_does_not_exist() -> None:
    strange = {key for key in documented() if not key.startswith("strategy.params.")} - ALLOWED.keys()
    assert strange == {"lake.max_revised", "run.holdout"}


def test_a_commented_key_shows_its_default_or_is_an_example_that_works() -> None:
    shown = {key: value for key, (value, commented, _) in documented().items() if commented}
    assert len(shown) >= 15
    other_strategy = LEAST.replace('name = "sma_crossover"', 'entrypoint = "a.py:f"')
    for key, value in shown.items():
        section, name = key.split(".")
        default = (DEFAULTS | LEFT_OUT)[section].get(name)  # `run.holdout` is left out too
        if default not in (None, {}) and key != "strategy.entrypoint":
            assert value == default, key
        assert parse(other_strategy.encode(), {key: value}), key


def test_a_key_that_is_set_to_something_else_says_its_default() -> None:
    for key, (value, commented, remark) in documented().items():
        section, name = key.rsplit(".", 1)
        default = DEFAULTS.get(section, {}).get(name)
        if (
            not commented
            and default not in (None, "", value)
            and key not in ("data.path", "data.symbol", "data.timeframe")
        ):
            assert "default" in remark, key
            assert (f"default {default:g}" if isinstance(default, float) else f'"{default}" (the default)') in remark


def test_the_config_struct_and_the_tables_here_name_the_same_sections() -> None:
    assert [*DEFAULTS, *LEFT_OUT] == list(Config.__struct_fields__)
