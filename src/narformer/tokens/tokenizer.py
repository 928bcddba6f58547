"""What every tokenizer offers: one network to Tokens, a whole column of cells to a Batch with array code."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from narformer.arch.cells import Cells
from narformer.arch.graph import Architecture
from narformer.tokens.batch import Batch, Tokens


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Turns architectures over ``vocabulary`` into numbers; its fields are all that it depends on.

    A subclass states ``features`` (F, numbers per token), ``whole`` (G, numbers per network) and how a
    column of cells becomes a Batch; the tokens of one network are one row of that.
    """

    vocabulary: tuple[str, ...]

    @property
    def features(self) -> int:
        """F, numbers per token."""
        raise NotImplementedError(type(self).__name__)

    @property
    def whole(self) -> int:
        """G, numbers of the network as a whole."""
        return 0

    def cells(self, cells: Cells) -> Batch:
        """A column of M cells as a Batch, with array code."""
        raise NotImplementedError(type(self).__name__)

    def batch(self, architectures: Sequence[Architecture]) -> Batch:
        """Many architectures as a Batch. Raises BadArchitecture for an operation outside the vocabulary."""
        return self.cells(Cells.of(architectures, self.vocabulary))

    def tokens(self, architecture: Architecture) -> Tokens:
        """One architecture as Tokens."""
        return self.batch([architecture]).tokens(0)

    def config(self) -> dict[str, Any]:
        """The fields as plain values, for the manifest of a saved predictor."""
        return asdict(self)
