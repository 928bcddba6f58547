"""Variations within a family: depth, expansion, and the width and kernel of every convolution.

The recipe is that of nn-Meter (Zhang et al. 2021): widths are the canonical ones times 0.2, 0.3, ... or 1.8, kernels
are 1, 3, 5 or 7. The 1x1 convolutions vary, too, as suggested by the latencies of NNLQP's variants (Liu et al.
2022). Everything is drawn from the raw words of PCG64, which are the same in all versions of numpy, so that a number
is the same network everywhere.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from narformer.spaces.sequence_drawing import SequenceDrawing

T = TypeVar("T")

TENTHS = range(2, 19)  # a width is the canonical one times one of these tenths
KERNELS = (1, 3, 5, 7)


class Chance:
    """Choices that depend on a family's name and a number alone."""

    def __init__(self, family: str, number: int) -> None:
        self._words = np.random.PCG64([number, *family.encode()])

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each with the same probability."""
        return options[int(self._words.random_raw()) % len(options)]

    def shuffled(self, count: int) -> list[int]:
        """The numbers from 0 to count - 1 in random order."""
        return [int(i) for i in np.argsort(self._words.random_raw(count), kind="stable")]


class VariedDrawing(SequenceDrawing):
    """A network of a family under construction; without random choices it is the canonical one.

    Every convolution of a varied network is padded so that stride 1 keeps the size. Widths that an Add ties together
    are drawn once and used twice; a depthwise convolution has the width of its input.
    """

    def __init__(self, chance: Chance | None = None) -> None:
        super().__init__()
        self.chance = chance

    def choose(self, canonical: T, options: Sequence[T]) -> T:
        """One of the options, or the canonical choice."""
        return self.chance.pick(options) if self.chance else canonical

    def width(self, canonical: int) -> int:
        """A number of channels, at least 1; halves are rounded up."""
        tenths = self.choose(10, TENTHS)
        return max(1, (canonical * tenths + 5) // 10)

    def varied(
        self, x: int, width: int, kernel: int, stride: int = 1, *, pad: int | None = None, bias: bool = False
    ) -> int:
        """A convolution of this width; its kernel varies. ``pad`` holds for the canonical network only."""
        side = self.choose(kernel, KERNELS)
        return self.conv(x, width, side, stride, pad=None if self.chance else pad, bias=bias)

    def varied_depthwise(self, x: int, kernel: int, stride: int = 1) -> int:
        """A depthwise convolution; its kernel varies."""
        channels = self.shape(x)[1]
        return self.conv(x, channels, self.choose(kernel, KERNELS), stride, group=channels)

    def activation(self, kind: str, x: int) -> int:
        """``Relu``, ``Relu6``, ``HardSwish``, ``Swish``, ``Gelu`` or ``GeluTanh``, written as exporters of ONNX do."""
        match kind:
            case "Relu6":
                return self.op("Clip", self.shape(x), x, min=0.0, max=6.0)
            case "Swish":
                return self.multiply(x, self.same("Sigmoid", x))
            case "Gelu":
                return self.gelu(x)
            case "GeluTanh":
                return self.gelu(x, "tanh")
            case _:
                return self.same(kind, x)
