"""GoogLeNet (Szegedy et al. 2015) with batch normalisation, without the auxiliary classifiers.

Its "5x5" branch has a 3x3 kernel, as in the implementation whose parameters are the published ones.
"""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Widths of 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; after the pool. One number: a pool of this kernel.
BLOCKS: tuple[tuple[int, ...], ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (3,),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (2,),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
EPSILON = 0.001


def draw(net: VariedDrawing, version: str) -> None:
    """6,624,904 parameters."""
    x = _conv(net, net.input(*IMAGE), 64, 7, 2)
    x = net.pool("MaxPool", x, 3, 2, pad=0, ceil=True)
    x = _conv(net, _conv(net, x, 64, 1), 192, 3)
    x = net.pool("MaxPool", x, 3, 2, pad=0, ceil=True)
    for block in BLOCKS:
        x = net.pool("MaxPool", x, block[0], 2, pad=0, ceil=True) if len(block) == 1 else _inception(net, x, block)
    net.classifier(x, CLASSES)


def _inception(net: VariedDrawing, x: int, widths: tuple[int, ...]) -> int:
    one, reduced_3, three, reduced_5, five, pooled = widths
    return net.concat(
        _conv(net, x, one, 1),
        _conv(net, _conv(net, x, reduced_3, 1), three, 3),
        _conv(net, _conv(net, x, reduced_5, 1), five, 3),
        _conv(net, net.pool("MaxPool", x, 3, ceil=True), pooled, 1),
    )


def _conv(net: VariedDrawing, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.relu(net.batch_norm(net.varied(x, net.width(channels), kernel, stride), EPSILON))


FAMILY = VariedFamily("googlenet", draw)
