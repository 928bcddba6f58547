"""The scalar codes of NAR-Former (Eq. 3-5) and of the transformer: a number as 2L sines and cosines.

f(p) = [sin(θ_1), cos(θ_1), …, sin(θ_L), cos(θ_L)], with
* ``nerf``:  θ_l = π p b_l, b_l linearly spaced from 1 to 2^(L-1)  (linear, not geometric)
* ``trans``: θ_l = p b_l,   b_l = 10000^(-l/L), l = 0 … L-1
"""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["float64", "float32"]


@cache
def nerf_code(value: int, length: int, precision: Precision = "float64") -> NDArray[np.float32]:
    """The nerf code of one integer, float32 (2L,).

    With L = 32 the phases reach 1e10 half turns, so float32 arithmetic (as released) gives rounding noise.
    Here p b_l mod 2 is computed in exact integer arithmetic: b_l = ((L-1) + l (2^(L-1) - 1)) / (L-1).
    ``precision="float32"`` uses the released arithmetic.
    """
    if precision == "float32":
        frequencies = np.linspace(1, float(2 ** (length - 1)), length, dtype=np.float32)
        phases = np.float32(value) * np.float32(np.pi) * frequencies
    else:
        step = length - 1
        numerators = [value * (step + l * (2**step - 1)) % (2 * step) for l in range(length)]  # noqa: E741
        phases = np.pi * np.array(numerators, dtype=np.float64) / step
    return _interleave(phases)


def nerf_table(values: range, length: int, precision: Precision = "float64") -> NDArray[np.float32]:
    """The nerf codes of consecutive integers, float32 (len(values), 2L)."""
    return np.stack([nerf_code(value, length, precision) for value in values])


def trans_code(values: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """The trans codes of numbers (...,), float32 (..., 2L)."""
    frequencies = 10000.0 ** (-np.arange(length) / length)
    return _interleave(np.asarray(values, dtype=np.float64)[..., None] * frequencies)


def _interleave(phases: NDArray[np.floating]) -> NDArray[np.float32]:
    """Phases (..., L) to [sin, cos, sin, cos, …] (..., 2L)."""
    return np.stack([np.sin(phases), np.cos(phases)], axis=-1).reshape(*phases.shape[:-1], -1).astype(np.float32)
