"""MobileNetV3 (Howard et al. 2019), small and large."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.variation import VariedDrawing

EPSILON = 0.001
# Kernel, expanded width (0: not expanded), width, gated, activation, stride.
SMALL = (
    (3, 0, 16, True, "Relu", 2),
    (3, 72, 24, False, "Relu", 2),
    (3, 88, 24, False, "Relu", 1),
    (5, 96, 40, True, "HardSwish", 2),
    (5, 240, 40, True, "HardSwish", 1),
    (5, 240, 40, True, "HardSwish", 1),
    (5, 120, 48, True, "HardSwish", 1),
    (5, 144, 48, True, "HardSwish", 1),
    (5, 288, 96, True, "HardSwish", 2),
    (5, 576, 96, True, "HardSwish", 1),
    (5, 576, 96, True, "HardSwish", 1),
)
LARGE = (
    (3, 0, 16, False, "Relu", 1),
    (3, 64, 24, False, "Relu", 2),
    (3, 72, 24, False, "Relu", 1),
    (5, 72, 40, True, "Relu", 2),
    (5, 120, 40, True, "Relu", 1),
    (5, 120, 40, True, "Relu", 1),
    (3, 240, 80, False, "HardSwish", 2),
    (3, 200, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 480, 112, True, "HardSwish", 1),
    (3, 672, 112, True, "HardSwish", 1),
    (5, 672, 160, True, "HardSwish", 2),
    (5, 960, 160, True, "HardSwish", 1),
    (5, 960, 160, True, "HardSwish", 1),
)
# Blocks, width of the last convolution, width of the dense layer.
VERSIONS = {"small": (SMALL, 576, 1024), "large": (LARGE, 960, 1280)}


def draw(net: VariedDrawing, version: str) -> None:
    """Small has 2,542,856 parameters, large 5,483,032."""
    blocks, last, dense = VERSIONS[version]
    before = 16
    x = _conv(net, net.input(*IMAGE), before, 3, 2)
    for kernel, expanded, channels, gated, activation, stride in blocks:
        residual = stride == 1 and channels == before
        hidden = net.width(expanded) if expanded else 0
        block = Block(
            hidden=hidden,
            width=net.shape(x)[1] if residual else net.width(channels),
            kernel=kernel,
            stride=stride,
            residual=residual,
            activation=activation,
            gate=squeezed(hidden or net.shape(x)[1]) if gated else 0,
            gate_activation="HardSigmoid",
            epsilon=EPSILON,
        )
        x, before = inverted_residual(net, x, block), channels
    x = net.flatten(net.global_pool(_conv(net, x, last, 1)))
    net.dense(net.same("HardSwish", net.dense(x, net.width(dense))), CLASSES)


def squeezed(channels: int) -> int:
    """A quarter of the channels, as the nearest multiple of 8 that removes at most a tenth."""
    rounded = max(8, (channels // 4 + 4) // 8 * 8)
    return rounded + 8 if 10 * rounded < 9 * (channels // 4) else rounded


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.same("HardSwish", net.batch_norm(net.varied(x, net.width(channels), kernel, stride), EPSILON))


FAMILY = VariedFamily("mobilenetv3", draw, tuple(VERSIONS))
