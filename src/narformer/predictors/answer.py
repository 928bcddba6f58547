"""The answer of a predictor: values in the attributes' units, their intervals, and whether to trust them.

Letters: N networks, T attributes, E members, K kernels of one network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.errors import lookup
from narformer.predictors.calibration import Calibration

__all__ = ["Answer"]

Float = NDArray[np.float64]
Rows = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer of one predictor about N networks.

    attributes:   T
    value_NT:     predictions, in the attributes' units
    low_NT, high_NT: bounds of the intervals; NaN in the columns of attributes that were not calibrated
    calibrations: of each attribute; None where it was not calibrated
    opinion_NTE:  of each member, in the units of targets
    inside_N:     whether a network is similar to those of training; None where the predictor has no domain
    distance_N:   to the nearest training network, 1 at the edge of the domain; None where distances are unknown
    nearest:      names of the nearest training networks; empty where distances are unknown
    """

    attributes: tuple[Attribute, ...]
    value_NT: Float
    low_NT: Float
    high_NT: Float
    calibrations: tuple[Calibration | None, ...]
    opinion_NTE: Float
    inside_N: NDArray[np.bool_] | None = None
    distance_N: Float | None = None
    nearest: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.value_NT)

    @property
    def levels(self) -> tuple[float | None, ...]:
        """The share of true values that intervals of each attribute are meant to contain; None without intervals."""
        return tuple(None if calibration is None else calibration.level for calibration in self.calibrations)

    def place(self, name: str) -> int:
        """The column of an attribute. Raises UnknownName."""
        return lookup({attribute.name: t for t, attribute in enumerate(self.attributes)}, name, "attribute")

    def beats(
        self, first: Sequence[int] | NDArray[np.int64], second: Sequence[int] | NDArray[np.int64], t: int = 0
    ) -> Float | None:
        """(R,) probability that attribute t is truly larger for each of the ``first`` networks than for the ``second``.

        None where the attribute was not calibrated.
        """
        calibration, opinion_NE = self.calibrations[t], self.opinion_NTE[:, t]
        return None if calibration is None else calibration.beats(opinion_NE[first], opinion_NE[second])
