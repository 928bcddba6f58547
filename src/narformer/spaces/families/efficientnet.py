"""EfficientNet-B0 (Tan & Le 2019)."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.inverted import Block, inverted_residual
from narformer.spaces.families.variation import VariedDrawing

# Expansion, kernel, stride of the first block, width, depth.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EXPANSIONS = (3, 4, 6)  # that of MnasNet, in whose space the network was found
SQUEEZE = 4


def draw(net: VariedDrawing, version: str) -> None:
    """5,288,548 parameters. Gates squeeze to a quarter of the block's input."""
    x = _conv(net, net.input(*IMAGE), 32, 3, 2)
    for expansion, kernel, stride, channels, depth in STAGES:
        width = net.width(channels)
        for block in range(depth):
            inputs = net.shape(x)[1]
            x = inverted_residual(
                net,
                x,
                Block(
                    hidden=net.choose(expansion, EXPANSIONS) * inputs if expansion > 1 else 0,
                    width=width,
                    kernel=kernel,
                    stride=1 if block else stride,
                    residual=block > 0,
                    activation="Swish",
                    gate=max(1, inputs // SQUEEZE),
                    squeeze_activation="Swish",
                ),
            )
    net.classifier(_conv(net, x, 1280, 1), CLASSES)


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.activation("Swish", net.batch_norm(net.varied(x, net.width(channels), kernel, stride)))


FAMILY = VariedFamily("efficientnet", draw)
