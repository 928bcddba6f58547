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
        chunk: int = 256,
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
        chunk: int = 256,
        advance: Callable[[int], None] = lambda done: None,
    ) -> NDArray[np.float64]:
        """(N, E) what each member says, blended with the expert, in the units of targets. As ``predict`` otherwise."""
        cells = Cells.of(architectures, self.tokenizer.vocabulary)
        device = next(self.model.parameters()).device
        self.model.eval()
        self.model.precision = self.precision
        # Small chunks stay in the cache, and every member makes them larger; cells of one size go together, so that
        # most chunks need no padding.
        chunk = max(1, chunk // self.members)
        by_size = np.argsort(cells.count_M, kind="stable")
        out_ME = np.empty((len(cells), self.members))
        with torch.inference_mode():
            for start in range(0, len(cells), chunk):
                rows = by_size[start : start + chunk]
                batch = self.tokenizer.batch(cells.take(rows).trimmed()).to(device)
                out_ME[rows] = self.model(batch).double().cpu().numpy()
                advance(len(rows))
        return out_ME if self.expert is None else self.expert.blended(self.tokenizer.simplified(cells), out_ME)
