"""NNLP, the latency predictor of NNLQP (Liu et al., ICPP 2022): GraphSAGE, a sum over nodes, static numbers.

h_i ← W_l mean_{j ∈ N(i)} h_j + b + W_r h_i, to length 1, ReLU, dropout       N(i): neighbours without direction
ŷ = softplus(-FC [Σ_i h_i ‖ ReLU(dropout(W_s static))])

Letters: B networks, N nodes, D width, F features, T targets.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens import Packed


class Nnlp(Model):
    """Nodes and edges of networks to T latencies."""

    reads = frozenset({Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """As released. features, whole: numbers of a node and of a network."""

        features: Size = 44
        whole: Size = 4
        width: Size = 512
        layers: Count = 2
        dropout: Rate = 0.05
        targets: Size = 1

        head = "softplus"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D, p = config.width, config.dropout
        widths = [config.features] + [D] * config.layers
        self.neighbours = nn.ModuleList([Linear(width, D) for width in widths[:-1]])
        self.own = nn.ModuleList([Linear(width, D, bias=False) for width in widths[:-1]])
        self.static = nn.Sequential(Linear(config.whole, D), nn.Dropout(p), nn.ReLU())
        dense = [layer for width in (2 * D, D) for layer in (Linear(width, D), nn.ReLU(), nn.Dropout(p))]
        self.head = nn.Sequential(*dense, Linear(D, config.targets))

    def forward(self, batch: Packed) -> Tensor:
        """(B, T, 1) predictions, in the units of the attributes."""
        source_Y, target_Y = batch.edge_2Y
        from_Y, to_Y = torch.cat([source_Y, target_Y]), torch.cat([target_Y, source_Y])
        h_ND = batch.x_NF
        degree_N1 = h_ND.new_zeros(len(h_ND), 1).index_add(0, from_Y, h_ND.new_ones(len(from_Y), 1)).clamp(min=1)
        for neighbours, own in zip(self.neighbours, self.own, strict=True):
            mean_ND = torch.zeros_like(h_ND).index_add(0, from_Y, h_ND[to_Y]) / degree_N1
            h_ND = functional.normalize(neighbours(mean_ND) + own(h_ND), dim=1)
            h_ND = functional.dropout(functional.relu(h_ND), self.config.dropout, self.training)
        y_BT: Tensor = self.head(torch.cat([batch.sums(h_ND), self.static(batch.whole_BG)], dim=1))
        return functional.softplus(-y_BT)[:, :, None]
