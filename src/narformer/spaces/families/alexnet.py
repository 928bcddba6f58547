"""AlexNet as trained on one device (Krizhevsky 2014, "One weird trick"), five convolutions and three dense layers."""

from narformer.spaces.families.family import CLASSES, IMAGE, VariedFamily
from narformer.spaces.families.variation import VariedDrawing


def draw(net: VariedDrawing, version: str) -> None:
    """61,100,840 parameters."""
    x = net.relu(net.varied(net.input(*IMAGE), net.width(64), 11, 4, pad=2, bias=True))
    x = net.pool("MaxPool", x, 3, 2, pad=0)
    x = net.relu(net.varied(x, net.width(192), 5, bias=True))
    x = net.pool("MaxPool", x, 3, 2, pad=0)
    for channels in (384, 256, 256):
        x = net.relu(net.varied(x, net.width(channels), 3, bias=True))
    x = net.flatten(net.pool("MaxPool", x, 3, 2, pad=0))
    for _ in range(2):
        x = net.relu(net.dense(x, net.width(4096)))
    net.dense(x, CLASSES)


FAMILY = VariedFamily("alexnet", draw)
