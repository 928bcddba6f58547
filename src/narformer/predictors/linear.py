"""Latency as a straight line in what a network costs: the two simplest baselines, FLOPs and FLOPs+MAC.

ŷ = b + Σ_c a_c x_c      x_c FLOPs, or FLOPs and memory access; a, b by ordinary least squares

NNLQP (Liu et al., ICPP 2022) prints both beside its predictor, after nn-Meter (Zhang et al., MobiSys 2021). MAC is
memory access there, not multiply-adds. Letters: N networks, C columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadArchitecture, BadRecipe, lookup
from narformer.network.cost import Cost, cost
from narformer.network.graph import Architecture

__all__ = ["COLUMNS", "CostLine", "positive_labels"]

# column -> how it is counted, how many make the unit of its slope, that unit
COLUMNS: dict[str, tuple[Callable[[Cost], int], float, str]] = {
    "flops": (lambda counted: counted.flops, 1e9, "GFLOP"),
    "memory access": (lambda counted: counted.memory_access, 1e6, "million values of memory access"),
}


@dataclass(frozen=True)
class CostLine:
    """predict(architectures) -> (N, 1) milliseconds.

    columns:   what the line depends on, names of COLUMNS
    slopes:    milliseconds per unit of each column
    intercept: milliseconds
    floor:     milliseconds, no prediction is smaller
    """

    columns: tuple[str, ...]
    slopes: tuple[float, ...]
    intercept: float
    floor: float

    @classmethod
    def fit(
        cls,
        architectures: Sequence[Architecture],
        latency_N: NDArray[np.float64],
        seed: int = 0,
        columns: Sequence[str] = ("flops",),
    ) -> "CostLine":
        """By ordinary least squares from the latencies (N,) of training networks, in milliseconds.

        Nothing is left to chance: the seed, which other predictors need, is of no effect.

        Of several lines that fit alike (few networks, proportional columns) it is the flattest. ``floor`` is half of
        the smallest latency: a line with a negative intercept or slope goes below zero where networks are small, and
        no network takes no time; half keeps what was seen, and a little beyond it, free to vary.

        Raises UnknownName for a column that is none, BadRecipe for labels that no line can be fitted to, and
        BadArchitecture for a network that cannot be counted.
        """
        latency_N = positive_labels(architectures, latency_N)
        x_NC = _counts(architectures, columns)
        center_C, spread_C = x_NC.mean(axis=0), np.ptp(x_NC, axis=0)
        scaled_NC = np.where(spread_C > 0, (x_NC - center_C) / np.where(spread_C > 0, spread_C, 1), 0)
        slope_C = np.linalg.lstsq(scaled_NC, latency_N - latency_N.mean(), rcond=None)[0]
        slope_C /= np.where(spread_C > 0, spread_C, 1)
        intercept = float(latency_N.mean() - center_C @ slope_C)
        return cls(tuple(columns), tuple(slope_C.tolist()), intercept, float(latency_N.min() / 2))

    def predict(
        self, architectures: Sequence[Architecture], *, advance: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float64]:
        """(N, 1) milliseconds; ``advance`` is told N. Raises BadArchitecture for a network that cannot be counted."""
        line_N = self.intercept + _counts(architectures, self.columns) @ np.array(self.slopes)
        advance(len(architectures))
        return np.asarray(np.maximum(line_N, self.floor)[:, None])

    def config(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        terms = [
            f" {'-' if slope < 0 else '+'} {abs(slope):.3g} ms per {COLUMNS[column][2]}"
            for column, slope in zip(self.columns, self.slopes, strict=True)
        ]
        return f"{self.intercept:.3g} ms{''.join(terms)}, at least {self.floor:.3g} ms"


def positive_labels(architectures: Sequence[Architecture], latency_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """The training labels (N,) as float64.

    Raises BadRecipe where there are none, not one for each network, or one that is no positive number.
    """
    latency_N = np.asarray(latency_N, dtype=np.float64)
    if latency_N.shape != (len(architectures),) or not len(architectures):
        raise BadRecipe(
            f"found {len(architectures)} networks and labels of shape {latency_N.shape}; "
            "expected at least one network, and one latency for each"
        )
    wrong_N = ~(np.isfinite(latency_N) & (latency_N > 0))
    if wrong_N.any():
        raise BadRecipe(
            f"found {wrong_N.sum()} of {len(wrong_N)} latencies that are no positive number, the first "
            f"{latency_N[wrong_N][0]}; expected milliseconds: drop networks without a label first"
        )
    return latency_N


def _counts(architectures: Sequence[Architecture], columns: Sequence[str]) -> NDArray[np.float64]:
    """(N, C) in the units of slopes."""
    rules = [lookup(COLUMNS, column, "column of costs") for column in columns]
    x_NC = np.empty((len(architectures), len(rules)))
    for row, architecture in enumerate(architectures):
        counted = cost(architecture)
        if counted.unknown:  # the count is all that a line knows: one that is too small would be a wrong answer
            vertex, why = next(iter(counted.unknown.items()))
            raise BadArchitecture(
                f"network {row} {architecture.name!r:.80}: {len(counted.unknown)} of {len(architecture)} operations "
                f"cannot be counted, vertex {vertex} is {why:.120}; expected kinds of the op table with known shapes"
            )
        x_NC[row] = [count(counted) / unit for count, unit, _ in rules]
    return x_NC
