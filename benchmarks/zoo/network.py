"""What the zoo knows of a network: its name, its group, and how it is made with random weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Made = tuple[torch.nn.Module, tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    name:     "library/network", unique
    group:    a heading of the page
    make:     returns the module, and example inputs
    quantise: "static" where ONNX Runtime's static quantiser is tried beside the dynamic one
    """

    name: str
    group: str
    make: Callable[[], Made]
    quantise: str = ""


def image(size: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, size, size)


def tokens(*shape: int, below: int = 100) -> torch.Tensor:
    return torch.randint(3, below, shape)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module with a little noise on all weights, as after training: none is zero, and no two tensors are equal.

    Exporters drop biases of zeros and merge equal tensors, which no trained network has.
    """
    with torch.no_grad():
        for tensor in module.parameters():
            if tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor), alpha=0.02)
        for name, tensor in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.add_(torch.rand_like(tensor), alpha=0.02)
    return module


class Call(torch.nn.Module):
    """Calls a module with its inputs by ``keywords``; returns the results named in ``results``, or all tensors."""

    def __init__(
        self, module: torch.nn.Module, keywords: Sequence[str], results: Sequence[str] = (), **fixed: Any
    ) -> None:
        super().__init__()
        self.module, self.keywords, self.results, self.fixed = module, tuple(keywords), tuple(results), fixed

    def forward(self, *inputs: torch.Tensor) -> Any:
        found = self.module(**dict(zip(self.keywords, inputs, strict=True)), **self.fixed)
        if self.results:
            return tuple(found[name] for name in self.results)
        return tuple(tensors(found))


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in nested results."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for entry in value for tensor in tensors(entry)] if isinstance(value, list | tuple) else []
