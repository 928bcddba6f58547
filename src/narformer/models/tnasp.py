"""TNASP: a transformer encoder with rows of the graph Laplacian as positions (Lu et al., NeurIPS 2021, Sec. 3.1).

h = LN(Dropout(embed(op) + W_L L_row)),  three post-norm encoder layers,  ŷ = W_2 Dropout(W_1 mean_i h_i)

The sizes are those of its public successor (same first author).
Letters: B networks, N nodes, P numbers of a Laplacian row, D width, H heads, K numbers per head, T targets.
"""

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.models.precision import Model, softmax
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.tokens.batch import Batch


class Tnasp(Model):
    """Operations and Laplacian rows of a cell to T attributes."""

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """kinds: operations of the vocabulary; features: P; divisor: vertices of the mean, None for the real ones."""

        kinds: Size
        features: Size
        width: Size = 80
        heads: Size = 4
        key: Size = 64
        layers: Count = 3
        feed_forward: Size = 512
        regressor: Size = 96
        dropout: Rate = 0.1
        positions: bool = True  # False: the ablation without Laplacian positions
        divisor: Size | None = 7  # the released code divides by the padded length
        targets: Size = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        D = config.width
        self.embed = nn.Embedding(config.kinds, D)
        if config.positions:
            self.position = nn.Linear(config.features, D)
        self.norm = nn.LayerNorm(D, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.regressor = nn.Sequential(
            nn.Linear(D, config.regressor, bias=False),
            nn.Dropout(config.dropout),
            nn.Linear(config.regressor, config.targets, bias=False),
        )

    def forward(self, batch: Batch) -> Tensor:
        """(B, T, 1) predictions of a Batch."""
        x_BND = self.embed(batch.kind_BN)
        if self.config.positions:
            x_BND = x_BND + self.position(batch.x_BNF)
        x_BND = self.norm(self.dropout(x_BND))
        mask_B11N = None if batch.full else batch.mask_BN[:, None, None]
        for layer in self.layers:
            x_BND = layer(x_BND, mask_B11N)
        total_BD = (x_BND * batch.mask_BN[:, :, None]).sum(1)
        divisor_B1 = self.config.divisor or batch.mask_BN.sum(1, keepdim=True)
        y_BT: Tensor = self.regressor(total_BD / divisor_B1)
        return y_BT[:, :, None]


class Layer(nn.Module):
    """Post-norm encoder layer: x ← LN(x + MHA x); x ← LN(x + FFN x)."""

    def __init__(self, config: Tnasp.Config) -> None:
        super().__init__()
        D, HK = config.width, config.heads * config.key
        self.config = config
        self.query_key_value = nn.Linear(D, 3 * HK, bias=False)
        self.out = nn.Linear(HK, D, bias=False)
        self.attention_norm = nn.LayerNorm(D, eps=1e-6)
        self.inner = nn.Linear(D, config.feed_forward)
        self.outer = nn.Linear(config.feed_forward, D)
        self.feed_forward_norm = nn.LayerNorm(D, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BND: Tensor, mask_B11N: Tensor | None) -> Tensor:
        heads, key = self.config.heads, self.config.key
        qkv = self.query_key_value(x_BND).unflatten(-1, (3, heads, key)).transpose(1, 3)  # (B, H, 3, N, K)
        q_BHNK, k_BHNK, v_BHNK = qkv.unbind(2)
        scores_BHNN = q_BHNK @ k_BHNK.transpose(-1, -2) / key**0.5
        if mask_B11N is not None:
            scores_BHNN = scores_BHNN.masked_fill(~mask_B11N, float("-inf"))
        weights_BHNN = self.dropout(softmax(scores_BHNN))
        z_BND = (weights_BHNN.to(v_BHNK.dtype) @ v_BHNK).transpose(1, 2).flatten(2)
        x_BND = self.attention_norm(x_BND + self.dropout(self.out(z_BND)))
        y_BND = self.outer(functional.relu(self.inner(x_BND)))
        out: Tensor = self.feed_forward_norm(x_BND + self.dropout(y_BND))
        return out
