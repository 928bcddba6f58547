"""Many small architectures as arrays (columns), so that array code can process a whole space.

Letters: M cells, N vertices (padded to the largest cell).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture, Op

PADDING = -1
MOST_EDGES = 255  # between two vertices; larger counts are cut to this


@dataclass(frozen=True, eq=False)
class Cells(Sequence[Architecture]):
    """A sequence of attribute-free architectures over one vocabulary of operations.

    vocabulary: names of the operations
    kind_MN:    int8, index into the vocabulary, PADDING after a cell's last vertex
    adj_MNN:    uint8, [m, i, j] counts the edges i -> j of cell m (strictly upper triangular)
    """

    vocabulary: tuple[str, ...]
    kind_MN: NDArray[np.int8]
    adj_MNN: NDArray[np.uint8]

    @classmethod
    def of(cls, architectures: Sequence[Architecture], vocabulary: tuple[str, ...]) -> "Cells":
        """Columns of ``architectures``; Cells of the same vocabulary are returned as they are.

        Raises BadArchitecture if an operation is not in the vocabulary.
        """
        if isinstance(architectures, Cells) and architectures.vocabulary == vocabulary:
            return architectures
        size = max((len(a) for a in architectures), default=0)
        kind_MN = np.full((len(architectures), size), PADDING, dtype=np.int8)
        adj_MNN = np.zeros((len(architectures), size, size), dtype=np.uint8)
        index = {kind: i for i, kind in enumerate(vocabulary)}
        for m, architecture in enumerate(architectures):
            for i, op in enumerate(architecture.ops):
                if op.kind not in index:
                    raise BadArchitecture(
                        f"operation '{op.kind}' of {architecture.name or f'architecture {m}'} "
                        f"is not one of {', '.join(vocabulary)}"
                    )
                kind_MN[m, i] = index[op.kind]
            for source, target in architecture.edges:
                adj_MNN[m, source, target] += 1
        return cls(vocabulary, kind_MN, adj_MNN)

    @property
    def count_M(self) -> NDArray[np.int64]:
        """Number of vertices of each cell."""
        return np.asarray((self.kind_MN != PADDING).sum(axis=1))

    @property
    def edges_M(self) -> NDArray[np.int64]:
        """Number of edges of each cell."""
        return np.asarray(self.adj_MNN.sum(axis=(1, 2), dtype=np.int64))

    def take(self, rows: NDArray[np.int64] | Sequence[int] | slice) -> "Cells":
        """The cells at ``rows``, as columns."""
        return Cells(self.vocabulary, self.kind_MN[rows], self.adj_MNN[rows])

    def trimmed(self) -> "Cells":
        """The same cells, padded only to the largest of them."""
        size = int(self.count_M.max(initial=0))
        return Cells(self.vocabulary, self.kind_MN[:, :size], self.adj_MNN[:, :size, :size])

    def __len__(self) -> int:
        return len(self.kind_MN)

    @overload
    def __getitem__(self, row: int) -> Architecture: ...
    @overload
    def __getitem__(self, row: slice) -> "Cells": ...
    def __getitem__(self, row: int | slice) -> "Architecture | Cells":
        if isinstance(row, slice):
            return self.take(row)
        kinds = self.kind_MN[row]
        ops = tuple(Op(self.vocabulary[k]) for k in kinds[kinds != PADDING])
        sources, targets = np.nonzero(self.adj_MNN[row])
        edges = [
            (int(i), int(j)) for i, j in zip(sources, targets, strict=True) for _ in range(self.adj_MNN[row, i, j])
        ]
        return Architecture(ops, tuple(edges))

    def __iter__(self) -> Iterator[Architecture]:
        return (self[m] for m in range(len(self)))

    def __repr__(self) -> str:
        return f"Cells({len(self)} cells of up to {self.kind_MN.shape[1]} vertices)"
