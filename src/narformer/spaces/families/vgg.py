"""VGG (Simonyan & Zisserman 2015), configurations A, B, D and E, without normalisation."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {"16": (2, 2, 3, 3, 3), "11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "19": (2, 2, 4, 4, 4)}


def draw(net: VariedDrawing, version: str) -> None:
    """VGG-16 has 138,357,544 parameters."""
    x = net.input(*IMAGE)
    for channels, depth in zip(WIDTHS, DEPTHS[version], strict=True):
        for _ in range(depth):
            x = net.relu(net.varied(x, net.width(channels), 3, bias=True))
        x = net.pool("MaxPool", x, 2, 2, pad=0)
    x = net.flatten(x)
    for _ in range(2):
        x = net.relu(net.dense(x, net.width(4096)))
    net.dense(x, CLASSES)


FAMILY = VariedFamily("vgg", draw, tuple(DEPTHS))
