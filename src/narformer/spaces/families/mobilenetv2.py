"""MobileNetV2 (Sandler et al. 2018)."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.variation import VariedDrawing

# Expansion, width, depth, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
EXPANSIONS = range(1, 9)


def draw(net: VariedDrawing, version: str) -> None:
    """3,504,872 parameters. An expansion of 1 is left out."""
    x = _conv(net, net.input(*IMAGE), 32, 3, 2)
    for expansion, channels, depth, stride in STAGES:
        width = net.width(channels)
        for block in range(depth):
            times = net.choose(expansion, EXPANSIONS)
            x = inverted_residual(
                net,
                x,
                Block(
                    hidden=times * net.shape(x)[1] if times > 1 else 0,
                    width=width,
                    kernel=3,
                    stride=1 if block else stride,
                    residual=block > 0,
                    activation="Relu6",
                ),
            )
    net.classifier(_conv(net, x, 1280, 1), CLASSES)


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.activation("Relu6", net.batch_norm(net.varied(x, net.width(channels), kernel, stride)))


FAMILY = VariedFamily("mobilenetv2", draw)
