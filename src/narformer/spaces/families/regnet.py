"""RegNet (Radosavovic et al. 2020), as torchvision builds it: grouped bottlenecks, with gates (Y) or without (X).

Variants have other depths, widths, widths of a group and images; the kernel of every grouped convolution varies.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Depths, widths, width of a group, gated
VERSIONS = {
    "y_400mf": ((1, 3, 6, 6), (48, 104, 208, 440), 8, True),
    "x_400mf": ((1, 2, 7, 12), (32, 64, 160, 400), 16, False),
}


def draw(net: VariedDrawing, version: str) -> None:
    """Y-400MF has 4,344,144 parameters, X-400MF 5,495,976."""
    depths, widths, group, gated = VERSIONS[version]
    group, size = net.choose(group, (8, 16, 24, 32)), net.choose(224, range(128, 289, 32))
    tenths = net.choose(10, range(6, 29, 2))
    x = net.relu(net.batch_norm(net.conv(net.input(1, 3, size, size), 32, 3, 2)))
    for depth, channels in zip(depths, widths, strict=True):
        width = channels if tenths == 10 and not net.chance else group * max(1, channels * tenths // (10 * group))
        for block in range(net.choose(depth, range(1, depth + 3))):
            stride, inputs = 1 if block else 2, net.shape(x)[1]
            shortcut = x if block else net.batch_norm(net.conv(x, width, 1, stride))
            y = net.relu(net.batch_norm(net.conv(x, width, 1)))
            kernel = net.choose(3, (3, 3, 5, 7))
            y = net.relu(net.batch_norm(net.conv(y, width, kernel, stride, group=width // group)))
            y = _gated(net, y, round(inputs / 4)) if gated else y
            x = net.relu(net.add(net.batch_norm(net.conv(y, width, 1)), shortcut))
    net.classifier(x, CLASSES)


def _gated(net: VariedDrawing, x: int, squeezed: int) -> int:
    y = net.relu(net.conv(net.global_pool(x), squeezed, 1, bias=True))
    return net.multiply(x, net.same("Sigmoid", net.conv(y, net.shape(x)[1], 1, bias=True)))


FAMILY = VariedFamily("regnet", draw, tuple(VERSIONS))
