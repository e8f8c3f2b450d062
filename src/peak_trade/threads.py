"""One thread each for what computes with several: workers side by side would else start as many as there are cores.

NumPy's BLAS and the OpenMP of others read these variables as they are loaded, and not again.
"""

import os

__all__ = ["ONE", "held"]

ONE = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
    ),
    "1",
)  # fmt: skip
"""The environment of a sweep."""


def held() -> int | None:
    """Return how many threads each the libraries of this process are held to; None where that is left to them."""
    return 1 if all(os.environ.get(name) == one for name, one in ONE.items()) else None
