"""A neural model with its tokenizer and target: the Predictor that is trained, saved and loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from narformer.arch.cells import Cells
from narformer.arch.graph import Architecture
from narformer.data.dataset import Attribute
from narformer.models import Model
from narformer.predictors.target import Target
from narformer.tokens.tokenizer import Tokenizer


@dataclass(eq=False)
class NeuralPredictor:
    """predict(architectures) -> (N, 1) in the attribute's unit.

    facts: what the manifest tells about the training: recipe, data, measured error
    """

    model: Model
    tokenizer: Tokenizer
    target: Target
    attribute: Attribute
    space: str
    facts: dict[str, Any] = field(default_factory=dict)
    precision: torch.dtype = torch.float32

    def predict(
        self,
        architectures: Sequence[Architecture],
        chunk: int = 256,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, 1) predictions in the attribute's unit; ``advance`` is told how many each chunk held.

        Raises BadArchitecture for operations outside the vocabulary.
        """
        cells = Cells.of(architectures, self.tokenizer.vocabulary)
        device = next(self.model.parameters()).device
        self.model.eval()
        self.model.precision = self.precision
        # Small chunks stay in the cache; cells of one size go together, so that most chunks need no padding.
        by_size = np.argsort(cells.count_M, kind="stable")
        out_M1 = np.empty((len(cells), 1))
        with torch.inference_mode():
            for start in range(0, len(cells), chunk):
                rows = by_size[start : start + chunk]
                batch = self.tokenizer.batch(cells.take(rows).trimmed()).to(device)
                out_M1[rows] = self.model(batch).double().mean(1, keepdim=True).cpu().numpy()
                advance(len(rows))
        return self.target.inverse(out_M1)
