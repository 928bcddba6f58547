"""Our own predictor of latency: a time for each kernel by a roofline, corrected by its surroundings, then summed.

ℓ_k = log(flops_k / P + bytes_k / W_k + o) + c tanh(f(h_k) / c)    P, W, o learned for all and for each kind of kernel
log W_k = log W + g sigmoid((s - log bytes_k) / w)                 data that fit a cache of exp(s) bytes move faster
h ← h + W_2 relu(W_1 [LN h ‖ mean of parents ‖ mean of children])
log ŷ = log Σ_k exp ℓ_k

Every kernel's share is positive and the shares add up to the whole, so that the answer can be shown layer by layer and
grows with networks beyond those of training. The roofline is that of Williams et al. (CACM 2009) with a sum in place of
the maximum; nn-Meter (Zhang et al., MobiSys 2021) sums kernels that were measured one by one; here they are learned
from whole networks. Two levels of memory are those of the cache-aware roofline (Ilic et al., IEEE CAL 2014). The loss
grows with the square of the corrections: kernels that take almost no time in the training networks, so that there is
nothing to learn about them, are left to the roofline. All members of the ensemble process the same batch at once.

Letters: T attributes, E members, X = T times E, B networks, K kernels of all of them, Y edges, D width, F features.
"""

from math import log

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional

from narformer.errors import BadRecipe
from narformer.models.precision import Model, dropout
from narformer.models.relational import Members, normalised
from narformer.models.sizes import STRICT, Count, Rate, Size
from narformer.models.standardised import Standardised
from narformer.tokens.kernels import FEATURES
from narformer.tokens.packed import Packed

BYTES = ("bytes in", "bytes out", "bytes of weights")
FARTHEST = 3.0  # c: a kernel takes at most exp(3) times the roofline's time, and at least exp(-3) times
# Initial values: operations and bytes per millisecond, and the milliseconds of an empty kernel; bytes of a cache, its
# speed-up, and the width of the transition around its size.
FLOPS, BANDWIDTH, OVERHEAD = 1e8, 1e7, 2e-3
CACHE, FASTER, EDGE = 1e6, 6.0, 0.7


