"""What every tokenizer offers: architectures to a batch of numbers.

Cells come in columns and become a padded Batch with array code; whole networks come one by one and become a Packed
batch, without padding.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from narformer.cells.columns import Cells
from narformer.network.canonical import canonical
from narformer.network.graph import Architecture
from narformer.tokens.batch import Batch, Tokens
from narformer.tokens.packed import Packed, packed

STRICT = ConfigDict(strict=True, extra="forbid")

Names = Annotated[tuple[str, ...], Strict(False)]  # TOML and JSON give lists
Length = Annotated[int, Field(ge=2, le=1024)]  # of a scalar code, whose frequencies go from a first to a last


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Tokenizer:
    """Turns architectures into numbers; its fields are all that it depends on.

    A subclass states ``features`` (F, numbers per node) and ``whole`` (G, numbers per network).
    """

    vocabulary: Names = ()

    def __post_init__(self) -> None:
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError(f"vocabulary: found an operation twice among {', '.join(self.vocabulary)}"[:200])

    @property
    def features(self) -> int:
        """F, numbers per node."""
        raise NotImplementedError(type(self).__name__)

    @property
    def kinds(self) -> int:
        """How many numbers tell nodes apart: the operations, and a tokenizer's own tokens."""
        return len(self.vocabulary)

    @property
    def whole(self) -> int:
        """G, numbers of the network as a whole."""
        return 0

    def batch(self, architectures: Sequence[Architecture]) -> Batch | Packed:
        """Many architectures as one batch."""
        raise NotImplementedError(type(self).__name__)

    def config(self) -> dict[str, Any]:
        """The fields as plain values, for the manifest of a saved predictor."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CellTokenizer(Tokenizer):
    """Of cells over ``vocabulary``: a subclass says how a column of them becomes a Batch; one is a row of that."""

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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetworkTokenizer(Tokenizer):
    """Of whole networks, whose operations are those of the op table: a subclass says what one becomes."""

    def network(self, architecture: Architecture) -> Packed:
        """One network as it is written down, nodes in its order, as a Packed batch."""
        raise NotImplementedError(type(self).__name__)

    def batch(self, architectures: Sequence[Architecture]) -> Packed:
        """Many networks as a Packed batch, at least one, each in its canonical form: one fingerprint, one answer."""
        return packed([self.network(canonical(architecture)) for architecture in architectures])
