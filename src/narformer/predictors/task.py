"""The task that a predictor is fitted to: networks with labels to train on, others to validate with.

Letters: M training networks, V validation networks, T attributes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.cells import Cells
from narformer.errors import BadRecipe
from narformer.network.graph import Architecture
from narformer.predictors.domain import CellDomain, NetworkDomain
from narformer.progress import Progress, silent

__all__ = ["Task"]

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """The training task; labels are NaN where they are missing.

    attributes: T of them
    space:      of the networks, by name
    source:     name of the data set, for errors
    training:   M networks with their ``label_MT``; ``validation``: V networks with their ``label_VT``
    pool:       every network of the data set, whose labels must not be used
    judged_V:   rows of the validation networks for error estimates: one of each network
    seed:       of all random numbers
    """

    attributes: tuple[Attribute, ...]
    space: str
    source: str
    training: Sequence[Architecture]
    label_MT: Float
    validation: Sequence[Architecture]
    label_VT: Float
    pool: Sequence[Architecture]
    judged_V: NDArray[np.int64]
    seed: int
    progress: Progress = silent

    @property
    def cells(self) -> Cells | None:
        """The pool where it holds cells; None where it holds whole networks."""
        return self.pool if isinstance(self.pool, Cells) else None

    def columns(self, why: str = "") -> Iterator[tuple[NDArray[np.int64], Float]]:
        """For each attribute the training rows that have a label, and those labels.

        Raises BadRecipe for an attribute without labels; if ``why`` gives a reason, for a label that is not positive.
        """
        for attribute, label_M in zip(self.attributes, self.label_MT.T, strict=True):
            rows = np.flatnonzero(np.isfinite(label_M))
            label_m = label_M[rows]
            if not len(rows):
                raise BadRecipe(f"found no training network with a label '{attribute.name}'; expected at least one")
            if why and label_m.min() <= 0:
                raise BadRecipe(
                    f"found the label {label_m.min():.4g} of '{attribute.name}'; expected positive ones: {why}"
                )
            yield rows, label_m

    def domain(self) -> CellDomain | NetworkDomain | None:
        """The domain of the training networks (for cells, also validation); None for a single network."""
        if isinstance(self.training, Cells) and isinstance(self.validation, Cells):
            parts = [CellDomain.fit(cells) for cells in (self.training, self.validation) if len(cells)]
            return CellDomain(max(part.vertices for part in parts), max(part.edges for part in parts))
        return NetworkDomain.fit(self.training) if len(self.training) > 1 else None
