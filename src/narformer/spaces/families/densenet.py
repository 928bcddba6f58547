"""DenseNet (Huang et al. 2017), as torchvision builds it: every layer reads all layers of its block.

Variants have other depths, growths and images; the kernel of every layer varies.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

# Depths of the blocks, growth, width of the stem
VERSIONS = {"121": ((6, 12, 24, 16), 32, 64), "169": ((6, 12, 32, 32), 32, 64)}


def draw(net: VariedDrawing, version: str) -> None:
    """DenseNet-121 has 7,978,856 parameters, DenseNet-169 14,149,480."""
    depths, growth, stem = VERSIONS[version]
    growth, size = net.choose(growth, range(8, 41, 4)), net.choose(224, range(128, 289, 32))
    squeeze = net.choose(4, (2, 3, 4))
    x = net.relu(net.batch_norm(net.conv(net.input(1, 3, size, size), net.width(stem), 7, 2)))
    x = net.pool("MaxPool", x, 3, 2)
    for block, depth in enumerate(depths):
        read = [x]
        for _ in range(net.choose(depth, range(max(2, depth // 3), depth + 1))):
            y = net.conv(_activated(net, net.concat(*read)), squeeze * growth, 1)
            read.append(net.conv(_activated(net, y), growth, net.choose(3, (1, 3, 3, 5))))
        x = _activated(net, net.concat(*read))
        if block < len(depths) - 1:
            x = net.pool("AveragePool", net.conv(x, net.shape(x)[1] // 2, 1), 2, 2, pad=0)
    net.classifier(x, CLASSES)


def _activated(net: VariedDrawing, x: int) -> int:
    return net.relu(net.batch_norm(x))


FAMILY = VariedFamily("densenet", draw, tuple(VERSIONS))
