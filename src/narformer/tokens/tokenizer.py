"""The base classes of tokenizers, which turn architectures into a batch of numbers.

Cells are converted together with array code to a padded Batch; whole networks are converted one by one to a Packed
batch, without padding.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from narformer.cells.columns import Cells
from narformer.network.canonical import canonical
from narformer.network.graph import Architecture
from narformer.tokens.batch import Batch, Tokens
from narformer.tokens.packed import Packed, packed

STRICT = ConfigDict(strict=True, extra="forbid")
KEPT = 64  # networks whose tokens are kept

Names = Annotated[tuple[str, ...], Strict(False)]  # TOML and JSON give lists
Length = Annotated[int, Field(ge=2, le=1024)]  # of a scalar code; at least a first and a last frequency


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Tokenizer:
    """Turns architectures into numbers; the result depends on the fields only.

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
        """Number of kinds of nodes: the operations, and special tokens."""
        return len(self.vocabulary)

    @property
    def whole(self) -> int:
        """G, numbers per network."""
        return 0

    def batch(self, architectures: Sequence[Architecture]) -> Batch | Packed:
        """Many architectures as one batch."""
        raise NotImplementedError(type(self).__name__)

    def config(self) -> dict[str, Any]:
        """The fields as plain values, for the manifest of a saved predictor."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CellTokenizer(Tokenizer):
    """A tokenizer of cells over ``vocabulary``; a subclass implements ``cells``."""

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
    """A tokenizer of whole networks, whose operations are in the op table; a subclass implements ``network``."""

    def network(self, architecture: Architecture) -> Packed:
        """One network as a Packed batch, without a change of its form or the order of its nodes."""
        raise NotImplementedError(type(self).__name__)

    def batch(self, architectures: Sequence[Architecture]) -> Packed:
        """Networks, at least one, as a Packed batch, in canonical form: equal fingerprints give equal predictions."""
        return packed([_tokens(self, architecture) for architecture in architectures])


@lru_cache(maxsize=KEPT)
def _tokens(tokenizer: NetworkTokenizer, architecture: Architecture) -> Packed:
    """One network in canonical form, kept for a while: predictors and domains ask for the same one in turn."""
    with torch.inference_mode(False):  # what is kept may be trained on
        return tokenizer.network(canonical(architecture))
