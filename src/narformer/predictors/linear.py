"""A straight line in the cost of a network: the two simplest baselines of latency, FLOPs and FLOPs+MAC.

ŷ = b + Σ_c a_c x_c      x_c FLOPs, or FLOPs and memory access; a, b by ordinary least squares

NNLQP (Liu et al., ICPP 2022) prints both beside its predictor, after nn-Meter (Zhang et al., MobiSys 2021). MAC is
memory access there, not multiply-adds. Letters: N networks, C columns, T attributes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from typing_extensions import Unpack

from narformer.errors import BadArchitecture, BadPredictor, BadRecipe, lookup
from narformer.network.cost import Cost, cost
from narformer.network.graph import Architecture
from narformer.predictors.predictor import Advance, Common, FittedPredictor, unheard
from narformer.predictors.target import Target
from narformer.predictors.task import Task

__all__ = ["COLUMNS", "CostLine", "CostLinePredictor", "positive_labels"]

# column -> its count, the number of counts in the unit of its slope, that unit
COLUMNS: dict[str, tuple[Callable[[Cost], int], float, str]] = {
    "flops": (lambda counted: counted.flops, 1e9, "GFLOP"),
    "memory access": (lambda counted: counted.memory_access, 1e6, "million values of memory access"),
}


@dataclass(frozen=True)
class CostLine:
    """One line: ``predict(architectures) -> (N,)`` milliseconds.

    columns:   costs that the line depends on, names of COLUMNS
    slopes:    milliseconds per unit of each column
    intercept: milliseconds
    floor:     milliseconds, the least prediction
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

        The fit is deterministic: the seed, which other predictors need, has no effect.

        If several lines fit equally (few networks, proportional columns), it is the flattest. ``floor`` is half of
        the smallest latency: a line with a negative intercept or slope goes below zero for small networks, but every
        network takes some time; half leaves the range of the labels, and a little below it, to the line.

        Raises UnknownName for an unknown column, BadRecipe for labels that no line can be fitted to, and
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

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """(N,) milliseconds. Raises BadArchitecture for a network that cannot be counted."""
        line_N = self.intercept + _counts(architectures, self.columns) @ np.array(self.slopes)
        return np.asarray(np.maximum(line_N, self.floor))

    def __str__(self) -> str:
        terms = [
            f" {'-' if slope < 0 else '+'} {abs(slope):.3g} ms per {COLUMNS[column][2]}"
            for column, slope in zip(self.columns, self.slopes, strict=True)
        ]
        return f"{self.intercept:.3g} ms{''.join(terms)}, at least {self.floor:.3g} ms"


class CostLinePredictor(FittedPredictor):
    """A CostLine for each of T attributes of whole networks, whose labels are positive.

    It has no shares of layers: intercept and floor belong to none of them.
    """

    name = "cost-line"

    class Options(BaseModel):
        """columns: costs that the line depends on, names of COLUMNS."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        columns: Annotated[tuple[Literal["flops", "memory access"], ...], Field(min_length=1)] = ("flops",)

    class Config(Options):
        """As Options."""

        name: Literal["cost-line"] = "cost-line"

    def __init__(self, lines: Sequence[CostLine], **common: Unpack[Common]) -> None:
        super().__init__(**common)
        self.lines = tuple(lines)

    @classmethod
    def fit(cls, task: Task, options: Options) -> Self:
        """A line for each attribute. Raises BadRecipe for cells, or labels that are not positive; as CostLine.fit."""
        if task.cells is not None:
            raise BadRecipe(f"[predictor] '{cls.name}' reads whole networks; '{task.source}' holds cells")
        lines = [
            CostLine.fit([task.training[row] for row in rows], label_n, columns=options.columns)
            for rows, label_n in task.columns("every network costs something")
        ]
        targets = (Target("log"),) * len(lines)
        return cls(lines, attributes=task.attributes, space=task.space, targets=targets, domain=task.domain())

    def opinions(self, architectures: Sequence[Architecture], advance: Advance = unheard) -> NDArray[np.float64]:
        """(N, T, 1) logarithms. Raises BadArchitecture for a network that cannot be counted."""
        value_NT = np.stack([line.predict(architectures) for line in self.lines], axis=1)
        advance(len(architectures))
        return np.log(value_NT)[:, :, None]

    def config(self) -> Config:
        """The columns."""
        return self.Config.model_validate({"columns": self.lines[0].columns})

    def tensors(self) -> dict[str, Tensor]:
        """(T, C) slopes, (T,) intercepts and floors."""
        numbers = {
            "slopes": [line.slopes for line in self.lines],
            "intercepts": [line.intercept for line in self.lines],
            "floors": [line.floor for line in self.lines],
        }
        return {name: torch.tensor(values, dtype=torch.double) for name, values in numbers.items()}

    @classmethod
    def empty(cls, config: Config, common: Common) -> Self:
        """Flat lines at 1."""
        flat = CostLine(config.columns, (0.0,) * len(config.columns), 1.0, 1.0)
        return cls((flat,) * len(common["attributes"]), **common)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take slopes, intercepts and floors. Raises BadPredictor for a floor that is not positive."""
        if (tensors["floors"] <= 0).any():
            raise BadPredictor("'floors' holds a number that is not positive; it is damaged, train it again")
        rows = zip(*(tensors[name].tolist() for name in ("slopes", "intercepts", "floors")), strict=True)
        columns = self.lines[0].columns
        self.lines = tuple(CostLine(columns, tuple(slopes), intercept, floor) for slopes, intercept, floor in rows)


def positive_labels(architectures: Sequence[Architecture], latency_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """The training labels (N,) as float64.

    Raises BadRecipe where there are no labels, not one for each network, or one that is not a positive number.
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
            f"found {wrong_N.sum()} of {len(wrong_N)} latencies that are not positive numbers, the first "
            f"{latency_N[wrong_N][0]}; expected milliseconds: drop networks without a label first"
        )
    return latency_N


def _counts(architectures: Sequence[Architecture], columns: Sequence[str]) -> NDArray[np.float64]:
    """(N, C) in the units of slopes."""
    rules = [lookup(COLUMNS, column, "column of costs") for column in columns]
    x_NC = np.empty((len(architectures), len(rules)))
    for row, architecture in enumerate(architectures):
        counted = cost(architecture)
        if counted.unknown:  # a line depends on the count alone: a count that is too small would give a wrong answer
            vertex, why = next(iter(counted.unknown.items()))
            raise BadArchitecture(
                f"network {row} {architecture.name!r:.80}: {len(counted.unknown)} of {len(architecture)} operations "
                f"cannot be counted, vertex {vertex} is {why:.120}; expected kinds of the op table with known shapes"
            )
        x_NC[row] = [count(counted) / unit for count, unit, _ in rules]
    return x_NC
