"""What every family of architectures can do."""

from typing import Protocol

import numpy as np

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

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One random architecture of the space."""

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All architectures one edit away, in a fixed order, none twice and never the cell itself."""

    def parse(self, text: str) -> Architecture:
        """The architecture that ``text`` describes. Raises BadArchitecture."""

    def format(self, architecture: Architecture) -> str:
        """The text that ``parse`` turns into ``architecture``. Raises BadArchitecture."""

    def unroll(self, architecture: Architecture) -> Architecture:
        """The whole network of primitive operations, with attributes and shapes, that the cell stands for."""

    def enumerate(self) -> Cells:
        """Every architecture of the space once, as columns. Raises BadArchitecture where the space is too large."""
