"""NAR-Former V2: a transformer whose attention is governed by the adjacency (Yi et al., NeurIPS 2023).

X = σ(W_q H̃ + b_q),   S = (X Xᵀ / √d) ⊙ A,   Z = W_a (Norm(S) H̃) + b_a          graph-aided attention
H̃ = σ(W_d D + b_d) ⊙ H,   D the number of connected layers                      type-aware enhancement
H' = Z + γ ⊙ GFFN(LN Z)                                                          grouped feed-forward

Letters: B networks, N nodes, F features, D width, G groups, S static numbers per network, L blocks, T targets.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model, dropout, relu_dropout
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens.batch import Batch


class NarFormerV2(Model):
    """Tokens and adjacency of a network to T attributes."""

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """Sizes and switches of the released code; the comments name what the printed equations leave out.

        features, whole: numbers per token; static numbers per network (0: none)
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

    def forward(self, batch: Batch) -> Tensor:
        """(B, T) predictions of a Batch."""
        config = self.config
        adj_BNN = batch.adj_BNN
        if config.undirected:
            adj_BNN = adj_BNN + adj_BNN.transpose(1, 2)
        adj_BNN = (adj_BNN > 0).to(batch.x_BNF.dtype)
        degree_BN1 = adj_BNN.sum(2, keepdim=True)
        mask_BN1 = batch.mask_BN[:, :, None]
        count_B1 = mask_BN1.sum(1).clamp(min=1)

        x_BND, pooled_BD = batch.x_BNF, []
        for block in self.blocks:
            x_BND = block(x_BND, adj_BNN, degree_BN1, self.precision)
            pooled_BD.append(_pool(x_BND, mask_BN1, count_B1, config.pooling))
        if config.layer_fusion:
            pooled_BLD = torch.stack(pooled_BD, dim=1)
            weights_BL = torch.sigmoid(self.fusion(pooled_BLD.flatten(1)))
            out_BD = (weights_BL[:, :, None] * pooled_BLD).sum(1)
        else:
            out_BD = pooled_BD[-1]
        if config.whole:
            out_BD = torch.cat([out_BD, self.static(batch.whole_BG)], dim=1)
        y_BT: Tensor = self.head(out_BD)
        return functional.softplus(-y_BT) if config.head == "softplus" else y_BT


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
        self.norm = nn.LayerNorm(D)
        self.inner = GroupedLinear(D, config.expansion * D, config)
        self.outer = GroupedLinear(config.expansion * D, D, config)
        if config.layer_scale is not None:
            self.scale_D = nn.Parameter(torch.full((D,), config.layer_scale))

    def forward(self, x_BNF: Tensor, adj_BNN: Tensor, degree_BN1: Tensor, low: torch.dtype) -> Tensor:
        config, high = self.config, adj_BNN.dtype
        if config.type_aware:
            x_BNF = x_BNF * torch.sigmoid(self.enhance(degree_BN1))
        x_BNF = x_BNF.to(low)
        q_BNF = torch.sigmoid(self.query(x_BNF))
        scores_BNN = (q_BNF @ q_BNF.transpose(1, 2)).to(high) / x_BNF.shape[-1] ** 0.5 * adj_BNN
        scores_BNN = scores_BNN / (scores_BNN.sum(2, keepdim=True) + 1e-6)  # positive: no softmax is needed
        z_BND: Tensor = self.attended(scores_BNN.to(low) @ x_BNF)
        if config.root:
            z_BND = z_BND + self.root(x_BNF)
        z_BND = z_BND.to(high)
        if config.unit_rows:
            z_BND = functional.normalize(z_BND, dim=-1)
        if config.relu:
            z_BND = relu_dropout(z_BND, config.dropout, self.training)
        h_GRI = self.norm(z_BND.to(low)).view(-1, config.groups, config.width // config.groups).transpose(0, 1)
        h_GRO = relu_dropout(self.inner(h_GRI), config.dropout, self.training)
        h_BND = dropout(self.outer(h_GRO), config.dropout, self.training).transpose(0, 1).reshape(z_BND.shape)
        if config.layer_scale is None:
            return z_BND + h_BND
        return torch.addcmul(z_BND, self.scale_D, h_BND.to(high))


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


def _pool(x_BND: Tensor, mask_BN1: Tensor, count_B1: Tensor, pooling: str) -> Tensor:
    """Sum or mean over the real nodes, (B, D)."""
    total_BD = (x_BND * mask_BN1).sum(1)
    return total_BD / count_B1 if pooling == "mean" else total_BD
