"""Features of nodes as distances from the mean of training, in spreads: the first step of models of kernels.

Letters: N nodes, F features.
"""

import torch
from torch import Tensor, nn

from narformer.tokens.packed import Packed

FARTHEST = 5.0  # largest distance of a feature from the mean, in spreads


class Standardised(nn.Module):
    """(N, F) to (N, F); a feature without spread in training is uninformative and becomes 0."""

    center_F: Tensor
    scale_F: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("center_F", torch.zeros(features))
        self.register_buffer("scale_F", torch.ones(features))

    def fit(self, batch: Packed) -> None:
        """Take mean and spread from the training networks."""
        spread_F = batch.x_NF.std(0, unbiased=False)
        self.center_F.copy_(batch.x_NF.mean(0))
        self.scale_F.copy_(torch.where(spread_F > 1e-6, 1 / spread_F.clamp(min=1e-6), 0))

    def forward(self, x_NF: Tensor) -> Tensor:
        return ((x_NF - self.center_F) * self.scale_F).clamp(-FARTHEST, FARTHEST)
