"""The network of an OFA-MobileNetV3 subnet (Cai et al. 2020): stem, five stages, the head of MobileNetV3."""

from collections.abc import Sequence

from narformer.network.graph import Architecture
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.mobilenetv3 import squeezed
from narformer.spaces.families.variation import VariedDrawing

STEM = 16
# Width, stride of the first block, gated, activation, of each stage.
LAYOUT = (
    (24, 2, False, "Relu"),
    (40, 2, True, "Relu"),
    (80, 2, False, "HardSwish"),
    (112, 1, True, "HardSwish"),
    (160, 2, True, "HardSwish"),
)
LAST, DENSE = 960, 1280


def network(stages: Sequence[Sequence[tuple[int, int]]], *, classes: int, resolution: int) -> Architecture:
    """The whole network for one image; ``stages`` hold kernel and expansion of each block."""
    net = VariedDrawing()  # without random choices
    x = _hard_swish(net, net.batch_norm(net.conv(net.input(1, 3, resolution, resolution), STEM, 3, 2)))
    x = _block(net, x, STEM, 3, 1, 1, False, "Relu")
    for blocks, (width, stride, gated, activation) in zip(stages, LAYOUT, strict=True):
        for position, (kernel, expansion) in enumerate(blocks):
            x = _block(net, x, width, kernel, expansion, 1 if position else stride, gated, activation)
    x = net.global_pool(_hard_swish(net, net.batch_norm(net.conv(x, LAST, 1))))
    net.dense(net.flatten(_hard_swish(net, net.conv(x, DENSE, 1))), classes)
    return net.finished("")


def _block(
    net: VariedDrawing, x: int, width: int, kernel: int, expansion: int, stride: int, gated: bool, activation: str
) -> int:
    before = net.shape(x)[1]
    hidden = before * expansion
    return inverted_residual(
        net,
        x,
        Block(
            hidden=hidden if expansion > 1 else 0,
            width=width,
            kernel=kernel,
            stride=stride,
            residual=stride == 1 and width == before,
            activation=activation,
            gate=squeezed(hidden) if gated else 0,
            gate_activation="HardSigmoid",
        ),
    )


def _hard_swish(net: VariedDrawing, x: int) -> int:
    return net.same("HardSwish", x)
