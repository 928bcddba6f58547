"""Names for multisets: 64-bit numbers whose wrapped sums differ for different multisets."""

import numpy as np
from numpy.typing import NDArray

_A, _B, _C = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each 64-bit number scattered over all 64 bits, one to one (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = numbers + _A
    x = (x ^ (x >> np.uint64(30))) * _B
    x = (x ^ (x >> np.uint64(27))) * _C
    return np.asarray(x ^ (x >> np.uint64(31)))
