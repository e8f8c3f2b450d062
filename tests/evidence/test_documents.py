"""Documents of a run: what decodes and would stop a reader later is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from peak_trade.errors import RunError
from peak_trade.evidence import documents


class Kind(msgspec.Struct):
    name: str
    more: dict[str, Any] = {}


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"NaN",
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 90_000,
        b'{"a":' + b"[" * 90_000,
        b'{"a":9223372036854775808}',
        b'{"a":-9223372036854775809}',
        b'{"a":[{"b":' + b"9" * 400 + b"}]}",
        b'{"a":' + b"9" * 90_000 + b"}",
        nested(34),
    ],
    ids=lambda content: content[:24],
)
def test_what_is_no_plain_json_is_said_of_the_document(content: bytes) -> None:
    with pytest.raises(RunError, match=r"^stats\.json: ."):
        documents.decode(content, "stats.json")


@pytest.mark.parametrize("content", [b"{}", b'{"a":9223372036854775807,"b":-9223372036854775808}', nested(32)])
def test_what_is_plain_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "stats.json").write_bytes(content)
    assert documents.read(tmp_path, "stats.json") == msgspec.json.decode(content)


def test_it_is_of_a_kind_and_plain_inside() -> None:
    assert documents.decode(b'{"name":"x","more":{"a":1}}', "x.json", Kind) == Kind("x", {"a": 1})
    for content in (b'{"name":1}', b'{"name":"x","more":{"a":' + b"9" * 400 + b"}}"):
        with pytest.raises(RunError, match=r"^x\.json: "):
            documents.decode(content, "x.json", Kind)


def test_what_is_not_to_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(b"{}")
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match=r"^stats\.json: No such file or directory$"):
        documents.read(tmp_path / "run", "stats.json")
    (tmp_path / "run" / "stats.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(RunError, match=r"^stats\.json: a symbolic link in place of a file$"):
        documents.read(tmp_path / "run", "stats.json")
