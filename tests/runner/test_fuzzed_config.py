"""Whatever a config file or an override holds, the operator reads a sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from peak_trade.config import Config, load
from peak_trade.errors import InputError

VALID = (Path(__file__).resolve().parents[2] / "config/my_strategy.toml").read_text()
QUICK = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

KEYS = st.sampled_from(
    ["run", "data", "strategy", "execution", "sizing", "stops", "stats", "tracking", "params", "seed", "timeout_s",
     "path", "symbol", "timeframe",
     "name", "entrypoint", "fee_bps", "tags", "columns", "borrow_rate", "stop_loss", "x", "é"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["1", "-1", "0", "1e400", "nan", "-inf", "99999999999999999999999", "true", '""', '"x"', "'''a\nb'''", "[]",
     "[1, 'a']", "{}", "{ a = 1 }", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z",
     "0x7f", "1_0", "[[]]", '"\\u0000"', '"🚀"']
)  # fmt: skip
LINES = st.one_of(
    st.builds("[{}]".format, KEYS),
    st.builds("[{}.{}]".format, KEYS, KEYS),
    st.builds("[[{}]]".format, KEYS),
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("{}.{} = {}".format, KEYS, KEYS, VALUES),
    st.text(max_size=20),
)


@contextmanager
def file_of(content: bytes) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(suffix=".toml", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    os.write(handle, content)
    os.close(handle)
    yield Path(name)
    os.unlink(name)


def loaded(content: bytes, overrides: list[str]) -> Config | InputError:
    """Load a config; whatever else than an InputError comes out ends the test."""
    with file_of(content) as path:
        try:
            return load(path, overrides).config
        except InputError as error:
            refusal = error
    assert refusal.message
    return refusal


@QUICK
@given(st.binary(max_size=300))
@example(b"\xff\xfe[\x00d\x00]\x00")
@example(b"\xef\xbb\xbf[data]\npath = 'x'\n")
@example(b"[" * 5000)
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"{ b = " * 5000)
@example(b"x = " + b"9" * 5000)
def test_any_bytes_give_a_sentence(content: bytes) -> None:
    assert isinstance(loaded(content, []), InputError)


@QUICK
@given(st.lists(LINES, max_size=12).map("\n".join))
def test_anything_like_a_config_is_loaded_or_gives_a_sentence(text: str) -> None:
    loaded(text.encode("utf-8", "replace"), [])


@QUICK
@given(st.data())
def test_a_config_with_lines_lost_doubled_or_changed_is_loaded_or_gives_a_sentence(data: st.DataObject) -> None:
    lines = VALID.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 1))] = data.draw(st.lists(LINES, max_size=2))
    loaded("\n".join(lines).encode("utf-8", "replace"), [])


@QUICK
@given(st.data())
def test_a_config_with_bytes_flipped_is_loaded_or_gives_a_sentence(data: st.DataObject) -> None:
    content = bytearray(VALID.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    loaded(bytes(content), [])


@QUICK
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.builds("{}.{}={}".format, KEYS, KEYS, st.one_of(VALUES, st.text(max_size=10))),
            st.builds("{}.{}.{}={}".format, KEYS, KEYS, KEYS, VALUES),
        ),
        min_size=1,
        max_size=4,
    )
)
@example(["strategy.params.x=" + "[" * 5000])
@example(["data.symbol.x=1"])
@example(["strategy.params=1"])
@example(["strategy.params.fast.x=1"])
@example(["run.seed=1\nfoo=2"])
@example(["data.symbol=\udce9"])
def test_any_override_is_applied_or_gives_a_sentence(overrides: list[str]) -> None:
    loaded(VALID.encode(), overrides)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\xff", b"[data]\n", b"[" * 3000, b"data = 1\nstrategy = 2\n", b"[data]\npath = 1979-05-27\n",
     VALID.replace("fast = 20", "fast = 99999999999999999999999").encode(),
     VALID.replace('symbol = "SPX"', 'symbol = ""').encode()],
)  # fmt: skip
def test_the_command_line_says_so_too(forge: Any, ram: Path, content: bytes) -> None:
    (ram / "config.toml").write_bytes(content)
    outcome = forge.cli(ram / "config.toml", ram / "results")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("error: ")
    assert outcome.said("hint")
    assert "Traceback" not in outcome.stderr and "internal" not in outcome.stderr
    assert not (ram / "results").exists()


@pytest.mark.parametrize("path", ["", ".", "/", "missing.toml", "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused_as_a_config(path: str) -> None:
    with pytest.raises(InputError) as caught:
        load(Path(path))
    assert caught.value.hint


@QUICK
@given(st.sampled_from(["1", "0", "-1", "2.5", "true", "'x'", "[1]", "{ a = 1 }", "1e400", "nan", "9" * 18]),
       st.sampled_from(["fast", "slow", "short", "fats", ""]))  # fmt: skip
def test_control_a_valid_config_is_loaded(value: str, name: str) -> None:
    """What a parameter may be is the strategy's to say; the config takes any finite value under any name."""
    outcome = loaded(VALID.encode(), [f"strategy.params.{name}={value}"])
    assert isinstance(outcome, Config) == (name != "" and value not in ("1e400", "nan"))
