"""NAR-Former: a multi-stage fusion transformer over the tokens of a network (Yi et al., CVPR 2023, Sec. 3.3).

H   = six pre-norm transformer blocks over [nodes, end, depth]
E_1 = aggregate(Q_1, H)                       Q_s learned queries: 4, 2, 1
E_s = aggregate(Q_s, fuse(E_{s-1}, H))        s = 2, 3
ŷ   = head(LN(E_3))

Whole networks have further numbers, their static features, beside LN(E_3).
Letters: B networks, N tokens, Q queries, D width, H heads, K numbers per head, G numbers per network, T targets.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Linear, Model, dropout, relu_dropout, softmax
from narformer.models.sizes import STRICT, Counts, Rate, Size
from narformer.tokens import Batch, Packed

PAIRS = 2**20  # of padded tokens in one attention; larger batches are split


class NarFormer(Model):
    """Tokens of a network to T attributes."""

    reads = frozenset({Batch, Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """Sizes of the paper (Sec. 4.1).

        features: numbers per token, the width D
        whole:    numbers of the depth code, D of them; those beyond D are static features
        depths:  transformer blocks of each stage; stage s > 0 begins with its aggregation block
        queries: learned query tokens of the three aggregation blocks (N_1, N_2, N_3)
        head:    ``sigmoid`` for accuracies in [0, 1], ``mlp`` for latencies, ``linear`` for free targets
        """

        features: Size = 192
        whole: Size = 192
        heads: Size = 6
        depths: Counts = (6, 1, 1, 1)
        queries: Counts = (4, 2, 1)
        expansion: Size = 4
        dropout: Rate = 0.1
        head: Literal["sigmoid", "mlp", "linear"] = "sigmoid"
        targets: Size = 1

        def __post_init__(self) -> None:
            if self.features % self.heads:
                raise ValueError(f"heads: found {self.heads}; expected a divisor of the width {self.features}")
            if len(self.depths) != len(self.queries) + 1:
                raise ValueError(
                    f"depths: found {len(self.depths)} numbers; expected {len(self.queries) + 1}, one more than queries"
                )
            if self.head == "mlp" and self.features < 8:
                raise ValueError(f"head: found 'mlp' for the width {self.features}; expected a width of 8 or more")

        @property
        def depth(self) -> int:
            """Numbers of the depth code."""
            return min(self.whole, self.features)

        @property
        def joined(self) -> int:
            """Numbers that the head reads."""
            return self.features + self.whole - self.depth

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D = config.features
        self.depth_token = Linear(config.depth, D)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.depths[0])])
        self.aggregations = nn.ModuleList([Aggregation(config, count) for count in config.queries])
        self.stages = nn.ModuleList([Stage(config, depth - 1) for depth in config.depths[1:]])
        self.fusions = nn.ModuleList([Fusion(config) for _ in config.queries[1:]])
        self.norm = nn.LayerNorm(D)
        self.head = make_head(config)

    def forward(self, batch: Batch | Packed) -> Tensor:
        """(B, T, 1) predictions of a Batch or of a Packed one."""
        if isinstance(batch, Batch):
            return self._answers(batch.x_BNF, None if batch.full else batch.mask_BN, batch.whole_BG)
        count = len(batch)
        if count > 1 and count * int(batch.nodes_B.max()) ** 2 > PAIRS:
            halves = torch.arange(count, device=batch.nodes_B.device).tensor_split(2)
            return torch.cat([self(batch.take(rows)) for rows in halves])
        x_BND, mask_BN = batch.padded()
        return self._answers(x_BND, None if mask_BN.all() else mask_BN, batch.whole_BG)

    def _answers(self, x_BND: Tensor, mask_BN: Tensor | None, whole_BG: Tensor) -> Tensor:
        depth = self.config.depth
        depth_B1D = functional.relu(self.depth_token(whole_BG[:, :depth]))[:, None]
        x_BND = torch.cat([depth_B1D, x_BND], dim=1)
        low = self.precision
        mask_B11N = None if mask_BN is None else functional.pad(mask_BN, (1, 0), value=True)[:, None, None]
        for block in self.blocks:
            x_BND = block(x_BND, mask_B11N, low)
        e_BQD = self.stages[0](self.aggregations[0](x_BND, mask_B11N, low), low)
        for stage, aggregation, fusion in zip(self.stages[1:], self.aggregations[1:], self.fusions, strict=True):
            e_BQD = stage(aggregation(fusion(e_BQD, x_BND, mask_B11N, low), None, low), low)
        y_BT: Tensor = self.head(torch.cat([self.norm(e_BQD[:, 0]), whole_BG[:, depth:]], dim=1))
        return (torch.sigmoid(y_BT) if self.config.head == "sigmoid" else y_BT)[:, :, None]


class Block(nn.Module):
    """x ← x + MHA(LN x); x ← x + FFN(LN x)."""

    def __init__(self, config: NarFormer.Config) -> None:
        super().__init__()
        D = config.features
        self.config = config
        self.norm = nn.LayerNorm(D)
        self.query_key_value = Linear(D, 3 * D)
        self.out = Linear(D, D)
        self.feed_forward = FeedForward(config)

    def forward(self, x_BND: Tensor, mask_B11N: Tensor | None, low: torch.dtype) -> Tensor:
        q_BND, k_BND, v_BND = self.query_key_value(self.norm(x_BND.to(low))).chunk(3, dim=-1)
        z_BND = attend(q_BND, k_BND, v_BND, mask_B11N, self.config, self.training)
        x_BND = x_BND + self.out(z_BND)
        out: Tensor = x_BND + self.feed_forward(x_BND, low)
        return out


class Stage(nn.Module):
    """Optional standard blocks behind an aggregation; absent at the paper's depths."""

    def __init__(self, config: NarFormer.Config, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(config) for _ in range(depth)])

    def forward(self, e_BQD: Tensor, low: torch.dtype) -> Tensor:
        for block in self.blocks:
            e_BQD = block(e_BQD, None, low)
        return e_BQD


