"""`symbols.csv`: what each symbol earned of the account's change, a row each, then the rest, then the account."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from peak_trade.errors import RunError
from peak_trade.evidence.tables import iso, rows_csv
from peak_trade.stats.attribution import Part

__all__ = ["COLUMNS", "NAME", "encode", "read", "rows"]

NAME = "symbols.csv"
COLUMNS = (*Part._fields, "data")
_TEXTS = ("kind", "symbol", "currency", "first", "last", "data")
_COUNTS = ("trades", "open")


def rows(parts: Sequence[Part], data: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return attribution as rows of plain values, None where nobody knows; `data` are digests of bars, by symbol."""
    return [
        {
            **part._asdict(),
            "first": _stamp(part.first),
            "last": _stamp(part.last),
            "data": data.get(part.symbol) if part.kind == "symbol" else None,
        }
        for part in parts
    ]


def _stamp(when: np.datetime64 | None) -> str | None:
    return None if when is None else iso(np.array([when], "M8[ns]"))[0]


def encode(parts: Sequence[Part], data: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the file: floats in the shortest form that reads back as the same, an empty cell for what is unknown."""
    yield rows_csv([{key: _cell(value) for key, value in row.items()} for row in rows(parts, data)]).encode()


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def read(content: bytes) -> list[dict[str, Any]]:
    """Return the rows of a file, as `rows` does; RunError where it is none."""
    try:
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=True)
        if tuple(next(reader, [])) != COLUMNS:
            raise ValueError(f"its header is not {','.join(COLUMNS)}")
        return [{name: _value(name, cell) for name, cell in zip(COLUMNS, row, strict=True)} for row in reader]
    except (ValueError, csv.Error) as error:
        raise RunError(f"{NAME}: {error}") from None


def _value(name: str, cell: str) -> Any:
    if name in ("kind", "symbol", "currency"):
        return cell
    if not cell or name in _TEXTS:
        return cell or None
    return msgspec.json.decode(cell, type=int if name in _COUNTS else float)
