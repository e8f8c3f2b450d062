"""Tracebacks: what Python itself writes, of files that can be read; nothing of what has no end."""

from __future__ import annotations

import io
import linecache
import os
import tokenize
import traceback
from pathlib import Path

import pytest

from peak_trade import traces
from peak_trade.traces import formatted


def raised(text: str, file: str) -> BaseException:
    try:
        exec(compile(text, file, "exec"))  # noqa: S102 - code that says it is of that file
    except BaseException as error:  # noqa: BLE001 - whatever it raises
        return error
    raise AssertionError


def chained() -> BaseException:
    try:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise ExceptionGroup("all", [ValueError("b"), raised("1 / 0", __file__)]) from error
    except ExceptionGroup as group:
        return group


@pytest.mark.parametrize("error", [raised("1 / 0", __file__), raised("f(", "<text>"), chained(), ValueError("x")])
def test_of_plain_files_it_is_what_python_writes(error: BaseException) -> None:
    assert formatted(error) == "".join(traceback.format_exception(error))


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/tty", "/proc/kmsg", "/proc/self/fd/0"])
def test_what_has_no_end_is_not_read(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> object:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr(tokenize, "open", read)  # by which linecache reads
    text = formatted(raised("1 / 0", file))
    assert f'File "{file}", line 1, in <module>' in text and text.endswith("ZeroDivisionError: division by zero\n")


def test_control_python_would_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(tokenize, "open", lambda name: io.StringIO(str(opened.append(name))))  # type: ignore[func-returns-value] # as above
    traceback.format_exception(raised("1 / 0", "/dev/zero"))
    assert opened == ["/dev/zero"]


def test_a_pipe_a_long_file_and_a_bare_name_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "long.py").write_text("1 / 0\n" + "#" * (1 << 20))
    monkeypatch.syspath_prepend(tmp_path)  # where Python looks for a bare name
    monkeypatch.chdir("/")
    for file in (str(tmp_path / "pipe.py"), str(tmp_path / "long.py"), "pipe.py"):
        assert "1 / 0" not in formatted(raised("1 / 0", file))


def test_what_ran_is_shown_whatever_the_file_holds_now(tmp_path: Path) -> None:
    file = str(tmp_path / "gone.py")
    error = raised("x = 0\n1 / x\n", file)
    assert "    1 / x\n" in formatted(error, {file: b"x = 0\n1 / x\n"})
    assert file not in linecache.cache
    assert "    1 / x\n" not in formatted(error)


def test_an_exception_that_raises_when_it_is_asked_is_named() -> None:
    class Odd(Exception):
        def __getattribute__(self, name: str) -> object:
            raise SystemExit

    assert formatted(Odd("x")).startswith("Odd, whose traceback raised ") or "Odd" in formatted(Odd("x"))


def test_a_long_one_is_cut_in_its_middle() -> None:
    text = formatted(ValueError(f"begin{'x' * (1 << 20)}end"))
    assert len(text) < traces._MOST + 10 and "begin" in text and text.endswith("end\n")
