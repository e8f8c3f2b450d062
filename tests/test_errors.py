"""The error family: what is said, what helps, and the exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from peak_trade.errors import InputError, PeakError, RunError, did_you_mean


@pytest.mark.parametrize(("kind", "code"), [(PeakError, 1), (RunError, 1), (InputError, 2)])
def test_each_kind_has_its_exit_code(kind: type[PeakError], code: int) -> None:
    assert kind("something is wrong").exit_code == code


def test_an_error_keeps_its_sentence_its_hint_and_its_run() -> None:
    error = RunError("the strategy failed", hint="just show last")
    assert (str(error), error.message, error.hint, error.run_id) == (
        "the strategy failed", "the strategy failed", "just show last", None,
    )  # fmt: skip
    assert InputError("no").hint == ""


def test_one_except_catches_the_family() -> None:
    for kind in (RunError, InputError):
        with pytest.raises(PeakError):
            raise kind("no")


def test_an_input_error_is_no_run_error() -> None:
    assert not issubclass(InputError, RunError) and not issubclass(RunError, InputError)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("sma_crosover", ["macd", "sma_crossover"], "did you mean `sma_crossover`?"),
        ("SMA_crossover", ["sma_crossover"], "did you mean `sma_crossover`?"),
        ("x", ["momentum", "macd"], "known: macd, momentum"),
        ("x", [], "known: "),
        ("", ["a"], "known: a"),
        ("fats", ["slow", "fast"], "did you mean `fast`?"),
    ],
)
def test_a_hint_names_the_nearest_or_all(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint


def test_a_hint_takes_any_iterable_of_names() -> None:
    assert did_you_mean("fats", iter({"fast": 1, "slow": 2})) == "did you mean `fast`?"


def test_errors_is_a_leaf_that_imports_nothing_heavy() -> None:
    code = "import sys; before = set(sys.modules); import peak_trade.errors; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                            capture_output=True, text=True, check=True, timeout=60).stdout.split()  # fmt: skip
    assert {"peak_trade", "peak_trade.errors"} <= set(loaded)
    assert not {"numpy", "msgspec", "difflib", "peak_trade.config"} & set(loaded)
