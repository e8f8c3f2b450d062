"""What trials came to, column by column: rows in order of their numbers, as chunks bring them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    def blank(cls, count: int) -> Rows:
        """Return room for so many, in which the values of a statistic stand side by side, as a table has them."""
        return cls(
            [], np.zeros(count, np.int64), [], {},
            np.full((count, len(KEYS)), np.nan, order="F"), np.zeros((count, 2, _DIGEST), np.uint8),
            np.full((count, 2, BLOCKS), np.nan), np.zeros(count),
        )  # fmt: skip

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """Return rows as columns."""
        made = cls.blank(len(rows))
        for at, row in enumerate(rows):
            made.overrides.append(row.overrides)
            made.part.append(row.part)
            made.fold[at], made.duration_s[at] = row.fold, row.duration_s
            if row.error:
                made.error[at] = one_line(row.error, _LONGEST)
            if row.values is not None and row.digests is not None and row.blocks is not None:
                made.values[at], made.blocks[at] = row.values, row.blocks
                made.digests[at] = [list(bytes.fromhex(one)) for one in row.digests]
        return made

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return rows one after the other."""
        some = [part for part in parts if len(part)]
        return some[0] if len(some) == 1 else cls.gathered(some, sum(map(len, some)))

    @classmethod
    def gathered(cls, parts: Iterable[Rows], count: int) -> Rows:
        """Return rows one after the other, `count` in all; of the parts one at a time is held."""
        made = cls.blank(count)
        for part in parts:
            start, end = len(made), len(made) + len(part)
            made.overrides.extend(part.overrides)
            made.part.extend(part.part)
            made.error.update({start + at: why for at, why in part.error.items()})
            made.fold[start:end], made.duration_s[start:end] = part.fold, part.duration_s
            made.values[start:end], made.digests[start:end] = part.values, part.digests
            made.blocks[start:end] = part.blocks
        return made

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
    came = np.ones(len(rows), np.bool_)
    came[list(rows.error)] = False
    there = np.flatnonzero(came)
    names = {name: at for at, name in enumerate(dict.fromkeys(rows.part))}
    keys = np.empty((len(there), 2 * _DIGEST + 16), np.uint8)
    keys[:, : 2 * _DIGEST] = rows.digests.reshape(len(rows), 2 * _DIGEST)[there]
    keys[:, -16:-8] = rows.fold[there, None].view(np.uint8)
    keys[:, -8:] = np.array([names[name] for name in rows.part], np.int64)[there, None].view(np.uint8)
    texts = keys.view(f"S{keys.shape[1]}")[:, 0]
    order = np.argsort(texts, kind="stable")  # of equal ones the first comes first; np.unique imports numpy.ma
    other = np.append(True, texts[order][1:] != texts[order][:-1])[: len(order)]
    first = order[other][np.cumsum(other) - 1]
    found = np.full(len(rows), -1)
    found[there[order]] = np.where(other, -1, there[first])
    return found