class Aggregation(nn.Module):
    """Learned queries, used raw, gather all tokens: MHA'(Q_s, LN x, LN x) without residual, then x + FFN(LN x)."""

    def __init__(self, config: NarFormer.Config, queries: int) -> None:
        super().__init__()
        D = config.features
        self.config = config
        self.query_1QD = nn.Parameter(torch.randn(1, queries, D))
        self.norm = nn.LayerNorm(D)
        self.key_value = Linear(D, 2 * D)
        self.out = Linear(D, D)
        self.feed_forward = FeedForward(config)

    def forward(self, x_BND: Tensor, mask_B11N: Tensor | None, low: torch.dtype) -> Tensor:
        k_BND, v_BND = self.key_value(self.norm(x_BND.to(low))).chunk(2, dim=-1)
        q_BQD = self.query_1QD.to(k_BND.dtype).expand(len(x_BND), -1, -1)
        z_BQD = attend(q_BQD, k_BND, v_BND, mask_B11N, self.config, self.training)
        z_BQD = self.out(z_BQD).to(x_BND.dtype)
        out: Tensor = z_BQD + self.feed_forward(z_BQD, low)
        return out


class Fusion(nn.Module):
    """The aggregated tokens attend to H again: MHA(LN e, LN H, LN H) without residual, then x + FFN(LN x)."""

    def __init__(self, config: NarFormer.Config) -> None:
        super().__init__()
        D = config.features
        self.config = config
        self.query_norm, self.key_value_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.query = Linear(D, D)
        self.key_value = Linear(D, 2 * D)
        self.out = Linear(D, D)
        self.feed_forward = FeedForward(config)

    def forward(self, e_BQD: Tensor, x_BND: Tensor, mask_B11N: Tensor | None, low: torch.dtype) -> Tensor:
        q_BQD = self.query(self.query_norm(e_BQD.to(low)))
        k_BND, v_BND = self.key_value(self.key_value_norm(x_BND.to(low))).chunk(2, dim=-1)
        z_BQD = attend(q_BQD, k_BND, v_BND, mask_B11N, self.config, self.training)
        z_BQD = self.out(z_BQD).to(x_BND.dtype)
        out: Tensor = z_BQD + self.feed_forward(z_BQD, low)
        return out


class FeedForward(nn.Module):
    """Linear, ReLU, Dropout, Linear over the normalised tokens."""

    def __init__(self, config: NarFormer.Config) -> None:
        super().__init__()
        D = config.features
        self.rate = config.dropout
        self.norm = nn.LayerNorm(D)
        self.inner = Linear(D, config.expansion * D)
        self.outer = Linear(config.expansion * D, D)

    def forward(self, x_BND: Tensor, low: torch.dtype) -> Tensor:
        out: Tensor = self.outer(relu_dropout(self.inner(self.norm(x_BND.to(low))), self.rate, self.training))
        return out


def attend(
    q_BQD: Tensor, k_BND: Tensor, v_BND: Tensor, mask_B11N: Tensor | None, config: NarFormer.Config, training: bool
) -> Tensor:
    """softmax(q kᵀ / √K) v per head, with dropout on the attention weights; (B, Q, D)."""
    H, K = config.heads, config.features // config.heads
    q_BHQK, k_BHNK, v_BHNK = (x.view(*x.shape[:2], H, K).transpose(1, 2) for x in (q_BQD, k_BND, v_BND))
    scores_BHQN = q_BHQK @ k_BHNK.transpose(-1, -2) / q_BHQK.shape[-1] ** 0.5
    if mask_B11N is not None:
        scores_BHQN = scores_BHQN.masked_fill(~mask_B11N, float("-inf"))
    weights_BHQN = dropout(softmax(scores_BHQN), config.dropout, training)
    out_BQD: Tensor = (weights_BHQN @ v_BHNK).transpose(1, 2).flatten(2)
    return out_BQD


def make_head(config: NarFormer.Config) -> nn.Module:
    """One Linear for accuracies; for latencies an MLP before it, of W, W/2, W/4, W/8, W numbers that it reads."""
    W = config.joined
    if config.head != "mlp":
        return Linear(W, config.targets)
    widths = [W, W, W // 2, W // 4, W // 8]
    hidden = [
        layer
        for wide, narrow in pairwise(widths)
        for layer in (Linear(wide, narrow), nn.ReLU(), nn.Dropout(config.dropout))
    ]
    return nn.Sequential(*hidden, Linear(widths[-1], config.targets))