class KernelSum(Model):
    """Kernels of networks to the opinions of E members on the logarithms of T additive attributes, such as latency.

    Each attribute has its own rates; the surroundings of a kernel are encoded once for all attributes.
    """

    reads = frozenset({Packed})

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """kinds, features: of kernels, as KernelTokenizer gives them; members: E; targets: T; restraint: weight of
        the corrections' mean square in the loss."""

        kinds: Size
        features: Size
        width: Size = 64
        layers: Count = 2
        members: Size = 1
        targets: Size = 1
        dropout: Rate = 0.0
        restraint: Rate = 0.05

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.features != len(FEATURES):
            raise BadRecipe("[model] kernel-sum reads kernels; expected the tokenizer 'kernels'")
        self.config = config
        E, T, D = config.members, config.targets, config.width
        self.standardised = Standardised(config.features)
        self.rates = nn.Parameter(torch.tensor([-log(FLOPS), -log(BANDWIDTH), log(OVERHEAD)]).repeat(T * E, 1))
        self.apart = nn.Parameter(torch.zeros(T * E, 3, config.kinds))
        self.cache = nn.Parameter(torch.tensor([log(CACHE), log(FASTER)]).repeat(T * E, 1))
        self.kind = nn.Parameter(0.3 * torch.randn(E, config.kinds, D))
        self.feature = Members(E, config.features, D)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.inner = Members(E, D, D)
        self.out = Members(E, D, T)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def standardise(self, batch: Packed, target_BT: Tensor) -> None:
        """Take mean and spread of the features from the training networks, and the unit of labels from the targets.

        If the roofline is farther off than corrections reach, labels are not milliseconds: it is scaled to them.
        """
        self.standardised.fit(batch)
        with torch.no_grad():
            off_T = (target_BT - self.summed(batch, self.roofline(batch)).mean(2)).nanmean(0)
            off_T = torch.where(off_T.abs() > FARTHEST, off_T, 0)
            self.rates.add_(off_T.repeat_interleave(self.config.members)[:, None])

    def forward(self, batch: Packed) -> Tensor:
        """(B, T, E) opinions on a Packed batch."""
        return self.summed(batch, self.kernels(batch))

    def summed(self, batch: Packed, kernel_XK: Tensor) -> Tensor:
        """(B, T, E) logarithms of the sums over the kernels of each network."""
        return batch.log_sums(kernel_XK.T).view(len(batch), self.config.targets, self.config.members)

    def kernels(self, batch: Packed) -> Tensor:
        """(X, K) logarithm of each kernel's time."""
        correction_XK = self.correction(batch)
        self.strain = self.config.restraint * correction_XK.square().mean() if self.training else 0.0
        return self.roofline(batch) + correction_XK

    def correction(self, batch: Packed) -> Tensor:
        """(X, K) corrections of the logarithm of a kernel's time by its surroundings."""
        config, kind_K = self.config, batch.kind_N
        x_KF = self.standardised(batch.x_NF)
        h_EKD = self.feature(x_KF.expand(config.members, -1, -1)) + self.kind.index_select(1, kind_K)
        graph = Neighbours(batch)
        for layer in self.layers:
            h_EKD = layer(h_EKD, graph, self.precision)
        hidden_EKD = functional.relu(self.inner(normalised(h_EKD).to(self.precision)))
        correction_EKT = self.out(hidden_EKD).to(h_EKD.dtype)
        return FARTHEST * torch.tanh(correction_EKT.permute(2, 0, 1).flatten(0, 1) / FARTHEST)

    def roofline(self, batch: Packed) -> Tensor:
        """(X, K) logarithm of the time that a kernel's operations, bytes and start take."""
        column = {name: batch.x_NF[:, FEATURES.index(name)] for name in ("flops", *BYTES)}
        moved_K = torch.stack([column[name] for name in BYTES]).logsumexp(0)
        size_X1, faster_X1 = self.cache.T[:, :, None]
        rate_X3K = self.rates[:, :, None] + self.apart.index_select(2, batch.kind_N)
        moved_XK = moved_K - faster_X1 * torch.sigmoid((size_X1 - moved_K) / EDGE)
        zero_XK = torch.zeros_like(moved_XK)
        return (torch.stack([column["flops"] + zero_XK, moved_XK, zero_XK], 1) + rate_X3K).logsumexp(1)


class Layer(nn.Module):
    """Adds information from the kernels before and after to the state of each kernel."""

    def __init__(self, config: KernelSum.Config) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.inner = Members(config.members, 3 * config.width, 2 * config.width)
        self.outer = Members(config.members, 2 * config.width, config.width)

    def forward(self, h_EKD: Tensor, graph: "Neighbours", low: torch.dtype) -> Tensor:
        own_EKD = normalised(h_EKD).to(low)
        all_EKX = torch.cat([own_EKD, *graph.means(own_EKD)], -1)
        return h_EKD + dropout(self.outer(functional.relu(self.inner(all_EKX))), self.dropout, self.training)


class Neighbours:
    """The parents and children of each kernel."""

    def __init__(self, batch: Packed) -> None:
        self.source_Y, self.target_Y = batch.edge_2Y
        count, one_Y = len(batch.kind_N), batch.x_NF.new_ones(len(self.source_Y))
        self.parents_K1, self.children_K1 = (
            one_Y.new_zeros(count).index_add_(0, end_Y, one_Y).clamp(min=1)[:, None]
            for end_Y in (self.target_Y, self.source_Y)
        )

    def means(self, h_EKD: Tensor) -> tuple[Tensor, Tensor]:
        """(E, K, D) means over the parents, and over the children; zeros where there are no neighbours."""
        zero, low = torch.zeros_like(h_EKD), h_EKD.dtype
        parents = zero.index_add(1, self.target_Y, h_EKD.index_select(1, self.source_Y)) / self.parents_K1.to(low)
        children = zero.index_add(1, self.source_Y, h_EKD.index_select(1, self.target_Y)) / self.children_K1.to(low)
        return parents, children
