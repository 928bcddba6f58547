"""NAR-Former V2: a transformer whose attention is weighted by the adjacency (Yi et al., NeurIPS 2023).

X = σ(W_q H̃ + b_q),   S = (X Xᵀ / √d) ⊙ A,   Z = W_a (Norm(S) H̃) + b_a          graph-aided attention
H̃ = σ(W_d D + b_d) ⊙ H,   D the number of connected layers                      type-aware enhancement
H' = Z + γ ⊙ GFFN(LN Z)                                                          grouped feed-forward

It reads a padded Batch, by dense products, or a Packed one, edge by edge: then cost grows with edges.

Letters: B networks, N nodes, F features, D width, G groups, S static numbers per network, L blocks, T targets, Y edges.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model, dropout, relu_dropout
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens import Batch, Packed

EPSILON = 1e-6  # of a node without neighbours


class NarFormerV2(Model):
    """Tokens and adjacency of a network to T attributes."""

    reads = frozenset({Batch, Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """Sizes and switches of the released code; the comments name the parts that the printed equations omit.

        features, whole: numbers per token; static numbers per network (0 without)
        pooling, layer_fusion: ``sum`` of the last block (whole networks), or ``mean`` after every block,
            fused with learned weights (cells)
        head: ``softplus`` for positive targets (as released, for accuracies too), ``linear`` for free targets
        """

        features: Size = 128
        whole: Annotated[int, Field(ge=0, le=2**16)] = 0
        width: Annotated[Size, Field(ge=4)] = 512  # the fusion of layers divides it by 4
        blocks: Count = 6
        expansion: Size = 4
        groups: Size = 8
        dropout: Rate = 0.05
        pooling: Literal["sum", "mean"] = "mean"
        layer_fusion: bool = True
        head: Literal["softplus", "linear"] = "softplus"
        targets: Size = 1
        feed_forward: bool = True  # Table 5, row 5
        type_aware: bool = True  # Table 5, row 6
        undirected: bool = True  # code: A + Aᵀ without self loops feeds attention and degree
        root: bool = True  # code only: + W_r H̃, the root branch of a GraphSAGE layer
        unit_rows: bool = True  # code only: rows of Z to length 1
        relu: bool = True  # code only: ReLU and dropout after the attention
        group_norm: bool = True  # code only: LayerNorm over each group's channels after each grouped Linear
        layer_scale: float | None = 1e-4  # code only: γ; None is 1, as printed

        def __post_init__(self) -> None:
            if self.width % self.groups:
                raise ValueError(f"groups: found {self.groups}; expected a divisor of width = {self.width}")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D = config.width
        widths = [config.features] + [D] * config.blocks
        self.blocks = nn.ModuleList([Block(config, width) for width in widths[:-1]])
        if config.layer_fusion:
            L = config.blocks
            self.fusion = nn.Sequential(Linear(L * D, L * D // 4), nn.ReLU(), Linear(L * D // 4, L))
        if config.whole:
            self.static = nn.Sequential(Linear(config.whole, D), nn.Dropout(config.dropout), nn.ReLU())
        self.head = nn.Sequential(
            Linear(2 * D if config.whole else D, D),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            Linear(D, D),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            Linear(D, config.targets),
        )
        outside = [module for name, module in self.named_modules() if not name.startswith("blocks.")]
        for linear in (module for module in outside if isinstance(module, Linear)):
            bound = len(linear.bias) ** -0.5
            nn.init.uniform_(linear.bias, -bound, bound)

    def forward(self, batch: Batch | Packed) -> Tensor:
        """(B, T, 1) predictions of a Batch or of a Packed one."""
        config = self.config
        graph = Sparse(batch, config.undirected) if isinstance(batch, Packed) else Dense(batch, config.undirected)
        x_XD, pooled_BD = graph.x, []
        for block in self.blocks:
            x_XD = block(x_XD, graph, self.precision)
            pooled_BD.append(graph.pooled(x_XD, config.pooling))
        if config.layer_fusion:
            pooled_BLD = torch.stack(pooled_BD, dim=1)
            weights_BL = torch.sigmoid(self.fusion(pooled_BLD.flatten(1)))
            out_BD = (weights_BL[:, :, None] * pooled_BLD).sum(1)
        else:
            out_BD = pooled_BD[-1]
        if config.whole:
            out_BD = torch.cat([out_BD, self.static(batch.whole_BG)], dim=1)
        y_BT: Tensor = self.head(out_BD)
        return (functional.softplus(-y_BT) if config.head == "softplus" else y_BT)[:, :, None]


class Dense:
    """The graphs of a Batch: nodes (B, N, ·), attention as a product of matrices."""

    def __init__(self, batch: Batch, undirected: bool) -> None:
        adj_BNN = batch.adj_BNN + batch.adj_BNN.transpose(1, 2) if undirected else batch.adj_BNN
        self.x = batch.x_BNF
        self.adj_BNN = (adj_BNN > 0).to(self.x.dtype)
        self.degree = self.adj_BNN.sum(2, keepdim=True)
        self.mask_BN1 = batch.mask_BN[:, :, None]

    def attended(self, q_BNF: Tensor, x_BNF: Tensor) -> Tensor:
        """Input of each node from its neighbours, by the similarity of their queries."""
        high, low = self.adj_BNN.dtype, x_BNF.dtype
        scores_BNN: Tensor = (q_BNF @ q_BNF.transpose(1, 2)).to(high) / x_BNF.shape[-1] ** 0.5 * self.adj_BNN
        scores_BNN = scores_BNN / (scores_BNN.sum(2, keepdim=True) + EPSILON)  # positive: no softmax is needed
        return scores_BNN.to(low) @ x_BNF

    def pooled(self, x_BND: Tensor, pooling: str) -> Tensor:
        """Sum or mean over the real nodes, (B, D)."""
        total_BD = (x_BND * self.mask_BN1).sum(1)
        return total_BD / self.mask_BN1.sum(1).clamp(min=1) if pooling == "mean" else total_BD


class Sparse:
    """The graphs of a Packed batch: nodes (N, ·) one after the other, attention along Y edges."""

    def __init__(self, batch: Packed, undirected: bool) -> None:
        from_Y, to_Y = batch.edge_2Y
        if undirected:
            from_Y, to_Y = torch.cat([from_Y, to_Y]), torch.cat([to_Y, from_Y])
        self.batch, self.x, self.from_Y, self.to_Y = batch, batch.x_NF, from_Y, to_Y
        self.degree = self._sums(self.x.new_ones(len(from_Y), 1))

    def attended(self, q_NF: Tensor, x_NF: Tensor) -> Tensor:
        """As that of Dense."""
        # index_select, not indexing: the backward pass of indexing is much slower
        both_YF = q_NF.index_select(0, self.from_Y) * q_NF.index_select(0, self.to_Y)
        scores_Y1 = both_YF.sum(1, keepdim=True, dtype=self.x.dtype) / x_NF.shape[-1] ** 0.5
        scores_Y1 = scores_Y1 / (self._sums(scores_Y1) + EPSILON).index_select(0, self.from_Y)
        return self._sums(scores_Y1.to(x_NF.dtype) * x_NF.index_select(0, self.to_Y))

    def pooled(self, x_ND: Tensor, pooling: str) -> Tensor:
        """As that of Dense."""
        total_BD = self.batch.sums(x_ND)
        return total_BD / self.batch.nodes_B[:, None].clamp(min=1) if pooling == "mean" else total_BD

    def _sums(self, value_YD: Tensor) -> Tensor:
        """(N, D) sums over the edges from each node."""
        return value_YD.new_zeros(len(self.x), value_YD.shape[1]).index_add(0, self.from_Y, value_YD)


class Block(nn.Module):
    """Type-aware enhancement, graph-aided attention, grouped feed-forward."""

    def __init__(self, config: NarFormerV2.Config, features: int) -> None:
        super().__init__()
        F, D = features, config.width
        self.config = config
        if config.type_aware:
            self.enhance = Linear(1, F)
        self.query = Linear(F, F)
        self.attended = Linear(F, D)
        if config.root:
            self.root = Linear(F, D, bias=False)
        if not config.feed_forward:
            return
        self.norm = nn.LayerNorm(D)
        self.inner = GroupedLinear(D, config.expansion * D, config)
        self.outer = GroupedLinear(config.expansion * D, D, config)
        if config.layer_scale is not None:
            self.scale_D = nn.Parameter(torch.full((D,), config.layer_scale))

    def forward(self, x_XF: Tensor, graph: Dense | Sparse, low: torch.dtype) -> Tensor:
        config, high = self.config, graph.x.dtype
        if config.type_aware:
            x_XF = x_XF * torch.sigmoid(self.enhance(graph.degree))
        x_XF = x_XF.to(low)
        z_XD: Tensor = self.attended(graph.attended(torch.sigmoid(self.query(x_XF)), x_XF))
        if config.root:
            z_XD = z_XD + self.root(x_XF)
        z_XD = z_XD.to(high)
        if config.unit_rows:
            z_XD = functional.normalize(z_XD, dim=-1)
        if config.relu:
            z_XD = relu_dropout(z_XD, config.dropout, self.training)
        if not config.feed_forward:
            return z_XD
        h_GRI = self.norm(z_XD.to(low)).view(-1, config.groups, config.width // config.groups).transpose(0, 1)
        h_GRO = relu_dropout(self.inner(h_GRI), config.dropout, self.training)
        h_XD = dropout(self.outer(h_GRO), config.dropout, self.training).transpose(0, 1).reshape(z_XD.shape)
        if config.layer_scale is None:
            return z_XD + h_XD
        return torch.addcmul(z_XD, self.scale_D, h_XD.to(high))


class GroupedLinear(nn.Module):
    """G independent Linears over G slices of the channels; with ``group_norm`` one LayerNorm shared by all groups.

    Input and output are (G, R, I) and (G, R, O) for R rows: the wide activations are never transposed.
    """

    def __init__(self, inputs: int, outputs: int, config: NarFormerV2.Config) -> None:
        super().__init__()
        G = config.groups
        self.weight_GIO = nn.Parameter(torch.empty(G, inputs // G, outputs // G))
        self.bias_G1O = nn.Parameter(torch.zeros(G, 1, outputs // G))
        nn.init.xavier_uniform_(self.weight_GIO)  # of the whole array, as released: its fans count all groups
        self.norm = nn.LayerNorm(outputs // G) if config.group_norm else None

    def forward(self, x_GRI: Tensor) -> Tensor:
        weight_GIO, bias_G1O = self.weight_GIO.to(x_GRI.dtype), self.bias_G1O.to(x_GRI.dtype)
        y_GRO = torch.bmm(x_GRI, weight_GIO).add_(bias_G1O)
        return y_GRO if self.norm is None else self.norm(y_GRO)
