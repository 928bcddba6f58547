"""The latency predictor of BRP-NAS (Dudziak et al., NeurIPS 2020; Eagle): a GCN that reads one global node.

H ← dropout(relu(LayerNorm(A H W + b))),   ŷ = W_o h_global + b_o

A_ij = 1 where i points to j, and where i = j; it is not normalised. The global node points to all nodes of its network
and no node points to it, so that row of A sums over every node; with Aᵀ it would receive nothing. A node receives the
values of the nodes that it points to: information moves against the edges. The global node's features are zeros and a
flag that all others lack.

Letters: B networks, N nodes, Y edges, F features, D width, T targets.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens.packed import Packed


class BrpNas(Model):
    """Nodes and edges of networks to T free targets."""

    reads = frozenset({Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """As released for latency. features: numbers of a node."""

        features: Size
        width: Size = 600
        layers: Count = 4
        dropout: Rate = 0.002
        targets: Size = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D = config.width
        widths = [config.features + 1] + [D] * config.layers
        self.layers = nn.ModuleList([Linear(width, D) for width in widths[:-1]])
        self.norms = nn.ModuleList([nn.LayerNorm(D) for _ in self.layers])
        self.head = Linear(D, config.targets)
        for parameter in self.layers.parameters():  # by the number of outputs, as released; torch uses that of inputs
            nn.init.uniform_(parameter, -(D**-0.5), D**-0.5)

    def forward(self, batch: Packed) -> Tensor:
        """(B, T, 1) predictions."""
        source_Y, target_Y = batch.edge_2Y
        h_ND = functional.pad(batch.x_NF, (0, 1))
        global_BD = functional.pad(h_ND.new_zeros(len(batch), batch.x_NF.shape[1]), (0, 1), value=1.0)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            global_BD = global_BD + batch.sums(h_ND)
            h_ND = h_ND.index_add(0, source_Y, h_ND[target_Y])
            h_XD = functional.relu(norm(layer(torch.cat([h_ND, global_BD]))))  # X = N + B
            h_XD = functional.dropout(h_XD, self.config.dropout, self.training)  # exact: 1/256 is twice the rate
            h_ND, global_BD = h_XD[: len(h_ND)], h_XD[len(h_ND) :]
        y_BT: Tensor = self.head(global_BD)
        return y_BT[:, :, None]
