"""Distance of a network from those that a predictor was trained on, to decide whether to trust its answer.

A network is described by its estimated times on a machine of round numbers: the share of each kind of kernel, the mean
size of its kernels, weighted by their time, and its sums on a logarithmic scale. A kind that is absent from training
counts by the time that it may take: a Softmax at the end is no reason to doubt an answer, attention is.
A network is in the domain if its distance to the nearest training network is at most that of nearly all training
networks.

Letters: B networks, N training networks, K kernels, C kinds, F numbers of a network, M features that are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from narformer.cells import Cells
from narformer.errors import BadPredictor, printable
from narformer.models.kernel_sum import BANDWIDTH, FLOPS, OVERHEAD
from narformer.models.sizes import STRICT, Size
from narformer.network.graph import Architecture
from narformer.tokens.kernels import FEATURES, KINDS, KernelTokenizer
from narformer.tokens.packed import Packed
from narformer.tokens.tokenizer import Names

__all__ = ["CellDomain", "NetworkDomain"]

SUMS = ("flops", "bytes in", "bytes out", "bytes of weights")
MEANS = ("channels in", "channels out", "positions out", "window", "groups", "intensity")
LEAST_SPREAD = 0.05  # least deviation of a feature (a share's root or a logarithm)
MOST = 5000  # maximum number of training networks held
SHARE = 0.95  # share of training networks whose nearest other one counts as near
SLACK = 1.5  # a network this many times as far is still in the domain
CHUNK = 64  # networks described at once


class NetworkDomain(nn.Module):
    """Training networks as points, all in buffers, so that they are saved with the model's weights."""

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Config:
        """names: of the N training networks, for people; features: F."""

        names: Names
        features: Size = len(KINDS) + len(MEANS) + len(SUMS) + 1

    center: Tensor
    scale: Tensor
    point: Tensor
    reach: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        N, F = len(config.names), config.features
        for name, shape in {"center": (F,), "scale": (F,), "point": (N, F), "reach": (1,)}.items():
            self.register_buffer(name, torch.zeros(shape))

    @classmethod
    def fit(cls, architectures: Sequence[Architecture]) -> "NetworkDomain":
        """Of at least two training networks; of more than MOST, an evenly spaced subset is taken."""
        kept = [architectures[row] for row in range(0, len(architectures), -(-len(architectures) // MOST))]
        point_NF = described(KernelTokenizer().batch(kept))
        domain = cls(cls.Config(names=tuple(printable(network.name) for network in kept)))
        spread_F = point_NF.std(axis=0)
        domain.center.copy_(torch.from_numpy(point_NF.mean(axis=0)))
        domain.scale.copy_(torch.from_numpy(1 / np.maximum(spread_F, LEAST_SPREAD)))
        domain.point.copy_((torch.from_numpy(point_NF) - domain.center) * domain.scale)
        apart_NN = torch.cdist(domain.point, domain.point)
        apart_NN.fill_diagonal_(torch.inf)
        domain.reach.copy_(SLACK * apart_NN.amin(1).quantile(SHARE))
        return domain

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these numbers. Raises BadPredictor where distances by them would be meaningless."""
        if self.config.features != NetworkDomain.Config(names=()).features:
            raise BadPredictor("its domain describes networks in another way than this version; train it again")
        if (tensors["scale"] <= 0).any() or (tensors["reach"] < 0).any():
            raise BadPredictor("'domain.scale' or 'domain.reach' is below zero; it is damaged, train it again")
        self.load_state_dict(tensors, assign=True)

    def look_up(
        self, architectures: Sequence[Architecture], vocabulary: tuple[str, ...]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], tuple[str, ...]]:
        """(N,) whether each network is in the domain; its distance from the nearest training network; their names."""
        distances, names = [np.empty(0)], []
        for start in range(0, len(architectures), CHUNK):
            some = [architectures[row] for row in range(start, min(start + CHUNK, len(architectures)))]
            distance_B, nearest = self.nearest(KernelTokenizer().batch(some))
            distances.append(distance_B)
            names += nearest
        distance_N = np.concatenate(distances)
        return distance_N <= 1, distance_N, tuple(names)

    def nearest(self, batch: Packed) -> tuple[NDArray[np.float64], list[str]]:
        """(B,) distance to the nearest training network, 1 at the edge of the domain; and the names of those.

        Networks are batches of the KernelTokenizer.
        """
        point_BF = (torch.from_numpy(described(batch)).float() - self.center) * self.scale
        apart_B, nearest_B = torch.cdist(point_BF, self.point).min(1)
        return (apart_B / self.reach.clamp(min=1e-6)).double().numpy(), [
            self.config.names[n] for n in nearest_B.tolist()
        ]


@plain_dataclass(frozen=True)
class CellDomain:
    """The domain of cells: those that are not larger than the largest cells of training.

    vertices, edges: of the largest cells that trained or validated
    """

    vertices: int
    edges: int

    @classmethod
    def fit(cls, cells: Cells) -> "CellDomain":
        """Of the cells that trained and validated."""
        return cls(int(cells.count_M.max()), int(cells.edges_M.max()))

    def look_up(
        self, architectures: Sequence[Architecture], vocabulary: tuple[str, ...]
    ) -> tuple[NDArray[np.bool_], None, tuple[str, ...]]:
        """(N,) whether each cell is in the domain; distances are unknown."""
        cells = Cells.of(architectures, vocabulary)
        return np.asarray((cells.count_M <= self.vertices) & (cells.edges_M <= self.edges)), None, ()


def described(batch: Packed) -> NDArray[np.float64]:
    """(B, F) roots of shares of time by kind, weighted means, logarithms of sums and of the number of kernels."""
    x_NF = batch.x_NF.double()
    amount_NS = x_NF[:, [FEATURES.index(name) for name in SUMS]].expm1()
    time_N1 = amount_NS[:, :1] / FLOPS + amount_NS[:, 1:].sum(1, keepdim=True) / BANDWIDTH + OVERHEAD
    share_N1 = time_N1 / batch.sums(time_N1)[batch.owner_N]
    is_NC = nn.functional.one_hot(batch.kind_N, len(KINDS)).double()
    parts = [
        batch.sums(share_N1 * is_NC).sqrt(),
        batch.sums(share_N1 * x_NF[:, [FEATURES.index(name) for name in MEANS]]),
        batch.sums(amount_NS).log1p(),
        batch.nodes_B[:, None].double().log1p(),
    ]
    return np.asarray(torch.cat(parts, 1).numpy())
