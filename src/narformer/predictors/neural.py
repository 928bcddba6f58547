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
from narformer.predictors.calibration import Calibration
from narformer.predictors.expert import Expert
from narformer.predictors.target import Target
from narformer.tokens.tokenizer import Tokenizer

BLOCK = 2048  # networks that are asked about together; progress is told after each


@dataclass(eq=False)
class NeuralPredictor:
    """predict(architectures) -> (N, 1) in the attribute's unit.

    facts:       what the manifest tells about the training: recipe, data, measured error
    calibration: how far predictions are off; None where too few networks were left to tell
    expert:      a second opinion that is blended with the model's; None where the model stands alone
    """

    model: Model
    tokenizer: Tokenizer
    target: Target
    attribute: Attribute
    space: str
    facts: dict[str, Any] = field(default_factory=dict)
    precision: torch.dtype = torch.float32
    calibration: Calibration | None = None
    expert: Expert | None = None

    def predict(
        self,
        architectures: Sequence[Architecture],
        chunk: int = 512,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, 1) predictions in the attribute's unit; ``advance`` is told how many each chunk held.

        Raises BadArchitecture for operations outside the vocabulary.
        """
        return self.target.inverse(self.opinions(architectures, chunk, advance).mean(axis=1, keepdims=True))

    @property
    def members(self) -> int:
        """E, opinions that the model has; 1 where it is no ensemble."""
        return int(getattr(self.model.config, "members", 1))

    def interval(self, opinion_NE: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lower and upper ends (N,) of the intervals of opinions, in the attribute's unit; None without calibration."""
        if self.calibration is None:
            return None
        middle_N, reach_N = opinion_NE.mean(axis=1), self.calibration.reach(opinion_NE)
        return self.target.inverse(middle_N - reach_N), self.target.inverse(middle_N + reach_N)

    def opinions(
        self,
        architectures: Sequence[Architecture],
        chunk: int = 512,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, E) what each member says, blended with the expert, in the units of targets. As ``predict`` otherwise."""
        cells = Cells.of(architectures, self.tokenizer.vocabulary)
        self.model.eval()
        self.model.precision = self.precision
        by_size = np.argsort(cells.count_M, kind="stable")  # cells of one size together need no padding
        out_ME = np.empty((len(cells), self.members))
        for start in range(0, len(cells), BLOCK):
            rows = by_size[start : start + BLOCK]
            block = cells.take(rows).trimmed()
            opinion_BE = self._of_model(block, chunk)
            if self.expert is not None:
                opinion_BE = self.expert.blended(self.tokenizer.simplified(block), opinion_BE)
            out_ME[rows] = opinion_BE
            advance(len(rows))
        return out_ME

    def _of_model(self, cells: Cells, chunk: int) -> NDArray[np.float64]:
        """(M, E) what each member of the model says; small chunks stay in the cache, and members make them larger."""
        device = next(self.model.parameters()).device
        chunk = max(1, chunk // self.members)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(cells), chunk):
                batch = self.tokenizer.batch(cells.take(slice(start, start + chunk)).trimmed()).to(device)
                parts.append(self.model(batch).double().cpu().numpy())
        return np.concatenate(parts)
