"""Tokens of one network, and the padded, masked Batch of many networks, the input of neural models.

Letters: B networks, N tokens (padded to the longest), F numbers per token, G numbers per network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Tokens:
    """The numbers of one network.

    x_NF:    float32, the numbers of each token
    kind_N:  int64, index of each token's operation in the tokenizer's vocabulary
    adj_NN:  float32, [i, j] counts the edges i -> j
    whole_G: float32, numbers of the network as a whole (G may be 0)
    """

    x_NF: NDArray[np.float32]
    kind_N: NDArray[np.int64]
    adj_NN: NDArray[np.float32]
    whole_G: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Batch:
    """The numbers of many networks: as Tokens, padded with zeros, with a mask of the real tokens.

    x_BNF float32 · kind_BN int64 · adj_BNN float32 · mask_BN bool · whole_BG float32
    """

    x_BNF: Tensor
    kind_BN: Tensor
    adj_BNN: Tensor
    mask_BN: Tensor
    whole_BG: Tensor

    def __len__(self) -> int:
        return len(self.kind_BN)

    @cached_property
    def full(self) -> bool:
        """Whether no network is padded; a model then does not need the mask."""
        return bool(self.mask_BN.all())

    def take(self, rows: Tensor) -> "Batch":
        """The networks at ``rows``, padded only to the longest of them."""
        longest = int(self.mask_BN[rows].sum(1).max()) if len(rows) else 0
        return Batch(
            self.x_BNF[rows, :longest],
            self.kind_BN[rows, :longest],
            self.adj_BNN[rows, :longest, :longest],
            self.mask_BN[rows, :longest],
            self.whole_BG[rows],
        )

    def padded(self, length: int) -> "Batch":
        """The same networks padded to ``length`` tokens."""
        more = length - self.kind_BN.shape[1]
        if more == 0:
            return self
        return Batch(
            functional.pad(self.x_BNF, (0, 0, 0, more)),
            functional.pad(self.kind_BN, (0, more)),
            functional.pad(self.adj_BNN, (0, more, 0, more)),
            functional.pad(self.mask_BN, (0, more)),
            self.whole_BG,
        )

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))

    def double(self) -> "Batch":
        """The same batch with its real numbers in float64."""
        values = (getattr(self, field.name) for field in fields(self))
        return Batch(*(value.double() if value.is_floating_point() else value for value in values))

    def tokens(self, row: int) -> Tokens:
        """The numbers of one network, without its padding."""
        n = int(self.mask_BN[row].sum())
        return Tokens(
            self.x_BNF[row, :n].numpy(),
            self.kind_BN[row, :n].numpy(),
            self.adj_BNN[row, :n, :n].numpy(),
            self.whole_BG[row].numpy(),
        )


def collate(networks: Sequence[Tokens]) -> Batch:
    """Pad the tokens of many networks to the longest and stack them."""
    longest = max(len(tokens.kind_N) for tokens in networks)
    count, features, whole = len(networks), networks[0].x_NF.shape[1], len(networks[0].whole_G)
    batch = Batch(
        torch.zeros(count, longest, features),
        torch.zeros(count, longest, dtype=torch.int64),
        torch.zeros(count, longest, longest),
        torch.zeros(count, longest, dtype=torch.bool),
        torch.zeros(count, whole),
    )
    for b, tokens in enumerate(networks):
        n = len(tokens.kind_N)
        batch.x_BNF[b, :n] = torch.from_numpy(tokens.x_NF)
        batch.kind_BN[b, :n] = torch.from_numpy(tokens.kind_N)
        batch.adj_BNN[b, :n, :n] = torch.from_numpy(tokens.adj_NN)
        batch.mask_BN[b, :n] = True
        batch.whole_BG[b] = torch.from_numpy(tokens.whole_G)
    return batch
