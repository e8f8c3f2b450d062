"""Who chooses the bytes: atheris, by what they reach in the code, or hypothesis, from what they should look like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

Target = Callable[[bytes], None]

WORDS = (
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\n",
        b"\r\n",
        b'"',
        b"'",
        b",",
        b";",
        b"[",
        b"]",
        b"{",
        b"}",
        b"=",
        b"../",
        b"/**/*",
        b"%00",
    ),
    *(b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1b[2J", "\u0663".encode(), "\u202e".encode(), b"null", b"true"),
    *(b"-0", b"NaN", b"1e308", b"1e999", b"-1e-999", b"0x10", b"9" * 400, b"[" * 3000),
    *(b"9999-12-31T23:59:59Z", b"1678-01-01"),
)


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes of no shape, and seeds of which pieces were taken, doubled, or replaced by what readers stumble over."""

    @st.composite
    def change(draw: Any) -> bytes:
        content = draw(st.sampled_from(seeds))
        for _ in range(draw(st.integers(1, 6))):
            at = draw(st.integers(0, len(content)))
            end = min(len(content), at + draw(st.sampled_from([0, 0, 1, 1, 2, 4, 16, 200])))
            put = draw(st.sampled_from(WORDS) | st.binary(max_size=4) | st.just(content[at:end] * 2))
            content = content[:at] + put + content[end:]
        return bytes(content)

    return st.binary(max_size=300) | change() | change() | change()


def examples(target: Target, seeds: Sequence[bytes], count: int, number: int) -> None:
    """Try `count` inputs, the same for the same number; what is found is raised, with the shortest input."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=mutated(seeds))
    def holds(content: bytes) -> None:
        target(content)

    holds()


def by_hypothesis(target: Target, seeds: Sequence[bytes], *, seconds: float, seed: int) -> int:
    """Try inputs for so many seconds, and return how many."""
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        examples(target, seeds, 100, seed + tried)
        tried += 100
    return tried


def by_atheris(target: Target, seeds: Sequence[bytes], *, seconds: int, seed: int, corpus: Path) -> None:
    """Hand the process over to atheris, which ends it."""
    import atheris

    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)
    words = ["fuzz", f"-max_total_time={seconds}", f"-seed={seed or 1}", "-max_len=65536", "-timeout=20"]
    words.append(f"-artifact_prefix={gettempdir()}/peak_trade-fuzz-")  # what was found is kept, and named
    atheris.Setup([*words, "-rss_limit_mb=2048", str(corpus)], target)
    atheris.Fuzz()
