"""Our own predictor: a transformer with the relation of each operation to every other one, as an ensemble in one pass.

x = W_kind[op] + W_x features
x ← x + Attention(LN x)      scores + b_h(relation of i and j): itself, parent, child, ancestor, descendant, parallel
x ← x + W_2 relu(W_1 LN x + [A^T (W_g LN x)_1 ‖ A (W_g LN x)_2])     one half sums the parents, one the children
ŷ = W_4 relu(W_3 [mean of sinks ‖ mean of all ‖ whole])

The graph step inside of the feed-forward part is NN-Former's (Xu et al., CVPR 2025), without normalisation. Norms have
no weights of their own: a linear layer follows each. All members of the ensemble process the same batch at once.

Letters: E members, B networks, N nodes, D width, H heads, K numbers per head, I inner width, R relations, L layers,
T attributes.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Model, dropout, softmax
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens.batch import Batch

RELATIONS = ("itself", "parent", "child", "ancestor", "descendant", "parallel")


class Relational(Model):
    """Operations and edges of a network to the opinions of E members on T attributes."""

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """kinds: operations of the vocabulary; features, whole: numbers of a token and of a network; members: E;
        targets: T, each with two last layers of its own.

        relations, graph_step: whether attention and the feed-forward part use the edges; without them, the model is an
        ablation
        """

        kinds: Size
        features: int
        whole: int
        width: Size = 96
        heads: Size = 6
        layers: Count = 3
        inner: Size = 192
        members: Size = 1
        targets: Size = 1
        dropout: Rate = 0.1
        relations: bool = True
        graph_step: bool = True

        def __post_init__(self) -> None:
            if self.width % self.heads or self.inner % 2:
                raise ValueError(
                    f"width, heads, inner: found {self.width}, {self.heads}, {self.inner}; "
                    "expected a width that the heads divide and an even inner width"
                )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        E, D = config.members, config.width
        self.kind = Members(E, config.kinds, D, inputs=1)  # a sum of one row, not of as many as kinds
        self.feature = Members(E, config.features, D, bias=False) if config.features else None
        zeros_ERX = torch.zeros(E, len(RELATIONS), config.layers * config.heads)
        self.relation = nn.Parameter(zeros_ERX, requires_grad=config.relations)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.head = Members(E, 2 * D + config.whole, config.targets * D)
        self.out = Members(E, D, config.targets)

    def forward(self, batch: Batch) -> Tensor:
        """(B, T, E) opinions on a Batch."""
        hidden_EBX = dropout(self.hidden(batch), self.config.dropout, self.training)
        return self.out.each(hidden_EBX).permute(1, 2, 0)

    def hidden(self, batch: Batch) -> Tensor:
        """(E, B, X) the input of the last layer for each network: T·D numbers, D for each attribute."""
        E, (B, N) = self.config.members, batch.kind_BN.shape
        kind_BNC = functional.one_hot(batch.kind_BN, self.config.kinds).to(batch.adj_BNN.dtype)
        x_EXD = self.kind(kind_BNC.flatten(0, 1).expand(E, -1, -1))  # X = B·N
        if self.feature is not None:
            x_EXD = x_EXD + self.feature(batch.x_BNF.flatten(0, 1).expand(E, -1, -1))
        relation_BNNR = relations(batch.adj_BNN)
        bias = relation_BNNR.flatten(0, 2) @ self.relation.transpose(0, 1).flatten(1).to(relation_BNNR.dtype)
        bias_LEBHNN = bias.view(B, N, N, E, self.config.layers, -1).permute(4, 3, 0, 5, 1, 2).to(self.precision)
        if not batch.full:
            bias_LEBHNN = bias_LEBHNN.masked_fill(~batch.mask_BN[:, None, None], float("-inf"))
        for layer, bias_EBHNN in zip(self.layers, bias_LEBHNN, strict=True):
            x_EXD = layer(x_EXD, bias_EBHNN, batch.adj_BNN.to(self.precision))
        x_EBND = normalised(x_EXD).view(E, B, N, -1)
        sink_BN = (batch.mask_BN & (batch.adj_BNN.sum(2) == 0)).to(x_EBND.dtype)
        live_BN = batch.mask_BN.to(x_EBND.dtype)
        weight_B2N = torch.stack([sink_BN, live_BN], 1)
        weight_B2N = weight_B2N / weight_B2N.sum(2, keepdim=True)
        read_EBX = (weight_B2N @ x_EBND).flatten(2)
        if self.config.whole:
            read_EBX = torch.cat([read_EBX, batch.whole_BG.expand(E, -1, -1)], 2)
        return functional.relu(self.head(read_EBX))


class Layer(nn.Module):
    """Pre-norm: attention with a bias for each relation, then the feed-forward part with its graph step."""

    def __init__(self, config: Relational.Config) -> None:
        super().__init__()
        E, D, inner = config.members, config.width, config.inner
        self.config = config
        self.query_key_value = Members(E, D, 3 * D, bias=False)
        self.attended = Members(E, D, D)
        self.inner = Members(E, D, 2 * inner)  # W_1 and W_g in one product
        self.outer = Members(E, inner, D)

    def forward(self, x_EXD: Tensor, bias_EBHNN: Tensor, adj_BNN: Tensor) -> Tensor:
        config, p = self.config, self.config.dropout
        E, B, H, N, _ = bias_EBHNN.shape
        qkv = self.query_key_value(normalised(x_EXD).to(adj_BNN.dtype))
        qkv = qkv.view(E, B, N, 3, H, -1).permute(3, 0, 1, 4, 2, 5)
        q_EBHNK, k_EBHNK, v_EBHNK = qkv.unbind(0)
        scores_EBHNN = q_EBHNK @ k_EBHNK.transpose(-1, -2) * (config.width / H) ** -0.5 + bias_EBHNN
        z_EXD = (softmax(scores_EBHNN) @ v_EBHNK).transpose(2, 3).reshape(x_EXD.shape)
        x_EXD = x_EXD + dropout(self.attended(z_EXD), p, self.training)
        own_EXI, gate_EXI = self.inner(normalised(x_EXD).to(adj_BNN.dtype)).chunk(2, -1)
        parents, children = gate_EXI.reshape(E, B, N, -1).chunk(2, -1)
        if config.graph_step:
            parents, children = adj_BNN.transpose(1, 2) @ parents, adj_BNN @ children
        hidden_EXI = functional.relu(own_EXI + torch.cat([parents, children], -1).flatten(1, 2))
        return x_EXD + dropout(self.outer(hidden_EXI), p, self.training)


class Members(nn.Module):
    """One linear layer for each of E members: (E, X, inputs) to (E, X, outputs), a single batched product."""

    def __init__(self, members: int, width: int, outputs: int, bias: bool = True, inputs: int | None = None) -> None:
        super().__init__()
        reach = (inputs or width) ** -0.5  # as nn.Linear
        self.weight = nn.Parameter(torch.empty(members, width, outputs).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-reach, reach)) if bias else None

    def forward(self, x_EXI: Tensor) -> Tensor:
        """(E, X, outputs)."""
        weight = self.weight.to(x_EXI.dtype)
        return x_EXI @ weight if self.bias is None else torch.baddbmm(self.bias.to(x_EXI.dtype), x_EXI, weight)

    def each(self, x_EBX: Tensor) -> Tensor:
        """(E, B, outputs): output t from the t-th of as many parts of the inputs."""
        E, width, outputs = self.weight.shape
        if outputs == 1:
            y_EBT: Tensor = self(x_EBX)
            return y_EBT
        part_EBTD = x_EBX.view(E, -1, outputs, width)
        y_EBT = (part_EBTD * self.weight.transpose(1, 2)[:, None].to(x_EBX.dtype)).sum(-1)
        return y_EBT if self.bias is None else y_EBT + self.bias.to(x_EBX.dtype)


def normalised(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the last axis."""
    return functional.layer_norm(x, x.shape[-1:])


def relations(adj_BNN: Tensor) -> Tensor:
    """(B, N, N, R) one-hot: the relation of j to i, of RELATIONS. adj_BNN counts edges i -> j."""
    edge_BNN = (adj_BNN > 0).to(adj_BNN.dtype)
    itself_NN = torch.eye(adj_BNN.shape[-1], dtype=adj_BNN.dtype, device=adj_BNN.device)
    reach_BNN, steps = edge_BNN, 1
    while steps < adj_BNN.shape[-1] - 1:  # paths of up to twice the length each time
        reach_BNN = (reach_BNN + reach_BNN @ reach_BNN).clamp(max=1)
        steps *= 2
    far_BNN = reach_BNN - edge_BNN
    back_BNN, far_back_BNN = edge_BNN.transpose(1, 2), far_BNN.transpose(1, 2)
    parallel_BNN = 1 - itself_NN - reach_BNN - reach_BNN.transpose(1, 2)
    return torch.stack([itself_NN.expand_as(adj_BNN), back_BNN, edge_BNN, far_back_BNN, far_BNN, parallel_BNN], dim=-1)
