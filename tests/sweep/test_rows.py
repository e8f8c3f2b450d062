"""Which trials came to the same, held against a loop over all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from peak_trade.sweep.rows import Rows, duplicates


def looped(rows: Rows) -> npt.NDArray[np.int64]:
    first: dict[tuple[bytes, int, str], int] = {}
    found = np.full(len(rows), -1)
    for at in range(len(rows)):
        if at not in rows.error:
            key = rows.digests[at].tobytes(), int(rows.fold[at]), rows.part[at]
            if (same := first.setdefault(key, at)) != at:
                found[at] = same
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 50, 2000])
def test_the_first_of_the_same_digests_fold_and_part_is_named_and_no_failed_one(count: int) -> None:
    draw, rows = np.random.default_rng(count), Rows.blank(count)
    rows.overrides.extend([{}] * count)
    rows.part.extend(draw.choice(["", "train", "test"], count).tolist())
    rows.fold[:] = draw.integers(-1, 2, count)
    rows.digests[:, :, -1] = draw.integers(0, 4, (count, 2))  # zeros at the end too
    rows.error.update({int(at): "x" for at in draw.integers(0, max(count, 1), count // 5)})
    assert duplicates(rows).tolist() == looped(rows).tolist()
    assert count < 50 or (duplicates(rows) >= 0).any()


def test_trials_that_have_all_failed_are_no_duplicates() -> None:
    rows = Rows.blank(2)
    rows.overrides.extend([{}, {}])
    rows.part.extend(["", ""])
    rows.error.update({0: "x", 1: "x"})
    assert duplicates(rows).tolist() == [-1, -1]
