"""Loss functions: predictions (B,) and targets (B,) in, a scalar out; or (B, E) of E members, and targets (B, 1).

Letters: B networks, E members of an ensemble.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def mse(y_B: Tensor, target_B: Tensor) -> Tensor:
    """Mean (ŷ - y)² (NAR-Former Eq. 12)."""
    return (y_B - target_B).square().mean()


def absolute(y_B: Tensor, target_B: Tensor) -> Tensor:
    """Mean |ŷ - y|; between logarithms nearly the mean relative error."""
    return (y_B - target_B).abs().mean()


def relative_mse(y_B: Tensor, target_B: Tensor) -> Tensor:
    """Mean (ŷ/y - 1)² (NAR-Former V2, as released, for accuracies too)."""
    return (y_B / target_B - 1).square().mean()


def sequence_ranking(y_B: Tensor, target_B: Tensor, order_B: Tensor) -> Tensor:
    """Mean |(ŷ_i - ŷ_I(i)) - (y_i - y_I(i))| for a random permutation I (NAR-Former Eq. 13; absolute as released)."""
    return ((y_B - y_B[order_B]) - (target_B - target_B[order_B])).abs().mean()


def architecture_consistency(y_B: Tensor, twin_B: Tensor) -> Tensor:
    """Mean |ŷ - ŷ'| between networks and their reordered twins (NAR-Former Eq. 11)."""
    return (y_B - twin_B).abs().mean()


def pairwise_logistic(y_B: Tensor, target_B: Tensor) -> Tensor:
    """Mean log(1 + exp(-(ŷ_i - ŷ_j))) over all pairs with y_i > y_j."""
    better_BB = target_B[:, None] > target_B[None, :]
    loss_BB = functional.softplus(y_B[None, :] - y_B[:, None])
    return ((loss_BB * better_BB).sum((0, 1)) / better_BB.sum((0, 1)).clamp(min=1)).mean()


def pairwise_gap(y_B: Tensor, target_B: Tensor) -> Tensor:
    """Mean min(y_i - y_j, 1) log(1 + exp(-2 (ŷ_i - ŷ_j))) over all pairs with y_i > y_j: near ties count less."""
    gap_BB = (target_B[:, None] - target_B[None, :]).clamp(0, 1)
    loss_BB = functional.softplus(2 * (y_B[None, :] - y_B[:, None]))
    return ((loss_BB * gap_BB).sum((0, 1)) / (gap_BB > 0).sum((0, 1)).clamp(min=1)).mean()


PAIRWISE = {"equal": pairwise_logistic, "gap": pairwise_gap}
REGRESSION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "absolute": absolute,
    "relative": relative_mse,
    "none": lambda y_B, target_B: torch.zeros(()),
}
