"""Labelled networks: examples, data sets, and named splits of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narformer.attributes import Attribute
from narformer.cells.columns import Cells
from narformer.network.graph import Architecture


@dataclass(frozen=True)
class Example:
    """One network and its labels; a label that was not measured is absent."""

    architecture: Architecture
    labels: Mapping[str, float]


@dataclass(frozen=True)
class PaperRows:
    """The papers' use of a benchmark: consecutive labelled rows in its order for training, the next ones for
    validation.

    parts: names of further test parts, and the number of labelled rows of each, which follow validation and one another
    """

    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[Example]):
    """Networks of one space with their labels as columns.

    architectures: M networks, in the order of the official benchmark
    labels:        attribute name -> (M,) float64, NaN where a network has no such label
    attributes:    attribute name -> Attribute
    train_labels:  the label that the papers train and validate on, or the labels to learn
    test_labels:   the label that the papers test on, or one for each label to learn
    official:      the rows by role as given by the authors of the data, if they are
    family_M:      the family of each network, if the set has families
    paper:         the rows that the papers use, if they are stated
    """

    name: str
    space: str
    architectures: Sequence[Architecture]
    labels: Mapping[str, NDArray[np.float64]]
    attributes: Mapping[str, Attribute]
    train_labels: tuple[str, ...]
    test_labels: tuple[str, ...]
    official: "Split | None" = None
    family_M: NDArray[np.str_] | None = None
    paper: PaperRows | None = None

    def __len__(self) -> int:
        return len(self.architectures)

    def columns(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(M, T) the labels of these names, NaN where they are missing."""
        return np.stack([self.labels[name] for name in names], axis=1)

    def having(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The rows with at least one of the labels of these names."""
        return np.flatnonzero(np.isfinite(self.columns(names)).any(axis=1)).astype(np.int64)

    def rows(self, rows: NDArray[np.int64]) -> Sequence[Architecture]:
        """The networks at ``rows``; columns stay columns."""
        if isinstance(self.architectures, Cells):
            everything = np.array_equal(rows, np.arange(len(self)))
            return self.architectures if everything else self.architectures.take(rows)
        return [self.architectures[row] for row in rows]

    def __getitem__(self, row: int) -> Example:  # type: ignore[override]
        values = {name: float(column[row]) for name, column in self.labels.items()}
        return Example(self.architectures[row], {n: v for n, v in values.items() if not np.isnan(v)})


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a data set by role. Train and validation are disjoint; a paper's test part may hold them.

    train, validation, test: row numbers, int64
    """

    name: str
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    seed: int | None = None
    parts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)  # further named test parts

    def unseen(self) -> NDArray[np.int64]:
        """Test rows that were neither trained on nor used for selection."""
        return np.setdiff1d(self.test, np.concatenate([self.train, self.validation]))
