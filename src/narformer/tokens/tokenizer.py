"""What every tokenizer offers: one network to Tokens, a whole column of cells to a Batch with array code."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from narformer.arch.cells import Cells
from narformer.arch.graph import Architecture
from narformer.tokens.batch import Batch, Tokens

STRICT = ConfigDict(strict=True, extra="forbid")

Names = Annotated[tuple[str, ...], Strict(False)]  # TOML and JSON give lists
Length = Annotated[int, Field(ge=2, le=1024)]  # of a scalar code, whose frequencies go from a first to a last


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Tokenizer:
    """Turns architectures over ``vocabulary`` into numbers; its fields are all that it depends on.

    A subclass states ``features`` (F, numbers per token), ``whole`` (G, numbers per network) and how a
    column of cells becomes a Batch; the tokens of one network are one row of that.
    """

    vocabulary: Names

    def __post_init__(self) -> None:
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError(f"vocabulary: found an operation twice among {', '.join(self.vocabulary)}"[:200])

    @property
    def features(self) -> int:
        """F, numbers per token."""
        raise NotImplementedError(type(self).__name__)

    @property
    def kinds(self) -> int:
        """How many numbers ``kind_BN`` tells apart: the operations, and a tokenizer's own tokens."""
        return len(self.vocabulary)

    @property
    def whole(self) -> int:
        """G, numbers of the network as a whole."""
        return 0

    def simplified(self, cells: Cells) -> Cells:
        """The cells as the tokenizer sees them."""
        return cells

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
