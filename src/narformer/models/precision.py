"""What the neural models share: layers that compute in the precision of their input, and a cheap dropout.

Weights are stored in float32. A model casts its tokens to the precision it is asked to compute in; from there
each layer casts its own weights, norms take their statistics in float32, and residual sums stay in float32.
This moves half the bytes that autocast moves, which returns norms and activations to float32.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """A Linear that computes in the precision of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return functional.linear(x, self.weight.to(x.dtype), bias)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout with p rounded to 1/256, the kept values scaled by its exact inverse.

    On a CPU drawing the mask costs more than the layer before it; one random byte per value is ten times
    cheaper than torch's one float per value.
    """
    threshold = round(256 * p)
    if not training or threshold == 0:
        return x
    if x.device.type != "cpu":
        return functional.dropout(x, p)
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    bytes_ = words.view(torch.uint8)[: x.numel()].view(x.shape)
    # clamp and subtract give 0 or 1 in the bytes themselves; a comparison to bool is ten times slower here
    keep = bytes_.clamp_(threshold - 1, threshold).sub_(threshold - 1)
    return x * keep.to(x.dtype).mul_(256 / (256 - threshold))
