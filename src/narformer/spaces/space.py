"""The interface of a space: a family of architectures over one vocabulary of operations."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.network.graph import Architecture


class Space(Protocol):
    """A family of architectures over one vocabulary of operations."""

    @property
    def name(self) -> str:
        """The name under which SPACES holds the space."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the operations, in the order of their index in Cells."""

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the operations that stand for a missing edge."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Names of the operations that pass their input on unchanged."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One random architecture of the space."""

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All architectures one edit away, in a fixed order, each once, without the cell itself."""

    def recognises(self, text: str) -> bool:
        """Whether ``text`` looks like a cell of the space: true for every text that ``parse`` accepts, and fast."""

    def parse(self, text: str) -> Architecture:
        """The architecture that ``text`` describes. Raises BadArchitecture."""

    def format(self, architecture: Architecture) -> str:
        """The text that ``parse`` turns into ``architecture``. Raises BadArchitecture."""

    def unroll(self, architecture: Architecture) -> Architecture:
        """The whole network of primitive operations, with attributes and shapes, that the cell stands for."""

    def enumerate(self) -> Cells:
        """Every architecture of the space once, as columns. Raises BadArchitecture where the space is too large."""

    def same(self, cells: Cells) -> NDArray[np.uint64] | NDArray[np.int64]:
        """(M,) keys, equal for cells that count as one network."""
