"""Long, flat and short in turn."""

import numpy as np


def steps(bars, *, length=5, size=0.8):
    pattern = np.repeat([0.0, size, size / 2, -size, -size / 4], length)
    return np.resize(pattern, len(bars))


def broken(bars):
    raise ValueError("no idea what to do")
