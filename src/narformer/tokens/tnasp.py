"""The tokenizer of TNASP (NeurIPS 2021): operation indices, and rows of the graph Laplacian as positions.

Letters: M cells, N vertices (padded), P = vertices of the largest cell, the length of a Laplacian row.
"""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from narformer.cells.columns import PADDING, Cells
from narformer.errors import BadArchitecture
from narformer.tokens.batch import Batch
from narformer.tokens.tokenizer import STRICT, CellTokenizer, Names


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TnaspTokenizer(CellTokenizer):
    """Token i = (index of op_i; row i of L = D - A), A directed, D the out-degrees, not normalised.

    vertices: P, vertices of the space's largest cell (7 in NAS-Bench-101, 8 in NAS-Bench-201)
    severed:  operations whose edges are left out of A (``none``, which has no output)
    """

    vertices: Annotated[int, Field(ge=2, le=4096)]
    severed: Names = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in self.severed:
            if kind not in self.vocabulary:
                raise ValueError(f"severed: found {kind!r}; expected operations among {', '.join(self.vocabulary)}")

    @property
    def features(self) -> int:
        """P, the length of a Laplacian row."""
        return self.vertices

    def cells(self, cells: Cells) -> Batch:
        """A column of cells as a Batch of N tokens. Raises BadArchitecture for cells of more than P vertices."""
        M, N = cells.kind_MN.shape
        if self.vertices < N:
            raise BadArchitecture(f"found a cell of {N} vertices; this predictor was built for up to {self.vertices}")
        real_MN = cells.kind_MN != PADDING
        severed_MN = np.isin(cells.kind_MN, [self.vocabulary.index(kind) for kind in self.severed])
        adj_MNN = (cells.adj_MNN > 0) & ~severed_MN[:, :, None] & ~severed_MN[:, None, :]
        x_MNP = np.zeros((M, N, self.vertices), dtype=np.float32)
        x_MNP[:, :, :N] = -adj_MNN.astype(np.float32)
        vertex_N = np.arange(N)
        x_MNP[:, vertex_N, vertex_N] += adj_MNN.sum(axis=2)
        return Batch(
            torch.from_numpy(x_MNP),
            torch.from_numpy(np.where(real_MN, cells.kind_MN, 0).astype(np.int64)),
            torch.from_numpy(adj_MNN.astype(np.float32)),
            torch.from_numpy(real_MN),
            torch.zeros(M, 0),
        )
