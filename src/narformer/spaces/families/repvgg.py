"""RepVGG (Ding et al. 2021), as timm builds it: three branches for training, or one convolution after they are merged.

Variants have other depths, widths and images.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

DEPTHS, WIDTHS = (2, 4, 14, 1), (48, 96, 192, 1280)


def draw(net: VariedDrawing, version: str) -> None:
    """A0 has 9,108,968 parameters with all branches, 8,309,384 when merged."""
    size = net.choose(224, range(128, 289, 32))
    x = block(net, net.input(1, 3, size, size), net.width(WIDTHS[0]), 2, version)
    for depth, channels in zip(DEPTHS, WIDTHS, strict=True):
        width = net.width(channels)
        for number in range(net.choose(depth, range(1, depth + 2))):
            x = block(net, x, width, 1 if number else 2, version)
    net.classifier(x, CLASSES)


def block(net: VariedDrawing, x: int, width: int, stride: int, version: str) -> int:
    """Convolutions of 1x1 and 3x3, and a normalisation of x where it fits, added; or one convolution."""
    if version == "merged":
        return net.relu(net.conv(x, width, 3, stride, bias=True))
    y = net.add(net.batch_norm(net.conv(x, width, 1, stride)), net.batch_norm(net.conv(x, width, 3, stride)))
    same = stride == 1 and net.shape(x)[1] == width
    return net.relu(net.add(y, net.batch_norm(x)) if same else y)


FAMILY = VariedFamily("repvgg", draw, ("branches", "merged"))
