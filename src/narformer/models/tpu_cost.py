"""The learned cost model of TPUs (Kaufman et al., MLSys 2021): GraphSAGE, a time for each kernel, their sum.

h_k = relu(W_1 [e_kind ‖ x])
h_k ← relu(W_3 [h_k ‖ mean of relu(W_in h) of parents ‖ mean of relu(W_out h) of children]), to length 1, dropout
ℓ_k = W_5 relu(W_4 h_k),   log ŷ = log Σ_k exp ℓ_k

The paper embeds the operations inside of one kernel and predicts the logarithm of its measured time. Here a node is a
kernel, its neighbours are other kernels, and only their sum is measured. In the paper a search chooses the
aggregation of neighbours, depths and widths; a mean and the sizes below are our choice.

Letters: B networks, N kernels of all of them, Y edges, F features, D width, T targets.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.models.standardised import Standardised
from narformer.tokens.packed import Packed


class TpuCost(Model):
    """Kernels of networks to T logarithms of their latency."""

    reads = frozenset({Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """kinds, features: of kernels."""

        kinds: Size
        features: Size
        width: Size = 256
        layers: Count = 3
        dropout: Rate = 0.1
        targets: Size = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D = config.width
        self.standardised = Standardised(config.features)
        self.kind = nn.Embedding(config.kinds, D)
        self.first = Linear(D + config.features, D)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.head = nn.Sequential(Linear(D, D), nn.ReLU(), nn.Dropout(config.dropout), Linear(D, config.targets))

    def standardise(self, batch: Packed, target_BT: Tensor) -> None:
        """Take mean and spread of the features from the training networks."""
        self.standardised.fit(batch)

    def forward(self, batch: Packed) -> Tensor:
        """(B, T, 1) logarithms of latencies."""
        return batch.log_sums(self.kernels(batch))[:, :, None]

    def kernels(self, batch: Packed) -> Tensor:
        """(N, T) logarithm of each kernel's time."""
        x_NF = self.standardised(batch.x_NF)
        h_ND = functional.relu(self.first(torch.cat([self.kind(batch.kind_N), x_NF], dim=1)))
        for layer in self.layers:
            h_ND = layer(h_ND, batch.edge_2Y)
        y_NT: Tensor = self.head(h_ND)
        return y_NT


class Layer(nn.Module):
    """One step of GraphSAGE; edges that come in and edges that go out have weights of their own."""

    def __init__(self, config: TpuCost.Config) -> None:
        super().__init__()
        D = config.width
        self.dropout = config.dropout
        self.incoming, self.outgoing = Linear(D, D), Linear(D, D)
        self.all = Linear(3 * D, D)

    def forward(self, h_ND: Tensor, edge_2Y: Tensor) -> Tensor:
        source_Y, target_Y = edge_2Y
        parents_ND = _means(functional.relu(self.incoming(h_ND)), source_Y, target_Y)
        children_ND = _means(functional.relu(self.outgoing(h_ND)), target_Y, source_Y)
        h_ND = functional.relu(self.all(torch.cat([h_ND, parents_ND, children_ND], dim=1)))
        return functional.dropout(functional.normalize(h_ND, dim=1), self.dropout, self.training)


def _means(value_ND: Tensor, from_Y: Tensor, to_Y: Tensor) -> Tensor:
    """(N, D) means over the incoming edges of the values at their start; zeros without incoming edges."""
    total_ND = torch.zeros_like(value_ND).index_add(0, to_Y, value_ND[from_Y])
    count_N1 = value_ND.new_zeros(len(value_ND), 1).index_add(0, to_Y, value_ND.new_ones(len(to_Y), 1))
    return total_ND / count_N1.clamp(min=1)
