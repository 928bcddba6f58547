"""Shared by the neural models: layers that compute in the precision of their input, and a cheap dropout.

Weights are stored in float32. A model casts its tokens to the requested precision; then
each layer casts its own weights, norms take their statistics in float32, and residual sums stay in float32.
This moves half the bytes that autocast moves, which returns norms and activations to float32.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from narformer.tokens import Batch


class Model(nn.Module):
    """An architecture: built from its own Config, ``forward(batch) -> (B, T, E)``: T attributes by each of E members.

    reads:     the batches it takes: padded ones of cells, Packed ones of whole networks
    precision: of its computation, if it is lower than float32, the precision of its weights
    strain:    added to the loss by the last forward pass of training
    """

    reads: ClassVar[frozenset[type]] = frozenset({Batch})
    Config: type[Any]
    config: Any
    precision: torch.dtype = torch.float32
    strain: Tensor | float = 0.0

    def forward(self, batch: Any) -> Tensor:
        """(B, T, E) predictions of a Batch, or of a Packed one; E is 1 for a model that is not an ensemble."""
        raise NotImplementedError(type(self).__name__)

    def standardise(self, batch: Any, target_BT: Tensor) -> None:
        """Set the model's initial scales from the training networks and their targets (NaN where not labelled)."""


class Linear(nn.Linear):
    """A Linear that computes in the precision of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.weight.to(x.dtype), bias)


def softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis.

    Over an axis as short as a cell torch works value by value; over the first one it works on whole vectors, which
    takes less than half the time, the copy included.
    """
    return scores.movedim(-1, 0).contiguous().softmax(0).movedim(0, -1)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout with p rounded to 1/256, the kept values scaled by its exact inverse.

    On a CPU drawing the mask costs more than the layer before it; one random byte per value is ten times
    cheaper than torch's one float per value.
    """
    threshold = round(256 * p)
    if not training or threshold == 0:
        return x
    return x * _mask_like(x, threshold) if x.device.type == "cpu" else functional.dropout(x, p)


def relu_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """``dropout(relu(x))``; without gradients x itself is overwritten, so it must be a fresh result.

    On a CPU in training the two share one pass back and keep no mask.
    """
    threshold = round(256 * p)
    if not training or threshold == 0 or x.device.type != "cpu":
        return functional.dropout(functional.relu(x, inplace=not torch.is_grad_enabled()), p, training)
    out: Tensor = _ReluDropout.apply(x, threshold)  # type: ignore[no-untyped-call]
    return out


class _ReluDropout(torch.autograd.Function):
    """Gradients pass both relu and dropout exactly where the output is positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        y = x.clamp_min(0).mul_(_mask_like(x, threshold))
        ctx.save_for_backward(y)
        ctx.scale = 256 / (256 - threshold)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, y, 0).mul_(ctx.scale), None


def _mask_like(x: Tensor, threshold: int) -> Tensor:
    """0 with probability threshold / 256, else the inverse of the share kept, in the shape and precision of x."""
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    bytes_ = words.view(torch.uint8)[: x.numel()].view(x.shape)
    # clamp and subtract give 0 or 1 in the bytes themselves; a comparison to bool is ten times slower here
    keep = bytes_.clamp_(threshold - 1, threshold).sub_(threshold - 1)
    return keep.to(x.dtype).mul_(256 / (256 - threshold))
