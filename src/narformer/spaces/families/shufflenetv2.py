"""ShuffleNetV2 (Ma et al. 2018), as torchvision builds it: half of the channels pass by, then both halves are mixed.

Variants have other depths and widths, depthwise kernels of 1, 3, 5 or 7, and another image.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

DEPTHS, WIDTHS = (4, 8, 4), (116, 232, 464)


def draw(net: VariedDrawing, version: str) -> None:
    """x1.0 has 2,278,604 parameters."""
    size = net.choose(224, range(128, 321, 32))
    x = _conv(net, net.input(1, 3, size, size), net.width(24), 3, 2)
    x = net.pool("MaxPool", x, 3, 2)
    for depth, channels in zip(DEPTHS, WIDTHS, strict=True):
        half = net.width(channels // 2)
        short = net.batch_norm(net.varied_depthwise(x, 3, 2))
        x = shuffled(net, net.concat(_conv(net, short, half, 1), _branch(net, x, half, 2)), 2)
        for _ in range(net.choose(depth, range(1, depth + 3)) - 1):
            first, second = net.parts(x, 1, 2)
            x = shuffled(net, net.concat(first, _branch(net, second, half, 1)), 2)
    net.classifier(_conv(net, x, net.width(1024), 1), CLASSES)


def shuffled(net: VariedDrawing, x: int, groups: int) -> int:
    """The channels of all groups in turn: the first of each, the second of each, and so on."""
    n, channels, *size = net.shape(x)
    x = net.transpose(net.reshape(x, n, groups, channels // groups, *size), 0, 2, 1, 3, 4)
    return net.reshape(x, n, channels, *size)


def _branch(net: VariedDrawing, x: int, width: int, stride: int) -> int:
    x = net.batch_norm(net.varied_depthwise(_conv(net, x, width, 1), 3, stride))
    return _conv(net, x, width, 1)


def _conv(net: VariedDrawing, x: int, width: int, kernel: int, stride: int = 1) -> int:
    return net.relu(net.batch_norm(net.conv(x, width, kernel, stride)))


FAMILY = VariedFamily("shufflenetv2", draw)
