"""Any bytes in a stranger's files are refused in a sentence: the targets of `just fuzz`, with seeded inputs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "toml", "csv", "parquet", "series", "trades", "manifest", "ledger", "otlp", "run", "carried", "envelope",
    "timestamp", "archive", "bars", "live", "store", "import",
)  # fmt: skip
ROUNDS = range(1, 13)
EXAMPLES = 250  # of a round


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Any]:
    """The modules of scripts/fuzz/, which lie beside their script."""

    class Fuzz:
        pass

    sys.path.insert(0, str(ROOT / "scripts" / "fuzz"))
    try:
        import drivers
        import targets

        Fuzz.drivers, Fuzz.targets = drivers, targets  # type: ignore[attr-defined]
        yield Fuzz
    finally:
        sys.path.remove(str(ROOT / "scripts" / "fuzz"))


@pytest.mark.hostile
@pytest.mark.parametrize("name", NAMES)
def test_what_a_target_should_read_it_reads(fuzz: Any, name: str) -> None:
    for content in fuzz.targets.seeds(name):
        fuzz.targets.TARGETS[name](content)
    fuzz.drivers.examples(fuzz.targets.TARGETS[name], fuzz.targets.seeds(name), 25, 0)
    assert fuzz.targets.TARGETS.keys() == set(NAMES)


@pytest.mark.hostile(share=0)
@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_are_read_or_refused_in_a_sentence(fuzz: Any, name: str, number: int) -> None:
    fuzz.drivers.examples(fuzz.targets.TARGETS[name], fuzz.targets.seeds(name), EXAMPLES, number)


@pytest.mark.hostile
def test_control_a_reader_that_lets_an_error_out_is_found_out(fuzz: Any) -> None:
    """By what it stumbles over: a lone surrogate among the words that are put in, a nesting without end."""

    def strict(content: bytes) -> None:
        assert b"\\ud800" not in content

    with pytest.raises(AssertionError):
        fuzz.drivers.examples(strict, fuzz.targets.seeds("ledger"), 400, 1)


@pytest.mark.hostile
def test_a_target_is_tried_from_the_command_line(script_of: Any) -> None:
    done = script_of("toml", "--seconds", "1", "--no-atheris")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("inputs in 1 s: nothing found\n")
    refused = script_of("tomml")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: unknown target 'tomml'\nhint: did you mean `toml`?\n"


@pytest.fixture
def script_of() -> Any:
    import subprocess

    def run(*words: str) -> Any:
        command = [sys.executable, str(ROOT / "scripts" / "fuzz" / "fuzz.py"), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    return run
