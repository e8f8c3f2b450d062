"""What trials came to, column by column: rows in order of their numbers, as chunks bring them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from peak_trade.stats import STATS
from peak_trade.text import one_line

__all__ = ["BLOCKS", "KEYS", "Row", "Rows", "duplicates"]

KEYS = tuple(stat.key for stat in STATS)
BLOCKS = 16
"""Into so many equal parts the bars are divided, for the overfitting of a search: see `Row.blocks`."""
_DIGEST = 32  # bytes
_LONGEST = 400  # characters of an error


class Row(Struct, frozen=True):
    """One trial. `values` has a number for each of `KEYS`, NaN where there is none; a failed one has none at all.

    `blocks`, shape (2, BLOCKS), holds the sum and the sum of squares of the returns in each of as many equal parts of
    its bars (`np.array_split` of the returns): by these the Sharpe ratio over any of the parts together is known.
    """

    overrides: dict[str, Any]
    fold: int
    part: str
    error: str
    values: npt.NDArray[np.float64] | None
    digests: tuple[str, str] | None
    blocks: npt.NDArray[np.float64] | None
    duration_s: float


class _Packed(Struct, frozen=True, array_like=True):
    overrides: list[dict[str, Any]]
    fold: bytes
    part: list[str]
    error: dict[int, str]
    values: bytes
    digests: bytes
    blocks: bytes
    duration_s: bytes


class Rows(Struct, eq=False):
    """N trials. `values` is (N, len(KEYS)), `digests` (N, 2, 32) bytes, `blocks` (N, 2, BLOCKS)."""

    overrides: list[dict[str, Any]]
    fold: npt.NDArray[np.int64]
    part: list[str]
    error: dict[int, str]
    values: npt.NDArray[np.float64]
    digests: npt.NDArray[np.uint8]
    blocks: npt.NDArray[np.float64]
    duration_s: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.overrides)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """Return rows as columns."""
        count = len(rows)
        values = np.full((count, len(KEYS)), np.nan)
        digests = np.zeros((count, 2, _DIGEST), np.uint8)
        blocks = np.full((count, 2, BLOCKS), np.nan)
        for at, row in enumerate(rows):
            if row.values is not None and row.digests is not None and row.blocks is not None:
                values[at], blocks[at] = row.values, row.blocks
                digests[at] = [list(bytes.fromhex(one)) for one in row.digests]
        return cls(
            [row.overrides for row in rows],
            np.array([row.fold for row in rows], np.int64),
            [row.part for row in rows],
            {at: one_line(row.error, _LONGEST) for at, row in enumerate(rows) if row.error},
            values,
            digests,
            blocks,
            np.array([row.duration_s for row in rows], np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return rows one after the other."""
        starts = np.cumsum([0, *map(len, parts)])
        return cls(
            [one for part in parts for one in part.overrides],
            np.concatenate([part.fold for part in parts]) if parts else np.empty(0, np.int64),
            [one for part in parts for one in part.part],
            {
                int(start) + at: why
                for part, start in zip(parts, starts[:-1], strict=True)
                for at, why in part.error.items()
            },
            np.concatenate([part.values for part in parts]) if parts else np.empty((0, len(KEYS))),
            np.concatenate([part.digests for part in parts]) if parts else np.empty((0, 2, _DIGEST), np.uint8),
            np.concatenate([part.blocks for part in parts]) if parts else np.empty((0, 2, BLOCKS)),
            np.concatenate([part.duration_s for part in parts]) if parts else np.empty(0),
        )

    def since(self, at: int) -> Rows:
        """Return the rows from the row `at` on."""
        return Rows(
            self.overrides[at:], self.fold[at:], self.part[at:],
            {n - at: why for n, why in self.error.items() if n >= at},
            self.values[at:], self.digests[at:], self.blocks[at:], self.duration_s[at:],
        )  # fmt: skip

    def taken(self, at: npt.NDArray[np.intp]) -> Rows:
        """Return the rows at these places, in their order."""
        places = at.tolist()
        return Rows(
            [self.overrides[one] for one in places], self.fold[at], [self.part[one] for one in places],
            {new: self.error[one] for new, one in enumerate(places) if one in self.error},
            self.values[at], self.digests[at], self.blocks[at], self.duration_s[at],
        )  # fmt: skip

    def of_stat(self, key: str) -> npt.NDArray[np.float64]:
        """Return a statistic of all trials, NaN where a trial has none."""
        return self.values[:, KEYS.index(key)]

    def encode(self) -> bytes:
        """Return them in bytes."""
        return msgspec.msgpack.encode(
            _Packed(
                self.overrides, self.fold.tobytes(), self.part, self.error, self.values.tobytes(),
                self.digests.tobytes(), self.blocks.tobytes(), self.duration_s.tobytes(),
            )
        )  # fmt: skip

    @classmethod
    def decode(cls, content: bytes) -> Rows:
        """Return the rows that these bytes are; ValueError where they are none."""
        try:
            packed = msgspec.msgpack.decode(content, type=_Packed)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
        count = len(packed.overrides)
        return cls(
            packed.overrides,
            np.frombuffer(packed.fold, np.int64).reshape(count),
            packed.part,
            packed.error,
            np.frombuffer(packed.values).reshape(count, len(KEYS)),
            np.frombuffer(packed.digests, np.uint8).reshape(count, 2, _DIGEST),
            np.frombuffer(packed.blocks).reshape(count, 2, BLOCKS),
            np.frombuffer(packed.duration_s).reshape(count),
        )


def duplicates(rows: Rows) -> npt.NDArray[np.int64]:
    """Return for each trial the first with the same digests of its fold and part; -1 where it is that itself."""
    first: dict[tuple[bytes, int, str], int] = {}
    found = np.full(len(rows), -1)
    for at in range(len(rows)):
        if at not in rows.error:
            key = rows.digests[at].tobytes(), int(rows.fold[at]), rows.part[at]
            if (same := first.setdefault(key, at)) != at:
                found[at] = same
    return found
