"""The Packed batch of whole networks: concatenated without padding, so that cost grows with nodes and edges only.

Letters: B networks, N nodes of all of them, Y edges of all of them, F numbers per node, G numbers per network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

LEAST = -20.7  # log 1e-9: used as the logarithm of an empty sum


@dataclass(frozen=True, eq=False)
class Packed:
    """The numbers of B networks.

    x_NF:     float32, the numbers of each node
    kind_N:   int64, kind of each node
    edge_2Y:  int64, source and target of each edge, rows of x_NF; grouped by network, in the order of the networks
    nodes_B:  int64, number of nodes of each network; edges_B: number of edges
    whole_BG: float32, numbers of a network as a whole (G may be 0)
    """

    x_NF: Tensor
    kind_N: Tensor
    edge_2Y: Tensor
    nodes_B: Tensor
    edges_B: Tensor
    whole_BG: Tensor

    def __len__(self) -> int:
        return len(self.nodes_B)

    @cached_property
    def owner_N(self) -> Tensor:
        """(N,) the network of each node, ascending."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.nodes_B.device), self.nodes_B)

    def take(self, rows: Tensor) -> "Packed":
        """The networks at ``rows``, in that order."""
        node_N, shift_B = _ranges(self.nodes_B, rows)
        edge_Y, _ = _ranges(self.edges_B, rows)
        edges_B = self.edges_B[rows]
        return Packed(
            self.x_NF[node_N],
            self.kind_N[node_N],
            self.edge_2Y[:, edge_Y] + torch.repeat_interleave(shift_B, edges_B),
            self.nodes_B[rows],
            edges_B,
            self.whole_BG[rows],
        )

    def sums(self, value_ND: Tensor) -> Tensor:
        """(B, D) sums over the nodes of each network."""
        return value_ND.new_zeros(len(self), value_ND.shape[1]).index_add_(0, self.owner_N, value_ND)

    def log_sums(self, value_NT: Tensor) -> Tensor:
        """(B, T) logarithms of the sums of exp(value) over the nodes of each network; LEAST without nodes."""
        owner_NT = self.owner_N[:, None].expand_as(value_NT)
        top_BT = value_NT.new_full((len(self), value_NT.shape[1]), -torch.inf)
        top_BT = top_BT.scatter_reduce(0, owner_NT, value_NT.detach(), "amax")
        top_BT = top_BT.masked_fill(self.nodes_B[:, None] == 0, LEAST)
        # the largest value gives exp(0), so that only a network without nodes has a sum below 1
        return self.sums((value_NT - top_BT[self.owner_N]).exp()).clamp(min=1).log() + top_BT

    def padded(self) -> tuple[Tensor, Tensor]:
        """(B, N, F) the numbers of each network, padded with zeros to the longest; (B, N) a mask of the real nodes."""
        longest = int(self.nodes_B.max()) if len(self) else 0
        mask_BN = torch.arange(longest, device=self.nodes_B.device) < self.nodes_B[:, None]
        x_BNF = self.x_NF.new_zeros(len(self), longest, self.x_NF.shape[1])
        x_BNF[mask_BN] = self.x_NF
        return x_BNF, mask_BN

    def to(self, device: torch.device | str) -> "Packed":
        """The same batch on another device."""
        return Packed(*(getattr(self, field.name).to(device) for field in fields(self)))

    def double(self) -> "Packed":
        """The same batch with its real numbers in float64."""
        values = (getattr(self, field.name) for field in fields(self))
        return Packed(*(value.double() if value.is_floating_point() else value for value in values))


def packed(parts: Sequence[Packed]) -> Packed:
    """Concatenate batches, at least one."""
    starts = torch.tensor([0, *(len(part.kind_N) for part in parts)]).cumsum(0)
    return Packed(
        torch.cat([part.x_NF for part in parts]),
        torch.cat([part.kind_N for part in parts]),
        torch.cat([part.edge_2Y + start for part, start in zip(parts, starts, strict=False)], dim=1),
        torch.cat([part.nodes_B for part in parts]),
        torch.cat([part.edges_B for part in parts]),
        torch.cat([part.whole_BG for part in parts]),
    )


def _ranges(count_B: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the items (nodes or edges) of the networks at ``rows``, and the shift of each network's first item."""
    begin_B = (count_B.cumsum(0) - count_B)[rows]
    taken_B = count_B[rows]
    shift_B = taken_B.cumsum(0) - taken_B - begin_B
    every = torch.arange(int(taken_B.sum()), device=count_B.device)
    return every - torch.repeat_interleave(shift_B, taken_B), shift_B
