"""MnasNet-B1 (Tan et al. 2019) at depth multiplier 1.0, without gates."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.variation import VariedDrawing

# Expansion, width, depth, kernel, stride of the first block.
STAGES = (
    (3, 24, 3, 3, 2),
    (3, 40, 3, 5, 2),
    (6, 80, 3, 5, 2),
    (6, 96, 2, 3, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
EXPANSIONS = (3, 4, 6)


def draw(net: VariedDrawing, version: str) -> None:
    """4,383,312 parameters."""
    x = _conv(net, net.input(*IMAGE), 32, 3, 2)
    stem = Block(hidden=0, width=net.width(16), kernel=3, stride=1, residual=False, activation="Relu")
    x = inverted_residual(net, x, stem)
    for expansion, channels, depth, kernel, stride in STAGES:
        width = net.width(channels)
        for block in range(depth):
            x = inverted_residual(
                net,
                x,
                Block(
                    hidden=net.choose(expansion, EXPANSIONS) * net.shape(x)[1],
                    width=width,
                    kernel=kernel,
                    stride=1 if block else stride,
                    residual=block > 0,
                    activation="Relu",
                ),
            )
    net.classifier(_conv(net, x, 1280, 1), CLASSES)


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.relu(net.batch_norm(net.varied(x, net.width(channels), kernel, stride)))


FAMILY = VariedFamily("mnasnet", draw)
